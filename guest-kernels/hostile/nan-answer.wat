;; Answers with a NaN, whose bits are up to the processor, where a number belongs.
(component
  (core module $module
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
    ;; At 16: ok, then at 24 words of 0 and shares of 0 / 0.
    (func $answer (result i32)
      (f64.store (i32.const 32) (f64.div (f64.const 0) (f64.const 0)))
      (i32.const 16))
    (func (export "measure") (param i32 i32) (result i32) (call $answer))
    (func (export "dispersion") (param i32 i32) (result i32)
      (f64.store (i32.const 24) (f64.sqrt (f64.const -1)))
      (call $answer)))
  (core instance $guest (instantiate $module))
  (type $measures (record
    (field "words" u64)
    (field "distinct1" f64) (field "distinct2" f64) (field "distinct3" f64)
    (field "compression-ratio" f64) (field "self-similarity" f64)))
  (func $measure (param "texts" (list string)) (result (result $measures (error string)))
    (canon lift (core func $guest "measure") (memory $guest "memory")
      (realloc (func $guest "realloc"))))
  (func $dispersion (param "vectors" (list (list f32))) (result (result f64 (error string)))
    (canon lift (core func $guest "dispersion") (memory $guest "memory")
      (realloc (func $guest "realloc"))))
  ;; An exported function may only name types that are exported beside it.
  (component $interface
    (type $record (record
      (field "words" u64)
      (field "distinct1" f64) (field "distinct2" f64) (field "distinct3" f64)
      (field "compression-ratio" f64) (field "self-similarity" f64)))
    (import "measures" (type $measures (eq $record)))
    (import "measure"
      (func $measure (param "texts" (list string)) (result (result $measures (error string)))))
    (import "dispersion"
      (func $dispersion (param "vectors" (list (list f32)))
        (result (result f64 (error string)))))
    (export $exported "measures" (type $record))
    (export "measure" (func $measure)
      (func (param "texts" (list string)) (result (result $exported (error string)))))
    (export "dispersion" (func $dispersion)))
  (instance $variety (instantiate $interface
    (with "measures" (type $measures))
    (with "measure" (func $measure))
    (with "dispersion" (func $dispersion))))
  (export "dataforge:kernel/variety@1.1.0" (instance $variety)))
