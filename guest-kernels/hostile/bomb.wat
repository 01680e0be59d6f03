;; A decompression bomb: unpacks one byte to a text of memory's size, and asks for more.
(component
  (core module $module
    (memory (export "memory") 1)
    (global $end (mut i32) (i32.const 4096))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
    (func (export "encode") (param i32 i32 i32 i32) (result i32)
      ;; Each turn doubles what there is, and needs twice the memory.
      (loop $double
        (if (i32.eq (i32.const -1)
              (memory.grow (i32.shr_u (global.get $end) (i32.const 16))))
          (then unreachable))
        (memory.copy (global.get $end) (i32.const 0) (global.get $end))
        (global.set $end (i32.shl (global.get $end) (i32.const 1)))
        (br $double))
      unreachable))
  (core instance $guest (instantiate $module))
  (func $encode
    (param "tokenizer-json" (list u8)) (param "texts" (list string))
    (result (result (list (list u32)) (error string)))
    (canon lift (core func $guest "encode") (memory $guest "memory")
      (realloc (func $guest "realloc"))))
  (instance $tokens (export "encode" (func $encode)))
  (export "dataforge:kernel/tokens@1.0.0" (instance $tokens)))
