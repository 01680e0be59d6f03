//! What each thing that a party can do comes to, one at a time.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

mod market;

use dataforge_core::hash::{HotkeyId, SpecId};
use dataforge_core::units::Ppm;
use dataforge_settle::{
    AnswerKind, Basis, Block, Comparison, Epoch, HeldFor, Ledger, Outcome, Profile, Rao, Rules,
    Salt, Score, Script, Settled, Shared, SlashReason, Slip, Stage, Standing, What, settle,
};
use market::{
    AUDITS, EMISSION, SEED, all_tell, dataset, line, miner, rules, run, score, scored, scored_as,
    script, validator, validator_line,
};

const EVEN: &[u64] = &[100, 100, 100];

/// Each miner submits a dataset of its own and gets this score.
fn epoch(rules: &Rules, ledger: &Ledger, scores: &[Score]) -> Settled {
    let mut script = script(rules, ledger, EVEN, scores.len() as u64);
    for (number, score) in (0..).zip(scores) {
        submit(&mut script, ledger, number);
        all_tell(&mut script, miner(number), *score);
    }
    run(rules, ledger, script)
}

/// A dataset that is another one in every epoch.
fn submit(script: &mut Script<'_>, ledger: &Ledger, number: u64) {
    script.submit(miner(number), dataset(1_000 * ledger.epoch.0 + number), number as u32);
}

#[track_caller]
fn stands(score: Score, standing: Standing) {
    let settled = epoch(&rules(), &Ledger::default(), &[score]);
    let line = line(&settled.report, miner(0));
    assert_eq!(line.standing, standing);
    assert_eq!(line.reward > Rao(0), standing == Standing::Paid);
}

#[test]
fn a_lift_counts_above_the_margin_and_beyond_chance() {
    stands(scored(50_001), Standing::Paid);
    stands(scored(50_000), Standing::BelowMargin);
    stands(scored_as(90_000, 90_000, 1), Standing::Paid);
    stands(scored_as(90_000, 90_000, 0), Standing::NotSignificant);
    // Rows that the miner knew do not count.
    stands(scored_as(900_000, 50_000, 100_000), Standing::BelowMargin);
    let settled = epoch(&rules(), &Ledger::default(), &[scored_as(150_001, 100_000, 1)]);
    assert!(line(&settled.report, miner(0)).overfit);
    stands(score(Outcome::Rejected), Standing::Rejected);
    stands(score(Outcome::Diverged), Standing::Diverged);
}

#[test]
fn rewards_follow_the_lift_above_the_margin() {
    let settled = epoch(&rules(), &Ledger::default(), &[scored(150_000), scored(350_000)]);
    let [first, second] = [0, 1].map(|number| line(&settled.report, miner(number)).reward);
    assert_eq!([first, second], [Rao(175_000_000), Rao(525_000_000)]);
    assert_eq!(settled.report.weights.iter().map(|(_, weight)| *weight).max(), Some(65_535));
    let emission = settled.report.emission;
    assert_eq!(emission.treasury, Rao(50_000_000));
    // Three validators do not share 250,000,000 evenly: one unit is left.
    assert_eq!((emission.validators, emission.rest), (Rao(249_999_999), Rao(1)));
    assert_eq!(settled.ledger.treasury, Rao(50_000_001));
    assert_eq!(settled.ledger.emitted, EMISSION);
}

#[test]
fn the_earliest_of_copies_earns() {
    let (rules, ledger) = (rules(), Ledger::default());
    let copy = |rows: u32, own: u32, shared: u32| {
        let mut script = script(&rules, &ledger, EVEN, 2);
        for number in [0, 1] {
            submit(&mut script, &ledger, number);
            all_tell(&mut script, miner(number), scored(250_000));
        }
        let most = Some(Shared { with: dataset(0), rows: shared });
        script.compare(Comparison { dataset: dataset(1), rows, own, most });
        let settled = run(&rules, &ledger, script);
        let second = line(&settled.report, miner(1));
        (second.standing, second.factors.map(|factors| factors.originality))
    };
    assert_eq!(copy(10, 5, 5), (Standing::Copy { of: dataset(0) }, None));
    // Below the threshold it is paid for what is its own.
    assert_eq!(copy(10, 6, 4), (Standing::Paid, Some(Ppm(600_000))));
}

#[test]
fn one_dataset_earns_once_whoever_and_whenever() {
    let (rules, ledger) = (rules(), Ledger::default());
    let mut first = script(&rules, &ledger, EVEN, 2);
    first.submit(miner(0), dataset(5), 9);
    first.submit(miner(1), dataset(5), 3);
    all_tell(&mut first, miner(1), scored(250_000));
    let settled = run(&rules, &ledger, first);
    let copy = Standing::Copy { of: dataset(5) };
    let standing = |settled: &Settled, number| line(&settled.report, miner(number)).standing;
    assert_eq!([0, 1].map(|number| standing(&settled, number)), [copy, Standing::Paid]);
    let mut again = script(&rules, &settled.ledger, EVEN, 1);
    again.submit(miner(0), dataset(5), 0);
    assert_eq!(standing(&run(&rules, &settled.ledger, again), 0), copy);
}

#[test]
fn a_founder_has_a_bonus_for_as_long_as_the_stage_says() {
    let mut rules = rules();
    let first = rules.stages[0];
    rules.stages[0] = Stage { founding_miner: Ppm(2_000_000), founders_before: Epoch(1), ..first };
    rules.stages.push(Stage { from_epoch: Epoch(2), ..first });
    let mut ledger = Ledger::default();
    let mut rewards: Vec<Vec<u64>> = vec![];
    for miners in [1, 2, 2] {
        let settled = epoch(&rules, &ledger, &vec![scored(150_000); miners]);
        rewards
            .push((0..miners as u64).map(|n| line(&settled.report, miner(n)).reward.0).collect());
        ledger = settled.ledger;
    }
    let expect: [Vec<u64>; 3] =
        [vec![700_000_000], vec![466_666_666, 233_333_333], vec![350_000_000; 2]];
    assert_eq!(rewards, expect);
}

/// What validator 0 does about the only submission; the others tell 250,000. Gives the settlement
/// of the second of two epochs, so that there is a bond.
fn conduct(
    rules: &Rules,
    act: impl Fn(&mut Script<'_>, HotkeyId, HotkeyId),
    judged: Option<Score>,
) -> Settled {
    let before = epoch(rules, &Ledger::default(), &[scored(250_000)]).ledger;
    let mut script = script(rules, &before, EVEN, 1);
    submit(&mut script, &before, 0);
    for number in [1, 2] {
        script.score(validator(number), miner(0), Some(scored(250_000)), false, 0);
    }
    act(&mut script, validator(0), miner(0));
    if let Some(judged) = judged {
        script.judge(before.epoch, miner(0), judged);
    }
    run(rules, &before, script)
}

/// The bond of the first epoch: a fifth of a third of 250,000,000.
const BOND: u64 = 16_666_666;

#[track_caller]
fn slashed(settled: &Settled, reason: SlashReason, amount: u64) {
    let slash = settled.report.slashes.iter().find(|slash| slash.validator == validator(0));
    let slash = slash.unwrap();
    assert_eq!((slash.reason, slash.amount), (reason, Rao(amount)));
    let line = validator_line(&settled.report, validator(0));
    assert_eq!(line.reward, Rao(0));
}

#[test]
fn a_score_that_a_replay_refutes_costs_reward_and_bond() {
    let wrong = |script: &mut Script<'_>, validator, miner| {
        script.score(validator, miner, Some(scored(999_000)), false, 0);
    };
    let settled = conduct(&rules(), wrong, Some(scored(250_000)));
    slashed(&settled, SlashReason::WrongScore, BOND / 2);
    let finding = line(&settled.report, miner(0)).finding.unwrap();
    assert_eq!((finding.basis, finding.score), (Basis::Judged, scored(250_000)));
    // What is forfeited is nobody's gain.
    let other = validator_line(&settled.report, validator(1));
    assert_eq!(other.reward, Rao(125_000_000));
}

#[test]
fn two_scores_for_one_assignment_cost_the_bond() {
    let both = |script: &mut Script<'_>, validator, miner| {
        script.score(validator, miner, Some(scored(250_000)), false, 0);
        let salt = Salt(SEED);
        let at = script.times().audited;
        let score = Some(scored(1));
        script.push(at, What::ScoreRevealed { validator, miner, score, salt });
    };
    slashed(&conduct(&rules(), both, None), SlashReason::Equivocation, BOND);
}

#[test]
fn a_challenge_has_to_be_answered() {
    let challenge = |holds: Option<bool>| {
        move |script: &mut Script<'_>, validator, miner| {
            script.score(validator, miner, Some(scored(250_000)), false, 0);
            let at = script.times().score_revealed;
            script.push(at, What::Challenged { validator, miner });
            if let Some(holds) = holds {
                script.push(Block(at.0 + 1), What::Answered { validator, miner, holds });
            }
        }
    };
    for holds in [None, Some(false)] {
        let settled = conduct(&rules(), challenge(holds), None);
        slashed(&settled, SlashReason::FailedAudit, BOND / 2);
    }
    let settled = conduct(&rules(), challenge(Some(true)), None);
    assert!(settled.report.slashes.is_empty());
    assert_eq!(validator_line(&settled.report, validator(0)).quality, Ppm(1_000_000));
}

#[test]
fn who_does_not_tell_earns_nothing_and_too_often_is_slashed() {
    // One of two within the window is more than a quarter.
    let settled = conduct(&rules(), |_, _, _| {}, None);
    slashed(&settled, SlashReason::Missing, BOND / 10);
    let mut tolerant = rules();
    tolerant.slashing.missing_tolerated = Ppm(500_000);
    assert!(conduct(&tolerant, |_, _, _| {}, None).report.slashes.is_empty());
}

/// What validator 0 does, how it is counted, and the slip that is noted.
#[track_caller]
fn counts(act: impl Fn(&mut Script<'_>, HotkeyId, HotkeyId), answer: AnswerKind, slip: Slip) {
    let settled = conduct(&rules(), act, None);
    let lines = &settled.report.assignments;
    let line = lines.iter().find(|line| line.validator == validator(0)).unwrap();
    assert_eq!(line.answer, answer);
    let notes = &settled.report.notes;
    assert!(notes.iter().any(|n| n.party == validator(0) && n.what == slip), "{notes:?}");
}

#[test]
fn scores_count_when_they_are_on_time_and_as_promised() {
    use dataforge_settle::score_commitment;
    let told = Some(scored(250_000));
    let salt = Salt(SEED);
    let commit = |script: &mut Script<'_>, at: Block, validator, miner| {
        let commitment = score_commitment(Epoch(1), validator, miner, &told, salt);
        script.push(at, What::ScoreCommitted { validator, miner, commitment });
    };
    let reveal = |script: &mut Script<'_>, at: Block, validator, miner, score| {
        script.push(at, What::ScoreRevealed { validator, miner, score, salt });
    };
    let late = |script: &mut Script<'_>, validator, miner| {
        let times = script.times();
        commit(script, times.audited, validator, miner);
        reveal(script, times.audited, validator, miner, told);
    };
    counts(late, AnswerKind::Missing, Slip::CommittedLate);
    // In time for an auditor alone.
    let when_audited = |script: &mut Script<'_>, validator, miner| {
        script.score(validator, miner, told, false, 100);
    };
    counts(when_audited, AnswerKind::Missing, Slip::CommittedLate);
    let revealed_late = |script: &mut Script<'_>, validator, miner| {
        let times = script.times();
        commit(script, times.revealed, validator, miner);
        reveal(script, times.score_revealed, validator, miner, told);
    };
    counts(revealed_late, AnswerKind::Missing, Slip::RevealedLate);
    let revealed_early = |script: &mut Script<'_>, validator, miner| {
        let times = script.times();
        commit(script, times.revealed, validator, miner);
        reveal(script, times.scored, validator, miner, told);
    };
    counts(revealed_early, AnswerKind::Missing, Slip::RevealedEarly);
    let other = |script: &mut Script<'_>, validator, miner| {
        let times = script.times();
        commit(script, times.revealed, validator, miner);
        reveal(script, times.audited, validator, miner, Some(scored(250_001)));
    };
    counts(other, AnswerKind::Invalid, Slip::Mismatch);
    let nothing = |script: &mut Script<'_>, validator, miner| {
        reveal(script, script.times().audited, validator, miner, told);
    };
    counts(nothing, AnswerKind::Missing, Slip::NotCommitted);
    let twice = |script: &mut Script<'_>, validator, miner| {
        script.score(validator, miner, told, false, 0);
        let at = script.times().early;
        commit(script, at, validator, miner);
    };
    counts(twice, AnswerKind::Scored, Slip::CommittedTwice);
    // A score that nobody asked for.
    let unasked = |script: &mut Script<'_>, validator, miner| {
        script.list(market::validator(9), Rao(1));
        let lottery = script.lottery().unwrap();
        let [asked, _] = script.asked(&lottery, miner);
        let who = [0, 1, 2, 9].map(market::validator).into_iter().find(|key| !asked.contains(key));
        script.score(who.unwrap(), miner, told, false, 0);
        assert_ne!(who, Some(validator));
    };
    let notes = conduct(&rules(), unasked, None).report.notes;
    assert!(notes.iter().any(|note| note.what == Slip::NotDrawn), "{notes:?}");
    // No proof is no score.
    let settled = conduct(
        &rules(),
        |script, validator, miner| script.score(validator, miner, None, false, 0),
        None,
    );
    let line = settled.report.assignments.iter().find(|line| line.validator == validator(0));
    assert_eq!(line.unwrap().answer, AnswerKind::Invalid);
}

#[test]
fn a_late_commitment_is_worth_less() {
    let timeliness = |after| {
        let act = move |script: &mut Script<'_>, validator, miner| {
            script.score(validator, miner, Some(scored(250_000)), false, after);
        };
        validator_line(&conduct(&rules(), act, None).report, validator(0)).quality
    };
    assert_eq!([0, 50, 75, 99].map(timeliness), [1_000_000, 1_000_000, 750_000, 510_000].map(Ppm));
}

/// An epoch in which the scores differ and nobody replays.
fn disputed(rules: &Rules) -> Settled {
    let before = epoch(rules, &Ledger::default(), &[scored(250_000)]).ledger;
    let mut script = script(rules, &before, EVEN, 1);
    submit(&mut script, &before, 0);
    for (number, lift) in [(0, 999_000), (1, 250_000), (2, 999_000)] {
        script.score(validator(number), miner(0), Some(scored(lift)), false, 0);
    }
    run(rules, &before, script)
}

#[test]
fn a_disputed_reward_is_held_until_a_replay_or_the_end_of_the_appeal() {
    let rules = rules();
    let settled = disputed(&rules);
    let disputed = line(&settled.report, miner(0));
    assert!(disputed.held && disputed.reward == Rao(700_000_000));
    let held = &settled.ledger.held[0];
    assert_eq!((held.amount, held.until), (Rao(700_000_000), Epoch(3)));
    assert!(matches!(held.reason, HeldFor::Dispute { .. }));
    let paid = |settled: &Settled| settled.ledger.accounts[&miner(0)].paid;
    let before = paid(&settled);

    // A replay that refutes it: the treasury's, and who said so is slashed, an epoch later.
    let mut judge = script(&rules, &settled.ledger, EVEN, 1);
    judge.judge(Epoch(1), miner(0), scored(250_000));
    let after = run(&rules, &settled.ledger, judge);
    assert_eq!(after.report.released[0].to, None);
    assert_eq!(paid(&after), before);
    let slashed: Vec<_> = after.report.slashes.iter().map(|slash| slash.validator).collect();
    assert!(slashed.contains(&validator(0)) && slashed.contains(&validator(2)));
    assert!(!slashed.contains(&validator(1)));

    // One that confirms it.
    let mut judge = script(&rules, &settled.ledger, EVEN, 1);
    judge.judge(Epoch(1), miner(0), scored(999_000));
    let after = run(&rules, &settled.ledger, judge);
    assert_eq!(paid(&after), Rao(before.0 + 700_000_000));
    assert_eq!(after.report.slashes[0].validator, validator(1));

    // None in time.
    let next = run(&rules, &settled.ledger, script(&rules, &settled.ledger, EVEN, 1));
    assert_eq!(paid(&next), before);
    let last = run(&rules, &next.ledger, script(&rules, &next.ledger, EVEN, 1));
    assert_eq!(paid(&last), Rao(before.0 + 700_000_000));
    assert!(last.ledger.held.is_empty());
}

#[test]
fn who_is_not_drawn_is_as_good_as_it_was() {
    let rules = rules();
    let quality = |ledger: &Ledger, submissions| {
        let settled = epoch(&rules, ledger, &vec![scored(250_000); submissions]);
        let line = validator_line(&settled.report, validator(0));
        (settled.ledger, line.drawn, line.quality)
    };
    let (never, drawn, first) = quality(&Ledger::default(), 0);
    assert_eq!((drawn, first), (0, Ppm(0)));
    let (good, drawn, second) = quality(&never, 1);
    assert_eq!((drawn, second), (1, Ppm(1_000_000)));
    let (_, drawn, third) = quality(&good, 0);
    assert_eq!((drawn, third), (0, Ppm(1_000_000)));
}

/// Two validators and an auditor for each submission.
fn two_and_an_auditor() -> Rules {
    let mut rules = rules();
    rules.draw.validators = std::num::NonZeroU32::new(2).unwrap();
    rules.draw.audited = Ppm(1_000_000);
    rules.draw.auditors = 1;
    rules
}

#[test]
fn a_score_withheld_from_an_audit_costs_what_a_wrong_one_does() {
    let rules = two_and_an_auditor();
    let before = epoch(&rules, &Ledger::default(), &[scored(250_000)]).ledger;
    let mut script = script(&rules, &before, EVEN, 1);
    submit(&mut script, &before, 0);
    let lottery = script.lottery().unwrap();
    let [asked, auditors] = script.asked(&lottery, miner(0));
    script.score(asked[0], miner(0), Some(scored(250_000)), false, 0);
    script.score(auditors[0], miner(0), Some(scored(250_000)), true, 0);
    let (at, commitment) = (script.times().revealed, dataforge_core::hash::Commitment([1; 32]));
    script.push(at, What::ScoreCommitted { miner: miner(0), validator: asked[1], commitment });
    let slashes = run(&rules, &before, script).report.slashes;
    assert_eq!((slashes[0].validator, slashes[0].reason), (asked[1], SlashReason::Withheld));
}

/// One of two validators and an auditor are wrong, and a replay tells an epoch later.
#[test]
fn an_auditor_on_the_wrong_side_of_a_dispute_is_slashed_too() {
    let rules = two_and_an_auditor();
    let before = epoch(&rules, &Ledger::default(), &[scored(250_000)]).ledger;
    let mut script = script(&rules, &before, EVEN, 1);
    submit(&mut script, &before, 0);
    let lottery = script.lottery().unwrap();
    let [asked, auditors] = script.asked(&lottery, miner(0));
    let (right, wrong) = (Some(scored(250_000)), Some(scored(999_000)));
    script.score(asked[0], miner(0), right, false, 0);
    script.score(asked[1], miner(0), wrong, false, 0);
    script.score(auditors[0], miner(0), wrong, true, 0);
    let disputed = run(&rules, &before, script).ledger;
    let mut judge = market::script(&rules, &disputed, EVEN, 1);
    judge.judge(Epoch(1), miner(0), scored(250_000));
    let slashes = run(&rules, &disputed, judge).report.slashes;
    let mut slashed: Vec<_> = slashes.iter().map(|slash| slash.validator).collect();
    slashed.sort();
    let mut expect = [asked[1], auditors[0]];
    expect.sort();
    assert_eq!(slashed, expect);
}

#[test]
fn no_lift_counts_for_more_than_there_is_to_learn() {
    let settled = epoch(&rules(), &Ledger::default(), &[scored(900_000_000), scored(1_000_000)]);
    let [first, second] = [0, 1].map(|number| line(&settled.report, miner(number)).reward);
    assert_eq!(first, second);
}

#[test]
fn fewer_rows_than_there_should_be_earn_in_proportion() {
    let (rules, ledger) = (rules(), Ledger::default());
    let mut script = script(&rules, &ledger, EVEN, 2);
    for (number, rows) in [(0, 10), (1, 5)] {
        submit(&mut script, &ledger, number);
        script.compare(Comparison { dataset: dataset(number), rows, own: rows, most: None });
        all_tell(&mut script, miner(number), scored(250_000));
    }
    let settled = run(&rules, &ledger, script);
    let originality = |number| line(&settled.report, miner(number)).factors.unwrap().originality;
    assert_eq!([0, 1].map(originality), [Ppm(1_000_000), Ppm(500_000)]);
}

#[test]
fn a_bond_is_paid_when_it_is_due() {
    let rules = rules();
    let mut ledger = epoch(&rules, &Ledger::default(), &[scored(250_000)]).ledger;
    let paid = |ledger: &Ledger| ledger.accounts[&validator(0)].paid.0;
    let first = paid(&ledger);
    assert_eq!(ledger.accounts[&validator(0)].bond[&Epoch(3)], Rao(BOND));
    // In epochs without submissions it earns as much again: four fifths at once.
    for bonds in [0, 0, 1] {
        let before = paid(&ledger);
        ledger = run(&rules, &ledger, script(&rules, &ledger, EVEN, 1)).ledger;
        assert_eq!(paid(&ledger), before + first + bonds * BOND);
    }
}

#[test]
fn advisory_scores_are_compared_by_distance_and_outliers_can_appeal() {
    let mut rules = rules();
    rules.profile = Profile::Advisory;
    // Scores 1,000 apart around the same lift: nobody is an outlier.
    let around = |script: &mut Script<'_>, ledger: &Ledger, odd: i64| {
        for number in 0..4 {
            submit(script, ledger, number);
            for (validator_number, lift) in [(0, odd), (1, 249_000), (2, 251_000)] {
                let score = Some(scored(lift));
                script.score(validator(validator_number), miner(number), score, false, 0);
            }
        }
    };
    let ledger = Ledger::default();
    let mut fair = script(&rules, &ledger, EVEN, 4);
    around(&mut fair, &ledger, 250_000);
    let fair = run(&rules, &ledger, fair);
    assert_eq!(line(&fair.report, miner(0)).finding.unwrap().basis, Basis::Median);
    assert!(fair.report.validators.iter().all(|line| line.quality == Ppm(1_000_000)));
    assert!(fair.ledger.held.is_empty());

    let mut odd = script(&rules, &fair.ledger, EVEN, 4);
    around(&mut odd, &fair.ledger, 400_000);
    let odd = run(&rules, &fair.ledger, odd);
    assert_eq!(validator_line(&odd.report, validator(0)).quality, Ppm(0));
    let slash = odd.report.slashes[0];
    assert_eq!((slash.reason, slash.held), (SlashReason::Outlier, true));
    // It was right after all.
    let (of, whose) = slash.about.unwrap();
    let mut appeal = script(&rules, &odd.ledger, EVEN, 4);
    appeal.judge(of, whose, scored(400_000));
    let after = run(&rules, &odd.ledger, appeal);
    assert_eq!(after.report.released[0].to, Some(validator(0)));
}

#[test]
fn auditors_are_drawn_besides_and_are_paid() {
    let mut rules = rules();
    rules.draw.validators = std::num::NonZeroU32::new(2).unwrap();
    rules.draw.audited = Ppm(1_000_000);
    rules.draw.auditors = 1;
    let settled = epoch(&rules, &Ledger::default(), &[scored(250_000)]);
    let audits: Vec<bool> = settled.report.assignments.iter().map(|line| line.audit).collect();
    assert_eq!(audits, [false, false, true]);
    assert!(settled.report.validators.iter().all(|line| line.reward > Rao(0)));
}

/// Every seven epochs another set of hidden rows serves, and with it another spec.
#[test]
fn hidden_rows_take_turns() {
    let mut rules = rules();
    rules.domains[0].specs = [1, 2].map(|spec| SpecId([spec; 32])).to_vec();
    let spec = |epoch| rules.spec(Epoch(epoch)).unwrap().0[0];
    let turns: Vec<u8> = [0, 6, 7, 13, 14, 21].map(spec).to_vec();
    assert_eq!(turns, [1, 1, 2, 2, 1, 2]);

    // With two domains, turns are counted in the epochs of each: none of its specs is passed over.
    let mut other = rules.domains[0].clone();
    other.specs = [3, 4].map(|spec| SpecId([spec; 32])).to_vec();
    rules.domains.push(other);
    rules.benchmark_epochs = std::num::NonZeroU32::MIN;
    let spec = |epoch| rules.spec(Epoch(epoch)).unwrap().0[0];
    assert_eq!([0, 1, 2, 3, 4, 5].map(spec), [1, 3, 2, 4, 1, 3]);
}

#[test]
fn what_miners_do_too_late_does_not_count() {
    let (rules, ledger) = (rules(), Ledger::default());
    let mut script = script(&rules, &ledger, EVEN, 3);
    // Committed late, committed and never revealed, revealed as another.
    script.submit(miner(0), dataset(0), 100);
    let times = script.times();
    let commitment = dataforge_core::hash::Commitment([1; 32]);
    for number in [1, 2] {
        script.push(times.start, What::Committed { miner: miner(number), commitment });
    }
    let (miner_2, salt) = (miner(2), Salt(AUDITS));
    let spec = rules.domains[0].specs[0];
    let reveal = What::Revealed { miner: miner_2, dataset: dataset(2), spec, salt };
    script.push(times.committed, reveal);
    let settled = settle(&rules, &ledger, &script.finish()).unwrap();
    let report = &settled.report;
    assert!(report.submissions.iter().all(|line| line.miner != miner(0)));
    assert_eq!(line(report, miner(1)).standing, Standing::NotRevealed);
    assert_eq!(line(report, miner(2)).standing, Standing::Mismatch);
    let mut slips: Vec<Slip> = report.notes.iter().map(|note| note.what).collect();
    slips.sort();
    assert_eq!(slips, [Slip::CommittedLate, Slip::NotCommitted, Slip::Mismatch]);
}
