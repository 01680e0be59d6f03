//! Python's idea of strings, where it is not Rust's: four control characters more are white space,
//! and lines end in more ways. The other methods are those of minijinja's `pycompat`.

use minijinja::value::{Kwargs, ValueKind, from_args};
use minijinja::{Error, State, Value};
use minijinja_contrib::pycompat;
use std::borrow::Cow;

/// `str.isspace` of one character.
fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\x1c'..='\x1f').contains(&character)
}

/// Methods that minijinja's values do not have.
pub(crate) fn method(
    state: &mut State,
    value: &Value,
    name: &str,
    arguments: &[Value],
) -> Result<Value, Error> {
    let Some(text) = value.as_str() else {
        return pycompat::unknown_method_callback(state, value, name, arguments);
    };
    let none = arguments.iter().all(Value::is_none);
    Ok(match name {
        "strip" if none => text.trim_matches(is_space).into(),
        "lstrip" if none => text.trim_start_matches(is_space).into(),
        "rstrip" if none => text.trim_end_matches(is_space).into(),
        "isspace" if none => (!text.is_empty() && text.chars().all(is_space)).into(),
        "split" if none => text.split(is_space).filter(|word| !word.is_empty()).collect(),
        "splitlines" => {
            let (ends,): (Option<bool>,) = from_args(arguments)?;
            lines(text, ends.unwrap_or(false)).collect()
        }
        _ => return pycompat::unknown_method_callback(state, value, name, arguments),
    })
}

/// The filter `trim`, which is Python's `strip`.
pub(crate) fn trim(text: Cow<'_, str>, characters: Option<Cow<'_, str>>) -> String {
    match characters {
        Some(of) => text.trim_matches(|character| of.contains(character)).to_owned(),
        None => text.trim_matches(is_space).to_owned(),
    }
}

/// The filter `indent`: every line but the first, and those without text, behind spaces.
pub(crate) fn indent(
    text: Cow<'_, str>,
    width: Option<usize>,
    first: Option<bool>,
    blank: Option<bool>,
    options: Kwargs,
) -> Result<String, Error> {
    let width = width.or(options.get("width")?).unwrap_or(4);
    let first = first.or(options.get("first")?).unwrap_or(false);
    let blank = blank.or(options.get("blank")?).unwrap_or(false);
    options.assert_all_used()?;
    let spaces = " ".repeat(width);
    // With one more line end: jinja2 keeps that of the last line so.
    let text = format!("{text}\n");
    let mut out = String::new();
    for (number, line) in lines(&text, false).enumerate() {
        if number > 0 {
            out.push('\n');
        }
        if (number == 0 && first) || (number > 0 && (blank || !line.is_empty())) {
            out.push_str(&spaces);
        }
        out.push_str(line);
    }
    Ok(out)
}

/// The test `sequence`: what has a length and can be indexed.
pub(crate) fn is_sequence(value: &Value) -> bool {
    use ValueKind::{Map, Seq, String, Undefined};
    matches!(value.kind(), Map | Seq | String | Undefined)
}

/// The test `iterable`. The engine takes none for an empty list, and templates ask whether there is
/// one.
pub(crate) fn is_iterable(value: &Value) -> bool {
    !value.is_none() && value.try_iter().is_ok()
}

fn ends_line(character: char) -> bool {
    matches!(
        character,
        '\n'..='\r' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}

/// `str.splitlines`, with the ends of the lines or without.
fn lines(text: &str, ends: bool) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let line = rest.find(ends_line).unwrap_or(rest.len());
        let after = &rest[line..];
        let ended = if after.starts_with("\r\n") {
            2
        } else {
            after.chars().next().map_or(0, char::len_utf8)
        };
        let (whole, left) = rest.split_at(line + ended);
        rest = left;
        Some(if ends { whole } else { &whole[..line] })
    })
}
