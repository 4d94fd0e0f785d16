//! The atomics, locks and parking that the slot is made of: the system's, or loom's when a model is checked.
//!
//! Only what a loom model runs uses this module (`cell`, `ring`, and the slot and the walk in the core); everything else
//! takes its locks directly.

#[cfg(not(xfork_loom))]
mod chosen {
    use parking_lot::RawMutex;
    use parking_lot::lock_api::RawMutex as _;
    pub(crate) use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering, fence};
    pub(crate) use std::thread::{Thread, current, park, park_timeout, yield_now};

    /// What a model checks for races; nothing here.
    pub(crate) struct Accesses;

    impl Accesses {
        pub(crate) const fn new() -> Self {
            Self
        }

        #[inline]
        pub(crate) fn read(&self) {}
        #[inline]
        pub(crate) fn write(&self) {}
    }

    /// A lock of one byte.
    pub(crate) struct Lock(RawMutex);

    impl Lock {
        pub(crate) const fn new() -> Self {
            Self(RawMutex::INIT)
        }

        /// Runs `inside` while nobody else does.
        #[expect(unsafe_code, reason = "a lock without what it guards is unlocked by hand")]
        pub(crate) fn hold<R>(&self, inside: impl FnOnce() -> R) -> R {
            struct Unlock<'a>(&'a RawMutex);
            impl Drop for Unlock<'_> {
                fn drop(&mut self) {
                    // SAFETY: made right after the lock was taken, by the same thread.
                    unsafe { self.0.unlock() };
                }
            }
            self.0.lock();
            let _unlock = Unlock(&self.0);
            inside()
        }
    }
}

#[cfg(xfork_loom)]
mod chosen {
    pub(crate) use loom::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering, fence};
    pub(crate) use loom::thread::{Thread, current, park, yield_now};

    /// Time does not pass in a model.
    pub(crate) fn park_timeout(_limit: std::time::Duration) {
        park();
    }

    /// Reads and writes of a place, which loom checks for races.
    pub(crate) struct Accesses(loom::cell::UnsafeCell<()>);

    impl Accesses {
        pub(crate) fn new() -> Self {
            Self(loom::cell::UnsafeCell::new(()))
        }

        pub(crate) fn read(&self) {
            self.0.with(|_| ());
        }

        pub(crate) fn write(&self) {
            self.0.with_mut(|_| ());
        }
    }

    /// loom's lock.
    pub(crate) struct Lock(loom::sync::Mutex<()>);

    impl Lock {
        pub(crate) fn new() -> Self {
            Self(loom::sync::Mutex::new(()))
        }

        /// Runs `inside` while nobody else does.
        pub(crate) fn hold<R>(&self, inside: impl FnOnce() -> R) -> R {
            let _guard = self.0.lock().expect("no panic under this lock");
            inside()
        }
    }
}

pub(crate) use chosen::*;
