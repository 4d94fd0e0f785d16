//! The schedulers against the papers' examples, against plain versions of themselves, against the optimum and against the
//! rules; and the rules against broken schedules.

mod ampeg;
mod lists;
mod measures;
mod naive;
mod optimum;
mod papers;
mod problems;
mod properties;
mod random;
mod violations;

use super::{
    Cpop, Heft, ListScheduler, Peft, Placement, Priority, Problem, Ranking, Schedule, Scheduler, Selection,
    TaskCost,
};
use std::sync::Arc;

fn all(workers: usize) -> Vec<Box<dyn Scheduler>> {
    vec![
        Box::new(Heft::new(workers)),
        Box::new(Heft::new(workers).ranking(Ranking::Sum).selection(Selection::EarliestStart)),
        Box::new(Cpop::new(workers)),
        Box::new(Peft::new(workers)),
        Box::new(ListScheduler::new(workers)),
        Box::new(ListScheduler::new(workers).priority(Priority::Fifo)),
    ]
}

fn same_costs(costs: &[f64]) -> Vec<TaskCost> {
    costs.iter().copied().map(TaskCost::Same).collect()
}

fn scheduled(scheduler: &dyn Scheduler, problem: Problem) -> Schedule {
    scheduler.schedule(Arc::new(problem)).unwrap_or_else(|error| panic!("{}: {error}", scheduler.name()))
}

/// The example of Topcuoglu, Hariri and Wu (IEEE TPDS 13(3), 2002), Fig. 2: ten tasks on three processors. Task 0 here is
/// their n1.
fn heft_example() -> Problem {
    let costs = [
        [14.0, 16.0, 9.0],
        [13.0, 19.0, 18.0],
        [11.0, 13.0, 19.0],
        [13.0, 8.0, 17.0],
        [12.0, 13.0, 10.0],
        [13.0, 16.0, 9.0],
        [7.0, 15.0, 11.0],
        [5.0, 11.0, 14.0],
        [18.0, 12.0, 20.0],
        [21.0, 7.0, 16.0],
    ];
    let edges = [
        (0, 1, 18.0),
        (0, 2, 12.0),
        (0, 3, 9.0),
        (0, 4, 11.0),
        (0, 5, 14.0),
        (1, 7, 19.0),
        (1, 8, 16.0),
        (2, 6, 23.0),
        (3, 7, 27.0),
        (3, 8, 23.0),
        (4, 8, 13.0),
        (5, 7, 15.0),
        (6, 9, 17.0),
        (7, 9, 11.0),
        (8, 9, 13.0),
    ];
    Problem::new(3, None, costs.map(|row| TaskCost::from(row.to_vec())), &edges).unwrap()
}

fn assert_near(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= tolerance, "number {index} is {found}, not {expected}");
    }
}

fn placements(rows: &[(u32, u32, f64, f64)]) -> Vec<Placement> {
    rows.iter().map(|&(task, worker, start, finish)| Placement { task, worker, start, finish }).collect()
}
