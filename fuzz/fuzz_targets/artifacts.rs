//! Any bytes as what artifacts are made of: each conversion gives a file of its format within a
//! multiple of its source, and each public set rows as they are known to be.
#![no_main]

use dataforge_node::artifacts::Derivation;
use dataforge_node::public_sets::{CHAPTER_LABELS, date_rows, icd_chapter_rows};
use libfuzzer_sys::fuzz_target;
use safetensors::{Dtype, SafeTensors};
use serde::de::IgnoredAny;

/// A packed element has half a byte and becomes four; a token's id takes no bytes in GGUF.
const GROWTH_MAX: usize = 64;

/// What every result holds whatever its source.
const OVERHEAD_BYTES_MAX: usize = 4096;

fuzz_target!(|source: &[u8]| {
    let derive = |by: Derivation| {
        let result = by.apply(source).ok()?;
        assert!(result.len() <= source.len() * GROWTH_MAX + OVERHEAD_BYTES_MAX);
        Some(result)
    };
    for by in [Derivation::GgufSafetensorsV1, Derivation::MinilmSafetensorsV1] {
        if let Some(result) = derive(by) {
            let file = SafeTensors::deserialize(&result).expect("safetensors");
            assert!(file.iter().all(|(_, tensor)| tensor.dtype() == Dtype::F32));
            assert!(!file.is_empty());
        }
    }
    for by in [Derivation::GgufTokenizerV1, Derivation::GlassllmTokenizerV1] {
        if let Some(result) = derive(by) {
            serde_json::from_slice::<IgnoredAny>(&result).expect("JSON");
        }
    }
    if let Some(result) = derive(Derivation::MinilmTokenizerV1) {
        assert_eq!(Derivation::MinilmTokenizerV1.apply(&result).as_ref(), Ok(&result));
    }

    if let Ok(rows) = icd_chapter_rows(source) {
        for row in rows {
            assert!(CHAPTER_LABELS.contains(&row.output.as_str()));
            let words = row.input.split_whitespace().collect::<Vec<_>>();
            assert_eq!(words.join(" "), row.input);
        }
    }
    if let Ok(rows) = date_rows(source) {
        assert!(rows.len() <= source.split(|byte| *byte == b'\n').count());
    }
});
