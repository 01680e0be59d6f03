//! Words of a text, folded, with their places.
//!
//! A word is a longest run of letters and digits (`char::is_alphanumeric`) with the combining marks
//! that follow them (general category M); it is folded by NFKC (UAX #15) and then lower-cased. Han,
//! Hiragana and Katakana are written without spaces, so each of their characters is a word. What
//! nobody sees, such as a soft hyphen or a joiner, neither ends a word nor is part of it.

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

/// NFKC and lower case, without what nobody sees. ASCII, which NFKC does not change, goes the short
/// way.
fn fold(word: &str) -> String {
    if word.is_ascii() {
        return word.to_ascii_lowercase();
    }
    let seen = word.chars().filter(|character| !is_ignorable(*character));
    seen.nfkc().collect::<String>().to_lowercase()
}

fn places(text: &str) -> Vec<Range<usize>> {
    let mut places: Vec<Range<usize>> = Vec::new();
    // Whether a letter or digit goes on with the last word.
    let mut open = false;
    for (start, character) in text.char_indices() {
        if is_ignorable(character) {
            if let Some(last) = places.last_mut().filter(|last| last.end == start) {
                last.end += character.len_utf8();
            }
            continue;
        }
        let mark = is_mark(character);
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

/// Combining marks, and the two of half-width kana that NFKC makes such marks of.
fn is_mark(character: char) -> bool {
    !character.is_ascii()
        && (is_combining_mark(character) || matches!(character, '\u{ff9e}' | '\u{ff9f}'))
}

/// Default_Ignorable_Code_Point of Unicode 16.0, which NFKC_Casefold drops as well.
fn is_ignorable(character: char) -> bool {
    !character.is_ascii()
        && matches!(u32::from(character),
            0xad | 0x34f | 0x61c | 0x115f..=0x1160 | 0x17b4..=0x17b5 | 0x180b..=0x180f
            | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f | 0x3164 | 0xfe00..=0xfe0f
            | 0xfeff | 0xffa0 | 0xfff0..=0xfff8 | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a
            | 0xe0000..=0xe0fff)
}

/// Characters of scripts without spaces that are words by themselves.
fn stands_alone(character: char) -> bool {
    matches!(u32::from(character),
        0x3041..=0x30ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0xff66..=0xff9d
        | 0x20000..=0x323af)
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
    fn what_nobody_sees_does_not_matter() {
        check("w\u{ad}or\u{200b}d\u{feff}", &["word"]);
        check("\u{200d}a\u{200c} \u{2060}b", &["a", "b"]);
        check("e\u{34f}\u{301}x", &["éx"]);
        check("\u{200b}\u{3164}\u{fe0f}", &[]);
        check("日\u{fe00}本", &["日", "本"]);
    }

    #[test]
    fn scripts_without_spaces_are_split_by_character() {
        check("日本語abc語d", &["日", "本", "語", "abc", "語", "d"]);
        check("か\u{3099}な", &["が", "な"]);
        check("ｶﾞｷﾟｶﾅ", &["ガ", "キ\u{309a}", "カ", "ナ"]);
        check("語\u{301}a\u{301}b", &["語\u{301}", "áb"]);
    }
}
