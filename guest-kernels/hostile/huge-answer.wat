;; Answers with a million lists that all are the same million ids: 4 TB from 12 MB.
(component
  (core module $module
    (memory (export "memory") 200)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
    (func (export "encode") (param i32 i32 i32 i32) (result i32)
      (local $index i32)
      ;; At 16: ok, the list at 65536 with 2^20 elements, each one the list at 0 with 2^20 ids.
      (i32.store (i32.const 20) (i32.const 65536))
      (i32.store (i32.const 24) (i32.const 1048576))
      (loop $next
        (i32.store offset=65540
          (i32.shl (local.get $index) (i32.const 3)) (i32.const 1048576))
        (local.set $index (i32.add (local.get $index) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $index) (i32.const 1048576))))
      (i32.const 16)))
  (core instance $guest (instantiate $module))
  (func $encode
    (param "tokenizer-json" (list u8)) (param "texts" (list string))
    (result (result (list (list u32)) (error string)))
    (canon lift (core func $guest "encode") (memory $guest "memory")
      (realloc (func $guest "realloc"))))
  (instance $tokens (export "encode" (func $encode)))
  (export "dataforge:kernel/tokens@1.0.0" (instance $tokens)))
