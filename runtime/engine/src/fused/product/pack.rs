//! Cutting operands of exact products into 16-bit slices, in the order in which tiles read them.

use super::Parallel;
use crate::fused::level::{Level, for_each_level};
use crate::fused::scale::{Scale, integer, integer_max, magnitude_bits, max_magnitude_bits};
use crate::fused::tile::{COLUMNS, ROWS};
use std::cell::RefCell;
use std::ops::Range;
use std::sync::Mutex;

/// Panels that one task packs.
const TASK_PANELS: usize = 4;

/// Pairs of a line that are packed at a time.
const LINE_PAIRS: usize = 16;

/// Terms that share a pass over the result, at most: what of two panels fits the nearest cache.
const CHUNK: usize = 256;

/// Bits up to which both operands are one slice.
const WHOLE_BITS: u32 = 12;

/// Bits up to which the right operand is one slice: all that a slice holds.
const SLICE_BITS: u32 = 14;

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
pub(super) enum Cut {
    /// Both operands are one slice.
    Neither,
    /// The left operand has a high and a low slice.
    Left,
    /// Both operands have a high slice, a low one, and the sum of the two.
    Both,
}

/// How integers are cut, and where.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slices {
    pub(super) cut: Cut,
    /// Bits of a low slice, its sign among them.
    pub(super) shift: u32,
    /// Whether an integer may exceed 2²².
    wide: bool,
    /// Terms whose sum fits an `i32`, even.
    pub(super) terms_max: usize,
}

impl Slices {
    pub(super) fn new(bits: u32) -> Self {
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
    pub(super) fn left(self) -> Packing {
        let count = match self.cut {
            Cut::Neither => 1,
            Cut::Left => 2,
            Cut::Both => 3,
        };
        Packing { count, shift: self.shift, wide: self.wide }
    }

    /// Of the right operand.
    pub(super) fn right(self) -> Packing {
        let count = if self.cut == Cut::Both { 3 } else { 1 };
        Packing { count, shift: self.shift, wide: self.wide }
    }
}

/// One operand of one page: `lines` rows (or columns) that are contracted over `k` terms.
#[derive(Clone, Copy)]
pub(super) struct Operand<'x> {
    pub(super) data: &'x [f32],
    pub(super) lines: usize,
    pub(super) k: usize,
    /// Whether a line's terms lie side by side; otherwise a term's lines do.
    pub(super) by_line: bool,
    pub(super) maxima: Maxima,
    /// Bits that it keeps.
    pub(super) bits: u32,
}

impl Operand<'_> {
    /// Packs all lines of a left operand, as blocks or panels.
    pub(super) fn pack_left(self, level: Level, out: &mut [i32], parallel: Parallel<'_>) {
        let blocks = out.chunks_mut(Slices::new(self.bits).left().length(self.block(), self.k));
        let blocks: Vec<_> = blocks.map(Mutex::new).collect();
        parallel(blocks.len(), &|index| {
            let lines = index * self.block()..((index + 1) * self.block()).min(self.lines);
            if let Ok(mut out) = blocks[index].lock() {
                PACKER.with_borrow_mut(|Packer { scales, .. }| {
                    pack_left(level, self, lines, scales, &mut out);
                });
            }
        });
    }

    /// Lines that are packed together where this is the left operand.
    pub(super) fn block(&self) -> usize {
        if self.by_line { ROWS } else { COLUMNS }
    }

    /// The scales of `lines`, filled up to whole panels.
    #[inline(always)]
    fn scales(&self, lines: Range<usize>, into: &mut Scales) {
        let bits = self.bits;
        into.reset(lines.len().next_multiple_of(COLUMNS));
        match self.maxima {
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

/// Scales of L lines side by side: C, and the two factors of 1 / unit.
type LaneScales<'x, const L: usize> = [&'x [f32; L]; 3];

/// The first N slices of L pairs of terms: high, low, sum; or the integers where N is 1. Whole
/// arrays in and out, so that all of it stays in vector registers.
#[inline(always)]
fn cut<const N: usize, const L: usize, const WIDE: bool>(
    terms: [&[f32; L]; 2],
    [c, up0, up1]: LaneScales<'_, L>,
    shift: u32,
) -> [[i32; L]; N] {
    let mut slices = [[0; L]; N];
    let half = if N > 1 { 1 << (shift - 1) } else { 0 };
    for j in 0..L {
        let n = terms.map(|x| integer::<WIDE>(x[j], c[j], up0[j], up1[j]));
        if N == 1 {
            slices[0][j] = pair(n[0], n[1]);
            continue;
        }
        let high = n.map(|n| (n + half) >> shift);
        let low = [n[0] - (high[0] << shift), n[1] - (high[1] << shift)];
        let sum = [high[0] + low[0], high[1] + low[1]];
        for (slice, [first, second]) in slices.iter_mut().zip([high, low, sum]) {
            slice[j] = pair(first, second);
        }
    }
    slices
}

/// How an operand is packed: into how many slices, cut where, and whether integers may exceed 2²².
#[derive(Debug, Clone, Copy)]
pub(super) struct Packing {
    pub(super) count: usize,
    shift: u32,
    wide: bool,
}

impl Packing {
    /// Length of a panel or block of so many lines.
    pub(super) fn length(self, lines: usize, k: usize) -> usize {
        (self.count * k.div_ceil(2) + 1) * lines
    }

    /// Packs `lines` whose terms lie side by side: `[slice][line][pair]`, with room for whole
    /// tiles.
    #[inline(always)]
    fn lines(self, x: Operand<'_>, lines: Range<usize>, scales: &Scales, out: &mut [i32]) {
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
pub(super) fn room(data: &mut Vec<i32>, size: usize) -> &mut [i32] {
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

/// The first terms of pairs, and the second.
#[inline(always)]
fn halves(terms: &[f32; 2 * LINE_PAIRS]) -> [[f32; LINE_PAIRS]; 2] {
    let mut halves = [[0.0; LINE_PAIRS]; 2];
    for p in 0..LINE_PAIRS {
        halves[0][p] = terms[2 * p];
        halves[1][p] = terms[2 * p + 1];
    }
    halves
}

#[inline(always)]
fn pack_lines<const N: usize, const WIDE: bool>(
    x: Operand<'_>,
    lines: Range<usize>,
    scales: &Scales,
    shift: u32,
    out: &mut [i32],
) {
    let pairs = x.k.div_ceil(2);
    let (used, size) = (lines.len() * pairs, lines.len().next_multiple_of(ROWS) * pairs);
    let mut slices = parts::<N>(out, size);
    slices.iter_mut().for_each(|slice| slice[used..].fill(0));
    for (row, line) in lines.enumerate() {
        let [c, up0, up1] =
            [&scales.c, &scales.up0, &scales.up1].map(|part| [part[row]; LINE_PAIRS]);
        let mut to = slices.each_mut().map(|slice| &mut slice[row * pairs..][..pairs]);
        let terms = x.data[line * x.k..][..x.k].chunks(2 * LINE_PAIRS);
        for (first, terms) in (0..).step_by(LINE_PAIRS).zip(terms) {
            let [even, odd] = match terms.first_chunk() {
                Some(terms) => halves(terms),
                None => {
                    let mut padded = [0.0; 2 * LINE_PAIRS];
                    padded[..terms.len()].copy_from_slice(terms);
                    halves(&padded)
                }
            };
            let cuts = cut::<N, LINE_PAIRS, WIDE>([&even, &odd], [&c, &up0, &up1], shift);
            for (to, cut) in to.iter_mut().zip(&cuts) {
                let to = &mut to[first..];
                match to.first_chunk_mut() {
                    Some(to) => *to = *cut,
                    None => to.copy_from_slice(&cut[..to.len()]),
                }
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
            let terms = terms.each_ref();
            let cuts = cut::<N, COLUMNS, WIDE>(terms, [c, up0, up1], shift);
            for (slice, cut) in slices.iter_mut().zip(&cuts) {
                if let Some(to) = slice[p * COLUMNS..].first_chunk_mut() {
                    *to = *cut;
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

/// Buffers for packing that a thread keeps between products.
#[derive(Default)]
struct Packer {
    scales: Scales,
    lines: Vec<i32>,
}

thread_local! {
    static PACKER: RefCell<Packer> = RefCell::default();
}

impl Pack {
    fn panel(&self) -> usize {
        Slices::new(self.bits).right().length(COLUMNS, self.k)
    }

    /// Length of the packed operand.
    pub(crate) fn len(&self) -> usize {
        self.n.div_ceil(COLUMNS) * self.panel()
    }

    /// Packs into `out`.
    pub(crate) fn run(
        &self,
        level: Level,
        (x, maxima): (&[f32], Maxima),
        out: &mut [i32],
        parallel: Parallel<'_>,
    ) {
        let Self { k, n, tb, bits } = *self;
        assert!(x.len() == k * n && out.len() == self.len(), "operands of other sizes");
        let operand = Operand { data: x, lines: n, k, by_line: tb, maxima, bits };
        let parts: Vec<_> = out.chunks_mut(TASK_PANELS * self.panel()).map(Mutex::new).collect();
        parallel(parts.len(), &|index| {
            let first = index * TASK_PANELS * COLUMNS;
            let lines = first..(first + TASK_PANELS * COLUMNS).min(n);
            if let Ok(mut out) = parts[index].lock() {
                PACKER.with_borrow_mut(|packer| {
                    pack_right(level, operand, lines, packer, &mut out);
                });
            }
        });
    }
}

for_each_level! {
    fn pack_right(x: Operand<'_>, lines: Range<usize>, packer: &mut Packer, out: &mut [i32])
        = pack_panels_of;
}

#[inline(always)]
fn pack_panels_of(
    x: Operand<'_>,
    lines: Range<usize>,
    Packer { scales, lines: buffer }: &mut Packer,
    out: &mut [i32],
) {
    x.scales(lines.clone(), scales);
    let packing = Slices::new(x.bits).right();
    let panels = out.chunks_exact_mut(packing.length(COLUMNS, x.k));
    panels.zip(scales.unit.chunks_exact(COLUMNS)).for_each(|(panel, units)| end(panel, units));
    if x.by_line {
        let pairs = x.k.div_ceil(2);
        let buffer = room(buffer, packing.count * lines.len().next_multiple_of(ROWS) * pairs);
        packing.lines(x, lines.clone(), scales, buffer);
        turn(buffer, lines.len(), pairs, packing.count, out);
    } else {
        packing.panels(x, lines, scales, out);
    }
}

for_each_level! {
    fn pack_left(x: Operand<'_>, lines: Range<usize>, scales: &mut Scales, out: &mut [i32])
        = pack_block_of;
}

#[inline(always)]
fn pack_block_of(x: Operand<'_>, lines: Range<usize>, scales: &mut Scales, out: &mut [i32]) {
    x.scales(lines.clone(), scales);
    let packing = Slices::new(x.bits).left();
    end(out, &scales.unit[..x.block()]);
    if x.by_line {
        packing.lines(x, lines, scales, out);
    } else {
        packing.panels(x, lines, scales, out);
    }
}

/// Ends a panel or block with the units of its lines: powers of two in the range of f32, or NaN.
fn end(packed: &mut [i32], units: &[f64]) {
    let (_, to) = packed.split_at_mut(packed.len() - units.len());
    for (to, unit) in to.iter_mut().zip(units) {
        *to = (*unit as f32).to_bits() as i32;
    }
}

/// The units at the end of a panel or block.
#[inline(always)]
pub(super) fn unit(bits: i32) -> f64 {
    f64::from(f32::from_bits(bits as u32))
}
