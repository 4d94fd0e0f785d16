//! What is pending of each place, and settling it.

use crate::core::runner::Haste;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::mem::ManuallyDrop;
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

type Entry<'q, R> = Box<dyn FnOnce(&mut R, Haste) + 'q>;

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

    pub(super) fn push(&mut self, call: u64, entry: impl FnOnce(&mut R, Haste) + 'q) {
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
    /// The number of the first call, or of another by its place in the order.
    fn call(&self, at: usize) -> Option<u64>;
    /// Does what is to be done for the first call, whose result is wanted with this haste.
    fn apply(&mut self, haste: Haste);
}

impl<R: ?Sized> Apply for Pending<'_, '_, R> {
    fn call(&self, at: usize) -> Option<u64> {
        self.queue.entries.get(at).map(|(call, _)| *call)
    }

    fn apply(&mut self, haste: Haste) {
        if let Some((_, entry)) = self.queue.entries.pop_front() {
            entry(self.place, haste);
        }
    }
}

/// Does what is pending up to this call, in the order of the calls.
///
/// # Panics
///
/// With the panic of the first call that panicked, after everything before it was done.
pub fn settle(session: &Session, last: u64, pending: &mut [&mut dyn Apply]) {
    let is_due = |call: &u64| *call <= last;
    loop {
        let due = pending.iter().enumerate();
        let due = due.filter_map(|(at, pending)| Some((pending.call(0).filter(is_due)?, at)));
        let Some((_, at)) = due.clone().min() else { break };
        let is_last = due.count() == 1 && pending[at].call(1).filter(is_due).is_none();
        session.is_settling.set(true);
        pending[at].apply(Haste::of(is_last));
        session.is_settling.set(false);
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
