//! What a thread knows about the task that it is running: the panics that the hook saw, the panics that were rethrown into it.
//!
//! Owns the thread-local stack of scopes, one per running `catch` (a thread that waits may run another task on top).
//! Promises: `run` pops what it pushes; no foreign code runs while the thread-local is borrowed, because such code may
//! panic, and the hook needs the same thread-local. Leaves out: making records and errors.
//!
//! std gives the hook a payload that has not been boxed yet, so a caught box cannot be compared by address with what the
//! hook saw. Type and text decide instead ([`Fingerprint`]): after `panic!("a")` was caught by user code and
//! `panic!("b")` ended the task, the record is that of "b", and if "a" is resumed after all it is that of "a".

use std::any::{Any, TypeId};
use std::cell::{Cell, RefCell};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use super::payload::{Payload, text_of};
use super::record::{PanicRecord, bounded};

/// A task may catch its own panics in a loop for hours; only the last few can still be the one that ends it.
const KEPT: usize = 8;

thread_local! {
    /// How many scopes there are. Without a destructor: it can be used until the very end of a thread.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// Those in which something was noted, each with its depth, the innermost last. Most tasks note nothing, and cost
    /// no more than the count.
    static SCOPES: RefCell<Vec<(usize, Scope)>> = const { RefCell::new(Vec::new()) };
    /// How many of them there are.
    static NOTED: Cell<usize> = const { Cell::new(0) };
}

/// One running `catch`.
#[derive(Default)]
pub(super) struct Scope {
    seen: Vec<(Fingerprint, PanicRecord)>,
    lent: Vec<Lent>,
}

/// What can be compared between the payload in the hook and the payload that was caught.
#[derive(PartialEq, Eq)]
pub(super) struct Fingerprint {
    type_id: TypeId,
    message: String,
}

/// A failure whose payload was rethrown inside this scope.
pub(super) struct Lent {
    address: usize,
    fingerprint: Fingerprint,
    /// A new panic looked just like this one, so an equal address proves nothing any more (allocators reuse addresses).
    is_doubtful: bool,
    /// Where the payload came from and goes back to.
    pub(super) payload: Payload,
    /// Opaque here: the error of the task that failed.
    pub(super) identity: Box<dyn Any + Send>,
}

impl Fingerprint {
    pub(super) fn of(payload: &(dyn Any + Send)) -> Self {
        Self { type_id: payload.type_id(), message: bounded(text_of(payload)) }
    }

    pub(super) fn into_message(self) -> String {
        self.message
    }
}

impl Scope {
    /// The newest record of a panic that looks like this.
    pub(super) fn record_of(&mut self, fingerprint: &Fingerprint) -> Option<PanicRecord> {
        let index = self.seen.iter().rposition(|(seen, _)| seen == fingerprint)?;
        Some(self.seen.swap_remove(index).1)
    }

    /// The failure that lent exactly this payload to the scope.
    ///
    /// Address, type and text must agree, and no panic of that type and text may have been raised since. What remains
    /// is code that drops the rethrown payload and then *resumes* (without the hook) an equal one that the allocator put
    /// at the same place. Values without size have no address at all, so those are never claimed.
    pub(super) fn claim(&mut self, payload: &(dyn Any + Send), fingerprint: &Fingerprint) -> Option<Lent> {
        let address = address_of(payload);
        let is_it =
            |lent: &Lent| lent.address == address && !lent.is_doubtful && lent.fingerprint == *fingerprint;
        let index = self.lent.iter().rposition(is_it).filter(|_| size_of_val(payload) != 0)?;
        Some(self.lent.swap_remove(index))
    }
}

/// Runs `f` in a new scope, in which the hook records instead of printing.
#[inline]
pub(super) fn run<R>(f: impl FnOnce() -> R) -> (Result<R, Box<dyn Any + Send>>, Scope) {
    let depth = DEPTH.get() + 1;
    DEPTH.set(depth);
    let outcome = catch_unwind(AssertUnwindSafe(f));
    DEPTH.set(depth - 1);
    (outcome, if NOTED.get() == 0 { Scope::default() } else { take(depth) })
}

/// Takes what was noted in the scope that has just ended.
#[cold]
fn take(depth: usize) -> Scope {
    let take = |scopes: &RefCell<Vec<(usize, Scope)>>| {
        let taken = scopes.borrow_mut().pop_if(|(noted, _)| *noted == depth)?;
        NOTED.set(NOTED.get() - 1);
        Some(taken.1)
    };
    SCOPES.try_with(take).ok().flatten().unwrap_or_default()
}

/// Whether this thread is running a task.
pub(super) fn is_inside() -> bool {
    // A thread whose thread-locals are being destroyed can note nothing; its panics then go to the program's hook. `try_borrow`,
    // because a panic while the scopes are borrowed (out of memory, say) must not become a panic in the hook.
    DEPTH.get() > 0 && SCOPES.try_with(|scopes| scopes.try_borrow().is_ok()).unwrap_or(false)
}

/// Notes a panic; called by the hook, so nothing is dropped here but our own records.
pub(super) fn see(fingerprint: Fingerprint, record: PanicRecord) {
    with_innermost(|scope| {
        for lent in scope.lent.iter_mut().filter(|lent| lent.fingerprint == fingerprint) {
            lent.is_doubtful = true;
        }
        if scope.seen.len() == KEPT {
            scope.seen.remove(0);
        }
        scope.seen.push((fingerprint, record));
    });
}

/// The last two panics of the running task, the older one first.
pub(super) fn last_two() -> [Option<PanicRecord>; 2] {
    let mut last = [None, None];
    with_innermost(|scope| {
        let mut newest_first = scope.seen.iter().rev().map(|(_, record)| record.clone());
        last[1] = newest_first.next();
        last[0] = newest_first.next();
    });
    last
}

/// Notes that `raised`, which came out of `payload`, is about to be thrown in the running task.
pub(super) fn lend(raised: &(dyn Any + Send), payload: Payload, identity: Box<dyn Any + Send>) {
    let fingerprint = Fingerprint::of(raised);
    let lent = Lent { address: address_of(raised), fingerprint, is_doubtful: false, payload, identity };
    let mut forgotten = None;
    with_innermost(|scope| {
        // At one address there is one payload: an older entry for it is of one that was dropped.
        let stale = scope.lent.iter().position(|old| old.address == lent.address);
        forgotten = match stale {
            Some(index) => Some(mem::replace(&mut scope.lent[index], lent)),
            None => {
                let oldest = (scope.lent.len() == KEPT).then(|| scope.lent.remove(0));
                scope.lent.push(lent);
                oldest
            }
        };
    });
    drop(forgotten);
}

fn with_innermost(f: impl FnOnce(&mut Scope)) {
    let depth = DEPTH.get();
    if depth == 0 {
        return;
    }
    // A failure to reach the scope loses a record, which `Caught` copes with; a panic here would end the process.
    let _ = SCOPES.try_with(|scopes| {
        let Ok(mut scopes) = scopes.try_borrow_mut() else { return };
        if scopes.last().is_none_or(|(noted, _)| *noted != depth) {
            scopes.push((depth, Scope::default()));
            NOTED.set(NOTED.get() + 1);
        }
        if let Some((_, scope)) = scopes.last_mut() {
            f(scope);
        }
    });
}

fn address_of(payload: &(dyn Any + Send)) -> usize {
    ptr::from_ref(payload).cast::<()>().addr()
}
