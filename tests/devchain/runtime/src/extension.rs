//! The chain's own transaction extensions: what its nodes refuse before a transaction is in a
//! block.
//!
//! One of them checks, by the codes that clients know; the others are here so that transactions
//! have the chain's form.

mod nonce;

use codec::{Decode, DecodeWithMemTracking, Encode};
use scale_info::TypeInfo;
use sp_runtime::impl_tx_ext_default;
use sp_runtime::traits::{
    AsSystemOriginSigner, DispatchInfoOf, Implication, TransactionExtension, ValidateResult,
};
use sp_runtime::transaction_validity::{
    InvalidTransaction, TransactionSource, TransactionValidityError, ValidTransaction,
};

use crate::drand::LastStoredRound;
use crate::subtensor::{
    Call, CommitRevealWeightsEnabled, Error, NetworksAdded, Pallet, Revealed, Uids, WeightCommits,
};
use crate::{AccountId, Runtime, RuntimeCall, RuntimeOrigin, commitments};

pub use nonce::CheckNonce;

type Subnets = Pallet<Runtime>;

type Refused = Error<Runtime>;

/// An extension that is encoded as nothing and lets everything pass.
macro_rules! idle {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[derive(Encode, Decode, DecodeWithMemTracking, TypeInfo)]
        pub struct $name;

        impl TransactionExtension<RuntimeCall> for $name {
            const IDENTIFIER: &'static str = stringify!($name);
            type Implicit = ();
            type Val = ();
            type Pre = ();

            impl_tx_ext_default!(RuntimeCall; weight validate prepare);
        }
    )*};
}

idle! {
    /// Lets nobody but the sudo key pay nothing for sudo calls; here everybody pays.
    SudoTransactionExtension
    /// Checks transactions that are encrypted to nodes; here are none.
    CheckShieldedTxValidity
    /// Takes the beacon's pulses first; here root brings them.
    DrandPriority
}

/// Whether a transaction is signed for a digest of the metadata; here that cannot be asked for.
///
/// Byte format: the mode, 0 for no digest. What is signed has a 0 more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct CheckMetadataHash {
    mode: Mode,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
enum Mode {
    #[default]
    Disabled,
    Enabled,
}

impl TransactionExtension<RuntimeCall> for CheckMetadataHash {
    const IDENTIFIER: &'static str = "CheckMetadataHash";
    type Implicit = Option<[u8; 32]>;
    type Val = ();
    type Pre = ();

    fn implicit(&self) -> Result<Self::Implicit, TransactionValidityError> {
        match self.mode {
            Mode::Disabled => Ok(None),
            Mode::Enabled => Err(InvalidTransaction::Call.into()),
        }
    }

    impl_tx_ext_default!(RuntimeCall; weight validate prepare);
}

/// Refuses what cannot succeed: weights without stake or too soon, reveals without a commitment,
/// addresses that are none, commitments of strangers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct SubtensorTransactionExtension;

impl TransactionExtension<RuntimeCall> for SubtensorTransactionExtension {
    const IDENTIFIER: &'static str = "SubtensorTransactionExtension";
    type Implicit = ();
    type Val = ();
    type Pre = ();

    fn validate(
        &self,
        origin: RuntimeOrigin,
        call: &RuntimeCall,
        _info: &DispatchInfoOf<RuntimeCall>,
        _length: usize,
        _implicit: (),
        _implication: &impl Implication,
        _source: TransactionSource,
    ) -> ValidateResult<(), RuntimeCall> {
        if let Some(key) = origin.as_system_origin_signer() {
            check(key, call).map_err(|refused| InvalidTransaction::Custom(code(&refused)))?;
        }
        Ok((ValidTransaction::default(), (), origin))
    }

    impl_tx_ext_default!(RuntimeCall; weight prepare);
}

/// The number by which nodes and clients know a refusal.
fn code(refused: &Refused) -> u8 {
    match refused {
        Error::AmountTooLow | Error::NotEnoughStakeToSetWeights => 1,
        Error::NotEnoughBalanceToStake => 2,
        Error::SubnetNotExists => 3,
        Error::HotKeyAccountNotExists => 4,
        Error::CommittingWeightsTooFast | Error::SettingWeightsTooFast => 6,
        Error::HotKeyNotRegisteredInNetwork => 10,
        Error::InvalidIpAddress => 11,
        Error::ServingRateLimitExceeded => 12,
        Error::InvalidPort => 13,
        Error::InvalidRevealRound => 15,
        Error::NoWeightsCommitFound => 16,
        Error::RevealTooEarly => 17,
        Error::HotKeyNotRegisteredInSubNet => 19,
        Error::NonAssociatedColdKey => 25,
        _ => 255,
    }
}

fn check(key: &AccountId, call: &RuntimeCall) -> Result<(), Refused> {
    match call {
        RuntimeCall::Commitments(commitments::Call::set_commitment { netuid, .. }) => {
            member(key, *netuid)
        }
        RuntimeCall::SubtensorModule(Call::serve_axon { netuid, ip, port, ip_type, .. }) => {
            Subnets::ensure_served(key, *netuid, *ip, *port, *ip_type)
        }
        RuntimeCall::SubtensorModule(call) => weights(key, call),
        _ => Ok(()),
    }
}

fn member(key: &AccountId, netuid: u16) -> Result<(), Refused> {
    if !NetworksAdded::<Runtime>::get(netuid) {
        return Err(Error::SubnetNotExists);
    }
    let registered = Uids::<Runtime>::contains_key(netuid, key);
    if registered { Ok(()) } else { Err(Error::HotKeyNotRegisteredInSubNet) }
}

fn weights(key: &AccountId, call: &Call<Runtime>) -> Result<(), Refused> {
    match call {
        Call::set_weights { netuid, .. } => set(key, *netuid, 0),
        Call::set_mechanism_weights { netuid, mecid, .. } => set(key, *netuid, *mecid),
        Call::commit_weights { netuid, .. } => commit(key, *netuid, 0, None),
        Call::commit_mechanism_weights { netuid, mecid, .. } => commit(key, *netuid, *mecid, None),
        Call::commit_timelocked_weights { netuid, reveal_round, .. } => {
            commit(key, *netuid, 0, Some(*reveal_round))
        }
        Call::commit_timelocked_mechanism_weights { netuid, mecid, reveal_round, .. } => {
            commit(key, *netuid, *mecid, Some(*reveal_round))
        }
        Call::reveal_weights { netuid, uids, values, salt, version_key } => {
            reveal(key, *netuid, 0, (uids, values, salt, *version_key))
        }
        Call::reveal_mechanism_weights { netuid, mecid, uids, values, salt, version_key } => {
            reveal(key, *netuid, *mecid, (uids, values, salt, *version_key))
        }
        _ => Ok(()),
    }
}

fn staked(key: &AccountId, netuid: u16) -> Result<(), Refused> {
    if Subnets::has_stake(key, netuid) { Ok(()) } else { Err(Error::NotEnoughStakeToSetWeights) }
}

/// A key without a uid passes: the call itself refuses it.
fn rested(key: &AccountId, netuid: u16, mecid: u8) -> bool {
    let uid = Uids::<Runtime>::get(netuid, key);
    uid.is_none_or(|uid| Subnets::is_rested(netuid, Subnets::storage_index(netuid, mecid), uid))
}

fn set(key: &AccountId, netuid: u16, mecid: u8) -> Result<(), Refused> {
    staked(key, netuid)?;
    let open = !CommitRevealWeightsEnabled::<Runtime>::get(netuid);
    if open && !rested(key, netuid, mecid) { Err(Error::SettingWeightsTooFast) } else { Ok(()) }
}

fn commit(key: &AccountId, netuid: u16, mecid: u8, round: Option<u64>) -> Result<(), Refused> {
    staked(key, netuid)?;
    if round.is_some_and(|round| round < LastStoredRound::<Runtime>::get()) {
        return Err(Error::InvalidRevealRound);
    }
    if rested(key, netuid, mecid) { Ok(()) } else { Err(Error::CommittingWeightsTooFast) }
}

fn reveal(
    key: &AccountId,
    netuid: u16,
    mecid: u8,
    (uids, values, salt, version_key): (&[u16], &[u16], &[u16], u64),
) -> Result<(), Refused> {
    staked(key, netuid)?;
    let index = Subnets::storage_index(netuid, mecid);
    let [uids, values, salt] = [uids, values, salt].map(<[u16]>::to_vec);
    let revealed = Revealed { uids, values, salt, version_key };
    let hash = Subnets::commit_hash(key, index, &revealed);
    let commits = WeightCommits::<Runtime>::get(index, key).unwrap_or_default();
    let found = commits.iter().find(|(committed, ..)| *committed == hash);
    let (_, epoch, ..) = found.ok_or(Error::NoWeightsCommitFound)?;
    if Subnets::is_reveal_epoch(netuid, *epoch) { Ok(()) } else { Err(Error::RevealTooEarly) }
}
