//! What validators tell: honest ones the truth, the coalition's what its strategy says.

use std::collections::BTreeMap;

use dataforge_core::hash::{Hasher, HotkeyId};
use dataforge_core::units::MicroNats;

use super::chance::normal;
use super::error::SimulateError;
use super::market::{Made, Market, Truth};
use super::miners::lift;
use super::strategy::{Moment, Ring, ValidatorStrategy};
use crate::{Block, Lottery, Outcome, Rao, Salt, Score, Script, What, score_commitment};

/// The scores that were revealed about each submission, by miner.
pub(super) type Told = BTreeMap<HotkeyId, Vec<Score>>;

/// One submission, and who is asked about it.
struct Asked<'a> {
    made: &'a Made,
    validators: Vec<HotkeyId>,
    auditors: Vec<HotkeyId>,
}

/// What one of the coalition does about an assignment.
enum Answer {
    Nothing,
    /// Commits so many blocks after it was asked, and reveals.
    Tells(Score, u32),
    /// Commits, and never reveals.
    Withholds(Score),
    /// Tells the first, and reveals the second too.
    TellsBoth(Score, Score),
}

impl Market<'_, '_> {
    /// Writes everybody's scores. Gives those that count.
    pub(super) fn tell(
        &mut self,
        script: &mut Script<'_>,
        made: &[Made],
    ) -> Result<Told, SimulateError> {
        let lottery: Lottery = script.lottery()?;
        let mut told = Told::new();
        for made in made {
            let [validators, auditors] = script.asked(&lottery, made.miner);
            let truth = Truth { dataset: made.dataset, score: made.truth };
            self.truths.insert((self.ledger.epoch, made.miner), truth);
            let asked = Asked { made, validators, auditors };
            told.insert(made.miner, self.tell_about(script, &asked));
        }
        Ok(told)
    }

    fn tell_about(&mut self, script: &mut Script<'_>, asked: &Asked<'_>) -> Vec<Score> {
        let validators = asked.validators.iter().map(|key| (*key, false));
        let auditors = asked.auditors.iter().map(|key| (*key, true));
        let mut told = vec![];
        // Whether one of the coalition has evaluated this submission.
        let mut evaluated = false;
        for (validator, audit) in validators.chain(auditors) {
            let answer = match self.parties.coalition_validators.contains(&validator) {
                true => self.answer(asked, validator, &mut evaluated),
                false => Answer::Tells(asked.made.truth, 0),
            };
            told.extend(self.write(script, answer, (validator, audit, asked.made.miner)));
        }
        told
    }

    /// The score that counts, if one does.
    fn write(
        &self,
        script: &mut Script<'_>,
        answer: Answer,
        (validator, audit, miner): (HotkeyId, bool, HotkeyId),
    ) -> Option<Score> {
        let times = script.times();
        let (from, before) = match audit {
            true => (times.scored, times.audited),
            false => (times.revealed, times.scored),
        };
        match answer {
            Answer::Nothing => None,
            Answer::Tells(score, after) => {
                // An event after the epoch would not be one of the epoch.
                let most = times.end.0.saturating_sub(from.0).saturating_sub(1);
                let after = after.min(u32::try_from(most).unwrap_or(u32::MAX));
                // An auditor's time is short, and no part of it is early.
                let after = if audit { 0 } else { after };
                script.score(validator, miner, Some(score), audit, after);
                (from.0.saturating_add(after.into()) < before.0).then_some(score)
            }
            Answer::Withholds(score) => {
                let salt = Salt(self.of.luck.seed(&format!("withheld/{validator}")));
                let epoch = self.ledger.epoch;
                let commitment = score_commitment(epoch, validator, miner, &Some(score), salt);
                script.push(from, What::ScoreCommitted { validator, miner, commitment });
                None
            }
            Answer::TellsBoth(score, second) => {
                script.score(validator, miner, Some(score), audit, 0);
                let salt = Salt(self.of.luck.seed(&format!("second/{validator}")));
                let score = Some(second);
                let at: Block = times.audited;
                script.push(at, What::ScoreRevealed { validator, miner, score, salt });
                None
            }
        }
    }

    /// A proof's digest; false ones have their own.
    pub(super) fn proof(&self, miner: HotkeyId, kind: &str) -> dataforge_core::hash::ProofDigest {
        let mut hasher = Hasher::new("dataforge/simulate/proof/v1");
        hasher.update(self.of.luck.seed("proof").0).update(self.ledger.epoch.0.to_le_bytes());
        hasher.update(miner.0).update(kind);
        hasher.finish()
    }

    fn evaluate(&mut self) {
        self.spend(self.of.scenario.costs.evaluation);
    }

    fn answer(&mut self, asked: &Asked<'_>, validator: HotkeyId, evaluated: &mut bool) -> Answer {
        let (miner, truth) = (asked.made.miner, asked.made.truth);
        let name = format!("{}/{miner}/{validator}", self.ledger.epoch);
        let honest = &ValidatorStrategy::Honest;
        let strategy = if self.is_attacking() { &self.attack().validator } else { honest };
        match strategy {
            ValidatorStrategy::Offline => return Answer::Nothing,
            ValidatorStrategy::Lazy => {
                if let Some(outcome) = self.found.get(&miner).copied() {
                    let proof = self.proof(miner, "lazy");
                    return Answer::Tells(Score { proof, outcome }, 0);
                }
            }
            ValidatorStrategy::Pool if *evaluated => return Answer::Tells(truth, 0),
            ValidatorStrategy::Ring(ring) => {
                if let Some(lie) = self.lie(ring, asked) {
                    let outside = |key| !self.parties.coalition_validators.contains(key);
                    return match ring.withhold && asked.auditors.iter().any(outside) {
                        true => Answer::Withholds(lie),
                        false => Answer::Tells(lie, 0),
                    };
                }
            }
            _ => {}
        }
        *evaluated = true;
        self.evaluate();
        match strategy {
            ValidatorStrategy::Late { blocks } => Answer::Tells(truth, *blocks),
            ValidatorStrategy::Noise { share, deviation } => {
                let mut stream = self.of.luck.stream(&format!("noise/{name}"));
                match truth.outcome {
                    Outcome::Scored(found)
                        if self.of.luck.hits(&format!("noisy/{name}"), *share) =>
                    {
                        let all = found.all.0.saturating_add(normal(&mut stream, *deviation).0);
                        let below = found.all.0.saturating_sub(found.bound.0).max(0);
                        let outcome = Outcome::Scored(lift(all, MicroNats(below)));
                        let proof = self.proof(miner, &format!("noise/{validator}"));
                        Answer::Tells(Score { proof, outcome }, 0)
                    }
                    _ => Answer::Tells(truth, 0),
                }
            }
            ValidatorStrategy::Equivocate { share }
                if self.of.luck.hits(&format!("second/{name}"), *share) =>
            {
                let proof = self.proof(miner, &format!("second/{validator}"));
                Answer::TellsBoth(truth, Score { proof, outcome: Outcome::Rejected })
            }
            _ => Answer::Tells(truth, 0),
        }
    }

    /// What a ring tells of a submission, if it lies about it.
    fn lie(&self, ring: &Ring, asked: &Asked<'_>) -> Option<Score> {
        let miner = asked.made.miner;
        let outcome = match self.parties.coalition_miners.contains(&miner) {
            true => Outcome::Scored(lift(ring.boost?.0, MicroNats(0))),
            false if ring.censor => Outcome::Rejected,
            false => return None,
        };
        let stakes = |own: bool| {
            let coalition = &self.parties.coalition_validators;
            let drawn = asked.validators.iter().filter(|key| coalition.contains(key) == own);
            let each = if own { self.stake_of_each() } else { self.stake_of_each_other() };
            u128::from(each.0).saturating_mul(drawn.count() as u128)
        };
        let (own, others) = (stakes(true), stakes(false));
        let lies = own > 0
            && match ring.when {
                Moment::Always => true,
                Moment::Majority => own > others,
                Moment::Unanimous => others == 0,
            };
        lies.then(|| Score { proof: self.proof(miner, "lie"), outcome })
    }

    fn stake_of_each(&self) -> Rao {
        let stake = self.of.scenario.market.stake.part(self.of.stake.0.into()).unwrap_or(Rao(0));
        each(stake, self.parties.coalition_validators.len())
    }

    fn stake_of_each_other(&self) -> Rao {
        let all = self.of.scenario.market.stake;
        let coalition = all.part(self.of.stake.0.into()).unwrap_or(Rao(0));
        each(Rao(all.0.saturating_sub(coalition.0)), self.parties.validators.len())
    }
}

fn each(stake: Rao, keys: usize) -> Rao {
    Rao(stake.0.checked_div(keys as u64).unwrap_or(0))
}
