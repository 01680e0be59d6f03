;; Opens a file by way of descriptor 3. Refused as the contract has it, with ENOTCAPABLE, it answers
;; that its one row is good; otherwise it traps.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\10\00\00\00\05\00\00\00") ;; One buffer: 5 bytes at 16.
  (data (i32.const 16) "null\n")
  (data (i32.const 32) "../etc/passwd")
  (func (export "_start")
    ;; Descriptor, lookup flags, path, open flags, rights (to read), rights to inherit, flags, place
    ;; of the new descriptor.
    (if (i32.ne (i32.const 76)
          (call $path_open (i32.const 3) (i32.const 0) (i32.const 32) (i32.const 13)
            (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 8)))
      (then unreachable))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
