//! The shape of a Parquet file's rows: a tree of named nodes, and in it the columns.
//!
//! What JSON cannot express is refused here already where the type alone tells: no row has to be
//! read for it.
//!
//! Lists and maps are recognised as the format says, older forms included:
//! <https://github.com/apache/parquet-format/blob/master/LogicalTypes.md>.

use std::collections::BTreeSet;

use dataforge_core::limits::{PARQUET_DEPTH_MAX, PARQUET_NAME_BYTES_MAX, PARQUET_NODES_MAX};

use super::super::error::Fault;
use super::thrift::{Bad, Kind, Thrift};
use super::values::Physical;

/// One part of a row.
#[derive(Debug)]
pub(super) struct Node {
    /// The name as JSON text.
    pub(super) key: String,
    pub(super) optional: bool,
    /// The definition level from which on the node is there.
    pub(super) there: u8,
    /// The columns below, as numbers of the first and of the one behind the last.
    pub(super) columns: std::ops::Range<usize>,
    pub(super) shape: Shape,
}

#[derive(Debug)]
pub(super) enum Shape {
    Leaf(Form),
    Struct(Vec<Node>),
    List(Elements),
    /// Keys, which are texts, and values.
    Map(Elements, Box<Node>),
}

/// What a list or a map repeats.
#[derive(Debug)]
pub(super) struct Elements {
    /// The definition level from which on there is an element.
    pub(super) there: u8,
    /// The repetition level of all elements but the first.
    pub(super) level: u8,
    pub(super) node: Box<Node>,
}

/// What the values of a column become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Boolean,
    Signed,
    Unsigned,
    Float,
    Text,
    /// Of a column of a type with no value but null.
    Null,
}

/// A column of values.
#[derive(Debug, Clone)]
pub(super) struct Leaf {
    /// Names from the outermost inwards.
    pub(super) path: String,
    pub(super) physical: Physical,
    /// The highest levels in it.
    pub(super) definition: u8,
    pub(super) repetition: u8,
}

/// The nodes of a row, and the columns in their order in the file.
#[derive(Debug)]
pub(super) struct Schema {
    pub(super) root: Vec<Node>,
    pub(super) leaves: Vec<Leaf>,
}

/// A node as the file has it, without what is below it.
#[derive(Debug, Default)]
pub(super) struct Element<'a> {
    name: &'a str,
    physical: Option<i32>,
    repetition: i32,
    children: usize,
    converted: Option<i32>,
    logical: Option<i16>,
    unsigned: bool,
}

impl<'a> Element<'a> {
    /// Reads a `SchemaElement`.
    pub(super) fn read(thrift: &mut Thrift<'a>) -> Result<Self, Bad> {
        let mut element = Self::default();
        thrift.fields(Kind::Struct, |id, kind, thrift| {
            match id {
                1 => element.physical = Some(thrift.number(kind)?),
                3 => element.repetition = thrift.number(kind)?,
                4 => element.name = thrift.text(kind)?,
                5 => element.children = thrift.number(kind)?,
                6 => element.converted = Some(thrift.number(kind)?),
                10 => element.read_logical(kind, thrift)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(element)
    }

    /// A union: the one field that is there says which type.
    fn read_logical(&mut self, kind: Kind, thrift: &mut Thrift<'a>) -> Result<(), Bad> {
        thrift.fields(kind, |id, kind, thrift| {
            self.logical = Some(id);
            if id != 10 {
                return Ok(false);
            }
            thrift.fields(kind, |id, kind, _| {
                self.unsigned |= (id, kind) == (2, Kind::Bool(false));
                Ok(id == 2)
            })?;
            Ok(true)
        })
    }

    fn is_repeated(&self) -> bool {
        self.repetition == 2
    }

    fn is_list(&self) -> bool {
        self.logical == Some(3) || self.converted == Some(3)
    }

    fn is_map(&self) -> bool {
        self.logical == Some(2) || matches!(self.converted, Some(1 | 2))
    }

    /// What a column of it holds, or why JSON has no form for that.
    fn form(&self) -> Result<(Physical, Form), &'static str> {
        const NO_TEXT: &str = "bytes that are not said to be text have no form in JSON";
        const NO_TIME: &str = "dates, times and decimals have no form in JSON: write texts";
        let unsigned = self.unsigned || matches!(self.converted, Some(11..=14));
        let whole = if unsigned { Form::Unsigned } else { Form::Signed };
        let is_text = matches!(self.logical, Some(1 | 4 | 12))
            || (self.logical.is_none() && matches!(self.converted, Some(0 | 4 | 19)));
        let (physical, form) = match self.physical {
            Some(0) => (Physical::Boolean, Form::Boolean),
            Some(1) => (Physical::Int32, whole),
            Some(2) => (Physical::Int64, whole),
            Some(3) => return Err(NO_TIME),
            Some(4) => (Physical::Float, Form::Float),
            Some(5) => (Physical::Double, Form::Float),
            Some(6) if is_text || self.logical == Some(11) => (Physical::Bytes, Form::Text),
            _ => return Err(NO_TEXT),
        };
        match (self.logical, self.converted) {
            (Some(11), _) => Ok((physical, Form::Null)),
            (Some(5..=8), _) | (None, Some(5..=10 | 21)) => Err(NO_TIME),
            _ => Ok((physical, form)),
        }
    }
}

/// A node with what is below it.
struct Tree<'a> {
    element: Element<'a>,
    below: Vec<Tree<'a>>,
}

impl<'a> Tree<'a> {
    /// Takes a node and all below it from nodes in depth-first order.
    fn build(
        elements: &mut impl Iterator<Item = Element<'a>>,
        depth: usize,
    ) -> Result<Self, Fault> {
        if depth > PARQUET_DEPTH_MAX {
            let reason = format!("the schema is more than {PARQUET_DEPTH_MAX} groups deep");
            return Err(Fault::Malformed(reason));
        }
        let element = elements.next().ok_or(Fault::malformed("the schema ends early"))?;
        let below = (0..element.children).map(|_| Self::build(elements, depth + 1));
        let below = below.collect::<Result<_, _>>()?;
        Ok(Self { element, below })
    }

    /// Whether this repeated node of a list is its element, rather than a wrapper around it.
    fn is_element_of(&self, list: &Element<'_>) -> bool {
        let [only] = self.below.as_slice() else { return true };
        let name = self.element.name;
        let tuple = name.strip_suffix("_tuple").is_some_and(|rest| rest == list.name);
        only.element.is_repeated() || name == "array" || tuple
    }
}

impl Schema {
    /// The shape that elements in depth-first order describe, the first of which is the row.
    pub(super) fn new(elements: Vec<Element<'_>>) -> Result<Self, Fault> {
        if elements.len() > PARQUET_NODES_MAX {
            let reason = format!("the schema has more than {PARQUET_NODES_MAX} nodes");
            return Err(Fault::Malformed(reason));
        }
        if elements.iter().any(|element| element.name.len() > PARQUET_NAME_BYTES_MAX) {
            let reason =
                format!("the schema has a name of more than {PARQUET_NAME_BYTES_MAX} bytes");
            return Err(Fault::Malformed(reason));
        }
        let mut elements = elements.into_iter();
        let tree = Tree::build(&mut elements, 0)?;
        if elements.next().is_some() {
            return Err(Fault::malformed("the schema goes on past its end"));
        }
        let mut leaves = Vec::new();
        let root = Builder { leaves: &mut leaves }.all(&tree.below, "", Levels::default())?;
        Ok(Self { root, leaves })
    }
}

/// How many nodes around a place may be missing, and how many repeat.
#[derive(Clone, Copy, Default)]
struct Levels {
    definition: u8,
    repetition: u8,
}

impl Levels {
    fn optional(self) -> Self {
        Self { definition: self.definition + 1, ..self }
    }

    fn repeated(self) -> Self {
        Self { definition: self.definition + 1, repetition: self.repetition + 1 }
    }
}

struct Builder<'b> {
    leaves: &'b mut Vec<Leaf>,
}

impl Builder<'_> {
    /// The members of a struct.
    fn all(&mut self, trees: &[Tree<'_>], path: &str, at: Levels) -> Result<Vec<Node>, Fault> {
        let mut names = BTreeSet::new();
        if trees.is_empty() {
            return Err(Fault::Malformed(format!("group {path:?} of the schema is empty")));
        }
        if let Some(twice) = trees.iter().find(|tree| !names.insert(tree.element.name)) {
            let reason = format!("two columns of {path:?} are called {:?}", twice.element.name);
            return Err(Fault::Malformed(reason));
        }
        trees.iter().map(|tree| self.node(tree, path, at)).collect()
    }

    fn node(&mut self, tree: &Tree<'_>, path: &str, at: Levels) -> Result<Node, Fault> {
        let Element { name, repetition, .. } = tree.element;
        let dot = if path.is_empty() { "" } else { "." };
        let path = format!("{path}{dot}{name}");
        let first = self.leaves.len();
        let (optional, at) = match repetition {
            0 | 2 => (false, at),
            1 => (true, at.optional()),
            _ => return Err(Fault::Malformed(format!("column {path} is of no known repetition"))),
        };
        let shape = if repetition == 2 {
            // Without a list around it, what repeats is a list that is never missing.
            let inside = at.repeated();
            Shape::List(self.elements(inside, |this| this.required(tree, &path, inside))?)
        } else {
            self.shape(tree, &path, at)?
        };
        Ok(self.finish(name, optional, at, first, shape))
    }

    /// A node whose repetition was taken care of.
    fn required(&mut self, tree: &Tree<'_>, path: &str, at: Levels) -> Result<Node, Fault> {
        let first = self.leaves.len();
        let shape = self.shape(tree, path, at)?;
        Ok(self.finish(tree.element.name, false, at, first, shape))
    }

    fn finish(&self, name: &str, optional: bool, at: Levels, first: usize, shape: Shape) -> Node {
        let key = serde_json::Value::from(name).to_string();
        Node { key, optional, there: at.definition, columns: first..self.leaves.len(), shape }
    }

    fn elements(
        &mut self,
        inside: Levels,
        node: impl FnOnce(&mut Self) -> Result<Node, Fault>,
    ) -> Result<Elements, Fault> {
        let node = Box::new(node(self)?);
        Ok(Elements { there: inside.definition, level: inside.repetition, node })
    }

    fn shape(&mut self, tree: &Tree<'_>, path: &str, at: Levels) -> Result<Shape, Fault> {
        let element = &tree.element;
        if tree.below.is_empty() {
            return self.leaf(element, path, at);
        }
        let inside = at.repeated();
        if element.is_list() {
            let [repeated] = tree.below.as_slice() else { return Err(odd("list", path)) };
            if !repeated.element.is_repeated() {
                return Err(odd("list", path));
            }
            let elements = self.elements(inside, |this| match repeated.below.as_slice() {
                [only] if !repeated.is_element_of(element) => this.node(only, path, inside),
                _ => this.required(repeated, path, inside),
            })?;
            return Ok(Shape::List(elements));
        }
        if element.is_map() {
            let [pairs] = tree.below.as_slice() else { return Err(odd("map", path)) };
            let [key, value] = pairs.below.as_slice() else { return Err(odd("map", path)) };
            if !pairs.element.is_repeated() {
                return Err(odd("map", path));
            }
            let keys = self.elements(inside, |this| this.node(key, path, inside))?;
            if !matches!(keys.node.shape, Shape::Leaf(Form::Text)) {
                let reason = "a map whose keys are not texts has no form in JSON".to_owned();
                return Err(Fault::Column { column: path.to_owned(), reason });
            }
            let value = self.node(value, path, inside)?;
            return Ok(Shape::Map(keys, Box::new(value)));
        }
        Ok(Shape::Struct(self.all(&tree.below, path, at)?))
    }

    fn leaf(&mut self, element: &Element<'_>, path: &str, at: Levels) -> Result<Shape, Fault> {
        let named = |reason: &str| Fault::Column { column: path.into(), reason: reason.into() };
        let (physical, form) = element.form().map_err(named)?;
        let Levels { definition, repetition } = at;
        self.leaves.push(Leaf { path: path.to_owned(), physical, definition, repetition });
        Ok(Shape::Leaf(form))
    }
}

fn odd(what: &str, path: &str) -> Fault {
    Fault::Malformed(format!("column {path} is said to be a {what} and is not built like one"))
}
