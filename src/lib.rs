//! xfork turns a sequential program into a parallel one by wrapping calls.
//!
//! [`fork(f, args)`](fork()) starts `f` in the background and returns a [`ResultProxy`] at once. The proxy behaves like
//! the value: it waits only when the value is needed, arithmetic on it is deferred, and given to another fork it is a
//! dependency.
//!
//! ```
//! use xfork::{cpu_bound, fork};
//!
//! #[cpu_bound]
//! fn fib(n: u64) -> u64 { if n < 2 { n } else { fib(n - 1) + fib(n - 2) } }
//!
//! let (a, b) = (fork(fib, 20), fork(fib, 21));
//! let larger = fork(|x: u64, y: u64| x.max(y), (&a, &b));
//! assert_eq!(a + b, 17_711);
//! assert_eq!(larger, 10_946);
//! ```
//!
//! # Where to find what
//!
//! | you want to | look at |
//! | --- | --- |
//! | say where a function runs | [`#[cpu_bound]`](macro@cpu_bound) (the default), [`#[io_bound]`](macro@io_bound), [`#[r#unsafe]`](macro@unsafe); [`cpu_bound()`], [`io_bound()`], [`r#unsafe()`](fn@unsafe) for functions of others |
//! | start tasks | [`fork()`], [`fork!`], [`thread`], [`process`], [`map`], [`block_map`], [`task()`] |
//! | have a plain call fork | [`#[cpu_bound_fork]`](macro@cpu_bound_fork), [`#[io_bound_fork]`](macro@io_bound_fork) |
//! | make a serial function parallel by two attributes | [`#[concurrent]`](macro@concurrent), [`#[synchronized]`](macro@synchronized) |
//! | use a result | [`ResultProxy`]; [`wait()`], [`wait_all`], [`wait_any`], [`as_completed`] and their `_timeout` forms |
//! | make a proxy without a task | [`ready`], [`lazy`] |
//! | calculate without waiting | operators on proxies: [`operators`]; [`ResultProxy::sqrt`] and its like, num-traits: [`numbers`] |
//! | collect results into one | `collect`, `extend`, `sum`, `product`; [`ResultProxy::zip`], [`ResultProxy::join`] |
//! | take a result apart | [`ResultProxy::split`], [`ResultProxy::index`], [`ResultProxy::map`]; [`#[derive(Proxied)]`](macro@Proxied) for structs |
//! | calculate with your own types | [`#[derive(Operand)]`](macro@Operand) |
//! | see what a value is made of and how far it is | [`ResultProxy::explain`], [`Explanation`] |
//! | have tasks that belong together checked, run, run again, saved, scheduled and drawn | [`Graph`] |
//! | find results again that were computed before, also by another program | `#[cpu_bound(cache)]`, [`cached`]; [`cache`] |
//! | handle a failure | [`TaskError`], [`report_unseen_failures`] |
//! | limit what tasks may take, have them tried again | [settings of the marks](macro@cpu_bound#settings), [`Task::timeout`] and its neighbours, [`Plan::limits`]; [`Limits`] |
//! | end tasks | [`ResultProxy::cancel`], [`Scope`]; Ctrl-C |
//! | replace workers that leak, prepare each worker | [`Plan::max_tasks`], [`Plan::max_rss`], [`Plan::idle_timeout`], [`Plan::on_worker_start`] |
//! | choose where tasks run | [`Plan`], [`plan()`], [`with_plan`], or `XFORK_PLAN`, `XFORK_WORKERS` and `XFORK_SEED` in the environment |
//! | keep what tasks print in the order of the program | [`Plan::output`], [`Output`], or `XFORK_OUTPUT` in the environment |
//! | have random numbers that are the same in every run | [`seed()`]; `rng()` with the feature `rand` |
//! | keep something from task to task in each worker | [`WorkerLocal`] |
//! | give tasks big data without copying it | [`Shared`] |
//! | run tasks yourself | [`Runner`] |
//!
//! # Where tasks run
//!
//! Cpu-bound tasks run in *worker processes*: this program, started again and turned into a worker before its `main`.
//! There is no set-up call. Arguments and results travel as bytes, so their types implement serde's `Serialize` and
//! `Deserialize`. What a task does to its process (globals, the working directory, a crash) stays there.
//!
//! Io-bound tasks run on *threads* of this process, up to 512 at once; `Send` is enough for their types, and with
//! [`thread`] also closures that capture can be forked.
//!
//! A task may fork, wait and be waited for at any depth. Whoever waits for a task that nobody has started runs it, so
//! that one worker or one thread is enough for any nesting. A task's own forks end before its result is delivered.
//!
//! # Failures
//!
//! A panic in a task is silent where it happens, and rethrown with its payload wherever the value is used, after a report
//! with the panic's own place and stack and the places of the forks. `RUST_BACKTRACE=0` leaves the stack out, `full`
//! shows all of it. A worker that dies fails the task that it was running, with a [`TaskError`] that says how it died.
//! [`wait()`] gives a `Result` instead of panicking.
//!
//! ```
//! use xfork::{fork, wait};
//!
//! let odd = fork(|n: u32| assert!(n % 2 == 0, "{n} is odd"), 3);
//! assert_eq!(wait(&odd).unwrap_err().message(), "3 is odd");
//! ```
//!
//! A panic hook of the program is called for panics outside tasks as always, and once for each panic that is rethrown
//! out of a task. At its end the program waits for what it forked and reports the failures that nobody looked at.

/// What the derives write refers to `::xfork`; unit tests use them, too.
#[cfg(all(test, not(xfork_loom)))]
extern crate self as xfork;

#[cfg(not(target_os = "linux"))]
compile_error!("xfork needs Linux: its workers live by pidfd, epoll and /proc");

mod args;
mod batch;
pub mod cache;
mod callable;
mod core;
mod fork;
pub mod graph;
mod ground;
mod kept;
mod own;
mod place;
mod plan;
mod proxy;
mod random;
mod runner;
mod shared;
mod store;
mod synchronized;
mod task;
mod tries;
mod worker_local;

pub use crate::args::{Arg, Args, IntoArgs, NodeArgs, Portable, PortableArgs};
pub use crate::cache::{Cached, cached};
pub use crate::callable::{Callable, Cpu, InPlace, Io, Marked, cpu_bound, io_bound, r#unsafe};
pub use crate::core::error::TaskError;
pub use crate::core::group::Scope;
pub use crate::core::limits::Limits;
pub use crate::core::output::Output;
pub use crate::core::unseen::report_unseen_failures;
pub use crate::fork::{
    block_map, block_map_process, block_map_thread, fork, map, map_process, map_thread, process, thread,
};
pub use crate::graph::schedule::{Cpop, Heft, ListScheduler, Peft, Schedule, Scheduler};
pub use crate::graph::{
    Costs, DryRun, Graph, GraphError, GraphFault, Monitor, Node, Outcome, Outcomes, Progress, RunOptions,
    Skip, StoreError,
};
pub use crate::plan::{MAX_WORKERS, Plan, PlanError, plan, with_plan};
pub use crate::proxy::{
    AsCompleted, Explanation, Operand, Proxied, ProxyState, ResultProxy, as_completed, lazy, ready, wait,
    wait_all, wait_all_timeout, wait_any, wait_any_timeout, wait_timeout,
};
pub use crate::random::seed;
#[cfg(feature = "rand")]
pub use crate::random::{TaskRng, rng};
pub use crate::runner::{Runnable, Runner};
pub use crate::shared::{Plain, Shared};
pub use crate::synchronized::{Conflict, Indexed, Tracked};
pub use crate::task::{Predecessor, Route, Task, task};
pub use crate::worker_local::WorkerLocal;
pub use xfork_macros::{
    Operand, Proxied, concurrent, cpu_bound, cpu_bound_fork, fork, io_bound, io_bound_fork, sequential,
    synchronized, r#unsafe,
};

#[doc = include_str!("proxy/num/table.md")]
pub mod numbers {
    pub use crate::proxy::ValueOrProxy;
}

#[doc = include_str!("proxy/operators.md")]
pub mod operators {}

/// The programs in the README are tested like any other example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// What the output of the attributes and derives refers to; not for anybody else.
#[doc(hidden)]
pub mod __private {
    pub use crate::args::Arg;
    pub use crate::cache::{Identity, argument, look_up, result};
    pub use crate::callable::{Again, Callable, Cpu, InPlace, Io, another};
    pub use crate::own::Own;
    pub use crate::proxy::ops::left;
    pub use crate::proxy::parts::{Needed, Part, join, joined, needed, part, parts};

    pub mod synchronized {
        pub use crate::synchronized::*;
    }
}

/// What the targets in `fuzz/` call; not for anybody else.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod __fuzz {
    use crate::runner::process::fuzz;

    pub fn frames(data: &[u8]) {
        fuzz::frames(data);
    }

    pub fn messages(data: &[u8]) {
        fuzz::messages(data);
    }

    pub fn supervisor(data: &[u8]) {
        fuzz::supervisor(data);
    }

    pub fn store(data: &[u8]) {
        crate::store::fuzz::store(data);
    }
}
