//! One epoch: (rules, ledger, events) → (ledger, report). Pure, and all or nothing.

mod book;

use std::collections::{BTreeMap, BTreeSet};

use dataforge_core::hash::{DatasetDigest, HotkeyId, SpecId};
use dataforge_core::units::Ppm;
use dataforge_core::weights::max_upscaled;

use crate::amount::share_out;
use crate::draw::lot;
use crate::finding::{Finding, distance, find};
use crate::gather::{Gathered, Submission, gather};
use crate::miners::{Candidate, stand};
use crate::validators::{Agreement, Drawn, Quality, assess, said, weight};
use crate::{
    AssignmentLine, Basis, Domain, Emission, Epoch, Event, Ledger, Lottery, MinerFactors, Note,
    Outcome, Profile, Rao, Report, Rules, SettleError, SlashReason, Slip, Stage, Standing,
    SubmissionLine, ValidatorLine,
};
use book::Book;

/// An epoch that was settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The state after it.
    pub ledger: Ledger,
    /// What it came to.
    pub report: Report,
}

/// Settles the ledger's next epoch.
///
/// The order of events of one block does not matter. Takes time and memory in proportion to the
/// events, the accounts and the submissions times the validators of each.
///
/// # Errors
/// [`SettleError`]: the rules, or the first event that cannot be true. The ledger is as it was.
pub fn settle(rules: &Rules, ledger: &Ledger, events: &[Event]) -> Result<Settled, SettleError> {
    rules.check()?;
    let gathered = gather(rules, ledger, events)?;
    let missing = SettleError::Internal { what: "the epoch" };
    let stage = rules.stage(ledger.epoch).ok_or(missing.clone())?;
    let domain = rules.domain(ledger.epoch).ok_or(missing.clone())?;
    let spec = rules.spec(ledger.epoch).ok_or(missing)?;
    let setting = Setting { rules, stage, domain, spec, before: ledger, gathered: &gathered };

    let submissions = setting.submissions();
    let drawn = setting.draw(&submissions)?;
    let findings = setting.findings(&drawn);
    let (assignments, faults) = setting.assess(&drawn, &findings)?;
    let miners = setting.miners(&submissions, &findings)?;
    let validators = setting.validators(&assignments, &faults)?;
    let mut notes = gathered.notes.clone();
    notes.extend(setting.slips(&drawn));
    let lines = Lines { miners, validators, assignments, notes };
    Book::new(&setting, &drawn).close(lines, &faults, &findings)
}

/// Everything that a settlement reads.
struct Setting<'a> {
    rules: &'a Rules,
    stage: &'a Stage,
    domain: &'a Domain,
    spec: SpecId,
    before: &'a Ledger,
    gathered: &'a Gathered,
}

/// A submission in the order of commitments.
struct Placed {
    miner: HotkeyId,
    submission: Submission,
    /// Whether the same dataset was there before, in this epoch or an earlier one.
    twin: bool,
}

/// A proven fault: whose, about whose submission, and which.
type Fault = (HotkeyId, HotkeyId, SlashReason);

/// All lines of the report.
struct Lines {
    miners: Shared<SubmissionLine>,
    validators: Shared<ValidatorLine>,
    assignments: Vec<AssignmentLine>,
    notes: Vec<Note>,
}

/// Lines, and what is left of the part.
struct Shared<L> {
    lines: Vec<L>,
    rest: Rao,
}

impl Setting<'_> {
    fn epoch(&self) -> Epoch {
        self.before.epoch
    }

    /// By block and then by lot.
    fn submissions(&self) -> Vec<Placed> {
        let seed = &self.gathered.seed;
        let mut order: Vec<_> = self.gathered.submissions.iter().collect();
        order.sort_by_cached_key(|(miner, of)| (of.committed, lot(seed, **miner)));
        let mut seen: BTreeSet<DatasetDigest> = BTreeSet::new();
        let place = |(miner, submission): (&HotkeyId, &Submission)| {
            let before = |dataset| self.before.datasets.contains_key(&dataset);
            let twin =
                submission.dataset.is_some_and(|dataset| before(dataset) || !seen.insert(dataset));
            Placed { miner: *miner, submission: *submission, twin }
        };
        order.into_iter().map(place).collect()
    }

    /// Who is asked about each submission that was revealed and is no twin.
    fn draw(&self, submissions: &[Placed]) -> Result<BTreeMap<HotkeyId, Drawn>, SettleError> {
        let Gathered { seed, audits_seed, listed, .. } = self.gathered;
        let listed = listed.iter().map(|(key, stake)| (*key, *stake));
        let lottery = Lottery::new(self.rules.draw, listed)?;
        let draw = |of: &Placed| {
            let validators = lottery.validators(seed, of.miner);
            let auditors = lottery.auditors(audits_seed, of.miner, &validators);
            (of.miner, Drawn { validators, auditors })
        };
        let asked = submissions.iter().filter(|of| of.submission.dataset.is_some() && !of.twin);
        Ok(asked.map(draw).collect())
    }

    /// Commitments to scores that nobody asked for, or by validators when auditors were drawn.
    fn slips(&self, drawn: &BTreeMap<HotkeyId, Drawn>) -> Vec<Note> {
        let mut notes = vec![];
        for (miner, work) in &self.gathered.work {
            let asked: BTreeMap<HotkeyId, bool> =
                drawn.get(miner).into_iter().flat_map(Drawn::all).collect();
            for (validator, work) in work {
                let Some(at) = work.committed_at() else { continue };
                let what = match asked.get(validator) {
                    None => Slip::NotDrawn,
                    Some(false) if at >= self.gathered.times.scored => Slip::CommittedLate,
                    Some(_) => continue,
                };
                notes.push(Note { party: *validator, about: Some(*miner), at, what });
            }
        }
        notes
    }

    fn findings(&self, drawn: &BTreeMap<HotkeyId, Drawn>) -> BTreeMap<HotkeyId, Finding> {
        let finding = |(miner, drawn): (&HotkeyId, &Drawn)| {
            let judged = self.gathered.judged.get(&(self.epoch(), *miner)).copied();
            let said = said(self.gathered, *miner, drawn);
            Some((*miner, find(self.rules.profile, &said, judged)?))
        };
        drawn.iter().filter_map(finding).collect()
    }

    fn assess(
        &self,
        drawn: &BTreeMap<HotkeyId, Drawn>,
        findings: &BTreeMap<HotkeyId, Finding>,
    ) -> Result<(Vec<AssignmentLine>, Vec<Fault>), SettleError> {
        let agreement = self.agreement(drawn, findings);
        let (mut lines, mut faults) = (vec![], vec![]);
        for (miner, drawn) in drawn {
            let finding = findings.get(miner);
            for (validator, audit) in drawn.all() {
                let who = (validator, audit, *miner);
                let (line, fault) =
                    assess(self.rules, self.gathered, who, drawn, finding, agreement)?;
                lines.push(line);
                faults.extend(fault.map(|fault| (validator, *miner, fault)));
            }
        }
        Ok((lines, faults))
    }

    fn agreement(
        &self,
        drawn: &BTreeMap<HotkeyId, Drawn>,
        findings: &BTreeMap<HotkeyId, Finding>,
    ) -> Agreement {
        let mut apart = vec![];
        if self.rules.profile == Profile::Advisory {
            for (miner, drawn) in drawn {
                let Some(finding) = findings.get(miner) else { continue };
                let said = said(self.gathered, *miner, drawn).into_iter();
                let outcome = &finding.score.outcome;
                apart.extend(said.filter_map(|(_, _, score)| distance(&score.outcome, outcome)));
            }
        }
        Agreement::of(self.rules.profile, &self.rules.slashing, apart)
    }

    fn is_overfit(&self, finding: &Finding) -> bool {
        match finding.score.outcome {
            Outcome::Scored(lift) => {
                lift.all.0.saturating_sub(lift.hidden.0) > self.domain.margin.0
            }
            Outcome::Rejected | Outcome::Diverged => false,
        }
    }

    /// Whether a party's weight is a founder's.
    fn founder(&self, party: HotkeyId, bonus: Ppm) -> Ppm {
        let account = self.before.accounts.get(&party);
        let joined = account.map_or(self.epoch(), |account| account.joined);
        if joined < self.stage.founders_before { bonus } else { Ppm(1_000_000) }
    }

    fn miners(
        &self,
        submissions: &[Placed],
        findings: &BTreeMap<HotkeyId, Finding>,
    ) -> Result<Shared<SubmissionLine>, SettleError> {
        let stood = |of: &Placed| {
            let dataset = of.submission.dataset;
            let comparison =
                dataset.and_then(|dataset| self.gathered.comparisons.get(&dataset)).copied();
            let candidate = Candidate {
                miner: of.miner,
                committed: of.submission.committed,
                dataset,
                mismatch: of.submission.mismatch,
                comparison,
                twin: of.twin,
                finding: findings.get(&of.miner).copied(),
                founder: self.founder(of.miner, self.stage.founding_miner),
            };
            let (standing, factors) = stand(&candidate, self.domain, self.rules.copy_threshold)?;
            Ok((candidate, standing, factors))
        };
        let stood: Vec<(Candidate, Standing, Option<MinerFactors>)> =
            submissions.iter().map(stood).collect::<Result<_, SettleError>>()?;
        let weights: Vec<u128> = stood
            .iter()
            .map(|(_, _, factors)| factors.map_or(0, |factors| factors.weight.into()))
            .collect();
        let pool = self.stage.emission.part(self.stage.miners.0.into())?;
        let (shares, rest) = share_out(pool, &weights)?;
        let line = |((of, standing, factors), reward): ((Candidate, _, _), Rao)| {
            let disputed = of.finding.is_some_and(|finding| finding.basis == Basis::Disputed);
            SubmissionLine {
                miner: of.miner,
                committed: of.committed,
                dataset: of.dataset,
                finding: of.finding,
                standing,
                factors,
                reward,
                held: disputed && reward > Rao(0),
                overfit: of.finding.is_some_and(|finding| self.is_overfit(&finding)),
            }
        };
        Ok(Shared { lines: stood.into_iter().zip(shares).map(line).collect(), rest })
    }

    fn validators(
        &self,
        assignments: &[AssignmentLine],
        faults: &[Fault],
    ) -> Result<Shared<ValidatorLine>, SettleError> {
        let qualities = Quality::of(assignments, self.rules.profile);
        let faulty: BTreeSet<HotkeyId> = faults.iter().map(|(of, _, _)| *of).collect();
        let nothing = Quality::default();
        let mut lines = vec![];
        for (validator, stake) in self.gathered.listed.iter().filter(|(_, stake)| **stake > Rao(0))
        {
            let quality = qualities.get(validator).unwrap_or(&nothing);
            let founder = self.founder(*validator, self.stage.founding_validator);
            let mean = match (quality.drawn, self.before.accounts.get(validator)) {
                (0, Some(account)) => account.standing_quality()?,
                _ => quality.mean()?,
            };
            lines.push(ValidatorLine {
                validator: *validator,
                stake: *stake,
                drawn: quality.drawn,
                missing: quality.missing,
                quality: mean,
                founder,
                weight: weight(*stake, mean, founder)?,
                forfeited: faulty.contains(validator),
                reward: Rao(0),
                bonded: Rao(0),
            });
        }
        let pool = self.stage.emission.part(self.stage.validators.0.into())?;
        let weights: Vec<u128> = lines.iter().map(|line| line.weight.into()).collect();
        let (shares, mut rest) = share_out(pool, &weights)?;
        for (line, share) in lines.iter_mut().zip(shares) {
            // What is forfeited is the treasury's: nobody gains by another's fault.
            match line.forfeited {
                true => rest = rest.plus(share)?,
                false => line.reward = share,
            }
            line.bonded = line.reward.part(self.rules.bond.share.0.into())?;
        }
        Ok(Shared { lines, rest })
    }

    fn emission(
        &self,
        miners: &Shared<SubmissionLine>,
        validators: &Shared<ValidatorLine>,
    ) -> Result<Emission, SettleError> {
        let total = self.stage.emission;
        let pool = |part: Ppm| total.part(part.0.into());
        let (miners_pool, validators_pool) =
            (pool(self.stage.miners)?, pool(self.stage.validators)?);
        Ok(Emission {
            total,
            miners: miners_pool.minus(miners.rest)?,
            validators: validators_pool.minus(validators.rest)?,
            treasury: total.minus(miners_pool)?.minus(validators_pool)?,
            rest: miners.rest.plus(validators.rest)?,
        })
    }
}

/// The miners' rewards as the chain takes them.
fn chain_weights(lines: &[SubmissionLine]) -> Vec<(HotkeyId, u16)> {
    let mut earned: Vec<_> = lines
        .iter()
        .filter(|line| line.reward > Rao(0))
        .map(|line| (line.miner, line.reward))
        .collect();
    earned.sort_unstable();
    let rewards: Vec<u64> = earned.iter().map(|(_, reward)| reward.0).collect();
    earned.iter().map(|(miner, _)| *miner).zip(max_upscaled(&rewards)).collect()
}
