//! The scenarios of the systems whose users come here: what their documentation says comes out, comes out.
//!
//! From the README, documentation and tests of ampeg 0.2.0 (sjpet/ampeg), of taskmap 0.0.6 (nsfinkelstein/taskmap) with
//! dgraph, and from what parman 0.4.3 promises of its `WaitGraph` and `Scheduler`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread;

use crate::fixture::{Count, Gate, Notes, every_plan, panic_of, pass, pass_io, square, told, total};
use crate::within;
use xfork::graph::schedule::{Ranking, Selection};
use xfork::{
    Graph, GraphFault, Heft, Node, Outcome, Plan, RunOptions, Skip, cpu_bound, fork, io_bound, process,
    ready, task, wait, with_plan,
};

/// As ampeg schedules.
fn earliest_finish(workers: usize) -> Heft {
    Heft::new(workers).ranking(Ranking::Sum).selection(Selection::EarliestStart)
}

#[cpu_bound]
fn halve(n: i64) -> i64 {
    n / 2
}

#[cpu_bound]
fn add(a: i64, b: i64) -> i64 {
    a + b
}

#[cpu_bound]
fn times(a: i64, b: i64) -> i64 {
    a * b
}

#[cpu_bound]
fn minus(a: i64, b: i64) -> i64 {
    a - b
}

/// (3² + 4²) - (3² · 10/2), with the costs of ampeg's README.
fn ampeg_readme() -> Graph {
    let mut graph = Graph::new();
    let three = graph.add("0", task(square, 3).cost(10.8)).unwrap();
    let four = graph.add("1", task(square, 4).cost(10.8)).unwrap();
    let half = graph.add("2", task(halve, 10).cost(11.0)).unwrap();
    let edge = |node: &Node<i64>| node.comm_cost(1.0);
    let sum = graph.add("3", task(add, (edge(&three), edge(&four))).cost(10.7)).unwrap();
    let product = graph.add("4", task(times, (edge(&three), edge(&half))).cost(10.8)).unwrap();
    graph.add("5", task(minus, (edge(&sum), edge(&product))).cost(10.9)).unwrap();
    graph
}

/// AM-07, AM-14, AM-21: the graph of ampeg's README, scheduled for one to four workers and run as scheduled, or at once.
#[test]
fn ampegs_readme_gives_its_results_on_any_number_of_workers() {
    within(120, || {
        let results = |done: &xfork::Outcomes| {
            (0..6).map(|n: i32| *done.value::<i64>(&n.to_string()).unwrap()).collect::<Vec<_>>()
        };
        for plan in [Plan::processes(2), Plan::threads(), Plan::sequential()] {
            with_plan(plan, || {
                for workers in 1..=4 {
                    for scheduler in [earliest_finish(workers), Heft::new(workers)] {
                        let mut graph = ampeg_readme();
                        let schedule = graph.schedule(scheduler).unwrap();
                        assert_eq!(schedule.task_lists().len(), workers);
                        let done = graph.run_schedule(&schedule).unwrap();
                        assert_eq!(results(&done), [9, 16, 5, 25, 45, -20]);
                    }
                }
                assert_eq!(results(&ampeg_readme().run().unwrap()), [9, 16, 5, 25, 45, -20]);
            });
        }
    });
}

/// AM-13: ampeg's basic usage, 3² + 8², and its filter of results.
#[test]
fn ampegs_basic_usage_gives_its_results() {
    within(60, || {
        every_plan(|plan| {
            let mut graph = Graph::new();
            let nine = graph.add("square 1", task(square, 3).cost(8.0)).unwrap();
            let sixty_four = graph.add("square 2", task(square, 8).cost(8.0)).unwrap();
            let inputs = [nine.comm_cost(1.0), sixty_four.comm_cost(1.0)].to_vec();
            let sum = graph.add("sum", task(total, inputs).cost(1.0)).unwrap();
            let done = graph.run().unwrap();
            assert_eq!((done[&sum], done[&nine], done[&sixty_four]), (73, 9, 64), "{plan}");
            graph.outputs(["sum"]);
            graph.reset(["square 1", "square 2"]).unwrap();
            let schedule = graph.schedule(earliest_finish(2)).unwrap();
            let done = graph.run_schedule(&schedule).unwrap();
            assert_eq!(
                (done.get(&sum), done.get(&nine), done.get(&sixty_four)),
                (Some(&73), None, None),
                "{plan}"
            );
        });
    });
}

type Point = (i64, i64);

#[cpu_bound]
fn squared_distance(point: Point) -> i64 {
    point.0 * point.0 + point.1 * point.1
}

/// ampeg's sums of squared distances for all pairs of two lists of points; with `multiplexed`, each also from the other side.
fn distances(a: &[Point], b: &[Point], multiplexed: bool) -> Graph {
    let mut graph = Graph::new();
    let mut points = |side: &str, points: &[Point]| -> Vec<Node<i64>> {
        let point = |(k, point): (usize, &Point)| {
            graph.add(format!("{side}/{k}"), task(squared_distance, *point).cost(4.0)).unwrap()
        };
        points.iter().enumerate().map(point).collect()
    };
    let (of_a, of_b) = (points("a", a), points("b", b));
    for (i, one) in of_a.iter().enumerate() {
        for (j, other) in of_b.iter().enumerate() {
            let pair = (one.comm_cost(1.0), other.comm_cost(1.0));
            graph.add(format!("sums/{i}/{j}"), task(add, pair.clone()).cost(2.0)).unwrap();
            if multiplexed {
                graph.add(format!("sums b/{j}/{i}"), task(add, pair).cost(2.0)).unwrap();
            }
        }
    }
    graph
}

/// What is under a prefix, by the rest of the name.
fn under(done: &xfork::Outcomes, prefix: &str) -> BTreeMap<String, i64> {
    let names =
        done.iter().filter_map(|(name, _)| Some((name, name.strip_prefix(prefix)?.strip_prefix('/')?)));
    names.map(|(name, rest)| (rest.to_string(), *done.value::<i64>(name).unwrap())).collect()
}

fn map(values: &[i64]) -> BTreeMap<String, i64> {
    values.iter().enumerate().map(|(key, &value)| (key.to_string(), value)).collect()
}

const FIRST: (&[Point], &[Point]) = (&[(3, 2), (6, -1)], &[(2, 4), (4, 2), (-4, -5)]);
const SECOND: (&[Point], &[Point]) = (&[(3, -3), (2, -1), (0, 5)], &[(0, 1), (-2, 3)]);

/// AM-01, AM-15: tuples as ids and nested results are names with a slash, of which a part is a prefix.
#[test]
fn ampegs_squared_distances_give_their_results() {
    within(60, || {
        every_plan(|plan| {
            let mut graph = distances(FIRST.0, FIRST.1, false);
            let schedule = graph.schedule(earliest_finish(2)).unwrap();
            let done = graph.run_schedule(&schedule).unwrap();
            assert_eq!(under(&done, "sums/1"), map(&[57, 57, 78]), "{plan}");
        });
    });
}

/// AM-11: the same sums from the other side, each computed once. Regression h: a name may be the begin of another.
#[test]
fn ampegs_duplicates_give_their_results() {
    within(60, || {
        let mut graph = distances(FIRST.0, FIRST.1, true);
        let twins = graph.remove_duplicates().unwrap();
        let expected: Vec<_> = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
            .map(|(i, j)| (format!("sums/{i}/{j}"), vec![format!("sums b/{j}/{i}")]))
            .into();
        // The points (2, 4) and (4, 2) are different arguments, so their sums are different tasks.
        assert_eq!(twins, expected);
        graph.add("sums", task(|| 0_i64, ())).unwrap();
        let schedule = graph.schedule(earliest_finish(2)).unwrap();
        let done = graph.run_schedule(&schedule).unwrap();
        assert_eq!(under(&done, "sums b/0"), map(&[33, 57]));
        assert_eq!(under(&done, "sums/1"), map(&[57, 57, 78]));
        assert_eq!(done.value::<i64>("sums").unwrap(), &0);
    });
}

/// AM-12: two such graphs, joined by prefixes.
#[test]
fn ampegs_joined_graphs_give_their_results() {
    within(60, || {
        every_plan(|plan| {
            let mut joined = Graph::new();
            for (k, (a, b)) in [FIRST, SECOND].into_iter().enumerate() {
                let mut graph = distances(a, b, true);
                graph.prefix(&k.to_string());
                joined.merge(graph).unwrap();
            }
            joined.remove_duplicates().unwrap();
            let schedule = joined.schedule(earliest_finish(2)).unwrap();
            let done = joined.run_schedule(&schedule).unwrap();
            assert!(done.is_done(), "{plan}");
            assert_eq!(under(&done, "1/sums/2"), map(&[26, 38]), "{plan}");
            assert_eq!(under(&done, "0/sums b/2"), map(&[54, 78]), "{plan}");
        });
    });
}

/// Mean and variance.
type Stats = BTreeMap<String, BTreeMap<String, f64>>;

#[cpu_bound]
fn stats(x: Vec<f64>) -> Stats {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    let variance = x.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / x.len() as f64;
    let parts = BTreeMap::from([("mu".to_string(), mean), ("var".to_string(), variance)]);
    BTreeMap::from([("dummy".to_string(), parts)])
}

#[cpu_bound]
fn squares(x: Vec<f64>) -> Vec<f64> {
    x.into_iter().map(|y| y * y).collect()
}

#[cpu_bound]
fn sum_stats(mean: f64, other_mean: f64, variance: f64, other_variance: f64) -> (f64, f64) {
    (mean + other_mean, variance + other_variance)
}

#[cpu_bound]
fn normalize(x: Vec<f64>, mean: f64, variance: f64) -> Vec<f64> {
    x.into_iter().map(|y| (y - mean) / variance).collect()
}

#[cpu_bound]
fn difference(x: Vec<f64>, y: Vec<f64>) -> Vec<f64> {
    x.into_iter().zip(y).map(|(x, y)| y - x).collect()
}

/// AM-03 to AM-05, AM-08: the first graph of ampeg's tests, with its costs, its keys and its ranks.
#[test]
fn ampegs_first_test_graph_gives_its_results() {
    let x = [
        vec![0., 6., 2., 6., 1., 2., 3., 7., 2., 3., 1., 5., 6., 2., 8.],
        vec![1., 4., 5., 2., 3., 1., 4., 4., 3., 2., 5., 6., 3., 2., 1.],
    ];
    within(60, || {
        let part = |node: &Node<Stats>, key: &'static str| {
            node.key(|all| all["dummy"].clone()).key(move |parts| parts[key])
        };
        let build = || {
            let mut graph = Graph::new();
            let stats_0 = graph.add("stats_0", task(stats, &x[0]).cost(13.0)).unwrap();
            let stats_1 = graph.add("stats_1", task(stats, &x[1]).cost(52.0)).unwrap();
            let two = graph.add("2", task(squares, &x[0]).cost(64.0)).unwrap();
            let three = graph.add("3", task(squares, &x[1]).cost(38.0)).unwrap();
            let means = (part(&stats_0, "mu").comm_cost(5.0), part(&stats_1, "mu").comm_cost(3.0));
            let inputs = (means.0, means.1, part(&stats_0, "var"), part(&stats_1, "var"));
            let four = graph.add("4", task(sum_stats, inputs).cost(56.0)).unwrap();
            let inputs =
                (two.comm_cost(13.0), four.key(|sums| sums.0).comm_cost(6.0), four.key(|sums| sums.1));
            let five = graph.add("5", task(normalize, inputs).cost(75.0)).unwrap();
            let inputs = (three.comm_cost(7.0), part(&stats_1, "mu").comm_cost(8.0), part(&stats_1, "var"));
            let six = graph.add("6", task(normalize, inputs).cost(75.0)).unwrap();
            let inputs = (five.comm_cost(12.0), six.comm_cost(10.0));
            let last = graph.add("final", task(difference, inputs).cost(42.0)).unwrap();
            (graph, last)
        };
        let (mut graph, last) = build();
        let schedule = graph.schedule(earliest_finish(4)).unwrap();
        let ranks = earliest_finish(4).ranks(schedule.problem());
        assert_eq!(ranks, [210.5, 385.0, 201.5, 173.5, 197.5, 137.5, 135.5, 53.0]);
        let lists: Vec<Vec<String>> = schedule
            .task_lists()
            .iter()
            .map(|list| list.iter().map(|&task| schedule.name(task)).collect())
            .collect();
        assert_eq!(lists, [vec!["stats_1", "4", "5", "final"], vec!["stats_0", "6"], vec!["2"], vec!["3"]]);
        let expected = {
            let both = [stats(x[0].clone()), stats(x[1].clone())];
            let part = |n: usize, key: &str| both[n]["dummy"][key];
            let sums = sum_stats(part(0, "mu"), part(1, "mu"), part(0, "var"), part(1, "var"));
            let five = normalize(squares(x[0].clone()), sums.0, sums.1);
            difference(five, normalize(squares(x[1].clone()), part(1, "mu"), part(1, "var")))
        };
        assert_eq!(graph.run_schedule(&schedule).unwrap()[&last], expected);
        every_plan(|plan| {
            let (mut graph, last) = build();
            assert_eq!(graph.run().unwrap()[&last], expected, "{plan}");
        });
    });
}

#[cpu_bound]
fn divide(a: i64, b: i64) -> i64 {
    a / b
}

/// AM-18, AM-19: the second graph of ampeg's tests: 0/0 fails one task and what needs it, on any worker.
#[test]
fn ampegs_second_test_graph_gives_its_errors() {
    fn length(all: Vec<i64>) -> i64 {
        all.len() as i64
    }

    within(60, || {
        for costs in [[1., 4., 2., 6., 3., 2., 2.], [1., 4., 2., 3., 6., 2., 2.]] {
            for is_scheduled in [true, false] {
                let mut graph = Graph::new();
                let edge = |node: &Node<i64>| node.comm_cost(1.0);
                let empty = graph.add("0", task(Vec::<i64>::new, ()).cost(costs[0])).unwrap();
                let sum = graph.add("1", task(total, empty.comm_cost(1.0)).cost(costs[1])).unwrap();
                let count = graph.add("2", task(length, empty.comm_cost(1.0)).cost(costs[2])).unwrap();
                let mean = graph.add("3", task(divide, (edge(&sum), edge(&count))).cost(costs[3])).unwrap();
                let both = graph.add("4", task(add, (edge(&sum), edge(&count))).cost(costs[4])).unwrap();
                let fifth = graph.add("5", task(square, edge(&mean)).cost(costs[5])).unwrap();
                let sixth = graph.add("6", task(square, edge(&both)).cost(costs[6])).unwrap();
                let done = if is_scheduled {
                    let schedule = graph.schedule(earliest_finish(2)).unwrap();
                    graph.run_schedule(&schedule).unwrap()
                } else {
                    graph.run().unwrap()
                };
                assert_eq!((&done[&empty], done[&sum], done[&count]), (&Vec::new(), 0, 0));
                assert_eq!((done[&both], done[&sixth]), (0, 0));
                let Outcome::Failed(error) = done.of_node(&mean) else { panic!("{done:?}") };
                assert!(error.is_panic() && error.message().contains("divide by zero"), "{error}");
                let skip = Skip::Ancestor { name: "3".into() };
                assert!(matches!(done.of_node(&fifth), Outcome::Skipped(found) if found == skip));
                assert!(panic_of(|| done[&fifth]).contains("divide by zero"));
            }
        }
    });
}

/// AM-17: ampeg's test of a child process that ends: only what it had to do is lost, at once and without a limit of time.
#[test]
fn ampegs_killed_process_loses_its_task_only() {
    #[cpu_bound]
    fn leave(_: i64) -> i64 {
        std::process::exit(0)
    }

    within(60, || {
        let mut graph = Graph::new();
        let one = graph.add("one", task(square, 1).cost(4.0)).unwrap();
        let two = graph.add("two", task(leave, &one).cost(2.0)).unwrap();
        let three = graph.add("three", task(square, &one).cost(2.0)).unwrap();
        graph.add("four", task(add, (&two, &three)).cost(1.0)).unwrap();
        let schedule = graph.schedule(earliest_finish(2)).unwrap();
        let done = with_plan(Plan::processes(2), || graph.run_schedule(&schedule).unwrap());
        let expected =
            ["one: done", "two: failed", "three: done", "four: skipped: its ancestor `two` failed"];
        assert_eq!(told(&done), expected);
        let Outcome::Failed(error) = done.of_node(&two) else { unreachable!() };
        assert_eq!((error.is_crash(), error.exit_code()), (true, Some(0)), "{error}");
    });
}

/// Regression i: a result that can't travel is an error of its task, and costs no worker and no other task anything.
#[test]
fn a_result_that_can_not_travel_fails_its_task_only() {
    #[derive(Clone)]
    struct Stubborn;
    impl serde::Serialize for Stubborn {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("it won't travel"))
        }
    }
    impl<'de> serde::Deserialize<'de> for Stubborn {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Ok(Self)
        }
    }

    within(60, || {
        with_plan(Plan::processes(1), || {
            let mut graph = Graph::new();
            let first = graph.add("process", task(std::process::id, ())).unwrap();
            let stubborn = graph.add("stubborn", task(|| Stubborn, ()).after(&first)).unwrap();
            graph.add("needs", task(io_bound(|_: Stubborn| 1), &stubborn)).unwrap();
            graph.add("given", task(cpu_bound(|_: Stubborn| 1), Stubborn)).unwrap();
            let last = task(std::process::id, ()).after(&first);
            let last = graph.add("process again", last).unwrap();
            let done = graph.run().unwrap();
            let expected = [
                "process: done",
                "stubborn: failed",
                "needs: skipped: its ancestor `stubborn` failed",
                "given: failed",
                "process again: done",
            ];
            assert_eq!(told(&done), expected);
            for (name, error) in done.failed() {
                assert!(
                    error.is_transport() && error.to_string().contains("could not be serialised"),
                    "{name}: {error}"
                );
            }
            assert_eq!(done[&first], done[&last]);
        });
    });
}

/// taskmap's a, b and c.
fn taskmap() -> Graph {
    let mut graph = Graph::new();
    graph.add_named("c", cpu_bound(|x: i64, y: i64| x + y + 20), ["a", "b"]);
    graph.add_named("b", io_bound(|x: i64| x + 10), ["a"]);
    graph.add_named("a", cpu_bound(|| 5_i64), []);
    graph
}

fn results(done: &xfork::Outcomes) -> Vec<(String, i64)> {
    done.iter().map(|(name, _)| (name.to_string(), *done.value::<i64>(name).unwrap())).collect()
}

/// TM-07, TM-08, DG-01: taskmap's graph gives a = 5, b = 15, c = 40 by every way of running it.
#[test]
fn taskmaps_graph_gives_its_results() {
    within(60, || {
        every_plan(|plan| {
            let done = taskmap().run().unwrap();
            let expected = [("c", 40), ("b", 15), ("a", 5)].map(|(name, value)| (name.to_string(), value));
            assert_eq!(results(&done), expected, "{plan}");
        });
    });
}

/// TM-06, TM-14: what taskmap calls ready, as tasks are done one after the other.
#[test]
fn taskmaps_ready_tasks_are_ready() {
    within(60, || {
        // a needs b and c, and b needs c.
        let build = || {
            let mut graph = Graph::new();
            graph.add_named("a", cpu_bound(|_: i64, _: i64| 1_i64), ["b", "c"]);
            graph.add_named("b", cpu_bound(|_: i64| 1_i64), ["c"]);
            graph.add_named("c", cpu_bound(|| 1_i64), []);
            graph
        };
        let mut graph = build();
        assert_eq!(graph.ready(), ["c"]);
        graph.mark_done("c", 1_i64).unwrap();
        assert_eq!(graph.ready(), ["b"]);
        let mut graph = build();
        graph.replace("c", task(|| 2_i64, ())).unwrap();
        graph.reset(["c"]).unwrap();
        graph.mark_done("a", 1_i64).unwrap();
        graph.mark_done("b", 1_i64).unwrap();
        assert_eq!(graph.ready(), ["c"]);
        // Those that wait first.
        let mut graph = Graph::new();
        graph.add_named("b", cpu_bound(|| 1_i64), []);
        graph.add_named("a", io_bound(|| 1_i64), []);
        assert_eq!(graph.ready(), ["a", "b"]);
    });
}

/// TM-11: taskmap's cached results.
#[test]
fn taskmaps_cached_results_are_used() {
    within(60, || {
        let mut graph = taskmap();
        graph.mark_done("a", 5_i64).unwrap();
        assert_eq!(graph.run().unwrap().value::<i64>("b").unwrap(), &15);
    });
}

/// TM-02 to TM-04: what taskmap refuses: a cycle, and a name without a function.
#[test]
fn taskmaps_faults_are_told() {
    within(60, || {
        let mut graph = Graph::new();
        for (name, input) in [("a", "b"), ("b", "c"), ("c", "a")] {
            graph.add_named(name, square, [input]);
        }
        let error = graph.check().unwrap_err();
        assert!(matches!(error.faults(), [GraphFault::Cycle { path }] if path == &["a", "b", "c"]));
        let mut graph = Graph::new();
        graph.add_named("alone", square, ["absent"]);
        let error = graph.check().unwrap_err();
        assert!(matches!(error.faults(), [GraphFault::UnknownInput { input, .. }] if input == "absent"));
    });
}

/// TM-09, TM-12: taskmap's failing graphs: `control` is done, `c` is not run because of `d`, and then only `w` stays done.
#[test]
fn taskmaps_failures_are_told_and_reset() {
    within(60, || {
        every_plan(|plan| {
            let mut graph = Graph::new();
            graph.add_named("c", square, ["d"]);
            graph.add_named("d", cpu_bound(|| -> i64 { panic!("some error") }), []);
            graph.add_named("g", io_bound(|n: i64| n), ["e"]);
            graph.add_named("e", io_bound(|| -> i64 { panic!("some error") }), []);
            graph.add_named("w", io_bound(|| 5_i64), []);
            let done = graph.run().unwrap();
            let expected = [
                "c: skipped: its ancestor `d` failed",
                "d: failed",
                "g: skipped: its ancestor `e` failed",
                "e: failed",
                "w: done",
            ];
            assert_eq!(told(&done), expected, "{plan}");
            assert!(done.failed().all(|(_, error)| error.message() == "some error"), "{plan}");
            assert_eq!(done.value::<i64>("w").unwrap(), &5);
            assert_eq!(graph.reset_failed(), 4);
            assert_eq!(graph.done(), ["w"], "{plan}");
            // TM-10: or the error comes out, if one wants that.
            let stopped = graph.run_with(RunOptions::new().fail_fast()).unwrap();
            assert!(stopped.failed().count() >= 1, "{plan}");
            assert_eq!(stopped.into_result().unwrap_err().message(), "some error", "{plan}");
        });
    });
}

/// TM-17: taskmap's demo: two chains of a task that waits and one that computes, in either order, run at once: each
/// of the first two waits for the other, and so do the two that follow.
#[test]
fn taskmaps_demo_keeps_workers_busy_while_others_wait() {
    within(60, || {
        let gate = Gate::new();
        let mut graph = Graph::new();
        let io_a = graph.add("io_bound_a", task(pass_io, (gate.path(), 1))).unwrap();
        let cpu_b = graph.add("cpu_bound_b", task(pass, (gate.path(), 1))).unwrap();
        graph.add("cpu_bound_a", task(pass, (gate.path(), 2)).after(&io_a)).unwrap();
        graph.add("io_bound_b", task(pass_io, (gate.path(), 2)).after(&cpu_b)).unwrap();
        let run = thread::spawn(move || with_plan(Plan::processes(1), || graph.run().unwrap().is_done()));
        for label in [1, 2] {
            let both = [gate.next(), gate.next()];
            assert!(both.iter().all(|stopped| stopped.label == label));
        }
        assert!(run.join().unwrap());
    });
}

/// PM-01, PM-02, PM-05: waiting for several is a task like any other: it blocks nobody, takes a digest of the results or
/// nothing, may be waited for itself, and may get one result twice.
#[test]
fn a_digest_of_dependencies_is_a_task() {
    within(60, || {
        every_plan(|plan| {
            let mut graph = Graph::new();
            let one = graph.add("one", task(square, 1)).unwrap();
            let digest = |a: i64, b: i64| (a, b);
            let twice = graph.add("twice", task(io_bound(digest), (&one, &one))).unwrap();
            let nothing = graph.add("nothing", task(io_bound(|| ()), ())).unwrap();
            let no_digest = task(io_bound(|| ()), ()).after(&twice).after(&nothing).after(&twice);
            let no_digest = graph.add("no digest", no_digest).unwrap();
            let outer = task(io_bound(|pair: (i64, i64)| pair.0 + pair.1), &twice).after(&no_digest);
            let outer = graph.add("outer", outer).unwrap();
            let done = graph.run().unwrap();
            assert_eq!((done[&twice], done[&no_digest], done[&outer]), ((1, 1), (), 2), "{plan}");
        });
    });
}

/// PM-03 is a matter of types. PM-04: what was cancelled or failed, fails the digest, which is not called. And a digest that
/// panics ends like any task, where parman waits for ever.
#[test]
fn a_digest_of_what_failed_is_not_called() {
    within(60, || {
        let (graph_calls, calls) = (Count::default(), Count::default());
        let counted = graph_calls.clone();
        let mut graph = Graph::new();
        let fails = graph.add("fails", task(io_bound(|| -> i64 { panic!("no") }), ())).unwrap();
        let fine = graph.add("fine", task(square, 2)).unwrap();
        let digest = move |all: Vec<i64>| all.len() + counted.add();
        let digest = graph.add("digest", task(io_bound(digest), vec![fine.clone(), fails])).unwrap();
        let panics = |_: i64| -> i64 { panic!("in the digest") };
        let panics = graph.add("panics", task(io_bound(panics), &fine)).unwrap();
        graph.add("after", task(square, &panics)).unwrap();
        let done = graph.run().unwrap();
        assert_eq!(
            told(&done)[2..],
            [
                "digest: skipped: its ancestor `fails` failed",
                "panics: failed",
                "after: skipped: its ancestor `panics` failed"
            ]
        );
        assert_eq!(
            (panic_of(|| done[&digest]), panic_of(|| done[&panics])),
            ("no".into(), "in the digest".into())
        );
        assert_eq!((graph_calls.get(), calls.add()), (0, 1));
    });
}

/// PM-06: graphs of all sizes, with random edges, tasks on threads and in processes, run by many threads in either order of
/// adding, by name.
#[test]
fn graphs_of_all_sizes_give_the_sequential_result() {
    fn next(state: &mut u64) -> usize {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) as usize
    }

    within(180, || {
        for size in [10, 30, 100] {
            for seed in 1..=3 {
                let mut state = seed;
                let inputs: Vec<Vec<usize>> = (0..size)
                    .map(|task| {
                        (0..next(&mut state) % 4)
                            .filter(|_| task > 0)
                            .map(|_| next(&mut state) % task)
                            .collect()
                    })
                    .collect();
                let mut expected = vec![0_i64; size];
                for task in 0..size {
                    expected[task] =
                        1 + inputs[task].iter().map(|&input| expected[input] % 1000).sum::<i64>();
                }
                for is_reversed in [false, true] {
                    let build = || {
                        let mut graph = Graph::new();
                        let mut order: Vec<usize> = (0..size).collect();
                        if is_reversed {
                            order.reverse();
                        }
                        for task in order {
                            let names: Vec<String> = inputs[task].iter().map(usize::to_string).collect();
                            let (name, names) = (task.to_string(), names.iter().map(String::as_str));
                            match (inputs[task].len(), task % 2) {
                                (0, _) => graph.add_named(name, cpu_bound(|| 1_i64), names),
                                (1, 0) => graph.add_named(name, cpu_bound(|a: i64| 1 + a % 1000), names),
                                (1, _) => graph.add_named(name, io_bound(|a: i64| 1 + a % 1000), names),
                                (2, 0) => graph.add_named(
                                    name,
                                    cpu_bound(|a: i64, b: i64| 1 + a % 1000 + b % 1000),
                                    names,
                                ),
                                (2, _) => graph.add_named(
                                    name,
                                    io_bound(|a: i64, b: i64| 1 + a % 1000 + b % 1000),
                                    names,
                                ),
                                _ => graph.add_named(
                                    name,
                                    io_bound(|a: i64, b: i64, c: i64| 1 + a % 1000 + b % 1000 + c % 1000),
                                    names,
                                ),
                            };
                        }
                        graph
                    };
                    for plan in [Plan::processes(2), Plan::threads().io_threads(3), Plan::threads()] {
                        with_plan(plan, || {
                            let mut graph = build();
                            let done = graph.run().unwrap();
                            for (task, value) in expected.iter().enumerate() {
                                assert_eq!(done.value::<i64>(&task.to_string()).unwrap(), value);
                            }
                        });
                    }
                }
            }
        }
    });
}

/// PM-10 to PM-12: a fork is submitted when what it depends on is there, at once if that is nothing; it has the outcome of its
/// work, or of what it depended on, in which case it is never submitted.
#[test]
fn a_fork_starts_when_its_dependencies_are_there() {
    within(60, || {
        let (order, gate) = (Notes::default(), Gate::new());
        let first = fork(pass_io, (gate.path(), 1));
        let notes = order.clone();
        let second = task(io_bound(move || notes.add("second")), ()).after(&first).fork();
        let notes = order.clone();
        let free = fork(io_bound(move || notes.add("free")), ());
        wait(&free).unwrap();
        order.add("gate opens");
        drop(gate.next());
        wait(&second).unwrap();
        assert_eq!(order.take(), ["free", "gate opens", "second"]);

        let calls = Count::default();
        let count = calls.clone();
        let failed = process(|| -> i64 { panic!("the dependency") }, ());
        let never = task(io_bound(move || count.add()), ()).after(&failed).fork();
        let error = wait(&never).unwrap_err();
        assert!(error.is_dependency() && error.message() == "the dependency", "{error}");
        assert_eq!(calls.get(), 0);
        assert_eq!(wait(&task(square, ready(3)).fork()).unwrap(), &9);
    });
}

/// PM-13: a task that is cancelled is so at once; what runs before it is left alone; what needs it is not run, and says why.
#[test]
fn what_depends_on_a_cancelled_fork_is_not_run() {
    within(60, || {
        let gate = Gate::new();
        let running = fork(pass_io, (gate.path(), 5));
        let stopped = gate.next();
        let calls = Count::default();
        let count = calls.clone();
        let waits = task(io_bound(move |_: u32| count.add()), &running).fork();
        let count = calls.clone();
        let mut graph = Graph::new();
        let uses = graph.add("uses", task(io_bound(move |n: usize| n + count.add()), &waits)).unwrap();
        graph.add("after", task(io_bound(|n: usize| n), &uses)).unwrap();
        assert!(xfork::ResultProxy::cancel(&waits));
        assert!(wait(&waits).unwrap_err().is_cancelled());
        let done = graph.run().unwrap();
        assert_eq!(told(&done), ["uses: failed", "after: skipped: its ancestor `uses` failed"]);
        let Outcome::Failed(error) = done.of_node(&uses) else { unreachable!() };
        assert!(error.is_cancelled() && error.is_dependency(), "{error}");
        drop(stopped);
        assert_eq!((wait(&running).unwrap(), calls.get()), (&5, 0));
    });
}

/// PM-14: what runs, is said to run.
#[test]
fn a_running_task_is_known_to_run() {
    within(60, || {
        let gate = Gate::new();
        let mut graph = Graph::new();
        let runs = graph.add("runs", task(pass_io, (gate.path(), 1))).unwrap();
        graph.add("waits", task(io_bound(|n: u32| n), &runs)).unwrap();
        let monitor = graph.monitor();
        let run = thread::spawn(move || graph.run().unwrap().is_done());
        let stopped = gate.next();
        assert_eq!(monitor.in_progress(), ["runs"]);
        drop(stopped);
        assert!(run.join().unwrap());
        assert!(monitor.in_progress().is_empty());
    });
}

/// PM-15: there is no scheduler to be shut down: a run returns when all has ended, and the graph can be added to and run again.
#[test]
fn a_graph_is_added_to_after_a_run() {
    within(60, || {
        let ended = Arc::new(Mutex::new(0));
        let mut graph = Graph::new();
        for round in 1..=3 {
            for n in 0..10 {
                let ended = ended.clone();
                graph.add_named(format!("{round}/{n}"), io_bound(move || *ended.lock().unwrap() += 1), []);
            }
            assert!(graph.run().unwrap().is_done());
            assert_eq!(*ended.lock().unwrap(), 10 * round);
        }
    });
}
