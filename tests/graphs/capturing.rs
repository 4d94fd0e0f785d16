//! Capturing: the parts of an expression of proxies as tasks, computed once by whoever comes first.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use crate::fixture::{Count, every_plan, panic_of, plus, square, told};
use crate::within;
use xfork::{
    Graph, GraphFault, Heft, Limits, Outcome, Plan, ProxyState, ResultProxy, RunOptions, Runnable, Runner,
    fork, io_bound, lazy, ready, task, with_plan,
};

fn names(graph: &Graph) -> Vec<&str> {
    graph.names().collect()
}

/// A deferred value that counts how often it is computed.
fn counted(count: &Count, value: i64) -> ResultProxy<i64> {
    let count = count.clone();
    lazy(move || {
        count.add();
        value
    })
}

/// A fork that has been started and does not end before something is sent.
fn held(name: &'static str) -> (Sender<i64>, ResultProxy<i64>) {
    let (send, receive) = channel::<i64>();
    (send, task(io_bound(move || receive.recv().expect("a number")), ()).name(name).fork())
}

/// A diamond: a closure, two operations on it, and one on both.
fn diamond(count: &Count) -> ResultProxy<i64> {
    let shared = counted(count, 3);
    let (left, right) = (&shared + 1, &shared * 2);
    &left - &right
}

#[test]
fn a_diamond_is_captured_without_computing_and_run_once() {
    within(120, || {
        every_plan(|plan| {
            let count = Count::default();
            let proxy = diamond(&count);
            let mut graph = Graph::new();
            let node = graph.add_expression("all", &proxy).unwrap();
            assert_eq!(names(&graph), ["all: lazy", "all: +", "all: *", "all"]);
            assert_eq!((count.get(), ResultProxy::state(&proxy)), (0, ProxyState::Deferred));
            graph.check().unwrap();
            assert_eq!(graph.ready(), ["all: lazy"]);
            let done = graph.run().unwrap();
            assert!(done.is_done(), "{plan}: {:?}", told(&done));
            assert_eq!((done[&node], done.value::<i64>("all").unwrap()), (-2, &-2));
            assert_eq!((ResultProxy::state(&proxy), count.get()), (ProxyState::Ready, 1));
            assert_eq!(*proxy, -2);
        });
    });
}

#[test]
fn parts_that_do_not_need_each_other_run_at_once() {
    within(60, || {
        with_plan(Plan::threads(), || {
            let barrier = Arc::new(Barrier::new(3));
            let meets = |n: i64| {
                let barrier = barrier.clone();
                lazy(move || {
                    barrier.wait();
                    n
                })
            };
            let sum = meets(1) + meets(2) + meets(4);
            let mut graph = Graph::new();
            let node = graph.add_expression("sum", &sum).unwrap();
            assert_eq!(graph.run().unwrap()[&node], 7);
        });
    });
}

/// What many operations in one slot are called, and that names which the graph has already are not used twice.
#[test]
fn parts_have_readable_names_of_their_own() {
    within(60, || {
        let mut row = lazy(|| 1_i64) + 1;
        for _ in 0..1500 {
            row *= 1;
        }
        let row = -(row - 3) / 2 % 7;
        let (left, right) = (&row + 1, &row + 2);
        let mut graph = Graph::new();
        graph.add("all: +", task(io_bound(|| ()), ())).unwrap();
        graph.add_expression("all", &(&left - &right)).unwrap();
        let expected = [
            "all: +",
            "all: lazy",
            "all: +, * 1 500 times, - 2 times, …, %",
            "all: + #2",
            "all: + #3",
            "all",
        ];
        assert_eq!(names(&graph), expected);
        assert!(graph.run().unwrap().is_done());

        let taken = graph.add_expression("all", &row).unwrap_err();
        assert!(matches!(&taken.faults()[0], GraphFault::DuplicateName { name, .. } if name == "all"));
        assert_eq!(graph.len(), 6);
    });
}

/// A fork that has not ended is a task that waits for it; if it fails, what needs it is skipped, and nothing else.
#[test]
fn a_fork_that_fails_inside_keeps_what_needs_it_from_running() {
    within(60, || {
        with_plan(Plan::threads(), || {
            let (send, asked) = held("ask");
            let count = Count::default();
            let other = counted(&count, 5);
            let (left, right) = (&asked + 1, &other * 2);
            let sum = &left + &right;
            let mut graph = Graph::new();
            let node = graph.add_expression("sum", &sum).unwrap();
            assert_eq!(names(&graph), ["sum: ask", "sum: +", "sum: lazy", "sum: *", "sum"]);
            drop(send);
            let outcomes = graph.run().unwrap();
            let expected = [
                "sum: ask: failed",
                "sum: +: skipped: its ancestor `sum: ask` failed",
                "sum: lazy: done",
                "sum: *: done",
                "sum: skipped: its ancestor `sum: ask` failed",
            ];
            assert_eq!(told(&outcomes), expected);
            let (name, error) = outcomes.failed().next().unwrap();
            assert_eq!((name, error.task()), ("sum: ask", "ask"));
            assert!(error.is_panic() && !error.is_dependency(), "{error}");
            assert!(panic_of(|| outcomes[&node]).contains("a number"));
            // It is what the proxy itself fails with.
            assert!(panic_of(|| *sum).contains("a number"));

            // What has failed stays so.
            assert_eq!(graph.reset_failed(), 3);
            assert_eq!(told(&graph.run().unwrap()), expected);
            assert_eq!(count.get(), 1);
        });
    });
}

#[test]
fn a_panic_of_an_operator_is_the_failure_of_its_part() {
    within(60, || {
        let (one, zero) = (lazy(|| 1), lazy(|| 0));
        let (line, quotient) = (line!(), &one / &zero);
        let mut graph = Graph::new();
        graph.add_expression("result", &(&quotient + &one)).unwrap();
        let outcomes = graph.run().unwrap();
        assert!(matches!(outcomes.outcome("result").unwrap(), Outcome::Skipped(_)));
        let (name, error) = outcomes.failed().next().unwrap();
        assert_eq!((name, error.message().as_ref()), ("result: /", "attempt to divide by zero"));
        let (file, at, _) = error.operator_at().unwrap();
        assert_eq!((file, at), (file!(), line));
        assert_eq!(ResultProxy::error(&quotient).unwrap().message(), error.message());
    });
}

/// A value that has failed before is no task: what needs it fails as reading it would.
#[test]
fn a_failure_that_is_there_already_fails_what_needs_it() {
    within(60, || {
        let failed = task(io_bound(|| -> i64 { panic!("too late") }), ()).name("ask").fork();
        assert!(ResultProxy::error(&failed).is_some());
        let mut graph = Graph::new();
        graph.add_expression("next", &(&failed + 1)).unwrap();
        assert_eq!(names(&graph), ["next"]);
        let outcomes = graph.run().unwrap();
        let Outcome::Failed(error) = outcomes.outcome("next").unwrap() else { panic!("{outcomes:?}") };
        assert_eq!((error.task(), error.message().as_ref()), ("ask", "too late"));
    });
}

/// Neither capturing nor running a long chain needs stack.
#[test]
fn a_long_chain_of_parts_is_captured_and_run_without_recursion() {
    within(300, || {
        let chain = |length: usize| {
            let mut links = vec![lazy(|| 0_u64)];
            for _ in 1..length {
                // Held by the list, so each is a value of its own.
                links.push(links.last().unwrap() + 1);
            }
            links
        };
        let small_stack = thread::Builder::new().stack_size(256 << 10);
        let body = move || {
            let links = chain(200_000);
            let mut graph = Graph::new();
            graph.add_expression("end", links.last().unwrap()).unwrap();
            assert_eq!(graph.len(), links.len());
            drop((links, graph));

            let links = chain(20_000);
            let mut graph = Graph::new();
            let end = graph.add_expression("end", links.last().unwrap()).unwrap();
            assert_eq!(graph.run().unwrap()[&end], 19_999);
            assert!(links.iter().all(ResultProxy::is_ready));
        };
        small_stack.spawn(body).unwrap().join().unwrap();
    });
}

/// Whoever comes first computes a part, the run or a reader, and the other waits for it.
#[test]
fn a_reader_during_the_run_computes_nothing_again() {
    within(60, || {
        with_plan(Plan::threads(), || {
            let count = Count::default();
            let (begun, begins) = channel::<()>();
            let (go, goes) = channel::<i64>();
            let slow = {
                let count = count.clone();
                lazy(move || {
                    count.add();
                    begun.send(()).unwrap();
                    goes.recv().unwrap()
                })
            };
            let (left, right) = (&slow + 1, &slow * 2);
            let sum = &left + &right;
            let mut graph = Graph::new();
            let node = graph.add_expression("sum", &sum).unwrap();
            let monitor = graph.monitor();
            thread::scope(|scope| {
                let run = scope.spawn(move || graph.run().unwrap()[&node]);
                begins.recv().unwrap();
                assert_eq!(monitor.in_progress(), ["sum: lazy"]);
                let read = scope.spawn(|| *sum);
                go.send(10).unwrap();
                assert_eq!((run.join().unwrap(), read.join().unwrap()), (31, 31));
            });
            assert_eq!(count.get(), 1);
        });
    });
}

#[test]
fn what_was_read_before_the_run_is_not_computed_again() {
    within(60, || {
        let count = Count::default();
        let proxy = diamond(&count);
        let mut graph = Graph::new();
        let node = graph.add_expression("all", &proxy).unwrap();
        assert_eq!(*proxy, -2);
        assert_eq!(graph.run().unwrap()[&node], -2);
        assert_eq!(count.get(), 1);
        // Nor is there anything left to capture.
        let mut again = Graph::new();
        again.add_expression("all", &proxy).unwrap();
        assert_eq!(names(&again), ["all"]);
    });
}

#[test]
fn a_ready_proxy_is_a_task_that_gives_its_value() {
    within(60, || {
        every_plan(|_| {
            let mut graph = Graph::new();
            let text = graph.add_expression("text", &ready("abc".to_string())).unwrap();
            let length = graph.add("length", task(io_bound(|text: String| text.len()), &text)).unwrap();
            graph.add_named("again", io_bound(|text: String| text.len()), ["text"]);
            assert_eq!(names(&graph), ["text", "length", "again"]);
            let done = graph.run().unwrap();
            assert_eq!((&*done[&text], done[&length], done.value("again").unwrap()), ("abc", 3, &3_usize));
        });
    });
}

#[test]
fn forks_and_their_expressions_feed_typed_tasks() {
    within(120, || {
        every_plan(|plan| {
            let (a, b) = (fork(square, 3), fork(square, 4));
            let mut graph = Graph::new();
            let a_node = graph.add_expression("a", &a).unwrap();
            let sum = graph.add_expression("sum", &(&a + &b)).unwrap();
            let last = graph.add("last", task(plus, (&sum, &a_node))).unwrap();
            let done = graph.run().unwrap();
            assert_eq!((done[&sum], done[&last]), (25, 34), "{plan}");
            graph.reset(["a", "sum"]).unwrap();
            assert_eq!(graph.run().unwrap()[&last], 34, "{plan}");
        });
    });
}

/// Runs all tasks in one thread, in the order in which they come.
struct OneThread(Mutex<Sender<Runnable>>);

impl OneThread {
    fn new() -> Arc<Self> {
        let (send, receive) = channel::<Runnable>();
        thread::spawn(move || receive.into_iter().for_each(Runnable::run));
        Arc::new(Self(Mutex::new(send)))
    }
}

impl Runner for OneThread {
    fn run(&self, task: Runnable) {
        self.0.lock().unwrap().send(task).unwrap();
    }
}

/// Waiting for forks takes no thread: the only one is free for the task that has them end.
#[test]
fn a_fork_that_is_waited_for_holds_no_thread() {
    within(60, || {
        let (sends, all): (Vec<_>, Vec<_>) =
            with_plan(Plan::threads(), || (0..20).map(|_| held("ask")).unzip());
        let sum: ResultProxy<i64> = all.iter().sum();
        with_plan(Plan::runner(OneThread::new()), || {
            let mut graph = Graph::new();
            let monitor = graph.monitor();
            let all_have_started = lazy(move || {
                while monitor.in_progress().iter().filter(|name| name.starts_with("sum: ask")).count() < 20 {
                    thread::yield_now();
                }
            });
            let sum = graph.add_expression("sum", &sum).unwrap();
            let started = graph.add_expression("started", &all_have_started).unwrap();
            let go = move |()| sends.iter().for_each(|send| send.send(3).unwrap());
            graph.add("go", task(io_bound(go), &started)).unwrap();
            assert_eq!(graph.run().unwrap()[&sum], 60);
        });
    });
}

/// Who looks at an expression claims it for a moment, which hides nothing from others.
#[test]
fn an_expression_is_captured_by_many_threads_at_once() {
    within(120, || {
        with_plan(Plan::threads(), || {
            let (send, asked) = held("ask");
            let (left, right) = (&asked + 1, &asked * 2);
            let all = &left - &right;
            thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        for _ in 0..1000 {
                            let mut graph = Graph::new();
                            graph.add_expression("all", &all).unwrap();
                            assert_eq!(names(&graph), ["all: ask", "all: +", "all: *", "all"]);
                        }
                    });
                }
            });
            send.send(1).unwrap();
            assert_eq!(*all, 0);
        });
    });
}

/// A part whose operand has failed is not skipped if it has a value all the same.
#[test]
fn a_part_that_does_not_look_at_a_failed_operand_has_its_value() {
    within(60, || {
        let all = [ready(None), lazy(|| -> Option<i64> { panic!("not looked at") })];
        let all: ResultProxy<Option<Vec<i64>>> = all.into_iter().collect();
        let mut graph = Graph::new();
        let node = graph.add_expression("all", &all).unwrap();
        let next = graph.add("next", task(io_bound(|all: Option<Vec<i64>>| all.is_none()), &node)).unwrap();
        let outcomes = graph.run().unwrap();
        assert_eq!(told(&outcomes), ["all: lazy: failed", "all: done", "next: done"]);
        assert!(outcomes[&next] && all.is_none());
    });
}

/// A part that must come after another task does not when that has failed, whatever its operands are.
#[test]
fn a_part_after_a_failed_task_is_skipped_with_what_contains_it() {
    within(60, || {
        let count = Count::default();
        let sum = counted(&count, 1) + 1;
        let mut graph = Graph::new();
        graph.add_named("clean", io_bound(|| panic!("no")), []);
        graph.add_expression("sum", &sum).unwrap();
        graph.put_before("clean", "sum: lazy").unwrap();
        let expected = [
            "clean: failed",
            "sum: lazy: skipped: its ancestor `clean` failed",
            "sum: skipped: its ancestor `clean` failed",
        ];
        assert_eq!(told(&graph.run().unwrap()), expected);
        assert_eq!((count.get(), ResultProxy::state(&sum)), (0, ProxyState::Deferred));
    });
}

/// The graph keeps what was captured, and nothing of what that is made of.
#[test]
fn values_of_parts_that_nobody_needs_any_more_are_dropped() {
    within(60, || {
        every_plan(|plan| {
            let probe = Arc::new(());
            let value = probe.clone();
            let part = lazy(move || value);
            let whole = ResultProxy::map(&part, |_| 5);
            drop(part);
            let mut graph = Graph::new();
            let node = graph.add_expression("whole", &whole).unwrap();
            assert_eq!(graph.len(), 2);
            assert_eq!(graph.run().unwrap()[&node], 5);
            assert_eq!(Arc::strong_count(&probe), 1, "{plan}");
            graph.reset(["whole: lazy"]).unwrap();
            assert_eq!(graph.run().unwrap()[&node], 5, "{plan}");
        });
    });
}

/// What two expressions have in common is one task, whichever was captured first.
#[test]
fn expressions_of_one_graph_share_their_parts() {
    within(60, || {
        let count = Count::default();
        let shared = counted(&count, 3);
        let sum = &shared + 1;
        let (one, two) = (&sum * 2, &sum * 3);
        let mut graph = Graph::new();
        let one = graph.add_expression("one", &one).unwrap();
        let two = graph.add_expression("two", &two).unwrap();
        let sum = graph.add_expression("sum", &sum).unwrap();
        let again = graph.add_expression("again", &shared).unwrap();
        assert_eq!(names(&graph), ["one: lazy", "one: +", "one", "two", "sum", "again"]);
        let dot = graph.to_dot().unwrap();
        for edge in ["n0 -> n1", "n1 -> n2", "n1 -> n3", "n1 -> n4", "n0 -> n5"] {
            assert!(dot.contains(edge), "{edge}: {dot}");
        }
        // The parts are known to the graph that they are merged into, too.
        let mut larger = Graph::new();
        larger.add("first", task(square, 1)).unwrap();
        larger.merge(graph).unwrap();
        let more = larger.add_expression("more", &(&shared - 1)).unwrap();
        assert_eq!(larger.len(), 8);
        let done = larger.run().unwrap();
        assert_eq!(
            (done[&one], done[&two], done[&sum], done[&again], done[&more], count.get()),
            (8, 12, 4, 3, 2, 1)
        );
    });
}

#[test]
fn pictures_show_the_parts() {
    within(60, || {
        let (send, asked) = held("ask");
        let product = (&asked + 1) * lazy(|| 2);
        let mut graph = Graph::new();
        graph.add_expression("product", &product).unwrap();
        assert_eq!(names(&graph), ["product: ask", "product: lazy", "product"]);
        let (svg, dot, mermaid) =
            (graph.to_svg().unwrap(), graph.to_dot().unwrap(), graph.to_mermaid().unwrap());
        for name in ["product: ask", "product: lazy"] {
            assert!(svg.contains(name) && dot.contains(name), "{svg}{dot}");
        }
        // There the shapes are brackets; a colon is escaped.
        for shape in
            ["n0([\"product", "n1{{\"product", "n2{{\"product\"}}", "ask\"])", "lazy\"}}", "n0 --> n2"]
        {
            assert!(mermaid.contains(shape), "{shape}: {mermaid}");
        }
        let line = |name: &str| dot.lines().find(|line| line.contains(name)).unwrap();
        assert!(line("product: ask").contains("ellipse"), "{dot}");
        assert!(line("product: lazy").contains("hexagon") && line("n2 [").contains("hexagon"), "{dot}");
        assert!(svg.contains("part of an expression") && svg.contains("given value"), "{svg}");
        assert!(dot.contains("n0 -> n2") && dot.contains("n1 -> n2") && !dot.contains("dashed"), "{dot}");
        send.send(4).unwrap();
        assert!(graph.run().unwrap().gantt_svg().contains("product: lazy"));
    });
}

#[test]
fn parts_have_costs_and_are_scheduled() {
    within(60, || {
        with_plan(Plan::threads(), || {
            let count = Count::default();
            let proxy = diamond(&count);
            let mut graph = Graph::new();
            let node = graph.add_expression("all", &proxy).unwrap();
            for (name, cost) in [("all: lazy", 1.0), ("all: +", 5.0), ("all: *", 3.0), ("all", 2.0)] {
                graph.set_cost(name, cost).unwrap();
            }
            let plan = graph.schedule(Heft::new(2)).unwrap();
            assert_eq!(plan.makespan(), 8.0);
            assert_eq!(graph.run_schedule(&plan).unwrap()[&node], -2);
            let costs = graph.costs();
            assert_eq!(costs.tasks().count(), 4);
            assert!(costs.tasks().all(|(_, cost)| cost < 30.0));
            assert_eq!(count.get(), 1);
        });
    });
}

/// A run that is stopped decides nothing about the proxy.
#[test]
fn a_run_that_is_stopped_leaves_the_proxy_to_be_computed() {
    within(60, || {
        with_plan(Plan::threads(), || {
            let (send, asked) = held("ask");
            let (go, goes) = channel::<i64>();
            let slow = lazy(move || goes.recv().unwrap());
            let sum = &asked + &slow;
            let mut graph = Graph::new();
            let node = graph.add_expression("sum", &sum).unwrap();
            let stopped = graph.run_with(RunOptions::new().timeout(Duration::from_millis(50))).unwrap();
            assert_eq!(stopped.skipped().count(), 3);
            go.send(1).unwrap();
            send.send(2).unwrap();
            assert_eq!(graph.run().unwrap()[&node], 3);
            assert_eq!((*sum, *asked), (3, 2));
        });
    });
}

#[test]
fn a_reset_gives_the_same_value_again() {
    within(60, || {
        let count = Count::default();
        let proxy = diamond(&count);
        let mut graph = Graph::new();
        let node = graph.add_expression("all", &proxy).unwrap();
        let next = graph.add("next", task(square, &node)).unwrap();
        graph.outputs(["next"]);
        assert_eq!(graph.run().unwrap()[&next], 4);
        assert_eq!(graph.reset(["all: lazy"]).unwrap(), 5);
        assert_eq!(graph.run().unwrap()[&next], 4);
        assert_eq!(graph.reset(["next"]).unwrap(), 1);
        assert_eq!(graph.run().unwrap()[&next], 4);
        assert_eq!(count.get(), 1);
    });
}

/// What nothing was computed for has cost nothing new.
#[test]
fn a_run_that_finds_values_measures_nothing() {
    within(60, || {
        with_plan(Plan::threads(), || {
            let count = Count::default();
            let proxy = diamond(&count);
            let mut graph = Graph::new();
            graph.add_expression("all", &proxy).unwrap();
            assert!(graph.run().unwrap().is_done());
            let costs = graph.costs();
            assert_eq!(costs.tasks().count(), 4);
            graph.reset(["all: lazy"]).unwrap();
            assert!(graph.run().unwrap().is_done());
            assert_eq!(graph.costs(), costs);
        });
    });
}

/// A part that others contain is computed with them, so nothing else can be in its place.
#[test]
fn a_captured_task_that_other_parts_contain_keeps_its_value() {
    within(60, || {
        let count = Count::default();
        let sum = counted(&count, 3) + 4;
        let twice = &sum * 2;
        let mut graph = Graph::new();
        graph.add_expression("sum", &sum).unwrap();
        graph.add_expression("twice", &twice).unwrap();
        let refused = [
            graph.mark_done("sum", 10_i64).unwrap_err(),
            graph.replace("sum", task(plus, (1, 2))).unwrap_err(),
        ];
        for (error, expected) in refused.iter().zip(["mark as done", "replace"]) {
            let GraphFault::UsedPart { task, what, user, .. } = &error.faults()[0] else { panic!("{error}") };
            assert_eq!((task.as_str(), *what, user.as_str()), ("sum", expected, "twice"));
            assert!(
                error.to_string().starts_with(&format!("{expected} `sum`, added at {}", file!())),
                "{error}"
            );
        }
        graph.mark_done("twice", 5_i64).unwrap();
        let done = graph.run().unwrap();
        assert_eq!((done.value::<i64>("sum").unwrap(), done.value::<i64>("twice").unwrap()), (&7, &5));

        // What has been given a value already is computed from nothing, so what is captured later does not count on it.
        let mut graph = Graph::new();
        graph.add_expression("sum", &sum).unwrap();
        graph.mark_done("sum", 10_i64).unwrap();
        let twice = graph.add_expression("twice", &twice).unwrap();
        let next = graph.add_named("next", square, ["sum"]);
        let done = graph.run().unwrap();
        assert_eq!((done[&twice], done[&next], count.get()), (14, 100, 1));
        assert!(!graph.to_dot().unwrap().contains("n0 -> n1"));
    });
}

/// A part whose task was replaced is known again by the task that computes it now.
#[test]
fn parts_are_shared_after_a_task_was_replaced() {
    within(60, || {
        let count = Count::default();
        let sum = counted(&count, 3);
        let mut graph = Graph::new();
        graph.add_expression("all", &sum).unwrap();
        graph.replace("all", task(square, 2)).unwrap();
        let again = graph.add_expression("again", &sum).unwrap();
        let third = graph.add_expression("third", &(&sum + 1)).unwrap();
        assert_eq!(names(&graph), ["all", "again", "third"]);
        let done = graph.run().unwrap();
        assert_eq!((done.value::<i64>("all").unwrap(), done[&again], done[&third]), (&4, 3, 4));
        assert_eq!(count.get(), 1);
    });
}

/// Names of parts say too little of what they are for a later process to believe what was written of one.
#[test]
fn failures_of_parts_are_not_saved() {
    within(60, || {
        let build = |fails: bool| {
            let mut graph = Graph::new();
            let value = lazy(move || if fails { panic!("no") } else { 3_i64 });
            let node = graph.add_expression("all", &(value + 1)).unwrap();
            (graph, node)
        };
        let file = std::env::temp_dir().join(format!("xfork-graphs-captured-kept-{}", std::process::id()));
        let (mut graph, _) = build(true);
        assert_eq!(graph.keep_in(&file).unwrap(), 0);
        assert_eq!(graph.run().unwrap().failed().count(), 1);
        drop(graph);
        let (mut graph, node) = build(false);
        assert_eq!(graph.keep_in(&file).unwrap(), 0);
        assert_eq!(graph.run().unwrap()[&node], 4);
        drop(graph);

        let (mut graph, _) = build(true);
        assert_eq!(graph.run().unwrap().failed().count(), 1);
        graph.save(&file).unwrap();
        let (mut graph, node) = build(false);
        assert_eq!(graph.load(&file).unwrap(), 0);
        assert_eq!(graph.run().unwrap()[&node], 4);
        std::fs::remove_file(file).unwrap();
    });
}

#[test]
fn what_else_is_done_with_tasks_is_done_with_parts_as_far_as_it_makes_sense() {
    within(60, || {
        let build = || {
            let count = Count::default();
            let proxy = diamond(&count);
            let mut graph = Graph::new();
            let node = graph.add_expression("all", &proxy).unwrap();
            let next = graph.add("next", task(square, &node)).unwrap();
            (count, proxy, graph, node, next)
        };

        // Nothing is equal to a part.
        let (_, _, mut graph, ..) = build();
        assert!(graph.remove_duplicates().unwrap().is_empty());

        // The value inside can't be looked up, replaced, given or fed by name.
        let mut told = vec![
            graph.run().unwrap().value::<i64>("all: +").unwrap_err(),
            graph.replace("all: +", task(square, 1)).unwrap_err(),
            graph.mark_done("all: +", 1_i64).unwrap_err(),
        ];
        graph.add_named("named", square, ["all: +"]);
        told.push(graph.check().unwrap_err());
        for error in told {
            let text = error.to_string();
            assert!(text.contains("value inside an expression") && text.contains(file!()), "{text}");
        }

        // The whole can.
        let (count, proxy, mut graph, node, next) = build();
        graph.replace("all", task(plus, (3, 4))).unwrap();
        let done = graph.run().unwrap();
        assert_eq!((done[&node], done[&next], count.get()), (7, 49, 1));
        assert_eq!(ResultProxy::state(&proxy), ProxyState::Deferred);
        let (count, _, mut graph, _, next) = build();
        graph.outputs(["next"]);
        graph.mark_done("all", 6_i64).unwrap();
        graph.mark_done_except(["next"]).unwrap();
        assert_eq!((graph.run().unwrap()[&next], count.get()), (36, 0));

        // A part that is said to be done is computed by what needs it.
        let (count, _, mut graph, node, _) = build();
        graph.mark_done_except(["all"]).unwrap();
        assert_eq!((graph.run().unwrap()[&node], count.get()), (-2, 1));

        // Results of parts are not saved.
        let (count, _, mut graph, ..) = build();
        let file = std::env::temp_dir().join(format!("xfork-graphs-captured-{}", std::process::id()));
        graph.run().unwrap();
        assert_eq!(graph.save(&file).unwrap(), ["all: lazy", "all: +", "all: *", "all"]);
        let (_, _, mut later, node, next) = build();
        assert_eq!(later.load(&file).unwrap(), 1);
        let done = later.run().unwrap();
        assert_eq!((done[&node], done[&next], count.get()), (-2, 4, 1));
        std::fs::remove_file(file).unwrap();
    });
}

/// What is said of a task by its name holds for a part, but for what can't be: its result is in no file.
#[test]
fn a_part_has_limits_and_is_not_saved() {
    within(60, || {
        let (send, receive) = channel::<i64>();
        let hangs = lazy(move || receive.recv().expect("a number"));
        let mut graph = Graph::new();
        graph.add_expression("hangs", &hangs).unwrap();
        let error = graph.set_saved::<i64>("hangs").unwrap_err();
        assert!(error.to_string().contains("captured anew in each process"), "{error}");
        graph.set_limits("hangs", Limits::new().timeout(Duration::from_millis(20))).unwrap();
        let done = graph.run().unwrap();
        let outcome = done.outcome("hangs").unwrap();
        assert!(matches!(&outcome, Outcome::Failed(error) if error.is_timeout()), "{outcome:?}");
        send.send(5).unwrap();
        assert_eq!(*hangs, 5, "the proxy is computed all the same");
    });
}
