//! What `#[concurrent]` and `#[synchronized]` write refers to: calls that are forked where a serial program makes them, and
//! whose results are put in their places later.
//!
//! Owns the order in which that happens. Promises: what is pending is done in the order of the calls, each once, by the
//! thread that runs the function, and nothing behind a task that panicked; an ordinary callee is called at once, by the
//! very call that the user wrote. Leaves out when to settle and which places are meant: the macros know the text of
//! the function, and README.md here says how they decide.

#![expect(
    missing_docs,
    reason = "what stands here is not for users, and is described where it says more than its name"
)]

mod callee;
mod later;
mod position;
mod queue;

pub use callee::{
    Callee, Concurrent, Here, Ordinary, Plain0, Plain1, Plain2, Plain3, Plain4, Plain5, Plain6, Plain7,
    Plain8, Plain9, Plain10, Plain11, Plain12,
};
pub use later::{AsIs, Collected, Forked, HereCollected, Keep, KeepAsIs, Kept, Later, owned};
pub use position::{Anywhere, AnywhereBeside, Beside, Position};
pub use queue::{Apply, Container, Pending, Queue, Receiver, Session, Unknown, settle, unwind};
