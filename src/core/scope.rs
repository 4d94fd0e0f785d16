//! Who forked whom: counts the unfinished forks of a task, or of the program outside any task.
//!
//! A task's result is delivered when its count falls to zero: the task itself counts as one, so the last of the
//! task and its forks delivers, and nobody has to block for it. The program outside any task is the root: its
//! count is what the end of the program waits for.

use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// The unfinished forks of one task, plus one while the task itself is not finished.
pub(crate) struct Forks(AtomicU32);

impl Forks {
    /// A count of one: the task itself.
    pub(crate) const fn new() -> Self {
        Self(AtomicU32::new(1))
    }

    pub(crate) fn enter(&self) {
        // Relaxed: whoever enters is itself counted, so the count cannot fall to zero meanwhile.
        if self.0.fetch_add(1, Ordering::Relaxed) > u32::MAX / 2 {
            // So many unfinished tasks take more memory than there is; a count that wraps would deliver too early.
            std::process::abort();
        }
    }

    /// Whether all forks are finished, and only the task itself is not: for the task, when it can fork no more.
    pub(crate) fn is_alone(&self) -> bool {
        // Acquire: who delivers reads what the forks wrote before they left.
        self.0.load(Ordering::Acquire) == 1
    }

    /// Leaves, and says whether everything is finished now.
    pub(crate) fn leave(&self, count: u32) -> bool {
        // AcqRel: the last one to leave reads what the others wrote before they left.
        self.0.fetch_sub(count, Ordering::AcqRel) == count
    }
}

/// The forks made outside any task.
pub(crate) struct Root {
    unfinished: AtomicUsize,
    lock: Mutex<()>,
    finished: Condvar,
}

pub(crate) static ROOT: Root =
    Root { unfinished: AtomicUsize::new(0), lock: Mutex::new(()), finished: Condvar::new() };

impl Root {
    pub(crate) fn enter(&self) {
        self.unfinished.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn leave(&self, count: usize) {
        if self.unfinished.fetch_sub(count, Ordering::AcqRel) == count {
            // The lock orders this notification after a waiter's check of the count.
            drop(self.lock.lock());
            self.finished.notify_all();
        }
    }

    /// How many tasks forked outside a task are unfinished.
    pub(crate) fn unfinished(&self) -> usize {
        self.unfinished.load(Ordering::Acquire)
    }

    /// Blocks until no task forked outside a task is unfinished.
    pub(crate) fn wait(&self) {
        let mut guard = self.lock.lock();
        while self.unfinished.load(Ordering::Acquire) != 0 {
            self.finished.wait(&mut guard);
        }
    }
}
