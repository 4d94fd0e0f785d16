//! What is pending of each place, and settling it.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::panic::resume_unwind;
use std::rc::{Rc, Weak};

/// One run of a synchronized function.
///
/// Dropped while calls are pending, because one of them or the function itself panics, it abandons them: a serial program would not
/// have made those behind the panic.
#[derive(Default)]
pub struct Session {
    /// What was forked since everything was settled.
    forked: RefCell<Vec<(u64, Weak<dyn Abandon>)>>,
    /// How many calls were forked.
    calls: Cell<u64>,
    /// Something pending is being done.
    is_settling: Cell<bool>,
    /// Something is pending whose effects may be seen by anybody.
    has_effects: Cell<bool>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{} calls]", self.calls.get())
    }
}

impl Session {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the call that gets the next number.
    pub(super) fn add<C: Abandon + 'static>(&self, call: &Rc<C>) {
        let call: Rc<dyn Abandon> = call.clone();
        let mut forked = self.forked.borrow_mut();
        // Those that are done, now and then.
        if forked.len() == forked.capacity() {
            forked.retain(|(_, call)| call.strong_count() != 0);
        }
        forked.push((self.calls.get() + 1, Rc::downgrade(&call)));
    }

    /// The number of the next call, from 1 on.
    pub(super) fn next(&self) -> u64 {
        self.calls.set(self.calls.get() + 1);
        self.calls.get()
    }

    /// What was pushed last may have effects that are seen elsewhere than in its place.
    pub fn note_effects(&self, has_effects: bool) {
        self.has_effects.set(self.has_effects.get() | has_effects);
    }

    pub fn has_effects(&self) -> bool {
        self.has_effects.get()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.forked.take().iter().filter_map(|(_, call)| call.upgrade()).for_each(|call| call.abandon());
    }
}

/// A call whose result nobody wants any more.
pub(super) trait Abandon {
    fn abandon(&self);
    /// Waits for it.
    ///
    /// # Panics
    ///
    /// With its panic.
    fn check(&self);
}

type Entry<'q, R> = Box<dyn FnOnce(&mut R) + 'q>;

/// What is pending of one place, in the order of the calls.
///
/// Never dropped: what has a destructor may borrow only what outlives it, and a serial program may well put into a place what was made
/// after the place. It is empty when the function returns; a panic leaks it, but no task (see [`Session`]).
pub struct Queue<'q, R: ?Sized> {
    entries: ManuallyDrop<VecDeque<(u64, Entry<'q, R>)>>,
}

impl<R: ?Sized> std::fmt::Debug for Queue<'_, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{} pending]", self.entries.len())
    }
}

impl<'q, R: ?Sized> Queue<'q, R> {
    /// A queue for a place of this type.
    pub fn of(_: &R) -> Self {
        Self { entries: ManuallyDrop::new(VecDeque::new()) }
    }

    pub(super) fn push(&mut self, call: u64, entry: impl FnOnce(&mut R) + 'q) {
        self.entries.push_back((call, Box::new(entry)));
    }

    /// This with its place, to be settled.
    pub fn at<'a>(&'a mut self, place: &'a mut R) -> Pending<'a, 'q, R> {
        Pending { queue: self, place }
    }
}

/// What is pending, and its place.
#[derive(Debug)]
pub struct Pending<'a, 'q, R: ?Sized> {
    queue: &'a mut Queue<'q, R>,
    place: &'a mut R,
}

/// Something pending, whatever its place.
pub trait Apply {
    /// The number of the first call.
    fn first(&self) -> Option<u64>;
    /// Does what is to be done for the first call.
    fn apply(&mut self);
}

impl<R: ?Sized> Apply for Pending<'_, '_, R> {
    fn first(&self) -> Option<u64> {
        self.queue.entries.front().map(|(call, _)| *call)
    }

    fn apply(&mut self) {
        if let Some((_, entry)) = self.queue.entries.pop_front() {
            entry(self.place);
        }
    }
}

/// Does what is pending up to this call, in the order of the calls.
///
/// # Panics
///
/// With the panic of the first call that panicked, after everything before it was done.
pub fn settle(session: &Session, last: u64, pending: &mut [&mut dyn Apply]) {
    loop {
        let calls = pending.iter().enumerate().filter_map(|(at, pending)| Some((pending.first()?, at)));
        match calls.min() {
            Some((call, at)) if call <= last => {
                session.is_settling.set(true);
                pending[at].apply();
                session.is_settling.set(false);
            }
            _ => break,
        }
    }
    if last == u64::MAX {
        session.has_effects.set(false);
        session.forked.borrow_mut().clear();
    }
}

/// Goes on with a panic of the function, after what it had called before: in the places that outlive it, its results are what
/// they are in a serial program, and if one of those calls panicked itself, that is the panic.
pub fn unwind(session: &Session, payload: Box<dyn Any + Send>, pending: &mut [&mut dyn Apply]) -> ! {
    // Behind a call that panicked a serial program did nothing.
    if !session.is_settling.get() {
        for (call, forked) in session.forked.take() {
            settle(session, call, pending);
            // Its place may be gone.
            if let Some(forked) = forked.upgrade() {
                forked.check();
            }
        }
        settle(session, u64::MAX, pending);
    }
    resume_unwind(payload)
}

/// A container whose methods change it and nothing else, so that nobody sees when they are called who does not see the
/// container.
pub trait Container {}

impl<T> Container for Vec<T> {}
impl<T> Container for VecDeque<T> {}
impl<T> Container for LinkedList<T> {}
impl<T> Container for BinaryHeap<T> {}
impl<K, V, S> Container for HashMap<K, V, S> {}
impl<T, S> Container for HashSet<T, S> {}
impl<K, V> Container for BTreeMap<K, V> {}
impl<T> Container for BTreeSet<T> {}
impl<T> Container for Option<T> {}
impl Container for String {}
impl<T: Container + ?Sized> Container for &mut T {}
impl<T: Container + ?Sized> Container for Box<T> {}

/// The type of a receiver, by which it is known whether that is a [`Container`]: a method of its own is found before that of
/// [`Unknown`].
pub struct Receiver<T: ?Sized>(PhantomData<fn(&T)>);

impl<T: ?Sized> std::fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Receiver")
    }
}

impl<T: ?Sized> Receiver<T> {
    /// That of what the function, which is not called, would reach from the place.
    pub fn of<R: ?Sized>(_: &R, _: impl FnOnce(&R) -> &T) -> Self {
        Self(PhantomData)
    }
}

impl<T: Container + ?Sized> Receiver<T> {
    pub fn __xfork_has_effects(&self) -> bool {
        false
    }
}

/// The type of a variable, by which it is known whether its fields are its own: those behind a [`Deref`] may be parts of one.
pub struct Fields<T: ?Sized>(PhantomData<fn(&T)>);

impl<T: ?Sized> std::fmt::Debug for Fields<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fields")
    }
}

impl<T: ?Sized> Fields<T> {
    pub fn of(_: &T) -> Self {
        Self(PhantomData)
    }
}

impl<T: Deref + ?Sized> Fields<T> {
    pub fn __xfork_may_overlap(&self) -> bool {
        true
    }
}

/// See [`Fields`].
pub trait Apart {
    fn __xfork_may_overlap(&self) -> bool {
        false
    }
}

impl<T: ?Sized> Apart for Fields<T> {}

/// See [`Receiver`].
pub trait Unknown {
    fn __xfork_has_effects(&self) -> bool {
        true
    }
}

impl<T: ?Sized> Unknown for Receiver<T> {}
