//! Exact match and token F1 as SQuAD's evaluation defines them (Rajpurkar et al. 2016, section
//! 6.1), equal to `transformers.data.metrics.squad_metrics`.
//!
//! The articles are those of English in every language.

use crate::common::common;
use crate::python;

/// The two measures of one pair.
pub(crate) struct Squad {
    pub(crate) exact_match: bool,
    pub(crate) token_f1: f64,
}

/// Compares both texts after normalisation.
pub(crate) fn compare(answer: &str, reference: &str) -> Squad {
    let (answer, reference) = (normal(answer), normal(reference));
    let mut answer: Vec<&str> = python::split(&answer).collect();
    let mut reference: Vec<&str> = python::split(&reference).collect();
    // Both are joined by one space in the reference package; words have none, so words will do.
    let exact_match = answer == reference;
    Squad { exact_match, token_f1: f1(&mut answer, &mut reference) }
}

fn f1<'text>(answer: &mut [&'text str], reference: &mut [&'text str]) -> f64 {
    if answer.is_empty() || reference.is_empty() {
        return f64::from(u8::from(answer.is_empty() && reference.is_empty()));
    }
    let same = common(answer, reference);
    if same == 0 {
        return 0.0;
    }
    let precision = same as f64 / answer.len() as f64;
    let recall = same as f64 / reference.len() as f64;
    (2.0 * precision * recall) / (precision + recall)
}

/// Lower case, without ASCII punctuation, with a space for each article; white space is left.
fn normal(text: &str) -> String {
    let plain: String =
        text.to_lowercase().chars().filter(|character| !character.is_ascii_punctuation()).collect();
    without_articles(&plain)
}

/// `re.sub(r"\b(a|an|the)\b", " ", text)`: a longest run of word characters that is an article.
fn without_articles(text: &str) -> String {
    let mut left = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (run, after) = split_at_first(rest, |character| !python::is_word(character));
        left.push_str(if matches!(run, "a" | "an" | "the") { " " } else { run });
        let (between, after) = split_at_first(after, python::is_word);
        left.push_str(between);
        rest = after;
    }
    left
}

fn split_at_first(text: &str, found: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(found).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let text = normal(text);
        assert_eq!(python::split(&text).collect::<Vec<_>>().join(" "), expect);
    }

    // Expected: normalize_answer of transformers 4.57.6 under CPython 3.11.7.
    #[test]
    fn normal_form_is_that_of_the_reference() {
        check("The  Eiffel Tower.", "eiffel tower");
        check("a-n apple, THE_end", "apple theend");
        check("a\u{301}b an\u{301} theatre", "\u{301}b \u{301} theatre");
        check("a日 a’b «the»", "a日 ’b « »");
        check("a²  a\u{200d}b", "a² \u{200d}b");
        check("x\u{85}the\u{1c}y\u{1f}", "x y");
        check("ΟΔΟΣ ΟΔΟΣ. İ \u{212a} ẞ", "οδος οδος i\u{307} k ß");
        check("..., the !", "");
    }

    #[test]
    fn of_two_empty_texts_f1_is_one() {
        let f1 = |answer, reference| compare(answer, reference).token_f1;
        assert_eq!(f1("the!", ""), 1.0);
        assert_eq!(f1("the!", "x"), 0.0);
        assert_eq!(f1("x", ""), 0.0);
    }

    #[test]
    fn order_counts_for_exact_match_alone() {
        let scores = compare("Paris, the capital", "capital Paris");
        assert!(!scores.exact_match);
        assert_eq!(scores.token_f1, 1.0);
        assert!(compare("", "An...").exact_match);
    }
}
