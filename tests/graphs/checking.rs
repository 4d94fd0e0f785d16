//! Checking: everything that is wrong with a graph is told, in words that say where and what to do, before anything runs.

use crate::fixture::{Count, panic_of, plus, square};
use crate::within;
use xfork::{Graph, GraphError, GraphFault, Heft, Outcome, Plan, io_bound, task, with_plan};

/// The text of an error, in which a place in this file is `line 7`.
fn text(error: &GraphError) -> String {
    let text = error.to_string();
    let mut parts = text.split(concat!(file!(), ":"));
    let mut plain = parts.next().unwrap().to_string();
    for part in parts {
        let (line, rest) = part.split_once(':').unwrap();
        plain += &format!("line {line}{}", rest.trim_start_matches(|letter: char| letter.is_ascii_digit()));
    }
    plain
}

fn one() -> i64 {
    1
}

/// TM-01: two typed tasks can't have one name: the second is refused where it is added, with both places.
#[test]
fn a_name_that_is_taken_is_refused_where_it_is_added() {
    within(60, || {
        let mut graph = Graph::new();
        graph.add("sum", task(plus, (1, 2))).unwrap();
        let first = line!() - 1;
        let error = graph.add("sum", task(plus, (3, 4))).unwrap_err();
        let expected = format!(
            "two tasks are called `sum`, added at line {first} and at line {}: give each a name of its own, or use \
             `replace` to have another task in the place of the first",
            first + 2
        );
        assert_eq!(text(&error), expected);
        assert_eq!(graph.run().unwrap().value::<i64>("sum").unwrap(), &3);
    });
}

/// TM-01: two tasks by name with one name are told by the check.
#[test]
fn two_tasks_of_one_name_are_told_by_the_check() {
    within(60, || {
        let mut graph = Graph::new();
        graph.add_named("sum", io_bound(one), []);
        graph.add_named("sum", io_bound(one), []);
        let line = line!() - 1;
        let error = graph.check().unwrap_err();
        assert!(matches!(error.faults(), [GraphFault::DuplicateName { name, .. }] if name == "sum"));
        let start = format!("two tasks are called `sum`, added at line {} and at line {line}: ", line - 1);
        assert!(text(&error).starts_with(&start), "{error}");
    });
}

/// TM-03, TM-04, regression d: a name that does not exist is told with the task that wants it, its place, and a name that is
/// nearly the same.
#[test]
fn an_unknown_name_is_told_with_what_was_meant() {
    within(60, || {
        let mut graph = Graph::new();
        graph.add_named("download", io_bound(one), []);
        graph.add_named("parse", square, ["dowload"]);
        let line = line!() - 1;
        let told = text(&graph.check().unwrap_err());
        let needs = format!("`parse`, added at line {line}, needs the result of");
        assert_eq!(told, format!("{needs} `dowload`, but there is no such task; did you mean `download`?"));

        let mut graph = Graph::new();
        graph.add_named("download", io_bound(one), []);
        graph.add_named("count", io_bound(one), []);
        let line = line!() - 1;
        graph.put_before("something else", "count").unwrap();
        let told = text(&graph.run().unwrap_err());
        let needs = format!("`count`, added at line {line}, needs the result of");
        assert_eq!(told, format!("{needs} `something else`, but there is no such task"));
    });
}

/// TM-02, regression c: tasks that wait for each other are told, with the whole way round.
#[test]
fn a_cycle_is_told_with_its_path() {
    within(60, || {
        let mut graph = Graph::new();
        graph.add_named("a", square, ["b"]);
        graph.add_named("b", square, ["c"]);
        graph.add_named("c", square, ["a"]);
        graph.add_named("beside", square, ["a"]);
        let expected = "tasks wait for each other: `a` needs `b` needs `c` needs `a`";
        assert_eq!(graph.check().unwrap_err().to_string(), expected);
        assert_eq!(graph.run().unwrap_err().to_string(), expected);
        assert_eq!(graph.schedule(Heft::new(2)).unwrap_err().to_string(), expected);
        assert_eq!(graph.to_dot().unwrap_err().to_string(), expected);
        assert!(graph.ready().is_empty());
    });
}

/// TM-02: a task that needs its own result.
#[test]
fn a_task_that_needs_itself_is_told() {
    within(60, || {
        let mut graph = Graph::new();
        graph.add_named("a", square, ["a"]);
        assert_eq!(graph.check().unwrap_err().to_string(), "`a` needs its own result");
        let mut graph = Graph::new();
        graph.add_named("a", io_bound(one), []);
        graph.put_before("a", "a").unwrap();
        assert_eq!(graph.check().unwrap_err().to_string(), "`a` needs its own result");
    });
}

/// TM-02: typed tasks can be made to wait for each other only afterwards, by `put_before` or `replace`.
#[test]
fn a_cycle_made_afterwards_is_told() {
    within(60, || {
        let expected = "tasks wait for each other: `first` needs `second` needs `first`";
        let build = || {
            let mut graph = Graph::new();
            let first = graph.add("first", task(square, 1)).unwrap();
            let second = graph.add("second", task(square, &first)).unwrap();
            graph.run().unwrap();
            (graph, second)
        };
        let (mut graph, _) = build();
        graph.put_before("second", "first").unwrap();
        assert_eq!(graph.run().unwrap_err().to_string(), expected);
        let (mut graph, second) = build();
        graph.replace("first", task(square, &second)).unwrap();
        assert_eq!(graph.run().unwrap_err().to_string(), expected);
        // And undone again.
        graph.replace("first", task(square, 2)).unwrap();
        assert_eq!(graph.run().unwrap()[&second], 16);
    });
}

/// TM-02: of each set of tasks that wait for each other one way round is told; of a long one both ends.
#[test]
fn each_cycle_is_told_and_a_long_one_in_short() {
    within(60, || {
        let mut graph = Graph::new();
        for n in 0..100 {
            graph.add_named(n.to_string(), square, [&*((n + 1) % 100).to_string()]);
        }
        let error = graph.check().unwrap_err();
        let GraphFault::Cycle { path } = &error.faults()[0] else { panic!("{error}") };
        assert!(path.iter().cloned().eq((0..100).map(|n| n.to_string())));
        let told = error.to_string();
        assert!(told.starts_with("tasks wait for each other: `0` needs `1` needs"), "{told}");
        assert!(
            told.contains(" needs … (83 more) needs ") && told.ends_with(" needs `99` needs `0`"),
            "{told}"
        );
        let named: Vec<&str> = told.split('`').skip(1).step_by(2).collect();
        assert_eq!(named.len() + 83, 101, "{told}");

        let mut graph = Graph::new();
        for (name, input) in [("a", "b"), ("b", "a"), ("x", "y"), ("y", "x")] {
            graph.add_named(name, square, [input]);
        }
        let expected = "the graph has 2 faults:\n  - tasks wait for each other: `a` needs `b` needs `a`\n  \
                        - tasks wait for each other: `x` needs `y` needs `x`";
        assert_eq!(graph.check().unwrap_err().to_string(), expected);
    });
}

/// TM-05: a function gets as many results as it has parameters.
#[test]
fn the_wrong_number_of_inputs_is_told() {
    within(60, || {
        let mut graph = Graph::new();
        graph.add_named("one", io_bound(one), []);
        graph.add_named("text", io_bound(|| "text"), []);
        graph.add_named("nothing", io_bound(|| ()), []);
        graph.add_named("few", plus, ["one"]);
        graph.add_named("none", plus, ["nothing"]);
        graph.add_named("many", square, ["one", "nothing", "text"]);
        let line = line!() - 1;
        let expected = [
            format!(
                "`few`, added at line {}, calls `graphs::fixture::plus`, which has 2 parameters (`i64`, `i64`), with \
                 1 result (`i64` of `one`)",
                line - 2
            ),
            format!(
                "`none`, added at line {}, calls `graphs::fixture::plus`, which has 2 parameters (`i64`, `i64`), with \
                 no result",
                line - 1
            ),
            format!(
                "`many`, added at line {line}, calls `graphs::fixture::square`, which has 1 parameter (`i64`), with 2 \
                 results (`i64` of `one`, `&str` of `text`)"
            ),
        ];
        let told = text(&graph.check().unwrap_err());
        assert_eq!(told, format!("the graph has 3 faults:\n  - {}", expected.join("\n  - ")));
    });
}

/// TM-05: a result has the type of the parameter that it becomes; both places are told.
#[test]
fn an_input_of_another_type_is_told_with_both_places() {
    within(60, || {
        let mut graph = Graph::new();
        graph.add_named("sum", plus, ["one", "text"]);
        graph.add_named("one", io_bound(one), []);
        graph.add("text", task(io_bound(String::new), ())).unwrap();
        let line = line!() - 1;
        let expected = format!(
            "parameter 2 of `sum`, added at line {}, is a `i64`, but the result of `text`, added at line {line}, is a \
             `alloc::string::String`",
            line - 2
        );
        assert_eq!(text(&graph.check().unwrap_err()), expected);
    });
}

/// AM-13: an output that is no task.
#[test]
fn an_unknown_output_is_told() {
    within(60, || {
        let mut graph = Graph::new();
        graph.add_named("result", io_bound(one), []);
        graph.outputs(["results", "another"]);
        let expected = "the graph has 2 faults:\n  - give the result of `results`: there is no such task; did you mean \
                        `result`?\n  - give the result of `another`: there is no such task";
        assert_eq!(graph.check().unwrap_err().to_string(), expected);
        graph.outputs(["result"]);
        graph.check().unwrap();
    });
}

/// AM-01: a node belongs to the graph that it was added to.
#[test]
fn a_node_of_another_graph_is_refused() {
    within(60, || {
        let (mut graph, mut other) = (Graph::new(), Graph::new());
        let foreign = other.add("foreign", task(square, 1)).unwrap();
        graph.add("own", task(square, 1)).unwrap();
        let expected = |task: &str, line: u32| {
            format!(
                "an argument of `{task}`, at line {line}, is a node of another graph: add that task to this graph, too, or \
                 `merge` the other graph into it"
            )
        };
        let told = text(&graph.add("typed", task(square, &foreign)).unwrap_err());
        assert_eq!(told, expected("typed", line!() - 1));
        let told = text(&graph.add("part", task(square, vec![foreign.key(|n| *n)].remove(0))).unwrap_err());
        assert_eq!(told, expected("part", line!() - 1));
        let told = text(&graph.add("after", task(square, 1).after(&foreign)).unwrap_err());
        assert_eq!(told, expected("after", line!() - 1));
        let told = text(&graph.replace("own", task(square, &foreign)).unwrap_err());
        assert_eq!(told, expected("own", line!() - 1));
        assert_eq!(graph.len(), 1);
        let done = graph.run().unwrap();
        assert!(panic_of(|| done[&foreign]).contains("the node is of another graph"));
        assert!(panic_of(|| done.get(&foreign).copied()).contains("the node is of another graph"));
        assert!(panic_of(|| graph.name(&foreign).len()).contains("the node is of another graph"));
    });
}

/// AM-07: costs are numbers, finite and not negative: those of tasks and those of bringing results.
#[test]
fn costs_that_are_none_are_told() {
    within(60, || {
        let mut graph = Graph::new();
        let nan = graph.add("nan", task(square, 1).cost(f64::NAN)).unwrap();
        let line = line!() - 1;
        let inputs = (nan.comm_cost(-1.0), 1);
        let less = graph.add("less", task(plus, inputs).cost(-2.5)).unwrap();
        let inputs = (&less, less.comm_cost(f64::NAN));
        graph.add("endless", task(plus, inputs).cost_on([1.0, f64::INFINITY])).unwrap();
        graph.add_named("named", plus, ["nan", "less"]);
        graph.set_cost("named", f64::NEG_INFINITY).unwrap();
        graph.set_comm_cost("less", "named", f64::INFINITY).unwrap();
        let rule = "costs are zero or greater, and finite";
        let expected = [
            format!("the cost of `nan`, added at line {line}, is NaN: {rule}"),
            format!("the cost of `less`, added at line {}, is -2.5: {rule}", line + 3),
            format!("the cost of `endless`, added at line {}, is inf: {rule}", line + 5),
            format!("the cost of `named`, added at line {}, is -inf: {rule}", line + 6),
            format!(
                "the cost of bringing the result of `nan` to `less`, added at line {}, is -1: {rule}",
                line + 3
            ),
            format!(
                "the cost of bringing the result of `less` to `endless`, added at line {}, is NaN: {rule}",
                line + 5
            ),
            format!(
                "the cost of bringing the result of `less` to `named`, added at line {}, is inf: {rule}",
                line + 6
            ),
        ];
        let told = text(&graph.check().unwrap_err());
        assert_eq!(told, format!("the graph has 7 faults:\n  - {}", expected.join("\n  - ")));
        assert_eq!(text(&graph.schedule(Heft::new(2)).unwrap_err()), told);
    });
}

/// AM-24: no workers are an error, and so is another number of costs than of workers.
#[test]
fn workers_that_are_none_are_told() {
    within(60, || {
        let mut graph = Graph::new();
        graph.add("one", task(square, 1).cost_on([1.0, 2.0])).unwrap();
        let error = graph.schedule(Heft::new(0)).unwrap_err();
        assert!(error.to_string().contains("there are no workers"), "{error}");
        assert!(matches!(error.faults()[0], GraphFault::Schedule { .. }));
        let error = graph.schedule(Heft::new(3)).unwrap_err().to_string();
        assert!(error.contains("2 costs for 3 workers"), "{error}");
        let error = graph.schedule(Heft::new(2).speeds([1.0, 0.0])).unwrap_err().to_string();
        assert!(error.contains("worker 1 has the speed 0"), "{error}");
        assert_eq!(graph.schedule(Heft::new(2)).unwrap().makespan(), 1.0);
    });
}

/// AM-14: a schedule is for the graph that it was made of, as it was.
#[test]
fn a_schedule_for_another_graph_is_refused() {
    within(60, || {
        let build = |names: &[&str]| {
            let mut graph = Graph::new();
            names.iter().for_each(|name| drop(graph.add_named(name, io_bound(one), [])));
            graph
        };
        let plan = build(&["a", "b"]).schedule(Heft::new(2)).unwrap();
        let refused = |graph: &mut Graph| graph.run_schedule(&plan).unwrap_err().to_string();
        let about = |what: &str| {
            format!("the schedule is not for this graph as it is now ({what}): make a new one by `schedule`")
        };
        assert_eq!(refused(&mut build(&["a", "b", "c"])), about("it has 2 tasks, and the graph 3"));
        assert_eq!(refused(&mut build(&["a"])), about("it has 2 tasks, and the graph 1"));
        assert_eq!(refused(&mut build(&["a", "c"])), about("its task 1 is `b`, and the graph's `c`"));
        let mut graph = build(&["a", "b"]);
        graph.put_before("b", "a").unwrap();
        assert_eq!(refused(&mut graph), about("`a` needs `b` by now"));
        assert!(graph.done().is_empty());
        // What it is for is what counts, not which graph it came from.
        assert!(build(&["a", "b"]).run_schedule(&plan).unwrap().is_done());
    });
}

/// TM-02 to TM-04: all faults are told together, those of names before those of types, costs and cycles.
#[test]
fn all_faults_are_told_together() {
    within(60, || {
        let mut graph = Graph::new();
        graph.add_named("twice", io_bound(one), []);
        graph.add_named("twice", io_bound(one), []);
        graph.add_named("lost", plus, ["nowhere", "twice"]);
        graph.add_named("typed", io_bound(|text: String| text.len()), ["twice"]);
        graph.add_named("counted", plus, ["twice"]);
        graph.add_named("itself", square, ["itself"]);
        graph.set_cost("lost", -1.0).unwrap();
        graph.outputs(["gone"]);
        let error = graph.check().unwrap_err();
        let kinds: Vec<_> = error
            .faults()
            .iter()
            .map(|fault| match fault {
                GraphFault::DuplicateName { .. } => "name",
                GraphFault::UnknownTask { .. } => "output",
                GraphFault::UnknownInput { .. } => "input",
                GraphFault::InputType { .. } => "type",
                GraphFault::InputCount { .. } => "count",
                GraphFault::Cost { .. } => "cost",
                GraphFault::Cycle { .. } => "cycle",
                other => panic!("{other}"),
            })
            .collect();
        assert_eq!(kinds, ["name", "output", "input", "type", "count", "cost", "cycle"]);
        let told = error.to_string();
        assert!(told.starts_with("the graph has 7 faults:\n  - two tasks are called `twice`"), "{told}");
        assert_eq!(told.matches("\n  - ").count(), 7);
    });
}

/// TM-03: of very many faults the first are told.
#[test]
fn of_many_faults_twenty_are_told() {
    within(60, || {
        let mut graph = Graph::new();
        for n in 0..25 {
            graph.add_named(format!("task {n}"), square, ["some missing task"]);
        }
        let error = graph.check().unwrap_err();
        assert_eq!(error.faults().len(), 25);
        let told = error.to_string();
        assert!(told.starts_with("the graph has 25 faults:") && told.ends_with("\n  … and 5 more"), "{told}");
        assert_eq!(told.lines().count(), 22);
    });
}

/// TM-02, regressions c and d: nothing has run when the check fails, under any way to run.
#[test]
fn nothing_has_run_when_the_check_fails() {
    within(60, || {
        for plan in [Plan::sequential(), Plan::threads()] {
            with_plan(plan, || {
                let calls = Count::default();
                let mut graph = Graph::new();
                for name in ["a", "b"] {
                    let calls = calls.clone();
                    graph.add_named(name, io_bound(move || calls.add()), []);
                }
                let plan = graph.schedule(Heft::new(1)).unwrap();
                graph.put_before("z", "b").unwrap();
                assert!(graph.run().is_err());
                assert!(graph.run_with(xfork::RunOptions::new().fail_fast()).is_err());
                assert!(graph.run_schedule(&plan).is_err());
                assert!(graph.remove_duplicates().is_err());
                assert_eq!(calls.get(), 0);
                assert!(matches!(graph.results().outcome("a").unwrap(), Outcome::NotRun));
                // What was missing is added, and all is well.
                graph.add_named("z", io_bound(|| ()), []);
                assert!(graph.run().unwrap().is_done());
                assert_eq!(calls.get(), 2);
            });
        }
    });
}

/// TM-12 to TM-14: names that don't exist are told wherever one is asked for, and nothing is changed then. Settings by name:
/// `setting::settings_of_unknown_tasks_are_told`.
#[test]
fn unknown_names_are_told_wherever_one_is_given() {
    within(60, || {
        let mut graph = Graph::new();
        graph.add_named("known", io_bound(one), []);
        graph.run().unwrap();
        let no_such = |what: &str| format!("{what} `unknown`: there is no such task; did you mean `known`?");
        let told = |error: GraphError| error.to_string();
        assert_eq!(told(graph.reset(["known", "unknown"]).unwrap_err()), no_such("reset"));
        assert_eq!(told(graph.mark_done("unknown", 1_i64).unwrap_err()), no_such("mark as done"));
        assert_eq!(told(graph.mark_done_except(["unknown"]).unwrap_err()), no_such("run"));
        assert_eq!(told(graph.set_cost("unknown", 1.0).unwrap_err()), no_such("set the cost of"));
        let cost = |from, to, graph: &mut Graph| told(graph.set_comm_cost(from, to, 1.0).unwrap_err());
        assert_eq!(cost("unknown", "known", &mut graph), no_such("set the cost of the result of"));
        assert_eq!(cost("known", "unknown", &mut graph), no_such("set the cost of what comes to"));
        assert_eq!(
            told(graph.put_before("known", "unknown").unwrap_err()),
            no_such("put another task before")
        );
        let results = graph.results();
        assert_eq!(told(results.outcome("unknown").unwrap_err()), no_such("tell what came of"));
        assert_eq!(told(results.value::<i64>("unknown").unwrap_err()), no_such("give the result of"));
        assert_eq!(graph.reset(["x", "y"]).unwrap_err().faults().len(), 2);
        assert_eq!(graph.done(), ["known"]);
    });
}

/// AM-24: a graph without tasks is a graph.
#[test]
fn an_empty_graph_is_run_scheduled_and_drawn() {
    within(60, || {
        let mut graph = Graph::new();
        graph.check().unwrap();
        let done = graph.run().unwrap();
        assert!(done.is_done() && done.iter().next().is_none());
        let plan = graph.schedule(Heft::new(3)).unwrap();
        assert_eq!((plan.makespan(), plan.task_lists().len()), (0.0, 3));
        assert!(graph.run_schedule(&plan).unwrap().is_done());
        assert!(graph.schedule(Heft::new(0)).is_err());
        assert_eq!(graph.remove_duplicates().unwrap().len() + graph.reset_failed(), 0);
        assert!(graph.ready().is_empty() && graph.done().is_empty() && graph.costs().tasks().count() == 0);
        assert!(
            graph.to_svg().unwrap().starts_with("<svg") && graph.to_dot().unwrap().starts_with("digraph")
        );
        assert!(graph.to_mermaid().unwrap().starts_with("flowchart"));
        assert!(done.gantt_svg().starts_with("<svg") && plan.gantt_svg().starts_with("<svg"));
    });
}

/// TM-14: a result is asked for with its type, and only where there is one.
#[test]
fn a_result_that_is_not_there_is_told() {
    within(60, || {
        let mut graph = Graph::new();
        graph.add_named("one", io_bound(one), []);
        let line = line!() - 1;
        graph.add_named("fails", io_bound(|| -> i64 { panic!("no") }), []);
        graph.add_named("skipped", square, ["fails"]);
        let told = |graph: &Graph, name| graph.results().value::<i64>(name).unwrap_err().to_string();
        assert_eq!(told(&graph, "one"), "`one` has no result: not run");
        graph.run().unwrap();
        let error = graph.results().value::<String>("one").unwrap_err();
        let expected = format!(
            "the result of `one`, added at line {line}, is a `i64`, and not a `alloc::string::String`"
        );
        assert_eq!(text(&error), expected);
        assert!(
            told(&graph, "fails").starts_with("`fails` has no result: failed: task `fails` panicked at ")
        );
        assert_eq!(told(&graph, "skipped"), "`skipped` has no result: skipped: its ancestor `fails` failed");
        graph.outputs(["skipped"]);
        graph.reset(["one"]).unwrap();
        graph.run().unwrap();
        let dropped = "the result of `one` was dropped, since it is no output: name it in `outputs`";
        assert_eq!(told(&graph, "one"), dropped);
    });
}
