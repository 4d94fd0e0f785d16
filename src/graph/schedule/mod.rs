//! Static scheduling of task graphs: which worker runs which task when, decided before anything runs.
//!
//! Owns the [`Problem`] (tasks, workers, costs, edges), the [`Scheduler`]s that solve it ([`Heft`], [`Cpop`], [`Peft`],
//! [`ListScheduler`], or one of your own) and the [`Schedule`] that comes out, with its measures and its check. Promises
//! that equal problems give equal schedules, that every schedule made here passes [`Schedule::validate`] whatever the
//! costs, zeros included, and that nothing here recurses over the graph. Leaves out what tasks are and who runs them:
//! a task is a number, a cost is a number, and their unit is the caller's, as long as it is one.
//!
//! ```
//! use std::sync::Arc;
//! use xfork::graph::schedule::{Heft, Problem, Scheduler, TaskCost};
//!
//! // Two tasks of 3 feed a third of 2; a result takes 1 to get to another worker.
//! let costs = [3.0, 3.0, 2.0].map(TaskCost::Same);
//! let problem = Problem::new(2, None, costs, &[(0, 2, 1.0), (1, 2, 1.0)])?;
//! let schedule = Heft::new(2).schedule(Arc::new(problem))?;
//! assert_eq!(schedule.makespan(), 6.0);
//! assert_eq!(schedule.task_lists(), [vec![0, 2], vec![1]]);
//! # Ok::<(), xfork::graph::schedule::ScheduleError>(())
//! ```
//!
//! | scheduler | looks at | time for n tasks, e edges, p workers |
//! | --- | --- | --- |
//! | [`Heft`] | the longest way to the end, then the earliest finish | O(e + n (log n + p log n)) |
//! | [`Cpop`] | the same; the critical path stays on one worker | as `Heft` |
//! | [`Peft`] | the earliest finish and what it leads to | O(p e) more, and n·p numbers of memory |
//! | [`ListScheduler`] | the longest way to the end, then whoever is free | O(e + n log n) |

mod adjacency;
mod board;
mod cpop;
mod error;
mod heft;
mod list;
mod outcome;
mod peft;
mod problem;
mod ranks;
mod scheduler;
#[cfg(all(test, not(xfork_loom)))]
mod tests;
mod timeline;
mod validation;

pub use cpop::Cpop;
pub use error::ScheduleError;
pub use heft::{Heft, Ranking, Selection};
pub use list::{ListScheduler, Priority};
pub use outcome::Schedule;
pub use peft::Peft;
pub use problem::{Edge, Problem, TaskCost};
pub use scheduler::{Placement, Scheduler};
pub use validation::{TaskLabel, Violation};
