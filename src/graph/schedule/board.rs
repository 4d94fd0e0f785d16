//! A schedule in the making: [`Board`].
//!
//! Owns the timelines of the workers and what has been placed. A scheduler says in which order tasks come and which
//! worker it prefers; here is how early each could start, with the insertion-based policy of Topcuoglu, Hariri and Wu
//! ("Performance-effective and low-complexity task scheduling for heterogeneous computing", IEEE TPDS 13(3), 2002,
//! §4.2): a task may go between two that were placed before it.

use super::problem::Problem;
use super::scheduler::Placement;
use super::timeline::Timeline;

#[derive(Debug)]
pub(super) struct Board<'p> {
    problem: &'p Problem,
    timelines: Vec<Timeline>,
    /// By task; what it says of a task that has not been placed means nothing.
    placements: Vec<Placement>,
    /// The rest belongs to the task in hand: its costs, and when its inputs are there, for each worker.
    costs: Vec<f64>,
    ready: Vec<f64>,
    inputs: Inputs,
}

/// When the results of a task's predecessors are there, by the workers that make them.
#[derive(Debug)]
struct Inputs {
    /// Workers that make any.
    makers: Vec<u32>,
    is_maker: Vec<bool>,
    /// When all that a worker makes is there at the worker itself, and at others.
    here: Vec<f64>,
    elsewhere: Vec<f64>,
}

impl<'p> Board<'p> {
    pub(super) fn new(problem: &'p Problem) -> Self {
        let workers = problem.workers();
        let mut shortest = vec![f64::INFINITY; workers];
        let mut costs = vec![0.0; workers];
        let mut placements = Vec::with_capacity(problem.tasks());
        for task in 0..problem.tasks() as u32 {
            problem.write_costs(task, &mut costs);
            for (shortest, cost) in shortest.iter_mut().zip(&costs) {
                *shortest = shortest.min(*cost);
            }
            placements.push(Placement { task, worker: 0, start: 0.0, finish: 0.0 });
        }
        Self {
            problem,
            timelines: shortest.into_iter().map(Timeline::new).collect(),
            placements,
            costs,
            ready: vec![0.0; workers],
            inputs: Inputs {
                makers: Vec::new(),
                is_maker: vec![false; workers],
                here: vec![0.0; workers],
                elsewhere: vec![0.0; workers],
            },
        }
    }

    /// Places `task`, whose predecessors have been placed, where `score(worker, start, finish)` is least, and on the first
    /// such worker. `score` may not fall when `start` and `finish` rise.
    pub(super) fn place_best(&mut self, task: u32, score: impl Fn(usize, f64, f64) -> f64) {
        self.take_up(task);
        let mut best: Option<(f64, usize, f64)> = None;
        for (worker, timeline) in self.timelines.iter().enumerate() {
            let (ready, cost) = (self.ready[worker], self.costs[worker]);
            // Most workers need no search: even if they were free they would not be better.
            if best.is_some_and(|(least, ..)| score(worker, ready, ready + cost) >= least) {
                continue;
            }
            let start = timeline.earliest(ready, cost);
            let score = score(worker, start, start + cost);
            if best.is_none_or(|(least, ..)| score < least) {
                best = Some((score, worker, start));
            }
        }
        let (_, worker, start) = best.expect("a problem has a worker");
        self.put(task, worker, start);
    }

    /// Places `task`, whose predecessors have been placed, on `worker`.
    pub(super) fn place_on(&mut self, task: u32, worker: usize) {
        self.take_up(task);
        let start = self.timelines[worker].earliest(self.ready[worker], self.costs[worker]);
        self.put(task, worker, start);
    }

    pub(super) fn into_placements(self) -> Vec<Placement> {
        self.placements
    }

    fn put(&mut self, task: u32, worker: usize, start: f64) {
        let finish = start + self.costs[worker];
        self.timelines[worker].take(start, finish);
        self.placements[task as usize] = Placement { task, worker: worker as u32, start, finish };
    }

    /// Fills in costs and times of readiness.
    ///
    /// A worker waits for what the other workers send and for what it makes itself. Among others only the latest
    /// counts, and the second latest for the worker that sends the latest; so this takes time for predecessors and for
    /// workers, and not for pairs of them.
    fn take_up(&mut self, task: u32) {
        self.problem.write_costs(task, &mut self.costs);
        let inputs = &mut self.inputs;
        for edge in self.problem.predecessors(task) {
            let made = self.placements[edge.task as usize];
            let worker = made.worker as usize;
            if !inputs.is_maker[worker] {
                inputs.is_maker[worker] = true;
                inputs.makers.push(made.worker);
            }
            inputs.here[worker] = inputs.here[worker].max(made.finish);
            inputs.elsewhere[worker] = inputs.elsewhere[worker].max(made.finish + edge.cost);
        }
        let (mut latest, mut second, mut sender) = (0.0_f64, 0.0_f64, usize::MAX);
        for &maker in &inputs.makers {
            let arrival = inputs.elsewhere[maker as usize];
            if arrival > latest {
                (second, latest, sender) = (latest, arrival, maker as usize);
            } else {
                second = second.max(arrival);
            }
        }
        self.ready.fill(latest);
        for maker in inputs.makers.drain(..).map(|maker| maker as usize) {
            let sent = if maker == sender { second } else { latest };
            self.ready[maker] = sent.max(inputs.here[maker]);
            inputs.is_maker[maker] = false;
            inputs.here[maker] = 0.0;
            inputs.elsewhere[maker] = 0.0;
        }
    }
}
