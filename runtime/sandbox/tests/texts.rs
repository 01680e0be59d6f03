//! The pinned kernels that compare and measure texts: what they answer and what fuel that takes.
//!
//! What each number means, and that it equals the field's, is for the kernels' own tests and for
//! `cargo xtask conformance` to say; here it is that the pinned bytes give it, for golden fuel, and
//! that hostile texts give an answer or a named error.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use dataforge_core::units::Ppm;
use dataforge_sandbox::{
    Answer, ContaminationKernel, DiversityKernel, Evidence, KernelLimits, MetricsKernel, Overlap,
    Pair, Sandbox, SandboxError, SimilarityKernel,
};

/// Less fuel than the default, so that a hostile text comes to its end soon.
const LIMITS: KernelLimits = KernelLimits {
    module_bytes_max: 8 << 20,
    memory_bytes_max: 256 << 20,
    table_elements_max: 20_000,
    fuel_per_call: 4_000_000_000,
    fuel_per_item: 0,
    input_bytes_max: 16 << 20,
    output_bytes_max: 16 << 20,
};

static CONTAMINATION: LazyLock<ContaminationKernel> = LazyLock::new(|| {
    Sandbox::new().unwrap().contamination_kernel(&pinned("contamination"), LIMITS).unwrap()
});
static DIVERSITY: LazyLock<DiversityKernel> = LazyLock::new(|| {
    Sandbox::new().unwrap().diversity_kernel(&pinned("diversity"), LIMITS).unwrap()
});
static METRICS: LazyLock<MetricsKernel> =
    LazyLock::new(|| Sandbox::new().unwrap().metrics_kernel(&pinned("metrics"), LIMITS).unwrap());
static SIMILARITY: LazyLock<SimilarityKernel> = LazyLock::new(|| {
    Sandbox::new().unwrap().similarity_kernel(&pinned("similarity"), LIMITS).unwrap()
});

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../eval-specs/kernels")
}

fn pinned(name: &str) -> Vec<u8> {
    fs::read(folder().join(format!("{name}-1.0.0.wasm"))).unwrap()
}

/// The value, if the fuel is the golden one.
#[track_caller]
fn value<T>(answer: Result<Answer<T>, SandboxError>, fuel: u64) -> T {
    let answer = answer.unwrap();
    assert_eq!(answer.fuel, fuel);
    answer.value
}

const FOX: &str = "The quick brown fox jumps over the lazy dog; 素早い茶色の狐。";

#[test]
fn near_duplicates_are_near() {
    let unseen =
        "The q\u{ad}uick br\u{200b}own fox jumps over the lazy d\u{2060}og; 素早い茶色の狐。";
    let sketches = SIMILARITY.sketch(&[FOX, unseen]).unwrap().value;
    assert_eq!(sketches[0], sketches[1]);
    let edited = "the QUICK brown fox jumped over the lazy dog: 素早い茶色の狐";
    let texts = [FOX, "The quick, brown fox jumps over the lazy dog — 素早い茶色の狐!", edited, ""];
    let sketches = value(SIMILARITY.sketch(&texts), 196_002);
    assert_eq!(sketches[0], sketches[1]);
    let near = |other: usize| sketches[0].similarity(&sketches[other]);
    assert_eq!((near(1), near(2), near(3)), (Ppm(1_000_000), Ppm(780_392), Ppm(0)));
    let bands = [3_357_134_244, 2_585_834_411, 1_028_390_946, 1_230_284_284];
    assert_eq!(sketches[0].bands[..4], bands);
    let digest = "9f5c058647a15cfdcabb144a7e86f0e7460158ef2e0963ddf14328611e75714f";
    assert_eq!(hex(&sketches[0].digest), digest);
}

#[test]
fn what_was_taken_is_shown() {
    let documents = [FOX, "Another document with words of its own."];
    let index = value(CONTAMINATION.index(4, &documents), 56_913);
    assert_eq!(index.len(), 8 + 5 * 17);
    let texts = ["A Quick Brown Fox, jumps over it", "nothing of the sort is there", ""];
    let found = value(CONTAMINATION.overlap(&index, &texts), 24_141);
    assert_eq!(found[0], Evidence { ngrams: 4, found: 2, part: 2..29 });
    assert_eq!(&texts[0][found[0].part.clone()], "Quick Brown Fox, jumps over");
    assert_eq!((found[1].found, found[1].part.clone(), found[2].ngrams), (0, 0..0, 0));
    for (n, index) in [(1, &index[..]), (65, &index), (4, b"DFNG"), (4, &index[..9])] {
        let of_index = CONTAMINATION.overlap(index, &[]).err();
        let of_n = CONTAMINATION.index(n, &[]).err();
        let error = if n == 4 { of_index } else { of_n };
        assert!(matches!(error, Some(SandboxError::Reported(_))), "{n}: {error:?}");
    }
}

#[test]
fn answers_are_measured() {
    let pair = |answer, reference| Pair { answer, reference };
    let pairs = [pair("A quick fox!", "the quick brown fox"), pair("", ""), pair("狐", "茶色の狐")];
    let scores = value(METRICS.measure(&pairs), 81_318);
    let unigrams = Overlap { precision: 2.0 / 3.0, recall: 0.5, f1: 0.571_428_571_428_571_5 };
    assert_eq!((scores[0].exact_match, scores[0].rouge1), (false, unigrams));
    assert_eq!((scores[1].exact_match, scores[1].chrf), (true, 0.0));
    assert_eq!(scores[2].chrf, 29.411_764_705_882_355);
}

#[test]
fn variety_is_measured() {
    let texts = ["one two three", "one two four", "five"];
    let measures = value(DIVERSITY.measure(&texts), 70_610);
    assert_eq!((measures.words, measures.distinct1), (7, 5.0 / 7.0));
    assert_eq!(measures.self_similarity, 0.222_222_222_222_222_3);
    let dispersion = value(DIVERSITY.dispersion(&[&[1.0, 0.0], &[0.0, 2.0]]), 2_824);
    assert_eq!(dispersion, 1.0);
    for vectors in [&[&[1.0, 0.0][..], &[1.0]][..], &[&[0.0]], &[&[f32::NAN]], &[&[f32::INFINITY]]]
    {
        let error = DIVERSITY.dispersion(vectors).unwrap_err();
        assert!(matches!(error, SandboxError::Reported(_)), "{error:?}");
    }
}

/// Texts by which parsers and tables are attacked.
fn hostile() -> Vec<String> {
    let long = 200_000;
    vec![
        "a".repeat(long),
        "a ".repeat(long / 2),
        "\u{301}".repeat(long / 2),
        "a\u{301}\u{323}".repeat(long / 5),
        // One character that NFKC makes eighteen of.
        "\u{fdfa}".repeat(long / 3),
        "語".repeat(long / 3),
        "\u{1f468}\u{200d}\u{1f469}".repeat(long / 11),
        "\0\u{85}\u{2028}\u{feff}\u{202e}".repeat(long / 14),
        (0..long as u32 / 8).filter_map(char::from_u32).collect(),
    ]
}

/// Each text alone and all together: an answer, or an end that a limit explains; the same twice.
#[test]
fn hostile_texts_have_an_end() {
    let texts = hostile();
    let all: Vec<&str> = texts.iter().map(String::as_str).collect();
    let index = CONTAMINATION.index(2, &all).unwrap().value;
    for texts in all.chunks(1).chain([&all[..]]) {
        let pairs: Vec<Pair<'_>> =
            texts.iter().map(|text| Pair { answer: text, reference: &text[..0] }).collect();
        check_end(|| SIMILARITY.sketch(texts).map(|answer| answer.fuel));
        check_end(|| CONTAMINATION.overlap(&index, texts).map(|answer| answer.fuel));
        check_end(|| METRICS.measure(&pairs).map(|answer| answer.fuel));
        check_end(|| DIVERSITY.measure(texts).map(|answer| answer.fuel));
    }
    let (one, other) = (&all[1], &all[0][..50_000].replace('a', "b "));
    check_end(|| METRICS.measure(&[Pair { answer: one, reference: other }]).map(|of| of.fuel));
}

#[track_caller]
fn check_end(call: impl Fn() -> Result<u64, SandboxError>) {
    let end = call().map_err(|error| error.to_string());
    match &end {
        Ok(_) => {}
        Err(error) => assert!(error.contains("used up its"), "{error}"),
    }
    assert_eq!(call().map_err(|error| error.to_string()), end);
}

/// A kernel without tests must not be pinned: `kernels.rs` and `shapes.rs` have those of `schema`
/// and `tokenizer`, `commands.rs` that of `weekday`.
#[test]
fn every_pinned_kernel_is_tested() {
    let files: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let tested = [
        "contamination-1.0.0",
        "diversity-1.0.0",
        "metrics-1.0.0",
        "schema-1.0.0",
        "schema-2.0.0",
        "similarity-1.0.0",
        "tokenizer-1.0.0",
        "tokenizer-2.0.0",
        "weekday-1.0.0",
    ];
    assert_eq!(files, tested.map(|name| format!("{name}.wasm")).into());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
