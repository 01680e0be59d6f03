//! The score proof: what it commits to, and its digest. `PROOF.md` beside this crate's manifest
//! describes every byte.
//!
//! Two honest validators produce the same proof and the same digest. Machine, engine and timings
//! are no part of it. Checking a proof against a re-run is the evaluate crate's work; this module
//! says what the bytes mean and what holds within any proof ([`check`]).

pub mod check;
mod disclosure;
mod file;
mod signature;

pub use disclosure::{Disclosure, DisclosureError, Shown};
pub use file::{PROOF_VERSION, ProofFile, ProofFileError};
pub use signature::{SIGNING_CONTEXT, Signature, SignatureError};

use crate::blind::ListRoot;
use crate::codec;
use crate::hash::{
    BenchmarkRoot, DatasetDigest, EpochSeed, ProofDigest, ReportDigest, SpecId, StateRoot,
    ValidatorKey, tagged,
};
use crate::merkle::Tree;
use crate::score;
use crate::spec::{ScoreRule, Spec};
use crate::units::{MicroNats, Ppm, StepIndex};
use serde::{Deserialize, Serialize};

/// What was evaluated: equal inputs must give equal proofs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofInputs {
    /// Spec with its lock.
    pub spec: SpecId,
    /// The submission's rows.
    pub dataset: DatasetDigest,
    /// The hidden rows, drawn or not.
    pub benchmark: BenchmarkRoot,
    /// The epoch's public randomness.
    pub seed: EpochSeed,
}

/// One training step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Which step, from 0.
    pub step: StepIndex,
    /// Mean loss over the batch's output tokens before the update.
    pub loss: MicroNats,
    /// State after the step, as often as the spec asks and always after the last.
    pub state: Option<StateRoot>,
}

/// One benchmark row: the summed log-probability of each candidate, in committed order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowResult {
    /// Natural log of each candidate's probability given the prompt; never positive.
    pub log_probabilities: Vec<MicroNats>,
}

/// The benchmark's summary for one state of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metrics {
    /// Mean over rows of −ln of the right candidate's share: `CL` of the score rule.
    pub choice_loss: MicroNats,
    /// Rows whose right candidate has the highest log-probability; reported, never paid.
    pub accuracy: Ppm,
    /// Mean over rows of −log-probability of the right candidate; reported, never paid.
    pub answer_nll: MicroNats,
    /// Mean −ln p per output token over the right candidates.
    pub token_nll: MicroNats,
}

/// What a run is trained on: the rows as tokens, and the batches in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRoots {
    /// Over every row, in the order of the submission; see [`crate::plan::TokenPlan::roots`].
    pub rows: ListRoot,
    /// Over every batch, in the order of the steps.
    pub batches: ListRoot,
}

/// One copy of the model, trained and measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run<S = Vec<StepRecord>, R = Vec<RowResult>> {
    /// What it was trained on.
    pub plan: PlanRoots,
    /// Every step taken, in order.
    pub steps: S,
    /// How it ended.
    pub end: End<R>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum End<R = Vec<RowResult>> {
    /// A value that is not finite appeared in the step after the last one taken, or, when all were
    /// taken, in the scores.
    Diverged,
    /// All steps were taken and the benchmark was scored.
    Measured(Measurement<R>),
}

/// A trained model on the benchmark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measurement<R = Vec<RowResult>> {
    /// State after the last step.
    pub final_state: StateRoot,
    /// Every benchmark row that the seed draws, in committed order.
    pub rows: R,
    /// The rows summed up.
    pub metrics: Metrics,
}

/// What a submission that was accepted came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Training<S = Vec<StepRecord>, R = Vec<RowResult>> {
    /// State before the first step.
    pub initial_state: StateRoot,
    /// The model in that state on the benchmark.
    pub baseline: Metrics,
    /// The model, trained on the submission.
    pub model: Run<S, R>,
    /// A second copy, trained from the same state on the same rows with their outputs shuffled:
    /// where the score rule asks for one and the model's run did not diverge.
    pub control: Option<Run<S, R>>,
    /// The score that is paid for, by the spec's rule; 0 when a run diverged.
    pub lift: MicroNats,
}

/// What a validator publishes about one submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoreProof<S = Vec<StepRecord>, R = Vec<RowResult>> {
    /// What was evaluated.
    pub inputs: ProofInputs,
    /// What the kernels reported.
    pub report: ReportDigest,
    /// What came of it; nothing was trained when the kernels did not accept the submission.
    pub training: Option<Training<S, R>>,
}

/// A proof whose steps and rows are represented by their roots: what is signed.
pub type Outline = ScoreProof<ListRoot, ListRoot>;

/// All that a proof's signature covers, with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedOutline {
    /// What is signed.
    pub outline: Outline,
    /// By whom; nobody has to answer for an outline without one.
    pub signature: Option<Signature>,
}

impl SignedOutline {
    /// A proof's.
    #[must_use]
    pub fn of(file: &ProofFile) -> Self {
        Self { outline: file.proof.outline(), signature: file.signature }
    }

    /// Checks the signature, if there is one: who signed.
    ///
    /// # Errors
    /// [`SignatureError::Bad`].
    pub fn signer(&self) -> Result<Option<ValidatorKey>, SignatureError> {
        let Some(signature) = &self.signature else { return Ok(None) };
        signature.verify(&self.outline.digest()).map(Some)
    }

    /// Checks that this validator signed.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn signed_by(&self, expected: ValidatorKey) -> Result<(), SignatureError> {
        match self.signer()? {
            Some(found) if found == expected => Ok(()),
            Some(found) => Err(SignatureError::Other { expected, found }),
            None => Err(SignatureError::Missing),
        }
    }
}

/// How an evaluation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The kernels did not accept the submission.
    Rejected,
    /// A value that is not finite appeared; the lift is 0.
    Diverged,
    /// Trained and measured.
    Scored,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Rejected => "rejected",
            Self::Diverged => "diverged",
            Self::Scored => "scored",
        })
    }
}

/// Whose run something is said of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Whose {
    /// The model trained on the submission.
    Model,
    /// The copy trained on shuffled outputs.
    Control,
}

impl Whose {
    /// `model` or `control`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Control => "control",
        }
    }
}

/// Before what is said of a run: nothing for the model's.
impl std::fmt::Display for Whose {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Model => Ok(()),
            Self::Control => f.write_str("control, "),
        }
    }
}

impl<S, R> Training<S, R> {
    /// Each run with whose it is, the model's first.
    pub fn runs(&self) -> impl Iterator<Item = (Whose, &Run<S, R>)> {
        let control = self.control.iter().map(|run| (Whose::Control, run));
        std::iter::once((Whose::Model, &self.model)).chain(control)
    }

    /// The run of one copy of the model.
    #[must_use]
    pub fn run(&self, whose: Whose) -> Option<&Run<S, R>> {
        match whose {
            Whose::Model => Some(&self.model),
            Whose::Control => self.control.as_ref(),
        }
    }

    /// Whether the spec asks for a control of this model.
    #[must_use]
    pub fn control_due(&self, spec: &Spec) -> bool {
        matches!(spec.score, ScoreRule::Control { .. }) && self.model.measured().is_some()
    }

    /// The lift that follows from the metrics by the spec's rule.
    #[must_use]
    pub fn lift_due(&self, spec: &Spec) -> MicroNats {
        let metrics = |run: &Run<S, R>| run.measured().map(|measured| measured.metrics);
        let control = self.control.as_ref().map(metrics);
        let (Some(model), None | Some(Some(_))) = (metrics(&self.model), control) else {
            return MicroNats(0);
        };
        let candidates = spec.benchmark.candidates.get();
        score::lift(&spec.score, candidates, &self.baseline, &model, control.flatten().as_ref())
    }
}

impl<S, R> Run<S, R> {
    /// What was measured, unless it diverged.
    #[must_use]
    pub fn measured(&self) -> Option<&Measurement<R>> {
        match &self.end {
            End::Measured(measurement) => Some(measurement),
            End::Diverged => None,
        }
    }
}

impl<S, R> ScoreProof<S, R> {
    /// The run of one copy of the model, where there is one.
    #[must_use]
    pub fn run(&self, whose: Whose) -> Option<&Run<S, R>> {
        self.training.as_ref()?.run(whose)
    }

    /// The model's measurement, if no run diverged.
    #[must_use]
    pub fn scored(&self) -> Option<&Measurement<R>> {
        let training = self.training.as_ref()?;
        let control_ended = training.control.as_ref().is_none_or(|run| run.measured().is_some());
        training.model.measured().filter(|_| control_ended)
    }

    /// The paid score: 0 unless the submission was scored.
    #[must_use]
    pub fn lift(&self) -> MicroNats {
        self.training.as_ref().map_or(MicroNats(0), |training| training.lift)
    }

    /// How the evaluation ended.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match (&self.training, self.scored()) {
            (None, _) => Verdict::Rejected,
            (_, None) => Verdict::Diverged,
            (_, Some(_)) => Verdict::Scored,
        }
    }
}

impl Outline {
    /// Byte format: tag `dataforge/score-proof/v2` over the canonical encoding of the outline.
    #[must_use]
    pub fn digest(&self) -> ProofDigest {
        tagged("dataforge/score-proof/v2", &codec::encode(self))
    }
}

impl ScoreProof {
    /// The outline's; see [`Outline::digest`].
    #[must_use]
    pub fn digest(&self) -> ProofDigest {
        self.outline().digest()
    }

    /// Which run diverged, and at which step.
    #[must_use]
    pub fn diverged(&self) -> Option<(Whose, StepIndex)> {
        let mut runs = self.training.as_ref()?.runs();
        runs.find_map(|(whose, run)| Some((whose, run.diverged_at()?)))
    }

    /// The proof with [`step_tree`] and [`row_tree`] in place of steps and rows.
    #[must_use]
    pub fn outline(&self) -> Outline {
        let training = self.training.as_ref().map(|training| Training {
            initial_state: training.initial_state,
            baseline: training.baseline,
            model: training.model.outline(),
            control: training.control.as_ref().map(Run::outline),
            lift: training.lift,
        });
        ScoreProof { inputs: self.inputs, report: self.report, training }
    }
}

impl Run {
    /// The step that diverged, if one did: the number of all steps when it was the scores.
    #[must_use]
    pub fn diverged_at(&self) -> Option<StepIndex> {
        let taken = u32::try_from(self.steps.len()).unwrap_or(u32::MAX);
        matches!(self.end, End::Diverged).then_some(StepIndex(taken))
    }

    fn outline(&self) -> Run<ListRoot, ListRoot> {
        let end = match &self.end {
            End::Diverged => End::Diverged,
            End::Measured(Measurement { final_state, rows, metrics }) => {
                End::Measured(Measurement {
                    final_state: *final_state,
                    rows: ListRoot::of(&row_tree(rows)),
                    metrics: *metrics,
                })
            }
        };
        Run { plan: self.plan, steps: ListRoot::of(&step_tree(&self.steps)), end }
    }
}

/// The Merkle tree whose leaf i is the canonical encoding of step i's record.
#[must_use]
pub fn step_tree(steps: &[StepRecord]) -> Tree {
    Tree::of(steps.iter().map(codec::encode))
}

/// The Merkle tree whose leaf i is the canonical encoding of row i's result.
#[must_use]
pub fn row_tree(rows: &[RowResult]) -> Tree {
    Tree::of(rows.iter().map(codec::encode))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::hash::MerkleRoot;

    const VALIDATOR: &str = "189dac29296d31814dc8c56cf3d36a0543372bba7538fa322a4aebfebc39e056";
    const SIGNATURE: [&str; 2] = [
        "96d0d42025b5550a4e01bef9d9c41e6eba9e702192c154ddf9e757cefcd8b635",
        "15930a2664eb05c760c70f796e7c72f53341726902e209ec27ed341653d6e282",
    ];

    /// A proof of three steps and two rows under the rule `choice`.
    pub(crate) fn proof() -> ScoreProof {
        let metrics = Metrics {
            choice_loss: MicroNats(1),
            accuracy: Ppm(2),
            answer_nll: MicroNats(3),
            token_nll: MicroNats(4),
        };
        let step = |number: u32| StepRecord {
            step: StepIndex(number),
            loss: MicroNats(9),
            state: number.is_multiple_of(2).then_some(StateRoot([2; 32])),
        };
        let list = |byte, count| ListRoot { count, root: MerkleRoot([byte; 32]) };
        let row = |first| RowResult { log_probabilities: vec![MicroNats(first), MicroNats(-6)] };
        let measurement = Measurement {
            final_state: StateRoot([2; 32]),
            rows: vec![row(-5), row(-7)],
            metrics: Metrics { choice_loss: MicroNats(0), ..metrics },
        };
        let model = Run {
            plan: PlanRoots { rows: list(8, 5), batches: list(9, 3) },
            steps: (0..3).map(step).collect(),
            end: End::Measured(measurement),
        };
        ScoreProof {
            inputs: ProofInputs {
                spec: SpecId([3; 32]),
                dataset: DatasetDigest([4; 32]),
                benchmark: BenchmarkRoot([5; 32]),
                seed: EpochSeed([6; 32]),
            },
            report: ReportDigest([7; 32]),
            training: Some(Training {
                initial_state: StateRoot([1; 32]),
                baseline: metrics,
                model,
                control: None,
                lift: MicroNats(12),
            }),
        }
    }

    /// The same with a control.
    pub(crate) fn controlled() -> ScoreProof {
        let mut proof = proof();
        let training = trained(&mut proof);
        training.control = Some(training.model.clone());
        proof
    }

    /// The proof with a control, signed by the key of the seed of 32 bytes 01. Computed by another
    /// implementation, since signing takes randomness that this crate has no business with.
    pub(crate) fn signed() -> ProofFile {
        let half = |hex| {
            let mut bytes = [0; 32];
            hex::decode_to_slice(hex, &mut bytes).unwrap();
            bytes
        };
        let signature =
            Signature { validator: ValidatorKey(half(VALIDATOR)), halves: SIGNATURE.map(half) };
        ProofFile { proof: controlled(), signature: Some(signature) }
    }

    pub(crate) fn trained(proof: &mut ScoreProof) -> &mut Training {
        proof.training.as_mut().expect("something was trained")
    }

    pub(crate) fn measured(run: &mut Run) -> &mut Measurement {
        let End::Measured(measurement) = &mut run.end else { panic!("the run diverged") };
        measurement
    }

    #[test]
    fn the_digest_covers_all_of_it() {
        let check = |change: &dyn Fn(&mut ScoreProof)| {
            let mut changed = controlled();
            change(&mut changed);
            assert_ne!(changed.digest(), controlled().digest());
        };
        check(&|proof| proof.inputs.seed = EpochSeed([0; 32]));
        check(&|proof| proof.report = ReportDigest([0; 32]));
        check(&|proof| proof.training = None);
        check(&|proof| trained(proof).lift = MicroNats(13));
        check(&|proof| trained(proof).baseline.token_nll = MicroNats(0));
        check(&|proof| trained(proof).control = None);
        type Of = fn(&mut Training) -> &mut Run;
        let runs: [Of; 2] = [|t| &mut t.model, |t| t.control.as_mut().unwrap()];
        for run in runs {
            check(&|proof| run(trained(proof)).plan.batches.count = 4);
            check(&|proof| run(trained(proof)).steps[1].loss = MicroNats(8));
            check(&|proof| run(trained(proof)).steps[2].state = None);
            check(&|proof| run(trained(proof)).end = End::Diverged);
            check(&|proof| measured(run(trained(proof))).rows.swap(0, 1));
            check(&|proof| measured(run(trained(proof))).metrics.accuracy = Ppm(3));
        }
    }

    #[test]
    fn golden_digests() {
        let golden = |proof: ScoreProof, hex: &str| assert_eq!(proof.digest().to_string(), hex);
        golden(proof(), "ebfca925455ab7e55cef6009e5940bf4e8eb27d8856511c993bcc470441832a4");
        golden(controlled(), "8c10739c7ef669138cdd9ec49408a6f9c0e7eeb11946d7903c1d35f4586ff655");
    }
}
