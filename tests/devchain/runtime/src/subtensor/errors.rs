//! What calls fail by: the chain's names, and its words for them as clients show them.
//!
//! Their numbers differ from the chain's, which has many more; clients take both from the metadata.

/// The errors.
#[frame_support::pallet_macros::pallet_section]
mod errors {
    #[pallet::error]
    pub enum Error<T> {
        /// The user is trying to serve an axon which is not of type 4 (IPv4) or 6 (IPv6).
        InvalidIpType,
        /// An invalid IP address is passed to the serve function.
        InvalidIpAddress,
        /// An invalid port is passed to the serve function.
        InvalidPort,
        /// The hotkey is not registered in subnet
        HotKeyNotRegisteredInSubNet,
        /// The hotkey does not exists
        HotKeyAccountNotExists,
        /// The hotkey is not registered in any subnet.
        HotKeyNotRegisteredInNetwork,
        /// The coldkey is not associated with the hotkey account.
        NonAssociatedColdKey,
        /// The caller has less than the minimum stake required to set weights.
        NotEnoughStakeToSetWeights,
        /// The coldkey has too little balance for what it asks.
        NotEnoughBalanceToStake,
        /// The caller is attempting to set non-self weights without being a permitted validator.
        NeuronNoValidatorPermit,
        /// The weight keys and values have different sizes.
        WeightVecNotEqualSize,
        /// The caller is attempting to set weights with duplicate UIDs.
        DuplicateUids,
        /// The caller is attempting to set weight to at least one UID that does not exist.
        UidVecContainInvalidOne,
        /// The dispatch is attempting to set weights with fewer elements than are allowed.
        WeightVecLengthIsLow,
        /// The caller is attempting to set weights with more UIDs than allowed.
        UidsLengthExceedUidsInSubNet,
        /// A weight exceeds the subnet's largest.
        MaxWeightExceeded,
        /// Registrations of this block exceed the allowed number.
        TooManyRegistrationsThisBlock,
        /// The caller is requesting registering a neuron which already exists in the active set.
        HotKeyAlreadyRegisteredInSubNet,
        /// A transactor exceeded the rate limit for setting weights.
        SettingWeightsTooFast,
        /// A validator is attempting to set weights from a validator with incorrect weight version.
        IncorrectWeightVersionKey,
        /// An axon serving exceeded the rate limit for a registered neuron.
        ServingRateLimitExceeded,
        /// Registration is disabled.
        SubNetRegistrationDisabled,
        /// Operation is not permitted on the root subnet.
        RegistrationNotPermittedOnRootSubnet,
        /// Can not set weights for the root network.
        CanNotSetRootNetworkWeights,
        /// No neuron ID is available.
        NoNeuronIdAvailable,
        /// No commit found for the provided hotkey+netuid combination.
        NoWeightsCommitFound,
        /// Committed hash does not equal the hashed reveal data.
        InvalidRevealCommitHashNotMatch,
        /// Attempting to call set_weights when commit/reveal is enabled
        CommitRevealEnabled,
        /// Attempting to commit/reveal weights when disabled.
        CommitRevealDisabled,
        /// The subnet has no such mechanism.
        MechanismDoesNotExist,
        /// Trying to perform action on non-existent subnet.
        SubnetNotExists,
        /// Maximum commit limit reached
        TooManyUnrevealedCommits,
        /// Attempted to reveal weights that are expired.
        ExpiredWeightCommit,
        /// Attempted to reveal weights too early.
        RevealTooEarly,
        /// A transactor exceeded the rate limit for committing weights.
        CommittingWeightsTooFast,
        /// Stake amount is too low.
        AmountTooLow,
        /// The commitment is of another form than the chain reads.
        IncorrectCommitRevealVersion,
        /// The beacon has signed the round of the commitment.
        InvalidRevealRound,
    }
}
