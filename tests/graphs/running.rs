//! Running: in which order, what becomes of failures, how runs are limited, watched and repeated exactly.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use crate::fixture::{
    Count, Gate, Notes, every_plan, panic_of, pass, pass_io, plus, square, stderr_of_program, told, total,
};
use crate::within;
use xfork::{
    Graph, Heft, Node, Outcome, Plan, Progress, RunOptions, Runnable, Runner, Scope, Skip, cpu_bound,
    io_bound, task, with_plan,
};

/// Runs each task where it is handed over, and notes its name.
#[derive(Default)]
struct Recorder(Notes);

impl Runner for Recorder {
    fn run(&self, task: Runnable) {
        self.0.add(task.name());
        task.run();
    }
}

/// The names of the tasks in the order in which they were handed to their runner.
fn order(graph: &mut Graph) -> Vec<String> {
    let recorder = Arc::new(Recorder::default());
    with_plan(Plan::runner(recorder.clone()), || assert!(graph.run().unwrap().is_done()));
    recorder.0.take()
}

/// TM-06: of tasks that could start, those on threads come first, then the more urgent ones, and then they stay in order.
#[test]
fn tasks_that_wait_start_before_tasks_that_compute() {
    within(60, || {
        let mut graph = Graph::new();
        graph.add("computes", task(square, 1)).unwrap();
        graph.add("computes, urgent", task(square, 1).priority(5)).unwrap();
        graph.add("waits", task(io_bound(|| 1), ())).unwrap();
        graph.add("waits, urgent", task(io_bound(|| 1), ()).priority(5)).unwrap();
        graph.add("waits, patient", task(io_bound(|| 1), ()).priority(-5)).unwrap();
        graph.add("waits, too", task(io_bound(|| 1), ())).unwrap();
        graph.add_named("last", square, ["computes"]);
        let first =
            ["waits, urgent", "waits", "waits, too", "waits, patient", "computes, urgent", "computes"];
        assert_eq!(graph.ready(), first);
        let order = order(&mut graph);
        assert_eq!(order[..6], first);
        assert_eq!(order[6], "last");
    });
}

/// TM-06, AM-08: of equally urgent tasks that with the longest way to the end comes first, by given costs or by measured ones.
#[test]
fn the_task_with_the_longest_way_to_the_end_starts_first() {
    within(60, || {
        let build = || {
            let mut graph = Graph::new();
            let short = graph.add("short", task(square, 1).cost(5.0)).unwrap();
            let long = graph.add("long", task(square, 1).cost(1.0)).unwrap();
            let urgent = graph.add("urgent", task(square, 1).cost(0.0).priority(1)).unwrap();
            graph.add("after long", task(square, &long).cost(10.0)).unwrap();
            graph
                .add("after all", task(total, [&short, &urgent].map(Node::clone).to_vec()).cost(1.0))
                .unwrap();
            graph
        };
        let expected = ["urgent", "long", "short", "after long", "after all"];
        assert_eq!(order(&mut build()), expected);
        // What it costs to bring results counts, too.
        let mut graph = build();
        graph.set_comm_cost("short", "after all", 100.0).unwrap();
        assert_eq!(order(&mut graph), ["urgent", "short", "long", "after all", "after long"]);
        let notes = Notes::default();
        with_plan(Plan::sequential(), || {
            let mut graph = Graph::new();
            let note = |name: &'static str| {
                let notes = notes.clone();
                io_bound(move || notes.add(name))
            };
            graph.add("a", task(note("a"), ()).cost(1.0)).unwrap();
            graph.add("b", task(note("b"), ()).cost(3.0)).unwrap();
            graph.add("c", task(note("c"), ()).cost(2.0)).unwrap();
            graph.run().unwrap();
            assert_eq!(notes.take(), ["b", "c", "a"]);
        });
    });
}

/// How a task of a diamond ends.
#[derive(Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
enum How {
    Well,
    Panic,
    Abort,
    Exit,
    Never,
}

fn end(how: How, inputs: &[i64]) -> i64 {
    match how {
        How::Well => inputs.iter().sum::<i64>() + 1,
        How::Panic => panic!("the root of it"),
        How::Abort => std::process::abort(),
        How::Exit => std::process::exit(3),
        How::Never => loop {
            thread::park();
        },
    }
}

#[cpu_bound]
fn end_in_worker(how: How, inputs: Vec<i64>) -> i64 {
    end(how, &inputs)
}

#[io_bound]
fn end_on_thread(how: How, inputs: Vec<i64>) -> i64 {
    end(how, &inputs)
}

const DIAMOND: [&str; 4] = ["a", "b", "c", "d"];

/// a feeds b and c, and both feed d; the task at `place` ends badly.
fn diamond(place: usize, how: How, in_worker: bool) -> Graph {
    let mut graph = Graph::new();
    let mut nodes: Vec<Node<i64>> = Vec::new();
    for (number, name) in DIAMOND.into_iter().enumerate() {
        let inputs = match number {
            0 => Vec::new(),
            1 | 2 => vec![nodes[0].clone()],
            _ => nodes[1..].to_vec(),
        };
        let how = if number == place { how } else { How::Well };
        let limit = (how == How::Never).then(|| Duration::from_millis(100));
        let node = match in_worker {
            true => {
                let task = task(end_in_worker, (how, inputs));
                graph.add(name, if let Some(limit) = limit { task.timeout(limit) } else { task })
            }
            false => {
                let task = task(end_on_thread, (how, inputs));
                graph.add(name, if let Some(limit) = limit { task.timeout(limit) } else { task })
            }
        };
        nodes.push(node.unwrap());
    }
    // Whatever happens in the diamond.
    graph.add("alone", task(square, 3)).unwrap();
    graph
}

/// What must come of a diamond if the task at `place` fails.
fn expected(place: usize) -> Vec<String> {
    let descends = |task: usize| matches!((place, task), (0, 1..) | (1 | 2, 3));
    let tell = |(task, name): (usize, &str)| match task {
        _ if task == place => format!("{name}: failed"),
        _ if descends(task) => format!("{name}: skipped: its ancestor `{}` failed", DIAMOND[place]),
        _ => format!("{name}: done"),
    };
    let mut all: Vec<String> = DIAMOND.into_iter().enumerate().map(tell).collect();
    all.push("alone: done".into());
    all
}

/// Lets the task at each place of a diamond fail; `is` says whether it failed as it should.
fn fail_everywhere(how: How, in_worker: bool, is: impl Fn(&xfork::TaskError) -> bool) {
    for (place, name) in DIAMOND.into_iter().enumerate() {
        let done = diamond(place, how, in_worker).run().unwrap();
        assert_eq!(told(&done), expected(place), "{place}");
        assert!(!done.is_done());
        let failed: Vec<_> = done.failed().collect();
        assert_eq!((failed.len(), failed[0].0), (1, name));
        assert!(is(failed[0].1), "{place}: {}", failed[0].1);
        assert_eq!(failed[0].1.task(), name);
        assert_eq!(done.value::<i64>("alone").unwrap(), &9);
    }
}

/// AM-18, TM-09: a panic on a thread.
#[test]
fn a_panic_on_a_thread_keeps_the_descendants_from_running() {
    within(60, || {
        every_plan(|_| {
            fail_everywhere(How::Panic, false, |error| {
                error.is_panic() && error.message() == "the root of it"
            });
        });
    });
}

/// AM-18, TM-09: a panic of a task that computes, under every plan.
#[test]
fn a_panic_in_a_worker_keeps_the_descendants_from_running() {
    within(60, || {
        every_plan(|_| {
            fail_everywhere(How::Panic, true, |error| {
                error.is_panic() && error.message() == "the root of it"
            });
        });
    });
}

/// TM-09, regression i: a worker that aborts.
#[test]
fn the_death_of_a_worker_keeps_the_descendants_from_running() {
    within(120, || {
        for workers in [1, 2] {
            with_plan(Plan::processes(workers), || {
                let is_abort = |error: &xfork::TaskError| error.is_crash() && error.signal().is_some();
                fail_everywhere(How::Abort, true, is_abort);
            });
        }
    });
}

/// AM-17, TM-09: a worker that exits.
#[test]
fn the_exit_of_a_worker_keeps_the_descendants_from_running() {
    within(120, || {
        for workers in [1, 2] {
            with_plan(Plan::processes(workers), || {
                fail_everywhere(How::Exit, true, |error| error.is_crash() && error.exit_code() == Some(3));
            });
        }
    });
}

/// AM-17, TM-09, regression e: a task that takes longer than it may, whichever it is.
#[test]
fn a_task_that_takes_too_long_keeps_the_descendants_from_running() {
    within(120, || {
        with_plan(Plan::processes(2).grace(Duration::from_millis(100)), || {
            fail_everywhere(How::Never, true, |error| error.is_timeout());
        });
    });
}

/// AM-17: on a thread, which can't be ended and goes on.
#[test]
fn a_task_on_a_thread_that_takes_too_long_fails_at_once() {
    within(60, || {
        let (go, gone) = channel::<()>();
        let gone = Arc::new(Mutex::new(gone));
        let waits = move || gone.lock().unwrap().recv().map_or(0, |()| 1);
        let mut graph = Graph::new();
        let slow = graph.add("slow", task(io_bound(waits), ()).timeout(Duration::from_millis(50))).unwrap();
        graph.add("after", task(square, &slow)).unwrap();
        graph.add("alone", task(square, 2)).unwrap();
        let done = graph.run().unwrap();
        assert_eq!(
            told(&done),
            ["slow: failed", "after: skipped: its ancestor `slow` failed", "alone: done"]
        );
        let Outcome::Failed(error) = done.of_node(&slow) else { unreachable!() };
        assert!(error.is_timeout(), "{error}");
        drop(go);
    });
}

/// Drops the task of this name, and runs the others.
struct Drops(&'static str);

impl Runner for Drops {
    fn run(&self, task: Runnable) {
        if task.name() != self.0 {
            thread::spawn(move || task.run());
        }
    }
}

/// PM-13, TM-09: a task that is cancelled before it starts, here by its runner; those that need it are skipped with that
/// reason.
#[test]
fn a_cancelled_task_keeps_the_descendants_from_running() {
    within(60, || {
        for (place, name) in DIAMOND.into_iter().enumerate() {
            let plan = Plan::runner(Arc::new(Drops(name)));
            with_plan(plan, || fail_everywhere_once(place, |error| error.is_cancelled()));
        }
    });
}

fn fail_everywhere_once(place: usize, is: impl Fn(&xfork::TaskError) -> bool) {
    let done = diamond(place, How::Well, true).run().unwrap();
    assert_eq!(told(&done), expected(place));
    let failed: Vec<_> = done.failed().collect();
    assert!(is(failed[0].1), "{}", failed[0].1);
}

/// PM-13: a running task is cancelled by the scope that the graph is run in; what has ended keeps its result.
#[test]
fn a_running_task_is_cancelled_with_its_scope() {
    within(60, || {
        for in_worker in [true, false] {
            let gate = Gate::new();
            let scope = Arc::new(Scope::new());
            let mut graph = Graph::new();
            graph.add("first", task(square, 2)).unwrap();
            let second = graph.add_named("second", square, ["first"]);
            match in_worker {
                true => graph.add("stops", task(pass, (gate.path(), 7)).after(&second)),
                false => graph.add("stops", task(pass_io, (gate.path(), 7)).after(&second)),
            }
            .unwrap();
            graph.add_named("after", io_bound(|label: u32| label), ["stops"]);
            let monitor = graph.monitor();
            let run = thread::spawn({
                let scope = scope.clone();
                move || scope.enter(|| graph.run().unwrap())
            });
            let stopped = gate.next();
            assert_eq!(stopped.label, 7);
            assert_eq!((monitor.in_progress(), monitor.progress().done), (vec!["stops".to_string()], 2));
            assert!(scope.cancel() >= 1);
            let done = run.join().unwrap();
            let expected = [
                "first: done",
                "second: done",
                "stops: failed",
                "after: skipped: its ancestor `stops` failed",
            ];
            assert_eq!(told(&done), expected);
            let Outcome::Failed(error) = done.outcome("stops").unwrap() else { unreachable!() };
            assert!(error.is_cancelled(), "{error}");
            drop(stopped);
        }
    });
}

/// AM-18, AM-19: reading the result of what failed, or of what was skipped because of it, rethrows what the task threw.
#[test]
fn reading_a_result_that_is_not_there_rethrows_the_original_panic() {
    within(60, || {
        every_plan(|plan| {
            let mut graph = Graph::new();
            let fails = graph.add("fails", task(|| -> i64 { panic!("{} too many", 3) }, ())).unwrap();
            let mut last = fails.clone();
            let chain: Vec<_> = (0..10)
                .map(|n| {
                    last = graph.add(n.to_string(), task(square, &last)).unwrap();
                    last.clone()
                })
                .collect();
            let done = graph.run().unwrap();
            assert_eq!(panic_of(|| done[&fails]), "3 too many", "{plan}");
            for (n, node) in chain.iter().enumerate() {
                assert_eq!(panic_of(|| done[node]), "3 too many", "{plan}");
                // Regression k, AM-19: the story of the root does not grow along the chain.
                let skip = Skip::Ancestor { name: "fails".into() };
                assert!(matches!(done.of_node(node), Outcome::Skipped(found) if found == skip), "{plan} {n}");
            }
            let error = done.into_result().unwrap_err();
            assert_eq!((error.task(), &*error.message()), ("fails", "3 too many"), "{plan}");
        });
    });
}

/// AM-18: what a task on a thread threw is rethrown as it was, of any type.
#[test]
fn a_payload_of_any_type_is_rethrown() {
    #[derive(Debug, PartialEq)]
    struct Own(u32);

    within(60, || {
        let mut graph = Graph::new();
        let throws = || -> i64 { std::panic::panic_any(Own(7)) };
        let throws = graph.add("throws", task(io_bound(throws), ())).unwrap();
        let after = graph.add("after", task(square, &throws)).unwrap();
        let done = graph.run().unwrap();
        assert!(matches!(done.of_node(&throws), Outcome::Failed(_)));
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| done[&after])).unwrap_err();
        assert_eq!(caught.downcast_ref::<Own>(), Some(&Own(7)));
    });
}

/// TM-09: of several failed ancestors one is told, and every failure is kept.
#[test]
fn of_several_failures_each_is_kept() {
    within(60, || {
        let mut graph = Graph::new();
        let fails = |text: &'static str| io_bound(move || -> i64 { panic!("{text}") });
        let first = graph.add("first", task(fails("one"), ())).unwrap();
        let second = graph.add("second", task(fails("two"), ())).unwrap();
        let both = graph.add("both", task(plus, (&first, &second))).unwrap();
        let other = graph.add("other", task(plus, (&second, &first))).unwrap();
        let deeper = graph.add("deeper", task(plus, (&other, &both))).unwrap();
        let done = graph.run().unwrap();
        let messages: Vec<_> =
            done.failed().map(|(name, error)| (name, error.message().into_owned())).collect();
        assert_eq!(messages, [("first", "one".to_string()), ("second", "two".to_string())]);
        // The first argument that is missing is to blame, as with a fork.
        assert_eq!(panic_of(|| done[&both]), "one");
        assert_eq!(panic_of(|| done[&other]), "two");
        assert_eq!(panic_of(|| done[&deeper]), "two");
    });
}

/// AM-18: a clone of an argument that panics fails the task that was to get it.
#[test]
fn a_clone_that_panics_fails_its_task() {
    struct Bad;
    impl Clone for Bad {
        fn clone(&self) -> Self {
            panic!("not to be copied")
        }
    }

    within(60, || {
        let mut graph = Graph::new();
        let gets = graph.add("gets", task(io_bound(|_: Bad| 1), Bad)).unwrap();
        graph.add("after", task(io_bound(|n: i32| n), &gets)).unwrap();
        graph.add("alone", task(square, 2)).unwrap();
        let done = graph.run().unwrap();
        assert_eq!(
            told(&done),
            ["gets: failed", "after: skipped: its ancestor `gets` failed", "alone: done"]
        );
        assert_eq!(panic_of(|| done[&gets]), "not to be copied");
    });
}

/// TM-10: at the first failure nothing more is started, what runs is cancelled, and what has ended stays.
#[test]
fn a_run_can_stop_at_the_first_failure() {
    within(60, || {
        for plan in [Plan::processes(2), Plan::threads()] {
            with_plan(plan, || {
                let gate = Gate::new();
                let mut graph = Graph::new();
                let early = graph.add("early", task(square, 3)).unwrap();
                graph.add("stops", task(pass_io, (gate.path(), 1)).after(&early)).unwrap();
                graph.add_named("after", io_bound(|label: u32| label), ["stops"]);
                let (go, gone) = channel::<()>();
                let gone = Arc::new(Mutex::new(gone));
                let fails = move || -> i64 {
                    gone.lock().unwrap().recv().unwrap();
                    panic!("some error")
                };
                graph.add("fails", task(io_bound(fails), ())).unwrap();
                graph.add_named("descends", square, ["fails"]);
                let run = thread::spawn(move || {
                    let done = graph.run_with(RunOptions::new().fail_fast()).unwrap();
                    (done, graph)
                });
                let stopped = gate.next();
                go.send(()).unwrap();
                let (done, mut graph) = run.join().unwrap();
                drop(stopped);
                let why = "skipped: `fails` failed, and the run was to stop at the first failure";
                let expected = ["early: done".to_string(), format!("stops: {why}"), format!("after: {why}")];
                assert_eq!(told(&done)[..3], expected);
                assert_eq!(told(&done)[3], "fails: failed");
                assert!(told(&done)[4].starts_with("descends: skipped: "), "{:?}", told(&done));
                assert_eq!(done.into_result().unwrap_err().message(), "some error");
                // What was stopped is run when the failure is put right.
                assert_eq!(graph.reset_failed(), 4);
                drop(gate);
                graph.replace("fails", task(io_bound(|| 5_i64), ())).unwrap();
                let done = graph.run_with(RunOptions::new().fail_fast()).unwrap();
                assert_eq!((done.value::<i64>("descends").unwrap(), done.is_done()), (&25, true));
            });
        }
    });
}

/// TM-10, PM-13: under the sequential plan as well: what comes after the failure in order is not started.
#[test]
fn a_sequential_run_can_stop_at_the_first_failure() {
    within(60, || {
        with_plan(Plan::sequential(), || {
            let calls = Count::default();
            let mut graph = Graph::new();
            graph.add_named("fails", io_bound(|| -> i64 { panic!("no") }), []);
            for name in ["a", "b"] {
                let calls = calls.clone();
                graph.add_named(name, io_bound(move || calls.add()), []);
                graph.put_before(if name == "a" { "fine" } else { "a" }, name).unwrap();
            }
            graph.add_named("fine", io_bound(|| 1_i64), []);
            let done = graph.run_with(RunOptions::new().fail_fast()).unwrap();
            assert_eq!(calls.get(), 0);
            for name in ["a", "b"] {
                let skip = Skip::FailFast { name: "fails".into() };
                assert!(matches!(done.outcome(name).unwrap(), Outcome::Skipped(found) if found == skip));
            }
            assert_eq!(done.failed().count(), 1);
        });
    });
}

/// AM-17: a run that takes too long is ended: what runs is cancelled, what has ended stays, the rest is not started.
#[test]
fn a_run_can_be_limited_in_time() {
    within(60, || {
        for plan in [Plan::processes(1), Plan::threads()] {
            with_plan(plan, || {
                let gate = Gate::new();
                let limit = Duration::from_millis(300);
                let mut graph = Graph::new();
                let early = graph.add("early", task(io_bound(|| 9_i64), ())).unwrap();
                graph.add("stops", task(pass_io, (gate.path(), 1)).after(&early)).unwrap();
                graph.add_named("after", io_bound(|label: u32| label), ["stops"]);
                let done = graph.run_with(RunOptions::new().timeout(limit)).unwrap();
                let why = "skipped: the run took longer than its limit of 300ms";
                let expected = ["early: done".to_string(), format!("stops: {why}"), format!("after: {why}")];
                assert_eq!(told(&done), expected);
                assert!(done.value::<u32>("after").unwrap_err().to_string().contains("limit of 300ms"));
                drop(gate);
                assert_eq!(graph.reset_failed(), 2);
                let done = graph.run_with(RunOptions::new().timeout(Duration::MAX)).unwrap();
                assert!(done.is_done() && done[&early] == 9);
            });
        }
    });
}

/// AM-17, regression e: the limit holds as well for what the calling thread runs itself.
#[test]
fn a_limit_in_time_holds_for_tasks_of_the_calling_thread() {
    within(60, || {
        let limit = Duration::from_millis(20);
        let build = |is_in_place: bool| {
            let mut graph = Graph::new();
            let long = move || thread::sleep(4 * limit);
            for (name, input) in [("first", None), ("second", Some("first")), ("third", Some("second"))] {
                match is_in_place {
                    true => graph.add_named(name, xfork::r#unsafe(long), input),
                    false => graph.add_named(name, io_bound(long), input),
                };
            }
            graph
        };
        for (plan, is_in_place) in [(Plan::sequential(), false), (Plan::threads(), true)] {
            let done =
                with_plan(plan, || build(is_in_place).run_with(RunOptions::new().timeout(limit)).unwrap());
            let why = "skipped: the run took longer than its limit of 20ms";
            let expected = ["first: done".to_string(), format!("second: {why}"), format!("third: {why}")];
            assert_eq!(told(&done), expected, "in place: {is_in_place}");
        }
    });
}

/// PM-15, AM-17: without a limit a run takes as long as it takes, and returns when everything has ended.
#[test]
fn a_run_returns_when_everything_has_ended() {
    within(60, || {
        let ended = Count::default();
        let mut graph = Graph::new();
        for n in 0..20 {
            let ended = ended.clone();
            let ends = move || {
                if n % 5 == 0 {
                    panic!("no");
                }
                ended.add()
            };
            graph.add(n.to_string(), task(io_bound(ends), ())).unwrap();
        }
        let done = graph.run().unwrap();
        assert_eq!((ended.get(), done.failed().count()), (16, 4));
    });
}

/// XF metadata in graphs: a task that fails is tried again, as often as it says, also by name and under every plan.
#[test]
fn a_failed_task_is_tried_again() {
    #[io_bound(retries = 3)]
    fn marked(calls: Arc<std::sync::atomic::AtomicUsize>) -> usize {
        let before = calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        assert!(before >= 3, "not yet");
        before
    }

    within(60, || {
        every_plan(|plan| {
            let calls = Count::default();
            let lucky = {
                let calls = calls.clone();
                move || {
                    let number = calls.add();
                    assert!(number >= 3, "not yet");
                    number
                }
            };
            let pause = Duration::from_millis(1);
            let mut graph = Graph::new();
            let third = task(io_bound(lucky), ()).retries(5).backoff(pause);
            let third = graph.add("third", third).unwrap();
            let never = task(|| -> i64 { panic!("never") }, ()).retries(2).backoff(pause);
            let never = graph.add("never", never).unwrap();
            graph.add("after", task(square, &never)).unwrap();
            graph.add_named("counter", io_bound(Arc::<std::sync::atomic::AtomicUsize>::default), []);
            graph.add_named("marked", marked, ["counter"]);
            let done = graph.run().unwrap();
            assert_eq!((done[&third], calls.get()), (3, 3), "{plan}");
            assert_eq!(done.value::<usize>("marked").unwrap(), &3, "{plan}");
            let Outcome::Failed(error) = done.of_node(&never) else { panic!("{plan}: {done:?}") };
            assert_eq!((error.tries(), &*error.message()), (3, "never"), "{plan}");
            assert_eq!(told(&done)[2], "after: skipped: its ancestor `never` failed", "{plan}");
        });
    });
}

/// XF-44 for graphs: failures that nobody looked at are reported when the program ends; looked at is what was asked for by
/// name, by node or in a list. What was skipped or stopped is no failure.
#[test]
fn unseen_failures_are_reported_at_the_end() {
    fn failing(name: &str) -> Graph {
        let mut graph = Graph::new();
        let text = format!("{name} failed");
        graph.add_named(name, io_bound(move || -> i64 { panic!("{text}") }), []);
        graph.add_named("after", square, [name]);
        graph
    }

    within(120, || {
        let printed = stderr_of_program(|| {
            drop(failing("unseen").run().unwrap());
            drop(failing("by name").run().unwrap().outcome("by name").unwrap());
            let _ = failing("in the list").run().unwrap().failed().count();
            drop(failing("as a result").run().unwrap().into_result().unwrap_err());
            for (_, outcome) in failing("in all").run().unwrap().iter() {
                drop(outcome);
            }
            let mut stopped = failing("stops all");
            stopped.add_named("waits", pass_io, ["gate", "label"]);
            let gate = Gate::new();
            let path = gate.path();
            stopped.add_named("gate", io_bound(move || path.clone()), []);
            stopped.add_named("label", io_bound(|| 1_u32), []);
            let done = stopped.run_with(RunOptions::new().fail_fast()).unwrap();
            let _ = done.failed().count();
        });
        let Some(printed) = printed else { return };
        assert_eq!(printed.matches("1 task failed, and nobody looked at the result").count(), 1, "{printed}");
        assert!(printed.contains("unseen failed"), "{printed}");
        for seen in [
            "by name failed",
            "in the list failed",
            "as a result failed",
            "in all failed",
            "stops all failed",
        ] {
            assert!(!printed.contains(seen), "{seen}: {printed}");
        }
    });
}

/// TM-16, PM-14: another thread sees what is under way: what waits, runs, is done, has failed and was skipped.
#[test]
fn a_run_is_watched_from_another_thread() {
    within(60, || {
        for plan in [Plan::processes(2), Plan::threads()] {
            with_plan(plan, || {
                let gate = Gate::new();
                let mut graph = Graph::new();
                let monitor = graph.monitor();
                let done = graph.add("done", task(square, 1)).unwrap();
                let fails = graph.add("fails", task(io_bound(|| -> i64 { panic!("no") }), ())).unwrap();
                graph.add("skipped", task(square, &fails)).unwrap();
                // It starts when the others have ended, so what is seen then is certain.
                let ends = io_bound(|n: i64| n);
                let settled = graph.add("settled", task(ends, &done)).unwrap();
                let stops = graph.add("stops", task(pass, (gate.path(), 1)).after(&settled)).unwrap();
                graph.add("waits", task(io_bound(|label: u32| label), &stops)).unwrap();
                assert_eq!(monitor.progress(), Progress::default());
                let copy = monitor.clone();
                let run = thread::spawn(move || graph.run().map(|done| (done.failed().count(), graph)));
                let stopped = gate.next();
                // The failure has no order with the others.
                while copy.progress().skipped == 0 {
                    thread::yield_now();
                }
                let seen = copy.progress();
                assert_eq!((seen.waiting, seen.started, seen.done), (1, 1, 2), "{seen:?}");
                assert_eq!((seen.failed, seen.skipped), (1, 1), "{seen:?}");
                assert_eq!(copy.in_progress(), ["stops"]);
                drop(stopped);
                let (failed, mut graph) = run.join().unwrap().unwrap();
                assert_eq!((failed, monitor.progress()), (1, Progress::default()));
                assert!(monitor.in_progress().is_empty());
                // In a second run what was done before counts as done.
                drop(gate);
                graph.reset(["stops"]).unwrap();
                assert_eq!(graph.run().unwrap().failed().count(), 1);
            });
        }
    });
}

/// TM-17: tasks that could run at the same time do: each waits for all others.
#[test]
fn tasks_that_do_not_depend_on_each_other_run_at_once() {
    fn meet(barrier: &Barrier) -> bool {
        barrier.wait();
        true
    }

    within(60, || {
        with_plan(Plan::threads(), || {
            let barrier = Arc::new(Barrier::new(4));
            let mut graph = Graph::new();
            for n in 0..4 {
                let barrier = barrier.clone();
                graph.add(n.to_string(), task(io_bound(move || meet(&barrier)), ())).unwrap();
            }
            assert!(graph.run().unwrap().is_done());
        });
    });
}

/// TM-17: so do tasks in worker processes, beside tasks on threads, which keep no worker busy.
#[test]
fn tasks_in_workers_and_on_threads_run_at_once() {
    within(60, || {
        with_plan(Plan::processes(2), || {
            let gate = Gate::new();
            let mut graph = Graph::new();
            for label in 0..2 {
                graph.add(format!("computes {label}"), task(pass, (gate.path(), label))).unwrap();
                graph.add(format!("waits {label}"), task(pass_io, (gate.path(), label + 2))).unwrap();
            }
            let run = thread::spawn({
                let plan = Plan::processes(2);
                move || with_plan(plan, || graph.run().unwrap().is_done())
            });
            let stopped: Vec<_> = (0..4).map(|_| gate.next()).collect();
            let mut labels: Vec<u32> = stopped.iter().map(|stopped| stopped.label).collect();
            labels.sort_unstable();
            assert_eq!(labels, [0, 1, 2, 3]);
            drop(stopped);
            assert!(run.join().unwrap());
        });
    });
}

/// XF randomness in graphs: a task draws the same numbers under every plan, and another one other numbers.
#[test]
fn seeds_do_not_depend_on_the_plan() {
    fn drawn(parts: Vec<u64>) -> u64 {
        parts.into_iter().fold(xfork::seed(), |sum, part| sum.rotate_left(7) ^ part)
    }

    let run = |plan: Plan| {
        with_plan(plan.seed(7), || {
            let mut graph = Graph::new();
            let mut nodes: Vec<Node<u64>> = Vec::new();
            for n in 0..20 {
                let inputs: Vec<_> = nodes.iter().rev().take(n % 4).map(|node| node.key(|n| *n)).collect();
                let name = n.to_string();
                let node = match n % 3 {
                    0 => graph.add(name, task(drawn, inputs)),
                    1 => graph.add(name, task(io_bound(drawn), inputs)),
                    _ => graph.add(name, task(xfork::r#unsafe(drawn), inputs)),
                };
                nodes.push(node.unwrap());
            }
            graph.add_named("named", io_bound(xfork::seed), []);
            let done = graph.run().unwrap();
            let mut drawn: Vec<u64> = nodes.iter().map(|node| done[node]).collect();
            drawn.push(*done.value("named").unwrap());
            drawn.push(xfork::seed());
            drawn
        })
    };
    within(60, || {
        let expected = run(Plan::sequential());
        let mut different = expected.clone();
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), expected.len());
        for (name, plan) in crate::fixture::plans() {
            assert_eq!(run(plan), expected, "{name}");
        }
    });
}

/// How many tasks a long chain has: in a build without optimisation fewer, for time's sake.
const LONG: u64 = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };

/// Builds and runs a chain on a thread with a small stack.
fn chain(plan: Plan, of_names: bool) {
    let body = move || {
        with_plan(plan, || {
            let mut graph = Graph::new();
            match of_names {
                // Backwards, so that the order in which they were added is of no use.
                true => {
                    for n in (1..LONG).rev() {
                        graph.add_named(n.to_string(), io_bound(|n: u64| n + 1), [&*(n - 1).to_string()]);
                    }
                    graph.add_named("0", io_bound(|| 1_u64), []);
                }
                false => {
                    let mut last = graph.add("0", task(io_bound(|| 1_u64), ())).unwrap();
                    for n in 1..LONG {
                        last = graph.add(n.to_string(), task(io_bound(|n: u64| n + 1), &last)).unwrap();
                    }
                }
            }
            graph.outputs([&*(LONG - 1).to_string()]);
            let done = graph.run().unwrap();
            assert_eq!(done.value::<u64>(&(LONG - 1).to_string()).unwrap(), &LONG);
        });
    };
    thread::Builder::new().stack_size(512 << 10).spawn(body).unwrap().join().unwrap();
}

/// AM-09, regression j: a very long chain needs neither a deep stack nor more than linear time, run in place.
#[test]
fn a_long_chain_runs_in_place_without_recursion() {
    within(120, || chain(Plan::sequential(), true));
}

/// Regression j: and on threads.
#[test]
fn a_long_chain_runs_on_threads_without_recursion() {
    within(120, || chain(Plan::threads(), false));
}

/// Regression j: and by a runner of one's own that runs tasks where they are handed over.
#[test]
fn a_long_chain_runs_by_a_runner_in_place_without_recursion() {
    struct Here;
    impl Runner for Here {
        fn run(&self, task: Runnable) {
            task.run();
        }
    }
    within(120, || chain(Plan::runner(Arc::new(Here)), false));
}

/// Regression j, AM-19: what follows from a failure at the begin of a long chain needs no stack, and neither does a reset.
#[test]
fn a_failure_goes_down_a_long_chain_without_recursion() {
    within(120, || {
        let body = || {
            let mut graph = Graph::new();
            let mut last = graph.add("0", task(io_bound(|| -> u64 { panic!("root") }), ())).unwrap();
            for n in 1..LONG {
                last = graph.add(n.to_string(), task(io_bound(|n: u64| n + 1), &last)).unwrap();
            }
            let done = graph.run().unwrap();
            assert_eq!(done.skipped().count() as u64, LONG - 1);
            assert!(done.skipped().all(|(_, skip)| *skip == Skip::Ancestor { name: "0".into() }));
            assert_eq!(panic_of(|| done[&last]), "root");
            assert_eq!(graph.reset_failed() as u64, LONG);
        };
        thread::Builder::new().stack_size(512 << 10).spawn(body).unwrap().join().unwrap();
    });
}

/// Regression j: one task that feeds very many, and very many that feed one.
#[test]
fn a_wide_graph_runs() {
    within(120, || {
        for plan in [Plan::sequential(), Plan::threads(), Plan::processes(2)] {
            with_plan(plan, || {
                let wide = 5_000;
                let mut graph = Graph::new();
                let source = graph.add("source", task(square, 2)).unwrap();
                let nodes: Vec<_> =
                    (0..wide).map(|n| graph.add(n.to_string(), task(plus, (&source, n))).unwrap()).collect();
                let sum = graph.add("sum", task(total, nodes)).unwrap();
                assert_eq!(graph.run().unwrap()[&sum], 4 * wide + wide * (wide - 1) / 2);
            });
        }
    });
}

/// AM-14, DG-01: what each task calls is called once, whatever the plan.
#[test]
fn each_task_is_run_once() {
    within(60, || {
        every_plan(|plan| {
            let calls = Notes::default();
            let mut graph = Graph::new();
            let mut nodes: Vec<Node<i64>> = Vec::new();
            for n in 0..50_usize {
                let notes = calls.clone();
                let function = io_bound(move |inputs: Vec<i64>| {
                    notes.add(&n.to_string());
                    inputs.len() as i64
                });
                let inputs: Vec<_> = nodes.iter().skip(n.saturating_sub(3)).cloned().collect();
                nodes.push(graph.add(n.to_string(), task(function, inputs)).unwrap());
            }
            assert!(graph.run().unwrap().is_done());
            let mut called = calls.take();
            called.sort_by_key(|name| name.parse::<usize>().unwrap());
            assert!(called.into_iter().eq((0..50).map(|n| n.to_string())), "{plan}");
        });
    });
}

/// PM-10: a runner that panics instead of taking a task fails that task; the run does not hang, and neither does the program's
/// end.
#[test]
fn a_runner_that_panics_fails_the_task_that_it_was_given() {
    struct Panics;
    impl Runner for Panics {
        fn run(&self, task: Runnable) {
            match task.name() {
                "refused" => panic!("the runner is full"),
                _ => task.run(),
            }
        }
    }

    within(60, || {
        with_plan(Plan::runner(Arc::new(Panics)), || {
            let mut graph = Graph::new();
            graph.add_named("fine", io_bound(|| 1_i64), []);
            graph.add_named("refused", square, ["fine"]);
            graph.add_named("after", square, ["refused"]);
            let done = graph.run().unwrap();
            let expected = ["fine: done", "refused: failed", "after: skipped: its ancestor `refused` failed"];
            assert_eq!(told(&done), expected);
        });
    });
}

/// AM-21: a schedule with a limit of time is limited as any run is.
#[test]
fn a_scheduled_run_can_be_limited_in_time() {
    fn wait(told: &Mutex<Receiver<()>>) -> i64 {
        told.lock().unwrap().recv().map_or(0, |()| 1)
    }

    within(60, || {
        let (go, gone) = channel();
        let gone = Arc::new(Mutex::new(gone));
        let mut graph = Graph::new();
        graph.add_named("waits", io_bound(move || wait(&gone)), []);
        graph.add_named("after", square, ["waits"]);
        let plan = graph.schedule(Heft::new(2)).unwrap();
        let limit = RunOptions::new().timeout(Duration::from_millis(50));
        let done = graph.run_schedule_with(&plan, limit).unwrap();
        assert_eq!(done.skipped().count(), 2);
        drop(go);
    });
}
