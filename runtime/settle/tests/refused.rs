//! Lists of events, rules and ledgers that cannot be true are refused, with the reason.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

mod market;

use dataforge_core::hash::{Commitment, LedgerDigest, RulesId, SpecId};
use dataforge_core::units::{MicroNats, Ppm};
use dataforge_settle::{
    AMOUNT_MAX, Block, Comparison, Epoch, Event, Ledger, Lift, Outcome, Rao, Rules, RulesError,
    Salt, Score, Script, Settled, Shared, What, settle,
};
use market::{AUDITS, SEED, all_tell, dataset, miner, rules, scored, scored_as, script, validator};

const EVEN: &[u64] = &[100, 100, 100];

/// A fair epoch and what is done to it, before it is closed and after.
#[track_caller]
fn refused(write: impl Fn(&mut Script<'_>), change: impl Fn(&mut Vec<Event>), expect: &str) {
    let (rules, ledger) = (rules(), Ledger::default());
    let mut script = script(&rules, &ledger, EVEN, 2);
    for number in [0, 1] {
        script.submit(miner(number), dataset(number), number as u32);
        all_tell(&mut script, miner(number), scored(250_000));
    }
    write(&mut script);
    let mut events = script.finish();
    change(&mut events);
    let error = settle(&rules, &ledger, &events).unwrap_err().to_string();
    let (_, reason) = error.split_once(": ").unwrap();
    assert_eq!(reason, expect);
}

#[track_caller]
fn written(write: impl Fn(&mut Script<'_>), expect: &str) {
    refused(write, |_| {}, expect);
}

#[track_caller]
fn changed(change: impl Fn(&mut Vec<Event>), expect: &str) {
    refused(|_| {}, change, expect);
}

#[test]
fn a_list_that_was_tampered_with_is_refused() {
    changed(|events| events.swap(10, 20), "block 1100 after block 1260");
    changed(|events| events.insert(3, events[3]), "it stands there twice");
    changed(|events| events[5].epoch = Epoch(1), "it is of epoch 1, the ledger expects 0");
    let without = |place: usize| {
        move |events: &mut Vec<Event>| {
            events.remove(place);
        }
    };
    changed(without(0), "it is before the opening or after the closing");
    let without_all = |of: fn(&What) -> bool| {
        move |events: &mut Vec<Event>| events.retain(|event| !of(&event.what))
    };
    changed(without_all(|what| matches!(what, What::Closed)), "the list is cut short");
    changed(without_all(|what| matches!(what, What::Seeded { .. })), "the list is cut short");
    changed(without_all(|what| matches!(what, What::AuditsSeeded { .. })), "the list is cut short");
    let compared = |events: &mut Vec<Event>| {
        events
            .retain(|event| !matches!(event.what, What::Compared(of) if of.dataset == dataset(1)));
    };
    let (rules, ledger) = (rules(), Ledger::default());
    let mut fair = script(&rules, &ledger, EVEN, 2);
    fair.submit(miner(1), dataset(1), 0);
    let mut events = fair.finish();
    compared(&mut events);
    let error = settle(&rules, &ledger, &events).unwrap_err().to_string();
    assert!(error.ends_with("was revealed, and not compared with earlier ones"), "{error}");
    changed(|events| events.truncate(9), "the list is cut short");
    changed(
        |events| events.push(Event { at: Block(1_281), ..events[1] }),
        "block 1281, but such an event is of blocks 1000 to 1001",
    );
}

#[test]
fn what_happens_at_the_wrong_time_is_refused() {
    written(
        |script| script.push(Block(1_000), What::Seeded { seed: SEED }),
        "block 1000, but such an event is of blocks 1110 to 1210",
    );
    written(
        |script| script.push(Block(999), What::Closed),
        "block 999, but such an event is of blocks 1280 to 1281",
    );
    let challenged = What::Challenged { validator: validator(0), miner: miner(0) };
    written(
        |script| script.push(Block(1_260), challenged),
        "block 1260, but such an event is of blocks 1270 to 1280",
    );
    written(
        |script| script.push(Block(1_120), What::Seeded { seed: AUDITS }),
        "it stands there twice",
    );
}

#[test]
fn other_rules_and_other_states_are_refused() {
    let (rules_id, ledger) = (rules().id(), Ledger::default().digest());
    let opened = |rules, ledger| {
        move |events: &mut Vec<Event>| events[0].what = What::Opened { rules, ledger }
    };
    let (other_rules, other_ledger) = (RulesId([1; 32]), LedgerDigest([1; 32]));
    changed(
        opened(other_rules, ledger),
        &format!("the epoch was opened under the rules {other_rules}, these are {rules_id}"),
    );
    changed(
        opened(rules_id, other_ledger),
        &format!("the epoch follows the ledger {other_ledger}, this is {ledger}"),
    );
}

#[test]
fn strangers_are_refused() {
    let stranger = format!("{} is not listed", miner(9));
    written(|script| script.submit(miner(9), dataset(9), 0), &stranger);
    let score = Some(scored(1));
    written(|script| script.score(validator(0), miner(9), score, false, 0), &stranger);
    written(|script| script.score(miner(9), miner(0), score, false, 0), &stranger);
    written(
        |script| script.score(miner(1), miner(0), score, false, 0),
        &format!("{} has no stake", miner(1)),
    );
}

#[test]
fn impossible_numbers_are_refused() {
    let stake = Rao(AMOUNT_MAX.0 + 1);
    written(|script| script.list(validator(7), stake), "a stake is impossible: 72057594037927937");
    for lift in [1_000_000_001, -1_000_000_001, i64::MAX, i64::MIN] {
        written(
            |script| script.judge(Epoch(0), miner(0), scored(lift)),
            &format!("a lift is impossible: {lift}"),
        );
    }
    // A lower bound above what it bounds.
    written(
        |script| script.judge(Epoch(0), miner(0), scored_as(5, 5, 6)),
        "a bound is impossible: 6",
    );
    let compared = |own, rows, with: Option<(u64, u32)>| {
        move |script: &mut Script<'_>| {
            let most = with.map(|(with, rows)| Shared { with: dataset(with), rows });
            script.compare(Comparison { dataset: dataset(1), rows, own, most });
        }
    };
    written(compared(11, 10, None), "rows of its own is impossible: 11");
    written(compared(5, 10, Some((0, 6))), "rows in common is impossible: 6");
    written(compared(5, 10, Some((0, 0))), "rows in common is impossible: 0");
    let earlier = |with: u64| {
        format!(
            "the dataset {} is compared with {}, which is not earlier",
            dataset(1),
            dataset(with)
        )
    };
    written(compared(5, 10, Some((1, 5))), &earlier(1));
    written(compared(5, 10, Some((77, 5))), &earlier(77));
    let later = Comparison {
        dataset: dataset(0),
        rows: 10,
        own: 5,
        most: Some(Shared { with: dataset(1), rows: 5 }),
    };
    written(
        |script| script.compare(later),
        &format!(
            "the dataset {} is compared with {}, which is not earlier",
            dataset(0),
            dataset(1)
        ),
    );
    written(
        |script| script.compare(Comparison { dataset: dataset(8), ..later }),
        &format!("the dataset {} was not revealed before", dataset(8)),
    );
}

#[test]
fn scores_that_contradict_each_other_are_refused() {
    let Score { proof, .. } = scored(250_000);
    let all = MicroNats(3);
    let outcome = Outcome::Scored(Lift { all, hidden: all, bound: all });
    written(
        |script| script.judge(Epoch(0), miner(0), Score { proof, outcome }),
        &format!("two scores have the proof {proof}, and say different things"),
    );
    written(
        |script| script.judge(Epoch(0), miner(9), scored(1)),
        &format!("there is no such submission of {} to judge", miner(9)),
    );
    written(
        |script| script.judge(Epoch(3), miner(0), scored(1)),
        &format!("there is no such submission of {} to judge", miner(0)),
    );
}

#[test]
fn a_submission_for_another_spec_is_refused() {
    let (other, expected) = (SpecId([9; 32]), rules().domains[0].specs[0]);
    written(
        |script| {
            let (miner, dataset, salt) = (miner(0), dataset(0), Salt(SEED));
            let at = script.times().committed;
            script.push(at, What::Revealed { miner, dataset, spec: other, salt });
        },
        &format!("the submission is for the spec {other}, the epoch evaluates {expected}"),
    );
}

#[test]
fn rules_that_contradict_themselves_are_refused() {
    let refused = |change: fn(&mut Rules), expect: &str| {
        let mut rules = rules();
        change(&mut rules);
        assert_eq!(rules.check().unwrap_err().to_string(), expect);
        assert!(settle(&rules, &Ledger::default(), &[]).is_err());
    };
    refused(
        |rules| rules.bond.share = Ppm(1_000_001),
        "bond.share is 1000001 ppm, more than the whole",
    );
    refused(|rules| rules.copy_threshold = Ppm(0), "copy_threshold is zero or empty");
    refused(|rules| rules.domains.clear(), "domains is zero or empty");
    refused(|rules| rules.stages.clear(), "stages is zero or empty");
    refused(
        |rules| rules.stages = vec![rules.stages[0]; 1_001],
        "stages has more than 1000 entries",
    );
    refused(
        |rules| rules.phases.score_early = 101,
        "phases.score_early is longer than phases.score",
    );
    refused(
        |rules| rules.stages[0].from_epoch = Epoch(1),
        "the stage from epoch 1 is out of order; the first is from epoch 0",
    );
    let impossible = "the stage from epoch 0 has impossible parts, emission or bonuses";
    refused(|rules| rules.stages[0].miners = Ppm(750_001), impossible);
    refused(|rules| rules.stages[0].emission = Rao(AMOUNT_MAX.0 + 1), impossible);
    refused(|rules| rules.stages[0].founding_miner = Ppm(0), impossible);
    refused(|rules| rules.stages[0].founding_validator = Ppm(10_000_001), impossible);
    let domain = RulesError::Domain { number: 1 }.to_string();
    refused(|rules| rules.domains[0].unit = MicroNats(0), &domain);
    refused(|rules| rules.domains[0].specs.clear(), "domains.specs is zero or empty");
    refused(|rules| rules.domains[0].margin = MicroNats(-1), &domain);
}

/// The last epochs that there are: no number wraps.
#[test]
fn an_epoch_beyond_all_blocks_is_an_error() {
    for epoch in [u64::MAX, u64::MAX / 2, u64::MAX / 280] {
        let ledger = Ledger { epoch: Epoch(epoch), ..Ledger::default() };
        assert!(Script::new(&rules(), &ledger, SEED, AUDITS).is_err());
        assert!(settle(&rules(), &ledger, &[]).is_err());
    }
}

#[test]
fn a_ledger_that_does_not_add_up_says_so() {
    let (rules, ledger) = (rules(), Ledger::default());
    let mut fair = script(&rules, &ledger, EVEN, 1);
    fair.submit(miner(0), dataset(0), 0);
    all_tell(&mut fair, miner(0), scored(250_000));
    let Settled { mut ledger, .. } = settle(&rules, &ledger, &fair.finish()).unwrap();
    assert_eq!(ledger.check(), Ok(()));
    ledger.treasury.0 += 1;
    let error = ledger.check().unwrap_err().to_string();
    assert_eq!(
        error,
        "the ledger does not add up: 1.000000000 were emitted, and treasury, payments, bonds and \
         what is held make 1.000000001"
    );
}

/// A stranger's commitment of any bytes is a commitment.
#[test]
fn a_commitment_that_nobody_can_open_changes_nothing() {
    let (rules, ledger) = (rules(), Ledger::default());
    let mut script = script(&rules, &ledger, EVEN, 1);
    let commitment = Commitment([0xff; 32]);
    script.push(Block(1_000), What::Committed { miner: miner(0), commitment });
    assert!(settle(&rules, &ledger, &script.finish()).is_ok());
}
