//! Scenarios whose datasets are made and evaluated by a trainer.

#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

mod market;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::ControlFlow;

use dataforge_core::hash::{DatasetDigest, EpochSeed, Hasher};
use dataforge_core::units::{MicroNats, Ppm};
use dataforge_settle::simulate::{
    Attack, Copying, Costs, Failed, MinerStrategy, Moment, Population, Quality, Replays, Response,
    Ring, Scenario, ScenarioError, SimulateError, Simulation, Skill, Swarming, Trainer, Training,
    ValidatorStrategy, simulate,
};
use dataforge_settle::{Comparison, Epoch, Lift, Outcome, Rao, Score, compare};

const ROWS: u32 = 10;

/// Datasets as lists of numbers, of which the right ones teach.
#[derive(Default)]
struct Numbers {
    datasets: BTreeMap<DatasetDigest, Vec<(EpochSeed, u32, bool)>>,
    replays: u32,
    /// Asked for an evaluation, it fails.
    broken: bool,
}

impl Numbers {
    fn keep(&mut self, rows: Vec<(EpochSeed, u32, bool)>) -> DatasetDigest {
        let mut hasher = Hasher::new("dataforge/test/numbers/v1");
        for (name, number, right) in &rows {
            hasher.update(name.0).update(number.to_le_bytes()).update([u8::from(*right)]);
        }
        let digest = hasher.finish();
        self.datasets.insert(digest, rows);
        digest
    }

    fn score(&self, of: DatasetDigest, seeds: &[EpochSeed]) -> Score {
        let rows = &self.datasets[&of];
        let right = rows.iter().filter(|(.., right)| *right).count() as i64;
        let lift = MicroNats(90_000 * right);
        let mut hasher = Hasher::new("dataforge/test/proof/v1");
        hasher.update(of.0);
        for seed in seeds {
            hasher.update(seed.0);
        }
        let proof = hasher.finish();
        Score { proof, outcome: Outcome::Scored(Lift { all: lift, hidden: lift, bound: lift }) }
    }
}

impl Trainer for Numbers {
    fn make(&mut self, name: EpochSeed, right: Ppm) -> Result<DatasetDigest, Failed> {
        let right = |row: u32| row * 1_000_000 < ROWS * right.0;
        Ok(self.keep((0..ROWS).map(|row| (name, row, right(row))).collect()))
    }

    fn reorder(&mut self, of: DatasetDigest, number: u32) -> Result<DatasetDigest, Failed> {
        let mut rows = self.datasets[&of].clone();
        rows.rotate_left(1 + number as usize % (ROWS as usize - 1));
        Ok(self.keep(rows))
    }

    fn part(
        &mut self,
        of: DatasetDigest,
        number: u32,
        parts: u32,
    ) -> Result<DatasetDigest, Failed> {
        let rows = self.datasets[&of].iter().filter(|(_, row, _)| row % parts == number);
        let rows = rows.copied().collect();
        Ok(self.keep(rows))
    }

    fn evaluate(&mut self, of: DatasetDigest, seeds: &[EpochSeed]) -> Result<Score, Failed> {
        if self.broken { Err(Failed) } else { Ok(self.score(of, seeds)) }
    }

    fn replay(&mut self, of: DatasetDigest, seeds: &[EpochSeed]) -> Result<Score, Failed> {
        self.replays += 1;
        Ok(self.score(of, seeds))
    }

    fn compare(&mut self, datasets: &[DatasetDigest]) -> Result<Vec<Comparison>, Failed> {
        let rows: Vec<_> = datasets.iter().map(|of| (*of, &self.datasets[of][..])).collect();
        Ok(compare(&rows))
    }
}

fn count(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

/// Three good miners and a coalition that makes mediocre data.
fn scenario(miners: u32, miner: MinerStrategy) -> Scenario {
    let quality = |name: &str, right| Quality { name: name.to_owned(), right: Ppm(right) };
    Scenario {
        name: "test".to_owned(),
        about: "A test.".to_owned(),
        rules: "rules.toml".to_owned(),
        seed: EpochSeed([5; 32]),
        epochs: count(3),
        replications: count(1),
        market: Population {
            stake: Rao(1_000_000_000),
            validators: count(6),
            miners: vec![Skill { quality: "good".to_owned(), count: 3 }],
        },
        costs: Costs { dataset: Rao(1), copy: Rao(1), evaluation: Rao(1), hotkey: Rao(1) },
        replays: Replays {
            disputed: Ppm(1_000_000),
            unanimous: Ppm(0),
            wronged: Ppm(0),
            appealed: Ppm(0),
        },
        response: vec![],
        training: Some(Training {
            spec: "test@1".to_owned(),
            rows: count(ROWS),
            quality: vec![quality("good", 1_000_000), quality("poor", 500_000)],
        }),
        attack: Attack {
            stakes: vec![Ppm(0)],
            validators: 0,
            miners,
            honest_miners: miners,
            quality: "poor".to_owned(),
            from_epoch: Epoch(0),
            miner,
            validator: ValidatorStrategy::Honest,
        },
    }
}

fn play(scenario: &Scenario, trainer: &mut Numbers) -> Result<Simulation, SimulateError> {
    simulate(scenario, &market::rules(), Some(trainer), &mut |_| ControlFlow::Continue(()))
}

/// What an attack earns, in parts per million of honest work.
fn gain(scenario: &Scenario) -> i64 {
    play(scenario, &mut Numbers::default()).unwrap().lines[0].profit_over_honest
}

#[test]
fn what_is_trained_is_what_is_paid() {
    assert_eq!(gain(&scenario(1, MinerStrategy::Honest)), 0);
    let better = gain(&scenario(1, MinerStrategy::Cheap { quality: "good".to_owned() }));
    assert!(better > 0, "good data earns no more than poor: {better}");
    // There is nothing to copy in the first epoch, and nothing is paid for a copy.
    for way in [Copying::Verbatim, Copying::Reordered] {
        assert!(gain(&scenario(1, MinerStrategy::CopyPeers { way })) < -999_000);
    }
}

#[test]
fn one_dataset_earns_once() {
    for way in [Swarming::Same, Swarming::Reordered] {
        assert!(gain(&scenario(3, MinerStrategy::Swarm { way })) < -500_000);
    }
    // A part has fewer rows, and here they teach less than in proportion.
    let way = Swarming::Split { quality: "nothing is assumed".to_owned() };
    assert!(gain(&scenario(2, MinerStrategy::Swarm { way })) < -500_000);
}

#[test]
fn a_false_score_is_replayed_by_the_trainer() {
    let mut of = scenario(1, MinerStrategy::Honest);
    let boost = Some(MicroNats(1_000_000));
    let ring = Ring { when: Moment::Always, boost, censor: false, withhold: false };
    let validator = ValidatorStrategy::Ring(ring);
    of.attack = Attack { stakes: vec![Ppm(400_000)], validators: 3, validator, ..of.attack };
    let mut trainer = Numbers::default();
    let line = play(&of, &mut trainer).unwrap().lines[0].clone();
    assert!(trainer.replays > 0 && line.slashed > 0 && line.profit_over_honest < 0, "{line:?}");
}

#[test]
fn what_cannot_be_trained_is_refused() {
    let refused = |change: &dyn Fn(&mut Scenario), reason: &str| {
        let mut scenario = scenario(1, MinerStrategy::Honest);
        change(&mut scenario);
        let error = scenario.check().unwrap_err().to_string();
        assert_eq!(error, reason);
    };
    let training = |of: &mut Scenario| of.training.clone().unwrap();
    refused(
        &|of| {
            let [mean, deviation, bound_below] = [MicroNats(0); 3];
            let quality = "good".to_owned();
            of.response.push(Response { quality, mean, deviation, bound_below });
        },
        "[[response]] assumes what [training] finds out: one of them",
    );
    refused(&|of| of.attack.quality.clear(), "nothing is said of the quality \"\"");
    refused(
        &|of| of.training = Some(Training { rows: count(1_001), ..training(of) }),
        "training.rows is 1001, more than 1000",
    );
    refused(
        &|of| of.training.as_mut().unwrap().quality[1].name = "good".to_owned(),
        "two qualities are named \"good\"",
    );
    refused(
        &|of| of.training.as_mut().unwrap().quality[1].right = Ppm(1_000_001),
        "training.quality.right is 1000001 ppm, more than the whole",
    );
    refused(
        &|of| {
            let way = Copying::Paraphrased { found: Ppm(0) };
            of.attack.miner = MinerStrategy::CopyPeers { way };
        },
        "attack.miner is paraphrased, which is assumed and cannot be trained on",
    );
    refused(
        &|of| (of.attack.miners, of.attack.honest_miners) = (10, 0),
        "attack.miners is 10, more than 9",
    );
    refused(
        &|of| of.replications = count(200),
        "epochs · replications · stakes · parties is 6000, more than 5000",
    );
    let of = scenario(1, MinerStrategy::Honest);
    let alone = simulate(&of, &market::rules(), None, &mut |_| ControlFlow::Continue(()));
    assert_eq!(alone, Err(SimulateError::NoTrainer));
    let mut broken = Numbers { broken: true, ..Numbers::default() };
    assert_eq!(play(&of, &mut broken), Err(SimulateError::Trainer));
    let none = Scenario { epochs: count(u32::MAX), ..of };
    assert!(matches!(
        play(&none, &mut broken),
        Err(SimulateError::Scenario(ScenarioError::TooLarge { .. }))
    ));
}
