//! `imperial_date_to_string` of the package evals: an ISO date to a date in words.

use dataforge_core::dataset::Row;
use serde::Deserialize;

use super::{PublicSetError, check_size};

const SET: &str = "evals-date";

/// A line of the file: a chat and the answer that is right.
#[derive(Deserialize)]
struct Sample {
    input: Vec<Message>,
    ideal: String,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    content: String,
}

/// The rows of the set, in the file's order: the user's message and the ideal answer. The system
/// message is the same in every row and is left out.
///
/// # Errors
/// [`PublicSetError`] naming the line.
pub fn date_rows(bytes: &[u8]) -> Result<Vec<Row>, PublicSetError> {
    check_size(SET, bytes)?;
    bytes
        .split(|byte| *byte == b'\n')
        .enumerate()
        .filter(|(_, line)| !line.trim_ascii().is_empty())
        .map(|(index, line)| {
            parse(line).map_err(|reason| PublicSetError::BadFormat {
                set: SET,
                at: format!("row {}", index + 1),
                reason,
            })
        })
        .collect()
}

fn parse(line: &[u8]) -> Result<Row, String> {
    let sample: Sample = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let user = sample.input.into_iter().rfind(|message| message.role == "user");
    let input = user.ok_or("it has no user message")?.content;
    Ok(Row { input, output: sample.ideal })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_message_and_the_ideal_make_a_row() {
        let line = concat!(
            r#"{"input": [{"role": "system", "content": "s"}, "#,
            r#"{"role": "user", "content": "1945-07-12"}], "ideal": "Thursday, July 12, 1945."}"#,
        );
        let rows = date_rows(line.as_bytes()).unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].input, "1945-07-12");
        assert_eq!(rows[0].output, "Thursday, July 12, 1945.");
    }

    #[test]
    fn a_bad_line_is_named() {
        let good = r#"{"input": [{"role": "user", "content": "u"}], "ideal": "i"}"#;
        for bad in
            ["{", r#"{"input": [], "ideal": "i"}"#, r#"{"input": "u", "ideal": "i"}"#, "\u{7f}"]
        {
            let error = date_rows(format!("{good}\n\n{bad}\n").as_bytes()).unwrap_err();
            assert!(error.to_string().contains("row 3"), "{error}");
        }
    }
}
