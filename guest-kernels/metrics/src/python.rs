//! Characters as Python's `str` and `re` class them, which is not as Rust does.
//!
//! It does not lower-case: `str::to_lowercase` is `str.lower`, the final sigma included.

use unicode_general_category::{GeneralCategory, get_general_category};

/// `str.isspace`: White_Space, and the four separators of ASCII, whose bidirectional class is that
/// of a space.
pub(crate) fn is_space(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\u{1c}'..='\u{1f}')
}

/// `\w` of a pattern that is a `str`: `str.isalnum`, which is letters (L) and numbers (N), or the
/// underscore. Unlike in Rust's `\w` and `char::is_alphanumeric`, no mark and no symbol is one.
pub(crate) fn is_word(character: char) -> bool {
    use GeneralCategory as G;
    if character.is_ascii() {
        return character.is_ascii_alphanumeric() || character == '_';
    }
    matches!(
        get_general_category(character),
        G::UppercaseLetter
            | G::LowercaseLetter
            | G::TitlecaseLetter
            | G::ModifierLetter
            | G::OtherLetter
            | G::DecimalNumber
            | G::LetterNumber
            | G::OtherNumber
    )
}

/// `text.split()`: what is between white space.
pub(crate) fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_is_what_python_calls_space() {
        // CPython 3.11.7: [hex(c) for c in range(0x110000) if chr(c).isspace()]
        let expected = (0x09..=0x0d).chain(0x1c..=0x20).chain([0x85, 0xa0, 0x1680]);
        let expected = expected.chain(0x2000..=0x200a);
        let expected = expected.chain([0x2028, 0x2029, 0x202f, 0x205f, 0x3000]);
        let found = ('\0'..=char::MAX).filter(|&c| is_space(c)).map(u32::from);
        assert!(found.eq(expected));
    }

    #[test]
    fn words_are_letters_and_numbers() {
        let word = "aÉ_ªʰ日あ٣Ⅷ½\u{1d7d8}ǅ";
        // A vowel sign, a virama, an accent, a circled letter, a joiner, a flag, a currency sign.
        let other = " -\u{93f}\u{94d}\u{301}\u{24b6}\u{200d}\u{1f1e6}€\u{378}";
        assert_eq!(word.chars().filter(|&c| !is_word(c)).collect::<String>(), "");
        assert_eq!(other.chars().filter(|&c| is_word(c)).collect::<String>(), "");
    }

    #[test]
    fn splitting_leaves_no_empty_part() {
        assert_eq!(split("\u{1c}a\u{85}\u{3000}b \n").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(split("a\u{200b}b").collect::<Vec<_>>(), ["a\u{200b}b"]);
        assert_eq!(split("").count(), 0);
    }
}
