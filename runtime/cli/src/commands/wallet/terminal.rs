//! A line from the terminal that is not shown while it is typed.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{Stdin, Write as _, stderr, stdin};
use std::sync::atomic::{AtomicBool, Ordering};
use zeroize::Zeroizing;

/// Between two looks at whether Ctrl-C was pressed: its handler sets a flag, and the wait goes on.
const STOP_POLL: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// The terminal's settings, put back when this is dropped.
struct Hidden {
    terminal: Stdin,
    before: Termios,
}

impl Hidden {
    fn new() -> Result<Self, Errno> {
        let terminal = stdin();
        let before = tcgetattr(&terminal)?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        // Shows that Enter was taken.
        hidden.local_modes.insert(LocalModes::ECHONL);
        // What was typed before is forgotten: it was shown.
        tcsetattr(&terminal, OptionalActions::Flush, &hidden)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // There is nobody to tell, and nothing else to try.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

/// Prints a prompt to stderr and reads a line of at most `bytes_max`; nothing where `stop` is set
/// meanwhile. Reads from the system itself: standard input's buffer would keep the line.
pub(super) fn hidden_line(
    prompt: &str,
    bytes_max: usize,
    stop: &AtomicBool,
) -> std::io::Result<Option<Zeroizing<Vec<u8>>>> {
    let hidden = Hidden::new()?;
    write!(stderr(), "{prompt}")?;
    let mut line = Zeroizing::new(vec![0; bytes_max + 1]);
    let mut length = 0;
    loop {
        if stop.load(Ordering::Relaxed) {
            writeln!(stderr())?;
            return Ok(None);
        }
        let mut ready = [PollFd::new(&hidden.terminal, PollFlags::IN)];
        match poll(&mut ready, Some(&STOP_POLL)) {
            Ok(0) | Err(Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let read = rustix::io::read(&hidden.terminal, &mut line[length..])?;
        length += read;
        let ends = line[..length].last() == Some(&b'\n');
        // Ctrl-D ends a line too.
        if read == 0 || ends {
            line.truncate(length - usize::from(ends));
            return Ok(Some(line));
        }
        if length > bytes_max {
            return Err(std::io::Error::other("the line is too long"));
        }
    }
}
