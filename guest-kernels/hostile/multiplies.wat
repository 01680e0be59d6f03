;; Holds a component that holds another twice, which holds another twice: a few more levels, in a
;; kilobyte, take more memory than any machine has.
(component
  (component $one
    (component $two
      (core module $module)
      (core instance (instantiate $module))
      (core instance (instantiate $module)))
    (instance (instantiate $two))
    (instance (instantiate $two)))
  (instance (instantiate $one))
  (instance (instantiate $one)))
