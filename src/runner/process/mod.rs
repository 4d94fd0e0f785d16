//! The pool of worker processes: the runner of cpu-bound work.
//!
//! A worker is this program, started again and turned into a worker before its `main`. `supervisor` decides, purely;
//! `pool` performs, in the caller's thread where it can and in one driver thread; `worker` is the other end;
//! `boot` is what happens in a worker before `main`; `captured` is what a worker prints, as the program sees it; `relay` is a task that another worker's task forked.
//! README.md beside this file is the protocol. Promises: what was not started goes to another worker, what was
//! started is never run twice, and a worker's death costs the task that it was running and no other.

mod boot;
mod captured;
#[cfg(any(all(test, not(xfork_loom)), fuzzing))]
pub(crate) mod fuzz;
mod pool;
mod relay;
mod settings;
mod supervisor;
mod worker;

pub(crate) use pool::Processes;
pub(crate) use settings::Settings;

use crate::core::runner::Runner;
use std::sync::Arc;

/// The runner for cpu-bound tasks inside a worker; `None` in the program itself.
pub(crate) fn inside_worker() -> Option<Arc<dyn Runner>> {
    worker::local()
}
