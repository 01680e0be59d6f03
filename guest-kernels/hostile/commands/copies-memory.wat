;; Copies its memory over and over, a unit of fuel each time, however much that is.
(module
  (memory (export "memory") 256)
  (func (export "_start")
    (loop $again
      (memory.copy (i32.const 0) (i32.const 0x800000) (i32.const 0x800000))
      (br $again))))
