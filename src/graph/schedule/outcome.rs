//! What came out: [`Schedule`].
//!
//! Owns the placements and what is read off them: lists, times and the measures of Topcuoglu, Hariri and Wu (IEEE TPDS
//! 13(3), 2002, §5.1). Whether the placements keep the rules is checked in `validation`; the rest takes any, so that a
//! wrong schedule can be looked at.

use super::error::ScheduleError;
use super::problem::Problem;
use super::scheduler::Placement;
use super::validation;
use std::fmt;
use std::sync::Arc;

/// Says what a task is called.
type Names = Arc<dyn Fn(u32) -> String + Send + Sync>;

/// Which worker runs which task when.
///
/// ```
/// use std::sync::Arc;
/// use xfork::graph::schedule::{Heft, Problem, Scheduler, TaskCost};
/// let costs = [3.0, 1.0, 2.0].map(TaskCost::Same);
/// let problem = Problem::new(2, None, costs, &[(0, 2, 4.0)])?;
/// let schedule = Heft::new(2).schedule(Arc::new(problem))?;
/// assert_eq!(schedule.task_lists(), [vec![0, 2], vec![1]]);
/// assert_eq!(schedule.makespan(), 5.0);
/// assert_eq!(schedule.speedup(), 6.0 / 5.0);
/// assert_eq!(schedule.placement(2).unwrap().start, 3.0);
/// # Ok::<(), xfork::graph::schedule::ScheduleError>(())
/// ```
#[derive(Clone)]
pub struct Schedule {
    problem: Arc<Problem>,
    placements: Vec<Placement>,
    /// For each task the place in `placements`, if it has one.
    places: Vec<Option<usize>>,
    /// For each worker its tasks.
    lists: Vec<Vec<u32>>,
    names: Names,
}

impl Schedule {
    /// Takes any placements; whether they are right, [`validate`](Self::validate) says. What is placed on a worker that is
    /// not there, or is no task, stands in no list. Of several placements of a task the first counts.
    pub fn new(problem: Arc<Problem>, placements: Vec<Placement>) -> Self {
        let mut places = vec![None; problem.tasks()];
        let mut lists = vec![Vec::new(); problem.workers()];
        for (place, placement) in placements.iter().enumerate() {
            let Some(first @ None) = places.get_mut(placement.task as usize) else { continue };
            *first = Some(place);
            if let Some(list) = lists.get_mut(placement.worker as usize) {
                list.push(placement.task);
            }
        }
        let mut positions = vec![0; problem.tasks()];
        for (position, task) in problem.order().iter().enumerate() {
            positions[*task as usize] = position;
        }
        let placement =
            |task: u32| &placements[places[task as usize].expect("what stands in a list is placed")];
        for list in &mut lists {
            list.sort_unstable_by(|&a, &b| {
                let (first, second) = (placement(a), placement(b));
                (first.start.total_cmp(&second.start))
                    .then(first.finish.total_cmp(&second.finish))
                    .then(positions[a as usize].cmp(&positions[b as usize]))
            });
        }
        Self { problem, placements, places, lists, names: Arc::new(|task| format!("#{task}")) }
    }

    /// Calls tasks as `names` says, in [`name`](Self::name) and in what [`validate`](Self::validate) finds; otherwise task
    /// 7 is called `#7`.
    #[must_use]
    pub fn with_names(self, names: impl Fn(u32) -> String + Send + Sync + 'static) -> Self {
        Self { names: Arc::new(names), ..self }
    }

    /// What is scheduled.
    pub fn problem(&self) -> &Arc<Problem> {
        &self.problem
    }

    /// What `task` is called.
    pub fn name(&self, task: u32) -> String {
        (self.names)(task)
    }

    /// How many workers there are, with or without tasks.
    pub fn workers(&self) -> usize {
        self.problem.workers()
    }

    /// All placements, in the order in which they were given.
    pub fn placements(&self) -> &[Placement] {
        &self.placements
    }

    /// Where and when `task` runs, if it is placed.
    pub fn placement(&self, task: u32) -> Option<&Placement> {
        self.places.get(task as usize).copied().flatten().map(|place| &self.placements[place])
    }

    /// For each worker its tasks in the order in which it runs them.
    ///
    /// The order is that of starts, then of ends, then of [`Problem::order`]. In a valid schedule every predecessor comes
    /// before its successors in this order of *all* tasks, also where nothing takes any time. So workers that run their
    /// lists in order, each task as soon as its inputs are there, never wait for each other in a circle.
    pub fn task_lists(&self) -> &[Vec<u32>] {
        &self.lists
    }

    /// When the last task ends, in the unit of the costs; 0 without tasks.
    pub fn makespan(&self) -> f64 {
        self.placements.iter().map(|placement| placement.finish).fold(0.0, f64::max)
    }

    /// How many times faster it is than all tasks one after the other on the best single worker.
    ///
    /// 1 if the makespan is 0.
    pub fn speedup(&self) -> f64 {
        let mut sums = vec![0.0; self.workers()];
        let mut costs = vec![0.0; self.workers()];
        for &task in self.problem.order() {
            self.problem.write_costs(task, &mut costs);
            for (sum, cost) in sums.iter_mut().zip(&costs) {
                *sum += cost;
            }
        }
        over(sums.into_iter().fold(f64::INFINITY, f64::min), self.makespan())
    }

    /// The speedup for each worker: 1 if all of them are put to perfect use.
    pub fn efficiency(&self) -> f64 {
        self.speedup() / self.workers() as f64
    }

    /// The schedule length ratio: the makespan in units of what no schedule can beat, the longest way through the graph
    /// with each task on the worker that is fastest for it and nothing sent.
    ///
    /// 1 if the makespan is 0; infinite if only the bound is.
    pub fn slr(&self) -> f64 {
        let mut longest = 0.0_f64;
        let mut ends = vec![0.0; self.problem.tasks()];
        for &task in self.problem.order() {
            let inputs = self.problem.predecessors(task).iter();
            let start = inputs.map(|edge| ends[edge.task as usize]).fold(0.0, f64::max);
            let end = start + self.problem.least_cost(task);
            ends[task as usize] = end;
            longest = longest.max(end);
        }
        over(self.makespan(), longest)
    }

    /// How long `worker` has nothing to do until the end of the schedule, in the unit of the costs.
    ///
    /// # Panics
    ///
    /// If there is no such worker.
    pub fn idle(&self, worker: u32) -> f64 {
        let tasks = self.lists[worker as usize].iter();
        let busy: f64 = tasks.map(|task| self.problem.cost(*task, worker)).sum();
        (self.makespan() - busy).max(0.0)
    }

    /// Which part of the workers' time until the end is spent on tasks, from 0 to 1; 1 if the makespan is 0.
    pub fn utilisation(&self) -> f64 {
        let idle: f64 = (0..self.workers() as u32).map(|worker| self.idle(worker)).sum();
        let all = self.makespan() * self.workers() as f64;
        over(all - idle, all).clamp(0.0, 1.0)
    }

    /// Checks that every task has one placement on a worker that is there, ends its cost after its start, starts when all
    /// inputs are there, and has its worker to itself.
    ///
    /// Times may differ by 1e-9 of themselves, for the sake of roundings.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use xfork::graph::schedule::{Placement, Problem, Schedule, TaskCost};
    /// let problem = Problem::new(2, None, [2.0, 1.0].map(TaskCost::Same), &[(0, 1, 0.5)])?;
    /// let load = Placement { task: 0, worker: 0, start: 0.0, finish: 2.0 };
    /// let store = Placement { task: 1, worker: 1, start: 2.0, finish: 3.0 };
    /// let names = |task| ["load", "store"][task as usize].to_string();
    /// let schedule = Schedule::new(Arc::new(problem), vec![load, store]).with_names(names);
    /// assert_eq!(
    ///     schedule.validate().unwrap_err().to_string(),
    ///     "the schedule breaks 1 rule:\n  store starts at 2 on worker 1, but the result of load, which ends at 2 on \
    ///      worker 0, is there only at 2.5",
    /// );
    /// # Ok::<(), xfork::graph::schedule::ScheduleError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ScheduleError::Invalid`] with everything that is wrong.
    pub fn validate(&self) -> Result<(), ScheduleError> {
        let violations = validation::violations(self);
        if violations.is_empty() { Ok(()) } else { Err(ScheduleError::Invalid { violations }) }
    }
}

/// The ratio of two times; 1 of two zeros.
fn over(time: f64, other: f64) -> f64 {
    if time == other { 1.0 } else { time / other }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schedule").field("placements", &self.placements).finish_non_exhaustive()
    }
}
