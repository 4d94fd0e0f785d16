//! [`Scope`]: forks that can be cancelled together.

use crate::core::cancel::{self, Unwanted};
use crate::core::task::Body;
use parking_lot::Mutex;
use std::cell::RefCell;
use std::sync::{Arc, Weak};

/// A set of forks that can be cancelled together: those made while [`enter`](Self::enter) runs, and what they fork in
/// this process.
///
/// Dropping a scope cancels nothing, unless [`cancel_on_drop`](Self::cancel_on_drop) asks for it.
///
/// ```
/// use xfork::{Scope, process, wait};
///
/// fn forever() { loop { std::thread::park() } }
///
/// let scope = Scope::new();
/// let (a, b) = scope.enter(|| (process(forever, ()), process(forever, ())));
/// assert_eq!(scope.cancel(), 2);
/// assert!(wait(&a).unwrap_err().is_cancelled() && wait(&b).unwrap_err().is_cancelled());
/// ```
#[derive(Debug, Default)]
pub struct Scope {
    members: Arc<Members>,
    cancels_on_drop: bool,
}

impl Scope {
    /// A scope without members.
    ///
    /// ```
    /// assert_eq!(xfork::Scope::new().cancel(), 0);
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// The same scope, which cancels what has not finished of it when it is dropped.
    ///
    /// ```
    /// use xfork::{Scope, process, wait};
    ///
    /// fn forever() { loop { std::thread::park() } }
    ///
    /// let scope = Scope::new().cancel_on_drop();
    /// let endless = scope.enter(|| process(forever, ()));
    /// drop(scope);
    /// assert!(wait(&endless).unwrap_err().is_cancelled());
    /// ```
    pub fn cancel_on_drop(mut self) -> Self {
        self.cancels_on_drop = true;
        self
    }

    /// Runs `inside`; what it forks, in this thread, belongs to the scope, and to no other around it.
    ///
    /// ```
    /// let scope = xfork::Scope::new();
    /// assert_eq!(scope.enter(|| xfork::fork(|n: u32| n + 1, 1)), 2);
    /// ```
    pub fn enter<R>(&self, inside: impl FnOnce() -> R) -> R {
        let _entered = enter(Some(self.members.clone()));
        inside()
    }

    /// Cancels what has not finished, as [`ResultProxy::cancel`](crate::ResultProxy::cancel) does; says of how many tasks that
    /// decided the outcome.
    ///
    /// ```
    /// let scope = xfork::Scope::new();
    /// let done = scope.enter(|| xfork::fork(|n: u32| n + 1, 1));
    /// assert_eq!(done, 2);
    /// assert_eq!(scope.cancel(), 0);
    /// ```
    pub fn cancel(&self) -> usize {
        let members = std::mem::take(&mut *self.members.0.lock());
        // The newest first: what waits for another must not be started by its end.
        let tasks = members.iter().rev().filter_map(Weak::upgrade);
        tasks.filter(|task| cancel::cancel(task, Unwanted::Asked)).count()
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        if self.cancels_on_drop {
            self.cancel();
        }
    }
}

/// The tasks of a scope; those that have ended are forgotten now and then.
#[derive(Default)]
pub(crate) struct Members(Mutex<Vec<Weak<dyn Body>>>);

impl Members {
    fn add(&self, task: &Arc<dyn Body>) {
        let mut members = self.0.lock();
        if members.len() == members.capacity() {
            members.retain(|member| member.strong_count() != 0);
        }
        members.push(Arc::downgrade(task));
    }
}

impl std::fmt::Debug for Members {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[up to {} tasks]", self.0.lock().len())
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Members>>> = const { RefCell::new(None) };
}

/// The scope that forks in this thread belong to.
pub(crate) fn current() -> Option<Arc<Members>> {
    CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
}

/// Whether that is this one.
pub(crate) fn is_current(members: Option<&Arc<Members>>) -> bool {
    let is = |current: &RefCell<Option<Arc<Members>>>| {
        current.borrow().as_ref().map(Arc::as_ptr) == members.map(Arc::as_ptr)
    };
    CURRENT.try_with(is).unwrap_or(members.is_none())
}

/// Makes a task, which has just been forked, a member of its scope.
pub(crate) fn join(task: &Arc<dyn Body>) {
    if let Some(members) = task.core().group() {
        members.add(task);
    }
}

/// Puts the scope back that was there before.
pub(crate) struct Entered(Option<Arc<Members>>);

impl Drop for Entered {
    fn drop(&mut self) {
        let _ = CURRENT.try_with(|current| std::mem::replace(&mut *current.borrow_mut(), self.0.take()));
    }
}

/// Makes `members` the scope of this thread's forks until the guard is dropped.
pub(crate) fn enter(members: Option<Arc<Members>>) -> Entered {
    Entered(CURRENT.try_with(|current| current.replace(members)).ok().flatten())
}
