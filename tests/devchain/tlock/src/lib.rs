//! Opens what was encrypted to a round of drand's quicknet: the chain's side of timelocked commits.
//!
//! It is written apart from DataForge's own encryption, so that each tests the other. It does not
//! encrypt, and does not ask whose signature opens a commit: one that opens it is the beacon's. It
//! is a crate by itself because it alone must be optimised: a pairing is the one computation here
//! that an interpreter feels.
//!
//! A commit is U (96 bytes, a compressed point of G2) and then, each behind its length (8 bytes,
//! least significant first): V, W, the body, and `AES_GCM_`. The body is, again behind lengths, the
//! ciphertext with its tag and the nonce. With S the signature, H SHA-256 and G the generator of
//! G2: σ = V ⊕ H(e(S, U)), key = W ⊕ H(σ), and U must be H(σ ‖ key) · G.
#![no_std]

extern crate alloc;

use aes_gcm::aead::{Aead, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce};
use alloc::vec::Vec;
use ark_bls12_381::{Bls12_381, Fr, G1Affine, G2Affine, G2Projective};
use ark_ec::pairing::Pairing;
use ark_ec::{CurveGroup, PrimeGroup};
use ark_ff::PrimeField;
use ark_serialize::{CanonicalDeserialize, CanonicalSerialize};
use sha2::{Digest, Sha256};

/// The bytes of a compressed point of G2.
const POINT_BYTES: usize = 96;

/// The bytes of a key, and of every hash.
const KEY_BYTES: usize = 32;

/// The plain text; nothing where the bytes are no commit, or `signature` is of another round.
#[must_use]
pub fn open(commit: &[u8], signature: &[u8]) -> Option<Vec<u8>> {
    let (point, rest) = commit.split_at_checked(POINT_BYTES)?;
    let (v, rest) = sized(rest)?;
    let (w, rest) = sized(rest)?;
    let (body, rest) = sized(rest)?;
    let (_suite, _) = sized(rest)?;
    let (sealed, rest) = sized(body)?;
    let (nonce, _) = sized(rest)?;
    let key = key(point, v.try_into().ok()?, w.try_into().ok()?, signature)?;
    let nonce: [u8; 12] = nonce.try_into().ok()?;
    Aes256Gcm::new(&key.into()).decrypt(&Nonce::from(nonce), sealed).ok()
}

/// The key of the body.
fn key(
    point: &[u8],
    v: [u8; KEY_BYTES],
    w: [u8; KEY_BYTES],
    signature: &[u8],
) -> Option<[u8; KEY_BYTES]> {
    let signature = G1Affine::deserialize_compressed(signature).ok()?;
    let u = G2Affine::deserialize_compressed(point).ok()?;
    let mut target = Vec::new();
    Bls12_381::pairing(signature, u).0.serialize_compressed(&mut target).ok()?;
    let sigma = xor(v, Sha256::digest(target).into());
    let key = xor(w, Sha256::digest(sigma).into());
    let hash = Sha256::new().chain_update(sigma).chain_update(key).finalize();
    let r = Fr::from_be_bytes_mod_order(&hash);
    ((G2Projective::generator() * r).into_affine() == u).then_some(key)
}

/// The bytes behind a length, and what follows them.
fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(u64::from_le_bytes(*length).try_into().ok()?)
}

fn xor(left: [u8; KEY_BYTES], right: [u8; KEY_BYTES]) -> [u8; KEY_BYTES] {
    core::array::from_fn(|at| left[at] ^ right[at])
}

#[cfg(test)]
mod tests;
