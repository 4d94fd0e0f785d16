//! Section C: the life of workers and of the pool.

use crate::fixture::{
    Afterwards, Dir, GONE, alone, alone_for, alone_with, children, double, ended, ends_within, hang, hear,
    hear_pid, kill, leave_a_trace, own_process, pool, program, quiet, run, stop, tell,
    the_next_task_succeeds, threads, traces, within,
};
use crate::own::limit_descriptors;
use std::sync::Barrier;
use std::time::Duration;
use xfork::{Plan, ResultProxy, process, thread, with_plan};

/// Row 41: SIGKILL of an idle worker: next task succeeds, no error.
#[test]
fn a_dead_idle_worker_is_replaced_without_a_word() {
    alone(|| {
        pool(1, || {
            for _ in 0..20 {
                let worker = ended(process(own_process, ())).unwrap();
                kill(worker, libc::SIGKILL);
                // Not waited for: the task may be sent to the dying worker.
                let next = ended(process(own_process, ())).unwrap();
                assert_ne!(next, worker);
            }
        });
    });
}

/// Row 42: SIGKILL between Sent and Started ack: re-dispatched once, runs once.
#[test]
fn a_task_that_was_sent_but_not_started_runs_elsewhere_once() {
    alone(|| {
        let dir = Dir::new();
        let trace = dir.path("trace");
        pool(1, || {
            for round in 1..=10 {
                let worker = ended(process(own_process, ())).unwrap();
                stop(worker);
                let task = process(leave_a_trace, trace.clone());
                kill(worker, libc::SIGKILL);
                ended(task).expect("it had not started");
                assert_eq!(traces(&trace), round);
            }
        });
    });
}

/// Row 42: SIGKILL between Sent and Started ack: re-dispatched once, runs once. Large vectors among the arguments have left the task
/// by then, and go to the next worker all the same, whole and unchanged.
#[test]
fn large_arguments_of_a_task_that_has_not_started_go_to_the_next_worker() {
    fn weigh(numbers: Vec<u64>, text: String, small: Vec<u8>, bytes: Vec<u8>, trace: String) -> (u64, usize) {
        leave_a_trace(trace);
        let sum = numbers.iter().fold(0, |sum: u64, number| sum.wrapping_mul(31).wrapping_add(*number));
        let bytes = bytes.iter().fold(sum, |sum, byte| sum.wrapping_mul(31).wrapping_add((*byte).into()));
        (bytes, text.len() + small.len())
    }
    alone(|| {
        let dir = Dir::new();
        let (trace, here) = (dir.path("trace"), dir.path("here"));
        let numbers: Vec<u64> = (0..300_000).collect();
        let bytes: Vec<u8> = (0..100_000).map(|at| at as u8).collect();
        let arguments = |trace: &String| {
            (numbers.clone(), "text".to_string(), vec![1, 2, 3], bytes.clone(), trace.clone())
        };
        let (a, b, c, d, e) = arguments(&here);
        let expected = weigh(a, b, c, d, e);
        pool(1, || {
            for round in 1..=5 {
                let worker = ended(process(own_process, ())).unwrap();
                stop(worker);
                let task = process(weigh, arguments(&trace));
                // A part of it is in the ring or the socket, and no more.
                kill(worker, libc::SIGKILL);
                assert_eq!(ended(task).expect("it had not started"), expected);
                assert_eq!(traces(&trace), round);
            }
        });
    });
}

/// Row 43: SIGKILL after Started: WorkerDied; not re-run (side-effect counter = 1).
#[test]
fn a_task_that_had_started_is_not_run_again() {
    fn leave_a_trace_and_hang(trace: String, pipe: String) -> u64 {
        leave_a_trace(trace);
        hang(pipe)
    }
    alone(|| {
        let dir = Dir::new();
        let (trace, pipe) = (dir.path("trace"), dir.pipe("running"));
        pool(2, || {
            for round in 1..=10 {
                let (task, sibling) = (process(leave_a_trace_and_hang, (&trace, &pipe)), process(double, 2));
                let worker = hear_pid(&pipe);
                kill(worker, libc::SIGKILL);
                let error = ended(task).unwrap_err();
                assert!(error.is_crash() && error.signal() == Some(libc::SIGKILL), "{error}");
                assert_eq!(error.pid(), Some(worker));
                assert!(error.to_string().contains("leave_a_trace_and_hang"), "{error}");
                assert_eq!(traces(&trace), round);
                assert_eq!(sibling, 4);
            }
        });
    });
}

/// Row 44: SIGKILL after the result bytes were written: result delivered (drain first, also on ECONNRESET).
#[test]
fn a_result_that_was_written_before_the_death_counts() {
    #[derive(Clone, serde::Serialize, serde::Deserialize)]
    struct Last {
        home: u32,
        data: Vec<u8>,
    }
    impl Drop for Last {
        fn drop(&mut self) {
            // The result has been written when it is dropped in the worker.
            if std::process::id() != self.home {
                kill(std::process::id(), libc::SIGKILL);
            }
        }
    }
    fn last(home: u32, size: usize) -> Last {
        Last { home, data: vec![5; size] }
    }
    fn measure(data: Vec<u8>) -> usize {
        data.len()
    }
    alone(|| {
        pool(1, || {
            // Small tasks first, so that the next one is sent ahead, and is unread when the worker dies.
            for proxy in xfork::map_process(double, 0..200_u64) {
                ended(proxy).unwrap();
            }
            for size in [0, 1000, 1 << 20, 8 << 20] {
                for _ in 0..10 {
                    let result = process(last, (std::process::id(), size));
                    let unread = process(measure, vec![0; 4 << 20]);
                    let last = ResultProxy::wait(&result).expect("it was written").data.len();
                    assert_eq!(last, size);
                    assert_eq!(ended(unread).unwrap(), 4 << 20);
                }
            }
        });
    });
}

/// Row 45: all workers killed at once, n = 1, 2, 5, 13, in a loop: each task ends once.
#[test]
fn when_all_workers_die_at_once_each_task_ends_once() {
    fn compute(n: u64, trace: String) -> u64 {
        leave_a_trace(trace);
        (0..20_000 + n).fold(n, |sum, term| sum.wrapping_mul(31).wrapping_add(term))
    }
    alone(|| {
        let dir = Dir::new();
        for workers in [1, 2, 5, 13] {
            pool(workers, || {
                for round in 0..8 {
                    let trace = |n: u64| dir.path(&format!("{workers}-{round}-{n}"));
                    let tasks: Vec<_> =
                        (0..4 * workers as u64).map(|n| (n, process(compute, (n, trace(n))))).collect();
                    if round % 2 == 0 {
                        within(GONE, || traces(&trace(0)) > 0);
                    }
                    for child in children() {
                        kill(child, libc::SIGKILL);
                    }
                    for (n, task) in tasks {
                        match ended(task) {
                            Ok(_) => {}
                            Err(error) => assert!(error.is_crash(), "{workers} workers: {error}"),
                        }
                        assert!(traces(&trace(n)) <= 1, "it ran twice");
                    }
                }
            });
        }
    });
}

/// Row 46: worker dies at boot every time (bad loader, rlimit, seccomp): after k tries in t s -> PoolBroken with last cause;
/// no fork bomb; later recovery possible as documented.
#[test]
fn workers_that_die_at_boot_again_and_again_break_the_pool_until_they_do_not() {
    alone(|| {
        let dir = Dir::new();
        let deaths = dir.path("deaths");
        with_plan(Plan::processes(2), || {
            for _ in 0..2 {
                let before = traces(&deaths);
                // SAFETY: no other thread of this process touches the environment now.
                unsafe { std::env::set_var(crate::programs::DIE_AT_BOOT, &deaths) };
                let tasks = xfork::map_process(double, 0..10_u64);
                for task in tasks {
                    let error = ended(task).unwrap_err();
                    assert!(error.is_spawn(), "{error}");
                    assert!(error.to_string().contains("exit code 77"), "{error}");
                }
                let tries = traces(&deaths) - before;
                assert!((2..=12).contains(&tries), "{tries} workers were started");
                // SAFETY: as above.
                unsafe { std::env::remove_var(crate::programs::DIE_AT_BOOT) };
                // Those that were starting when the pool gave up still die.
                assert!(within(GONE, || children().is_empty()), "{:?}", children());
                the_next_task_succeeds();
                for child in children() {
                    kill(child, libc::SIGKILL);
                    assert!(ends_within(child, GONE));
                }
                assert!(within(GONE, || children().is_empty()));
            }
        });
    });
}

fn abort() -> u64 {
    std::process::abort()
}

/// Row 47: one task that always kills its worker: crash limit, others progress.
#[test]
fn tasks_that_always_kill_their_worker_let_others_progress() {
    alone(|| {
        for workers in [1, 2] {
            pool(workers, || {
                for round in 0..3 {
                    let tasks: Vec<_> = (0..20)
                        .map(|n| (process(abort, ()), process(double, n), process(double, n + 1)))
                        .collect();
                    for (n, (killer, one, other)) in (0..).zip(tasks) {
                        assert!(ended(killer).unwrap_err().is_crash());
                        let good = [one, other].map(ended);
                        let good = good.map(|outcome| {
                            outcome
                                .unwrap_or_else(|error| panic!("{workers} workers, round {round}: {error}"))
                        });
                        assert_eq!(good, [2 * n, 2 * n + 2]);
                    }
                }
            });
        }
    });
}

/// Row 47, contract C2: as above, when short tasks are sent ahead and so lie behind the killers in their workers.
#[test]
fn tasks_sent_ahead_behind_killers_are_innocent() {
    alone(|| {
        pool(1, || {
            // Many short tasks teach the pool to send many ahead.
            for proxy in xfork::map_process(double, 0..5000_u64) {
                ended(proxy).unwrap();
            }
            let killers: Vec<_> = (0..8).map(|_| process(abort, ())).collect();
            let innocents: Vec<_> = (0..50).map(|n| process(double, n)).collect();
            for killer in killers {
                assert!(ended(killer).unwrap_err().is_crash());
            }
            for (n, innocent) in (0..).zip(innocents) {
                assert_eq!(ended(innocent).unwrap_or_else(|error| panic!("task {n}: {error}")), 2 * n);
            }
        });
    });
}

fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable and outlives the call.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) }, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Row 48: spawn fails once (EAGAIN, EMFILE, ENOMEM, pids.max): retried/degraded to live workers; with none -> Spawn error,
/// not hang.
#[test]
fn where_no_worker_can_be_started_those_alive_do_the_work_and_nobody_spins() {
    alone(|| {
        let dir = Dir::new();
        let pipe = dir.pipe("running");
        pool(2, || {
            let busy = process(hang, &pipe);
            let worker = hear_pid(&pipe);
            let before = limit_descriptors(5);
            let queued = xfork::map_process(double, 0..3_u64);
            let used = processor_time();
            assert!(
                ResultProxy::wait_timeout(&queued[0], Duration::from_millis(500)).unwrap_err().is_timeout()
            );
            let used = processor_time() - used;
            // Its death leaves nobody, and nobody can be started.
            kill(worker, libc::SIGKILL);
            assert!(ended(busy).unwrap_err().is_crash());
            for task in queued {
                let error = ended(task).unwrap_err();
                assert!(error.is_spawn() && error.to_string().contains("open files"), "{error}");
            }
            limit_descriptors(before);
            assert!(used < Duration::from_millis(100), "{used:?} of processor time in 500 ms of waiting");
        });
    });
}

/// Row 53: first use from 64 threads simultaneously: one pool, no leak.
#[test]
fn a_first_use_by_64_threads_makes_one_pool() {
    alone_with(Duration::from_secs(60), Afterwards::ItsPool, || {
        // SAFETY: no other thread of this process touches the environment now.
        unsafe { std::env::set_var("XFORK_WORKERS", "2") };
        let barrier = Barrier::new(64);
        std::thread::scope(|scope| {
            for n in 0..64 {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    assert_eq!(ended(process(double, n)).unwrap(), 2 * n);
                });
            }
        });
        assert!(children().len() <= 2, "{:?}", children());
        let drivers = threads().iter().filter(|name| name.starts_with("xfork-driver")).count();
        assert_eq!(drivers, 1, "{:?}", threads());
    });
}

/// Row 54: shutdown idle/busy/twice/concurrently/from a task/from a callback/from Drop during unwinding: returns in grace+1
/// s; queued tasks get Shutdown error. (A pool ends with its last task; here nothing is cut off, so nothing gets an error.)
#[test]
fn pools_end_wherever_and_whenever_their_last_user_does() {
    fn wait_for(pipe: String) -> String {
        hear(&pipe)
    }
    let ends = || assert!(within(GONE * 2, || children().is_empty()), "{:?}", children());
    alone(|| {
        // Forks outside the pools below: their default would be one more pool, which lives as long as the program.
        xfork::plan(Plan::threads());
        let dir = Dir::new();
        // Unused, idle, twice.
        with_plan(Plan::processes(2), || {});
        for _ in 0..2 {
            pool(2, || {});
            ends();
        }
        // Busy, with a queue: all is finished.
        let pipes = [0, 1, 2].map(|n| dir.pipe(&format!("pipe-{n}")));
        let tasks = with_plan(Plan::processes(1), || pipes.each_ref().map(|pipe| process(wait_for, pipe)));
        for (task, pipe) in tasks.into_iter().zip(&pipes) {
            tell(pipe, "go");
            assert_eq!(ended(task).unwrap(), "go");
        }
        ends();
        // Concurrently.
        std::thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(|| pool(1, || {})))));
        ends();
        // In a task, in a callback, and while unwinding.
        assert!(ended(thread(|| pool(1, || {}), ())).is_ok());
        ends();
        let (sender, receiver) = std::sync::mpsc::channel();
        ResultProxy::on_ready(&xfork::ready(1), move |_| {
            pool(1, || {});
            sender.send(()).unwrap();
        });
        receiver.recv().unwrap();
        ends();
        struct AtTheEnd;
        impl Drop for AtTheEnd {
            fn drop(&mut self) {
                assert!(std::thread::panicking());
                pool(1, || {});
            }
        }
        let unwound = std::thread::spawn(|| {
            let _at_the_end = AtTheEnd;
            pool(1, || panic!("unwinds through a pool"))
        });
        unwound.join().unwrap_err();
        ends();
    });
}

/// Row 54, the end of the program: `exit` is called in a task that runs on a thread, or is run by who waits for it.
#[test]
fn an_exit_in_a_task_ends_the_program() {
    for name in ["exits_in_a_pool_thread", "exits_in_a_task_in_place"] {
        let ended = run(name, quiet(program(name)));
        assert_eq!(ended.code(), Some(5), "{name}: {ended:?}");
    }
}

/// Row 54, the end of the program: `exit` is called while the arguments of a task are serialised.
#[test]
fn an_exit_while_arguments_are_serialised_ends_the_program() {
    let ended = run("exits_while_serialising", quiet(program("exits_while_serialising")));
    assert_eq!(ended.code(), Some(5), "{ended:?}");
}

/// Row 54, the end of the program: `exit` is called in two threads at once.
#[test]
fn an_exit_in_two_threads_ends_the_program() {
    let ended = run("exits_in_two_threads", quiet(program("exits_in_two_threads")));
    assert_eq!(ended.code(), Some(5), "{ended:?}");
}

/// Row 55: fork() after shutdown: Shutdown error or documented restart.
#[test]
fn a_fork_after_the_end_of_a_pool_goes_to_a_new_one() {
    alone(|| {
        let make = || Plan::processes(1);
        xfork::plan(make());
        let first = ended(process(own_process, ())).unwrap();
        xfork::plan(make());
        assert!(ends_within(first, GONE));
        let second = ended(process(own_process, ())).unwrap();
        assert_ne!(first, second);
        xfork::plan(Plan::threads());
        assert!(ends_within(second, GONE));
        the_next_task_succeeds();
    });
    // After the program has waited for its tasks, in an exit function that runs later.
    let ended = run("forks_in_an_exit_function", quiet(program("forks_in_an_exit_function")));
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(ended.stderr.contains("after the end: Ok(42)"), "{ended:?}");
}

/// Row 59, in small: descriptors and children after many replacements are what they were.
#[test]
fn replacing_workers_leaves_nothing() {
    alone_for(Duration::from_secs(60), || {
        pool(2, || {
            the_next_task_succeeds();
            for _ in 0..100 {
                assert!(ended(process(abort, ())).unwrap_err().is_crash());
            }
            assert!(children().len() <= 2);
        });
    });
}
