//! The rules of a spec that are about what rows say: copies, known text, variety, and a checker
//! that the spec brings.
//!
//! The schema kernel has read the rows before, so everything here takes texts. What breaks a rule
//! becomes a fault in the tally. A survey measures the same with kernels that are part of this
//! program where the spec names none; no fault and no fuel comes of that.

use crate::bundled::{Bundled, DIVERSITY, SIMILARITY};
use crate::calls::{self, in_order};
use crate::error::EvaluateError;
use crate::inspect::{blame, in_kernel, read};
use crate::tally::{FaultKind, Tally};
use crate::world::{Pinned, World};
use dataforge_core::dataset::Row;
use dataforge_core::hash::RowFingerprint;
use dataforge_core::limits::VARIETY_ROWS_MAX;
use dataforge_core::similarity::{Sketch, Sketches};
use dataforge_core::spec::{Checks, KnownRule, PinnedSpec, Shape, VarietyRule};
use dataforge_core::units::Ppm;
use dataforge_sandbox::{
    Answer, CheckerCommand, ContaminationKernel, DiversityKernel, Evidence, KernelLimits, Measures,
    Sandbox, SandboxError, SimilarityKernel,
};
use serde::Deserialize;
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Texts of one call that no spec speaks of.
const TEXTS_PER_CALL: usize = 1024;

/// Bytes that a row of the sample is cut to.
const SAMPLE_BYTES: usize = 2_048;

/// A kernel by its name.
struct Named<K> {
    name: String,
    kernel: K,
    /// Texts of a call, and whether the spec asks for it: its fuel and its failures count.
    per_call: usize,
    counts: bool,
}

/// The kernels that measure what the rules bound.
pub(crate) struct Rules {
    checks: Option<Checks>,
    /// The schema kernel's name, where it writes messages as JSON.
    dialogues_by: Option<String>,
    similarity: Option<Named<SimilarityKernel>>,
    known: Option<(Named<ContaminationKernel>, Vec<u8>)>,
    diversity: Option<Named<DiversityKernel>>,
    checker: Option<Named<CheckerCommand>>,
    at_once: usize,
}

/// What is kept of a dataset's rows until all are there.
#[derive(Default)]
pub(crate) struct Gist {
    /// Of every row that passed, behind those of datasets that were there before.
    pub(crate) sketches: Sketches,
    /// How many of them are of datasets that were there before.
    pub(crate) earlier: usize,
    /// Texts of the rows with the least fingerprints, each cut to [`SAMPLE_BYTES`]: a sample that
    /// the rows' order does not change.
    sample: BTreeMap<(RowFingerprint, u32), String>,
}

impl Gist {
    /// Rows of the sample.
    pub(crate) fn sampled(&self) -> u32 {
        self.sample.len() as u32
    }

    /// The sample's texts.
    pub(crate) fn texts(&self) -> Vec<&str> {
        self.sample.values().map(String::as_str).collect()
    }
}

impl Rules {
    /// Loads what the spec names and checks it against the lock.
    ///
    /// # Errors
    /// As [`crate::Inspector::load`].
    pub(crate) fn load(
        world: &dyn World,
        pinned: &PinnedSpec,
        sandbox: &Sandbox<'_>,
        limits: KernelLimits,
    ) -> Result<Self, EvaluateError> {
        let (spec, lock) = (pinned.spec(), pinned.lock());
        let kernel = |name: &str| read(world, Pinned::Kernel(name), &lock.kernels);
        let per_call = spec.limits.rows_per_call.get() as usize;
        let checks = spec.checks.as_ref();
        let mut rules = Self {
            checks: checks.cloned(),
            dialogues_by: matches!(spec.shape(), Shape::Dialogue { .. })
                .then(|| spec.kernels.schema.clone()),
            similarity: None,
            known: None,
            diversity: None,
            checker: None,
            at_once: calls::at_once(world.engine_options().threads),
        };
        if let Some(rule) = checks.and_then(|checks| checks.copies.as_ref()) {
            let loaded = sandbox.similarity_kernel(&kernel(&rule.kernel)?, limits);
            rules.similarity = Some(named(&rule.kernel, loaded, per_call, true)?);
        }
        if let Some(rule) = checks.and_then(|checks| checks.known.as_ref()) {
            let loaded = sandbox.contamination_kernel(&kernel(&rule.kernel)?, limits);
            let index = read(world, Pinned::File(&rule.index), &lock.files)?;
            rules.known = Some((named(&rule.kernel, loaded, per_call, true)?, index));
        }
        if let Some(rule) = checks.and_then(|checks| checks.variety.as_ref()) {
            let loaded = sandbox.diversity_kernel(&kernel(&rule.kernel)?, limits);
            rules.diversity = Some(named(&rule.kernel, loaded, per_call, true)?);
        }
        if let Some(name) = checks.and_then(|checks| checks.checker.as_ref()) {
            let loaded = sandbox.checker_command(&kernel(name)?, limits);
            rules.checker = Some(named(name, loaded, per_call, true)?);
        }
        Ok(rules)
    }

    /// Has similarity and variety measured even where the spec does not ask for it.
    ///
    /// # Errors
    /// [`EvaluateError::Kernel`].
    pub(crate) fn with_survey(mut self, sandbox: &Sandbox<'_>) -> Result<Self, EvaluateError> {
        let limits = KernelLimits::default();
        let bundled = |(name, wasm): Bundled| (name, wasm, TEXTS_PER_CALL);
        if self.similarity.is_none() {
            let (name, wasm, per_call) = bundled(SIMILARITY);
            let loaded = sandbox.similarity_kernel(wasm, limits);
            self.similarity = Some(named(name, loaded, per_call, false)?);
        }
        if self.diversity.is_none() {
            let (name, wasm, per_call) = bundled(DIVERSITY);
            let loaded = sandbox.diversity_kernel(wasm, limits);
            self.diversity = Some(named(name, loaded, per_call, false)?);
        }
        Ok(self)
    }

    /// Takes the next rows that passed the schema kernel, whose lines begin with row `first`.
    ///
    /// # Errors
    /// [`EvaluateError::Kernel`] when a kernel fails through no fault of the rows.
    pub(crate) fn add(
        &self,
        world: &dyn World,
        lines: &[&[u8]],
        first: u32,
        rows: &[(u32, Row)],
        gist: &mut Gist,
        tally: &mut Tally,
    ) -> Result<(), EvaluateError> {
        let (numbers, texts) = self.columns(rows)?;
        let strs: Vec<&str> = texts.iter().map(String::as_str).collect();
        let known = self.refuse_known(world, &numbers, &strs, tally)?;
        for sketch in self.sketch(world, &numbers, &strs, tally)? {
            gist.sketches.push(sketch);
        }
        if let Some(checker) = &self.checker {
            let numbers: Vec<u32> =
                numbers.into_iter().filter(|row| !known.contains(row)).collect();
            let line = |row: &u32| lines.get((row - first) as usize).copied();
            let lines: Vec<&[u8]> = numbers.iter().filter_map(line).collect();
            let check = |rows: &[&[u8]]| checker.kernel.check(rows);
            let found = self.ask(world, checker, &numbers, &lines, tally, check)?;
            for (row, fault) in numbers.iter().zip(found) {
                if let Some(fault) = fault {
                    tally.add(FaultKind::Checker, *row, &fault.pointer, fault.reason);
                }
            }
        }
        if self.diversity.is_some() {
            for ((number, row), mut text) in rows.iter().zip(texts) {
                text.truncate(text.floor_char_boundary(SAMPLE_BYTES));
                text.shrink_to_fit();
                gist.sample.insert((self.said(row)?.fingerprint(), *number), text);
                if gist.sample.len() > VARIETY_ROWS_MAX as usize {
                    gist.sample.pop_last();
                }
            }
        }
        Ok(())
    }

    /// Numbers of rows, and what of each is compared.
    pub(crate) fn columns(
        &self,
        rows: &[(u32, Row)],
    ) -> Result<(Vec<u32>, Vec<String>), EvaluateError> {
        let text = |row: &Row| self.said(row).map(|row| format!("{}\n{}", row.input, row.output));
        let texts: Result<_, _> = rows.iter().map(|(_, row)| text(row)).collect();
        Ok((rows.iter().map(|(number, _)| *number).collect(), texts?))
    }

    /// One digest per row that trivial edits do not change.
    pub(crate) fn fingerprints(
        &self,
        rows: &[(u32, Row)],
    ) -> Result<Vec<RowFingerprint>, EvaluateError> {
        rows.iter().map(|(_, row)| Ok(self.said(row)?.fingerprint())).collect()
    }

    /// A row with what its messages say, one after the other, instead of the JSON that they are
    /// written in: neither roles nor escapes are what a miner says.
    fn said<'r>(&self, row: &'r Row) -> Result<Cow<'r, Row>, EvaluateError> {
        #[derive(Deserialize)]
        struct Message {
            content: String,
        }
        let Some(kernel) = &self.dialogues_by else { return Ok(Cow::Borrowed(row)) };
        let messages: Vec<Message> = serde_json::from_str(&row.input).map_err(|error| {
            let answer = format!("its messages are none: {error}");
            in_kernel(kernel)(SandboxError::InvalidAnswer(answer))
        })?;
        let contents: Vec<String> = messages.into_iter().map(|message| message.content).collect();
        Ok(Cow::Owned(Row { input: contents.join("\n"), output: row.output.clone() }))
    }

    /// From which similarity on rows are copies, if the spec says so.
    pub(crate) fn copies_least(&self) -> Option<Ppm> {
        Some(self.checks.as_ref()?.copies.as_ref()?.similarity_min_ppm)
    }

    /// Sketches texts of these rows; none if nothing asks for it.
    pub(crate) fn sketch(
        &self,
        world: &dyn World,
        rows: &[u32],
        texts: &[&str],
        tally: &mut Tally,
    ) -> Result<Vec<Sketch>, EvaluateError> {
        let Some(named) = &self.similarity else { return Ok(vec![]) };
        self.ask(world, named, rows, texts, tally, |texts| named.kernel.sketch(texts))
    }

    /// Faults of the rows that say what the spec's index knows; gives their numbers.
    fn refuse_known(
        &self,
        world: &dyn World,
        rows: &[u32],
        texts: &[&str],
        tally: &mut Tally,
    ) -> Result<BTreeSet<u32>, EvaluateError> {
        let (Some((named, index)), Some(rule)) = (&self.known, self.known_rule()) else {
            return Ok(BTreeSet::new());
        };
        let overlap = |texts: &[&str]| named.kernel.overlap(index, texts);
        let found = self.ask(world, named, rows, texts, tally, overlap)?;
        let mut refused = BTreeSet::new();
        for ((row, text), evidence) in rows.iter().zip(texts).zip(found) {
            if let Some(share) = known_share(&evidence)
                && share > rule.share_max_ppm
            {
                let (found, most) = (percent(share), percent(rule.share_max_ppm));
                let part = line(&text[evidence.part]);
                let reason =
                    format!("{found} of it is known text, at most {most} may be: {part:?}");
                tally.add(FaultKind::Known(Reverse(share)), *row, "", reason);
                refused.insert(*row);
            }
        }
        Ok(refused)
    }

    fn known_rule(&self) -> Option<&KnownRule> {
        self.checks.as_ref()?.known.as_ref()
    }

    /// Faults of the dataset as a whole, when all its rows were added. Gives what was measured of
    /// its variety, if that was.
    ///
    /// # Errors
    /// [`EvaluateError::Kernel`] when a kernel fails through no fault of the rows.
    pub(crate) fn judge(
        &self,
        gist: &Gist,
        tally: &mut Tally,
    ) -> Result<Option<Measures>, EvaluateError> {
        if let Some(rule) = self.checks.as_ref().and_then(|checks| checks.copies.as_ref()) {
            let twins = gist.sketches.twins(gist.earlier, rule.similarity_min_ppm);
            let (rows, copies) = (twins.len(), twins.into_iter().flatten().count());
            let share =
                Ppm((copies as u64 * 1_000_000).checked_div(rows as u64).unwrap_or(0) as u32);
            if share > rule.share_max_ppm {
                let (found, most) = (percent(share), percent(rule.share_max_ppm));
                tally.add_first(format!(
                    "{copies} rows say what earlier ones said, {found} of all, at most {most} may"
                ));
            }
        }
        let measures = self.variety(gist, tally)?;
        if let (Some(rule), Some(measures)) =
            (self.checks.as_ref().and_then(|checks| checks.variety.as_ref()), &measures)
        {
            for reason in uniform(rule, measures) {
                tally.add_first(reason);
            }
        }
        Ok(measures)
    }

    /// Mean cosine distance of vectors, by the diversity kernel, if there is one.
    ///
    /// # Errors
    /// [`EvaluateError::Kernel`].
    pub(crate) fn dispersion(&self, vectors: &[Vec<f32>]) -> Result<Option<f64>, EvaluateError> {
        let Some(named) = &self.diversity else { return Ok(None) };
        let vectors: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
        let measured = named.kernel.dispersion(&vectors).map_err(in_kernel(&named.name))?;
        Ok(Some(measured.value))
    }

    fn variety(&self, gist: &Gist, tally: &mut Tally) -> Result<Option<Measures>, EvaluateError> {
        let (Some(named), texts) = (&self.diversity, gist.texts()) else { return Ok(None) };
        if texts.is_empty() {
            return Ok(None);
        }
        match named.sort(named.kernel.measure(&texts))? {
            Ok(Answer { value, fuel }) => {
                named.count(fuel, tally);
                Ok(Some(value))
            }
            Err(reason) => {
                tally.add(FaultKind::Dataset, 0, "", reason);
                Ok(None)
            }
        }
    }

    /// Asks a kernel about items of these rows, in calls. After a call that the rows made fail
    /// there are no answers, and the tally says so.
    fn ask<K: Sync, I: AsRef<[u8]> + Copy + Sync + Send, A: Send>(
        &self,
        world: &dyn World,
        named: &Named<K>,
        rows: &[u32],
        items: &[I],
        tally: &mut Tally,
        call: impl Fn(&[I]) -> Result<Answer<Vec<A>>, SandboxError> + Sync,
    ) -> Result<Vec<A>, EvaluateError> {
        let mut answers = Vec::with_capacity(items.len());
        let calls = calls::cut(items, named.per_call, |item| item.as_ref().len());
        for answered in in_order(self.at_once, || world.cancelled(), calls, call) {
            let (call, answered) = answered?;
            match named.sort(answered)? {
                Ok(Answer { value, fuel }) => {
                    named.count(fuel, tally);
                    answers.extend(value);
                }
                Err(reason) => {
                    let asked = &rows[answers.len()..][..call.len()];
                    let (first, last) = (asked.first().unwrap_or(&0), asked.last().unwrap_or(&0));
                    let reason = format!("rows {first} to {last}: {reason}");
                    tally.add(FaultKind::Dataset, 0, "", reason);
                    return Ok(vec![]);
                }
            }
        }
        Ok(answers)
    }
}

impl<K> Named<K> {
    /// As [`blame`]; nothing is the rows' fault that the spec did not ask for.
    fn sort<T>(
        &self,
        answered: Result<T, SandboxError>,
    ) -> Result<Result<T, String>, EvaluateError> {
        if self.counts {
            return blame(answered, &self.name);
        }
        answered.map(Ok).map_err(in_kernel(&self.name))
    }

    fn count(&self, fuel: u64, tally: &mut Tally) {
        if self.counts {
            tally.fuel += fuel;
        }
    }
}

fn named<K>(
    name: &str,
    kernel: Result<K, SandboxError>,
    per_call: usize,
    counts: bool,
) -> Result<Named<K>, EvaluateError> {
    let kernel = kernel.map_err(in_kernel(name))?;
    Ok(Named { name: name.to_owned(), kernel, per_call, counts })
}

/// Where a dataset is less varied than the rule asks for.
fn uniform(rule: &VarietyRule, measures: &Measures) -> Vec<String> {
    // Whole millionths, cut: what a kernel measures is the same number everywhere.
    let ppm = |share: f64| Ppm((share * 1e6) as u32);
    let distinct2 = ppm(measures.distinct2);
    let compression = ppm(measures.compression_ratio);
    let alike = ppm(measures.self_similarity);
    let least = |share: Ppm, what: &str| format!("{} of the {what}", percent(share));
    let mut reasons = vec![];
    if distinct2 < rule.distinct2_min_ppm {
        let (found, asked) = (least(distinct2, "bigrams"), percent(rule.distinct2_min_ppm));
        reasons.push(format!("{found} are distinct, the spec asks for {asked}"));
    }
    if compression > rule.compression_max_ppm {
        let times = |ppm: Ppm| format!("{}.{:02}", ppm.0 / 1_000_000, ppm.0 % 1_000_000 / 10_000);
        let (found, most) = (times(compression), times(rule.compression_max_ppm));
        reasons.push(format!("the text compresses {found} times, the spec allows {most}"));
    }
    if alike > rule.self_similarity_max_ppm {
        let (found, most) = (percent(alike), percent(rule.self_similarity_max_ppm));
        reasons.push(format!("two rows are {found} alike on average, the spec allows {most}"));
    }
    reasons
}

/// Share of a text's n-grams that are known, if there are any.
pub(crate) fn known_share(evidence: &Evidence) -> Option<Ppm> {
    let found = u64::from(evidence.found) * 1_000_000;
    let share = found.checked_div(u64::from(evidence.ngrams))?;
    (evidence.found > 0).then_some(Ppm(share as u32))
}

/// Beginning of a text, in one line.
pub(crate) fn line(text: &str) -> String {
    const CHARACTERS: usize = 80;
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut line: String = plain.take(CHARACTERS).collect();
    if text.chars().nth(CHARACTERS).is_some() {
        line.push('…');
    }
    line
}

/// For people; cut, not rounded, so that it never seems to keep a limit that it passes.
fn percent(share: Ppm) -> String {
    format!("{}.{} %", share.0 / 10_000, share.0 % 10_000 / 1_000)
}
