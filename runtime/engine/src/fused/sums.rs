//! Exact sums and maxima: snapped in f32, summed in f64 where nothing is lost, rounded once.

use super::lanes::max;
use super::level::{Level, for_each_level};
use super::product::Parallel;
use super::scale::{magnitude_bits, max_magnitude_bits};
use dataforge_graph::exact::{SUM_BITS, snap_factor};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// Elements of one task.
const TASK: usize = 1 << 15;

for_each_level! { fn max_bits(x: &[f32]) -> u32 = max_magnitude_bits; }
for_each_level! { fn rows_max(x: &[f32], width: usize, out: &mut [f32]) = rows_max_body; }
for_each_level! {
    fn rows_sum(x: &[f32], terms: usize, out: &mut [f32]) = rows_sum_body;
}
for_each_level! { fn columns_max(rows: &[f32], inner: usize) -> Vec<u32> = columns_max_body; }
for_each_level! { fn columns_sum(rows: &[f32], scales: &[f32]) -> Vec<f64> = columns_sum_body; }
for_each_level! { fn add_row(row: &[f32], c: f32, sums: &mut [f64]) = add_row_body; }
for_each_level! { fn round(sums: &[f64], out: &mut [f32]) = round_body; }

/// The bits of max|x|.
pub(crate) fn max_abs(level: Level, x: &[f32], parallel: Parallel<'_>) -> u32 {
    let found = AtomicU32::new(0);
    let parts: Vec<&[f32]> = x.chunks(TASK).collect();
    parallel(parts.len(), &|task| {
        let max = max_bits(level, parts[task]);
        found.fetch_max(max, Ordering::Relaxed);
    });
    found.into_inner()
}

/// The maximum of each row of `width`, NaN where the row has one.
pub(crate) fn max_last(
    level: Level,
    x: &[f32],
    width: usize,
    out: &mut [f32],
    parallel: Parallel<'_>,
) {
    let rows = (TASK / width).max(1);
    let parts: Vec<_> = out.chunks_mut(rows).map(Mutex::new).collect();
    parallel(parts.len(), &|task| {
        let Ok(mut out) = parts[task].lock() else { return };
        rows_max(level, &x[task * rows * width..], width, &mut out);
    });
}

#[inline(always)]
fn rows_max_body(x: &[f32], width: usize, out: &mut [f32]) {
    for (out, row) in out.iter_mut().zip(x.chunks_exact(width)) {
        *out = row_max(row);
    }
}

#[inline(always)]
fn row_max(row: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 16];
    let (blocks, rest) = row.as_chunks::<16>();
    for block in blocks {
        for (lane, x) in lanes.iter_mut().zip(block) {
            *lane = max(*lane, *x);
        }
    }
    rest.iter().chain(&lanes).fold(f32::NEG_INFINITY, |most, x| max(most, *x))
}

/// A tensor seen as `[outer, terms, inner]`, to be summed over the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) outer: usize,
    pub(crate) terms: usize,
    pub(crate) inner: usize,
}

impl Sum {
    /// The view of `shape` for a sum over `axes`, where there is one.
    pub(crate) fn new(shape: &[usize], axes: &[usize]) -> Option<Self> {
        let mut view = Self { outer: 1, terms: 1, inner: 1 };
        for (axis, extent) in shape.iter().enumerate().filter(|(_, extent)| **extent != 1) {
            if !axes.contains(&axis) {
                view.inner *= extent;
            } else if view.inner == 1 || view.terms == 1 {
                view.outer *= view.inner;
                view.inner = 1;
                view.terms *= extent;
            } else {
                return None;
            }
        }
        Some(view)
    }

    /// Sums into `out` `[outer, inner]`, each with a scale of its own.
    pub(crate) fn run(self, level: Level, x: &[f32], out: &mut [f32], parallel: Parallel<'_>) {
        let Self { outer, terms, inner } = self;
        assert!(x.len() == outer * terms * inner && out.len() == outer * inner, "other sizes");
        let factor = snap_factor(SUM_BITS);
        if inner == 1 && outer > 1 {
            let rows = (TASK / terms).max(1);
            let parts: Vec<_> = out.chunks_mut(rows).map(Mutex::new).collect();
            parallel(parts.len(), &|task| {
                let Ok(mut out) = parts[task].lock() else { return };
                rows_sum(level, &x[task * rows * terms..], terms, &mut out);
            });
            return;
        }
        // Few sums, or sums of rows: each task adds some of the rows to all sums of a page. Partial
        // sums are exact, so that it does not matter in which order they come together.
        for (page, out) in x.chunks_exact(terms * inner).zip(out.chunks_exact_mut(inner)) {
            let parts: Vec<&[f32]> = page.chunks((TASK / inner).max(1) * inner).collect();
            let most = Mutex::new(vec![0; inner]);
            parallel(parts.len(), &|task| {
                let found = columns_max(level, parts[task], inner);
                if let Ok(mut most) = most.lock() {
                    for (most, found) in most.iter_mut().zip(found) {
                        *most = found.max(*most);
                    }
                }
            });
            let most = most.into_inner().unwrap_or_else(PoisonError::into_inner);
            let scales: Vec<f32> = most.into_iter().map(|m| f32::from_bits(m) * factor).collect();
            let total = Mutex::new(vec![0.0; inner]);
            parallel(parts.len(), &|task| {
                let sums = columns_sum(level, parts[task], &scales);
                if let Ok(mut total) = total.lock() {
                    for (total, sum) in total.iter_mut().zip(sums) {
                        *total += sum;
                    }
                }
            });
            let total = total.into_inner().unwrap_or_else(PoisonError::into_inner);
            for (out, total) in out.iter_mut().zip(total) {
                *out = total as f32;
            }
        }
    }
}

#[inline(always)]
fn rows_sum_body(x: &[f32], terms: usize, out: &mut [f32]) {
    for (out, row) in out.iter_mut().zip(x.chunks_exact(terms)) {
        let max = f32::from_bits(max_magnitude_bits(row));
        *out = row_sum(row, max * snap_factor(SUM_BITS)) as f32;
    }
}

#[inline(always)]
fn row_sum(row: &[f32], c: f32) -> f64 {
    let mut lanes = [0.0; 32];
    let (blocks, rest) = row.as_chunks::<32>();
    for block in blocks {
        for (lane, x) in lanes.iter_mut().zip(block) {
            *lane += f64::from((x + c) - c);
        }
    }
    let rest = rest.iter().map(|x| f64::from((x + c) - c));
    rest.chain(lanes).fold(0.0, |sum, x| sum + x)
}

#[inline(always)]
fn columns_max_body(rows: &[f32], inner: usize) -> Vec<u32> {
    if inner == 1 {
        return vec![max_magnitude_bits(rows)];
    }
    let mut most = vec![0; inner];
    for row in rows.chunks_exact(inner) {
        for (most, x) in most.iter_mut().zip(row) {
            *most = magnitude_bits(*x).max(*most);
        }
    }
    most
}

#[inline(always)]
fn columns_sum_body(rows: &[f32], scales: &[f32]) -> Vec<f64> {
    if let [c] = scales {
        return vec![row_sum(rows, *c)];
    }
    let mut sums = vec![0.0; scales.len()];
    for row in rows.chunks_exact(scales.len()) {
        for ((sum, x), c) in sums.iter_mut().zip(row).zip(scales) {
            *sum += f64::from((x + c) - c);
        }
    }
    sums
}

/// Sums `shape` over any `axes`, element by element.
pub(crate) fn scattered(x: &[f32], shape: &[usize], axes: &[usize], out: &mut [f32]) {
    let factor = snap_factor(SUM_BITS);
    let group = |mut flat: usize| {
        let (mut at, mut stride) = (0, 1);
        for (axis, extent) in shape.iter().enumerate().rev() {
            if !axes.contains(&axis) {
                at += flat % extent * stride;
                stride *= extent;
            }
            flat /= extent;
        }
        at
    };
    let mut most = vec![0; out.len()];
    for (i, x) in x.iter().enumerate() {
        let most = &mut most[group(i)];
        *most = magnitude_bits(*x).max(*most);
    }
    let mut sums = vec![0.0; out.len()];
    for (i, x) in x.iter().enumerate() {
        let at = group(i);
        let c = f32::from_bits(most[at]) * factor;
        sums[at] += f64::from((x + c) - c);
    }
    for (out, sum) in out.iter_mut().zip(sums) {
        *out = sum as f32;
    }
}

/// Adds rows of `width` into zeros at `ids`; one scale, from the largest magnitude `max`. Nothing
/// where an index is past the result.
pub(crate) fn scatter_add(
    level: Level,
    rows: &[f32],
    ids: &[i64],
    width: usize,
    max: f32,
    out: &mut [f32],
) -> Option<()> {
    let c = max * snap_factor(SUM_BITS);
    let mut table = vec![0.0; out.len()];
    for (row, id) in rows.chunks_exact(width).zip(ids) {
        let at = usize::try_from(*id).ok()?.checked_mul(width)?;
        let sums = table.get_mut(at..at.checked_add(width)?)?;
        add_row(level, row, c, sums);
    }
    round(level, &table, out);
    Some(())
}

#[inline(always)]
fn add_row_body(row: &[f32], c: f32, sums: &mut [f64]) {
    for (sum, x) in sums.iter_mut().zip(row) {
        *sum += f64::from((x + c) - c);
    }
}

#[inline(always)]
fn round_body(sums: &[f64], out: &mut [f32]) {
    for (out, sum) in out.iter_mut().zip(sums) {
        *out = *sum as f32;
    }
}
