//! What a scheduler is: [`Scheduler`], and what it decides: [`Placement`].

use super::error::ScheduleError;
use super::outcome::Schedule;
use super::problem::Problem;
use std::sync::Arc;

/// Where and when a task runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placement {
    /// The task.
    pub task: u32,
    /// The worker, counted from 0.
    pub worker: u32,
    /// When it starts, in the unit of the costs, from 0.
    pub start: f64,
    /// When it ends: `start` and the cost on this worker.
    pub finish: f64,
}

/// Decides which worker runs which task when.
///
/// ```
/// use std::sync::Arc;
/// use xfork::graph::schedule::{Placement, Problem, Scheduler, TaskCost};
///
/// /// Everything on the first worker.
/// struct OneByOne;
///
/// impl Scheduler for OneByOne {
///     fn workers(&self) -> usize {
///         1
///     }
///
///     fn place(&self, problem: &Problem) -> Vec<Placement> {
///         let mut now = 0.0;
///         let place = |&task: &u32| {
///             let start = now;
///             now += problem.cost(task, 0);
///             Placement { task, worker: 0, start, finish: now }
///         };
///         problem.order().iter().map(place).collect()
///     }
///
///     fn name(&self) -> &str {
///         "one by one"
///     }
/// }
///
/// let problem = Problem::new(1, None, [2.0, 3.0].map(TaskCost::Same), &[(1, 0, 9.0)])?;
/// assert_eq!(OneByOne.schedule(Arc::new(problem))?.makespan(), 5.0);
/// # Ok::<(), xfork::graph::schedule::ScheduleError>(())
/// ```
pub trait Scheduler {
    /// For how many workers a problem is to be made.
    fn workers(&self) -> usize;

    /// How fast they are; `None` if all have the speed 1.
    fn speeds(&self) -> Option<&[f64]> {
        None
    }

    /// Places every task of `problem` once. How many workers there are and what tasks cost, the problem says.
    fn place(&self, problem: &Problem) -> Vec<Placement>;

    /// What it is called in reports.
    fn name(&self) -> &str;

    /// Places all tasks and checks the result.
    ///
    /// # Errors
    ///
    /// [`ScheduleError::Invalid`] if [`place`](Self::place) breaks the problem's rules.
    fn schedule(&self, problem: Arc<Problem>) -> Result<Schedule, ScheduleError> {
        let placements = self.place(&problem);
        let schedule = Schedule::new(problem, placements);
        schedule.validate()?;
        Ok(schedule)
    }
}

impl<S: Scheduler + ?Sized> Scheduler for &S {
    fn workers(&self) -> usize {
        (**self).workers()
    }

    fn speeds(&self) -> Option<&[f64]> {
        (**self).speeds()
    }

    fn place(&self, problem: &Problem) -> Vec<Placement> {
        (**self).place(problem)
    }

    fn name(&self) -> &str {
        (**self).name()
    }
}

impl<S: Scheduler + ?Sized> Scheduler for Box<S> {
    fn workers(&self) -> usize {
        (**self).workers()
    }

    fn speeds(&self) -> Option<&[f64]> {
        (**self).speeds()
    }

    fn place(&self, problem: &Problem) -> Vec<Placement> {
        (**self).place(problem)
    }

    fn name(&self) -> &str {
        (**self).name()
    }
}
