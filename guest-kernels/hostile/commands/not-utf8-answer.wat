;; Answers its one row with a fault whose reason is the byte FF, which UTF-8 does not have.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\40\00\00\00\26\00\00\00") ;; One buffer: 38 bytes at 64.
  (data (i32.const 64) "{\"pointer\": \"/output\", \"reason\": \"\ff\"}\n")
  (func (export "_start")
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
