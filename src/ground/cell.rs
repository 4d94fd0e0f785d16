//! A cell that is written once by whichever thread finishes first, and read by the holders of a [`ReadRight`].
//!
//! `OnceLock<T>` is `Sync` only for `T: Sync`, because every thread that sees the cell may read it. A task's
//! result needs less: a worker thread writes it (`T: Send`), and only proxies read it, which are themselves
//! `Send`/`Sync` only when `T` is `Send + Sync`. The right to read is therefore a value of its own.
#![expect(unsafe_code, reason = "the cell is shared with a writer in another thread without `T: Sync`")]

use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

/// A write-once cell that may be shared with a writing thread when `T` is only `Send`.
pub(crate) struct WriteOnce<T>(OnceLock<T>);

// SAFETY: sharing the cell gives other threads `set` (which moves a `T` in: `T: Send`) and the drop of the value
// by the last owner (`T: Send`). `&T` is only given out for a `ReadRight<T>`, which is `Send`/`Sync` only for
// `T: Send + Sync`; `WriteOnce::new` is the only maker of rights, and proxies keep the one of their own cell.
unsafe impl<T: Send> Sync for WriteOnce<T> {}

/// The right to read a [`WriteOnce<T>`]; moves between threads exactly when `&T` may.
pub(crate) struct ReadRight<T>(PhantomData<Arc<T>>);

impl<T> Clone for ReadRight<T> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<T> WriteOnce<T> {
    pub(crate) fn new() -> (Self, ReadRight<T>) {
        (Self(OnceLock::new()), ReadRight(PhantomData))
    }

    /// Stores the value, or gives it back when there is one already.
    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        self.0.set(value)
    }

    pub(crate) fn get(&self, _right: &ReadRight<T>) -> Option<&T> {
        self.0.get()
    }

    pub(crate) fn into_inner(self) -> Option<T> {
        self.0.into_inner()
    }
}
