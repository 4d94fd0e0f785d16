//! What a worker that was killed by a signal told of it, and what the names in its stack say.
//!
//! Owns the reading of the stack: which function used it up, and whether memory had run out. Promises: nothing is resolved until
//! somebody asks, since the first time costs some 80 ms. Leaves out how the worker told (`sys::crash`) and the sentence
//! that is made of it (`TaskError`).

use serde::{Deserialize, Serialize};

use super::frames::{Frame, Frames};
use crate::ground::sys::crash::Dying;

/// The last words of a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LastStack {
    pub(crate) blow: Blow,
    /// Of the thread that the signal hit; its first is the function in which it did.
    pub(crate) frames: Frames,
}

/// What the signal was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Blow {
    /// An access to memory that is not there, or not to be touched like this.
    Access(u64),
    /// The stack of the thread was used up.
    Overflow,
    /// The worker could not tell, though it was ready to; for want of a stack, most likely.
    Untold,
    /// The process sent the signal to itself.
    Raised,
    /// Another process sent the signal.
    Sent(u32),
    /// The signal's number says it all.
    Plain,
}

impl From<Dying> for LastStack {
    fn from(dying: Dying) -> Self {
        let blow = match dying {
            Dying { is_overflow: true, .. } => Blow::Overflow,
            Dying { sender: Some(pid), .. } => Blow::Sent(pid),
            Dying { was_sent: true, .. } => Blow::Raised,
            Dying { address: Some(address), .. } => Blow::Access(address),
            _ => Blow::Plain,
        };
        Self { blow, frames: Frames::sent(dying.frames, dying.is_cut) }
    }
}

impl LastStack {
    /// Of a worker that was ready to tell, and didn't.
    pub(crate) fn untold() -> Self {
        Self { blow: Blow::Untold, frames: Frames::default() }
    }

    /// The function that called itself until the stack was used up, or had too much on it; for an overflow.
    pub(crate) fn used_up_by(&self) -> Option<String> {
        recursed(&self.frames.resolve()).map(str::to_owned)
    }

    /// Whether a failed allocation ended the process: Rust's, or the `new` of C++.
    pub(crate) fn is_out_of_memory(&self) -> bool {
        is_failed_allocation(&self.frames.resolve_all())
    }
}

/// The innermost function of the user that stands there twice, or else any that does, or else the innermost.
fn recursed(frames: &[Frame]) -> Option<&str> {
    let named = |frame: &'_ Frame| frame.name.is_some();
    let name = |frame: &Frame| frame.name.clone();
    let twice = |frame: &&Frame| frames.iter().filter(|other| name(other) == name(frame)).count() > 1;
    let own = |frame: &&Frame| !frame.is_runtime();
    let all = || frames.iter().filter(|frame| named(frame));
    let found = all()
        .filter(own)
        .find(twice)
        .or_else(|| all().find(twice))
        .or_else(|| all().find(own))
        .or_else(|| all().next());
    found?.name.as_deref()
}

fn is_failed_allocation(frames: &[Frame]) -> bool {
    let ends = |name: &str| {
        name.starts_with("alloc::alloc::handle_alloc_error")
            || name.starts_with("std::alloc::rust_oom")
            || name.contains("__rust_alloc_error_handler")
            || name.contains("__throw_bad_alloc")
    };
    frames.iter().any(|frame| frame.name.as_deref().is_some_and(ends))
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;

    fn frame(name: &str) -> Frame {
        Frame { name: Some(name.to_owned()), ..Frame::default() }
    }

    fn user(name: &str) -> Frame {
        Frame { file: Some("src/main.rs".to_owned()), ..frame(name) }
    }

    #[test]
    fn row_10_an_overflow_is_named_after_what_recursed() {
        for (frames, expected) in [
            (
                vec![frame("core::fmt::write"), user("app::leaf"), user("app::f"), user("app::f")],
                Some("app::f"),
            ),
            (vec![user("app::a"), user("app::b"), user("app::a"), user("app::b")], Some("app::a")),
            (
                vec![frame("core::ptr::drop_in_place::<app::L>"); 9],
                Some("core::ptr::drop_in_place::<app::L>"),
            ),
            (vec![frame("core::slice::sort"), user("app::large"), user("app::main")], Some("app::large")),
            (vec![Frame::default(); 3], None),
            (vec![], None),
        ] {
            assert_eq!(recursed(&frames), expected, "{frames:#?}");
        }
    }

    #[test]
    fn row_12_a_failed_allocation_is_known_by_the_functions_that_end_the_process() {
        let rust = [
            "abort",
            "std::process::abort",
            "__rustc::__rust_alloc_error_handler",
            "alloc::alloc::handle_alloc_error",
        ];
        assert!(is_failed_allocation(&rust.map(frame)));
        assert!(is_failed_allocation(&["abort", "_ZSt17__throw_bad_allocv", "_Znwm"].map(frame)));
        assert!(!is_failed_allocation(&["abort", "std::process::abort"].map(frame)));
        assert!(!is_failed_allocation(&["abort", "app::f", "app::rust_oom"].map(frame)));
    }
}
