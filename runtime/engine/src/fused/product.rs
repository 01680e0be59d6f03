//! Exact products of matrices, by 16-bit integer slices.
//!
//! A snapped operand is an integer n ([`super::scale`]). Up to 14 bits it is one 16-bit slice, and
//! where the products of two such leave an `i32` no room to add, the left one is cut in two,
//! n = 2ˢ·h + l. Above 14 bits both are, and their product takes three products of slices instead
//! of four (Karatsuba & Ofman 1962): h·h′, l·l′ and (h + l)(h′ + l′). Sums of products of slices
//! are exact in `i32` over as many terms as [`Slices::terms_max`] allows, and exact in `f64`
//! beyond; the one rounding is that of the result to f32.
//!
//! Operands whose terms lie apart are packed as panels of [`COLUMNS`] lines: their slices, each
//! `[pair][COLUMNS]`, and the bits of the lines' units as f32. The right operand of a product
//! without pages comes packed already ([`Pack`]), so that one that stays the same is packed once.

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

/// Panels that one task packs.
const TASK_PANELS: usize = 4;

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

/// A right operand `[k, n]` to be packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pack {
    pub(crate) k: usize,
    pub(crate) n: usize,
    /// Whether it is stored transposed.
    pub(crate) tb: bool,
    /// Bits that it keeps.
    pub(crate) bits: u32,
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
    /// Length of a panel.
    fn panel(self, k: usize) -> usize {
        (self.count * k.div_ceil(2) + 1) * COLUMNS
    }

    /// Packs `lines` whose terms lie side by side: `[slice][line][pair]`, with room for whole
    /// tiles.
    #[inline(always)]
    fn lines(self, x: Operand<'_>, lines: Range<usize>, scales: &Scales, out: &mut Vec<i32>) {
        let shift = self.shift;
        match (self.count, self.wide) {
            (1, _) => pack_lines::<1, false>(x, lines, scales, shift, out),
            (2, _) => pack_lines::<2, false>(x, lines, scales, shift, out),
            (_, false) => pack_lines::<3, false>(x, lines, scales, shift, out),
            (_, true) => pack_lines::<3, true>(x, lines, scales, shift, out),
        }
    }

    /// Packs `lines` whose terms lie apart, as panels.
    #[inline(always)]
    fn panels(self, x: Operand<'_>, lines: Range<usize>, scales: &Scales, out: &mut [i32]) {
        let shift = self.shift;
        match (self.count, self.wide) {
            (1, _) => pack_panels::<1, false>(x, lines, scales, shift, out),
            (2, _) => pack_panels::<2, false>(x, lines, scales, shift, out),
            (_, false) => pack_panels::<3, false>(x, lines, scales, shift, out),
            (_, true) => pack_panels::<3, true>(x, lines, scales, shift, out),
        }
    }
}

/// Room for `size` integers, whatever they were.
fn room(data: &mut Vec<i32>, size: usize) -> &mut [i32] {
    if data.len() < size {
        data.resize(size, 0);
    }
    &mut data[..size]
}

/// The first N parts of `data`, each of `size`.
#[inline(always)]
fn parts<const N: usize>(mut data: &mut [i32], size: usize) -> [&mut [i32]; N] {
    std::array::from_fn(|_| data.split_off_mut(..size).unwrap_or_default())
}

#[inline(always)]
fn pack_lines<const N: usize, const WIDE: bool>(
    x: Operand<'_>,
    lines: Range<usize>,
    scales: &Scales,
    shift: u32,
    out: &mut Vec<i32>,
) {
    let pairs = x.k.div_ceil(2);
    let (used, size) = (lines.len() * pairs, lines.len().next_multiple_of(ROWS) * pairs);
    let mut slices = parts::<N>(room(out, N * size), size);
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

#[inline(always)]
fn pack_panels<const N: usize, const WIDE: bool>(
    x: Operand<'_>,
    lines: Range<usize>,
    scales: &Scales,
    shift: u32,
    out: &mut [i32],
) {
    const ZEROS: [f32; COLUMNS] = [0.0; COLUMNS];
    let pairs = x.k.div_ceil(2);
    let panels = out.chunks_exact_mut((N * pairs + 1) * COLUMNS);
    for ((panel, first), out) in lines.clone().step_by(COLUMNS).enumerate().zip(panels) {
        let width = COLUMNS.min(lines.end - first);
        let [c, up0, up1]: [&[f32; COLUMNS]; 3] = [&scales.c, &scales.up0, &scales.up1]
            .map(|part| part[panel * COLUMNS..].first_chunk().unwrap_or(&ZEROS));
        let mut slices = parts::<N>(out, pairs * COLUMNS);
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
            let mut to = slices.each_mut().map(|slice| &mut slice[p * COLUMNS..][..COLUMNS]);
            for j in 0..COLUMNS {
                let cut = cut::<N>([n(0, j), n(1, j)], shift);
                for (to, slice) in to.iter_mut().zip(cut) {
                    to[j] = slice;
                }
            }
        }
    }
}

/// Turns `count` packed lines into panels.
fn turn(lines: &[i32], count: usize, pairs: usize, slices: usize, out: &mut [i32]) {
    let size = count.next_multiple_of(ROWS) * pairs;
    for (panel, out) in out.chunks_exact_mut((slices * pairs + 1) * COLUMNS).enumerate() {
        let first = panel * COLUMNS;
        let width = COLUMNS.min(count - first);
        for (slice, to) in out.chunks_exact_mut(pairs * COLUMNS).take(slices).enumerate() {
            if width < COLUMNS {
                to.fill(0);
            }
            let from = lines[slice * size + first * pairs..].chunks_exact(pairs);
            for (j, line) in from.take(width).enumerate() {
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
    packed: Vec<i32>,
    lines: Vec<i32>,
    sums: Vec<f64>,
    tiles: [Tile; 3],
}

thread_local! {
    static LEFT: RefCell<Scratch> = RefCell::default();
    static RIGHT: RefCell<Scratch> = RefCell::default();
}

impl Pack {
    fn panel(&self) -> usize {
        Slices::new(self.bits).right().panel(self.k)
    }

    /// Length of the packed operand.
    pub(crate) fn len(&self) -> usize {
        self.n.div_ceil(COLUMNS) * self.panel()
    }

    /// Packs into `out`.
    pub(crate) fn run(
        &self,
        level: Level,
        (x, max): (&[f32], Maxima),
        out: &mut [i32],
        parallel: Parallel<'_>,
    ) {
        let Self { k, n, tb, bits } = *self;
        assert!(x.len() == k * n && out.len() == self.len(), "operands of other sizes");
        let operand = Operand { data: x, lines: n, k, by_line: tb };
        let parts: Vec<_> = out.chunks_mut(TASK_PANELS * self.panel()).map(Mutex::new).collect();
        parallel(parts.len(), &|index| {
            let first = index * TASK_PANELS * COLUMNS;
            let lines = first..(first + TASK_PANELS * COLUMNS).min(n);
            if let Ok(mut out) = parts[index].lock() {
                RIGHT.with_borrow_mut(|scratch| {
                    let Scratch { scales, lines: buffer, .. } = scratch;
                    pack_right(level, operand, (lines, max), bits, scales, buffer, &mut out);
                });
            }
        });
    }
}

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
        let max = AtomicU32::new(0);
        let parts: Vec<_> = out.chunks_mut(STRIP * n).map(Mutex::new).collect();
        parallel(parts.len(), &|index| {
            if let Ok(mut out) = parts[index].lock() {
                let found = self.strip(level, index, (a, a_max), packed, &mut out);
                max.fetch_max(found, Ordering::Relaxed);
            }
        });
        max.into_inner()
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
        let Self { pages, m, k, n, tb, bits, .. } = *self;
        assert!(
            a.len() == pages * m * k && b.len() == pages * k * n && out.len() == pages * m * n,
            "operands of other sizes"
        );
        let max = AtomicU32::new(0);
        let parts: Vec<_> = out.chunks_mut(m * n).map(Mutex::new).collect();
        parallel(pages, &|page| {
            let (a, b) = (&a[page * m * k..][..m * k], &b[page * k * n..][..k * n]);
            let operand = Operand { data: b, lines: n, k, by_line: tb };
            RIGHT.with_borrow_mut(|scratch| {
                let Scratch { scales, lines, packed, .. } = scratch;
                let packed = room(packed, self.pack().len());
                pack_right(level, operand, (0..n, b_max), bits, scales, lines, packed);
                if let Ok(mut out) = parts[page].lock() {
                    for (index, out) in out.chunks_mut(STRIP * n).enumerate() {
                        let found = self.strip(level, index, (a, a_max), packed, out);
                        max.fetch_max(found, Ordering::Relaxed);
                    }
                }
            });
        });
        max.into_inner()
    }

    /// One strip of one page; the bits of its maximum.
    fn strip(
        &self,
        level: Level,
        index: usize,
        (a, maxima): (&[f32], Maxima),
        right: &[i32],
        out: &mut [f32],
    ) -> u32 {
        let Self { m, k, n, ta, bits, .. } = *self;
        let x = Operand { data: a, lines: m, k, by_line: !ta };
        let rows = index * STRIP..((index + 1) * STRIP).min(m);
        let slices = Slices::new(bits);
        LEFT.with_borrow_mut(|scratch| {
            let task = Strip { level, x, maxima, rows, slices, bits, n };
            run_strip(level, &task, scratch, right, out)
        })
    }
}

for_each_level! {
    fn pack_right(
        x: Operand<'_>,
        of: (Range<usize>, Maxima),
        bits: u32,
        scales: &mut Scales,
        buffer: &mut Vec<i32>,
        out: &mut [i32],
    ) = pack_panels_of;
}

#[inline(always)]
fn pack_panels_of(
    x: Operand<'_>,
    (lines, maxima): (Range<usize>, Maxima),
    bits: u32,
    scales: &mut Scales,
    buffer: &mut Vec<i32>,
    out: &mut [i32],
) {
    x.scales(lines.clone(), maxima, bits, scales);
    let packing = Slices::new(bits).right();
    let panels = out.chunks_exact_mut(packing.panel(x.k));
    for (out, units) in panels.zip(scales.unit.chunks_exact(COLUMNS)) {
        let (_, to) = out.split_at_mut(out.len() - COLUMNS);
        for (to, unit) in to.iter_mut().zip(units) {
            // A power of two in the range of f32, or NaN.
            *to = (*unit as f32).to_bits() as i32;
        }
    }
    if x.by_line {
        packing.lines(x, lines.clone(), scales, buffer);
        turn(buffer, lines.len(), x.k.div_ceil(2), packing.count, out);
    } else {
        packing.panels(x, lines, scales, out);
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
        right: &[i32],
        out: &mut [f32],
    ) -> u32 = Strip::run;
}

impl Strip<'_> {
    #[inline(always)]
    fn run(&self, scratch: &mut Scratch, right: &[i32], out: &mut [f32]) -> u32 {
        let Self { x, rows, slices, n, .. } = self;
        let (n, pairs) = (*n, x.k.div_ceil(2));
        let Scratch { scales, packed, sums, tiles, .. } = scratch;
        x.scales(rows.clone(), self.maxima, self.bits, scales);
        let packing = slices.left();
        if x.by_line {
            packing.lines(*x, rows.clone(), scales, packed);
        } else {
            let size = rows.len().div_ceil(COLUMNS) * packing.panel(x.k);
            packing.panels(*x, rows.clone(), scales, room(packed, size));
        }
        let padded = n.next_multiple_of(COLUMNS);
        let chunk = slices.terms_max / 2;
        if pairs > chunk && sums.len() < STRIP * padded {
            sums.resize(STRIP * padded, 0.0);
        }
        let mut max = 0;
        for first in (0..pairs).step_by(chunk) {
            let span = first..(first + chunk).min(pairs);
            let panels = right.chunks_exact(slices.right().panel(x.k));
            for (panel, right) in (0..n).step_by(COLUMNS).zip(panels) {
                let (right, units) = right.split_at(right.len() - COLUMNS);
                for top in (0..rows.len()).step_by(ROWS) {
                    let mut values = self.tile(packed, right, top, &span, tiles);
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
                    let units: [f64; COLUMNS] =
                        std::array::from_fn(|j| f64::from(f32::from_bits(units[j] as u32)));
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

    /// The exact sums of one tile over the pairs of `span`: rows from `top`, and one panel.
    #[inline(always)]
    fn tile(
        &self,
        left: &[i32],
        right: &[i32],
        top: usize,
        span: &Range<usize>,
        tiles: &mut [Tile; 3],
    ) -> [[f64; COLUMNS]; ROWS] {
        let pairs = self.x.k.div_ceil(2);
        let (cut, packing) = (self.slices.cut, self.slices.left());
        let (start, slice, strides) = if self.x.by_line {
            let slice = self.rows.len().next_multiple_of(ROWS) * pairs;
            (top * pairs + span.start, slice, Strides { row: pairs, pair: 1 })
        } else {
            let panel = top / COLUMNS * packing.panel(self.x.k);
            let start = panel + span.start * COLUMNS + top % COLUMNS;
            (start, pairs * COLUMNS, Strides { row: 1, pair: COLUMNS })
        };
        for (index, tile) in tiles.iter_mut().enumerate().take(packing.count) {
            let of_right = if cut == Cut::Both { index } else { 0 };
            let a = &left[start + index * slice..];
            let b = &right[(of_right * pairs + span.start) * COLUMNS..];
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
