//! Why a model is refused, naming the tensor or the node.

/// A model that is not imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// Not the bytes of an ONNX model.
    #[error("not an ONNX model: {0}")]
    Malformed(String),
    /// Larger than any model that is imported.
    #[error("{found} {what}; the limit is {max}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        found: usize,
        /// How much there may be.
        max: usize,
    },
    /// No opset of the standard operators, or one whose meaning is not known here.
    #[error("opset {0} of the standard operators is not known; export with opset {min} to {max}",
        min = super::OPSETS.start(), max = super::OPSETS.end())]
    Opset(i64),
    /// A name that is too long, empty where one is needed, or that ours would collide with.
    #[error("a {what} is named {name:?}, which {why}")]
    Name {
        /// What is named so.
        what: &'static str,
        /// The name, cut short.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Two values of one name.
    #[error("two values are named {0:?}")]
    Duplicate(String),
    /// A value that nothing computes.
    #[error("node {node:?} reads {tensor:?}, which nothing gives")]
    Dangling {
        /// Its reader.
        node: String,
        /// The value.
        tensor: String,
    },
    /// A value that is read before it is computed.
    #[error("node {node:?} reads {tensor:?} before it is computed: a cycle, or nodes out of order")]
    Order {
        /// Its reader.
        node: String,
        /// The value.
        tensor: String,
    },
    /// A tensor of the file that is not as it should be.
    #[error("tensor {name:?}: {problem}")]
    Tensor {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: Problem,
    },
    /// An input of the model that does not fit what it is given.
    #[error("input {name:?}: {problem}")]
    Input {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: Problem,
    },
    /// An output that is asked for and that the model does not have.
    #[error("the model has no output {0:?}")]
    Output(String),
    /// A tensor that is to be trained and cannot be.
    #[error("{name:?} cannot be trained: {why}")]
    NotTrainable {
        /// Its name.
        name: String,
        /// Why not.
        why: &'static str,
    },
    /// A node that cannot be imported.
    #[error("node {node:?} ({operator}): {problem}")]
    Node {
        /// Its name, or that of its first output.
        node: String,
        /// Its operator.
        operator: String,
        /// What is wrong with it.
        problem: Problem,
    },
}

/// What is wrong with a node or a tensor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// No such operator here.
    #[error("this operator is not supported")]
    Operator,
    /// An attribute that is unknown, missing, of another type or out of range.
    #[error("attribute {0:?} is unknown, missing or out of range")]
    Attribute(String),
    /// An operand that is missing, or one too many.
    #[error("operand {0} is missing or not supported")]
    Operand(usize),
    /// An output that is not computed.
    #[error("output {0} is not supported")]
    Output(usize),
    /// An operand whose value must be known before the model runs.
    #[error("operand {0} must be a constant")]
    NotConstant(usize),
    /// An element type that the operator or the import does not take.
    #[error("element type {0} is not supported here")]
    Element(String),
    /// Shapes that do not fit.
    #[error("{0}")]
    Shape(String),
    /// A tensor of more elements than an exact sum may have terms.
    #[error("shape {shape:?} has too many elements: no more than {max} can be summed exactly")]
    Elements {
        /// The shape, or as much of it as was computed.
        shape: Vec<usize>,
        /// Most elements.
        max: usize,
    },
    /// A dimension without a size.
    #[error("dimension {0:?} has no size; bind it")]
    Unbound(String),
    /// Elements that are not finite.
    #[error("it has an element that is not finite")]
    NotFinite,
    /// Data of another length than the shape says, or kept elsewhere.
    #[error("{0}")]
    Data(&'static str),
    /// A value that is out of range.
    #[error("{0}")]
    Range(String),
}
