//! Who outside the coalition replays what: the market's memory of the truth.

use dataforge_core::hash::HotkeyId;
use dataforge_core::units::Ppm;

use super::market::{Made, Market};
use super::validators::Told;
use crate::{HeldFor, Outcome, Score, Script};

impl Market<'_> {
    /// Writes what replays tell, of this epoch and of what is held. A replay of scores that are
    /// alike and true changes nothing, and is left out.
    pub(super) fn replay(&self, script: &mut Script<'_>, made: &[Made], told: &Told) {
        let epoch = self.ledger.epoch;
        for made in made {
            let key = (epoch, made.miner);
            let Some(truth) = self.truths.get(&key).copied() else { continue };
            let told = told.get(&made.miner).map(Vec::as_slice).unwrap_or_default();
            let name = format!("{epoch}/{}", made.miner);
            let hits = |(kind, chance): (&str, Ppm)| {
                self.of.luck.hits(&format!("replay/{kind}/{name}"), chance)
            };
            if self.causes(made.miner, truth, told).into_iter().flatten().any(hits) {
                script.judge(epoch, made.miner, truth);
            }
        }
        let disputes =
            self.ledger.held.iter().filter(|held| matches!(held.reason, HeldFor::Dispute { .. }));
        for held in disputes {
            let key = (held.epoch, held.miner);
            let Some(truth) = self.truths.get(&key).copied() else { continue };
            let name = format!("appeal/{epoch}/{}/{}", held.epoch, held.miner);
            if self.of.luck.hits(&name, self.of.scenario.replays.appealed) {
                script.judge(held.epoch, held.miner, truth);
            }
        }
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
