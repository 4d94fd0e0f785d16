//! The end of the program: waits for what was forked, then reports what failed and nobody looked at.

use crate::core::scope::ROOT;
use crate::core::{context, unseen};
use crate::ground::{panics, sys};
use std::sync::Once;

/// Has the program wait at its end; called by the first fork.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        if context::worker_pid().is_none() {
            // Without room for a handler the program ends as it always did.
            let _ = sys::at_exit(at_exit);
        }
    });
}

extern "C" fn at_exit() {
    // A task that ends the program can't be waited for: it would wait for itself.
    if !context::in_task() {
        ROOT.wait();
    }
    if let Some(report) = unseen::report() {
        panics::print(&report);
    }
}
