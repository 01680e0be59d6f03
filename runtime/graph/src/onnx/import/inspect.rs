//! What a file is, and all that would be refused: for people, before they train it.

use super::error::{ImportError, Problem};
use super::{Dimension, Given, Model, check, inputs, operators, refused};
use crate::ir::{Graph, Scales};
use dataforge_core::limits::OPERAND_BITS;
use std::collections::{BTreeMap, BTreeSet};

/// How many nodes there are of each operator.
pub type Operators = BTreeMap<String, usize>;

/// What a file holds.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// Opset of the standard operators.
    pub opset: i64,
    /// Nodes by operator, `domain.Name` outside the standard domain.
    pub operators: Operators,
    /// The model, unless it is refused whatever its inputs.
    pub model: Option<Model>,
    /// Everything that is refused; empty for a model that can be trained.
    pub refusals: Vec<ImportError>,
}

impl Inspection {
    /// Looks at a file, and tries to build each of its outputs with its named dimensions bound by
    /// `sizes`.
    ///
    /// # Errors
    /// [`ImportError`] for bytes that are no model at all.
    pub fn new(bytes: &[u8], sizes: &BTreeMap<String, usize>) -> Result<Self, ImportError> {
        let (graph, opset) = check::decode(bytes)?;
        let mut operators = Operators::new();
        let mut refusals = Vec::new();
        refusals.extend(check::structure(&graph).err());
        for node in &graph.node {
            let refusal = refused(node, Problem::Operator);
            if let ImportError::Node { operator, .. } = &refusal {
                *operators.entry(operator.clone()).or_default() += 1;
            }
            if !operators::supported(node) {
                refusals.push(refusal);
            }
        }
        let mut model = None;
        if refusals.is_empty() {
            match Model::from_checked(graph, opset) {
                Ok(found) => {
                    refusals
                        .extend(found.outputs().filter_map(|o| found.try_build(o, sizes).err()));
                    refusals.dedup();
                    model = Some(found);
                }
                Err(refusal) => refusals.push(refusal),
            }
        }
        Ok(Self { opset, operators, model, refusals })
    }

    /// Names of the inputs' dimensions that the caller binds, each once. None for a file that is
    /// refused before its inputs are looked at.
    ///
    /// # Errors
    /// [`ImportError`] for bytes that are no model at all.
    pub fn named_dimensions(bytes: &[u8]) -> Result<BTreeSet<String>, ImportError> {
        let (graph, _) = check::decode(bytes)?;
        let named = |dimension| match dimension {
            Dimension::Named(name) => Some(name),
            Dimension::Size(_) => None,
        };
        let inputs = if check::structure(&graph).is_ok() { inputs(&graph) } else { Ok(vec![]) };
        let inputs = inputs.unwrap_or_default();
        Ok(inputs.into_iter().flat_map(|input| input.dimensions).filter_map(named).collect())
    }
}

impl Model {
    fn try_build(&self, output: &str, sizes: &BTreeMap<String, usize>) -> Result<(), ImportError> {
        let mut g = Graph::new(*OPERAND_BITS.end());
        let mut inputs = BTreeMap::new();
        for input in self.inputs() {
            let shape = self.input_shape(input, sizes)?;
            super::tensor::limited(&shape, super::ELEMENTS_MAX)
                .map_err(|problem| ImportError::Input { name: input.name.clone(), problem })?;
            inputs.insert(
                input.name.clone(),
                Given::Live(g.input(&input.name, &shape, input.element)),
            );
        }
        let parameters = self
            .parameters()
            .iter()
            .map(|(p, _)| (p.name.clone(), g.input(&p.name, &p.shape, crate::ir::Element::F32)));
        let parameters = parameters.collect();
        self.build(&mut g, &inputs, &parameters, output, Scales::Tensor).map(|_| ())
    }
}
