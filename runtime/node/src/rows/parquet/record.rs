//! A row of a Parquet file as a line of JSON: columns put together again, written as they are read.
//!
//! Columns that disagree about where rows, lists and nulls are do not make a row. The line is
//! bounded while it grows; values are checked here, not in the columns.
//!
//! How levels describe nesting: Melnik et al., Dremel, VLDB 2010, section 4.

use std::io::Write;

use dataforge_core::limits::LINE_BYTES_MAX;

use super::super::error::Fault;
use super::column::{Column, Head};
use super::page::Disk;
use super::schema::{Elements, Form, Node, Shape};
use super::values::Value;

/// The line of the next row, whose members are `nodes`.
pub(super) fn line(
    nodes: &[Node],
    columns: &mut [Column],
    disk: &mut Disk,
) -> Result<Vec<u8>, Fault> {
    let mut record = Record { columns, disk, line: Vec::new() };
    record.members(nodes, 0)?;
    Ok(record.line)
}

struct Record<'a> {
    columns: &'a mut [Column],
    disk: &'a mut Disk,
    line: Vec<u8>,
}

impl Record<'_> {
    fn push(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.line.extend_from_slice(bytes);
        self.bounded()
    }

    fn bounded(&self) -> Result<(), Fault> {
        if self.line.len() as u64 > LINE_BYTES_MAX.0 { Err(Fault::RowTooLong) } else { Ok(()) }
    }

    fn members(&mut self, nodes: &[Node], level: u8) -> Result<(), Fault> {
        let mut before: &[u8] = b"{";
        for node in nodes {
            self.push(before)?;
            self.push(node.key.as_bytes())?;
            self.push(b":")?;
            self.node(node, level)?;
            before = b",";
        }
        self.push(b"}")
    }

    /// Writes a node whose columns all go on at repetition level `level`.
    fn node(&mut self, node: &Node, level: u8) -> Result<(), Fault> {
        let head = self.head(node.columns.start, level)?;
        if head.definition < node.there {
            if !node.optional || head.definition + 1 < node.there {
                return Err(self.disagree(node.columns.start));
            }
            self.push(b"null")?;
            return self.pass(node, head);
        }
        match &node.shape {
            Shape::Leaf(form) => self.value(node, *form),
            Shape::Struct(nodes) => self.members(nodes, level),
            Shape::List(elements) => {
                self.repeat(node, elements, level, [b"[", b"]"], |this, level| {
                    this.node(&elements.node, level)
                })
            }
            Shape::Map(keys, value) => {
                self.repeat(node, keys, level, [b"{", b"}"], |this, level| {
                    this.key(&keys.node, level)?;
                    this.push(b":")?;
                    this.node(value, level)
                })
            }
        }
    }

    /// Writes the name of a member of a map.
    fn key(&mut self, node: &Node, level: u8) -> Result<(), Fault> {
        let column = node.columns.start;
        if self.head(column, level)?.definition < node.there {
            return Err(inexpressible(&self.columns[column], "a key that is null"));
        }
        self.node(node, level)
    }

    /// Writes as many elements as there are, between brackets.
    fn repeat(
        &mut self,
        node: &Node,
        elements: &Elements,
        level: u8,
        [open, close]: [&[u8; 1]; 2],
        mut each: impl FnMut(&mut Self, u8) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.push(open)?;
        let first = node.columns.start;
        let head = self.head(first, level)?;
        if head.definition < elements.there {
            self.pass(node, head)?;
            return self.push(close);
        }
        let mut level = level;
        loop {
            each(self, level)?;
            level = elements.level;
            let next = self.columns[first].head(self.disk)?;
            if next.is_none_or(|next| next.repetition < level) {
                return self.push(close);
            }
            self.push(b",")?;
        }
    }

    /// The next levels of a column, which is to go on at `level`.
    fn head(&mut self, column: usize, level: u8) -> Result<Head, Fault> {
        match self.columns[column].head(self.disk)? {
            Some(head) if head.repetition == level => Ok(head),
            _ => Err(self.disagree(column)),
        }
    }

    fn disagree(&self, column: usize) -> Fault {
        let path = self.columns[column].path();
        Fault::Malformed(format!("column {path} has other rows than the columns before it"))
    }

    /// Leaves out a node that is missing in all its columns alike.
    fn pass(&mut self, node: &Node, expected: Head) -> Result<(), Fault> {
        for column in node.columns.clone() {
            if self.head(column, expected.repetition)? != expected {
                return Err(self.disagree(column));
            }
            self.columns[column].pass();
        }
        Ok(())
    }

    fn value(&mut self, node: &Node, form: Form) -> Result<(), Fault> {
        let column = &mut self.columns[node.columns.start];
        let written = match (column.value()?, form) {
            (Value::Boolean(value), Form::Boolean) => write!(self.line, "{value}"),
            (Value::Int32(value), Form::Signed) => write!(self.line, "{value}"),
            (Value::Int64(value), Form::Signed) => write!(self.line, "{value}"),
            (Value::Int32(value), Form::Unsigned) => {
                write!(self.line, "{}", value.cast_unsigned())
            }
            (Value::Int64(value), Form::Unsigned) => {
                write!(self.line, "{}", value.cast_unsigned())
            }
            (Value::Float(value), Form::Float) if value.is_finite() => {
                serde_json::to_writer(&mut self.line, &value).map_err(Into::into)
            }
            (Value::Double(value), Form::Float) if value.is_finite() => {
                serde_json::to_writer(&mut self.line, &value).map_err(Into::into)
            }
            (Value::Bytes(value), Form::Text) => match std::str::from_utf8(value) {
                // Its escapes only make it longer.
                Ok(text) if text.len() as u64 > LINE_BYTES_MAX.0 => return Err(Fault::RowTooLong),
                Ok(text) => serde_json::to_writer(&mut self.line, text).map_err(Into::into),
                Err(_) => return Err(inexpressible(column, "text that is not UTF-8")),
            },
            (_, Form::Float) => return Err(inexpressible(column, "a number that is not finite")),
            (_, Form::Null) => return Err(inexpressible(column, "a value where only null may be")),
            _ => return Err(Fault::malformed("a value of another type than its column")),
        };
        written.map_err(Fault::Io)?;
        self.bounded()
    }
}

fn inexpressible(column: &Column, what: &str) -> Fault {
    Fault::Column {
        column: column.path().to_owned(),
        reason: format!("{what} has no form in JSON"),
    }
}
