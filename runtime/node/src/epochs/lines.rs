//! What lines hold: events one by one, however long the file is, and which line of other files is
//! wrong.
//!
//! Every line of events ends with a line feed, so a file whose last line does not was cut short, or
//! is being written.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use dataforge_core::limits::{EVENT_LINE_BYTES_MAX, EVENTS_BYTES_MAX, EVENTS_MAX};
use dataforge_settle::Event;
use serde::de::DeserializeOwned;

use super::EpochsError;
use crate::fs::FileError;

/// Every event of a file.
pub(super) fn read(path: &Path) -> Result<Vec<Event>, EpochsError> {
    let file = File::open(path).map_err(FileError::io("open", path))?;
    let mut reader = BufReader::new(file);
    let (mut events, mut line, mut left) = (Vec::new(), Vec::new(), EVENTS_BYTES_MAX.0);
    for number in 1.. {
        line.clear();
        let mut bounded = (&mut reader).take(EVENT_LINE_BYTES_MAX.0.saturating_add(1));
        let length = bounded.read_until(b'\n', &mut line).map_err(FileError::io("read", path))?;
        if length == 0 {
            break;
        }
        let fault = |reason| EpochsError::Line { path: path.to_owned(), line: number, reason };
        let too_large = || FileError::TooLarge { path: path.to_owned(), limit: EVENTS_BYTES_MAX };
        left = left.checked_sub(length as u64).ok_or_else(too_large)?;
        if events.len() == EVENTS_MAX {
            return Err(fault(format!("an epoch has at most {EVENTS_MAX} events")));
        }
        let Some(text) = line.strip_suffix(b"\n") else {
            return Err(fault(unended(length)));
        };
        let event = serde_json::from_slice(text);
        events.push(event.map_err(|error| fault(reason(&error)))?);
    }
    Ok(events)
}

fn unended(length: usize) -> String {
    match length as u64 > EVENT_LINE_BYTES_MAX.0 {
        true => format!("longer than {} bytes", EVENT_LINE_BYTES_MAX.0),
        false => "it does not end: the file is cut short".to_owned(),
    }
}

/// Refuses a file that something cannot be appended to, because its last line does not end.
pub(super) fn expect_whole(path: &Path) -> Result<(), EpochsError> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        file => file.map_err(FileError::io("open", path))?,
    };
    let mut last = [b'\n'];
    if file.seek(SeekFrom::End(0)).map_err(FileError::io("read", path))? > 0 {
        file.seek(SeekFrom::End(-1)).map_err(FileError::io("read", path))?;
        file.read_exact(&mut last).map_err(FileError::io("read", path))?;
    }
    match last {
        [b'\n'] => Ok(()),
        // Says which line it is.
        _ => read(path).map(drop),
    }
}

/// What some TOML says, or the line, from 1, that is wrong, and why.
pub(crate) fn toml<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, (usize, String)> {
    let at = |place: usize, reason: String| {
        let line = bytes.iter().take(place).filter(|byte| **byte == b'\n').count() + 1;
        (line, reason)
    };
    let text = std::str::from_utf8(bytes)
        .map_err(|error| at(error.valid_up_to(), "it is not UTF-8".to_owned()))?;
    toml::from_str(text)
        .map_err(|error| at(error.span().map_or(0, |span| span.start), error.message().to_owned()))
}

/// What is wrong with some JSON, without the line, which is said in front, and with the column.
pub(super) fn reason(error: &serde_json::Error) -> String {
    let words = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match words.strip_suffix(&place) {
        Some(words) => format!("column {}: {words}", error.column()),
        None => words,
    }
}

#[cfg(test)]
mod tests {
    use super::super::EpochFolder;
    use super::*;
    use dataforge_settle::{Block, Epoch, What};

    #[test]
    fn what_is_appended_is_read_back_in_its_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("3");
        std::fs::create_dir(&path).unwrap();
        let epoch = EpochFolder::at(&path).unwrap();
        let event = |at| Event { epoch: Epoch(3), at: Block(at), what: What::Closed };
        epoch.append(&[event(1), event(2)]).unwrap();
        epoch.append(&[event(3)]).unwrap();
        assert_eq!(epoch.events().unwrap(), [event(1), event(2), event(3)]);
    }

    #[test]
    fn nothing_is_appended_to_a_line_that_was_cut_short() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0");
        std::fs::create_dir(&path).unwrap();
        let line = r#"{"epoch":0,"at":5,"what":"closed"}"#;
        std::fs::write(path.join("events.jsonl"), format!("{line}\n{}", &line[..9])).unwrap();
        let error = EpochFolder::at(&path).unwrap().append(&[]).unwrap_err();
        assert!(matches!(error, EpochsError::Line { line: 2, .. }), "{error}");
    }
}
