//! What each ONNX operator becomes: the table of operators, and a node's operands.
//!
//! An operator is written once over [`Builder`], whether its operands are known or live. Composed
//! functions follow the order of operations of the built-in families, so that the same function
//! gives the same bits.

mod composed;
mod elementwise;
mod movement;
mod product;

use super::attributes::Attributes;
use super::error::Problem;
use super::fold::{Builder, Item};
use super::tensor::Known;
use crate::onnx::proto::NodeProto;

type Results = Result<Vec<Item>, Problem>;
type Import = fn(&mut Builder<'_>, &Node<'_>) -> Results;

/// A node with its operands.
pub(super) struct Node<'n> {
    pub(super) proto: &'n NodeProto,
    pub(super) operands: Vec<Option<Item>>,
    pub(super) attributes: Attributes<'n>,
    pub(super) opset: i64,
}

/// An operator of the standard domain.
struct Operator {
    name: &'static str,
    /// Most operands.
    operands: usize,
    /// From which operand on, and before which, the values must be known.
    known: std::ops::Range<usize>,
    import: Import,
}

const fn operator(name: &'static str, operands: usize, import: Import) -> Operator {
    Operator { name, operands, known: 0..0, import }
}

/// With operands whose values must be known.
const fn knowing(
    name: &'static str,
    operands: usize,
    known: std::ops::Range<usize>,
    import: Import,
) -> Operator {
    Operator { name, operands, known, import }
}

/// Operands of an operator that takes any number.
const MANY: usize = usize::MAX;

/// Every operator, by name.
#[rustfmt::skip]
const OPERATORS: &[Operator] = &[
    operator("Abs", 1, elementwise::unary),
    operator("Add", 2, elementwise::binary),
    operator("And", 2, elementwise::logical),
    operator("Attention", 4, composed::attention),
    operator("Cast", 1, elementwise::cast),
    operator("Ceil", 1, elementwise::unary),
    knowing("Clip", 3, 1..3, elementwise::clip),
    operator("Concat", MANY, movement::concat),
    operator("Constant", 0, movement::constant),
    knowing("ConstantOfShape", 1, 0..1, movement::constant_of_shape),
    knowing("Cos", 1, 0..1, elementwise::known_unary),
    knowing("CumSum", 2, 0..2, movement::cumulative_sum),
    operator("Div", 2, elementwise::binary),
    operator("Dropout", 3, composed::dropout),
    operator("Equal", 2, elementwise::binary),
    operator("Erf", 1, elementwise::unary),
    operator("Exp", 1, elementwise::unary),
    knowing("Expand", 2, 1..2, movement::expand),
    operator("Flatten", 1, movement::flatten),
    operator("Floor", 1, elementwise::unary),
    operator("Gather", 2, movement::gather),
    operator("GatherElements", 2, movement::gather_elements),
    operator("GatherND", 2, movement::gather_tuples),
    operator("Gelu", 1, composed::gelu),
    operator("Gemm", 3, product::gemm),
    operator("Greater", 2, elementwise::binary),
    operator("GreaterOrEqual", 2, elementwise::binary),
    operator("Identity", 1, composed::identity),
    operator("LayerNormalization", 3, composed::layer_normalization),
    operator("Less", 2, elementwise::binary),
    operator("LessOrEqual", 2, elementwise::binary),
    knowing("Log", 1, 0..1, elementwise::known_unary),
    operator("MatMul", 2, product::matmul),
    operator("Max", MANY, elementwise::many),
    operator("Min", MANY, elementwise::many),
    knowing("Mod", 2, 0..2, elementwise::modulo),
    operator("Mul", 2, elementwise::binary),
    operator("Neg", 1, elementwise::unary),
    operator("Not", 1, elementwise::logical),
    operator("Or", 2, elementwise::logical),
    knowing("Pow", 2, 1..2, elementwise::power),
    operator("RMSNormalization", 2, composed::rms_normalization),
    knowing("Range", 3, 0..3, movement::range),
    operator("Reciprocal", 1, elementwise::unary),
    knowing("ReduceL2", 2, 1..2, product::reduce),
    knowing("ReduceMax", 2, 1..2, product::reduce),
    knowing("ReduceMean", 2, 1..2, product::reduce),
    knowing("ReduceMin", 2, 1..2, product::reduce),
    knowing("ReduceSum", 2, 1..2, product::reduce),
    knowing("ReduceSumSquare", 2, 1..2, product::reduce),
    operator("Relu", 1, elementwise::unary),
    knowing("Reshape", 2, 1..2, movement::reshape),
    operator("Shape", 1, movement::shape),
    operator("Sigmoid", 1, elementwise::unary),
    knowing("Sin", 1, 0..1, elementwise::known_unary),
    operator("Size", 1, movement::shape),
    knowing("Slice", 5, 1..5, movement::slice),
    operator("Softmax", 1, composed::softmax),
    knowing("Split", 2, 1..2, movement::split),
    operator("Sqrt", 1, elementwise::unary),
    knowing("Squeeze", 2, 1..2, movement::squeeze),
    operator("Sub", 2, elementwise::binary),
    operator("Sum", MANY, elementwise::many),
    operator("Tanh", 1, elementwise::unary),
    knowing("Tile", 2, 1..2, movement::tile),
    operator("Transpose", 1, movement::transpose),
    knowing("Trilu", 2, 1..2, movement::triangle),
    knowing("Unsqueeze", 2, 1..2, movement::unsqueeze),
    operator("Where", 3, elementwise::select),
];

fn find(proto: &NodeProto) -> Option<&'static Operator> {
    let standard = matches!(proto.domain.as_str(), "" | "ai.onnx");
    let found = OPERATORS.binary_search_by(|operator| operator.name.cmp(&proto.op_type));
    if standard { found.ok().map(|at| &OPERATORS[at]) } else { None }
}

/// Whether there is such an operator here.
pub(super) fn supported(proto: &NodeProto) -> bool {
    find(proto).is_some()
}

/// Whether the operator looks at the shape of an operand alone.
pub(super) fn shape_alone(proto: &NodeProto) -> bool {
    matches!(proto.op_type.as_str(), "Shape" | "Size")
}

/// Whether an operand's value must be known before the model runs.
pub(super) fn must_know(proto: &NodeProto, operand: usize) -> bool {
    find(proto).is_some_and(|operator| operator.known.contains(&operand))
}

/// The results of a node, in order.
pub(super) fn import(b: &mut Builder<'_>, node: &Node<'_>) -> Results {
    let operator = find(node.proto).ok_or(Problem::Operator)?;
    if node.operands.len() > operator.operands {
        return Err(Problem::Operand(operator.operands));
    }
    let results = (operator.import)(b, node)?;
    node.attributes.finish()?;
    for (slot, name) in node.proto.output.iter().enumerate() {
        if slot >= results.len() && !name.is_empty() {
            return Err(Problem::Output(slot));
        }
    }
    Ok(results)
}

impl Node<'_> {
    /// An operand that must be there.
    fn get(&self, slot: usize) -> Result<&Item, Problem> {
        self.optional(slot).ok_or(Problem::Operand(slot))
    }

    fn optional(&self, slot: usize) -> Option<&Item> {
        self.operands.get(slot).and_then(Option::as_ref)
    }

    /// All operands of an operator that takes any number, at least one.
    fn all(&self) -> Result<Vec<Item>, Problem> {
        self.get(0)?;
        let slots = 0..self.operands.len();
        slots.map(|slot| self.get(slot).cloned()).collect()
    }

    /// An operand whose value is known.
    fn known(&self, slot: usize) -> Result<&Known, Problem> {
        match self.get(slot)? {
            Item::Known(known) => Ok(known),
            Item::Live(_) => Err(Problem::NotConstant(slot)),
        }
    }

    /// A known operand's integers, or nothing where the operand is left out.
    fn optional_integers(&self, slot: usize) -> Result<Option<Vec<i64>>, Problem> {
        if self.optional(slot).is_none() {
            return Ok(None);
        }
        let known = self.known(slot)?;
        if known.element != crate::ir::Element::I64 || known.tensor.shape.len() > 1 {
            return Err(Problem::Operand(slot));
        }
        Ok(Some(known.tensor.data.iter().map(|x| *x as i64).collect()))
    }

    fn integers(&self, slot: usize) -> Result<Vec<i64>, Problem> {
        self.optional_integers(slot)?.ok_or(Problem::Operand(slot))
    }

    /// The one number of a known operand.
    fn number(&self, slot: usize) -> Result<f64, Problem> {
        match self.known(slot)?.tensor.data.as_slice() {
            [number] => Ok(*number),
            _ => Err(Problem::Operand(slot)),
        }
    }

    /// Dimensions that were given as an operand from some opset on, as an attribute before.
    fn axes(&self, operand_since: i64) -> Result<Option<Vec<i64>>, Problem> {
        if self.opset >= operand_since {
            return self.optional_integers(1);
        }
        if self.optional(1).is_some() {
            return Err(Problem::Operand(1));
        }
        Ok(self.attributes.integers("axes")?.map(<[i64]>::to_vec))
    }
}

/// A dimension counted from the front; negative ones count from the back.
fn axis(axis: i64, rank: usize) -> Result<usize, Problem> {
    let from_front = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    usize::try_from(from_front)
        .ok()
        .filter(|axis| *axis < rank)
        .ok_or_else(|| Problem::Range(format!("dimension {axis} of {rank}")))
}

/// Dimensions counted from the front, ascending, none twice.
fn axes(given: &[i64], rank: usize) -> Result<Vec<usize>, Problem> {
    let mut axes = given.iter().map(|a| axis(*a, rank)).collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    if axes.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Problem::Range(format!("dimensions {given:?} name one twice")));
    }
    Ok(axes)
}

#[cfg(test)]
mod tests {
    use super::OPERATORS;

    #[test]
    fn operators_are_sorted_by_name() {
        assert!(OPERATORS.is_sorted_by_key(|operator| operator.name));
    }
}
