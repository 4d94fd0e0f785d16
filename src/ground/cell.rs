//! A cell that is settled once, with a value or an error, by whoever has claimed it.
//!
//! Owns the phases of a result. A cell is *empty* (somebody will claim it to fill it) or *deferred* (it has a content from
//! which the value is computed); a claim makes it *claimed*; who holds the claim, and nobody else, reads and changes the
//! content, and settles the cell: *full*, *failed*, or *encoded*, which is settled too, with a value that has to be
//! decoded under one more claim. A claimed cell may also be given back to what it was.
//!
//! Promises, without `T: Sync`: a claim belongs to one [`Key`]; a value is read only by a [`Reading`], which moves between
//! threads exactly when `&T` may; the only `Reading` may move the value out. (`OnceLock<T>` is `Sync` only for `T: Sync`,
//! because every thread that sees it may read it. A worker thread writes a task's result, which needs only `T: Send`.)
//! Leaves out: waiting and waking; it only keeps the mark that somebody watches.
#![expect(unsafe_code, reason = "a cell shared with its writer, without a lock and without `T: Sync`")]

use crate::ground::sync::{Accesses, AtomicU8, AtomicU32, AtomicU64, Lock, Ordering};
use std::cell::{Cell as Local, UnsafeCell};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::Arc;

const EMPTY: u8 = 0;
const DEFERRED: u8 = 1;
/// Two more than the phase that a claim was made in, so that giving back is one subtraction.
const CLAIMED: u8 = 2;
const CLAIMED_EMPTY: u8 = EMPTY + CLAIMED;
const CLAIMED_DEFERRED: u8 = DEFERRED + CLAIMED;
/// From here on the cell is settled.
const ENCODED: u8 = 4;
const DECODING: u8 = ENCODED + CLAIMED;
const FULL: u8 = 7;
const TAKEN: u8 = 8;
const FAILED: u8 = 9;
/// Somebody wants to be woken when the phase changes.
const WATCHED: u8 = 0x80;

/// What a cell says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Somebody will fill it.
    Empty,
    /// A value can be computed from its content.
    Deferred,
    /// Somebody computes the value from its content.
    Claimed,
    /// The value is there, though it has to be decoded.
    Encoded,
    /// The value is there, or was there and has been moved out.
    Full,
    /// An error is there.
    Failed,
}

impl Phase {
    fn of(phase: u8) -> Self {
        match phase & !WATCHED {
            EMPTY | CLAIMED_EMPTY => Self::Empty,
            DEFERRED => Self::Deferred,
            CLAIMED_DEFERRED => Self::Claimed,
            ENCODED | DECODING => Self::Encoded,
            FULL | TAKEN => Self::Full,
            _ => Self::Failed,
        }
    }
}

/// What claims are made with. Every key is different; what is claimed with it is reached only by it.
pub(crate) struct Key(u64);

/// The upper half of a key: the thread that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ThreadNumber(u32);

#[cfg(not(xfork_loom))]
thread_local! {
    static LAST_KEY: Local<u64> = const { Local::new(0) };
}
// The threads of a model all run on one.
#[cfg(xfork_loom)]
loom::thread_local! {
    static LAST_KEY: Local<u64> = Local::new(0);
}
/// Zero is nobody's. Not loom's: a model needs different numbers, not their interleavings.
static LAST_THREAD: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

fn next_key() -> u64 {
    LAST_KEY.with(|last| {
        // The lower half counts; when it is used up, or for the first key, a new upper half is drawn.
        let mut key = last.get().wrapping_add(1);
        if key as u32 == 0 || key == 1 {
            let thread = LAST_THREAD.fetch_add(1, std::sync::atomic::Ordering::Relaxed).wrapping_add(1);
            if thread == u32::MAX {
                // A key that existed before would be a second way to a claimed content.
                std::process::abort();
            }
            key = (u64::from(thread) << 32) | 1;
        }
        last.set(key);
        key
    })
}

impl Key {
    pub(crate) fn new() -> Self {
        Self(next_key())
    }

    pub(crate) fn thread(&self) -> ThreadNumber {
        ThreadNumber((self.0 >> 32) as u32)
    }
}

impl ThreadNumber {
    /// The number of the keys that this thread makes now.
    pub(crate) fn current() -> Self {
        Key::new().thread()
    }

    pub(crate) fn get(self) -> u32 {
        self.0
    }

    pub(crate) fn from_number(number: u32) -> Option<Self> {
        (number != 0).then_some(Self(number))
    }
}

/// The value in phase FULL, the error in phase FAILED, nothing in phase TAKEN; before those, the content.
union Inside<C, T, E> {
    content: ManuallyDrop<C>,
    value: ManuallyDrop<T>,
    error: ManuallyDrop<E>,
}

/// A cell that is settled once. `C` is the content while it is deferred, `X` what else lies beside it.
///
/// In this order, so that a cell that has its value is read and dropped within one cache line.
#[repr(C)]
pub(crate) struct Cell<C, T, E, X> {
    phase: AtomicU8,
    /// What the maker of the cell wants to know of it without a claim.
    mark: bool,
    /// For `beside`.
    lock: Lock,
    /// How many [`Reading`]s there are.
    rights: AtomicU32,
    beside: UnsafeCell<X>,
    inside: UnsafeCell<Inside<C, T, E>>,
    /// Those of `inside`.
    accesses: Accesses,
    /// The key of the claim, zero when there is none.
    owner: AtomicU64,
}

// SAFETY: sharing the cell lets other threads move a `C` and a `T` in and out (`C: Send`, `T: Send`) by a claim, which one
// key has at a time; read the error (`E: Sync`) and drop it (`E: Send`); and reach `beside` one at a time (`X: Send`). `&T` is
// only given by a `Reading`, which is `Send`/`Sync` only for `T: Send + Sync`. The drop of the cell is that of its last owner.
unsafe impl<C: Send, T: Send, E: Send + Sync, X: Send> Sync for Cell<C, T, E, X> {}

impl<C, T, E, X> Cell<C, T, E, X> {
    fn with(phase: u8, inside: Inside<C, T, E>, beside: X, mark: bool) -> Reading<C, T, E, X> {
        Reading::new(Self {
            phase: AtomicU8::new(phase),
            mark,
            lock: Lock::new(),
            rights: AtomicU32::new(1),
            owner: AtomicU64::new(0),
            inside: UnsafeCell::new(inside),
            accesses: Accesses::new(),
            beside: UnsafeCell::new(beside),
        })
    }

    /// A cell that somebody will claim and fill.
    pub(crate) fn empty(content: C, beside: X) -> Reading<C, T, E, X> {
        Self::with(EMPTY, Inside { content: ManuallyDrop::new(content) }, beside, false)
    }

    /// A cell from whose content a value can be computed.
    #[inline]
    pub(crate) fn deferred(content: C, beside: X, mark: bool) -> Reading<C, T, E, X> {
        Self::with(DEFERRED, Inside { content: ManuallyDrop::new(content) }, beside, mark)
    }

    /// A cell that has its value.
    #[inline]
    pub(crate) fn full(value: T, beside: X, mark: bool) -> Reading<C, T, E, X> {
        Self::with(FULL, Inside { value: ManuallyDrop::new(value) }, beside, mark)
    }

    pub(crate) fn is_marked(&self) -> bool {
        self.mark
    }

    /// What lies beside the cell, under its lock. `with` must not come back here.
    pub(crate) fn beside<R>(&self, with: impl FnOnce(&mut X) -> R) -> R {
        self.lock.hold(|| {
            // SAFETY: `beside` is reached only here and by `&mut self`, and the lock is held.
            with(unsafe { &mut *self.beside.get() })
        })
    }

    #[inline]
    pub(crate) fn phase(&self) -> Phase {
        Phase::of(self.phase.load(Ordering::Acquire))
    }

    #[inline]
    pub(crate) fn is_settled(&self) -> bool {
        self.phase.load(Ordering::Acquire) & !WATCHED >= ENCODED
    }

    /// Asks that whoever changes the phase be told so; false if the cell is settled and nobody will be.
    pub(crate) fn watch(&self) -> bool {
        let mut phase = self.phase.load(Ordering::Acquire);
        while phase & !WATCHED < ENCODED {
            // AcqRel: what the watcher did before is seen by whoever is told.
            match self.phase.compare_exchange_weak(
                phase,
                phase | WATCHED,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return true,
                Err(now) => phase = now,
            }
        }
        false
    }

    /// Takes the mark of [`watch`](Self::watch) away again.
    pub(crate) fn unwatch(&self) {
        self.phase.fetch_and(!WATCHED, Ordering::AcqRel);
    }

    /// Claims an empty, deferred or encoded cell; false if it is in another phase.
    pub(crate) fn claim(&self, key: &Key, from: Phase) -> bool {
        let from = match from {
            Phase::Empty => EMPTY,
            Phase::Deferred => DEFERRED,
            Phase::Encoded => ENCODED,
            Phase::Claimed | Phase::Full | Phase::Failed => return false,
        };
        let mut phase = self.phase.load(Ordering::Relaxed);
        while phase & !WATCHED == from {
            // Acquire: pairs with the Release of whoever had the claim before.
            match self.phase.compare_exchange_weak(
                phase,
                phase + CLAIMED,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    // Relaxed: only the holder of the key compares equal, and sees its own store.
                    self.owner.store(key.0, Ordering::Relaxed);
                    return true;
                }
                Err(now) => phase = now,
            }
        }
        false
    }

    /// Whether the claim is this key's. Only the thread that has the key can find that it is: `owner` holds a key only
    /// from its claim until the claim ends, and a thread sees its own stores.
    pub(crate) fn is_claimed_by(&self, key: &Key) -> bool {
        self.owner.load(Ordering::Relaxed) == key.0
    }

    /// The thread whose key has the claim, as far as one can see.
    pub(crate) fn claimant(&self) -> Option<ThreadNumber> {
        ThreadNumber::from_number((self.owner.load(Ordering::Relaxed) >> 32) as u32)
    }

    /// The content, for who has claimed the cell.
    ///
    /// # Panics
    ///
    /// If the claim is not this key's.
    pub(crate) fn content<'a>(&'a self, key: &'a mut Key) -> &'a mut C {
        assert!(self.is_claimed_by(key), "the content of a cell is reached by its claim");
        self.accesses.write();
        // SAFETY: the claim is this key's, keys are unique, and the key is borrowed as long as the content: no second
        // reference to this content exists. References given before the claim ended are gone: they borrowed the key. A
        // claim is only given, and only lasts, while the content is there.
        unsafe { &mut (*self.inside.get()).content }
    }

    /// Drops the content of a claimed cell, whose outcome is written next.
    #[inline]
    fn drop_content(&self, key: &Key) {
        assert!(self.is_claimed_by(key), "a cell is settled by its claim");
        self.accesses.write();
        // If the drop of the content unwinds, the cell stays claimed, though by no key: nobody reaches the content again, nor
        // drops it (see the drop of the cell).
        self.owner.store(0, Ordering::Relaxed);
        // SAFETY: the claim was this key's, and is nobody's now; while it lasts the content is there.
        unsafe { ManuallyDrop::drop(&mut (*self.inside.get()).content) };
    }

    /// Ends a claim; says whether somebody watches.
    #[inline]
    fn settle(&self, phase: u8) -> bool {
        // AcqRel: readers of the phase see the outcome, and who is to be woken is seen here.
        self.phase.swap(phase, Ordering::AcqRel) & WATCHED != 0
    }

    /// Settles a claimed cell with its value; says whether somebody watches. Panics if the claim is not this key's.
    #[inline]
    pub(crate) fn fill(&self, key: &Key, value: T) -> bool {
        self.drop_content(key);
        // SAFETY: the claim is exclusive, and nobody reads a value before FULL.
        unsafe { (*self.inside.get()).value = ManuallyDrop::new(value) };
        self.settle(FULL)
    }

    /// Settles a claimed cell with an error; says whether somebody watches. Panics if the claim is not this key's.
    pub(crate) fn fail(&self, key: &Key, error: E) -> bool {
        self.drop_content(key);
        // SAFETY: the claim is exclusive, and nobody reads an error before FAILED.
        unsafe { (*self.inside.get()).error = ManuallyDrop::new(error) };
        self.settle(FAILED)
    }

    /// Settles a claimed cell whose content is the encoded value. Panics if the claim is not this key's.
    pub(crate) fn encode(&self, key: &Key) -> bool {
        assert!(self.is_claimed_by(key), "a cell is settled by its claim");
        self.owner.store(0, Ordering::Relaxed);
        self.settle(ENCODED)
    }

    /// Ends a claim without an outcome; says whether somebody watches. Panics if the claim is not this key's.
    pub(crate) fn give_back(&self, key: &Key) -> bool {
        assert!(self.is_claimed_by(key), "a cell is given back by its claim");
        self.owner.store(0, Ordering::Relaxed);
        // AcqRel: the next claimant sees the content as it was left. Not a store: the mark of watchers stays.
        self.phase.fetch_sub(CLAIMED, Ordering::AcqRel) & WATCHED != 0
    }

    /// The error of a failed cell.
    pub(crate) fn error(&self) -> Option<&E> {
        if self.phase.load(Ordering::Acquire) != FAILED {
            return None;
        }
        self.accesses.read();
        // SAFETY: FAILED says that the error was written; it is final, and the error stays until the cell is dropped.
        Some(unsafe { &(*self.inside.get()).error })
    }
}

impl<C, T, E, X> Drop for Cell<C, T, E, X> {
    fn drop(&mut self) {
        let phase = self.phase.load(Ordering::Relaxed) & !WATCHED;
        let inside = self.inside.get_mut();
        match phase {
            // SAFETY: before an outcome the content is there; the cell is not shared any more.
            EMPTY | DEFERRED | ENCODED => unsafe { ManuallyDrop::drop(&mut inside.content) },
            // SAFETY: FULL says that there is a value that was not moved out; the cell is not shared any more.
            FULL => unsafe { ManuallyDrop::drop(&mut inside.value) },
            // SAFETY: FAILED says that there is an error; the cell is not shared any more.
            FAILED => unsafe { ManuallyDrop::drop(&mut inside.error) },
            // Taken; or claimed by a key that was forgotten, and then nobody knows what of the content is left.
            _ => {}
        }
    }
}

/// A pointer to a cell that may read its value; the last one may move it out.
///
/// Other pointers to the cell ([`Reading::cell`]) keep it alive and may settle it, but never see the value.
pub(crate) struct Reading<C, T, E, X> {
    cell: Arc<Cell<C, T, E, X>>,
    /// Moves between threads exactly when `&T` may.
    value: PhantomData<Arc<T>>,
}

impl<C, T, E, X> Reading<C, T, E, X> {
    /// The first right of a new cell, which counts one.
    fn new(cell: Cell<C, T, E, X>) -> Self {
        Self { cell: Arc::new(cell), value: PhantomData }
    }

    /// The cell without the right to read it.
    pub(crate) fn cell(&self) -> &Arc<Cell<C, T, E, X>> {
        &self.cell
    }

    /// The value, if it is there and decoded.
    #[inline]
    pub(crate) fn get(&self) -> Option<&T> {
        if self.cell.phase.load(Ordering::Acquire) != FULL {
            return None;
        }
        self.cell.accesses.read();
        // SAFETY: FULL says that the value was written. It is moved out only by `take` of the last right, and this one lives
        // as long as the reference.
        Some(unsafe { &(*self.cell.inside.get()).value })
    }

    /// Whether this is the only right; it stays so until this one is cloned.
    pub(crate) fn is_sole(&self) -> bool {
        // Acquire: what was read by the rights that are gone was read before this.
        self.cell.rights.load(Ordering::Acquire) == 1
    }

    /// Moves the value out, if it is there and this is the only right; else gives the right back.
    ///
    /// # Errors
    ///
    /// The right itself.
    pub(crate) fn take(self) -> Result<T, Self> {
        self.take_apart().map(|(value, _)| value)
    }

    /// As [`take`](Self::take), and keeps the cell without its value.
    ///
    /// # Errors
    ///
    /// The right itself.
    #[inline]
    #[expect(clippy::type_complexity, reason = "the parameters of the cell, once")]
    pub(crate) fn take_apart(self) -> Result<(T, Arc<Cell<C, T, E, X>>), Self> {
        // Of a settled cell the mark of watchers is gone.
        if !self.is_sole() || self.cell.phase.load(Ordering::Acquire) != FULL {
            return Err(self);
        }
        // Relaxed: those without a right only ask whether the cell is settled, which it stays.
        self.cell.phase.store(TAKEN, Ordering::Relaxed);
        self.cell.accesses.write();
        // SAFETY: the value was there, and this is the only right, which is given up here: nobody reads the value any more, and
        // TAKEN keeps the drop of the cell from dropping it.
        let value = unsafe { ManuallyDrop::take(&mut (*self.cell.inside.get()).value) };
        Ok((value, self.into_cell()))
    }

    /// Gives the right up and keeps the cell.
    #[inline]
    pub(crate) fn into_cell(self) -> Arc<Cell<C, T, E, X>> {
        self.give_up();
        let this = ManuallyDrop::new(self);
        // SAFETY: the pointer is moved out of what is never dropped nor used again.
        unsafe { std::ptr::read(&raw const this.cell) }
    }

    fn give_up(&self) {
        // The only right need not count itself out: no other can come, and nobody asks. One RMW less per operand.
        if self.cell.rights.load(Ordering::Relaxed) != 1 {
            // Release: what was read by this right was read before the value is moved out by another.
            self.cell.rights.fetch_sub(1, Ordering::Release);
        }
    }

    /// The content of a deferred cell that nobody else points to, not even without a right to read.
    pub(crate) fn content_mut(&mut self) -> Option<&mut C> {
        let cell = Arc::get_mut(&mut self.cell)?;
        if cell.phase.load(Ordering::Relaxed) & !WATCHED != DEFERRED {
            return None;
        }
        // SAFETY: in phase DEFERRED the content is there, and nobody else points to the cell.
        Some(unsafe { &mut cell.inside.get_mut().content })
    }
}

impl<C, T, E, X> Deref for Reading<C, T, E, X> {
    type Target = Cell<C, T, E, X>;

    fn deref(&self) -> &Cell<C, T, E, X> {
        &self.cell
    }
}

impl<C, T, E, X> Clone for Reading<C, T, E, X> {
    fn clone(&self) -> Self {
        // Relaxed: a right is only made from one that exists.
        if self.cell.rights.fetch_add(1, Ordering::Relaxed) > u32::MAX / 2 {
            // As with `Arc`: so many can only come from leaking them, and a count that wraps would lie.
            std::process::abort();
        }
        Self { cell: self.cell.clone(), value: PhantomData }
    }
}

impl<C, T, E, X> Drop for Reading<C, T, E, X> {
    fn drop(&mut self) {
        self.give_up();
    }
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;

    type Plain<T> = Cell<(), T, String, ()>;

    fn set<T>(cell: &Plain<T>, value: T) -> bool {
        let key = Key::new();
        cell.claim(&key, Phase::Empty) && {
            cell.fill(&key, value);
            true
        }
    }

    #[test]
    fn only_the_last_right_moves_the_value_out() {
        let reading = Plain::empty((), ());
        assert!(reading.get().is_none());
        assert!(set(&reading, "value".to_string()));
        assert!(!set(&reading, "again".to_string()));
        let other = reading.clone();
        let Err(reading) = reading.take() else { panic!("there are two") };
        drop(other);
        assert_eq!(reading.take().ok().as_deref(), Some("value"));
    }

    #[test]
    fn a_value_is_dropped_once_whether_taken_or_not() {
        let counted = Arc::new(());
        let taken = Plain::empty((), ());
        set(&taken, counted.clone());
        drop(taken.take().ok());
        let left = Plain::full(counted.clone(), (), false);
        let other = left.clone();
        drop((left, other));
        assert_eq!(Arc::strong_count(&counted), 1);
    }

    #[test]
    fn a_content_belongs_to_the_key_that_claimed_it() {
        let reading = Cell::<_, u8, String, _>::deferred(vec![1], (), false);
        let (mut one, mut two) = (Key::new(), Key::new());
        assert!(reading.claim(&one, Phase::Deferred));
        assert!(!reading.claim(&two, Phase::Deferred));
        reading.content(&mut one).push(2);
        assert_eq!(reading.phase(), Phase::Claimed);
        assert_eq!(reading.claimant(), Some(one.thread()));
        assert!(!reading.give_back(&one));
        assert!(reading.claim(&two, Phase::Deferred));
        assert_eq!(reading.content(&mut two), &[1, 2]);
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| reading.fill(&one, 3))).is_err());
        reading.fail(&two, "no".to_string());
        assert_eq!(reading.error().unwrap(), "no");
        assert!(reading.is_settled() && reading.get().is_none());
    }

    #[test]
    fn the_mark_of_watchers_survives_a_claim_that_is_given_back() {
        let reading = Cell::<_, u8, String, _>::deferred((), (), true);
        let key = Key::new();
        assert!(reading.watch());
        assert!(reading.claim(&key, Phase::Deferred));
        assert!(reading.give_back(&key));
        assert!(reading.claim(&key, Phase::Deferred));
        assert!(reading.fill(&key, 1));
        assert!(!reading.watch());
        assert_eq!(reading.get(), Some(&1));
    }

    #[test]
    fn keys_differ_between_threads() {
        let here = Key::new();
        let there = std::thread::spawn(Key::new).join().unwrap();
        assert_ne!(here.0, there.0);
        assert_ne!(here.thread(), there.thread());
        assert_eq!(here.thread(), Key::new().thread());
    }
}
