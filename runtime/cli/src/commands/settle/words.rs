//! Outcomes and amounts in words and digits, for tables, explanations and pages alike.

use dataforge_core::hash::Digest as _;
use dataforge_core::units::{MicroNats, Ppm};
use dataforge_settle::{
    AnswerKind, Basis, Outcome, Rao, SlashReason, Slip, Standing, SubmissionLine,
};

pub(super) fn standing(standing: Standing) -> String {
    match standing {
        Standing::Paid => "paid",
        Standing::BelowMargin => "below margin",
        Standing::NotSignificant => "not significant",
        Standing::Copy { of } => return format!("copy of {}", of.short()),
        Standing::Rejected => "rejected",
        Standing::Diverged => "diverged",
        Standing::Unscored => "unscored",
        Standing::NotRevealed => "not revealed",
        Standing::Mismatch => "mismatch",
    }
    .to_owned()
}

/// Why a submission stands where it stands.
pub(super) fn because(standing: Standing) -> String {
    match standing {
        Standing::Paid => "its own work, with a lift that counts",
        Standing::BelowMargin => "the lift is not above the margin",
        Standing::NotSignificant => "chance could explain the lift: its lower bound is not above 0",
        Standing::Copy { of } => return format!("too many of its rows are in dataset {of}"),
        Standing::Rejected => "a kernel refused it",
        Standing::Diverged => "training met a value that is not finite",
        Standing::Unscored => "no validator told a score that counts",
        Standing::NotRevealed => "it was not revealed, or not in time",
        Standing::Mismatch => "what was revealed is not what was committed to",
    }
    .to_owned()
}

pub(super) fn basis(basis: Basis) -> &'static str {
    match basis {
        Basis::Unanimous => "every validator says so",
        Basis::Judged => "a replay told",
        Basis::Median => "it is the median by stake",
        Basis::Disputed => "it is the median by stake of scores that differ, for the time being",
    }
}

pub(super) fn outcome(outcome: Outcome) -> String {
    match outcome {
        Outcome::Rejected => "rejected".to_owned(),
        Outcome::Diverged => "diverged".to_owned(),
        Outcome::Scored(lift) => lift.all.display(),
    }
}

pub(super) fn answer(answer: AnswerKind) -> &'static str {
    match answer {
        AnswerKind::Scored => "counts",
        AnswerKind::Missing => "missing",
        AnswerKind::Invalid => "invalid",
    }
}

pub(super) fn drawn_as(audit: bool) -> &'static str {
    if audit { "auditor" } else { "validator" }
}

pub(super) fn slash(reason: SlashReason) -> &'static str {
    match reason {
        SlashReason::WrongScore => "a replay refutes its score",
        SlashReason::FailedAudit => "a step that it showed does not hold, or it showed none",
        SlashReason::Withheld => "a score promised, audited and not shown",
        SlashReason::Equivocation => "two different scores for one assignment",
        SlashReason::Missing => "too many assignments without a score",
        SlashReason::Outlier => "too many scores too far from the others'",
    }
}

pub(super) fn slip(slip: Slip) -> &'static str {
    match slip {
        Slip::CommittedLate => "a commitment after the phase for it",
        Slip::CommittedEarly => "a score's commitment before the seed was known",
        Slip::CommittedTwice => "a second commitment: the first counts",
        Slip::RevealedLate => "a reveal after the phase for it",
        Slip::RevealedEarly => "a score revealed while others still could copy it",
        Slip::NotCommitted => "a reveal without a commitment that counts",
        Slip::Mismatch => "a reveal of something else than was committed to",
        Slip::NotDrawn => "a score that nobody asked for",
    }
}

/// What else a table says of a submission.
pub(super) fn remarks(line: &SubmissionLine) -> String {
    let remarks = [(line.held, "held"), (line.overfit, "overfit")];
    let said = remarks.iter().filter(|(holds, _)| *holds).map(|(_, remark)| *remark);
    said.collect::<Vec<_>>().join(", ")
}

/// A whole number of millionths, with all of them.
pub(super) fn millionths(number: u128) -> String {
    format!("{}.{:06}", number / 1_000_000, number % 1_000_000)
}

pub(super) fn factor(ppm: Ppm) -> String {
    millionths(ppm.0.into())
}

pub(super) fn percent(ppm: Ppm) -> String {
    share(ppm.0.into(), 1_000_000)
}

/// A part in hundredths of a per cent, to the nearest.
pub(super) fn share(part: u128, whole: u128) -> String {
    let hundredths = part.saturating_mul(10_000).saturating_add(whole / 2);
    let hundredths = hundredths.checked_div(whole).unwrap_or(0);
    format!("{}.{:02} %", hundredths / 100, hundredths % 100)
}

/// A number of things, with the right word for them.
pub(super) fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number as u64), if number == 1 { one } else { many })
}

/// Tokens with three decimals, rounded down, where all nine would crowd.
pub(super) fn tokens(amount: Rao) -> String {
    format!("{}.{:03}", grouped(amount.0 / 1_000_000_000), amount.0 / 1_000_000 % 1_000)
}

/// Digits in groups of three.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Nats with as few decimals as say the same.
pub(super) fn brief_nats(value: MicroNats) -> String {
    let text = value.display();
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if value.0 == 0 { "0".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(tokens(Rao(1_234_567_999_999)), "1,234.567");
        assert_eq!(percent(Ppm(983_399)), "98.34 %");
        assert_eq!(share(1, 3), "33.33 %");
        assert_eq!(share(649_999, 1_000_000), "65.00 %");
        assert_eq!(counted(1, "slash", "slashes"), "1 slash");
        assert_eq!(share(1, 0), "0.00 %");
        assert_eq!(brief_nats(MicroNats(-500_000)), "-0.5");
        assert_eq!(brief_nats(MicroNats(0)), "0");
        assert_eq!(brief_nats(MicroNats(10_000_000)), "+10");
    }
}
