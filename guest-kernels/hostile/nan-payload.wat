;; Answers with the bits of values that are no numbers: a processor is free to choose them.
(component
  (core module $module
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
    (func (export "encode") (param i32 i32 i32 i32) (result i32)
      (i32.store (i32.const 96)
        (i32.reinterpret_f32 (f32.div (f32.const 0) (f32.const 0))))
      (i32.store (i32.const 100)
        (i32.reinterpret_f32 (f32.add (f32.const nan:0x200001) (f32.const 1))))
      (i64.store (i32.const 104) (i64.reinterpret_f64 (f64.sqrt (f64.const -1))))
      (i32.store (i32.const 112) (i32x4.extract_lane 2
        (f32x4.sub (f32x4.splat (f32.const inf)) (f32x4.splat (f32.const inf)))))
      ;; One text, one list of five.
      (i32.store (i32.const 64) (i32.const 96))
      (i32.store (i32.const 68) (i32.const 5))
      (i32.store (i32.const 20) (i32.const 64))
      (i32.store (i32.const 24) (i32.const 1))
      (i32.const 16)))
  (core instance $guest (instantiate $module))
  (func $encode
    (param "tokenizer-json" (list u8)) (param "texts" (list string))
    (result (result (list (list u32)) (error string)))
    (canon lift (core func $guest "encode") (memory $guest "memory")
      (realloc (func $guest "realloc"))))
  (instance $tokens (export "encode" (func $encode)))
  (export "dataforge:kernel/tokens@1.0.0" (instance $tokens)))
