//! Merkle trees as in RFC 9162, sections 2.1.1 to 2.1.4, with SHA-256.
//!
//! A leaf hash is `SHA-256(0x00 ‖ leaf)`, a node hash `SHA-256(0x01 ‖ left ‖ right)`, the left
//! subtree of n leaves holds the largest power of two smaller than n, and the root of no leaves is
//! `SHA-256("")`. The prefixes keep a node from passing for a leaf; the number of leaves is no part
//! of a root and has to be committed beside it.

use crate::hash::{Digest, MerkleRoot};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::ops::Range;

/// A hash inside a tree: of a leaf, or of two subtrees.
pub type NodeHash = [u8; 32];

/// The hash of a leaf with these bytes.
#[must_use]
pub fn leaf_hash(leaf: &[u8]) -> NodeHash {
    Sha256::new().chain_update([0]).chain_update(leaf).finalize().into()
}

/// The hash of a node with these two children.
#[must_use]
pub fn node_hash(left: &NodeHash, right: &NodeHash) -> NodeHash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The root over leaf hashes made by [`leaf_hash`].
#[must_use]
pub fn root_of_hashes<D: Digest>(hashes: &[NodeHash]) -> D {
    D::from_bytes(Tree::new(hashes.to_vec()).root())
}

/// The root over leaves given as bytes.
#[must_use]
pub fn root<L: AsRef<[u8]>>(leaves: impl IntoIterator<Item = L>) -> MerkleRoot {
    MerkleRoot(Tree::of(leaves).root())
}

/// Where the leaves of a subtree are split in two; the subtree has at least two.
#[must_use]
pub fn split(leaves: &Range<u32>) -> u32 {
    let last = leaves.end.saturating_sub(leaves.start).saturating_sub(1);
    let size = last.checked_ilog2().map_or(0, |level| 1u32 << level);
    leaves.start.saturating_add(size)
}

/// A tree with all its nodes, so that any proof from it takes O(log n).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// Level k holds the hashes of the full subtrees of 2^k leaves, from the left.
    levels: Vec<Vec<NodeHash>>,
}

impl Tree {
    /// The tree over leaf hashes made by [`leaf_hash`]; at most `u32::MAX` of them.
    #[must_use]
    pub fn new(leaves: Vec<NodeHash>) -> Self {
        let mut levels = vec![leaves];
        while let Some(below) = levels.last().filter(|below| below.len() > 1) {
            let (pairs, _) = below.as_chunks::<2>();
            let level = pairs.iter().map(|[left, right]| node_hash(left, right)).collect();
            levels.push(level);
        }
        Self { levels }
    }

    /// The tree over leaves given as bytes.
    #[must_use]
    pub fn of<L: AsRef<[u8]>>(leaves: impl IntoIterator<Item = L>) -> Self {
        Self::new(leaves.into_iter().map(|leaf| leaf_hash(leaf.as_ref())).collect())
    }

    /// Number of leaves.
    #[must_use]
    pub fn leaves(&self) -> u32 {
        self.levels.first().map_or(0, |leaves| u32::try_from(leaves.len()).unwrap_or(u32::MAX))
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> NodeHash {
        self.prefix(self.leaves())
    }

    /// The root of the tree over the first `leaves` leaves, or over all when there are fewer.
    #[must_use]
    pub fn prefix(&self, leaves: u32) -> NodeHash {
        match leaves.min(self.leaves()) {
            0 => Sha256::digest([]).into(),
            leaves => self.subtree(0..leaves),
        }
    }

    /// The hash of the subtree over `leaves`, or `None` when they are no subtree's: those of the
    /// whole, or of a half of a subtree as [`split`] cuts it.
    #[must_use]
    pub fn node(&self, leaves: &Range<u32>) -> Option<NodeHash> {
        let mut at = 0..self.leaves();
        while at != *leaves {
            let middle = split(&at);
            let inside = at.start <= leaves.start && leaves.end <= at.end;
            if !inside || leaves.is_empty() || at.len() < 2 {
                return None;
            }
            at = if leaves.start < middle { at.start..middle } else { middle..at.end };
        }
        (!at.is_empty()).then(|| self.subtree(at))
    }

    /// The path from one leaf to the root, or `None` when there is no such leaf.
    #[must_use]
    pub fn inclusion(&self, leaf: u32) -> Option<Inclusion> {
        let leaves = self.leaves();
        let mut path = Vec::new();
        let mut at = 0..leaves;
        if !at.contains(&leaf) {
            return None;
        }
        while at.len() > 1 {
            let middle = split(&at);
            let (left, right) = (at.start..middle, middle..at.end);
            let (inner, outer) = if leaf < middle { (left, right) } else { (right, left) };
            path.push(self.subtree(outer));
            at = inner;
        }
        path.reverse();
        Some(Inclusion { leaf, leaves, path })
    }

    /// The proof that the first `older` leaves of this tree are those of the tree of that size, or
    /// `None` when there are not so many.
    #[must_use]
    pub fn consistency(&self, older: u32) -> Option<Consistency> {
        let newer = self.leaves();
        if older > newer {
            return None;
        }
        let mut path = Vec::new();
        if (1..newer).contains(&older) {
            let mut at = 0..newer;
            while at.end > older {
                let middle = split(&at);
                let (left, right) = (at.start..middle, middle..at.end);
                if older <= middle {
                    path.push(self.subtree(right));
                    at = left;
                } else {
                    path.push(self.subtree(left));
                    at = right;
                }
            }
            // The older root itself is known to whoever checks.
            if at.start > 0 {
                path.push(self.subtree(at));
            }
            path.reverse();
        }
        Some(Consistency { older, newer, path })
    }

    /// The hash over leaves that begin where a full subtree of their number could: not empty.
    fn subtree(&self, leaves: Range<u32>) -> NodeHash {
        let level = leaves.len().ilog2();
        if leaves.len().is_power_of_two() {
            let index = leaves.start.checked_shr(level).unwrap_or(0);
            return self.levels[level as usize][index as usize];
        }
        let middle = split(&leaves);
        node_hash(&self.subtree(leaves.start..middle), &self.subtree(middle..leaves.end))
    }
}

/// That a leaf is at its place in a tree: RFC 9162, section 2.1.3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inclusion {
    /// The leaf's place, from 0.
    pub leaf: u32,
    /// Number of leaves of the tree.
    pub leaves: u32,
    /// The other child of every node between leaf and root, leaf first.
    pub path: Vec<NodeHash>,
}

impl Inclusion {
    /// The root that the tree must have if `leaf` is the hash of the leaf, or `None` when the path
    /// is not as long as place and number of leaves make it.
    #[must_use]
    pub fn root(&self, leaf: &NodeHash) -> Option<NodeHash> {
        let mut at = self.leaf;
        let mut last = self.leaves.checked_sub(1)?;
        if at > last {
            return None;
        }
        let mut hash = *leaf;
        for other in &self.path {
            if last == 0 {
                return None;
            }
            if at % 2 == 1 || at == last {
                hash = node_hash(other, &hash);
                skip_lone(&mut at, &mut last);
            } else {
                hash = node_hash(&hash, other);
            }
            (at, last) = (at >> 1, last >> 1);
        }
        (last == 0).then_some(hash)
    }
}

/// Climbs past the levels where the rightmost node has no sibling.
fn skip_lone(at: &mut u32, last: &mut u32) {
    while at.is_multiple_of(2) && *at != 0 {
        (*at, *last) = (*at >> 1, *last >> 1);
    }
}

/// That one tree begins with all leaves of another: RFC 9162, section 2.1.4.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consistency {
    /// Leaves of the tree that was committed first.
    pub older: u32,
    /// Leaves of the tree that begins with them.
    pub newer: u32,
    /// Hashes from which both roots follow, the deepest first.
    pub path: Vec<NodeHash>,
}

impl Consistency {
    /// Whether the tree with root `newer` begins with the leaves of the tree with root `older`.
    #[must_use]
    pub fn holds(&self, older: &NodeHash, newer: &NodeHash) -> bool {
        if self.older == 0 || self.older >= self.newer {
            let empty: NodeHash = Sha256::digest([]).into();
            let equal = self.older == self.newer && older == newer;
            let nothing = self.older == 0 && self.newer > 0 && *older == empty;
            return self.path.is_empty() && (equal || nothing);
        }
        self.roots(older).is_some_and(|roots| roots == (*older, *newer))
    }

    /// The roots of both trees, of which the older has a leaf and fewer than the newer.
    fn roots(&self, older: &NodeHash) -> Option<(NodeHash, NodeHash)> {
        let mut path = self.path.iter();
        let first = if self.older.is_power_of_two() { older } else { path.next()? };
        let full = self.older.trailing_zeros();
        let mut at = self.older.checked_sub(1)?.checked_shr(full)?;
        let mut last = self.newer.checked_sub(1)?.checked_shr(full)?;
        let (mut first, mut second) = (*first, *first);
        for other in path {
            if last == 0 {
                return None;
            }
            if at % 2 == 1 || at == last {
                first = node_hash(other, &first);
                second = node_hash(other, &second);
                skip_lone(&mut at, &mut last);
            } else {
                second = node_hash(&second, other);
            }
            (at, last) = (at >> 1, last >> 1);
        }
        (last == 0).then_some((first, second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Leaves of the test tree that Certificate Transparency implementations share.
    const LEAVES: [&[u8]; 8] = [
        b"",
        &[0x00],
        &[0x10],
        &[0x20, 0x21],
        &[0x30, 0x31],
        &[0x40, 0x41, 0x42, 0x43],
        &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
        &[
            0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d,
            0x6e, 0x6f,
        ],
    ];

    #[test]
    fn matches_the_certificate_transparency_vectors() {
        let expect = |n: usize, hex: &str| {
            assert_eq!(root(&LEAVES[..n]).to_string(), hex, "first {n} leaves");
        };
        expect(0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        expect(1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
        expect(2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125");
        expect(3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77");
        expect(8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
    }

    #[test]
    fn paths_match_the_certificate_transparency_vectors() {
        let tree = Tree::of(LEAVES);
        let hex = |path: &[NodeHash]| path.iter().map(hex::encode).collect::<Vec<_>>();
        assert_eq!(
            hex(&tree.inclusion(5).unwrap().path),
            [
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ]
        );
        assert_eq!(
            hex(&tree.consistency(6).unwrap().path),
            [
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ]
        );
    }

    fn tree(leaves: u32) -> Tree {
        Tree::of((0..leaves).map(u32::to_le_bytes))
    }

    #[test]
    fn every_leaf_of_every_small_tree_is_included_at_its_place_alone() {
        for leaves in 1..40 {
            let tree = tree(leaves);
            for leaf in 0..leaves {
                let proof = tree.inclusion(leaf).unwrap();
                assert!(proof.path.len() <= leaves.next_power_of_two().ilog2() as usize);
                let hash = leaf_hash(&leaf.to_le_bytes());
                assert_eq!(proof.root(&hash), Some(tree.root()), "{leaf} of {leaves}");
                let elsewhere = (0..leaves + 2).filter(|other| *other != leaf);
                for leaf in elsewhere {
                    let moved = Inclusion { leaf, ..proof.clone() };
                    assert_ne!(moved.root(&hash), Some(tree.root()), "{leaf} of {leaves}");
                }
                let mut long = proof.clone();
                long.path.push([0; 32]);
                assert_ne!(long.root(&hash), Some(tree.root()));
                let mut short = proof.clone();
                if short.path.pop().is_some() {
                    assert_ne!(short.root(&hash), Some(tree.root()));
                }
            }
            assert_eq!(tree.inclusion(leaves), None);
        }
        assert_eq!(tree(0).inclusion(0), None);
    }

    #[test]
    fn every_small_tree_is_consistent_with_its_beginnings_alone() {
        for newer in 0..40 {
            let whole = tree(newer);
            for older in 0..=newer {
                let proof = whole.consistency(older).unwrap();
                let before = tree(older).root();
                assert_eq!(whole.prefix(older), before);
                assert!(proof.holds(&before, &whole.root()), "{older} of {newer}");
                assert!(!proof.holds(&[7; 32], &whole.root()), "{older} of {newer}");
                if older > 0 {
                    assert!(!proof.holds(&before, &[7; 32]), "{older} of {newer}");
                }
                let claims = (0..newer + 2).filter(|other| *other != older);
                for older in claims {
                    let other = Consistency { older, ..proof.clone() };
                    assert!(!other.holds(&before, &whole.root()), "{older} of {newer}");
                }
            }
            assert_eq!(whole.consistency(newer + 1), None);
        }
    }

    #[test]
    fn nodes_are_those_that_proofs_are_made_of() {
        let whole = tree(11);
        assert_eq!(whole.node(&(0..11)), Some(whole.root()));
        for at in [0..11, 0..8, 8..11, 4..8, 8..10] {
            let middle = split(&at);
            let [left, right] = [at.start..middle, middle..at.end];
            let children = [left, right].map(|half| whole.node(&half).unwrap());
            assert_eq!(whole.node(&at), Some(node_hash(&children[0], &children[1])), "{at:?}");
        }
        assert_eq!(whole.node(&(10..11)), Some(leaf_hash(&10u32.to_le_bytes())));
        for no_subtree in [0..0, 0..12, 1..3, 4..7, 9..11, 11..11, 11..12, 0..10] {
            assert_eq!(whole.node(&no_subtree), None, "{no_subtree:?}");
        }
        assert_eq!(tree(0).node(&(0..0)), None);
    }
}
