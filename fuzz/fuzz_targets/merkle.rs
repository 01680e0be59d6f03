//! Paths in Merkle trees: a tree's own hold, and no other bytes that decode to a path do.
#![no_main]

use arbitrary::Arbitrary;
use dataforge_core::blind::{BlindTree, Opening};
use dataforge_core::codec;
use dataforge_core::merkle::{Consistency, Inclusion, Tree, leaf_hash};
use dataforge_fuzz::damage::{Damage, damaged};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Input {
    /// Leaves of the tree; each is its own number, so that no two are equal.
    leaves: u8,
    /// The leaf that is shown, and the leaves of the older tree.
    at: u8,
    damage: Vec<Damage>,
    /// A path made of nothing.
    forged: Vec<u8>,
}

fuzz_target!(|input: Input| {
    let leaves: Vec<_> = (0..input.leaves).map(|leaf| [leaf]).collect();
    let tree = Tree::of(&leaves);
    let at = u32::from(input.at) % (u32::from(input.leaves) + 1);

    if let Some(path) = tree.inclusion(at) {
        let leaf = leaf_hash(&leaves[at as usize]);
        // The number of leaves is committed beside the root.
        let holds = |p: &Inclusion| p.leaves == tree.leaves() && p.root(&leaf) == Some(tree.root());
        alone(&path, &input, holds);
    }

    let path = tree.consistency(at).expect("the older tree is no larger");
    let holds = |p: &Consistency| {
        let counts = (p.older, p.newer) == (at, tree.leaves());
        p.holds(&tree.prefix(at), &tree.root()) && counts
    };
    alone(&path, &input, holds);

    let blind = BlindTree::of(&leaves);
    if let Some(opening) = blind.opening(at) {
        let content = leaves[at as usize];
        alone(&opening, &input, |o: &Opening| o.shows(&content, &blind.list_root()));
    }
});

/// The path holds, and neither a damaged nor a forged one does unless it is the same.
fn alone<P>(path: &P, input: &Input, holds: impl Fn(&P) -> bool)
where
    P: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    assert!(holds(path), "{path:?}");
    let damaged = damaged(&codec::encode(path), &input.damage);
    for bytes in [&damaged, &input.forged] {
        if let Ok(other) = codec::decode::<P>(bytes) {
            assert_eq!(&codec::encode(&other), bytes);
            assert!(other == *path || !holds(&other), "{other:?} holds like {path:?}");
        }
    }
}
