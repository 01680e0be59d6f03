//! Operators that stand for several: normalisations, softmax, attention.

use super::product::{mean, product, sum};
use super::{Node, Results, axis};
use crate::activation;
use crate::ir::Element;
use crate::onnx::import::CONSTANT_ELEMENTS_MAX;
use crate::onnx::import::error::Problem;
use crate::onnx::import::fold::{Binary, Builder, Item, Unary};
use crate::onnx::import::tensor::limited;

/// Added to a score that a position may not see; as in the built-in families.
const MASKED: f64 = -1e9;

pub(super) fn identity(_: &mut Builder<'_>, node: &Node<'_>) -> Results {
    Ok(vec![node.get(0)?.clone()])
}

/// At inference: nothing.
pub(super) fn dropout(_: &mut Builder<'_>, node: &Node<'_>) -> Results {
    node.attributes.ignore("seed");
    if node.optional(2).is_some() && node.number(2)? != 0.0 {
        return Err(Problem::Operand(2));
    }
    Ok(vec![node.get(0)?.clone()])
}

pub(super) fn softmax(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    let x = node.get(0)?;
    let rank = b.shape(x).len();
    let axis = axis(node.attributes.integer("axis", -1)?, rank)?;
    let moved = b.swap(x, axis, rank - 1)?;
    let shares = shares(b, &moved)?;
    Ok(vec![b.swap(&shares, axis, rank - 1)?])
}

/// Exact, or by the hyperbolic tangent.
pub(super) fn gelu(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    let x = node.get(0)?;
    let value = b.live_float(x)?;
    let result = match node.attributes.text("approximate", "none")? {
        "none" => activation::gelu(b.g, value),
        "tanh" => activation::gelu_tanh(b.g, value),
        _ => return Err(Problem::Attribute("approximate".into())),
    };
    Ok(vec![Item::Live(result)])
}

/// Softmax over the last dimension.
fn shares(b: &mut Builder<'_>, x: &Item) -> Result<Item, Problem> {
    let value = b.live_float(x)?;
    Ok(Item::Live(b.g.softmax(value)))
}

/// The dimensions from `axis` on.
fn normalised(b: &Builder<'_>, node: &Node<'_>) -> Result<Vec<usize>, Problem> {
    let rank = b.shape(node.get(0)?).len();
    let first = axis(node.attributes.integer("axis", -1)?, rank)?;
    if node.attributes.integer("stash_type", 1)? != 1 {
        return Err(Problem::Attribute("stash_type".into()));
    }
    Ok((first..rank).collect())
}

type Mean = fn(&mut Builder<'_>, &Item, &[usize]) -> Result<Item, Problem>;

/// x / √(mean x² + ε).
fn root_mean_square(
    b: &mut Builder<'_>,
    x: &Item,
    over: &[usize],
    mean: Mean,
    epsilon: f32,
) -> Result<Item, Problem> {
    let square = b.binary(Binary::Mul, x, x)?;
    let mean = mean(b, &square, over)?;
    let epsilon = b.scalar(epsilon);
    let shifted = b.binary(Binary::Add, &mean, &epsilon)?;
    let root = b.unary(Unary::Sqrt, &shifted)?;
    b.binary(Binary::Div, x, &root)
}

/// The result of x's shape, times γ, plus β where there is one.
fn affine(b: &mut Builder<'_>, node: &Node<'_>, normal: &Item) -> Results {
    let shape = b.shape(normal);
    let mut result = b.binary(Binary::Mul, normal, node.get(1)?)?;
    if let Some(beta) = node.optional(2) {
        result = b.binary(Binary::Add, &result, beta)?;
    }
    if b.shape(&result) != shape {
        return Err(Problem::Operand(1));
    }
    Ok(vec![result])
}

/// Zhang & Sennrich 2019, in the order of [`crate::llama`].
pub(super) fn rms_normalization(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    let over = normalised(b, node)?;
    let epsilon = node.attributes.float("epsilon", 1e-5)?;
    let normal = root_mean_square(b, node.get(0)?, &over, mean, epsilon)?;
    affine(b, node, &normal)
}

/// Ba, Kiros & Hinton 2016, in the order of [`crate::bert`].
pub(super) fn layer_normalization(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    let over = normalised(b, node)?;
    let epsilon = node.attributes.float("epsilon", 1e-5)?;
    let x = node.get(0)?;
    let mean = quotient_mean(b, x, &over)?;
    let centred = b.binary(Binary::Sub, x, &mean)?;
    let normal = root_mean_square(b, &centred, &over, quotient_mean, epsilon)?;
    affine(b, node, &normal)
}

/// The sum over n, where [`mean`] multiplies by 1/n.
fn quotient_mean(b: &mut Builder<'_>, x: &Item, over: &[usize]) -> Result<Item, Problem> {
    let shape = b.shape(x);
    let terms = over.iter().map(|i| shape[*i] as f32).product();
    let (sum, terms) = (sum(b, x, over)?, b.scalar(terms));
    b.binary(Binary::Div, &sum, &terms)
}

/// Scaled dot-product attention without a cache: softmax(q kᵀ · scale + mask) v over stacks
/// `[rows, heads, positions, width]`. Queries that share a key head lie end to end, as in
/// [`crate::llama`].
pub(super) fn attention(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    let a = &node.attributes;
    let flat = b.shape(node.get(0)?).len() == 3;
    let [q, k, v] = [heads(b, node, 0)?, heads(b, node, 1)?, heads(b, node, 2)?];
    if a.float("softcap", 0.0)? != 0.0 || a.integer("qk_matmul_output_mode", 0)? != 0 {
        return Err(Problem::Attribute("softcap".into()));
    }
    a.ignore("softmax_precision");
    let misfit = |b: &Builder<'_>| {
        let shapes = [&q, &k, &v].map(|x| b.shape(x));
        Problem::Shape(format!("no attention of {shapes:?}"))
    };
    let [rows, heads, queries, width] = *b.shape(&q) else { return Err(misfit(b)) };
    let [_, kv_heads, keys, _] = *b.shape(&k) else { return Err(misfit(b)) };
    let [.., value_width] = *b.shape(&v) else { return Err(misfit(b)) };
    let fits = b.shape(&k) == [rows, kv_heads, keys, width]
        && b.shape(&v) == [rows, kv_heads, keys, value_width]
        && heads.checked_rem(kv_heads) == Some(0);
    if !fits || width == 0 {
        return Err(misfit(b));
    }
    let group = heads / kv_heads;
    let scale = a.optional_float("scale")?.unwrap_or((1.0 / (width as f64).sqrt()) as f32);
    let scale = b.scalar(scale);
    let q = b.binary(Binary::Mul, &q, &scale)?;
    let q = b.reshape(&q, &[rows, kv_heads, group * queries, width])?;
    let k = b.swap(&k, 2, 3)?;
    let mut scores = product(b, &q, &k)?;
    scores = b.reshape(&scores, &[rows, heads, queries, keys])?;
    if a.flag("is_causal", false)? {
        let mask = causal(b, queries, keys)?;
        scores = b.binary(Binary::Add, &scores, &mask)?;
    }
    if let Some(mask) = node.optional(3) {
        scores = masked(b, &scores, mask)?;
    }
    let shares = shares(b, &scores)?;
    let shares = b.reshape(&shares, &[rows, kv_heads, group * queries, keys])?;
    let mixed = product(b, &shares, &v)?;
    let mixed = b.reshape(&mixed, &[rows, heads, queries, value_width])?;
    if !flat {
        return Ok(vec![mixed]);
    }
    let mixed = b.swap(&mixed, 1, 2)?;
    Ok(vec![b.reshape(&mixed, &[rows, queries, heads * value_width])?])
}

/// An operand of attention as `[rows, heads, positions, width]`.
fn heads(b: &mut Builder<'_>, node: &Node<'_>, slot: usize) -> Result<Item, Problem> {
    let x = node.get(slot)?;
    b.expect(x, Element::F32)?;
    let name = if slot == 0 { "q_num_heads" } else { "kv_num_heads" };
    let heads = node.attributes.integer(name, 0)?;
    let shape = b.shape(x);
    let [rows, positions, all] = *shape else { return Ok(x.clone()) };
    let heads = usize::try_from(heads).ok().filter(|heads| all.checked_rem(*heads) == Some(0));
    let heads = heads.ok_or_else(|| Problem::Attribute(name.into()))?;
    let split = b.reshape(x, &[rows, positions, heads, all / heads])?;
    b.swap(&split, 1, 2)
}

fn causal(b: &mut Builder<'_>, queries: usize, keys: usize) -> Result<Item, Problem> {
    limited(&[queries, keys], CONSTANT_ELEMENTS_MAX)?;
    let cell = |i: usize| if i % keys > i / keys { MASKED } else { 0.0 };
    b.known(Element::F32, vec![queries, keys], (0..queries * keys).map(cell).collect())
}

/// Scores with a mask added, or with those pushed down where it is false.
fn masked(b: &mut Builder<'_>, scores: &Item, mask: &Item) -> Result<Item, Problem> {
    let mask = if b.element(mask) == Element::Bool {
        let (zero, down) = (b.scalar(0.0), b.scalar(MASKED as f32));
        b.select(mask, &zero, &down)?
    } else {
        mask.clone()
    };
    let shape = b.shape(scores);
    let sum = b.binary(Binary::Add, scores, &mask)?;
    if b.shape(&sum) == shape { Ok(sum) } else { Err(Problem::Operand(3)) }
}
