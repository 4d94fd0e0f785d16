//! Runners of one's own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::fixture::{MINUTE, deadline, fail, own_pid, square};
use xfork::{Plan, Runnable, Runner, fork, map, task, wait, with_plan};

/// Runs each task in a thread of its own, and keeps their names.
#[derive(Default)]
struct OneThreadEach {
    names: Mutex<Vec<String>>,
}

impl Runner for OneThreadEach {
    fn run(&self, task: Runnable) {
        self.names.lock().unwrap().push(task.name().to_string());
        thread::spawn(move || task.run());
    }
}

/// XF-40: a runner of one's own gets every task once, when its inputs are ready.
#[test]
fn a_runner_gets_every_task_once_with_its_inputs_ready() {
    deadline(MINUTE, || {
        let runner = Arc::new(OneThreadEach::default());
        with_plan(Plan::runner(runner.clone()), || {
            let first = task(square, 3).name("first").fork();
            let second = task(square, &first).name("second").fork();
            let io = task(crate::fixture::fail_io, "x").name("third").fork();
            assert_eq!(*second, 81);
            assert_eq!(*fork(own_pid, ()), std::process::id());
            assert!(wait(&io).unwrap_err().is_panic());
        });
        let mut names = runner.names.lock().unwrap().clone();
        names.sort();
        assert_eq!(names, ["first", "it::fixture::own_pid", "second", "third"]);
    });
}

/// XF-31: a task whose dependency failed is never given to the runner.
#[test]
fn a_runner_never_sees_a_task_whose_dependency_failed() {
    deadline(MINUTE, || {
        let runner = Arc::new(OneThreadEach::default());
        with_plan(Plan::runner(runner.clone()), || {
            let last = fork(square, fork(square, fork(fail, "origin")));
            assert_eq!(wait(&last).unwrap_err().message(), "origin");
        });
        assert_eq!(*runner.names.lock().unwrap(), ["it::fixture::fail"]);
    });
}

/// Keeps what it gets, and runs nothing by itself.
#[derive(Default)]
struct Hoarder(Mutex<Vec<Runnable>>);

impl Runner for Hoarder {
    fn run(&self, task: Runnable) {
        self.0.lock().unwrap().push(task);
    }
}

/// XF-41: whoever waits for a task that nobody has started takes it back and runs it.
#[test]
fn a_waiter_runs_what_its_runner_has_not_started() {
    deadline(MINUTE, || {
        let runner = Arc::new(Hoarder::default());
        with_plan(Plan::runner(runner.clone()), || {
            let here = thread::current().id();
            let p = xfork::thread(move || thread::current().id() == here, ());
            assert!(*p);
            let chain = fork(square, fork(square, fork(square, 2)));
            assert_eq!(*chain, 256);
        });
        // They are no longer there to be run; to run them does nothing.
        for task in runner.0.lock().unwrap().drain(..) {
            assert!(task.is_taken());
            task.run();
        }
    });
}

/// XF-40: a runner may run tasks in any order, from any thread.
#[test]
fn a_runner_may_run_tasks_in_any_order() {
    deadline(MINUTE, || {
        let runner = Arc::new(Hoarder::default());
        let squares = with_plan(Plan::runner(runner.clone()), || map(square, 0..100));
        let mut tasks = std::mem::take(&mut *runner.0.lock().unwrap());
        thread::spawn(move || {
            while let Some(task) = tasks.pop() {
                task.run();
            }
        });
        assert_eq!(squares, (0..100).map(|n| n * n).collect::<Vec<_>>());
    });
}

/// Drops what it gets.
#[derive(Default)]
struct Dropper(AtomicUsize);

impl Runner for Dropper {
    fn run(&self, task: Runnable) {
        self.0.fetch_add(1, Ordering::SeqCst);
        drop(task);
    }
}

/// XF-40: a task that its runner drops fails with an error that says so, and so do its dependents.
#[test]
fn a_task_dropped_by_its_runner_is_cancelled() {
    deadline(MINUTE, || {
        let runner = Arc::new(Dropper::default());
        with_plan(Plan::runner(runner.clone()), || {
            let p = task(square, 3).name("dropped").fork();
            let q = fork(square, &p);
            let error = wait(&p).unwrap_err();
            assert!(error.is_cancelled() && !error.is_panic(), "{error}");
            assert!(error.to_string().contains("`dropped` was not run"), "{error}");
            assert!(wait(&q).unwrap_err().is_dependency());
            assert_eq!(runner.0.load(Ordering::SeqCst), 1);
        });
    });
}

/// XF-50: a panic of a task goes into its proxy, not to the runner that runs it.
#[test]
fn a_runner_survives_the_panic_of_a_task() {
    deadline(MINUTE, || {
        let runner = Arc::new(Hoarder::default());
        let (failed, fine) =
            with_plan(Plan::runner(runner.clone()), || (fork(fail, "in it"), fork(square, 3)));
        for task in runner.0.lock().unwrap().drain(..) {
            task.run();
        }
        assert_eq!(wait(&failed).unwrap_err().message(), "in it");
        assert_eq!(*fine, 9);
    });
}
