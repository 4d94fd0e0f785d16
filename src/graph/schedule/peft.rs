//! Predict earliest finish time: [`Peft`].

use super::board::Board;
use super::problem::Problem;
use super::ranks;
use super::scheduler::{Placement, Scheduler};

/// Gives each task to the worker from where the end is nearest, as far as can be foretold.
///
/// Predict earliest finish time: H. Arabnejad and J. G. Barbosa, "List scheduling algorithm for heterogeneous systems by
/// an optimistic cost table", IEEE Transactions on Parallel and Distributed Systems 25(3), 2014. The table has, for each
/// task and worker, the time from the task's end to the end of everything if all workers were free; it takes 8 bytes of
/// memory for each. Worth it where workers differ: with equal workers the table tells little apart.
///
/// ```
/// use std::sync::Arc;
/// use xfork::graph::schedule::{Peft, Problem, Scheduler, TaskCost};
/// // The first task is a little faster on worker 0, but all that follows is much faster on worker 1.
/// let costs = [vec![2.0, 3.0], vec![9.0, 1.0]].map(TaskCost::from);
/// let problem = Problem::new(2, None, costs, &[(0, 1, 9.0)])?;
/// let schedule = Peft::new(2).schedule(Arc::new(problem))?;
/// assert_eq!(schedule.task_lists(), [vec![], vec![0, 1]]);
/// assert_eq!(schedule.makespan(), 4.0);
/// # Ok::<(), xfork::graph::schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Peft {
    workers: usize,
    speeds: Option<Box<[f64]>>,
}

impl Peft {
    /// For `workers` workers of speed 1.
    pub fn new(workers: usize) -> Self {
        Self { workers, speeds: None }
    }

    /// Workers as fast as `speeds` says, one for each: a cost of 1 takes 1 / speed. What is not a speed is an error of
    /// [`Problem::new`].
    #[must_use]
    pub fn speeds(self, speeds: impl Into<Box<[f64]>>) -> Self {
        Self { speeds: Some(speeds.into()), ..self }
    }
}

/// One row for each task with a number for each worker. The paper's minimum over the workers of a successor is either
/// that of the same worker, or the least of all with the communication added; so each edge takes time for the workers
/// and not for pairs of them.
pub(super) fn optimistic_costs(problem: &Problem) -> Vec<f64> {
    let workers = problem.workers();
    let mut table = vec![0.0; problem.tasks() * workers];
    let mut costs = vec![0.0; workers];
    let mut row = vec![0.0_f64; workers];
    for &task in problem.order().iter().rev() {
        row.fill(0.0);
        for edge in problem.successors(task) {
            problem.write_costs(edge.task, &mut costs);
            let after = &table[edge.task as usize * workers..][..workers];
            for (cost, after) in costs.iter_mut().zip(after) {
                *cost += after;
            }
            let elsewhere = costs.iter().copied().fold(f64::INFINITY, f64::min) + edge.cost;
            for (longest, here) in row.iter_mut().zip(&costs) {
                *longest = longest.max(here.min(elsewhere));
            }
        }
        table[task as usize * workers..][..workers].copy_from_slice(&row);
    }
    table
}

impl Scheduler for Peft {
    fn workers(&self) -> usize {
        self.workers
    }

    fn speeds(&self) -> Option<&[f64]> {
        self.speeds.as_deref()
    }

    fn place(&self, problem: &Problem) -> Vec<Placement> {
        let workers = problem.workers();
        let table = optimistic_costs(problem);
        let means: Vec<f64> =
            table.chunks_exact(workers).map(|row| row.iter().sum::<f64>() / workers as f64).collect();
        let mut board = Board::new(problem);
        for task in ranks::by_rank(problem, &means, ranks::lower_number_first) {
            let row = &table[task as usize * workers..][..workers];
            board.place_best(task, |worker, _, finish| finish + row[worker]);
        }
        board.into_placements()
    }

    fn name(&self) -> &str {
        "PEFT"
    }
}
