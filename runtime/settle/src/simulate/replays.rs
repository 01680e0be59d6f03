//! Who outside the coalition replays what: the market's memory of the truth.

use dataforge_core::hash::HotkeyId;
use dataforge_core::units::Ppm;

use super::error::SimulateError;
use super::market::{Made, Market, Truth};
use super::validators::Told;
use crate::{Epoch, HeldFor, Outcome, Score, Script};

impl Market<'_, '_> {
    /// Writes what replays tell, of this epoch and of what is held. A replay of scores that are
    /// alike and true changes nothing, and is left out.
    pub(super) fn replay(
        &mut self,
        script: &mut Script<'_>,
        made: &[Made],
        told: &Told,
    ) -> Result<(), SimulateError> {
        let epoch = self.ledger.epoch;
        for made in made {
            let told = told.get(&made.miner).map(Vec::as_slice).unwrap_or_default();
            let name = format!("{epoch}/{}", made.miner);
            let hits = |(kind, chance): (&str, Ppm)| {
                self.of.luck.hits(&format!("replay/{kind}/{name}"), chance)
            };
            if self.causes(made.miner, made.truth, told).into_iter().flatten().any(hits) {
                self.judge(script, epoch, made.miner)?;
            }
        }
        let is_dispute = |reason: &HeldFor| matches!(reason, HeldFor::Dispute { .. });
        let disputes: Vec<(Epoch, HotkeyId)> = (self.ledger.held.iter())
            .filter(|held| is_dispute(&held.reason))
            .map(|held| (held.epoch, held.miner))
            .collect();
        for (of, miner) in disputes {
            let name = format!("appeal/{epoch}/{of}/{miner}");
            if self.of.luck.hits(&name, self.of.scenario.replays.appealed) {
                self.judge(script, of, miner)?;
            }
        }
        Ok(())
    }

    /// Replays a submission, and writes what that tells.
    fn judge(
        &mut self,
        script: &mut Script<'_>,
        of: Epoch,
        miner: HotkeyId,
    ) -> Result<(), SimulateError> {
        let Some(Truth { dataset, score }) = self.truths.get(&(of, miner)).copied() else {
            return Ok(());
        };
        let score = match self.trains(of) {
            Some((trainer, seeds)) => trainer.replay(dataset, &seeds)?,
            None => score,
        };
        script.judge(of, miner, score);
        Ok(())
    }

    /// Why somebody may replay, each with its chance.
    fn causes(
        &self,
        miner: HotkeyId,
        truth: Score,
        told: &[Score],
    ) -> [Option<(&'static str, Ppm)>; 3] {
        let replays = self.of.scenario.replays;
        let alike = told.iter().all(|score| told.first() == Some(score));
        let is_false = told.iter().any(|score| score.proof != truth.proof);
        let too_low = told.iter().any(|score| is_less(score.outcome, truth.outcome));
        let honest = !self.parties.is_coalition(&miner);
        [
            (!alike).then_some(("disputed", replays.disputed)),
            (alike && is_false).then_some(("unanimous", replays.unanimous)),
            (honest && (too_low || told.is_empty())).then_some(("wronged", replays.wronged)),
        ]
    }
}

/// Whether a miner who knows the truth is told less.
fn is_less(told: Outcome, truth: Outcome) -> bool {
    match (told, truth) {
        (Outcome::Scored(told), Outcome::Scored(truth)) => told.all < truth.all,
        (_, Outcome::Scored(_)) => true,
        _ => false,
    }
}
