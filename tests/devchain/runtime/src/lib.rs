//! A small runtime that mirrors what DataForge uses of a subnet's chain: the names, indices,
//! arguments, checks and errors of its calls, its storage, its runtime APIs, and its consensus.
//!
//! It is for tests: nothing of value may be kept on it, and what the client does not use is left
//! out. `README.md` says what differs from the chain.
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

mod apis;
pub mod commitments;
pub mod drand;
pub mod extension;
pub mod metagraph;
pub mod subtensor;
pub mod yuma;

use alloc::borrow::Cow;
// The macro that makes the runtime names it.
use alloc::vec::Vec;

use frame_support::weights::constants::WEIGHT_REF_TIME_PER_SECOND;
use frame_support::weights::{IdentityFee, Weight};
use frame_support::{construct_runtime, derive_impl, parameter_types};
use frame_system::limits::BlockWeights;
use sp_runtime::traits::{BlakeTwo256, IdentifyAccount, Verify};
use sp_runtime::{MultiAddress, MultiSignature, generic};
use sp_version::RuntimeVersion;

/// How accounts sign.
pub type Signature = MultiSignature;
/// A public key.
pub type AccountId = <<Signature as Verify>::Signer as IdentifyAccount>::AccountId;
/// A block's header.
pub type Header = generic::Header<u32, BlakeTwo256>;
/// A block.
pub type Block = generic::Block<Header, UncheckedExtrinsic>;
/// A transaction, signed or not.
pub type UncheckedExtrinsic =
    generic::UncheckedExtrinsic<MultiAddress<AccountId, ()>, RuntimeCall, Signature, TxExtension>;
/// What is checked of a transaction before it is in a block: the chain's extensions in its order.
pub type TxExtension = (
    (
        frame_system::CheckNonZeroSender<Runtime>,
        frame_system::CheckSpecVersion<Runtime>,
        frame_system::CheckTxVersion<Runtime>,
        frame_system::CheckGenesis<Runtime>,
        frame_system::CheckEra<Runtime>,
        extension::CheckNonce,
        frame_system::CheckWeight<Runtime>,
    ),
    (
        pallet_transaction_payment::ChargeTransactionPayment<Runtime>,
        extension::SudoTransactionExtension,
        extension::CheckShieldedTxValidity,
        extension::SubtensorTransactionExtension,
        extension::DrandPriority,
    ),
    extension::CheckMetadataHash,
);
/// What runs blocks.
pub type Executive = frame_executive::Executive<
    Runtime,
    Block,
    frame_system::ChainContext<Runtime>,
    Runtime,
    AllPalletsWithSystem,
>;

/// Which runtime this is. Transactions are signed for one version; this is the mirrored chain's.
#[sp_version::runtime_version]
pub const VERSION: RuntimeVersion = RuntimeVersion {
    spec_name: Cow::Borrowed("devchain"),
    impl_name: Cow::Borrowed("devchain"),
    authoring_version: 1,
    spec_version: 424,
    impl_version: 1,
    apis: apis::RUNTIME_API_VERSIONS,
    transaction_version: 1,
    system_version: 1,
};

construct_runtime!(
    pub enum Runtime {
        System: frame_system = 0,
        Timestamp: pallet_timestamp = 2,
        Balances: pallet_balances = 5,
        TransactionPayment: pallet_transaction_payment = 6,
        SubtensorModule: subtensor = 7,
        Sudo: pallet_sudo = 12,
        Commitments: commitments = 18,
        Drand: drand = 26,
    }
);

parameter_types! {
    /// Which runtime this is.
    pub const Version: RuntimeVersion = VERSION;
    /// Blocks for which hashes are kept: the most that a mortal transaction may live.
    pub const BlockHashCount: u32 = 2400;
    /// No test fills a block.
    pub RuntimeBlockWeights: BlockWeights = BlockWeights::simple_max(
        Weight::from_parts(2 * WEIGHT_REF_TIME_PER_SECOND, u64::MAX),
    );
    /// In rao, as on the chain.
    pub const ExistentialDeposit: u64 = 500;
}

#[derive_impl(frame_system::config_preludes::SolochainDefaultConfig)]
impl frame_system::Config for Runtime {
    type Block = Block;
    type AccountId = AccountId;
    type Hash = sp_core::H256;
    type Lookup = sp_runtime::traits::AccountIdLookup<AccountId, ()>;
    type Nonce = u32;
    type Version = Version;
    type BlockWeights = RuntimeBlockWeights;
    type BlockHashCount = BlockHashCount;
    type AccountData = pallet_balances::AccountData<u64>;
}

#[derive_impl(pallet_timestamp::config_preludes::TestDefaultConfig)]
impl pallet_timestamp::Config for Runtime {}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Runtime {
    type AccountStore = System;
    type Balance = u64;
    type ExistentialDeposit = ExistentialDeposit;
}

#[derive_impl(pallet_transaction_payment::config_preludes::TestDefaultConfig)]
impl pallet_transaction_payment::Config for Runtime {
    type OnChargeTransaction = pallet_transaction_payment::FungibleAdapter<Balances, ()>;
    type WeightToFee = IdentityFee<u64>;
    type LengthToFee = IdentityFee<u64>;
}

#[derive_impl(pallet_sudo::config_preludes::TestDefaultConfig)]
impl pallet_sudo::Config for Runtime {}

impl subtensor::Config for Runtime {}
impl commitments::Config for Runtime {}
impl drand::Config for Runtime {}
