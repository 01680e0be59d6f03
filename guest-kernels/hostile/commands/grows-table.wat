;; Takes table elements until it is given no more; then gives up.
(module
  (memory (export "memory") 1)
  (table 1 funcref)
  (func (export "_start")
    (loop $more
      (br_if $more (i32.ne (table.grow (ref.null func) (i32.const 100)) (i32.const -1))))
    unreachable))
