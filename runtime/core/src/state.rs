//! A model's state while it is trained: its tensors, the root that commits to them, and the
//! checkpoints from which a run goes on.

use crate::codec;
use crate::hash::{RunId, SpecId, StateRoot, tagged};
use crate::merkle::{self, NodeHash};
use crate::proof::{PlanRoots, StepRecord};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// One tensor of a state: a parameter or one of its moments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedTensor {
    /// As the model family names it.
    pub name: String,
    /// Dimensions, outermost first.
    pub dims: Vec<u32>,
    /// Elements, row-major, little-endian f32.
    pub elements: Vec<u8>,
}

impl SavedTensor {
    /// Its leaf hash in a [`state_root`].
    #[must_use]
    pub fn hash(&self) -> NodeHash {
        tensor_hash(&self.name, &self.dims, &self.elements)
    }
}

/// The leaf hash of one tensor in a [`state_root`]: of the canonical encoding of its name and its
/// dimensions, then its elements as little-endian f32.
#[must_use]
pub fn tensor_hash(name: &str, dims: &[u32], elements: &[u8]) -> NodeHash {
    let header = codec::encode(&(name, dims));
    Sha256::new().chain_update([0]).chain_update(header).chain_update(elements).finalize().into()
}

/// The root of a model's state. Byte format: RFC 9162 Merkle root over tensors in the model
/// family's canonical order, from their [`tensor_hash`]es.
#[must_use]
pub fn state_root(tensors: &[NodeHash]) -> StateRoot {
    merkle::root_of_hashes(tensors)
}

/// Which training run: the spec's recipe, what it is trained on, where it starts, and by which
/// meaning of the operators, named by the known answer of the engine. For finding checkpoints; no
/// part of a proof.
///
/// Byte format: tag `dataforge/run/v1` over the canonical encoding of the four.
#[must_use]
pub fn run_id(
    spec: SpecId,
    plan: PlanRoots,
    initial_state: StateRoot,
    known_answer: &str,
) -> RunId {
    tagged("dataforge/run/v1", &codec::encode(&(spec, plan, initial_state, known_answer)))
}

/// A run after some steps, the last of which has a state root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Every step taken.
    pub steps: Vec<StepRecord>,
    /// The state after them, in canonical order.
    pub tensors: Vec<SavedTensor>,
}

impl Checkpoint {
    /// Steps taken.
    #[must_use]
    pub fn taken(&self) -> u32 {
        u32::try_from(self.steps.len()).unwrap_or(u32::MAX)
    }

    /// The checkpoint with each tensor's hash in place of its elements.
    #[must_use]
    pub fn manifest(&self) -> Manifest {
        let entry =
            |tensor: &SavedTensor| (tensor.name.clone(), tensor.dims.clone(), tensor.hash());
        Manifest { steps: self.steps.clone(), tensors: self.tensors.iter().map(entry).collect() }
    }
}

/// What a [`Checkpoint`] consists of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Every step taken.
    pub steps: Vec<StepRecord>,
    /// Name, dimensions and hash of each tensor, in canonical order.
    pub tensors: Vec<(String, Vec<u32>, NodeHash)>,
}

impl Manifest {
    /// Whether the steps are numbered from 0 and the last one's root is that of the tensors.
    #[must_use]
    pub fn holds(&self) -> bool {
        let hashes: Vec<NodeHash> = self.tensors.iter().map(|(_, _, hash)| *hash).collect();
        let numbered = (0..).zip(&self.steps).all(|(number, record)| record.step.0 == number);
        let last = self.steps.last().and_then(|record| record.state);
        numbered && last == Some(state_root(&hashes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{MicroNats, StepIndex};

    fn checkpoint() -> Checkpoint {
        let tensor = |name: &str, byte| SavedTensor {
            name: name.into(),
            dims: vec![1, 2],
            elements: vec![byte; 8],
        };
        let tensors = vec![tensor("a", 1), tensor("b", 2)];
        let hashes: Vec<_> = tensors.iter().map(SavedTensor::hash).collect();
        let record =
            |number, state| StepRecord { step: StepIndex(number), loss: MicroNats(5), state };
        let steps = vec![record(0, None), record(1, Some(state_root(&hashes)))];
        Checkpoint { steps, tensors }
    }

    #[test]
    fn a_manifest_holds_for_its_own_tensors_alone() {
        assert!(checkpoint().manifest().holds());
        let check = |change: &dyn Fn(&mut Checkpoint)| {
            let mut changed = checkpoint();
            change(&mut changed);
            assert!(!changed.manifest().holds());
        };
        check(&|c| c.tensors[1].elements[3] ^= 1);
        check(&|c| c.tensors[1].dims = vec![2, 1]);
        check(&|c| c.tensors[0].name = "c".into());
        check(&|c| c.tensors.swap(0, 1));
        check(&|c| drop(c.tensors.pop()));
        check(&|c| {
            c.steps.pop();
        });
        check(&|c| c.steps[0].step = StepIndex(1));
        check(&|c| c.steps.clear());
    }
}
