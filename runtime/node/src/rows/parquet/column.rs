//! One column of a row group, read value by value: at most its dictionary and one page are held.

use super::super::error::Fault;
use super::packed::Hybrid;
use super::page::{Chunk, Disk, Page};
use super::schema::Leaf;
use super::values::{Dictionary, Value, Values};
use super::window::Window;

/// A column at some place in its values.
pub(super) struct Column {
    leaf: Leaf,
    chunk: Chunk,
    /// Values of the chunk that are in no page opened so far.
    values_left: u64,
    dictionary: Option<Dictionary>,
    page: Option<Opened>,
    head: Option<Head>,
}

/// A page that is being read.
struct Opened {
    held: u64,
    left: u32,
    repetitions: Option<Hybrid>,
    definitions: Option<Hybrid>,
    encoding: i32,
    stored: Window,
    /// Opened with the first value: a page of nulls need not have the head of its encoding.
    values: Option<Values>,
}

/// The levels of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Which list goes on with it; 0 begins a row.
    pub(super) repetition: u8,
    /// How much of what is around it is there.
    pub(super) definition: u8,
}

impl Column {
    pub(super) fn new(leaf: Leaf, chunk: Chunk, values: u64) -> Self {
        Self { leaf, chunk, values_left: values, dictionary: None, page: None, head: None }
    }

    pub(super) fn path(&self) -> &str {
        &self.leaf.path
    }

    /// The levels of the next value; none at the end.
    pub(super) fn head(&mut self, disk: &mut Disk) -> Result<Option<Head>, Fault> {
        if self.head.is_some() {
            return Ok(self.head);
        }
        let page = loop {
            match &mut self.page {
                Some(page) if page.left > 0 => break page,
                _ if self.values_left == 0 => return Ok(None),
                _ => self.turn(disk)?,
            }
        };
        page.left -= 1;
        let head = Head {
            repetition: level(&mut page.repetitions, self.leaf.repetition, 0)?,
            definition: level(&mut page.definitions, self.leaf.definition, self.leaf.definition)?,
        };
        self.head = Some(head);
        Ok(self.head)
    }

    /// Goes on to the next page.
    fn turn(&mut self, disk: &mut Disk) -> Result<(), Fault> {
        if let Some(page) = self.page.take() {
            disk.release(page.held);
        }
        if self.chunk.at >= self.chunk.end {
            return Err(Fault::Malformed(format!("column {} ends early", self.path())));
        }
        let Leaf { physical, definition, repetition, .. } = self.leaf;
        let (page, held) = self.chunk.next(disk, [repetition > 0, definition > 0])?;
        match page {
            Page::Dictionary { values, bytes } => {
                if self.dictionary.is_some() {
                    let reason = format!("column {} has two dictionaries", self.path());
                    return Err(Fault::Malformed(reason));
                }
                // As much again for where its values begin.
                disk.hold(bytes.len() as u64)?;
                self.dictionary = Some(Dictionary::new(physical, bytes, values)?);
            }
            Page::Data { values, encoding, levels, bytes } => {
                let left = self.values_left.checked_sub(values.into());
                let more = || Fault::Malformed(format!("column {} goes on too long", self.path()));
                self.values_left = left.ok_or_else(more)?;
                let [repetitions, definitions] = levels;
                self.page = Some(Opened {
                    held,
                    left: values,
                    repetitions: levels_of(repetitions, repetition)?,
                    definitions: levels_of(definitions, definition)?,
                    encoding,
                    stored: bytes,
                    values: None,
                });
            }
            Page::Other => disk.release(held),
        }
        Ok(())
    }

    /// Takes the value whose levels were seen, which is not there.
    pub(super) fn pass(&mut self) {
        self.head = None;
    }

    /// Takes the value whose levels were seen.
    pub(super) fn value(&mut self) -> Result<Value<'_>, Fault> {
        self.head = None;
        let page = self.page.as_mut().ok_or(Fault::malformed("a value outside of a page"))?;
        let values = match &mut page.values {
            Some(values) => values,
            none => {
                none.insert(Values::new(page.encoding, self.leaf.physical, page.stored.clone())?)
            }
        };
        values.next(self.dictionary.as_ref())
    }
}

/// The decoder of levels up to `most`, where there are any.
fn levels_of(bytes: Window, most: u8) -> Result<Option<Hybrid>, Fault> {
    (most > 0).then(|| Hybrid::new(bytes, u8::BITS - most.leading_zeros())).transpose()
}

fn level(levels: &mut Option<Hybrid>, most: u8, without: u8) -> Result<u8, Fault> {
    let Some(levels) = levels else { return Ok(without) };
    let level = u8::try_from(levels.next()?).ok().filter(|level| *level <= most);
    level.ok_or(Fault::malformed("a level is higher than the schema is deep"))
}
