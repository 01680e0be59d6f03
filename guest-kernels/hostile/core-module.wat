;; A module of the core specification, not a component.
(module (memory (export "memory") 1))
