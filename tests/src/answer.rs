//! What a run of the program answered: exit code, results, messages.

use std::process::Command;

/// The end of one run.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Exit code; none when a signal ended the run.
    pub code: Option<i32>,
    /// All of stdout.
    pub out: String,
    /// All of stderr.
    pub err: String,
}

impl Answer {
    /// Runs `command` to its end.
    ///
    /// # Panics
    ///
    /// Where it does not start, or prints what is not UTF-8.
    #[must_use]
    pub fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let text = |bytes| String::from_utf8(bytes).expect("the program prints UTF-8");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Fails the test unless the exit code is `code` and each of `mentions` is printed somewhere.
    ///
    /// # Panics
    ///
    /// Then, showing everything that was printed.
    #[track_caller]
    pub fn expect(&self, code: i32, mentions: &[&str]) -> &Self {
        let Self { code: found, out, err } = self;
        let printed = format!("--- stdout\n{out}--- stderr\n{err}---");
        assert_eq!(*found, Some(code), "exit code\n{printed}");
        for mention in mentions {
            let said = out.contains(mention) || err.contains(mention);
            assert!(said, "nothing says {mention:?}\n{printed}");
        }
        self
    }

    /// The JSON object on stdout.
    ///
    /// # Panics
    ///
    /// Where stdout is anything else.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("stdout is no JSON ({error}): {self:?}"))
    }
}
