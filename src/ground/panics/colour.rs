//! Whether a report has colours, and what they are.
//!
//! Owns the decision, which is pure, and the escape codes. Promises: without colours a text is what was given. What is
//! painted has been escaped before, so no code in it comes from a message. Leaves out: what to paint (`report`).

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io::{IsTerminal, stderr};

/// Whether to paint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    Plain,
    Coloured,
}

impl Paint {
    /// What suits this process's stderr.
    pub(crate) fn for_stderr() -> Self {
        let of = |name| std::env::var_os(name);
        Self::decide(
            stderr().is_terminal(),
            of("NO_COLOR").as_deref(),
            of("CLICOLOR_FORCE").as_deref(),
            of("TERM").as_deref(),
        )
    }

    /// A terminal gets colours, unless `NO_COLOR` has a value (<https://no-color.org>) or the terminal is a dumb one;
    /// `CLICOLOR_FORCE` gives them to a pipe as well (<https://bixense.com/clicolors>).
    fn decide(is_terminal: bool, none: Option<&OsStr>, force: Option<&OsStr>, kind: Option<&OsStr>) -> Self {
        let is_refused = none.is_some_and(|value| !value.is_empty());
        let is_forced = force.is_some_and(|value| !value.is_empty() && value != "0");
        let is_able = is_terminal && kind.is_none_or(|kind| kind != "dumb");
        if !is_refused && (is_forced || is_able) { Self::Coloured } else { Self::Plain }
    }

    /// What is to be seen first.
    pub(super) fn loud(self, text: &str) -> Cow<'_, str> {
        self.with("\x1b[1;31m", text)
    }

    /// What is there for those who look for it.
    pub(super) fn dim(self, text: &str) -> Cow<'_, str> {
        self.with("\x1b[2m", text)
    }

    fn with<'a>(self, code: &str, text: &'a str) -> Cow<'a, str> {
        match self {
            Self::Plain => Cow::Borrowed(text),
            Self::Coloured => Cow::Owned(format!("{code}{text}\x1b[0m")),
        }
    }
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::Paint::{Coloured, Plain};
    use super::*;

    #[test]
    fn a_terminal_gets_colours_and_a_pipe_none_unless_somebody_says_otherwise() {
        let some = |text| Some(OsStr::new(text));
        for (is_terminal, none, force, kind, expected) in [
            (true, None, None, some("xterm"), Coloured),
            (true, None, None, None, Coloured),
            (true, some(""), None, some("xterm"), Coloured),
            (true, some("1"), None, some("xterm"), Plain),
            (true, None, None, some("dumb"), Plain),
            (true, None, some("0"), some("xterm"), Coloured),
            (false, None, None, some("xterm"), Plain),
            (false, None, some("0"), some("xterm"), Plain),
            (false, None, some("1"), some("dumb"), Coloured),
            (false, some("1"), some("1"), some("xterm"), Plain),
        ] {
            let decided = Paint::decide(is_terminal, none, force, kind);
            assert_eq!(decided, expected, "{is_terminal} {none:?} {force:?} {kind:?}");
        }
    }

    #[test]
    fn what_is_not_painted_is_left_as_it_is() {
        assert_eq!((Plain.loud("text"), Plain.dim("text")), ("text".into(), "text".into()));
        assert_eq!(Coloured.loud("text"), "\x1b[1;31mtext\x1b[0m");
        assert_eq!(Coloured.dim("text"), "\x1b[2mtext\x1b[0m");
    }
}
