//! A subnet in one record, as the chain's runtime API answers it: its fields, names and types.
//!
//! What this chain does not keep is 0, empty, or the chain's default.

use alloc::vec::Vec;

use codec::{Compact, Decode, Encode};
use scale_info::TypeInfo;

use crate::subtensor::*;
use crate::{AccountId, Runtime};

sp_api::decl_runtime_apis! {
    /// What subnets are.
    pub trait SubnetInfoRuntimeApi {
        /// A subnet under its first mechanism.
        fn get_metagraph(netuid: u16) -> Option<Metagraph<AccountId>>;
        /// A subnet under one of its mechanisms.
        fn get_mechagraph(netuid: u16, mecid: u8) -> Option<Metagraph<AccountId>>;
        /// The block of the next epoch.
        fn get_next_epoch_start_block(netuid: u16) -> Option<u64>;
    }
}

/// A number with a fraction of 32 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, TypeInfo)]
pub struct FixedI128 {
    /// Its bits.
    pub bits: i128,
}

/// What an owner says of a subnet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, TypeInfo)]
#[allow(missing_docs, reason = "the names are the chain's own")]
pub struct SubnetIdentityV3 {
    pub subnet_name: Vec<u8>,
    pub github_repo: Vec<u8>,
    pub subnet_contact: Vec<u8>,
    pub subnet_url: Vec<u8>,
    pub discord: Vec<u8>,
    pub description: Vec<u8>,
    pub logo_url: Vec<u8>,
    pub additional: Vec<u8>,
}

/// What a coldkey says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, TypeInfo)]
#[allow(missing_docs, reason = "the names are the chain's own")]
pub struct ChainIdentityV2 {
    pub name: Vec<u8>,
    pub url: Vec<u8>,
    pub github_repo: Vec<u8>,
    pub image: Vec<u8>,
    pub discord: Vec<u8>,
    pub description: Vec<u8>,
    pub additional: Vec<u8>,
}

/// A subnet.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, TypeInfo)]
#[allow(missing_docs, reason = "the names are the chain's own")]
pub struct Metagraph<AccountId> {
    pub netuid: Compact<u16>,
    pub name: Vec<Compact<u8>>,
    pub symbol: Vec<Compact<u8>>,
    pub identity: Option<SubnetIdentityV3>,
    pub network_registered_at: Compact<u64>,
    pub owner_hotkey: AccountId,
    pub owner_coldkey: AccountId,
    pub block: Compact<u64>,
    pub tempo: Compact<u16>,
    pub last_step: Compact<u64>,
    pub blocks_since_last_step: Compact<u64>,
    pub subnet_emission: Compact<u64>,
    pub alpha_in: Compact<u64>,
    pub alpha_out: Compact<u64>,
    pub tao_in: Compact<u64>,
    pub alpha_out_emission: Compact<u64>,
    pub alpha_in_emission: Compact<u64>,
    pub tao_in_emission: Compact<u64>,
    pub pending_alpha_emission: Compact<u64>,
    pub pending_root_emission: Compact<u64>,
    pub subnet_volume: Compact<u128>,
    pub moving_price: FixedI128,
    pub rho: Compact<u16>,
    pub kappa: Compact<u16>,
    pub min_allowed_weights: Compact<u16>,
    pub max_weights_limit: Compact<u16>,
    pub weights_version: Compact<u64>,
    pub weights_rate_limit: Compact<u64>,
    pub activity_cutoff: Compact<u16>,
    pub max_validators: Compact<u16>,
    pub num_uids: Compact<u16>,
    pub max_uids: Compact<u16>,
    pub burn: Compact<u64>,
    pub difficulty: Compact<u64>,
    pub registration_allowed: bool,
    pub pow_registration_allowed: bool,
    pub immunity_period: Compact<u16>,
    pub min_difficulty: Compact<u64>,
    pub max_difficulty: Compact<u64>,
    pub min_burn: Compact<u64>,
    pub max_burn: Compact<u64>,
    pub adjustment_alpha: Compact<u64>,
    pub adjustment_interval: Compact<u16>,
    pub target_regs_per_interval: Compact<u16>,
    pub max_regs_per_block: Compact<u16>,
    pub serving_rate_limit: Compact<u64>,
    pub commit_reveal_weights_enabled: bool,
    pub commit_reveal_period: Compact<u64>,
    pub liquid_alpha_enabled: bool,
    pub alpha_high: Compact<u16>,
    pub alpha_low: Compact<u16>,
    pub bonds_moving_avg: Compact<u64>,
    pub hotkeys: Vec<AccountId>,
    pub coldkeys: Vec<AccountId>,
    pub identities: Vec<Option<ChainIdentityV2>>,
    pub axons: Vec<AxonInfo>,
    pub active: Vec<bool>,
    pub validator_permit: Vec<bool>,
    pub pruning_score: Vec<Compact<u16>>,
    pub last_update: Vec<Compact<u64>>,
    pub emission: Vec<Compact<u64>>,
    pub dividends: Vec<Compact<u16>>,
    pub incentives: Vec<Compact<u16>>,
    pub consensus: Vec<Compact<u16>>,
    pub trust: Vec<Compact<u16>>,
    pub rank: Vec<Compact<u16>>,
    pub block_at_registration: Vec<Compact<u64>>,
    pub alpha_stake: Vec<Compact<u64>>,
    pub tao_stake: Vec<Compact<u64>>,
    pub total_stake: Vec<Compact<u64>>,
    pub tao_dividends_per_hotkey: Vec<(AccountId, Compact<u64>)>,
    pub alpha_dividends_per_hotkey: Vec<(AccountId, Compact<u64>)>,
}

/// The record of a subnet under one of its mechanisms; nothing where there is none.
#[must_use]
pub fn of(netuid: u16, mecid: u8) -> Option<Metagraph<AccountId>> {
    type Subnets = Pallet<Runtime>;
    Subnets::ensure_mechanism(netuid, mecid).ok()?;
    let index = Subnets::storage_index(netuid, mecid);
    let count = SubnetworkN::<Runtime>::get(netuid);
    let nobody = || AccountId::new([0; 32]);
    let hotkeys: Vec<_> =
        (0..count).map(|uid| Keys::<Runtime>::get(netuid, uid).unwrap_or_else(nobody)).collect();
    let owners = hotkeys.iter().map(|key| Owner::<Runtime>::get(key).unwrap_or_else(nobody));
    let axons = hotkeys.iter().map(|key| Axons::<Runtime>::get(netuid, key).unwrap_or_default());
    let stakes: Vec<Compact<u64>> =
        hotkeys.iter().map(|key| TotalHotkeyAlpha::<Runtime>::get(key, netuid).into()).collect();
    let registered = (0..count).map(|uid| BlockAtRegistration::<Runtime>::get(netuid, uid).into());
    let length = hotkeys.len();
    let nothing = || alloc::vec![Compact(0_u16); length];
    let cutoff = Subnets::activity_cutoff(netuid);
    let zero = Compact(0_u64);
    Some(Metagraph {
        netuid: netuid.into(),
        name: Vec::new(),
        symbol: Vec::new(),
        identity: None,
        network_registered_at: NetworkRegisteredAt::<Runtime>::get(netuid).into(),
        owner_hotkey: nobody(),
        owner_coldkey: nobody(),
        block: Subnets::block().into(),
        tempo: Tempo::<Runtime>::get(netuid).into(),
        last_step: LastMechansimStepBlock::<Runtime>::get(netuid).into(),
        blocks_since_last_step: BlocksSinceLastStep::<Runtime>::get(netuid).into(),
        subnet_emission: zero,
        alpha_in: zero,
        alpha_out: zero,
        tao_in: zero,
        alpha_out_emission: zero,
        alpha_in_emission: zero,
        tao_in_emission: zero,
        pending_alpha_emission: zero,
        pending_root_emission: zero,
        subnet_volume: Compact(0),
        moving_price: FixedI128::default(),
        rho: Compact(10),
        kappa: Kappa::<Runtime>::get(netuid).into(),
        min_allowed_weights: MinAllowedWeights::<Runtime>::get(netuid).into(),
        max_weights_limit: MaxWeightsLimit::<Runtime>::get(netuid).into(),
        weights_version: WeightsVersionKey::<Runtime>::get(netuid).into(),
        weights_rate_limit: WeightsSetRateLimit::<Runtime>::get(netuid).into(),
        activity_cutoff: u16::try_from(cutoff).unwrap_or(u16::MAX).into(),
        max_validators: MaxAllowedValidators::<Runtime>::get(netuid).into(),
        num_uids: count.into(),
        max_uids: MaxAllowedUids::<Runtime>::get(netuid).into(),
        burn: Burn::<Runtime>::get(netuid).into(),
        difficulty: zero,
        registration_allowed: NetworkRegistrationAllowed::<Runtime>::get(netuid),
        pow_registration_allowed: false,
        immunity_period: ImmunityPeriod::<Runtime>::get(netuid).into(),
        min_difficulty: zero,
        max_difficulty: zero,
        min_burn: zero,
        max_burn: zero,
        adjustment_alpha: zero,
        adjustment_interval: Compact(0),
        target_regs_per_interval: Compact(0),
        max_regs_per_block: MaxRegistrationsPerBlock::<Runtime>::get(netuid).into(),
        serving_rate_limit: ServingRateLimit::<Runtime>::get(netuid).into(),
        commit_reveal_weights_enabled: CommitRevealWeightsEnabled::<Runtime>::get(netuid),
        commit_reveal_period: RevealPeriodEpochs::<Runtime>::get(netuid).into(),
        liquid_alpha_enabled: false,
        alpha_high: Compact(0),
        alpha_low: Compact(0),
        bonds_moving_avg: BondsMovingAverage::<Runtime>::get(netuid).into(),
        coldkeys: owners.collect(),
        identities: alloc::vec![None; length],
        axons: axons.collect(),
        active: filled(Active::<Runtime>::get(netuid), length),
        validator_permit: filled(ValidatorPermit::<Runtime>::get(netuid), length),
        pruning_score: nothing(),
        last_update: compact(LastUpdate::<Runtime>::get(index), length),
        emission: compact(Emission::<Runtime>::get(netuid), length),
        dividends: compact(Dividends::<Runtime>::get(netuid), length),
        incentives: compact(Incentive::<Runtime>::get(index), length),
        consensus: compact(Consensus::<Runtime>::get(netuid), length),
        trust: nothing(),
        rank: nothing(),
        block_at_registration: registered.collect(),
        alpha_stake: stakes.clone(),
        tao_stake: alloc::vec![zero; length],
        total_stake: stakes,
        tao_dividends_per_hotkey: Vec::new(),
        alpha_dividends_per_hotkey: Vec::new(),
        hotkeys,
    })
}

/// A row of so many: rows of a mechanism that was just added are shorter.
fn filled<V: Clone + Default>(mut row: Vec<V>, length: usize) -> Vec<V> {
    row.resize(length, V::default());
    row
}

fn compact<V: Clone + Default>(row: Vec<V>, length: usize) -> Vec<Compact<V>> {
    filled(row, length).into_iter().map(Compact).collect()
}
