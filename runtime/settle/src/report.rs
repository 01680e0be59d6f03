//! What an epoch came to, with every factor of every reward.

use dataforge_core::codec;
use dataforge_core::hash::{
    DatasetDigest, EpochSeed, HotkeyId, LedgerDigest, LogDigest, RulesId, SettlementDigest, SpecId,
    tagged,
};
use dataforge_core::units::{MicroNats, Ppm};
use serde::{Deserialize, Serialize};

use crate::finding::Finding;
use crate::{Block, Epoch, Note, Rao};

/// What an epoch came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Which epoch.
    pub epoch: Epoch,
    /// By which rules.
    pub rules: RulesId,
    /// What was evaluated.
    pub spec: SpecId,
    /// Which set of hidden rows served.
    pub benchmark: u64,
    /// The epoch's seed.
    pub seed: EpochSeed,
    /// From which events.
    pub log: LogDigest,
    /// The ledger before.
    pub before: LedgerDigest,
    /// The ledger after.
    pub after: LedgerDigest,
    /// Where the emission went.
    pub emission: Emission,
    /// Every submission, in the order of the commitments.
    pub submissions: Vec<SubmissionLine>,
    /// Everybody with a stake, by key.
    pub validators: Vec<ValidatorLine>,
    /// Every score that was asked for, by miner and then in the order of the draw.
    pub assignments: Vec<AssignmentLine>,
    /// What was taken from bonds.
    pub slashes: Vec<Slash>,
    /// What was held before and is not any more.
    pub released: Vec<Release>,
    /// What does not count.
    pub notes: Vec<Note>,
    /// The miners' rewards as the chain takes them, by key; without those who earn nothing.
    pub weights: Vec<(HotkeyId, u16)>,
}

/// Where the emission of an epoch went. The parts add up to the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Emission {
    /// All of it.
    pub total: Rao,
    /// Miners' rewards, those held among them.
    pub miners: Rao,
    /// Validators' rewards, the bonded part among them.
    pub validators: Rao,
    /// The treasury's own part.
    pub treasury: Rao,
    /// What rounding down and rewards forfeited have left to the treasury; everything of a part
    /// that nobody earned.
    pub rest: Rao,
}

/// One submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubmissionLine {
    /// Whose.
    pub miner: HotkeyId,
    /// When it was committed.
    pub committed: Block,
    /// What was revealed.
    pub dataset: Option<DatasetDigest>,
    /// What it is worth, and why.
    pub finding: Option<Finding>,
    /// Why it earns what it earns.
    pub standing: Standing,
    /// What the reward is made of; nothing where there is none.
    pub factors: Option<MinerFactors>,
    /// How much.
    pub reward: Rao,
    /// Whether the reward is held until a dispute ends.
    pub held: bool,
    /// Whether the lift over all rows is above that over hidden rows by more than the margin: the
    /// miner knows rows that were revealed, or more of the benchmark than it should.
    pub overfit: bool,
}

/// Why a submission earns what it earns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Its own work, with a lift that counts. The reward can still round down to zero.
    Paid,
    /// The lift is not above the margin.
    BelowMargin,
    /// Chance could explain the lift.
    NotSignificant,
    /// Too many of its rows were committed earlier.
    Copy {
        /// In this dataset.
        of: DatasetDigest,
    },
    /// A kernel refused it.
    Rejected,
    /// Training met a value that is not finite.
    Diverged,
    /// No validator told a score that counts.
    Unscored,
    /// It was not revealed, or not in time.
    NotRevealed,
    /// What was revealed is not what was committed to.
    Mismatch,
}

/// What a miner's weight is made of: `(lift − margin) / unit · originality · founder`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MinerFactors {
    /// The lesser of the lift over all rows and over hidden ones.
    pub lift: MicroNats,
    /// The part that is not paid.
    pub margin: MicroNats,
    /// What counts as one.
    pub unit: MicroNats,
    /// Rows that are in no earlier dataset, as a share of those that it has or should have.
    pub originality: Ppm,
    /// A founder's bonus: 1,000,000 is none.
    pub founder: Ppm,
    /// The product, in millionths.
    pub weight: u64,
}

/// One validator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidatorLine {
    /// Who.
    pub validator: HotkeyId,
    /// What stands behind it.
    pub stake: Rao,
    /// Scores that it was asked for.
    pub drawn: u32,
    /// Those that it did not give.
    pub missing: u32,
    /// Mean quality of all it was asked for, in this epoch or, if for nothing, within the window;
    /// see [`AssignmentLine::quality`].
    pub quality: Ppm,
    /// A founder's bonus: 1,000,000 is none.
    pub founder: Ppm,
    /// `stake · quality · founder`, rounded down.
    pub weight: u64,
    /// Whether a proven fault cost it the reward.
    pub forfeited: bool,
    /// How much, the bonded part among it.
    pub reward: Rao,
    /// The part that is held back.
    pub bonded: Rao,
}

/// One score that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssignmentLine {
    /// Of whom.
    pub validator: HotkeyId,
    /// About whose submission.
    pub miner: HotkeyId,
    /// Whether it was drawn as an auditor.
    pub audit: bool,
    /// What came.
    pub answer: AnswerKind,
    /// 1,000,000 where it agrees with what is true, else 0.
    pub consistency: Ppm,
    /// 1,000,000 where every challenge was answered, else 0.
    pub execution: Ppm,
    /// 1,000,000 for an early commitment, falling to half at the end of the phase.
    pub timeliness: Ppm,
    /// The product of the three.
    pub quality: Ppm,
}

/// What came of an assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerKind {
    /// A score that counts.
    Scored,
    /// Nothing that counts in time.
    Missing,
    /// What was revealed is no valid proof, or not what was committed to.
    Invalid,
}

/// What was taken from a bond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slash {
    /// Whose.
    pub validator: HotkeyId,
    /// Why.
    pub reason: SlashReason,
    /// About which submission, where it is about one.
    pub about: Option<(Epoch, HotkeyId)>,
    /// How much.
    pub amount: Rao,
    /// Whether it is held until it is too late to appeal.
    pub held: bool,
}

/// Why something was taken from a bond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlashReason {
    /// A replay refutes its score.
    WrongScore,
    /// A step that it showed does not hold, or it showed none.
    FailedAudit,
    /// It promised a score and did not show it, when auditors were drawn or a replay told.
    Withheld,
    /// It signed two different scores for one assignment.
    Equivocation,
    /// It left too many assignments without a score.
    Missing,
    /// Too many of its scores lie too far from the others'.
    Outlier,
}

/// What was held and is not any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// The epoch of the submission.
    pub epoch: Epoch,
    /// Whose submission.
    pub miner: HotkeyId,
    /// Who gets it; nobody: the treasury.
    pub to: Option<HotkeyId>,
    /// How much.
    pub amount: Rao,
    /// Whether a replay told, rather than time.
    pub judged: bool,
}

impl Report {
    /// Identifies a settlement: SHA-256 under the tag `dataforge/settlement/v1` of its canonical
    /// encoding. Equal for everybody who settled the same events by the same rules after the same
    /// ledger.
    #[must_use]
    pub fn digest(&self) -> SettlementDigest {
        tagged("dataforge/settlement/v1", &codec::encode(self))
    }
}
