//! SHA-256 with domain tags, and one newtype per thing that has a digest.
//!
//! A digest of one kind can never be mistaken for another: each kind hashes under its own tag and
//! is its own type. Nothing here truncates or abbreviates a digest except [`Digest::short`], which
//! is for people.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// What a digest newtype can do.
pub trait Digest: Sized + Copy {
    /// Wraps 32 bytes.
    fn from_bytes(bytes: [u8; 32]) -> Self;
    /// The 32 bytes.
    fn as_bytes(&self) -> &[u8; 32];
    /// The first eight hexadecimal digits, for people. Never compare these.
    fn short(&self) -> String {
        let mut text = hex::encode(self.as_bytes());
        text.truncate(8);
        text
    }
}

/// A digest was written in a way that is not 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 hexadecimal digits, found {0:?}")]
pub struct BadHex(pub String);

macro_rules! digests {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl Digest for $name {
            fn from_bytes(bytes: [u8; 32]) -> Self { Self(bytes) }
            fn as_bytes(&self) -> &[u8; 32] { &self.0 }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({})", stringify!($name), hex::encode(self.0))
            }
        }

        impl std::str::FromStr for $name {
            type Err = BadHex;
            fn from_str(text: &str) -> Result<Self, BadHex> {
                let mut bytes = [0; 32];
                let bad = |_| BadHex(text.chars().take(80).collect());
                hex::decode_to_slice(text, &mut bytes).map_err(bad)?;
                Ok(Self(bytes))
            }
        }

        /// Hexadecimal text in human-readable formats, 32 raw bytes in canonical ones.
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    self.0.serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
                } else {
                    <[u8; 32]>::deserialize(deserializer).map(Self)
                }
            }
        }
    )*};
}

digests! {
    /// Plain, untagged SHA-256 of a file: what `sha256sum` prints. Artifacts, kernels and schemas
    /// are pinned by it.
    FileDigest;
    /// Identifies a spec together with its lock; see [`crate::spec::PinnedSpec::id`].
    SpecId;
    /// Commits to a submission's lines; see [`crate::dataset::RawSubmission::digest`].
    DatasetDigest;
    /// Digest of one row folded so that trivial edits do not change it; see
    /// [`crate::dataset::Row::fingerprint`].
    RowFingerprint;
    /// Merkle root of an epoch's hidden rows; see [`crate::benchmark::benchmark_root`].
    BenchmarkRoot;
    /// Public randomness of an epoch, known only after submissions close. Not a digest, but carried
    /// like one.
    EpochSeed;
    /// Digest of what the kernels reported; see [`crate::dataset::CheckReport::digest`].
    ReportDigest;
    /// A training run; see [`crate::state::run_id`].
    RunId;
    /// A validator's public key, sr25519. Not a digest, but carried like one.
    ValidatorKey;
    /// What the salts of a tree of secret leaves come from; see [`crate::blind::BlindTree`].
    SaltKey;
    /// Merkle root of parameters and optimiser state; see [`crate::state::state_root`].
    StateRoot;
    /// Merkle root of a list of proof entries; see [`crate::merkle::root`].
    MerkleRoot;
    /// What a validator signs and peers compare; see [`crate::proof::ScoreProof::digest`].
    ProofDigest;
    /// The public key under which a miner or validator is known on chain. Not a digest, but carried
    /// like one.
    HotkeyId;
    /// What somebody promised to reveal.
    Commitment;
    /// The rules of a market; see `Rules::id` of the settle crate.
    RulesId;
    /// The state of a market between two epochs; see `Ledger::digest` of the settle crate.
    LedgerDigest;
    /// Every event of an epoch, in order; see `log` of the settle crate.
    LogDigest;
    /// What an epoch came to; see `Report::digest` of the settle crate.
    SettlementDigest;
}

/// An incremental SHA-256 under a domain tag.
///
/// Byte format: one byte with the tag's length, the tag's ASCII bytes, then everything updated, in
/// order. Callers keep what they append self-delimiting.
pub struct Hasher(Sha256);

impl Hasher {
    /// Starts a hash under `tag` (at most 255 ASCII bytes, unique in the project).
    #[must_use]
    pub fn new(tag: &'static str) -> Self {
        let mut sha = Sha256::new();
        sha.update([u8::try_from(tag.len()).unwrap_or(u8::MAX)]);
        sha.update(tag.as_bytes());
        Self(sha)
    }

    /// Appends bytes.
    pub fn update(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.0.update(bytes);
        self
    }

    /// The digest of all that was appended.
    #[must_use]
    pub fn finish<D: Digest>(self) -> D {
        D::from_bytes(self.0.finalize().into())
    }
}

/// SHA-256 of `bytes` under `tag`; see [`Hasher`] for the byte format.
#[must_use]
pub fn tagged<D: Digest>(tag: &'static str, bytes: &[u8]) -> D {
    let mut hasher = Hasher::new(tag);
    hasher.update(bytes);
    hasher.finish()
}

/// A [`FileDigest`] of bytes that arrive in pieces.
#[derive(Default)]
pub struct FileHasher(Sha256);

impl FileHasher {
    /// Appends bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all that was appended.
    #[must_use]
    pub fn finish(self) -> FileDigest {
        FileDigest(self.0.finalize().into())
    }
}

/// Plain SHA-256 of a whole file's bytes.
#[must_use]
pub fn file_digest(bytes: &[u8]) -> FileDigest {
    FileDigest(Sha256::digest(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_separate_domains() {
        let a: SpecId = tagged("a", b"bc");
        let b: SpecId = tagged("ab", b"c");
        assert_ne!(a, b);
    }

    #[test]
    fn pieces_have_the_digest_of_the_whole() {
        let mut hasher = FileHasher::default();
        hasher.update(b"who");
        hasher.update(b"le");
        assert_eq!(hasher.finish(), file_digest(b"whole"));
    }

    #[test]
    fn hex_round_trips_and_refuses_garbage() {
        let id: SpecId = tagged("t", b"x");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("xyz".parse::<SpecId>().is_err());
        assert!(id.to_string()[1..].parse::<SpecId>().is_err());
    }
}
