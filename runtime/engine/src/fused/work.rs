//! What one fused node does, apart from the engine that asks for it.
//!
//! The attributes, inputs and outputs of each are in [`dataforge_graph::onnx::fused`].

use super::lanes::{self, Input};
use super::level::Level;
use super::product::{Maxima, Pack, Parallel, Product};
use super::sums::{self, Sum};
use dataforge_graph::fused::program::{Program, ProgramError};
use dataforge_graph::onnx::fused::Kind;

/// Why a node cannot be set up or run. Models are ours, so each is our bug.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WorkError {
    /// An attribute is absent or makes no sense.
    #[error("attribute {0:?} is absent or wrong")]
    Attribute(&'static str),
    /// The program is none.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The inputs or outputs are not those of the node.
    #[error("{0}")]
    Operands(String),
}

/// A node, set up.
pub(crate) enum Work {
    Elementwise { program: Program, maxima: Vec<usize> },
    Pack { pack: Pack, slice: bool },
    MatMul { product: Product, slice: bool, gives_max: bool },
    ReduceSum { shape: Vec<usize>, axes: Vec<usize> },
    ScatterAdd { rows: usize, width: usize },
    MaxLast { width: usize },
    MaxAbs,
}

/// Integer lists by name; an empty one may be absent.
pub(crate) type Attributes<'a> = &'a dyn Fn(&str) -> Option<Vec<i64>>;

impl Work {
    /// Sets a node up.
    pub(crate) fn new(kind: Kind, attributes: Attributes<'_>) -> Result<Self, WorkError> {
        Ok(match kind {
            Kind::Elementwise => {
                let words = attributes("program").ok_or(WorkError::Attribute("program"))?;
                let program = Program::from_words(&words)?;
                Self::Elementwise { program, maxima: sizes(attributes, "maxima")? }
            }
            Kind::Pack => {
                let [k, n] = list(attributes, "sizes")?;
                let [tb, slice] = list(attributes, "flags")?.map(|flag| flag != 0);
                Self::Pack { pack: Pack { k, n, tb, bits: bits(attributes)? }, slice }
            }
            Kind::MatMul => {
                let [pages, m, k, n] = list(attributes, "sizes")?;
                let [ta, tb, slice, gives_max] = list(attributes, "flags")?.map(|flag| flag != 0);
                let bits = bits(attributes)?;
                let product = Product { pages, m, k, n, ta, tb, bits };
                Self::MatMul { product, slice, gives_max }
            }
            Kind::ReduceSum => {
                let (shape, axes) = (sizes(attributes, "sizes")?, sizes(attributes, "axes")?);
                Self::ReduceSum { shape, axes }
            }
            Kind::ScatterAdd => {
                let [rows, width, _] = list(attributes, "sizes")?;
                Self::ScatterAdd { rows, width }
            }
            Kind::MaxLast => {
                let [_, width] = list(attributes, "sizes")?;
                Self::MaxLast { width }
            }
            Kind::MaxAbs => Self::MaxAbs,
        })
    }

    /// How long the packed operand is, where packing is what the node does.
    pub(crate) fn packs(&self) -> Option<usize> {
        match self {
            Self::Pack { pack, .. } => Some(pack.len()),
            _ => None,
        }
    }

    /// Packs into `out`.
    pub(crate) fn pack(
        &self,
        level: Level,
        inputs: &[Input<'_>],
        out: &mut [i32],
        parallel: Parallel<'_>,
    ) -> Result<(), WorkError> {
        let (Self::Pack { pack, slice }, [x, maxima @ ..]) = (self, inputs) else {
            return Err(WorkError::Operands("nothing to pack".into()));
        };
        let x = floats(x)?;
        sized(x, pack.k * pack.n)?;
        pack.run(level, (x, scale(*slice, maxima.first())?), out, parallel);
        Ok(())
    }

    /// Computes the results; the bits of the maxima that follow them.
    pub(crate) fn run(
        &self,
        level: Level,
        inputs: &[Input<'_>],
        mut outputs: Vec<&mut [f32]>,
        parallel: Parallel<'_>,
    ) -> Result<Vec<u32>, WorkError> {
        if let Self::Elementwise { program, maxima } = self {
            if let Some(reason) = lanes::misfit(program, inputs, &outputs) {
                return Err(WorkError::Operands(reason));
            }
            return Ok(lanes::run(level, program, inputs, outputs, maxima, parallel));
        }
        match (self, inputs, &mut outputs[..]) {
            (Self::MatMul { product, slice, gives_max }, [a, b, maxima @ ..], [out]) => {
                let (a, a_max) = (floats(a)?, scale(*slice, maxima.first())?);
                let Product { pages, m, k, n, .. } = *product;
                sized(a, pages * m * k)?;
                sized(out, pages * m * n)?;
                let found = if let Input::Packed(b) = b {
                    sized(b, product.pack().len())?;
                    product.multiply_packed(level, (a, a_max), b, out, parallel)
                } else {
                    let (b, b_max) = (floats(b)?, scale(*slice, maxima.get(1))?);
                    sized(b, pages * k * n)?;
                    product.multiply(level, (a, a_max), (b, b_max), out, parallel)
                };
                Ok(if *gives_max { vec![found] } else { vec![] })
            }
            (Self::ReduceSum { shape, axes }, [x], [out]) => {
                let x = floats(x)?;
                sized(x, shape.iter().product())?;
                let kept = (0..).zip(shape).filter(|(axis, _)| !axes.contains(axis));
                sized(out, kept.map(|(_, extent)| extent).product())?;
                match Sum::new(shape, axes) {
                    Some(sum) => sum.run(level, x, out, parallel),
                    None => sums::scattered(x, shape, axes, out),
                }
                Ok(vec![])
            }
            (Self::ScatterAdd { rows, width }, [x, Input::Indices(ids), max], [out]) => {
                let x = floats(x)?;
                sized(x, rows * width)?;
                if ids.len() != *rows {
                    return Err(WorkError::Operands("indices of another number".into()));
                }
                let max = scalar(Some(max))?;
                let done = sums::scatter_add(level, x, ids, *width, max, out);
                let past = || WorkError::Operands("an index past the table".into());
                done.map(|()| vec![]).ok_or_else(past)
            }
            (Self::MaxLast { width }, [x], [out]) => {
                let x = floats(x)?;
                sized(x, out.len() * width)?;
                sums::max_last(level, x, *width, out, parallel);
                Ok(vec![])
            }
            (Self::MaxAbs, [x], [[out]]) => {
                *out = f32::from_bits(sums::max_abs(level, floats(x)?, parallel));
                Ok(vec![])
            }
            _ => Err(WorkError::Operands("operands of another number or kind".into())),
        }
    }
}

fn sizes(attributes: Attributes<'_>, name: &'static str) -> Result<Vec<usize>, WorkError> {
    let words = attributes(name).unwrap_or_default();
    let words = words.into_iter().map(usize::try_from).collect::<Result<_, _>>();
    words.map_err(|_| WorkError::Attribute(name))
}

fn list<const N: usize>(
    attributes: Attributes<'_>,
    name: &'static str,
) -> Result<[usize; N], WorkError> {
    sizes(attributes, name)?.try_into().map_err(|_| WorkError::Attribute(name))
}

fn bits(attributes: Attributes<'_>) -> Result<u32, WorkError> {
    let [bits] = list(attributes, "bits")?;
    let bits = u32::try_from(bits).ok().filter(|bits| (1..=22).contains(bits));
    bits.ok_or(WorkError::Attribute("bits"))
}

/// The scales of an operand: from its maximum, where it has one scale.
fn scale(slice: bool, max: Option<&Input<'_>>) -> Result<Maxima, WorkError> {
    if slice { Ok(Maxima::Slice) } else { scalar(max).map(Maxima::Tensor) }
}

/// Dimensions of each result, from one list: each after its length.
pub(crate) fn shapes(kind: Kind, attributes: Attributes<'_>) -> Result<Vec<Vec<i64>>, WorkError> {
    match kind {
        Kind::MaxAbs => return Ok(vec![vec![1]]),
        // Known to the node itself.
        Kind::Pack => return Ok(vec![]),
        _ => {}
    }
    let words = attributes("shapes").unwrap_or_default();
    let (mut shapes, mut rest) = (vec![], &words[..]);
    while let Some((rank, after)) = rest.split_first() {
        let rank = usize::try_from(*rank).ok().filter(|rank| *rank <= after.len());
        let (shape, after) = after.split_at(rank.ok_or(WorkError::Attribute("shapes"))?);
        shapes.push(shape.to_vec());
        rest = after;
    }
    Ok(shapes)
}

fn floats<'x>(input: &Input<'x>) -> Result<&'x [f32], WorkError> {
    match input {
        Input::Floats(data) => Ok(data),
        _ => Err(WorkError::Operands("no numbers where they should be".into())),
    }
}

fn scalar(input: Option<&Input<'_>>) -> Result<f32, WorkError> {
    match input {
        Some(Input::Floats([x])) => Ok(*x),
        _ => Err(WorkError::Operands("no maximum".into())),
    }
}

fn sized<T>(data: &[T], size: usize) -> Result<(), WorkError> {
    if data.len() == size {
        return Ok(());
    }
    Err(WorkError::Operands(format!("{} elements where {size} should be", data.len())))
}

#[cfg(test)]
mod tests;
