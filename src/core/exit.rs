//! The end of the program: waits for what was forked, prints what tasks printed whose values nobody used, then reports what
//! failed and nobody looked at.

use crate::core::scope::ROOT;
use crate::core::{cancel, context, interrupt, output, unseen};
use crate::ground::{panics, sys};
use std::sync::OnceLock;

/// The process that has forks to wait for: one made by the system's `fork` inherits the handler, and no threads.
static PROGRAM: OnceLock<u32> = OnceLock::new();

/// Has the program wait at its end; called by the first fork.
pub(crate) fn install() {
    PROGRAM.get_or_init(|| {
        if context::worker_pid().is_none() {
            // Without room for a handler the program ends as it always did.
            let _ = sys::at_exit(at_exit);
            interrupt::install();
        }
        std::process::id()
    });
}

extern "C" fn at_exit() {
    if PROGRAM.get() != Some(&std::process::id()) {
        return;
    }
    // A task that ends the program can't be waited for: it would wait for itself.
    if !context::in_task() {
        ROOT.wait();
    }
    if output::is_in_use() {
        output::relay_all();
    }
    if let Some(report) = unseen::report() {
        panics::print(&report);
    }
    if cancel::is_interrupted() {
        interrupt::wait_until_told();
        sys::exit_as_interrupted();
    }
}
