;; Writes a hundred thousand empty buffers with one call, for ever: work for the host, no output.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 14) ;; The buffers begin at 16 and take 800,000 bytes, all zero.
  (func (export "_start")
    (loop $more
      (drop (call $fd_write (i32.const 1) (i32.const 16) (i32.const 100_000) (i32.const 8)))
      (br $more))))
