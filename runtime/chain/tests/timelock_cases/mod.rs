//! One case of the comparison with the Bittensor SDK, answered by this crate.
//!
//! The example `sdk_cases` answers those that `cargo xtask sdk` makes, the tests those that it
//! kept. Bytes are hexadecimal; a refusal is an answer too, by the name of its error.

use dataforge_chain::ids::{AccountId, MechanismId, NetUid, Uid};
use dataforge_chain::timelock::{self, Commit, DrandRound, RoundSignature, TimelockError};
use dataforge_chain::timelock::{Schedule, WeightsPayload};
use dataforge_chain::weight_commit::Revealed;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
pub(crate) enum Case {
    /// Weights for a schedule, at a time, by these random bytes.
    Commit {
        #[serde(flatten)]
        weights: Weights,
        schedule: Blocks,
        now_ms: u64,
        random: String,
    },
    /// Anything for a round, by these random bytes.
    Seal { plain: String, round: u64, random: String },
    /// The round for a schedule, at a time.
    Round { schedule: Blocks, now_ms: u64 },
    /// A commit, by its round's signature.
    Open { commit: String, signature: String },
    /// Weights, to be hashed.
    Hash {
        #[serde(flatten)]
        weights: Weights,
        netuid: u16,
        mechanism: u8,
        salt: Vec<u16>,
    },
}

/// Weights and whose they are.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Weights {
    hotkey: String,
    uids: Vec<Uid>,
    values: Vec<u16>,
    version_key: u64,
}

/// A schedule, by the names of its fields.
#[derive(Debug, Deserialize)]
#[serde(remote = "Schedule")]
struct ScheduleFields {
    last_epoch_block: u64,
    pending_epoch_at: u64,
    tempo: u16,
    blocks_since_last_step: u64,
    current_block: u64,
    reveal_period_epochs: u64,
    block_time_ms: u64,
}

/// A schedule that can be read.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Blocks(#[serde(with = "ScheduleFields")] Schedule);

/// Why a case has no answer: it is no case.
pub(crate) type NoCase = Box<dyn std::error::Error>;

/// Our answer to a case.
pub(crate) fn answer(case: &Case) -> Result<Value, NoCase> {
    match case {
        Case::Commit { weights, schedule, now_ms, random } => {
            let mut random = Bytes::new(random)?;
            let plain = weights.payload()?.to_bytes();
            Ok(named(schedule.0.reveal_round(*now_ms).and_then(|round| {
                let commit = timelock::encrypt(&plain, round, &mut |into| random.fill(into))?;
                let commit = hex::encode(commit.as_bytes());
                Ok(json!({ "round": round.0, "commit": commit, "drawn": random.drawn }))
            })))
        }
        Case::Seal { plain, round, random } => {
            let mut random = Bytes::new(random)?;
            let plain = hex::decode(plain)?;
            let sealed =
                timelock::encrypt(&plain, DrandRound(*round), &mut |into| random.fill(into));
            Ok(named(sealed.map(
                |commit| json!({ "commit": hex::encode(commit.as_bytes()), "drawn": random.drawn }),
            )))
        }
        Case::Round { schedule, now_ms } => {
            Ok(named(schedule.0.reveal_round(*now_ms).map(|round| json!({ "round": round.0 }))))
        }
        Case::Open { commit, signature } => {
            let [commit, signature] = [hex::decode(commit)?, hex::decode(signature)?];
            let opened = open(commit, &signature);
            Ok(named(opened.map(|weights| json!(Weights::of(&weights)))))
        }
        Case::Hash { weights, netuid, mechanism, salt } => {
            let payload = weights.payload()?;
            let revealed = Revealed {
                hotkey: &payload.hotkey,
                netuid: NetUid(*netuid),
                mechanism: MechanismId(*mechanism),
                uids: &payload.uids,
                values: &payload.values,
                salt,
                version_key: payload.version_key,
            };
            Ok(json!({ "hash": hex::encode(revealed.commit_hash()) }))
        }
    }
}

fn open(commit: Vec<u8>, signature: &[u8]) -> Result<WeightsPayload, TimelockError> {
    let signature = RoundSignature::from_bytes(signature)?;
    WeightsPayload::from_bytes(&timelock::decrypt(&Commit::from_bytes(commit)?, &signature)?)
}

/// An answer, or the name of the error.
fn named(answer: Result<Value, TimelockError>) -> Value {
    answer.unwrap_or_else(|error| json!({ "error": format!("{error:?}") }))
}

impl Weights {
    fn payload(&self) -> Result<WeightsPayload, NoCase> {
        let mut hotkey = [0; 32];
        hex::decode_to_slice(&self.hotkey, &mut hotkey)?;
        Ok(WeightsPayload {
            hotkey: AccountId(hotkey),
            uids: self.uids.clone(),
            values: self.values.clone(),
            version_key: self.version_key,
        })
    }

    fn of(payload: &WeightsPayload) -> Self {
        Self {
            hotkey: hex::encode(payload.hotkey.0),
            uids: payload.uids.clone(),
            values: payload.values.clone(),
            version_key: payload.version_key,
        }
    }
}

/// Random bytes that a case chose.
struct Bytes {
    left: std::vec::IntoIter<u8>,
    drawn: usize,
}

impl Bytes {
    fn new(hexadecimal: &str) -> Result<Self, NoCase> {
        Ok(Self { left: hex::decode(hexadecimal)?.into_iter(), drawn: 0 })
    }

    fn fill(&mut self, into: &mut [u8]) -> Result<(), TimelockError> {
        for byte in into {
            *byte = self.left.next().ok_or(TimelockError::Random)?;
            self.drawn += 1;
        }
        Ok(())
    }
}
