//! Messages that quote a miner's data, cut to a fixed length and fit for a terminal.
//!
//! Reasons and pointers end up in score proofs and on terminals, so a row must not be able to make
//! them long, break them into lines or send escape sequences. Cutting is by bytes at a character
//! boundary and thus the same for everybody.

/// Most bytes of a reason or a pointer, the ellipsis included.
pub const MESSAGE_BYTES_MAX: usize = 300;

/// Cuts `text` to [`MESSAGE_BYTES_MAX`], marks the cut with an ellipsis, and replaces control
/// characters.
pub fn bounded(text: String) -> String {
    const ELLIPSIS: char = '…';
    let mut text = text.replace(char::is_control, "\u{fffd}");
    if text.len() > MESSAGE_BYTES_MAX {
        let end = text.floor_char_boundary(MESSAGE_BYTES_MAX - ELLIPSIS.len_utf8());
        text.truncate(end);
        text.push(ELLIPSIS);
    }
    text
}
