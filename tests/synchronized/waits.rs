//! Concurrent functions outside of synchronized ones.

use crate::fixture::deadline;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use xfork::{Plan, Runnable, Runner, concurrent, fork, synchronized, with_plan};

static TWO: Barrier = Barrier::new(2);

#[concurrent(io)]
fn meets(number: u32) -> u32 {
    TWO.wait();
    number
}

/// DE-02, DE-03: the proxy has the result, and the function itself can be waited for.
#[test]
fn a_concurrent_function_can_be_waited_for() {
    deadline(|| {
        assert!(!meets.in_progress());
        let forked = fork(meets, 7);
        assert!(meets.in_progress());
        TWO.wait();
        meets.wait();
        assert!(!meets.in_progress());
        assert_eq!(forked, 7);
    });
}

#[concurrent]
fn own_pid() -> u32 {
    std::process::id()
}

/// DE-04: its pool is that of the program, which starts with the first call.
#[test]
fn a_concurrent_function_follows_the_plan() {
    #[synchronized]
    fn pid() -> u32 {
        let pid = own_pid();
        pid
    }
    deadline(|| {
        assert_ne!(pid(), std::process::id());
        assert_eq!(with_plan(Plan::sequential(), pid), std::process::id());
    });
}

/// Runs each task at once, and counts them.
#[derive(Default)]
struct Counts(AtomicUsize);

impl Runner for Counts {
    fn run(&self, task: Runnable) {
        self.0.fetch_add(1, Ordering::SeqCst);
        task.run();
    }
}

static MADE: Mutex<Option<Arc<Counts>>> = Mutex::new(None);

fn counts() -> Arc<Counts> {
    MADE.lock().unwrap().get_or_insert_default().clone()
}

#[concurrent(runner = counts(), name = "counted")]
fn counted(number: u32) -> u32 {
    number + 1
}

/// DE-07: a runner of one's own gets its calls, and no others.
#[test]
fn a_concurrent_function_can_have_its_own_runner() {
    #[synchronized]
    fn all() -> Vec<u32> {
        (0..5).map(|number| counted(number)).collect()
    }
    deadline(|| {
        assert_eq!(all(), [1, 2, 3, 4, 5]);
        assert_eq!(fork(counted, 1), 2);
        assert_ne!(fork(own_pid, ()), std::process::id());
        assert!(counts().0.load(Ordering::SeqCst) >= 6);
    });
}

/// DE-11: a function is marked and synchronized at once, by one that calls the other.
#[test]
fn synchronized_functions_call_each_other() {
    #[synchronized]
    fn row(first: u32) -> Vec<u32> {
        let mut row = vec![0; 3];
        for at in 0..3 {
            row[at] = counted(first + at as u32);
        }
        row
    }
    #[synchronized]
    fn table() -> Vec<Vec<u32>> {
        let mut table = Vec::new();
        for first in 0..3 {
            table.push(row(first));
        }
        table
    }
    deadline(|| assert_eq!(table(), [[1, 2, 3], [2, 3, 4], [3, 4, 5]]));
}
