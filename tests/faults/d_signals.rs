//! Section D: signals to the program, and to all its processes.

use crate::fixture::{
    Dir, GONE, Started, alone, children, double, ended, ends_within, hang, hear, hear_pid, kill, pool,
    program, quiet, stop, tell, the_next_task_succeeds,
};
use crate::own::status_bits;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use xfork::{Plan, process, thread};

/// Runs while it is told to, in two workers, and while others start.
pub(crate) fn is_stopped_and_goes_on() {
    fn wait_for(started: String, gate: String) -> String {
        tell(&started, &std::process::id().to_string());
        hear(&gate)
    }
    let name = |name: &str| std::env::var(name).unwrap();
    xfork::plan(Plan::processes(3));
    let waiting = process(wait_for, (name("STARTED"), name("GATE")));
    let more = xfork::map_process(double, 0..100_u64);
    println!("waited: {:?}", ended(waiting));
    println!("more: {:?}", more.into_iter().map(|task| ended(task).unwrap()).sum::<u64>());
}

/// Row 64: SIGTSTP/SIGCONT of the group: continues, no false time-out. (Workers that were starting meanwhile may have taken too
/// long; others take their place.)
#[test]
fn a_program_that_is_suspended_with_its_workers_goes_on_where_it_was() {
    let dir = Dir::new();
    let (started, gate) = (dir.pipe("started"), dir.pipe("gate"));
    let mut command = quiet(program("is_stopped_and_goes_on"));
    command.env("STARTED", &started).env("GATE", &gate).env("XFORK_BOOT_LIMIT_MS", "700");
    let program = Started::new("is_stopped_and_goes_on", command);
    let worker = hear_pid(&started);
    for _ in 0..2 {
        // An orphaned group ignores SIGTSTP; what it does by default is what SIGSTOP does.
        program.signal_group(libc::SIGTSTP);
        stop(program.group() as u32);
        program.signal_group(libc::SIGSTOP);
        stop(worker);
        std::thread::sleep(Duration::from_millis(1000));
        program.signal_group(libc::SIGCONT);
    }
    tell(&gate, "go on");
    let ended = program.wait(Duration::from_secs(30));
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(ended.stdout.contains("waited: Ok(\"go on\")"), "{ended:?}");
    assert!(ended.stdout.contains("more: 9900"), "{ended:?}");
}

extern "C" fn nothing(_: i32) {}

fn set_action(signal: i32, handler: usize, flags: i32) {
    // SAFETY: an all-zero `sigaction` is a valid one; the only handler that is set does nothing.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        assert_eq!(libc::sigaction(signal, &raw const action, std::ptr::null_mut()), 0);
    }
}

/// A worker is killed; then another does the next task.
fn loses_a_worker(status_is_known: bool) {
    let dir = Dir::new();
    let pipe = dir.pipe("running");
    pool(2, || {
        for _ in 0..5 {
            let task = process(hang, &pipe);
            let worker = hear_pid(&pipe);
            let begin = Instant::now();
            kill(worker, libc::SIGKILL);
            let error = ended(task).unwrap_err();
            assert!(error.is_crash() && begin.elapsed() < GONE, "{error}");
            if status_is_known {
                assert_eq!(error.signal(), Some(libc::SIGKILL), "{error}");
            } else {
                assert!(error.signal().is_none() && error.to_string().contains("unavailable"), "{error}");
            }
            assert_eq!(ended(process(double, 4)).unwrap(), 8);
        }
    });
}

/// Row 65: SIGCHLD=SIG_IGN, SA_NOCLDWAIT: deaths still seen; status "unavailable" stated.
#[test]
fn deaths_are_seen_where_the_kernel_keeps_no_status() {
    alone(|| {
        set_action(libc::SIGCHLD, libc::SIG_IGN, 0);
        loses_a_worker(false);
        set_action(
            libc::SIGCHLD,
            nothing as extern "C" fn(i32) as usize,
            libc::SA_NOCLDWAIT | libc::SA_RESTART,
        );
        loses_a_worker(false);
        set_action(libc::SIGCHLD, libc::SIG_DFL, 0);
        loses_a_worker(true);
    });
}

/// Row 65: a rival waitpid(-1): deaths still seen; status "unavailable" stated, unless we were faster.
#[test]
fn deaths_are_seen_where_somebody_else_reaps_all_children() {
    static REAPED: AtomicU64 = AtomicU64::new(0);
    alone(|| {
        let dir = Dir::new();
        let pipe = dir.pipe("running");
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    // SAFETY: takes a null pointer for a status that nobody wants.
                    if unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) } > 0 {
                        REAPED.fetch_add(1, Ordering::SeqCst);
                    } else {
                        std::thread::yield_now();
                    }
                }
            });
            pool(2, || {
                // Often the program is faster.
                let mut rounds = 0;
                while rounds < 20 || REAPED.load(Ordering::SeqCst) == 0 {
                    rounds += 1;
                    let task = process(hang, &pipe);
                    kill(hear_pid(&pipe), libc::SIGKILL);
                    let error = ended(task).unwrap_err();
                    let stated =
                        error.signal() == Some(libc::SIGKILL) || error.to_string().contains("unavailable");
                    assert!(error.is_crash() && stated, "{error}");
                }
            });
            over.store(true, Ordering::SeqCst);
        });
    });
}

/// Row 66: SIGCHLD/SIGALRM storm (1 kHz, no SA_RESTART): no EINTR failure anywhere.
#[test]
fn a_storm_of_signals_disturbs_no_task() {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    extern "C" fn count(_: i32) {
        COUNT.fetch_add(1, Ordering::Relaxed);
    }
    fn echo(data: Vec<u8>) -> Vec<u8> {
        data
    }
    fn abort() -> u64 {
        std::process::abort()
    }
    alone(|| {
        for signal in [libc::SIGALRM, libc::SIGCHLD] {
            set_action(signal, count as extern "C" fn(i32) as usize, 0);
        }
        let every = libc::timeval { tv_sec: 0, tv_usec: 1000 };
        let timer = libc::itimerval { it_interval: every, it_value: every };
        // SAFETY: `timer` is readable and outlives the call.
        unsafe { assert_eq!(libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()), 0) };
        let end = Instant::now() + Duration::from_secs(2);
        let mut round = 0;
        while Instant::now() < end {
            round += 1;
            pool(2, || {
                let large = process(echo, vec![7; 8 << 20]);
                let killer = process(abort, ());
                for (n, task) in (0..).zip(xfork::map_process(double, 0..100_u64)) {
                    assert_eq!(ended(task).unwrap(), 2 * n, "round {round}");
                }
                assert_eq!(ended(thread(double, 3)).unwrap(), 6);
                assert!(ended(killer).unwrap_err().is_crash());
                assert!(ended(large).unwrap() == vec![7; 8 << 20]);
            });
        }
        let over = libc::itimerval { it_value: libc::timeval { tv_sec: 0, tv_usec: 0 }, ..timer };
        // SAFETY: as above.
        unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const over, std::ptr::null_mut()) };
        assert!(COUNT.load(Ordering::Relaxed) > 200, "{COUNT:?}");
    });
}

/// Row 67: parent has all signals blocked or SIGPIPE default/ignored: worker normal; we never raise SIGPIPE in the parent.
#[test]
fn what_the_program_blocks_or_ignores_is_not_its_workers_state() {
    /// The signals that are blocked, and those that are ignored.
    fn signals() -> (u64, u64) {
        // Without those from 32 on, of which the C library keeps some to itself.
        ["SigBlk", "SigIgn"].map(|field| status_bits(field) & 0x7fff_ffff).into()
    }
    fn swallow(data: Vec<u8>) -> usize {
        data.len()
    }
    let of = |signal: i32| 1_u64 << (signal - 1);
    alone(|| {
        for pipe in [libc::SIG_DFL, libc::SIG_IGN] {
            set_action(libc::SIGPIPE, pipe, 0);
            for signal in [libc::SIGTERM, libc::SIGUSR1, libc::SIGHUP] {
                set_action(signal, libc::SIG_IGN, 0);
            }
            // SAFETY: the set is initialised before it is read.
            unsafe {
                let mut all = std::mem::zeroed();
                libc::sigfillset(&raw mut all);
                libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut());
            }
            pool(1, || {
                let (blocked, ignored) = ended(process(signals, ())).unwrap();
                assert_eq!((blocked, ignored), (0, of(libc::SIGPIPE)), "as any Rust program has it");
                // Into the socket of a worker that dies: an error, and no signal to us.
                for _ in 0..5 {
                    let worker = ended(process(std::process::id, ())).unwrap();
                    stop(worker);
                    let large = process(swallow, vec![1; 16 << 20]);
                    kill(worker, libc::SIGKILL);
                    assert_eq!(ended(large).unwrap(), 16 << 20);
                    assert!(ends_within(worker, GONE));
                }
                the_next_task_succeeds();
                assert_eq!(children().len(), 1);
            });
        }
    });
}
