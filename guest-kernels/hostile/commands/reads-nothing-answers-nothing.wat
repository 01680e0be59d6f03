;; Ends well without a look at its rows: no answer for any.
(module
  (memory (export "memory") 1)
  (func (export "_start")))
