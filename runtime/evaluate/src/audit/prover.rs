//! The other side of a dispute: answers about a proof at hand.

use crate::setup;
use dataforge_core::bisect::{Answer, List, Party, Question};
use dataforge_core::hash::RunId;
use dataforge_core::merkle::split;
use dataforge_core::proof::{ProofFile, Run, SignedOutline, Whose, row_tree, step_tree};
use dataforge_core::state::{Checkpoint, SavedTensor};
use std::convert::Infallible;

/// A run's last checkpoint after at most so many steps.
type Kept<'s> = dyn Fn(&RunId, u32) -> Option<Checkpoint> + 's;

/// Who answers for a proof at hand, with the checkpoints that were kept of its runs.
pub struct Prover<'s> {
    file: ProofFile,
    states: Box<Kept<'s>>,
}

impl<'s> Prover<'s> {
    /// `states` gives a run's last checkpoint after at most so many steps.
    #[must_use]
    pub fn new(file: ProofFile, states: impl Fn(&RunId, u32) -> Option<Checkpoint> + 's) -> Self {
        Self { file, states: Box::new(states) }
    }

    fn answer(&self, question: &Question) -> Option<Answer> {
        let training = self.file.proof.training.as_ref();
        let run = |whose: Whose| -> Option<&Run> {
            training?.runs().find(|(of, _)| *of == whose).map(|(_, run)| run)
        };
        Some(match question {
            Question::Outline => Answer::Outline(Box::new(SignedOutline::of(&self.file))),
            Question::Children { whose, list, leaves } => {
                if leaves.len() < 2 {
                    return None;
                }
                let tree = match list {
                    List::Steps => step_tree(&run(*whose)?.steps),
                    List::Rows => row_tree(&run(*whose)?.measured()?.rows),
                };
                let middle = split(leaves);
                let node = |part| tree.node(&part);
                Answer::Children([node(leaves.start..middle)?, node(middle..leaves.end)?])
            }
            Question::Step { whose, step } => {
                Answer::Step(*run(*whose)?.steps.get(*step as usize)?)
            }
            Question::Row { whose, row } => {
                Answer::Row(run(*whose)?.measured()?.rows.get(*row as usize)?.clone())
            }
            Question::State { whose, taken } => {
                let run = run(*whose)?;
                let spec = self.file.proof.inputs.spec;
                let id = setup::run_id(spec, run.plan, training?.initial_state);
                let kept = (self.states)(&id, *taken).filter(|kept| kept.taken() == *taken)?;
                let last = kept.steps.last()?;
                // Whoever else ran this may have come to another state.
                if run.steps.get(last.step.0 as usize)?.state != last.state {
                    return None;
                }
                Answer::State(kept.tensors.iter().map(SavedTensor::hash).collect())
            }
        })
    }
}

impl Party for Prover<'_> {
    type Error = Infallible;

    fn ask(&mut self, question: &Question) -> Result<Answer, Infallible> {
        Ok(self.answer(question).unwrap_or(Answer::Missing))
    }
}
