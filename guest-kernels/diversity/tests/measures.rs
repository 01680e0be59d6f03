//! The kernel's measures of whole sets of texts, by hand and by their definitions.

use dataforge_kernel_diversity::{Guest, Kernel, Measures};

fn measure(texts: &[&str]) -> Measures {
    let texts = texts.iter().map(|text| (*text).to_owned()).collect();
    Kernel::measure(texts).expect("no set of texts is refused")
}

fn shares(measures: &Measures) -> [f64; 3] {
    [measures.distinct1, measures.distinct2, measures.distinct3]
}

#[test]
fn words_are_counted_over_all_texts() {
    let measures = measure(&["The cat saw the cat.", "the CAT ran", "—"]);
    // the cat saw the cat | the cat ran
    assert_eq!(measures.words, 8);
    assert_eq!(shares(&measures), [4.0 / 8.0, 4.0 / 6.0, 4.0 / 4.0]);
    // Two words in common, counted 2, 2 of 3 and 1, 1 of √3: 4 / (3 · √3), of one of three pairs.
    let expected = 4.0 / 27.0_f64.sqrt() / 3.0;
    assert!((measures.self_similarity - expected).abs() < 1e-15);
}

#[test]
fn scripts_without_spaces_have_a_word_for_each_character() {
    let measures = measure(&["東京は東京", "京都"]);
    assert_eq!(measures.words, 7);
    assert_eq!(shares(&measures), [4.0 / 7.0, 4.0 / 5.0, 3.0 / 3.0]);
}

#[test]
fn repetition_moves_each_measure_its_own_way() {
    let varied = measure(&["red apples fall", "blue rivers rise", "old clocks stop"]);
    let same = measure(&["red apples fall"; 3]);
    assert_eq!(shares(&varied), [1.0; 3]);
    assert_eq!(shares(&same), [1.0 / 3.0; 3]);
    assert_eq!(varied.self_similarity, 0.0);
    assert!((same.self_similarity - 1.0).abs() < 1e-15);
    assert!(varied.compression_ratio < same.compression_ratio);
}

#[test]
fn of_nothing_every_measure_is_zero() {
    let measures = measure(&[]);
    assert_eq!(measures.words, 0);
    assert_eq!(shares(&measures), [0.0; 3]);
    assert_eq!((measures.compression_ratio, measures.self_similarity), (0.0, 0.0));

    let wordless = measure(&["", "?!", "\u{1c}\u{200d}"]);
    assert_eq!((wordless.words, shares(&wordless)), (0, [0.0; 3]));
    assert_eq!(wordless.self_similarity, 0.0);
    assert!(wordless.compression_ratio > 0.0);
}

#[test]
fn hostile_texts_give_finite_measures() {
    let long = ["a", "a ", "語", "\u{301}", "\u{1f468}\u{200d}", "İ", "Σ", "\u{fdfa}"];
    let long: Vec<String> = long.iter().map(|text| text.repeat(100_000 / text.len())).collect();
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    let measures = measure(&long);
    let all = [measures.compression_ratio, measures.self_similarity];
    assert!(all.iter().chain(&shares(&measures)).all(|value| value.is_finite()));
    assert!(measures.words > 80_000, "{}", measures.words);
    assert!(measures.compression_ratio > 100.0, "{}", measures.compression_ratio);
}

#[test]
fn dispersion_is_one_minus_the_mean_cosine() {
    let measured = Kernel::dispersion(vec![vec![1.0, 0.0], vec![0.0, 2.0], vec![3.0, 0.0]]);
    assert_eq!(measured, Ok(1.0 - 1.0 / 3.0));
    assert!(Kernel::dispersion(vec![vec![1.0], vec![0.0]]).is_err());
}
