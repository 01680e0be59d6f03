//! The state of a market between two epochs.
//!
//! Invariant: what was ever emitted is in the treasury, paid, bonded or held, to the last unit.
//! [`Ledger::check`] says so of any ledger, so a file that was altered is refused.

use std::collections::BTreeMap;

use dataforge_core::codec;
use dataforge_core::hash::{DatasetDigest, HotkeyId, LedgerDigest, LogDigest, ProofDigest, tagged};
use dataforge_core::units::Ppm;
use serde::{Deserialize, Serialize};

use crate::{Epoch, Rao, SettleError, amount};

/// The state of a market between two epochs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// The epoch to be settled next.
    pub epoch: Epoch,
    /// The events of the epoch before it.
    pub log: Option<LogDigest>,
    /// All that was ever emitted.
    pub emitted: Rao,
    /// What the treasury has.
    pub treasury: Rao,
    /// Everybody who was ever listed.
    pub accounts: BTreeMap<HotkeyId, Account>,
    /// What can still be appealed, in the order in which it was held.
    pub held: Vec<Held>,
    /// Who was first with a dataset.
    pub datasets: BTreeMap<DatasetDigest, Origin>,
}

/// What a party has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// The epoch in which it was listed first.
    pub joined: Epoch,
    /// What it was paid in all.
    pub paid: Rao,
    /// What is held back of its rewards, by the epoch in which it is paid.
    pub bond: BTreeMap<Epoch, Rao>,
    /// A validator's conduct in the epochs of the window, the latest last.
    pub conduct: Vec<Conduct>,
}

/// What a validator did in one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conduct {
    /// Which epoch.
    pub epoch: Epoch,
    /// Submissions that it was drawn for.
    pub drawn: u32,
    /// Those without a score of it.
    pub missing: u32,
    /// Scores that lie too far from the others'.
    pub outliers: u32,
    /// Sum of the qualities of what it was drawn for, in millionths.
    pub quality: u64,
}

/// An amount about which the last word is not spoken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// The epoch of the submission that it is about.
    pub epoch: Epoch,
    /// Whose submission.
    pub miner: HotkeyId,
    /// How much.
    pub amount: Rao,
    /// The first epoch in which it is too late to appeal.
    pub until: Epoch,
    /// Why, and who gets it.
    pub reason: HeldFor,
}

/// Why an amount is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum HeldFor {
    /// The miner's reward: its validators disagree, and nobody has replayed. The miner gets it
    /// unless another score proves right.
    Dispute {
        /// The score that it was paid by.
        by: ProofDigest,
        /// What each validator said.
        said: Vec<(HotkeyId, ProofDigest)>,
    },
    /// A slash for outliers. The treasury gets it unless the validator proves right.
    Outlier {
        /// Whose.
        validator: HotkeyId,
        /// What it said.
        said: ProofDigest,
    },
}

/// Who was first with a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// When.
    pub epoch: Epoch,
    /// Who.
    pub miner: HotkeyId,
}

/// Why a ledger cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the ledger does not add up: {emitted} were emitted, and treasury, payments, bonds and what is \
     held make {found}"
)]
pub struct Unbalanced {
    /// What was emitted.
    pub emitted: Rao,
    /// What is there, in the same unit.
    pub found: Rao,
}

impl Ledger {
    /// Identifies a state: SHA-256 under the tag `dataforge/ledger/v1` of its canonical encoding.
    #[must_use]
    pub fn digest(&self) -> LedgerDigest {
        tagged("dataforge/ledger/v1", &codec::encode(self))
    }

    /// Checks that nothing was lost or made.
    ///
    /// # Errors
    /// [`Unbalanced`].
    pub fn check(&self) -> Result<(), Unbalanced> {
        let accounts = self.accounts.values();
        let found = accounts
            .flat_map(|account| account.bond.values().chain([&account.paid]))
            .chain(self.held.iter().map(|held| &held.amount))
            .chain([&self.treasury])
            .try_fold(Rao(0), |sum, amount| sum.plus(*amount))
            .unwrap_or(Rao(u64::MAX));
        match found == self.emitted && found != Rao(u64::MAX) {
            true => Ok(()),
            false => Err(Unbalanced { emitted: self.emitted, found }),
        }
    }

    pub(crate) fn account(&mut self, party: HotkeyId) -> &mut Account {
        let joined = self.epoch;
        let new = || Account { joined, paid: Rao(0), bond: BTreeMap::new(), conduct: vec![] };
        self.accounts.entry(party).or_insert_with(new)
    }

    pub(crate) fn credit_treasury(&mut self, amount: Rao) -> Result<(), SettleError> {
        self.treasury = self.treasury.plus(amount)?;
        Ok(())
    }

    pub(crate) fn pay(&mut self, party: HotkeyId, amount: Rao) -> Result<(), SettleError> {
        let account = self.account(party);
        account.paid = account.paid.plus(amount)?;
        Ok(())
    }
}

impl Account {
    /// Mean quality of all that it was drawn for within the window; zero of nothing.
    pub(crate) fn standing_quality(&self) -> Result<Ppm, SettleError> {
        let sum = |part: fn(&Conduct) -> u64| {
            self.conduct.iter().fold(0u64, |sum, of| sum.saturating_add(part(of)))
        };
        let mean = sum(|of| of.quality).checked_div(sum(|of| of.drawn.into())).unwrap_or(0);
        u32::try_from(mean).map(Ppm).map_err(|_| SettleError::Internal { what: "a quality" })
    }

    /// All that is held back.
    pub(crate) fn bonded(&self) -> Result<Rao, SettleError> {
        amount::sum(self.bond.values().copied())
    }

    pub(crate) fn bond(&mut self, until: Epoch, amount: Rao) -> Result<(), SettleError> {
        if amount > Rao(0) {
            let bonded = self.bond.entry(until).or_default();
            *bonded = bonded.plus(amount)?;
        }
        Ok(())
    }

    /// Takes a share of the bond, the part that would be paid last first. Gives what was taken.
    pub(crate) fn slash(&mut self, ppm: u64) -> Result<Rao, SettleError> {
        let taken = self.bonded()?.part(ppm)?;
        let mut left = taken;
        for bonded in self.bond.values_mut().rev() {
            let part = left.min(*bonded);
            *bonded = bonded.minus(part)?;
            left = left.minus(part)?;
        }
        self.bond.retain(|_, bonded| *bonded > Rao(0));
        Ok(taken)
    }

    /// Takes out what is due.
    pub(crate) fn release(&mut self, epoch: Epoch) -> Result<Rao, SettleError> {
        let due = amount::sum(self.bond.range(..=epoch).map(|(_, bonded)| *bonded))?;
        self.bond.retain(|until, _| *until > epoch);
        Ok(due)
    }
}
