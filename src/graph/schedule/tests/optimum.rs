//! Every scheduler against the best schedule there is, for graphs small enough to find it.

use super::super::Problem;
use super::random::{Random, Shape};
use super::{all, scheduled};

/// Branch and bound over all schedules whose tasks are placed in the order of their starts, each as early as it can.
/// Every schedule becomes one of these, and no longer, by moving its tasks forward; so the best is among them.
struct Search<'p> {
    problem: &'p Problem,
    /// The longest way from each task's start to the end, at least costs.
    rest: Vec<f64>,
    /// Worker and finish of what is placed.
    placed: Vec<Option<(usize, f64)>>,
    free: Vec<f64>,
    best: f64,
}

impl Search<'_> {
    fn go(&mut self, left: usize, last_start: f64, makespan: f64) {
        if left == 0 {
            self.best = self.best.min(makespan);
            return;
        }
        for task in 0..self.problem.tasks() as u32 {
            let inputs = self.problem.predecessors(task);
            let can_run = inputs.iter().all(|edge| self.placed[edge.task as usize].is_some());
            if self.placed[task as usize].is_some() || !can_run {
                continue;
            }
            for worker in 0..self.problem.workers() {
                let mut start = self.free[worker];
                for edge in inputs {
                    let (maker, finish) = self.placed[edge.task as usize].unwrap();
                    start = start.max(finish + if maker == worker { 0.0 } else { edge.cost });
                }
                if start < last_start || start + self.rest[task as usize] >= self.best {
                    continue;
                }
                let finish = start + self.problem.cost(task, worker as u32);
                let before = std::mem::replace(&mut self.free[worker], finish);
                self.placed[task as usize] = Some((worker, finish));
                self.go(left - 1, start, makespan.max(finish));
                self.placed[task as usize] = None;
                self.free[worker] = before;
            }
        }
    }
}

/// `known` is the length of some schedule.
fn optimum(problem: &Problem, known: f64) -> f64 {
    let mut rest = vec![0.0; problem.tasks()];
    for &task in problem.order().iter().rev() {
        let after = problem.successors(task).iter().map(|edge| rest[edge.task as usize]).fold(0.0, f64::max);
        rest[task as usize] = problem.least_cost(task) + after;
    }
    let (placed, free) = (vec![None; problem.tasks()], vec![0.0; problem.workers()]);
    let mut search = Search { problem, rest, placed, free, best: known * (1.0 + 1e-12) };
    search.go(problem.tasks(), 0.0, 0.0);
    search.best
}

/// Mean ratios to the optimum over `rounds` graphs whose communication costs `ccr` mean costs, for each scheduler.
fn mean_ratios(random: &mut Random, rounds: usize, ccr: &[f64]) -> Vec<f64> {
    let mut means = vec![0.0; all(2).len()];
    for round in 0..rounds {
        let workers = 2 + round % 2;
        let tasks = 5 + random.below(3);
        let ccr = random.one_of(ccr);
        let problem = Shape { ccr, ..Shape::any(random, tasks, workers) }.problem(random);
        let lengths: Vec<f64> =
            all(workers).iter().map(|scheduler| scheduled(scheduler, problem.clone()).makespan()).collect();
        let best = optimum(&problem, lengths.iter().copied().fold(f64::INFINITY, f64::min));
        for (mean, length) in means.iter_mut().zip(&lengths) {
            assert!(*length >= best * (1.0 - 1e-9), "{length} is shorter than {best}");
            *mean += length / best / rounds as f64;
        }
    }
    means
}

/// The bounds on the means are what was measured, rounded up to the next percent.
#[test]
fn no_schedule_is_shorter_than_the_optimum_and_the_mean_is_near_it() {
    let mut random = Random(4);
    let cheap = mean_ratios(&mut random, 100, &[0.1, 0.5, 1.0]);
    let dear = mean_ratios(&mut random, 100, &[5.0, 10.0]);
    // HEFT, HEFT with summed ranks, CPOP, PEFT, lists by rank, lists in order.
    let bounds = [[1.05, 1.11, 1.06, 1.07, 1.26, 1.28], [1.90, 1.94, 1.99, 1.85, 3.72, 3.79]];
    for (means, bounds) in [cheap, dear].iter().zip(bounds) {
        assert!(
            means.iter().zip(bounds).all(|(mean, bound)| *mean <= bound),
            "{means:?} is beyond {bounds:?}"
        );
    }
}
