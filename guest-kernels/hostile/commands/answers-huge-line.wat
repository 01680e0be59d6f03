;; Answers its one row with a fault whose reason has 786,432 bytes (12 pages), all the letter a.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 14)
  ;; One buffer: 34 bytes that end with the first page, 12 pages, and 3 bytes.
  (data (i32.const 0) "\de\ff\00\00\25\00\0c\00")
  (data (i32.const 65502) "{\"pointer\": \"/output\", \"reason\": \"")
  (data (i32.const 851_968) "\"}\n")
  (func (export "_start")
    (local $at i32)
    (local.set $at (i32.const 65536))
    (loop $next
      (i32.store8 (local.get $at) (i32.const 97))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $at) (i32.const 851_968))))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
