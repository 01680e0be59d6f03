//! The other side of a dispute: answers about a proof at hand.

use crate::setup;
use dataforge_core::bisect::{Answer, List, Party, Question};
use dataforge_core::hash::RunId;
use dataforge_core::merkle::{Tree, split};
use dataforge_core::proof::{ProofFile, Run, SignedOutline, Whose, row_tree, step_tree};
use dataforge_core::state::Manifest;
use std::collections::BTreeMap;
use std::convert::Infallible;

/// The checkpoint of a run after so many steps.
type Kept<'s> = dyn Fn(&RunId, u32) -> Option<Manifest> + 's;

/// Who answers for a proof at hand, with the checkpoints that were kept of its runs.
pub struct Prover<'s> {
    file: ProofFile,
    outline: SignedOutline,
    trees: BTreeMap<(Whose, List), Tree>,
    states: Box<Kept<'s>>,
}

impl<'s> Prover<'s> {
    /// `states` gives the checkpoint of a run after so many steps.
    #[must_use]
    pub fn new(file: ProofFile, states: impl Fn(&RunId, u32) -> Option<Manifest> + 's) -> Self {
        let outline = SignedOutline::of(&file);
        let mut trees = BTreeMap::new();
        for (whose, run) in file.proof.training.iter().flat_map(|training| training.runs()) {
            trees.insert((whose, List::Steps), step_tree(&run.steps));
            if let Some(measured) = run.measured() {
                trees.insert((whose, List::Rows), row_tree(&measured.rows));
            }
        }
        Self { file, outline, trees, states: Box::new(states) }
    }

    fn answer(&self, question: &Question) -> Option<Answer> {
        let run = |whose: &Whose| self.file.proof.run(*whose);
        Some(match question {
            Question::Outline => Answer::Outline(Box::new(self.outline.clone())),
            Question::Children { whose, list, leaves } => {
                if leaves.len() < 2 {
                    return None;
                }
                let tree = self.trees.get(&(*whose, *list))?;
                let middle = split(leaves);
                let node = |part| tree.node(&part);
                Answer::Children([node(leaves.start..middle)?, node(middle..leaves.end)?])
            }
            Question::Step { whose, step } => Answer::Step(*run(whose)?.steps.get(*step as usize)?),
            Question::Row { whose, row } => {
                Answer::Row(run(whose)?.measured()?.rows.get(*row as usize)?.clone())
            }
            Question::State { whose, taken } => {
                let kept = self.state(run(whose)?, *taken)?;
                Answer::State(kept.tensors.iter().map(|(_, _, hash)| *hash).collect())
            }
        })
    }

    /// What was kept of a run after so many steps, if it is the state that the proof commits to:
    /// whoever else ran this may have come to another.
    fn state(&self, run: &Run, taken: u32) -> Option<Manifest> {
        let initial = self.file.proof.training.as_ref()?.initial_state;
        let id = setup::run_id(self.file.proof.inputs.spec, run.plan, initial);
        let proven = run.steps.get(taken.checked_sub(1)? as usize)?.state?;
        let kept = (self.states)(&id, taken)?;
        (kept.steps.last()?.state == Some(proven)).then_some(kept)
    }
}

impl Party for Prover<'_> {
    type Error = Infallible;

    fn ask(&mut self, question: &Question) -> Result<Answer, Infallible> {
        Ok(self.answer(question).unwrap_or(Answer::Missing))
    }
}
