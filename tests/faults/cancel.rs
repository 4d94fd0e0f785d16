//! Ends of tasks that race something else: a hand-over, an encoding, another try, the tasks behind them. The numbers are
//! those of the rows.

use crate::fixture::*;
use serde::{Deserialize, Serialize, Serializer};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;
use xfork::{Limits, Plan, ResultProxy, Scope, process, task, thread, wait, wait_timeout};

/// Longer than anything here takes, on any machine.
const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(50);
const MOMENT: Duration = Duration::from_millis(1);

/// An argument that says when it is being encoded, and is so until it is told to go on.
#[derive(Clone, Deserialize)]
struct Gated {
    is_closed: bool,
    began: String,
    gate: String,
}

static GATES_COUNT: AtomicBool = AtomicBool::new(true);

impl Serialize for Gated {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_closed && GATES_COUNT.load(Ordering::SeqCst) {
            tell(&self.began, "encoding");
            hear(&self.gate);
        }
        (self.is_closed, &self.began, &self.gate).serialize(serializer)
    }
}

/// Waits until a thread that cancels a task waits for the end of the encoding, which needs the arguments.
fn wait_until_asleep(thread: i32) {
    let stat = format!("/proc/self/task/{thread}/stat");
    assert!(within(LONG, || std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") S "))));
}

/// Row 110: a nested task that is cancelled while it is handed over does not run elsewhere, and its worker lives on.
#[test]
fn a_task_that_is_cancelled_while_it_is_handed_over_is_over_everywhere() {
    fn forever(_: Gated) -> u64 {
        loop {
            std::thread::park();
        }
    }
    fn outer(began: String, gate: String) -> bool {
        let handed = process(forever, Gated { is_closed: true, began: began.clone(), gate: gate.clone() });
        hear(&began);
        std::thread::scope(|scope| {
            let (sender, receiver) = channel();
            let canceller = scope.spawn({
                let handed = handed.clone();
                move || {
                    // SAFETY: takes nothing.
                    sender.send(unsafe { libc::gettid() }).unwrap();
                    ResultProxy::cancel(&handed)
                }
            });
            wait_until_asleep(receiver.recv().unwrap());
            tell(&gate, "go on");
            canceller.join().unwrap()
        }) && wait(&handed).unwrap_err().is_cancelled()
    }
    alone(|| {
        let dir = Dir::new();
        let (began, gate) = (dir.pipe("began"), dir.pipe("gate"));
        pool(2, || {
            xfork::map_process(double, 0..2_u64).iter().for_each(|done| _ = **done);
            let outer = process(outer, (began, gate));
            assert!(*wait_timeout(&outer, LONG).expect("the parent of a cancelled task ends"));
        });
    });
}

/// Row 110: a task that is cancelled between the decision to send it and its encoding leaves its worker free.
#[test]
fn a_task_that_is_cancelled_before_it_is_encoded_holds_no_place_in_a_worker() {
    fn die(gate: String) {
        hear(&gate);
        std::process::exit(9)
    }
    fn quick(_: Gated) -> u64 {
        1
    }
    alone(|| {
        let dir = Dir::new();
        let (began, gate, death) = (dir.pipe("began"), dir.pipe("gate"), dir.pipe("death"));
        pool(1, || {
            GATES_COUNT.store(false, Ordering::SeqCst);
            // Short tasks, so that several are sent at once.
            xfork::map_process(double, 0..200_u64).iter().for_each(|done| _ = **done);
            let dying = process(die, death.clone());
            let closed = Gated { is_closed: true, began: began.clone(), gate: gate.clone() };
            let open = Gated { is_closed: false, ..closed.clone() };
            let tasks = [closed, open.clone(), open].map(|argument| process(quick, argument));
            GATES_COUNT.store(true, Ordering::SeqCst);
            // Those behind it go back, and are sent to the next worker: the first is being encoded, the others wait.
            tell(&death, "now");
            hear(&began);
            assert!(ResultProxy::cancel(&tasks[1]));
            tell(&gate, "go on");
            let [first, second, third] = tasks.map(ended);
            assert!(first.is_ok() && third.is_ok() && second.unwrap_err().is_cancelled());
            assert!(ended(dying).unwrap_err().is_crash());
            for n in 0..100 {
                let next = process(double, n);
                assert_eq!(*wait_timeout(&next, LONG).expect("the worker is free"), n * 2);
            }
        });
    });
}

/// Row 110, "cancel before start": what is cancelled while its arguments are being encoded never starts.
#[test]
fn a_task_that_is_cancelled_while_it_is_encoded_never_starts() {
    fn leaves_a_trace(trace: String, _: Gated) {
        leave_a_trace(trace);
    }
    alone(|| {
        let dir = Dir::new();
        let (began, gate, trace) = (dir.pipe("began"), dir.pipe("gate"), dir.path("trace"));
        pool(1, || {
            // A worker is free, so that it is encoded where it is forked.
            assert_eq!(*process(double, 1), 2);
            let closed = Gated { is_closed: true, began: began.clone(), gate: gate.clone() };
            let scope = Scope::new();
            std::thread::scope(|threads| {
                let canceller = threads.spawn(|| {
                    hear(&began);
                    let (sender, receiver) = channel();
                    let cancelled = threads.spawn({
                        let scope = &scope;
                        move || {
                            // SAFETY: takes nothing.
                            sender.send(unsafe { libc::gettid() }).unwrap();
                            scope.cancel()
                        }
                    });
                    wait_until_asleep(receiver.recv().unwrap());
                    tell(&gate, "go on");
                    assert_eq!(cancelled.join().unwrap(), 1);
                });
                let task = scope.enter(|| process(leaves_a_trace, (trace.clone(), closed)));
                canceller.join().unwrap();
                assert!(ended(task).unwrap_err().is_cancelled());
            });
            the_next_task_succeeds();
            assert_eq!(traces(&trace), 0);
        });
    });
}

/// Row 110: "racing completion": here, a failure after which the task is tried again.
#[test]
fn a_task_that_is_cancelled_between_two_tries_ends() {
    fn fail() -> u64 {
        std::panic::set_hook(Box::new(|_| {}));
        panic!("again")
    }
    alone(|| {
        pool(2, || {
            let mut random = Random::new();
            let always = Limits::new().retries(u32::MAX).backoff(Duration::from_nanos(1));
            for _ in 0..100 {
                let tasks: Vec<_> = (0..8).map(|_| task(fail, ()).limits(always).fork()).collect();
                let end = std::time::Instant::now() + Duration::from_micros(random.below(5000));
                while std::time::Instant::now() < end {
                    std::thread::yield_now();
                }
                for task in tasks {
                    ResultProxy::cancel(&task);
                    let error = wait_timeout(&task, LONG).map(|_| ()).unwrap_err();
                    assert!(error.is_cancelled() || error.is_panic(), "{error}");
                }
            }
        });
    });
}

/// Contract C2: ending a worker ends what nobody wants, and not what the worker has begun since.
#[test]
fn a_cancelled_task_takes_none_along_that_was_sent_behind_it() {
    alone(|| {
        pool(1, || {
            xfork::map_process(double, 0..200_u64).iter().for_each(|done| _ = **done);
            let mut random = Random::new();
            for _ in 0..300 {
                let tasks = xfork::map_process(double, 0..40_u64);
                let end = std::time::Instant::now() + Duration::from_micros(random.below(300));
                while std::time::Instant::now() < end {
                    std::thread::yield_now();
                }
                let victims: Vec<bool> = tasks.iter().step_by(7).map(ResultProxy::cancel).collect();
                for (n, task) in tasks.into_iter().enumerate() {
                    match ended(task) {
                        Ok(value) => assert_eq!(value, n as u64 * 2),
                        Err(error) => {
                            assert!(n % 7 == 0 && victims[n / 7] && error.is_cancelled(), "{n}: {error}")
                        }
                    }
                }
            }
        });
    });
}

/// A nested task that is tried again needs another worker then, even if its parent blocked while it was in no worker.
#[test]
fn a_nested_task_is_tried_again_though_its_parent_has_blocked_in_between() {
    fn fails_once(trace: String) -> u64 {
        leave_a_trace(trace.clone());
        assert!(traces(&trace) > 1, "not yet");
        7
    }
    fn see(trace: String) -> bool {
        within(LONG, || traces(&trace) > 0)
    }
    fn outer(trace: String) -> u64 {
        let limits = Limits::new().retries(1).backoff(Duration::from_secs(1));
        let flaky = task(fails_once, trace.clone()).limits(limits).fork();
        // This one has the worker that `flaky` fails in, and its end unblocks this task while `flaky` pauses.
        assert!(*task(see, trace).limits(Limits::new().timeout(LONG)).fork());
        *flaky
    }
    alone(|| {
        let dir = Dir::new();
        for workers in [1, 2] {
            pool(workers, || {
                let outer = process(outer, dir.path(&format!("trace{workers}")));
                assert_eq!(*wait_timeout(&outer, LONG).expect("the second try is made"), 7);
            });
        }
    });
}

fn fail() -> u64 {
    panic!("no")
}

/// Row 110: a task that waits for its next try is cancelled at once, and its pool, which `alone` looks for, ends with it.
#[test]
fn a_task_that_is_cancelled_in_a_pause_lets_go_of_its_pool() {
    alone(|| {
        let patient = Limits::new().retries(1).backoff(LONG * 100);
        xfork::with_plan(Plan::processes(1), || {
            let one = task(fail, ()).limits(patient).fork();
            assert!(wait_timeout(&one, SHORT * 6).unwrap_err().message().contains("it goes on"));
            assert!(ResultProxy::cancel(&one) && ended(one).unwrap_err().is_cancelled());
            let scope = Scope::new().cancel_on_drop();
            let other = scope.enter(|| task(fail, ()).limits(patient).fork());
            assert!(wait_timeout(&other, SHORT * 6).is_err());
            drop(scope);
            assert!(ended(other).unwrap_err().is_cancelled());
        });
    });
}

/// The clock of one task does not wait for what another one's end makes the program do, which may need much stack, too.
#[test]
fn what_the_end_of_a_task_calls_holds_up_no_other_limit() {
    #[inline(never)]
    fn use_stack(bytes: [u8; 1 << 20]) -> u8 {
        std::hint::black_box(&bytes)[7]
    }
    /// In the program, needs stack and time to be dropped.
    #[derive(Serialize, Deserialize)]
    struct Slow {
        program: u32,
        pipes: [String; 3],
    }
    impl Drop for Slow {
        fn drop(&mut self) {
            if self.program == std::process::id() {
                use_stack([0; 1 << 20]);
                tell(&self.pipes[1], "dropped");
                hear(&self.pipes[2]);
            }
        }
    }
    fn hang_with(slow: Slow) -> u64 {
        hang(slow.pipes[0].clone())
    }
    alone(|| {
        let dir = Dir::new();
        let pipes = [dir.pipe("started"), dir.pipe("dropped"), dir.pipe("gate")];
        let never = dir.pipe("never");
        pool(1, || {
            // With tries left to be made, the arguments are kept.
            let limits = Limits::new().timeout(SHORT).retries(0);
            let slow = Slow { program: std::process::id(), pipes: pipes.clone() };
            let first = task(hang_with, slow).limits(limits).fork();
            hear_pid(&pipes[0]);
            hear(&pipes[1]);
            let second = task(xfork::io_bound(|pipe: String| hear(&pipe)), &never).limits(limits).fork();
            let error = wait_timeout(&second, LONG).map(|_| ()).unwrap_err();
            assert!(error.message().contains("longer than its timeout"), "{error}");
            tell(&pipes[2], "go on");
            tell(&never, "go on");
            assert!(ended(first).unwrap_err().is_timeout());
        });
    });
}

/// Row 110: "exactly one outcome", and whoever asked to be told is told once: of tasks that crash, run out of time and are
/// tried again while they are cancelled.
#[test]
fn whoever_waits_for_a_task_is_told_once_whatever_ends_it() {
    fn end_somehow(way: u64) -> u64 {
        match way % 4 {
            0 => std::process::abort(),
            1 => fail(),
            2 => loop {
                std::thread::park();
            },
            _ => way,
        }
    }
    alone(|| {
        pool(2, || {
            let mut random = Random::new();
            let called = std::sync::Arc::new(AtomicUsize::new(0));
            for round in 0..150_usize {
                let limits = Limits::new().timeout(MOMENT * 3).retries((round % 2) as u32).backoff(MOMENT);
                let ways: Vec<u64> = (0..4).map(|_| random.below(4)).collect();
                let tasks: Vec<_> =
                    ways.iter().map(|&way| task(end_somehow, way).limits(limits).fork()).collect();
                for task in &tasks {
                    let called = called.clone();
                    ResultProxy::on_ready(task, move |_| _ = called.fetch_add(1, Ordering::SeqCst));
                }
                let end = std::time::Instant::now() + Duration::from_micros(random.below(6000));
                while std::time::Instant::now() < end {
                    std::thread::yield_now();
                }
                for (task, way) in tasks.iter().zip(ways) {
                    let decided = ResultProxy::cancel(task);
                    match wait_timeout(task, LONG) {
                        Ok(value) => assert!(*value == way && !decided),
                        Err(error) => assert_eq!(error.is_cancelled(), decided, "{error}"),
                    }
                }
                assert!(within(LONG, || called.load(Ordering::SeqCst) == (round + 1) * 4));
            }
            let _ = thread(|| (), ());
        });
    });
}

/// Row 112 for what ends tasks and workers: nested tasks with limits that crash, are tried again and cancelled, in a pool
/// whose workers leave all the time. Each has one outcome, and in the end all workers are free.
#[test]
fn nothing_is_lost_when_everything_that_ends_tasks_happens_at_once() {
    fn leaf(way: u64) -> u64 {
        match way % 7 {
            0 => std::process::abort(),
            1 => fail(),
            2 => loop {
                std::thread::park();
            },
            _ => 1,
        }
    }
    fn outer(way: u64) -> u64 {
        let limits = Limits::new().timeout(MOMENT * 20).retries((way % 3) as u32).backoff(MOMENT);
        let leaves: Vec<_> = (0..3).map(|n| task(leaf, way + n).limits(limits).fork()).collect();
        let free = process(|n: u64| n, 1);
        if way.is_multiple_of(5) {
            ResultProxy::cancel(&leaves[1]);
        }
        leaves.iter().filter_map(|leaf| wait(leaf).ok().copied()).sum::<u64>() + *free
    }
    alone(|| {
        let plan = Plan::processes(3).max_tasks(4).idle_timeout(MOMENT).grace(SHORT);
        pool_of(plan, || {
            let mut random = Random::new();
            let begin = std::time::Instant::now();
            while begin.elapsed() < soak_time(3) {
                let scope = Scope::new();
                let tasks: Vec<_> = (0..6)
                    .map(|_| {
                        let way = random.below(1000);
                        scope.enter(|| {
                            if way.is_multiple_of(2) { process(outer, way) } else { process(double, way) }
                        })
                    })
                    .collect();
                let end = std::time::Instant::now() + Duration::from_micros(random.below(20_000));
                while std::time::Instant::now() < end {
                    std::thread::yield_now();
                }
                if random.below(2) == 0 {
                    scope.cancel();
                }
                for task in tasks {
                    match wait_timeout(&task, LONG) {
                        Ok(_) => {}
                        Err(error) => assert!(error.is_cancelled(), "{error}"),
                    }
                }
            }
        });
    });
}
