//! Exact products of matrices, by 16-bit integer slices.
//!
//! A snapped operand is an integer n ([`super::scale`]). Up to 14 bits it is one 16-bit slice, and
//! where the products of two such leave an `i32` no room to add, the left one is cut in two,
//! n = 2ˢ·h + l. Above 14 bits both are, and their product takes three products of slices instead
//! of four (Karatsuba & Ofman 1962): h·h′, l·l′ and (h + l)(h′ + l′). Sums of products of slices
//! are exact in `i32` over as many terms as [`Slices::terms_max`] allows, and exact in `f64`
//! beyond; the one rounding is that of the result to f32.

use super::level::{Level, for_each_level};
use super::scale::{Scale, integer, integer_max, magnitude_bits, max_magnitude_bits, power};
use super::tile::{self, COLUMNS, ROWS, Strides, Tile};
use std::cell::RefCell;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

/// Runs a function for each of 0..n, on whatever threads.
pub(crate) type Parallel<'p> = &'p dyn Fn(usize, &(dyn Fn(usize) + Sync));

/// Rows of the result that one task computes: tiles that share a panel while it is near.
const STRIP: usize = 64;

/// Terms that share a pass over the result, at most: what of two panels fits the nearest cache.
const CHUNK: usize = 256;

/// Bits up to which both operands are one slice.
const WHOLE_BITS: u32 = 12;

/// Bits up to which the right operand is one slice: all that a slice holds.
const SLICE_BITS: u32 = 14;

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

/// Where an operand's scales come from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Maxima {
    /// max|x| over the whole operand: one scale.
    Tensor(f32),
    /// A scale for each row of a left operand, each column of a right one.
    Slice,
}

/// How integers are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// Both operands are one slice.
    Neither,
    /// The left operand has a high and a low slice.
    Left,
    /// Both operands have a high slice, a low one, and the sum of the two.
    Both,
}

/// How integers are cut, and where.
#[derive(Debug, Clone, Copy)]
struct Slices {
    cut: Cut,
    /// Bits of a low slice, its sign among them.
    shift: u32,
    /// Whether an integer may exceed 2²².
    wide: bool,
    /// Terms whose sum fits an `i32`, even.
    terms_max: usize,
}

impl Slices {
    fn new(bits: u32) -> Self {
        let max = integer_max(bits);
        let shift = bits.div_ceil(2);
        let low = 1 << (shift - 1);
        let high = (max >> shift) + 1;
        let (cut, largest) = if bits <= WHOLE_BITS {
            (Cut::Neither, max * max)
        } else if bits <= SLICE_BITS {
            (Cut::Left, high.max(low) * max)
        } else {
            (Cut::Both, (high + low) * (high + low))
        };
        let terms = (i32::MAX as u64 / largest) as usize;
        Self { cut, shift, wide: bits > 21, terms_max: (terms & !1).clamp(2, CHUNK) }
    }

    /// Of the left operand; each slice is in one product.
    fn left(self) -> Packing {
        let count = match self.cut {
            Cut::Neither => 1,
            Cut::Left => 2,
            Cut::Both => 3,
        };
        Packing { count, shift: self.shift, wide: self.wide }
    }

    /// Of the right operand.
    fn right(self) -> Packing {
        let count = if self.cut == Cut::Both { 3 } else { 1 };
        Packing { count, shift: self.shift, wide: self.wide }
    }
}

/// One operand of one page: `lines` rows (or columns) that are contracted over `k` terms.
#[derive(Clone, Copy)]
struct Operand<'x> {
    data: &'x [f32],
    lines: usize,
    k: usize,
    /// Whether a line's terms lie side by side; otherwise a term's lines do.
    by_line: bool,
}

impl Operand<'_> {
    /// The scales of `lines`, filled up to whole panels.
    #[inline(always)]
    fn scales(&self, lines: Range<usize>, maxima: Maxima, bits: u32, into: &mut Scales) {
        into.reset(lines.len().next_multiple_of(COLUMNS));
        match maxima {
            Maxima::Tensor(max) => into.fill(0..lines.len(), Scale::new(max, bits)),
            Maxima::Slice if self.by_line => {
                let terms = self.data[lines.start * self.k..].chunks_exact(self.k);
                for (line, terms) in terms.take(lines.len()).enumerate() {
                    let max = f32::from_bits(max_magnitude_bits(terms));
                    into.fill(line..line + 1, Scale::new(max, bits));
                }
            }
            Maxima::Slice => {
                let mut max = vec![0u32; lines.len()];
                for row in self.data.chunks_exact(self.lines) {
                    for (max, x) in max.iter_mut().zip(&row[lines.clone()]) {
                        *max = (*max).max(magnitude_bits(*x));
                    }
                }
                for (line, max) in max.into_iter().enumerate() {
                    into.fill(line..line + 1, Scale::new(f32::from_bits(max), bits));
                }
            }
        }
    }
}

/// Scales of an operand's lines, part by part for the vector units.
#[derive(Default)]
struct Scales {
    c: Vec<f32>,
    up0: Vec<f32>,
    up1: Vec<f32>,
    unit: Vec<f64>,
}

impl Scales {
    fn reset(&mut self, lines: usize) {
        for part in [&mut self.c, &mut self.up0, &mut self.up1] {
            part.clear();
            part.resize(lines, 0.0);
        }
        self.unit.clear();
        self.unit.resize(lines, 0.0);
    }

    fn fill(&mut self, lines: Range<usize>, scale: Scale) {
        self.c[lines.clone()].fill(scale.c);
        self.up0[lines.clone()].fill(scale.up[0]);
        self.up1[lines.clone()].fill(scale.up[1]);
        self.unit[lines].fill(scale.unit);
    }
}

/// The slices of an operand's integers, in pairs of terms.
#[derive(Default)]
struct Packed {
    data: Vec<i32>,
    /// Length of one slice.
    slice: usize,
}

impl Packed {
    /// Room for N slices of this length.
    #[inline(always)]
    fn reset<const N: usize>(&mut self, slice: usize) -> [&mut [i32]; N] {
        let mut rest = self.room(slice, N);
        std::array::from_fn(|_| rest.split_off_mut(..slice).unwrap_or_default())
    }

    fn room(&mut self, slice: usize, count: usize) -> &mut [i32] {
        self.slice = slice;
        if self.data.len() < slice * count {
            self.data.resize(slice * count, 0);
        }
        &mut self.data
    }

    fn slice(&self, index: usize) -> &[i32] {
        &self.data[index * self.slice..][..self.slice]
    }
}

#[inline(always)]
fn pair(low: i32, high: i32) -> i32 {
    (low & 0xffff) | (high << 16)
}

/// The first N slices of a pair of integers: high, low, sum; or the integers where N is 1.
#[inline(always)]
fn cut<const N: usize>(n: [i32; 2], shift: u32) -> [i32; N] {
    let mut slices = [pair(n[0], n[1]); N];
    if N > 1 {
        let high = n.map(|n| (n + (1 << (shift - 1))) >> shift);
        let low = [n[0] - (high[0] << shift), n[1] - (high[1] << shift)];
        let sum = [high[0] + low[0], high[1] + low[1]];
        for (slice, [low, high]) in slices.iter_mut().zip([high, low, sum]) {
            *slice = pair(low, high);
        }
    }
    slices
}

/// How an operand is packed: into how many slices, cut where, and whether integers may exceed 2²².
#[derive(Debug, Clone, Copy)]
struct Packing {
    count: usize,
    shift: u32,
    wide: bool,
}

impl Packing {
    /// Packs `lines` for whoever reads whole tiles.
    #[inline(always)]
    fn pack(self, x: Operand<'_>, lines: Range<usize>, scales: &Scales, out: &mut Packed) {
        let shift = self.shift;
        match (x.by_line, self.count, self.wide) {
            (true, 1, _) => pack_lines::<1, false>(x, lines, scales, shift, out),
            (true, 2, _) => pack_lines::<2, false>(x, lines, scales, shift, out),
            (true, _, false) => pack_lines::<3, false>(x, lines, scales, shift, out),
            (true, _, true) => pack_lines::<3, true>(x, lines, scales, shift, out),
            (false, 1, _) => pack_panels::<1, false>(x, lines, scales, shift, out),
            (false, 2, _) => pack_panels::<2, false>(x, lines, scales, shift, out),
            (false, _, false) => pack_panels::<3, false>(x, lines, scales, shift, out),
            (false, _, true) => pack_panels::<3, true>(x, lines, scales, shift, out),
        }
    }
}

/// Packs lines whose terms lie side by side: `[line][pair]`.
#[inline(always)]
fn pack_lines<const N: usize, const WIDE: bool>(
    x: Operand<'_>,
    lines: Range<usize>,
    scales: &Scales,
    shift: u32,
    out: &mut Packed,
) {
    let pairs = x.k.div_ceil(2);
    let used = lines.len() * pairs;
    let mut slices = out.reset::<N>(lines.len().next_multiple_of(ROWS) * pairs);
    slices.iter_mut().for_each(|slice| slice[used..].fill(0));
    for (row, line) in lines.enumerate() {
        let (c, up0, up1) = (scales.c[row], scales.up0[row], scales.up1[row]);
        let n = |x: f32| integer::<WIDE>(x, c, up0, up1);
        let mut to = slices.each_mut().map(|slice| &mut slice[row * pairs..][..pairs]);
        let (couples, odd) = x.data[line * x.k..][..x.k].as_chunks::<2>();
        for (p, [x0, x1]) in couples.iter().enumerate() {
            let cut = cut::<N>([n(*x0), n(*x1)], shift);
            for (to, slice) in to.iter_mut().zip(cut) {
                to[p] = slice;
            }
        }
        if let [x] = odd {
            let cut = cut::<N>([n(*x), 0], shift);
            for (to, slice) in to.iter_mut().zip(cut) {
                to[pairs - 1] = slice;
            }
        }
    }
}

/// Packs lines whose terms lie apart, as panels: `[panel][pair][COLUMNS]`.
#[inline(always)]
fn pack_panels<const N: usize, const WIDE: bool>(
    x: Operand<'_>,
    lines: Range<usize>,
    scales: &Scales,
    shift: u32,
    out: &mut Packed,
) {
    const ZEROS: [f32; COLUMNS] = [0.0; COLUMNS];
    let pairs = x.k.div_ceil(2);
    let mut slices = out.reset::<N>(lines.len().div_ceil(COLUMNS) * pairs * COLUMNS);
    for (panel, first) in lines.clone().step_by(COLUMNS).enumerate() {
        let width = COLUMNS.min(lines.end - first);
        let [c, up0, up1]: [&[f32; COLUMNS]; 3] = [&scales.c, &scales.up0, &scales.up1]
            .map(|part| part[panel * COLUMNS..].first_chunk().unwrap_or(&ZEROS));
        for p in 0..pairs {
            let mut terms = [ZEROS; 2];
            for (term, line) in terms.iter_mut().zip(2 * p..x.k) {
                let from = &x.data[line * x.lines + first..][..width];
                // A copy of known length is a few loads, not a call.
                match from.first_chunk() {
                    Some(from) => *term = *from,
                    None => term[..width].copy_from_slice(from),
                }
            }
            let n = |t: usize, j: usize| integer::<WIDE>(terms[t][j], c[j], up0[j], up1[j]);
            let at = (panel * pairs + p) * COLUMNS;
            let mut to = slices.each_mut().map(|slice| &mut slice[at..][..COLUMNS]);
            for j in 0..COLUMNS {
                let cut = cut::<N>([n(0, j), n(1, j)], shift);
                for (to, slice) in to.iter_mut().zip(cut) {
                    to[j] = slice;
                }
            }
        }
    }
}

/// Turns packed lines into panels.
fn turn(lines: &Packed, count: usize, pairs: usize, slices: usize, out: &mut Packed) {
    let panels = count.div_ceil(COLUMNS);
    let size = panels * pairs * COLUMNS;
    for (slice, panels) in out.room(size, slices).chunks_exact_mut(size).take(slices).enumerate() {
        let from = lines.slice(slice);
        for (panel, to) in panels.chunks_exact_mut(pairs * COLUMNS).enumerate() {
            let first = panel * COLUMNS;
            let width = COLUMNS.min(count - first);
            if width < COLUMNS {
                to.fill(0);
            }
            for (j, line) in from[first * pairs..].chunks_exact(pairs).take(width).enumerate() {
                for (to, x) in to[j..].iter_mut().step_by(COLUMNS).zip(line) {
                    *to = *x;
                }
            }
        }
    }
}

/// Buffers that a thread keeps between products.
#[derive(Default)]
struct Scratch {
    scales: Scales,
    packed: Packed,
    lines: Packed,
    sums: Vec<f64>,
    tiles: [Tile; 3],
}

thread_local! {
    static LEFT: RefCell<Scratch> = RefCell::default();
    static RIGHT: RefCell<Scratch> = RefCell::default();
}

impl Product {
    /// Multiplies into `out` `[pages, m, n]`; the bits of max|out|.
    pub(crate) fn multiply(
        &self,
        level: Level,
        (a, a_max): (&[f32], Maxima),
        (b, b_max): (&[f32], Maxima),
        out: &mut [f32],
        parallel: Parallel<'_>,
    ) -> u32 {
        let Self { pages, m, k, n, ta, tb, bits } = *self;
        assert!(
            a.len() == pages * m * k && b.len() == pages * k * n && out.len() == pages * m * n,
            "operands of other sizes"
        );
        let slices = Slices::new(bits);
        let max = AtomicU32::new(0);
        let left =
            |page: usize| Operand { data: &a[page * m * k..][..m * k], lines: m, k, by_line: !ta };
        let right =
            |page: usize| Operand { data: &b[page * k * n..][..k * n], lines: n, k, by_line: tb };
        let strips_per_page = m.div_ceil(STRIP);
        let strip = |page: usize, index: usize, packed: &Scratch, out: &mut [f32]| {
            let rows = index * STRIP..((index + 1) * STRIP).min(m);
            let found = LEFT.with_borrow_mut(|scratch| {
                let task = Strip { level, x: left(page), maxima: a_max, rows, slices, bits, n };
                run_strip(level, &task, scratch, &packed.scales, &packed.packed, out)
            });
            max.fetch_max(found, Ordering::Relaxed);
        };
        if pages == 1 {
            RIGHT.with_borrow_mut(|scratch| {
                pack_right(level, right(0), b_max, bits, slices, scratch);
                let scratch = &*scratch;
                let parts: Vec<_> = out.chunks_mut(STRIP * n).map(Mutex::new).collect();
                parallel(strips_per_page, &|index| {
                    if let Ok(mut out) = parts[index].lock() {
                        strip(0, index, scratch, &mut out);
                    }
                });
            });
        } else {
            let parts: Vec<_> = out.chunks_mut(m * n).map(Mutex::new).collect();
            parallel(pages, &|page| {
                RIGHT.with_borrow_mut(|scratch| {
                    pack_right(level, right(page), b_max, bits, slices, scratch);
                    let scratch = &*scratch;
                    if let Ok(mut out) = parts[page].lock() {
                        for (index, out) in out.chunks_mut(STRIP * n).enumerate() {
                            strip(page, index, scratch, out);
                        }
                    }
                });
            });
        }
        max.into_inner()
    }
}

for_each_level! {
    fn pack_right(
        x: Operand<'_>,
        maxima: Maxima,
        bits: u32,
        slices: Slices,
        scratch: &mut Scratch,
    ) = pack_panels_of;
}

#[inline(always)]
fn pack_panels_of(
    x: Operand<'_>,
    maxima: Maxima,
    bits: u32,
    slices: Slices,
    scratch: &mut Scratch,
) {
    let Scratch { scales, packed, lines, .. } = scratch;
    x.scales(0..x.lines, maxima, bits, scales);
    let packing = slices.right();
    if x.by_line {
        packing.pack(x, 0..x.lines, scales, lines);
        turn(lines, x.lines, x.k.div_ceil(2), packing.count, packed);
    } else {
        packing.pack(x, 0..x.lines, scales, packed);
    }
}

/// One task: some rows of the result.
struct Strip<'x> {
    level: Level,
    x: Operand<'x>,
    maxima: Maxima,
    rows: Range<usize>,
    slices: Slices,
    bits: u32,
    n: usize,
}

for_each_level! {
    fn run_strip(
        strip: &Strip<'_>,
        scratch: &mut Scratch,
        columns: &Scales,
        panels: &Packed,
        out: &mut [f32],
    ) -> u32 = Strip::run;
}

impl Strip<'_> {
    #[inline(always)]
    fn run(
        &self,
        scratch: &mut Scratch,
        columns: &Scales,
        panels: &Packed,
        out: &mut [f32],
    ) -> u32 {
        let Self { x, rows, slices, n, .. } = self;
        let (n, pairs) = (*n, x.k.div_ceil(2));
        let Scratch { scales, packed, sums, tiles, .. } = scratch;
        x.scales(rows.clone(), self.maxima, self.bits, scales);
        slices.left().pack(*x, rows.clone(), scales, packed);
        let padded = n.next_multiple_of(COLUMNS);
        let chunk = slices.terms_max / 2;
        if pairs > chunk && sums.len() < STRIP * padded {
            sums.resize(STRIP * padded, 0.0);
        }
        let mut max = 0;
        for first in (0..pairs).step_by(chunk) {
            let span = first..(first + chunk).min(pairs);
            for panel in (0..n).step_by(COLUMNS) {
                for top in (0..rows.len()).step_by(ROWS) {
                    let mut values = self.tile(packed, panels, [top, panel], &span, tiles);
                    let at = |i: usize| (top + i) * padded + panel;
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
                    let units: &[f64; COLUMNS] =
                        columns.unit[panel..].first_chunk().unwrap_or(&[0.0; COLUMNS]);
                    let width = COLUMNS.min(n - panel);
                    for (i, row) in values.iter().enumerate().take(rows.len() - top) {
                        let unit = scales.unit[top + i];
                        let mut rounded = [0.0; COLUMNS];
                        for j in 0..COLUMNS {
                            rounded[j] = (row[j] * (unit * units[j])) as f32;
                            max = max.max(magnitude_bits(rounded[j]));
                        }
                        let to = &mut out[(top + i) * n + panel..][..width];
                        // A copy of known length is a few stores, not a call.
                        match <&mut [f32; COLUMNS]>::try_from(&mut *to) {
                            Ok(to) => *to = rounded,
                            Err(_) => to.copy_from_slice(&rounded[..width]),
                        }
                    }
                }
            }
        }
        max
    }

    /// The exact sums of one tile over the pairs of `span`.
    #[inline(always)]
    fn tile(
        &self,
        left: &Packed,
        right: &Packed,
        [top, panel]: [usize; 2],
        span: &Range<usize>,
        tiles: &mut [Tile; 3],
    ) -> [[f64; COLUMNS]; ROWS] {
        let pairs = self.x.k.div_ceil(2);
        let (start, strides) = if self.x.by_line {
            (top * pairs + span.start, Strides { row: pairs, pair: 1 })
        } else {
            let start = (top / COLUMNS * pairs + span.start) * COLUMNS + top % COLUMNS;
            (start, Strides { row: 1, pair: COLUMNS })
        };
        let at = panel * pairs + span.start * COLUMNS;
        let (cut, products) = (self.slices.cut, self.slices.left().count);
        for (index, tile) in tiles.iter_mut().enumerate().take(products) {
            let of_right = if cut == Cut::Both { index } else { 0 };
            let (a, b) = (&left.slice(index)[start..], &right.slice(of_right)[at..]);
            tile::multiply(self.level, a, strides, b, span.len(), tile);
        }
        let mut values = [[0.0; COLUMNS]; ROWS];
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
        values
    }
}

#[cfg(test)]
mod tests;
