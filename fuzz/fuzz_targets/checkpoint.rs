//! Checkpoints: a manifest that decodes is written back to the same bytes, and one that holds names
//! its own tensors and no others.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use dataforge_core::codec;
use dataforge_core::hash::StateRoot;
use dataforge_core::proof::StepRecord;
use dataforge_core::state::{Checkpoint, Manifest, SavedTensor, state_root};
use dataforge_core::units::{MicroNats, StepIndex};
use dataforge_fuzz::damage::{Damage, damaged};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Input {
    steps: u8,
    tensors: Vec<(String, Vec<u32>, Vec<u8>)>,
    damage: Vec<Damage>,
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(manifest) = codec::decode::<Manifest>(bytes) {
        assert_eq!(codec::encode(&manifest), bytes);
        if manifest.holds() {
            let hashes: Vec<_> = manifest.tensors.iter().map(|(_, _, hash)| *hash).collect();
            let last = manifest.steps.last().and_then(|step| step.state);
            assert_eq!(last, Some(state_root(&hashes)));
        }
    }
    if let Ok(input) = Input::arbitrary(&mut Unstructured::new(bytes)) {
        kept(&input);
    }
});

fn kept(input: &Input) {
    let tensor = |(name, dims, elements): &(String, Vec<u32>, Vec<u8>)| SavedTensor {
        name: name.clone(),
        dims: dims.clone(),
        elements: elements.clone(),
    };
    let tensors: Vec<_> = input.tensors.iter().map(tensor).collect();
    let hashes: Vec<_> = tensors.iter().map(SavedTensor::hash).collect();
    let record = |number: u8, state: Option<StateRoot>| StepRecord {
        step: StepIndex(number.into()),
        loss: MicroNats(5),
        state,
    };
    let mut steps: Vec<_> = (0..input.steps).map(|number| record(number, None)).collect();
    steps.push(record(input.steps, Some(state_root(&hashes))));
    let checkpoint = Checkpoint { steps, tensors };
    let manifest = checkpoint.manifest();
    assert!(manifest.holds());
    let bytes = codec::encode(&manifest);
    assert_eq!(codec::decode(&bytes).as_ref(), Ok(&manifest));

    // Damaged, it may hold with another loss or name, but not with other hashes under one root.
    if let Ok(other) = codec::decode::<Manifest>(&damaged(&bytes, &input.damage))
        && other.holds()
    {
        let root = |manifest: &Manifest| manifest.steps.last().and_then(|step| step.state);
        let others: Vec<_> = other.tensors.iter().map(|(_, _, hash)| *hash).collect();
        assert_eq!(others == hashes, root(&other) == root(&manifest));
    }
    // A tensor's hash is of all of it.
    for (at, tensor) in checkpoint.tensors.iter().enumerate() {
        for (other, hash) in checkpoint.tensors.iter().zip(&hashes).take(at) {
            assert_eq!(other == tensor, *hash == tensor.hash());
        }
    }
}
