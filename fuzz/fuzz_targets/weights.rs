//! Any bytes as a weights file, `.npz` or safetensors: what is read is every parameter of the
//! model, finite, and reads the same when it is written as safetensors.
#![no_main]

use dataforge_evaluate::read_weights;
use dataforge_fuzz::small_model::{parameters, safetensors};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(weights) = read_weights(bytes, parameters()) else { return };
    let elements = |name: &str| weights.get(name).expect("every parameter is there").to_vec();
    for parameter in parameters() {
        let found = elements(&parameter.name);
        assert_eq!(found.len(), parameter.shape.iter().product::<usize>());
        assert!(found.iter().all(|x| x.is_finite()));
    }
    let written = safetensors(|parameter| elements(&parameter.name));
    let again = read_weights(&written, parameters()).expect("what was written");
    let bits = |data: &[f32]| data.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    for parameter in parameters() {
        let found = again.get(&parameter.name).expect("every parameter is there");
        assert_eq!(bits(found), bits(&elements(&parameter.name)));
    }
});
