//! Numbers an account's transactions, as the chain does: a call that costs nothing needs no account
//! that exists, so hotkeys without balance can set weights.

use codec::{Decode, DecodeWithMemTracking, Encode};
use scale_info::TypeInfo;
use sp_runtime::impl_tx_ext_default;
use sp_runtime::traits::{
    AsSystemOriginSigner, DispatchInfoOf, Implication, TransactionExtension, ValidateResult,
};
use sp_runtime::transaction_validity::{
    InvalidTransaction, TransactionLongevity, TransactionSource, TransactionValidityError,
    ValidTransaction,
};

use crate::{AccountId, Runtime, RuntimeCall, RuntimeOrigin, System};

/// The number of a transaction among those of its account.
///
/// Byte format: the number, compact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub struct CheckNonce(#[codec(compact)] pub u32);

impl TransactionExtension<RuntimeCall> for CheckNonce {
    const IDENTIFIER: &'static str = "CheckNonce";
    type Implicit = ();
    type Val = Option<AccountId>;
    type Pre = ();

    fn validate(
        &self,
        origin: RuntimeOrigin,
        _call: &RuntimeCall,
        info: &DispatchInfoOf<RuntimeCall>,
        _length: usize,
        _implicit: (),
        _implication: &impl Implication,
        _source: TransactionSource,
    ) -> ValidateResult<Self::Val, RuntimeCall> {
        let Some(who) = origin.as_system_origin_signer().cloned() else {
            return Ok((ValidTransaction::default(), None, origin));
        };
        let account = frame_system::Account::<Runtime>::get(&who);
        let exists = account.providers > 0 || account.sufficients > 0;
        if info.pays_fee == frame_support::dispatch::Pays::Yes && !exists {
            return Err(InvalidTransaction::Payment.into());
        }
        if self.0 < account.nonce {
            return Err(InvalidTransaction::Stale.into());
        }
        let tag = |nonce: u32| (&who, nonce).encode();
        let before = (self.0 > account.nonce).then(|| tag(self.0 - 1));
        let valid = ValidTransaction {
            priority: 0,
            requires: before.into_iter().collect(),
            provides: alloc::vec![tag(self.0)],
            longevity: TransactionLongevity::MAX,
            propagate: true,
        };
        Ok((valid, Some(who), origin))
    }

    fn prepare(
        self,
        who: Self::Val,
        _origin: &RuntimeOrigin,
        _call: &RuntimeCall,
        _info: &DispatchInfoOf<RuntimeCall>,
        _length: usize,
    ) -> Result<(), TransactionValidityError> {
        let Some(who) = who else { return Ok(()) };
        match self.0.cmp(&System::account_nonce(&who)) {
            core::cmp::Ordering::Less => Err(InvalidTransaction::Stale.into()),
            core::cmp::Ordering::Greater => Err(InvalidTransaction::Future.into()),
            core::cmp::Ordering::Equal => {
                System::inc_account_nonce(who);
                Ok(())
            }
        }
    }

    impl_tx_ext_default!(RuntimeCall; weight);
}
