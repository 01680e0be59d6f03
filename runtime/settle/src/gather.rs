//! From a list of events to what each party did: the only reader of events.
//!
//! It refuses a list that cannot be true, and notes what came too late, too early, twice or did not
//! match. Invariant: events of one block are taken in the order of their contents, so the order in
//! which a list has them changes nothing.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use dataforge_core::codec;
use dataforge_core::hash::{
    Commitment, DatasetDigest, EpochSeed, Hasher, HotkeyId, LogDigest, ProofDigest,
};
use serde::{Deserialize, Serialize};

use crate::amount::AMOUNT_MAX;
use crate::event::{score_commitment, submission_commitment};
use crate::rules::{LIFT_MAX, Timetable};
use crate::{
    Block, Comparison, Epoch, Event, EventFault, Ledger, Outcome, Rao, Rules, Score, SettleError,
    What,
};

/// What a party did that does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// Who.
    pub party: HotkeyId,
    /// Of a validator: about whose submission.
    pub about: Option<HotkeyId>,
    /// In which block.
    pub at: Block,
    /// What.
    pub what: Slip,
}

/// Why something does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Slip {
    /// A commitment after the phase for it.
    CommittedLate,
    /// A score's commitment before the seed was known.
    CommittedEarly,
    /// A second commitment: the first counts.
    CommittedTwice,
    /// A reveal after the phase for it.
    RevealedLate,
    /// A score revealed while others still could copy it.
    RevealedEarly,
    /// A reveal without a commitment that counts.
    NotCommitted,
    /// A reveal of something else than was committed to.
    Mismatch,
    /// A score that nobody asked for.
    NotDrawn,
}

/// One miner's dataset.
#[derive(Clone, Copy)]
pub(crate) struct Submission {
    pub(crate) committed: Block,
    commitment: Commitment,
    pub(crate) dataset: Option<DatasetDigest>,
    pub(crate) mismatch: bool,
}

/// What a validator did about one submission.
#[derive(Clone, Default)]
pub(crate) struct Work {
    committed: Option<(Block, Commitment)>,
    /// What it revealed, each with whether it is what it committed to.
    revealed: Vec<(Option<Score>, bool)>,
    pub(crate) challenged: bool,
    /// Whether all that it showed holds.
    pub(crate) answered: Option<bool>,
}

impl Work {
    pub(crate) fn committed_at(&self) -> Option<Block> {
        self.committed.map(|(at, _)| at)
    }

    /// The score that counts.
    pub(crate) fn score(&self) -> Option<Score> {
        self.revealed.iter().find(|(_, matches)| *matches).and_then(|(score, _)| *score)
    }

    /// Whether it committed, and then showed something that is no proof, or not what it committed
    /// to.
    pub(crate) fn is_invalid(&self) -> bool {
        !self.revealed.is_empty() && self.score().is_none()
    }

    /// Whether it signed two different scores.
    pub(crate) fn is_equivocation(&self) -> bool {
        let mut scores = self.revealed.iter().filter_map(|(score, _)| *score);
        let first = scores.next();
        scores.any(|score| Some(score.proof) != first.map(|first| first.proof))
    }
}

/// Everything that happened, by party.
pub(crate) struct Gathered {
    pub(crate) log: LogDigest,
    pub(crate) times: Timetable,
    pub(crate) listed: BTreeMap<HotkeyId, Rao>,
    pub(crate) submissions: BTreeMap<HotkeyId, Submission>,
    pub(crate) comparisons: BTreeMap<DatasetDigest, Comparison>,
    pub(crate) seed: EpochSeed,
    pub(crate) audits_seed: EpochSeed,
    /// By miner, then by validator.
    pub(crate) work: BTreeMap<HotkeyId, BTreeMap<HotkeyId, Work>>,
    pub(crate) judged: BTreeMap<(Epoch, HotkeyId), Score>,
    pub(crate) notes: Vec<Note>,
}

/// Reads the events of the ledger's next epoch.
pub(crate) fn gather(
    rules: &Rules,
    ledger: &Ledger,
    events: &[Event],
) -> Result<Gathered, SettleError> {
    let times = rules.timetable(ledger.epoch).ok_or(SettleError::Internal { what: "an epoch" })?;
    let order = in_order(events)?;
    let mut reader = Reader::new(rules, ledger, times);
    let mut log = Hasher::new("dataforge/log/v1");
    let mut before: Option<&Event> = None;
    for (number, event) in order {
        let fault = |fault| SettleError::Event { number, fault };
        if before == Some(event) {
            return Err(fault(EventFault::Twice));
        }
        before = Some(event);
        reader.read(event).map_err(fault)?;
        let bytes = codec::encode(event);
        log.update((bytes.len() as u64).to_le_bytes()).update(bytes);
    }
    reader.finish(log.finish())
}

/// Events by block and then by contents, each with its place in the list, from 1.
fn in_order(events: &[Event]) -> Result<Vec<(usize, &Event)>, SettleError> {
    let mut before = Block(0);
    let mut order = Vec::with_capacity(events.len());
    for (number, event) in (1..).zip(events) {
        if event.at < before {
            let fault = EventFault::Order { at: event.at, before };
            return Err(SettleError::Event { number, fault });
        }
        before = event.at;
        order.push((number, event));
    }
    // The opening comes first and the closing last, whatever else is of their blocks.
    let rank = |what: &What| match what {
        What::Opened { .. } => 0u8,
        What::Listed { .. } => 1,
        What::Closed => 3,
        _ => 2,
    };
    order.sort_by(|(_, a), (_, b)| {
        (a.at, rank(&a.what), &a.what, a.epoch).cmp(&(b.at, rank(&b.what), &b.what, b.epoch))
    });
    Ok(order)
}

struct Reader<'a> {
    rules: &'a Rules,
    ledger: &'a Ledger,
    times: Timetable,
    opened: bool,
    closed: bool,
    seed: Option<(Block, EpochSeed)>,
    audits_seed: Option<(Block, EpochSeed)>,
    listed: BTreeMap<HotkeyId, Rao>,
    submissions: BTreeMap<HotkeyId, Submission>,
    /// The miner who committed first to each dataset that was revealed, with the block.
    datasets: BTreeMap<DatasetDigest, Block>,
    comparisons: BTreeMap<DatasetDigest, Comparison>,
    work: BTreeMap<HotkeyId, BTreeMap<HotkeyId, Work>>,
    judged: BTreeMap<(Epoch, HotkeyId), Score>,
    outcomes: BTreeMap<ProofDigest, Outcome>,
    notes: Vec<Note>,
}

type Read = Result<(), EventFault>;

impl<'a> Reader<'a> {
    fn new(rules: &'a Rules, ledger: &'a Ledger, times: Timetable) -> Self {
        Self {
            rules,
            ledger,
            times,
            opened: false,
            closed: false,
            seed: None,
            audits_seed: None,
            listed: BTreeMap::new(),
            submissions: BTreeMap::new(),
            datasets: BTreeMap::new(),
            comparisons: BTreeMap::new(),
            work: BTreeMap::new(),
            judged: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            notes: Vec::new(),
        }
    }

    fn read(&mut self, event: &Event) -> Read {
        let Event { epoch, at, what } = *event;
        if epoch != self.ledger.epoch {
            return Err(EventFault::Epoch { found: epoch, expected: self.ledger.epoch });
        }
        let Timetable { start, revealed, scored, audited, score_revealed, end, .. } = self.times;
        // What may happen in the epoch, and what only in a part of it.
        let (from, before) = match what {
            What::Opened { .. } | What::Listed { .. } => (start, Block(start.0.saturating_add(1))),
            What::Seeded { .. } => (revealed, scored),
            What::AuditsSeeded { .. } => (scored, audited),
            What::Challenged { .. } | What::Answered { .. } => (score_revealed, end),
            What::Closed => (end, Block(end.0.saturating_add(1))),
            _ => (start, end),
        };
        if at < from || at >= before {
            return Err(EventFault::Time { at, from, before });
        }
        let opening = matches!(what, What::Opened { .. });
        if self.closed || (!self.opened && !opening) {
            return Err(EventFault::Outside);
        }
        self.take(at, what)
    }

    fn take(&mut self, at: Block, what: What) -> Read {
        match what {
            What::Opened { rules, ledger } => self.open(rules, ledger),
            What::Listed { party, stake } => {
                number("a stake", stake.0.into(), 0..=AMOUNT_MAX.0.into())?;
                once(&mut self.listed, party, stake)
            }
            What::Committed { miner, commitment } => self.commit(at, miner, commitment),
            What::Revealed { miner, dataset, spec, salt } => {
                let epoch = self.ledger.epoch;
                let expected = self.rules.spec(epoch).unwrap_or(spec);
                if spec != expected {
                    return Err(EventFault::Spec { found: spec, expected });
                }
                let commitment = submission_commitment(epoch, miner, spec, dataset, salt);
                self.reveal(at, miner, dataset, commitment)
            }
            What::Compared(comparison) => self.compare(comparison),
            What::Seeded { seed } => set_once(&mut self.seed, (at, seed)),
            What::AuditsSeeded { seed } => set_once(&mut self.audits_seed, (at, seed)),
            What::ScoreCommitted { validator, miner, commitment } => {
                self.commit_score(at, validator, miner, commitment)
            }
            What::ScoreRevealed { validator, miner, score, salt } => {
                let epoch = self.ledger.epoch;
                let commitment = score_commitment(epoch, validator, miner, &score, salt);
                self.reveal_score(at, validator, miner, score, commitment)
            }
            What::Challenged { validator, miner } => {
                self.work_of(validator, miner)?.challenged = true;
                Ok(())
            }
            What::Answered { validator, miner, holds } => {
                let work = self.work_of(validator, miner)?;
                work.answered = Some(work.answered.unwrap_or(true) && holds);
                Ok(())
            }
            What::Judged { of, miner, score } => self.judge(of, miner, score),
            What::Closed => {
                self.closed = true;
                Ok(())
            }
        }
    }

    fn open(
        &mut self,
        rules: dataforge_core::hash::RulesId,
        ledger: dataforge_core::hash::LedgerDigest,
    ) -> Read {
        if self.opened {
            return Err(EventFault::Twice);
        }
        self.opened = true;
        let expected = self.rules.id();
        if rules != expected {
            return Err(EventFault::Rules { found: rules, expected });
        }
        let expected = self.ledger.digest();
        if ledger != expected {
            return Err(EventFault::Ledger { found: ledger, expected });
        }
        Ok(())
    }

    fn commit(&mut self, at: Block, miner: HotkeyId, commitment: Commitment) -> Read {
        self.known(miner)?;
        let late = at >= self.times.committed;
        let slip = match self.submissions.entry(miner) {
            _ if late => Some(Slip::CommittedLate),
            Entry::Occupied(_) => Some(Slip::CommittedTwice),
            Entry::Vacant(place) => {
                let nothing =
                    Submission { committed: at, commitment, dataset: None, mismatch: false };
                place.insert(nothing);
                None
            }
        };
        if let Some(slip) = slip {
            self.note(miner, None, at, slip);
        }
        Ok(())
    }

    fn reveal(
        &mut self,
        at: Block,
        miner: HotkeyId,
        dataset: DatasetDigest,
        commitment: Commitment,
    ) -> Read {
        self.known(miner)?;
        let slip = match self.submissions.get_mut(&miner) {
            None => Some(Slip::NotCommitted),
            Some(_) if at >= self.times.revealed => Some(Slip::RevealedLate),
            Some(submission) if submission.commitment != commitment => {
                submission.mismatch = true;
                Some(Slip::Mismatch)
            }
            Some(submission) => {
                submission.dataset = Some(dataset);
                let first = self.datasets.entry(dataset).or_insert(submission.committed);
                *first = submission.committed.min(*first);
                None
            }
        };
        if let Some(slip) = slip {
            self.note(miner, None, at, slip);
        }
        Ok(())
    }

    fn compare(&mut self, comparison: Comparison) -> Read {
        let Comparison { dataset, rows, own, most } = comparison;
        let Some(committed) = self.datasets.get(&dataset).copied() else {
            return Err(EventFault::UnknownDataset { dataset });
        };
        number("rows of its own", own.into(), 0..=rows.into())?;
        if let Some(most) = most {
            number("rows in common", most.rows.into(), 1..=i128::from(rows.saturating_sub(own)))?;
            let with = most.with;
            let earlier = match self.datasets.get(&with) {
                Some(other) => with != dataset && *other <= committed,
                None => self.ledger.datasets.contains_key(&with),
            };
            if !earlier {
                return Err(EventFault::NotEarlier { dataset, with });
            }
        }
        once(&mut self.comparisons, dataset, comparison)
    }

    fn commit_score(
        &mut self,
        at: Block,
        validator: HotkeyId,
        miner: HotkeyId,
        commitment: Commitment,
    ) -> Read {
        let known = self.seed.is_some_and(|(seeded, _)| seeded <= at);
        let late = at >= self.times.audited;
        let work = self.work_of(validator, miner)?;
        let slip = match work.committed {
            _ if late => Some(Slip::CommittedLate),
            _ if !known => Some(Slip::CommittedEarly),
            Some(_) => Some(Slip::CommittedTwice),
            None => {
                work.committed = Some((at, commitment));
                None
            }
        };
        if let Some(slip) = slip {
            self.note(validator, Some(miner), at, slip);
        }
        Ok(())
    }

    fn reveal_score(
        &mut self,
        at: Block,
        validator: HotkeyId,
        miner: HotkeyId,
        score: Option<Score>,
        commitment: Commitment,
    ) -> Read {
        if let Some(score) = score {
            self.check_score(score)?;
        }
        let Timetable { audited, score_revealed, .. } = self.times;
        let work = self.work_of(validator, miner)?;
        let slip = match work.committed {
            None => Some(Slip::NotCommitted),
            Some(_) if at < audited => Some(Slip::RevealedEarly),
            Some(_) if at >= score_revealed => Some(Slip::RevealedLate),
            Some((_, promised)) => {
                // Kept though it does not match: two signed scores are two signed scores.
                let matches = promised == commitment;
                work.revealed.push((score, matches));
                (!matches).then_some(Slip::Mismatch)
            }
        };
        if let Some(slip) = slip {
            self.note(validator, Some(miner), at, slip);
        }
        Ok(())
    }

    fn judge(&mut self, of: Epoch, miner: HotkeyId, score: Score) -> Read {
        self.check_score(score)?;
        let here = of == self.ledger.epoch && self.submissions.contains_key(&miner);
        let held = || self.ledger.held.iter().any(|held| held.epoch == of && held.miner == miner);
        if !here && !held() {
            return Err(EventFault::NothingToJudge { miner });
        }
        once(&mut self.judged, (of, miner), score)
    }

    fn check_score(&mut self, score: Score) -> Read {
        if let Outcome::Scored(lift) = score.outcome {
            let most = i128::from(LIFT_MAX.0);
            let least = i128::from(LIFT_MAX.0.saturating_neg());
            for (what, value) in
                [("a lift", lift.all), ("a hidden lift", lift.hidden), ("a bound", lift.bound)]
            {
                number(what, value.0.into(), least..=most)?;
            }
            number("a bound", lift.bound.0.into(), least..=lift.all.0.into())?;
        }
        let first = self.outcomes.entry(score.proof).or_insert(score.outcome);
        match *first == score.outcome {
            true => Ok(()),
            false => Err(EventFault::Contradiction { proof: score.proof }),
        }
    }

    fn known(&self, party: HotkeyId) -> Read {
        match self.listed.contains_key(&party) {
            true => Ok(()),
            false => Err(EventFault::Stranger { party }),
        }
    }

    fn work_of(&mut self, validator: HotkeyId, miner: HotkeyId) -> Result<&mut Work, EventFault> {
        self.known(validator)?;
        self.known(miner)?;
        if self.listed.get(&validator) == Some(&Rao(0)) {
            return Err(EventFault::NoStake { party: validator });
        }
        Ok(self.work.entry(miner).or_default().entry(validator).or_default())
    }

    fn note(&mut self, party: HotkeyId, about: Option<HotkeyId>, at: Block, what: Slip) {
        self.notes.push(Note { party, about, at, what });
    }

    fn finish(self, log: LogDigest) -> Result<Gathered, SettleError> {
        let cut = |what| SettleError::CutShort { what };
        if !self.opened {
            return Err(cut("opened"));
        }
        let (_, seed) = self.seed.ok_or(cut("seeded"))?;
        let (_, audits_seed) = self.audits_seed.ok_or(cut("audits_seeded"))?;
        if !self.closed {
            return Err(cut("closed"));
        }
        // One that was there in an earlier epoch is a copy without it.
        let compared = |dataset: &DatasetDigest| {
            self.comparisons.contains_key(dataset) || self.ledger.datasets.contains_key(dataset)
        };
        if let Some(dataset) = self.datasets.keys().copied().find(|dataset| !compared(dataset)) {
            return Err(SettleError::NotCompared { dataset });
        }
        Ok(Gathered {
            log,
            times: self.times,
            listed: self.listed,
            submissions: self.submissions,
            comparisons: self.comparisons,
            seed,
            audits_seed,
            work: self.work,
            judged: self.judged,
            notes: self.notes,
        })
    }
}

fn once<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: V) -> Read {
    match map.insert(key, value) {
        None => Ok(()),
        Some(_) => Err(EventFault::Twice),
    }
}

fn set_once<T>(slot: &mut Option<T>, value: T) -> Read {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(EventFault::Twice),
    }
}

fn number(what: &'static str, number: i128, range: std::ops::RangeInclusive<i128>) -> Read {
    match range.contains(&number) {
        true => Ok(()),
        false => Err(EventFault::Number { what, number }),
    }
}
