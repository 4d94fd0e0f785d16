//! Whether a schedule keeps the rules, and how it breaks them: [`Violation`].
//!
//! Owns the check, which trusts nothing but the problem: it goes over the placements alone, whatever made them.

use super::error::Number;
use super::outcome::Schedule;
use super::scheduler::Placement;
use std::fmt;

/// A task in a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskLabel {
    /// Its number.
    pub task: u32,
    /// What it is called.
    pub name: String,
}

impl fmt::Display for TaskLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// A rule that a schedule breaks. Times are in the unit of the costs.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Violation {
    /// A task is placed nowhere.
    Missing {
        /// The task.
        task: TaskLabel,
    },
    /// A task is placed more than once.
    Repeated {
        /// The task.
        task: TaskLabel,
        /// How often.
        times: usize,
    },
    /// A placement of what is not a task of the problem.
    UnknownTask {
        /// Its number.
        task: u32,
        /// How many tasks there are.
        tasks: usize,
    },
    /// A task on a worker that is not there.
    UnknownWorker {
        /// The task.
        task: TaskLabel,
        /// Its worker.
        worker: u32,
        /// How many workers there are.
        workers: usize,
    },
    /// A time that is not a number, is infinite, or lies before the beginning.
    Time {
        /// The task.
        task: TaskLabel,
        /// When it starts.
        start: f64,
        /// When it ends.
        finish: f64,
    },
    /// A task doesn't take the time that it costs.
    Length {
        /// The task.
        task: TaskLabel,
        /// Its worker.
        worker: u32,
        /// When it starts.
        start: f64,
        /// When it ends.
        finish: f64,
        /// What it costs on that worker.
        cost: f64,
    },
    /// A worker has two tasks at once.
    Overlap {
        /// The worker.
        worker: u32,
        /// The task that starts first.
        first: TaskLabel,
        /// When that ends.
        finish: f64,
        /// The task that starts too early.
        second: TaskLabel,
        /// When that starts.
        start: f64,
    },
    /// A task starts before a result that it needs is there.
    TooEarly {
        /// The task.
        task: TaskLabel,
        /// Its worker.
        worker: u32,
        /// When it starts.
        start: f64,
        /// The task whose result it needs.
        input: TaskLabel,
        /// That one's worker.
        input_worker: u32,
        /// When that ends.
        finish: f64,
        /// When its result is there.
        ready: f64,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { task } => write!(f, "{task} is not placed"),
            Self::Repeated { task, times } => write!(f, "{task} is placed {times} times"),
            Self::UnknownTask { task, tasks } => {
                write!(f, "task {task} is placed, but there are {tasks} tasks, numbered from 0")
            }
            Self::UnknownWorker { task, worker, workers } => {
                write!(f, "{task} is on worker {worker}, but there are {workers} workers, numbered from 0")
            }
            Self::Time { task, start, finish } => {
                let (start, finish) = (Number(*start), Number(*finish));
                write!(f, "{task} runs from {start} to {finish}, which are not both finite times from 0 on")
            }
            Self::Length { task, worker, start, finish, cost } => {
                let (start, finish, cost) = (Number(*start), Number(*finish), Number(*cost));
                write!(f, "{task} runs from {start} to {finish} on worker {worker}, where it takes {cost}")
            }
            Self::Overlap { worker, first, finish, second, start } => {
                let (start, finish) = (Number(*start), Number(*finish));
                write!(f, "{second} starts at {start} on worker {worker}, where {first} runs until {finish}")
            }
            Self::TooEarly { task, worker, start, input, input_worker, finish, ready } => {
                let (start, finish, ready) = (Number(*start), Number(*finish), Number(*ready));
                write!(
                    f,
                    "{task} starts at {start} on worker {worker}, but the result of {input}, which ends at {finish} on \
                     worker {input_worker}, is there only at {ready}"
                )
            }
        }
    }
}

/// Roundings of sums make times differ by this part of themselves at most.
const TOLERANCE: f64 = 1e-9;

/// Whether a time lies before another by more than roundings explain.
fn is_before(time: f64, other: f64) -> bool {
    other - time > TOLERANCE * time.abs().max(other.abs())
}

/// All violations, by task; those of workers last.
pub(super) fn violations(schedule: &Schedule) -> Vec<Violation> {
    let problem = schedule.problem();
    let label = |task: u32| TaskLabel { task, name: schedule.name(task) };
    let mut found = Vec::new();
    let mut times = vec![0_usize; problem.tasks()];
    for placement in schedule.placements() {
        match times.get_mut(placement.task as usize) {
            Some(times) => *times += 1,
            None => found.push(Violation::UnknownTask { task: placement.task, tasks: problem.tasks() }),
        }
    }
    // Wrong times prove nothing about other tasks, so only sound placements are compared.
    let sound = |placement: &&Placement| {
        let workers = problem.workers();
        (placement.worker as usize) < workers && is_time(placement.start) && is_time(placement.finish)
    };
    for (task, times) in (0..).zip(times) {
        let Some(placement) = schedule.placement(task) else {
            found.push(Violation::Missing { task: label(task) });
            continue;
        };
        if times > 1 {
            found.push(Violation::Repeated { task: label(task), times });
        }
        let Placement { worker, start, finish, .. } = *placement;
        if worker as usize >= problem.workers() {
            let workers = problem.workers();
            found.push(Violation::UnknownWorker { task: label(task), worker, workers });
        }
        if !is_time(start) || !is_time(finish) {
            found.push(Violation::Time { task: label(task), start, finish });
        }
        if !sound(&placement) {
            continue;
        }
        let cost = problem.cost(task, worker);
        if is_before(finish, start + cost) || is_before(start + cost, finish) {
            found.push(Violation::Length { task: label(task), worker, start, finish, cost });
        }
        for edge in problem.predecessors(task) {
            let Some(input) = schedule.placement(edge.task).filter(sound) else { continue };
            let sent = if input.worker == worker { 0.0 } else { edge.cost };
            let ready = input.finish + sent;
            if is_before(start, ready) {
                found.push(Violation::TooEarly {
                    task: label(task),
                    worker,
                    start,
                    input: label(edge.task),
                    input_worker: input.worker,
                    finish: input.finish,
                    ready,
                });
            }
        }
    }
    for (worker, list) in (0..).zip(schedule.task_lists()) {
        let mut longest: Option<&Placement> = None;
        for placement in list.iter().filter_map(|task| schedule.placement(*task)).filter(sound) {
            let Some(before) = longest else {
                longest = Some(placement);
                continue;
            };
            if is_before(placement.start, before.finish) {
                found.push(Violation::Overlap {
                    worker,
                    first: label(before.task),
                    finish: before.finish,
                    second: label(placement.task),
                    start: placement.start,
                });
            }
            if placement.finish >= before.finish {
                longest = Some(placement);
            }
        }
    }
    found
}

fn is_time(time: f64) -> bool {
    time.is_finite() && time >= 0.0
}
