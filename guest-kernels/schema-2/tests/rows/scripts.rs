//! Shares of letters by script.

use dataforge_kernel_schema_2::{Rules, Shape};
use serde_json::json;

use crate::{outcome, rules};

fn asked(scripts: &[&str], ppm: u32) -> Rules {
    let scripts = scripts.iter().map(|code| (*code).to_owned()).collect();
    Rules { scripts, script_ppm_min: ppm, ..rules() }
}

/// The least share, in parts per million, that the texts do not reach; None: they reach all.
fn check(scripts: &[&str], input: &str, output: &str, ppm: Option<u64>) {
    let line = json!({"input": input, "output": output}).to_string();
    let fault = |share: u64, least| {
        format!(
            " ! {share} of a million letters are of the scripts asked for, the least is {least}"
        )
    };
    let texts = format!("{input} => {output}");
    let Some(ppm) = ppm else {
        return assert_eq!(outcome(asked(scripts, 1_000_000), &line), texts);
    };
    let least = u32::try_from(ppm).expect("a share");
    assert_eq!(outcome(asked(scripts, least - 1), &line), texts);
    assert_eq!(outcome(asked(scripts, least), &line), fault(ppm - 1, ppm));
}

#[test]
fn of_one_script() {
    check(&["Latn"], "naïve Ǆ", "ꝏ ʰ", None);
    check(&["Cyrl"], "Привет, мир!", "42", None);
    check(&["Latn"], "Привет", "мир", Some(1));
    check(&["Hani"], "漢字", "𠀀々", None);
    check(&["Grek"], "µαβ", "Ω", None);
}

#[test]
fn of_several() {
    check(&["Hira", "Kana", "Hani"], "ひらがなと", "カタカナ、漢字", None);
    check(&["Hira", "Kana"], "ひらカナ", "漢字", Some(666_667));
    check(&["Latn"], "ab", "я", Some(666_667));
    check(&["Latn", "Cyrl"], "ab", "я", None);
    check(&["Latn"], "a", "яяя", Some(250_001));
}

#[test]
fn letters_of_common_and_inherited_are_not_counted() {
    // A long vowel mark and a modifier letter are letters, both of Common.
    check(&["Cyrl"], "ー", "ˑ", None);
    check(&["Latn"], "aー", "ーbˑ", None);
}

#[test]
fn other_characters_are_not_letters() {
    check(&["Cyrl"], "123 ... 😀 ٣ \u{301}", "Ⅷ ⓐ", None);
    // A vowel sign of Devanagari is a mark.
    check(&["Latn"], "aि", "bी", None);
}

#[test]
fn what_a_shape_adds_is_not_counted() {
    let cyrillic = |shape, input: &str| Rules {
        shape,
        input: input.to_owned(),
        ..asked(&["Cyrl"], 1_000_000)
    };
    let message = |role: &str, content: &str| json!({"role": role, "content": content});
    let dialogue = Rules { output: "m".to_owned(), ..cyrillic(Shape::Dialogue, "m") };
    let line = json!({"m": [message("user", "д\n"), message("assistant", "н")]}).to_string();
    assert!(outcome(dialogue.clone(), &line).ends_with(" => н"));
    let line = json!({"m": [message("user", "d"), message("assistant", "н")]}).to_string();
    assert!(outcome(dialogue, &line).starts_with(" ! 500000 of"));
    let choice = cyrillic(Shape::Choice("c".to_owned()), "q");
    let line = json!({"q": "к", "c": ["а", "б"], "output": 1}).to_string();
    assert_eq!(outcome(choice.clone(), &line), "к\nA. а\nB. б => б");
    // The right choice is in both texts: 1 of 4 letters.
    let line = json!({"q": "k", "c": ["а", "б"], "output": 1}).to_string();
    assert!(outcome(choice, &line).starts_with(" ! 750000 of"));
    let reasoning = cyrillic(Shape::Reasoning("s".to_owned()), "q");
    let line = json!({"q": "к", "s": ["ш", "s"], "output": "о"}).to_string();
    assert!(outcome(reasoning, &line).starts_with(" ! 750000 of"));
}

#[test]
fn without_scripts_any_will_do() {
    let rules = Rules { script_ppm_min: 1_000_000, ..rules() };
    assert_eq!(outcome(rules, r#"{"input": "a", "output": "я"}"#), "a => я");
}
