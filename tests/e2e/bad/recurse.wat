;; Calls itself without end, inside wasm.
(module
  (func $down (param i64) (result i64)
    (i64.add (i64.const 1) (call $down (i64.add (local.get 0) (i64.const 1)))))
  (func (export "start") (param i64))
  (func (export "called") (param i64 i64)
    (drop (call $down (i64.const 0)))))
