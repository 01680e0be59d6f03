//! What guests say for people, made fit for a proof and a terminal.

/// Bytes beyond which a message is cut.
const MESSAGE_BYTES_MAX: usize = 300;

/// Cuts a message, marks the cut with an ellipsis, and replaces control characters. The kernels of
/// `guest-kernels/` do the same themselves; others might not.
pub(crate) fn bounded(text: &str) -> String {
    let mut text = text.replace(char::is_control, "\u{fffd}");
    if text.len() > MESSAGE_BYTES_MAX {
        text.truncate(text.floor_char_boundary(MESSAGE_BYTES_MAX - '…'.len_utf8()));
        text.push('…');
    }
    text
}
