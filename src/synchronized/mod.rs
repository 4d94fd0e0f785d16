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
mod lent;
mod place;
mod position;
mod queue;
mod source;
mod tracked;

pub use callee::{Callee, Concurrent, Here};
pub use later::{AsIs, Collected, Forked, HereCollected, Keep, Kept, Later, Plain, Whole};
pub use lent::{Borrowed, Lend, Lent, Owned, lent};
pub use place::{Container, Fields, Receiver};
pub use position::{Beside, Position};
pub use queue::{Apply, Pending, Queue, Session, settle, unwind};
pub use source::{Calm, Source};
pub use tracked::{
    Again, Changes, Conflict, ForkedInto, Indexed, IsTracked, Keyed, Reads, Snapshot, SnapshotOf, Tracked,
    again,
};

/// The methods that are found where a type has none of its own.
pub mod methods {
    pub use super::callee::{
        Ordinary as _, Plain0 as _, Plain1 as _, Plain2 as _, Plain3 as _, Plain4 as _, Plain5 as _,
        Plain6 as _, Plain7 as _, Plain8 as _, Plain9 as _, Plain10 as _, Plain11 as _, Plain12 as _,
    };
    pub use super::later::{Collected as _, HereCollected as _, KeepAsIs as _};
    pub use super::lent::MayChange as _;
    pub use super::place::{Apart as _, Unknown as _};
    pub use super::position::{Anywhere as _, AnywhereBeside as _};
    pub use super::source::Unknown as _;
}
