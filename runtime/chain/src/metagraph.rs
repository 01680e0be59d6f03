//! A subnet as the chain has it at one block: neurons, stakes, permits, and the rules for weights.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::Serialize;
use subxt::dynamic;
use subxt::ext::scale_decode::DecodeAsType;

use crate::client::View;
use crate::error::ChainError;
use crate::ids::{AccountId, MechanismId, NetUid, Uid};

/// More than any subnet may have; a longer list is nonsense.
const NEURONS_MAX: usize = 4096;

/// A subnet, under one of its mechanisms, at one block.
#[derive(Clone, Debug, Serialize)]
pub struct Metagraph {
    /// Which subnet.
    pub netuid: NetUid,
    /// Which mechanism the figures of validators and miners are of.
    pub mechanism: MechanismId,
    /// At which block.
    pub block: u64,
    /// What holds for weights.
    pub rules: Rules,
    /// When epochs are.
    pub schedule: Schedule,
    /// Everybody with a uid, by uid.
    pub neurons: Vec<Neuron>,
}

/// The hyper-parameters that matter to whoever sets weights.
#[derive(Clone, Debug, Serialize)]
pub struct Rules {
    /// Mechanisms of the subnet, numbered from 0.
    pub mechanisms: u8,
    /// The largest version key that the chain knows; a smaller one is refused.
    pub weights_version: u64,
    /// Blocks between two weights of one key.
    pub weights_rate_limit: u64,
    /// The fewest weights in a vector.
    pub min_allowed_weights: u16,
    /// The most of the whole that one weight may have, of 65535.
    pub max_weights_limit: u16,
    /// The least stake that sets weights, in rao.
    pub stake_threshold: u64,
    /// Whether weights are committed first.
    pub commit_reveal: bool,
    /// After how many epochs they are revealed.
    pub reveal_period: u64,
    /// The form of timelocked commitments that the chain reads.
    pub commit_version: u16,
    /// Most validators with a permit.
    pub max_validators: u16,
    /// Most neurons.
    pub max_uids: u16,
    /// The majority that consensus follows, of 65535.
    pub kappa: u16,
    /// Blocks in which a newcomer is not replaced.
    pub immunity_period: u16,
    /// Whether anybody may register.
    pub registration_allowed: bool,
    /// What registering costs, in rao.
    pub burn: u64,
    /// Blocks between two announcements of one key.
    pub serving_rate_limit: u64,
}

/// When the subnet's epochs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Schedule {
    /// Blocks from one epoch to the next.
    pub tempo: u16,
    /// The block of the last epoch.
    pub last_epoch_block: u64,
    /// The block of an epoch that the owner asked for; 0 where there is none.
    pub pending_epoch_at: u64,
    /// How many epochs there were.
    pub epoch_index: u64,
    /// Blocks since the last epoch.
    pub blocks_since_last_step: u64,
    /// The block of the next epoch, where there will be one.
    pub next_epoch_block: Option<u64>,
}

/// A key with a uid.
#[derive(Clone, Debug, Serialize)]
pub struct Neuron {
    /// Its number.
    pub uid: Uid,
    /// The key that acts.
    pub hotkey: AccountId,
    /// The key that owns.
    pub coldkey: AccountId,
    /// Where it is served, if anywhere.
    pub axon: Option<SocketAddr>,
    /// Its stake weight in rao: what counts against the threshold.
    pub stake: u64,
    /// Whether it may set weights for others.
    pub validator_permit: bool,
    /// Whether it set weights lately.
    pub active: bool,
    /// The block of its last weights.
    pub last_update: u64,
    /// What it earns an epoch, in rao.
    pub emission: u64,
    /// Its part of what miners earn, of 65535.
    pub incentive: u16,
    /// Its part of what validators earn, of 65535.
    pub dividends: u16,
    /// What validators agree it is worth, of 65535.
    pub consensus: u16,
    /// The block of its registration.
    pub registered: u64,
}

impl Metagraph {
    /// The neuron of a key.
    #[must_use]
    pub fn neuron(&self, hotkey: &AccountId) -> Option<&Neuron> {
        self.neurons.iter().find(|neuron| neuron.hotkey == *hotkey)
    }
}

/// The fields that are read of the chain's own record.
#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct Record {
    block: u64,
    tempo: u16,
    kappa: u16,
    min_allowed_weights: u16,
    max_weights_limit: u16,
    weights_version: u64,
    weights_rate_limit: u64,
    max_validators: u16,
    num_uids: u16,
    max_uids: u16,
    burn: u64,
    registration_allowed: bool,
    immunity_period: u16,
    commit_reveal_weights_enabled: bool,
    commit_reveal_period: u64,
    hotkeys: Vec<[u8; 32]>,
    coldkeys: Vec<[u8; 32]>,
    axons: Vec<Axon>,
    active: Vec<bool>,
    validator_permit: Vec<bool>,
    last_update: Vec<u64>,
    emission: Vec<u64>,
    dividends: Vec<u16>,
    incentives: Vec<u16>,
    consensus: Vec<u16>,
    block_at_registration: Vec<u64>,
    total_stake: Vec<u64>,
}

#[derive(DecodeAsType)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
struct Axon {
    ip: u128,
    port: u16,
    ip_type: u8,
}

impl Axon {
    /// Nothing where none was announced, or an address that is none.
    fn address(&self) -> Option<SocketAddr> {
        let ip: IpAddr = match self.ip_type {
            4 => Ipv4Addr::from_bits(u32::try_from(self.ip).ok()?).into(),
            6 => Ipv6Addr::from_bits(self.ip).into(),
            _ => return None,
        };
        (self.port != 0 && !ip.is_unspecified()).then_some(SocketAddr::new(ip, self.port))
    }
}

impl View {
    /// A subnet, under one of its mechanisms.
    ///
    /// # Errors
    /// [`ChainError::NoSubnet`], [`ChainError::NoMechanism`]; [`ChainError::Nonsense`] where lists
    /// differ in length or are too long.
    pub async fn metagraph(
        &self,
        netuid: NetUid,
        mechanism: MechanismId,
    ) -> Result<Metagraph, ChainError> {
        const API: &str = "SubnetInfoRuntimeApi";
        let record: Option<Record> = match mechanism.0 {
            0 => self.call(API, "get_metagraph", vec![netuid.0.into()]).await?,
            other => {
                let arguments = vec![netuid.0.into(), other.into()];
                self.call(API, "get_mechagraph", arguments).await?
            }
        };
        let record = record.ok_or(match mechanism.0 {
            0 => ChainError::NoSubnet(netuid),
            _ => ChainError::NoMechanism(netuid, mechanism),
        })?;
        let schedule = self.schedule(netuid, record.tempo).await?;
        let netuid_key = [netuid.0.into()];
        let rules = Rules {
            mechanisms: self.stored("MechanismCountCurrent", netuid_key.clone()).await?,
            weights_version: record.weights_version,
            weights_rate_limit: record.weights_rate_limit,
            min_allowed_weights: record.min_allowed_weights,
            max_weights_limit: record.max_weights_limit,
            stake_threshold: self.stored("StakeThreshold", []).await?,
            commit_reveal: record.commit_reveal_weights_enabled,
            reveal_period: record.commit_reveal_period,
            commit_version: self.stored("CommitRevealWeightsVersion", []).await?,
            max_validators: record.max_validators,
            max_uids: record.max_uids,
            kappa: record.kappa,
            immunity_period: record.immunity_period,
            registration_allowed: record.registration_allowed,
            burn: record.burn,
            serving_rate_limit: self.stored("ServingRateLimit", netuid_key).await?,
        };
        let block = record.block;
        let neurons = neurons(record).map_err(self.nonsense("the metagraph"))?;
        Ok(Metagraph { netuid, mechanism, block, rules, schedule, neurons })
    }

    async fn schedule(&self, netuid: NetUid, tempo: u16) -> Result<Schedule, ChainError> {
        let netuid_key = || [dynamic::Value::from(netuid.0)];
        let next = self.call("SubnetInfoRuntimeApi", "get_next_epoch_start_block", netuid_key());
        Ok(Schedule {
            tempo,
            last_epoch_block: self.stored("LastEpochBlock", netuid_key()).await?,
            pending_epoch_at: self.stored("PendingEpochAt", netuid_key()).await?,
            epoch_index: self.stored("SubnetEpochIndex", netuid_key()).await?,
            blocks_since_last_step: self.stored("BlocksSinceLastStep", netuid_key()).await?,
            next_epoch_block: next.await?,
        })
    }

    /// A runtime API's answer.
    pub(crate) async fn call<T: DecodeAsType>(
        &self,
        api: &str,
        method: &str,
        arguments: impl Into<Vec<dynamic::Value>>,
    ) -> Result<T, ChainError> {
        let payload = dynamic::runtime_api_call::<_, T>(api, method, arguments.into());
        let answer = self.at.runtime_apis().call(payload).await;
        answer.map_err(self.nonsense(&format!("{api}_{method}")))
    }

    /// A value of `SubtensorModule`, or its default.
    pub(crate) async fn stored<T: DecodeAsType>(
        &self,
        name: &str,
        keys: impl Into<Vec<dynamic::Value>>,
    ) -> Result<T, ChainError> {
        self.stored_in("SubtensorModule", name, keys).await
    }

    /// A value of a pallet, or its default.
    pub(crate) async fn stored_in<T: DecodeAsType>(
        &self,
        pallet: &str,
        name: &str,
        keys: impl Into<Vec<dynamic::Value>>,
    ) -> Result<T, ChainError> {
        let what = format!("{pallet}.{name}");
        let address = dynamic::storage::<Vec<dynamic::Value>, T>(pallet, name);
        let value = self.at.storage().fetch(address, keys.into()).await;
        value.map_err(self.nonsense(&what))?.decode().map_err(self.nonsense(&what))
    }
}

impl View {
    /// A value of a pallet; nothing where there is none.
    pub(crate) async fn stored_maybe<T: DecodeAsType>(
        &self,
        pallet: &str,
        name: &str,
        keys: impl Into<Vec<dynamic::Value>>,
    ) -> Result<Option<T>, ChainError> {
        let what = format!("{pallet}.{name}");
        let address = dynamic::storage::<Vec<dynamic::Value>, T>(pallet, name);
        let value = self.at.storage().try_fetch(address, keys.into()).await;
        let value = value.map_err(self.nonsense(&what))?;
        value.map(|value| value.decode().map_err(self.nonsense(&what))).transpose()
    }
}

fn neurons(record: Record) -> Result<Vec<Neuron>, String> {
    let count = usize::from(record.num_uids);
    let lengths = [
        record.hotkeys.len(),
        record.coldkeys.len(),
        record.axons.len(),
        record.active.len(),
        record.validator_permit.len(),
        record.last_update.len(),
        record.emission.len(),
        record.dividends.len(),
        record.incentives.len(),
        record.consensus.len(),
        record.block_at_registration.len(),
        record.total_stake.len(),
    ];
    if count > NEURONS_MAX || lengths.iter().any(|length| *length != count) {
        return Err(format!("{count} neurons, and lists of {lengths:?}"));
    }
    let neurons = (0..record.num_uids).zip(0..count).map(|(uid, at)| Neuron {
        uid: Uid(uid),
        hotkey: AccountId(record.hotkeys[at]),
        coldkey: AccountId(record.coldkeys[at]),
        axon: record.axons[at].address(),
        stake: record.total_stake[at],
        validator_permit: record.validator_permit[at],
        active: record.active[at],
        last_update: record.last_update[at],
        emission: record.emission[at],
        incentive: record.incentives[at],
        dividends: record.dividends[at],
        consensus: record.consensus[at],
        registered: record.block_at_registration[at],
    });
    Ok(neurons.collect())
}
