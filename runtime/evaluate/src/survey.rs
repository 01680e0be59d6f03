//! What a miner wants to know of a dataset before it is submitted: the kernels' verdict, and beside
//! it near-duplicates, text that is known, and variety.
//!
//! A dataset comes in parts and may be larger than an evaluation takes: what is kept of a row is a
//! sketch of some hundred bytes. The verdict is [`Inspector`]'s, and of an accepted dataset that
//! comes in one part the report is the one that a proof commits to. The rest is advice: no proof
//! depends on it.

use crate::bundled::{CONTAMINATION, DIVERSITY, SIMILARITY};
use crate::calls::{self, in_order};
use crate::error::EvaluateError;
use crate::inspect::{Inspector, in_kernel};
use crate::tally::Tally;
use crate::world::World;
use dataforge_core::dataset::{CheckReport, Row};
use dataforge_core::limits::{DATASET_BYTES_MAX, REPORTED_FAULTS_MAX};
use dataforge_core::similarity::{Sketch, Sketches, TWIN_LEAST, Twin};
use dataforge_core::spec::PinnedSpec;
use dataforge_core::units::Ppm;
use dataforge_sandbox::{
    CodeStore, ContaminationKernel, DiversityKernel, Evidence, KernelLimits, Measures, Sandbox,
    SandboxError, SimilarityKernel,
};
use std::collections::BTreeMap;

/// Texts of one call.
const TEXTS_PER_CALL: usize = 1024;

/// Rows whose variety is measured: enough for three digits, few enough for one call.
const SAMPLE_ROWS: usize = 2_000;

/// Bytes that a row of the sample is cut to.
const SAMPLE_BYTES: usize = 2_048;

/// Where a row stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Which of the earlier datasets, from 0; none for the one surveyed.
    pub earlier: Option<u32>,
    /// Row number from 1.
    pub row: u32,
}

/// A row that is nearly the same as an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Like {
    /// Row number from 1.
    pub row: u32,
    /// The earlier row.
    pub of: Place,
    /// How near.
    pub similarity: Ppm,
    /// Whether only case, compatibility forms, punctuation and white space differ.
    pub exact: bool,
}

/// A row of which parts stand in known documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Row number from 1.
    pub row: u32,
    /// Share of its n-grams that are known.
    pub share: Ppm,
    /// Its longest known part, cut to a line.
    pub part: String,
}

/// What there is to say of a dataset.
#[derive(Debug, Clone)]
pub struct Survey {
    /// The verdict and the first faults.
    pub report: CheckReport,
    /// Rows that only trivial edits tell from an earlier one.
    pub copies: u32,
    /// Other rows that are nearly the same as an earlier one.
    pub near_copies: u32,
    /// The first of both, most alike first.
    pub alike: Vec<Like>,
    /// Rows with known n-grams; none when nothing is known.
    pub known_rows: Option<u32>,
    /// The first of them, largest share first.
    pub known: Vec<Known>,
    /// How varied a sample of the rows is; none of a dataset without rows that pass.
    pub variety: Option<Measures>,
    /// Rows of the sample.
    pub sample: u32,
}

/// Surveys one dataset.
pub struct Surveyor {
    inspector: Inspector,
    similarity: SimilarityKernel,
    diversity: DiversityKernel,
    known: Option<(ContaminationKernel, Vec<u8>)>,
    at_once: usize,
    tally: Tally,
    bytes: u64,
    sketches: Sketches,
    /// Of each sketch.
    places: Vec<Place>,
    /// Which earlier dataset is at hand, and what was found in it.
    earlier: Option<u32>,
    earlier_rows: Tally,
    /// Texts by the digests of their sketches: the least make a sample that the order of rows does
    /// not change.
    sample: BTreeMap<([u8; 32], u32), String>,
    known_rows: u32,
    known_most: Vec<Known>,
}

impl Surveyor {
    /// Loads the kernels of `pinned`, and with them an index of known documents, if there is one.
    ///
    /// # Errors
    /// As [`Inspector::load`].
    pub fn load(
        world: &dyn World,
        pinned: &PinnedSpec,
        index: Option<Vec<u8>>,
    ) -> Result<Self, EvaluateError> {
        let limits = KernelLimits::default();
        let sandbox = Sandbox::new().map_err(in_kernel(SIMILARITY.0))?.keeping(world.code());
        let load = |index: Vec<u8>| {
            let kernel = sandbox.contamination_kernel(CONTAMINATION.1, limits);
            kernel.map(|kernel| (kernel, index)).map_err(in_kernel(CONTAMINATION.0))
        };
        Ok(Self {
            inspector: Inspector::load(world, pinned)?,
            similarity: sandbox
                .similarity_kernel(SIMILARITY.1, limits)
                .map_err(in_kernel(SIMILARITY.0))?,
            diversity: sandbox
                .diversity_kernel(DIVERSITY.1, limits)
                .map_err(in_kernel(DIVERSITY.0))?,
            known: index.map(load).transpose()?,
            at_once: calls::at_once(world.engine_options().threads),
            tally: Tally::default(),
            bytes: 0,
            sketches: Sketches::default(),
            places: vec![],
            earlier: None,
            earlier_rows: Tally::default(),
            sample: BTreeMap::new(),
            known_rows: 0,
            known_most: vec![],
        })
    }

    /// Goes on to the next of the earlier datasets, which the surveyed one should not copy.
    pub fn begin_earlier(&mut self) {
        self.earlier = Some(self.earlier.map_or(0, |earlier| earlier + 1));
        self.earlier_rows = Tally::default();
    }

    /// The next lines of an earlier dataset; rows that do not pass are passed over. To be given
    /// before [`Self::add`].
    ///
    /// # Errors
    /// As [`Inspector::inspect`].
    pub fn add_earlier(&mut self, world: &dyn World, lines: &[&[u8]]) -> Result<(), EvaluateError> {
        let before = self.earlier_rows.rows;
        let rows = self.inspector.check(world, lines, &mut self.earlier_rows)?;
        self.earlier_rows.rows = before + lines.len() as u32;
        let texts: Vec<String> = rows.iter().map(|(_, row)| text(row)).collect();
        for (sketch, (row, _)) in self.sketch(&texts)?.into_iter().zip(rows) {
            self.sketches.push(sketch);
            self.places.push(Place { earlier: self.earlier, row });
        }
        Ok(())
    }

    /// The next lines of the dataset, of which about `expected` rows are to come in all.
    ///
    /// # Errors
    /// As [`Inspector::inspect`].
    pub fn add(
        &mut self,
        world: &dyn World,
        lines: &[&[u8]],
        expected: u32,
    ) -> Result<(), EvaluateError> {
        let before = self.tally.rows;
        self.tally.expected = expected;
        self.bytes += lines.iter().map(|line| line.len() as u64 + 1).sum::<u64>();
        let rows = self.inspector.check(world, lines, &mut self.tally)?;
        self.inspector.tokenise_rows(&rows, &mut self.tally)?;
        // After a call that failed, the rows behind it are not seen, and count all the same.
        self.tally.rows = before + lines.len() as u32;
        let texts: Vec<String> = rows.iter().map(|(_, row)| text(row)).collect();
        self.look_up(&rows, &texts)?;
        for ((sketch, (row, _)), text) in self.sketch(&texts)?.into_iter().zip(rows).zip(texts) {
            self.sample.insert((sketch.digest, row), text);
            if self.sample.len() > SAMPLE_ROWS {
                self.sample.pop_last();
            }
            self.sketches.push(sketch);
            self.places.push(Place { earlier: None, row });
        }
        Ok(())
    }

    /// What was found.
    ///
    /// # Errors
    /// [`EvaluateError::Kernel`].
    pub fn finish(mut self) -> Result<Survey, EvaluateError> {
        let variety = self.variety()?;
        if self.bytes > DATASET_BYTES_MAX.0 + 1 {
            let most = DATASET_BYTES_MAX.0;
            self.tally.add_first(format!("{} bytes, at most {most} are taken", self.bytes));
        }
        self.tally.count(self.tally.rows, self.inspector.row_rules());
        let mut alike = like(&self.places, self.sketches.twins(TWIN_LEAST));
        let copies = alike.iter().filter(|like| like.exact).count() as u32;
        let near_copies = alike.len() as u32 - copies;
        alike.truncate(REPORTED_FAULTS_MAX);
        Ok(Survey {
            report: self.tally.report(),
            copies,
            near_copies,
            alike,
            known_rows: self.known.map(|_| self.known_rows),
            known: self.known_most,
            variety,
            sample: self.sample.len() as u32,
        })
    }

    fn sketch(&self, texts: &[String]) -> Result<Vec<Sketch>, EvaluateError> {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let calls = calls::cut(&texts, TEXTS_PER_CALL, |text| text.len());
        let make = |texts: &[&str]| self.similarity.sketch(texts);
        let mut sketches = Vec::with_capacity(texts.len());
        for (_, made) in in_order(self.at_once, calls, make) {
            sketches.extend(made.map_err(in_kernel(SIMILARITY.0))?.value);
        }
        Ok(sketches)
    }

    fn look_up(&mut self, rows: &[(u32, Row)], texts: &[String]) -> Result<(), EvaluateError> {
        let Some((kernel, index)) = &self.known else { return Ok(()) };
        let strs: Vec<&str> = texts.iter().map(String::as_str).collect();
        let calls = calls::cut(&strs, TEXTS_PER_CALL, |text| text.len());
        let mut found: Vec<Evidence> = Vec::with_capacity(texts.len());
        for (_, some) in in_order(self.at_once, calls, |texts| kernel.overlap(index, texts)) {
            match some {
                Ok(some) => found.extend(some.value),
                Err(SandboxError::Reported(reason)) => {
                    return Err(EvaluateError::Material { what: "the index".into(), reason });
                }
                Err(error) => return Err(in_kernel(CONTAMINATION.0)(error)),
            }
        }
        for (((row, _), text), evidence) in rows.iter().zip(texts).zip(found) {
            let Some(share) = share(&evidence) else { continue };
            self.known_rows += 1;
            let part = line(&text[evidence.part]);
            self.known_most.push(Known { row: *row, share, part });
        }
        self.known_most.sort_by_key(|known| (std::cmp::Reverse(known.share), known.row));
        self.known_most.truncate(REPORTED_FAULTS_MAX);
        Ok(())
    }

    fn variety(&self) -> Result<Option<Measures>, EvaluateError> {
        let cut = |text: &'_ String| text.floor_char_boundary(SAMPLE_BYTES);
        let texts: Vec<&str> = self.sample.values().map(|text| &text[..cut(text)]).collect();
        if texts.is_empty() {
            return Ok(None);
        }
        let measured = self.diversity.measure(&texts).map_err(in_kernel(DIVERSITY.0))?;
        Ok(Some(measured.value))
    }
}

/// Makes an index of the runs of `n` words of documents, for [`Surveyor::load`].
///
/// # Errors
/// [`EvaluateError::Kernel`]; the kernel reports an `n` outside 2 to 64.
pub fn index(
    code: Option<&dyn CodeStore>,
    n: u32,
    documents: &[&str],
) -> Result<Vec<u8>, EvaluateError> {
    let sandbox = Sandbox::new().map_err(in_kernel(CONTAMINATION.0))?.keeping(code);
    let kernel = sandbox.contamination_kernel(CONTAMINATION.1, KernelLimits::default());
    let made = kernel.and_then(|kernel| kernel.index(n, documents));
    Ok(made.map_err(in_kernel(CONTAMINATION.0))?.value)
}

/// What of a row is compared.
fn text(row: &Row) -> String {
    format!("{}\n{}", row.input, row.output)
}

/// Share of a text's n-grams that are known, if there are any.
fn share(evidence: &Evidence) -> Option<Ppm> {
    let found = u64::from(evidence.found) * 1_000_000;
    let share = found.checked_div(u64::from(evidence.ngrams))?;
    (evidence.found > 0).then_some(Ppm(share as u32))
}

/// Beginning of a text, in one line.
fn line(text: &str) -> String {
    const CHARACTERS: usize = 80;
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut line: String = plain.take(CHARACTERS).collect();
    if text.chars().nth(CHARACTERS).is_some() {
        line.push('…');
    }
    line
}

/// Twins of the rows surveyed, most alike first.
fn like(places: &[Place], twins: Vec<Option<Twin>>) -> Vec<Like> {
    let mut alike: Vec<Like> = places
        .iter()
        .zip(twins)
        .filter(|(place, _)| place.earlier.is_none())
        .filter_map(|(place, twin)| {
            let Twin { of, similarity, exact } = twin?;
            Some(Like { row: place.row, of: places[of as usize], similarity, exact })
        })
        .collect();
    alike.sort_by_key(|like| (std::cmp::Reverse((like.exact, like.similarity)), like.row));
    alike
}
