//! ampeg 0.2.0 (github.com/sjpet/ampeg): its graphs, its ranks and its schedules, and the bugs that must not come back.

use super::super::{Heft, Problem, Ranking, ScheduleError, Scheduler, Selection};
use super::{all, same_costs, scheduled};

fn ampeg(workers: usize) -> Heft {
    Heft::new(workers).ranking(Ranking::Sum).selection(Selection::EarliestStart)
}

const NAMES: [&str; 8] = ["stats_0", "stats_1", "2", "3", "4", "5", "6", "final"];

/// `test_graph_1` of its tests; what is needed twice from one task is two edges.
fn test_graph_1(workers: usize) -> Problem {
    let edges = [
        (0, 4, 5.0),
        (1, 4, 3.0),
        (0, 4, 0.0),
        (1, 4, 0.0),
        (2, 5, 13.0),
        (4, 5, 6.0),
        (4, 5, 0.0),
        (3, 6, 7.0),
        (1, 6, 8.0),
        (1, 6, 0.0),
        (5, 7, 12.0),
        (6, 7, 10.0),
    ];
    Problem::new(workers, None, same_costs(&[13.0, 52.0, 64.0, 38.0, 56.0, 75.0, 75.0, 42.0]), &edges)
        .unwrap()
}

/// `test_graph_2_a` and `test_graph_2_b` of its tests, which differ in the costs of tasks 3 and 4.
fn test_graph_2(workers: usize, third: f64, fourth: f64) -> Problem {
    let edges = [(0, 1), (0, 2), (1, 3), (2, 3), (1, 4), (2, 4), (3, 5), (4, 6)];
    let costs = same_costs(&[1.0, 4.0, 2.0, third, fourth, 2.0, 2.0]);
    Problem::new(workers, None, costs, &edges.map(|(from, to)| (from, to, 1.0))).unwrap()
}

/// The graph of its README: three², four², ten halves, their sum, their product and the difference.
fn readme_graph(workers: usize) -> Problem {
    let edges = [(0, 3), (1, 3), (0, 4), (2, 4), (3, 5), (4, 5)];
    let costs = same_costs(&[10.8, 10.8, 11.0, 10.7, 10.8, 10.9]);
    Problem::new(workers, None, costs, &edges.map(|(from, to)| (from, to, 1.0))).unwrap()
}

fn named_lists(heft: &Heft, problem: Problem) -> Vec<Vec<&'static str>> {
    let schedule = scheduled(heft, problem);
    let named = |list: &Vec<u32>| list.iter().map(|task| NAMES[*task as usize]).collect();
    schedule.task_lists().iter().map(named).collect()
}

#[test]
fn am_08_summed_ranks_are_those_of_ampeg() {
    let found = ampeg(4).ranks(&test_graph_1(4));
    assert_eq!(found, [210.5, 385.0, 201.5, 173.5, 197.5, 137.5, 135.5, 53.0]);
}

#[test]
fn am_09_schedules_on_four_workers_are_those_of_ampegs_tests() {
    let found = named_lists(&ampeg(4), test_graph_1(4));
    let expected = [vec!["stats_1", "4", "5", "final"], vec!["stats_0", "6"], vec!["2"], vec!["3"]];
    assert_eq!(found, expected);
}

/// The lists were read off ampeg 0.2.0 itself.
#[test]
fn am_09_schedules_on_fewer_workers_are_those_of_ampeg() {
    let one = [vec!["stats_1", "stats_0", "2", "4", "3", "5", "6", "final"]];
    assert_eq!(named_lists(&ampeg(1), test_graph_1(1)), one);
    let two = [vec!["stats_1", "4", "5"], vec!["stats_0", "2", "3", "6", "final"]];
    assert_eq!(named_lists(&ampeg(2), test_graph_1(2)), two);
    let three = [vec!["stats_1", "4", "5", "final"], vec!["stats_0", "3", "6"], vec!["2"]];
    assert_eq!(named_lists(&ampeg(3), test_graph_1(3)), three);
}

/// The lists were read off ampeg 0.2.0 itself. Two tasks of its graph have the same rank.
#[test]
fn am_09_tasks_of_equal_rank_go_where_ampeg_puts_them() {
    let graph = |workers| test_graph_2(workers, 6.0, 3.0);
    assert_eq!(scheduled(&ampeg(1), graph(1)).task_lists(), [vec![0, 1, 2, 3, 4, 6, 5]]);
    assert_eq!(scheduled(&ampeg(2), graph(2)).task_lists(), [vec![0, 1, 3, 5], vec![2, 4, 6]]);
    let graph = |workers| test_graph_2(workers, 3.0, 6.0);
    assert_eq!(scheduled(&ampeg(1), graph(1)).task_lists(), [vec![0, 1, 2, 4, 3, 6, 5]]);
    assert_eq!(scheduled(&ampeg(2), graph(2)).task_lists(), [vec![0, 1, 4, 6], vec![2, 3, 5]]);
}

/// The lists were read off ampeg 0.2.0 itself.
#[test]
fn am_09_the_readmes_graph_is_scheduled_as_by_ampeg() {
    let lists = |workers| scheduled(&ampeg(workers), readme_graph(workers)).task_lists().to_vec();
    assert_eq!(lists(1), [vec![0, 2, 1, 4, 3, 5]]);
    assert_eq!(lists(2), [vec![0, 1, 3, 5], vec![2, 4]]);
    assert_eq!(lists(3), [vec![0, 3], vec![2, 4, 5], vec![1]]);
    assert_eq!(lists(4), [vec![0, 3], vec![2, 4, 5], vec![1], vec![]]);
}

#[test]
fn am_09_of_parallel_edges_the_greatest_cost_counts() {
    let problem = test_graph_1(4);
    assert_eq!(problem.edges(), 8);
    let costs: Vec<_> = problem.predecessors(6).iter().map(|edge| (edge.task, edge.cost)).collect();
    assert_eq!(costs, [(1, 8.0), (3, 7.0)]);
}

/// The bug (a): without communication costs a result was used on another process before it was received.
#[test]
fn results_that_cost_nothing_to_send_are_waited_for_all_the_same() {
    let edges = [(0, 2), (1, 2), (2, 3), (2, 4), (3, 5), (4, 5)].map(|(from, to)| (from, to, 0.0));
    for workers in 1..=4 {
        for scheduler in all(workers) {
            let problem =
                Problem::new(workers, None, same_costs(&[3.0, 2.0, 1.0, 4.0, 4.0, 1.0]), &edges).unwrap();
            let schedule = scheduled(&scheduler, problem);
            let expected = if workers == 1 { 15.0 } else { 9.0 };
            assert_eq!(schedule.makespan(), expected, "{} on {workers}", scheduler.name());
        }
    }
}

/// The other bug of (a): tasks without costs were put before what they depend on. Numbers run against the edges here.
#[test]
fn tasks_that_cost_nothing_come_after_what_they_depend_on() {
    let edges: Vec<_> = (1..50).map(|task| (task, task - 1, 0.0)).collect();
    for workers in 1..=3 {
        for scheduler in all(workers) {
            let problem = Problem::new(workers, None, same_costs(&[0.0; 50]), &edges).unwrap();
            let schedule = scheduled(&scheduler, problem);
            for list in schedule.task_lists() {
                assert!(list.is_sorted_by(|a, b| a > b), "{}: {list:?}", scheduler.name());
            }
        }
    }
}

/// The bug (c): a cycle gave an empty result.
#[test]
fn a_cycle_is_an_error_that_names_it() {
    let edges = [(0, 1, 0.0), (1, 2, 0.0), (2, 3, 0.0), (3, 1, 0.0), (2, 4, 0.0)];
    let error = Problem::new(2, None, same_costs(&[1.0; 5]), &edges).unwrap_err();
    assert_eq!(error, ScheduleError::Cycle { tasks: vec![1, 2, 3] });
    assert_eq!(
        error.to_string(),
        "tasks wait for each other: #1 → #2 → #3 → #1; remove one of these dependencies"
    );
}

/// AM-24.
#[test]
fn am_24_no_workers_are_an_error_and_no_tasks_an_empty_schedule() {
    assert_eq!(Problem::new(0, None, [], &[]).unwrap_err(), ScheduleError::NoWorkers);
    for scheduler in all(3) {
        assert_eq!(scheduled(&scheduler, Problem::new(3, None, [], &[]).unwrap()).placements(), []);
    }
}

/// The bug (j): scheduling took quadratic time and more. With such a scheduler this test would not end.
#[test]
fn many_tasks_are_scheduled_whatever_their_shape() {
    let tasks = 10_000_u32;
    let chain: Vec<_> = (1..tasks).map(|task| (task - 1, task, 1.0)).collect();
    let star: Vec<_> = (1..tasks).map(|task| (0, task, 1.0)).collect();
    let layers: Vec<_> = (100..tasks)
        .flat_map(|task| {
            [1, 37, 61].map(|step| (task - 100 - (task - 100) % 100 + (task * step) % 100, task, 9.0))
        })
        .collect();
    for edges in [Vec::new(), chain, star, layers] {
        for scheduler in all(8) {
            let costs: Vec<_> = (0..tasks).map(|task| f64::from(task % 7)).collect();
            let problem = Problem::new(8, None, same_costs(&costs), &edges).unwrap();
            assert_eq!(scheduled(&scheduler, problem).placements().len(), tasks as usize);
        }
    }
}

#[test]
fn summed_ranks_that_are_infinite_still_give_a_schedule() {
    // Two tasks on each level, and two edges from each to the next one: 2 to the power of 1100 ways.
    let edges: Vec<_> =
        (0..2200_u32).flat_map(|task| [2, 3].map(|step| (task, task - task % 2 + step, 1.0))).collect();
    let problem = Problem::new(3, None, same_costs(&[1.0; 2202]), &edges).unwrap();
    assert_eq!(ampeg(3).ranks(&problem)[0], f64::INFINITY);
    assert_eq!(scheduled(&ampeg(3), problem).placements().len(), 2202);
}
