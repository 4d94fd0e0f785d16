//! What the core asks of whoever runs tasks: the trait [`Runner`], and the task that it is handed.

use crate::core::cycle;
use crate::core::error::{Kind, TaskError};
use crate::core::limits::Urgency;
use crate::core::slot::AnySlot;
use crate::core::task::Body;
use std::cell::OnceCell;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// Runs tasks: somewhere, some time, each once.
///
/// A runner gets every task with its inputs ready, and runs it by [`Runnable::run`], in any thread of this
/// process. It may keep tasks in any order; it must not block the caller of [`run`](Self::run) for long.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use std::sync::Arc;
/// use xfork::{Plan, Runnable, Runner, fork, with_plan};
///
/// /// Runs each task in a thread of its own, and counts.
/// struct OneThreadEach(AtomicUsize);
///
/// impl Runner for OneThreadEach {
///     fn run(&self, task: Runnable) {
///         self.0.fetch_add(1, Ordering::Relaxed);
///         std::thread::spawn(move || task.run());
///     }
/// }
///
/// #[xfork::cpu_bound]
/// fn double(n: u32) -> u32 { n * 2 }
///
/// let runner = Arc::new(OneThreadEach(AtomicUsize::new(0)));
/// with_plan(Plan::runner(runner.clone()), || {
///     assert_eq!(fork(double, 21), 42);
/// });
/// assert_eq!(runner.0.load(Ordering::Relaxed), 1);
/// ```
pub trait Runner: Send + Sync + 'static {
    /// Takes a task whose inputs are ready.
    fn run(&self, task: Runnable);

    /// Whether a thread that waits for a task which has not started may run the task itself.
    ///
    /// True unless a runner promises to run tasks elsewhere, as the process pool does.
    fn gives_back(&self) -> bool {
        true
    }

    /// Whether `run` runs the task before it returns; a fork then waits for its inputs first, in place as well.
    #[doc(hidden)]
    fn runs_in_place(&self) -> bool {
        false
    }

    /// Cancels the tasks that wait to be run, because the program was interrupted; says how many.
    #[doc(hidden)]
    fn cancel_waiting(&self) -> usize {
        0
    }

    /// Called by a task when its function has ended, before its outcome is known.
    #[doc(hidden)]
    fn has_run(&self, _task: u64) {}

    /// Ends a claimed task that this runner has given to another process, with this error; says whether that decided its
    /// outcome, or `None` if it runs in this process.
    #[doc(hidden)]
    fn end(&self, _task: &Ending<'_>) -> Option<bool> {
        None
    }

    /// Whether it takes the items of a map together: a [`Runnable`] may then stand for many tasks.
    #[doc(hidden)]
    fn takes_batches(&self) -> bool {
        false
    }

    /// Called now and then in a thread that adds to a batch which this runner has: it may look after its tasks there.
    #[doc(hidden)]
    fn tend(&self) {}

    /// Has it ask again for what a batch that it has may have for it.
    #[doc(hidden)]
    fn stir(&self) {}

    /// Has what it runs as one task, known by this ticket, given back as far as it has not started.
    #[doc(hidden)]
    fn divide(&self, _ticket: u64) {}

    /// Called in a thread that waits for the result of one of this runner's tasks, before it blocks: the runner may do there
    /// what brings the result.
    #[doc(hidden)]
    fn help(&self, _until: &Until<'_>) {}

    /// Called in such a thread right before and after it blocks.
    #[doc(hidden)]
    fn sleeps(&self, _how: Sleep) {}

    /// Called in a thread that is about to block until the result `until` is there; the runner may use the
    /// thread meanwhile. Blocks are otherwise spent parked.
    #[doc(hidden)]
    fn block(&self, until: &Until<'_>) {
        until.park();
    }
}

/// A task that is ready to run, as a [`Runner`] gets it.
///
/// Dropped without having been run, its proxy fails with an error that says so.
///
/// ```
/// use std::sync::Arc;
/// use xfork::{task, with_plan, Plan, Runnable, Runner};
///
/// struct Here;
/// impl Runner for Here {
///     fn run(&self, task: Runnable) {
///         task.run();
///     }
/// }
/// with_plan(Plan::runner(Arc::new(Here)), || assert_eq!(task(|| 1, ()).name("one").fork(), 1));
/// ```
pub struct Runnable(pub(crate) Option<Arc<dyn Body>>);

impl Runnable {
    /// Runs the task in this thread and fills its proxy.
    ///
    /// Does nothing when somebody who waited for the task has already taken it back and run it. A panic of the
    /// task goes into its proxy, not to the caller.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use xfork::{task, with_plan, Plan, Runnable, Runner};
    ///
    /// struct Here;
    /// impl Runner for Here {
    ///     fn run(&self, task: Runnable) {
    ///         task.run();
    ///     }
    /// }
    /// with_plan(Plan::runner(Arc::new(Here)), || assert_eq!(task(|| 1, ()).name("one").fork(), 1));
    /// ```
    pub fn run(mut self) {
        if let Some(task) = self.0.take()
            && task.core().claim()
        {
            task.run();
        }
    }

    /// The name of the task.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use xfork::{task, with_plan, Plan, Runnable, Runner};
    ///
    /// struct Here;
    /// impl Runner for Here {
    ///     fn run(&self, task: Runnable) {
    ///         assert_eq!(task.name(), "one");
    ///         task.run();
    ///     }
    /// }
    /// with_plan(Plan::runner(Arc::new(Here)), || assert_eq!(task(|| 1, ()).name("one").fork(), 1));
    /// ```
    pub fn name(&self) -> &str {
        self.task().core().name()
    }

    /// Whether the task has already been taken back by somebody who waited for it.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use xfork::{task, with_plan, Plan, Runnable, Runner};
    ///
    /// struct Here;
    /// impl Runner for Here {
    ///     fn run(&self, task: Runnable) {
    ///         assert!(!task.is_taken());
    ///         task.run();
    ///     }
    /// }
    /// with_plan(Plan::runner(Arc::new(Here)), || assert_eq!(task(|| 1, ()).name("one").fork(), 1));
    /// ```
    pub fn is_taken(&self) -> bool {
        self.task().core().is_claimed()
    }

    /// How urgent the task is: the greater, the more; 0 unless said otherwise.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use xfork::{Plan, Runnable, Runner, task, with_plan};
    ///
    /// struct Here;
    /// impl Runner for Here {
    ///     fn run(&self, task: Runnable) {
    ///         assert_eq!(task.priority(), 3);
    ///         task.run();
    ///     }
    /// }
    /// with_plan(Plan::runner(Arc::new(Here)), || assert_eq!(task(|| 1, ()).priority(3).fork(), 1));
    /// ```
    pub fn priority(&self) -> i32 {
        self.task().core().limits().priority.unwrap_or(0)
    }

    /// Its priority, and what a graph says beyond that.
    pub(crate) fn urgency(&self) -> Urgency {
        self.task().core().urgency()
    }

    pub(crate) fn into_task(mut self) -> Arc<dyn Body> {
        self.0.take().expect("only run and into_task empty it, and both consume it")
    }

    fn task(&self) -> &Arc<dyn Body> {
        self.0.as_ref().expect("only run and into_task empty it, and both consume it")
    }
}

impl Drop for Runnable {
    fn drop(&mut self) {
        if let Some(task) = self.0.take()
            && task.core().claim()
        {
            let error = TaskError::new(task.core().name(), None, Kind::Dropped);
            task.fail(error);
        }
    }
}

impl fmt::Debug for Runnable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Runnable").field(&self.0.as_ref().map(|task| task.core().name().to_string())).finish()
    }
}

/// A task that is to be ended, and why.
#[doc(hidden)]
pub struct Ending<'a> {
    pub(crate) task: &'a Arc<dyn Body>,
    pub(crate) error: TaskError,
}

impl fmt::Debug for Ending<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ending").field(&self.error).finish()
    }
}

/// What a thread that waits tells the runner of the task that it waits for.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sleep {
    Begins(Haste),
    Ends(Haste),
}

/// How soon a thread that waits for a result wants it.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// It goes on with this result.
    Now,
    /// It waits for others next: it need not be woken for each of them.
    Soon,
}

impl Haste {
    /// For one of several results, each of which is waited for in turn.
    pub(crate) fn of(is_last: bool) -> Self {
        if is_last { Self::Now } else { Self::Soon }
    }
}

/// The end of a block: a result that somebody else is computing, and perhaps a deadline.
#[doc(hidden)]
pub struct Until<'a> {
    slot: &'a Arc<dyn AnySlot>,
    pub(crate) deadline: Option<Instant>,
    refused: OnceCell<TaskError>,
}

impl<'a> Until<'a> {
    pub(crate) fn new(slot: &'a Arc<dyn AnySlot>, deadline: Option<Instant>) -> Self {
        Self { slot, deadline, refused: OnceCell::new() }
    }

    pub(crate) fn slot(&self) -> &'a Arc<dyn AnySlot> {
        self.slot
    }

    /// Whether the block is over: nobody else is computing the result any more, or time has run out.
    pub fn is_over(&self) -> bool {
        !self.slot.is_somebody_elses()
            || self.deadline.is_some_and(|end| Instant::now() >= end)
            || self.refused.get().is_some()
    }

    /// Sleeps until the block is over.
    pub fn park(&self) {
        if self.is_over() {
            return;
        }
        if self.deadline.is_some() {
            return self.slot.park(self.deadline);
        }
        match cycle::sleep_for(self.slot) {
            Ok(_sleeping) => self.slot.park(None),
            Err(error) => {
                let _ = self.refused.set(error);
            }
        }
    }

    /// Why there was nothing to wait for, if so.
    pub(crate) fn into_result(self) -> Result<(), TaskError> {
        self.refused.into_inner().map_or(Ok(()), Err)
    }
}

impl fmt::Debug for Until<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Until").field("is_over", &self.is_over()).finish()
    }
}
