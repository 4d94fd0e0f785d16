//! List scheduling: [`ListScheduler`].

use super::problem::Problem;
use super::ranks;
use super::scheduler::{Placement, Scheduler};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Which ready task a [`ListScheduler`] takes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Priority {
    /// The one with the longest way to the end, in mean costs.
    #[default]
    UpwardRank,
    /// The one that has been ready for the longest time.
    Fifo,
}

/// Gives the next ready task to the worker that is free first, as a pool of workers with a queue would.
///
/// List scheduling: R. L. Graham, "Bounds on multiprocessing timing anomalies", SIAM Journal on Applied Mathematics
/// 17(2), 1969. On p equal workers and without communication no schedule can be shorter than its p / (2 p - 1)th part.
/// It looks neither at speeds nor at communication when it chooses a worker, and fills no gaps; it is the measure for
/// those that do. Of workers that are free at the same time, and of tasks that are equally urgent, the first is taken.
///
/// ```
/// use std::sync::Arc;
/// use xfork::graph::schedule::{ListScheduler, Priority, Problem, Scheduler, TaskCost};
/// let costs = [2.0, 2.0, 4.0].map(TaskCost::Same);
/// let problem = Arc::new(Problem::new(2, None, costs, &[])?);
/// let by_rank = ListScheduler::new(2).schedule(problem.clone())?;
/// let in_order = ListScheduler::new(2).priority(Priority::Fifo).schedule(problem)?;
/// assert_eq!((by_rank.makespan(), in_order.makespan()), (4.0, 6.0));
/// # Ok::<(), xfork::graph::schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ListScheduler {
    workers: usize,
    speeds: Option<Box<[f64]>>,
    priority: Priority,
}

impl ListScheduler {
    /// For `workers` workers of speed 1.
    pub fn new(workers: usize) -> Self {
        Self { workers, speeds: None, priority: Priority::default() }
    }

    /// Workers as fast as `speeds` says, one for each: a cost of 1 takes 1 / speed. What is not a speed is an error of
    /// [`Problem::new`].
    #[must_use]
    pub fn speeds(self, speeds: impl Into<Box<[f64]>>) -> Self {
        Self { speeds: Some(speeds.into()), ..self }
    }

    /// Another order of the ready tasks.
    #[must_use]
    pub fn priority(self, priority: Priority) -> Self {
        Self { priority, ..self }
    }
}

/// The bits of a time that is not negative, which are in the order of times.
fn key(time: f64) -> u64 {
    time.to_bits()
}

impl Scheduler for ListScheduler {
    fn workers(&self) -> usize {
        self.workers
    }

    fn speeds(&self) -> Option<&[f64]> {
        self.speeds.as_deref()
    }

    fn place(&self, problem: &Problem) -> Vec<Placement> {
        let ranks = match self.priority {
            Priority::UpwardRank => ranks::upward(problem),
            Priority::Fifo => Vec::new(),
        };
        // Greatest first. In a queue the earlier comes first, which needs the complement.
        let urgency = |task: u32, ready: u64| match self.priority {
            Priority::UpwardRank => (key(ranks[task as usize]), !task),
            Priority::Fifo => (!ready, !task),
        };
        let tasks = problem.tasks();
        let numbers = 0..tasks as u32;
        let mut placements: Vec<Placement> =
            numbers.clone().map(|task| Placement { task, worker: 0, start: 0.0, finish: 0.0 }).collect();
        let mut missing: Vec<usize> = numbers.clone().map(|task| problem.predecessors(task).len()).collect();
        let mut free: BinaryHeap<_> = (0..problem.workers() as u32).map(|w| Reverse((key(0.0), w))).collect();
        // Tasks whose inputs are all made, by when that is; they become ready when a worker is free at that time.
        let entries = numbers.filter(|task| missing[*task as usize] == 0);
        let mut coming: BinaryHeap<_> = entries.map(|task| Reverse((key(0.0), task))).collect();
        let mut ready = BinaryHeap::new();
        for _ in 0..tasks {
            let Reverse((mut now, worker)) = free.pop().expect("a problem has a worker");
            if ready.is_empty() {
                let Reverse((made, _)) = coming.peek().expect("an acyclic graph has a task that can run");
                now = now.max(*made);
            }
            while let Some(&Reverse((made, task))) = coming.peek().filter(|Reverse((made, _))| *made <= now) {
                coming.pop();
                ready.push((urgency(task, made), task));
            }
            let (_, task) = ready.pop().expect("there is one at this time");
            let mut start = f64::from_bits(now);
            for edge in problem.predecessors(task) {
                let made = placements[edge.task as usize];
                let sent = if made.worker == worker { 0.0 } else { edge.cost };
                start = start.max(made.finish + sent);
            }
            let finish = start + problem.cost(task, worker);
            placements[task as usize] = Placement { task, worker, start, finish };
            free.push(Reverse((key(finish), worker)));
            for edge in problem.successors(task) {
                let missing = &mut missing[edge.task as usize];
                *missing -= 1;
                if *missing == 0 {
                    let inputs = problem.predecessors(edge.task).iter();
                    let made = inputs.map(|input| placements[input.task as usize].finish).fold(0.0, f64::max);
                    coming.push(Reverse((key(made), edge.task)));
                }
            }
        }
        placements
    }

    fn name(&self) -> &str {
        match self.priority {
            Priority::UpwardRank => "list by rank",
            Priority::Fifo => "list in order",
        }
    }
}
