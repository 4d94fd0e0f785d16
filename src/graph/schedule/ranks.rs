//! How urgent tasks are: ranks, and the order that follows from them.
//!
//! Owns the upward and the downward rank of Topcuoglu, Hariri and Wu (IEEE TPDS 13(3), 2002, §4.1), and the list of ready
//! tasks that turns any ranks into an order. Promises that this order is topological whatever the ranks are: equal, zero
//! or infinite.

use super::problem::Problem;
use std::collections::BinaryHeap;

/// The longest way from the start of each task to the end of the last one, in mean costs.
pub(super) fn upward(problem: &Problem) -> Vec<f64> {
    let mut ranks = vec![0.0; problem.tasks()];
    for &task in problem.order().iter().rev() {
        let rest = problem.successors(task).iter().map(|edge| edge.cost + ranks[edge.task as usize]);
        ranks[task as usize] = problem.mean_cost(task) + rest.fold(0.0, f64::max);
    }
    ranks
}

/// The longest way from the start of the first task to the start of each one, in mean costs.
pub(super) fn downward(problem: &Problem) -> Vec<f64> {
    let mut ranks = vec![0.0; problem.tasks()];
    for &task in problem.order() {
        let ways = problem.predecessors(task).iter().map(|edge| {
            let before = edge.task;
            ranks[before as usize] + problem.mean_cost(before) + edge.cost
        });
        ranks[task as usize] = ways.fold(0.0, f64::max);
    }
    ranks
}

/// The rank of ampeg 0.2: a task's mean cost, the mean of what its inputs cost to send, and the sum of its successors'
/// ranks. It counts ways, so it may be infinite in a deep graph.
pub(super) fn sum(problem: &Problem) -> Vec<f64> {
    let mut ranks = vec![0.0; problem.tasks()];
    for &task in problem.order().iter().rev() {
        let inputs = problem.predecessors(task);
        let sent = inputs.iter().map(|edge| edge.cost).sum::<f64>() / inputs.len().max(1) as f64;
        let rest = problem.successors(task).iter().map(|edge| ranks[edge.task as usize]).sum::<f64>();
        ranks[task as usize] = problem.mean_cost(task) + sent + rest;
    }
    ranks
}

/// How many edges the longest way from a task without predecessors to each task has.
pub(super) fn levels(problem: &Problem) -> Vec<u32> {
    let mut levels = vec![0; problem.tasks()];
    for &task in problem.order() {
        let inputs = problem.predecessors(task).iter();
        levels[task as usize] = inputs.map(|edge| levels[edge.task as usize] + 1).max().unwrap_or(0);
    }
    levels
}

/// Of tasks of equal rank the one with the lower number comes first.
pub(super) fn lower_number_first(task: u32) -> u64 {
    u64::from(!task)
}

/// All tasks: again and again the one of the highest rank among those whose predecessors have all been listed; of equal
/// ranks the one with the greatest `tie`.
pub(super) fn by_rank(problem: &Problem, ranks: &[f64], tie: impl Fn(u32) -> u64) -> Vec<u32> {
    // The bits of numbers that are not negative are in the order of the numbers.
    let key = |task: u32| (ranks[task as usize].to_bits(), tie(task), task);
    let numbers = 0..problem.tasks() as u32;
    let mut missing: Vec<usize> = numbers.clone().map(|task| problem.predecessors(task).len()).collect();
    let mut ready: BinaryHeap<_> = numbers.filter(|task| missing[*task as usize] == 0).map(key).collect();
    let mut order = Vec::with_capacity(problem.tasks());
    while let Some((_, _, task)) = ready.pop() {
        order.push(task);
        for edge in problem.successors(task) {
            let missing = &mut missing[edge.task as usize];
            *missing -= 1;
            if *missing == 0 {
                ready.push(key(edge.task));
            }
        }
    }
    order
}
