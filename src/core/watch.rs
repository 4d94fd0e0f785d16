//! Who wants to know when a task runs, and where.
//!
//! A task tells its watch after each run of its function, in the thread that learns of the end. Tasks without a watch pay
//! nothing for it.

use crate::ground::cell::ThreadNumber;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Who is told of runs; `number` is what it calls the task.
pub(crate) trait Observer: Send + Sync {
    fn ran(&self, number: u32, run: Ran);
    /// It took so long to encode its arguments for another process.
    fn sent(&self, number: u32, took: Duration);
}

/// Where a task runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Site {
    /// A thread of this process, by its number.
    Thread(u64),
    /// A worker process, by its id.
    Process(u32),
}

/// A run of a task's function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ran {
    pub(crate) site: Site,
    pub(crate) begin: Instant,
    pub(crate) end: Instant,
}

/// Whom to tell, and by which number.
#[derive(Clone)]
pub(crate) struct Watch {
    observer: Arc<dyn Observer>,
    number: u32,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watch({})", self.number)
    }
}

impl Watch {
    pub(crate) fn new(observer: Arc<dyn Observer>, number: u32) -> Self {
        Self { observer, number }
    }

    /// Says that the task begins to run in this thread; its end is told when the guard is dropped.
    pub(crate) fn begin(&self) -> Running<'_> {
        Running { watch: self, begin: Instant::now() }
    }

    /// Says that it took so long to encode the task's arguments.
    pub(crate) fn sent(&self, took: Duration) {
        self.observer.sent(self.number, took);
    }

    /// Says that the task has ended just now, after so many microseconds in another process.
    pub(crate) fn ran_in(&self, process: u32, micros: u64) {
        let end = Instant::now();
        // A hostile worker may say any time.
        let begin = end.checked_sub(Duration::from_micros(micros)).unwrap_or(end);
        self.observer.ran(self.number, Ran { site: Site::Process(process), begin, end });
    }
}

/// A run in this thread.
pub(crate) struct Running<'a> {
    watch: &'a Watch,
    begin: Instant,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let site = Site::Thread(ThreadNumber::current().get().into());
        self.watch.observer.ran(self.watch.number, Ran { site, begin: self.begin, end: Instant::now() });
    }
}
