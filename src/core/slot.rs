//! The slot: a write-once place for a task's result, with everybody who waits for it.
//!
//! A [`Slot`] is pending, deferred (an expression that nobody has needed yet), ready or failed; ready and failed
//! are final. A result that came from another process stays encoded until somebody reads it, so a result that
//! only feeds another process is never decoded. Settling never runs waiters recursively: a chain of any length
//! of results that settle each other takes constant stack.

use crate::core::error::TaskError;
use crate::core::task::Body;
use crate::ground::cell::{ReadRight, WriteOnce};
use parking_lot::Mutex;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::Instant;

/// The encoded form of a value.
pub(crate) type Bytes = Arc<Vec<u8>>;

const PENDING: u8 = 0;
const DEFERRED: u8 = 1;
const EVALUATING: u8 = 2;
const READY: u8 = 3;
const FAILED: u8 = 4;

/// What a slot says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// A task will fill it.
    Pending,
    /// An expression that nobody has needed yet.
    Deferred,
    /// A value is there, perhaps still encoded.
    Ready,
    /// An error is there.
    Failed,
}

/// The part of a slot that does not depend on the type of the value.
pub(crate) struct Head {
    state: AtomicU8,
    inner: Mutex<Waiting>,
    error: OnceLock<TaskError>,
}

struct Waiting {
    waiters: Vec<Waiter>,
    /// The task that will fill the slot, for those who wait and would rather run it.
    task: Option<Arc<dyn Body>>,
}

type Call = Box<dyn FnOnce() + Send>;

enum Waiter {
    Thread(Thread),
    Call(Call),
}

/// A slot of any value type.
pub(crate) trait AnySlot: Send + Sync {
    fn head(&self) -> &Head;
    /// The first operand of a deferred expression that is not settled yet.
    fn next_operand(&self) -> Option<Arc<dyn AnySlot>>;
    /// Evaluates a deferred expression whose operands are settled, unless somebody else does.
    fn evaluate(&self);
}

impl Head {
    fn new(state: u8) -> Self {
        let inner = Mutex::new(Waiting { waiters: Vec::new(), task: None });
        Self { state: AtomicU8::new(state), inner, error: OnceLock::new() }
    }

    pub(crate) fn state(&self) -> State {
        match self.state.load(Ordering::Acquire) {
            PENDING => State::Pending,
            DEFERRED | EVALUATING => State::Deferred,
            READY => State::Ready,
            _ => State::Failed,
        }
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.state.load(Ordering::Acquire) >= READY
    }

    pub(crate) fn error(&self) -> Option<&TaskError> {
        if self.state.load(Ordering::Acquire) == FAILED { self.error.get() } else { None }
    }

    pub(crate) fn set_task(&self, task: Arc<dyn Body>) {
        let mut inner = self.inner.lock();
        if !self.is_settled() {
            inner.task = Some(task);
        }
    }

    pub(crate) fn task(&self) -> Option<Arc<dyn Body>> {
        self.inner.lock().task.clone()
    }

    /// Calls `call` once the slot is settled: now, in this thread, when it is already.
    pub(crate) fn when_settled(&self, call: impl FnOnce() + Send + 'static) {
        {
            let mut inner = self.inner.lock();
            if !self.is_settled() {
                inner.waiters.push(Waiter::Call(Box::new(call)));
                return;
            }
        }
        call();
    }

    /// Sleeps until the slot is settled or the deadline has passed.
    pub(crate) fn park(&self, deadline: Option<Instant>) {
        {
            let mut inner = self.inner.lock();
            if self.is_settled() {
                return;
            }
            inner.waiters.push(Waiter::Thread(std::thread::current()));
        }
        while !self.is_settled() {
            match deadline {
                None => std::thread::park(),
                Some(end) => {
                    let now = Instant::now();
                    if now >= end {
                        self.forget_this_thread();
                        return;
                    }
                    std::thread::park_timeout(end - now);
                }
            }
        }
    }

    fn forget_this_thread(&self) {
        let me = std::thread::current().id();
        self.inner.lock().waiters.retain(|waiter| !matches!(waiter, Waiter::Thread(t) if t.id() == me));
    }

    /// Makes the slot final and tells everybody who waits.
    fn settle(&self, state: u8) {
        let (waiters, task) = {
            let mut inner = self.inner.lock();
            // Release: pairs with the Acquire of whoever sees the state and then reads value or error.
            self.state.store(state, Ordering::Release);
            (std::mem::take(&mut inner.waiters), inner.task.take())
        };
        for waiter in waiters {
            match waiter {
                Waiter::Thread(thread) => thread.unpark(),
                Waiter::Call(call) => call_soon(call),
            }
        }
        drop(task);
        run_calls();
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

fn run_calls() {
    let begin = |calls: &RefCell<(bool, VecDeque<_>)>| {
        let mut calls = calls.borrow_mut();
        !std::mem::replace(&mut calls.0, true)
    };
    if !CALLS.try_with(begin).unwrap_or(false) {
        return;
    }
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

/// The unevaluated form of a deferred value: an expression over other slots.
pub(crate) trait Deferred<T>: Buried {
    /// The operand at `position`, `None` past the last one.
    fn operand(&self, position: usize) -> Option<Arc<dyn AnySlot>>;
    /// Computes the value; every operand is settled.
    fn compute(self: Box<Self>) -> Result<T, TaskError>;
}

/// Something whose drop may drop other slots, and must not do so recursively.
pub(crate) trait Buried: Send {}

enum Source<T> {
    None,
    /// The encoded value, and how to decode it.
    Encoded(Bytes, fn(&[u8]) -> Result<T, TaskError>),
    Deferred(Box<dyn Deferred<T>>),
}

/// The write-once place for a result of type `T`.
pub(crate) struct Slot<T> {
    head: Head,
    value: WriteOnce<T>,
    source: Mutex<Source<T>>,
}

impl<T: 'static> Slot<T> {
    fn with(state: u8, source: Source<T>) -> (Arc<Self>, ReadRight<T>) {
        let (value, right) = WriteOnce::new();
        (Arc::new(Self { head: Head::new(state), value, source: Mutex::new(source) }), right)
    }

    /// A slot that a task will fill.
    pub(crate) fn pending() -> (Arc<Self>, ReadRight<T>) {
        Self::with(PENDING, Source::None)
    }

    /// A slot that has its value.
    pub(crate) fn ready(value: T) -> (Arc<Self>, ReadRight<T>) {
        let (slot, right) = Self::with(READY, Source::None);
        assert!(slot.value.set(value).is_ok(), "a new cell is empty");
        (slot, right)
    }

    /// A slot whose value is computed by whoever needs it first.
    pub(crate) fn deferred(compute: Box<dyn Deferred<T>>) -> (Arc<Self>, ReadRight<T>) {
        Self::with(DEFERRED, Source::Deferred(compute))
    }

    pub(crate) fn fulfil(&self, outcome: Result<T, TaskError>) {
        let state = match outcome {
            Ok(value) => {
                let fresh = self.value.set(value).is_ok();
                assert!(fresh, "a slot is filled by the one who claimed its task");
                READY
            }
            Err(error) => {
                let _ = self.head.error.set(error);
                FAILED
            }
        };
        self.head.settle(state);
    }

    pub(crate) fn fulfil_encoded(&self, bytes: Bytes, decode: fn(&[u8]) -> Result<T, TaskError>) {
        *self.source.lock() = Source::Encoded(bytes, decode);
        self.head.settle(READY);
    }

    /// The encoded value, while nobody has needed it decoded.
    pub(crate) fn encoded(&self) -> Option<Bytes> {
        match &*self.source.lock() {
            Source::Encoded(bytes, _) => Some(bytes.clone()),
            _ => None,
        }
    }

    /// The value of a settled slot, decoded now if it is still encoded.
    pub(crate) fn settled(&self, right: &ReadRight<T>) -> Result<&T, TaskError> {
        if let Some(value) = self.value.get(right) {
            return Ok(value);
        }
        if let Some(error) = self.head.error() {
            return Err(error.clone());
        }
        let mut source = self.source.lock();
        if let Source::Encoded(bytes, decode) = &*source {
            let decoded = decode(bytes);
            *source = Source::None;
            match decoded {
                Ok(value) => assert!(self.value.set(value).is_ok(), "decoded under the lock, once"),
                Err(error) => {
                    let _ = self.head.error.set(error);
                    self.head.state.store(FAILED, Ordering::Release);
                }
            }
        }
        drop(source);
        match self.value.get(right) {
            Some(value) => Ok(value),
            None => Err(self.head.error().expect("a settled slot has a value or an error").clone()),
        }
    }

    /// The value if it is there and decoded.
    #[inline]
    pub(crate) fn peek(&self, right: &ReadRight<T>) -> Option<&T> {
        self.value.get(right)
    }

    /// One more right to read the value.
    pub(crate) fn share(&self, right: &ReadRight<T>) -> ReadRight<T> {
        self.value.share(right)
    }

    pub(crate) fn release(&self, right: ReadRight<T>) {
        self.value.release(right);
    }

    /// Moves the decoded value out, if nobody else has a right to it.
    pub(crate) fn take(&self, right: ReadRight<T>) -> Result<T, ReadRight<T>> {
        self.value.take(right)
    }
}

impl<T: Send + 'static> AnySlot for Slot<T> {
    fn head(&self) -> &Head {
        &self.head
    }

    fn next_operand(&self) -> Option<Arc<dyn AnySlot>> {
        let source = self.source.lock();
        let Source::Deferred(deferred) = &*source else { return None };
        (0..).map_while(|position| deferred.operand(position)).find(|slot| !slot.head().is_settled())
    }

    fn evaluate(&self) {
        // The state keeps everybody else from evaluating; they park until it is settled.
        if self
            .head
            .state
            .compare_exchange(DEFERRED, EVALUATING, Ordering::AcqRel, Ordering::Acquire)
            .is_err()
        {
            return;
        }
        let source = std::mem::replace(&mut *self.source.lock(), Source::None);
        let Source::Deferred(deferred) = source else { unreachable!("the state says deferred") };
        self.fulfil(deferred.compute());
    }
}

thread_local! {
    static GRAVES: RefCell<(bool, Vec<Box<dyn Buried>>)> = const { RefCell::new((false, Vec::new())) };
}

impl<T> Drop for Slot<T> {
    fn drop(&mut self) {
        // A chain of expressions would drop recursively, each node inside its successor's drop: instead the
        // nodes are put aside and dropped one after the other by the outermost drop.
        let Source::Deferred(deferred) = std::mem::replace(self.source.get_mut(), Source::None) else {
            return;
        };
        let mut buried: Option<Box<dyn Buried>> = Some(deferred);
        let outermost = GRAVES.try_with(|graves| {
            let mut graves = graves.borrow_mut();
            graves.1.push(buried.take().expect("set just above"));
            !std::mem::replace(&mut graves.0, true)
        });
        if outermost != Ok(true) {
            return;
        }
        loop {
            let next = GRAVES.with(|graves| {
                let mut graves = graves.borrow_mut();
                let next = graves.1.pop();
                graves.0 = next.is_some();
                next
            });
            match next {
                Some(buried) => drop(buried),
                None => return,
            }
        }
    }
}
