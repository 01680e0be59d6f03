//! Bisection: where two proofs of the same inputs part, found by few questions to who made them.
//!
//! Each party first gives the outline of its proof, which is all that it signed. Everything it says
//! afterwards is compared with that outline: children with their parent's hash, a record with its
//! leaf. So an answer that passes is as good as the signature, and the search for the first
//! difference goes down one path of a tree, one question to each party per level.

use crate::codec;
use crate::hash::{ProofDigest, StateRoot, ValidatorKey};
use crate::merkle::{NodeHash, leaf_hash, node_hash, split};
use crate::proof::{
    Outline, RowResult, SignatureError, SignedOutline, StepRecord, Whose, row_tree,
};
use crate::state::state_root;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;

/// Which of a run's lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum List {
    /// Training steps.
    Steps,
    /// Benchmark rows.
    Rows,
}

/// What a party is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// The outline and its signature.
    Outline,
    /// The two children of the node over these leaves, of which there are at least two.
    Children {
        /// Of which run.
        whose: Whose,
        /// Of which tree.
        list: List,
        /// The node's leaves.
        leaves: Range<u32>,
    },
    /// The record of a step.
    Step {
        /// Of which run.
        whose: Whose,
        /// Which.
        step: u32,
    },
    /// The result of a benchmark row, from 0.
    Row {
        /// Of which run.
        whose: Whose,
        /// Which.
        row: u32,
    },
    /// The tensors of a run's state after so many steps.
    State {
        /// Of which run.
        whose: Whose,
        /// How many.
        taken: u32,
    },
}

/// What it answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Question::Outline`].
    Outline(Box<SignedOutline>),
    /// To [`Question::Children`].
    Children([NodeHash; 2]),
    /// To [`Question::Step`].
    Step(StepRecord),
    /// To [`Question::Row`].
    Row(RowResult),
    /// To [`Question::State`]: the tensors' hashes, in canonical order.
    State(Vec<NodeHash>),
    /// There is no such thing, or it was not kept.
    Missing,
}

/// Someone who answers questions about a proof.
pub trait Party {
    /// Why there is no answer.
    type Error;

    /// Asks one question.
    ///
    /// # Errors
    /// When the party cannot be reached or breaks the protocol.
    fn ask(&mut self, question: &Question) -> Result<Answer, Self::Error>;
}

/// A party's word is not to be had, or not to be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WitnessError<E> {
    /// It cannot be asked.
    #[error(transparent)]
    Party(E),
    /// Its signature is not its own.
    #[error(transparent)]
    Signature(SignatureError),
    /// It answers another question than the one it was asked, or not at all.
    #[error("no answer about {0}")]
    Silent(String),
    /// It contradicts what it committed to.
    #[error("{0} is not what its own proof commits to")]
    Contradiction(String),
}

/// A party whose answers are compared with what it committed to.
#[derive(Debug)]
pub struct Witness<P> {
    party: P,
    outline: Outline,
    signer: Option<ValidatorKey>,
    nodes: BTreeMap<(Whose, List, u32, u32), NodeHash>,
    questions: u32,
}

impl<P: Party> Witness<P> {
    /// Asks for the outline and checks its signature, if there is one.
    ///
    /// # Errors
    /// [`WitnessError`].
    pub fn new(mut party: P) -> Result<Self, WitnessError<P::Error>> {
        let answer = party.ask(&Question::Outline).map_err(WitnessError::Party)?;
        let Answer::Outline(signed) = answer else {
            return Err(WitnessError::Silent("its proof".into()));
        };
        let signer = signed.signer().map_err(WitnessError::Signature)?;
        Ok(Self { party, outline: signed.outline, signer, nodes: BTreeMap::new(), questions: 1 })
    }

    /// What it committed to.
    pub fn outline(&self) -> &Outline {
        &self.outline
    }

    /// The proof's digest.
    pub fn digest(&self) -> ProofDigest {
        self.outline.digest()
    }

    /// Who signed.
    pub fn signer(&self) -> Option<ValidatorKey> {
        self.signer
    }

    /// Questions asked so far.
    pub fn questions(&self) -> u32 {
        self.questions
    }

    fn ask(&mut self, question: &Question) -> Result<Answer, WitnessError<P::Error>> {
        self.questions = self.questions.saturating_add(1);
        self.party.ask(question).map_err(WitnessError::Party)
    }

    /// Number of leaves and root of a list; none of a run or a measurement that is not there.
    fn root(&self, whose: Whose, list: List) -> Option<(u32, NodeHash)> {
        let run = self.outline.run(whose)?;
        let root = match list {
            List::Steps => run.steps,
            List::Rows => run.measured()?.rows,
        };
        Some((root.count, root.root.0))
    }

    /// Number of leaves of a list.
    pub fn count(&self, whose: Whose, list: List) -> u32 {
        self.root(whose, list).map_or(0, |(count, _)| count)
    }

    /// The hash of the node over `leaves`, if there is one: asked for from the root down.
    ///
    /// # Errors
    /// [`WitnessError`].
    pub fn node(
        &mut self,
        whose: Whose,
        list: List,
        leaves: &Range<u32>,
    ) -> Result<Option<NodeHash>, WitnessError<P::Error>> {
        let Some((count, root)) = self.root(whose, list) else { return Ok(None) };
        let (mut at, mut hash) = (0..count, root);
        while at != *leaves {
            let inside = at.start <= leaves.start && leaves.end <= at.end && !leaves.is_empty();
            if !inside || at.len() < 2 {
                return Ok(None);
            }
            let middle = split(&at);
            let [left, right] = self.children(whose, list, &at, &hash)?;
            (at, hash) = if leaves.start < middle {
                (at.start..middle, left)
            } else {
                (middle..at.end, right)
            };
        }
        Ok((count > 0).then_some(hash))
    }

    fn children(
        &mut self,
        whose: Whose,
        list: List,
        leaves: &Range<u32>,
        hash: &NodeHash,
    ) -> Result<[NodeHash; 2], WitnessError<P::Error>> {
        let middle = split(leaves);
        let [left, right] = [leaves.start..middle, middle..leaves.end]
            .map(|part| (whose, list, part.start, part.end));
        if let (Some(left), Some(right)) = (self.nodes.get(&left), self.nodes.get(&right)) {
            return Ok([*left, *right]);
        }
        let name = || format!("{whose}{list:?} {} to {}", leaves.start, leaves.end);
        let question = Question::Children { whose, list, leaves: leaves.clone() };
        let Answer::Children(children) = self.ask(&question)? else {
            return Err(WitnessError::Silent(name()));
        };
        if node_hash(&children[0], &children[1]) != *hash {
            return Err(WitnessError::Contradiction(name()));
        }
        self.nodes.extend([(left, children[0]), (right, children[1])]);
        Ok(children)
    }

    /// The record of a step.
    ///
    /// # Errors
    /// [`WitnessError`].
    pub fn step(&mut self, whose: Whose, step: u32) -> Result<StepRecord, WitnessError<P::Error>> {
        let name = || format!("{whose}step {step}");
        let leaf = self.node(whose, List::Steps, &(step..step.saturating_add(1)))?;
        let Answer::Step(record) = self.ask(&Question::Step { whose, step })? else {
            return Err(WitnessError::Silent(name()));
        };
        let good = leaf == Some(leaf_hash(&codec::encode(&record)));
        good.then_some(record).ok_or_else(|| WitnessError::Contradiction(name()))
    }

    /// The result of a benchmark row, from 0.
    ///
    /// # Errors
    /// [`WitnessError`].
    pub fn row(&mut self, whose: Whose, row: u32) -> Result<RowResult, WitnessError<P::Error>> {
        let name = || format!("{whose}benchmark row {}", row.saturating_add(1));
        let leaf = self.node(whose, List::Rows, &(row..row.saturating_add(1)))?;
        let Answer::Row(result) = self.ask(&Question::Row { whose, row })? else {
            return Err(WitnessError::Silent(name()));
        };
        let good = leaf == Some(leaf_hash(&codec::encode(&result)));
        good.then_some(result).ok_or_else(|| WitnessError::Contradiction(name()))
    }

    /// Every benchmark row, asked for one by one.
    ///
    /// # Errors
    /// [`WitnessError`].
    pub fn rows(&mut self, whose: Whose) -> Result<Vec<RowResult>, WitnessError<P::Error>> {
        let name = || format!("{whose}benchmark rows");
        let Some((count, root)) = self.root(whose, List::Rows) else { return Ok(vec![]) };
        let mut rows = vec![];
        for row in 0..count {
            let Answer::Row(result) = self.ask(&Question::Row { whose, row })? else {
                return Err(WitnessError::Silent(name()));
            };
            rows.push(result);
        }
        let good = row_tree(&rows).root() == root;
        good.then_some(rows).ok_or_else(|| WitnessError::Contradiction(name()))
    }

    /// The hashes of the tensors of a state that it committed to; none when it did not keep them.
    ///
    /// # Errors
    /// [`WitnessError`].
    pub fn state(
        &mut self,
        whose: Whose,
        taken: u32,
        root: StateRoot,
    ) -> Result<Option<Vec<NodeHash>>, WitnessError<P::Error>> {
        let name = || format!("{whose}state after {taken} steps");
        match self.ask(&Question::State { whose, taken })? {
            Answer::State(tensors) if state_root(&tensors) == root => Ok(Some(tensors)),
            Answer::State(_) => Err(WitnessError::Contradiction(name())),
            Answer::Missing => Ok(None),
            _ => Err(WitnessError::Silent(name())),
        }
    }
}

/// The first leaf in which two parties' lists differ: a leaf that both have, or the end of the
/// shorter one. `None` when the lists are equal.
///
/// # Errors
/// Whose word failed, and how: the first party's is `Err(Ok)`, the second's `Err(Err)`.
#[expect(clippy::type_complexity, reason = "two parties, each with its own error")]
pub fn first_difference<A: Party, B: Party>(
    a: &mut Witness<A>,
    b: &mut Witness<B>,
    whose: Whose,
    list: List,
) -> Result<Option<u32>, Result<WitnessError<A::Error>, WitnessError<B::Error>>> {
    let counts = [a.count(whose, list), b.count(whose, list)];
    let shorter = counts[0].min(counts[1]);
    for block in full_subtrees(shorter) {
        let mut at = block;
        let mut differ = |at: &Range<u32>| {
            let left = a.node(whose, list, at).map_err(Ok)?;
            let right = b.node(whose, list, at).map_err(Err)?;
            Ok(left != right)
        };
        if !differ(&at)? {
            continue;
        }
        while at.len() > 1 {
            let middle = split(&at);
            let left = at.start..middle;
            at = if differ(&left)? { left } else { middle..at.end };
        }
        return Ok(Some(at.start));
    }
    Ok((counts[0] != counts[1]).then_some(shorter))
}

/// The full subtrees that the first `leaves` leaves consist of, from the left. Every tree with as
/// many leaves or more has them.
fn full_subtrees(leaves: u32) -> Vec<Range<u32>> {
    let mut start: u32 = 0;
    let mut blocks = vec![];
    for level in (0..u32::BITS).rev() {
        let size = 1u32 << level;
        if leaves & size != 0 {
            let end = start.saturating_add(size);
            blocks.push(start..end);
            start = end;
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blind::ListRoot;
    use crate::proof::tests::proof;
    use crate::proof::{Outline, ScoreProof, step_tree};
    use crate::units::{MicroNats, StepIndex};
    use std::convert::Infallible;

    struct Honest(ScoreProof);

    impl Party for Honest {
        type Error = Infallible;

        fn ask(&mut self, question: &Question) -> Result<Answer, Infallible> {
            let steps = &self.0.training.as_ref().unwrap().model.steps;
            Ok(match question {
                Question::Outline => Answer::Outline(Box::new(SignedOutline {
                    outline: self.0.outline(),
                    signature: None,
                })),
                Question::Children { leaves, .. } => {
                    let tree = step_tree(steps);
                    let middle = split(leaves);
                    let parts = [leaves.start..middle, middle..leaves.end];
                    Answer::Children(parts.map(|part| tree.node(&part).unwrap()))
                }
                Question::Step { step, .. } => Answer::Step(steps[*step as usize]),
                _ => Answer::Missing,
            })
        }
    }

    fn of(losses: &[i64]) -> ScoreProof {
        let mut proof = proof();
        let step = |(number, loss): (u32, &i64)| StepRecord {
            step: StepIndex(number),
            loss: MicroNats(*loss),
            state: None,
        };
        proof.training.as_mut().unwrap().model.steps = (0..).zip(losses).map(step).collect();
        proof
    }

    fn search(a: &[i64], b: &[i64]) -> (Option<u32>, u32) {
        let [mut a, mut b] = [a, b].map(|steps| Witness::new(Honest(of(steps))).unwrap());
        let found = first_difference(&mut a, &mut b, Whose::Model, List::Steps).unwrap();
        (found, a.questions().max(b.questions()))
    }

    /// Losses that are their step's number.
    fn numbered(count: u32) -> Vec<i64> {
        (0..count).map(i64::from).collect()
    }

    /// As [`numbered`], but from one step on.
    fn parting(count: u32, first: u32) -> Vec<i64> {
        (0..count).map(|step| if step < first { step.into() } else { -1 }).collect()
    }

    #[test]
    fn the_first_difference_is_found_wherever_it_is() {
        for count in 0..40 {
            let a = numbered(count);
            assert_eq!(search(&a, &a).0, None);
            for first in 0..count {
                let b = parting(count, first);
                assert_eq!(search(&a, &b).0, Some(first), "{count} steps");
                let shorter = numbered(first);
                assert_eq!(search(&a, &shorter).0, Some(first));
                assert_eq!(search(&shorter, &a).0, Some(first));
            }
        }
    }

    #[test]
    fn questions_grow_with_the_logarithm() {
        for first in [0, 511, 512, 999] {
            let (found, questions) = search(&numbered(1000), &parting(1000, first));
            assert_eq!(found, Some(first));
            assert!(questions <= 1 + 2 * 10, "{questions} questions");
        }
    }

    struct Liar(Honest, fn(&mut Answer));

    impl Party for Liar {
        type Error = Infallible;

        fn ask(&mut self, question: &Question) -> Result<Answer, Infallible> {
            let mut answer = self.0.ask(question)?;
            if *question != Question::Outline {
                self.1(&mut answer);
            }
            Ok(answer)
        }
    }

    #[test]
    fn who_contradicts_its_own_commitment_is_named() {
        let lies: [fn(&mut Answer); 3] = [
            |answer| {
                if let Answer::Children([left, _]) = answer {
                    left[0] ^= 1;
                }
            },
            |answer| {
                if let Answer::Children(children) = answer {
                    children.swap(0, 1);
                }
            },
            |answer| *answer = Answer::Missing,
        ];
        let other = of(&[1, 2, 3, 4, 6]);
        for lie in lies {
            let mut honest = Witness::new(Honest(of(&[1, 2, 3, 4, 5]))).unwrap();
            let mut liar = Witness::new(Liar(Honest(other.clone()), lie)).unwrap();
            let found = first_difference(&mut honest, &mut liar, Whose::Model, List::Steps);
            assert!(matches!(found, Err(Err(_))), "{found:?}");
        }
        let mut liar = Witness::new(Liar(Honest(other), |answer| {
            if let Answer::Step(record) = answer {
                record.loss.0 += 1;
            }
        }))
        .unwrap();
        let contradiction = WitnessError::Contradiction("step 2".into());
        assert_eq!(liar.step(Whose::Model, 2), Err(contradiction));
    }

    /// An outline may claim any number of leaves; no answer can make the search run away.
    #[test]
    fn an_outline_of_impossible_lists_is_no_endless_search() {
        struct Huge(Outline);
        impl Party for Huge {
            type Error = Infallible;
            fn ask(&mut self, question: &Question) -> Result<Answer, Infallible> {
                Ok(match question {
                    Question::Outline => Answer::Outline(Box::new(SignedOutline {
                        outline: self.0.clone(),
                        signature: None,
                    })),
                    _ => Answer::Children([[0; 32]; 2]),
                })
            }
        }
        let mut outline = proof().outline();
        let steps = &mut outline.training.as_mut().unwrap().model.steps;
        *steps = ListRoot { count: u32::MAX, ..*steps };
        let mut huge = Witness::new(Huge(outline)).unwrap();
        let mut honest = Witness::new(Honest(of(&[1, 2, 3]))).unwrap();
        let found = first_difference(&mut huge, &mut honest, Whose::Model, List::Steps);
        assert!(matches!(found, Err(Ok(WitnessError::Contradiction(_)))), "{found:?}");
    }
}
