//! Merkle trees over leaves that are secret: one can be shown, and the others not be guessed.
//!
//! The path to a leaf holds the hash of its neighbour, and whoever suspects what the neighbour says
//! could hash that and compare. So every leaf begins with a salt. The salts come from the leaves
//! themselves, so that everyone who holds all of them computes the same root, and from nothing
//! else: who holds all leaves but one can test guesses at that one.

use crate::hash::{Hasher, MerkleRoot, SaltKey};
use crate::merkle::{Inclusion, NodeHash, Tree, leaf_hash};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What commits to a list: its Merkle root and its length, which a root alone does not fix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListRoot {
    /// Number of entries.
    pub count: u32,
    /// Root over the entries.
    pub root: MerkleRoot,
}

impl ListRoot {
    /// The root and the number of leaves of a tree.
    #[must_use]
    pub fn of(tree: &Tree) -> Self {
        Self { count: tree.leaves(), root: MerkleRoot(tree.root()) }
    }
}

/// What hides one leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Salt(pub [u8; 32]);

/// A tree of secret leaves, with the salt of each.
///
/// Byte format: the key is the hash under tag `dataforge/salt-key/v1` of the RFC 9162 leaf hashes
/// of the contents, end to end; the salt of leaf i is the hash under tag `dataforge/salt/v1` of the
/// key and i (u32 LE); leaf i of the tree is the salt followed by the content.
#[derive(Debug, Clone)]
pub struct BlindTree {
    tree: Tree,
    key: SaltKey,
}

impl BlindTree {
    /// The tree over these contents; at most `u32::MAX` of them.
    #[must_use]
    pub fn of<L: AsRef<[u8]>>(contents: &[L]) -> Self {
        let mut hasher = Hasher::new("dataforge/salt-key/v1");
        for content in contents {
            hasher.update(leaf_hash(content.as_ref()));
        }
        let key = hasher.finish();
        let salted = (0..).zip(contents);
        let leaves = salted.map(|(leaf, content)| hidden(salt(key, leaf), content.as_ref()));
        Self { tree: Tree::new(leaves.collect()), key }
    }

    /// The tree's hashes.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Root and number of leaves.
    #[must_use]
    pub fn list_root(&self) -> ListRoot {
        ListRoot::of(&self.tree)
    }

    /// What shows one leaf to someone who knows the root, or `None` when there is no such leaf.
    #[must_use]
    pub fn opening(&self, leaf: u32) -> Option<Opening> {
        let inclusion = self.tree.inclusion(leaf)?;
        Some(Opening { salt: salt(self.key, leaf), inclusion })
    }
}

/// What shows that a content is a leaf of a [`BlindTree`]: its salt and its path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// What hides the leaf.
    pub salt: Salt,
    /// Where it is.
    pub inclusion: Inclusion,
}

impl Opening {
    /// Whether `content` is the leaf at this place under this root.
    #[must_use]
    pub fn shows(&self, content: &[u8], list: &ListRoot) -> bool {
        self.list(content).as_ref() == Some(list)
    }

    /// The list in which `content` is the leaf at this place, or `None` when the path is not as
    /// long as the place makes it.
    #[must_use]
    pub fn list(&self, content: &[u8]) -> Option<ListRoot> {
        let root = self.inclusion.root(&hidden(self.salt, content))?;
        Some(ListRoot { count: self.inclusion.leaves, root: MerkleRoot(root) })
    }
}

fn salt(key: SaltKey, leaf: u32) -> Salt {
    let mut hasher = Hasher::new("dataforge/salt/v1");
    hasher.update(key.0).update(leaf.to_le_bytes());
    Salt(hasher.finish::<SaltKey>().0)
}

/// [`leaf_hash`] of the salt followed by the content.
fn hidden(salt: Salt, content: &[u8]) -> NodeHash {
    Sha256::new().chain_update([0]).chain_update(salt.0).chain_update(content).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: [&str; 5] = ["yes", "no", "yes", "", "perhaps"];

    #[test]
    fn openings_show_their_own_content_alone() {
        let blind = BlindTree::of(&ROWS);
        let list = blind.list_root();
        for (leaf, content) in (0..).zip(ROWS) {
            let opening = blind.opening(leaf).unwrap();
            assert!(opening.shows(content.as_bytes(), &list));
            assert!(!opening.shows(b"never", &list));
            let shorter = ListRoot { count: 4, ..list };
            assert!(!opening.shows(content.as_bytes(), &shorter));
        }
        assert!(blind.opening(5).is_none());
    }

    #[test]
    fn a_guess_at_a_neighbour_cannot_be_tested() {
        let blind = BlindTree::of(&ROWS);
        let opening = blind.opening(0).unwrap();
        let guessed = [leaf_hash(b"no"), hidden(opening.salt, b"no")];
        assert!(guessed.iter().all(|hash| *hash != opening.inclusion.path[0]));
        // Equal contents do not show that they are equal, and one changed row changes every salt.
        let other = BlindTree::of(&["yes", "no", "yes", "", "never"]);
        assert_ne!(blind.opening(0).unwrap().salt, blind.opening(2).unwrap().salt);
        assert_ne!(blind.opening(0).unwrap().salt, other.opening(0).unwrap().salt);
    }

    #[test]
    fn golden_root() {
        assert_eq!(
            BlindTree::of(&ROWS).list_root().root.to_string(),
            "ed1d610d81aeaf525d3e28d72aacf7f33214ed6e103956e521228a5d9c649953"
        );
    }
}
