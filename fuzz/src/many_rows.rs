//! A proof with any number of benchmark rows, all equal but one, and a party that answers for it.
//!
//! Real proofs are shallow trees; only a list of some billions leads a search as deep as it goes,
//! and only one whose rows repeat can be answered for without holding it.

use std::ops::Range;
use std::sync::LazyLock;

use arbitrary::Arbitrary;
use dataforge_core::bisect::{Answer, Party, Question};
use dataforge_core::blind::ListRoot;
use dataforge_core::codec;
use dataforge_core::hash::{
    BenchmarkRoot, DatasetDigest, EpochSeed, MerkleRoot, ReportDigest, SpecId, StateRoot,
};
use dataforge_core::merkle::{self, NodeHash, leaf_hash, node_hash, split};
use dataforge_core::proof::{
    End, Measurement, Metrics, Outline, PlanRoots, ProofInputs, RowResult, Run, ScoreProof,
    SignedOutline, Training,
};
use dataforge_core::units::{MicroNats, Ppm};

use crate::damage::{Damage, damaged};

/// Hash k is that of the node over 2^k equal rows.
static EQUAL: LazyLock<Vec<NodeHash>> = LazyLock::new(|| {
    let row = ManyRows { count: 1, odd: 1 }.row(0);
    let leaf = leaf_hash(&codec::encode(&row));
    std::iter::successors(Some(leaf), |hash| Some(node_hash(hash, hash))).take(32).collect()
});

/// Rows that are equal but for one.
#[derive(Debug, Clone, Arbitrary)]
pub struct ManyRows {
    /// How many.
    pub count: u32,
    /// Which is another; none where there are not so many.
    pub odd: u32,
}

impl ManyRows {
    /// A row.
    #[must_use]
    pub fn row(&self, at: u32) -> RowResult {
        let first = if at == self.odd { -2 } else { -1 };
        RowResult { log_probabilities: vec![MicroNats(first), MicroNats(-3)] }
    }

    /// The first row in which two such lists differ, or the end of the shorter one.
    #[must_use]
    pub fn first_difference(&self, other: &Self) -> Option<u32> {
        let shorter = self.count.min(other.count);
        let odd = self.odd.min(other.odd);
        let differs = self.odd != other.odd && odd < shorter;
        differs.then_some(odd).or((self.count != other.count).then_some(shorter))
    }

    /// The hash of the node over these rows, of which there is one at least.
    fn node(&self, rows: &Range<u32>) -> NodeHash {
        if rows.len() == 1 {
            return leaf_hash(&codec::encode(&self.row(rows.start)));
        }
        if rows.len().is_power_of_two() && !rows.contains(&self.odd) {
            return EQUAL[rows.len().ilog2() as usize];
        }
        let middle = split(rows);
        node_hash(&self.node(&(rows.start..middle)), &self.node(&(middle..rows.end)))
    }

    /// The outline of a proof with these rows.
    #[must_use]
    pub fn outline(&self) -> Outline {
        let list = |count, root| ListRoot { count, root: MerkleRoot(root) };
        let root = match self.count {
            0 => merkle::root::<&[u8]>([]).0,
            count => self.node(&(0..count)),
        };
        let metrics = Metrics {
            choice_loss: MicroNats(1),
            accuracy: Ppm(2),
            answer_nll: MicroNats(3),
            token_nll: MicroNats(4),
        };
        let rows = list(self.count, root);
        let final_state = StateRoot([1; 32]);
        let model = Run {
            plan: PlanRoots { rows: list(1, [2; 32]), batches: list(0, [3; 32]) },
            steps: list(0, merkle::root::<&[u8]>([]).0),
            end: End::Measured(Measurement { final_state, rows, metrics }),
        };
        ScoreProof {
            inputs: ProofInputs {
                spec: SpecId([4; 32]),
                dataset: DatasetDigest([5; 32]),
                benchmark: BenchmarkRoot([6; 32]),
                seed: EpochSeed([7; 32]),
            },
            report: ReportDigest([8; 32]),
            training: Some(Training {
                initial_state: final_state,
                baseline: metrics,
                model,
                control: None,
                lift: MicroNats(0),
            }),
        }
    }

    fn answer(&self, question: &Question) -> Answer {
        match question {
            Question::Outline => {
                let outline = self.outline();
                Answer::Outline(Box::new(SignedOutline { outline, signature: None }))
            }
            Question::Children { leaves, .. } => {
                let middle = split(leaves);
                Answer::Children(
                    [leaves.start..middle, middle..leaves.end].map(|half| self.node(&half)),
                )
            }
            Question::Row { row, .. } => Answer::Row(self.row(*row)),
            Question::Step { .. } | Question::State { .. } => Answer::Missing,
        }
    }
}

/// What a hostile party makes of an answer.
#[derive(Debug, Clone, Arbitrary)]
pub enum Lie {
    /// Nothing: it is the truth.
    None,
    /// It has no answer.
    Missing,
    /// The answer's bytes, damaged; the truth when they are no answer then.
    Damaged(Vec<Damage>),
    /// The answer about other rows.
    About(u32, u32),
    /// The children are swapped.
    Swapped,
}

/// A party that answers for its rows, once as many answers as it has lies ready are given.
#[derive(Debug, Clone, Arbitrary)]
pub struct ManyRowsParty {
    /// What it has to answer for.
    pub rows: ManyRows,
    /// What it makes of the answers after the outline, the last first.
    pub lies: Vec<Lie>,
}

impl Party for ManyRowsParty {
    type Error = std::convert::Infallible;

    fn ask(&mut self, question: &Question) -> Result<Answer, Self::Error> {
        let truth = self.rows.answer(question);
        if matches!(question, Question::Outline) {
            return Ok(truth);
        }
        Ok(match (self.lies.pop().unwrap_or(Lie::None), truth) {
            (Lie::None, truth) => truth,
            (Lie::Missing, _) => Answer::Missing,
            (Lie::Damaged(changes), truth) => {
                codec::decode(&damaged(&codec::encode(&truth), &changes)).unwrap_or(truth)
            }
            (Lie::About(start, more), Answer::Children(_)) => {
                let end = start.saturating_add(more | 1);
                let start = start.min(end - 1);
                Answer::Children([start, end - 1].map(|row| self.rows.node(&(row..row + 1))))
            }
            (Lie::Swapped, Answer::Children([left, right])) => Answer::Children([right, left]),
            (Lie::About(row, _), _) => Answer::Row(self.rows.row(row)),
            (Lie::Swapped, truth) => truth,
        })
    }
}
