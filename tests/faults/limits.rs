//! What ends tasks and workers on purpose: limits, cancellation, retirement. The numbers are those of the rows.

use crate::fixture::*;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use xfork::{Limits, Plan, ResultProxy, Scope, process, task, thread, wait, wait_timeout};

const SHORT: Duration = Duration::from_millis(50);
/// Longer than anything here takes, on any machine.
const LONG: Duration = Duration::from_secs(20);

fn forever() -> u64 {
    loop {
        std::thread::park();
    }
}

fn spin() -> u64 {
    loop {
        std::hint::spin_loop();
    }
}

/// Deaf to requests; says who it is.
fn ignore_requests(pipe: String) -> u64 {
    // SAFETY: SIG_IGN runs no code.
    unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
    hang(pipe)
}

/// Row 14: an infinite loop: "timeout (if given) -> Timeout and worker replaced".
#[test]
fn a_task_that_runs_too_long_is_ended_and_its_worker_replaced() {
    alone(|| {
        pool(1, || {
            let before = *process(std::process::id, ());
            let limits = Limits::new().timeout(SHORT);
            for endless in [task(forever, ()).limits(limits).fork(), task(spin, ()).limits(limits).fork()] {
                let error = ended(endless).unwrap_err();
                assert!(error.is_timeout() && !error.is_crash(), "{error}");
                let text = "ran longer than its timeout of 50ms; its worker was ended";
                assert!(error.to_string().contains(text), "{error}");
                assert_eq!(error.forked_at().len(), 1);
            }
            assert_ne!(*process(std::process::id, ()), before);
            assert!(within(GONE, || ends_within(before, Duration::ZERO)));
        });
    });
}

/// The time of a task is that for which it runs, not that for which it waits for a worker.
#[test]
fn a_task_that_waits_for_a_worker_uses_up_no_time() {
    alone(|| {
        let dir = Dir::new();
        let (started, gate) = (dir.pipe("started"), dir.pipe("gate"));
        pool(1, || {
            let first = process(wait_for_gate, (started.clone(), gate.clone()));
            hear(&started);
            let second = task(double, 21).limits(Limits::new().timeout(SHORT)).fork();
            assert!(wait_timeout(&second, SHORT * 3).unwrap_err().is_timeout());
            tell(&gate, "go on");
            assert_eq!((ended(first).unwrap(), ended(second).unwrap()), (1, 42));
        });
    });
}

fn wait_for_gate(started: String, gate: String) -> u64 {
    tell(&started, "started");
    hear(&gate);
    1
}

/// Processor time is counted, not the time on the wall.
#[test]
fn a_task_that_uses_too_much_processor_time_is_ended_and_one_that_sleeps_is_not() {
    alone(|| {
        pool(2, || {
            let limits = Limits::new().cpu_time(SHORT);
            let error = ended(task(spin, ()).limits(limits).fork()).unwrap_err();
            assert!(error.is_timeout() && error.to_string().contains("processor time"), "{error}");
            let sleeper = task(forever, ()).limits(limits).fork();
            assert!(wait_timeout(&sleeper, SHORT * 4).unwrap_err().message().contains("it goes on"));
            assert!(ResultProxy::cancel(&sleeper));
        });
    });
}

/// Row 12: "allocation failure (RLIMIT_AS; 1<<60): WorkerDied SIGABRT or panic; parent fine".
#[test]
fn a_task_gets_no_more_memory_than_it_may_have_and_the_next_one_does() {
    fn allocate(bytes: usize) -> u64 {
        std::hint::black_box(vec![1_u8; bytes]).len() as u64
    }
    alone(|| {
        pool(1, || {
            let limits = Limits::new().memory(64 << 20);
            assert_eq!(ended(task(allocate, 16 << 20).limits(limits).fork()).unwrap(), 16 << 20);
            let error = ended(task(allocate, 512 << 20).limits(limits).fork()).unwrap_err();
            assert!(error.is_out_of_memory(), "{error}");
            assert!(error.to_string().contains("64 MiB"), "{error}");
            assert_eq!(ended(process(allocate, 512 << 20)).unwrap(), 512 << 20);
        });
    });
}

/// Fails until it has been tried `times` times.
fn flaky(trace: String, times: usize, way: u32) -> u64 {
    leave_a_trace(trace.clone());
    let tried = traces(&trace);
    if tried < times {
        match way {
            0 => panic!("not yet"),
            1 => std::process::abort(),
            _ => forever(),
        };
    }
    tried as u64
}

/// Row 43: a task that has started is not run again, unless the user has said that it may be.
#[test]
fn a_task_that_may_be_is_tried_again_after_a_panic_a_crash_or_a_limit() {
    alone(|| {
        let dir = Dir::new();
        pool(1, || {
            for way in 0..3 {
                let limits = Limits::new().retries(2).backoff(Duration::from_millis(1)).timeout(SHORT * 4);
                let trace = dir.path(&format!("enough{way}"));
                assert_eq!(ended(task(flaky, (trace, 3, way)).limits(limits).fork()).unwrap(), 3);
                let trace = dir.path(&format!("too few{way}"));
                let error = ended(task(flaky, (trace.clone(), 4, way)).limits(limits).fork()).unwrap_err();
                assert_eq!((error.tries(), traces(&trace)), (3, 3), "{error}");
                let trace = dir.path(&format!("unasked{way}"));
                let limits = Limits::new().timeout(SHORT);
                let error = ended(task(flaky, (trace.clone(), 2, way)).limits(limits).fork()).unwrap_err();
                assert_eq!((error.tries(), traces(&trace)), (1, 1), "{error}");
            }
        });
    });
}

/// A limited task inside a task has a process to itself, even if there is one worker: ending it ends nothing else.
#[test]
fn a_limited_task_inside_a_task_is_ended_alone() {
    fn outer(depth: u32) -> u64 {
        if depth > 0 {
            return *process(outer, depth - 1) + 1;
        }
        let endless = task(forever, ()).limits(Limits::new().timeout(SHORT)).fork();
        let error = wait(&endless).unwrap_err();
        assert!(error.is_timeout(), "{error}");
        let crashed = task(abort, ()).limits(Limits::new().timeout(LONG)).fork();
        assert!(wait(&crashed).unwrap_err().is_crash());
        *task(double, 21).limits(Limits::new().timeout(LONG)).fork()
    }
    fn abort() {
        std::process::abort()
    }
    alone(|| {
        for workers in [1, 2] {
            pool(workers, || {
                assert_eq!(ended(process(outer, 0)).unwrap(), 42);
                assert_eq!(ended(process(outer, 3)).unwrap(), 45);
                // What was started beyond the plan leaves again.
                assert!(within(LONG, || children().len() <= workers), "{:?}", children());
            });
        }
    });
}

/// Row 22: "installs SIGTERM ignore: shutdown escalates to SIGKILL within the grace".
#[test]
fn a_task_that_ignores_the_request_to_end_is_killed_after_the_grace() {
    alone(|| {
        let dir = Dir::new();
        let pipe = dir.pipe("started");
        let plan = Plan::processes(1).grace(SHORT);
        pool_of(plan, || {
            let deaf = process(ignore_requests, pipe.clone());
            let pid = hear_pid(&pipe);
            assert!(ResultProxy::cancel(&deaf));
            assert!(ended(deaf).unwrap_err().is_cancelled());
            assert!(ends_within(pid, LONG));
        });
    });
}

/// Row 110: "cancel before start / while running / after done: exactly one outcome".
#[test]
fn a_cancelled_task_has_one_outcome_whenever_it_is_cancelled() {
    alone(|| {
        let dir = Dir::new();
        let pipe = dir.pipe("started");
        pool(1, || {
            let running = process(hang, pipe.clone());
            let pid = hear_pid(&pipe);
            let trace = dir.path("trace");
            let waiting = process(leave_a_trace, trace.clone());
            let dependent = process(double, &running);
            assert!(ResultProxy::cancel(&waiting) && ended(waiting).unwrap_err().is_cancelled());
            assert!(ResultProxy::cancel(&running) && !ResultProxy::cancel(&running));
            assert!(ended(running).unwrap_err().is_cancelled());
            let error = ended(dependent).unwrap_err();
            assert!(error.is_dependency() && error.is_cancelled(), "{error}");
            assert!(ends_within(pid, LONG));
            let done = process(double, 4);
            assert_eq!(*done, 8);
            assert!(!ResultProxy::cancel(&done) && *done == 8);
            assert_eq!(traces(&trace), 0);
        });
    });
}

/// Row 110: "racing completion 10^5 times: exactly one outcome"; here 3 000 times in each place.
#[test]
fn cancellation_that_races_completion_gives_one_outcome() {
    alone(|| {
        fn race(fork: impl Fn(u64) -> ResultProxy<u64>) {
            let called = Arc::new(AtomicUsize::new(0));
            let mut cancelled = 0;
            for round in 0..3000_u64 {
                let proxy = fork(round);
                let counted = called.clone();
                ResultProxy::on_ready(&proxy, move |_| _ = counted.fetch_add(1, Ordering::SeqCst));
                if round % 3 == 0 {
                    std::thread::yield_now();
                }
                let decided = ResultProxy::cancel(&proxy);
                cancelled += usize::from(decided);
                match wait(&proxy) {
                    Ok(value) => assert!(*value == round * 2 && !decided),
                    Err(error) => assert!(error.is_cancelled() && decided, "{error}"),
                }
            }
            assert!(within(LONG, || called.load(Ordering::SeqCst) == 3000));
            assert!(cancelled > 0);
        }
        pool(2, || {
            race(|n| process(double, n));
            race(|n| thread(double, n));
        });
    });
}

/// On a thread a limit frees whoever waits, and says that the thread goes on.
#[test]
fn a_thread_goes_on_and_nobody_waits_for_it() {
    alone(|| {
        let dir = Dir::new();
        let gates = [dir.pipe("one"), dir.pipe("other")];
        xfork::with_plan(Plan::threads(), || {
            let slow = |gate: &String| task(xfork::io_bound(|gate: String| hear(&gate)), gate);
            let late = slow(&gates[0]).limits(Limits::new().timeout(SHORT)).fork();
            let error = ended(late).unwrap_err();
            assert!(error.is_timeout() && error.to_string().contains("its thread goes on"), "{error}");
            let started = dir.pipe("started");
            let given_up = thread(wait_for_gate, (started.clone(), gates[1].clone()));
            hear(&started);
            assert!(ResultProxy::cancel(&given_up));
            assert!(ended(given_up).unwrap_err().is_cancelled());
            gates.iter().for_each(|gate| tell(gate, "go on"));
        });
    });
}

/// "Cancellation of a whole expression": every task that it needs.
#[test]
fn an_expression_is_cancelled_with_all_its_tasks() {
    alone(|| {
        let dir = Dir::new();
        let pipes = [dir.pipe("one"), dir.pipe("other")];
        pool(2, || {
            let tasks = pipes.clone().map(|pipe| process(hang, pipe));
            let pids = pipes.each_ref().map(|pipe| hear_pid(pipe));
            let sum = (&tasks[0] + 1) * &tasks[1] + process(double, 1);
            assert!(ResultProxy::cancel(&sum));
            assert!(ended(sum).unwrap_err().is_cancelled());
            assert!(tasks.iter().all(|task| wait(task).unwrap_err().is_cancelled()));
            assert!(pids.iter().all(|&pid| ends_within(pid, LONG)));
        });
    });
}

/// "Cancel on drop of a whole scope if asked", with the forks of forks.
#[test]
fn a_scope_is_cancelled_as_a_whole_and_takes_forks_of_forks_along() {
    fn fork_and_wait(pipe: String) -> u64 {
        *process(hang, pipe)
    }
    alone(|| {
        let dir = Dir::new();
        let pipe = dir.pipe("started");
        pool(2, || {
            let outside = process(double, 1);
            let scope = Scope::new().cancel_on_drop();
            let (nested, waiting) =
                scope.enter(|| (process(fork_and_wait, pipe.clone()), xfork::map_process(double, 0..10_u64)));
            let pid = hear_pid(&pipe);
            drop(scope);
            assert!(ended(nested).unwrap_err().is_cancelled());
            assert!(ends_within(pid, LONG));
            for (proxy, n) in waiting.into_iter().zip(0..) {
                assert!(ended(proxy).map_or_else(|error| error.is_cancelled(), |value| value == n * 2));
            }
            assert_eq!(ended(outside).unwrap(), 2);
        });
    });
}

/// Of the tasks that wait, the most urgent is next.
#[test]
fn urgent_tasks_overtake_others() {
    fn note(path: String, name: String) {
        use std::io::Write;
        std::fs::File::options()
            .append(true)
            .create(true)
            .open(path)
            .unwrap()
            .write_all(name.as_bytes())
            .unwrap();
    }
    alone(|| {
        let dir = Dir::new();
        let (started, gate, order) = (dir.pipe("started"), dir.pipe("gate"), dir.path("order"));
        for (plan, name) in [(Plan::processes(1), "processes"), (Plan::threads().io_threads(1), "threads")] {
            let order = format!("{order}{name}");
            xfork::with_plan(plan, || {
                let first = match name {
                    "processes" => process(wait_for_gate, (started.clone(), gate.clone())),
                    _ => thread(wait_for_gate, (started.clone(), gate.clone())),
                };
                hear(&started);
                let mut rest = Vec::new();
                for (name, priority) in [("c", 0), ("d", -1), ("a", 7), ("b", 7), ("e", -2)] {
                    let limits = Limits::new().priority(priority);
                    let args = (order.clone(), name.to_string());
                    rest.push(match &*order {
                        path if path.ends_with("processes") => task(note, args).limits(limits).fork(),
                        _ => task(xfork::io_bound(note), args).limits(limits).fork(),
                    });
                }
                tell(&gate, "go on");
                assert_eq!(ended(first).unwrap(), 1);
                // Not by waiting: who waits for a task that nobody has started runs it.
                assert!(within(LONG, || rest.iter().all(ResultProxy::is_ready)));
            });
            assert_eq!(std::fs::read_to_string(order).unwrap(), "abcde", "{name}");
        }
    });
}

/// Rows 21 and 52: "recycling by max tasks/RSS replaces the worker without a failed task", "with backlog".
#[test]
fn workers_are_replaced_after_so_many_tasks_or_bytes() {
    fn leak(bytes: usize) -> u32 {
        std::mem::forget(std::hint::black_box(vec![1_u8; bytes]));
        std::process::id()
    }
    alone(|| {
        pool_of(Plan::processes(2).max_tasks(3), || {
            let tasks = xfork::map_process(|_: u32| std::process::id(), 0..60);
            let pids: Vec<u32> = tasks.into_iter().map(|task| ended(task).unwrap()).collect();
            for pid in &pids {
                assert!(pids.iter().filter(|other| *other == pid).count() <= 3);
            }
        });
        pool_of(Plan::processes(1).max_rss(200 << 20), || {
            let pids: Vec<u32> = (0..8).map(|_| ended(process(leak, 60 << 20)).unwrap()).collect();
            let distinct = pids.iter().collect::<HashSet<_>>().len();
            assert!((2..=4).contains(&distinct), "{pids:?}");
        });
    });
}

/// Row 51: "idle time-out racing a submit 10^4 times: none lost"; here 1 000 times.
#[test]
fn idle_workers_leave_and_no_task_is_lost() {
    alone(|| {
        pool_of(Plan::processes(2).idle_timeout(Duration::from_millis(1)), || {
            let mut random = Random::new();
            for n in 0..1000 {
                assert_eq!(ended(process(double, n)).unwrap(), n * 2);
                let begin = Instant::now();
                let pause = Duration::from_micros(random.below(2000));
                while begin.elapsed() < pause {
                    std::thread::yield_now();
                }
            }
            assert!(within(LONG, || children().is_empty()), "{:?}", children());
        });
    });
}

/// Row 46 for what is run before the first task: "after k tries -> PoolBroken with last cause; no fork bomb".
#[test]
fn a_worker_is_prepared_before_its_first_task_and_a_failure_of_that_is_told() {
    static PREPARED: AtomicUsize = AtomicUsize::new(0);
    fn prepare() {
        PREPARED.fetch_add(1, Ordering::SeqCst);
    }
    fn prepared() -> usize {
        PREPARED.load(Ordering::SeqCst)
    }
    alone(|| {
        pool_of(Plan::processes(2).on_worker_start(prepare), || {
            assert!(xfork::map_process(|_: u8| prepared(), 0..20).iter().all(|times| *times == 1));
        });
        xfork::with_plan(Plan::processes(2).on_worker_start(|| panic!("the table is missing")), || {
            for _ in 0..2 {
                let error = ended(process(double, 1)).unwrap_err();
                assert!(error.is_spawn() && error.to_string().contains("the table is missing"), "{error}");
            }
        });
    });
}

/// Row 63: "Ctrl-C to the foreground group: parent decides; no spurious WorkerDied flood or backtraces; exit code 130."
#[test]
fn ctrl_c_cancels_what_has_not_started_and_lets_what_runs_finish() {
    for plan in ["processes", "threads"] {
        let dir = Dir::new();
        let (started, gate) = (dir.pipe("started"), dir.pipe("gate"));
        let mut command = quiet(program("is_interrupted"));
        command.env("STARTED", &started).env("INNER", dir.pipe("inner")).env("GATE", &gate);
        command.env("PLAN", plan).env("RAYON_NUM_THREADS", "1");
        let program = Started::new("is_interrupted", command);
        hear(&started);
        program.signal_group(libc::SIGINT);
        assert!(within(LONG, || program.stderr().contains("may finish")), "{}", program.stderr());
        tell(&gate, "go on");
        let ended = program.wait(LONG);
        assert_eq!(ended.code(), Some(130), "{ended:?}");
        assert!(ended.stdout.contains("first 1\n"), "{ended:?}");
        assert!(!ended.stdout.contains("second"), "{ended:?}");
        let text = "\nxfork: interrupted: 40 tasks that had not started are cancelled, 1 task may finish; \
                    Ctrl-C again ends the program at once\n";
        assert_eq!(ended.stderr, text);
    }
}

/// Row 63: Ctrl-C does not wait for the next try of a task.
#[test]
fn ctrl_c_ends_the_pause_before_another_try() {
    for plan in ["processes", "threads"] {
        let dir = Dir::new();
        let started = dir.pipe("started");
        let mut command = quiet(program("is_interrupted_in_a_pause"));
        command.env("STARTED", &started).env("PLAN", plan);
        let program = Started::new("is_interrupted_in_a_pause", command);
        hear(&started);
        program.signal_group(libc::SIGINT);
        let ended = program.wait(LONG);
        assert_eq!(ended.code(), Some(130), "{ended:?}");
        assert!(ended.stdout.contains("failed: "), "{ended:?}");
        assert!(ended.stderr.contains("xfork: interrupted: "), "{ended:?}");
    }
}

/// Row 63, while a worker starts: it does not die before the program has decided. Where Ctrl-C is ignored, nothing happens.
#[test]
fn ctrl_c_kills_no_worker_that_is_starting() {
    for is_ignored in [false, true] {
        let dir = Dir::new();
        let (started, gate) = (dir.pipe("started"), dir.pipe("gate"));
        let mut command = quiet(program("boots_a_worker"));
        command.env(crate::programs::WAIT_AT_BOOT, format!("{started}:{gate}"));
        if is_ignored {
            use std::os::unix::process::CommandExt;
            // SAFETY: `signal` is async-signal-safe, and SIG_IGN runs no code.
            unsafe {
                command.pre_exec(|| {
                    libc::signal(libc::SIGINT, libc::SIG_IGN);
                    Ok(())
                })
            };
        }
        let program = Started::new("boots_a_worker", command);
        let worker = hear_pid(&started);
        program.signal_group(libc::SIGINT);
        if is_ignored {
            assert!(!ends_within(worker, SHORT), "it dies of Ctrl-C");
            tell(&gate, "go on");
            let ended = program.wait(LONG);
            assert_eq!((ended.code(), &*ended.stderr), (Some(0), ""), "{ended:?}");
            assert!(ended.stdout.contains("Ok(42)\n"), "{ended:?}");
        } else {
            assert!(within(LONG, || program.stderr().contains("none is running")), "{}", program.stderr());
            // It has not got as far as to see that its parent is dead.
            tell(&gate, "go on");
            let ended = program.wait(LONG);
            assert_eq!(ended.code(), Some(130), "{ended:?}");
            assert!(ended.stdout.contains("Err(true)\n"), "{ended:?}");
            let text = "\nxfork: interrupted: 1 task that had not started is cancelled, none is running; \
                        Ctrl-C again ends the program at once\n";
            assert_eq!(ended.stderr, text);
        }
    }
}

/// Row 63: the second Ctrl-C ends the program whatever it does.
#[test]
fn the_second_ctrl_c_ends_the_program() {
    let dir = Dir::new();
    let pipes = [dir.pipe("one"), dir.pipe("other")];
    let mut command = quiet(program("runs_two_endless_tasks"));
    command.env("PIPES", pipes.join(":"));
    let started = Started::new("interrupt twice", command);
    pipes.iter().for_each(|pipe| _ = hear_pid(pipe));
    started.signal_group(libc::SIGINT);
    assert!(within(LONG, || started.stderr().contains("2 tasks may finish")), "{}", started.stderr());
    started.signal_group(libc::SIGINT);
    let ended = started.wait(LONG);
    assert_eq!(ended.code(), Some(130), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 2, "{ended:?}");
}
