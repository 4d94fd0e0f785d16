//! The plan: the person who runs the program says where things run.

use std::process::id;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;

use crate::fixture::{Gate, MINUTE, children, deadline, fail, own_pid, panic_of, pass, square};
use xfork::{MAX_WORKERS, Plan, ProxyState, ResultProxy, cpu_bound, fork, io_bound, map, wait, with_plan};

/// XF-48: easy way back: `Plan::sequential` runs all in place, in program order.
#[test]
fn the_sequential_plan_runs_in_place_in_program_order() {
    #[io_bound]
    fn note(n: u32, log: Arc<Mutex<Vec<u32>>>) -> thread::ThreadId {
        log.lock().unwrap().push(n);
        thread::current().id()
    }
    deadline(MINUTE, || {
        with_plan(Plan::sequential(), || {
            let log = Arc::new(Mutex::new(Vec::new()));
            let here = thread::current().id();
            for n in 0..10 {
                let p = fork(note, (n, log.clone()));
                assert_eq!(ResultProxy::state(&p), ProxyState::Ready);
                assert_eq!(*p, here);
                assert_eq!(log.lock().unwrap().len() as u32, n + 1);
            }
            assert_eq!(*log.lock().unwrap(), (0..10).collect::<Vec<_>>());
            assert_eq!(*fork(own_pid, ()), id());
            assert_eq!(*xfork::process(own_pid, ()), id());
        });
    });
}

/// XF-48: replacing `fork(f, x)` by `f(x)` leaves the program's meaning unchanged: the same program under every plan.
#[test]
fn a_program_means_the_same_under_every_plan() {
    #[cpu_bound]
    fn collatz(n: u64) -> u64 {
        if n == 1 { 0 } else { 1 + *fork(collatz, if n.is_multiple_of(2) { n / 2 } else { 3 * n + 1 }) }
    }
    fn program() -> (Vec<u64>, String, String) {
        let steps = map(collatz, 1..20);
        let longest = steps.iter().max().unwrap().clone();
        let total: ResultProxy<u64> = steps.iter().sum();
        let text = fork(|total: u64, longest: u64| format!("{total} {longest}"), (&total, longest));
        let failed = wait(&fork(square, fork(fail, "the same"))).unwrap_err().message().into_owned();
        (steps.into_iter().map(ResultProxy::into_inner).collect(), text.to_string(), failed)
    }
    deadline(MINUTE, || {
        let expected = with_plan(Plan::sequential(), program);
        for plan in
            [Plan::threads(), Plan::processes(1), Plan::processes(3), Plan::processes(2).io_threads(1)]
        {
            assert_eq!(with_plan(plan.clone(), program), expected, "{plan:?}");
        }
    });
}

/// XF-48: under the sequential plan a failure is still the proxy's, not the fork's.
#[test]
fn the_sequential_plan_reports_failures_where_results_are_used() {
    deadline(MINUTE, || {
        with_plan(Plan::sequential(), || {
            let p = fork(fail, "later");
            assert_eq!(ResultProxy::state(&p), ProxyState::Failed);
            assert_eq!(panic_of(|| *p), "later");
            assert!(wait(&fork(square, &p)).unwrap_err().is_dependency());
        });
    });
}

/// XF-02: `Plan::threads` runs cpu_bound work on rayon's threads of this process.
#[test]
fn the_threads_plan_runs_cpu_bound_work_on_rayon() {
    #[cpu_bound]
    fn place(gate: &std::path::Path) -> (u32, Option<usize>) {
        crate::fixture::stop_at(gate, 0);
        (id(), rayon_thread())
    }
    deadline(MINUTE, || {
        with_plan(Plan::threads(), || {
            let gate = Gate::new();
            let p = fork(place, gate.path());
            // Started by the pool, not by whoever waits for it.
            gate.next().let_go();
            let (pid, thread) = *p;
            assert_eq!(pid, id());
            assert!(thread.is_some(), "a thread of rayon's");
        });
    });
}

fn rayon_thread() -> Option<usize> {
    rayon::current_thread_index()
}

/// XF-40: a plan's number of workers is the number of processes that work at the same time.
#[test]
fn as_many_workers_work_at_once_as_the_plan_says() {
    deadline(MINUTE, || {
        with_plan(Plan::processes(3), || {
            let gate = Gate::new();
            let proxies: Vec<_> = (0..9).map(|n| fork(pass, (gate.path(), n))).collect();
            let first = gate.many(3);
            let mut pids: Vec<_> = first.iter().map(|stopped| stopped.pid).collect();
            pids.sort();
            pids.dedup();
            assert_eq!(pids.len(), 3);
            drop(first);
            for _ in 3..9 {
                let stopped = gate.next();
                assert!(pids.contains(&stopped.pid), "a fourth worker");
            }
            assert!(proxies.iter().enumerate().all(|(n, p)| **p == n as u32));
        });
    });
}

/// XF-40: io-bound tasks get more threads than there are cores, up to what the plan says.
#[test]
fn as_many_io_bound_tasks_are_under_way_at_once_as_the_plan_says() {
    deadline(MINUTE, || {
        with_plan(Plan::processes(1).io_threads(40), || {
            let gate = Gate::new();
            let proxies: Vec<_> = (0..60).map(|n| fork(crate::fixture::pass_io, (gate.path(), n))).collect();
            let mut stopped = gate.many(40);
            let waiting = proxies.iter().filter(|p| ResultProxy::state(p) == ProxyState::Pending).count();
            assert_eq!(waiting, 60);
            stopped.clear();
            drop(gate.many(20));
            assert!(proxies.iter().enumerate().all(|(n, p)| **p == n as u32));
        });
    });
}

/// XF-40: the workers of a plan for one scope end with its last task, and leave nothing behind.
#[test]
fn the_workers_of_a_scope_end_with_it() {
    deadline(MINUTE, || {
        let worker = with_plan(Plan::processes(1), || *fork(own_pid, ()));
        assert_ne!(worker, id());
        while children().contains(&worker) {
            thread::yield_now();
        }
    });
}

/// XF-05, XF-48: a plan for a scope holds for its forks and those of its tasks, and for no others.
#[test]
fn a_scoped_plan_holds_for_the_scope_and_its_tasks() {
    #[io_bound]
    fn inner() -> u32 {
        *fork(own_pid, ())
    }
    deadline(MINUTE, || {
        with_plan(Plan::threads(), || {
            assert_eq!(*fork(inner, ()), id());
            with_plan(Plan::processes(1), || assert_ne!(*fork(inner, ()), id()));
            assert_eq!(*fork(inner, ()), id());
        });
        assert_ne!(*fork(own_pid, ()), id());
        // Also when the scope ends by a panic.
        assert_eq!(panic_of(|| with_plan(Plan::sequential(), || panic!("out"))), "out");
        assert_ne!(*fork(own_pid, ()), id());
        // And in no other thread.
        with_plan(Plan::sequential(), || {
            let (sender, receiver) = channel();
            thread::spawn(move || sender.send(*fork(own_pid, ())));
            assert_ne!(receiver.recv().unwrap(), id());
        });
    });
}

/// XF-40: tasks may outlive the scope whose plan they follow.
#[test]
fn tasks_outlive_the_scope_they_were_forked_in() {
    deadline(MINUTE, || {
        let gate = Gate::new();
        let (first, second) = with_plan(Plan::processes(1), || {
            let first = fork(pass, (gate.path(), 3));
            let second = fork(|n: u32| n + 1, &first);
            (first, second)
        });
        gate.next().let_go();
        assert_eq!((*second, *first), (4, 3));
    });
}

/// XF-06: a number of workers or threads that can't be is refused where it is written.
#[test]
fn an_impossible_plan_is_refused_with_what_is_possible() {
    let refusals: [fn() -> Plan; 4] = [
        || Plan::processes(0),
        || Plan::processes(MAX_WORKERS + 1),
        || Plan::threads().io_threads(0),
        || Plan::threads().io_threads(MAX_WORKERS + 1),
    ];
    for refusal in refusals {
        let text = panic_of(refusal);
        assert!(text.contains(&format!("between 1 and {MAX_WORKERS}")), "{text}");
    }
}

/// XF-40: messages have a limit, and the error of what is larger says so; what is smaller goes on.
#[test]
fn a_message_larger_than_the_plan_allows_is_an_error_of_its_task_alone() {
    deadline(MINUTE, || {
        with_plan(Plan::processes(1).max_message(1 << 20), || {
            let too_large = wait(&fork(|bytes: Vec<u8>| bytes.len(), vec![0; 2 << 20])).unwrap_err();
            let result = wait(&fork(|size: usize| vec![0_u8; size], 2 << 20)).unwrap_err();
            for (error, what) in [(too_large, "arguments"), (result, "result")] {
                assert!(error.is_transport(), "{error:?}");
                let text = error.to_string();
                assert!(text.contains(what) && text.contains("max_message"), "{text}");
            }
            assert_eq!(*fork(|bytes: Vec<u8>| bytes.len(), vec![0; 1 << 19]), 1 << 19);
        });
    });
}
