//! Critical path on a processor: [`Cpop`].

use super::board::Board;
use super::problem::Problem;
use super::ranks;
use super::scheduler::{Placement, Scheduler};

/// Gives the tasks of the critical path to the one worker that runs them fastest, and the others to where they end first.
///
/// Critical path on a processor: H. Topcuoglu, S. Hariri and M.-Y. Wu, "Performance-effective and low-complexity task
/// scheduling for heterogeneous computing", IEEE Transactions on Parallel and Distributed Systems 13(3), 2002, §4.3.
/// Tasks come by the length of the longest way through them. It suits graphs with one long way and dear communication.
///
/// ```
/// use std::sync::Arc;
/// use xfork::graph::schedule::{Cpop, Problem, Scheduler, TaskCost};
/// let costs = [4.0, 4.0, 1.0].map(TaskCost::Same);
/// let problem = Problem::new(2, None, costs, &[(0, 1, 9.0)])?;
/// let schedule = Cpop::new(2).schedule(Arc::new(problem))?;
/// assert_eq!(schedule.task_lists(), [vec![0, 1], vec![2]]);
/// # Ok::<(), xfork::graph::schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Cpop {
    workers: usize,
    speeds: Option<Box<[f64]>>,
}

impl Cpop {
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

/// From the first task of the greatest priority on, always the successor with the longest way to the end.
fn critical_path(problem: &Problem, upward: &[f64]) -> Vec<u32> {
    // A task without predecessors has the downward rank 0. The reverse makes the first of equals the greatest.
    let entries = problem.order().iter().copied().filter(|task| problem.predecessors(*task).is_empty());
    let longer = |a: &u32, b: &u32| upward[*a as usize].total_cmp(&upward[*b as usize]).then(b.cmp(a));
    let mut path: Vec<u32> = entries.max_by(longer).into_iter().collect();
    while let Some(last) = path.last() {
        let way = |edge: &super::Edge| edge.cost + upward[edge.task as usize];
        let next = problem.successors(*last).iter();
        match next.max_by(|a, b| way(a).total_cmp(&way(b)).then(b.task.cmp(&a.task))) {
            Some(edge) => path.push(edge.task),
            None => break,
        }
    }
    path
}

impl Scheduler for Cpop {
    fn workers(&self) -> usize {
        self.workers
    }

    fn speeds(&self) -> Option<&[f64]> {
        self.speeds.as_deref()
    }

    fn place(&self, problem: &Problem) -> Vec<Placement> {
        let upward = ranks::upward(problem);
        let priorities: Vec<f64> =
            ranks::downward(problem).iter().zip(&upward).map(|(down, up)| down + up).collect();
        let mut costs = vec![0.0; problem.workers()];
        let mut path_costs = vec![0.0; problem.workers()];
        let mut is_critical = vec![false; problem.tasks()];
        for task in critical_path(problem, &upward) {
            is_critical[task as usize] = true;
            problem.write_costs(task, &mut costs);
            for (sum, cost) in path_costs.iter_mut().zip(&costs) {
                *sum += cost;
            }
        }
        let fastest = (0..problem.workers()).min_by(|a, b| path_costs[*a].total_cmp(&path_costs[*b]));
        let fastest = fastest.expect("a problem has a worker");
        let mut board = Board::new(problem);
        for task in ranks::by_rank(problem, &priorities, ranks::lower_number_first) {
            if is_critical[task as usize] {
                board.place_on(task, fastest);
            } else {
                board.place_best(task, |_, _, finish| finish);
            }
        }
        board.into_placements()
    }

    fn name(&self) -> &str {
        "CPOP"
    }
}
