//! What holds within any honest proof, and can be checked without computing anything again.
//!
//! In order of what is needed: the proof alone, its spec, the revealed benchmark. None of it shows
//! that the numbers were computed; all of it is milliseconds.

use crate::benchmark::Benchmark;
use crate::hash::{BenchmarkRoot, SpecId, StateRoot};
use crate::limits::CANDIDATES_MAX;
use crate::proof::{End, Measurement, Metrics, RowResult, Run, ScoreProof, StepRecord, Whose};
use crate::score;
use crate::spec::{PinnedSpec, Recipe, Spec};
use crate::units::{MicroNats, StepIndex};

/// A proof contradicts itself, its spec or its benchmark.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// A record is not where its number says.
    #[error("{run}step {}: the record in its place has another number", place.0)]
    StepNumber {
        /// Whose.
        run: Whose,
        /// The place.
        place: StepIndex,
    },
    /// Other than all steps of the plan were taken.
    #[error("{run}{found} steps were taken of a plan of {planned}")]
    StepCount {
        /// Whose.
        run: Whose,
        /// Records.
        found: usize,
        /// Batches.
        planned: u32,
    },
    /// A state root is missing, or is where none is due.
    #[error("{run}step {}: a state root is {}", place.0, if *due { "missing" } else { "not due" })]
    StateRoot {
        /// Whose.
        run: Whose,
        /// The step.
        place: StepIndex,
        /// Whether one is due.
        due: bool,
    },
    /// The state that was scored is not the one that training ended with.
    #[error("{run}final state: training ended with {trained}, but {scored} was scored")]
    FinalState {
        /// Whose.
        run: Whose,
        /// After the last step.
        trained: StateRoot,
        /// Said to be scored.
        scored: StateRoot,
    },
    /// A benchmark row's result is impossible.
    #[error("{run}benchmark row {row}: {reason}")]
    Row {
        /// Whose.
        run: Whose,
        /// Counted from 1.
        row: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// Another number of benchmark rows than the spec has evaluations measured on.
    #[error("{run}{found} benchmark rows, the spec says {committed}")]
    RowCount {
        /// Whose.
        run: Whose,
        /// Results.
        found: usize,
        /// In the spec.
        committed: u32,
    },
    /// Both runs are of the same rows.
    #[error("control: it was trained on another number of rows or batches than the model")]
    ControlPlan,
    /// The score rule asks for a control that is not there, or the other way round.
    #[error("control: {}", if *due { "the score rule asks for one" } else { "none is due" })]
    Control {
        /// Whether one is due.
        due: bool,
    },
    /// A proof of a run that diverged claims a lift.
    #[error("lift: a run diverged, but the proof claims {}", .0.display())]
    LiftOfDiverged(MicroNats),
    /// Made under another spec.
    #[error("the proof is for spec {proven}, not {given}")]
    Spec {
        /// In the proof.
        proven: SpecId,
        /// At hand.
        given: SpecId,
    },
    /// Made against another benchmark.
    #[error("the proof is for benchmark {proven}, not {given}")]
    Benchmark {
        /// In the proof.
        proven: BenchmarkRoot,
        /// At hand.
        given: BenchmarkRoot,
    },
    /// Rows, batch size and passes of the spec make another number of batches.
    #[error("{run}{rows} rows make {due} batches, the plan has {found}")]
    BatchCount {
        /// Whose.
        run: Whose,
        /// Rows of the plan.
        rows: u32,
        /// Batches that they make.
        due: u64,
        /// Batches of the plan.
        found: u32,
    },
    /// Not as many rows as the spec accepts.
    #[error("the plan has {0} rows, which the spec does not accept")]
    Rows(u32),
    /// The lift does not follow from the metrics.
    #[error("lift: the metrics give {}, the proof says {}", due.display(), proven.display())]
    Lift {
        /// By the spec's rule.
        due: MicroNats,
        /// In the proof.
        proven: MicroNats,
    },
    /// The metrics do not follow from the rows.
    #[error("{run}metrics: they do not follow from the results of the benchmark's rows")]
    Metrics {
        /// Whose.
        run: Whose,
    },
}

impl ScoreProof {
    /// Checks that the proof does not contradict itself.
    ///
    /// # Errors
    /// The first [`Fault`], in the order in which a run computes things.
    pub fn check(&self) -> Result<(), Fault> {
        let Some(training) = &self.training else { return Ok(()) };
        for (whose, run) in training.runs() {
            run.check(whose, training.initial_state)?;
        }
        if let Some(control) = &training.control {
            let counts = |run: &Run| (run.plan.rows.count, run.plan.batches.count);
            if counts(control) != counts(&training.model) {
                return Err(Fault::ControlPlan);
            }
            if training.model.measured().is_none() {
                return Err(Fault::Control { due: false });
            }
        }
        if self.scored().is_none() && training.lift != MicroNats(0) {
            return Err(Fault::LiftOfDiverged(training.lift));
        }
        Ok(())
    }

    /// Checks all that [`Self::check`] does, and that the proof is what its spec asks for: its
    /// steps, roots, rows, control, and the lift that follows from the metrics.
    ///
    /// # Errors
    /// The first [`Fault`].
    pub fn check_against(&self, pinned: &PinnedSpec) -> Result<(), Fault> {
        let (proven, given) = (self.inputs.spec, pinned.id());
        if proven != given {
            return Err(Fault::Spec { proven, given });
        }
        let spec = pinned.spec();
        let (proven, given) = (self.inputs.benchmark, spec.benchmark.root);
        if proven != given {
            return Err(Fault::Benchmark { proven, given });
        }
        self.check()?;
        let Some(training) = &self.training else { return Ok(()) };
        for (whose, run) in training.runs() {
            run.check_against(whose, spec)?;
        }
        let due = training.control_due(spec);
        if due != training.control.is_some() {
            return Err(Fault::Control { due });
        }
        let (due, proven) = (training.lift_due(spec), training.lift);
        if due != proven {
            return Err(Fault::Lift { due, proven });
        }
        Ok(())
    }

    /// Checks that choice loss, accuracy and answer NLL follow from the results of the rows that
    /// the seed draws, now that the benchmark is revealed. The nats per token need the tokenizer,
    /// and so a replay.
    ///
    /// # Errors
    /// The first [`Fault`].
    pub fn check_metrics(&self, benchmark: &Benchmark) -> Result<(), Fault> {
        let (proven, given) = (self.inputs.benchmark, benchmark.root());
        if proven != given {
            return Err(Fault::Benchmark { proven, given });
        }
        let measured = benchmark.measured(&self.inputs.seed);
        let answers: Vec<u32> = measured.iter().map(|row| row.answer).collect();
        let Some(training) = &self.training else { return Ok(()) };
        for (whose, run) in training.runs() {
            let Some(measured) = run.measured() else { continue };
            let token_nll = measured.metrics.token_nll;
            let due = Metrics { token_nll, ..score::metrics(&measured.rows, &answers, 1) };
            if due != measured.metrics {
                return Err(Fault::Metrics { run: whose });
            }
        }
        Ok(())
    }
}

impl Run {
    fn check(&self, run: Whose, initial: StateRoot) -> Result<(), Fault> {
        let planned = self.plan.batches.count;
        let found = self.steps.len();
        let all = u32::try_from(found) == Ok(planned);
        let too_many = u32::try_from(found).is_ok_and(|found| found > planned);
        for (place, record) in (0..).map(StepIndex).zip(&self.steps) {
            if record.step != place {
                return Err(Fault::StepNumber { run, place });
            }
        }
        match &self.end {
            End::Diverged if too_many => Err(Fault::StepCount { run, found, planned }),
            End::Diverged => Ok(()),
            End::Measured(_) if !all => Err(Fault::StepCount { run, found, planned }),
            End::Measured(measurement) => {
                let trained = match self.steps.last() {
                    None => initial,
                    Some(StepRecord { state: Some(root), .. }) => *root,
                    Some(StepRecord { step, .. }) => {
                        return Err(Fault::StateRoot { run, place: *step, due: true });
                    }
                };
                let scored = measurement.final_state;
                if trained != scored {
                    return Err(Fault::FinalState { run, trained, scored });
                }
                measurement.check(run)
            }
        }
    }

    fn check_against(&self, run: Whose, spec: &Spec) -> Result<(), Fault> {
        let recipe: &Recipe = &spec.training;
        let (rows, found) = (self.plan.rows.count, self.plan.batches.count);
        if rows < spec.rows.count_min.get() || rows > spec.rows.count_max.get() {
            return Err(Fault::Rows(rows));
        }
        let pass = u64::from(rows.div_ceil(recipe.batch_rows.get()));
        let due = pass.saturating_mul(u64::from(recipe.epochs.get()));
        if u64::from(found) != due {
            return Err(Fault::BatchCount { run, rows, due, found });
        }
        for record in &self.steps {
            let done = record.step.0.saturating_add(1);
            let due = recipe.commits_after(done, found);
            if record.state.is_some() != due {
                return Err(Fault::StateRoot { run, place: record.step, due });
            }
        }
        let Some(measured) = self.measured() else { return Ok(()) };
        let (found, committed) = (measured.rows.len(), spec.benchmark.measured().get());
        if u32::try_from(found) != Ok(committed) {
            return Err(Fault::RowCount { run, found, committed });
        }
        let candidates = spec.benchmark.candidates.get() as usize;
        let other = |row: &RowResult| row.log_probabilities.len() != candidates;
        match (1..).zip(&measured.rows).find(|(_, row)| other(row)) {
            None => Ok(()),
            Some((row, _)) => {
                Err(Fault::Row { run, row, reason: "not as many candidates as the spec says" })
            }
        }
    }
}

impl Measurement {
    fn check(&self, run: Whose) -> Result<(), Fault> {
        for (row, result) in (1..).zip(&self.rows) {
            let candidates = &result.log_probabilities;
            let reason = if candidates.is_empty() || candidates.len() > CANDIDATES_MAX {
                "no candidate, or more than a row may have"
            } else if candidates.iter().any(|lp| lp.0 > 0) {
                "a probability above 1"
            } else {
                continue;
            };
            return Err(Fault::Row { run, row, reason });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::{DatasetDigest, EpochSeed};
    use crate::proof::tests::{controlled, measured, proof, trained};
    use crate::spec::SpecLock;
    use crate::units::Ppm;
    use std::num::NonZeroU32;

    fn model(proof: &mut ScoreProof) -> &mut Run {
        &mut trained(proof).model
    }

    fn control(proof: &mut ScoreProof) -> &mut Run {
        trained(proof).control.as_mut().unwrap()
    }

    /// What the change of a proof with a control is refused for.
    fn fault(change: impl FnOnce(&mut ScoreProof)) -> String {
        let mut proof = controlled();
        change(&mut proof);
        proof.check().unwrap_err().to_string()
    }

    #[test]
    fn an_honest_proof_does_not_contradict_itself() {
        assert_eq!((proof().check(), controlled().check()), (Ok(()), Ok(())));
    }

    #[test]
    fn contradictions_are_named() {
        let text = fault(|proof| trained(proof).model.steps.swap(0, 1));
        assert_eq!(text, "step 0: the record in its place has another number");
        let text = fault(|proof| control(proof).steps.truncate(2));
        assert_eq!(text, "control, 2 steps were taken of a plan of 3");
        let text = fault(|proof| trained(proof).model.steps[2].state = None);
        assert_eq!(text, "step 2: a state root is missing");
        let text = fault(|proof| trained(proof).model.steps[2].state = Some(StateRoot([9; 32])));
        assert!(text.starts_with("final state: training ended with 0909"), "{text}");
        let text =
            fault(|proof| measured(control(proof)).rows[1].log_probabilities[0] = MicroNats(1));
        assert_eq!(text, "control, benchmark row 2: a probability above 1");
        let text = fault(|proof| measured(control(proof)).rows[0].log_probabilities.clear());
        assert!(text.starts_with("control, benchmark row 1: no candidate"), "{text}");
        let text = fault(|proof| control(proof).plan.rows.count = 6);
        assert!(text.contains("another number of rows or batches"), "{text}");
        let text = fault(|proof| trained(proof).model.end = End::Diverged);
        assert_eq!(text, "control: none is due");
        let text = fault(|proof| control(proof).end = End::Diverged);
        assert_eq!(text, "lift: a run diverged, but the proof claims +0.000012");
    }

    #[test]
    fn a_run_may_diverge_at_any_step_but_take_none_beyond_its_plan() {
        let mut proof = proof();
        let training = trained(&mut proof);
        training.lift = MicroNats(0);
        training.model.end = End::Diverged;
        assert_eq!(proof.check(), Ok(()));
        trained(&mut proof).model.steps.truncate(1);
        assert_eq!(proof.check(), Ok(()));
        trained(&mut proof).model.plan.batches.count = 0;
        assert!(matches!(proof.check(), Err(Fault::StepCount { found: 1, planned: 0, .. })));
    }

    /// A spec, and a proof that has the counts it asks for.
    fn under_a_spec() -> (PinnedSpec, ScoreProof) {
        let spec = Spec::parse(include_str!("../../../../eval-specs/date/1/spec.toml")).unwrap();
        let lock = include_str!("../../../../eval-specs/date/1/spec.lock");
        let pinned = PinnedSpec::new(spec, SpecLock::parse(lock).unwrap()).unwrap();
        let (spec, mut proof) = (pinned.spec(), proof());
        proof.inputs.spec = pinned.id();
        proof.inputs.benchmark = spec.benchmark.root;
        let rows = spec.rows.count_min.get();
        let candidates = spec.benchmark.candidates.get() as usize;
        let even = RowResult { log_probabilities: vec![MicroNats(-7); candidates] };
        let scored = vec![even; spec.benchmark.rows.get() as usize];
        let metrics = score::metrics(&scored, &vec![0; scored.len()], 1);
        let recipe = &spec.training;
        let steps = rows.div_ceil(recipe.batch_rows.get()).saturating_mul(recipe.epochs.get());
        let state = StateRoot([2; 32]);
        let step = |done: u32| StepRecord {
            step: StepIndex(done.saturating_sub(1)),
            loss: MicroNats(9),
            state: recipe.commits_after(done, steps).then_some(state),
        };
        let training = trained(&mut proof);
        training.baseline = metrics;
        training.lift = MicroNats(0);
        training.model.plan.rows.count = rows;
        training.model.plan.batches.count = steps;
        training.model.steps = (1..=steps).map(step).collect();
        *measured(&mut training.model) = Measurement { final_state: state, rows: scored, metrics };
        (pinned, proof)
    }

    #[test]
    fn what_the_spec_does_not_ask_for_is_named() {
        let (spec, honest) = under_a_spec();
        assert_eq!(honest.check_against(&spec), Ok(()));
        let fault = |change: &dyn Fn(&mut ScoreProof)| {
            let mut proof = honest.clone();
            change(&mut proof);
            proof.check_against(&spec).unwrap_err()
        };
        let refused = fault(&|proof| proof.inputs.spec = SpecId([0; 32]));
        assert!(matches!(refused, Fault::Spec { .. }));
        let refused = fault(&|proof| proof.inputs.benchmark = BenchmarkRoot([0; 32]));
        assert!(matches!(refused, Fault::Benchmark { .. }));
        let refused = fault(&|proof| trained(proof).lift = MicroNats(1));
        assert_eq!(
            refused.to_string(),
            "lift: the metrics give +0.000000, the proof says +0.000001"
        );
        let refused = fault(&|proof| model(proof).plan.rows.count = 100_000);
        assert!(matches!(refused, Fault::Rows(_)));
        let truncated = fault(&|proof| {
            let run = model(proof);
            run.steps.truncate(2);
            run.steps[1].state = Some(StateRoot([2; 32]));
            run.plan.batches.count = 2;
        });
        assert!(matches!(truncated, Fault::BatchCount { .. }), "{truncated}");
        let refused = fault(&|proof| model(proof).steps[0].state = Some(StateRoot([2; 32])));
        assert!(matches!(refused, Fault::StateRoot { due: false, .. }), "{refused}");
        let refused = fault(&|proof| drop(measured(model(proof)).rows.pop()));
        assert!(matches!(refused, Fault::RowCount { .. }));
        let refused = fault(&|proof| {
            measured(model(proof)).rows[3].log_probabilities.pop();
        });
        assert!(matches!(refused, Fault::Row { row: 4, .. }));
        let refused = fault(&|proof| {
            let run = model(proof).clone();
            trained(proof).control = Some(run);
        });
        assert_eq!(refused, Fault::Control { due: false });
        // What a proof says of its dataset cannot be judged without the dataset.
        let mut other = honest.clone();
        other.inputs.dataset = DatasetDigest([0; 32]);
        assert_eq!(other.check_against(&spec), Ok(()));
    }

    #[test]
    fn metrics_follow_from_the_rows() {
        use crate::benchmark::{BenchmarkRow, benchmark_root};
        use crate::spec::BenchmarkCommitment;
        let row = |answer| BenchmarkRow {
            input: "q".into(),
            candidates: vec!["a".into(), "b".into()],
            answer,
        };
        let rows = vec![row(0), row(1)];
        let (root, two) = (benchmark_root(&rows), 2.try_into().unwrap());
        let mut commitment =
            BenchmarkCommitment { root, rows: two, drawn: None, candidates: two, public_set: None };
        let benchmark = Benchmark::open(rows.clone(), &commitment).unwrap();
        let mut proof = proof();
        proof.inputs.benchmark = root;
        assert_eq!(proof.check_metrics(&benchmark), Err(Fault::Metrics { run: Whose::Model }));
        let due = score::metrics(&measured(&mut trained(&mut proof).model).rows, &[0, 1], 1);
        measured(&mut trained(&mut proof).model).metrics = due;
        assert_eq!(proof.check_metrics(&benchmark), Ok(()));
        measured(&mut trained(&mut proof).model).metrics.accuracy = Ppm(7);
        assert_eq!(proof.check_metrics(&benchmark), Err(Fault::Metrics { run: Whose::Model }));
        proof.inputs.benchmark = BenchmarkRoot([0; 32]);
        assert!(matches!(proof.check_metrics(&benchmark), Err(Fault::Benchmark { .. })));

        // Of a pool, they follow from the row that the proof's seed draws.
        commitment.drawn = Some(NonZeroU32::MIN);
        let pool = Benchmark::open(rows, &commitment).unwrap();
        proof.inputs.benchmark = root;
        let row = measured(&mut trained(&mut proof).model);
        row.rows.truncate(1);
        row.metrics = score::metrics(&row.rows, &[1], 1);
        let held = |byte: u8| {
            proof.inputs.seed = EpochSeed([byte; 32]);
            let draws = pool.places(&proof.inputs.seed);
            assert_eq!(proof.check_metrics(&pool).is_ok(), draws == [1]);
            draws
        };
        let draws: Vec<_> = (0..8).map(held).collect();
        assert!(draws.contains(&vec![0]) && draws.contains(&vec![1]), "{draws:?}");
    }
}
