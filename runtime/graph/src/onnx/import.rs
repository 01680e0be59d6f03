//! Ordinary ONNX inference graphs as forward models: opset 17 on, the operators that exporters of
//! transformers use.
//!
//! [`Model::decode`] checks a file as a whole, whatever its inputs: its size, names, order and
//! operators, and which of its tensors are parameters. [`Model::build`] then appends the model to a
//! [`Graph`] for inputs of concrete shapes, where [`crate::grad`] and the exact lowering take over.
//! Both refuse before anything runs, naming the tensor or the node; neither panics on any bytes.
//!
//! A stored f32 tensor is a *parameter*, an input of the graph that can be trained or frozen,
//! unless an operator must know its value when the model is built (frequencies of a position table
//! whose cosines are taken, an exponent, a bound), it has one element, or it is a mask (nothing but
//! 0, −∞ and the lowest f32).
//!
//! A stored matrix that is another one transposed is that one: a tied head.
//!
//! Not imported: model-local functions, subgraphs (`If`, `Loop`, `Scan`), quantised and half
//! precision tensors, data kept in other files.

mod attributes;
mod check;
mod error;
mod fold;
mod forward;
mod inspect;
mod operators;
mod tensor;

pub use crate::ir::Element;
pub use error::{ImportError, Problem};
pub use forward::{LanguageModel, Role};
pub use inspect::{Inspection, Operators};
pub use tensor::Known;

use super::proto::{GraphProto, NodeProto, ValueInfoProto};
use crate::exact;
use crate::ir::{Graph, Scales, Shape, Value};
use crate::llama::Parameter;
use attributes::Attributes;
use fold::{Builder, Item};
use operators::Node;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::rc::Rc;

/// Opsets of the standard domain whose operators mean what is imported here.
pub const OPSETS: RangeInclusive<i64> = 17..=25;

/// Most bytes of a file: what one protobuf message can hold.
pub const MODEL_BYTES_MAX: usize = (1 << 31) - 1;

/// Most bytes of a file apart from the raw data of its tensors. Bounds what decoding allocates.
pub const STRUCTURE_BYTES_MAX: usize = 16 << 20;

/// Most nodes. Twice those of a transformer of a hundred layers.
pub const NODES_MAX: usize = 1 << 16;

/// Most attributes of a node.
pub const ATTRIBUTES_MAX: usize = 32;

/// Most stored tensors.
pub const TENSORS_MAX: usize = 1 << 14;

/// Most bytes of a name.
pub const NAME_BYTES_MAX: usize = 512;

/// Most dimensions of a tensor.
pub const RANK_MAX: usize = 8;

/// Most elements of a tensor in the graph. Any of its dimensions, or all of them, may be summed
/// over on the way back, and no longer sum is exact.
pub const ELEMENTS_MAX: usize = exact::PRODUCT_TERMS_MAX;

/// Most elements of all values in the graph together.
pub const TOTAL_ELEMENTS_MAX: usize = 1 << 36;

/// Most elements of a tensor that is computed while importing.
pub const CONSTANT_ELEMENTS_MAX: usize = 1 << 24;

/// Most elements of all tensors that are computed while importing.
pub const CONSTANTS_ELEMENTS_MAX: usize = 1 << 26;

/// A file that passed every check that does not depend on the shapes of its inputs.
#[derive(Debug, Clone)]
pub struct Model {
    graph: GraphProto,
    opset: i64,
    inputs: Vec<Input>,
    parameters: Vec<(Parameter, Vec<f32>)>,
    /// Stored tensors that are no parameters.
    constants: BTreeMap<String, Rc<Known>>,
    /// Stored matrices that are a parameter transposed, and which.
    tied: BTreeMap<String, String>,
}

/// What the model is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Name.
    pub name: String,
    /// What its elements are.
    pub element: Element,
    /// Its dimensions.
    pub dimensions: Vec<Dimension>,
}

/// A declared dimension of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dimension {
    /// Its size.
    Size(usize),
    /// The name of its size, bound when the model is built.
    Named(String),
}

/// What an input is given.
#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    /// A value of the graph.
    Live(Value),
    /// The same at every run: masks, token types and positions of full rows.
    Known(Known),
}

impl Model {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`ImportError`] for bytes that are no model, or a model that cannot be imported.
    pub fn decode(bytes: &[u8]) -> Result<Self, ImportError> {
        let (proto, opset) = check::decode(bytes)?;
        check::structure(&proto)?;
        if let Some(node) = proto.node.iter().find(|node| !operators::supported(node)) {
            return Err(refused(node, Problem::Operator));
        }
        Self::from_checked(proto, opset)
    }

    fn from_checked(mut graph: GraphProto, opset: i64) -> Result<Self, ImportError> {
        let inputs = inputs(&graph)?;
        let mut parameters = Vec::new();
        let mut constants = BTreeMap::new();
        let known = must_be_known(&graph);
        for proto in std::mem::take(&mut graph.initializer) {
            let named = |problem| ImportError::Tensor { name: proto.name.clone(), problem };
            let f32s = tensor::element(proto.data_type).map_err(named)? == Element::F32;
            let one = proto.dims.iter().all(|d| *d == 1);
            if !f32s || one || known.contains(&proto.name) {
                let known = tensor::known(&proto).map_err(named)?;
                constants.insert(proto.name, Rc::new(known));
                continue;
            }
            let shape = tensor::dimensions(&proto, ELEMENTS_MAX).map_err(named)?;
            let data = tensor::floats(&proto, shape.iter().product()).map_err(named)?;
            if data.iter().all(|x| *x == 0.0 || *x == f32::NEG_INFINITY || *x == f32::MIN)
                && data.iter().any(|x| *x != 0.0)
            {
                let known = tensor::known(&proto).map_err(named)?;
                constants.insert(proto.name, Rc::new(known));
            } else if data.is_empty() {
                return Err(named(Problem::Shape(format!("shape {shape:?} is empty"))));
            } else if data.iter().all(|x| x.is_finite()) {
                check::parameter_name(&proto.name)?;
                parameters.push((Parameter { name: proto.name, shape }, data));
            } else {
                return Err(named(Problem::NotFinite));
            }
        }
        let tied = untie(&mut parameters);
        Ok(Self { graph, opset, inputs, parameters, constants, tied })
    }

    /// The opset of its operators.
    #[must_use]
    pub fn opset(&self) -> i64 {
        self.opset
    }

    /// What it is given, in the file's order.
    #[must_use]
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// Names of what it gives, in the file's order.
    pub fn outputs(&self) -> impl Iterator<Item = &str> {
        self.graph.output.iter().map(|output| output.name.as_str())
    }

    /// Its parameters with their elements, row-major, in the file's order.
    #[must_use]
    pub fn parameters(&self) -> &[(Parameter, Vec<f32>)] {
        &self.parameters
    }

    /// The shape of an input, its named dimensions bound by `sizes`.
    ///
    /// # Errors
    /// [`ImportError::Input`] where a name is not bound.
    pub fn input_shape(
        &self,
        input: &Input,
        sizes: &BTreeMap<String, usize>,
    ) -> Result<Shape, ImportError> {
        let size = |dimension: &Dimension| match dimension {
            Dimension::Size(size) => Ok(*size),
            Dimension::Named(name) => {
                sizes.get(name).copied().ok_or_else(|| Problem::Unbound(name.clone()))
            }
        };
        let shape: Result<Shape, Problem> = input.dimensions.iter().map(size).collect();
        shape.map_err(|problem| ImportError::Input { name: input.name.clone(), problem })
    }

    /// Appends the part of the model that gives `output`, from its inputs and parameters by name.
    /// Parameters that the part does not read need not be there.
    ///
    /// # Errors
    /// [`ImportError`] naming what does not fit.
    pub fn build(
        &self,
        g: &mut Graph,
        inputs: &BTreeMap<String, Given>,
        parameters: &BTreeMap<String, Value>,
        output: &str,
        scales: Scales,
    ) -> Result<Value, ImportError> {
        let mut values: BTreeMap<&str, Item> = self.given(g, inputs)?;
        values.extend(self.constants.iter().map(|(n, k)| (n.as_str(), Item::Known(k.clone()))));
        values.extend(parameters.iter().map(|(name, value)| (name.as_str(), Item::Live(*value))));
        let mut b = Builder::new(g, scales);
        for (copy, original) in &self.tied {
            let Some(whole) = values.get(original.as_str()).cloned() else { continue };
            let refuse = |problem| ImportError::Tensor { name: copy.clone(), problem };
            values.insert(copy, b.transpose(&whole, &[1, 0]).map_err(refuse)?);
        }
        for node in self.needed(output)? {
            let results = self.node(&mut b, node, &values)?;
            for (name, result) in node.output.iter().zip(results) {
                values.insert(name, result);
            }
        }
        let missing = || ImportError::Output(output.to_owned());
        let result = values.get(output).ok_or_else(missing)?;
        b.live(result).map_err(|problem| ImportError::Tensor { name: output.into(), problem })
    }

    /// The parameters that influence `output`, in the file's order.
    ///
    /// # Errors
    /// [`ImportError::Output`] where there is no such output.
    pub fn used_parameters(&self, output: &str) -> Result<Vec<Parameter>, ImportError> {
        let mut read: BTreeSet<&str> = BTreeSet::from([output]);
        for node in self.needed(output)? {
            read.extend(node.input.iter().map(String::as_str));
        }
        let tied = self.tied.iter().filter(|(copy, _)| read.contains(copy.as_str()));
        let originals: Vec<&str> = tied.map(|(_, original)| original.as_str()).collect();
        read.extend(originals);
        let used = self.parameters.iter().map(|(parameter, _)| parameter);
        Ok(used.filter(|parameter| read.contains(parameter.name.as_str())).cloned().collect())
    }

    /// The inputs' values, after checking that they are as declared and that dimensions of one
    /// name have one size.
    fn given(
        &self,
        g: &Graph,
        inputs: &BTreeMap<String, Given>,
    ) -> Result<BTreeMap<&str, Item>, ImportError> {
        let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
        let mut values = BTreeMap::new();
        for input in &self.inputs {
            let refuse = |problem| ImportError::Input { name: input.name.clone(), problem };
            // One that the output does not depend on need not be given.
            let Some(given) = inputs.get(&input.name) else { continue };
            let (item, shape, element) = match given {
                Given::Live(value) => {
                    let node = g.node(*value);
                    (Item::Live(*value), node.shape.clone(), node.element)
                }
                Given::Known(known) => {
                    let shape = known.tensor.shape.clone();
                    (Item::Known(Rc::new(known.clone())), shape, known.element)
                }
            };
            if element != input.element {
                return Err(refuse(fold::wrong(element)));
            }
            let fits = |(dimension, size): (&'_ Dimension, usize)| match dimension {
                Dimension::Size(declared) => *declared == size,
                Dimension::Named(_) => true,
            };
            let declared = &input.dimensions;
            let same_rank = declared.len() == shape.len();
            if !same_rank || !declared.iter().zip(shape.iter().copied()).all(fits) {
                return Err(refuse(Problem::Shape(format!("shape {shape:?}, not {declared:?}"))));
            }
            for (dimension, size) in declared.iter().zip(&shape) {
                if let Dimension::Named(name) = dimension
                    && *sizes.entry(name).or_insert(*size) != *size
                {
                    return Err(refuse(Problem::Shape(format!("{name:?} has two sizes"))));
                }
            }
            values.insert(input.name.as_str(), item);
        }
        Ok(values)
    }

    /// The nodes that `output` depends on, in order.
    fn needed(&self, output: &str) -> Result<Vec<&NodeProto>, ImportError> {
        if !self.outputs().any(|name| name == output) {
            return Err(ImportError::Output(output.to_owned()));
        }
        let mut wanted = BTreeSet::from([output]);
        let mut nodes = Vec::new();
        for node in self.graph.node.iter().rev() {
            if node.output.iter().any(|name| wanted.contains(name.as_str())) {
                wanted.extend(node.input.iter().map(String::as_str));
                nodes.push(node);
            }
        }
        nodes.reverse();
        Ok(nodes)
    }

    fn node(
        &self,
        b: &mut Builder<'_>,
        proto: &NodeProto,
        values: &BTreeMap<&str, Item>,
    ) -> Result<Vec<Item>, ImportError> {
        let mut operands = Vec::new();
        for name in &proto.input {
            let value = values.get(name.as_str()).cloned();
            if value.is_none() && !name.is_empty() {
                let node = label(proto);
                return Err(ImportError::Dangling { node, tensor: name.clone() });
            }
            operands.push(value);
        }
        let attributes = Attributes::new(proto);
        let node = Node { proto, operands, attributes, opset: self.opset };
        operators::import(b, &node).map_err(|problem| refused(proto, problem))
    }
}

/// Takes out every matrix that is an earlier one transposed, element for element, and names that
/// one. Exporters fold the transposition of a tied head into a copy of the embedding; trained
/// apart, the two would be another model. Matrices of one repeated element are left alone.
fn untie(parameters: &mut Vec<(Parameter, Vec<f32>)>) -> BTreeMap<String, String> {
    let mut tied = BTreeMap::new();
    let mut by_shape: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
    for (i, (parameter, data)) in parameters.iter().enumerate() {
        let [rows, columns] = *parameter.shape else { continue };
        if data.iter().all(|x| *x == data[0]) {
            continue;
        }
        let transposed = |j: &&usize| {
            let other = &parameters[**j].1;
            (0..data.len())
                .all(|at| data[at].to_bits() == other[at % columns * rows + at / columns].to_bits())
        };
        let candidates = by_shape.get(&(columns, rows)).map(Vec::as_slice).unwrap_or_default();
        match candidates.iter().find(transposed) {
            Some(j) => {
                tied.insert(parameter.name.clone(), parameters[*j].0.name.clone());
            }
            None => by_shape.entry((rows, columns)).or_default().push(i),
        }
    }
    parameters.retain(|(parameter, _)| !tied.contains_key(&parameter.name));
    tied
}

/// The name of a node, or that of its first output.
fn label(node: &NodeProto) -> String {
    let first = || node.output.first().cloned().unwrap_or_default();
    if node.name.is_empty() { first() } else { node.name.clone() }
}

fn refused(node: &NodeProto, problem: Problem) -> ImportError {
    let standard = matches!(node.domain.as_str(), "" | "ai.onnx");
    let prefix = if standard { String::new() } else { format!("{}.", node.domain) };
    let operator = format!("{prefix}{}", node.op_type);
    ImportError::Node { node: label(node), operator, problem }
}

/// What the model is given: its inputs that are no stored tensors.
fn inputs(graph: &GraphProto) -> Result<Vec<Input>, ImportError> {
    let stored: BTreeSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    let given = graph.input.iter().filter(|input| !stored.contains(input.name.as_str()));
    given.map(input).collect()
}

fn input(info: &ValueInfoProto) -> Result<Input, ImportError> {
    let refuse = |problem| ImportError::Input { name: info.name.clone(), problem };
    let tensor = info.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
    let tensor = tensor.ok_or_else(|| refuse(Problem::Element("of no tensor".into())))?;
    let element = tensor::element(tensor.elem_type).map_err(refuse)?;
    let shape = tensor.shape.as_ref();
    let shape = shape.ok_or_else(|| refuse(Problem::Shape("no declared shape".into())))?;
    if shape.dim.len() > RANK_MAX {
        return Err(refuse(Problem::Shape(format!("more than {RANK_MAX} dimensions"))));
    }
    let mut dimensions = Vec::new();
    for (i, dim) in shape.dim.iter().enumerate() {
        dimensions.push(match (dim.dim_value, &dim.dim_param) {
            (Some(size), _) => match usize::try_from(size) {
                Ok(size) if (1..=ELEMENTS_MAX).contains(&size) => Dimension::Size(size),
                _ => return Err(refuse(Problem::Shape(format!("a dimension of size {size}")))),
            },
            (None, Some(name)) if !name.is_empty() => Dimension::Named(name.clone()),
            _ => Dimension::Named(format!("{}.{i}", info.name)),
        });
    }
    Ok(Input { name: info.name.clone(), element, dimensions })
}

/// Every value that some operator must know before the model runs, and what those depend on.
fn must_be_known(graph: &GraphProto) -> BTreeSet<String> {
    let mut known: BTreeSet<&str> = BTreeSet::new();
    for node in graph.node.iter().rev() {
        let result_known = node.output.iter().any(|name| known.contains(name.as_str()));
        for (slot, name) in node.input.iter().enumerate() {
            let through = result_known && !operators::shape_alone(node);
            if through || operators::must_know(node, slot) {
                known.insert(name);
            }
        }
    }
    known.into_iter().map(ToOwned::to_owned).collect()
}

#[cfg(test)]
mod tests;
