//! Proxies as arguments: edges of a graph that block nobody.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::fixture::{
    Folder, Gate, MINUTE, MINUTES, deadline, fail, fail_io, own_pid, panic_of, pass, pass_io, square,
};
use xfork::{
    Plan, ProxyState, ResultProxy, cpu_bound, fork, io_bound, map, ready, task, thread, wait, with_plan,
};

#[cpu_bound]
fn add(a: u64, b: u64) -> u64 {
    a + b
}

/// XF-29: proxies as arguments: callee gets the value, of tasks, of expressions, and of values that are there.
#[test]
fn the_function_gets_the_value_of_a_proxy() {
    deadline(MINUTE, || {
        let (a, b) = (fork(square, 3), fork(square, 4));
        assert_eq!(*fork(add, (&a, &b)), 25);
        assert_eq!(*fork(add, (&a + 1, b)), 26);
        assert_eq!(*fork(add, (a, ready(1))), 10);
        assert_eq!(*fork(add, (thread(|| 1, ()), xfork::lazy(|| 2))), 3);
    });
}

/// XF-30: ⚠ an unresolved proxy argument made *every* later process fork wait: a true edge blocks no worker and no
/// feeder.
#[test]
fn a_task_that_waits_for_its_argument_holds_nobody_up() {
    deadline(MINUTE, || {
        with_plan(Plan::processes(1), || {
            let gate = Gate::new();
            let input = fork(pass_io, (gate.path(), 7));
            let stopped = gate.next();
            // More than there are workers and messages sent ahead; the forks return at once.
            let dependents: Vec<_> = (0..100).map(|_| fork(|n: u32| n + 1, &input)).collect();
            let chained = fork(|numbers: Vec<u32>| numbers.len(), &dependents);
            assert_eq!(*fork(square, 5), 25);
            assert_eq!(map(square, 0..20).len(), 20);
            assert!(dependents.iter().all(|dependent| ResultProxy::state(dependent) == ProxyState::Pending));
            stopped.let_go();
            assert!(dependents.iter().all(|dependent| **dependent == 8));
            assert_eq!(*chained, 100);
        });
    });
}

/// XF-30: nor does an argument that is an expression over what is not there.
#[test]
fn a_fork_on_an_unfinished_expression_returns_at_once() {
    deadline(MINUTE, || {
        let gate = Gate::new();
        let input = fork(pass_io, (gate.path(), 7));
        let stopped = gate.next();
        let p = fork(|n: u32| n * 2, &input + 1);
        let q = thread(|n: usize| n, ResultProxy::map(&input, |n| n.to_string().len()));
        assert_eq!(ResultProxy::state(&p), ProxyState::Pending);
        stopped.let_go();
        assert_eq!((*p, *q), (16, 1));
    });
}

/// XF-31: a failing proxy as argument: the dependent fails with the *original* failing task's traceback.
#[test]
fn a_dependent_fails_with_the_original_failure() {
    deadline(MINUTE, || {
        for origin in [fork(fail, "the origin"), fork(fail_io, "the origin")] {
            let middle = fork(square, &origin);
            let last = thread(|n: u64| n, middle);
            let error = wait(&last).unwrap_err();
            assert!(error.is_dependency() && error.is_panic(), "{error:?}");
            assert_eq!(error.message(), "the origin");
            assert!(error.task().contains("::fail"), "{error}");
            assert_eq!(error.location(), wait(&origin).unwrap_err().location());
            assert!(error.location().unwrap().0.ends_with("fixture.rs"), "{error}");
            assert!(error.backtrace().unwrap().contains("fail"), "{error}");
            assert!(error.to_string().contains("was not run"), "{error}");
            // Used as a value, it is the original panic.
            assert_eq!(panic_of(|| *last), "the origin");
        }
    });
}

/// XF-31: and the dependents are not run, wherever they would have been.
#[test]
fn a_failed_dependency_fails_its_dependents_without_running_them() {
    #[cpu_bound]
    fn leave_a_mark(_: u64, mark: &Path) {
        std::fs::write(mark, "").unwrap();
    }
    #[io_bound]
    fn set(_: Vec<u64>, flag: Arc<AtomicBool>) {
        flag.store(true, Ordering::SeqCst);
    }
    deadline(MINUTE, || {
        let folder = Folder::new();
        let gate = Gate::new();
        let flag = Arc::new(AtomicBool::new(false));
        let origin = ResultProxy::and_then(&fork(pass_io, (gate.path(), 0)), |_| fork(fail, "no"));
        let marks = [
            fork(leave_a_mark, (&origin, folder.file("a"))),
            fork(leave_a_mark, (&origin + 1, folder.file("b"))),
        ];
        let on_thread = fork(set, (vec![ready(1), origin.clone()], flag.clone()));
        gate.next().let_go();
        for dependent in marks.iter().chain([&on_thread]) {
            assert!(wait(dependent).unwrap_err().is_dependency());
        }
        // Forked after the failure, too.
        let late = fork(leave_a_mark, (&origin, folder.file("c")));
        assert_eq!(wait(&late).unwrap_err().message(), "no");
        assert_eq!(folder.count(), 0);
        assert!(!flag.load(Ordering::SeqCst));
    });
}

/// XF-32: a proxy returned by a fork is flattened to the value: on a thread.
#[test]
fn a_proxy_returned_by_a_thread_is_flattened() {
    deadline(MINUTE, || {
        let nested = thread(|| fork(square, 3), ());
        assert_eq!(*fork(square, &nested), 81);
        assert_eq!(ResultProxy::flatten(nested), 9);
        let deep = thread(|| thread(|| fork(square, 2), ()), ());
        assert_eq!(ResultProxy::flatten(ResultProxy::flatten(deep)), 4);
    });
}

/// XF-32: a proxy returned by a fork is flattened to the value: from a process. `fork(fork, f, x)` equals `f(x)`.
#[test]
fn a_proxy_returned_by_a_process_is_flattened() {
    deadline(MINUTE, || {
        let nested = fork(|n: u64| fork(square, n), 3);
        assert_eq!(**nested, 9);
        assert_eq!(*fork(square, &nested), 81);
        assert_eq!(ResultProxy::flatten(nested), 9);
        let sum = fork(|a: u64, b: u64| fork(square, a) + fork(square, b), (3, 4));
        assert_eq!(ResultProxy::flatten(sum), 25);
    });
}

/// XF-32, XF-52: a failure of the inner fork is the flattened proxy's.
#[test]
fn the_failure_of_a_returned_proxy_is_the_flattened_ones() {
    deadline(MINUTE, || {
        let on_thread = ResultProxy::flatten(thread(|| fork(fail, "inside"), ()));
        let in_process = ResultProxy::flatten(fork(|| fork(fail, "inside"), ()));
        for proxy in [on_thread, in_process] {
            assert_eq!(panic_of(|| *proxy), "inside");
        }
    });
}

/// XF-33: pickling a proxy pickles the value.
#[test]
fn serialising_a_proxy_serialises_its_value() {
    #[derive(Clone, serde::Serialize, serde::Deserialize)]
    struct Report {
        name: String,
        squares: Vec<ResultProxy<u64>>,
        sum: ResultProxy<u64>,
    }
    deadline(MINUTE, || {
        let squares = map(square, 1..=3);
        let sum = squares.iter().sum();
        let report = Report { name: "all".into(), squares, sum };
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(json, r#"{"name":"all","squares":[1,4,9],"sum":14}"#);
        // So a type with proxies inside travels as an argument and as a result.
        let back = fork(
            |mut report: Report| {
                report.squares.push(fork(square, 4));
                report.sum += 16;
                report
            },
            report,
        );
        assert_eq!((&*back.name, back.squares.len(), *back.squares[3], *back.sum), ("all", 4, 16, 30));
    });
}

/// XF-33: serialising a proxy uses its value, so the panic of a failed task is rethrown there.
#[test]
fn serialising_a_failed_proxy_rethrows_its_failure() {
    deadline(MINUTE, || {
        let thrown = std::panic::catch_unwind(|| serde_json::to_string(&fork(fail, "no value"))).unwrap_err();
        assert_eq!(thrown.downcast_ref::<String>().map(String::as_str), Some("no value"));
    });
}

mod counted {
    //! A type that counts how often this process decodes it.

    use super::{AtomicUsize, Ordering};
    use serde::{Deserialize, Deserializer, Serialize};

    pub(super) static DECODED: AtomicUsize = AtomicUsize::new(0);

    #[derive(Clone, Serialize)]
    pub(super) struct Counted(pub(super) u64);

    impl<'de> Deserialize<'de> for Counted {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            DECODED.fetch_add(1, Ordering::SeqCst);
            u64::deserialize(deserializer).map(Self)
        }
    }
}

/// XF-33, XF-29: a result that only feeds another process goes there as it came, and is decoded when somebody here
/// reads it: once.
#[test]
fn a_result_that_feeds_another_process_is_not_decoded_on_the_way() {
    use counted::{Counted, DECODED};
    deadline(MINUTE, || {
        with_plan(Plan::processes(2), || {
            let first = fork(Counted, 3);
            let second = fork(|n: Counted| Counted(n.0 * n.0), &first);
            let third = fork(|n: Counted, m: Counted| n.0 + m.0, (&second, &first));
            assert_eq!(*third, 12);
            assert_eq!(DECODED.load(Ordering::SeqCst), 0);
            assert_eq!((first.0, first.0, second.0), (3, 3, 9));
            assert_eq!(DECODED.load(Ordering::SeqCst), 2);
        });
    });
}

/// XF-29: an unread result of a chain reaches its end through workers alone.
#[test]
fn a_chain_of_a_thousand_dependent_tasks_gives_its_value() {
    deadline(MINUTES, || {
        for workers in [1, 2] {
            with_plan(Plan::processes(workers), || {
                let mut last = fork(square, 1);
                for _ in 0..1000 {
                    last = fork(add, (last, 1));
                }
                assert_eq!(*last, 1001);
            });
        }
    });
}

/// XF-29: a layered graph in which every task needs all those of the layer below.
#[test]
fn a_layered_graph_gives_its_value() {
    deadline(MINUTE, || {
        let mut layer = map(square, 1..=10);
        for _ in 0..5 {
            layer = (0..10).map(|_| fork(|all: Vec<u64>| all.iter().sum::<u64>() / 10, &layer)).collect();
        }
        assert!(layer.iter().all(|node| **node == 38));
    });
}

/// XF-31: of several failed arguments the first, in their order, is the reason.
#[test]
fn the_first_failed_argument_is_the_reason() {
    deadline(MINUTE, || {
        let (left, right) = (fork(fail, "left"), fork(fail, "right"));
        wait(&right).unwrap_err();
        assert_eq!(wait(&fork(add, (&left, &right))).unwrap_err().message(), "left");
    });
}

/// XF-30: `.after` makes a task wait for another without taking its value, and blocks nobody either.
#[test]
fn a_task_starts_after_what_it_was_told_to_follow() {
    #[cpu_bound]
    fn exists(path: &Path) -> bool {
        path.exists()
    }
    #[cpu_bound]
    fn stop_then_write(gate: &Path, path: &Path) {
        crate::fixture::stop_at(gate, 0);
        std::fs::write(path, "").unwrap();
    }
    deadline(MINUTE, || {
        let (gate, folder) = (Gate::new(), Folder::new());
        let write = fork(stop_then_write, (gate.path(), folder.file("file")));
        let stopped = gate.next();
        let read = task(exists, folder.file("file")).after(&write).fork();
        assert_eq!(ResultProxy::state(&read), ProxyState::Pending);
        stopped.let_go();
        assert!(*read);
    });
}

/// XF-31: a task that follows a failed one is not run.
#[test]
fn a_task_after_a_failed_one_is_not_run() {
    deadline(MINUTE, || {
        let folder = Folder::new();
        let write = |path: PathBuf| std::fs::write(path, "").unwrap();
        let failed = fork(fail, "before");
        let p = task(write, folder.file("file"))
            .name("the follower")
            .after(&fork(own_pid, ()))
            .after(&failed)
            .fork();
        let error = wait(&p).unwrap_err();
        assert!(error.is_dependency());
        assert_eq!(error.message(), "before");
        assert!(error.to_string().contains("`the follower` was not run"), "{error}");
        assert_eq!(folder.count(), 0);
    });
}

/// XF-30: dropping a proxy neither cancels its task nor those that depend on it.
#[test]
fn dropping_proxies_cancels_nothing() {
    deadline(MINUTE, || {
        let gate = Gate::new();
        let first = fork(pass, (gate.path(), 3));
        let stopped = gate.next();
        let last = fork(square, ResultProxy::map(&first, |n| u64::from(*n)));
        drop(first);
        stopped.let_go();
        assert_eq!(*last, 9);
    });
}
