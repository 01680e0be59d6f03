;; Writes zeros to its output for as long as the host takes them, 64 KiB at a time; then ends well.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 0) "\00\00\01\00\00\00\01\00") ;; One buffer: the whole second page.
  (func (export "_start")
    (loop $more
      (br_if $more (i32.eqz
        (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))))
