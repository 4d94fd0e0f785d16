//! A cell that is written once by whichever thread finishes first, and read by the holders of a [`ReadRight`].
//!
//! `OnceLock<T>` is `Sync` only for `T: Sync`, because every thread that sees the cell may read it. A task's
//! result needs less: a worker thread writes it (`T: Send`), and only proxies read it, which are themselves
//! `Send`/`Sync` only when `T` is `Send + Sync`. The right to read is therefore a value of its own.
#![expect(unsafe_code, reason = "the cell is shared with a writer in another thread without `T: Sync`")]

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

const EMPTY: u8 = 0;
const WRITING: u8 = 1;
const FULL: u8 = 2;
const TAKEN: u8 = 3;

/// A write-once cell that may be shared with a writing thread when `T` is only `Send`.
pub(crate) struct WriteOnce<T> {
    state: AtomicU8,
    /// How many rights to read there are.
    rights: AtomicUsize,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: sharing the cell gives other threads `set` (which moves a `T` in: `T: Send`) and the drop of the value
// by the last owner (`T: Send`). `&T` and the move out are only given for a `ReadRight<T>`, which is `Send`/`Sync` only
// for `T: Send + Sync`, and `new` and `share` are the only makers of rights.
unsafe impl<T: Send> Sync for WriteOnce<T> {}

/// The right to read one [`WriteOnce<T>`], kept beside it; moves between threads exactly when `&T` may.
///
/// It is not `Clone`: the cell counts its rights, so that the last one may move the value out. One that is dropped instead
/// of released only prevents that.
pub(crate) struct ReadRight<T>(PhantomData<Arc<T>>);

impl<T> WriteOnce<T> {
    pub(crate) fn new() -> (Self, ReadRight<T>) {
        let value = UnsafeCell::new(MaybeUninit::uninit());
        (Self { state: AtomicU8::new(EMPTY), rights: AtomicUsize::new(1), value }, ReadRight(PhantomData))
    }

    /// Stores the value, or gives it back when there is or was one already.
    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        // Acquire suffices: whoever loses does nothing with the value.
        if self.state.compare_exchange(EMPTY, WRITING, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return Err(value);
        }
        // SAFETY: WRITING is entered once, and nobody reads or writes the value in this state but the one who entered it.
        unsafe { (*self.value.get()).write(value) };
        // Release: pairs with the Acquire of the readers.
        self.state.store(FULL, Ordering::Release);
        Ok(())
    }

    #[inline]
    pub(crate) fn get(&self, _right: &ReadRight<T>) -> Option<&T> {
        if self.state.load(Ordering::Acquire) != FULL {
            return None;
        }
        // SAFETY: FULL says that the value was written. It is moved out only by `take`, with the last right, and the
        // reference lives no longer than the right that was borrowed for it.
        Some(unsafe { (*self.value.get()).assume_init_ref() })
    }

    /// One more right.
    pub(crate) fn share(&self, _right: &ReadRight<T>) -> ReadRight<T> {
        // Relaxed: a right is only made from one that exists.
        self.rights.fetch_add(1, Ordering::Relaxed);
        ReadRight(PhantomData)
    }

    /// Gives a right up.
    pub(crate) fn release(&self, _right: ReadRight<T>) {
        // Release: what was read by this right was read before the value is moved out by another.
        self.rights.fetch_sub(1, Ordering::Release);
    }

    /// Moves the value out, if it is there and this is the only right; else gives the right back.
    pub(crate) fn take(&self, right: ReadRight<T>) -> Result<T, ReadRight<T>> {
        // Acquire: pairs with the Release of those who gave their rights up.
        if self.rights.load(Ordering::Acquire) != 1
            || self.state.compare_exchange(FULL, TAKEN, Ordering::Acquire, Ordering::Relaxed).is_err()
        {
            return Err(right);
        }
        // SAFETY: the value was there, and TAKEN is entered once. Rights are not `Clone`, the caller has given the only
        // one, and others can only be made from it: nobody reads the value any more.
        Ok(unsafe { (*self.value.get()).assume_init_read() })
    }
}

impl<T> Drop for WriteOnce<T> {
    fn drop(&mut self) {
        if *self.state.get_mut() == FULL {
            // SAFETY: FULL says that there is a value that was not taken; the cell is not shared any more.
            unsafe { self.value.get_mut().assume_init_drop() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_right_moves_the_value_out() {
        let (cell, right) = WriteOnce::new();
        assert!(cell.get(&right).is_none());
        cell.set("value".to_string()).unwrap();
        assert_eq!(cell.set("again".to_string()), Err("again".to_string()));
        let other = cell.share(&right);
        let Err(right) = cell.take(right) else { panic!("there are two") };
        cell.release(other);
        assert_eq!(cell.take(right).ok().as_deref(), Some("value"));
        assert_eq!(cell.set("again".to_string()), Err("again".to_string()));
    }

    #[test]
    fn a_value_is_dropped_once_whether_taken_or_not() {
        let counted = Arc::new(());
        let (cell, right) = WriteOnce::new();
        cell.set(counted.clone()).unwrap();
        drop(cell.take(right).ok());
        drop(cell);
        assert_eq!(Arc::strong_count(&counted), 1);
        let (cell, _right) = WriteOnce::new();
        cell.set(counted.clone()).unwrap();
        drop(cell);
        assert_eq!(Arc::strong_count(&counted), 1);
    }
}
