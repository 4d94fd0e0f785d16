//! What a panic inside a task is, from the place where it happens to the place where it is thrown again.
//!
//! A panic is caught in one file (`capture`) and rethrown in one function (`rethrow`). Between the two it is a value:
//! the payload that the task threw (`payload`), and what the hook saw at that moment (`record`, with its `frames`).
//! `hook` wraps the process-wide panic hook, `scope` is what a thread knows about the task that it is running,
//! `route` is the way that a failure takes to its reader, `report` makes the text for stderr, `dying` reads what is left of a
//! process that died of a signal (not a panic, but its stack is shown like one), `colour`, `names` and `intern` are the small
//! pure parts.
//!
//! Promises: a panic in a task prints nothing where it happens and is never lost; the payload is the one that was
//! thrown, also after a process border for texts; nothing that a peer sends can make this folder panic, leak without
//! bound or touch an address. Leaves out: which error a task gets, when it is reported, and the wire frames.
//!
//! Three statics live here: the state of the hook and the interner, because a panic hook has no other way to reach them, and
//! whether forks keep their stacks.

mod capture;
mod colour;
mod dying;
mod frames;
mod hook;
mod intern;
mod names;
mod payload;
mod record;
mod report;
mod rethrow;
mod route;
mod scope;

pub(crate) use capture::{Caught, catch};
pub(crate) use colour::Paint;
pub(crate) use dying::{Blow, LastStack};
pub(crate) use frames::Frames;
pub(crate) use hook::{install, on_abort};
pub(crate) use payload::Payload;
pub(crate) use record::{PanicRecord, Place, escape};
pub(crate) use report::{
    Operation, Panic, Ran, Report, TraceStyle, What, again, backtrace, print, print_to, report,
};
pub(crate) use rethrow::rethrow;
pub(crate) use route::{ForkPlace, Route};

#[cfg(all(test, not(xfork_loom)))]
mod tests;
