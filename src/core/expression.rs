//! Deferred expressions: what a slot holds until somebody needs its value, and how that value is computed.
//!
//! An expression is a tape of steps. The first makes a value of its operands, each further one makes a value of the one
//! before and perhaps another operand, so a chain of `op=` is one slot and not a million. Evaluation is a walk over the
//! expressions that a slot needs, with a stack of its own. The walk claims a slot when it enters it and settles or gives it back
//! when it leaves, which costs two atomic operations and no lock; only one thread walks, the others sleep.
//!
//! A walk never waits and never runs anything but operators. What it cannot compute (a task that has not ended, a
//! `lazy` closure, an expression that another thread has claimed) it reports as *blockers*, gives back every claim, and
//! leaves the rest to `wait`. So no claim is held while a thread is blocked or runs code that may need the claimed
//! value; and all that could be computed has been, and all tasks that are needed are known, before anybody waits.

use crate::core::error::{ForkPlace, Operation, TaskError, operation_error};
use crate::core::slot::{AnySlot, hold_calls};
use crate::ground::cell::Key;
use crate::ground::panics;
pub(crate) use crate::ground::tape::Place;
use crate::ground::tape::{Erased, Step, Tape};
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::panic::Location;
use std::sync::Arc;

/// Which operation a step is, and where in the user's source it stands.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Note {
    pub(crate) symbol: &'static str,
    pub(crate) place: Place,
}

impl Note {
    pub(crate) fn operation(self) -> Operation {
        Operation { symbol: self.symbol.into(), place: self.place.into(), operands: Vec::new() }
    }
}

/// What goes from step to step: nothing before the first, then what the steps so far have come to.
pub(crate) type Carry<T> = Option<Result<T, TaskError>>;

/// To whom the steps of an expression show their operands.
pub(crate) trait Seen {
    /// An operand; `share` makes another pointer to it, `preview` shows its value, if that is there.
    fn operand(
        &mut self,
        operand: &(dyn AnySlot + 'static),
        share: &dyn Fn() -> Arc<dyn AnySlot>,
        preview: &dyn Fn() -> Option<String>,
    );
    /// A plain value; `preview` shows it if it is of a type that can be shown.
    fn plain(&mut self, _preview: &dyn Fn() -> String) {}
    /// The value of the expression so far, when the steps that follow take it on another side than the left.
    fn carried_right(&mut self) {}
    /// A run of `_count` equal operations begins.
    fn operation(&mut self, _note: Note, _count: usize) {}
}

/// The tape of a slot of type `T`.
pub(crate) struct Expression<T>(Tape<Carry<T>, dyn Seen, Gather>);

impl<T: 'static> Expression<T> {
    pub(crate) fn begin(
        place: Place,
        step: impl Step<Carry = Carry<T>, Seen = dyn Seen, Needs = Gather>,
    ) -> Self {
        Self(Tape::begin(place, step))
    }

    #[inline]
    pub(crate) fn push(
        &mut self,
        place: Place,
        step: impl Step<Carry = Carry<T>, Seen = dyn Seen, Needs = Gather>,
    ) {
        self.0.push(place, step);
    }

    pub(crate) fn show(&self, seen: &mut (dyn Seen + 'static)) {
        self.0.show(seen, |seen, symbol, place, count| seen.operation(Note { symbol, place }, count));
    }

    /// Adds the operands that are not settled.
    pub(crate) fn gather(&self, operands: &mut Gather) {
        self.0.gather(operands);
    }

    /// Carries all steps out. Their operands are settled.
    pub(crate) fn compute(&mut self) -> Result<T, TaskError> {
        if self.0.has_first_comers() {
            // `left - (so far)`: a failure of `left` is the one to report, even if what is right of it panics.
            let mut lefts = FailedLefts::default();
            self.show(&mut lefts);
            if let Some(error) = lefts.outermost {
                drop(self.0.erase());
                return Err(error.through(lefts.passed));
            }
        }
        let mut passed = Vec::new();
        let outcome = self.0.run(None, |symbol, place, carry| {
            let note = Note { symbol, place };
            let Some(carry) = carry else {
                let _ = SKIPPED.try_with(|skipped| skipped.borrow_mut().push(note));
                return;
            };
            if let Some(Err(_)) = carry {
                passed.extend(CURRENT.get());
            }
            CURRENT.set(Some(note));
        });
        outcome.expect("an expression has a first step, which makes a value").map_err(|error| {
            passed.extend(CURRENT.get());
            error.through(passed)
        })
    }
}

/// Looks for failed operands to the left of the value so far.
#[derive(Default)]
struct FailedLefts {
    next_is_left: bool,
    outermost: Option<TaskError>,
    current: Option<Note>,
    /// The operations that the failure comes through: its own, and those that follow.
    passed: Vec<Note>,
}

impl Seen for FailedLefts {
    fn carried_right(&mut self) {
        self.next_is_left = true;
    }

    fn plain(&mut self, _: &dyn Fn() -> String) {
        self.next_is_left = false;
    }

    fn operand(
        &mut self,
        operand: &(dyn AnySlot + 'static),
        _: &dyn Fn() -> Arc<dyn AnySlot>,
        _: &dyn Fn() -> Option<String>,
    ) {
        if std::mem::take(&mut self.next_is_left)
            && let Some(error) = operand.error()
        {
            self.outermost = Some(error.clone());
            self.passed.clear();
            self.passed.extend(self.current);
        }
    }

    fn operation(&mut self, note: Note, _: usize) {
        self.current = Some(note);
        self.passed.push(note);
    }
}

impl<T> Drop for Expression<T> {
    fn drop(&mut self) {
        if !self.0.is_empty() {
            bury(self.0.erase());
        }
    }
}

/// How deep drops of expressions may nest in this thread before they are put aside.
const DEEP: usize = 3;

#[derive(Default)]
struct Graves {
    depth: Cell<usize>,
    waiting: RefCell<Vec<Erased>>,
}

thread_local! {
    static GRAVES: Graves = const { Graves { depth: Cell::new(0), waiting: RefCell::new(Vec::new()) } };
    /// The operation that is being carried out in this thread, for the report if it unwinds.
    static CURRENT: Cell<Option<Note>> = const { Cell::new(None) };
    /// The operations that were not carried out because one before them in their expression unwound.
    static SKIPPED: RefCell<Vec<Note>> = const { RefCell::new(Vec::new()) };
    /// The operations inside which that one is carried out, because their code has needed another expression.
    static OUTER: RefCell<Vec<Note>> = const { RefCell::new(Vec::new()) };
}

/// Drops a tape whose operands may be the last pointers to further tapes, with bounded recursion: beyond a small depth they are
/// put aside, and the outermost drop goes on with them. (Putting all aside would keep every operand of a long sum at once.)
fn bury(tape: Erased) {
    let mut tape = Some(tape);
    let _ = GRAVES.try_with(|graves| {
        if graves.depth.get() == DEEP {
            graves.waiting.borrow_mut().extend(tape.take());
            return;
        }
        graves.depth.set(graves.depth.get() + 1);
        // A drop of a user's value may unwind; the depth must be right all the same.
        let _deeper = Deeper(graves);
        drop(tape.take());
        if graves.depth.get() == 1 {
            loop {
                let next = graves.waiting.borrow_mut().pop();
                let Some(next) = next else { break };
                drop(next);
            }
        }
    });
    // The thread is ending and its locals are gone. What is dropped then is small, or there is nobody to do better.
    drop(tape);
}

struct Deeper<'a>(&'a Graves);

impl Drop for Deeper<'_> {
    fn drop(&mut self) {
        self.0.depth.set(self.0.depth.get() - 1);
    }
}

/// What an attempt to evaluate came to.
pub(crate) enum Progress {
    /// The slot is settled.
    Settled,
    /// The slot is claimed by somebody else.
    Busy,
    /// These have to be settled first, in this order if they are settled one after the other.
    Blocked(Vec<Arc<dyn AnySlot>>),
}

/// What came of entering a slot.
pub(crate) enum Entered {
    /// It was settled, or is now.
    Settled,
    /// The walk cannot claim it.
    Refused,
    /// It is claimed, and its operands come first.
    Waits,
    /// It is claimed, its operands are settled, and it is a closure.
    IsReady,
}

/// A walk over the expressions that a slot needs.
struct Walk {
    key: Key,
    stack: Vec<Entry>,
    /// The slot at which the walk is.
    current: Option<Arc<dyn AnySlot>>,
    /// Operands of the slot that is being entered.
    operands: Gather,
    /// Each with the number of claimed slots above it.
    blockers: Vec<(usize, Arc<dyn AnySlot>)>,
    /// How many claimed slots wait on the stack.
    depth: usize,
    /// Expressions that have been walked and lack something, so that one that is shared is walked once.
    incomplete: HashSet<*const ()>,
    /// Whether the root is a closure that is claimed and can be run.
    root_is_ready: bool,
}

enum Entry {
    Enter(Arc<dyn AnySlot>),
    /// A slot that is claimed, below its operands.
    Leave(Arc<dyn AnySlot>),
}

/// Gathers the operands that are not settled.
#[derive(Default)]
pub(crate) struct Gather(Vec<Arc<dyn AnySlot>>);

impl Gather {
    /// An operand that is not settled.
    pub(crate) fn add(&mut self, operand: Arc<dyn AnySlot>) {
        self.0.push(operand);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Evaluates as much of the deferred slot `root` as can be without waiting and without running anything but operators;
/// of closures, only that of `root` itself is run.
pub(crate) fn evaluate(root: &Arc<dyn AnySlot>) -> Progress {
    let mut walk = Walk {
        key: Key::new(),
        stack: Vec::new(),
        current: None,
        operands: Gather::default(),
        blockers: Vec::new(),
        depth: 0,
        incomplete: HashSet::new(),
        root_is_ready: false,
    };
    // What settled slots call runs when no claim is held any more.
    let held = hold_calls();
    walk.current = Some(root.clone());
    let mut is_root = true;
    // Operators that panic end the catch, not the walk.
    while let Err(error) = catch(|| {
        walk.run(std::mem::take(&mut is_root));
        Ok(())
    }) {
        let failed = walk.current.take().expect("it was at a slot when it unwound");
        failed.fail(&walk.key, error);
    }
    drop(held);
    if walk.root_is_ready {
        let outcome = catch(|| {
            root.compute(&mut walk.key);
            Ok(())
        });
        if let Err(error) = outcome {
            root.fail(&walk.key, error);
        }
    }
    if root.is_settled() {
        Progress::Settled
    } else if walk.blockers.is_empty() {
        Progress::Busy
    } else {
        Progress::Blocked(walk.blockers_in_order())
    }
}

impl Walk {
    /// Walks what is on the stack; at first, the root.
    fn run(&mut self, is_root: bool) {
        if is_root {
            self.enter(true);
        }
        while let Some(entry) = self.stack.pop() {
            match entry {
                Entry::Enter(slot) if self.is_incomplete(&slot) => {}
                Entry::Enter(slot) => {
                    self.current = Some(slot);
                    self.enter(false);
                }
                Entry::Leave(slot) => {
                    self.depth -= 1;
                    self.current = Some(slot);
                    self.leave();
                }
            }
        }
    }

    /// Claims the current slot and computes it, or puts its operands on the stack above it.
    fn enter(&mut self, is_root: bool) {
        let slot = self.current.as_ref().expect("set by the caller");
        self.operands.0.clear();
        match slot.enter(&mut self.key, &mut self.operands, is_root) {
            Entered::Settled => {}
            Entered::Refused => {
                let slot = self.current.take().expect("as above");
                // Whoever refused the root knows that it did.
                if !is_root {
                    self.blockers.push((self.depth, slot));
                }
            }
            Entered::IsReady => self.root_is_ready = true,
            Entered::Waits => {
                let slot = self.current.take().expect("as above");
                self.stack.push(Entry::Leave(slot));
                self.depth += 1;
                // The left operand comes first, as in plain Rust.
                self.stack.extend(self.operands.0.drain(..).rev().map(Entry::Enter));
            }
        }
    }

    /// Computes the current slot, which is claimed, unless one of its operands could not be.
    fn leave(&mut self) {
        let slot = self.current.as_ref().expect("set by the caller");
        if !self.blockers.is_empty() {
            self.operands.0.clear();
            slot.gather(&mut self.key, &mut self.operands);
            if !self.operands.is_empty() {
                slot.give_back(&self.key);
                self.incomplete.insert(address(slot));
                return;
            }
        }
        if slot.is_closure() {
            self.root_is_ready = true;
        } else {
            slot.compute(&mut self.key);
        }
    }

    /// The blockers, the deepest first: a closure needs what lies below it, and would find it missing again. Of those at one
    /// depth the left one comes first, as in plain Rust.
    fn blockers_in_order(&mut self) -> Vec<Arc<dyn AnySlot>> {
        let mut blockers = std::mem::take(&mut self.blockers);
        blockers.sort_by_key(|(depth, _)| std::cmp::Reverse(*depth));
        blockers.into_iter().map(|(_, blocker)| blocker).collect()
    }

    fn is_incomplete(&self, slot: &Arc<dyn AnySlot>) -> bool {
        !self.incomplete.is_empty() && self.incomplete.contains(&address(slot))
    }
}

impl Drop for Walk {
    /// Nothing is left unless something unwound that never should; then others must not wait for this walk.
    fn drop(&mut self) {
        for entry in self.stack.drain(..) {
            if let Entry::Leave(slot) = entry {
                slot.give_back(&self.key);
            }
        }
    }
}

fn address(slot: &Arc<dyn AnySlot>) -> *const () {
    Arc::as_ptr(slot).cast()
}

thread_local! {
    /// The tasks whose results were operands of the operation that unwinds.
    static ORIGINS: RefCell<Vec<ForkPlace>> = const { RefCell::new(Vec::new()) };
}

/// Notes where an operand comes from if the operation unwinds; forgotten if it doesn't.
pub(crate) struct Operand<'a>(pub(crate) &'a (dyn AnySlot + 'static));

impl Drop for Operand<'_> {
    fn drop(&mut self) {
        if let Some(origin) = self.0.origin() {
            let _ = ORIGINS.try_with(|origins| origins.borrow_mut().push(origin));
        }
    }
}

/// Computes a deferred value; a panic becomes its outcome.
#[track_caller]
pub(crate) fn catch<T>(compute: impl FnOnce() -> Result<T, TaskError>) -> Result<T, TaskError> {
    // A closure may evaluate other expressions meanwhile.
    let outer = CURRENT.take();
    // Not in the destructors of a thread's locals, which may be gone.
    let noted = outer.is_some_and(|outer| OUTER.try_with(|notes| notes.borrow_mut().push(outer)).is_ok());
    let outcome = panics::catch(compute);
    let current = CURRENT.replace(outer);
    if noted {
        OUTER.with_borrow_mut(Vec::pop);
    }
    outcome.unwrap_or_else(|caught| {
        let operands = ORIGINS.try_with(RefCell::take).unwrap_or_default();
        // Without one, what has unwound is the drop of an operand.
        let note = current.unwrap_or(Note { symbol: "expression", place: Location::caller() });
        let error = operation_error(caught, Operation { operands, ..note.operation() });
        Err(error.through(SKIPPED.try_with(RefCell::take).unwrap_or_default()))
    })
}

/// Whether this thread is computing a deferred value, whose slot it has claimed.
pub(crate) fn is_computing() -> bool {
    CURRENT.get().is_some()
}

/// The operations that this thread is carrying out, one inside the other, the outermost first.
pub(crate) fn computing() -> Vec<Operation> {
    OUTER.with_borrow(|outer| {
        outer.iter().copied().chain(CURRENT.get()).map(|note| note.operation()).collect()
    })
}
