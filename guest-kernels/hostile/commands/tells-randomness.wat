;; Answers with 8 random bytes, in 16 hexadecimal digits, as the fault of its one row.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\40\00\00\00\35\00\00\00") ;; One buffer: 53 bytes at 64.
  (data (i32.const 64)
    "{\"pointer\": \"/output\", \"reason\": \"----------------\"}\n")
  (func (export "_start")
    (drop (call $random_get (i32.const 16) (i32.const 8)))
    (call $spell (i32.const 16) (i32.const 98))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
  ;; Spells the 8 bytes at $from as 16 digits at $to, the last byte first: a little-endian number.
  (func $spell (param $from i32) (param $to i32)
    (local $digit i32) (local $shift i64)
    (local.set $shift (i64.const 60))
    (loop $next
      (local.set $digit (i32.wrap_i64 (i64.and (i64.const 15)
        (i64.shr_u (i64.load (local.get $from)) (local.get $shift)))))
      (i32.store8 (local.get $to) (i32.add (local.get $digit)
        (select (i32.const 48) (i32.const 87) (i32.lt_u (local.get $digit) (i32.const 10)))))
      (local.set $to (i32.add (local.get $to) (i32.const 1)))
      (local.set $shift (i64.sub (local.get $shift) (i64.const 4)))
      (br_if $next (i64.ge_s (local.get $shift) (i64.const 0))))))
