//! The kernel beside the packages that the field computes these measures with.
//!
//! Numbers are what rouge-score 0.1.2, sacrebleu 2.6.0 and transformers 4.57.6 print under CPython
//! 3.11.7; `tools/kernels/answers.py` asks them about any other pairs.

use dataforge_kernel_metrics::{Guest, Kernel, Overlap, Pair, Scores};

/// Precision, recall and F1.
type Shares = [f64; 3];
const ZERO: Shares = [0.0; 3];
const ONE: Shares = [1.0; 3];

/// Answer, reference, exact match, token F1, ROUGE-1, -2 and -L, chrF.
type Golden = (&'static str, &'static str, bool, f64, [Shares; 3], f64);

const GOLDEN: &[Golden] = &[
    ("", "", true, 1.0, [ZERO, ZERO, ZERO], 0.0),
    ("", "x", false, 0.0, [ZERO, ZERO, ZERO], 0.0),
    ("x", "", false, 0.0, [ZERO, ZERO, ZERO], 0.0),
    ("the!", "A, an", true, 1.0, [ZERO, ZERO, ZERO], 0.0),
    ("?!\u{2026}", "?!", false, 0.0, [ZERO, ZERO, ZERO], 87.49999999999999),
    (
        "The cat sat on the mat.",
        "A cat sat on a mat",
        true,
        1.0,
        [
            [0.6666666666666666, 0.6666666666666666, 0.6666666666666666],
            [0.4, 0.4, 0.4000000000000001],
            [0.6666666666666666, 0.6666666666666666, 0.6666666666666666],
        ],
        54.181970344350205,
    ),
    (
        "Paris is the capital of France",
        "The capital of France is Paris.",
        false,
        1.0,
        [ONE, [0.6, 0.6, 0.6], [0.6666666666666666, 0.6666666666666666, 0.6666666666666666]],
        74.23659575801473,
    ),
    ("42", "forty-two", false, 0.0, [ZERO, ZERO, ZERO], 0.0),
    (
        "police killed the gunman",
        "police kill the gunman",
        false,
        0.6666666666666666,
        [
            [0.75, 0.75, 0.75],
            [0.3333333333333333, 0.3333333333333333, 0.3333333333333333],
            [0.75, 0.75, 0.75],
        ],
        81.62392219120139,
    ),
    (
        "the gunman kill police",
        "police killed the gunman",
        false,
        0.6666666666666666,
        [
            [0.75, 0.75, 0.75],
            [0.3333333333333333, 0.3333333333333333, 0.3333333333333333],
            [0.5, 0.5, 0.5],
        ],
        62.4670603683175,
    ),
    (
        "a b a b a",
        "b a b a b",
        false,
        0.8,
        [[0.8, 0.8, 0.8000000000000002], ONE, [0.8, 0.8, 0.8000000000000002]],
        69.33333333333334,
    ),
    (
        "don't stop_me now",
        "Dont stop me NOW!",
        false,
        0.5714285714285715,
        [
            [0.6, 0.75, 0.6666666666666665],
            [0.5, 0.6666666666666666, 0.5714285714285715],
            [0.6, 0.75, 0.6666666666666665],
        ],
        26.84794036510611,
    ),
    (
        "x\u{85}the\u{1c}y\u{1f}",
        "x\u{a0}y",
        true,
        1.0,
        [[0.6666666666666666, 1.0, 0.8], ZERO, [0.6666666666666666, 1.0, 0.8]],
        38.46153846153846,
    ),
    (
        "a\u{301} cafe\u{301}",
        "a\u{301} caf\u{e9}",
        false,
        0.5,
        [[0.5, 0.5, 0.5], ZERO, [0.5, 0.5, 0.5]],
        56.22688535134266,
    ),
    (
        "\u{130}stanbul I\u{307}",
        "istanbul i",
        false,
        0.0,
        [[0.3333333333333333, 0.5, 0.4], ZERO, [0.3333333333333333, 0.5, 0.4]],
        64.77113992305061,
    ),
    (
        "\u{39f}\u{394}\u{39f}\u{3a3} \u{3a3}",
        "\u{3bf}\u{3b4}\u{3cc}\u{3c2} \u{3c3}",
        false,
        0.5,
        [ZERO, ZERO, ZERO],
        0.0,
    ),
    ("5 \u{212a}", "5 k", true, 1.0, [ONE, ONE, ONE], 25.0),
    (
        "\u{65e5}\u{672c}\u{306e}\u{9996}\u{90fd}\u{306f}\u{6771}\u{4eac}",
        "\u{65e5}\u{672c}\u{306e}\u{9996}\u{90fd}\u{3001}\u{6771}\u{4eac}\u{3002}",
        false,
        0.0,
        [ZERO, ZERO, ZERO],
        40.51960415097498,
    ),
    (
        "\u{926}\u{93f}\u{932}\u{94d}\u{932}\u{940} a\u{93f}",
        "\u{926}\u{93f}\u{932}\u{94d}\u{932}\u{940} the\u{93f}",
        true,
        1.0,
        [ZERO, ZERO, ZERO],
        47.809800639303766,
    ),
    (
        "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} a\u{200d}b",
        "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f466} \u{200d}b",
        false,
        0.5,
        [[0.5, 1.0, 0.6666666666666666], ZERO, [0.5, 1.0, 0.6666666666666666]],
        35.025184476040764,
    ),
    (
        "It was the best of times, it was the worst of times",
        "it was the worst of times, it was the age of wisdom",
        false,
        0.8000000000000002,
        [
            [0.8333333333333334, 0.8333333333333334, 0.8333333333333334],
            [0.7272727272727273, 0.7272727272727273, 0.7272727272727273],
            [0.75, 0.75, 0.75],
        ],
        70.86074072916179,
    ),
    (
        "seven characters",
        "seven letters",
        false,
        0.5,
        [[0.5, 0.5, 0.5], ZERO, [0.5, 0.5, 0.5]],
        36.97516258642338,
    ),
];

fn pair(answer: &str, reference: &str) -> Pair {
    Pair { answer: answer.to_owned(), reference: reference.to_owned() }
}

fn measure(answer: &str, reference: &str) -> Scores {
    let mut scores = Kernel::measure(vec![pair(answer, reference)]).expect("no pair is refused");
    scores.remove(0)
}

fn shares(overlap: &Overlap) -> Shares {
    [overlap.precision, overlap.recall, overlap.f1]
}

fn rouge(scores: &Scores) -> [Shares; 3] {
    [&scores.rouge1, &scores.rouge2, &scores.rouge_l].map(shares)
}

#[test]
fn every_number_is_that_of_the_reference() {
    for &(answer, reference, exact_match, token_f1, expected, chrf) in GOLDEN {
        let scores = measure(answer, reference);
        let pair = format!("{answer:?} and {reference:?}");
        assert_eq!(scores.exact_match, exact_match, "{pair}");
        assert_eq!(scores.token_f1, token_f1, "{pair}");
        assert_eq!(rouge(&scores), expected, "{pair}");
        assert_eq!(scores.chrf, chrf, "{pair}");
    }
}

#[test]
fn a_pair_is_measured_by_itself_and_in_order() {
    let pairs = || GOLDEN.iter().map(|golden| pair(golden.0, golden.1));
    let together = Kernel::measure(pairs().collect()).unwrap();
    assert_eq!(together.len(), GOLDEN.len());
    for (scores, golden) in together.iter().zip(GOLDEN) {
        assert_eq!(scores.chrf, golden.5);
    }
    assert!(Kernel::measure(vec![]).unwrap().is_empty());
}

/// A test that takes minutes has found a measure that is quadratic in the length of a text.
#[test]
fn long_texts_are_no_trouble() {
    const WORDS: usize = 50_000;
    let same = "x ".repeat(WORDS);
    let scores = measure(&format!("{}y", "x ".repeat(WORDS - 1)), &same);
    let share = 49_999.0 / 50_000.0;
    assert!(!scores.exact_match);
    assert_eq!(scores.rouge1.precision, share);
    assert_eq!(scores.rouge2.recall, 49_998.0 / 49_999.0);
    assert_eq!(scores.rouge_l.precision, share);

    for long in ["a", "語", "\u{301}", "\u{1f468}\u{200d}", "\u{1c}", "_", "the ", "Σ"] {
        let text = long.repeat(100_000 / long.len());
        let scores = measure(&text, &text);
        assert!(scores.exact_match, "{long:?}");
        assert_eq!(scores.chrf, if long == "\u{1c}" { 0.0 } else { 100.0 }, "{long:?}");
    }
}
