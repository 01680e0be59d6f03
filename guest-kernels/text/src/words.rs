//! Words of a text, folded, with their places.
//!
//! A word is a longest run of letters and digits (`char::is_alphanumeric`) with the combining marks
//! that follow them (general category M); it is folded by NFKC (UAX #15) and then lower-cased. Han,
//! Hiragana and Katakana are written without spaces, so each of their characters is a word.

use std::ops::Range;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// One word of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Its bytes in the text.
    pub place: Range<usize>,
    /// The word in its folded form; never empty.
    pub folded: String,
}

/// The words of a text, in order.
pub fn words(text: &str) -> Vec<Word> {
    places(text)
        .into_iter()
        .map(|place| Word { folded: fold(&text[place.clone()]), place })
        .filter(|word| !word.folded.is_empty())
        .collect()
}

/// The folded words of a text with one space between them.
pub fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for place in places(text) {
        let word = fold(&text[place]);
        if !folded.is_empty() && !word.is_empty() {
            folded.push(' ');
        }
        folded.push_str(&word);
    }
    folded
}

/// NFKC and lower case. ASCII, which NFKC does not change, goes the short way.
fn fold(word: &str) -> String {
    if word.is_ascii() {
        return word.to_ascii_lowercase();
    }
    word.nfkc().collect::<String>().to_lowercase()
}

fn places(text: &str) -> Vec<Range<usize>> {
    let mut places: Vec<Range<usize>> = Vec::new();
    // Whether a letter or digit goes on with the last word.
    let mut open = false;
    for (start, character) in text.char_indices() {
        let mark = !character.is_ascii() && is_combining_mark(character);
        if !mark && !character.is_alphanumeric() {
            open = false;
            continue;
        }
        let alone = !mark && stands_alone(character);
        let end = start + character.len_utf8();
        match places.last_mut() {
            Some(last) if last.end == start && (mark || open && !alone) => last.end = end,
            // A mark on something that is no word, such as an emoji's selector.
            _ if mark => {}
            _ => {
                places.push(start..end);
                open = !alone;
            }
        }
    }
    places
}

/// Characters of scripts without spaces that are words by themselves.
fn stands_alone(character: char) -> bool {
    matches!(u32::from(character),
        0x3041..=0x30ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x323af)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &[&str]) {
        let words = words(text);
        assert_eq!(words.iter().map(|word| word.folded.as_str()).collect::<Vec<_>>(), expect);
        assert_eq!(folded(text), expect.join(" "));
        for word in words {
            assert_eq!(fold(&text[word.place]), word.folded);
        }
    }

    #[test]
    fn spelling_does_not_matter() {
        check("", &[]);
        check(" \n—…!", &[]);
        check("It's 3.5 KM,  or?", &["it", "s", "3", "5", "km", "or"]);
        check("É e\u{301} ＡＢ\u{a0}ﬁ", &["é", "é", "ab", "fi"]);
        check("İ ΣΑΣ", &["i\u{307}", "σας"]);
        check("\u{301}a ❤\u{fe0f}b", &["a", "b"]);
    }

    #[test]
    fn scripts_without_spaces_are_split_by_character() {
        check("日本語abc語d", &["日", "本", "語", "abc", "語", "d"]);
        check("か\u{3099}な", &["が", "な"]);
        check("語\u{301}a\u{301}b", &["語\u{301}", "áb"]);
    }
}
