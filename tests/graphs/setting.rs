//! What is said of tasks by their names: limits, costs, and that results are to be saved.

use crate::fixture::{Count, Folder, Notes, every_plan, pass_io, plus, square};
use crate::within;
use std::path::PathBuf;
use std::time::Duration;
use xfork::{
    Graph, GraphError, GraphFault, Heft, Limits, Outcome, Plan, cpu_bound, io_bound, task, with_plan,
};

fn failure(graph: &Graph, name: &str) -> xfork::TaskError {
    match graph.results().outcome(name).unwrap() {
        Outcome::Failed(error) => error,
        other => panic!("{name}: {other}"),
    }
}

/// TM-01, TM-12: a name that does not exist is told with the one that was meant, and changes nothing.
#[test]
fn settings_of_unknown_tasks_are_told() {
    within(60, || {
        let mut graph = Graph::new();
        graph.add_named("known", io_bound(|| 1), []);
        let no_such = |what: &str| format!("{what} `unknown`: there is no such task; did you mean `known`?");
        let told = |result: Result<(), GraphError>| result.unwrap_err().to_string();
        assert_eq!(told(graph.set_limits("unknown", Limits::new())), no_such("set the limits of"));
        assert_eq!(told(graph.set_saved::<i32>("unknown")), no_such("have the result be saved of"));
        assert_eq!(told(graph.set_cost_on("unknown", [1.0])), no_such("set the cost of"));
        let fault = graph.set_saved::<String>("known").unwrap_err().faults()[0].clone();
        let GraphFault::ResultType { task, result, given, .. } = &fault else { panic!("{fault}") };
        assert_eq!((&**task, *result, *given), ("known", "i32", "alloc::string::String"));
        assert!(graph.run().unwrap().is_done());
    });
}

/// TM-01: a task given by name is tried as often as it was said, wherever it runs, and so is a typed one.
#[test]
fn a_task_is_tried_again_as_often_as_was_said_of_its_name() {
    within(60, || {
        every_plan(|plan| {
            let mut graph = Graph::new();
            let tries = Count::default();
            let count = tries.clone();
            let third_time_lucky = move |n: Vec<i64>| {
                assert_eq!(count.add(), 3, "not yet");
                n.len()
            };
            graph.add_named("list", io_bound(|| vec![1_i64, 2]), []);
            graph.add_named("by name", io_bound(third_time_lucky), ["list"]);
            let typed = Count::default();
            let never = |count: Count, _: String| -> i64 { panic!("try {}", count.add()) };
            graph.add("typed", task(io_bound(never), (typed.clone(), "text".to_string()))).unwrap();
            graph.add_named("in a worker", cpu_bound(|| -> i64 { panic!("no") }), []);
            let limits = Limits::new().retries(2).backoff(Duration::from_millis(1));
            for name in ["by name", "typed", "in a worker"] {
                graph.set_limits(name, limits).unwrap();
            }
            let done = graph.run().unwrap();
            assert_eq!(done.value::<usize>("by name").unwrap(), &2, "{plan}");
            assert_eq!((tries.get(), typed.get()), (3, 3), "{plan}");
            assert_eq!(failure(&graph, "typed").tries(), 3, "{plan}");
            assert_eq!(failure(&graph, "in a worker").tries(), 3, "{plan}");
        });
    });
}

#[cpu_bound(timeout = "1h", retries = 1)]
fn for_ever() -> i64 {
    loop {
        std::hint::spin_loop();
    }
}

/// TM-01: limits said by name come before those of the mark, and what they don't say stays as the mark has it.
#[test]
fn limits_said_by_name_come_before_those_of_the_mark() {
    within(60, || {
        let mut graph = Graph::new();
        graph.add_named("named", for_ever, []);
        graph.add("typed", task(for_ever, ()).retries(0)).unwrap();
        let limits = Limits::new().timeout(Duration::from_millis(30)).backoff(Duration::from_millis(1));
        graph.set_limits("named", limits).unwrap();
        graph.set_limits("typed", limits).unwrap();
        with_plan(Plan::processes(1), || graph.run()).unwrap();
        for (name, tries) in [("named", 2), ("typed", 1)] {
            let error = failure(&graph, name);
            assert!(error.is_timeout(), "{error}");
            assert_eq!(error.tries(), tries, "{name}");
        }
    });
}

/// TM-01: what takes too much memory or time of a worker ends there, and the others go on.
#[test]
fn memory_and_processor_time_of_tasks_given_by_name_are_limited() {
    within(60, || {
        let mut graph = Graph::new();
        graph.add_named("large", cpu_bound(|| vec![1_u8; 1 << 30].len()), []);
        graph.add_named("long", for_ever, []);
        graph.add_named("nine", cpu_bound(|| square(3)), []);
        graph.set_limits("large", Limits::new().memory(64 << 20)).unwrap();
        graph.set_limits("long", Limits::new().cpu_time(Duration::from_millis(50)).retries(0)).unwrap();
        with_plan(Plan::processes(2), || graph.run()).unwrap();
        assert!(failure(&graph, "large").is_out_of_memory());
        assert!(failure(&graph, "long").is_timeout());
        assert_eq!(graph.results().value::<i64>("nine").unwrap(), &9);
    });
}

/// TM-01: priorities said by name decide which task is next, the last one said counts, and a replaced task has none.
#[test]
fn priorities_said_by_name_decide_who_is_next() {
    within(60, || {
        let mut graph = Graph::new();
        let notes = Notes::default();
        for name in ["a", "b", "c", "d"] {
            let notes = notes.clone();
            graph.add_named(name, io_bound(move || notes.add(name)), []);
        }
        graph.set_limits("b", Limits::new().priority(-1)).unwrap();
        graph.set_limits("c", Limits::new().priority(5)).unwrap();
        graph.set_limits("d", Limits::new().priority(9)).unwrap();
        graph.set_limits("d", Limits::new().priority(3).retries(1)).unwrap();
        assert_eq!(graph.ready(), ["c", "d", "a", "b"]);
        with_plan(Plan::sequential(), || graph.run()).unwrap();
        assert_eq!(notes.take(), ["c", "d", "a", "b"]);
        graph.replace("c", task(io_bound(|| ()), ())).unwrap();
        graph.reset(["a", "b", "d"]).unwrap();
        assert_eq!(graph.ready(), ["d", "a", "c", "b"]);
    });
}

/// TM-16, DESIGN 57: what is said to be saved is kept and loaded, whoever says it.
#[test]
fn results_of_tasks_given_by_name_are_saved_where_that_was_said() {
    within(60, || {
        let (folder, calls) = (Folder::new(), Count::default());
        let build = || {
            let mut graph = Graph::new();
            let calls = calls.clone();
            graph.add_named("text", io_bound(|| "seven".to_string()), []);
            graph.add_named("length", io_bound(move |text: String| calls.add() + text.len()), ["text"]);
            graph.add("typed", task(io_bound(|| 3_u8), ())).unwrap();
            graph
        };
        let say = |graph: &mut Graph| {
            graph.set_saved::<usize>("length").unwrap();
            graph.set_saved::<u8>("typed").unwrap();
        };
        let mut graph = build();
        say(&mut graph);
        graph.keep_in(folder.file("kept")).unwrap();
        graph.run().unwrap();
        assert_eq!(graph.save(folder.file("saved")).unwrap(), ["text"]);
        drop(graph);
        for file in ["kept", "saved"] {
            let mut later = build();
            let untold = later.load(folder.file(file)).unwrap_err().to_string();
            assert!(untold.contains("nothing says how to read it"), "{untold}");
            say(&mut later);
            assert_eq!(later.load(folder.file(file)).unwrap(), 2, "{file}");
            assert_eq!(later.run().unwrap().value::<usize>("length").unwrap(), &6);
        }
        assert_eq!(calls.get(), 1);
    });
}

/// TM-16: what was said after a run holds from then on: the result that is there is written with the next run.
#[test]
fn a_result_that_is_there_is_written_when_that_is_said() {
    within(60, || {
        let folder = Folder::new();
        let mut graph = Graph::new();
        graph.add_named("seven", io_bound(|| 7), []);
        graph.keep_in(folder.file("kept")).unwrap();
        graph.run().unwrap();
        graph.set_saved::<i32>("seven").unwrap();
        graph.run().unwrap();
        drop(graph);
        let mut later = Graph::new();
        later.add_named("seven", io_bound(|| -> i32 { unreachable!("it was kept") }), []);
        later.set_saved::<i32>("seven").unwrap();
        assert_eq!(later.load(folder.file("kept")).unwrap(), 1);
    });
}

/// AM-07, AM-09: costs on each worker are said by name as they are of a task.
#[test]
fn costs_on_each_worker_are_said_by_name() {
    within(60, || {
        let mut graph = Graph::new();
        let three = graph.add("three", task(plus, (1, 2)).cost(1.0)).unwrap();
        graph.add("six", task(plus, (&three, 3))).unwrap();
        graph.add_named("seven", io_bound(|_: i64| 7), ["six"]);
        graph.set_cost_on("six", [8.0, 2.0]).unwrap();
        graph.set_cost_on("seven", [3.0, f64::NAN]).unwrap();
        let told = graph.schedule(Heft::new(2)).unwrap_err().to_string();
        assert!(told.starts_with("the cost of `seven`"), "{told}");
        graph.set_cost_on("seven", [9.0, 4.0]).unwrap();
        assert_eq!(graph.schedule(Heft::new(2)).unwrap().makespan(), 7.0);
    });
}

/// TM-01: a setting changes neither what is running nor what is done, and survives a merge.
#[test]
fn settings_outlive_a_merge_and_leave_results_alone() {
    within(60, || {
        let (mut left, mut right) = (Graph::new(), Graph::new());
        left.add_named("waits", io_bound(|path: PathBuf| pass_io(&path, 1)), ["path"]);
        right.add_named("path", io_bound(|| PathBuf::from("/nonexistent")), []);
        right.set_limits("path", Limits::new().priority(7)).unwrap();
        left.add_named("first", io_bound(|| 1), []);
        left.merge(right).unwrap();
        assert_eq!(left.ready(), ["path", "first"]);
        assert!(left.run().unwrap().is_done());
        left.set_limits("waits", Limits::new().timeout(Duration::ZERO)).unwrap();
        assert_eq!(left.done().len(), 3);
    });
}
