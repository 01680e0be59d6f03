//! Operators that add up: matrix products and reductions.

use super::{Node, Results, axes};
use crate::exact::PRODUCT_TERMS_MAX;
use crate::interp::Tensor;
use crate::ir::{Element, Value, count, keep_one};
use crate::onnx::import::error::Problem;
use crate::onnx::import::fold::{Binary, Builder, Item, Unary, wrong};
use crate::onnx::import::tensor::limited;
use crate::onnx::import::{CONSTANT_ELEMENTS_MAX, ELEMENTS_MAX};

pub(super) fn matmul(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    Ok(vec![product(b, node.get(0)?, node.get(1)?)?])
}

/// x · y by NumPy's rules for stacks of matrices. A stack times one matrix becomes one product of
/// all rows; other stacks are repeated until they agree.
pub(super) fn product(b: &mut Builder<'_>, x: &Item, y: &Item) -> Result<Item, Problem> {
    let (sx, sy) = (b.shape(x), b.shape(y));
    let misfit = || Problem::Shape(format!("no product of {sx:?} and {sy:?}"));
    if sx.is_empty() || sy.is_empty() {
        return Err(misfit());
    }
    // A vector is a row on the left, a column on the right; its dimension is taken off again.
    let x = if sx.len() == 1 { b.reshape(x, &[1, sx[0]])? } else { x.clone() };
    let y = if sy.len() == 1 { b.reshape(y, &[sy[0], 1])? } else { y.clone() };
    let (mx, my) = (b.shape(&x), b.shape(&y));
    let [lead_x @ .., m, k] = mx.as_slice() else { return Err(misfit()) };
    let [lead_y @ .., other, n] = my.as_slice() else { return Err(misfit()) };
    if k != other {
        return Err(misfit());
    }
    terms(*k)?;
    let lead = crate::onnx::import::fold::broadcast(lead_x, lead_y)?;
    let full = [lead.as_slice(), &[*m, *n]].concat();
    limited(&full, ELEMENTS_MAX)?;
    let result = if lead_y.is_empty() {
        let rows = b.reshape(&x, &[count(lead_x) * m, *k])?;
        let flat = pages(b, &rows, &y)?;
        b.reshape(&flat, &full)?
    } else {
        let x = b.expand(&x, &[lead.as_slice(), &[*m, *k]].concat())?;
        let y = b.expand(&y, &[lead.as_slice(), &[*k, *n]].concat())?;
        pages(b, &x, &y)?
    };
    let mut shape = full;
    if sx.len() == 1 {
        shape.remove(lead.len());
    }
    if sy.len() == 1 {
        shape.pop();
    }
    b.reshape(&result, &shape)
}

/// Refuses a contraction that no width of operands makes exact.
fn terms(k: usize) -> Result<(), Problem> {
    if (1..=PRODUCT_TERMS_MAX).contains(&k) {
        Ok(())
    } else {
        Err(Problem::Range(format!("no exact sum over {k} terms")))
    }
}

/// The product of matrices whose leading dimensions agree.
fn pages(b: &mut Builder<'_>, x: &Item, y: &Item) -> Result<Item, Problem> {
    b.expect(x, Element::F32)?;
    b.expect(y, Element::F32)?;
    if let (Item::Known(x), Item::Known(y)) = (x, y) {
        return known_pages(b, &x.tensor, &y.tensor);
    }
    // A transposition of the last two dimensions is part of the product.
    let (x, tx) = untransposed(b, x)?;
    let (y, ty) = untransposed(b, y)?;
    b.matmul(x, y, tx, ty)
}

fn untransposed(b: &mut Builder<'_>, x: &Item) -> Result<(Value, bool), Problem> {
    let value = b.live(x)?;
    let node = b.g.node(value);
    let rank = node.shape.len();
    let mut swap: Vec<usize> = (0..rank).collect();
    swap.swap(rank - 1, rank - 2);
    let swapped = node.op == crate::ir::Op::Transpose(swap);
    Ok(if swapped { (node.inputs[0], true) } else { (value, false) })
}

/// In f64, in order, rounded once.
fn known_pages(b: &mut Builder<'_>, x: &Tensor, y: &Tensor) -> Result<Item, Problem> {
    let rank = x.shape.len();
    let (m, k, n) = (x.shape[rank - 2], x.shape[rank - 1], y.shape[rank - 1]);
    let shape = [&x.shape[..rank - 1], &[n]].concat();
    let count = limited(&shape, CONSTANT_ELEMENTS_MAX)?;
    limited(&[count, k], ELEMENTS_MAX)?;
    let cell = |at: usize| {
        let (page, i, j) = (at / (m * n), at / n % m, at % n);
        let (row, column) = (page * m * k + i * k, page * k * n + j);
        let sum: f64 = (0..k).map(|t| x.data[row + t] * y.data[column + t * n]).sum();
        f64::from(sum as f32)
    };
    b.known(Element::F32, shape, (0..count).map(cell).collect())
}

/// α · x · y + β · z, x and y transposed or not.
pub(super) fn gemm(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    let a = &node.attributes;
    let mut operands = [node.get(0)?.clone(), node.get(1)?.clone()];
    for (operand, name) in operands.iter_mut().zip(["transA", "transB"]) {
        if b.shape(operand).len() != 2 {
            return Err(Problem::Shape(format!("{:?} is no matrix", b.shape(operand))));
        }
        if a.flag(name, false)? {
            *operand = b.transpose(operand, &[1, 0])?;
        }
    }
    let product = product(b, &operands[0], &operands[1])?;
    let mut result = scaled(b, &product, a.float("alpha", 1.0)?)?;
    let beta = a.float("beta", 1.0)?;
    if let Some(z) = node.optional(2) {
        let z = scaled(b, z, beta)?;
        let shape = b.shape(&result);
        result = b.binary(Binary::Add, &result, &z)?;
        if b.shape(&result) != shape {
            return Err(Problem::Operand(2));
        }
    }
    Ok(vec![result])
}

#[expect(clippy::float_cmp, reason = "1 is the attribute's default and exact")]
fn scaled(b: &mut Builder<'_>, x: &Item, factor: f32) -> Result<Item, Problem> {
    if factor == 1.0 {
        return Ok(x.clone());
    }
    let factor = b.scalar(factor);
    b.binary(Binary::Mul, x, &factor)
}

/// Sums, means, norms and extrema over dimensions.
pub(super) fn reduce(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    let x = node.get(0)?;
    let shape = b.shape(x);
    let kind = node.proto.op_type.as_str();
    let given = node.axes(if kind == "ReduceSum" { 13 } else { 18 })?.unwrap_or_default();
    let nothing = node.attributes.flag("noop_with_empty_axes", false)?;
    let keep = node.attributes.flag("keepdims", true)?;
    let over = match given.as_slice() {
        [] if nothing => return Err(Problem::Attribute("noop_with_empty_axes".into())),
        [] => (0..shape.len()).collect(),
        given => axes(given, shape.len())?,
    };
    let result = match kind {
        "ReduceMax" => maximum(b, x, &over)?,
        "ReduceMin" => {
            let minus = b.unary(Unary::Neg, x)?;
            let max = maximum(b, &minus, &over)?;
            b.unary(Unary::Neg, &max)?
        }
        "ReduceSum" => sum(b, x, &over)?,
        "ReduceMean" => mean(b, x, &over)?,
        _ => {
            let square = b.binary(Binary::Mul, x, x)?;
            let sum = sum(b, &square, &over)?;
            if kind == "ReduceL2" { b.unary(Unary::Sqrt, &sum)? } else { sum }
        }
    };
    if keep {
        return Ok(vec![result]);
    }
    let rest = (0..shape.len()).filter(|i| !over.contains(i)).map(|i| shape[i]);
    let rest: Vec<usize> = rest.collect();
    Ok(vec![b.reshape(&result, &rest)?])
}

/// The exact sum over dimensions, kept as size 1.
pub(super) fn sum(b: &mut Builder<'_>, x: &Item, over: &[usize]) -> Result<Item, Problem> {
    let shape = b.shape(x);
    if over.is_empty() {
        return Ok(x.clone());
    }
    match x {
        Item::Known(known) => {
            let parts = grouped(&known.tensor, over);
            let whole = known.element;
            if whole == Element::Bool {
                return Err(wrong(whole));
            }
            let total = |part: &Vec<f64>| part.iter().sum::<f64>();
            let round = |x: f64| if whole == Element::F32 { f64::from(x as f32) } else { x };
            b.known(whole, keep_one(&shape, over), parts.iter().map(total).map(round).collect())
        }
        Item::Live(_) => b.reduce_sum(x, over),
    }
}

/// The sum times 1/n, as in the built-in families.
pub(super) fn mean(b: &mut Builder<'_>, x: &Item, over: &[usize]) -> Result<Item, Problem> {
    let shape = b.shape(x);
    b.expect(x, Element::F32)?;
    let terms: usize = over.iter().map(|i| shape[*i]).product();
    let sum = sum(b, x, over)?;
    let share = b.scalar((1.0 / terms as f64) as f32);
    b.binary(Binary::Mul, &sum, &share)
}

/// The maximum over dimensions, kept as size 1.
fn maximum(b: &mut Builder<'_>, x: &Item, over: &[usize]) -> Result<Item, Problem> {
    let shape = b.shape(x);
    if over.is_empty() {
        return Ok(x.clone());
    }
    if shape.contains(&0) {
        return Err(Problem::Shape(format!("shape {shape:?} is empty")));
    }
    let kept = keep_one(&shape, over);
    if let Item::Known(known) = x {
        let max = |part: &Vec<f64>| part.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let parts = grouped(&known.tensor, over);
        return b.known(known.element, kept, parts.iter().map(max).collect());
    }
    // The dimensions go last and become one.
    let rest = (0..shape.len()).filter(|i| !over.contains(i));
    let perm: Vec<usize> = rest.clone().chain(over.iter().copied()).collect();
    let mut dims: Vec<usize> = rest.map(|i| shape[i]).collect();
    dims.push(over.iter().map(|i| shape[*i]).product());
    let moved = b.transpose(x, &perm)?;
    let moved = b.reshape(&moved, &dims)?;
    let value = b.live_float(&moved)?;
    let max = Item::Live(b.g.max_last(value));
    b.reshape(&max, &kept)
}

/// The elements of each group that dimensions `over` reduce to one.
fn grouped(x: &Tensor, over: &[usize]) -> Vec<Vec<f64>> {
    let mut groups = vec![Vec::new(); count(&keep_one(&x.shape, over))];
    for (id, value) in crate::interp::groups(&x.shape, over).into_iter().zip(&x.data) {
        groups[id].push(*value);
    }
    groups
}
