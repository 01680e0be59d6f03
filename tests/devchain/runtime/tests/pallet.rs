//! What the pallet refuses, in which order, and what epochs and reveals come to, without a node.
//!
//! That consensus itself is right is seen beside it (`yuma/tests.rs`), and that time locks open, in
//! `devchain-tlock`.

use codec::Encode;
use devchain_runtime::drand::{LastStoredRound, Pulse, Pulses};
use devchain_runtime::subtensor::{self, *};
use devchain_runtime::{
    AccountId, Runtime, RuntimeCall, RuntimeGenesisConfig, RuntimeOrigin, System, extension,
};
use frame_support::dispatch::GetDispatchInfo;
use frame_support::traits::{Currency, Hooks};
use sp_core::H256;
use sp_runtime::traits::{DispatchTransaction, Dispatchable};
use sp_runtime::transaction_validity::{
    InvalidTransaction, TransactionSource, TransactionValidityError,
};
use sp_runtime::{BuildStorage, DispatchError};

type Subnets = subtensor::Pallet<Runtime>;
type Balances = pallet_balances::Pallet<Runtime>;

const NETUID: u16 = 1;
const TEMPO: u16 = 10;
const STAKE: u64 = 1_000;

fn key(number: u8) -> AccountId {
    AccountId::new([number; 32])
}

/// A chain with three validators, keys 0 to 2, and two miners, keys 3 and 4, behind an epoch.
fn chain(test: impl FnOnce()) {
    let mut genesis = RuntimeGenesisConfig::default();
    genesis.subtensor_module.netuid = NETUID;
    genesis.subtensor_module.tempo = TEMPO;
    genesis.subtensor_module.stake_threshold = STAKE;
    let mut storage = sp_io::TestExternalities::new(genesis.build_storage().unwrap());
    storage.execute_with(|| {
        System::set_block_number(0);
        blocks(1);
        let _ = Balances::make_free_balance_be(&key(100), 1 << 60);
        for number in 0..5 {
            register(number).unwrap();
        }
        for (number, stake) in [(0, 4), (1, 4), (2, 2)] {
            TotalHotkeyAlpha::<Runtime>::insert(key(number), NETUID, stake * STAKE);
        }
        blocks(u32::from(TEMPO));
        test();
    });
}

fn blocks(count: u32) {
    for _ in 0..count {
        let block = System::block_number() + 1;
        System::set_block_number(block);
        Subnets::on_initialize(block);
    }
}

fn call(who: u8, call: Call<Runtime>) -> Result<(), DispatchError> {
    let done = RuntimeCall::from(call).dispatch(RuntimeOrigin::signed(key(who)));
    done.map(drop).map_err(|failed| failed.error)
}

fn register(number: u8) -> Result<(), DispatchError> {
    call(100, Call::burned_register { netuid: NETUID, hotkey: key(number) })
}

fn weigh(who: u8, dests: &[u16], weights: &[u16]) -> Result<(), DispatchError> {
    let (dests, weights) = (dests.to_vec(), weights.to_vec());
    call(who, Call::set_weights { netuid: NETUID, dests, weights, version_key: 0 })
}

#[track_caller]
fn refused(done: Result<(), DispatchError>, expect: Error<Runtime>) {
    assert_eq!(done, Err(expect.into()));
}

/// The code by which a node refuses a call, if it does.
fn code(who: u8, call: Call<Runtime>) -> Option<u8> {
    let call = RuntimeCall::from(call);
    let (info, who) = (call.get_dispatch_info(), RuntimeOrigin::signed(key(who)));
    let valid = extension::SubtensorTransactionExtension;
    match valid.validate_only(who, &call, &info, 0, TransactionSource::External, 0) {
        Ok(_) => None,
        Err(TransactionValidityError::Invalid(InvalidTransaction::Custom(code))) => Some(code),
        Err(other) => panic!("{other:?}"),
    }
}

/// Mends one fault after the other: each time the next check is what refuses.
#[test]
fn weights_are_checked_in_the_chains_order() {
    chain(|| {
        CommitRevealWeightsEnabled::<Runtime>::insert(NETUID, true);
        refused(weigh(9, &[3, 3, 9], &[1]), Error::CommitRevealEnabled);
        CommitRevealWeightsEnabled::<Runtime>::insert(NETUID, false);
        refused(weigh(9, &[3, 3, 9], &[1]), Error::WeightVecNotEqualSize);
        let elsewhere = |mecid, netuid| {
            let (dests, weights) = (vec![9; 6], vec![1; 6]);
            call(9, Call::set_mechanism_weights { netuid, mecid, dests, weights, version_key: 0 })
        };
        refused(elsewhere(0, 2), Error::MechanismDoesNotExist);
        refused(elsewhere(1, NETUID), Error::MechanismDoesNotExist);
        refused(elsewhere(0, NETUID), Error::UidsLengthExceedUidsInSubNet);
        refused(weigh(9, &[3, 3, 9], &[1; 3]), Error::HotKeyNotRegisteredInSubNet);
        WeightsVersionKey::<Runtime>::insert(NETUID, 1);
        refused(weigh(4, &[3, 3, 9], &[1; 3]), Error::NotEnoughStakeToSetWeights);
        TotalHotkeyAlpha::<Runtime>::insert(key(4), NETUID, STAKE);
        refused(weigh(4, &[3, 3, 9], &[1; 3]), Error::IncorrectWeightVersionKey);
        WeightsVersionKey::<Runtime>::remove(NETUID);
        WeightsSetRateLimit::<Runtime>::insert(NETUID, 1_000);
        refused(weigh(4, &[3, 3, 9], &[1; 3]), Error::SettingWeightsTooFast);
        WeightsSetRateLimit::<Runtime>::remove(NETUID);
        refused(weigh(4, &[3, 3, 9], &[1; 3]), Error::NeuronNoValidatorPermit);
        blocks(u32::from(TEMPO));
        refused(weigh(4, &[3, 3, 9], &[1; 3]), Error::DuplicateUids);
        refused(weigh(4, &[3, 2, 9], &[1; 3]), Error::UidVecContainInvalidOne);
        MinAllowedWeights::<Runtime>::insert(NETUID, 4);
        MaxWeightsLimit::<Runtime>::insert(NETUID, u16::MAX / 3);
        refused(weigh(4, &[3, 2, 1], &[1; 3]), Error::WeightVecLengthIsLow);
        MinAllowedWeights::<Runtime>::insert(NETUID, 1);
        refused(weigh(4, &[3, 2], &[1; 2]), Error::MaxWeightExceeded);
        assert_eq!(weigh(4, &[4], &[1]), Ok(()), "a weight for itself is free");
        MaxWeightsLimit::<Runtime>::insert(NETUID, u16::MAX);
        assert_eq!(weigh(4, &[3, 2], &[1, 3]), Ok(()));
        assert_eq!(Weights::<Runtime>::get(NETUID, 4), [(3, 21_845), (2, 65_535)]);
    });
}

#[test]
fn a_rate_limit_of_three_blocks_is_three_blocks() {
    chain(|| {
        WeightsSetRateLimit::<Runtime>::insert(NETUID, 3);
        weigh(0, &[3], &[1]).unwrap();
        blocks(2);
        refused(weigh(0, &[3], &[1]), Error::SettingWeightsTooFast);
        blocks(1);
        assert_eq!(weigh(0, &[3], &[1]), Ok(()));
    });
}

#[test]
fn nodes_refuse_by_the_chains_codes() {
    chain(|| {
        let set = |who| {
            let (dests, weights) = (vec![3], vec![1]);
            code(who, Call::set_weights { netuid: NETUID, dests, weights, version_key: 0 })
        };
        assert_eq!((set(0), set(3), set(9)), (None, Some(1), Some(1)));
        WeightsSetRateLimit::<Runtime>::insert(NETUID, 1_000);
        assert_eq!(set(0), Some(6));
        let serve = |who, ip: u128, port, ip_type| {
            let (netuid, version, protocol) = (NETUID, 1, 4);
            let (placeholder1, placeholder2) = (0, 0);
            code(
                who,
                Call::serve_axon {
                    netuid,
                    version,
                    ip,
                    port,
                    ip_type,
                    protocol,
                    placeholder1,
                    placeholder2,
                },
            )
        };
        assert_eq!(serve(3, 0x0808_0808, 1, 4), None);
        assert_eq!(serve(9, 0x0808_0808, 1, 4), Some(10));
        assert_eq!(serve(3, 0x0808_0808, 1, 5), Some(255));
        assert_eq!([serve(3, 0x7f00_0001, 1, 4), serve(3, 1, 1, 6)], [Some(11); 2]);
        assert_eq!(serve(3, 0x0808_0808, 0, 4), Some(13));
        LastStoredRound::<Runtime>::put(5);
        WeightsSetRateLimit::<Runtime>::remove(NETUID);
        let locked = |reveal_round| {
            let commit = Default::default();
            let version = 4;
            let netuid = NETUID;
            let commit_reveal_version = version;
            code(
                0,
                Call::commit_timelocked_weights {
                    netuid,
                    commit,
                    reveal_round,
                    commit_reveal_version,
                },
            )
        };
        assert_eq!([locked(4), locked(5)], [Some(15), None]);
    });
}

#[test]
fn epochs_run_after_the_tempo_or_where_one_is_pending() {
    chain(|| {
        assert_eq!(LastEpochBlock::<Runtime>::get(NETUID), 10);
        assert_eq!(Subnets::next_epoch(NETUID), Some(20));
        PendingEpochAt::<Runtime>::insert(NETUID, 13);
        assert_eq!(Subnets::next_epoch(NETUID), Some(13));
        blocks(2);
        assert_eq!(SubnetEpochIndex::<Runtime>::get(NETUID), 2);
        assert_eq!(LastEpochBlock::<Runtime>::get(NETUID), 13);
        assert_eq!(PendingEpochAt::<Runtime>::get(NETUID), 0);
        assert_eq!(Subnets::next_epoch(NETUID), Some(23));
        Tempo::<Runtime>::insert(NETUID, 0);
        assert_eq!(Subnets::next_epoch(NETUID), None);
        blocks(50);
        assert_eq!(SubnetEpochIndex::<Runtime>::get(NETUID), 2);
    });
}

/// 40 % and 40 % agree, 20 % do not.
#[test]
fn an_epoch_pays_by_consensus() {
    chain(|| {
        for who in [0, 1] {
            weigh(who, &[3, 4], &[3, 1]).unwrap();
        }
        weigh(2, &[4], &[1]).unwrap();
        blocks(u32::from(TEMPO));
        assert_eq!(Incentive::<Runtime>::get(NETUID)[3..], [46_260, 19_274]);
        assert_eq!(Dividends::<Runtime>::get(NETUID), [30_840, 30_840, 3_854, 0, 0]);
        assert_eq!(ValidatorTrust::<Runtime>::get(NETUID), [65_535, 65_535, 16_383, 0, 0]);
        let paid: u64 = Emission::<Runtime>::get(NETUID).iter().sum();
        assert!((8_199_999_990..=8_200_000_000).contains(&paid), "{paid}");
    });
}

/// The weights of who was replaced are not the newcomer's.
#[test]
fn a_newcomer_takes_the_uid_of_who_earned_least_and_inherits_nothing() {
    chain(|| {
        weigh(0, &[3, 4], &[3, 1]).unwrap();
        weigh(1, &[3, 4], &[3, 1]).unwrap();
        blocks(u32::from(TEMPO));
        MaxAllowedUids::<Runtime>::insert(NETUID, 5);
        ImmunityPeriod::<Runtime>::insert(NETUID, 0);
        BlockAtRegistration::<Runtime>::insert(NETUID, 3, 0);
        register(5).unwrap();
        // The third validator set no weights, so that it earned nothing.
        assert_eq!(Uids::<Runtime>::get(NETUID, key(5)), Some(2));
        assert_eq!(Uids::<Runtime>::get(NETUID, key(2)), None);
        weigh(0, &[2, 3], &[1, 1]).unwrap();
        weigh(1, &[2, 3], &[1, 1]).unwrap();
        blocks(u32::from(TEMPO));
        let set_in_its_own_block = Incentive::<Runtime>::get(NETUID)[2];
        assert_eq!(set_in_its_own_block, 0);
        weigh(0, &[2, 3], &[1, 1]).unwrap();
        weigh(1, &[2, 3], &[1, 1]).unwrap();
        blocks(u32::from(TEMPO));
        assert_eq!(Incentive::<Runtime>::get(NETUID)[2..4], [32_767, 32_767]);
    });
}

#[test]
fn a_hash_is_revealed_in_its_own_epoch_only() {
    chain(|| {
        CommitRevealWeightsEnabled::<Runtime>::insert(NETUID, true);
        let (uids, values, salt) = (vec![3_u16, 4], vec![1_u16, 3], vec![7_u16]);
        let told = (&key(0), NETUID, &uids, &values, &salt, 0_u64);
        let hash = H256(sp_io::hashing::blake2_256(&told.encode()));
        let commit = |hash| call(0, Call::commit_weights { netuid: NETUID, commit_hash: hash });
        let told = |salt: &[u16]| {
            let (uids, values, salt) = (uids.clone(), values.clone(), salt.to_vec());
            let (netuid, version_key) = (NETUID, 0);
            Call::reveal_weights { netuid, uids, values, salt, version_key }
        };
        let reveal = |salt: &[u16]| call(0, told(salt));
        refused(reveal(&salt), Error::NoWeightsCommitFound);
        commit(hash).unwrap();
        refused(reveal(&[8]), Error::InvalidRevealCommitHashNotMatch);
        refused(reveal(&salt), Error::RevealTooEarly);
        assert_eq!([code(0, told(&[8])), code(0, told(&salt))], [Some(16), Some(17)]);
        blocks(u32::from(TEMPO));
        assert_eq!(reveal(&salt), Ok(()));
        assert_eq!(Weights::<Runtime>::get(NETUID, 0), [(3, 21_845), (4, 65_535)]);
        refused(reveal(&salt), Error::NoWeightsCommitFound);
        commit(hash).unwrap();
        blocks(2 * u32::from(TEMPO));
        refused(reveal(&salt), Error::ExpiredWeightCommit);
        assert_eq!(code(0, told(&salt)), Some(17));
        for _ in 0..10 {
            commit(hash).unwrap();
        }
        refused(commit(hash), Error::TooManyUnrevealedCommits);
        WeightsSetRateLimit::<Runtime>::insert(NETUID, 5);
        refused(commit(hash), Error::CommittingWeightsTooFast);
        CommitRevealWeightsEnabled::<Runtime>::insert(NETUID, false);
        refused(commit(hash), Error::CommitRevealDisabled);
    });
}

#[test]
fn a_time_lock_waits_for_its_pulse_through_its_epoch() {
    chain(|| {
        CommitRevealWeightsEnabled::<Runtime>::insert(NETUID, true);
        let commit = |version| {
            let commit = vec![1_u8; 200].try_into().unwrap();
            let (netuid, reveal_round, commit_reveal_version) = (NETUID, 9, version);
            call(
                0,
                Call::commit_timelocked_weights {
                    netuid,
                    commit,
                    reveal_round,
                    commit_reveal_version,
                },
            )
        };
        let waiting = |epoch| TimelockedWeightCommits::<Runtime>::get(NETUID, epoch).len();
        refused(commit(3), Error::IncorrectCommitRevealVersion);
        commit(4).unwrap();
        assert_eq!(waiting(1), 1);
        blocks(u32::from(TEMPO) + 3);
        assert_eq!(waiting(1), 1, "its pulse is not there");
        Pulses::<Runtime>::insert(9, Pulse::default());
        blocks(1);
        assert_eq!(waiting(1), 0, "what cannot be opened is lost");
        Pulses::<Runtime>::remove(9);
        commit(4).unwrap();
        assert_eq!(waiting(2), 1);
        blocks(2 * u32::from(TEMPO));
        assert_eq!(waiting(2), 0, "its epoch has passed");
    });
}

#[test]
fn registering_is_refused_by_the_chains_errors() {
    chain(|| {
        refused(register(0), Error::HotKeyAlreadyRegisteredInSubNet);
        MaxRegistrationsPerBlock::<Runtime>::insert(NETUID, 1);
        register(6).unwrap();
        refused(register(7), Error::TooManyRegistrationsThisBlock);
        blocks(1);
        NetworkRegistrationAllowed::<Runtime>::insert(NETUID, false);
        refused(register(7), Error::SubNetRegistrationDisabled);
        NetworkRegistrationAllowed::<Runtime>::insert(NETUID, true);
        let poor = Call::burned_register { netuid: NETUID, hotkey: key(7) };
        refused(call(9, poor), Error::NotEnoughBalanceToStake);
        let nowhere = Call::burned_register { netuid: 2, hotkey: key(7) };
        refused(call(100, nowhere), Error::SubnetNotExists);
        let add = |hotkey, amount_staked| {
            call(100, Call::add_stake { hotkey: key(hotkey), netuid: NETUID, amount_staked })
        };
        refused(add(0, 1), Error::AmountTooLow);
        refused(add(50, 500_000), Error::HotKeyAccountNotExists);
        add(0, 500_000).unwrap();
        assert_eq!(TotalHotkeyAlpha::<Runtime>::get(key(0), NETUID), 4 * STAKE + 500_000);
    });
}
