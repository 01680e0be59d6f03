//! Length of the longest common subsequence, 64 places at a time (Hyyrö 2004).
//!
//! It does not say which subsequence. Memory is linear in the shorter side; time is the product of
//! both lengths over 64, whatever the sequences are.

use std::collections::BTreeMap;

/// Length of the longest common subsequence of two sequences.
pub(crate) fn length(one: &[usize], other: &[usize]) -> usize {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    let places = Places::new(short);
    // Bit i is 0 if the table's row grows from column i to column i + 1.
    let mut row = vec![u64::MAX; places.words()];
    let mut marks = vec![0; places.words()];
    for &token in long {
        if let Some(marks) = places.frequent.get(&token) {
            step(&mut row, marks);
            continue;
        }
        let places = places.of(token);
        if places.is_empty() {
            continue;
        }
        mark(&mut marks, places);
        step(&mut row, &marks);
        for &(_, place) in places {
            marks[place / 64] = 0;
        }
    }
    // No place beyond the last is ever marked, so those bits stay 1.
    row.iter().map(|word| word.count_zeros() as usize).sum()
}

fn mark(marks: &mut [u64], places: &[Place]) {
    for &(_, place) in places {
        marks[place / 64] |= 1 << (place % 64);
    }
}

/// The next row of the table: `(row + marked) | (row − marked)`, of numbers as long as the row,
/// where `marked` is what `row` and `marks` have in common.
fn step(row: &mut [u64], marks: &[u64]) {
    let mut carry = false;
    for (word, marks) in row.iter_mut().zip(marks) {
        let marked = *word & marks;
        let (sum, over) = word.carrying_add(marked, carry);
        *word = sum | (*word & !marked);
        carry = over;
    }
}

/// A token and where it stands.
type Place = (usize, usize);

/// Where each token of a sequence stands.
struct Places {
    /// By token, so that no table over all tokens is needed.
    sorted: Vec<Place>,
    /// The marks of tokens with more places than marks have words. To mark those anew each time
    /// would take longer than a step; there are at most 64, so that memory stays linear.
    frequent: BTreeMap<usize, Vec<u64>>,
}

impl Places {
    fn new(tokens: &[usize]) -> Self {
        let mut sorted: Vec<Place> =
            tokens.iter().enumerate().map(|(place, &token)| (token, place)).collect();
        sorted.sort_unstable();
        let mut places = Self { sorted, frequent: BTreeMap::new() };
        let words = places.words();
        for same in places.sorted.chunk_by(|one, other| one.0 == other.0) {
            if same.len() > words {
                let mut marks = vec![0; words];
                mark(&mut marks, same);
                places.frequent.insert(same[0].0, marks);
            }
        }
        places
    }

    /// Words of 64 bits, of which each place has one bit.
    fn words(&self) -> usize {
        self.sorted.len().div_ceil(64)
    }

    fn of(&self, token: usize) -> &[Place] {
        let from = self.sorted.partition_point(|&(other, _)| other < token);
        let here = &self.sorted[from..];
        &here[..here.partition_point(|&(other, _)| other == token)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the definition, row by row.
    fn by_table(one: &[usize], other: &[usize]) -> usize {
        let mut row = vec![0; other.len() + 1];
        for token in one {
            let mut diagonal = 0;
            for (column, candidate) in other.iter().enumerate() {
                let above = row[column + 1];
                row[column + 1] =
                    if token == candidate { diagonal + 1 } else { above.max(row[column]) };
                diagonal = above;
            }
        }
        row[other.len()]
    }

    #[test]
    fn equals_the_table() {
        let mut state = 0x243f_6a88_85a3_08d3_u64;
        let mut below = |bound: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % bound
        };
        for case in 0..400 {
            let tokens = 1 + below(40);
            let sides = [below(300), below(300)];
            let [one, other] =
                sides.map(|length| (0..length).map(|_| below(tokens)).collect::<Vec<_>>());
            assert_eq!(length(&one, &other), by_table(&one, &other), "case {case}");
        }
    }

    #[test]
    fn at_the_edges_of_words() {
        for size in [0, 1, 63, 64, 65, 128, 129] {
            let up: Vec<usize> = (0..size).collect();
            let down: Vec<usize> = up.iter().rev().copied().collect();
            let same = vec![7; size];
            assert_eq!(length(&up, &up), size);
            assert_eq!(length(&same, &same), size);
            assert_eq!(length(&up, &down), size.min(1));
            assert_eq!(length(&up, &[]), 0);
        }
    }
}
