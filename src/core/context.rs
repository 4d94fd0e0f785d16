//! What a thread knows of its place: the task it runs, the runners its forks go to, and who owns the thread.

use crate::core::group;
use crate::core::limits::Limits;
use crate::core::runner::Runner;
use crate::core::seed;
use crate::core::task::Body;
use crate::ground::wire::parcel;
use crate::store::OpenCache;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Where forks go: one runner for cpu-bound work and one for everything that waits.
pub(crate) struct Runners {
    pub(crate) cpu: Arc<dyn Runner>,
    pub(crate) io: Arc<dyn Runner>,
    /// What each task may take, where neither it nor its mark says.
    pub(crate) limits: Limits,
    /// How it was asked for, for the reader of a debugger.
    pub(crate) description: String,
    /// Where results are kept for later.
    pub(crate) cache: Arc<OpenCache>,
    /// Makes a runner like `cpu` that has one worker, where workers are told apart.
    pub(crate) one_worker: Option<MakeRunner>,
}

/// Makes a runner.
pub(crate) type MakeRunner = Box<dyn Fn() -> Arc<dyn Runner> + Send + Sync>;

impl Runners {
    /// The same, with a worker of its own for cpu-bound tasks; `None` where workers are not told apart.
    pub(crate) fn with_own_worker(&self) -> Option<Self> {
        let cpu = self.one_worker.as_ref()?();
        let (io, cache) = (self.io.clone(), self.cache.clone());
        let description = format!("one worker of {}", self.description);
        Some(Self { cpu, io, limits: self.limits, description, cache, one_worker: None })
    }
}

impl fmt::Debug for Runners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.description)
    }
}

#[derive(Default)]
struct Context {
    task: Option<Arc<dyn Body>>,
    runners: Option<Arc<Runners>>,
    thread: Option<Arc<dyn Runner>>,
}

thread_local! {
    static CONTEXT: RefCell<Context> = const { RefCell::new(Context { task: None, runners: None, thread: None }) };
    /// Whether this thread is running a task; without a destructor, because `exit` runs those of its thread first.
    static IN_TASK: Cell<bool> = const { Cell::new(false) };
}

/// The task that this thread is running; `None` outside any task and while the thread ends.
pub(crate) fn task() -> Option<Arc<dyn Body>> {
    CONTEXT.try_with(|context| context.borrow().task.clone()).ok().flatten()
}

/// Shows the task that this thread is running and the runners chosen for this scope, if there are any, without counting them.
pub(crate) fn with_place<R>(with: impl FnOnce(Option<&Arc<dyn Body>>, Option<&Arc<Runners>>) -> R) -> R {
    let mut with = Some(with);
    let mut call = |task: Option<&_>, runners: Option<&_>| with.take().expect("called once")(task, runners);
    CONTEXT
        .try_with(|context| {
            let context = context.borrow();
            call(context.task.as_ref(), context.runners.as_ref())
        })
        .unwrap_or_else(|_| call(None, None))
}

/// Whether this thread is running a task.
pub(crate) fn in_task() -> bool {
    IN_TASK.get()
}

/// The runners chosen for this scope, if not the program's.
pub(crate) fn scoped_runners() -> Option<Arc<Runners>> {
    CONTEXT.try_with(|context| context.borrow().runners.clone()).ok().flatten()
}

/// The runner that owns this thread.
pub(crate) fn thread_runner() -> Option<Arc<dyn Runner>> {
    CONTEXT.try_with(|context| context.borrow().thread.clone()).ok().flatten()
}

/// Says that this thread belongs to `runner`, which is asked what to do when the thread would block.
pub(crate) fn own_thread(runner: Option<Arc<dyn Runner>>) {
    let _ = CONTEXT.try_with(|context| context.borrow_mut().thread = runner);
}

/// Puts the previous context back when dropped.
pub(crate) struct Restore {
    task: Option<Option<Arc<dyn Body>>>,
    runners: Option<Arc<Runners>>,
    _seed: Option<seed::Entered>,
    _group: Option<group::Entered>,
    _aside: Option<parcel::Aside>,
}

impl Drop for Restore {
    fn drop(&mut self) {
        let _ = CONTEXT.try_with(|context| {
            let mut context = context.borrow_mut();
            context.runners = self.runners.take();
            if let Some(task) = self.task.take() {
                IN_TASK.set(task.is_some());
                let ended = std::mem::replace(&mut context.task, task);
                if let Some(ended) = &ended {
                    ended.core().end();
                }
                ended
            } else {
                None
            }
        });
    }
}

/// Makes `task` the current one until the guard is dropped; its forks go where it was forked to go.
pub(crate) fn enter_task(task: Arc<dyn Body>) -> Restore {
    task.core().begin();
    let seed = seed::enter(task.core().seed());
    let group = group::enter(task.core().group().cloned());
    let before = CONTEXT
        .try_with(|context| {
            let mut context = context.borrow_mut();
            let runners = std::mem::replace(&mut context.runners, task.core().runners().cloned());
            IN_TASK.set(true);
            (Some(context.task.replace(task)), runners)
        })
        .unwrap_or_default();
    Restore {
        task: before.0,
        runners: before.1,
        _seed: Some(seed),
        _group: Some(group),
        _aside: Some(parcel::aside()),
    }
}

/// While it lives, code of the user runs here for a task, though not the task itself: `exit` must not wait for it either.
pub(crate) struct ForATask {
    before: bool,
}

pub(crate) fn for_a_task() -> ForATask {
    ForATask { before: IN_TASK.replace(true) }
}

impl Drop for ForATask {
    fn drop(&mut self) {
        IN_TASK.set(self.before);
    }
}

/// Makes `runners` the ones of this thread's forks until the guard is dropped.
pub(crate) fn enter_runners(runners: Arc<Runners>) -> Restore {
    let before =
        CONTEXT.try_with(|context| context.borrow_mut().runners.replace(runners)).unwrap_or_default();
    Restore { task: None, runners: before, _seed: None, _group: None, _aside: None }
}

/// Where forks are made: the task, the runners and the scope that they belong to.
#[derive(Clone)]
pub(crate) struct Origin {
    task: Option<Arc<dyn Body>>,
    runners: Option<Arc<Runners>>,
    group: Option<Arc<group::Members>>,
}

impl Origin {
    /// This thread's.
    pub(crate) fn here() -> Self {
        with_place(|task, runners| Self {
            task: task.cloned(),
            runners: runners.cloned(),
            group: group::current(),
        })
    }

    /// The same with other runners.
    pub(crate) fn with_runners(&self, runners: Arc<Runners>) -> Self {
        Self { runners: Some(runners), ..self.clone() }
    }

    /// Has forks of this thread be made there, the first as the branch's fork at `position`, until the guard is dropped.
    pub(crate) fn enter(&self, position: seed::Position) -> Elsewhere {
        let before = CONTEXT.try_with(|context| {
            let mut context = context.borrow_mut();
            let runners = std::mem::replace(&mut context.runners, self.runners.clone());
            (std::mem::replace(&mut context.task, self.task.clone()), runners)
        });
        let (task, runners) = before.unwrap_or_default();
        Elsewhere { task, runners, _seed: seed::enter_at(position), _group: group::enter(self.group.clone()) }
    }
}

/// Puts the previous context back when dropped.
pub(crate) struct Elsewhere {
    task: Option<Arc<dyn Body>>,
    runners: Option<Arc<Runners>>,
    _seed: seed::Entered,
    _group: group::Entered,
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let replaced = CONTEXT.try_with(|context| {
            let mut context = context.borrow_mut();
            let runners = std::mem::replace(&mut context.runners, self.runners.take());
            (std::mem::replace(&mut context.task, self.task.take()), runners)
        });
        // Outside the borrow: its end may be the end of a task, whose drop is code of the user.
        drop(replaced);
    }
}

static WORKER: AtomicBool = AtomicBool::new(false);

/// Says that this process is a worker.
pub(crate) fn become_worker() {
    // Relaxed: set before the process has a second thread.
    WORKER.store(true, Ordering::Relaxed);
}

/// The id of this process, if it is a worker.
pub(crate) fn worker_pid() -> Option<u32> {
    WORKER.load(Ordering::Relaxed).then(std::process::id)
}
