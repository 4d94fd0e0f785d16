//! What a problem is made of, and what is refused.

use super::super::{Edge, Problem, ScheduleError, TaskCost};
use super::same_costs;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn error(workers: usize, speeds: Option<&[f64]>, costs: Vec<TaskCost>, edges: &[(u32, u32, f64)]) -> String {
    Problem::new(workers, speeds, costs, edges).unwrap_err().to_string()
}

#[test]
fn bad_workers_are_refused() {
    assert!(error(0, None, vec![], &[]).starts_with("there are no workers"));
    let two = same_costs(&[1.0]);
    assert!(error(2, Some(&[1.0]), two.clone(), &[]).starts_with("1 speeds were given for 2 workers"));
    for speed in [0.0, -0.0, -1.0, f64::NAN, f64::INFINITY] {
        let text = error(2, Some(&[1.0, speed]), two.clone(), &[]);
        assert!(text.starts_with(&format!("worker 1 has the speed {speed}")), "{text}");
    }
    assert!(Problem::new(usize::MAX, None, [], &[]).is_err());
}

#[test]
fn bad_costs_are_refused_and_named() {
    for cost in [-1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let text = error(2, None, same_costs(&[1.0, cost]), &[]);
        assert!(text.starts_with(&format!("task #1 costs {cost}, ")), "{text}");
        let text = error(2, None, vec![TaskCost::from(vec![1.0, cost])], &[]);
        assert!(text.starts_with(&format!("task #0 costs {cost} on worker 1, ")), "{text}");
        let text = error(2, None, same_costs(&[1.0, 1.0]), &[(0, 1, cost)]);
        assert!(
            text.starts_with(&format!("the communication from task #0 to task #1 costs {cost}")),
            "{text}"
        );
    }
    let text = error(3, None, vec![TaskCost::from(vec![1.0, 2.0])], &[]);
    assert!(text.starts_with("task #0 has 2 costs for 3 workers"), "{text}");
}

#[test]
fn costs_whose_sums_are_infinite_are_refused() {
    assert!(error(1, None, same_costs(&[1e300]), &[]).starts_with("all costs together are 1e300"));
    assert!(error(1, None, same_costs(&[f64::MAX; 3]), &[]).starts_with("all costs together are inf"));
    assert!(error(1, None, same_costs(&[0.0, 0.0]), &[(0, 1, 1e300)]).starts_with("all costs together"));
    // A cost that is finite itself, but not at the speed of the worker.
    assert!(
        error(1, Some(&[1e-300]), same_costs(&[1e200]), &[]).starts_with("task #0 costs inf on worker 0")
    );
}

#[test]
fn edges_that_lead_nowhere_are_refused() {
    let text = error(1, None, same_costs(&[1.0, 1.0]), &[(0, 1, 0.0), (1, 2, 0.0)]);
    assert!(text.starts_with("edge 1 has task 2 at one end, but there are 2 tasks"), "{text}");
    assert!(
        error(1, None, vec![], &[(7, 0, 0.0)]).starts_with("edge 0 has task 7 at one end, but there are 0")
    );
}

#[test]
fn a_task_that_needs_itself_is_a_cycle() {
    let found = Problem::new(1, None, same_costs(&[1.0, 1.0]), &[(1, 1, 0.0)]).unwrap_err();
    assert_eq!(found, ScheduleError::Cycle { tasks: vec![1] });
}

#[test]
fn a_long_cycle_is_told_in_short() {
    let edges: Vec<_> = (0..100_000).map(|task| (task, (task + 1) % 100_000, 0.0)).collect();
    let text = error(1, None, same_costs(&vec![1.0; 100_000]), &edges);
    assert!(text.contains("… 99988 more"), "{text}");
    assert!(text.len() < 300);
}

#[test]
fn speeds_apply_to_common_costs_and_not_to_a_workers_own() {
    let costs = [TaskCost::Same(6.0), TaskCost::from(vec![6.0, 6.0, 9.0])];
    let problem = Problem::new(3, Some(&[1.0, 2.0, 3.0]), costs, &[]).unwrap();
    let costs = |task| [0, 1, 2].map(|worker| problem.cost(task, worker));
    assert_eq!((costs(0), costs(1)), ([6.0, 3.0, 2.0], [6.0, 6.0, 9.0]));
    assert!((problem.mean_cost(0) - 11.0 / 3.0).abs() < 1e-12);
    assert_eq!(problem.mean_cost(1), 7.0);
    assert_eq!((problem.least_cost(0), problem.least_cost(1)), (2.0, 6.0));
}

#[test]
fn a_worker_on_its_own_is_asked_for_and_not_there() {
    let problem = Problem::new(2, None, same_costs(&[1.0]), &[]).unwrap();
    assert!(std::panic::catch_unwind(|| problem.cost(0, 2)).is_err());
}

proptest! {
    #[test]
    fn edges_are_found_from_both_ends_and_cycles_are_cycles(
        tasks in 1..12_u32,
        ends in prop::collection::vec((0..12_u32, 0..12_u32, 0..9_u32), 0..30),
    ) {
        let edges: Vec<_> =
            ends.into_iter().map(|(from, to, cost)| (from % tasks, to % tasks, f64::from(cost))).collect();
        let mut expected: BTreeMap<(u32, u32), f64> = BTreeMap::new();
        for (from, to, cost) in &edges {
            let greatest = expected.entry((*from, *to)).or_default();
            *greatest = greatest.max(*cost);
        }
        // Tasks are taken away as long as one waits for none that is left.
        let mut left: Vec<u32> = (0..tasks).collect();
        while let Some(place) = left.iter().position(|task| !left.iter().any(|other| expected.contains_key(&(*other, *task)))) {
            left.remove(place);
        }
        match Problem::new(1, None, same_costs(&vec![1.0; tasks as usize]), &edges) {
            Ok(problem) => {
                prop_assert!(left.is_empty());
                prop_assert_eq!(problem.edges(), expected.len());
                for task in 0..tasks {
                    let row = |edges: &[Edge]| edges.iter().map(|edge| (edge.task, edge.cost)).collect::<Vec<_>>();
                    let of = |pick: fn(&(u32, u32)) -> (u32, u32)| {
                        expected.iter().filter(|(ends, _)| pick(ends).0 == task).map(|(ends, cost)| (pick(ends).1, *cost)).collect::<Vec<_>>()
                    };
                    prop_assert_eq!(row(problem.successors(task)), of(|ends| *ends));
                    prop_assert_eq!(row(problem.predecessors(task)), of(|ends| (ends.1, ends.0)));
                }
                let place = |task| problem.order().iter().position(|other| *other == task).unwrap();
                prop_assert_eq!(problem.order().len(), tasks as usize);
                prop_assert!(expected.keys().all(|(from, to)| place(*from) < place(*to)));
            }
            Err(ScheduleError::Cycle { tasks }) => {
                prop_assert!(!left.is_empty());
                let next = tasks.iter().cycle().skip(1);
                prop_assert!(tasks.iter().zip(next).all(|(from, to)| expected.contains_key(&(*from, *to))));
            }
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}
