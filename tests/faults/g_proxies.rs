//! Section G: proxies, graphs of tasks, threads.

use crate::fixture::{
    Dir, alone, alone_for, children, children_of, double, ended, ends_within, hang, hear, hear_pid, kill,
    leave_a_trace, pool, pool_of, program, quiet, run, tell, the_next_task_succeeds, traces,
};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use xfork::{Plan, ResultProxy, fork, lazy, process, thread};

/// Row 101: same proxy awaited by 64 threads and through clones: computed once; panic seen by each with its own report object.
#[test]
fn sixty_four_readers_see_one_computation() {
    fn compute(trace: String, is_broken: bool) -> String {
        leave_a_trace(trace);
        assert!(!is_broken, "seen by all");
        "value".to_string()
    }
    alone(|| {
        let dir = Dir::new();
        pool(2, || {
            for is_broken in [false, true] {
                let trace = dir.path(&format!("trace-{is_broken}"));
                let proxy = process(compute, (&trace, is_broken));
                let longer = ResultProxy::map(&proxy, |text| {
                    COMPUTED.fetch_add(1, Ordering::SeqCst);
                    text.len()
                });
                static COMPUTED: AtomicUsize = AtomicUsize::new(0);
                let barrier = Barrier::new(64);
                std::thread::scope(|scope| {
                    for n in 0..64 {
                        let (barrier, clone, longer) = (&barrier, proxy.clone(), longer.clone());
                        let proxy = &proxy;
                        scope.spawn(move || {
                            barrier.wait();
                            let outcome =
                                if n % 2 == 0 { ResultProxy::wait(proxy) } else { ResultProxy::wait(&clone) };
                            match outcome {
                                Ok(value) => assert!(!is_broken && value == "value"),
                                Err(error) => {
                                    assert!(is_broken && error.message().contains("seen by all"), "{error}")
                                }
                            }
                            match ResultProxy::wait(&longer) {
                                Ok(length) => assert_eq!(*length, 5),
                                Err(error) => assert!(is_broken && error.is_panic(), "{error}"),
                            }
                            if is_broken {
                                let reading = std::panic::AssertUnwindSafe(|| proxy.len());
                                let payload = std::panic::catch_unwind(reading).unwrap_err();
                                assert_eq!(payload.downcast_ref::<&str>(), Some(&"seen by all"));
                            }
                        });
                    }
                });
                assert_eq!(traces(&trace), 1);
                assert_eq!(COMPUTED.load(Ordering::SeqCst), 1, "a failed operand computes nothing");
            }
        });
    });
}

/// Row 102: a deferred expression dropped unforced never runs, nothing leaks; a fork dropped before or while it runs is
/// finished, its result discarded quietly, its failure reported at exit.
#[test]
fn a_dropped_fork_is_finished_and_a_dropped_expression_never_run() {
    struct Counted(&'static AtomicUsize);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    fn wait_and_leave_a_trace(running: String, gate: String, trace: String) -> Vec<u8> {
        tell(&running, "running");
        hear(&gate);
        leave_a_trace(trace);
        vec![1; 1 << 20]
    }
    static RUN: AtomicUsize = AtomicUsize::new(0);
    static DROPPED: AtomicUsize = AtomicUsize::new(0);
    alone(|| {
        let dir = Dir::new();
        pool(1, || {
            let captured = Counted(&DROPPED);
            let expression = lazy(move || {
                RUN.fetch_add(1, Ordering::SeqCst);
                let _captured = &captured;
                1
            });
            drop(expression);
            assert_eq!((RUN.load(Ordering::SeqCst), DROPPED.load(Ordering::SeqCst)), (0, 1));

            let (running, gate, trace) = (dir.pipe("running"), dir.pipe("gate"), dir.path("trace"));
            let while_it_runs = process(wait_and_leave_a_trace, (&running, &gate, &trace));
            drop(process(leave_a_trace, &trace));
            hear(&running);
            drop(while_it_runs);
            tell(&gate, "go");
            // One worker: what comes last ends last.
            the_next_task_succeeds();
            assert_eq!(traces(&trace), 2);
        });
    });
    let ended = run("drops_a_failure", quiet(program("drops_a_failure")));
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(ended.stderr.contains("nobody looked") && ended.stderr.contains("dropped unseen"), "{ended:?}");
    assert!(ended.stderr.contains("programs.rs"), "{ended:?}");
    assert_eq!(ended.stderr.matches("dropped unseen").count(), 1, "{ended:?}");
}

/// Row 103: failing node: dependents not run, error carries origin and path; siblings finish.
#[test]
fn what_depends_on_a_failure_is_not_run_and_names_it() {
    fn origin(_: u64) -> u64 {
        panic!("the origin")
    }
    fn crash(_: u64) -> u64 {
        std::process::abort()
    }
    fn traced(n: u64, trace: String) -> u64 {
        leave_a_trace(trace);
        n
    }
    alone(|| {
        let dir = Dir::new();
        let trace = dir.path("trace");
        pool(2, || {
            for (broken, is_panic) in [(process(origin, 1), true), (process(crash, 1), false)] {
                let sibling = process(double, 8);
                let on_a_process = process(traced, (&broken, &trace));
                let on_a_thread = thread(traced, (&on_a_process, &trace));
                let expression = &on_a_thread + &sibling;
                let last = process(traced, (&expression, &trace));
                for dependent in [&on_a_process, &on_a_thread, &last] {
                    let error = ResultProxy::error(dependent).unwrap();
                    assert!(error.is_dependency(), "{error}");
                    assert_eq!((error.is_panic(), error.is_crash()), (is_panic, !is_panic), "{error}");
                    assert!(error.task().contains(if is_panic { "origin" } else { "crash" }), "{error}");
                    assert!(error.to_string().contains("traced"), "{error}");
                    assert!(!error.forked_at().is_empty(), "{error:?}");
                }
                assert!(!ResultProxy::error(&broken).unwrap().is_dependency());
                assert_eq!(sibling, 16);
            }
        });
        assert_eq!(traces(&trace), 0);
    });
}

fn down_by_threads(n: u64) -> u64 {
    if n == 0 { 0 } else { *thread(down_by_threads, n - 1) + 1 }
}

fn down_by_both(n: u64) -> u64 {
    match n {
        0 => 0,
        n if n % 2 == 0 => *thread(down_by_both, n - 1) + 1,
        n => *process(down_by_both, n - 1) + 1,
    }
}

/// Row 106: io_bound task waits on cpu_bound proxy and the reverse, io waits on io with 1 thread, nesting depth 50: no
/// starvation deadlock (pool grows or helps).
#[test]
fn tasks_that_wait_for_each_other_starve_nobody() {
    #[xfork::io_bound]
    fn io_waits_for_cpu(n: u64) -> u64 {
        *process(double, n) + 1
    }
    #[xfork::cpu_bound]
    fn cpu_waits_for_io(n: u64) -> u64 {
        *thread(double, n) + 1
    }
    alone(|| {
        for workers in [1, 2] {
            pool_of(Plan::processes(workers).io_threads(1), || {
                let both: Vec<_> =
                    (0..20).map(|n| (fork(io_waits_for_cpu, n), fork(cpu_waits_for_io, n))).collect();
                for (n, (io, cpu)) in (0..).zip(both) {
                    assert_eq!((ended(io).unwrap(), ended(cpu).unwrap()), (2 * n + 1, 2 * n + 1));
                }
                assert_eq!(ended(thread(down_by_threads, 50)).unwrap(), 50);
                assert_eq!(ended(thread(down_by_both, 50)).unwrap(), 50);
                assert_eq!(ended(process(down_by_both, 50)).unwrap(), 50);
            });
        }
    });
}

/// Row 106: chains of proxies through threads and processes; the inputs' own proxies are dropped on the way.
#[test]
fn chains_through_threads_and_processes_end() {
    alone(|| {
        for workers in [1, 2] {
            pool_of(Plan::processes(workers).io_threads(1), || {
                let mut chain = thread(double, 0);
                for n in 0..50 {
                    chain = if n % 2 == 0 {
                        process(|n: u64| n + 1, &chain)
                    } else {
                        thread(|n: u64| n + 1, &chain)
                    };
                }
                assert_eq!(chain, 50);
            });
        }
    });
}

fn fib(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (left, right) = (process(fib, n - 1), process(fib, n - 2));
    *left + *right
}

/// Row 107: cpu_bound task forks cpu_bound (nested): works or Recursion error at the documented depth; no deadlock with 1
/// worker; killing the parent kills all levels.
#[test]
fn tasks_fork_tasks_at_any_depth_and_with_any_number_of_workers() {
    fn down(n: u64) -> u64 {
        if n == 0 { 0 } else { *process(down, n - 1) + 1 }
    }
    alone_for(Duration::from_secs(60), || {
        for workers in [1, 2, 3] {
            pool(workers, || {
                assert_eq!(ended(process(fib, 12)).unwrap(), 144);
                assert_eq!(ended(process(down, 200)).unwrap(), 200);
                assert!(children().len() <= workers, "{:?}", children());
                let grandchildren: Vec<_> = children().into_iter().flat_map(children_of).collect();
                assert!(grandchildren.is_empty(), "workers start no workers: {grandchildren:?}");
            });
        }
    });
}

/// Row 107: the death of a worker on which forks of another worker's task run: their parent gets an error, and goes on.
#[test]
fn a_nested_task_that_dies_elsewhere_is_an_error_of_its_parent() {
    fn parent(pipes: Vec<String>) -> Vec<String> {
        let nested: Vec<_> = pipes.iter().map(|pipe| process(hang, pipe)).collect();
        let errors = nested.iter().map(|proxy| ResultProxy::error(proxy).unwrap());
        errors.map(|error| format!("{} {:?}", error.is_crash(), error.signal())).collect()
    }
    alone(|| {
        let dir = Dir::new();
        pool(3, || {
            // The second is run by the parent's own worker, if no other takes it: then the parent dies with it.
            let pipe = dir.pipe("nested");
            let task = process(parent, vec![pipe.clone()]);
            let worker = hear_pid(&pipe);
            kill(worker, libc::SIGKILL);
            match ended(task) {
                Ok(errors) => assert_eq!(errors, ["true Some(9)"]),
                Err(error) => assert!(error.is_crash() && error.pid() == Some(worker), "{error}"),
            }
        });
    });
}

/// Row 107: killing the program kills all levels.
#[test]
fn a_program_killed_amid_nested_tasks_leaves_none() {
    let dir = Dir::new();
    let pipe = dir.pipe("innermost");
    let mut command = quiet(program("nests_and_hangs"));
    command.env("PIPE", &pipe);
    let started = crate::fixture::Started::new("nests_and_hangs", command);
    let innermost = hear_pid(&pipe);
    // SAFETY: takes numbers; the child has not been waited for.
    unsafe { libc::kill(started.group(), libc::SIGKILL) };
    let ended = started.wait(Duration::from_secs(30));
    assert_eq!(ended.signal(), Some(libc::SIGKILL));
    assert!(ends_within(innermost, Duration::from_secs(1)));
}
