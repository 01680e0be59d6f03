//! The ledger after an epoch: who is paid, what is bonded, held, released and slashed.

use std::collections::BTreeMap;

use dataforge_core::hash::{HotkeyId, ProofDigest};
use dataforge_core::units::Ppm;

use super::{Fault, Lines, Setting, Settled, chain_weights};
use crate::amount::WHOLE;
use crate::finding::Finding;
use crate::validators::{Drawn, Quality, said};
use crate::{
    AssignmentLine, Basis, Conduct, Epoch, Held, HeldFor, Ledger, Origin, Rao, Release, Report,
    SettleError, Slash, SlashReason, SubmissionLine, ValidatorLine,
};

pub(super) struct Book<'a> {
    setting: &'a Setting<'a>,
    drawn: &'a BTreeMap<HotkeyId, Drawn>,
    ledger: Ledger,
    slashes: Vec<Slash>,
    released: Vec<Release>,
}

impl<'a> Book<'a> {
    pub(super) fn new(setting: &'a Setting<'a>, drawn: &'a BTreeMap<HotkeyId, Drawn>) -> Self {
        let ledger = setting.before.clone();
        Self { setting, drawn, ledger, slashes: vec![], released: vec![] }
    }

    fn after(&self, epochs: u32) -> Result<Epoch, SettleError> {
        let epoch = self.setting.epoch().0.checked_add(epochs.into());
        epoch.map(Epoch).ok_or(SettleError::Internal { what: "an epoch" })
    }

    pub(super) fn close(
        mut self,
        lines: Lines,
        faults: &[Fault],
        findings: &BTreeMap<HotkeyId, Finding>,
    ) -> Result<Settled, SettleError> {
        let Lines { miners, validators, assignments, notes } = lines;
        let setting = self.setting;
        let (rules, gathered) = (setting.rules, setting.gathered);
        let emission = setting.emission(&miners, &validators)?;
        for party in gathered.listed.keys() {
            self.ledger.account(*party);
        }
        // What an earlier epoch left comes first: this epoch's faults cannot be paid from it.
        self.release_held()?;
        self.release_bonds()?;
        self.slash_faults(faults)?;

        self.ledger.emitted = self.ledger.emitted.plus(emission.total)?;
        self.ledger.credit_treasury(emission.treasury.plus(emission.rest)?)?;
        self.pay_miners(&miners.lines)?;
        self.pay_validators(&validators.lines)?;
        self.judge_conduct(&assignments, findings)?;
        for line in miners.lines.iter().filter(|line| line.dataset.is_some()) {
            let origin = Origin { epoch: setting.epoch(), miner: line.miner };
            if let Some(dataset) = line.dataset {
                self.ledger.datasets.entry(dataset).or_insert(origin);
            }
        }
        self.ledger.log = Some(gathered.log);
        self.ledger.epoch = self.after(1)?;

        let report = Report {
            epoch: setting.epoch(),
            rules: rules.id(),
            spec: setting.spec,
            benchmark: rules.benchmark(setting.epoch()),
            seed: gathered.seed,
            log: gathered.log,
            before: setting.before.digest(),
            after: self.ledger.digest(),
            emission,
            weights: chain_weights(&miners.lines),
            submissions: miners.lines,
            validators: validators.lines,
            assignments,
            slashes: self.slashes,
            released: self.released,
            notes,
        };
        Ok(Settled { ledger: self.ledger, report })
    }

    /// Ends what a replay told about, and what it is too late to appeal.
    fn release_held(&mut self) -> Result<(), SettleError> {
        let judged = &self.setting.gathered.judged;
        let due = self.setting.epoch();
        let all = std::mem::take(&mut self.ledger.held);
        for held in all {
            let told = judged.get(&(held.epoch, held.miner));
            if told.is_none() && held.until > due {
                self.ledger.held.push(held);
                continue;
            }
            let right = |said| told.map(|told| told.proof == said);
            let to = match &held.reason {
                HeldFor::Dispute { by, .. } => right(*by).unwrap_or(true).then_some(held.miner),
                HeldFor::Outlier { validator, said } => {
                    right(*said).unwrap_or(false).then_some(*validator)
                }
            };
            match to {
                Some(party) => self.ledger.pay(party, held.amount)?,
                None => self.ledger.credit_treasury(held.amount)?,
            }
            let Held { epoch, miner, amount, .. } = held;
            let judged = told.is_some();
            self.released.push(Release { epoch, miner, to, amount, judged });
            if let (HeldFor::Dispute { said, .. }, Some(told)) = (&held.reason, told) {
                let wrong = said.iter().filter(|(_, said)| *said != told.proof);
                for (validator, _) in wrong {
                    let about = Some((held.epoch, held.miner));
                    self.slash(*validator, SlashReason::WrongScore, about)?;
                }
            }
        }
        Ok(())
    }

    fn release_bonds(&mut self) -> Result<(), SettleError> {
        let due = self.setting.epoch();
        for account in self.ledger.accounts.values_mut() {
            let released = account.release(due)?;
            account.paid = account.paid.plus(released)?;
        }
        Ok(())
    }

    fn slash_faults(&mut self, faults: &[Fault]) -> Result<(), SettleError> {
        for (validator, miner, reason) in faults {
            let about = Some((self.setting.epoch(), *miner));
            self.slash(*validator, *reason, about)?;
        }
        Ok(())
    }

    /// Takes from a bond, for the treasury.
    fn slash(
        &mut self,
        validator: HotkeyId,
        reason: SlashReason,
        about: Option<(Epoch, HotkeyId)>,
    ) -> Result<(), SettleError> {
        let amount = self.take(validator, reason)?;
        self.ledger.credit_treasury(amount)?;
        self.slashes.push(Slash { validator, reason, about, amount, held: false });
        Ok(())
    }

    fn take(&mut self, validator: HotkeyId, reason: SlashReason) -> Result<Rao, SettleError> {
        let slashing = &self.setting.rules.slashing;
        let share = match reason {
            SlashReason::WrongScore | SlashReason::FailedAudit | SlashReason::Withheld => {
                slashing.wrong
            }
            SlashReason::Equivocation => slashing.equivocation,
            SlashReason::Missing => slashing.missing,
            SlashReason::Outlier => slashing.outlier,
        };
        self.ledger.account(validator).slash(share.0.into())
    }

    fn pay_miners(&mut self, lines: &[SubmissionLine]) -> Result<(), SettleError> {
        let until = self.after(self.setting.rules.appeal_epochs.get())?;
        for line in lines.iter().filter(|line| line.reward > Rao(0)) {
            let disputed = line.finding.filter(|finding| finding.basis == Basis::Disputed);
            match disputed {
                None => self.ledger.pay(line.miner, line.reward)?,
                Some(finding) => {
                    let said = self.said(line.miner);
                    let by = finding.score.proof;
                    self.ledger.held.push(Held {
                        epoch: self.setting.epoch(),
                        miner: line.miner,
                        amount: line.reward,
                        until,
                        reason: HeldFor::Dispute { by, said },
                    });
                }
            }
        }
        Ok(())
    }

    /// What everybody who was asked about a submission said.
    fn said(&self, miner: HotkeyId) -> Vec<(HotkeyId, ProofDigest)> {
        let Some(drawn) = self.drawn.get(&miner) else { return vec![] };
        let said = said(self.setting.gathered, miner, drawn).into_iter();
        said.map(|(validator, _, score)| (validator, score.proof)).collect()
    }

    fn pay_validators(&mut self, lines: &[ValidatorLine]) -> Result<(), SettleError> {
        let until = self.after(self.setting.rules.bond.epochs.get())?;
        for line in lines {
            let now = line.reward.minus(line.bonded)?;
            self.ledger.pay(line.validator, now)?;
            self.ledger.account(line.validator).bond(until, line.bonded)?;
        }
        Ok(())
    }

    /// Notes everybody's conduct, and slashes whose window has too much of it.
    fn judge_conduct(
        &mut self,
        assignments: &[AssignmentLine],
        findings: &BTreeMap<HotkeyId, Finding>,
    ) -> Result<(), SettleError> {
        let rules = self.setting.rules;
        let epoch = self.setting.epoch();
        let window = u64::from(rules.slashing.window.get());
        for (validator, quality) in Quality::of(assignments, rules.profile) {
            let Quality { drawn, missing, outliers, sum: quality } = quality;
            let conduct = &mut self.ledger.account(validator).conduct;
            conduct.push(Conduct { epoch, drawn, missing, outliers, quality });
            conduct.retain(|of| of.epoch.0.saturating_add(window) > epoch.0);
            let sum = |part: fn(&Conduct) -> u32| {
                conduct.iter().fold(0u64, |sum, of| sum.saturating_add(part(of).into()))
            };
            let drawn = sum(|of| of.drawn);
            let beyond = |part: u64, tolerated: Ppm| {
                let tolerated = drawn.saturating_mul(tolerated.0.into());
                part.saturating_mul(WHOLE) > tolerated
            };
            let too_few =
                missing > 0 && beyond(sum(|of| of.missing), rules.slashing.missing_tolerated);
            let too_far =
                outliers > 0 && beyond(sum(|of| of.outliers), rules.slashing.outliers_tolerated);
            if too_few {
                self.slash(validator, SlashReason::Missing, None)?;
            }
            if too_far {
                self.hold_outlier(validator, assignments, findings)?;
            }
        }
        Ok(())
    }

    /// What is taken for outliers is held: a replay of the last of them can still tell otherwise.
    fn hold_outlier(
        &mut self,
        validator: HotkeyId,
        assignments: &[AssignmentLine],
        findings: &BTreeMap<HotkeyId, Finding>,
    ) -> Result<(), SettleError> {
        let outlier = |line: &&AssignmentLine| {
            line.validator == validator
                && line.consistency == Ppm(0)
                && findings.contains_key(&line.miner)
        };
        let Some(line) = assignments.iter().rfind(outlier) else { return Ok(()) };
        let epoch = self.setting.epoch();
        let said = self.said(line.miner);
        let Some((_, said)) = said.into_iter().find(|(who, _)| *who == validator) else {
            return Ok(());
        };
        let amount = self.take(validator, SlashReason::Outlier)?;
        let until = self.after(self.setting.rules.appeal_epochs.get())?;
        let reason = HeldFor::Outlier { validator, said };
        self.ledger.held.push(Held { epoch, miner: line.miner, amount, until, reason });
        let about = Some((epoch, line.miner));
        let reason = SlashReason::Outlier;
        self.slashes.push(Slash { validator, reason, about, amount, held: true });
        Ok(())
    }
}
