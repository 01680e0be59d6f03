;; Counts its calls in memory, in a global and in a table, and refuses the second one.
(component
  (core module $module
    (memory (export "memory") 1)
    (global $called (mut i32) (i32.const 0))
    (table $calls 1 funcref)
    (func $call)
    (elem declare func $call)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
    (func (export "encode") (param i32 i32 i32 i32) (result i32)
      (i32.store (i32.const 32) (i32.add (i32.load (i32.const 32)) (i32.const 1)))
      (if (i32.gt_u (i32.load (i32.const 32)) (i32.const 1)) (then unreachable))
      (if (global.get $called) (then unreachable))
      (global.set $called (i32.const 1))
      (if (i32.eqz (ref.is_null (table.get $calls (i32.const 0)))) (then unreachable))
      (table.set $calls (i32.const 0) (ref.func $call))
      ;; One text, one empty list.
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
