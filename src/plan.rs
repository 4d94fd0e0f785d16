//! The plan: who runs what, chosen by the person who runs the program.

use crate::callable::Callable;
use crate::core::context::{self, MakeRunner, Runners};
use crate::core::limits::Limits;
use crate::core::output::Output;
use crate::core::runner::Runner;
use crate::core::seed;
use crate::core::{exit, interrupt};
use crate::runner::compute::Compute;
use crate::runner::process::{self, Processes, Settings};
use crate::runner::sequential::Sequential;
use crate::runner::threads::{DEFAULT_LIMIT, Threads};
use crate::store::{CacheConfig, OpenCache};
use parking_lot::RwLock;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// The largest number of worker processes or threads that a plan accepts.
///
/// ```
/// assert!(std::panic::catch_unwind(|| xfork::Plan::processes(xfork::MAX_WORKERS + 1)).is_err());
/// ```
pub const MAX_WORKERS: usize = 4096;

/// Where forked tasks run: on worker processes, on threads, or in place.
///
/// A program's own choice is [`plan`]; the person who runs it overrides the default by the environment, without a
/// change of code: `XFORK_PLAN=processes|threads|sequential`, `XFORK_WORKERS=8`, `XFORK_SEED=7` and
/// `XFORK_OUTPUT=inherited|captured`.
///
/// ```
/// use xfork::{fork, with_plan, Plan};
///
/// with_plan(Plan::sequential(), || {
///     assert_eq!(*fork(std::process::id, ()), std::process::id());
/// });
/// ```
#[derive(Clone)]
pub struct Plan {
    kind: Kind,
    workers: Option<usize>,
    io_threads: usize,
    processes: Settings,
    limits: Limits,
    seed: Option<u64>,
}

#[derive(Clone)]
enum Kind {
    Sequential,
    Threads,
    Processes,
    Own(Arc<dyn Runner>),
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Sequential => "sequential",
            Kind::Threads => "threads",
            Kind::Processes => "processes",
            Kind::Own(_) => "a runner of its own",
        };
        write!(f, "Plan({kind}")?;
        if let Some(workers) = self.workers {
            write!(f, ", {workers} workers")?;
        }
        if let Some(seed) = self.seed {
            write!(f, ", seed {seed}")?;
        }
        write!(f, ", {} io threads)", self.io_threads)
    }
}

/// Why a plan could not be made; says what was wrong and what is possible.
///
/// ```
/// if let Err(error) = xfork::Plan::from_env() {
///     eprintln!("{error}");
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanError(String);

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PlanError {}

impl Plan {
    fn of(kind: Kind) -> Self {
        Self {
            kind,
            workers: None,
            io_threads: DEFAULT_LIMIT,
            processes: Settings::default(),
            limits: Limits::new(),
            seed: None,
        }
    }

    /// Everything in place, at the fork, in program order: for debugging.
    ///
    /// ```
    /// use xfork::{fork, with_plan, Plan};
    /// let here = std::thread::current().id();
    /// with_plan(Plan::sequential(), || {
    ///     assert_eq!(*xfork::thread(|| std::thread::current().id(), ()), here);
    /// });
    /// ```
    pub fn sequential() -> Self {
        Self::of(Kind::Sequential)
    }

    /// Cpu-bound tasks on rayon's threads, io-bound tasks on the thread pool; no other process.
    ///
    /// ```
    /// use xfork::{fork, with_plan, Plan};
    /// with_plan(Plan::threads(), || assert_eq!(*fork(std::process::id, ()), std::process::id()));
    /// ```
    pub fn threads() -> Self {
        Self::of(Kind::Threads)
    }

    /// Cpu-bound tasks on `workers` worker processes, io-bound tasks on the thread pool.
    ///
    /// ```
    /// use xfork::{fork, with_plan, Plan};
    /// with_plan(Plan::processes(1), || assert_ne!(*fork(std::process::id, ()), std::process::id()));
    /// ```
    ///
    /// # Panics
    ///
    /// If `workers` is 0 or more than [`MAX_WORKERS`].
    pub fn processes(workers: usize) -> Self {
        assert!(
            (1..=MAX_WORKERS).contains(&workers),
            "Plan::processes({workers}): the number of workers must be between 1 and {MAX_WORKERS}; \
             use Plan::sequential() to run without workers"
        );
        Self { workers: Some(workers), ..Self::of(Kind::Processes) }
    }

    /// Every task by a runner of one's own; see [`Runner`].
    ///
    /// ```
    /// use std::sync::Arc;
    /// use xfork::{fork, with_plan, Plan, Runnable, Runner};
    ///
    /// struct Here;
    /// impl Runner for Here {
    ///     fn run(&self, task: Runnable) { task.run(); }
    /// }
    /// assert_eq!(with_plan(Plan::runner(Arc::new(Here)), || *fork(|n: u32| n + 1, 1)), 2);
    /// ```
    pub fn runner(runner: Arc<dyn Runner>) -> Self {
        Self::of(Kind::Own(runner))
    }

    /// Sets how many threads io-bound tasks may use at once, not counting threads that wait for other tasks.
    ///
    /// ```
    /// use xfork::{map_thread, with_plan, Plan};
    /// let plan = Plan::threads().io_threads(1);
    /// with_plan(plan, || assert_eq!(map_thread(|n: u32| n + 1, [1, 2]), [2, 3]));
    /// ```
    ///
    /// # Panics
    ///
    /// If `threads` is 0 or more than [`MAX_WORKERS`].
    pub fn io_threads(mut self, threads: usize) -> Self {
        assert!(
            (1..=MAX_WORKERS).contains(&threads),
            "Plan::io_threads({threads}): the number of threads must be between 1 and {MAX_WORKERS}"
        );
        self.io_threads = threads;
        self
    }

    /// Sets the largest arguments or result that may travel to or from a worker, in bytes.
    ///
    /// ```
    /// use xfork::{fork, wait, with_plan, Plan};
    /// with_plan(Plan::processes(1).max_message(1 << 10), || {
    ///     let large = fork(|bytes: Vec<u8>| bytes.len(), vec![0; 1 << 20]);
    ///     assert!(wait(&large).unwrap_err().is_transport());
    /// });
    /// ```
    pub fn max_message(mut self, bytes: u64) -> Self {
        self.processes.max_message = bytes;
        self
    }

    /// Has each worker process replaced after so many tasks, for code that leaks.
    ///
    /// ```
    /// use xfork::{fork, with_plan, Plan};
    /// with_plan(Plan::processes(1).max_tasks(1), || {
    ///     let (a, b) = (fork(std::process::id, ()), fork(std::process::id, ()));
    ///     assert_ne!(a, b);
    /// });
    /// ```
    ///
    /// # Panics
    ///
    /// If `tasks` is 0.
    pub fn max_tasks(mut self, tasks: u64) -> Self {
        assert!(tasks > 0, "Plan::max_tasks(0): a worker does at least one task");
        self.processes.max_tasks = tasks;
        self
    }

    /// Has a worker process replaced that has more than so many bytes of memory in use (its resident set) after a task.
    ///
    /// ```
    /// use xfork::{fork, with_plan, Plan};
    /// with_plan(Plan::processes(1).max_rss(1), || {
    ///     let first = *fork(std::process::id, ());
    ///     assert_ne!(first, fork(std::process::id, ()));
    /// });
    /// ```
    pub fn max_rss(mut self, bytes: u64) -> Self {
        self.processes.max_rss = Some(bytes);
        self
    }

    /// Has a worker process leave that has had no task for so long; for ever, if the plan does not say. Another is started
    /// when there is work again.
    ///
    /// ```
    /// use std::time::Duration;
    /// use xfork::{fork, with_plan, Plan};
    /// let plan = Plan::processes(1).idle_timeout(Duration::from_secs(10));
    /// with_plan(plan, || assert_eq!(fork(|n: u32| n + 1, 1), 2));
    /// ```
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.processes.idle = Some(limit);
        self
    }

    /// Sets how long a worker process may take to end once it has been asked to, by SIGTERM or by the end of its pool, before it is
    /// killed; one second, if the plan does not say.
    ///
    /// ```
    /// use std::time::Duration;
    /// use xfork::{fork, with_plan, Plan};
    /// let plan = Plan::processes(1).grace(Duration::from_millis(100));
    /// with_plan(plan, || assert_eq!(fork(|n: u32| n + 1, 1), 2));
    /// ```
    pub fn grace(mut self, limit: Duration) -> Self {
        self.processes.grace = limit;
        self
    }

    /// Sets how many threads libraries inside a worker process are told to use (rayon, OpenMP, BLAS, by the environment variables that
    /// they know); one, if neither the plan nor the program's environment says.
    ///
    /// ```
    /// use xfork::{fork, with_plan, Plan};
    /// fn threads() -> String { std::env::var("OMP_NUM_THREADS").unwrap() }
    /// # if std::env::var_os("OMP_NUM_THREADS").is_none() {
    /// with_plan(Plan::processes(1).threads_per_worker(2), || assert_eq!(fork(threads, ()), "2"));
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If `threads` is 0.
    pub fn threads_per_worker(mut self, threads: usize) -> Self {
        assert!(threads > 0, "Plan::threads_per_worker(0): a library needs at least one thread");
        self.processes.threads = threads;
        self
    }

    /// Runs `prepare` in each worker process before its first task: to load what every task needs, once for each worker.
    ///
    /// `prepare` is a function or a closure that does not capture. If it panics, the worker ends and another is tried; after
    /// five in a row the tasks that wait fail with an error that says why.
    ///
    /// ```
    /// use std::sync::OnceLock;
    /// use xfork::{fork, with_plan, Plan};
    ///
    /// static TABLE: OnceLock<Vec<u32>> = OnceLock::new();
    /// fn load() { TABLE.set((0..100).map(|n| n * n).collect()).unwrap() }
    /// fn look_up(n: usize) -> u32 { TABLE.get().unwrap()[n] }
    ///
    /// with_plan(Plan::processes(2).on_worker_start(load), || assert_eq!(fork(look_up, 9), 81));
    /// ```
    pub fn on_worker_start<F>(mut self, prepare: F) -> Self
    where
        F: Callable<(), Output = ()> + Copy + Send + 'static,
    {
        let _ = prepare;
        // Refuses function pointers and captures at compile time.
        let _ = crate::ground::registry::conjure::<F>;
        self.processes.prepare = Some(crate::task::entry::<F, ()>);
        self
    }

    /// Sets what each task may take, where neither the task nor its mark says.
    ///
    /// ```
    /// use std::time::Duration;
    /// use xfork::{Limits, Plan, fork, with_plan};
    /// let plan = Plan::processes(1).limits(Limits::new().timeout(Duration::from_secs(60)));
    /// with_plan(plan, || assert_eq!(fork(|n: u32| n + 1, 1), 2));
    /// ```
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets what becomes of the text that tasks in worker processes print; see [`Output`].
    ///
    /// ```
    /// use xfork::{Output, Plan, fork, with_plan};
    /// let plan = Plan::processes(1).output(Output::Captured);
    /// let value = with_plan(plan, || fork(|| { println!("text"); 1 }, ()));
    /// assert_eq!(value, 1);                                // prints "text"
    /// ```
    pub fn output(mut self, output: Output) -> Self {
        self.processes.output = output;
        self
    }

    /// Sets the seed of random numbers, so that a run can be repeated; see [`seed()`](crate::seed()).
    ///
    /// It decides what [`seed()`](crate::seed()) and `rng()` give in the tasks that are forked under the plan, whoever runs them.
    ///
    /// ```
    /// use xfork::{Plan, map, seed, with_plan};
    /// let seeds = |plan: Plan| -> Vec<u64> {
    ///     with_plan(plan.seed(7), || map(seed, [(); 3]).into_iter().map(|p| *p).collect())
    /// };
    /// assert_eq!(seeds(Plan::processes(2)), seeds(Plan::sequential()));
    /// ```
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets the directory in which results are kept for later; see [`cache`](crate::cache). It is made if it is not there; the one
    /// that it is in must be.
    ///
    /// ```
    /// use xfork::{Plan, cpu_bound, fork, with_plan};
    ///
    /// #[cpu_bound(cache)]
    /// fn square(n: u64) -> u64 { n * n }
    ///
    /// # let folder = std::env::temp_dir().join(format!("xfork-doc-plan-cache-{}", std::process::id()));
    /// with_plan(Plan::threads().cache(&folder), || assert_eq!(fork(square, 3), 9));
    /// assert!(folder.join("CACHEDIR.TAG").is_file());
    /// # std::fs::remove_dir_all(folder).unwrap();
    /// ```
    ///
    /// Whoever can write there decides what tasks return.
    ///
    /// # Panics
    ///
    /// If the path is empty, contains a zero byte, or is relative while the program's own directory is gone.
    pub fn cache(mut self, directory: impl AsRef<Path>) -> Self {
        let directory = directory.as_ref();
        assert!(
            !directory.as_os_str().as_encoded_bytes().contains(&0),
            "Plan::cache({directory:?}): a zero byte in a path"
        );
        let absolute = std::path::absolute(directory);
        let absolute =
            absolute.unwrap_or_else(|error| panic!("Plan::cache({directory:?}) is no path: {error}"));
        self.processes.cache.directory = Some(absolute);
        self
    }

    /// Sets how many bytes of the disk the kept results may need together; with 0 nothing is kept, and nothing looked for.
    ///
    /// Each needs whole blocks of 4096 bytes. What was used least recently goes first. The limit may be exceeded for a while by about a
    /// sixteenth for each program that writes.
    ///
    /// ```
    /// use xfork::{Plan, cached, fork, with_plan};
    /// with_plan(Plan::threads().cache_limit(0), || assert_eq!(fork(cached(|n: u32| n + 1), 1), 2));
    /// ```
    pub fn cache_limit(mut self, bytes: u64) -> Self {
        self.processes.cache.limit = Some(bytes);
        self
    }

    /// The plan that the environment asks for: one worker process per available core, if it asks for nothing.
    ///
    /// `XFORK_PLAN` is `processes`, `threads` or `sequential`; `XFORK_WORKERS` a number of worker processes;
    /// `XFORK_SEED` the seed of random numbers, see [`seed()`](crate::seed()); `XFORK_OUTPUT` is `inherited` or `captured`;
    /// `XFORK_CACHE` is the directory of the [`cache`](crate::cache), and `XFORK_CACHE_LIMIT` what it may need of the disk,
    /// such as `512 MiB`.
    ///
    /// Not part of a plan are `XFORK_TRANSPORT`, which is `socket` if tasks are not to travel to workers through shared memory, and
    /// `XFORK_BOOT_LIMIT_MS`: for how many milliseconds a pool waits for a worker that it has started
    /// before it kills it and starts another; 30000 unless it says another number.
    ///
    /// ```
    /// assert!(xfork::Plan::from_env().is_ok());
    /// ```
    ///
    /// # Errors
    ///
    /// A [`PlanError`] that names the variable, its value and what it may be.
    pub fn from_env() -> Result<Self, PlanError> {
        let mut made = Self::from_values(
            std::env::var("XFORK_PLAN").ok().as_deref(),
            std::env::var("XFORK_WORKERS").ok().as_deref(),
            std::env::var(seed::VARIABLE).ok().as_deref(),
            std::env::var("XFORK_OUTPUT").ok().as_deref(),
        )?;
        made.processes.cache = CacheConfig::from_environment().map_err(PlanError)?;
        Ok(made)
    }

    fn from_values(
        plan: Option<&str>,
        workers: Option<&str>,
        seed: Option<&str>,
        output: Option<&str>,
    ) -> Result<Self, PlanError> {
        let mut made = match plan.map(str::trim) {
            None | Some("") | Some("processes") => Self::of(Kind::Processes),
            Some("threads") => Self::threads(),
            Some("sequential") => Self::sequential(),
            Some(other) => {
                return Err(PlanError(format!(
                    "XFORK_PLAN={other:?} is not a plan; it may be `processes`, `threads` or `sequential`"
                )));
            }
        };
        if let Some(text) = workers.map(str::trim).filter(|text| !text.is_empty()) {
            let count = text.parse().ok().filter(|count| (1..=MAX_WORKERS).contains(count));
            made.workers = Some(count.ok_or_else(|| {
                PlanError(format!(
                    "XFORK_WORKERS={text:?} is not a number of worker processes; it may be 1 to {MAX_WORKERS}"
                ))
            })?);
        }
        made.seed = seed::parse(seed).map_err(PlanError)?;
        made.processes.output = match output.map(str::trim) {
            None | Some("" | "inherited") => Output::Inherited,
            Some("captured") => Output::Captured,
            Some(other) => {
                return Err(PlanError(format!(
                    "XFORK_OUTPUT={other:?} is nothing that can become of output; it may be `inherited` or `captured`"
                )));
            }
        };
        Ok(made)
    }

    pub(crate) fn build(&self) -> Arc<Runners> {
        let description = format!("{self:?}");
        let io: Arc<dyn Runner> = match &self.kind {
            Kind::Sequential => Arc::new(Sequential),
            Kind::Own(runner) => runner.clone(),
            _ => Threads::new(self.io_threads),
        };
        let cpu: Arc<dyn Runner> = match &self.kind {
            Kind::Sequential => io.clone(),
            Kind::Own(runner) => runner.clone(),
            Kind::Threads => Compute::new(io.clone()),
            Kind::Processes => match process::inside_worker() {
                Some(local) => local,
                None => {
                    let workers = self.workers.unwrap_or_else(default_workers);
                    Processes::new(Settings { workers, ..self.processes.clone() })
                }
            },
        };
        for runner in [&cpu, &io] {
            interrupt::register(runner);
        }
        let settings = self.processes.clone();
        let one_worker: Option<MakeRunner> = match self.kind {
            Kind::Processes if process::inside_worker().is_none() => Some(Box::new(move || {
                let alone: Arc<dyn Runner> = Processes::new(Settings { workers: 1, ..settings.clone() });
                interrupt::register(&alone);
                alone
            })),
            _ => None,
        };
        let cache = self.processes.cache.clone();
        let cache = Arc::new(OpenCache::new(cache, process::inside_worker().is_none()));
        Arc::new(Runners { cpu, io, limits: self.limits, description, cache, one_worker })
    }
}

/// One worker per core that this process may use: affinity and control group quotas are respected.
fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get()).min(MAX_WORKERS)
}

static PROGRAM: LazyLock<RwLock<Option<Arc<Runners>>>> = LazyLock::new(|| RwLock::new(None));

/// The runner of functions that are run where they are called.
pub(crate) fn in_place() -> &'static Arc<dyn Runner> {
    static IN_PLACE: LazyLock<Arc<dyn Runner>> = LazyLock::new(|| Arc::new(Sequential));
    &IN_PLACE
}

/// Chooses the plan for the whole program; forks from now on follow it.
///
/// ```
/// xfork::plan(xfork::Plan::processes(2).io_threads(64));
/// assert_eq!(xfork::fork(|n: u32| n + 1, 1), 2);
/// ```
pub fn plan(plan: Plan) {
    let runners = plan.build();
    if let Some(seed) = plan.seed {
        seed::choose(seed);
    }
    let previous = PROGRAM.write().replace(runners);
    // Its pool ends with its last task: here, if it had none, outside the lock.
    drop(previous);
}

/// Chooses the plan for the forks that `scope` makes, in this thread and in the tasks it forks.
///
/// The tasks may outlive the scope; their pool ends with the last of them.
///
/// ```
/// use xfork::{fork, with_plan, Plan};
/// assert_eq!(with_plan(Plan::threads(), || *fork(|n: u32| n + 1, 1)), 2);
/// ```
pub fn with_plan<R>(plan: Plan, scope: impl FnOnce() -> R) -> R {
    let _seed = plan.seed.map(seed::enter);
    let _restore = context::enter_runners(plan.build());
    scope()
}

/// Shows the runners that a fork here and now goes to; `with` must not choose another plan.
///
/// # Panics
///
/// If the environment asks for a plan that does not exist.
pub(crate) fn with_runners<R>(with: impl FnOnce(&Runners) -> R) -> R {
    exit::install();
    if let Some(scoped) = context::scoped_runners() {
        return with(&scoped);
    }
    if let Some(chosen) = &*PROGRAM.read() {
        return with(chosen);
    }
    with(&runners())
}

/// The runners that a fork here and now goes to.
///
/// # Panics
///
/// If the environment asks for a plan that does not exist.
pub(crate) fn runners() -> Arc<Runners> {
    exit::install();
    if let Some(scoped) = context::scoped_runners() {
        return scoped;
    }
    if let Some(chosen) = &*PROGRAM.read() {
        return chosen.clone();
    }
    let mut program = PROGRAM.write();
    program
        .get_or_insert_with(|| match Plan::from_env() {
            Ok(plan) => plan.build(),
            Err(error) => panic!("{error}"),
        })
        .clone()
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;

    /// Row 50 of faults.md: a worker count of 0, garbage or 10⁶ is an error that says what is possible.
    #[test]
    fn a_bad_environment_is_an_error_that_says_what_is_possible() {
        for bad in ["0", "-1", "eight", "1000000", "1e3", "99999999999999999999"] {
            let error = Plan::from_values(None, Some(bad), None, None).unwrap_err().to_string();
            assert!(error.contains(bad) && error.contains("1 to 4096"), "{error}");
        }
        let error = Plan::from_values(Some("parallel"), None, None, None).unwrap_err().to_string();
        assert_eq!(
            error,
            "XFORK_PLAN=\"parallel\" is not a plan; it may be `processes`, `threads` or `sequential`"
        );
        assert_eq!(Plan::from_values(Some(" threads "), Some(" 3 "), None, None).unwrap().workers, Some(3));
        assert_eq!(Plan::from_values(None, Some(""), None, None).unwrap().workers, None);
        assert_eq!(Plan::from_values(None, None, Some(" 7 "), None).unwrap().seed, Some(7));
        let error = Plan::from_values(None, None, Some("seven"), None).unwrap_err().to_string();
        assert!(
            error.contains("XFORK_SEED=\"seven\"") && error.contains("0 to 18446744073709551615"),
            "{error}"
        );
        let error = Plan::from_values(None, None, None, Some("lost")).unwrap_err().to_string();
        assert_eq!(
            error,
            "XFORK_OUTPUT=\"lost\" is nothing that can become of output; it may be `inherited` or `captured`"
        );
        assert_eq!(
            Plan::from_values(None, None, None, Some("captured ")).unwrap().processes.output,
            Output::Captured
        );
    }
}
