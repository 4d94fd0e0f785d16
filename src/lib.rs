//! xfork turns a sequential program into a parallel one by wrapping calls.

mod args;
mod callable;
mod core;
mod fork;
mod ground;
mod plan;
mod proxy;
mod runner;
mod task;

pub use crate::args::{Arg, Args, IntoArgs, Portable, PortableArgs};
pub use crate::callable::{Callable, Cpu, InPlace, Io, Marked, cpu_bound, io_bound, r#unsafe};
pub use crate::core::error::TaskError;
pub use crate::core::unseen::report_unseen_failures;
pub use crate::fork::{
    block_map, block_map_process, block_map_thread, fork, map, map_process, map_thread, process, thread,
};
pub use crate::plan::{MAX_WORKERS, Plan, PlanError, plan, with_plan};
pub use crate::proxy::{
    AsCompleted, Operand, ProxyState, ResultProxy, as_completed, lazy, ready, wait, wait_all,
    wait_all_timeout, wait_any, wait_any_timeout, wait_timeout,
};
pub use crate::runner::{Runnable, Runner};
pub use crate::task::{Route, Task, task};
pub use xfork_macros::{cpu_bound, cpu_bound_fork, fork, io_bound, io_bound_fork, sequential, r#unsafe};

/// What the attributes' output refers to; not for anybody else.
#[doc(hidden)]
pub mod __private {
    pub use crate::args::Arg;
    pub use crate::callable::{Callable, Cpu, InPlace, Io};
}
