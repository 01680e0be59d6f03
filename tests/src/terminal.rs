//! A terminal for the program under test, at which the test types.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Child, Command};

use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

/// A running program and its terminal.
pub struct Terminal {
    program: Child,
    /// The user's side.
    user: File,
    shown: String,
}

#[expect(clippy::unwrap_used, reason = "a harness that cannot work stops the test")]
impl Terminal {
    /// Runs a program at a terminal of its own.
    ///
    /// # Panics
    ///
    /// Where it does not start.
    #[must_use]
    pub fn run(mut command: Command) -> Self {
        let user = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&user).unwrap();
        unlockpt(&user).unwrap();
        let name = std::ffi::OsString::from_vec(ptsname(&user, Vec::new()).unwrap().into_bytes());
        let no_control = i32::try_from(OFlags::NOCTTY.bits()).unwrap();
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(no_control);
        let terminal = options.open(name).unwrap();
        command.stdin(terminal.try_clone().unwrap()).stdout(terminal.try_clone().unwrap());
        let program = command.stderr(terminal).spawn().unwrap();
        Self { program, user: user.into(), shown: String::new() }
    }

    /// Reads what is shown until these words are.
    ///
    /// # Panics
    ///
    /// Where the program ends before.
    pub fn wait_for(&mut self, words: &str) {
        while !self.shown.contains(words) {
            assert!(self.read(), "{words:?} is not shown:\n{}", self.shown);
        }
    }

    /// Types a line.
    ///
    /// # Panics
    ///
    /// Where the terminal does not take it.
    pub fn types(&mut self, line: &str) {
        self.user.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// What Ctrl-C does to a program in the foreground.
    ///
    /// # Panics
    ///
    /// Where the program has ended.
    pub fn interrupt(&mut self) {
        let id = i32::try_from(self.program.id()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), Signal::INT).unwrap();
    }

    /// Whether what is typed is shown.
    ///
    /// # Panics
    ///
    /// Where there is no terminal any more.
    #[must_use]
    pub fn echoes(&self) -> bool {
        tcgetattr(&self.user).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    /// Waits for the program's end: its exit code, and all that was shown.
    ///
    /// # Panics
    ///
    /// Where it cannot be waited for.
    pub fn end(&mut self) -> (Option<i32>, &str) {
        while self.read() {}
        (self.program.wait().unwrap().code(), &self.shown)
    }

    /// Whether there was more to read. Once nobody has the terminal open, reading fails.
    fn read(&mut self) -> bool {
        let mut bytes = [0; 4096];
        let read = self.user.read(&mut bytes).unwrap_or(0);
        self.shown.push_str(&String::from_utf8_lossy(&bytes[..read]));
        read > 0
    }
}
