//! What holds of any epoch, whatever its parties do.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

mod market;

use std::collections::BTreeMap;

use dataforge_core::hash::HotkeyId;
use dataforge_core::units::Ppm;
use dataforge_settle::{
    Comparison, Event, Ledger, MinerFactors, Outcome, Profile, Rao, Report, Rules, Salt, Score,
    Script, Settled, Shared, Standing, What, settle,
};
use market::{AUDITS, SEED, dataset, miner, rules, score, scored_as, validator};
use proptest::prelude::*;
use proptest::sample::Index;

/// A miner's part of an epoch.
#[derive(Clone, Debug)]
struct Submitted {
    dataset: u64,
    after: u32,
    truth: Score,
    /// Rows of its own, of a hundred; the rest is shared with an earlier dataset, if there is one.
    own: u32,
    /// Whether somebody replays it.
    judged: bool,
    /// By validator.
    acts: Vec<Act>,
}

/// What a validator does about a submission.
#[derive(Clone, Copy, Debug)]
enum Act {
    Honest(u32),
    Wrong(u32),
    Invalid,
    Nothing,
    Twice,
    Unanswered,
}

fn truths() -> impl Strategy<Value = Score> {
    prop_oneof![
        8 => (0..400_000i64, 0..400_000i64, -50_000..50_000i64)
            .prop_map(|(all, hidden, bound)| scored_as(all, hidden, bound.min(all))),
        1 => Just(score(Outcome::Rejected)),
        1 => Just(score(Outcome::Diverged)),
    ]
}

fn acts() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0..100u32).prop_map(Act::Honest),
        1 => (0..100u32).prop_map(Act::Wrong),
        1 => Just(Act::Invalid),
        1 => Just(Act::Nothing),
        1 => Just(Act::Twice),
        1 => Just(Act::Unanswered),
    ]
}

fn submissions() -> impl Strategy<Value = Vec<Submitted>> {
    let one = (
        (0..8u64, 0..99u32, truths(), 0..=100u32, any::<bool>()),
        proptest::collection::vec(acts(), 6),
    );
    let one = one.prop_map(|((dataset, after, truth, own, judged), acts)| Submitted {
        dataset,
        after,
        truth,
        own,
        judged,
        acts,
    });
    proptest::collection::vec(one, 0..8)
}

fn stakes() -> impl Strategy<Value = Vec<u64>> {
    proptest::collection::vec(1..1_000_000u64, 1..6)
}

fn markets() -> impl Strategy<Value = Rules> {
    let parts = (0..=1_000_000u32).prop_flat_map(|miners| (Just(miners), 0..=1_000_000 - miners));
    let numbers = (1..=1u64 << 56, parts, 1..5u32, 0..=1_000_000u32, any::<bool>());
    numbers.prop_map(|(emission, (miners, validators), drawn, audited, exact)| {
        let mut rules = rules();
        let stage = &mut rules.stages[0];
        stage.emission = Rao(emission);
        (stage.miners, stage.validators) = (Ppm(miners), Ppm(validators));
        rules.draw.validators = drawn.try_into().unwrap();
        rules.draw.audited = Ppm(audited);
        rules.draw.auditors = 1;
        rules.profile = if exact { Profile::Exact } else { Profile::Advisory };
        rules
    })
}

/// The events of an epoch in which miner `n` makes submission `n`.
fn events(rules: &Rules, ledger: &Ledger, stakes: &[u64], submissions: &[Submitted]) -> Vec<Event> {
    let mut script = market::script(rules, ledger, stakes, submissions.len() as u64);
    let lottery = script.lottery().unwrap();
    let fresh = |number: u64| dataset(1_000 * ledger.epoch.0 + number);
    let mut first: BTreeMap<u64, u32> = BTreeMap::new();
    for of in submissions {
        let after = first.entry(of.dataset).or_insert(of.after);
        *after = of.after.min(*after);
    }
    let earliest = first.iter().min_by_key(|(_, after)| **after).map(|(number, _)| *number);
    for (number, of) in (0..).zip(submissions) {
        script.submit(miner(number), fresh(of.dataset), of.after);
    }
    for number in first.keys() {
        let of = submissions.iter().find(|of| of.dataset == *number).unwrap();
        let with = earliest.filter(|earliest| earliest != number && of.own < 100);
        let most = with.map(|with| Shared { with: fresh(with), rows: 100 - of.own });
        script.compare(Comparison { dataset: fresh(*number), rows: 100, own: of.own, most });
    }
    for (number, of) in (0..).zip(submissions) {
        let miner = miner(number);
        let [validators, auditors] = script.asked(&lottery, miner);
        for (asked, audit) in [(validators, false), (auditors, true)] {
            for key in asked {
                let place = (0..stakes.len()).find(|place| validator(*place as u64) == key);
                act(&mut script, of.acts[place.unwrap()], (key, miner), of.truth, audit);
            }
        }
        if of.judged {
            script.judge(ledger.epoch, miner, of.truth);
        }
    }
    script.finish()
}

fn act(
    script: &mut Script<'_>,
    act: Act,
    (validator, miner): (HotkeyId, HotkeyId),
    truth: Score,
    audit: bool,
) {
    let wrong = scored_as(777_777, 777_777, 1);
    let after = |after: u32| if audit { after / 2 } else { after };
    match act {
        Act::Honest(late) => script.score(validator, miner, Some(truth), audit, after(late)),
        Act::Wrong(late) => script.score(validator, miner, Some(wrong), audit, after(late)),
        Act::Invalid => script.score(validator, miner, None, audit, 0),
        Act::Nothing => {}
        Act::Twice => {
            script.score(validator, miner, Some(truth), audit, 0);
            let (at, salt) = (script.times().audited, Salt(SEED));
            let score = Some(wrong);
            script.push(at, What::ScoreRevealed { validator, miner, score, salt });
        }
        Act::Unanswered => {
            script.score(validator, miner, Some(truth), audit, 0);
            script.push(script.times().score_revealed, What::Challenged { validator, miner });
        }
    }
}

fn honest(submissions: &mut [Submitted]) {
    for of in submissions {
        of.acts = vec![Act::Honest(0); of.acts.len()];
    }
}

fn reward(report: &Report, miner: HotkeyId) -> Rao {
    report.submissions.iter().find(|line| line.miner == miner).map_or(Rao(0), |line| line.reward)
}

fn settled(rules: &Rules, ledger: &Ledger, events: &[Event]) -> Settled {
    settle(rules, ledger, events).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Three epochs of anything: nothing is lost, made or negative.
    #[test]
    fn nothing_is_lost_or_made(
        rules in markets(),
        stakes in stakes(),
        epochs in proptest::collection::vec(submissions(), 3),
    ) {
        let mut ledger = Ledger::default();
        for submissions in epochs {
            let Settled { ledger: after, report } =
                settled(&rules, &ledger, &events(&rules, &ledger, &stakes, &submissions));
            prop_assert_eq!(after.check(), Ok(()));
            let emission = report.emission;
            let parts =
                [emission.miners, emission.validators, emission.treasury, emission.rest];
            let whole: u128 = parts.iter().map(|part| u128::from(part.0)).sum();
            prop_assert_eq!(whole, u128::from(emission.total.0));
            let miners: u64 = report.submissions.iter().map(|line| line.reward.0).sum();
            let validators: u64 = report.validators.iter().map(|line| line.reward.0).sum();
            prop_assert_eq!([miners, validators], [emission.miners.0, emission.validators.0]);
            prop_assert_eq!(report.after, after.digest());
            ledger = after;
        }
    }

    #[test]
    fn the_order_of_events_of_one_block_does_not_matter(
        rules in markets(),
        stakes in stakes(),
        submissions in submissions(),
        swaps in proptest::collection::vec((any::<Index>(), any::<Index>()), 40),
    ) {
        let ledger = Ledger::default();
        let events = events(&rules, &ledger, &stakes, &submissions);
        let mut shuffled = events.clone();
        for (a, b) in swaps {
            let (a, b) = (a.index(events.len()), b.index(events.len()));
            if shuffled[a].at == shuffled[b].at {
                shuffled.swap(a, b);
            }
        }
        prop_assert_eq!(
            settled(&rules, &ledger, &events),
            settled(&rules, &ledger, &shuffled)
        );
    }

    /// Exactly: not even by dust.
    #[test]
    fn a_miner_without_lift_changes_no_reward_of_a_miner(
        rules in markets(),
        stakes in stakes(),
        submissions in submissions(),
        lift in -100_000..=50_000i64,
    ) {
        let ledger = Ledger::default();
        let before = settled(&rules, &ledger, &events(&rules, &ledger, &stakes, &submissions));
        let mut more = submissions.clone();
        more.push(Submitted {
            // The latest, and alike to nothing.
            dataset: 99,
            after: 99,
            truth: scored_as(lift, lift, lift),
            own: 100,
            judged: true,
            acts: vec![Act::Honest(0); 6],
        });
        let after = settled(&rules, &ledger, &events(&rules, &ledger, &stakes, &more));
        for number in 0..submissions.len() as u64 {
            prop_assert_eq!(
                reward(&before.report, miner(number)),
                reward(&after.report, miner(number))
            );
        }
    }

    #[test]
    fn a_lower_lift_never_earns_more(
        rules in markets(),
        stakes in stakes(),
        submissions in submissions(),
    ) {
        let ledger = Ledger::default();
        let report =
            settled(&rules, &ledger, &events(&rules, &ledger, &stakes, &submissions)).report;
        let mut paid: Vec<(MinerFactors, Rao)> = report
            .submissions
            .iter()
            .filter(|line| line.standing == Standing::Paid)
            .map(|line| (line.factors.unwrap(), line.reward))
            .collect();
        for line in &report.submissions {
            prop_assert!(line.standing == Standing::Paid || line.reward == Rao(0));
        }
        paid.sort_by_key(|(factors, _)| (factors.originality, factors.lift));
        for alike in paid.chunk_by(|(one, _), (next, _)| one.originality == next.originality) {
            prop_assert!(alike.is_sorted_by_key(|(_, reward)| *reward));
        }
    }

    /// Exactly: the parts never earn more than the whole, however rows are dealt out among them and
    /// padded with those of the others.
    #[test]
    fn a_miner_who_splits_never_earns_more(
        rules in markets(),
        stakes in stakes(),
        mut submissions in submissions(),
        cuts in proptest::collection::vec(0..=100u32, 1..4),
    ) {
        honest(&mut submissions);
        let ledger = Ledger::default();
        let whole = Submitted {
            dataset: 50,
            after: 0,
            truth: scored_as(300_000, 300_000, 1),
            own: 100,
            judged: false,
            acts: vec![Act::Honest(0); 6],
        };
        let split = |parts: &[u32]| {
            let others = submissions.len();
            let mut all = submissions.clone();
            for (number, own) in (0..).zip(parts) {
                let dataset = 50 + number;
                // Taken from the earliest of all, which is the first part.
                all.push(Submitted { dataset, own: *own, after: number as u32, ..whole.clone() });
            }
            let mut events = events(&rules, &ledger, &stakes, &all);
            // What the parts share is in the first of them, whoever else was early.
            for event in &mut events {
                let What::Compared(comparison) = &mut event.what else { continue };
                let part = (0..parts.len() as u64).any(|n| dataset(50 + n) == comparison.dataset);
                if part && let Some(most) = &mut comparison.most {
                    most.rows = most.rows.min(49);
                }
            }
            let report = settled(&rules, &ledger, &events).report;
            let earned = (others..others + parts.len()).map(|n| reward(&report, miner(n as u64)).0);
            earned.sum::<u64>()
        };
        let mut parts = vec![];
        let mut left = 100;
        for cut in cuts {
            let part = cut.min(left);
            parts.push(part);
            left -= part;
        }
        parts.push(left);
        prop_assert!(split(&parts) <= split(&[100]));
    }

    /// Where everybody is drawn in both epochs and works alike, the parts of a stake never earn
    /// more than the whole. Who is drawn differs from list to list, which is the bound: one epoch
    /// can come out either way.
    #[test]
    fn a_validator_who_splits_never_earns_more(
        stakes in stakes(),
        cut in 1..999_999u64,
        late in 0..100u32,
    ) {
        let mut rules = rules();
        rules.draw.validators = 100.try_into().unwrap();
        let ledger = Ledger::default();
        let works = Submitted {
            dataset: 1,
            after: 0,
            truth: scored_as(300_000, 300_000, 1),
            own: 100,
            judged: false,
            acts: vec![Act::Honest(late); 8],
        };
        let earn = |stakes: &[u64], parts: std::ops::Range<u64>| {
            let events = events(&rules, &ledger, stakes, std::slice::from_ref(&works));
            let report = settled(&rules, &ledger, &events).report;
            let earned = parts.map(|n| market::validator_line(&report, validator(n)).reward.0);
            earned.sum::<u64>()
        };
        let whole = [&[1_000_000], &stakes[..]].concat();
        let parts = [&stakes[..], &[cut, 1_000_000 - cut]].concat();
        let others = stakes.len() as u64;
        prop_assert!(earn(&parts, others..others + 2) <= earn(&whole, 0..1));
    }
}

#[test]
fn an_epoch_without_anybody_is_the_treasurys() {
    let (rules, ledger) = (rules(), Ledger::default());
    let script = Script::new(&rules, &ledger, SEED, AUDITS).unwrap();
    let after = settled(&rules, &ledger, &script.finish()).ledger;
    assert_eq!((after.treasury, after.emitted), (market::EMISSION, market::EMISSION));
}
