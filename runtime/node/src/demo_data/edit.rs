//! What dishonest submissions do to honest rows.

use std::collections::BTreeMap;

use dataforge_core::dataset::Row;
use dataforge_core::hash::EpochSeed;
use dataforge_core::random::SeedStream;

use super::DemoDataError;

/// Rows in a hundred of a copy that are changed in their words too, not only in their looks.
const DEEPER_EDITS_PERCENT: u64 = 4;

/// What garbage is written in: in the alphabet of every model used for demos.
const GARBAGE_ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// The longest word of garbage, in characters.
const GARBAGE_WORD_MAX: u64 = 8;

/// The same inputs, and the same outputs in another order, so that no row has the output it had.
pub(super) fn shuffled(rows: &[Row], seed: &EpochSeed) -> Result<Vec<Row>, DemoDataError> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows {
        *counts.entry(&row.output).or_default() += 1;
    }
    if counts.values().any(|count| *count > rows.len() / 2) {
        return Err(DemoDataError::CannotShuffle);
    }
    let mut stream = SeedStream::new(seed, "demo/shuffled");
    let mut outputs: Vec<&str> = rows.iter().map(|row| row.output.as_str()).collect();
    stream.shuffle(&mut outputs);
    for at in 0..rows.len() {
        // A partner for a row that kept its output: the exchange must change both. One exists, as
        // no output fills more than half of the rows; a random start favours no partner.
        let start = stream.index(rows.len());
        let fits = |other: &usize| {
            outputs[*other] != rows[at].output && outputs[at] != rows[*other].output
        };
        if outputs[at] == rows[at].output {
            let partner = (0..rows.len()).map(|step| (start + step) % rows.len()).find(fits);
            outputs.swap(at, partner.ok_or(DemoDataError::CannotShuffle)?);
        }
    }
    let pair =
        |(row, output): (&Row, &str)| Row { input: row.input.clone(), output: output.to_owned() };
    Ok(rows.iter().zip(outputs).map(pair).collect())
}

/// The same rows in another order, each touched lightly: what a thief does to look original.
pub(super) fn copied(rows: &[Row], seed: &EpochSeed) -> Vec<Row> {
    let mut stream = SeedStream::new(seed, "demo/copy");
    let mut copy: Vec<Row> = rows
        .iter()
        .map(|row| {
            let mut row = row.clone();
            let text = if stream.below(2) == 0 { &mut row.input } else { &mut row.output };
            *text = retouched(text, &mut stream);
            if stream.below(100) < DEEPER_EDITS_PERCENT {
                *text = stuttered(text, &mut stream);
            }
            row
        })
        .collect();
    stream.shuffle(&mut copy);
    copy
}

/// Rows of random words, as long as honest rows are.
pub(super) fn garbage(rows: &[Row], seed: &EpochSeed) -> Vec<Row> {
    let mut stream = SeedStream::new(seed, "demo/garbage");
    rows.iter()
        .map(|row| Row {
            input: noise(row.input.chars().count(), &mut stream),
            output: noise(row.output.chars().count(), &mut stream),
        })
        .collect()
}

/// Changes case, space or punctuation in one place. Always changes something.
fn retouched(text: &str, stream: &mut SeedStream) -> String {
    let edits: [fn(&str) -> String; 4] = [flip_case, widen_space, soften_hyphen, toggle_stop];
    let first = stream.index(edits.len());
    let mut tried = edits.iter().cycle().skip(first).take(edits.len());
    let changed = tried.find_map(|edit| Some(edit(text)).filter(|edited| edited != text));
    changed.unwrap_or_else(|| toggle_stop(text))
}

fn flip_case(text: &str) -> String {
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return String::new() };
    let flipped = if first.is_ascii_uppercase() {
        first.to_ascii_lowercase()
    } else {
        first.to_ascii_uppercase()
    };
    std::iter::once(flipped).chain(chars).collect()
}

fn widen_space(text: &str) -> String {
    text.replacen(' ', "  ", 1)
}

fn soften_hyphen(text: &str) -> String {
    text.replacen('-', " ", 1)
}

fn toggle_stop(text: &str) -> String {
    text.strip_suffix('.').map_or_else(|| format!("{text}."), str::to_owned)
}

/// Says one word twice.
fn stuttered(text: &str, stream: &mut SeedStream) -> String {
    let mut words: Vec<&str> = text.split(' ').collect();
    let at = stream.index(words.len());
    words.insert(at, words[at]);
    words.join(" ")
}

fn noise(length: usize, stream: &mut SeedStream) -> String {
    let mut text = String::new();
    let mut word_left = 0;
    for _ in 0..length {
        if word_left == 0 && !text.is_empty() {
            text.push(' ');
        } else {
            let index = stream.index(GARBAGE_ALPHABET.len());
            text.push(char::from(GARBAGE_ALPHABET[index]));
        }
        word_left = match word_left {
            0 => 1 + stream.below(GARBAGE_WORD_MAX),
            left => left - 1,
        };
    }
    // A text must not end in a space: some schemas trim, and the row would then be another.
    if text.ends_with(' ') {
        text.pop();
    }
    text
}
