//! [`ResultProxy`]: a smart pointer to a value that is not there yet.
//!
//! Owns the right to read a slot and everything that makes it behave like its value: `Deref` and the traits that read
//! the value ([`traits`]), operators that build deferred expressions ([`ops`], [`deferred`]), waiting for several
//! ([`collect`]), collecting several into one ([`gather`]) and taking one apart ([`parts`]). Like `Arc` it has no methods,
//! only associated functions, so it hides none of `T`'s.

mod collect;
mod deferred;
mod gather;
mod ops;
pub(crate) mod parts;
mod traits;

pub use collect::{
    AsCompleted, as_completed, wait, wait_all, wait_all_timeout, wait_any, wait_any_timeout, wait_timeout,
};
pub(crate) use deferred::{demand, lazy_with, settled};
pub use deferred::{lazy, ready};
pub use ops::Operand;
pub use parts::Proxied;

use crate::core::error::{Kind, TaskError};
use crate::core::slot::{AnySlot, Bytes, Slot, State};
use crate::core::wait as waiting;
use crate::ground::cell::ReadRight;
use crate::ground::panics;
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
/// Every read rethrows the panic of a failed task, and panics with the [`TaskError`]'s text if its worker died.
pub struct ResultProxy<T: Send + 'static> {
    slot: Arc<Slot<T>>,
    /// Taken only by `drop` and `take`.
    right: Option<ReadRight<T>>,
}

impl<T: Send + 'static> Clone for ResultProxy<T> {
    /// Another pointer to the same result.
    fn clone(&self) -> Self {
        Self { slot: self.slot.clone(), right: Some(self.slot.share(self.right())) }
    }
}

impl<T: Send + 'static> Drop for ResultProxy<T> {
    /// Neither cancels nor waits: the task goes on.
    fn drop(&mut self) {
        if let Some(right) = self.right.take() {
            self.slot.release(right);
        }
    }
}

impl<T: Send + 'static> ResultProxy<T> {
    pub(crate) fn new((slot, right): (Arc<Slot<T>>, ReadRight<T>)) -> Self {
        Self { slot, right: Some(right) }
    }

    #[inline]
    fn right(&self) -> &ReadRight<T> {
        self.right.as_ref().expect("only `drop` and `take` remove it, and both end the proxy")
    }

    pub(crate) fn slot(&self) -> &Arc<Slot<T>> {
        &self.slot
    }

    pub(crate) fn any_slot(&self) -> Arc<dyn AnySlot> {
        self.slot.clone()
    }

    /// The outcome of a settled proxy.
    pub(crate) fn settled(&self) -> Result<&T, TaskError> {
        self.slot.settled(self.right())
    }

    pub(crate) fn encoded_value(&self) -> Option<Bytes> {
        self.slot.encoded()
    }

    fn outcome(&self) -> Result<&T, TaskError> {
        if let Some(value) = self.slot.peek(self.right()) {
            return Ok(value);
        }
        waiting::wait(&self.any_slot(), None);
        self.settled()
    }

    /// The value, waited for if need be; the heart of `Deref`.
    #[inline]
    pub(crate) fn force(&self) -> &T {
        match self.slot.peek(self.right()) {
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
        this.slot().head().is_settled() || waiting::settle_if_possible(&this.any_slot())
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
        this.outcome().inspect_err(TaskError::see)
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
        if waiting::wait(&this.any_slot(), deadline) {
            return Self::wait(this);
        }
        let name =
            this.slot().head().task().map_or("a deferred expression".into(), |task| task.core().name.clone());
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
        match this.slot().head().state() {
            State::Pending => ProxyState::Pending,
            State::Deferred => ProxyState::Deferred,
            State::Ready => ProxyState::Ready,
            State::Failed => ProxyState::Failed,
        }
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
    fn take(mut self) -> Result<T, Self> {
        let right = self.right.take().expect("only `drop` and `take` remove it, and both end the proxy");
        self.slot.take(right).map_err(|right| {
            self.right = Some(right);
            self
        })
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
    pub fn map<U: Send + 'static>(this: &Self, f: impl FnOnce(&T) -> U + Send + 'static) -> ResultProxy<U>
    where
        T: Sync,
    {
        let proxy = this.clone();
        lazy_with([this.any_slot()], move || Ok(f(proxy.settled()?)))
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
    pub fn flatten(this: Self) -> ResultProxy<T> {
        let outer = this.clone();
        lazy_with([this.any_slot()], move || ResultProxy::into_result(ResultProxy::into_result(outer)?))
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
    let forks = error.forks();
    let (payload, text) = match error.kind() {
        Kind::Panic { record, payload } => {
            let places: Vec<_> =
                forks.iter().map(|fork| panics::ForkPlace { place: &fork.place, task: &fork.task }).collect();
            let ran = match (error.pid(), &record.thread) {
                (Some(pid), _) => panics::Ran::Worker(pid),
                (None, Some(thread)) => panics::Ran::Thread(thread),
                (None, None) => panics::Ran::InPlace,
            };
            let text = panics::report(&panics::Report {
                task: error.task(),
                ran,
                record,
                forks: &places,
                style: panics::TraceStyle::from_environment(),
            });
            (payload.clone(), text)
        }
        _ => {
            let mut text = error.to_string();
            for fork in forks {
                text.push_str(&format!("\nforked at {} ({})", fork.place, fork.task));
            }
            text.push('\n');
            (panics::Payload::from(error.to_string()), text)
        }
    };
    panics::rethrow(payload, Some(text), Box::new(error.clone()))
}
