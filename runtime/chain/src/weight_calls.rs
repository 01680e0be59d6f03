//! The calls that carry weights. Each needs a [`Permit`], so that none is signed before the journal
//! has what it carries.

use subxt::dynamic::Value;

use crate::client::Client;
use crate::error::ChainError;
use crate::ids::{Genesis, Uid};
use crate::journal::{Intent, Permit};
use crate::metagraph::Metagraph;
use crate::submit::{Call, Receipt, Until};
use crate::timelock::{self, COMMIT_REVEAL_VERSION, DrandRound, TimelockError, WeightsPayload};
use crate::wallet::Keypair;
use crate::weight_commit::Revealed;

/// The time from one block to the next, in milliseconds.
const BLOCK_TIME_MS: u64 = 12_000;

/// A call's name for the first mechanism, and its name where the mechanism is said.
type Names = (&'static str, &'static str);

type Arguments = Vec<(&'static str, Value)>;

impl Client {
    /// Sets weights, for everybody to see at once.
    ///
    /// # Errors
    /// [`ChainError::OtherKey`] and [`ChainError::OtherChain`] where the permit is for something
    /// else; then nothing is signed.
    pub async fn set_weights(
        &mut self,
        hotkey: &Keypair,
        permit: &Permit,
        until: Until,
    ) -> Result<Receipt, ChainError> {
        let Intent { vector, version_key, .. } = permit.intent();
        let arguments = vec![
            ("dests", list(vector.uids())),
            ("weights", list(vector.values())),
            ("version_key", (*version_key).into()),
        ];
        let names = ("set_weights", "set_mechanism_weights");
        self.send_permitted(hotkey, permit, names, arguments, until).await
    }

    /// Commits to weights that the chain reveals by itself, once the beacon has signed `round`.
    ///
    /// # Errors
    /// As [`Client::set_weights`]; [`ChainError::Timelock`].
    pub async fn commit_timelocked_weights(
        &mut self,
        hotkey: &Keypair,
        permit: &Permit,
        round: DrandRound,
        until: Until,
    ) -> Result<Receipt, ChainError> {
        let Intent { slot, vector, version_key } = permit.intent();
        let payload = WeightsPayload {
            hotkey: slot.hotkey,
            uids: vector.uids().map(Uid).collect(),
            values: vector.values().collect(),
            version_key: *version_key,
        };
        let random =
            &mut |bytes: &mut [u8]| getrandom::fill(bytes).map_err(|_| TimelockError::Random);
        let commit = timelock::encrypt(&payload.to_bytes(), round, random)?;
        let arguments = vec![
            ("commit", Value::from_bytes(commit.as_bytes())),
            ("reveal_round", round.0.into()),
            ("commit_reveal_version", COMMIT_REVEAL_VERSION.into()),
        ];
        let names = ("commit_timelocked_weights", "commit_timelocked_mechanism_weights");
        self.send_permitted(hotkey, permit, names, arguments, until).await
    }

    /// Commits to weights by their hash; [`Client::reveal_weights`] must follow, in the epoch that
    /// the subnet's rules say.
    ///
    /// # Errors
    /// As [`Client::set_weights`].
    pub async fn commit_weights(
        &mut self,
        hotkey: &Keypair,
        permit: &Permit,
        until: Until,
    ) -> Result<Receipt, ChainError> {
        let Intent { slot, vector, version_key } = permit.intent();
        let revealed = Revealed {
            hotkey: &slot.hotkey,
            netuid: slot.netuid,
            mechanism: slot.mechanism,
            uids: &vector.uids().map(Uid).collect::<Vec<_>>(),
            values: &vector.values().collect::<Vec<_>>(),
            salt: &permit.salt().0,
            version_key: *version_key,
        };
        let arguments = vec![("commit_hash", Value::from_bytes(revealed.commit_hash()))];
        let names = ("commit_weights", "commit_mechanism_weights");
        self.send_permitted(hotkey, permit, names, arguments, until).await
    }

    /// Reveals the weights of [`Client::commit_weights`], by the same permit.
    ///
    /// # Errors
    /// As [`Client::set_weights`].
    pub async fn reveal_weights(
        &mut self,
        hotkey: &Keypair,
        permit: &Permit,
        until: Until,
    ) -> Result<Receipt, ChainError> {
        let Intent { vector, version_key, .. } = permit.intent();
        let arguments = vec![
            ("uids", list(vector.uids())),
            ("values", list(vector.values())),
            ("salt", list(permit.salt().0.iter().copied())),
            ("version_key", (*version_key).into()),
        ];
        let names = ("reveal_weights", "reveal_mechanism_weights");
        self.send_permitted(hotkey, permit, names, arguments, until).await
    }

    /// The round to encrypt weights to that are committed in the next block.
    ///
    /// # Errors
    /// [`ChainError::Timelock`] where the chain would never reveal them.
    pub fn reveal_round(&self, metagraph: &Metagraph) -> Result<DrandRound, ChainError> {
        let schedule = timelock::Schedule {
            last_epoch_block: metagraph.schedule.last_epoch_block,
            pending_epoch_at: metagraph.schedule.pending_epoch_at,
            tempo: metagraph.schedule.tempo,
            blocks_since_last_step: metagraph.schedule.blocks_since_last_step,
            current_block: metagraph.block,
            reveal_period_epochs: metagraph.rules.reveal_period,
            block_time_ms: BLOCK_TIME_MS,
        };
        Ok(schedule.reveal_round(self.now_ms())?)
    }

    async fn send_permitted(
        &mut self,
        hotkey: &Keypair,
        permit: &Permit,
        (first, any): Names,
        arguments: Arguments,
        until: Until,
    ) -> Result<Receipt, ChainError> {
        let slot = &permit.intent().slot;
        if hotkey.public() != slot.hotkey {
            return Err(ChainError::OtherKey);
        }
        let found: Genesis = self.genesis().await?;
        if found != slot.genesis {
            return Err(ChainError::OtherChain { permitted: slot.genesis, found });
        }
        let netuid = ("netuid", slot.netuid.0.into());
        let call = match slot.mechanism.0 {
            0 => Call::subtensor(first, [vec![netuid], arguments].concat()),
            other => {
                let mechanism = ("mecid", other.into());
                Call::subtensor(any, [vec![netuid, mechanism], arguments].concat())
            }
        };
        self.send(call, hotkey, until).await
    }
}

fn list(numbers: impl Iterator<Item = u16>) -> Value {
    Value::unnamed_composite(numbers.map(Value::from))
}
