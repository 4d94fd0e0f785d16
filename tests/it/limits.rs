//! What a task may take, as far as this process keeps to it: who says it, and what is tried again.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::fixture::{Folder, MINUTE, deadline};
use xfork::{
    Callable, Limits, Plan, Runnable, Runner, cpu_bound, fork, io_bound, ready, task, thread, wait, with_plan,
};

/// A back-off too short to be noticed.
const AT_ONCE: Duration = Duration::from_micros(1);

/// Leaves a file for each try in `folder`, and panics in the first `failures`; gives the number of the try.
fn attempt(folder: &std::path::Path, failures: u32) -> u32 {
    let before = std::fs::read_dir(folder).expect("a folder").count() as u32;
    std::fs::write(folder.join(before.to_string()), "").expect("a file");
    assert!(before >= failures, "try {} fails", before + 1);
    before + 1
}

#[cpu_bound(retries = 2, backoff = "1us")]
fn three_tries(folder: &std::path::Path, failures: u32) -> u32 {
    attempt(folder, failures)
}

#[io_bound(retries = 2, backoff = "1us")]
fn three_tries_io(folder: &std::path::Path, failures: u32) -> u32 {
    attempt(folder, failures)
}

#[xfork::io_bound_fork(retries = 2, backoff = "1us")]
fn three_tries_implicit(folder: &std::path::Path, failures: u32) -> u32 {
    attempt(folder, failures)
}

/// Runs every task in a thread of its own.
struct OneThreadEach;

impl Runner for OneThreadEach {
    fn run(&self, task: Runnable) {
        std::thread::spawn(move || task.run());
    }
}

/// Every plan that runs tasks in this process.
fn plans() -> [Plan; 3] {
    [Plan::sequential(), Plan::threads(), Plan::runner(Arc::new(OneThreadEach))]
}

/// A task that panics while it has tries left gives its value, under every plan that runs it in this process.
#[test]
fn a_task_that_panics_is_tried_again() {
    deadline(MINUTE, || {
        for plan in plans() {
            with_plan(plan, || {
                let folder = Folder::new();
                assert_eq!(fork(three_tries, (folder.path(), 2)), 3);
                assert_eq!(folder.count(), 3);
                let folder = Folder::new();
                assert_eq!(fork(three_tries_io, (folder.path(), 1)), 2);
                assert_eq!(folder.count(), 2);
                let folder = Folder::new();
                assert_eq!(three_tries_implicit(folder.path().to_path_buf(), 2), 3);
                let folder = Folder::new();
                assert_eq!(thread(three_tries, (folder.path(), 2)), 3);
                let folder = Folder::new();
                assert_eq!(fork(xfork::cpu_bound(three_tries_io), (folder.path(), 2)), 3);
            });
        }
    });
}

/// The error after the last try is that of the last try, and says how many there were.
#[test]
fn a_task_that_fails_each_time_fails_with_the_last_error() {
    deadline(MINUTE, || {
        for plan in plans() {
            with_plan(plan, || {
                for is_io in [false, true] {
                    let folder = Folder::new();
                    let failed = match is_io {
                        true => fork(three_tries_io, (folder.path(), 9)),
                        false => fork(three_tries, (folder.path(), 9)),
                    };
                    let error = wait(&failed).unwrap_err();
                    assert_eq!(folder.count(), 3);
                    assert_eq!(error.tries(), 3);
                    assert_eq!(error.message(), "try 3 fails");
                    assert!(error.is_panic() && error.forked_at().len() == 1, "{error:?}");
                    assert!(error.to_string().ends_with("try 3 fails; tried 3 times"), "{error}");
                }
            });
        }
        let once = wait(&thread(|| -> u8 { panic!("no") }, ())).unwrap_err();
        assert_eq!(once.tries(), 1);
        assert!(once.to_string().ends_with(": no"), "{once}");
    });
}

/// What is said of the task wins over its mark, and that over the plan.
#[test]
fn retries_are_the_tasks_or_the_marks_or_the_plans() {
    #[io_bound]
    fn silent(folder: &std::path::Path, failures: u32) -> u32 {
        attempt(folder, failures)
    }
    #[cpu_bound]
    fn silent_cpu(folder: &std::path::Path, failures: u32) -> u32 {
        attempt(folder, failures)
    }
    #[cpu_bound(retries = 0)]
    fn never(folder: &std::path::Path, failures: u32) -> u32 {
        attempt(folder, failures)
    }

    fn tries<F>(task: impl FnOnce(&Folder) -> xfork::Task<F, (std::path::PathBuf, u32)>) -> u32
    where
        F: Callable<(std::path::PathBuf, u32), Output = u32>,
        F::Mark: xfork::Route<F, (std::path::PathBuf, u32)>,
    {
        let folder = Folder::new();
        let error = wait(&task(&folder).fork()).unwrap_err();
        assert_eq!(error.tries(), folder.count() as u32);
        error.tries()
    }

    deadline(MINUTE, || {
        let limits = Limits::new().retries(4).backoff(AT_ONCE);
        for plan in [Plan::sequential(), Plan::threads()] {
            with_plan(plan.clone(), || assert_eq!(tries(|folder| task(silent_cpu, (folder.path(), 99))), 1));
            with_plan(plan.limits(limits), || {
                assert_eq!(tries(|folder| task(silent_cpu, (folder.path(), 99))), 5, "the plan's");
                assert_eq!(tries(|folder| task(three_tries, (folder.path(), 99))), 3, "the mark's");
                assert_eq!(tries(|folder| task(never, (folder.path(), 99))), 1, "the mark's");
                assert_eq!(
                    tries(|folder| task(three_tries, (folder.path(), 99)).retries(1)),
                    2,
                    "the task's"
                );
                assert_eq!(
                    tries(|folder| task(three_tries, (folder.path(), 99)).retries(0)),
                    1,
                    "the task's"
                );
                let some = Limits::new().retries(3);
                assert_eq!(tries(|folder| task(silent_cpu, (folder.path(), 99)).limits(some)), 4);
                assert_eq!(tries(|folder| task(silent_cpu, (folder.path(), 99)).limits(some).retries(1)), 2);
                assert_eq!(tries(|folder| task(silent_cpu, (folder.path(), 99)).retries(1).limits(some)), 4);
                // Nobody knows how to copy its arguments.
                assert_eq!(tries(|folder| task(silent, (folder.path(), 99))), 1);
                assert_eq!(tries(|folder| task(silent, (folder.path(), 99)).retries(1)), 2);
            });
        }
    });
}

/// Each wait between two tries is at least twice the one before.
#[test]
fn the_back_off_doubles() {
    deadline(MINUTE, || {
        for plan in [Plan::sequential(), Plan::threads()] {
            with_plan(plan, || {
                let begins = Arc::new(Mutex::new(Vec::new()));
                let begun = begins.clone();
                let failing = io_bound(move || -> u8 {
                    begun.lock().unwrap().push(Instant::now());
                    panic!("no")
                });
                let backoff = Duration::from_millis(10);
                let failed = task(failing, ()).retries(3).backoff(backoff).fork();
                assert_eq!(wait(&failed).unwrap_err().tries(), 4);
                let begins = begins.lock().unwrap();
                let pauses = begins.windows(2).map(|pair| pair[1] - pair[0]);
                for (number, pause) in pauses.enumerate() {
                    assert!(pause >= backoff * (1 << number), "pause {number} took {pause:?}");
                }
            });
        }
    });
}

/// A thread of the pool in its back-off is no thread in use: with a limit of one, another task runs meanwhile.
#[test]
fn a_task_in_its_back_off_holds_no_thread_up() {
    deadline(MINUTE, || {
        with_plan(Plan::threads().io_threads(1), || {
            let done = Arc::new(AtomicU32::new(0));
            let (failed_once, first_failure) = std::sync::mpsc::channel();
            let seen = done.clone();
            let until_done = io_bound(move || {
                let _ = failed_once.send(());
                assert_eq!(seen.load(Ordering::SeqCst), 1, "the other task has not run yet");
            });
            let patient = task(until_done, ()).retries(30).backoff(Duration::from_millis(1)).fork();
            first_failure.recv().unwrap();
            let other = thread(move || done.store(1, Ordering::SeqCst), ());
            wait(&other).unwrap();
            wait(&patient).unwrap();
        });
    });
}

/// The task whose dependency failed is not tried, and the dependency not because of it.
#[test]
fn a_failed_dependency_is_not_tried_again() {
    deadline(MINUTE, || {
        for plan in plans() {
            with_plan(plan, || {
                let (origins, dependents) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
                let calls = origins.clone();
                let origin = thread(
                    move || -> u8 {
                        calls.fetch_add(1, Ordering::SeqCst);
                        panic!("no")
                    },
                    (),
                );
                let calls = dependents.clone();
                let count = io_bound(move |_: u8| calls.fetch_add(1, Ordering::SeqCst));
                let dependent = task(count, &origin).retries(3).backoff(AT_ONCE).fork();
                let error = wait(&dependent).unwrap_err();
                assert!(error.is_dependency() && error.tries() == 1, "{error}");
                assert_eq!((origins.load(Ordering::SeqCst), dependents.load(Ordering::SeqCst)), (1, 0));
            });
        }
    });
}

/// A task with retries keeps its number of tries in the errors of those that depend on it.
#[test]
fn the_error_of_a_dependent_says_how_often_its_origin_was_tried() {
    deadline(MINUTE, || {
        let folder = Folder::new();
        let origin = fork(three_tries_io, (folder.path(), 9));
        let error = wait(&thread(|n: u32| n, &origin)).unwrap_err();
        assert!(error.is_dependency() && error.tries() == 3, "{error}");
    });
}

/// Each try gets arguments of its own: what the one before did to them is not seen.
#[test]
fn each_try_gets_the_arguments_as_they_were_given() {
    #[cpu_bound]
    fn grow(mut list: Vec<u32>, folder: &std::path::Path, failures: u32) -> Vec<u32> {
        list.push(7);
        assert_eq!(list, [1, 7]);
        attempt(folder, failures);
        list
    }
    deadline(MINUTE, || {
        let by_bytes = Limits::new().retries(2).backoff(AT_ONCE);
        for plan in plans() {
            with_plan(plan, || {
                let folder = Folder::new();
                let cloned = task(grow, (vec![1], folder.path(), 2)).retries(2).backoff(AT_ONCE);
                assert_eq!(*cloned.fork(), [1, 7]);
                let folder = Folder::new();
                let decoded = task(grow, (ready(vec![1]), folder.path(), 2)).limits(by_bytes);
                assert_eq!(*decoded.fork(), [1, 7]);
            });
        }
    });
}

/// What is not needed is not paid for: a task that succeeds at once, or has no retries, clones nothing it need not.
#[test]
fn the_last_try_takes_the_arguments_themselves() {
    struct Counted(Arc<AtomicU32>);
    impl Clone for Counted {
        fn clone(&self) -> Self {
            self.0.fetch_add(1, Ordering::SeqCst);
            Self(self.0.clone())
        }
    }
    deadline(MINUTE, || {
        for (retries, clones) in [(0, 0), (1, 1), (3, 3)] {
            let count = Arc::new(AtomicU32::new(0));
            let failing = io_bound(|_: Counted| -> u8 { panic!("no") });
            let failed = task(failing, Counted(count.clone())).retries(retries).backoff(AT_ONCE).fork();
            assert_eq!(wait(&failed).unwrap_err().tries(), retries + 1);
            assert_eq!(count.load(Ordering::SeqCst), clones);
        }
    });
}

/// A panic of an argument's own `clone` or `drop` is a failure of the task, and hurts nobody else.
#[test]
fn arguments_that_panic_when_they_are_cloned_or_dropped() {
    struct Fragile;
    impl Clone for Fragile {
        fn clone(&self) -> Self {
            panic!("no second one")
        }
    }
    #[derive(Clone)]
    struct Loud;
    impl Drop for Loud {
        fn drop(&mut self) {
            panic!("dropped")
        }
    }
    deadline(MINUTE, || {
        let fragile = task(io_bound(|_: Fragile| 1), Fragile).retries(2).backoff(AT_ONCE).fork();
        assert_eq!(wait(&fragile).unwrap_err().message(), "no second one");
        let forget = io_bound(|loud: Loud| std::mem::forget(loud));
        wait(&task(forget, Loud).retries(2).backoff(AT_ONCE).fork()).unwrap();
        assert_eq!(fork(|n: u32| n, 3), 3);
    });
}

/// What a task forks in a try that fails is finished before the result is delivered, like all its forks.
#[test]
fn the_forks_of_a_failed_try_are_the_tasks() {
    deadline(MINUTE, || {
        let forks = Arc::new(AtomicU32::new(0));
        let (tries, finished) = (Arc::new(AtomicU32::new(0)), forks.clone());
        let forking = io_bound(move || {
            let finished = finished.clone();
            thread(
                move || {
                    finished.fetch_add(1, Ordering::SeqCst);
                },
                (),
            );
            assert_eq!(tries.fetch_add(1, Ordering::SeqCst), 2, "not yet");
        });
        wait(&task(forking, ()).retries(2).backoff(AT_ONCE).fork()).unwrap();
        assert_eq!(forks.load(Ordering::SeqCst), 3);
    });
}

/// Each try sees the same surroundings: its forks go where those of the first go.
#[test]
fn each_try_forks_where_the_first_does() {
    deadline(MINUTE, || {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let pids = seen.clone();
        with_plan(Plan::threads(), || {
            let look = io_bound(move || {
                pids.lock().unwrap().push(*fork(std::process::id, ()));
                panic!("again");
            });
            assert!(wait(&task(look, ()).retries(2).backoff(AT_ONCE).fork()).is_err());
        });
        assert_eq!(*seen.lock().unwrap(), [std::process::id(); 3]);
    });
}
