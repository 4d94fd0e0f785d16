//! Heterogeneous earliest finish time: [`Heft`].

use super::board::Board;
use super::problem::Problem;
use super::ranks;
use super::scheduler::{Placement, Scheduler};

/// How [`Heft`] decides which task comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ranking {
    /// The upward rank: a task's mean cost and the greatest, over its successors, of the cost to send the result there and
    /// the successor's rank (Topcuoglu, Hariri and Wu 2002, §4.1). Of equal ranks the lower number comes first.
    #[default]
    Longest,
    /// What ampeg 0.2 does: a task's mean cost, the mean of what its own inputs cost to send, and the *sum* of its
    /// successors' ranks. Of equal ranks the one with the longer row of predecessors comes first, then the higher number.
    /// The sum counts ways through the graph; where there are so many that it is infinite, all such tasks are equal.
    Sum,
}

/// Which worker [`Heft`] prefers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Selection {
    /// The one where the task ends first.
    #[default]
    EarliestFinish,
    /// The one where the task starts first, as in ampeg 0.2. The same unless a task's costs differ between workers.
    EarliestStart,
}

/// Takes tasks by the longest way to the end, and gives each to the worker where it ends first.
///
/// Heterogeneous earliest finish time, with insertion into gaps: H. Topcuoglu, S. Hariri and M.-Y. Wu,
/// "Performance-effective and low-complexity task scheduling for heterogeneous computing", IEEE Transactions on Parallel
/// and Distributed Systems 13(3), 2002, §4.2. Of workers that are equally good the first is taken.
///
/// With [`Ranking::Sum`] and [`Selection::EarliestStart`] it gives the schedules of ampeg's `earliest_finish_time`.
///
/// ```
/// use xfork::graph::schedule::{Heft, Problem, Scheduler, TaskCost};
/// let heft = Heft::new(2).speeds([1.0, 2.0]);
/// let costs = [6.0, 2.0].map(TaskCost::Same);
/// let problem = Problem::new(heft.workers(), Scheduler::speeds(&heft), costs, &[])?;
/// let placements = heft.place(&problem);
/// assert_eq!((placements[0].worker, placements[0].finish), (1, 3.0));
/// assert_eq!((placements[1].worker, placements[1].finish), (0, 2.0));
/// # Ok::<(), xfork::graph::schedule::ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Heft {
    workers: usize,
    speeds: Option<Box<[f64]>>,
    ranking: Ranking,
    selection: Selection,
}

impl Heft {
    /// For `workers` workers of speed 1.
    pub fn new(workers: usize) -> Self {
        Self { workers, speeds: None, ranking: Ranking::default(), selection: Selection::default() }
    }

    /// Workers as fast as `speeds` says, one for each: a cost of 1 takes 1 / speed. What is not a speed is an error of
    /// [`Problem::new`].
    #[must_use]
    pub fn speeds(self, speeds: impl Into<Box<[f64]>>) -> Self {
        Self { speeds: Some(speeds.into()), ..self }
    }

    /// Another order of the tasks.
    #[must_use]
    pub fn ranking(self, ranking: Ranking) -> Self {
        Self { ranking, ..self }
    }

    /// Another choice among the workers.
    #[must_use]
    pub fn selection(self, selection: Selection) -> Self {
        Self { selection, ..self }
    }

    /// How urgent each task is, by its number; the greatest rank goes first. In the unit of the costs.
    ///
    /// ```
    /// use xfork::graph::schedule::{Heft, Problem, TaskCost};
    /// let problem = Problem::new(2, None, [1.0, 2.0].map(TaskCost::Same), &[(0, 1, 0.5)])?;
    /// assert_eq!(Heft::new(2).ranks(&problem), [3.5, 2.0]);
    /// # Ok::<(), xfork::graph::schedule::ScheduleError>(())
    /// ```
    pub fn ranks(&self, problem: &Problem) -> Vec<f64> {
        match self.ranking {
            Ranking::Longest => ranks::upward(problem),
            Ranking::Sum => ranks::sum(problem),
        }
    }
}

impl Scheduler for Heft {
    fn workers(&self) -> usize {
        self.workers
    }

    fn speeds(&self) -> Option<&[f64]> {
        self.speeds.as_deref()
    }

    fn place(&self, problem: &Problem) -> Vec<Placement> {
        let ranks = self.ranks(problem);
        let order = match self.ranking {
            Ranking::Longest => ranks::by_rank(problem, &ranks, ranks::lower_number_first),
            Ranking::Sum => {
                let levels = ranks::levels(problem);
                let tie = |task| u64::from(levels[task as usize]) << 32 | u64::from(task);
                ranks::by_rank(problem, &ranks, tie)
            }
        };
        let mut board = Board::new(problem);
        for task in order {
            match self.selection {
                Selection::EarliestFinish => board.place_best(task, |_, _, finish| finish),
                Selection::EarliestStart => board.place_best(task, |_, start, _| start),
            }
        }
        board.into_placements()
    }

    fn name(&self) -> &str {
        match self.ranking {
            Ranking::Longest => "HEFT",
            Ranking::Sum => "HEFT, ranks summed",
        }
    }
}
