//! What this crate expects of a runtime, checked against the metadata of the live one.
//!
//! Chains upgrade while clients run. A call whose arguments have changed still encodes, into bytes
//! that mean something else; so every call, storage item and runtime API that is used is declared
//! in `shapes/table.txt`, and what differs is refused by name before anything is signed or read.
//! The order of pallets and calls is no shape: it is taken from the metadata.

mod render;

use std::collections::BTreeMap;
use std::fmt;

use subxt::metadata::Metadata;

use render::Renderer;

const TABLE: &str = include_str!("shapes/table.txt");

/// One line of the table differs from the live runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What is declared, as in the table.
    pub expected: String,
    /// What the runtime has in its place; nothing where it has none of that name.
    pub found: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.found {
            Some(found) => write!(f, "expected `{}`, the chain has `{found}`", self.expected),
            None => write!(f, "the chain has no `{}`", self.expected),
        }
    }
}

/// The lines of the table.
pub fn declared() -> impl Iterator<Item = &'static str> {
    table().map(|(_, line)| line)
}

/// Lines of the table, each with the name that it declares.
fn table() -> impl Iterator<Item = (Entry, &'static str)> {
    lines(TABLE)
}

fn lines(text: &str) -> impl Iterator<Item = (Entry, &str)> {
    let declared = text.lines().map(str::trim).filter(|line| !line.is_empty());
    declared.filter_map(|line| Some((Entry::of(line)?, line)))
}

/// What a line is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Entry {
    Call(String),
    Store(String),
    Api(String),
    Type(String),
}

impl Entry {
    /// The name on a line; none for comments and for lines about what is never declared here.
    fn of(line: &str) -> Option<Self> {
        let (kind, rest) = line.split_once(' ')?;
        let end = rest.find(['(', '#', ' ']).unwrap_or(rest.len());
        let name = rest[..end].to_owned();
        match kind {
            "call" => Some(Self::Call(name)),
            "store" => Some(Self::Store(name)),
            "api" => Some(Self::Api(name)),
            "type" | "enum" => Some(Self::Type(name)),
            _ => None,
        }
    }
}

impl Entry {
    /// The pallet or the runtime API that it belongs to.
    fn group(&self) -> &str {
        match self {
            Self::Call(name) | Self::Store(name) => name.split('.').next().unwrap_or(name),
            Self::Api(name) => name.split('_').next().unwrap_or(name),
            Self::Type(name) => name,
        }
    }
}

/// What of the declared shapes differs from a runtime's; nothing where all is as expected.
#[must_use]
pub fn differences(metadata: &Metadata) -> Vec<Difference> {
    let mut renderer = Renderer::new(metadata);
    let mut differences = Vec::new();
    for (entry, expected) in table() {
        let found = match &entry {
            Entry::Call(name) => renderer.call(name),
            Entry::Store(name) => renderer.storage(name),
            Entry::Api(name) => renderer.api(name),
            Entry::Type(name) => renderer.inside(name),
        };
        // Only types are declared in part.
        let same = match (&entry, &found) {
            (Entry::Type(_), Some(found)) => holds(expected, found),
            (_, Some(found)) => found == expected,
            (_, None) => false,
        };
        if !same {
            differences.push(Difference { expected: expected.to_owned(), found });
        }
    }
    differences
}

/// [`differences`] to a runtime whose metadata is in these bytes, as nodes answer them.
///
/// # Errors
/// A reason, where they are no metadata.
pub fn differences_in(metadata: &[u8]) -> Result<Vec<Difference>, String> {
    let metadata = Metadata::decode_from(metadata).map_err(|error| error.to_string())?;
    Ok(differences(&metadata))
}

/// How the table compares with a listing of a runtime's signatures, line by line.
#[derive(Debug, Default)]
pub struct Listing {
    /// Lines of the table that the listing has too.
    pub equal: usize,
    /// Lines that the listing has otherwise, or not at all.
    pub differences: Vec<Difference>,
    /// Lines about the inside of types, of which listings say nothing, and about pallets that this
    /// one leaves out.
    pub untold: usize,
}

/// Compares the table with a listing such as `data/subtensor-spec424-signatures.txt`: lines `call`,
/// `store` and `api` as in the table, a call with its index behind `#`.
#[must_use]
pub fn compare_listing(listing: &str) -> Listing {
    let told: BTreeMap<Entry, String> =
        lines(listing).map(|(entry, line)| (entry, without_index(line))).collect();
    let mut compared = Listing::default();
    for (entry, expected) in table() {
        let found = told.get(&entry).cloned();
        match &entry {
            Entry::Type(_) => compared.untold += 1,
            _ if !told.keys().any(|other| other.group() == entry.group()) => compared.untold += 1,
            _ if found.as_deref() == Some(expected) => compared.equal += 1,
            _ => compared.differences.push(Difference { expected: expected.to_owned(), found }),
        }
    }
    compared
}

/// `call Pallet.name#7(…)` without `#7`.
fn without_index(line: &str) -> String {
    let Some((before, behind)) = line.split_once('#') else { return line.to_owned() };
    format!("{before}{}", behind.trim_start_matches(|c: char| c.is_ascii_digit()))
}

/// Whether a type is as declared, or has more where the declaration ends in `..`.
fn holds(expected: &str, found: &str) -> bool {
    let Some(start) = expected.strip_suffix(" }").and_then(|line| line.strip_suffix("..")) else {
        return expected == found;
    };
    let (Some((head, declared)), Some((kind, all))) =
        (start.split_once('{'), found.split_once('{'))
    else {
        return false;
    };
    let all = parts(all.trim_end().trim_end_matches('}'));
    head == kind && parts(declared).iter().all(|part| all.contains(part))
}

/// The parts of a list between commas that are in no brackets.
fn parts(list: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_i32, 0);
    for (at, character) in list.char_indices() {
        match character {
            '<' | '(' | '[' | '{' => depth += 1,
            '>' | ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(list[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(list[start..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_about_something() {
        let said = TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        assert_eq!(said.count(), table().count());
        let names: std::collections::BTreeSet<_> = table().map(|(entry, _)| entry).collect();
        assert_eq!(names.len(), table().count(), "a name is declared twice");
    }

    #[track_caller]
    fn check(expected: &str, found: &str, same: bool) {
        assert_eq!(holds(expected, found), same, "{expected} / {found}");
    }

    #[test]
    fn a_type_may_have_more_only_where_that_is_said() {
        check("type A { a: u8 }", "type A { a: u8 }", true);
        check("type A { a: u8 }", "type A { a: u8, b: u8 }", false);
        check("type A { a: u8, .. }", "type A { b: Vec<(u8,u8)>, a: u8 }", true);
        check("type A { a: u8, .. }", "type A { a: u16 }", false);
        check("type A { a: u8, .. }", "enum A { a: u8 }", false);
        check("enum A { B([u8;2]), .. }", "enum A { C, B([u8;2]) }", true);
        check("type A ([u8;32])", "type A ([u8;32])", true);
    }

    #[test]
    fn a_listing_is_compared_by_name_without_indices() {
        let listing: String = table()
            .filter(|(entry, _)| !matches!(entry, Entry::Type(_)))
            .map(|(_, line)| {
                let line = if line.starts_with("call") {
                    line.replacen('(', "#7(", 1)
                } else {
                    line.into()
                };
                line + "\n"
            })
            .collect();
        let compared = compare_listing(&listing);
        assert!(compared.differences.is_empty(), "{:?}", compared.differences);
        let one =
            compare_listing(&listing.replace("set_weights#7(netuid: u16", "set_weights#7(n: u16"));
        assert_eq!(one.differences.len(), 1);
        assert!(one.differences[0].to_string().contains("set_weights(n: u16"), "{one:?}");
    }
}
