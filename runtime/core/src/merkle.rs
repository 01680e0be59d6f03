//! Merkle tree hashes as in RFC 9162, section 2.1.1, with SHA-256.
//!
//! Only roots: a leaf hash is `SHA-256(0x00 ‖ leaf)`, a node hash `SHA-256(0x01 ‖ left ‖ right)`,
//! the left subtree of n leaves holds the largest power of two smaller than n, and the root of no
//! leaves is `SHA-256("")`.

use crate::hash::{Digest, MerkleRoot};
use sha2::{Digest as _, Sha256};

/// The hash of a leaf with these bytes.
#[must_use]
pub fn leaf_hash(leaf: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update([0]).chain_update(leaf).finalize().into()
}

fn node_hash(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The root over leaf hashes made by [`leaf_hash`].
#[must_use]
pub fn root_of_hashes<D: Digest>(hashes: &[[u8; 32]]) -> D {
    D::from_bytes(subtree(hashes))
}

/// The root over leaves given as bytes.
#[must_use]
pub fn root<L: AsRef<[u8]>>(leaves: impl IntoIterator<Item = L>) -> MerkleRoot {
    let hashes: Vec<_> = leaves.into_iter().map(|leaf| leaf_hash(leaf.as_ref())).collect();
    root_of_hashes(&hashes)
}

fn subtree(hashes: &[[u8; 32]]) -> [u8; 32] {
    match hashes {
        [] => Sha256::digest([]).into(),
        [only] => *only,
        _ => {
            let split = hashes.len().next_power_of_two() / 2;
            let (left, right) = hashes.split_at(split);
            node_hash(&subtree(left), &subtree(right))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Roots of the first n leaves of the test tree that Certificate Transparency implementations
    /// share.
    #[test]
    fn matches_the_certificate_transparency_vectors() {
        let leaves: [&[u8]; 8] = [
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
        let expect = |n: usize, hex: &str| {
            assert_eq!(root(&leaves[..n]).to_string(), hex, "first {n} leaves");
        };
        expect(0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        expect(1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
        expect(2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125");
        expect(3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77");
        expect(8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
    }
}
