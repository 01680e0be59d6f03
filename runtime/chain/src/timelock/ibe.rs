//! Identity-based encryption of a 32-byte key to a round: Boneh and Franklin's FullIdent on
//! BLS12-381, with keys in G2 and identities in G1, as quicknet has them.
//!
//! The curve is arkworks'. Its arithmetic takes a time that depends on the numbers: every secret
//! here serves once, on the machine of the one who knows what it hides.

use ark_bls12_381::g1::Config as G1Config;
use ark_bls12_381::{Bls12_381, Fr, G1Affine, G1Projective, G2Affine, G2Projective};
use ark_ec::hashing::HashToCurve;
use ark_ec::hashing::curve_maps::wb::WBMap;
use ark_ec::hashing::map_to_curve_hasher::MapToCurveBasedHasher;
use ark_ec::pairing::Pairing;
use ark_ec::{AffineRepr, CurveGroup, PrimeGroup};
use ark_ff::field_hashers::DefaultFieldHasher;
use ark_ff::{BigInt, BigInteger, PrimeField};
use ark_serialize::{CanonicalDeserialize, CanonicalSerialize};
use sha2_010::{Digest, Sha256};

use super::{DrandRound, Random, TimelockError};

/// The bytes of what is encrypted, and of every hash.
pub(super) const KEY_BYTES: usize = 32;
/// The bytes of a point of G2.
pub(super) const POINT_BYTES: usize = 96;
/// The bytes of an element of the pairing's target.
const TARGET_BYTES: usize = 12 * 48;

/// The public key of quicknet, whose chain hash is
/// `52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971`.
const QUICKNET: &str = "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c\
    8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb\
    5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a";

/// Under which name quicknet hashes rounds to the curve (RFC 9380, 3.1).
const DOMAIN: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";

/// How often a number below the group's order is sought: each try fails one time in eleven, so all
/// of them do only if the source of randomness is none.
const DRAWS_MAX: usize = 128;

/// A key, encrypted to a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// r·G2, compressed.
    pub(super) u: [u8; POINT_BYTES],
    /// σ, hidden by the pairing.
    pub(super) v: [u8; KEY_BYTES],
    /// The key, hidden by σ.
    pub(super) w: [u8; KEY_BYTES],
}

/// A beacon's signature of a round, which opens what was encrypted to it.
///
/// Byte format: 48 bytes, a compressed point of G1, as the beacon publishes it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RoundSignature(G1Affine);

impl RoundSignature {
    /// Reads a signature. Whose it is, and of what, is not seen; that is for
    /// [`RoundSignature::verify`].
    ///
    /// # Errors
    ///
    /// [`TimelockError::Signature`] where the bytes are no point of G1.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TimelockError> {
        let bytes: &[u8; 48] = bytes.try_into().map_err(|_| TimelockError::Signature)?;
        let point = G1Affine::deserialize_compressed(&bytes[..]);
        point.map(Self).map_err(|_| TimelockError::Signature)
    }

    /// Whether quicknet signed `round` so: e(signature, G2) = e(Q, P), with Q and P as in
    /// [`Commit`](super::Commit).
    #[must_use]
    pub fn verify(&self, round: DrandRound) -> bool {
        let of_beacon = Bls12_381::pairing(identity(round), quicknet());
        Bls12_381::pairing(self.0, G2Affine::generator()) == of_beacon
    }
}

impl std::fmt::Debug for RoundSignature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RoundSignature({})", self.0)
    }
}

/// Draws σ; [`encrypt`](super::encrypt) says how.
pub(super) fn draw_sigma(random: &mut Random<'_>) -> Result<[u8; KEY_BYTES], TimelockError> {
    for _ in 0..DRAWS_MAX {
        let mut limbs = [0; 4];
        for limb in &mut limbs {
            let mut bytes = [0; 8];
            random(&mut bytes)?;
            *limb = u64::from_le_bytes(bytes);
        }
        let [.., top] = &mut limbs;
        *top &= u64::MAX >> 1;
        let drawn = BigInt(limbs);
        if drawn < Fr::MODULUS {
            // Arkworks takes what it draws for a number times 2^256, which is how it keeps numbers.
            let scalar = Fr::new_unchecked(drawn).into_bigint();
            return Ok(Sha256::digest(scalar.to_bytes_le()).into());
        }
    }
    Err(TimelockError::Random)
}

/// Encrypts a key to a round.
pub(super) fn encrypt(key: &[u8; KEY_BYTES], sigma: &[u8; KEY_BYTES], round: DrandRound) -> Header {
    let r = scalar(sigma, key);
    let public = (quicknet() * r).into_affine();
    Header {
        u: point_bytes(&commitment(r)),
        v: xor(sigma, &pairing_hash(identity(round), public)),
        w: xor(key, &Sha256::digest(sigma).into()),
    }
}

/// Decrypts a key by a round's signature.
pub(super) fn decrypt(
    header: &Header,
    signature: &RoundSignature,
) -> Result<[u8; KEY_BYTES], TimelockError> {
    // On the curve and in the subgroup, or it is refused.
    let u = G2Affine::deserialize_compressed(&header.u[..]);
    let u = u.map_err(|_| TimelockError::CommitPoint)?;
    let sigma = xor(&header.v, &pairing_hash(signature.0, u));
    let key = xor(&header.w, &Sha256::digest(sigma).into());
    if commitment(scalar(&sigma, &key)) == u { Ok(key) } else { Err(TimelockError::WrongSignature) }
}

/// H3 of the paper: the number that U commits to.
fn scalar(sigma: &[u8; KEY_BYTES], key: &[u8; KEY_BYTES]) -> Fr {
    let hash = Sha256::new().chain_update(sigma).chain_update(key).finalize();
    Fr::from_be_bytes_mod_order(&hash)
}

/// U.
fn commitment(r: Fr) -> G2Affine {
    (G2Projective::generator() * r).into_affine()
}

/// H2 of the paper, of a pairing.
fn pairing_hash(identity: G1Affine, public: G2Affine) -> [u8; KEY_BYTES] {
    let mut bytes = Vec::with_capacity(TARGET_BYTES);
    let target = Bls12_381::pairing(identity, public).0;
    #[expect(clippy::expect_used, reason = "a vector takes whatever is written to it")]
    target.serialize_compressed(&mut bytes).expect("a vector takes every byte");
    Sha256::digest(bytes).into()
}

/// H1 of the paper: the point that stands for a round, which the beacon multiplies by its secret.
fn identity(round: DrandRound) -> G1Affine {
    type Hasher =
        MapToCurveBasedHasher<G1Projective, DefaultFieldHasher<Sha256, 128>, WBMap<G1Config>>;
    let message = Sha256::digest(round.0.to_be_bytes());
    let point = Hasher::new(DOMAIN).and_then(|hasher| hasher.hash(&message));
    #[expect(clippy::expect_used, reason = "the map of RFC 9380 is defined for every message")]
    point.expect("every message has a point")
}

fn quicknet() -> G2Affine {
    let bytes = hex::decode(QUICKNET).unwrap_or_default();
    #[expect(clippy::expect_used, reason = "the key is a constant; a test reads it")]
    G2Affine::deserialize_compressed(bytes.as_slice()).expect("quicknet's key is a point")
}

fn point_bytes(point: &G2Affine) -> [u8; POINT_BYTES] {
    let mut bytes = [0; POINT_BYTES];
    #[expect(clippy::expect_used, reason = "a compressed point of G2 has 96 bytes")]
    point.serialize_compressed(&mut bytes[..]).expect("a point of G2 has 96 bytes");
    bytes
}

fn xor(left: &[u8; KEY_BYTES], right: &[u8; KEY_BYTES]) -> [u8; KEY_BYTES] {
    std::array::from_fn(|at| left[at] ^ right[at])
}
