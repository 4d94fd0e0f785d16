//! Schedules: decided in advance by costs, and then kept to.

use std::sync::{Arc, Mutex};

use crate::fixture::{Count, Notes, every_plan, plus, square, told, total};
use crate::within;
use xfork::{
    Costs, Cpop, Graph, Heft, ListScheduler, Node, Outcomes, Peft, Plan, Schedule, cpu_bound, io_bound, task,
    with_plan,
};

#[cpu_bound]
fn own_process(_before: Vec<u32>) -> u32 {
    std::process::id()
}

/// Tasks that give the process that they ran in, in layers, with costs.
fn processes(layers: usize) -> (Graph, Vec<Node<u32>>) {
    let mut graph = Graph::new();
    let mut all: Vec<Node<u32>> = Vec::new();
    for layer in 0..layers {
        let before = all.clone();
        for place in 0..3 {
            let inputs: Vec<_> = before.iter().rev().take(2).cloned().collect();
            let task = task(own_process, inputs).cost((place + 1) as f64);
            all.push(graph.add(format!("{layer}/{place}"), task).unwrap());
        }
    }
    (graph, all)
}

/// For each list of a schedule, which different processes its tasks ran in.
fn processes_of(schedule: &Schedule, nodes: &[Node<u32>], done: &Outcomes) -> Vec<Vec<u32>> {
    let of_list = |list: &Vec<u32>| {
        let mut ran: Vec<u32> = list.iter().map(|&task| done[&nodes[task as usize]]).collect();
        ran.sort_unstable();
        ran.dedup();
        ran
    };
    schedule.task_lists().iter().map(of_list).collect()
}

/// AM-10, AM-14: each list of a schedule is run in a process of its own.
#[test]
fn each_list_has_a_process_of_its_own() {
    within(120, || {
        for workers in [1, 2, 3] {
            let (mut graph, nodes) = processes(4);
            let plan = graph.schedule(Heft::new(workers)).unwrap();
            let done = with_plan(Plan::processes(2), || graph.run_schedule(&plan).unwrap());
            let ran = processes_of(&plan, &nodes, &done);
            assert!(ran.iter().all(|of_list| of_list.len() == 1), "{workers}: {ran:?}");
            let mut different = ran.concat();
            different.sort_unstable();
            different.dedup();
            assert_eq!(different.len(), workers, "{ran:?}");
            assert!(!different.contains(&std::process::id()));
        }
    });
}

/// Tasks that note their start and their end, with costs that put them on two workers.
fn noted(notes: &Notes) -> Graph {
    let mut graph = Graph::new();
    for (name, inputs, cost) in [
        ("a", &[][..], 3.0),
        ("b", &[], 2.0),
        ("c", &["a"], 2.0),
        ("d", &["b"], 4.0),
        ("e", &["a", "b"], 1.0),
        ("f", &["c", "d", "e"], 1.0),
    ] {
        let notes = notes.clone();
        graph.add_named(
            name,
            io_bound(move || {
                notes.add(&format!("{name} begins"));
                notes.add(&format!("{name} ends"));
            }),
            inputs.iter().copied(),
        );
        graph.set_cost(name, cost).unwrap();
    }
    graph
}

/// AM-09, AM-14: the tasks of a list run one after the other, in its order, and after what they need.
#[test]
fn each_list_is_run_in_its_order() {
    within(60, || {
        every_plan(|name| {
            let notes = Notes::default();
            let mut graph = noted(&notes);
            let plan = graph.schedule(Heft::new(2)).unwrap();
            assert!(plan.task_lists().iter().all(|list| list.len() > 1), "{plan:?}");
            assert!(graph.run_schedule(&plan).unwrap().is_done());
            for list in plan.task_lists() {
                let events: Vec<usize> = list
                    .iter()
                    .map(|&task| plan.name(task))
                    .flat_map(|task| [format!("{task} begins"), format!("{task} ends")])
                    .map(|event| notes.place(&event))
                    .collect();
                assert!(events.is_sorted(), "{name}: {list:?} {:?}", notes.take());
            }
            for (before, after) in [("a", "c"), ("b", "d"), ("a", "e"), ("c", "f"), ("d", "f"), ("e", "f")] {
                assert!(
                    notes.place(&format!("{before} ends")) < notes.place(&format!("{after} begins")),
                    "{name}"
                );
            }
        });
    });
}

/// Regression a: costs that are wrong by far, or zero, change when tasks start, and no result.
#[test]
fn a_schedule_by_wrong_costs_ends_with_the_right_results() {
    within(120, || {
        let costs: [fn(usize) -> (f64, f64); 4] = [
            |_| (0.0, 0.0),
            |n| (if n.is_multiple_of(2) { 0.0 } else { 1e6 }, 0.0),
            |n| (1.0 / (n + 1) as f64, 1e9),
            |n| ((n * 7 % 5) as f64, (n % 3) as f64),
        ];
        for (number, cost) in costs.into_iter().enumerate() {
            let build = || {
                let mut graph = Graph::new();
                let mut nodes: Vec<Node<i64>> = Vec::new();
                for n in 0..30 {
                    let (own, transfer) = cost(n);
                    let inputs: Vec<_> = [1, 2, 7]
                        .iter()
                        .filter_map(|back| Some(nodes[n.checked_sub(*back)?].comm_cost(transfer)))
                        .collect();
                    let part = graph.add(format!("{n}"), task(total, inputs).cost(own)).unwrap();
                    nodes.push(graph.add(format!("{n}+1"), task(plus, (&part, 1)).cost(own)).unwrap());
                }
                (graph, nodes)
            };
            let expected: Vec<i64> = with_plan(Plan::sequential(), || {
                let (mut graph, nodes) = build();
                let done = graph.run().unwrap();
                nodes.iter().map(|node| done[node]).collect()
            });
            for plan in [Plan::processes(2), Plan::threads(), Plan::sequential()] {
                with_plan(plan, || {
                    let (mut graph, nodes) = build();
                    for schedule in [
                        graph.schedule(Heft::new(3)).unwrap(),
                        graph.schedule(Cpop::new(2)).unwrap(),
                        graph.schedule(Peft::new(4)).unwrap(),
                        graph.schedule(ListScheduler::new(2)).unwrap(),
                    ] {
                        let done = graph.run_schedule(&schedule).unwrap();
                        let found: Vec<i64> = nodes.iter().map(|node| done[node]).collect();
                        assert_eq!(found, expected, "costs {number}");
                        graph.reset(["0"]).unwrap();
                    }
                });
            }
        }
    });
}

/// AM-18, regressions e and i: a failure in a list does not stop the other tasks of the list.
#[test]
fn a_failure_in_a_list_does_not_stop_the_list() {
    #[cpu_bound]
    fn dies(n: i64) -> i64 {
        if n == 0 { std::process::abort() } else { n }
    }

    within(120, || {
        for plan in [Plan::processes(1), Plan::processes(2)] {
            with_plan(plan, || {
                let mut graph = Graph::new();
                let panics = graph.add("panics", task(|| -> i64 { panic!("no") }, ()).cost(9.0)).unwrap();
                let dead = graph.add("dies", task(dies, 0).cost(8.0)).unwrap();
                graph.add("needs", task(plus, (&panics, &dead)).cost(1.0)).unwrap();
                let fine: Vec<_> =
                    (0..4).map(|n| graph.add(n.to_string(), task(square, n).cost(1.0)).unwrap()).collect();
                let sum = graph.add("sum", task(total, fine).cost(1.0)).unwrap();
                let schedule = graph.schedule(Heft::new(1)).unwrap();
                assert_eq!(schedule.task_lists()[0][..2], [0, 1]);
                let done = graph.run_schedule(&schedule).unwrap();
                assert_eq!(done[&sum], 14);
                let expected =
                    ["panics: failed", "dies: failed", "needs: skipped: its ancestor `panics` failed"];
                assert_eq!(told(&done)[..3], expected);
            });
        }
    });
}

/// TM-12: what has a result is passed over by a schedule, and the others run in its order.
#[test]
fn a_schedule_passes_over_what_is_done() {
    within(60, || {
        let notes = Notes::default();
        let mut graph = noted(&notes);
        let plan = graph.schedule(Heft::new(2)).unwrap();
        graph.mark_done("a", ()).unwrap();
        graph.run_schedule(&plan).unwrap();
        assert_eq!(notes.take().len(), 10);
        assert!(graph.run_schedule(&plan).unwrap().is_done());
        assert!(notes.take().is_empty());
        graph.reset(["c"]).unwrap();
        graph.run_schedule(&plan).unwrap();
        assert_eq!(notes.take(), ["c begins", "c ends", "f begins", "f ends"]);
    });
}

/// AM-14, AM-23: a schedule runs what must run in the calling thread there, and what waits on threads.
#[test]
fn a_scheduled_task_runs_where_its_mark_says() {
    within(60, || {
        let here = std::thread::current().id();
        let mut graph = Graph::new();
        let computes = graph.add("computes", task(own_process, Vec::<u32>::new())).unwrap();
        let in_place = task(xfork::r#unsafe(|_: u32| std::thread::current().id()), &computes);
        let in_place = graph.add("in place", in_place).unwrap();
        let waits = task(io_bound(|_: std::thread::ThreadId| std::process::id()), &in_place);
        let waits = graph.add("waits", waits).unwrap();
        let plan = graph.schedule(Heft::new(2)).unwrap();
        let done = with_plan(Plan::processes(1), || graph.run_schedule(&plan).unwrap());
        assert_eq!((done[&in_place], done[&waits]), (here, std::process::id()));
        assert_ne!(done[&computes], std::process::id());
    });
}

/// AM-16, regressions f and g: what tasks and transfers cost is measured, apart from the results, for each pair of tasks.
#[test]
fn costs_are_measured() {
    within(60, || {
        with_plan(Plan::processes(2), || {
            let mut graph = Graph::new();
            let (held, hold) = (Arc::new(Mutex::new(())), Count::default());
            let slow = move || {
                let _held = held.lock();
                hold.add();
                std::thread::sleep(std::time::Duration::from_millis(30));
                2_i64
            };
            let slow = graph.add("costs", task(io_bound(slow), ())).unwrap();
            let quick = graph.add("quick", task(square, 3)).unwrap();
            graph.add("sum", task(total, vec![slow.clone(), quick.clone(), slow])).unwrap();
            let fails = graph.add("fails", task(io_bound(|| -> i64 { panic!("no") }), ())).unwrap();
            graph.add("skipped", task(square, &fails)).unwrap();
            assert_eq!(graph.costs(), Costs::default());
            let done = graph.run().unwrap();
            assert_eq!((done.failed().count(), done.value::<i64>("costs").unwrap()), (1, &2));
            let costs = graph.costs();
            let cost = |name| costs.task(name).unwrap();
            assert!(cost("costs") >= 0.03 && cost("costs") < 30.0, "{costs:?}");
            assert!(cost("quick") >= 0.0 && cost("quick") < 30.0, "{costs:?}");
            assert_eq!((costs.task("skipped"), costs.task("nobody")), (None, None));
            // What the sum was sent is measured together: two thirds of it came from one task.
            let (twice, once) =
                (costs.transfer("costs", "sum").unwrap(), costs.transfer("quick", "sum").unwrap());
            assert!(twice >= 0.0 && (twice - 2.0 * once).abs() < 1e-9, "{costs:?}");
            assert_eq!((costs.transfer("sum", "quick"), costs.transfer("quick", "costs")), (None, None));
            let names: Vec<&str> = costs.tasks().map(|(name, _)| name).collect();
            assert_eq!(names, ["costs", "fails", "quick", "sum"]);
        });
    });
}

/// AM-16: measured costs are kept as text, and are the costs of another graph of the same names.
#[test]
fn costs_are_kept_and_used_again() {
    within(60, || {
        let build = || {
            let mut graph = Graph::new();
            let one = graph.add("one", task(square, 1)).unwrap();
            let two = graph.add("two", task(square, &one)).unwrap();
            graph.add("sum", task(plus, (&one, &two))).unwrap();
            graph
        };
        let mut first = build();
        with_plan(Plan::processes(1), || first.run().unwrap());
        let costs = first.costs();
        let text = serde_json::to_string(&costs).unwrap();
        let read: Costs = serde_json::from_str(&text).unwrap();
        let names = |costs: &Costs| costs.tasks().map(|(name, _)| name.to_string()).collect::<Vec<_>>();
        assert_eq!(names(&read), names(&costs));
        let near = |one: Option<f64>, other: Option<f64>| (one.unwrap() - other.unwrap()).abs() < 1e-12;
        assert!(["one", "two", "sum"].iter().all(|name| near(read.task(name), costs.task(name))));
        assert!(near(read.transfer("one", "two"), costs.transfer("one", "two")));

        let mut second = build();
        second.add("new", task(square, 5)).unwrap();
        assert_eq!(second.use_costs(&read).unwrap(), 3);
        let sum: f64 = costs.tasks().map(|(_, cost)| cost).sum();
        // What nothing is known of costs as much as the others do on average.
        let length = second.schedule(Heft::new(1)).unwrap().makespan();
        assert!((length - sum * 4.0 / 3.0).abs() < 1e-9, "{length} {sum}");

        // Without being told, a graph takes its own.
        assert!((first.schedule(Heft::new(1)).unwrap().makespan() - sum).abs() < 1e-9);
    });
}

/// AM-16: costs that come from elsewhere are checked.
#[test]
fn kept_costs_that_are_none_are_refused() {
    within(60, || {
        let mut graph = Graph::new();
        graph.add("one", task(square, 1).cost(2.0)).unwrap();
        graph.add("two", task(square, 1).cost(3.0)).unwrap();
        let text =
            r#"{"tasks": {"one": -1.0, "unknown": -5.0}, "transfers": {"one": {"two": -0.5, "x": 1.0}}}"#;
        let costs: Costs = serde_json::from_str(text).unwrap();
        let error = graph.use_costs(&costs).unwrap_err();
        assert_eq!(error.faults().len(), 2, "{error}");
        assert_eq!(graph.schedule(Heft::new(1)).unwrap().makespan(), 5.0);
        let costs: Costs = serde_json::from_str(r#"{"tasks": {"x": 1.0}, "transfers": {}}"#).unwrap();
        assert_eq!(graph.use_costs(&costs).unwrap(), 0);
    });
}

/// AM-09: a result costs its transfer between workers only, and the dearest of several edges counts.
#[test]
fn transfers_cost_between_workers_only() {
    within(60, || {
        let mut graph = Graph::new();
        let one = graph.add("one", task(square, 1).cost(1.0)).unwrap();
        let two = graph.add("two", task(square, 1).cost(1.0)).unwrap();
        let dear = (one.comm_cost(1.0), one.comm_cost(5.0), two.comm_cost(7.0));
        let sum = |a: i64, again: i64, b: i64| a + again + b;
        graph.add("sum", task(cpu_bound(sum), dear).cost(1.0)).unwrap();
        // Side by side the third would start at 6; one after the other it starts at 2.
        assert_eq!(graph.schedule(Heft::new(1)).unwrap().makespan(), 3.0);
        graph.set_cost("one", 10.0).unwrap();
        graph.set_cost("two", 10.0).unwrap();
        let plan = graph.schedule(Heft::new(2)).unwrap();
        assert_eq!(plan.makespan(), 16.0);
        graph.set_comm_cost("one", "sum", 6.5).unwrap();
        graph.set_comm_cost("two", "sum", 6.5).unwrap();
        assert_eq!(graph.schedule(Heft::new(2)).unwrap().makespan(), 17.5);
    });
}

/// AM-09: workers that are not alike.
#[test]
fn costs_may_differ_from_worker_to_worker() {
    within(60, || {
        let mut graph = Graph::new();
        let one = graph.add("one", task(square, 3).cost_on([5.0, 1.0])).unwrap();
        let two = graph.add("two", task(square, 4).cost_on([1.0, 5.0])).unwrap();
        let sum = graph.add("sum", task(plus, (&one, two.comm_cost(0.5))).cost_on([2.0, 2.0])).unwrap();
        let plan = graph.schedule(Heft::new(2)).unwrap();
        assert_eq!((plan.placement(0).unwrap().worker, plan.placement(1).unwrap().worker), (1, 0));
        assert_eq!(graph.run_schedule(&plan).unwrap()[&sum], 25);
        // By a speed for each worker, where costs are common.
        let mut graph = Graph::new();
        graph.add("one", task(square, 3).cost(6.0)).unwrap();
        assert_eq!(graph.schedule(Heft::new(2).speeds([1.0, 3.0])).unwrap().makespan(), 2.0);
    });
}

/// AM-11, AM-14: equal tasks in a schedule are computed once, and all have their results.
#[test]
fn equal_tasks_are_scheduled_and_computed_once() {
    within(60, || {
        every_plan(|name| {
            let mut graph = Graph::new();
            let nodes: Vec<_> =
                (0..4).map(|n| graph.add(n.to_string(), task(square, n / 2).cost(4.0)).unwrap()).collect();
            let sum = graph.add("sum", task(total, nodes.clone()).cost(1.0)).unwrap();
            graph.remove_duplicates().unwrap();
            let plan = graph.schedule(Heft::new(2)).unwrap();
            assert_eq!(plan.makespan(), 5.0, "{name}");
            let done = graph.run_schedule(&plan).unwrap();
            let found: Vec<i64> = nodes.iter().map(|node| done[node]).collect();
            assert_eq!((found, done[&sum]), (vec![0, 0, 1, 1], 2), "{name}");
        });
    });
}
