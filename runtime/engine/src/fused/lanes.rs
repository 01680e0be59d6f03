//! Runs elementwise programs: block by block of lanes that stay in the nearest cache, one vector
//! loop per instruction.
//!
//! Each instruction rounds once, as IEEE 754 says; Rust never contracts a product and a sum.

use super::level::{Level, for_each_level};
use super::product::Parallel;
use super::scale::magnitude_bits;
use dataforge_graph::composite::EXPONENT_MIN;
use dataforge_graph::fused::program::{
    Binary, DIGITS_MAX, Instruction, Program, Source, Unary, View,
};
use std::cell::RefCell;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

/// Lanes that an instruction works on at a time.
const BLOCK: usize = 256;
/// Lanes of one task.
const TASK: usize = 64 * BLOCK;

/// A register: the bits of one number per lane.
type Block = [u32; BLOCK];

/// What a program reads.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Input<'x> {
    /// Numbers, or truth values by their bits.
    Floats(&'x [f32]),
    /// Indices; beyond an `i32` they saturate, for no table is as large.
    Indices(&'x [i64]),
    /// An operand packed for a product; no program reads it.
    Packed(&'x [i32]),
}

impl Input<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Floats(data) => data.len(),
            Self::Indices(data) => data.len(),
            Self::Packed(data) => data.len(),
        }
    }

    /// The only element.
    fn scalar(&self) -> u32 {
        match self {
            Self::Floats(data) => data.first().map_or(0, |x| x.to_bits()),
            Self::Indices(data) => data.first().map_or(0, |i| index(*i)),
            Self::Packed(_) => 0,
        }
    }
}

#[inline(always)]
fn index(index: i64) -> u32 {
    index.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as u32
}

/// Why a program does not fit its operands.
pub(crate) fn misfit(
    program: &Program,
    inputs: &[Input<'_>],
    outputs: &[&mut [f32]],
) -> Option<String> {
    let input = |i: u16| inputs.get(usize::from(i)).map(Input::len);
    let fits = |instruction: &Instruction| match instruction {
        Instruction::Load { input: i, view, .. } => {
            let packed = matches!(inputs.get(usize::from(*i)), Some(Input::Packed(_)));
            !packed && input(*i).zip(view.last_offset()).is_some_and(|(len, last)| last < len)
        }
        Instruction::Store { output, .. } => usize::from(*output) < outputs.len(),
        _ => true,
    };
    let scalar = |source: &Source| match source {
        Source::Scalar(i) => input(*i) == Some(1),
        _ => true,
    };
    let wrong = program.code.iter().find(|step| !fits(step) || !step.sources().iter().all(scalar));
    if let Some(step) = wrong {
        return Some(format!("{step:?} does not fit the operands"));
    }
    let other = outputs.iter().any(|output| output.len() != program.lanes);
    other.then(|| "a result of another size".into())
}

/// Runs a program that fits its operands; for each output of `maxima` the bits of its max|x|.
/// Every output has the program's number of lanes.
pub(crate) fn run(
    level: Level,
    program: &Program,
    inputs: &[Input<'_>],
    outputs: Vec<&mut [f32]>,
    maxima: &[usize],
    parallel: Parallel<'_>,
) -> Vec<u32> {
    let found: Vec<AtomicU32> = maxima.iter().map(|_| AtomicU32::new(0)).collect();
    let mut parts: Vec<Vec<&mut [f32]>> = vec![];
    parts.resize_with(program.lanes.div_ceil(TASK), Vec::new);
    for output in outputs {
        for (part, lanes) in parts.iter_mut().zip(output.chunks_mut(TASK)) {
            part.push(lanes);
        }
    }
    let parts: Vec<_> = parts.into_iter().map(Mutex::new).collect();
    let scalars: Vec<u32> = inputs.iter().map(Input::scalar).collect();
    parallel(parts.len(), &|task| {
        let lanes = task * TASK..((task + 1) * TASK).min(program.lanes);
        let Ok(mut outputs) = parts[task].lock() else { return };
        REGISTERS.with_borrow_mut(|registers| {
            let needed = usize::from(program.registers) + 1;
            if registers.len() < needed {
                registers.resize_with(needed, || Box::new([0; BLOCK]));
            }
            let machine = Machine { program, inputs, scalars: &scalars, maxima };
            run_blocks(level, &machine, registers, &mut outputs, lanes, &found);
        });
    });
    found.into_iter().map(AtomicU32::into_inner).collect()
}

thread_local! {
    #[expect(clippy::vec_box, reason = "registers are swapped, not copied")]
    static REGISTERS: RefCell<Vec<Box<Block>>> = const { RefCell::new(vec![]) };
}

struct Machine<'x> {
    program: &'x Program,
    inputs: &'x [Input<'x>],
    scalars: &'x [u32],
    maxima: &'x [usize],
}

for_each_level! {
    fn run_blocks(
        machine: &Machine<'_>,
        registers: &mut [Box<Block>],
        outputs: &mut [&mut [f32]],
        lanes: Range<usize>,
        found: &[AtomicU32],
    ) = Machine::run;
}

/// An operand of an instruction, for one block.
#[derive(Clone, Copy)]
enum Operand<'r> {
    Lanes(&'r Block),
    One(u32),
}

impl Machine<'_> {
    #[inline(always)]
    fn run(
        &self,
        registers: &mut [Box<Block>],
        outputs: &mut [&mut [f32]],
        lanes: Range<usize>,
        found: &[AtomicU32],
    ) {
        // The result of an instruction is written beside the registers and then swapped in.
        let Some((spare, registers)) = registers.split_last_mut() else { return };
        let mut most = vec![0; outputs.len()];
        for first in lanes.clone().step_by(BLOCK) {
            let count = BLOCK.min(lanes.end - first);
            for instruction in &self.program.code {
                match instruction {
                    Instruction::Load { to, input, view } => {
                        let to = &mut registers[usize::from(*to)][..count];
                        match self.inputs[usize::from(*input)] {
                            Input::Floats(x) => load(view, x, first, to, |x| x.to_bits()),
                            Input::Indices(x) => load(view, x, first, to, index),
                            // Refused by `misfit`.
                            Input::Packed(_) => {}
                        }
                    }
                    Instruction::Unary { op, to, a } => {
                        unary(*op, self.operand(registers, *a), spare);
                        std::mem::swap(spare, &mut registers[usize::from(*to)]);
                    }
                    Instruction::Binary { op, to, a, b } => {
                        let (a, b) = (self.operand(registers, *a), self.operand(registers, *b));
                        binary(*op, a, b, spare);
                        std::mem::swap(spare, &mut registers[usize::from(*to)]);
                    }
                    Instruction::Select { to, which, a, b } => {
                        let [which, a, b] = [which, a, b].map(|s| self.operand(registers, *s));
                        select(which, a, b, spare);
                        std::mem::swap(spare, &mut registers[usize::from(*to)]);
                    }
                    Instruction::Store { output, from } => {
                        let at = usize::from(*output);
                        let from = self.operand(registers, *from);
                        let to = &mut outputs[at][first - lanes.start..][..count];
                        most[at] = store(from, to).max(most[at]);
                    }
                }
            }
        }
        for (found, output) in found.iter().zip(self.maxima) {
            found.fetch_max(most[*output], Ordering::Relaxed);
        }
    }

    #[inline(always)]
    fn operand<'r>(&self, registers: &'r [Box<Block>], source: Source) -> Operand<'r> {
        match source {
            Source::Register(i) => Operand::Lanes(&registers[usize::from(i)]),
            Source::Constant(i) => Operand::One(self.program.constants[usize::from(i)]),
            Source::Scalar(i) => Operand::One(self.scalars[usize::from(i)]),
        }
    }
}

/// Reads lanes from `first` on through a view.
#[inline(always)]
fn load<T: Copy>(
    view: &View,
    x: &[T],
    first: usize,
    to: &mut [u32],
    bits: impl Fn(T) -> u32 + Copy,
) {
    let Some(((extent, stride), outer)) = view.digits.split_last() else {
        to.fill(bits(x[0]));
        return;
    };
    let mut position = first % extent;
    // The outer digits, counted up from here.
    let mut digits = [0; DIGITS_MAX];
    let (mut rest, mut offset) = (first / extent, 0);
    for (digit, (extent, stride)) in digits.iter_mut().zip(outer).rev() {
        *digit = rest % extent;
        rest /= extent;
        offset += *digit * stride;
    }
    let mut to = to;
    loop {
        let (run, later) = to.split_at_mut((extent - position).min(to.len()));
        if let Some(order) = &view.order {
            for (to, j) in run.iter_mut().zip(&order[position..]) {
                *to = bits(x[offset + j * stride]);
            }
        } else if *stride == 1 {
            for (to, x) in run.iter_mut().zip(&x[offset + position..]) {
                *to = bits(*x);
            }
        } else if *stride == 0 {
            run.fill(bits(x[offset]));
        } else {
            for (j, to) in run.iter_mut().enumerate() {
                *to = bits(x[offset + (position + j) * stride]);
            }
        }
        if later.is_empty() {
            return;
        }
        to = later;
        position = 0;
        for (digit, (extent, stride)) in digits.iter_mut().zip(outer).rev() {
            *digit += 1;
            offset += stride;
            if *digit < *extent {
                break;
            }
            offset -= *digit * stride;
            *digit = 0;
        }
    }
}

#[inline(always)]
fn map1(a: Operand<'_>, to: &mut Block, f: impl Fn(f32) -> f32) {
    match a {
        Operand::Lanes(a) => {
            for (to, a) in to.iter_mut().zip(a) {
                *to = f(f32::from_bits(*a)).to_bits();
            }
        }
        Operand::One(a) => to.fill(f(f32::from_bits(a)).to_bits()),
    }
}

#[inline(always)]
fn map2(a: Operand<'_>, b: Operand<'_>, to: &mut Block, f: impl Fn(u32, u32) -> u32) {
    match (a, b) {
        (Operand::Lanes(a), Operand::Lanes(b)) => {
            for ((to, a), b) in to.iter_mut().zip(a).zip(b) {
                *to = f(*a, *b);
            }
        }
        (Operand::Lanes(a), Operand::One(b)) => {
            for (to, a) in to.iter_mut().zip(a) {
                *to = f(*a, b);
            }
        }
        (Operand::One(a), Operand::Lanes(b)) => {
            for (to, b) in to.iter_mut().zip(b) {
                *to = f(a, *b);
            }
        }
        (Operand::One(a), Operand::One(b)) => to.fill(f(a, b)),
    }
}

#[inline(always)]
fn unary(op: Unary, a: Operand<'_>, to: &mut Block) {
    match op {
        Unary::Neg => map1(a, to, |a| -a),
        Unary::Abs => map1(a, to, f32::abs),
        Unary::Sqrt => map1(a, to, f32::sqrt),
        Unary::Floor => map1(a, to, f32::floor),
        Unary::PowerOfTwo => map1(a, to, power_of_two),
    }
}

/// 2ⁿ for n = a + [`EXPONENT_MIN`] as the product of two powers that are normal numbers: exact, or
/// rounded once where it is subnormal.
#[inline(always)]
fn power_of_two(a: f32) -> f32 {
    // Adding this to a small integer puts it into the low bits.
    const LOW_BITS: f32 = 12_582_912.0;
    let n = (a + LOW_BITS).to_bits().wrapping_sub(LOW_BITS.to_bits()) as i32;
    let n = n.wrapping_add(i32::from(EXPONENT_MIN));
    let half = n >> 1;
    let power = |n: i32| f32::from_bits((n.wrapping_add(127) as u32) << 23);
    power(half) * power(n.wrapping_sub(half))
}

#[inline(always)]
fn binary(op: Binary, a: Operand<'_>, b: Operand<'_>, to: &mut Block) {
    #[inline(always)]
    fn floats(f: impl Fn(f32, f32) -> f32) -> impl Fn(u32, u32) -> u32 {
        move |a, b| f(f32::from_bits(a), f32::from_bits(b)).to_bits()
    }
    let truth = |truth: bool| if truth { u32::MAX } else { 0 };
    match op {
        Binary::Add => map2(a, b, to, floats(|a, b| a + b)),
        Binary::Sub => map2(a, b, to, floats(|a, b| a - b)),
        Binary::Mul => map2(a, b, to, floats(|a, b| a * b)),
        Binary::Div => map2(a, b, to, floats(|a, b| a / b)),
        Binary::Max => map2(a, b, to, floats(max)),
        Binary::Less => map2(a, b, to, |a, b| truth(f32::from_bits(a) < f32::from_bits(b))),
        Binary::Equal => map2(a, b, to, |a, b| truth(a == b)),
    }
}

/// The larger, or NaN where either is.
#[inline(always)]
pub(crate) fn max(a: f32, b: f32) -> f32 {
    if a > b {
        a
    } else if b >= a {
        b
    } else {
        a + b
    }
}

#[inline(always)]
fn select(which: Operand<'_>, a: Operand<'_>, b: Operand<'_>, to: &mut Block) {
    let mut lanes = |which: &Block| match (a, b) {
        (Operand::Lanes(a), Operand::Lanes(b)) => {
            for (((to, which), a), b) in to.iter_mut().zip(which).zip(a).zip(b) {
                *to = if *which == 0 { *b } else { *a };
            }
        }
        (Operand::One(a), Operand::Lanes(b)) => {
            for ((to, which), b) in to.iter_mut().zip(which).zip(b) {
                *to = if *which == 0 { *b } else { a };
            }
        }
        (Operand::Lanes(a), Operand::One(b)) => {
            for ((to, which), a) in to.iter_mut().zip(which).zip(a) {
                *to = if *which == 0 { b } else { *a };
            }
        }
        (Operand::One(a), Operand::One(b)) => {
            for (to, which) in to.iter_mut().zip(which) {
                *to = if *which == 0 { b } else { a };
            }
        }
    };
    match which {
        Operand::Lanes(which) => lanes(which),
        Operand::One(which) => lanes(&[which; BLOCK]),
    }
}

/// Writes lanes; the bits of their max|x|.
#[inline(always)]
fn store(from: Operand<'_>, to: &mut [f32]) -> u32 {
    let mut max = 0;
    match from {
        Operand::Lanes(from) => {
            for (to, from) in to.iter_mut().zip(from) {
                *to = f32::from_bits(*from);
                max = max.max(magnitude_bits(*to));
            }
        }
        Operand::One(from) => {
            to.fill(f32::from_bits(from));
            max = magnitude_bits(f32::from_bits(from));
        }
    }
    max
}
