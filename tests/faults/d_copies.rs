//! Section D: copies of the program by the system's `fork`, what it changes of itself, and where it is process number one.

use crate::fixture::{
    Dir, NOT_PERMITTED, alone, children, double, ended, ends_within, kill, own_process, pool, program, quiet,
    run, run_if_permitted, the_next_task_succeeds, traces, within,
};
use crate::own::{limit_descriptors, status};
use std::os::unix::process::CommandExt;
use std::time::Duration;
use xfork::{Plan, process, thread, with_plan};

/// Runs `body` in a copy of this process made by the system's `fork`, and gives its number; the copy ends with code 0 unless
/// `body` panics.
fn copy(body: impl FnOnce()) -> u32 {
    // SAFETY: the copy has one thread, and what it uses of others' (locks of the allocator) glibc has put in order.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
        // SAFETY: takes a number.
        unsafe { libc::_exit(i32::from(outcome.is_err())) }
    }
    pid as u32
}

/// The exit code of a copy, which must end in time.
fn code(copy: u32) -> i32 {
    let ends = ends_within(copy, Duration::from_secs(20));
    if !ends {
        kill(copy, libc::SIGKILL);
    }
    let mut status = 0;
    // SAFETY: `status` is writable; the copy is our child and nobody else waits for it.
    assert_eq!(unsafe { libc::waitpid(copy as i32, &raw mut status, 0) }, copy as i32);
    assert!(ends, "the copy hangs");
    libc::WEXITSTATUS(status)
}

/// Row 68: parent daemonises or forks after the pool started: child detects pid change, gets its own pool or a clear error, does
/// not hang and does not steal frames; parent's pool unaffected.
#[test]
fn a_copy_of_the_program_leaves_its_workers_alone() {
    alone(|| {
        pool(2, || {
            let worker = ended(process(own_process, ())).unwrap();
            let before = children();
            for _ in 0..5 {
                // Under way while the copies run.
                let tasks = xfork::map_process(double, 0..500_u64);
                let refused = copy(|| {
                    let error = ended(process(double, 1)).unwrap_err();
                    assert!(error.is_spawn(), "{error}");
                    for part in ["made by fork()", "xfork::plan"] {
                        assert!(error.to_string().contains(part), "{error}");
                    }
                    assert_eq!(ended(thread(double, 3)).unwrap(), 6);
                });
                let own = copy(|| {
                    with_plan(Plan::processes(1), || {
                        assert_eq!(ended(process(double, 21)).unwrap(), 42);
                        assert_ne!(ended(process(own_process, ())).unwrap(), worker);
                    });
                });
                assert_eq!((code(refused), code(own)), (0, 0));
                for (n, task) in (0..).zip(tasks) {
                    assert_eq!(ended(task).unwrap(), 2 * n);
                }
            }
            let after = children();
            assert!(before.iter().all(|worker| after.contains(worker)), "{after:?} were {before:?}");
            assert!(after.len() <= 2, "{after:?}");
        });
    });
}

/// Row 68: the program goes on as a daemon: its first process ends, and so do its workers; the copy has its own.
#[test]
fn a_program_that_becomes_a_daemon_can_have_workers() {
    let dir = Dir::new();
    let out = dir.path("out");
    let mut command = quiet(program("becomes_a_daemon"));
    command.env("OUT", &out);
    let ended = run("becomes_a_daemon", command);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    // The daemon has a session of its own, and tells in a file.
    assert!(within(Duration::from_secs(20), || traces(&out) > 0));
    let told = std::fs::read_to_string(&out).unwrap();
    assert_eq!(told, "value 42");
}

pub(crate) fn becomes_a_daemon() {
    xfork::plan(Plan::processes(1));
    the_next_task_succeeds();
    // SAFETY: takes numbers; see `copy` for what the daemon may rely on.
    assert_eq!(unsafe { libc::daemon(1, 0) }, 0);
    xfork::plan(Plan::processes(1));
    let text = format!("value {}", ended(process(double, 21)).unwrap());
    let out = std::env::var("OUT").unwrap();
    std::fs::write(format!("{out}.new"), text).unwrap();
    std::fs::rename(format!("{out}.new"), out).unwrap();
    std::process::exit(0);
}

/// Row 69: parent calls chdir/set_var/umask/setrlimit after start: documented snapshot semantics, tested. (A worker has what
/// the program had when the worker was started.)
#[test]
fn a_worker_has_what_the_program_had_when_it_was_started() {
    fn state() -> (String, Option<String>, String, u64) {
        let folder = std::env::current_dir().unwrap().display().to_string();
        let mut limits = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: `limits` is writable and outlives the call.
        unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limits) };
        (folder, std::env::var("XFORK_FAULTS_CHANGED").ok(), status("Umask"), limits.rlim_cur)
    }
    alone(|| {
        let dir = Dir::new();
        let folder = std::fs::canonicalize(dir.path("")).unwrap();
        pool(1, || {
            let begin = state();
            assert_eq!(ended(process(state, ())).unwrap(), begin);
            std::env::set_current_dir(&folder).unwrap();
            limit_descriptors(200);
            // SAFETY: no other thread of this process touches the environment now; the call takes a number.
            unsafe {
                std::env::set_var("XFORK_FAULTS_CHANGED", "yes");
                libc::umask(0o027);
            }
            let now = state();
            assert_eq!(now, (folder.display().to_string(), Some("yes".into()), "0027".into(), 200));
            assert_eq!(ended(process(state, ())).unwrap(), begin, "one that was there keeps what it had");
            let worker = ended(process(own_process, ())).unwrap();
            kill(worker, libc::SIGKILL);
            assert!(ends_within(worker, Duration::from_secs(5)));
            assert_eq!(ended(process(state, ())).unwrap(), now, "the next has what is now");
            std::env::set_current_dir("/").unwrap();
        });
    });
}

/// Row 73: parent runs as pid 1 in a pid namespace: unknown orphans do not confuse it.
#[test]
fn process_number_one_is_not_confused_by_orphans() {
    let mut command = quiet(program("is_process_number_one"));
    // SAFETY: only `unshare`, `fork`, `waitpid` and `_exit` are called between fork and exec.
    unsafe {
        command.pre_exec(|| {
            let user = if libc::geteuid() == 0 { 0 } else { libc::CLONE_NEWUSER };
            if libc::unshare(user | libc::CLONE_NEWPID) != 0 {
                libc::_exit(NOT_PERMITTED);
            }
            // The first child is number one there; this process waits for it outside.
            let child = libc::fork();
            if child != 0 {
                let mut status = 0;
                libc::waitpid(child, &raw mut status, 0);
                libc::_exit(if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 99 });
            }
            Ok(())
        });
    }
    let Some(ended) = run_if_permitted("namespaces of process numbers", command) else { return };
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(ended.stdout.contains("all is in order"), "{ended:?}");
}

/// /proc shows the numbers outside, so it is of no use here.
pub(crate) fn is_process_number_one() {
    /// Leaves a process behind that has nobody but number one, and says which.
    fn leave_an_orphan() -> i32 {
        let (mut pipe, mut orphan) = ([0; 2], 0_i32);
        // SAFETY: the copies call nothing but `fork`, `write`, `usleep` and `_exit`; the pointers are to four bytes.
        unsafe {
            libc::pipe(pipe.as_mut_ptr());
            if libc::fork() == 0 {
                orphan = libc::fork();
                if orphan == 0 {
                    libc::usleep(20_000);
                } else {
                    libc::write(pipe[1], (&raw const orphan).cast(), 4);
                }
                libc::_exit(0);
            }
            libc::read(pipe[0], (&raw mut orphan).cast(), 4);
            libc::wait(std::ptr::null_mut());
        }
        orphan
    }
    assert_eq!(std::process::id(), 1);
    xfork::plan(Plan::processes(2));
    let mut orphans = Vec::new();
    for n in 0..10 {
        orphans.push(ended(process(leave_an_orphan, ())).unwrap());
        let worker = ended(process(own_process, ())).unwrap();
        if n % 3 == 2 {
            kill(worker, libc::SIGKILL);
        }
        for (n, task) in (0..).zip(xfork::map_process(double, 0..20_u64)) {
            // It may have been started by the one that was killed.
            assert!(ended(task).map_or_else(|error| error.is_crash(), |value| value == 2 * n));
        }
        the_next_task_succeeds();
    }
    xfork::plan(Plan::threads());
    // They are there for the program to reap: nobody has taken what isn't his.
    for orphan in orphans {
        // SAFETY: takes a null pointer for a status that nobody wants.
        assert_eq!(unsafe { libc::waitpid(orphan, std::ptr::null_mut(), 0) }, orphan);
    }
    // SAFETY: as above.
    let is_anybody_left = || unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } >= 0;
    assert!(within(Duration::from_secs(5), || !is_anybody_left()), "a worker is left");
    println!("all is in order");
    std::process::exit(0);
}
