//! What holds for any graph and any costs.

use super::super::{
    ListScheduler, Priority, Problem, Schedule, ScheduleError, Scheduler, TaskCost, Violation,
};
use super::{all, scheduled};
use proptest::prelude::*;
use std::sync::Arc;

fn any_cost() -> BoxedStrategy<f64> {
    prop_oneof![
        3 => Just(0.0),
        3 => Just(1.0),
        3 => (0..5_u32).prop_map(f64::from),
        3 => 0.0..10.0_f64,
        1 => 0.0..1e250_f64,
        1 => 0.0..1e-250_f64,
        1 => Just(5e-324),
        1 => Just(-0.0),
    ]
    .boxed()
}

/// Either nothing, or far more than the tolerance of the check.
fn usual_cost() -> BoxedStrategy<f64> {
    prop_oneof![1 => Just(0.0), 3 => (1..5_u32).prop_map(f64::from), 3 => 0.5..10.0_f64].boxed()
}

/// Edges between random tasks, in the direction of a random order of them, so that numbers say nothing.
fn any_problem(cost: fn() -> BoxedStrategy<f64>) -> impl Strategy<Value = Problem> {
    (1..6_usize, 0..30_usize).prop_flat_map(move |(workers, tasks)| {
        let task_cost = prop_oneof![
            3 => cost().prop_map(TaskCost::Same),
            1 => prop::collection::vec(cost(), workers).prop_map(TaskCost::from),
        ];
        let costs = prop::collection::vec(task_cost, tasks);
        let ends = 0..tasks.max(1) as u32;
        let edges = prop::collection::vec((ends.clone(), ends, cost()), 0..60);
        let order = Just((0..tasks as u32).collect::<Vec<_>>()).prop_shuffle();
        let speeds = prop::option::of(prop::collection::vec(0.25..4.0_f64, workers));
        (Just(workers), speeds, costs, edges, order).prop_map(|(workers, speeds, costs, edges, order)| {
            let edges: Vec<_> = edges
                .into_iter()
                .filter(|(a, b, _)| a != b && !order.is_empty())
                .map(|(a, b, cost)| (order[a.min(b) as usize], order[a.max(b) as usize], cost))
                .collect();
            Problem::new(workers, speeds.as_deref(), costs, &edges).unwrap()
        })
    })
}

/// Workers run their lists, each task as soon as its inputs are there. How many tasks have run when nobody can go on?
fn run_lists(schedule: &Schedule) -> usize {
    let problem = schedule.problem();
    let mut done = vec![false; problem.tasks()];
    let mut next = vec![0; problem.workers()];
    let mut ran = 0;
    loop {
        let before = ran;
        for (next, list) in next.iter_mut().zip(schedule.task_lists()) {
            while let Some(&task) = list.get(*next) {
                if !problem.predecessors(task).iter().all(|edge| done[edge.task as usize]) {
                    break;
                }
                done[task as usize] = true;
                *next += 1;
                ran += 1;
            }
        }
        if ran == before {
            return ran;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_schedule_keeps_the_rules(problem in any_problem(any_cost)) {
        let problem = Arc::new(problem);
        for scheduler in all(problem.workers()) {
            let schedule = match scheduler.schedule(problem.clone()) {
                Ok(schedule) => schedule,
                Err(error) => return Err(TestCaseError::fail(format!("{}: {error}", scheduler.name()))),
            };
            prop_assert_eq!(schedule.placements(), scheduler.place(&problem), "{}", scheduler.name());
            prop_assert_eq!(run_lists(&schedule), problem.tasks(), "{} lets workers wait in a circle", scheduler.name());
            prop_assert!(schedule.slr() >= 1.0 - 1e-9);
            prop_assert!((0.0..=1.0).contains(&schedule.utilisation()));
            prop_assert!(schedule.efficiency() <= schedule.speedup());
        }
    }

    /// Each placement was the earliest on its worker, so none may move forward, however little.
    #[test]
    fn moving_a_task_forward_is_found(problem in any_problem(usual_cost), task in any::<prop::sample::Index>(), part in 1e-6..1.0_f64) {
        let problem = Arc::new(problem);
        for scheduler in all(problem.workers()).into_iter().take(4) {
            let mut placements = scheduler.place(&problem);
            placements.retain(|placement| placement.start > 0.0 && placement.finish > placement.start);
            let Some(chosen) = (!placements.is_empty()).then(|| placements[task.index(placements.len())]) else {
                continue;
            };
            let mut placements = scheduler.place(&problem);
            let moved = &mut placements[chosen.task as usize];
            moved.start -= moved.start * part;
            moved.finish = moved.start + problem.cost(moved.task, moved.worker);
            let violations = match Schedule::new(problem.clone(), placements).validate() {
                Err(ScheduleError::Invalid { violations }) => violations,
                other => return Err(TestCaseError::fail(format!("{}: {other:?}", scheduler.name()))),
            };
            let is_named = violations.iter().any(|violation| match violation {
                Violation::TooEarly { task, .. } => task.task == chosen.task,
                Violation::Overlap { first, second, .. } => [first.task, second.task].contains(&chosen.task),
                _ => false,
            });
            prop_assert!(is_named, "{}: {:?}", scheduler.name(), violations);
        }
    }

    /// Graham's theorem: while a worker is idle, a task of some way through the graph runs.
    #[test]
    fn lists_are_as_short_as_graham_says(
        costs in prop::collection::vec(0.0..10.0_f64, 1..30),
        edges in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..60),
        workers in 1..6_usize,
        is_fifo in any::<bool>(),
    ) {
        let edges: Vec<_> = edges
            .into_iter()
            .map(|(a, b)| (a.index(costs.len()) as u32, b.index(costs.len()) as u32))
            .filter(|(a, b)| a < b)
            .map(|(a, b)| (a, b, 0.0))
            .collect();
        let total: f64 = costs.iter().sum();
        let problem = Problem::new(workers, None, costs.into_iter().map(TaskCost::Same), &edges).unwrap();
        let priority = if is_fifo { Priority::Fifo } else { Priority::UpwardRank };
        let schedule = scheduled(&ListScheduler::new(workers).priority(priority), problem);
        let longest = schedule.makespan() / schedule.slr();
        let share = 1.0 / workers as f64;
        let bound = total * share + (1.0 - share) * longest;
        prop_assert!(schedule.makespan() <= bound * (1.0 + 1e-9), "{} is beyond {bound}", schedule.makespan());
    }
}
