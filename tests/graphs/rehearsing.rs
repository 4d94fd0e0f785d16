//! What a run would do, told without running anything.

use crate::fixture::{Count, Folder, Notes, plus, square};
use crate::within;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use xfork::{Graph, Limits, Outcome, Plan, RunOptions, Skip, cpu_bound, io_bound, task, r#unsafe, with_plan};

fn order(graph: &mut Graph) -> Vec<String> {
    graph.dry_run().unwrap().order().map(str::to_owned).collect()
}

/// A graph: for each task its priority, its cost, whether it must run in place, and what it waits for, by places before it.
#[derive(Clone, Debug)]
struct Shape(Vec<(i32, u8, bool, Vec<usize>)>);

fn shapes() -> impl Strategy<Value = Shape> {
    let task = (-2_i32..3, 0_u8..4, prop::bool::weighted(0.2), prop::collection::vec(1_usize..12, 0..4));
    prop::collection::vec(task, 1..40).prop_map(Shape)
}

impl Shape {
    /// Each task notes that it runs; all come after the first.
    fn build(&self, notes: &Notes, with_costs: bool, in_place: bool) -> Graph {
        let mut graph = Graph::new();
        for (number, (priority, cost, is_in_place, before)) in self.0.iter().enumerate() {
            let (name, notes) = (number.to_string(), notes.clone());
            let note = {
                let name = name.clone();
                move || notes.add(&name)
            };
            if *is_in_place && in_place {
                graph.add_named(&name, r#unsafe(note), []);
            } else {
                graph.add_named(&name, io_bound(note), []);
            }
            if number > 0 {
                graph.put_before("0", &name).unwrap();
            }
            for back in before.iter().filter(|back| **back <= number) {
                graph.put_before(&(number - back).to_string(), &name).unwrap();
            }
            graph.set_limits(&name, Limits::new().priority(*priority)).unwrap();
            if with_costs {
                graph.set_cost(&name, f64::from(*cost)).unwrap();
            }
        }
        graph
    }
}

/// The list is the order in which one worker, and a program without any, really starts the tasks.
#[test]
fn tasks_start_in_the_order_that_was_told() {
    within(120, || {
        let mut runner =
            TestRunner::new(Config { cases: 200, failure_persistence: None, ..Config::default() });
        let cases = (shapes(), any::<bool>());
        let outcome = runner.run(&cases, |(shape, with_costs)| {
            for (plan, is_sequential) in [(Plan::sequential(), true), (Plan::threads().io_threads(1), false)]
            {
                let notes = Notes::default();
                let mut graph = shape.build(&notes, with_costs, is_sequential);
                let (told, ran) = with_plan(plan, || {
                    let told = order(&mut graph);
                    prop_assert_eq!(notes.take(), [""; 0], "nothing runs");
                    assert!(graph.run().unwrap().is_done());
                    Ok((told, notes.take()))
                })?;
                prop_assert_eq!(told, ran, "sequential: {}", is_sequential);
            }
            Ok(())
        });
        outcome.unwrap();
    });
}

/// Threads come first, then priority, then the longest way to the end where costs are known; all is told in words.
#[test]
fn the_list_says_where_tasks_run_and_what_they_wait_for() {
    within(60, || {
        let mut graph = Graph::new();
        let here = graph.add("here", task(r#unsafe(|| 1_i64), ())).unwrap();
        let short = graph.add("short", task(square, 3).cost(1.0)).unwrap();
        let long = graph.add("long", task(square, 4).cost(5.0)).unwrap();
        let urgent = graph.add("urgent one", task(square, 4).cost(0.0).priority(1)).unwrap();
        graph.add_named("reads", io_bound(|| 3_i64), []);
        let all = graph.add("sum", task(plus, (&short, &long))).unwrap();
        graph.add("all", task(plus, (&all, &all)).after(&here).after(&urgent)).unwrap();
        graph.mark_done("reads", 3_i64).unwrap();
        graph.add_named("ends\nall", io_bound(|_: i64, _: i64| ()), ["reads", "all"]);
        let plan = with_plan(Plan::processes(1), || graph.dry_run()).unwrap();
        let expected = r#"to run: 7 tasks
  1. here (in place)
  2. "urgent one" (process)
  3. long (process)
  4. short (process)
  5. sum (process), after short, long
  6. all (process), after here, "urgent one", sum
  7. "ends\nall" (thread), after all
done: 1 task
"#;
        assert_eq!(plan.to_string(), expected);
        assert_eq!(plan.order().len(), 7);
        assert_eq!(plan.done().collect::<Vec<_>>(), ["reads"]);
    });
}

/// What failed before, and what that keeps from running, is told as a run would; nothing is changed by asking.
#[test]
fn what_is_done_failed_or_skipped_is_told_and_stays_so() {
    within(60, || {
        let mut graph = Graph::new();
        graph.add_named("fine", io_bound(|| 1), []);
        graph.add_named("broken", io_bound(|| -> i32 { panic!("no") }), []);
        graph.add_named("needs it", io_bound(|n: i32| n), ["broken"]);
        assert_eq!(graph.run().unwrap().failed().count(), 1);
        graph.add_named("new", io_bound(|a: i32, b: i32| a + b), ["fine", "needs it"]);
        graph.add_named("next", io_bound(|n: i32| n), ["fine"]);
        let plan = graph.dry_run().unwrap();
        let ancestor = Skip::Ancestor { name: "broken".into() };
        assert_eq!(plan.order().collect::<Vec<_>>(), ["next"]);
        assert_eq!(plan.skipped().collect::<Vec<_>>(), [("needs it", &ancestor), ("new", &ancestor)]);
        assert_eq!(plan.failed().collect::<Vec<_>>(), ["broken"]);
        assert_eq!(plan.done().collect::<Vec<_>>(), ["fine"]);
        assert!(
            plan.to_string().contains("skipped: 2 tasks\n  - \"needs it\": its ancestor `broken` failed\n")
        );
        assert!(matches!(graph.results().outcome("new").unwrap(), Outcome::NotRun));
        let outcomes = graph.run().unwrap();
        assert_eq!(outcomes.skipped().count(), 2);
        assert_eq!(graph.done(), ["fine", "next"]);
    });
}

/// A graph that was stopped, and one whose results were dropped, are told as a run would find them, and stay as they are.
#[test]
fn what_a_run_would_run_again_is_told() {
    within(60, || {
        let calls = Count::default();
        let count = calls.clone();
        let mut graph = Graph::new();
        graph.add_named("big", io_bound(move || count.add()), []);
        graph.add_named("sum", io_bound(|n: usize| n), ["big"]);
        graph.outputs(["sum"]);
        graph.run().unwrap();
        graph.add_named("more", io_bound(|n: usize| n), ["big"]);
        assert_eq!(order(&mut graph), ["big", "more"]);
        assert_eq!((graph.done(), calls.get()), (vec!["big", "sum"], 1));

        let mut stopped = Graph::new();
        stopped.add_named("broken", io_bound(|| -> i32 { panic!("no") }), []);
        stopped.add_named("fine", io_bound(|| 1), []);
        stopped.add_named("other", io_bound(|n: i32| n), ["fine"]);
        with_plan(Plan::sequential(), || stopped.run_with(RunOptions::new().fail_fast())).unwrap();
        let plan = stopped.dry_run().unwrap();
        assert_eq!((plan.order().collect::<Vec<_>>(), plan.skipped().len()), (vec!["other"], 0));
        assert!(matches!(
            stopped.results().outcome("other").unwrap(),
            Outcome::Skipped(Skip::FailFast { .. })
        ));
    });
}

/// Equal tasks are told with the one that is run for them.
#[test]
fn equal_tasks_are_told_with_the_one_that_is_run() {
    within(60, || {
        let mut graph = Graph::new();
        let nodes = ["a", "b"].map(|name| graph.add(name, task(square, 3)).unwrap());
        graph.add("sum", task(plus, (&nodes[0], &nodes[1]))).unwrap();
        graph.remove_duplicates().unwrap();
        let plan = graph.dry_run().unwrap();
        assert_eq!(plan.order().collect::<Vec<_>>(), ["a", "sum"]);
        assert_eq!(plan.shared().collect::<Vec<_>>(), [("b", "a")]);
        assert!(plan.to_string().contains("equal to others: 1 task\n  - b to a\n"), "{plan}");
    });
}

/// It fails as a run does, before anything runs, and takes what a file has as a run does.
#[test]
fn a_dry_run_fails_where_a_run_does_and_knows_what_a_run_knows() {
    within(60, || {
        let mut graph = Graph::new();
        graph.add_named("a", square, ["b"]);
        let (dry, real) = (graph.dry_run().unwrap_err(), graph.run().unwrap_err());
        assert_eq!(dry.to_string(), real.to_string());
        let folder = Folder::new();
        let mut first = Graph::new();
        first.add("nine", task(square, 3)).unwrap();
        first.keep_in(folder.file("kept")).unwrap();
        first.run().unwrap();
        drop(first);
        let mut later = Graph::new();
        later.keep_in(folder.file("kept")).unwrap();
        later.add("nine", task(square, 3)).unwrap();
        assert_eq!(order(&mut later), [""; 0]);
        assert_eq!(Graph::new().dry_run().unwrap().to_string(), "to run: 0 tasks\n");
    });
}

/// Of a million tasks, in a chain or side by side, the list needs no stack.
#[test]
fn a_million_tasks_are_told() {
    within(300, || {
        let mut chain = Graph::new();
        let mut last = chain.add("0", task(cpu_bound(|n: u32| n), 0_u32)).unwrap();
        for number in 1..1_000_000 {
            last = chain.add(number.to_string(), task(cpu_bound(|n: u32| n), &last)).unwrap();
        }
        let plan = chain.dry_run().unwrap();
        assert!(plan.order().enumerate().all(|(place, name)| name == place.to_string()));
        assert_eq!(plan.to_string().lines().count(), 1_000_001);
        drop(chain);
        let mut flat = Graph::new();
        for number in 0..1_000_000 {
            flat.add(number.to_string(), task(cpu_bound(|n: u32| n), number)).unwrap();
        }
        assert_eq!(flat.dry_run().unwrap().order().len(), 1_000_000);
    });
}
