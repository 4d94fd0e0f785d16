//! What the hook saw of a panic, as data that can cross a process border.
//!
//! Owns message, place, thread and frames of one panic. Promises: a message has at most 64 KiB, whoever made it (row 100);
//! what is shown has no control characters. Leaves out: the payload itself (`payload`), the names of the frames (`frames`).

use std::borrow::Cow;
use std::fmt;
use std::panic::{Location, PanicHookInfo};
use std::thread;

use serde::{Deserialize, Deserializer, Serialize};

use super::frames::Frames;
use super::payload::text_of;

/// Longer texts are data, not messages, and would be copied into each error and report.
pub(super) const MESSAGE_LIMIT: usize = 64 * 1024;
/// Room for the note that says how much is missing.
const NOTE: usize = 48;

/// One panic.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PanicRecord {
    /// The text of the payload; raw, so use [`escape`] to show it.
    #[serde(deserialize_with = "bounded_string")]
    pub(crate) message: String,
    /// Where it was raised, if the hook saw it.
    pub(crate) place: Option<Place>,
    /// How the thread got there.
    pub(crate) frames: Frames,
    /// The name of the thread.
    pub(crate) thread: Option<String>,
}

/// A place in a source file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) file: Cow<'static, str>,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl PanicRecord {
    /// The panic that is being raised; called by the hook.
    pub(super) fn of(info: &PanicHookInfo<'_>) -> Self {
        let place = info.location().map(|location| Place {
            file: Cow::Owned(location.file().to_owned()),
            line: location.line(),
            column: location.column(),
        });
        let message = bounded(text_of(info.payload()));
        Self { message, place, frames: Frames::capture(), thread: thread_name() }
    }

    /// A panic that the hook did not see.
    pub(super) fn unplaced(message: String) -> Self {
        Self { message, place: None, frames: Frames::default(), thread: thread_name() }
    }
}

fn thread_name() -> Option<String> {
    thread::current().name().map(str::to_owned)
}

impl From<&'static Location<'static>> for Place {
    fn from(location: &'static Location<'static>) -> Self {
        Self { file: Cow::Borrowed(location.file()), line: location.line(), column: location.column() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Escaped, because a place may come from a peer.
        write!(f, "{}:{}:{}", escape(&self.file), self.line, self.column)
    }
}

/// The text, or as much of it as a message may have and a note of how much is missing.
pub(super) fn bounded(text: &str) -> String {
    if text.len() <= MESSAGE_LIMIT {
        return text.to_owned();
    }
    let kept = text.floor_char_boundary(MESSAGE_LIMIT - NOTE);
    format!("{} … ({} more bytes)", &text[..kept], text.len() - kept)
}

fn bounded_string<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(if text.len() <= MESSAGE_LIMIT { text } else { bounded(&text) })
}

/// The text as it can be shown on a terminal: control characters other than newline and tab are spelt out, and so are
/// the marks that change the direction of writing, since both can make a report say something else than it does.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    let is_unsafe = |c: char| {
        c.is_control() && c != '\n' && c != '\t'
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;

    #[test]
    fn row_100_long_messages_are_cut_with_a_count() {
        let text = "é".repeat(MESSAGE_LIMIT);
        let cut = bounded(&text);
        assert!(cut.len() <= MESSAGE_LIMIT, "{}", cut.len());
        assert!(cut.ends_with("é … (65584 more bytes)"), "{}", &cut[cut.len() - 40..]);
        assert_eq!(bounded(&cut), cut, "a message that was cut must not be cut again by the next process");
        assert_eq!(bounded(&"x".repeat(MESSAGE_LIMIT)).len(), MESSAGE_LIMIT);
    }

    #[test]
    fn row_100_a_long_message_from_a_peer_is_cut() {
        let record = PanicRecord { message: "x".repeat(1 << 20), ..PanicRecord::unplaced(String::new()) };
        let sent = postcard::to_stdvec(&record).unwrap();
        let got: PanicRecord = postcard::from_bytes(&sent).unwrap();
        assert!(got.message.len() <= MESSAGE_LIMIT);
    }

    #[test]
    fn row_100_control_characters_are_spelt_out() {
        assert_eq!(escape("a\tb\nc é"), "a\tb\nc é");
        assert_eq!(escape("\x1b[31mred\r\0\u{7f}\u{9b}"), "\\u{1b}[31mred\\r\\u{0}\\u{7f}\\u{9b}");
        assert_eq!(escape("a\u{202e}b"), "a\\u{202e}b");
    }

    #[test]
    fn place_reads_like_std_s() {
        let here = Location::caller();
        assert_eq!(Place::from(here).to_string(), here.to_string());
    }
}
