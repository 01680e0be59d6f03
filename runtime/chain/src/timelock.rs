//! Time-lock encryption of weights, for `commit_timelocked_weights` (commit–reveal version 4).
//!
//! A validator's weights are encrypted to a round of the drand beacon *quicknet*. Nobody can read
//! them before the beacon signs that round; from then on everybody can, and the chain does. The
//! bytes equal those of the Bittensor SDK (`bittensor-drand` 2, `bittensor-core` 0.1) for the same
//! weights, round and randomness; `cargo xtask sdk` compares them.
//!
//! Nothing here reads a clock, a chain or a beacon, or draws randomness: the caller gives time,
//! schedule, signature and random bytes. The envelope in which the SDK hands sealed files around
//! (a length before and the round behind the ciphertext) is not made here: the chain takes the
//! ciphertext and the round apart.
//!
//! Sources: D. Boneh and M. Franklin, "Identity-Based Encryption from the Weil Pairing"
//! (FullIdent); N. Gailly, K. Melissaris and Y. Romailler, "tlock: Practical Timelock Encryption
//! from Threshold BLS" (IACR ePrint 2023/189); drand's specification of the scheme
//! `bls-unchained-g1-rfc9380`; NIST SP 800-38D (AES-GCM).

mod envelope;
mod ibe;
mod payload;
mod schedule;

use std::fmt;

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{AeadInOut, KeyInit};

pub use ibe::RoundSignature;
pub use payload::WeightsPayload;
pub use schedule::Schedule;

use envelope::{Envelope, NONCE_BYTES};
use ibe::KEY_BYTES;

/// The version that `commit_timelocked_weights` is called with.
pub const COMMIT_REVEAL_VERSION: u16 = 4;

/// The most bytes that a commit may have: what the chain takes.
pub const COMMIT_BYTES_MAX: usize = 5_000;

/// The most bytes that can be encrypted, so that the commit has no more than [`COMMIT_BYTES_MAX`].
pub const PLAIN_BYTES_MAX: usize = COMMIT_BYTES_MAX - envelope::OVERHEAD_BYTES;

/// A round of quicknet. Round 1 was signed at [`DrandRound::GENESIS_MS`], and each later one three
/// seconds after the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DrandRound(pub u64);

impl DrandRound {
    /// When the first round was signed, in Unix milliseconds.
    pub const GENESIS_MS: u64 = 1_692_803_367_000;
    /// The time from one round to the next, in milliseconds.
    pub const PERIOD_MS: u64 = 3_000;

    /// When the beacon signs this round, in Unix milliseconds; the end of time where that is
    /// beyond it.
    #[must_use]
    pub fn signed_at_ms(self) -> u64 {
        let periods = self.0.saturating_sub(1);
        periods.saturating_mul(Self::PERIOD_MS).saturating_add(Self::GENESIS_MS)
    }
}

impl fmt::Display for DrandRound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why something is not encrypted, not decrypted, or has no round to be encrypted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimelockError {
    /// More bytes than the chain takes.
    #[error("a commit has {0} bytes; the chain takes {COMMIT_BYTES_MAX}")]
    CommitTooLong(usize),
    /// More bytes than a commit can hold.
    #[error("{0} bytes are to be encrypted; a commit holds {PLAIN_BYTES_MAX}")]
    PlainTooLong(usize),
    /// The bytes are not laid out as a commit.
    #[error("no time-lock commit: {0}")]
    Layout(&'static str),
    /// The commit's point is not one of the group in which it must be.
    #[error("no time-lock commit: U is no point of G2")]
    CommitPoint,
    /// The bytes are not one of the beacon's signatures.
    #[error("no drand signature: not 48 bytes that are a point of G1")]
    Signature,
    /// The signature is of another round, or the commit's key was damaged.
    #[error("the signature does not open the commit: another round's, or the commit is damaged")]
    WrongSignature,
    /// The key is right, what it encrypts was damaged.
    #[error("the commit's body is damaged")]
    Damaged,
    /// What was encrypted is not weights.
    #[error("no weights: {0}")]
    Payload(&'static str),
    /// The source of randomness fails, or returned what no random source does.
    #[error("the source of randomness is broken")]
    Random,
    /// A subnet with tempo 0 has no epochs.
    #[error("the subnet's tempo is 0: it has no epochs, so nothing is revealed")]
    NoEpochs,
    /// The chain would not reveal, or not before the time that the SDK looks ahead.
    #[error("no block is found in which the chain reveals")]
    NoReveal,
}

/// Weights that can be read from a round on; at most [`COMMIT_BYTES_MAX`] bytes.
///
/// Byte format, n being the number of bytes encrypted; lengths are u64, least significant byte
/// first:
///
/// | bytes | what |
/// |---|---|
/// | 96 | U = r·G2, r = SHA-256(σ ‖ key) as a big-endian number modulo the group's order |
/// | 8, 32 | 32, and V = σ ⊕ SHA-256(e(Q, P)^r) |
/// | 8, 32 | 32, and W = key ⊕ SHA-256(σ) |
/// | 8 | the length of the next two rows: n + 44 |
/// | 8, n + 16 | n + 16, and the AES-256-GCM ciphertext under the key, then its tag |
/// | 8, 12 | 12, and the nonce |
/// | 8, 8 | 8, and the suite: `AES_GCM_` |
///
/// P is quicknet's key, a point of G2. Q is the point of G1 to which SHA-256 of the round (u64,
/// most significant byte first) is hashed (RFC 9380,
/// `BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_`). e(Q, P)^r is hashed as 12 elements of the base
/// field, 48 bytes each, least significant byte first. Points are compressed as by ZCash. The round
/// is not in it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Commit(Vec<u8>);

impl Commit {
    /// Takes bytes from the chain.
    ///
    /// # Errors
    ///
    /// [`TimelockError::CommitTooLong`] and [`TimelockError::Layout`]. Whether U is a point is seen
    /// only by [`decrypt`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, TimelockError> {
        Envelope::parse(&bytes)?;
        Ok(Self(bytes))
    }

    /// The bytes that the chain is given.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Commit({})", hex::encode(&self.0))
    }
}

/// Fills a buffer with secret random bytes, or fails with [`TimelockError::Random`].
///
/// Production draws from the operating system, with `getrandom`.
pub type Random<'a> = dyn FnMut(&mut [u8]) -> Result<(), TimelockError> + 'a;

/// Encrypts `plain` so that the beacon's signature of `round` opens it.
///
/// Whoever knows the random bytes reads the commit at once, and the same must not serve twice. They
/// are used in this order, which is the SDK's:
///
/// 1. 32 bytes: the AES key.
/// 2. 32 bytes: four u64, least significant first in bytes and order; the top bit is cleared. When
///    the number is not below the order q of the group (one time in eleven), 32 others are drawn.
///    σ is the SHA-256 of that number · 2^-256 mod q, in 32 bytes, least significant first.
/// 3. 12 bytes: the nonce.
///
/// # Errors
///
/// [`TimelockError::PlainTooLong`]; [`TimelockError::Random`], also when no number is found below
/// q.
pub fn encrypt(
    plain: &[u8],
    round: DrandRound,
    random: &mut Random<'_>,
) -> Result<Commit, TimelockError> {
    if plain.len() > PLAIN_BYTES_MAX {
        return Err(TimelockError::PlainTooLong(plain.len()));
    }
    let mut key = [0; KEY_BYTES];
    random(&mut key)?;
    let sigma = ibe::draw_sigma(random)?;
    let mut nonce = [0; NONCE_BYTES];
    random(&mut nonce)?;
    let mut body = plain.to_vec();
    let tag = Aes256Gcm::new(&key.into())
        .encrypt_inout_detached(&nonce.into(), b"", body.as_mut_slice().into())
        .map_err(|_| TimelockError::PlainTooLong(plain.len()))?;
    let header = ibe::encrypt(&key, &sigma, round);
    let envelope = Envelope { header, body: &body, tag: tag.into(), nonce };
    Ok(Commit(envelope.to_bytes()))
}

/// Decrypts a commit by the signature of the round that it was encrypted to.
///
/// # Errors
///
/// [`TimelockError::CommitPoint`], [`TimelockError::WrongSignature`] and
/// [`TimelockError::Damaged`].
pub fn decrypt(commit: &Commit, signature: &RoundSignature) -> Result<Vec<u8>, TimelockError> {
    let Envelope { header, body, tag, nonce } = Envelope::parse(&commit.0)?;
    let key = ibe::decrypt(&header, signature)?;
    let mut plain = body.to_vec();
    Aes256Gcm::new(&key.into())
        .decrypt_inout_detached(&nonce.into(), b"", plain.as_mut_slice().into(), &tag.into())
        .map_err(|_| TimelockError::Damaged)?;
    Ok(plain)
}
