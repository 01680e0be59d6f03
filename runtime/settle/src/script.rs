//! Events of an epoch that did not come from a chain: of rehearsals, simulations and tests.
//!
//! Everybody keeps to the timetable here. Who does not is written with [`Script::push`].

use std::collections::{BTreeMap, BTreeSet};

use dataforge_core::hash::{DatasetDigest, Digest as _, EpochSeed, Hasher, HotkeyId};

use crate::rules::Timetable;
use crate::{
    Block, Comparison, Epoch, Event, Ledger, Lottery, Rao, Rules, Salt, Score, SettleError, What,
    score_commitment, submission_commitment,
};

/// The events of a ledger's next epoch, as they are written.
pub struct Script<'a> {
    rules: &'a Rules,
    epoch: Epoch,
    times: Timetable,
    seed: EpochSeed,
    audits_seed: EpochSeed,
    listed: BTreeMap<HotkeyId, Rao>,
    /// Of earlier epochs.
    known: BTreeSet<DatasetDigest>,
    uncompared: BTreeSet<DatasetDigest>,
    committed: BTreeSet<HotkeyId>,
    events: Vec<Event>,
}

impl<'a> Script<'a> {
    /// Opens the epoch.
    ///
    /// # Errors
    /// [`SettleError`], for rules that are none.
    pub fn new(
        rules: &'a Rules,
        ledger: &Ledger,
        seed: EpochSeed,
        audits_seed: EpochSeed,
    ) -> Result<Self, SettleError> {
        rules.check()?;
        let epoch = ledger.epoch;
        let times = rules.timetable(epoch).ok_or(SettleError::Internal { what: "an epoch" })?;
        let mut script = Self {
            rules,
            epoch,
            times,
            seed,
            audits_seed,
            listed: BTreeMap::new(),
            known: ledger.datasets.keys().copied().collect(),
            uncompared: BTreeSet::new(),
            committed: BTreeSet::new(),
            events: Vec::new(),
        };
        script.push(times.start, What::Opened { rules: rules.id(), ledger: ledger.digest() });
        script.push(times.revealed, What::Seeded { seed });
        script.push(times.scored, What::AuditsSeeded { seed: audits_seed });
        script.push(times.end, What::Closed);
        Ok(script)
    }

    /// When what happens.
    #[must_use]
    pub fn times(&self) -> Timetable {
        self.times
    }

    /// Writes any event.
    pub fn push(&mut self, at: Block, what: What) {
        if let What::Committed { miner, .. } = what {
            self.committed.insert(miner);
        }
        self.events.push(Event { epoch: self.epoch, at, what });
    }

    /// Registers a party.
    pub fn list(&mut self, party: HotkeyId, stake: Rao) {
        self.listed.insert(party, stake);
        self.push(self.times.start, What::Listed { party, stake });
    }

    /// A salt that nobody has to keep secret here.
    fn salt(&self, parties: &[HotkeyId]) -> Salt {
        let mut hasher = Hasher::new("dataforge/script/salt/v1");
        hasher.update(self.epoch.0.to_le_bytes());
        for party in parties {
            hasher.update(party.as_bytes());
        }
        Salt(hasher.finish())
    }

    /// Commits, so many blocks after the start, and reveals.
    pub fn submit(&mut self, miner: HotkeyId, dataset: DatasetDigest, after: u32) {
        let Some(spec) = self.rules.spec(self.epoch) else { return };
        let salt = self.salt(&[miner]);
        let commitment = submission_commitment(self.epoch, miner, spec, dataset, salt);
        let at = Block(self.times.start.0.saturating_add(after.into()));
        // The first commitment counts, if it is on time.
        let counts = at < self.times.committed && !self.committed.contains(&miner);
        if counts && !self.known.contains(&dataset) {
            self.uncompared.insert(dataset);
        }
        self.push(at, What::Committed { miner, commitment });
        self.push(self.times.committed, What::Revealed { miner, dataset, spec, salt });
    }

    /// How much of a dataset is in earlier ones.
    pub fn compare(&mut self, comparison: Comparison) {
        self.uncompared.remove(&comparison.dataset);
        self.push(self.times.committed, What::Compared(comparison));
    }

    /// The draws among those listed so far.
    ///
    /// # Errors
    /// [`SettleError`], where stakes are beyond every amount.
    pub fn lottery(&self) -> Result<Lottery, SettleError> {
        Lottery::new(self.rules.draw, self.listed.iter().map(|(key, stake)| (*key, *stake)))
    }

    /// Who is asked about a miner's submission: those drawn, and the auditors.
    #[must_use]
    pub fn asked(&self, lottery: &Lottery, miner: HotkeyId) -> [Vec<HotkeyId>; 2] {
        let validators = lottery.validators(&self.seed, miner);
        let auditors = lottery.auditors(&self.audits_seed, miner, &validators);
        [validators, auditors]
    }

    /// Commits to a score, so many blocks after the seed, and reveals it. An auditor commits as
    /// soon as it is drawn.
    pub fn score(
        &mut self,
        validator: HotkeyId,
        miner: HotkeyId,
        score: Option<Score>,
        audit: bool,
        after: u32,
    ) {
        let salt = self.salt(&[validator, miner]);
        let commitment = score_commitment(self.epoch, validator, miner, &score, salt);
        let from = if audit { self.times.scored } else { self.times.revealed };
        let at = Block(from.0.saturating_add(after.into()));
        self.push(at, What::ScoreCommitted { validator, miner, commitment });
        let reveal = What::ScoreRevealed { validator, miner, score, salt };
        self.push(self.times.audited, reveal);
    }

    /// What a replay tells.
    pub fn judge(&mut self, of: Epoch, miner: HotkeyId, score: Score) {
        self.push(self.times.score_revealed, What::Judged { of, miner, score });
    }

    /// All events, by block. A dataset that was not compared has as many rows as it should, all of
    /// them its own.
    #[must_use]
    pub fn finish(mut self) -> Vec<Event> {
        let rows = self.rules.domain(self.epoch).map_or(0, |domain| domain.rows.get());
        for dataset in std::mem::take(&mut self.uncompared) {
            self.compare(Comparison { dataset, rows, own: rows, most: None });
        }
        self.events.sort_by_key(|event| event.at);
        self.events
    }
}
