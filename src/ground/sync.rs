//! The atomics, locks and parking that the slot is made of: the system's, or loom's when a model is checked.
//!
//! Only what a loom model runs uses this module (`cell`, and the slot and the walk in the core); everything else takes
//! its locks directly.

#[cfg(not(loom))]
mod chosen {
    pub(crate) use parking_lot::Mutex;
    pub(crate) use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
    pub(crate) use std::thread::{Thread, current, park, park_timeout};
}

#[cfg(loom)]
mod chosen {
    pub(crate) use loom::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
    pub(crate) use loom::thread::{Thread, current, park};

    /// Time does not pass in a model.
    pub(crate) fn park_timeout(_limit: std::time::Duration) {
        park();
    }

    /// loom's lock, without poisoning.
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().expect("no panic under this lock")
        }
    }
}

pub(crate) use chosen::*;
