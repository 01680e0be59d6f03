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

/// Panels of the result that one task computes, whose sums stay near.
const GROUP: usize = 8;

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
    /// Lines that are packed together where this is the left operand.
    fn block(&self) -> usize {
        if self.by_line { ROWS } else { COLUMNS }
    }

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
struct Packing {
    count: usize,
    shift: u32,
    wide: bool,
}

impl Packing {
    /// Length of a panel or block of so many lines.
    fn length(self, lines: usize, k: usize) -> usize {
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
    static PACKER: RefCell<Packer> = RefCell::default();
    static LEFT: RefCell<Vec<i32>> = RefCell::default();
    static RIGHT: RefCell<Vec<i32>> = RefCell::default();
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// For what is not worth other threads.
const SERIAL: Parallel<'static> = &|tasks, task| (0..tasks).for_each(task);

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
                PACKER.with_borrow_mut(|packer| {
                    pack_right(level, operand, lines, max, bits, packer, &mut out);
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
        let x = Operand { data: a, lines: m, k, by_line: !ta };
        let slices = Slices::new(bits);
        let strip_length = slices.left().length(STRIP, k);
        LEFT.with_borrow_mut(|left| {
            let left = room(left, slices.left().length(m.next_multiple_of(x.block()), k));
            let blocks = left.chunks_mut(slices.left().length(x.block(), k));
            let blocks: Vec<_> = blocks.map(Mutex::new).collect();
            parallel(blocks.len(), &|index| {
                let lines = index * x.block()..((index + 1) * x.block()).min(m);
                if let Ok(mut out) = blocks[index].lock() {
                    PACKER.with_borrow_mut(|Packer { scales, .. }| {
                        pack_left(level, x, lines, maxima, bits, scales, &mut out);
                    });
                }
            });
            drop(blocks);
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

for_each_level! {
    fn pack_right(
        x: Operand<'_>,
        lines: Range<usize>,
        maxima: Maxima,
        bits: u32,
        packer: &mut Packer,
        out: &mut [i32],
    ) = pack_panels_of;
}

#[inline(always)]
fn pack_panels_of(
    x: Operand<'_>,
    lines: Range<usize>,
    maxima: Maxima,
    bits: u32,
    Packer { scales, lines: buffer }: &mut Packer,
    out: &mut [i32],
) {
    x.scales(lines.clone(), maxima, bits, scales);
    let packing = Slices::new(bits).right();
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
    fn pack_left(
        x: Operand<'_>,
        lines: Range<usize>,
        maxima: Maxima,
        bits: u32,
        scales: &mut Scales,
        out: &mut [i32],
    ) = pack_block_of;
}

#[inline(always)]
fn pack_block_of(
    x: Operand<'_>,
    lines: Range<usize>,
    maxima: Maxima,
    bits: u32,
    scales: &mut Scales,
    out: &mut [i32],
) {
    x.scales(lines.clone(), maxima, bits, scales);
    let packing = Slices::new(bits).left();
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
fn unit(bits: i32) -> f64 {
    f64::from(f32::from_bits(bits as u32))
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
