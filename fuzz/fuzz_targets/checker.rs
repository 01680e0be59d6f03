//! Any bytes as what a checker wrote: one fault or none for each line, fit to be shown and to stand
//! in a proof, whatever the checker put there.
#![no_main]

use dataforge_sandbox::CommandFault;
use libfuzzer_sys::fuzz_target;

/// Bytes of a pointer and of a reason, as the contract of checkers has it.
const MESSAGE_BYTES_MAX: usize = 300;

fuzz_target!(|written: &[u8]| {
    let feeds = written.iter().filter(|byte| **byte == b'\n').count();
    let [fewer, more] = [feeds, feeds + 1].map(|rows| CommandFault::read_lines(written, rows));
    assert!(fewer.is_err() || more.is_err(), "one number of lines is right");
    let Ok(answers) = fewer.or(more) else { return };
    assert!((feeds..=feeds + 1).contains(&answers.len()));
    for fault in answers.into_iter().flatten() {
        for text in [fault.pointer, fault.reason] {
            assert!(text.len() <= MESSAGE_BYTES_MAX && !text.contains(char::is_control));
        }
    }
});
