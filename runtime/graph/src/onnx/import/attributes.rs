//! A node's attributes by name and type. One that is not read is refused: it might change what the
//! operator means.

use super::error::Problem;
use crate::onnx::proto::{AttributeProto, NodeProto, TensorProto, attribute_type};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// The attributes of one node.
pub(super) struct Attributes<'n> {
    node: &'n NodeProto,
    read: RefCell<BTreeSet<&'n str>>,
}

impl<'n> Attributes<'n> {
    pub(super) fn new(node: &'n NodeProto) -> Self {
        Self { node, read: RefCell::default() }
    }

    fn find(&self, name: &str, r#type: i32) -> Result<Option<&'n AttributeProto>, Problem> {
        let Some(found) = self.node.attribute.iter().find(|a| a.name == name) else {
            return Ok(None);
        };
        self.read.borrow_mut().insert(&found.name);
        if found.r#type == r#type {
            Ok(Some(found))
        } else {
            Err(Problem::Attribute(name.to_owned()))
        }
    }

    pub(super) fn integer(&self, name: &str, default: i64) -> Result<i64, Problem> {
        Ok(self.optional_integer(name)?.unwrap_or(default))
    }

    pub(super) fn optional_integer(&self, name: &str) -> Result<Option<i64>, Problem> {
        Ok(self.find(name, attribute_type::INT)?.map(|a| a.i.unwrap_or(0)))
    }

    /// 0 or 1.
    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, Problem> {
        match self.integer(name, i64::from(default))? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Problem::Attribute(name.to_owned())),
        }
    }

    pub(super) fn integers(&self, name: &str) -> Result<Option<&'n [i64]>, Problem> {
        Ok(self.find(name, attribute_type::INTS)?.map(|a| a.ints.as_slice()))
    }

    /// Finite.
    pub(super) fn float(&self, name: &str, default: f32) -> Result<f32, Problem> {
        let value = self.optional_float(name)?.unwrap_or(default);
        if value.is_finite() { Ok(value) } else { Err(Problem::Attribute(name.to_owned())) }
    }

    pub(super) fn optional_float(&self, name: &str) -> Result<Option<f32>, Problem> {
        Ok(self.find(name, attribute_type::FLOAT)?.map(|a| a.f.unwrap_or(0.0)))
    }

    pub(super) fn floats(&self, name: &str) -> Result<Option<&'n [f32]>, Problem> {
        Ok(self.find(name, attribute_type::FLOATS)?.map(|a| a.floats.as_slice()))
    }

    pub(super) fn text(&self, name: &str, default: &'static str) -> Result<&'n str, Problem> {
        let Some(found) = self.find(name, attribute_type::STRING)? else { return Ok(default) };
        let bytes = found.s.as_deref().unwrap_or_default();
        str::from_utf8(bytes).map_err(|_| Problem::Attribute(name.to_owned()))
    }

    pub(super) fn tensor(&self, name: &str) -> Result<Option<&'n TensorProto>, Problem> {
        Ok(self.find(name, attribute_type::TENSOR)?.and_then(|a| a.t.as_ref()))
    }

    /// Marks an attribute as one that does not change what is computed here.
    pub(super) fn ignore(&self, name: &str) {
        if let Some(found) = self.node.attribute.iter().find(|a| a.name == name) {
            self.read.borrow_mut().insert(&found.name);
        }
    }

    /// Refuses what was not read, and attributes given twice.
    pub(super) fn finish(&self) -> Result<(), Problem> {
        let mut seen = BTreeSet::new();
        for attribute in &self.node.attribute {
            let name = attribute.name.as_str();
            if !self.read.borrow().contains(name) || !seen.insert(name) {
                return Err(Problem::Attribute(name.to_owned()));
            }
        }
        Ok(())
    }
}
