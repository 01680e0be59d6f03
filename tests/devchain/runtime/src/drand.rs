//! The pulses of the drand beacon, as the chain keeps them.
//!
//! Workers of the chain's nodes bring them; here root does, or whoever tests writes the storage.
//! That a pulse is the beacon's is not checked: one that is not opens no commitment.

pub use pallet::*;

/// The pallet.
#[frame_support::pallet]
pub mod pallet {
    use frame_support::pallet_prelude::*;
    use frame_system::pallet_prelude::*;

    /// A round of the beacon.
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
    pub struct Pulse {
        /// Its number.
        pub round: u64,
        /// SHA-256 of the signature.
        pub randomness: BoundedVec<u8, ConstU32<32>>,
        /// What opens what was encrypted to the round: 48 bytes, a compressed point of G1.
        pub signature: BoundedVec<u8, ConstU32<144>>,
    }

    #[pallet::config]
    pub trait Config: frame_system::Config {}

    #[pallet::pallet]
    pub struct Pallet<T>(_);

    /// Pulses by their round.
    #[pallet::storage]
    pub type Pulses<T> = StorageMap<_, Blake2_128Concat, u64, Pulse, OptionQuery>;

    /// The last round that is kept.
    #[pallet::storage]
    pub type LastStoredRound<T> = StorageValue<_, u64, ValueQuery>;

    /// The first round that is kept.
    #[pallet::storage]
    pub type OldestStoredRound<T> = StorageValue<_, u64, ValueQuery>;

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Keeps a pulse. Not one of the chain's calls, whose `write_pulse` (0) takes pulses signed
        /// by its nodes' workers.
        #[pallet::call_index(200)]
        #[pallet::weight(Weight::from_parts(1_000_000, 0))]
        pub fn put_pulse(origin: OriginFor<T>, pulse: Pulse) -> DispatchResult {
            ensure_root(origin)?;
            LastStoredRound::<T>::mutate(|last| *last = (*last).max(pulse.round));
            Pulses::<T>::insert(pulse.round, pulse);
            Ok(())
        }
    }
}
