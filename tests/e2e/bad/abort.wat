;; Aborts with a message.
(module
  (import "env" "abortMessage" (func $abortMessage (param i32 i32)))
  (memory 1)
  (data (i32.const 16) "this service only says no")
  (func (export "start") (param i64))
  (func (export "called") (param i64 i64)
    (call $abortMessage (i32.const 16) (i32.const 25))))
