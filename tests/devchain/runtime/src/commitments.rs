//! What keys commit to: a small record for each key of each subnet, which the next one replaces.
//!
//! Left out: encrypted fields stay as they are, no bonds are reset, and nothing is deposited.

mod data;

pub use data::{CommitmentInfo, Data};
pub use pallet::*;

/// The pallet.
#[frame_support::pallet]
pub mod pallet {
    use frame_support::pallet_prelude::*;
    use frame_system::pallet_prelude::*;

    use super::data::{CommitmentInfo, Data};
    use crate::subtensor::{NetworksAdded, Pallet as Subtensor, SubnetEpochIndex, Uids};

    /// The fewest bytes that a commitment counts for.
    const SPACE_MIN: u64 = 100;

    /// A commitment, and when it was made.
    #[derive(
        Clone, Debug, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo,
    )]
    pub struct Registration<Balance, BlockNumber> {
        /// What is held for it.
        pub deposit: Balance,
        /// The block that has it.
        pub block: BlockNumber,
        /// What it is.
        pub info: CommitmentInfo,
    }

    /// What a key has committed in an epoch.
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
    pub struct UsageTracker {
        /// The epoch.
        pub last_epoch: u64,
        /// The bytes.
        pub used_space: u64,
    }

    #[pallet::config]
    pub trait Config: frame_system::Config + crate::subtensor::Config {}

    #[pallet::pallet]
    pub struct Pallet<T>(_);

    #[pallet::error]
    pub enum Error<T> {
        /// Account passed too many additional fields to their commitment
        TooManyFieldsInCommitmentInfo,
        /// Account is not allowed to make commitments to the chain
        AccountNotAllowedCommit,
        /// Space Limit Exceeded for the current interval
        SpaceLimitExceeded,
    }

    #[pallet::event]
    #[pallet::generate_deposit(fn deposit_event)]
    pub enum Event<T: Config> {
        /// A commitment was set
        Commitment {
            /// The netuid of the commitment
            netuid: u16,
            /// The account
            who: T::AccountId,
        },
    }

    /// The last commitment of a key.
    #[pallet::storage]
    pub type CommitmentOf<T: Config> = StorageDoubleMap<
        _,
        Identity,
        u16,
        Twox64Concat,
        T::AccountId,
        Registration<u64, u32>,
        OptionQuery,
    >;

    /// When a key committed last.
    #[pallet::storage]
    pub type LastCommitment<T: Config> =
        StorageDoubleMap<_, Identity, u16, Twox64Concat, T::AccountId, u32, OptionQuery>;

    /// What a key has committed in an epoch.
    #[pallet::storage]
    pub type UsedSpaceOf<T: Config> =
        StorageDoubleMap<_, Identity, u16, Twox64Concat, T::AccountId, UsageTracker, OptionQuery>;

    /// The most bytes of a key in an epoch.
    #[pallet::storage]
    pub type MaxSpace<T> = StorageValue<_, u32, ValueQuery, ConstU32<3_100>>;

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Sets the commitment of the signing hotkey.
        #[pallet::call_index(0)]
        #[pallet::weight((Weight::from_parts(1_000_000, 0), DispatchClass::Normal, Pays::No))]
        pub fn set_commitment(
            origin: OriginFor<T>,
            netuid: u16,
            info: CommitmentInfo,
        ) -> DispatchResult {
            let who = ensure_signed(origin)?;
            let there = NetworksAdded::<T>::get(netuid) && Uids::<T>::contains_key(netuid, &who);
            ensure!(there, Error::<T>::AccountNotAllowedCommit);
            let epoch = SubnetEpochIndex::<T>::get(netuid);
            let used = UsedSpaceOf::<T>::get(netuid, &who).filter(|used| used.last_epoch == epoch);
            let space = info.fields.iter().map(Data::space).sum::<u64>().max(SPACE_MIN);
            let used_space = used.unwrap_or_default().used_space + space;
            let most = u64::from(MaxSpace::<T>::get());
            ensure!(used_space <= most, Error::<T>::SpaceLimitExceeded);
            let used = UsageTracker { last_epoch: epoch, used_space };
            UsedSpaceOf::<T>::insert(netuid, &who, used);
            let block = u32::try_from(Subtensor::<T>::block()).unwrap_or(u32::MAX);
            CommitmentOf::<T>::insert(netuid, &who, Registration { deposit: 0, block, info });
            LastCommitment::<T>::insert(netuid, &who, block);
            Self::deposit_event(Event::Commitment { netuid, who });
            Ok(())
        }
    }
}
