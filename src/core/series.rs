//! A series of tasks that belong together: one of many says of them what else each would have to keep.
//!
//! The run of a graph is one. It knows its tasks by number, gives their names, places and ranks, and is told when and where each
//! of them has run and when it has ended. Tasks outside a series pay nothing for it.

use crate::core::seed::Position;
use crate::ground::cell::ThreadNumber;
use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What knows the tasks of a series; a task's number is the index of its position among the seeds.
pub(crate) trait Series: Send + Sync {
    fn name(&self, number: u32) -> &str;
    /// Where in the program the task comes from.
    fn place(&self, number: u32) -> &'static Location<'static>;
    /// Of tasks of equal priority, the greater comes first.
    fn rank(&self, number: u32) -> u32;
    /// Whether it wants to know at once that a task runs, which costs a word from another process.
    fn is_watching(&self) -> bool;
    /// The task begins to run, for the first time or once more. Of one in another process this may be told late, after its end,
    /// or, if nobody is watching, not at all.
    fn began(&self, number: u32, site: Site);
    /// The task has run; it has not ended yet.
    fn ran(&self, number: u32, run: Ran);
    /// It took so long to encode its arguments for another process.
    fn sent(&self, number: u32, took: Duration);
    /// The task's result is settled; called once for each.
    fn ended(self: Arc<Self>, number: u32);
}

/// A place in a series.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) series: Arc<dyn Series>,
    /// Where the task is among the seeds; the index is its number.
    pub(crate) position: Position,
}

/// Where a task runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Site {
    /// A thread of this process, by its number.
    Thread(u64),
    /// A worker process, by its id.
    Process(u32),
}

impl Site {
    fn here() -> Self {
        Self::Thread(ThreadNumber::current().get().into())
    }
}

/// A run of a task's function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ran {
    pub(crate) site: Site,
    pub(crate) begin: Instant,
    pub(crate) end: Instant,
}

impl Ran {
    /// A run in another process that has ended just now, after so many microseconds.
    pub(crate) fn in_process(process: u32, micros: u64) -> Self {
        let end = Instant::now();
        // A hostile worker may say any time.
        let begin = end.checked_sub(Duration::from_micros(micros)).unwrap_or(end);
        Self { site: Site::Process(process), begin, end }
    }
}

/// A run in this thread, told when it is dropped.
pub(crate) struct Running<'a> {
    series: &'a dyn Series,
    number: u32,
    begin: Instant,
}

impl<'a> Running<'a> {
    pub(crate) fn new(series: &'a dyn Series, number: u32) -> Self {
        series.began(number, Site::here());
        Self { series, number, begin: Instant::now() }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let site = Site::here();
        self.series.ran(self.number, Ran { site, begin: self.begin, end: Instant::now() });
    }
}
