//! What is to be scheduled: [`Problem`].
//!
//! Owns costs, edges and a topological order, all checked when it is made and never changed. Promises that no sum of
//! costs that a scheduler here can come across is infinite.

use super::adjacency::Adjacency;
use super::error::ScheduleError;

/// The greatest sum of all costs. A mean over workers adds as many costs as there are workers, and [`Peft`](super::Peft)
/// adds two sums; both stay finite below this.
pub(super) const GREATEST_TOTAL: f64 = 1e290;

/// An edge, seen from the task at its one end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edge {
    /// The task at the other end.
    pub task: u32,
    /// What it takes to get the result to another worker. On the same worker it takes nothing.
    pub cost: f64,
}

/// What a task costs: the time that it takes.
///
/// ```
/// use xfork::graph::schedule::TaskCost;
/// assert_eq!(TaskCost::from(1.5), TaskCost::Same(1.5));
/// assert_eq!(TaskCost::from(vec![1.5, 2.0]), TaskCost::PerWorker(Box::new([1.5, 2.0])));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum TaskCost {
    /// The time on a worker of speed 1; a worker of speed 2 takes half of it.
    Same(f64),
    /// The time on each worker, whatever its speed.
    PerWorker(Box<[f64]>),
}

impl From<f64> for TaskCost {
    fn from(cost: f64) -> Self {
        Self::Same(cost)
    }
}

impl From<Vec<f64>> for TaskCost {
    fn from(costs: Vec<f64>) -> Self {
        Self::PerWorker(costs.into())
    }
}

/// A scheduling problem: tasks with costs, workers, and who needs whose result.
///
/// Tasks and workers are numbered from 0. Times and costs have one unit, which the caller chooses.
///
/// ```
/// use xfork::graph::schedule::{Problem, TaskCost};
/// // The second worker is twice as fast, except for task 1.
/// let costs = [TaskCost::Same(8.0), TaskCost::from(vec![3.0, 9.0])];
/// let problem = Problem::new(2, Some(&[1.0, 2.0]), costs, &[(0, 1, 0.5)])?;
/// assert_eq!((problem.cost(0, 1), problem.cost(1, 1)), (4.0, 9.0));
/// assert_eq!(problem.mean_cost(0), 6.0);
/// assert_eq!(problem.successors(0)[0].task, 1);
/// # Ok::<(), xfork::graph::schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Problem {
    workers: usize,
    speeds: Option<Box<[f64]>>,
    /// The mean of 1 / speed: what the mean cost is of the cost at speed 1.
    mean_slowness: f64,
    /// The cost at speed 1, or the number of a row in `rows`.
    costs: Box<[Cost]>,
    /// Costs for each worker, one row after the other.
    rows: Vec<f64>,
    predecessors: Adjacency,
    successors: Adjacency,
    order: Box<[u32]>,
}

#[derive(Clone, Copy, Debug)]
enum Cost {
    Same(f64),
    Row(u32),
}

impl Problem {
    /// Checks all numbers and finds a topological order, in time linear in tasks and edges.
    ///
    /// `costs` has one cost for each task. `speeds` has one for each worker; without them all have the speed 1. `edges`
    /// are (task, task that needs its result, cost of communication); of several edges between the same two tasks the
    /// greatest cost counts. Zero is a valid cost.
    ///
    /// # Errors
    ///
    /// If there are no workers; if a speed is not positive and finite, or a cost is not finite or is negative; if a list
    /// has not one number for each worker; if all costs together are beyond 1e290; if an edge has no task at one end; and
    /// if tasks wait for each other.
    pub fn new(
        workers: usize,
        speeds: Option<&[f64]>,
        costs: impl IntoIterator<Item = TaskCost>,
        edges: &[(u32, u32, f64)],
    ) -> Result<Self, ScheduleError> {
        if workers == 0 {
            return Err(ScheduleError::NoWorkers);
        }
        if u32::try_from(workers).is_err() {
            return Err(ScheduleError::TooMany { what: "workers", count: workers });
        }
        check_speeds(workers, speeds)?;
        let slowest = (0..).zip(speeds.into_iter().flatten().copied()).min_by(|a, b| a.1.total_cmp(&b.1));
        let mut table = CostTable { workers, slowest, costs: Vec::new(), rows: Vec::new(), total: 0.0 };
        for cost in costs {
            table.push(cost)?;
        }
        let tasks = table.costs.len();
        for (index, &(from, to, cost)) in edges.iter().enumerate() {
            if let Some(task) = [from, to].into_iter().find(|task| *task as usize >= tasks) {
                return Err(ScheduleError::UnknownTask { edge: index, task, tasks });
            }
            if !is_cost(cost) {
                return Err(ScheduleError::CommunicationCost { from, to, cost });
            }
            table.total += cost;
        }
        if table.total > GREATEST_TOTAL {
            return Err(ScheduleError::TotalCost { total: table.total });
        }
        let (predecessors, successors) = Adjacency::both(tasks, edges);
        let order = topological_order(tasks, &predecessors, &successors)?;
        Ok(Self {
            workers,
            speeds: speeds.map(Into::into),
            mean_slowness: speeds
                .map_or(1.0, |speeds| speeds.iter().map(|speed| speed.recip()).sum::<f64>() / workers as f64),
            costs: table.costs.into(),
            rows: table.rows,
            predecessors,
            successors,
            order,
        })
    }

    /// How many tasks there are.
    pub fn tasks(&self) -> usize {
        self.costs.len()
    }

    /// How many workers there are; at least one.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// How many edges there are, with no two between the same tasks.
    pub fn edges(&self) -> usize {
        self.predecessors.len()
    }

    /// The time that `task` takes on `worker`.
    ///
    /// # Panics
    ///
    /// If there is no such task or worker.
    pub fn cost(&self, task: u32, worker: u32) -> f64 {
        assert!((worker as usize) < self.workers, "there is no worker {worker} among {}", self.workers);
        match (self.costs[task as usize], &self.speeds) {
            (Cost::Same(cost), None) => cost,
            (Cost::Same(cost), Some(speeds)) => cost / speeds[worker as usize],
            (Cost::Row(row), _) => self.row(row)[worker as usize],
        }
    }

    /// The mean of the times that `task` takes on the workers.
    ///
    /// # Panics
    ///
    /// If there is no such task.
    pub fn mean_cost(&self, task: u32) -> f64 {
        match self.costs[task as usize] {
            Cost::Same(cost) => cost * self.mean_slowness,
            Cost::Row(row) => self.row(row).iter().sum::<f64>() / self.workers as f64,
        }
    }

    /// The least of the times that `task` takes on the workers.
    ///
    /// # Panics
    ///
    /// If there is no such task.
    pub fn least_cost(&self, task: u32) -> f64 {
        match (self.costs[task as usize], &self.speeds) {
            (Cost::Same(cost), None) => cost,
            (Cost::Same(cost), Some(speeds)) => cost / speeds.iter().copied().fold(0.0, f64::max),
            (Cost::Row(row), _) => self.row(row).iter().copied().fold(f64::INFINITY, f64::min),
        }
    }

    /// The tasks whose results `task` needs, in order of their numbers.
    ///
    /// # Panics
    ///
    /// If there is no such task.
    pub fn predecessors(&self, task: u32) -> &[Edge] {
        self.predecessors.of(task)
    }

    /// The tasks that need the result of `task`, in order of their numbers.
    ///
    /// # Panics
    ///
    /// If there is no such task.
    pub fn successors(&self, task: u32) -> &[Edge] {
        self.successors.of(task)
    }

    /// All tasks, each after its predecessors; those that need nothing come first, in order of their numbers.
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    /// Writes the cost on each worker.
    pub(super) fn write_costs(&self, task: u32, costs: &mut [f64]) {
        match (self.costs[task as usize], &self.speeds) {
            (Cost::Same(cost), None) => costs.fill(cost),
            (Cost::Same(cost), Some(speeds)) => {
                for (place, speed) in costs.iter_mut().zip(speeds) {
                    *place = cost / speed;
                }
            }
            (Cost::Row(row), _) => costs.copy_from_slice(self.row(row)),
        }
    }

    fn row(&self, row: u32) -> &[f64] {
        let start = row as usize * self.workers;
        &self.rows[start..start + self.workers]
    }
}

fn is_cost(cost: f64) -> bool {
    cost.is_finite() && cost >= 0.0
}

fn check_speeds(workers: usize, speeds: Option<&[f64]>) -> Result<(), ScheduleError> {
    let Some(speeds) = speeds else { return Ok(()) };
    if speeds.len() != workers {
        return Err(ScheduleError::SpeedCount { workers, speeds: speeds.len() });
    }
    match (0..).zip(speeds).find(|(_, speed)| !(speed.is_finite() && **speed > 0.0)) {
        Some((worker, speed)) => Err(ScheduleError::Speed { worker, speed: *speed }),
        None => Ok(()),
    }
}

/// The costs so far, and what all of them come to at the slowest workers.
struct CostTable {
    workers: usize,
    /// The slowest worker and its speed, if speeds are given.
    slowest: Option<(u32, f64)>,
    costs: Vec<Cost>,
    rows: Vec<f64>,
    total: f64,
}

impl CostTable {
    fn push(&mut self, cost: TaskCost) -> Result<(), ScheduleError> {
        let task = u32::try_from(self.costs.len())
            .map_err(|_| ScheduleError::TooMany { what: "tasks", count: self.costs.len() + 1 })?;
        let (cost, greatest) = match cost {
            TaskCost::Same(cost) => {
                if !is_cost(cost) {
                    return Err(ScheduleError::Cost { task, worker: None, cost });
                }
                let greatest = self.slowest.map_or(cost, |(_, speed)| cost / speed);
                if !greatest.is_finite() {
                    let worker = self.slowest.map(|(worker, _)| worker);
                    return Err(ScheduleError::Cost { task, worker, cost: greatest });
                }
                // Adding makes a plain zero of a negative one.
                (Cost::Same(cost + 0.0), greatest)
            }
            TaskCost::PerWorker(costs) => {
                if costs.len() != self.workers {
                    let (workers, costs) = (self.workers, costs.len());
                    return Err(ScheduleError::CostCount { task, workers, costs });
                }
                if let Some((worker, cost)) = (0..).zip(&costs).find(|(_, cost)| !is_cost(**cost)) {
                    return Err(ScheduleError::Cost { task, worker: Some(worker), cost: *cost });
                }
                let row = self.rows.len() / self.workers;
                self.rows.extend(costs.iter().map(|cost| cost + 0.0));
                let row = u32::try_from(row).expect("there are at most as many rows as tasks");
                (Cost::Row(row), costs.iter().copied().fold(0.0, f64::max))
            }
        };
        self.costs.push(cost);
        self.total += greatest;
        Ok(())
    }
}

/// Kahn's algorithm ("Topological sorting of large networks", CACM 5(11), 1962) with a queue.
fn topological_order(
    tasks: usize,
    predecessors: &Adjacency,
    successors: &Adjacency,
) -> Result<Box<[u32]>, ScheduleError> {
    let numbers = 0..u32::try_from(tasks).expect("tasks are counted in 32 bits");
    let mut missing: Vec<usize> = numbers.clone().map(|task| predecessors.of(task).len()).collect();
    let mut order = Vec::with_capacity(tasks);
    order.extend(numbers.clone().filter(|task| missing[*task as usize] == 0));
    let mut next = 0;
    while let Some(&task) = order.get(next) {
        next += 1;
        for edge in successors.of(task) {
            let missing = &mut missing[edge.task as usize];
            *missing -= 1;
            if *missing == 0 {
                order.push(edge.task);
            }
        }
    }
    match numbers.into_iter().find(|task| missing[*task as usize] > 0) {
        None => Ok(order.into()),
        Some(stuck) => Err(ScheduleError::Cycle { tasks: cycle_before(stuck, predecessors, &missing) }),
    }
}

/// Goes from a task that waits for ever back along others of the kind until one comes twice.
fn cycle_before(stuck: u32, predecessors: &Adjacency, missing: &[usize]) -> Vec<u32> {
    let mut seen_at = vec![usize::MAX; missing.len()];
    let mut way = Vec::new();
    let mut task = stuck;
    while seen_at[task as usize] == usize::MAX {
        seen_at[task as usize] = way.len();
        way.push(task);
        let waits_for = predecessors.of(task).iter().find(|edge| missing[edge.task as usize] > 0);
        task = waits_for.expect("whoever waits for ever waits for another that does").task;
    }
    let mut cycle = way.split_off(seen_at[task as usize]);
    cycle.reverse();
    let least = (0..cycle.len()).min_by_key(|place| cycle[*place]);
    cycle.rotate_left(least.unwrap_or(0));
    cycle
}
