//! Running again: what counts as done, what is forgotten, and what is then run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::fixture::{Count, Notes, every_plan, panic_of, plus, plus_io, square, told};
use crate::within;
use xfork::{Graph, GraphFault, Outcome, io_bound, task};

/// A graph of tasks that note that they are run: b and c need a, d needs both, e needs nothing; and the switch that lets b
/// succeed.
fn noted() -> (Graph, Notes, Arc<AtomicBool>) {
    let (notes, is_up) = (Notes::default(), Arc::new(AtomicBool::new(false)));
    let mut graph = Graph::new();
    let note = |name: &'static str| {
        let notes = notes.clone();
        move || notes.add(name)
    };
    let (a, b, c, d, e) = (note("a"), note("b"), note("c"), note("d"), note("e"));
    let up = is_up.clone();
    let ask = move |n: i64| {
        b();
        assert!(up.load(Ordering::SeqCst), "no connection");
        n + 1
    };
    graph.add_named("a", io_bound(move || (a(), 5_i64).1), []);
    graph.add_named("b", io_bound(ask), ["a"]);
    graph.add_named("c", io_bound(move |n: i64| (c(), n + 2).1), ["a"]);
    graph.add_named("d", io_bound(move |b: i64, c: i64| (d(), b * c).1), ["b", "c"]);
    graph.add_named("e", io_bound(move || (e(), 9_i64).1), []);
    (graph, notes, is_up)
}

fn ran(notes: &Notes) -> Vec<String> {
    let mut names = notes.take();
    names.sort();
    names
}

/// TM-12: what failed is run again, with what was skipped because of it, and nothing else.
#[test]
fn what_failed_is_run_again_with_its_descendants() {
    within(60, || {
        every_plan(|plan| {
            let (mut graph, notes, is_up) = noted();
            let first = graph.run().unwrap();
            assert_eq!(first.failed().count(), 1, "{plan}");
            assert_eq!(ran(&notes), ["a", "b", "c", "e"], "{plan}");
            assert_eq!(graph.done(), ["a", "c", "e"], "{plan}");
            assert_eq!(graph.reset_failed(), 2, "{plan}");
            assert_eq!(graph.ready(), ["b"], "{plan}");
            // Once more there is nothing that failed.
            assert_eq!(graph.reset_failed(), 0, "{plan}");
            is_up.store(true, Ordering::SeqCst);
            let done = graph.run().unwrap();
            assert_eq!(ran(&notes), ["b", "d"], "{plan}");
            assert_eq!((done.value::<i64>("d").unwrap(), done.is_done()), (&42, true), "{plan}");
            assert_eq!(first.failed().count(), 1, "{plan}");
        });
    });
}

/// TM-12 and its bug: a run after `reset_failed` ends, also if the task fails again, as often as one likes.
#[test]
fn runs_after_a_reset_end_every_time() {
    within(60, || {
        let (mut graph, notes, is_up) = noted();
        graph.run().unwrap().failed().count();
        for _ in 0..5 {
            assert_eq!(graph.reset_failed(), 2);
            notes.take();
            let done = graph.run().unwrap();
            assert_eq!(done.failed().count(), 1);
            assert_eq!(ran(&notes), ["b"]);
        }
        is_up.store(true, Ordering::SeqCst);
        graph.reset_failed();
        assert!(graph.run().unwrap().is_done());
    });
}

/// TM-12: without a reset nothing is run again: neither what is done nor what failed.
#[test]
fn a_run_without_a_reset_runs_nothing_again() {
    within(60, || {
        every_plan(|plan| {
            let (mut graph, notes, is_up) = noted();
            let first = told(&graph.run().unwrap());
            notes.take();
            is_up.store(true, Ordering::SeqCst);
            let again = graph.run().unwrap();
            assert_eq!(told(&again), first, "{plan}");
            assert!(notes.take().is_empty() && graph.ready().is_empty(), "{plan}");
            assert_eq!(again.failed().count(), 1, "{plan}");
        });
    });
}

/// TM-11: a task that is added later gets the results of earlier runs; if what it needs had failed, it is skipped.
#[test]
fn results_of_earlier_runs_feed_later_tasks() {
    within(60, || {
        every_plan(|plan| {
            let (mut graph, notes, _) = noted();
            graph.run().unwrap().failed().count();
            notes.take();
            graph.add_named("sum", plus_io, ["c", "e"]);
            graph.add_named("computed", plus, ["c", "e"]);
            graph.add_named("lost", square, ["d"]);
            let done = graph.run().unwrap();
            assert_eq!(done.value::<i64>("sum").unwrap(), &16, "{plan}");
            assert_eq!(done.value::<i64>("computed").unwrap(), &16, "{plan}");
            let told = &told(&done)[7];
            assert_eq!(told, "lost: skipped: its ancestor `b` failed", "{plan}");
            assert!(notes.take().is_empty(), "{plan}");
        });
    });
}

/// TM-13, TM-14: chosen tasks are run again with everything that needs them, directly or through others.
#[test]
fn chosen_tasks_are_run_again_with_their_descendants() {
    within(60, || {
        let (mut graph, notes, is_up) = noted();
        is_up.store(true, Ordering::SeqCst);
        assert!(graph.run().unwrap().is_done());
        for (names, expected) in [
            (vec!["a"], vec!["a", "b", "c", "d"]),
            (vec!["c"], vec!["c", "d"]),
            (vec!["d"], vec!["d"]),
            (vec!["e", "b", "e"], vec!["b", "d", "e"]),
            (vec![], vec![]),
        ] {
            notes.take();
            assert_eq!(graph.reset(names.iter().copied()).unwrap(), expected.len(), "{names:?}");
            // What has been reset is not counted again.
            assert_eq!(graph.reset(names.iter().copied()).unwrap(), 0, "{names:?}");
            let done = graph.run().unwrap();
            assert_eq!(ran(&notes), expected, "{names:?}");
            assert_eq!(done.value::<i64>("d").unwrap(), &42);
        }
    });
}

/// TM-13: a task that only follows another in time counts as one that needs it.
#[test]
fn what_follows_in_time_is_run_again_too() {
    within(60, || {
        let (mut graph, notes, is_up) = noted();
        is_up.store(true, Ordering::SeqCst);
        graph.put_before("a", "e").unwrap();
        graph.run().unwrap();
        notes.take();
        assert_eq!(graph.reset(["a"]).unwrap(), 5);
        graph.run().unwrap();
        assert_eq!(notes.take().len(), 5);
    });
}

/// TM-13: a task is replaced and run again with its descendants; the results of the others are still there.
#[test]
fn a_replaced_task_puts_a_failure_right() {
    within(60, || {
        let (mut graph, notes, _) = noted();
        graph.run().unwrap().failed().count();
        notes.take();
        let again = graph.replace("b", task(square, 4)).unwrap();
        let done = graph.run().unwrap();
        assert_eq!((done[&again], done.value::<i64>("d").unwrap()), (16, &112));
        assert_eq!(ran(&notes), ["d"]);
    });
}

/// TM-11, TM-14: a task that is marked as done with a value is not run, and its value feeds what needs it.
#[test]
fn a_task_marked_as_done_is_not_run_and_its_value_feeds_others() {
    within(60, || {
        every_plan(|plan| {
            let (mut graph, notes, _) = noted();
            graph.mark_done("b", 10_i64).unwrap();
            // Once more is no fault, and the last value counts.
            graph.mark_done("b", 20_i64).unwrap();
            assert_eq!(graph.done(), ["b"], "{plan}");
            let done = graph.run().unwrap();
            assert_eq!(done.value::<i64>("d").unwrap(), &140, "{plan}");
            assert_eq!(done.value::<i64>("b").unwrap(), &20, "{plan}");
            assert_eq!(ran(&notes), ["a", "c", "d", "e"], "{plan}");
        });
    });
}

/// TM-14: also after a failure, whose descendants are run once they are reset; and a reset forgets the mark.
#[test]
fn a_failure_is_marked_as_done() {
    within(60, || {
        let (mut graph, notes, is_up) = noted();
        graph.run().unwrap().failed().count();
        notes.take();
        graph.mark_done("b", 10_i64).unwrap();
        assert_eq!(graph.reset_failed(), 0, "what it kept from running is to be run already");
        let done = graph.run().unwrap();
        assert_eq!((ran(&notes), done.is_done()), (vec!["d".to_string()], true));
        assert_eq!(done.value::<i64>("d").unwrap(), &70);
        is_up.store(true, Ordering::SeqCst);
        assert_eq!(graph.reset(["b"]).unwrap(), 2);
        assert_eq!(graph.run().unwrap().value::<i64>("d").unwrap(), &42);
    });
}

/// TM-14: the value has the type of the task's result.
#[test]
fn a_value_of_another_type_marks_nothing_as_done() {
    within(60, || {
        let (mut graph, _, _) = noted();
        let error = graph.mark_done("b", "text").unwrap_err();
        let GraphFault::ResultType { task, result, given, .. } = &error.faults()[0] else {
            panic!("{error}")
        };
        assert_eq!((task.as_str(), *result, *given), ("b", "i64", "&str"));
        assert!(error.to_string().contains("is a `i64`, and not a `&str`"), "{error}");
        assert!(graph.done().is_empty());
    });
}

/// TM-14: all count as done but those named; those without a value feed nobody.
#[test]
fn all_tasks_but_some_are_marked_as_done() {
    within(60, || {
        let (mut graph, notes, _) = noted();
        graph.mark_done_except(["e"]).unwrap();
        assert_eq!(graph.done(), ["a", "b", "c", "d"]);
        assert_eq!(graph.ready(), ["e"]);
        let done = graph.run().unwrap();
        assert!(done.is_done() && done.value::<i64>("a").is_err());
        assert_eq!(ran(&notes), ["e"]);
    });
}

/// TM-14: results that are known already stay, and what is named is run again.
#[test]
fn what_has_a_result_keeps_it_when_the_others_are_marked() {
    within(60, || {
        let (mut graph, notes, is_up) = noted();
        is_up.store(true, Ordering::SeqCst);
        graph.run().unwrap();
        notes.take();
        graph.mark_done_except(["d"]).unwrap();
        let done = graph.run().unwrap();
        assert_eq!(ran(&notes), ["d"]);
        assert_eq!((done.value::<i64>("d").unwrap(), done.value::<i64>("c").unwrap()), (&42, &7));
    });
}

/// TM-11: a task that is done without a value is no argument of what gets its results by name; who gets it by type, or in the
/// wrong number, is told before anything runs.
#[test]
fn a_task_done_without_a_value_feeds_nobody() {
    within(60, || {
        let calls = Count::default();
        let mut graph = Graph::new();
        graph.add_named("value", io_bound(|| 1_i64), []);
        let count = calls.clone();
        let without = io_bound(move || count.add());
        graph.add_named("without", without, ["value"]);
        assert!(matches!(graph.check().unwrap_err().faults()[0], GraphFault::InputCount { .. }));
        graph.mark_done_except(["without"]).unwrap();
        assert!(graph.run().unwrap().is_done());
        assert_eq!(calls.get(), 1);
        // With a value it is an argument again.
        graph.reset(["value"]).unwrap();
        assert!(graph.run().is_err());

        let mut graph = Graph::new();
        let value = graph.add("value", task(square, 1)).unwrap();
        graph.add("typed", task(square, &value)).unwrap();
        graph.mark_done_except(["typed"]).unwrap();
        let error = graph.run().unwrap_err();
        let expected = "`typed` needs the result of `value`, which is marked as done but has none: give it one by \
                        `mark_done(\"value\", value)`, or have it run by `reset([\"value\"])`";
        assert_eq!(error.to_string(), expected);
        graph.mark_done("value", 7_i64).unwrap();
        assert_eq!(graph.run().unwrap().value::<i64>("typed").unwrap(), &49);
    });
}

/// TM-14: tasks without a result are done like others.
#[test]
fn tasks_that_return_nothing_are_marked_as_done() {
    within(60, || {
        let (calls, mut graph) = (Count::default(), Graph::new());
        let count = calls.clone();
        let prepare = graph.add("prepare", task(io_bound(move || _ = count.add()), ())).unwrap();
        graph.add("after", task(square, 2).after(&prepare)).unwrap();
        graph.add("gets", task(io_bound(|(): ()| 1), &prepare)).unwrap();
        graph.mark_done_except(["after", "gets"]).unwrap();
        let done = graph.run().unwrap();
        assert!(done.is_done() && done.value::<()>("prepare").is_ok());
        assert_eq!(calls.get(), 0);
    });
}

/// TM-06, TM-14: what is done and what could start, as tasks are marked one after the other.
#[test]
fn done_and_ready_tasks_are_known() {
    within(60, || {
        let (mut graph, _, _) = noted();
        assert!(graph.done().is_empty());
        assert_eq!(graph.ready(), ["a", "e"]);
        graph.mark_done("a", 1_i64).unwrap();
        assert_eq!(graph.done(), ["a"]);
        assert_eq!(graph.ready(), ["b", "c", "e"]);
        graph.mark_done("c", 1_i64).unwrap();
        graph.mark_done("b", 1_i64).unwrap();
        assert_eq!(graph.done(), ["a", "b", "c"]);
        assert_eq!(graph.ready(), ["d", "e"]);
        let results = graph.results();
        let expected = ["a: done", "b: done", "c: done", "d: not run", "e: not run"];
        assert_eq!(told(&results), expected);
        assert!(matches!(results.outcome("d").unwrap(), Outcome::NotRun) && !results.is_done());
        assert_eq!((results.failed().count(), results.skipped().count()), (0, 0));
    });
}

/// AM-13: results that nobody wants are dropped as soon as no task needs them, and computed again when one does.
#[test]
fn results_that_are_not_wanted_are_dropped_and_computed_again_when_needed() {
    within(60, || {
        every_plan(|plan| {
            let (mut graph, notes, is_up) = noted();
            is_up.store(true, Ordering::SeqCst);
            graph.outputs(["d"]);
            let done = graph.run().unwrap();
            assert!(done.is_done(), "{plan}");
            let there: Vec<&str> = ["a", "b", "c", "d", "e"]
                .into_iter()
                .filter(|name| done.value::<i64>(name).is_ok())
                .collect();
            assert_eq!(there, ["d"], "{plan}");
            notes.take();
            // Nothing is missing as long as nobody needs it.
            assert_eq!(graph.run().unwrap().value::<i64>("d").unwrap(), &42, "{plan}");
            assert!(notes.take().is_empty(), "{plan}");
            graph.reset(["d"]).unwrap();
            assert_eq!(graph.run().unwrap().value::<i64>("d").unwrap(), &42, "{plan}");
            assert_eq!(ran(&notes), ["a", "b", "c", "d"], "{plan}");
            // A new task needs a part of it.
            graph.add_named("new", square, ["c"]);
            graph.outputs(["new", "d"]);
            let done = graph.run().unwrap();
            assert_eq!((done.value::<i64>("new").unwrap(), done.value::<i64>("d").unwrap()), (&49, &42));
            assert_eq!(ran(&notes), ["a", "c"], "{plan}");
        });
    });
}

/// AM-13: values are dropped while the run goes on, not at its end.
#[test]
fn results_are_dropped_as_soon_as_nobody_needs_them() {
    #[derive(Clone)]
    struct Held(Count);
    impl Drop for Held {
        fn drop(&mut self) {
            self.0.add();
        }
    }

    within(60, || {
        let drops = Count::default();
        let count = drops.clone();
        let mut graph = Graph::new();
        let source = graph.add("source", task(io_bound(move || Held(count.clone())), ())).unwrap();
        let uses = graph
            .add(
                "uses",
                task(io_bound(|held: Arc<Held>| drop(held)), source.key(|held| Arc::new(held.clone()))),
            )
            .unwrap();
        let seen = drops.clone();
        let next = graph.add("next", task(io_bound(|| ()), ()).after(&uses)).unwrap();
        // The copy that was an argument, and the result itself: the thread that ran the task lets go of them at its end.
        let both_are_dropped = move || {
            while seen.get() < 2 {
                std::thread::yield_now();
            }
        };
        graph.add("last", task(io_bound(both_are_dropped), ()).after(&next)).unwrap();
        graph.outputs(["last"]);
        assert!(graph.run().unwrap().is_done());
        assert_eq!(drops.get(), 2);
    });
}

/// AM-13, TM-14: a value that was given is kept, since no task would give it again.
#[test]
fn a_given_value_is_kept_though_it_is_no_output() {
    within(60, || {
        let mut graph = Graph::new();
        let a = graph.add("a", task(io_bound(|| 5_i64), ())).unwrap();
        let b = graph.add("b", task(plus, (&a, 1))).unwrap();
        let c = graph.add("c", task(plus, (&a, 2))).unwrap();
        graph.add("d", task(plus, (&b, &c))).unwrap();
        graph.outputs(["d"]);
        graph.mark_done("a", 100_i64).unwrap();
        assert_eq!(graph.run().unwrap().value::<i64>("d").unwrap(), &203);
        graph.reset(["d"]).unwrap();
        assert_eq!(graph.run().unwrap().value::<i64>("d").unwrap(), &203);
    });
}

/// AM-13, TM-13: outputs and failures and replaced tasks go together.
#[test]
fn a_replaced_task_gets_results_that_had_been_dropped() {
    within(60, || {
        every_plan(|plan| {
            let (mut graph, notes, is_up) = noted();
            graph.outputs(["d"]);
            assert_eq!(graph.run().unwrap().failed().count(), 1, "{plan}");
            is_up.store(true, Ordering::SeqCst);
            notes.take();
            assert_eq!(graph.reset_failed(), 2, "{plan}");
            // c had no more users, so it was dropped, and so was a.
            assert_eq!(graph.run().unwrap().value::<i64>("d").unwrap(), &42, "{plan}");
            let ran = ran(&notes);
            assert!(ran.contains(&"b".into()) && ran.contains(&"d".into()), "{plan}: {ran:?}");
            assert!(!ran.contains(&"e".into()), "{plan}: {ran:?}");
            graph.replace("c", task(io_bound(|| 100_i64), ())).unwrap();
            assert_eq!(graph.run().unwrap().value::<i64>("d").unwrap(), &600, "{plan}");
        });
    });
}

/// AM-13: what is wanted may change from run to run: what is not wanted any more is not given.
#[test]
fn outputs_may_be_chosen_after_a_run() {
    within(60, || {
        let mut graph = Graph::new();
        let one = graph.add("one", task(square, 1)).unwrap();
        let two = graph.add("two", task(plus, (&one, 1))).unwrap();
        graph.run().unwrap();
        graph.outputs(["two"]);
        let done = graph.run().unwrap();
        assert_eq!((done.get(&one), done.get(&two)), (None, Some(&2)));
        assert!(panic_of(|| done[&one]).contains("the result of `one` was dropped, since it is no output"));
        graph.outputs(["one"]);
        graph.reset(["one"]).unwrap();
        let done = graph.run().unwrap();
        assert_eq!((done.get(&one), done.get(&two)), (Some(&1), None));
    });
}

/// TM-12 with RunOptions, TM-10: a graph that was stopped goes on where it was.
#[test]
fn a_merged_graph_keeps_what_is_done_and_what_failed() {
    within(60, || {
        let (mut left, _, _) = noted();
        let (mut right, notes, is_up) = noted();
        left.prefix("left");
        right.prefix("right");
        right.run().unwrap().failed().count();
        notes.take();
        left.merge(right).unwrap();
        assert_eq!(left.done(), ["right/a", "right/c", "right/e"]);
        is_up.store(true, Ordering::SeqCst);
        assert_eq!(left.reset_failed(), 2);
        let done = left.run().unwrap();
        assert_eq!(ran(&notes), ["b", "d"]);
        assert_eq!(done.value::<i64>("right/d").unwrap(), &42);
        assert_eq!(done.failed().map(|(name, _)| name).collect::<Vec<_>>(), ["left/b"]);
    });
}
