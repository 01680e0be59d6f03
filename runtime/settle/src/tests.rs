//! Settlements checked by example, by what must be refused, and by what must hold for any epoch.

#![allow(clippy::arithmetic_side_effects, reason = "a test that overflows fails, as it should")]

use dataforge_core::hash::{DatasetDigest, Digest, Hasher, RowFingerprint};
use dataforge_core::units::{MicroNats, Ppm};
use proptest::prelude::*;

use crate::{
    Award, Claim, CommitOrder, CopyRule, LIFT_MAX, MicroShare, Outcome, Rule, SettleError,
    Settlement, Standing, SubmissionName, settle_epoch,
};

const RULE: Rule = Rule {
    pool: MicroShare(700_000),
    margin: MicroNats(10_000),
    copy: CopyRule { threshold: Ppm(500_000) },
};

/// A claim whose rows are the given numbers, and whose dataset digest follows from them.
fn claim(name: &str, order: u64, outcome: Outcome, rows: impl IntoIterator<Item = u32>) -> Claim {
    let rows: Vec<RowFingerprint> = rows.into_iter().map(row).collect();
    let mut hasher = Hasher::new("dataforge/test/v1");
    for row in &rows {
        hasher.update(row.as_bytes());
    }
    Claim {
        submission: SubmissionName(name.to_owned()),
        digest: hasher.finish(),
        commit_order: CommitOrder(order),
        outcome,
        fingerprints: rows,
    }
}

fn row(number: u32) -> RowFingerprint {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    RowFingerprint(bytes)
}

fn lift(micro_nats: i64) -> Outcome {
    Outcome::Scored { lift: MicroNats(micro_nats) }
}

fn show(settlement: &Settlement) -> String {
    let mut text = String::new();
    for Award { submission, standing, share } in &settlement.awards {
        let standing = match standing {
            Standing::Copy { of } => format!("copy of {of}"),
            other => format!("{other:?}").to_lowercase(),
        };
        text += &format!("{submission}: {standing}, {share}\n");
    }
    text + &format!("miners {}, dust {}", settlement.miners_total, settlement.treasury_dust)
}

#[track_caller]
fn check(claims: &[Claim], expect: &str) {
    assert_eq!(show(&settle_epoch(claims, &RULE).unwrap()), expect);
}

#[track_caller]
fn refused(claims: &[Claim], rule: Rule, expect: &str) {
    assert_eq!(settle_epoch(claims, &rule).unwrap_err().to_string(), expect);
}

#[test]
fn an_epoch_with_every_standing() {
    check(
        &[
            claim("garbage", 5, Outcome::Rejected, []),
            claim("honest", 1, lift(410_000), 0..100),
            claim("half", 2, lift(110_000), 200..250),
            claim("shuffled", 3, lift(-40_000), 300..400),
            claim("copy", 4, lift(420_000), 10..110),
            claim("noise", 6, lift(10_000), 400..500),
            claim("wild", 7, Outcome::Diverged, 500..600),
            claim("third", 8, lift(110_000), 600..700),
        ],
        "\
honest: paid, 466666 ppm
half: paid, 116666 ppm
shuffled: belowmargin, 0 ppm
copy: copy of honest, 0 ppm
garbage: rejected, 0 ppm
noise: belowmargin, 0 ppm
wild: diverged, 0 ppm
third: paid, 116666 ppm
miners 699998 ppm, dust 2 ppm",
    );
}

#[test]
fn an_epoch_that_pays_nobody_leaves_the_pool_to_the_treasury() {
    check(&[], "miners 0 ppm, dust 700000 ppm");
    check(&[claim("a", 1, lift(0), 0..10)], "a: belowmargin, 0 ppm\nminers 0 ppm, dust 700000 ppm");
}

#[test]
fn the_threshold_for_copies_is_inclusive() {
    let origin = claim("a", 1, lift(20_000), 0..10);
    check(
        &[origin.clone(), claim("b", 2, lift(20_000), 5..15)],
        "a: paid, 700000 ppm\nb: copy of a, 0 ppm\nminers 700000 ppm, dust 0 ppm",
    );
    check(
        &[origin, claim("b", 2, lift(20_000), 6..16)],
        "a: paid, 350000 ppm\nb: paid, 350000 ppm\nminers 700000 ppm, dust 0 ppm",
    );
}

#[test]
fn a_rejected_submission_is_still_the_origin_of_its_rows() {
    check(
        &[
            claim("a", 1, Outcome::Rejected, 0..10),
            claim("b", 2, lift(20_000), 0..10),
            claim("c", 3, lift(20_000), 0..10),
        ],
        "\
a: rejected, 0 ppm
b: copy of a, 0 ppm
c: copy of a, 0 ppm
miners 0 ppm, dust 700000 ppm",
    );
}

#[test]
fn repeating_a_copied_row_does_not_hide_it() {
    check(
        &[
            claim("a", 1, lift(20_000), 0..10),
            claim("b", 2, lift(20_000), [0, 0, 0, 0, 0, 0, 0, 0, 50, 51]),
        ],
        "a: paid, 700000 ppm\nb: copy of a, 0 ppm\nminers 700000 ppm, dust 0 ppm",
    );
}

#[test]
fn contradictory_claims_are_refused() {
    let first = claim("a", 1, lift(20_000), 0..10);
    refused(
        &[first.clone(), claim("a", 2, lift(20_000), 10..20)],
        RULE,
        "two claims name the submission a",
    );
    refused(
        &[first.clone(), claim("b", 1, lift(20_000), 10..20)],
        RULE,
        "a and b both state commit order 1",
    );
    let mut second = claim("b", 2, lift(20_000), 10..20);
    second.digest = first.digest;
    let error = settle_epoch(&[first, second], &RULE).unwrap_err();
    assert!(matches!(error, SettleError::ContradictoryRows { .. }), "{error}");
}

#[test]
fn impossible_numbers_are_refused() {
    for number in [LIFT_MAX.0 + 1, -LIFT_MAX.0 - 1, i64::MAX, i64::MIN] {
        let error = settle_epoch(&[claim("a", 1, lift(number), 0..10)], &RULE).unwrap_err();
        assert!(matches!(error, SettleError::ImpossibleLift { .. }), "{error}");
    }
    refused(&[claim("a", 1, lift(20_000), [])], RULE, "a states a lift, but no rows");
    refused(&[], Rule { pool: MicroShare(0), ..RULE }, "the pool is empty");
    refused(
        &[],
        Rule { margin: MicroNats(-1), ..RULE },
        "a margin of -0.000001 nats is impossible",
    );
    for threshold in [Ppm(0), Ppm(1_000_001)] {
        let rule = Rule { copy: CopyRule { threshold }, ..RULE };
        let error = settle_epoch(&[], &rule).unwrap_err();
        assert_eq!(error, SettleError::ImpossibleThreshold { threshold });
    }
}

/// An epoch in which rows overlap often, and commit order is not the order of the list.
fn epochs() -> impl Strategy<Value = Vec<Claim>> {
    let outcome = prop_oneof![
        6 => (-LIFT_MAX.0..=LIFT_MAX.0).prop_map(lift),
        6 => (0_i64..100_000).prop_map(lift),
        1 => Just(Outcome::Rejected),
        1 => Just(Outcome::Diverged),
    ];
    let one = (outcome, 0_u32..60, 1_u32..20);
    proptest::collection::vec(one, 0..12)
        .prop_map(|epoch| {
            let number = |(order, (outcome, from, rows))| {
                claim(&format!("s{order}"), order, outcome, from..from + rows)
            };
            (0..).zip(epoch).map(number).collect::<Vec<_>>()
        })
        .prop_shuffle()
}

fn rules() -> impl Strategy<Value = Rule> {
    (1..=u64::MAX, 0..=50_000_i64, 1..=1_000_000_u32).prop_map(|(pool, margin, threshold)| Rule {
        pool: MicroShare(pool),
        margin: MicroNats(margin),
        copy: CopyRule { threshold: Ppm(threshold) },
    })
}

fn share_of(settlement: &Settlement, name: &SubmissionName) -> MicroShare {
    settlement.awards.iter().find(|award| award.submission == *name).unwrap().share
}

proptest! {
    #[test]
    fn nothing_is_lost_or_made(epoch in epochs(), rule in rules()) {
        let settlement = settle_epoch(&epoch, &rule).unwrap();
        let paid: u128 = settlement.awards.iter().map(|award| u128::from(award.share.0)).sum();
        prop_assert_eq!(paid, u128::from(settlement.miners_total.0));
        let all = paid + u128::from(settlement.treasury_dust.0);
        prop_assert_eq!(all, u128::from(rule.pool.0));
        // Rounding down loses less than one unit for each who is paid.
        let payees = settlement.awards.iter().filter(|a| a.standing == Standing::Paid).count();
        prop_assert!(payees == 0 || settlement.treasury_dust.0 < payees as u64);
    }

    #[test]
    fn the_order_of_the_list_does_not_matter(epoch in epochs(), rule in rules()) {
        let mut sorted = epoch.clone();
        sorted.sort_by_key(|claim| claim.commit_order);
        prop_assert_eq!(settle_epoch(&epoch, &rule), settle_epoch(&sorted, &rule));
    }

    #[test]
    fn only_the_paid_earn_and_more_lift_never_earns_less(epoch in epochs(), rule in rules()) {
        let settlement = settle_epoch(&epoch, &rule).unwrap();
        let mut paid = Vec::new();
        for award in &settlement.awards {
            let claim = epoch.iter().find(|claim| claim.submission == award.submission).unwrap();
            match (&award.standing, claim.outcome) {
                (Standing::Paid, Outcome::Scored { lift }) => paid.push((lift, award.share)),
                _ => prop_assert_eq!(award.share, MicroShare(0)),
            }
        }
        paid.sort();
        prop_assert!(paid.is_sorted_by_key(|(_, share)| *share));
    }

    #[test]
    fn a_miner_without_lift_changes_no_share(
        epoch in epochs(),
        rule in rules(),
        outcome in prop_oneof![Just(Outcome::Rejected), (-1_000_i64..=0).prop_map(lift)],
    ) {
        let before = settle_epoch(&epoch, &rule).unwrap();
        let mut more = epoch.clone();
        // The latest commitment, with every row of the others: it can only copy.
        let mut rows: Vec<RowFingerprint> =
            epoch.iter().flat_map(|claim| claim.fingerprints.clone()).collect();
        rows.push(RowFingerprint([0xff; 32]));
        let mut idle = claim("idle", 1_000, outcome, []);
        idle.digest = DatasetDigest([0xff; 32]);
        idle.fingerprints = rows;
        more.push(idle);
        let after = settle_epoch(&more, &rule).unwrap();
        for claim in &epoch {
            let name = &claim.submission;
            prop_assert_eq!(share_of(&before, name), share_of(&after, name));
        }
        prop_assert_eq!(before.treasury_dust, after.treasury_dust);
    }

    #[test]
    fn a_full_copy_earns_nothing(
        epoch in epochs(),
        rule in rules(),
        pick in any::<prop::sample::Index>(),
    ) {
        prop_assume!(!epoch.is_empty());
        let mut copy = epoch[pick.index(epoch.len())].clone();
        copy.submission = SubmissionName("copy".to_owned());
        copy.commit_order = CommitOrder(1_000);
        let name = copy.submission.clone();
        let mut more = epoch;
        more.push(copy);
        let after = settle_epoch(&more, &rule).unwrap();
        prop_assert_eq!(share_of(&after, &name), MicroShare(0));
    }
}
