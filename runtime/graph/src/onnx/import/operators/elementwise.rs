//! Operators that work element by element.

use super::{Node, Results};
use crate::ir::{Element, count};
use crate::onnx::import::error::Problem;
use crate::onnx::import::fold::{Binary, Builder, Item, Unary, wrong};
use crate::onnx::import::tensor;

/// Steps of integer powers that are multiplied out.
const POWER_MAX: u32 = 4;

pub(super) fn unary(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    let x = node.get(0)?;
    let result = match node.proto.op_type.as_str() {
        "Neg" => b.unary(Unary::Neg, x),
        "Abs" => b.unary(Unary::Abs, x),
        "Sqrt" => b.unary(Unary::Sqrt, x),
        "Floor" => b.unary(Unary::Floor, x),
        "Exp" => b.unary(Unary::Exp, x),
        "Sigmoid" => b.unary(Unary::Sigmoid, x),
        "Erf" => b.unary(Unary::Erf, x),
        "Tanh" => b.unary(Unary::Tanh, x),
        "Reciprocal" => reciprocal(b, x),
        // The derivative at 0 goes to the constant: it is 0, as elsewhere.
        "Relu" => {
            let zero = b.scalar(0.0);
            b.binary(Binary::Max, &zero, x)
        }
        "Ceil" => {
            let minus = b.unary(Unary::Neg, x)?;
            let floor = b.unary(Unary::Floor, &minus)?;
            b.unary(Unary::Neg, &floor)
        }
        _ => Err(Problem::Operator),
    };
    Ok(vec![result?])
}

fn reciprocal(b: &mut Builder<'_>, x: &Item) -> Result<Item, Problem> {
    let one = b.scalar(1.0);
    b.binary(Binary::Div, &one, x)
}

/// Functions that the graph does not have and position tables need: by libm in f64, rounded once.
pub(super) fn known_unary(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    let x = node.known(0)?;
    if x.element != Element::F32 {
        return Err(wrong(x.element));
    }
    let f: fn(f64) -> f64 = match node.proto.op_type.as_str() {
        "Cos" => libm::cos,
        "Sin" => libm::sin,
        _ => libm::log,
    };
    Ok(vec![b.map(x, f)?])
}

pub(super) fn binary(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    let (x, y) = (node.get(0)?, node.get(1)?);
    let result = match node.proto.op_type.as_str() {
        "Add" => b.binary(Binary::Add, x, y),
        "Sub" => b.binary(Binary::Sub, x, y),
        "Mul" => b.binary(Binary::Mul, x, y),
        "Div" => b.binary(Binary::Div, x, y),
        "Less" => b.binary(Binary::Less, x, y),
        "Greater" => b.binary(Binary::Less, y, x),
        "Equal" => b.binary(Binary::Equal, x, y),
        "GreaterOrEqual" => {
            let less = b.binary(Binary::Less, x, y)?;
            not(b, &less)
        }
        "LessOrEqual" => {
            let greater = b.binary(Binary::Less, y, x)?;
            not(b, &greater)
        }
        _ => Err(Problem::Operator),
    };
    Ok(vec![result?])
}

/// Operators on any number of operands, from left to right.
pub(super) fn many(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    let op = match node.proto.op_type.as_str() {
        "Max" => Binary::Max,
        "Min" => Binary::Min,
        _ => Binary::Add,
    };
    let operands = node.all()?;
    let mut result = operands[0].clone();
    for operand in &operands[1..] {
        result = b.binary(op, &result, operand)?;
    }
    Ok(vec![result])
}

pub(super) fn clip(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    let mut x = node.get(0)?.clone();
    for (slot, op) in [(1, Binary::Max), (2, Binary::Min)] {
        if let Some(bound) = node.optional(slot) {
            x = b.binary(op, &x, bound)?;
        }
    }
    Ok(vec![x])
}

pub(super) fn select(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    Ok(vec![b.select(node.get(0)?, node.get(1)?, node.get(2)?)?])
}

pub(super) fn logical(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    let x = node.get(0)?;
    b.expect(x, Element::Bool)?;
    let op = match node.proto.op_type.as_str() {
        "Not" => return Ok(vec![not(b, x)?]),
        "And" => Binary::Mul,
        _ => Binary::Max,
    };
    let y = node.get(1)?;
    b.expect(y, Element::Bool)?;
    let (x, y) = (b.numbers(x)?, b.numbers(y)?);
    let both = b.binary(op, &x, &y)?;
    let zero = b.scalar(0.0);
    Ok(vec![b.binary(Binary::Less, &zero, &both)?])
}

fn not(b: &mut Builder<'_>, x: &Item) -> Result<Item, Problem> {
    let (number, one) = (b.numbers(x)?, b.scalar(1.0));
    b.binary(Binary::Less, &number, &one)
}

pub(super) fn cast(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    node.attributes.ignore("saturate");
    node.attributes.ignore("round_mode");
    let to = node.attributes.optional_integer("to")?;
    let to = to.and_then(|to| i32::try_from(to).ok());
    let to = tensor::element(to.ok_or_else(|| Problem::Attribute("to".into()))?)?;
    let x = node.get(0)?;
    let from = b.element(x);
    if to == from {
        return Ok(vec![x.clone()]);
    }
    let result = match (to, x) {
        (Element::F32, _) => b.numbers(x),
        (_, Item::Known(known)) => {
            let whole = |v: f64| {
                if to == Element::Bool { f64::from(u8::from(v != 0.0)) } else { v.trunc() }
            };
            let data: Vec<f64> = known.tensor.data.iter().map(|v| whole(*v)).collect();
            if data.iter().any(|v| !v.is_finite() || v.abs() > tensor::INTEGER_MAX) {
                return Err(Problem::Range("a number is out of the integers' range".into()));
            }
            b.known(to, known.tensor.shape.clone(), data)
        }
        // An index is true where it is not 0.
        (Element::Bool, _) if from == Element::I64 => {
            let zero = b.known(Element::I64, vec![1], vec![0.0])?;
            let shape = b.shape(x);
            let zeros = b.binary(Binary::Equal, x, &zero)?;
            let some = not(b, &zeros)?;
            b.reshape(&some, &shape)
        }
        _ => Err(wrong(from)),
    };
    Ok(vec![result?])
}

/// By a constant exponent, the same for all elements: a whole one from −4 to 4 or a half.
pub(super) fn power(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    let (x, exponent) = (node.get(0)?, node.known(1)?);
    if let Item::Known(base) = x {
        if base.element == Element::Bool || exponent.element == Element::Bool {
            return Err(wrong(Element::Bool));
        }
        return Ok(vec![b.zip(base, exponent, base.element, libm::pow)?]);
    }
    b.expect(x, Element::F32)?;
    let exponents = &exponent.tensor.data;
    let Some(power) = exponents.first().filter(|first| exponents.iter().all(|e| e == *first))
    else {
        return Err(Problem::Range("exponents differ from element to element".into()));
    };
    let magnitude = power.abs();
    let root = magnitude.fract() == 0.5 && magnitude < 1.0;
    if !(root || magnitude.fract() == 0.0 && (1.0..=f64::from(POWER_MAX)).contains(&magnitude)) {
        return Err(Problem::Range(format!("exponent {power} is not supported")));
    }
    let mut result = if root { b.unary(Unary::Sqrt, x)? } else { x.clone() };
    for _ in 1..magnitude as u32 {
        result = b.binary(Binary::Mul, &result, x)?;
    }
    if *power < 0.0 {
        result = reciprocal(b, &result)?;
    }
    let shape = crate::onnx::import::fold::broadcast(&b.shape(x), &exponent.tensor.shape)?;
    if count(&shape) != count(&b.shape(x)) {
        return Err(Problem::Shape("the exponent has more elements than the base".into()));
    }
    Ok(vec![b.reshape(&result, &shape)?])
}

pub(super) fn modulo(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    let (x, y) = (node.known(0)?, node.known(1)?);
    if node.attributes.flag("fmod", false)? || [x, y].iter().any(|t| t.element != Element::I64) {
        return Err(wrong(x.element));
    }
    if y.tensor.data.contains(&0.0) {
        return Err(Problem::Range("an integer is divided by 0".into()));
    }
    // The remainder takes the divisor's sign.
    Ok(vec![b.zip(x, y, Element::I64, |x, y| x - (x / y).floor() * y)?])
}
