;; Never returns.
(module
  (func (export "start") (param i64))
  (func (export "called") (param i64 i64)
    (loop $again (br $again))))
