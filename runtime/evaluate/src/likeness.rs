//! Which rows of several datasets are alike: what submissions are compared by.
//!
//! Where the spec has a rule about copies, its similarity kernel and threshold say so; else rows
//! are alike that only trivial edits tell apart. Everything is computed by pinned kernels and
//! integers, so that everybody finds the same.

use crate::error::EvaluateError;
use crate::inspect::Inspector;
use crate::tally::Tally;
use crate::world::World;
use dataforge_core::dataset::RawSubmission;
use dataforge_core::hash::{DatasetDigest, RowFingerprint};
use dataforge_core::similarity::Sketches;
use dataforge_core::spec::PinnedSpec;
use std::collections::BTreeMap;

/// Finds rows alike, over datasets in the order in which they are given.
pub struct Likeness {
    inspector: Inspector,
    sketches: Sketches,
    fingerprints: Vec<RowFingerprint>,
    /// Of each dataset, and the rows of it that are compared.
    datasets: Vec<(DatasetDigest, usize)>,
}

/// One dataset's rows: what is alike has the same number, in all datasets of one [`Likeness`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alike {
    /// The dataset.
    pub dataset: DatasetDigest,
    /// Of each row that passes the schema kernel, the first row of those alike, counted over all
    /// datasets: the earlier row that it is most like, or that one's.
    pub rows: Vec<u32>,
}

impl Likeness {
    /// Loads the spec's kernels.
    ///
    /// # Errors
    /// As [`Inspector::load`].
    pub fn load(world: &dyn World, pinned: &PinnedSpec) -> Result<Self, EvaluateError> {
        Ok(Self {
            inspector: Inspector::load(world, pinned)?,
            sketches: Sketches::default(),
            fingerprints: vec![],
            datasets: vec![],
        })
    }

    /// Adds the bytes of the next dataset, by which later ones will be compared too. Rows that do
    /// not pass the schema kernel are left out: such a dataset is rejected.
    ///
    /// # Errors
    /// As [`Inspector::inspect`].
    pub fn add(&mut self, world: &dyn World, bytes: &[u8]) -> Result<(), EvaluateError> {
        let raw = RawSubmission::split(bytes)?;
        let mut tally = Tally::new(raw.lines().len() as u32, 0);
        let rows = self.inspector.check(world, raw.lines(), &mut tally)?;
        let rules = &self.inspector.rules;
        let count = if rules.copies_least().is_some() {
            let (numbers, texts) = rules.columns(&rows)?;
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let sketches = rules.sketch(world, &numbers, &texts, &mut tally)?;
            let count = sketches.len();
            sketches.into_iter().for_each(|sketch| self.sketches.push(sketch));
            count
        } else {
            self.fingerprints.extend(rules.fingerprints(&rows)?);
            rows.len()
        };
        self.datasets.push((raw.digest(), count));
        Ok(())
    }

    /// What is alike among all rows.
    #[must_use]
    pub fn finish(self) -> Vec<Alike> {
        let firsts = match self.inspector.rules.copies_least() {
            Some(least) => {
                let mut firsts: Vec<u32> = vec![];
                for (own, twin) in (0..).zip(self.sketches.twins(0, least)) {
                    // The twin of a twin: a copy's first is that of what it was copied from.
                    let of = twin.and_then(|twin| firsts.get(twin.of as usize).copied());
                    firsts.push(of.unwrap_or(own));
                }
                firsts
            }
            None => {
                let mut first = BTreeMap::new();
                let of = |(own, print)| *first.entry(print).or_insert(own);
                (0..).zip(self.fingerprints).map(of).collect()
            }
        };
        let mut firsts = firsts.into_iter();
        let alike =
            |(dataset, count)| Alike { dataset, rows: firsts.by_ref().take(count).collect() };
        self.datasets.into_iter().map(alike).collect()
    }
}
