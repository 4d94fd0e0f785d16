//! The last words of a worker that dies of a signal: which signal, why, and the stack of the thread that it hit.
//!
//! Three parts: a page of memory that both processes can see (`page`), what the dying worker does (`handler`), and the
//! stacks on which it does so (`stack`). Promises: the signal that ends the process is the one that hit it, whatever
//! happens in the handler; a handler that was there before ours, or that a task installs later, is left alone; the program
//! reads numbers, bounded, and follows none of them. Leaves out names and words, which are `panics::dying`'s.
//!
//! One static lives here, because a signal handler has no other way to reach anything.

mod handler;
mod page;
mod stack;

pub(crate) use handler::install;
pub(crate) use page::{CrashPage, Dying, LastWords, TakenPage, take_page};
pub(crate) use stack::prepare_thread;
