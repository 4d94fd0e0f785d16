//! Section C: fewer workers than wanted, many at once, and many one after the other.

use crate::fixture::{
    Afterwards, Dir, GONE, alone, alone_for, alone_with, children, double, ended, ends_within, hang, hear,
    hear_pid, kill, leave_a_trace, open_descriptors, own_process, pool, pool_of, program, quiet, run,
    soak_time, stop, tell, threads, traces, within,
};
use crate::own::{address_space, limit_descriptors};
use std::collections::HashSet;
use std::time::{Duration, Instant};
use xfork::{Plan, ResultProxy, Scope, process, thread};

pub(crate) fn lacks_descriptors() {
    xfork::plan(Plan::processes(8));
    // The pool's own descriptors are there before any worker's.
    assert_eq!(ended(process(double, 1)).unwrap(), 2);
    let first = children();
    assert_eq!(first.len(), 1);
    limit_descriptors(open_descriptors() as u64 + 3);
    let tasks = xfork::map_process(double, 0..200_u64);
    for (n, task) in (0..).zip(tasks) {
        assert_eq!(ended(task).unwrap(), 2 * n);
    }
    assert_eq!(children(), first, "no other worker could be started");
}

/// Row 49: fewer workers than asked: pool works, warning once.
#[test]
fn a_pool_with_fewer_workers_than_wanted_works_and_says_so_once() {
    let ended = run("lacks_descriptors", quiet(program("lacks_descriptors")));
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let warnings = ended.stderr.matches("the work goes on with 1 of 8 worker processes").count();
    assert_eq!(warnings, 1, "{ended:?}");
    assert!(ended.stderr.contains("open files"), "{ended:?}");
}

/// Row 56: wake-up channel saturated by 10^6 submits: submit never blocks (eventfd). (The channel by itself:
/// `src/ground/sys/event.rs`.) Here nobody reads: the only worker stands still, and its socket is full.
#[test]
fn a_fork_never_waits_for_a_worker_that_does_not_read() {
    fn measure(data: Vec<u8>) -> usize {
        data.len()
    }
    alone(|| {
        pool(1, || {
            let worker = ended(process(own_process, ())).unwrap();
            stop(worker);
            let begin = Instant::now();
            let large = process(measure, vec![0; 16 << 20]);
            let scope = Scope::new().cancel_on_drop();
            let small = scope.enter(|| xfork::map_process(double, 0..50_000_u64));
            let took = begin.elapsed();
            assert!(!ResultProxy::is_ready(&large));
            drop(scope);
            assert!(small.iter().all(|task| ResultProxy::error(task).unwrap().is_cancelled()));
            kill(worker, libc::SIGCONT);
            assert_eq!(ended(large).unwrap(), 16 << 20);
            assert!(took < Duration::from_secs(15), "{took:?}");
        });
    });
}

/// Row 57: kill_on_shutdown with 100 sleeping tasks < 5 s.
#[test]
fn a_hundred_sleeping_tasks_are_ended_within_five_seconds() {
    fn sleep(trace: String) -> u64 {
        leave_a_trace(trace);
        std::thread::sleep(Duration::from_secs(3600));
        1
    }
    alone(|| {
        let dir = Dir::new();
        let trace = dir.path("trace");
        pool(100, || {
            let scope = Scope::new().cancel_on_drop();
            let tasks: Vec<_> = scope.enter(|| (0..100).map(|_| process(sleep, &trace)).collect());
            assert!(within(Duration::from_secs(40), || traces(&trace) == 100));
            let workers: HashSet<u32> = children().into_iter().collect();
            assert_eq!(workers.len(), 100);
            let begin = Instant::now();
            drop(scope);
            for task in tasks {
                assert!(ended(task).unwrap_err().is_cancelled());
            }
            assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
            for worker in workers {
                let left = Duration::from_secs(5).saturating_sub(begin.elapsed());
                assert!(ends_within(worker, left), "{worker} sleeps on");
            }
        });
    });
}

/// Row 58: task killed while another worker's frame is being read: that other result intact (no shared pipe).
#[test]
fn a_death_in_the_middle_of_anothers_result_harms_no_byte_of_it() {
    fn pattern(seed: u64) -> Vec<u64> {
        (0..1 << 20).map(|n: u64| n.wrapping_mul(seed)).collect()
    }
    alone(|| {
        let dir = Dir::new();
        let pipe = dir.pipe("running");
        pool(2, || {
            for round in 1..=20 {
                let victim = process(hang, &pipe);
                let pid = hear_pid(&pipe);
                let large = process(pattern, round);
                // Somewhere within the 8 MiB, or before or behind them.
                std::thread::sleep(Duration::from_millis(round * 2));
                kill(pid, libc::SIGKILL);
                assert!(ended(victim).unwrap_err().is_crash());
                assert!(ended(large).unwrap() == pattern(round), "round {round}");
            }
        });
    });
}

/// Row 59: fd count and zombie count after 10^4 worker replacements: constant. (As many as can be made in some seconds.)
#[test]
fn thousands_of_replacements_leave_no_descriptor_no_zombie_and_no_thread() {
    const BATCH: usize = 50;
    let time = soak_time(8);
    alone_for(time + Duration::from_secs(60), || {
        let held = || (open_descriptors(), threads().len());
        pool_of(Plan::processes(2).max_tasks(1), || {
            let (begin, mut replaced) = (Instant::now(), 0);
            let mut most = (0, 0);
            let mut first = None;
            while begin.elapsed() < time && replaced < 10_000 {
                let tasks: Vec<_> = (0..BATCH).map(|_| process(own_process, ())).collect();
                let workers: HashSet<u32> = tasks.into_iter().map(|task| ended(task).unwrap()).collect();
                assert!(workers.len() > BATCH / 2, "each does one task");
                replaced += BATCH;
                assert!(within(GONE * 5, || children().len() <= 4), "{:?}", children());
                let now = held();
                // Two workers, and two that are leaving.
                let first = first.get_or_insert((now.0 + 12, now.1 + 1));
                most = (now.0.max(most.0), now.1.max(most.1));
                assert!(most.0 <= first.0 && most.1 <= first.1, "{most:?} of {first:?} after {replaced}");
            }
            assert!(replaced >= 200, "{replaced}");
        });
    });
}

/// Row 108: io_bound task panics, blocks forever: rethrown / others progress.
#[test]
fn threads_that_panic_or_block_for_ever_hold_nobody_up() {
    fn wait_at(gate: String) -> String {
        hear(&gate)
    }
    alone_with(Duration::from_secs(60), Afterwards::ItsPool, || {
        let dir = Dir::new();
        let gates: Vec<String> = (0..12).map(|n| dir.pipe(&format!("gate-{n}"))).collect();
        let blocked: Vec<_> = gates.iter().map(|gate| thread(wait_at, gate)).collect();
        for n in 0..200_u64 {
            let panics = thread(crate::a_task::panic_in_some_way, 0);
            let error = ended(panics).unwrap_err();
            assert!(error.is_panic() && error.location().is_some(), "{error}");
            assert_eq!(ended(thread(double, n)).unwrap(), 2 * n);
        }
        assert!(blocked.iter().all(|task| !ResultProxy::is_ready(task)));
        for (gate, task) in gates.iter().zip(blocked) {
            tell(gate, "go");
            assert_eq!(ended(task).unwrap(), "go");
        }
    });
}

/// Row 108: its thread cannot be created: error. (Or run by who needs the value, or by who forks it: nothing is lost.)
#[test]
fn where_no_thread_can_be_started_tasks_for_threads_are_done_all_the_same() {
    alone_with(Duration::from_secs(60), Afterwards::ItsPool, || {
        // SAFETY: `limits` is readable and writable, and outlives the calls.
        unsafe {
            let mut limits: libc::rlimit = std::mem::zeroed();
            assert_eq!(libc::getrlimit(libc::RLIMIT_AS, &raw mut limits), 0);
            let before = limits.rlim_cur;
            // A thread's stack is larger than what is left.
            limits.rlim_cur = address_space() + (1 << 20);
            assert_eq!(libc::setrlimit(libc::RLIMIT_AS, &raw const limits), 0);
            assert!(std::thread::Builder::new().stack_size(8 << 20).spawn(|| {}).is_err());
            let tasks: Vec<_> = (0..100_u64).map(|n| thread(double, n)).collect();
            let values: Vec<_> = tasks.into_iter().map(|task| ended(task).unwrap()).collect();
            limits.rlim_cur = before;
            assert_eq!(libc::setrlimit(libc::RLIMIT_AS, &raw const limits), 0);
            assert!(values.into_iter().eq((0..100).map(|n| 2 * n)));
        }
        assert_eq!(ended(thread(double, 4)).unwrap(), 8);
    });
}
