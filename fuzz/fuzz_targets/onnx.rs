//! Any bytes as an ONNX file: it is refused in words or becomes a graph, and who looks at it sees
//! what who imports it gets.
#![no_main]

use dataforge_graph::onnx::import::{ELEMENTS_MAX, Inspection, Model};
use libfuzzer_sys::fuzz_target;

/// What every named dimension is bound to: more than 1, so that nothing broadcasts by accident.
const SIZE: usize = 3;

fuzz_target!(|bytes: &[u8]| {
    let model = Model::decode(bytes);
    let Ok(names) = Inspection::named_dimensions(bytes) else {
        assert!(model.is_err(), "a model that cannot be looked at");
        return;
    };
    let sizes = names.into_iter().map(|name| (name, SIZE)).collect();
    let inspection = Inspection::new(bytes, &sizes).expect("it could be looked at");
    assert_eq!(model.is_ok(), inspection.model.is_some());
    let Ok(model) = model else {
        assert!(!inspection.refusals.is_empty(), "a refusal without a reason");
        return;
    };
    for (parameter, elements) in model.parameters() {
        assert_eq!(elements.len(), parameter.shape.iter().product::<usize>());
        assert!((1..=ELEMENTS_MAX).contains(&elements.len()));
        assert!(elements.iter().all(|x| x.is_finite()));
    }
    for output in model.outputs() {
        let used = model.used_parameters(output).expect("an output of the model");
        assert!(used.iter().all(|used| model.parameters().iter().any(|(p, _)| p == used)));
    }
});
