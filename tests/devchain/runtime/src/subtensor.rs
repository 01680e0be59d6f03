//! Subnets: who is registered, what they weigh, and what an epoch makes of it.
//!
//! Calls, storage, events and errors have the chain's names, indices and types. Left out: the price
//! of stake, delegation, children of keys, collateral, what the root network does, and who may
//! change what: hyper-parameters are written into storage by whoever tests.

mod commits;
mod epochs;
mod errors;
mod members;
mod serving;
mod storage;
mod weights;

pub use commits::Revealed;
use frame_support::pallet_macros::import_section;
pub use pallet::*;

/// The pallet.
#[import_section(storage::storage)]
#[import_section(errors::errors)]
#[frame_support::pallet]
#[allow(clippy::too_many_arguments, reason = "calls have the chain's arguments")]
pub mod pallet {
    use alloc::collections::VecDeque;
    use alloc::vec::Vec;

    use frame_support::pallet_prelude::*;
    use frame_system::pallet_prelude::*;
    use sp_core::H256;

    use super::commits::Revealed;

    /// The most bytes of a timelocked commitment.
    pub const COMMIT_BYTES_MAX: u32 = 5_000;

    /// A timelocked commitment.
    pub type Commit = BoundedVec<u8, ConstU32<COMMIT_BYTES_MAX>>;

    /// What no test needs to know.
    const CALL_WEIGHT: Weight = Weight::from_parts(1_000_000, 0);

    /// Where a hotkey is served.
    #[derive(
        Clone,
        Debug,
        Default,
        PartialEq,
        Eq,
        Encode,
        Decode,
        DecodeWithMemTracking,
        MaxEncodedLen,
        TypeInfo,
    )]
    pub struct AxonInfo {
        /// When it was announced.
        pub block: u64,
        /// The version of what is served.
        pub version: u32,
        /// The address as a number.
        pub ip: u128,
        /// The port.
        pub port: u16,
        /// 4 or 6.
        pub ip_type: u8,
        /// The protocol.
        pub protocol: u8,
        /// Nothing.
        pub placeholder1: u8,
        /// Nothing.
        pub placeholder2: u8,
    }

    #[pallet::config]
    pub trait Config:
        frame_system::Config
        + crate::drand::Config
        + pallet_balances::Config<Balance = u64>
        + pallet_timestamp::Config<Moment = u64>
    {
    }

    #[pallet::pallet]
    #[pallet::without_storage_info]
    pub struct Pallet<T>(_);

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        /// Stake was added: coldkey, hotkey, rao paid, rao staked, netuid, fee.
        StakeAdded(T::AccountId, T::AccountId, u64, u64, u16, u64),
        /// Weights were set: index, uid.
        WeightsSet(u16, u16),
        /// A hotkey was given a uid: netuid, uid, hotkey.
        NeuronRegistered(u16, u16, T::AccountId),
        /// A hotkey said where it is served: netuid, hotkey.
        AxonServed(u16, T::AccountId),
        /// A hash of weights was committed: hotkey, index, hash.
        WeightsCommitted(T::AccountId, u16, H256),
        /// Weights were revealed: hotkey, index, hash.
        WeightsRevealed(T::AccountId, u16, H256),
        /// Timelocked weights were committed: hotkey, index, hash of the bytes, round.
        TimelockedWeightsCommitted(T::AccountId, u16, H256, u64),
        /// Timelocked weights were revealed: index, hotkey.
        TimelockedWeightsRevealed(u16, T::AccountId),
    }

    /// The subnet that there is from the first block on.
    #[pallet::genesis_config]
    #[derive(frame_support::DefaultNoBound)]
    pub struct GenesisConfig<T: Config> {
        /// Its number; without one there is no subnet.
        pub netuid: u16,
        /// Blocks from one of its epochs to the next.
        pub tempo: u16,
        /// Blocks between two weights of one key.
        pub weights_rate_limit: u64,
        /// Blocks between two announcements of one key.
        pub serving_rate_limit: u64,
        /// Whether weights are committed first.
        pub commit_reveal: bool,
        /// The least stake that sets weights, in rao.
        pub stake_threshold: u64,
        /// The time of the first block, in milliseconds since 1970.
        pub now_ms: u64,
        /// Of the runtime.
        #[serde(skip)]
        pub marker: core::marker::PhantomData<T>,
    }

    #[pallet::genesis_build]
    impl<T: Config> BuildGenesisConfig for GenesisConfig<T> {
        fn build(&self) {
            pallet_timestamp::Now::<T>::put(self.now_ms);
            if self.netuid == 0 {
                return;
            }
            let netuid = self.netuid;
            Tempo::<T>::insert(netuid, self.tempo);
            WeightsSetRateLimit::<T>::insert(netuid, self.weights_rate_limit);
            ServingRateLimit::<T>::insert(netuid, self.serving_rate_limit);
            CommitRevealWeightsEnabled::<T>::insert(netuid, self.commit_reveal);
            StakeThreshold::<T>::put(self.stake_threshold);
            Pallet::<T>::begin(netuid);
        }
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn on_initialize(_: BlockNumberFor<T>) -> Weight {
            for netuid in Self::subnets() {
                RegistrationsThisBlock::<T>::remove(netuid);
                Self::reveal_due(netuid);
                Self::run_due(netuid);
            }
            Weight::zero()
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Sets the signing hotkey's weights.
        #[pallet::call_index(0)]
        #[pallet::weight((CALL_WEIGHT, DispatchClass::Normal, Pays::No))]
        pub fn set_weights(
            origin: OriginFor<T>,
            netuid: u16,
            dests: Vec<u16>,
            weights: Vec<u16>,
            version_key: u64,
        ) -> DispatchResult {
            Self::set_openly(origin, netuid, 0, dests, weights, version_key)
        }

        /// Moves balance of the signing coldkey to a hotkey's stake: one rao of stake for each.
        #[pallet::call_index(2)]
        #[pallet::weight(CALL_WEIGHT)]
        pub fn add_stake(
            origin: OriginFor<T>,
            hotkey: T::AccountId,
            netuid: u16,
            amount_staked: u64,
        ) -> DispatchResult {
            Self::stake(ensure_signed(origin)?, hotkey, netuid, amount_staked)
        }

        /// Says where the signing hotkey is served.
        #[pallet::call_index(4)]
        #[pallet::weight((CALL_WEIGHT, DispatchClass::Normal, Pays::No))]
        pub fn serve_axon(
            origin: OriginFor<T>,
            netuid: u16,
            version: u32,
            ip: u128,
            port: u16,
            ip_type: u8,
            protocol: u8,
            placeholder1: u8,
            placeholder2: u8,
        ) -> DispatchResult {
            let block = Self::block();
            let axon = AxonInfo {
                block,
                version,
                ip,
                port,
                ip_type,
                protocol,
                placeholder1,
                placeholder2,
            };
            Self::serve(ensure_signed(origin)?, netuid, axon)
        }

        /// Registers a hotkey; the signing coldkey pays and owns it.
        #[pallet::call_index(7)]
        #[pallet::weight(CALL_WEIGHT)]
        pub fn burned_register(
            origin: OriginFor<T>,
            netuid: u16,
            hotkey: T::AccountId,
        ) -> DispatchResult {
            Self::register(ensure_signed(origin)?, netuid, hotkey)
        }

        /// Commits to weights by their hash.
        #[pallet::call_index(96)]
        #[pallet::weight((CALL_WEIGHT, DispatchClass::Normal, Pays::No))]
        pub fn commit_weights(
            origin: OriginFor<T>,
            netuid: u16,
            commit_hash: H256,
        ) -> DispatchResult {
            Self::commit(origin, netuid, 0, commit_hash)
        }

        /// Reveals weights that were committed by their hash.
        #[pallet::call_index(97)]
        #[pallet::weight((CALL_WEIGHT, DispatchClass::Normal, Pays::No))]
        pub fn reveal_weights(
            origin: OriginFor<T>,
            netuid: u16,
            uids: Vec<u16>,
            values: Vec<u16>,
            salt: Vec<u16>,
            version_key: u64,
        ) -> DispatchResult {
            Self::reveal(origin, netuid, 0, Revealed { uids, values, salt, version_key })
        }

        /// Commits to weights that the chain reveals by itself.
        #[pallet::call_index(113)]
        #[pallet::weight((CALL_WEIGHT, DispatchClass::Normal, Pays::No))]
        pub fn commit_timelocked_weights(
            origin: OriginFor<T>,
            netuid: u16,
            commit: Commit,
            reveal_round: u64,
            commit_reveal_version: u16,
        ) -> DispatchResult {
            Self::commit_timelocked(origin, netuid, 0, commit, reveal_round, commit_reveal_version)
        }

        /// Commits to weights of a mechanism by their hash.
        #[pallet::call_index(115)]
        #[pallet::weight((CALL_WEIGHT, DispatchClass::Normal, Pays::No))]
        pub fn commit_mechanism_weights(
            origin: OriginFor<T>,
            netuid: u16,
            mecid: u8,
            commit_hash: H256,
        ) -> DispatchResult {
            Self::commit(origin, netuid, mecid, commit_hash)
        }

        /// Reveals weights of a mechanism that were committed by their hash.
        #[pallet::call_index(116)]
        #[pallet::weight((CALL_WEIGHT, DispatchClass::Normal, Pays::No))]
        pub fn reveal_mechanism_weights(
            origin: OriginFor<T>,
            netuid: u16,
            mecid: u8,
            uids: Vec<u16>,
            values: Vec<u16>,
            salt: Vec<u16>,
            version_key: u64,
        ) -> DispatchResult {
            Self::reveal(origin, netuid, mecid, Revealed { uids, values, salt, version_key })
        }

        /// Commits to weights of a mechanism that the chain reveals by itself.
        #[pallet::call_index(118)]
        #[pallet::weight((CALL_WEIGHT, DispatchClass::Normal, Pays::No))]
        pub fn commit_timelocked_mechanism_weights(
            origin: OriginFor<T>,
            netuid: u16,
            mecid: u8,
            commit: Commit,
            reveal_round: u64,
            commit_reveal_version: u16,
        ) -> DispatchResult {
            let round = reveal_round;
            Self::commit_timelocked(origin, netuid, mecid, commit, round, commit_reveal_version)
        }

        /// Sets the signing hotkey's weights under a mechanism.
        #[pallet::call_index(119)]
        #[pallet::weight((CALL_WEIGHT, DispatchClass::Normal, Pays::No))]
        pub fn set_mechanism_weights(
            origin: OriginFor<T>,
            netuid: u16,
            mecid: u8,
            dests: Vec<u16>,
            weights: Vec<u16>,
            version_key: u64,
        ) -> DispatchResult {
            Self::set_openly(origin, netuid, mecid, dests, weights, version_key)
        }
    }
}
