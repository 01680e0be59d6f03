//! What simulated attacks come to, and which scenarios are refused.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

mod market;

use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::path::Path;

use dataforge_core::hash::EpochSeed;
use dataforge_core::units::{MicroNats, Ppm};
use dataforge_settle::simulate::{
    Attack, AttackLine, Copying, Costs, MinerStrategy, Moment, Population, Replays, Response, Ring,
    Scenario, ScenarioError, SimulateError, Simulation, Skill, Swarming, ValidatorStrategy,
    simulate,
};
use dataforge_settle::{Epoch, Rao, Rules};

const EPOCHS: u32 = 6;
const TOP: MicroNats = MicroNats(1_000_000_000);

fn count(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

fn response(quality: &str, mean: i64, deviation: i64) -> Response {
    let [mean, deviation, bound_below] = [mean, deviation, 50_000].map(MicroNats);
    Response { quality: quality.to_owned(), mean, deviation, bound_below }
}

/// A market of ten miners and ten validators, and a coalition that works honestly.
fn scenario() -> Scenario {
    Scenario {
        name: "test".to_owned(),
        about: "A test.".to_owned(),
        rules: "rules.toml".to_owned(),
        seed: EpochSeed([5; 32]),
        epochs: count(EPOCHS),
        replications: count(4),
        market: Population {
            stake: Rao(1_000_000_000),
            validators: count(10),
            miners: vec![Skill { quality: "good".to_owned(), count: 10 }],
        },
        costs: Costs {
            dataset: Rao(10_000_000),
            copy: Rao(100_000),
            evaluation: Rao(200_000),
            hotkey: Rao(50_000),
        },
        replays: Replays {
            disputed: Ppm(1_000_000),
            unanimous: Ppm(0),
            wronged: Ppm(1_000_000),
            appealed: Ppm(0),
        },
        response: vec![
            response("good", 900_000, 50_000),
            response("half", 500_000, 50_000),
            response("garbage", -9_000_000, 500_000),
        ],
        training: None,
        attack: Attack {
            stakes: vec![Ppm(0)],
            validators: 0,
            miners: 1,
            honest_miners: 1,
            quality: "good".to_owned(),
            from_epoch: Epoch(0),
            miner: MinerStrategy::Honest,
            validator: ValidatorStrategy::Honest,
        },
    }
}

fn test_rules() -> Rules {
    let mut rules = market::rules();
    rules.draw.audited = Ppm(500_000);
    rules.draw.auditors = 1;
    rules
}

fn run(scenario: &Scenario) -> Simulation {
    simulate(scenario, &test_rules(), None, &mut |_| ControlFlow::Continue(())).unwrap()
}

fn line(scenario: &Scenario) -> AttackLine {
    run(scenario).lines[0].clone()
}

fn miner_does(miner: MinerStrategy) -> AttackLine {
    let mut scenario = scenario();
    scenario.attack.miner = miner;
    line(&scenario)
}

/// Of a coalition with half of the stake, which has worked for two epochs: who never did has no
/// bond to lose.
fn validators(validator: ValidatorStrategy) -> AttackLine {
    let mut scenario = scenario();
    scenario.attack = Attack {
        stakes: vec![Ppm(500_000)],
        validators: 4,
        from_epoch: Epoch(2),
        validator,
        ..scenario.attack
    };
    line(&scenario)
}

fn ring(when: Moment, boost: Option<MicroNats>, censor: bool, withhold: bool) -> ValidatorStrategy {
    ValidatorStrategy::Ring(Ring { when, boost, censor, withhold })
}

/// What a miner loses who earns nothing and has this cost in some of the epochs.
#[track_caller]
fn earns_nothing(line: &AttackLine, cost: i64, epochs: i64) {
    assert_eq!(line.attack, -cost * epochs / i64::from(EPOCHS));
    assert!(line.high < -1_000_000, "{line:?}");
}

#[test]
fn honest_work_is_worth_what_honest_work_is_worth() {
    let line = miner_does(MinerStrategy::Honest);
    assert_eq!((line.profit_over_honest, line.low, line.high), (0, 0, 0));
    assert!(line.honest > 0);
}

#[test]
fn garbage_and_copies_earn_nothing() {
    let cheap = MinerStrategy::Cheap { quality: "garbage".to_owned() };
    earns_nothing(&miner_does(cheap), 150_000, 6);
    // In the first epoch there is nothing to copy.
    for way in
        [Copying::Verbatim, Copying::Reordered, Copying::Paraphrased { found: Ppm(1_000_000) }]
    {
        earns_nothing(&miner_does(MinerStrategy::CopyPeers { way }), 150_000, 5);
    }
    let found = Ppm(1_000_000);
    let public = MinerStrategy::CopyPublic { quality: "good".to_owned(), found };
    earns_nothing(&miner_does(public), 150_000, 6);
}

#[test]
fn a_paraphrase_is_paid_for_what_is_not_found() {
    let found = |found| {
        let way = Copying::Paraphrased { found: Ppm(found) };
        miner_does(MinerStrategy::CopyPeers { way }).attack
    };
    assert!(found(0) > found(250_000) && found(250_000) > 0);
}

#[test]
fn only_hidden_rows_pay() {
    let lift = MicroNats(2_000_000);
    let overfit = |known, known_hidden| {
        let (known, known_hidden) = (Ppm(known), Ppm(known_hidden));
        miner_does(MinerStrategy::Overfit { known, known_hidden, lift })
    };
    assert_eq!(overfit(500_000, 0).profit_over_honest, 0);
    assert!(overfit(500_000, 200_000).low > 0);
}

#[test]
fn trying_seeds_costs_what_it_costs() {
    let line = miner_does(MinerStrategy::GrindSeeds { tries: count(10) });
    assert_eq!(line.attack - line.honest, -2_000_000);
}

#[test]
fn one_dataset_earns_no_more_as_many() {
    let swarm = |way| {
        let mut scenario = scenario();
        scenario.attack.miners = 5;
        scenario.attack.miner = MinerStrategy::Swarm { way };
        line(&scenario)
    };
    // Four more hotkeys that earn nothing.
    for way in [Swarming::Same, Swarming::Reordered] {
        let line = swarm(way);
        assert_eq!(line.attack - line.honest, -200_000, "{line:?}");
    }
}

#[test]
fn who_turns_to_garbage_stops_earning() {
    let mut scenario = scenario();
    scenario.attack.from_epoch = Epoch(3);
    scenario.attack.miner = MinerStrategy::Cheap { quality: "garbage".to_owned() };
    let line = line(&scenario);
    assert!(line.attack > 0 && line.high < -300_000, "{line:?}");
}

#[test]
fn validators_who_do_not_work_lose() {
    for strategy in [ValidatorStrategy::Offline, ValidatorStrategy::Late { blocks: 100 }] {
        let line = validators(strategy);
        assert!(line.high < -300_000 && line.slashed > 0, "{line:?}");
    }
    // Half of the timeliness, and no slash.
    let late = validators(ValidatorStrategy::Late { blocks: 99 });
    assert!(late.high < 0 && late.slashed == 0, "{late:?}");
}

#[test]
fn false_scores_are_refuted_and_slashed() {
    for strategy in [
        ValidatorStrategy::Lazy,
        ValidatorStrategy::Noise { share: Ppm(200_000), deviation: MicroNats(50_000) },
        ValidatorStrategy::Equivocate { share: Ppm(200_000) },
        ring(Moment::Always, None, true, false),
        ring(Moment::Majority, None, true, false),
        ring(Moment::Unanimous, None, true, false),
    ] {
        let line = validators(strategy.clone());
        assert!(line.high < 0 && line.slashed > 0, "{strategy:?} {line:?}");
    }
}

#[test]
fn a_pool_saves_evaluations_and_nothing_else() {
    let line = validators(ValidatorStrategy::Pool);
    let saved = line.attack - line.honest;
    // At most three of eleven submissions' four evaluations.
    assert!(saved > 0 && saved <= 11 * 3 * 200_000 && line.slashed == 0, "{line:?}");
}

#[test]
fn a_ring_among_itself_is_caught_by_auditors_or_replays_alone() {
    let boost = |withhold, unanimous, audited| {
        let mut scenario = scenario();
        scenario.replays.unanimous = Ppm(unanimous);
        let validator = ring(Moment::Unanimous, Some(TOP), false, withhold);
        let stakes = vec![Ppm(600_000)];
        scenario.attack = Attack { stakes, validators: 6, validator, ..scenario.attack };
        let mut rules = test_rules();
        rules.draw.audited = Ppm(audited);
        let go = &mut |_| ControlFlow::Continue(());
        simulate(&scenario, &rules, None, go).unwrap().lines[0].clone()
    };
    let unseen = boost(false, 0, 0);
    assert!(unseen.low > 0 && unseen.slashed == 0, "{unseen:?}");
    assert!(boost(false, 0, 1_000_000).slashed > 0);
    let replayed = boost(false, 1_000_000, 0);
    assert!(replayed.high < 0 && replayed.slashed > 0, "{replayed:?}");
    // What is not revealed once an auditor is drawn earns nothing.
    let withheld = boost(true, 0, 1_000_000);
    assert!(withheld.attack < unseen.attack, "{withheld:?}");
}

#[test]
fn what_is_held_can_be_appealed() {
    let disputed = |appealed| {
        let mut scenario = scenario();
        scenario.replays.disputed = Ppm(0);
        scenario.replays.appealed = Ppm(appealed);
        let validator = ring(Moment::Always, Some(TOP), false, false);
        let stakes = vec![Ppm(600_000)];
        scenario.attack = Attack { stakes, validators: 6, validator, ..scenario.attack };
        line(&scenario)
    };
    let (never, always) = (disputed(0), disputed(1_000_000));
    assert!(never.attack > always.attack && always.slashed > never.slashed);
}

#[test]
fn a_scenario_is_the_same_everywhere() {
    let mut scenario = scenario();
    scenario.replications = count(2);
    scenario.attack = Attack {
        stakes: vec![Ppm(100_000), Ppm(400_000)],
        validators: 3,
        miners: 2,
        honest_miners: 2,
        from_epoch: Epoch(2),
        miner: MinerStrategy::CopyPeers { way: Copying::Paraphrased { found: Ppm(300_000) } },
        validator: ring(Moment::Majority, Some(TOP), true, true),
        ..scenario.attack
    };
    let simulation = run(&scenario);
    let show = |of: &AttackLine| format!("{} {} {}", of.profit_over_honest, of.low, of.high);
    let lines = simulation.lines.iter().map(show);
    let found = lines.chain([simulation.runs.to_string()]).collect::<Vec<_>>().join("\n") + "\n";
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden-simulation.txt");
    if std::env::var_os("DATAFORGE_REFRESH").is_some() {
        std::fs::write(&golden, &found).unwrap();
    }
    assert_eq!(found, std::fs::read_to_string(&golden).unwrap());
}

#[test]
fn a_simulation_can_be_stopped() {
    let mut steps = 0;
    let stopped = simulate(&scenario(), &test_rules(), None, &mut |done| {
        steps += 1;
        if done.pairs == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!((stopped, steps), (Err(SimulateError::Stopped), 2));
}

#[track_caller]
fn refused(change: impl Fn(&mut Scenario), reason: &str) {
    let mut scenario = scenario();
    change(&mut scenario);
    assert_eq!(scenario.check().unwrap_err().to_string(), reason);
}

#[test]
fn what_cannot_be_run_is_refused_with_the_reason() {
    refused(
        |of| of.replays.disputed = Ppm(1_000_001),
        "replays.disputed is 1000001 ppm, more than the whole",
    );
    refused(
        |of| of.attack.stakes = vec![Ppm(2_000_000)],
        "attack.stakes is 2000000 ppm, more than the whole",
    );
    refused(
        |of| of.attack.stakes = vec![Ppm(1_000_000)],
        "attack.stakes has the whole stake: nobody else is left",
    );
    refused(
        |of| of.attack.stakes = vec![],
        "attack.stakes is empty; a coalition of miners alone has [0]",
    );
    refused(
        |of| of.attack.stakes = vec![Ppm(5)],
        "a stake of 5 ppm does not go with attack.validators",
    );
    refused(
        |of| of.attack.stakes = vec![Ppm(0), Ppm(0)],
        "attack.stakes is not in ascending order",
    );
    refused(|of| of.attack.miners = 501, "attack.miners is 501, more than 500");
    refused(|of| of.attack.honest_miners = 2, "attack.honest_miners is 2, more than 1");
    refused(
        |of| (of.attack.miners, of.attack.honest_miners) = (0, 0),
        "the coalition has neither validators nor miners",
    );
    refused(
        |of| of.market.miners[0].count = u32::MAX,
        "market.miners is 4294967295, more than 500",
    );
    refused(
        |of| of.epochs = NonZeroU32::MAX,
        "epochs · replications · stakes · parties is 360777252780, more than 100000000",
    );
    refused(
        |of| of.market.stake = Rao(0),
        "market.stake is 0 units: too few to be split, or more than there are",
    );
    refused(
        |of| of.costs.dataset = Rao(u64::MAX),
        "costs.dataset is 18446744073709551615, more than 70368744177664",
    );
    refused(|of| of.attack.quality = "best".to_owned(), "nothing is said of the quality \"best\"");
    refused(|of| of.response.push(of.response[0].clone()), "two qualities are named \"good\"");
    refused(
        |of| of.response[0].deviation = MicroNats(-1),
        "the response \"good\" has an impossible mean, deviation or bound",
    );
    refused(
        |of| {
            let boost = Some(MicroNats(1_000_000_001));
            of.attack.validator = ring(Moment::Always, boost, false, false);
        },
        "attack.validator.boost is +1000.000001, beyond every lift",
    );
    refused(|of| of.name.clear(), "name is empty, or longer than 1000 bytes");
    let mut bad = scenario();
    bad.attack.stakes.clear();
    let refused = simulate(&bad, &test_rules(), None, &mut |_| ControlFlow::Continue(()));
    assert_eq!(refused, Err(SimulateError::Scenario(ScenarioError::NoStakes)));
}
