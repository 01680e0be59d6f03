//! What is true of a submission: from what its validators say, and from what a replay told.
//!
//! A replay has the last word. Without one the median speaks, by stake; where scores are exact and
//! differ, it speaks for the time being alone.

use dataforge_core::hash::HotkeyId;
use serde::{Deserialize, Serialize};

use crate::{Outcome, Profile, Rao, Score};

/// What is true of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The score that counts.
    pub score: Score,
    /// Why that one.
    pub basis: Basis,
}

/// Why a score counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Every validator says so.
    Unanimous,
    /// A replay told.
    Judged,
    /// It is the median by stake of advisory scores.
    Median,
    /// It is the median by stake of exact scores that differ: somebody is wrong.
    Disputed,
}

/// What a validator says.
pub(crate) type Said = (HotkeyId, Rao, Score);

/// Nothing where nobody says anything.
pub(crate) fn find(profile: Profile, said: &[Said], judged: Option<Score>) -> Option<Finding> {
    if let Some(score) = judged {
        return Some(Finding { score, basis: Basis::Judged });
    }
    let score = median(said)?;
    let differs = said.iter().any(|(_, _, other)| other.proof != score.proof);
    let basis = match (differs, profile) {
        (false, _) => Basis::Unanimous,
        (true, Profile::Exact) => Basis::Disputed,
        (true, Profile::Advisory) => Basis::Median,
    };
    Some(Finding { score, basis })
}

/// The lower median by stake: the least score that has, with those below it, at least half of the
/// stake. Of scores alike the one with the least digest.
fn median(said: &[Said]) -> Option<Score> {
    let mut said: Vec<(Outcome, Score, Rao)> =
        said.iter().map(|(_, stake, score)| (score.outcome, *score, *stake)).collect();
    said.sort_by_key(|(outcome, score, _)| (worth(outcome), score.proof));
    let total: u128 = said.iter().map(|(_, _, stake)| u128::from(stake.0)).sum();
    let mut below = 0u128;
    said.iter()
        .find(|(_, _, stake)| {
            below = below.saturating_add(stake.0.into());
            below.saturating_mul(2) >= total
        })
        .map(|(_, score, _)| *score)
}

/// What is rejected or diverged is worth less than any lift.
fn worth(outcome: &Outcome) -> (u8, i64) {
    match outcome {
        Outcome::Rejected => (0, 0),
        Outcome::Diverged => (1, 0),
        Outcome::Scored(lift) => (2, lift.all.0),
    }
}

/// How far two scores are apart, in millionths of a nat; nothing where one of them has no lift and
/// the other has.
pub(crate) fn distance(a: &Outcome, b: &Outcome) -> Option<u64> {
    match (a, b) {
        (Outcome::Scored(a), Outcome::Scored(b)) => Some(a.all.0.abs_diff(b.all.0)),
        _ if a == b => Some(0),
        _ => None,
    }
}

/// The lower median of numbers; zero of none.
pub(crate) fn median_of(mut numbers: Vec<u64>) -> u64 {
    numbers.sort_unstable();
    let middle = numbers.len().saturating_sub(1).checked_div(2).unwrap_or(0);
    numbers.get(middle).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Lift;
    use dataforge_core::hash::ProofDigest;
    use dataforge_core::units::MicroNats;

    fn score(lift: i64) -> Score {
        let all = MicroNats(lift);
        let outcome = Outcome::Scored(Lift { all, hidden: all, bound: all });
        Score { proof: ProofDigest([u8::try_from(lift & 0xff).unwrap(); 32]), outcome }
    }

    fn said(scores: &[(u64, i64)]) -> Vec<Said> {
        scores.iter().map(|(stake, lift)| (HotkeyId([0; 32]), Rao(*stake), score(*lift))).collect()
    }

    #[test]
    fn the_median_is_by_stake() {
        let check = |scores: &[(u64, i64)], expect| {
            let found = find(Profile::Exact, &said(scores), None).unwrap();
            assert_eq!((found.score, found.basis), (score(expect), Basis::Disputed));
        };
        check(&[(1, 5), (1, 7), (1, 9)], 7);
        check(&[(1, 5), (1, 7), (3, 9)], 9);
        // Half of the stake is enough for the lower one.
        check(&[(2, 5), (2, 9)], 5);
        assert_eq!(find(Profile::Exact, &[], None), None);
    }

    #[test]
    fn a_replay_has_the_last_word() {
        let found = find(Profile::Exact, &said(&[(9, 5)]), Some(score(1))).unwrap();
        assert_eq!((found.score, found.basis), (score(1), Basis::Judged));
        let alike = find(Profile::Exact, &said(&[(9, 5), (1, 5)]), None).unwrap();
        assert_eq!(alike.basis, Basis::Unanimous);
    }

    #[test]
    fn what_has_no_lift_is_worth_less_than_any() {
        let rejected = Score { proof: ProofDigest([9; 32]), outcome: Outcome::Rejected };
        let mut all = said(&[(1, -500)]);
        all.push((HotkeyId([1; 32]), Rao(1), rejected));
        assert_eq!(median(&all), Some(rejected));
        assert_eq!(distance(&rejected.outcome, &score(3).outcome), None);
        assert_eq!(distance(&score(5).outcome, &score(3).outcome), Some(2));
    }
}
