//! A value that lies in held memory.

#![expect(unsafe_code, reason = "a reference into memory that the same value keeps alive")]

use super::Held;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

/// Held memory, and a value in it.
pub(crate) struct View<T: ?Sized> {
    held: Arc<Held>,
    value: NonNull<T>,
}

impl<T: ?Sized + 'static> View<T> {
    /// What `see` makes of the bytes; `None` if it makes nothing of them.
    pub(crate) fn new(held: Arc<Held>, see: impl for<'a> FnOnce(&'a [u8]) -> Option<&'a T>) -> Option<Self> {
        let value = NonNull::from(see(held.memory().bytes())?);
        Some(Self { held, value })
    }
}

impl<T: ?Sized> View<T> {
    pub(crate) fn held(&self) -> &Arc<Held> {
        &self.held
    }
}

impl<T: ?Sized> Deref for View<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: `new` took the address from a reference with the lifetime of the bytes, or a longer one. They neither move nor change
        // while `held` lives, which nobody gets out of here: a mapping or a heap block that is freed by its last holder.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized> Clone for View<T> {
    fn clone(&self) -> Self {
        Self { held: self.held.clone(), value: self.value }
    }
}

// SAFETY: a `View` gives out shared references only, and owns the memory together with its clones, which any thread may free. The
// value is never dropped or moved.
unsafe impl<T: ?Sized + Sync> Send for View<T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Sync> Sync for View<T> {}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::super::Memory;
    use super::*;

    #[test]
    fn a_view_outlives_who_made_it_and_nothing_is_seen_where_nothing_is() {
        let held = Held::new(Arc::new(Memory::copy_of("tëxt".as_bytes()).unwrap()));
        let view = View::new(held.clone(), |bytes| std::str::from_utf8(bytes).ok()).unwrap();
        assert!(View::<str>::new(held, |bytes| std::str::from_utf8(&bytes[2..]).ok()).is_none());
        let again = view.clone();
        drop(view);
        std::thread::spawn(move || assert_eq!(&*again, "tëxt")).join().unwrap();
    }
}
