//! Rows of text: the lines of JSON Lines, or the elements of a JSON array.
//!
//! No JSON is parsed. A line's bytes are what lies between line ends, an element's are what lies
//! between commas outside strings and brackets, on one line: if every element is JSON then the
//! whole was. That is for whoever reads the rows to say.

use std::io::{BufRead, Read};

use dataforge_core::limits::LINE_BYTES_MAX;

use super::error::Fault;
use super::input::Tally;

const ROW_BYTES_MAX: usize = LINE_BYTES_MAX.0 as usize;

/// The next line without its end; none at the end of the input. A byte order mark stays.
pub(super) fn line(input: &mut dyn BufRead, tally: &Tally) -> Result<Option<Vec<u8>>, Fault> {
    let mut line = Vec::new();
    // As much as the longest line takes with its end.
    let most = LINE_BYTES_MAX.0 + 1;
    input.take(most).read_until(b'\n', &mut line).map_err(|error| tally.fault(error))?;
    if line.is_empty() {
        return Ok(None);
    }
    match line.pop_if(|last| *last == b'\n') {
        None if line.len() > ROW_BYTES_MAX => return Err(Fault::RowTooLong),
        _ => line.pop_if(|last| *last == b'\r'),
    };
    Ok(Some(line))
}

/// Whether the text is a JSON array, by its first bytes: a byte order mark is ignored, as RFC 8259
/// allows.
pub(super) fn is_array(start: &[u8]) -> bool {
    let start = start.strip_prefix(BYTE_ORDER_MARK).unwrap_or(start);
    start.iter().find(|byte| !is_space(**byte)) == Some(&b'[')
}

/// Whether nothing but white space has come so far.
pub(super) fn is_space_only(start: &[u8]) -> bool {
    let start = start.strip_prefix(BYTE_ORDER_MARK).unwrap_or(start);
    start.iter().all(|byte| is_space(*byte))
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// White space of RFC 8259.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Where in an array the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the opening bracket.
    Before,
    /// After the opening bracket.
    Opened,
    /// After a comma.
    Comma,
    /// Within or right after an element.
    Element,
    /// After the closing bracket.
    Closed,
}

/// The elements of a JSON array.
pub(super) struct Elements {
    place: Place,
}

/// Which brackets and which string of an element are open.
#[derive(Default)]
struct Scan {
    depth: usize,
    string: bool,
    escape: bool,
}

impl Scan {
    /// Takes one byte of an element; false where the byte ends it and is not of it.
    fn takes(&mut self, byte: u8) -> bool {
        if self.string {
            match byte {
                _ if self.escape => self.escape = false,
                b'\\' => self.escape = true,
                b'"' => self.string = false,
                _ => {}
            }
            return true;
        }
        match byte {
            b'"' => self.string = true,
            b'[' | b'{' => self.depth += 1,
            b',' | b']' | b'}' if self.depth == 0 => return false,
            b']' | b'}' => self.depth -= 1,
            _ => {}
        }
        true
    }
}

impl Elements {
    pub(super) fn new() -> Self {
        Self { place: Place::Before }
    }

    /// The next element without the white space around it; none after the last.
    pub(super) fn next(
        &mut self,
        input: &mut dyn BufRead,
        tally: &Tally,
    ) -> Result<Option<Vec<u8>>, Fault> {
        let (mut element, mut scan) = (Vec::new(), Scan::default());
        loop {
            let piece = input.fill_buf().map_err(|error| tally.fault(error))?;
            if piece.is_empty() {
                return match self.place {
                    Place::Closed => Ok(None),
                    _ => Err(Fault::malformed("the array does not end")),
                };
            }
            let (used, ended) = if self.place == Place::Element {
                inside(piece, &mut scan, &mut element)?
            } else {
                (self.between(piece)?, false)
            };
            let end = ended.then(|| piece[used]);
            input.consume(used);
            self.place = match end {
                None => continue,
                Some(b',') => Place::Comma,
                Some(b']') => Place::Closed,
                Some(_) => return Err(Fault::malformed("a brace that was not opened")),
            };
            input.consume(1);
            while element.pop_if(|last| is_space(*last)).is_some() {}
            return Ok(Some(element));
        }
    }

    /// Takes what is not of an element, up to where one begins; how many bytes that is.
    fn between(&mut self, piece: &[u8]) -> Result<usize, Fault> {
        let mut used = 0;
        for byte in piece {
            self.place = match (self.place, *byte) {
                (place, byte) if is_space(byte) => place,
                (Place::Before, b'[') => Place::Opened,
                // What is not the bracket is the mark in front of it.
                (Place::Before, _) => Place::Before,
                (Place::Opened, b']') => Place::Closed,
                (Place::Opened | Place::Comma, b',' | b']' | b'}') => {
                    return Err(Fault::malformed("an element is missing"));
                }
                (Place::Closed, _) => {
                    return Err(Fault::malformed("text after the end of the array"));
                }
                _ => {
                    self.place = Place::Element;
                    break;
                }
            };
            used += 1;
        }
        Ok(used)
    }
}

/// Takes the bytes of an element up to its end or the piece's; how many, and whether it ended. A
/// line end between tokens becomes a space, so that the element is a line.
fn inside(piece: &[u8], scan: &mut Scan, element: &mut Vec<u8>) -> Result<(usize, bool), Fault> {
    let before = element.len();
    for byte in piece {
        if !scan.takes(*byte) {
            return Ok((element.len() - before, true));
        }
        if element.len() == ROW_BYTES_MAX {
            return Err(Fault::RowTooLong);
        }
        let line_end = matches!(byte, b'\n' | b'\r') && !scan.string;
        element.push(if line_end { b' ' } else { *byte });
    }
    Ok((piece.len(), false))
}
