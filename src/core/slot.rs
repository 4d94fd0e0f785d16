//! The slot: a write-once place for a task's result, with everybody who waits for it.
//!
//! A [`Slot`] is a cell with its waiters: empty until a task fills it, or deferred until somebody needs its expression;
//! then full, failed or encoded, which is final. A result that came from another process stays encoded until somebody
//! reads it, so a result that only feeds another process is never decoded. A deferred slot that nobody waits for is
//! settled without a lock. Settling never runs waiters recursively: a chain of any length of results that settle each
//! other takes constant stack.

use crate::core::batch::Batched;
use crate::core::error::{ForkPlace, TaskError};
use crate::core::expression::{Entered, Expression, Gather, Seen};
use crate::core::ids::TaskId;
use crate::core::output;
use crate::core::task::Body;
use crate::ground::cell::{Cell, Key, Phase, Reading, ThreadNumber};
use crate::ground::sync::{Thread, current, park, park_timeout, yield_now};
use crate::ground::wire::parcel::{Parcel, Reader as ParcelReader};
use parking_lot::Mutex;
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::Arc;
use std::time::Instant;

/// The encoded form of a value.
pub(crate) type Encoded = Arc<Parcel>;

/// What a slot says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// A task will fill it.
    Pending,
    /// An expression that nobody has needed yet, or that is being evaluated.
    Deferred,
    /// A value is there, perhaps still encoded.
    Ready,
    /// An error is there.
    Failed,
}

/// What lies beside the cell of a slot, under its lock: for results of tasks and for those who wait. Most expressions have
/// none, and all results of one place share theirs until something is to be noted about one of them.
#[derive(Default)]
pub(crate) struct Head(Option<Arc<About>>);

/// What is known about a slot.
#[derive(Default)]
pub(crate) struct About {
    /// The task that fills or filled the slot, by name and place.
    origin: Option<(Cow<'static, str>, &'static Location<'static>)>,
    /// Empty if this is shared. Never locked, only owned: the lock makes it `Sync`.
    notes: Mutex<Notes>,
}

/// What is noted about one slot.
#[derive(Default)]
struct Notes {
    waiters: Vec<Waiter>,
    /// The task whose captured text is printed by the first who reads the value.
    printed: Option<TaskId>,
}

type Call = Box<dyn FnOnce() + Send>;

enum Waiter {
    Thread(Thread),
    Call(Call),
    /// Also called when an expression is given back.
    Change(Arc<dyn Fn() + Send + Sync>),
}

impl About {
    /// What is to be said of the results of a task of this name that is forked at this place.
    pub(crate) fn new(name: Cow<'static, str>, place: &'static Location<'static>) -> Arc<Self> {
        Arc::new(Self { origin: Some((name, place)), notes: Mutex::default() })
    }

    /// Whether this is about that task, as far as a quick look tells.
    pub(crate) fn is(&self, name: &str, place: &'static Location<'static>) -> bool {
        match &self.origin {
            Some((Cow::Borrowed(mine), at)) => ptr::eq(*mine, name) && ptr::eq(*at, place),
            _ => false,
        }
    }

    pub(crate) fn name(&self) -> &str {
        self.origin.as_ref().map_or("a deferred expression", |(name, _)| name)
    }

    pub(crate) fn fork_place(&self) -> Option<ForkPlace> {
        let (name, place) = self.origin.as_ref()?;
        Some(ForkPlace { place: (*place).into(), task: name.to_string(), frames: None })
    }
}

impl Head {
    /// That of the result of a task.
    fn of_task(about: Arc<About>) -> Self {
        Self(Some(about))
    }

    /// What is noted about this slot, if anything is.
    fn noted(&mut self) -> Option<&mut Notes> {
        // What is shared has no notes.
        Some(Arc::get_mut(self.0.as_mut()?)?.notes.get_mut())
    }

    /// The same, to be noted in.
    fn notes(&mut self) -> &mut Notes {
        let about = self.0.get_or_insert_default();
        if Arc::get_mut(about).is_none() {
            *about = Arc::new(About { origin: about.origin.clone(), notes: Mutex::default() });
        }
        Arc::get_mut(about).expect("it was the only one, or has just been made").notes.get_mut()
    }
}

/// A slot of any value type.
pub(crate) trait AnySlot: Send + Sync {
    /// Runs `with` on the head, under the lock.
    fn with_head(&self, with: &mut dyn FnMut(&mut Head));
    fn phase(&self) -> Phase;
    fn is_settled(&self) -> bool;
    fn error(&self) -> Option<&TaskError>;
    /// The task that will fill the slot, for those who wait and would rather run it.
    fn task(&self) -> Option<Arc<dyn Body>>;
    /// Asks that whoever changes the phase look for waiters; false if the slot is settled.
    fn watch(&self) -> bool;
    fn unwatch(&self);

    /// Whether the value comes from code that may do anything, and not from operators.
    fn is_closure(&self) -> bool;
    /// Claims a deferred slot for a walk, and evaluates it if its operands are settled; else adds those that are not.
    /// Only a root may be a closure, which is not evaluated yet.
    fn enter(&self, key: &mut Key, operands: &mut Gather, is_root: bool) -> Entered;
    /// The thread that has claimed the slot, as far as one can see.
    fn claimant(&self) -> Option<ThreadNumber>;
    /// Shows the expression of a deferred slot that nobody else has claimed; says whether it was one.
    fn inspect(&self, seen: &mut (dyn Seen + 'static)) -> bool;
    /// Adds the unsettled operands of a slot claimed by this key.
    fn gather(&self, key: &mut Key, operands: &mut Gather);
    /// Evaluates and settles a slot claimed by this key, whose operands are settled. If that unwinds, the slot has to be
    /// settled by [`fail`](Self::fail).
    fn compute(&self, key: &mut Key);
    /// Settles a slot with an error, if this key has claimed it.
    fn fail(&self, key: &Key, error: TaskError);
    /// Ends the claim of this key without an outcome.
    fn give_back(&self, key: &Key);
    /// Settles a deferred slot that nobody has claimed with an error; says whether it did.
    fn refuse(&self, error: TaskError) -> bool;
}

impl dyn AnySlot {
    pub(crate) fn state(&self) -> State {
        match self.phase() {
            Phase::Empty => State::Pending,
            Phase::Deferred | Phase::Claimed => State::Deferred,
            Phase::Encoded | Phase::Full => State::Ready,
            Phase::Failed => State::Failed,
        }
    }

    /// The operands of a deferred slot.
    pub(crate) fn operands(&self) -> Vec<Arc<dyn AnySlot>> {
        struct Operands(Vec<Arc<dyn AnySlot>>);
        impl Seen for Operands {
            fn operand(
                &mut self,
                _: &(dyn AnySlot + 'static),
                share: &dyn Fn() -> Arc<dyn AnySlot>,
                _: &dyn Fn() -> Option<String>,
            ) {
                self.0.push(share());
            }
        }
        let mut operands = Operands(Vec::new());
        // A walk holds its claim for a moment only; code of the user, for as long as it likes.
        while !self.inspect(&mut operands) && self.state() == State::Deferred && !self.is_closure() {
            yield_now();
        }
        operands.0
    }

    /// Whether whoever needs the value can only wait for somebody else.
    pub(crate) fn is_somebody_elses(&self) -> bool {
        matches!(self.phase(), Phase::Empty | Phase::Claimed)
    }

    fn head<R>(&self, with: impl FnOnce(&mut Head) -> R) -> R {
        let (mut with, mut result) = (Some(with), None);
        self.with_head(&mut |head| result = with.take().map(|with| with(head)));
        result.expect("it is run once")
    }

    /// Where the task was forked that fills or filled the slot; `None` for expressions and plain values.
    pub(crate) fn origin(&self) -> Option<ForkPlace> {
        self.head(|head| head.0.clone())?.fork_place()
    }

    /// Says, before the slot is settled, that the task which fills it has printed something.
    pub(crate) fn set_printed(&self, task: TaskId) {
        self.head(|head| head.notes().printed = Some(task));
    }

    /// The task whose text nobody has printed by reading this value.
    pub(crate) fn printed(&self) -> Option<TaskId> {
        self.head(|head| head.noted()?.printed)
    }

    /// Prints the text of the task, for its first reader.
    fn relay(&self) {
        if let Some(task) = self.head(|head| head.noted()?.printed.take()) {
            output::relay(task);
        }
    }

    /// Adds a waiter, unless the slot is settled; then gives it back.
    fn add(&self, waiter: Waiter) -> Option<Waiter> {
        self.head(|head| {
            // Under the lock, so that whoever settles the slot and sees the mark finds the waiter.
            if !self.watch() {
                return Some(waiter);
            }
            head.notes().waiters.push(waiter);
            None
        })
    }

    /// Calls `call` once the slot is settled: now, in this thread, when it is already.
    pub(crate) fn when_settled(&self, call: impl FnOnce() + Send + 'static) {
        if let Some(Waiter::Call(call)) = self.add(Waiter::Call(Box::new(call))) {
            call();
        }
    }

    /// Calls `change` whenever the slot may have become settled or claimable, until it is settled. `change` only wakes.
    pub(crate) fn when_changed(&self, change: impl Fn() + Send + Sync + 'static) {
        if let Some(Waiter::Change(change)) = self.add(Waiter::Change(Arc::new(change))) {
            change();
        }
    }

    /// Sleeps until the slot is settled, or an expression is given back unevaluated, or the deadline has passed.
    pub(crate) fn park(&self, deadline: Option<Instant>) {
        while self.enlist_this_thread() {
            match deadline {
                None => park(),
                Some(end) => {
                    let now = Instant::now();
                    if now >= end {
                        break;
                    }
                    park_timeout(end - now);
                }
            }
        }
        let me = current().id();
        self.head(|head| {
            if let Some(notes) = head.noted() {
                notes.waiters.retain(|waiter| !matches!(waiter, Waiter::Thread(thread) if thread.id() == me));
            }
        });
    }

    /// Makes sure that this thread is woken when the slot changes; false if there is nothing to wait for.
    fn enlist_this_thread(&self) -> bool {
        self.head(|head| {
            // Asked again with the mark set: who gave the slot back in between has seen no mark, and woken nobody.
            if !self.is_somebody_elses() || !self.watch() || !self.is_somebody_elses() {
                return false;
            }
            let me = current();
            let waiters = &mut head.notes().waiters;
            if !waiters
                .iter()
                .any(|waiter| matches!(waiter, Waiter::Thread(thread) if thread.id() == me.id()))
            {
                waiters.push(Waiter::Thread(me));
            }
            true
        })
    }

    /// Tells everybody who waits that the slot is settled.
    fn wake_all(&self) {
        let waiters = self.head(|head| head.noted().map(|notes| std::mem::take(&mut notes.waiters)));
        for waiter in waiters.into_iter().flatten() {
            match waiter {
                Waiter::Thread(thread) => thread.unpark(),
                Waiter::Call(call) => call_soon(call),
                Waiter::Change(change) => change(),
            }
        }
        run_calls();
    }

    /// Wakes those who wait for an expression that has been given back: one of them may evaluate it now.
    fn wake_waiters(&self) {
        let changes = self.head(|head| {
            let mut changes = Vec::new();
            let Some(notes) = head.noted() else { return changes };
            notes.waiters.retain(|waiter| match waiter {
                Waiter::Thread(thread) => {
                    thread.unpark();
                    false
                }
                Waiter::Change(change) => {
                    changes.push(change.clone());
                    true
                }
                Waiter::Call(_) => true,
            });
            if notes.waiters.is_empty() {
                self.unwatch();
            }
            changes
        });
        for change in changes {
            change();
        }
    }
}

thread_local! {
    /// Calls that settled slots asked for, run one after the other by the outermost settling.
    static CALLS: RefCell<(bool, VecDeque<Call>)> = const { RefCell::new((false, VecDeque::new())) };
}

fn call_soon(call: Call) {
    let mut call = Some(call);
    let _ = CALLS.try_with(|calls| calls.borrow_mut().1.push_back(call.take().expect("set just above")));
    // The thread is ending and its locals are gone: there is no outer settling either.
    if let Some(call) = call {
        call();
    }
}

/// Says that calls are being run in this thread; false if they were already.
fn begin_calls() -> bool {
    let begin = |calls: &RefCell<(bool, VecDeque<_>)>| {
        let mut calls = calls.borrow_mut();
        !std::mem::replace(&mut calls.0, true)
    };
    CALLS.try_with(begin).unwrap_or(false)
}

/// While it lives, settled slots call nobody; when it is dropped, what they asked for runs.
pub(crate) struct Held {
    is_outermost: bool,
}

pub(crate) fn hold_calls() -> Held {
    Held { is_outermost: begin_calls() }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.is_outermost {
            run_begun_calls();
        }
    }
}

/// Runs `call` as soon as this thread is in no walk, whose claims others may wait for: at once, if it is in none.
pub(crate) fn when_nothing_is_claimed(call: impl FnOnce() + Send + 'static) {
    call_soon(Box::new(call));
    run_calls();
}

fn run_calls() {
    if begin_calls() {
        run_begun_calls();
    }
}

/// Lets others run calls again when a call unwinds.
struct Begun;

impl Drop for Begun {
    fn drop(&mut self) {
        let _ = CALLS.try_with(|calls| calls.borrow_mut().0 = false);
    }
}

fn run_begun_calls() {
    let _begun = Begun;
    loop {
        let next = CALLS.with(|calls| {
            let mut calls = calls.borrow_mut();
            let next = calls.1.pop_front();
            calls.0 = next.is_some();
            next
        });
        match next {
            Some(call) => call(),
            None => return,
        }
    }
}

/// Runs the calls that wait for the outermost settling of this thread, and says whether there were any. For a thread
/// that is about to block: a task that a call runs in place would otherwise wait for a call that waits for it.
pub(crate) fn run_waiting_calls() -> bool {
    let next = || CALLS.try_with(|calls| calls.borrow_mut().1.pop_front()).ok().flatten();
    let mut any = false;
    while let Some(call) = next() {
        any = true;
        call();
    }
    any
}

/// What a slot holds until it is full or failed.
pub(crate) enum Content<T> {
    /// How to compute the value.
    Expression(Expression<T>),
    /// What else; in a type of its own, so that all of it fits into the place of an expression.
    Brought(Brought<T>),
}

/// The value of a slot that a task fills, or where it comes from.
pub(crate) enum Brought<T> {
    /// Nobody has it yet.
    Nothing,
    /// The task that brings it, as long as the slot is empty.
    By(Arc<dyn Body>),
    /// The batch that it is an item of, with this number.
    Item(Arc<dyn Batched>, u32),
    /// The encoded value, and how to decode it.
    Encoded(Encoded, Decode<T>),
    /// The value of a task that printed something, until the first reader has printed that; in the phase of an encoded one,
    /// so that reading a full slot has nothing to ask.
    Held(Option<Box<T>>),
}

/// Makes the value of what has come from another process.
pub(crate) type Decode<T> = fn(ParcelReader<'_>) -> Result<T, TaskError>;

/// Every result of a queued task has a slot, so its size matters.
const _: () = assert!(size_of::<Content<u64>>() == size_of::<Expression<u64>>());

/// The write-once place for a result of type `T`.
pub(crate) type Slot<T> = Cell<Content<T>, T, TaskError, Head>;

/// A pointer to a slot with the right to read its value.
pub(crate) type Reader<T> = Reading<Content<T>, T, TaskError, Head>;

impl<T: Send + 'static> Slot<T> {
    fn any(&self) -> &(dyn AnySlot + 'static) {
        self
    }

    /// A slot that a task will fill.
    pub(crate) fn pending() -> Reader<T> {
        Self::empty(Content::Brought(Brought::Nothing), Head::default())
    }

    /// A slot that a task will fill of which this is known; the task itself is said by [`set_task`](Self::set_task).
    pub(crate) fn of_task(about: Arc<About>) -> Reader<T> {
        Self::empty(Content::Brought(Brought::Nothing), Head::of_task(about))
    }

    /// A slot that an item of this batch will fill.
    pub(crate) fn of_item(about: Arc<About>, batch: Arc<dyn Batched>, index: u32) -> Reader<T> {
        Self::empty(Content::Brought(Brought::Item(batch, index)), Head::of_task(about))
    }

    /// Says which task will fill the slot, unless it has already.
    pub(crate) fn set_task(&self, task: Arc<dyn Body>) {
        self.beside(|_| {
            let mut key = Key::new();
            if self.claim(&key, Phase::Empty) {
                *self.content(&mut key) = Content::Brought(Brought::By(task));
                self.give_back(&key);
            }
        });
    }

    /// Claims an empty slot for good, to fill it, and forgets its task.
    fn take_over(&self) -> (Key, Content<T>) {
        let mut key = Key::new();
        // Under the lock: who asks for the task claims the slot for a moment, under the lock, too.
        let is_ours = self.beside(|_| self.claim(&key, Phase::Empty));
        assert!(is_ours, "a slot is filled by the one who claimed its task");
        let task = std::mem::replace(self.content(&mut key), Content::Brought(Brought::Nothing));
        (key, task)
    }

    /// A slot that has its value.
    pub(crate) fn ready(value: T) -> Reader<T> {
        Self::full(value, Head::default(), true)
    }

    /// A slot whose value operators compute when somebody needs it.
    #[inline]
    pub(crate) fn expression(expression: Expression<T>) -> Reader<T> {
        Self::deferred(Content::Expression(expression), Head::default(), false)
    }

    /// A slot whose value code of any kind computes when somebody needs it.
    pub(crate) fn closure(expression: Expression<T>) -> Reader<T> {
        Self::deferred(Content::Expression(expression), Head::default(), true)
    }

    /// Fills the slot of a task.
    pub(crate) fn fulfil(&self, outcome: Result<T, TaskError>) {
        let (key, _task) = self.take_over();
        if self.conclude(&key, outcome) {
            self.any().wake_all();
        }
    }

    /// Fills the slot of a task with the encoded value.
    pub(crate) fn fulfil_encoded(&self, parcel: Encoded, decode: Decode<T>) {
        self.fulfil_later(Brought::Encoded(parcel, decode));
    }

    /// Fills the slot of a task with a value that is not read without [`settled`].
    pub(crate) fn fulfil_held(&self, value: T) {
        self.fulfil_later(Brought::Held(Some(Box::new(value))));
    }

    fn fulfil_later(&self, brought: Brought<T>) {
        let (mut key, _task) = self.take_over();
        *self.content(&mut key) = Content::Brought(brought);
        if self.encode(&key) {
            self.any().wake_all();
        }
    }

    fn conclude(&self, key: &Key, outcome: Result<T, TaskError>) -> bool {
        match outcome {
            Ok(value) => self.fill(key, value),
            Err(error) => self.fail(key, error),
        }
    }

    /// The encoded value, while nobody has needed it decoded.
    pub(crate) fn encoded(&self) -> Option<Encoded> {
        // The lock keeps others from decoding meanwhile, so that a claim that fails means a decoded value.
        self.beside(|_| {
            let mut key = Key::new();
            if !self.claim(&key, Phase::Encoded) {
                return None;
            }
            let bytes = match self.content(&mut key) {
                Content::Brought(Brought::Encoded(parcel, _)) => Some(parcel.clone()),
                _ => None,
            };
            self.give_back(&key);
            bytes
        })
    }

    /// Decodes the value, if it is still encoded.
    fn decode(&self) {
        self.beside(|_| {
            let mut key = Key::new();
            if !self.claim(&key, Phase::Encoded) {
                return;
            }
            let outcome = match self.content(&mut key) {
                Content::Brought(Brought::Encoded(parcel, decode)) => match Arc::get_mut(parcel) {
                    Some(parcel) => decode(parcel.last_reader()),
                    // Another task is just being given it.
                    None => decode(parcel.reader()),
                },
                Content::Brought(Brought::Held(value)) => {
                    Ok(*value.take().expect("it is there until it is decoded"))
                }
                _ => unreachable!("the phase says encoded"),
            };
            // Nobody watches: the slot was settled before.
            self.conclude(&key, outcome);
        });
    }

    /// Shows the value while nobody has read it, and leaves it so; false if somebody has.
    fn show_unread(&self, to: &mut dyn FnMut(&T)) -> Result<bool, TaskError> {
        self.beside(|_| {
            let mut key = Key::new();
            if !self.claim(&key, Phase::Encoded) {
                return Ok(false);
            }
            let content = self.content(&mut key);
            // What unwinds is code of the user; the claim must end all the same.
            let shown = catch_unwind(AssertUnwindSafe(|| match content {
                Content::Brought(Brought::Encoded(parcel, decode)) => {
                    decode(parcel.reader()).map(|value| to(&value))
                }
                Content::Brought(Brought::Held(Some(value))) => {
                    to(value);
                    Ok(())
                }
                _ => unreachable!("the phase says encoded"),
            }));
            self.give_back(&key);
            shown.unwrap_or_else(|payload| resume_unwind(payload)).map(|()| true)
        })
    }
}

/// The value of a settled slot, decoded now if it is still encoded.
pub(crate) fn settled<T: Send + 'static>(reader: &Reader<T>) -> Result<&T, TaskError> {
    if reader.get().is_none() {
        if output::is_in_use() {
            reader.any().relay();
        }
        if reader.error().is_none() {
            reader.decode();
        }
    }
    match reader.get() {
        Some(value) => Ok(value),
        None => Err(reader.error().expect("a settled slot has a value or an error").clone()),
    }
}

/// Shows the value of a settled slot to what only passes it on to another task: that is no reading, and what its own task
/// printed is not printed by it.
pub(crate) fn show<T: Send + 'static>(reader: &Reader<T>, to: &mut dyn FnMut(&T)) -> Result<(), TaskError> {
    if output::is_in_use() && reader.any().printed().is_some() {
        if let Some(error) = reader.error() {
            return Err(error.clone());
        }
        if reader.show_unread(to)? {
            return Ok(());
        }
    }
    to(settled(reader)?);
    Ok(())
}

impl<T: Send + 'static> AnySlot for Slot<T> {
    fn with_head(&self, with: &mut dyn FnMut(&mut Head)) {
        self.beside(with);
    }

    fn phase(&self) -> Phase {
        self.phase()
    }

    fn is_settled(&self) -> bool {
        self.is_settled()
    }

    fn error(&self) -> Option<&TaskError> {
        self.error()
    }

    fn task(&self) -> Option<Arc<dyn Body>> {
        // The lock keeps others from claiming it meanwhile, so that a claim that fails means an outcome.
        self.beside(|_| {
            let mut key = Key::new();
            if !self.claim(&key, Phase::Empty) {
                return None;
            }
            let task = match self.content(&mut key) {
                Content::Brought(Brought::By(task)) => Some(task.clone()),
                Content::Brought(Brought::Item(batch, index)) => Some(batch.clone().item(*index)),
                _ => None,
            };
            self.give_back(&key);
            task
        })
    }

    fn watch(&self) -> bool {
        self.watch()
    }

    fn unwatch(&self) {
        self.unwatch();
    }

    fn is_closure(&self) -> bool {
        self.is_marked()
    }

    fn enter(&self, key: &mut Key, operands: &mut Gather, is_root: bool) -> Entered {
        if (self.is_marked() && !is_root) || !self.claim(key, Phase::Deferred) {
            return if self.is_settled() { Entered::Settled } else { Entered::Refused };
        }
        AnySlot::gather(self, key, operands);
        if !operands.is_empty() {
            return Entered::Waits;
        }
        if self.is_marked() {
            return Entered::IsReady;
        }
        self.compute(key);
        Entered::Settled
    }

    fn claimant(&self) -> Option<ThreadNumber> {
        self.claimant()
    }

    fn inspect(&self, seen: &mut (dyn Seen + 'static)) -> bool {
        let mut key = Key::new();
        let is_deferred = self.claim(&key, Phase::Deferred);
        if is_deferred {
            if let Content::Expression(expression) = self.content(&mut key) {
                expression.show(seen);
            }
            AnySlot::give_back(self, &key);
        }
        is_deferred
    }

    fn gather(&self, key: &mut Key, operands: &mut Gather) {
        if let Content::Expression(expression) = self.content(key) {
            expression.gather(operands);
        }
    }

    fn compute(&self, key: &mut Key) {
        let Content::Expression(expression) = self.content(key) else { unreachable!("a deferred slot") };
        let outcome = expression.compute();
        if self.conclude(key, outcome) {
            self.any().wake_all();
        }
    }

    fn fail(&self, key: &Key, error: TaskError) {
        if self.is_claimed_by(key) && self.fail(key, error) {
            self.any().wake_all();
        }
    }

    fn give_back(&self, key: &Key) {
        if self.give_back(key) {
            self.any().wake_waiters();
        }
    }

    fn refuse(&self, error: TaskError) -> bool {
        let key = Key::new();
        let is_ours = self.claim(&key, Phase::Deferred);
        if is_ours && self.fail(&key, error) {
            self.any().wake_all();
        }
        is_ours
    }
}
