//! A value that each worker makes for itself and keeps from task to task.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::id;
use std::rc::Rc;
use std::thread;

use crate::fixture::{Folder, Gate, MINUTE, deadline, fail, panic_of, stop_at};
use xfork::{Plan, WorkerLocal, cpu_bound, fork, io_bound, map, wait, with_plan};

/// Neither `Send` nor `Sync`: the process and the thread that made it, and how often it was used.
struct Made {
    by: (u32, thread::ThreadId),
    uses: Rc<Cell<u32>>,
}

static MADE: WorkerLocal<Made> =
    WorkerLocal::new(|| Made { by: (id(), thread::current().id()), uses: Rc::default() });

/// The worker and how often it has used its value.
fn used() -> (u32, u32) {
    MADE.with(|made| {
        assert_eq!(made.by, (id(), thread::current().id()), "a value of another thread");
        made.uses.set(made.uses.get() + 1);
        (id(), made.uses.get())
    })
}

#[cpu_bound]
fn used_at(gate: &Path) -> (u32, u32) {
    let used = used();
    stop_at(gate, 0);
    used
}

#[test]
fn each_worker_process_makes_one_value_and_keeps_it() {
    deadline(MINUTE, || {
        with_plan(Plan::processes(2), || {
            let gate = Gate::new();
            // Two at a time, so that each of the two workers gets one of each pair.
            let pairs: Vec<_> = (0..3)
                .map(|_| {
                    let pair = map(used_at, [gate.path(), gate.path()]);
                    drop(gate.many(2));
                    (*pair[0], *pair[1])
                })
                .collect();
            let workers: HashSet<u32> = pairs.iter().flat_map(|(a, b)| [a.0, b.0]).collect();
            assert_eq!(workers.len(), 2);
            for (round, (a, b)) in pairs.into_iter().enumerate() {
                assert_eq!((a.1, b.1), (round as u32 + 1, round as u32 + 1));
            }
        });
    });
}

#[test]
fn each_thread_makes_one_value() {
    #[io_bound]
    fn used_in_thread(gate: &Path) -> thread::ThreadId {
        used();
        stop_at(gate, 0);
        MADE.with(|made| made.by.1)
    }
    deadline(MINUTE, || {
        with_plan(Plan::threads(), || {
            let gate = Gate::new();
            let proxies = map(used_in_thread, vec![gate.path(); 4]);
            drop(gate.many(4));
            let threads: HashSet<_> = proxies.iter().map(|p| **p).collect();
            assert_eq!(threads.len(), 4);
        });
        with_plan(Plan::sequential(), || {
            let before = used().1;
            assert_eq!(fork(used, ()), (id(), before + 1));
        });
    });
}

#[test]
fn a_worker_that_crashed_begins_anew() {
    deadline(MINUTE, || {
        with_plan(Plan::processes(1), || {
            let first = *fork(used, ());
            assert_eq!(fork(used, ()), (first.0, 2));
            // A panic costs nothing, a crash the value.
            assert!(wait(&fork(fail, "no")).unwrap_err().is_panic());
            assert_eq!(fork(used, ()), (first.0, 3));
            assert!(wait(&fork(|| -> u8 { std::process::abort() }, ())).is_err());
            let second = *fork(used, ());
            assert_ne!(second.0, first.0);
            assert_eq!(second.1, 1);
        });
    });
}

#[test]
fn a_task_on_top_of_another_finds_the_same_value() {
    #[cpu_bound]
    fn outer() -> (u32, u32, u32) {
        MADE.with(|made| {
            let inner = *fork(used, ());
            (inner.0, inner.1, made.uses.get())
        })
    }
    deadline(MINUTE, || {
        with_plan(Plan::processes(1), || {
            let (worker, uses, seen) = *fork(outer, ());
            assert_ne!(worker, id());
            assert_eq!((uses, seen), (1, 1));
        });
    });
}

#[test]
fn a_value_that_needs_itself_is_a_panic_that_says_so() {
    static CIRCLE: WorkerLocal<u32> = WorkerLocal::new(|| CIRCLE.with(|n| n + 1));
    static WAITS: WorkerLocal<u32> = WorkerLocal::new(|| *fork(|| WAITS.with(|n| n + 1), ()));
    deadline(MINUTE, || {
        let text = "WorkerLocal<u32> needs itself: the function that makes it uses it, or waits for a task that does";
        assert_eq!(panic_of(|| CIRCLE.with(|n| *n)), text);
        assert_eq!(panic_of(|| with_plan(Plan::sequential(), || WAITS.with(|n| *n))), text);
    });
}

#[test]
fn a_value_whose_making_panics_is_made_by_the_next_that_needs_it() {
    static BROKEN: WorkerLocal<u32> = WorkerLocal::new(|| {
        TRIES.with(|tries| tries.set(tries.get() + 1));
        assert!(TRIES.with(Cell::get) > 1, "not yet");
        7
    });
    static TRIES: WorkerLocal<Cell<u32>> = WorkerLocal::new(|| Cell::new(0));
    deadline(MINUTE, || {
        assert_eq!(panic_of(|| BROKEN.with(|n| *n)), "not yet");
        assert_eq!(BROKEN.with(|n| *n), 7);
        assert_eq!(BROKEN.with(|n| *n), 7);
        assert_eq!(TRIES.with(Cell::get), 2);
    });
}

/// Leaves a file when it is dropped, if it was told where.
struct Note(RefCell<Option<PathBuf>>);

impl Drop for Note {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            std::fs::write(path, "dropped").expect("the folder is there");
        }
    }
}

#[test]
fn values_are_dropped_when_their_thread_ends() {
    static NOTE: WorkerLocal<Note> = WorkerLocal::new(|| Note(RefCell::new(None)));
    deadline(MINUTE, || {
        let folder = Folder::new();
        let path = folder.file("note");
        let told = path.clone();
        thread::spawn(move || NOTE.with(|note| note.0.replace(Some(told)))).join().unwrap();
        assert!(path.exists());
    });
}
