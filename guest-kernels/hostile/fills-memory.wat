;; Fills its memory over and over, a unit of fuel each time, however much that is.
(component
  (core module $module
    (memory (export "memory") 256)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
    (func (export "encode") (param i32 i32 i32 i32) (result i32)
      (loop $forever
        (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x1000000))
        (br $forever))
      unreachable))
  (core instance $guest (instantiate $module))
  (func $encode
    (param "tokenizer-json" (list u8)) (param "texts" (list string))
    (result (result (list (list u32)) (error string)))
    (canon lift (core func $guest "encode") (memory $guest "memory")
      (realloc (func $guest "realloc"))))
  (instance $tokens (export "encode" (func $encode)))
  (export "dataforge:kernel/tokens@1.0.0" (instance $tokens)))
