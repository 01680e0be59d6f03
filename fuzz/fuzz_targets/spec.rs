//! Any text as an eval spec, and a published one with other numbers: what parses keeps the promises
//! that the engine builds on.
#![no_main]

use std::collections::BTreeMap;

use arbitrary::{Arbitrary, Unstructured};
use dataforge_core::hash::FileDigest;
use dataforge_core::limits::{BATCH_TOKENS_MAX, PARAMETER_ELEMENTS_MAX, STEPS_MAX};
use dataforge_core::spec::{PinnedSpec, Spec, SpecLock};
use dataforge_fuzz::numbers::renumbered;
use dataforge_graph::llama;
use libfuzzer_sys::fuzz_target;

const PUBLISHED: &str = include_str!("../../eval-specs/date/1/spec.toml");

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        parse(text);
    }
    if let Ok(numbers) = <[(u8, u32); 2]>::arbitrary(&mut Unstructured::new(bytes)) {
        parse(&renumbered(PUBLISHED, &numbers));
    }
});

fn parse(text: &str) {
    let Ok(spec) = Spec::parse(text) else { return };
    let (shape, recipe) = (spec.model.llama, &spec.training);
    assert_eq!(shape.width.get() % shape.heads.get(), 0);
    assert_eq!(shape.heads.get() % shape.kv_heads.get(), 0);
    assert!(recipe.positions <= shape.context);
    assert!(recipe.batch_shape().tokens() as u64 <= BATCH_TOKENS_MAX);
    let steps = spec.rows.count_max.get().div_ceil(recipe.batch_rows.get());
    assert!(u64::from(steps) * u64::from(recipe.epochs.get()) <= u64::from(STEPS_MAX));
    assert!(spec.benchmark.measured() <= spec.benchmark.rows);
    let parameters = llama::parameters(&shape);
    let elements = parameters.iter().map(|p| p.shape.iter().map(|d| *d as u64).product::<u64>());
    assert!(elements.max() <= Some(PARAMETER_ELEMENTS_MAX));

    for name in spec.files().into_iter().chain(spec.kernels()) {
        assert!(!name.contains(['/', '\\']) && !name.starts_with('.'), "{name:?} leads elsewhere");
    }
    let pins = |names: Vec<&String>| -> BTreeMap<String, FileDigest> {
        names.into_iter().map(|name| (name.clone(), FileDigest([1; 32]))).collect()
    };
    let lock = SpecLock {
        files: pins(spec.files()),
        kernels: pins(spec.kernels()),
        artifacts: pins(vec![&spec.model.weights, &spec.model.tokenizer]),
    };
    assert!(PinnedSpec::new(spec, lock).is_ok(), "a lock of what a spec names is its lock");
}
