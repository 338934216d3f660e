;; Takes memory until there is no more, then insists.
(module
  (memory 1)
  (func (export "start") (param i64))
  (func (export "called") (param i64 i64)
    (loop $more
      (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
    (unreachable)))
