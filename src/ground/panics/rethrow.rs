//! The only place that throws the panic of a task again.
//!
//! Owns the choice between a report and silence. Promises: outside a task the report is on stderr before anything unwinds, and
//! a hook of the program's own is called once per report; inside a task nothing is printed, because the failure will be
//! reported when the enclosing task's result is used, and the enclosing `catch` learns which failure passed through.
//! Leaves out: the text (`report`), and that a failure which has been reported gets a short one (the caller).
//!
//! The program's hook can only be called by raising a real panic, since nobody but std can make a `PanicHookInfo`.
//! Such a hook therefore sees as the place the one where the result was used, not where the task panicked (that is in the
//! report); and of a payload that is no text it sees std's words for one, though what is thrown is the original.

use std::any::Any;
use std::panic::{catch_unwind, panic_any, resume_unwind};

use super::payload::{OTHER, Payload, discard};
use super::{hook, report, scope};

/// Throws what a task threw.
///
/// `text` makes what is printed, and is asked only if something is; `identity` is what the enclosing `catch`, if this
/// payload ends it, returns as `Caught::inherited`.
#[track_caller]
pub(crate) fn rethrow(payload: Payload, text: impl FnOnce() -> String, identity: Box<dyn Any + Send>) -> ! {
    let thrown = payload.take();
    if scope::is_inside() {
        scope::lend(&*thrown, payload, identity);
        resume_unwind(thrown);
    }
    drop(identity);
    report::print(&text());
    // The program may have set one since it was looked at last.
    hook::ensure_current();
    if !hook::is_custom() {
        // std's hook would say it all again, with the wrong place.
        resume_unwind(thrown);
    }
    let thrown = match thrown.downcast::<&'static str>() {
        Ok(text) => panic_any(*text),
        Err(thrown) => thrown,
    };
    match thrown.downcast::<String>() {
        Ok(text) => panic_any(*text),
        Err(thrown) => {
            let Err(words) = catch_unwind(|| panic_any(OTHER));
            discard(words);
            resume_unwind(thrown)
        }
    }
}
