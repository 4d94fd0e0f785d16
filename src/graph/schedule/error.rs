//! Why there is no schedule: [`ScheduleError`].

use super::problem::GREATEST_TOTAL;
use super::validation::Violation;
use std::fmt;

/// Why a problem or a schedule is not accepted.
///
/// Tasks are numbers here; [`describe`](Self::describe) says the same with names.
///
/// ```
/// use xfork::graph::schedule::{Problem, ScheduleError, TaskCost};
/// let error = Problem::new(2, None, [TaskCost::Same(-1.0)], &[]).unwrap_err();
/// assert_eq!(error, ScheduleError::Cost { task: 0, worker: None, cost: -1.0 });
/// assert!(error.to_string().starts_with("task #0 costs -1, "));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ScheduleError {
    /// There is nobody to run the tasks.
    NoWorkers,
    /// Tasks or workers are numbered in 32 bits.
    TooMany {
        /// "tasks" or "workers".
        what: &'static str,
        /// How many there are.
        count: usize,
    },
    /// Not one speed for each worker.
    SpeedCount {
        /// How many workers there are.
        workers: usize,
        /// How many speeds were given.
        speeds: usize,
    },
    /// A speed that is not a positive finite number.
    Speed {
        /// The worker, counted from 0.
        worker: u32,
        /// Its speed.
        speed: f64,
    },
    /// Not one cost for each worker.
    CostCount {
        /// The task.
        task: u32,
        /// How many workers there are.
        workers: usize,
        /// How many costs were given.
        costs: usize,
    },
    /// A cost that is negative, infinite or not a number; or becomes infinite at the speed of a worker.
    Cost {
        /// The task.
        task: u32,
        /// The worker whose cost it is, if not all.
        worker: Option<u32>,
        /// The cost.
        cost: f64,
    },
    /// A communication cost that is negative, infinite or not a number.
    CommunicationCost {
        /// The task that sends.
        from: u32,
        /// The task that receives.
        to: u32,
        /// The cost.
        cost: f64,
    },
    /// The sum of all costs is so great that times would be infinite.
    TotalCost {
        /// The sum, each task at its slowest worker.
        total: f64,
    },
    /// An edge to or from a task that isn't there.
    UnknownTask {
        /// The edge's place in the list, counted from 0.
        edge: usize,
        /// The end that is not a task.
        task: u32,
        /// How many tasks there are.
        tasks: usize,
    },
    /// Tasks that wait for each other.
    Cycle {
        /// In order: each is a predecessor of the next one, and the last of the first.
        tasks: Vec<u32>,
    },
    /// A schedule that breaks its problem's rules.
    Invalid {
        /// All that is wrong, by task.
        violations: Vec<Violation>,
    },
}

/// So many tasks of a cycle, and so many violations, are spelt out.
const SHOWN: usize = 12;

impl ScheduleError {
    /// What is wrong and what to do about it, with tasks called as `name` says.
    ///
    /// ```
    /// use xfork::graph::schedule::{Problem, TaskCost};
    /// let costs = [1.0, 1.0].map(TaskCost::Same);
    /// let error = Problem::new(1, None, costs, &[(0, 1, 0.0), (1, 0, 0.0)]).unwrap_err();
    /// let text = error.describe(|task| ["load", "store"][task as usize].to_string());
    /// assert!(text.starts_with("tasks wait for each other: load → store → load"), "{text}");
    /// ```
    pub fn describe(&self, name: impl Fn(u32) -> String) -> String {
        const NUMBER: &str = "a cost is a finite number, 0 or more";
        match self {
            Self::NoWorkers => {
                "there are no workers, so no task can be placed; give at least 1 worker".to_string()
            }
            Self::TooMany { what, count } => {
                format!("{count} {what} are more than can be numbered ({}); split the graph", u32::MAX)
            }
            Self::SpeedCount { workers, speeds } => format!(
                "{speeds} speeds were given for {workers} workers; give one for each worker, 1.0 for a usual one"
            ),
            Self::Speed { worker, speed } => format!(
                "worker {worker} has the speed {}; a speed is a finite number above 0, and 2.0 is twice as fast \
                 as 1.0 (leave out a worker that does nothing)",
                Number(*speed)
            ),
            Self::CostCount { task, workers, costs } => format!(
                "task {} has {costs} costs for {workers} workers; give one for each worker, or one for all",
                name(*task)
            ),
            Self::Cost { task, worker: None, cost } => {
                format!(
                    "task {} costs {}, but {NUMBER}; use 0 if it is not known",
                    name(*task),
                    Number(*cost)
                )
            }
            Self::Cost { task, worker: Some(worker), cost } => format!(
                "task {} costs {} on worker {worker}, but {NUMBER}; use a great one to keep it from that worker",
                name(*task),
                Number(*cost)
            ),
            Self::CommunicationCost { from, to, cost } => format!(
                "the communication from task {} to task {} costs {}, but {NUMBER}",
                name(*from),
                name(*to),
                Number(*cost)
            ),
            Self::TotalCost { total } => format!(
                "all costs together are {}, which is beyond {}; use a greater unit",
                Number(*total),
                Number(GREATEST_TOTAL)
            ),
            Self::UnknownTask { edge, task, tasks } => format!(
                "edge {edge} has task {task} at one end, but there are {tasks} tasks, numbered from 0; add the task or \
                 remove the edge"
            ),
            Self::Cycle { tasks } => {
                let mut text = String::from("tasks wait for each other: ");
                for task in tasks.iter().take(SHOWN) {
                    text.push_str(&name(*task));
                    text.push_str(" → ");
                }
                if tasks.len() > SHOWN {
                    text.push_str(&format!("… {} more → ", tasks.len() - SHOWN));
                }
                text.push_str(&tasks.first().map_or_else(String::new, |task| name(*task)));
                text.push_str("; remove one of these dependencies");
                text
            }
            Self::Invalid { violations } => {
                let rules = if violations.len() == 1 { "rule" } else { "rules" };
                let mut text = format!("the schedule breaks {} {rules}:", violations.len());
                for violation in violations.iter().take(SHOWN) {
                    text.push_str("\n  ");
                    text.push_str(&violation.to_string());
                }
                if violations.len() > SHOWN {
                    text.push_str(&format!("\n  … {} more", violations.len() - SHOWN));
                }
                text
            }
        }
    }
}

/// A number that is not written with hundreds of digits.
pub(super) struct Number(pub(super) f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number) = *self;
        if number == 0.0 || !number.is_finite() || (1e-6..1e15).contains(&number.abs()) {
            write!(f, "{number}")
        } else {
            write!(f, "{number:e}")
        }
    }
}

impl fmt::Display for ScheduleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe(|task| format!("#{task}")))
    }
}

impl std::error::Error for ScheduleError {}
