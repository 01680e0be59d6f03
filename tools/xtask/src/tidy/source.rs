//! Rules for one Rust source file: module docs first, a bounded size, no leftovers.
//!
//! A file that a program wrote is excused from the limits on size; it says so near its top with
//! the marker `@generated`.

use super::Fault;

/// Past this many lines a file wants a reason; it is listed, not refused.
pub(super) const LINES_USUAL: usize = 600;
/// Past this many lines a file is refused.
const LINES_MAX: usize = 1000;
/// The longest line in characters, as in `rustfmt.toml`, which leaves comments and strings alone.
const COLUMNS_MAX: usize = 100;
/// How many lines at the top may carry the marker of a generated file.
const HEADER_LINES: usize = 5;

/// What must not be committed. Written in two pieces, so that this file passes its own check.
const LEFTOVERS: &[&str] =
    &[concat!("todo", "!("), concat!("dbg", "!("), concat!("FIX", "ME"), concat!("X", "XX:")];

/// The number of lines, where it is more than usual.
pub(super) fn large(text: &str) -> Option<usize> {
    let lines = text.lines().count();
    (lines > LINES_USUAL && !generated(text)).then_some(lines)
}

/// Every fault of one file.
pub(super) fn check(place: &str, text: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    if !opens_with_docs(text) {
        faults.push(Fault::new(place, "must open with `//!`: what it is for, and what it is not"));
    }
    let sized = !generated(text);
    let lines = text.lines().count();
    if sized && lines > LINES_MAX {
        faults.push(Fault::new(place, format!("has {lines} lines; the limit is {LINES_MAX}")));
    }
    for (index, line) in text.lines().enumerate() {
        let place = format!("{place}:{}", index + 1);
        if let Some(leftover) = LEFTOVERS.iter().find(|leftover| line.contains(**leftover)) {
            faults.push(Fault::new(&place, format!("`{leftover}` is left over")));
        }
        if sized && line.chars().count() > COLUMNS_MAX && !unbreakable(line) {
            faults.push(Fault::new(&place, format!("is longer than {COLUMNS_MAX} columns")));
        }
    }
    faults
}

/// An address, or a row of a table in a doc comment: neither can go on in the next line.
fn unbreakable(line: &str) -> bool {
    let comment = line.trim_start().trim_start_matches(['/', '!']);
    line.contains("://") || comment.starts_with(" |")
}

fn opens_with_docs(text: &str) -> bool {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    first.starts_with("//!") || first.starts_with("#!") || generated(text)
}

fn generated(text: &str) -> bool {
    text.lines().take(HEADER_LINES).any(|line| line.contains(concat!("@", "generated")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_one(text: &str, expect: Option<&str>) {
        let found = check("a.rs", text);
        match (found.as_slice(), expect) {
            ([], None) => {}
            ([fault], Some(expect)) => assert!(fault.what.contains(expect), "{fault:?}"),
            (faults, _) => panic!("expected {expect:?}, found {faults:?}"),
        }
    }

    #[test]
    fn module_docs_come_first() {
        check_one("//! Docs.\n", None);
        check_one("#![allow(dead_code)]\n", None);
        check_one("use std::fs;\n", Some("must open"));
    }

    #[test]
    fn leftovers_are_refused() {
        check_one(concat!("//! Docs.\nfn f() { to", "do!() }\n"), Some("left over"));
        check_one(concat!("//! Docs.\n// FIX", "ME later\n"), Some("left over"));
    }

    #[test]
    fn size_is_bounded_unless_a_program_wrote_the_file() {
        let long = format!("//! Docs.\n{}", "//\n".repeat(LINES_MAX));
        check_one(&long, Some("the limit"));
        check_one(&format!("// {} by x\n{long}", concat!("@", "generated")), None);
        let wide = format!("//! Docs.\n// {}\n", "x".repeat(COLUMNS_MAX));
        check_one(&wide, Some("columns"));
        let table = format!("//! Docs.\n//! | {} |\n", "x".repeat(COLUMNS_MAX));
        check_one(&table, None);
    }

    #[test]
    fn a_large_file_is_listed() {
        assert_eq!(large(&"//!\n".repeat(LINES_USUAL)), None);
        assert_eq!(large(&"//!\n".repeat(LINES_USUAL + 1)), Some(LINES_USUAL + 1));
    }
}
