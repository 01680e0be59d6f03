//! Exact products of matrices, by 16-bit integer slices.
//!
//! A snapped operand is an integer n ([`super::scale`]). Up to 14 bits it is one 16-bit slice, and
//! where the products of two such leave an `i32` no room to add, the left one is cut in two,
//! n = 2ˢ·h + l. Above 14 bits both are, and their product takes three products of slices instead
//! of four (Karatsuba & Ofman 1962): h·h′, l·l′ and (h + l)(h′ + l′). Sums of products of slices
//! are exact in `i32` over as many terms as [`Slices::terms_max`] allows, and exact in `f64`
//! beyond; the one rounding is that of the result to f32.
//!
//! Both operands are packed before they are multiplied: the right one as panels of [`COLUMNS`]
//! lines, the left one as blocks of [`ROWS`] lines, or as panels where its terms lie apart. Each
//! holds its slices and, after them, the bits of its lines' units as f32. The right operand of a
//! product without pages comes packed already ([`Pack`]), so that one that stays the same is packed
//! once.

mod pack;

use super::level::{Level, for_each_level};
use super::scale::{magnitude_bits, power};
use super::tile::{self, COLUMNS, ROWS, Strides, Tile};
use pack::{Cut, Operand, Slices, room, unit};
pub(crate) use pack::{Maxima, Pack};
use std::cell::RefCell;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

/// Runs a function for each of 0..n, on whatever threads.
pub(crate) type Parallel<'p> = &'p dyn Fn(usize, &(dyn Fn(usize) + Sync));

/// Rows of the result that one task computes: tiles that share a panel while it is near.
const STRIP: usize = 64;

/// Panels of the result that one task computes, whose sums stay near.
const GROUP: usize = 8;

/// What is multiplied: `pages` products of `[m, k]` and `[k, n]`, either stored transposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Product {
    pub(crate) pages: usize,
    pub(crate) m: usize,
    pub(crate) k: usize,
    pub(crate) n: usize,
    pub(crate) ta: bool,
    pub(crate) tb: bool,
    /// Bits that operands keep.
    pub(crate) bits: u32,
}

/// Buffers for multiplying.
#[derive(Default)]
struct Scratch {
    sums: Vec<f64>,
    tiles: [Tile; 3],
    values: Values,
}

/// One tile of exact sums.
type Values = [[f64; COLUMNS]; ROWS];

thread_local! {
    static LEFT: RefCell<Vec<i32>> = RefCell::default();
    static RIGHT: RefCell<Vec<i32>> = RefCell::default();
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// For what is not worth other threads.
const SERIAL: Parallel<'static> = &|tasks, task| (0..tasks).for_each(task);

impl Product {
    /// How the right operand of one page is packed.
    pub(crate) fn pack(&self) -> Pack {
        Pack { k: self.k, n: self.n, tb: self.tb, bits: self.bits }
    }

    /// Multiplies one page by a packed right operand, into `out` `[m, n]`; the bits of max|out|.
    pub(crate) fn multiply_packed(
        &self,
        level: Level,
        (a, a_max): (&[f32], Maxima),
        packed: &[i32],
        out: &mut [f32],
        parallel: Parallel<'_>,
    ) -> u32 {
        let Self { pages, m, k, n, .. } = *self;
        assert!(
            (pages, a.len(), packed.len(), out.len()) == (1, m * k, self.pack().len(), m * n),
            "operands of other sizes"
        );
        self.page(level, (a, a_max), packed, out, parallel)
    }

    /// Multiplies page by page, into `out` `[pages, m, n]`; the bits of max|out|.
    pub(crate) fn multiply(
        &self,
        level: Level,
        (a, a_max): (&[f32], Maxima),
        (b, b_max): (&[f32], Maxima),
        out: &mut [f32],
        parallel: Parallel<'_>,
    ) -> u32 {
        let Self { pages, m, k, n, .. } = *self;
        assert!(
            a.len() == pages * m * k && b.len() == pages * k * n && out.len() == pages * m * n,
            "operands of other sizes"
        );
        let max = AtomicU32::new(0);
        let parts: Vec<_> = out.chunks_mut(m * n).map(Mutex::new).collect();
        parallel(pages, &|page| {
            let (a, b) = (&a[page * m * k..][..m * k], &b[page * k * n..][..k * n]);
            RIGHT.with_borrow_mut(|packed| {
                let packed = room(packed, self.pack().len());
                self.pack().run(level, (b, b_max), packed, SERIAL);
                if let Ok(mut out) = parts[page].lock() {
                    let found = self.page(level, (a, a_max), packed, &mut out, SERIAL);
                    max.fetch_max(found, Ordering::Relaxed);
                }
            });
        });
        max.into_inner()
    }

    /// Multiplies one page.
    fn page(
        &self,
        level: Level,
        (a, maxima): (&[f32], Maxima),
        right: &[i32],
        out: &mut [f32],
        parallel: Parallel<'_>,
    ) -> u32 {
        let Self { m, k, n, ta, bits, .. } = *self;
        let x = Operand { data: a, lines: m, k, by_line: !ta, maxima, bits };
        let slices = Slices::new(bits);
        let strip_length = slices.left().length(STRIP, k);
        LEFT.with_borrow_mut(|left| {
            let left = room(left, slices.left().length(m.next_multiple_of(x.block()), k));
            x.pack_left(level, left, parallel);
            let left = &*left;

            let groups = n.div_ceil(GROUP * COLUMNS);
            let mut parts: Vec<Vec<&mut [f32]>> = Vec::new();
            parts.resize_with(m.div_ceil(STRIP) * groups, Vec::new);
            for (row, out) in out.chunks_mut(n).enumerate() {
                let parts = &mut parts[row / STRIP * groups..];
                for (part, out) in parts.iter_mut().zip(out.chunks_mut(GROUP * COLUMNS)) {
                    part.push(out);
                }
            }
            let parts: Vec<_> = parts.into_iter().map(Mutex::new).collect();
            let panels = GROUP * slices.right().length(COLUMNS, k);
            let max = AtomicU32::new(0);
            parallel(parts.len(), &|index| {
                let (strip, group) = (index / groups, index % groups);
                let left = left.chunks(strip_length).nth(strip).unwrap_or_default();
                let right = right.chunks(panels).nth(group).unwrap_or_default();
                let task = Task { level, k, by_line: x.by_line, slices, left, right };
                if let Ok(mut out) = parts[index].lock() {
                    let found = SCRATCH
                        .with_borrow_mut(|scratch| run_task(level, &task, scratch, &mut out));
                    max.fetch_max(found, Ordering::Relaxed);
                }
            });
            max.into_inner()
        })
    }
}

/// Some rows and columns of one page.
struct Task<'x> {
    level: Level,
    k: usize,
    /// Whether the left operand is packed in blocks of rows, not in panels.
    by_line: bool,
    slices: Slices,
    left: &'x [i32],
    right: &'x [i32],
}

for_each_level! {
    fn run_task(
        task: &Task<'_>,
        scratch: &mut Scratch,
        out: &mut [&mut [f32]],
    ) -> u32 = Task::run;
}

impl Task<'_> {
    #[inline(always)]
    fn run(&self, scratch: &mut Scratch, out: &mut [&mut [f32]]) -> u32 {
        let Self { k, slices, left, .. } = *self;
        let pairs = k.div_ceil(2);
        let Scratch { sums, tiles, values } = scratch;
        let chunk = slices.terms_max / 2;
        if pairs > chunk && sums.len() < STRIP * GROUP * COLUMNS {
            sums.resize(STRIP * GROUP * COLUMNS, 0.0);
        }
        let lines = if self.by_line { ROWS } else { COLUMNS };
        let mut max = 0;
        for first in (0..pairs).step_by(chunk) {
            let span = first..(first + chunk).min(pairs);
            let panels = self.right.chunks_exact(slices.right().length(COLUMNS, k));
            for (panel, right) in panels.enumerate() {
                let (right, units) = right.split_at(right.len() - COLUMNS);
                for (tile, out) in out.chunks_mut(ROWS).enumerate() {
                    let top = tile * ROWS;
                    let length = slices.left().length(lines, k);
                    let block = &left[top / lines * length..][..length];
                    self.tile(block, right, top % lines, &span, tiles, values);
                    let at = |i: usize| ((top + i) * GROUP + panel) * COLUMNS;
                    if first > 0 {
                        for (i, row) in values.iter_mut().enumerate() {
                            for (value, sum) in row.iter_mut().zip(&sums[at(i)..]) {
                                *value += sum;
                            }
                        }
                    }
                    if span.end < pairs {
                        for (i, row) in values.iter().enumerate() {
                            sums[at(i)..][..COLUMNS].copy_from_slice(row);
                        }
                        continue;
                    }
                    let columns: [f64; COLUMNS] = std::array::from_fn(|j| unit(units[j]));
                    let rows = &block[length - lines + top % lines..];
                    for ((row, of_row), out) in values.iter().zip(rows).zip(out) {
                        let scale = unit(*of_row);
                        let mut rounded = [0.0; COLUMNS];
                        for j in 0..COLUMNS {
                            rounded[j] = (row[j] * (scale * columns[j])) as f32;
                            max = max.max(magnitude_bits(rounded[j]));
                        }
                        let to = &mut out[panel * COLUMNS..];
                        // A copy of known length is a few stores, not a call.
                        match to.first_chunk_mut() {
                            Some(to) => *to = rounded,
                            None => to.copy_from_slice(&rounded[..to.len()]),
                        }
                    }
                }
            }
        }
        max
    }

    /// The exact sums of one tile over the pairs of `span`: rows from `top` of a block, and one
    /// panel.
    #[inline(always)]
    fn tile(
        &self,
        block: &[i32],
        panel: &[i32],
        top: usize,
        span: &Range<usize>,
        tiles: &mut [Tile; 3],
        values: &mut Values,
    ) {
        let pairs = self.k.div_ceil(2);
        let (cut, count) = (self.slices.cut, self.slices.left().count);
        let (start, slice, strides) = if self.by_line {
            (span.start, ROWS * pairs, Strides { row: pairs, pair: 1 })
        } else {
            let start = span.start * COLUMNS + top;
            (start, COLUMNS * pairs, Strides { row: 1, pair: COLUMNS })
        };
        for (index, tile) in tiles.iter_mut().enumerate().take(count) {
            let of_right = if cut == Cut::Both { index } else { 0 };
            let a = &block[start + index * slice..];
            let b = &panel[(of_right * pairs + span.start) * COLUMNS..];
            tile::multiply(self.level, a, strides, b, span.len(), tile);
        }
        let weight = power(self.slices.shift as i32);
        let [high, low, sum] = &*tiles;
        for (((values, high), low), sum) in values.iter_mut().zip(high).zip(low).zip(sum) {
            for (j, value) in values.iter_mut().enumerate() {
                *value = match cut {
                    Cut::Neither => f64::from(high[j]),
                    Cut::Left => f64::from(high[j]) * weight + f64::from(low[j]),
                    Cut::Both => {
                        let cross = sum[j].wrapping_sub(high[j]).wrapping_sub(low[j]);
                        let high = f64::from(high[j]) * weight + f64::from(cross);
                        high * weight + f64::from(low[j])
                    }
                };
            }
        }
    }
}

#[cfg(test)]
mod tests;
