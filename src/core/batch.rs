//! Many tasks of one function that travel together, as slots, runners and those who cancel see them.
//!
//! The items of a map are a *batch*. A pool takes *chunks* out of it, each as large as fits what items have taken so far, and a
//! chunk is one task for the pool. What it is for everybody else is each item by itself: it has an outcome, a seed, and
//! an end of its own. Owns only the three views; `src/batch` has the types.

use crate::core::error::TaskError;
use crate::core::task::Body;
use crate::ground::wire::parcel::Parcel;
use std::sync::Arc;

/// A batch, as the slots of its items know it.
pub(crate) trait Batched: Send + Sync {
    /// The task of one of its items.
    fn item(self: Arc<Self>, index: u32) -> Arc<dyn Body>;
}

/// A batch, as a pool knows it.
pub(crate) trait Source {
    /// The next chunk, claimed, for one of so many workers.
    fn next(&self, workers: usize) -> Next;
    /// Ends what is not in a chunk, as the pool has the batch no more; says how many items that were.
    fn fail_waiting(&self, error: &dyn Fn() -> TaskError) -> usize;
}

/// What a batch has for a pool.
pub(crate) enum Next {
    Chunk(Arc<dyn Body>),
    /// There are chunks enough under way: ask again when one has ended.
    Later,
    /// Nothing: the batch is submitted again when there is something. When the program is interrupted, what it has is to be
    /// [ended](Source::fail_waiting).
    Nothing,
}

/// A chunk, as a pool knows it. Its items start and end in order. What is said of it after its outcome was decided is no error,
/// and means nothing.
pub(crate) trait Chunk {
    /// How many items have no outcome.
    fn open(&self) -> usize;
    /// Accounts for the end of the next item, and gives its place in the chunk; `None` after its outcome was decided.
    fn item_ended(&self) -> Result<Option<usize>, OutOfTurn>;
    /// Hands the outcomes of items that were accounted for to those who wait, from this place on.
    fn deliver(&self, first: usize, outcomes: Outcomes);
    /// Accounts for the end of the chunk, whose items took so many nanoseconds together.
    fn ended(&self, nanos: u64) -> Result<(), OutOfTurn>;
    /// The items from this place on have come back unstarted. Gives the batch if it is to be submitted again.
    fn divided(&self, from: usize) -> Result<Option<Arc<dyn Body>>, OutOfTurn>;
    /// Whether nobody wants what is still to come of it.
    fn is_unwanted(&self) -> bool;
    /// Whether nobody wants some of it.
    fn has_unwanted(&self) -> bool;
    /// It is about to be sent, under this number.
    fn begin_sending(&self) -> u64;
    /// Appends the arguments of its items; none, if it has begun to be sent again meanwhile. It never fails as a whole: an
    /// item that can't be encoded fails by itself, and what is too much goes back.
    fn encode(&self, sending: u64, out: &mut Parcel);
    /// The batch, if it has got something back that was too much for one message.
    fn overflow(&self) -> Option<Arc<dyn Body>>;
    /// Ends the item that was running when the worker died; the rest has not started, and is submitted again.
    fn crashed(&self, error: TaskError);
}

/// A worker has said something of an item that can't be.
#[derive(Debug, PartialEq)]
pub(crate) struct OutOfTurn(pub(crate) &'static str);

/// The outcomes of neighbouring items.
pub(crate) enum Outcomes {
    /// Encoded values: all bytes, and where each ends.
    Values { bytes: Vec<u8>, ends: Vec<usize> },
    /// Of one item.
    One(Result<Parcel, TaskError>),
}
