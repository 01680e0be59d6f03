//! An imported model as a language model: the forward pass that training and scoring start from.

use super::error::{ImportError, Problem};
use super::{Given, Known, Model, fold};
use crate::grad::influenced;
use crate::ir::{Element, Graph, Scales, count};
use crate::step::Forward;
use dataforge_core::plan::BatchShape;
use std::collections::{BTreeMap, BTreeSet};

/// What an input of the model is.
#[derive(Debug, Clone, PartialEq)]
pub enum Role {
    /// Token ids `[rows, positions]`.
    Ids,
    /// The positions whose logits are wanted, `[slots]`, counted over all rows. A model without
    /// this input gives logits of every position.
    At,
    /// The same at every step: a mask of ones, token types, positions.
    Known(Known),
}

/// A model whose inputs and outputs have been told apart.
#[derive(Debug, Clone)]
pub struct LanguageModel<'m> {
    /// The model.
    pub model: &'m Model,
    /// What each of its inputs is.
    pub inputs: BTreeMap<String, Role>,
    /// The output that holds the logits: `[…, vocabulary]`.
    pub logits: String,
    /// Which parameters are trained; the others stay as they are.
    pub trained: BTreeSet<String>,
}

impl LanguageModel<'_> {
    /// The forward pass over batches of one shape. Trained parameters keep the order of the file.
    ///
    /// # Errors
    /// [`ImportError`] naming what does not fit, or what is to be trained and does not influence
    /// the logits.
    pub fn forward(
        &self,
        batch: BatchShape,
        operand_bits: u32,
        scales: Scales,
    ) -> Result<Forward, ImportError> {
        let mut graph = Graph::new(operand_bits);
        let g = &mut graph;
        let grid = [batch.rows, batch.positions].map(|n| n.get() as usize);
        let ids = g.input("ids", &grid, Element::I64);
        let at = g.input("at", &[batch.slots()], Element::I64);
        let targets = g.input("targets", &[batch.slots(), 1], Element::I64);
        let given = |role: &Role| match role {
            Role::Ids => Given::Live(ids),
            Role::At => Given::Live(at),
            Role::Known(known) => Given::Known(known.clone()),
        };
        let inputs = self.inputs.iter().map(|(name, role)| (name.clone(), given(role))).collect();
        let used = self.model.used_parameters(&self.logits)?;
        let weights: BTreeMap<_, _> = used
            .iter()
            .map(|p| (p.name.clone(), g.input(&p.name, &p.shape, Element::F32)))
            .collect();
        let logits = self.model.build(g, &inputs, &weights, &self.logits, scales)?;

        let refuse = |problem| ImportError::Tensor { name: self.logits.clone(), problem };
        let (shape, element) = (g.shape(logits).to_vec(), g.node(logits).element);
        if element != Element::F32 {
            return Err(refuse(fold::wrong(element)));
        }
        let slots = self.inputs.values().any(|role| *role == Role::At);
        let rows = if slots { batch.slots() } else { batch.tokens() };
        let Some((vocabulary, lead)) = shape.split_last().filter(|(_, lead)| count(lead) == rows)
        else {
            let expected = format!("shape {shape:?}, not [{rows}, vocabulary]");
            return Err(refuse(Problem::Shape(expected)));
        };
        debug_assert_eq!(count(lead), rows);
        let mut logits = g.reshape(logits, &[rows, *vocabulary]);
        if !slots {
            logits = g.gather(logits, at);
        }

        for name in &self.trained {
            let refuse = |why| ImportError::NotTrainable { name: name.clone(), why };
            let value = weights.get(name).ok_or_else(|| refuse("no parameter of the logits"))?;
            if !influenced(g, &[*value])[logits.index()] {
                return Err(refuse("it does not influence the logits"));
            }
        }
        let trained = used.into_iter().filter(|p| self.trained.contains(&p.name));
        let trained = trained.map(|p| (p.clone(), weights[&p.name])).collect();
        Ok(Forward { graph, logits, targets, trained })
    }
}
