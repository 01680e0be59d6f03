//! Valid TOML with other numbers in it, which byte by byte rarely become large.

/// What comes before a value.
const EQUALS: &str = "= ";

/// The text with values that are numbers replaced, one after the other: which (modulo how many
/// there are), and by what.
#[must_use]
pub fn renumbered(text: &str, changes: &[(u8, u32)]) -> String {
    let mut text = text.to_owned();
    for (which, number) in changes {
        let all: Vec<_> = numbers(&text).collect();
        if let Some((start, end)) = all.get(usize::from(*which) % all.len().max(1)) {
            text.replace_range(*start..*end, &number.to_string());
        }
    }
    text
}

/// Where numbers begin and end.
fn numbers(text: &str) -> impl Iterator<Item = (usize, usize)> + '_ {
    let values = text.match_indices(EQUALS).map(|(at, equals)| at + equals.len());
    values.filter_map(|start| {
        let digit = |c: char| c.is_ascii_digit() || c == '_';
        let length = text[start..].find(|c| !digit(c)).unwrap_or(text.len() - start);
        (length > 0).then_some((start, start + length))
    })
}
