//! [`ResultProxy`]: a smart pointer to a value that is not there yet.
//!
//! Owns the right to read a slot and everything that makes it behave like its value: `Deref` and the traits that read
//! the value ([`traits`]), operators that build deferred expressions ([`ops`], [`deferred`]), waiting for several
//! ([`collect`]), collecting several into one ([`gather`]), taking one apart ([`parts`]) and showing what one is made
//! of ([`explain`]). Like `Arc` it has no methods,
//! only associated functions, so it hides none of `T`'s.

mod collect;
mod deferred;
mod explain;
mod gather;
mod num;
#[cfg(all(test, not(xfork_loom)))]
mod operators;
pub(crate) mod ops;
pub(crate) mod parts;
mod steps;
mod traits;

pub use collect::{
    AsCompleted, as_completed, wait, wait_all, wait_all_timeout, wait_any, wait_any_timeout, wait_timeout,
};
pub(crate) use deferred::{closure, demand, finish, settled};
pub use deferred::{lazy, ready};
pub use explain::Explanation;
pub(crate) use explain::{Operand as PartOperand, remaining};
pub use num::ValueOrProxy;
pub use ops::Operand;
pub use parts::Proxied;

use crate::core::cancel::{self, Unwanted};
use crate::core::error::{Kind, TaskError};
use crate::core::expression::Expression;
use crate::core::report;
use crate::core::runner::Haste;
use crate::core::seed;
use crate::core::slot::{self, AnySlot, Content, Encoded, Reader, Slot, State};
use crate::core::wait as waiting;
use crate::ground::panics;
use crate::proxy::steps::symbol;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The result of a fork, or of an expression over such results: a smart pointer that waits only when it must.
///
/// Reading it (`*p`, `p.method()`, `println!("{p}")`, `p == 3`, `p[0]` …) blocks until the value is there. Arithmetic
/// on it gives another proxy and blocks nobody. A proxy given to [`fork`](crate::fork()) as an argument is a
/// dependency. If the task panicked, reading rethrows the panic, at every read; use [`wait`](crate::wait()) for a
/// `Result` instead.
///
/// ```
/// use xfork::{fork, ResultProxy};
///
/// #[xfork::cpu_bound]
/// fn square(n: u64) -> u64 { n * n }
///
/// let a = fork(square, 3);
/// let b = fork(square, 4);
/// let sum = &a + &b;                       // nothing has been waited for
/// assert_eq!(sum, 25);
/// assert_eq!(fork(square, sum).count_ones(), 625u64.count_ones());
/// assert!(ResultProxy::is_ready(&a));
/// ```
///
/// # Panics
///
/// Every read rethrows the panic of a failed task, so that `catch_unwind` gets what the task threw (of a type that can't
/// leave its process, a `String` instead), and panics with the [`TaskError`]'s text, a `String`, if its worker died or it failed
/// in another way. The first read of a failure outside any task reports it on stderr, later ones remind of it in a line.
pub struct ResultProxy<T: Send + 'static> {
    reader: Reader<T>,
}

impl<T: Send + 'static> Clone for ResultProxy<T> {
    /// Another pointer to the same result.
    fn clone(&self) -> Self {
        Self { reader: self.reader.clone() }
    }
}

impl<T: Send + 'static> ResultProxy<T> {
    #[inline]
    pub(crate) fn new(reader: Reader<T>) -> Self {
        Self { reader }
    }

    /// The slot, without the right to read it.
    pub(crate) fn slot(&self) -> &Arc<Slot<T>> {
        self.reader.cell()
    }

    pub(crate) fn any_slot(&self) -> Arc<dyn AnySlot> {
        self.slot().clone()
    }

    #[inline]
    pub(crate) fn is_settled(&self) -> bool {
        self.reader.is_settled()
    }

    /// The unevaluated expression, if it is not a closure and nobody else points to it.
    #[inline]
    pub(crate) fn expression_mut(&mut self) -> Option<&mut Expression<T>> {
        if self.reader.is_marked() {
            return None;
        }
        match self.reader.content_mut()? {
            Content::Expression(expression) => Some(expression),
            Content::Brought(_) => None,
        }
    }

    /// Whether the proxy was made with its value, which nobody else may read.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.reader.get().is_some() && self.reader.is_marked() && self.reader.is_sole()
    }

    /// The value, if it is there and decoded.
    pub(crate) fn peek(&self) -> Option<&T> {
        self.reader.get()
    }

    /// The value of a settled proxy, moved out if nobody else may read it, and the slot that it was in.
    #[inline]
    pub(crate) fn open(self) -> Result<(T, Arc<Slot<T>>), TaskError>
    where
        T: Clone,
    {
        match self.reader.take_apart() {
            Ok(parts) => Ok(parts),
            Err(reader) => {
                let value = slot::settled(&reader)?;
                // It may have been decoded just now, for nobody else.
                if reader.is_sole() && reader.get().is_some() {
                    return reader.take_apart().map_err(|_| unreachable!("it is there, and nobody else's"));
                }
                let value = value.clone();
                Ok((value, reader.into_cell()))
            }
        }
    }

    /// The outcome of a settled proxy.
    pub(crate) fn settled(&self) -> Result<&T, TaskError> {
        slot::settled(&self.reader)
    }

    /// Shows the value of a settled proxy to what passes it on; see [`slot::show`].
    pub(crate) fn show_unread(&self, to: &mut dyn FnMut(&T)) -> Result<(), TaskError> {
        slot::show(&self.reader, to)
    }

    pub(crate) fn encoded_value(&self) -> Option<Encoded> {
        self.reader.encoded()
    }

    fn outcome(&self) -> Result<&T, TaskError> {
        self.outcome_in(Haste::Now)
    }

    fn outcome_in(&self, haste: Haste) -> Result<&T, TaskError> {
        if let Some(value) = self.reader.get() {
            return Ok(value);
        }
        waiting::wait_in(haste, &self.any_slot(), None)?;
        self.settled()
    }

    /// The value, waited for if need be; the heart of `Deref`.
    #[inline]
    pub(crate) fn force(&self) -> &T {
        match self.reader.get() {
            Some(value) => value,
            None => self.outcome().unwrap_or_else(|error| rethrow(&error)),
        }
    }

    /// Whether the outcome is there, so that reading does not block.
    ///
    /// ```
    /// use xfork::{ready, ResultProxy};
    /// assert!(ResultProxy::is_ready(&ready(1)));
    /// ```
    pub fn is_ready(this: &Self) -> bool {
        this.is_settled() || waiting::settle_if_possible(&this.any_slot())
    }

    /// Waits for the value; the error instead of a panic.
    ///
    /// ```
    /// use xfork::{thread, ResultProxy};
    /// let p = thread(|| 6 * 7, ());
    /// assert_eq!(ResultProxy::wait(&p).unwrap(), &42);
    /// ```
    ///
    /// # Errors
    ///
    /// The [`TaskError`] of the task that failed.
    pub fn wait(this: &Self) -> Result<&T, TaskError> {
        this.wait_in(Haste::Now)
    }

    pub(crate) fn wait_in(&self, haste: Haste) -> Result<&T, TaskError> {
        self.outcome_in(haste).inspect_err(TaskError::see)
    }

    /// The value if it is there now, `None` if it isn't.
    ///
    /// ```
    /// use xfork::{ready, ResultProxy};
    /// assert_eq!(ResultProxy::try_wait(&ready(1)).unwrap().unwrap(), &1);
    /// ```
    pub fn try_wait(this: &Self) -> Option<Result<&T, TaskError>> {
        Self::is_ready(this).then(|| Self::wait(this))
    }

    /// Waits for at most `limit`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use xfork::{ready, ResultProxy};
    /// assert_eq!(ResultProxy::wait_timeout(&ready(1), Duration::ZERO).unwrap(), &1);
    /// ```
    ///
    /// # Errors
    ///
    /// A [`TaskError`] with [`is_timeout`](TaskError::is_timeout) when the value was not there in time: the task goes
    /// on, and the proxy can be waited for again. Otherwise the error of the task.
    pub fn wait_timeout(this: &Self, limit: Duration) -> Result<&T, TaskError> {
        let deadline = Instant::now().checked_add(limit);
        if waiting::wait(&this.any_slot(), deadline)? {
            return Self::wait(this);
        }
        let name = this
            .any_slot()
            .task()
            .map_or("a deferred expression".into(), |task| task.core().name().to_string());
        Err(TaskError::new(&name, None, Kind::Timeout { waited_ms: limit.as_millis() as u64 }))
    }

    /// The error of a failed task; waits for the outcome.
    ///
    /// ```
    /// use xfork::{thread, ResultProxy};
    /// assert!(ResultProxy::error(&thread(|| -> u8 { panic!("no") }, ())).unwrap().is_panic());
    /// ```
    pub fn error(this: &Self) -> Option<TaskError> {
        Self::wait(this).err()
    }

    /// What is known about the result now.
    ///
    /// ```
    /// use xfork::{lazy, ProxyState, ResultProxy};
    /// assert_eq!(ResultProxy::state(&lazy(|| 1)), ProxyState::Deferred);
    /// ```
    pub fn state(this: &Self) -> ProxyState {
        match this.any_slot().state() {
            State::Pending => ProxyState::Pending,
            State::Deferred => ProxyState::Deferred,
            State::Ready => ProxyState::Ready,
            State::Failed => ProxyState::Failed,
        }
    }

    /// Ends what is not finished of it, and says whether that decided the outcome, which is then an error with
    /// [`is_cancelled`](TaskError::is_cancelled).
    ///
    /// A task that has not started never does. The worker process of one that runs is ended, together with everything that the
    /// task has forked; on a thread it goes on, but nobody waits for it any more. Of an expression every task is ended that
    /// its value needs. False, if the outcome was already there, or somebody else decided it at the same moment.
    ///
    /// ```
    /// use xfork::{process, wait, ResultProxy};
    ///
    /// let endless = process(|| loop { std::thread::park() }, ());
    /// assert!(ResultProxy::cancel(&endless));
    /// assert!(wait::<()>(&endless).unwrap_err().is_cancelled());
    /// assert!(!ResultProxy::cancel(&endless));
    /// ```
    pub fn cancel(this: &Self) -> bool {
        cancel::cancel_all(&this.any_slot(), Unwanted::Asked)
    }

    /// The value itself if no other proxy points to it, else the proxy back; waits for the outcome.
    ///
    /// ```
    /// use xfork::{ready, ResultProxy};
    /// let only = ready(vec![1]);
    /// assert_eq!(ResultProxy::try_into_inner(only).unwrap(), vec![1]);
    /// ```
    ///
    /// # Errors
    ///
    /// The proxy, when there are other proxies of the same value.
    ///
    /// # Panics
    ///
    /// Rethrows the panic of a failed task.
    pub fn try_into_inner(this: Self) -> Result<T, Self> {
        this.force();
        this.take()
    }

    /// The value of a settled, decoded proxy if there is no other.
    #[inline]
    pub(crate) fn take(self) -> Result<T, Self> {
        self.reader.take().map_err(|reader| Self { reader })
    }

    /// Calls `then` with the outcome as soon as it is there, on a pool thread (or now, if it is).
    ///
    /// ```
    /// use std::sync::mpsc::channel;
    /// use xfork::{thread, ResultProxy};
    ///
    /// let (sender, receiver) = channel();
    /// let p = thread(|| 20 + 1, ());
    /// ResultProxy::on_ready(&p, move |outcome| sender.send(*outcome.unwrap() * 2).unwrap());
    /// assert_eq!(receiver.recv().unwrap(), 42);
    /// ```
    pub fn on_ready(this: &Self, then: impl FnOnce(Result<&T, TaskError>) + Send + 'static)
    where
        T: Sync,
    {
        let proxy = this.clone();
        crate::fork::follow("ResultProxy::on_ready", &[this.any_slot()], move || then(proxy.outcome()));
    }

    /// A deferred function of the value: computed in place by whoever needs it first.
    ///
    /// ```
    /// use xfork::{ready, ResultProxy};
    /// let length = ResultProxy::map(&ready("four".to_string()), |text| text.len());
    /// assert_eq!(length, 4);
    /// ```
    #[track_caller]
    pub fn map<U: Send + 'static>(this: &Self, f: impl FnOnce(&T) -> U + Send + 'static) -> ResultProxy<U>
    where
        T: Sync,
    {
        let proxy = this.clone();
        let seed = seed::fork();
        closure(symbol!("map"), [this.any_slot()], move || {
            let value = proxy.settled()?;
            let _branch = seed::enter(seed);
            Ok(f(value))
        })
    }

    /// Goes on with another fork as soon as the value is there; the proxy of what that one gives.
    ///
    /// ```
    /// use xfork::{fork, ready, ResultProxy};
    ///
    /// #[xfork::io_bound]
    /// fn length(text: &str) -> usize { text.len() }
    ///
    /// let four = ResultProxy::and_then(&ready("four".to_string()), |text| fork(length, text.as_str()));
    /// assert_eq!(four, 4);
    /// ```
    #[track_caller]
    pub fn and_then<U: Clone + Send + Sync + 'static>(
        this: &Self,
        f: impl FnOnce(&T) -> ResultProxy<U> + Send + 'static,
    ) -> ResultProxy<U>
    where
        T: Sync,
    {
        let proxy = this.clone();
        crate::fork::follow("ResultProxy::and_then", &[this.any_slot()], move || {
            ResultProxy::into_inner(f(proxy.force()))
        })
    }
}

impl<T: Clone + Send + 'static> ResultProxy<T> {
    /// The value itself: moved out if no other proxy points to it, else a clone. Waits for it.
    ///
    /// ```
    /// use xfork::{thread, ResultProxy};
    /// let text: String = ResultProxy::into_inner(thread(|| "text".to_string(), ()));
    /// assert_eq!(text, "text");
    /// ```
    ///
    /// # Panics
    ///
    /// Rethrows the panic of a failed task.
    pub fn into_inner(this: Self) -> T {
        Self::into_result(this).unwrap_or_else(|error| rethrow(&error))
    }

    /// As [`into_inner`](Self::into_inner), with the error instead of a panic.
    ///
    /// ```
    /// use xfork::{thread, ResultProxy};
    /// assert_eq!(ResultProxy::into_result(thread(|| 1, ())).unwrap(), 1);
    /// assert!(ResultProxy::into_result(thread(|| -> u8 { panic!("no") }, ())).is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// The [`TaskError`] of the task that failed.
    pub fn into_result(this: Self) -> Result<T, TaskError> {
        this.outcome().inspect_err(TaskError::see)?;
        Ok(this.take().unwrap_or_else(|shared| shared.force().clone()))
    }
}

impl<T: Clone + Send + Sync + 'static> ResultProxy<ResultProxy<T>> {
    /// The proxy of the value that the inner proxy points to.
    ///
    /// ```
    /// use xfork::{fork, thread, ResultProxy};
    ///
    /// #[xfork::io_bound]
    /// fn one() -> u8 { 1 }
    ///
    /// assert_eq!(ResultProxy::flatten(thread(|| fork(one, ()), ())), 1);
    /// ```
    #[track_caller]
    pub fn flatten(this: Self) -> ResultProxy<T> {
        let outer = this.clone();
        closure(symbol!("flatten"), [this.any_slot()], move || {
            ResultProxy::into_result(ResultProxy::into_result(outer)?)
        })
    }
}

/// What is known about a result; see [`ResultProxy::state`].
///
/// ```
/// use xfork::{ready, ProxyState, ResultProxy};
/// assert_eq!(ResultProxy::state(&ready(1)), ProxyState::Ready);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxyState {
    /// A task is to compute it, or is computing it.
    Pending,
    /// An expression that nobody has needed yet.
    Deferred,
    /// The value is there.
    Ready,
    /// The task failed.
    Failed,
}

/// Goes on with the failure of a task as if it had happened here.
pub(crate) fn rethrow(error: &TaskError) -> ! {
    error.see();
    pass_on(error)
}

/// The same in a task that only passes the failure on: nobody has looked at it by that.
pub(crate) fn pass_on(error: &TaskError) -> ! {
    let payload = match error.kind() {
        Kind::Panic { payload, .. } => payload.clone(),
        _ => panics::Payload::from(error.to_string()),
    };
    panics::rethrow(payload, || report::text(error), Box::new(error.clone()))
}
