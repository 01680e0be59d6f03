//! Amounts of the subnet's token, and how one is shared out to the last unit.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::SettleError;

/// The whole in parts per million.
pub(crate) const WHOLE: u64 = 1_000_000;

/// Most that a single amount or stake may be. Every product that a settlement forms then stays
/// within 128 bits; all tokens that will ever be are some 2^54 of this unit.
pub const AMOUNT_MAX: Rao = Rao(1 << 56);

/// Billionths of the token: the chain's smallest unit.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Rao(pub u64);

/// In tokens, with all nine decimals.
impl fmt::Display for Rao {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        write!(f, "{whole}.{part:09}")
    }
}

impl Rao {
    pub(crate) fn plus(self, other: Self) -> Result<Self, SettleError> {
        self.0.checked_add(other.0).map(Self).ok_or(SettleError::Internal { what: "a sum" })
    }

    pub(crate) fn minus(self, other: Self) -> Result<Self, SettleError> {
        self.0.checked_sub(other.0).map(Self).ok_or(SettleError::Internal { what: "a difference" })
    }

    /// `floor(self · ppm / 1,000,000)`.
    ///
    /// # Errors
    /// [`SettleError::Internal`] where that is beyond 64 bits: never for a part of the whole.
    pub fn part(self, ppm: u64) -> Result<Self, SettleError> {
        let part = mul_div(self.0.into(), ppm.into(), WHOLE.into())?;
        u64::try_from(part).map(Self).map_err(|_| SettleError::Internal { what: "a part" })
    }
}

pub(crate) fn sum(amounts: impl IntoIterator<Item = Rao>) -> Result<Rao, SettleError> {
    amounts.into_iter().try_fold(Rao(0), Rao::plus)
}

/// `floor(a · b / c)`; zero where `c` is.
pub(crate) fn mul_div(a: u128, b: u128, c: u128) -> Result<u128, SettleError> {
    let product = a.checked_mul(b).ok_or(SettleError::Internal { what: "a product" })?;
    Ok(product.checked_div(c).unwrap_or(0))
}

/// Shares `pool` out in proportion to `weights`, each share rounded down, so that several parties
/// never get more than one with all of their weights. Gives the shares, and what is left: the dust,
/// or everything where no weight is above zero.
pub(crate) fn share_out(pool: Rao, weights: &[u128]) -> Result<(Vec<Rao>, Rao), SettleError> {
    let overflow = SettleError::Internal { what: "a sum of weights" };
    let total = weights.iter().try_fold(0u128, |total, weight| total.checked_add(*weight));
    let total = total.ok_or(overflow)?;
    let share = |weight: &u128| {
        let share = mul_div(pool.0.into(), *weight, total)?;
        u64::try_from(share).map(Rao).map_err(|_| SettleError::Internal { what: "a share" })
    };
    let shares: Vec<Rao> = weights.iter().map(share).collect::<Result<_, _>>()?;
    let dust = pool.minus(sum(shares.iter().copied())?)?;
    Ok((shares, dust))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shared_out_and_the_dust_make_the_pool() {
        let check = |pool, weights: &[u128], shares: &[u64], dust| {
            let found = share_out(Rao(pool), weights).unwrap();
            assert_eq!(found, (shares.iter().copied().map(Rao).collect(), Rao(dust)));
        };
        check(10, &[1, 1, 1], &[3, 3, 3], 1);
        check(10, &[], &[], 10);
        check(10, &[0, 0], &[0, 0], 10);
        check(AMOUNT_MAX.0, &[u128::from(AMOUNT_MAX.0), 0], &[AMOUNT_MAX.0, 0], 0);
        assert!(share_out(Rao(1), &[u128::MAX, 1]).is_err());
    }

    #[test]
    fn amounts_print_in_tokens() {
        assert_eq!(Rao(1_000_000_001).to_string(), "1.000000001");
    }
}
