//! Section A: what a task does to the process that it runs in.

use crate::fixture::{
    Dir, GONE, alone, children, double, ended, ends_within, hang, has_rings, hear, hear_pid, kill,
    leave_a_trace, own_process, pool, stop, tell, the_next_task_succeeds, traces, within,
};
use crate::own::{status, status_bits};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use xfork::{ResultProxy, process, thread};

/// Row 3: payload whose Drop panics: pool threads survive; error reported once.
#[test]
fn a_payload_that_panics_when_it_is_dropped_harms_nobody() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    fn throw() -> u64 {
        std::panic::panic_any(Bomb)
    }
    alone(|| {
        pool(1, || {
            let worker = ended(process(own_process, ())).unwrap();
            for _ in 0..10 {
                let forks = [process(throw, ()), thread(throw, ())];
                for proxy in forks {
                    let error = ended(proxy).unwrap_err();
                    assert!(error.is_panic(), "{error}");
                    // The only owner of the payload.
                    drop(error);
                }
                assert_eq!(ended(thread(double, 4)).unwrap(), 8);
            }
            assert_eq!(ended(process(own_process, ())).unwrap(), worker, "the worker survives");
        });
    });
}

/// Row 13: OOM-killed: WorkerDied SIGKILL with "possibly out of memory"; parent not chosen (worker oom_score_adj raised, best
/// effort).
#[test]
fn a_worker_is_offered_to_the_kernel_before_the_program_when_memory_runs_out() {
    fn score() -> i32 {
        std::fs::read_to_string("/proc/self/oom_score_adj").unwrap().trim().parse().unwrap()
    }
    alone(|| {
        let dir = Dir::new();
        let pipe = dir.pipe("running");
        pool(1, || {
            assert!(ended(process(score, ())).unwrap() > score());
            let task = process(hang, &pipe);
            // As the kernel does it: from outside, and without a word.
            kill(hear_pid(&pipe), libc::SIGKILL);
            let error = ended(task).unwrap_err();
            assert!(error.is_crash() && error.signal() == Some(libc::SIGKILL), "{error}");
            assert!(error.to_string().contains("possibly out of memory"), "{error}");
        });
    });
}

/// Row 15: SIGSTOP of a worker mid-task: others proceed; shutdown kills it.
#[test]
fn a_stopped_worker_holds_up_nobody_and_is_killed_when_it_has_to_end() {
    alone(|| {
        let dir = Dir::new();
        let pipe = dir.pipe("running");
        pool(2, || {
            let task = process(hang, &pipe);
            let worker = hear_pid(&pipe);
            stop(worker);
            for (n, proxy) in (0..).zip(xfork::map_process(double, 0..100_u64)) {
                assert_eq!(ended(proxy).unwrap(), 2 * n);
            }
            assert!(ResultProxy::cancel(&task) && ended(task).unwrap_err().is_cancelled());
            assert!(ends_within(worker, GONE * 5), "asked first, and killed after the grace");
        });
        // One that is idle is stopped when its pool ends: `alone` sees that it goes.
        pool(1, the_next_task_succeeds);
        xfork::with_plan(xfork::Plan::processes(1), || stop(ended(process(own_process, ())).unwrap()));
    });
}

/// Row 16: spawns threads that outlive the task, one panics later: does not corrupt the next task's report.
#[test]
fn a_thread_that_panics_after_its_task_is_not_the_next_tasks_failure() {
    fn leave_a_thread(gate: String, done: String) -> u32 {
        std::thread::spawn(move || {
            hear(&gate);
            let outcome = std::thread::spawn(|| panic!("late")).join();
            tell(&done, if outcome.is_err() { "panicked" } else { "" });
        });
        std::process::id()
    }
    fn let_it_panic(gate: String, done: String, fails: bool) -> u32 {
        tell(&gate, "panic");
        assert_eq!(hear(&done), "panicked");
        if fails {
            panic!("my own");
        }
        std::process::id()
    }
    alone(|| {
        let dir = Dir::new();
        let (gate, done) = (dir.pipe("gate"), dir.pipe("done"));
        pool(1, || {
            for fails in [false, true] {
                let worker = ended(process(leave_a_thread, (&gate, &done))).unwrap();
                match ended(process(let_it_panic, (&gate, &done, fails))) {
                    Ok(same) => assert!(!fails && same == worker),
                    Err(error) => {
                        assert!(fails && error.is_panic() && error.message() == "my own", "{error}");
                        assert!(!format!("{error:?}").contains("late"), "{error:?}");
                    }
                }
            }
        });
    });
}

/// Row 17: spawns a grandchild holding all fds, then dies: death seen in 1 s (pidfd), no wait for the grandchild.
#[test]
fn a_grandchild_that_holds_all_descriptors_hides_no_death() {
    fn leave_a_child(pipe: String) -> u64 {
        // SAFETY: the child calls nothing but `pause`.
        let child = unsafe { libc::fork() };
        if child == 0 {
            loop {
                // SAFETY: takes nothing.
                unsafe { libc::pause() };
            }
        }
        tell(&pipe, &child.to_string());
        std::process::abort()
    }
    alone(|| {
        let dir = Dir::new();
        let pipe = dir.pipe("child");
        pool(1, || {
            let task = process(leave_a_child, &pipe);
            let grandchild = hear_pid(&pipe);
            let begin = Instant::now();
            let error = ended(task).unwrap_err();
            let took = begin.elapsed();
            assert!(!ends_within(grandchild, Duration::ZERO));
            kill(grandchild, libc::SIGKILL);
            assert!(error.is_crash() && error.signal() == Some(libc::SIGABRT), "{error}");
            assert!(took < GONE, "{took:?}");
        });
    });
}

/// Row 18: closes every fd >= 3, or writes garbage to our socket fd: Protocol/WorkerDied for this task only. (If a task that
/// wrote garbage ends, its worker goes on until it is killed; what it starts in that time is lost, as it is never run twice.)
#[test]
fn a_task_that_breaks_its_workers_socket_fails_alone() {
    fn close_all() -> u64 {
        // SAFETY: takes numbers. What owned these descriptors is wrong from here on; that is the point.
        unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) };
        1
    }
    fn write_garbage(ends: bool) -> u64 {
        for fd in 3..1024 {
            // SAFETY: takes numbers, and eight readable bytes.
            unsafe { libc::send(fd, [0xff_u8; 64].as_ptr().cast(), 64, libc::MSG_NOSIGNAL) };
        }
        if ends {
            return 1;
        }
        loop {
            std::thread::park();
        }
    }
    let start = |way| match way {
        "closes" => process(close_all, ()),
        way => process(write_garbage, way == "lies and ends"),
    };
    let ways = ["closes", "lies and stays", "lies and ends"];
    alone(|| {
        let dir = Dir::new();
        pool(2, || {
            for (round, way) in ways.into_iter().cycle().take(9).enumerate() {
                let trace = |n| dir.path(&format!("{round}-{n}"));
                // Quick ones, so that some are sent ahead.
                let before: Vec<_> = (0..20).map(|n| process(double, n)).collect();
                let broken = start(way);
                let siblings = xfork::map_process(leave_a_trace, (0..20).map(trace));
                match ended(broken) {
                    // Its result needs no descriptor; its worker ends all the same.
                    Ok(one) => assert!(way == "closes" && one == 1 && has_rings()),
                    Err(error) => {
                        assert!(error.is_crash() || error.is_transport(), "{way}: {error}");
                        assert!(error.pid().is_some(), "{way}: {error}");
                    }
                }
                before.into_iter().for_each(|task| assert!(ended(task).is_ok(), "{way}"));
                for (n, sibling) in (0..).zip(siblings) {
                    match ended(sibling) {
                        Ok(()) => assert_eq!(traces(&trace(n)), 1, "{way}"),
                        Err(error) => {
                            assert!(way == "lies and ends" && error.is_transport(), "{way}: {error}");
                            assert!(traces(&trace(n)) <= 1, "{way}");
                        }
                    }
                }
            }
        });
    });
}

/// What belongs to a process as a whole.
fn state() -> (String, Option<String>, String, u64) {
    let folder = std::env::current_dir().unwrap().display().to_string();
    (folder, std::env::var("XFORK_FAULTS_CHANGED").ok(), status("Umask"), status_bits("SigBlk"))
}

/// Row 20: changes cwd, env, umask, signal mask, rlimits: worker-local; the program and the workers beside and after it have
/// what the program had.
#[test]
fn what_a_task_changes_in_its_process_stays_there() {
    fn change() -> u64 {
        std::env::set_current_dir("/").unwrap();
        let core = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: no other thread of this worker touches the environment now; the sets are initialised before they are
        // read; the rest takes numbers.
        unsafe {
            std::env::set_var("XFORK_FAULTS_CHANGED", "yes");
            libc::umask(0o777);
            libc::setrlimit(libc::RLIMIT_CORE, &raw const core);
            let mut all = std::mem::zeroed();
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut());
        }
        1
    }
    alone(|| {
        let dir = Dir::new();
        let pipe = dir.pipe("running");
        pool(1, || {
            let (ours, theirs) = (state(), ended(process(state, ())).unwrap());
            assert_eq!(ended(process(change, ())).unwrap(), 1);
            assert_eq!(state(), ours, "the program's own are what they were");
            // The same worker still does what it is told, and still can be ended.
            assert_eq!(ended(process(double, 4)).unwrap(), 8);
            assert_eq!(ended(process(state, ())).unwrap().1.as_deref(), Some("yes"));
            let task = process(hang, &pipe);
            let worker = hear_pid(&pipe);
            assert!(ResultProxy::cancel(&task) && ended(task).unwrap_err().is_cancelled());
            assert!(ends_within(worker, GONE * 5));
            assert_eq!(
                ended(process(state, ())).unwrap(),
                theirs,
                "the next worker begins as the first one did"
            );
        });
    });
}

/// Row 24: uses thread-locals/statics: documented isolation; two tasks on one worker may share them. (Each worker has its own,
/// and the program has its own.)
#[test]
fn statics_are_each_processes_own() {
    static COUNT: Mutex<u64> = Mutex::new(0);
    fn count() -> (u32, u64) {
        let mut count = COUNT.lock().unwrap();
        *count += 1;
        (std::process::id(), *count)
    }
    alone(|| {
        pool(1, || {
            let all: Vec<_> = (0..3).map(|_| ended(process(count, ())).unwrap()).collect();
            let worker = all[0].0;
            assert_eq!(all, [(worker, 1), (worker, 2), (worker, 3)]);
            assert_eq!(*COUNT.lock().unwrap(), 0);
            pool(1, || assert_eq!(ended(process(count, ())).unwrap().1, 1));
        });
    });
}

/// Row 25: returns while holding a lock in a static: next task not blocked by us.
#[test]
fn a_lock_that_a_task_keeps_is_the_tasks_own_affair() {
    static LOCK: Mutex<u64> = Mutex::new(0);
    fn keep() -> u32 {
        std::mem::forget(LOCK.lock().unwrap());
        std::mem::forget(std::io::stdout().lock());
        std::mem::forget(std::io::stderr().lock());
        std::process::id()
    }
    fn is_kept() -> (u32, bool) {
        println!("printed by the next task");
        (std::process::id(), LOCK.try_lock().is_err())
    }
    alone(|| {
        pool(1, || {
            let worker = ended(process(keep, ())).unwrap();
            assert_eq!(ended(process(is_kept, ())).unwrap(), (worker, true));
            assert!(ended(process(crate::a_task::panic_in_some_way, 0)).unwrap_err().is_panic());
        });
        assert!(within(GONE * 2, || children().is_empty()), "a worker that holds locks ends too");
    });
}
