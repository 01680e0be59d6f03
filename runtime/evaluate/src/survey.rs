//! What a miner wants to know of a dataset before it is submitted: the kernels' verdict, and beside
//! it near-duplicates, text that is known, and variety.
//!
//! A dataset comes in parts and may be larger than an evaluation takes: what is kept of a row is a
//! sketch of some hundred bytes. The verdict is [`Inspector`]'s, and of an accepted dataset that
//! comes in one part the report is the one that a proof commits to. The rest is advice: no proof
//! depends on it.

use crate::bundled::CONTAMINATION;
use crate::calls::{self, in_order};
use crate::embedding::embed;
use crate::error::EvaluateError;
use crate::inspect::{Inspector, in_kernel};
use crate::rules::{Gist, known_share, line};
use crate::tally::{Tally, Told};
use crate::world::World;
use dataforge_core::dataset::{CheckReport, Row, RowFault};
use dataforge_core::limits::DATASET_BYTES_MAX;
use dataforge_core::similarity::{TWIN_LEAST, Twin};
use dataforge_core::spec::PinnedSpec;
use dataforge_core::units::{Bytes, Ppm};
use dataforge_sandbox::{
    CodeStore, ContaminationKernel, Evidence, KernelLimits, Measures, Sandbox, SandboxError,
};

/// Texts of one call.
const TEXTS_PER_CALL: usize = 1024;

/// Rows whose vectors are compared: half a minute of the engine's.
const EMBEDDED_ROWS: usize = 512;

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
    /// Whether only case, compatibility forms, punctuation, symbols and white space differ.
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
    /// The worst faults: first those of the whole, last rows that are merely too long.
    pub worst: Vec<RowFault>,
    /// How many faults there are of each kind, the most first.
    pub kinds: Vec<(&'static str, u32)>,
    /// Of each earlier dataset, its rows and those of them that could be compared.
    pub earlier: Vec<[u32; 2]>,
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

/// How far apart rows lie in meaning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dispersion {
    /// Mean cosine distance of two rows, between 0 and 2.
    pub distance: f64,
    /// Rows of the sample.
    pub sample: u32,
}

/// Surveys one dataset.
pub struct Surveyor {
    inspector: Inspector,
    known: Option<(ContaminationKernel, Vec<u8>)>,
    at_once: usize,
    tally: Tally,
    bytes: u64,
    gist: Gist,
    /// Of each sketch.
    places: Vec<Place>,
    earlier: Vec<[u32; 2]>,
    /// Entries of each list of the survey.
    listed: usize,
    known_rows: u32,
    known_most: Vec<Known>,
}

impl Surveyor {
    /// Loads the kernels of `pinned`, and with them an index of known documents, if there is one.
    /// Lists of rows will have at most `listed` entries.
    ///
    /// # Errors
    /// As [`Inspector::load`].
    pub fn load(
        world: &dyn World,
        pinned: &PinnedSpec,
        index: Option<Vec<u8>>,
        listed: usize,
    ) -> Result<Self, EvaluateError> {
        let sandbox = Sandbox::new().map_err(in_kernel(CONTAMINATION.0))?.keeping(world.code());
        let load = |index: Vec<u8>| {
            let kernel = sandbox.contamination_kernel(CONTAMINATION.1, KernelLimits::default());
            kernel.map(|kernel| (kernel, index)).map_err(in_kernel(CONTAMINATION.0))
        };
        let mut inspector = Inspector::load(world, pinned)?;
        inspector.rules = inspector.rules.with_survey(&sandbox)?;
        Ok(Self {
            inspector,
            known: index.map(load).transpose()?,
            at_once: calls::at_once(world.engine_options().threads),
            tally: Tally::new(0, listed),
            bytes: 0,
            gist: Gist::default(),
            places: vec![],
            earlier: vec![],
            listed,
            known_rows: 0,
            known_most: vec![],
        })
    }

    /// Goes on to the next of the earlier datasets, which the surveyed one should not copy.
    pub fn begin_earlier(&mut self) {
        self.earlier.push([0, 0]);
    }

    /// The next lines of an earlier dataset; rows that do not pass are passed over. To be given
    /// before [`Self::add`].
    ///
    /// # Errors
    /// As [`Inspector::inspect`].
    pub fn add_earlier(&mut self, world: &dyn World, lines: &[&[u8]]) -> Result<(), EvaluateError> {
        let earlier = (self.earlier.len() as u32).checked_sub(1);
        let mut none = [0, 0];
        let [rows_total, compared] = self.earlier.last_mut().unwrap_or(&mut none);
        let mut tally = Tally::new(0, 0);
        tally.rows = *rows_total;
        let rows = self.inspector.check(world, lines, &mut tally)?;
        *rows_total += lines.len() as u32;
        let (numbers, texts) = self.inspector.rules.columns(&rows)?;
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let sketches = self.inspector.rules.sketch(world, &numbers, &texts, &mut tally)?;
        *compared += sketches.len() as u32;
        for (sketch, row) in sketches.into_iter().zip(numbers) {
            self.gist.sketches.push(sketch);
            self.places.push(Place { earlier, row });
        }
        self.gist.earlier = self.places.len();
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
        let sketched = self.gist.sketches.len();
        let (tally, gist) = (&mut self.tally, &mut self.gist);
        self.inspector.rules.add(world, lines, before + 1, &rows, gist, tally)?;
        self.inspector.tokenise_rows(world, &rows, tally)?;
        // After a call that failed, the rows behind it are not seen, and count all the same.
        tally.rows = before + lines.len() as u32;
        let place = |(row, _): &(u32, Row)| Place { earlier: None, row: *row };
        let sketched = gist.sketches.len() - sketched;
        self.places.extend(rows.iter().map(place).take(sketched));
        self.look_up(world, &rows)
    }

    /// How far apart rows lie in meaning: the mean cosine distance of their vectors by
    /// all-MiniLM-L6-v2 ([`crate::EMBEDDING_ARTIFACTS`]), of a sample. None without rows.
    ///
    /// # Errors
    /// [`EvaluateError::World`], [`EvaluateError::Engine`] or [`EvaluateError::Kernel`].
    pub fn dispersion(&self, world: &dyn World) -> Result<Option<Dispersion>, EvaluateError> {
        let mut texts = self.gist.texts();
        texts.truncate(EMBEDDED_ROWS);
        if texts.is_empty() {
            return Ok(None);
        }
        let vectors = embed(world, self.inspector.tokenizer(), &texts)?;
        let distance = self.inspector.rules.dispersion(&vectors)?;
        Ok(distance.map(|distance| Dispersion { distance, sample: texts.len() as u32 }))
    }

    /// What was found. `file` is the size of a file that can be submitted as it is; of another, its
    /// rows as lines are counted.
    ///
    /// # Errors
    /// [`EvaluateError::Kernel`].
    pub fn finish(mut self, file: Option<Bytes>) -> Result<Survey, EvaluateError> {
        let rules = &self.inspector.rules;
        let variety = rules.judge(&self.gist, &mut self.tally)?;
        let (bytes, most) = (file.map_or(self.bytes, |file| file.0), DATASET_BYTES_MAX.0);
        if bytes > most {
            self.tally.add_first(format!("{bytes} bytes, at most {most} are taken"));
        }
        // Where the spec has a rule about copies, the same rows are listed that break it.
        let least = rules.copies_least().unwrap_or(TWIN_LEAST);
        self.tally.count(self.tally.rows, self.inspector.row_rules());
        let sample = self.gist.sampled();
        let mut alike = like(&self.places, self.gist.sketches.twins(0, least));
        let copies = alike.iter().filter(|like| like.exact).count() as u32;
        let near_copies = alike.len() as u32 - copies;
        alike.truncate(self.listed);
        let Told { report, worst, kinds } = self.tally.told();
        Ok(Survey {
            report,
            worst,
            kinds,
            earlier: self.earlier,
            copies,
            near_copies,
            alike,
            known_rows: self.known.map(|_| self.known_rows),
            known: self.known_most,
            variety,
            sample,
        })
    }

    fn look_up(&mut self, world: &dyn World, rows: &[(u32, Row)]) -> Result<(), EvaluateError> {
        let Some((kernel, index)) = &self.known else { return Ok(()) };
        let (numbers, texts) = self.inspector.rules.columns(rows)?;
        let strs: Vec<&str> = texts.iter().map(String::as_str).collect();
        let calls = calls::cut(&strs, TEXTS_PER_CALL, |text| text.len());
        let mut found: Vec<Evidence> = Vec::with_capacity(texts.len());
        let overlap = |texts: &[&str]| kernel.overlap(index, texts);
        for some in in_order(self.at_once, || world.cancelled(), calls, overlap) {
            match some?.1 {
                Ok(some) => found.extend(some.value),
                Err(SandboxError::Reported(reason)) => {
                    return Err(EvaluateError::Material { what: "the index".into(), reason });
                }
                Err(error) => return Err(in_kernel(CONTAMINATION.0)(error)),
            }
        }
        for ((row, text), evidence) in numbers.into_iter().zip(&texts).zip(found) {
            let Some(share) = known_share(&evidence) else { continue };
            self.known_rows += 1;
            let part = line(&text[evidence.part]);
            self.known_most.push(Known { row, share, part });
        }
        self.known_most.sort_by_key(|known| (std::cmp::Reverse(known.share), known.row));
        self.known_most.truncate(self.listed);
        Ok(())
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
