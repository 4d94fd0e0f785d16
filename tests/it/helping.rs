//! What a blocked thread does meanwhile: never what might wait for the blocked one, and yet everything gets done.

use crate::fixture::{Gate, MINUTE, deadline, pass};
use std::time::Duration;
use xfork::{
    Plan, ResultProxy, as_completed, cpu_bound, fork, io_bound, lazy, thread, wait, wait_any, wait_timeout,
    with_plan,
};

/// Time for others to get where they would do harm; nothing depends on it.
const A_WHILE: Duration = Duration::from_millis(60);

#[cpu_bound]
fn plus_one(number: ResultProxy<u64>) -> u64 {
    *number + 1
}

#[cpu_bound]
fn next(number: u64) -> u64 {
    number + 1
}

/// A `lazy` value waits for a task; another task that was forked before reads the lazy value.
#[cpu_bound]
fn reads_what_is_being_computed() -> (u64, u64) {
    let (go, gate) = std::sync::mpsc::channel();
    let slow = thread(move || gate.recv().map_or(0, |()| 1), ());
    let value = lazy(move || *slow + 1);
    let reader = fork(plus_one, value.clone());
    let observed = reader.clone();
    let opener = thread(
        move || {
            let _ = wait_timeout(&observed, A_WHILE);
            go.send(()).unwrap();
        },
        (),
    );
    let both = (*value, *reader);
    wait(&opener).unwrap();
    both
}

/// A task waits for another thread; a task that reads its result is forked meanwhile by a third.
#[cpu_bound]
fn reads_what_is_blocked() -> (u64, u64) {
    let (go, gate) = std::sync::mpsc::channel();
    let slow = thread(move || gate.recv().map_or(0, |()| 1), ());
    let first = fork(plus_one, slow);
    let read = first.clone();
    let second = thread(
        move || {
            let second = fork(plus_one, read);
            let _ = wait_timeout(&second, A_WHILE);
            go.send(()).unwrap();
            ResultProxy::into_inner(second)
        },
        (),
    );
    (*first, *second)
}

#[test]
fn a_task_that_reads_what_its_own_thread_computes_waits_elsewhere() {
    deadline(MINUTE, || {
        for plan in [Plan::processes(1), Plan::processes(2), Plan::threads()] {
            with_plan(plan, || {
                assert_eq!(*fork(reads_what_is_being_computed, ()), (2, 3));
                assert_eq!(*fork(reads_what_is_blocked, ()), (2, 3));
            });
        }
    });
}

/// Waits inside a closure for forks that nobody takes back.
#[cpu_bound]
fn waits_in_a_closure(how: u8) -> u64 {
    *lazy(move || match how {
        0 => wait_any(&[fork(next, 1), fork(next, 2)]).map_or(9, |_| 0),
        1 => as_completed([fork(next, 1), fork(next, 2)]).map(|number| *number).sum(),
        _ => *wait_timeout(&fork(next, 1), Duration::from_secs(30)).unwrap(),
    })
}

#[test]
fn forks_of_closures_start_though_every_thread_is_blocked_in_a_closure() {
    deadline(MINUTE, || {
        let threads = std::thread::available_parallelism().map_or(1, |count| count.get());
        for plan in [Plan::processes(1), Plan::threads()] {
            with_plan(plan, || {
                for (how, expected) in [(0, 0), (1, 5), (2, 2)] {
                    let all: Vec<_> = (0..2 * threads).map(|_| fork(waits_in_a_closure, how)).collect();
                    assert!(all.iter().all(|value| *value == expected));
                }
            });
        }
    });
}

#[cpu_bound]
fn takes_long() {
    std::thread::sleep(A_WHILE / 5);
}

/// XF-40: what is told late, so that many short tasks needn't wake anybody each, is told all the same when a long one follows.
#[test]
fn a_long_task_keeps_nobody_from_the_results_of_the_short_ones_before_it() {
    deadline(MINUTE, || {
        with_plan(Plan::processes(1), || {
            let gate = Gate::new();
            for _ in 0..10 {
                // Short ones, of which many are sent ahead.
                let many: Vec<_> = (0..1000).map(|number| fork(next, number)).collect();
                assert_eq!(many.into_iter().map(|number| *number).sum::<u64>(), 500_500);
                fork(takes_long, ());
                let short: Vec<_> = (0..5).map(|number| fork(next, number)).collect();
                let long = fork(pass, (gate.path(), 7));
                // Tasks on threads, since a thread that waits would have the worker hurry.
                let (sender, results) = std::sync::mpsc::channel();
                for short in short {
                    let sender = sender.clone();
                    thread(move |number: u64| sender.send(number).unwrap(), short);
                }
                assert_eq!(results.iter().take(5).sum::<u64>(), 15);
                gate.next().let_go();
                assert_eq!(*long, 7);
            }
        });
    });
}

#[io_bound]
fn next_io(number: u64) -> u64 {
    number + 1
}

#[cpu_bound]
fn ends_by_its_fork(number: u64) -> u64 {
    fork(next_io, number);
    number
}

/// XF-42: the end of a task that its last fork brings, in a thread beside that of the worker, is told at once.
#[test]
fn a_task_whose_fork_ends_last_is_heard_of_though_nobody_waits() {
    deadline(MINUTE, || {
        with_plan(Plan::processes(2), || {
            for number in 0..500 {
                let (sender, result) = std::sync::mpsc::channel();
                let parent = fork(ends_by_its_fork, number);
                thread(move |number: u64| sender.send(number).unwrap(), parent);
                assert_eq!(result.recv().unwrap(), number);
            }
        });
    });
}
