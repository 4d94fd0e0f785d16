//! Section E: what a sandbox, a container or an old kernel does not let a program do.

use crate::built::real_program;
use crate::fixture::{Dir, Ended, NOT_PERMITTED, quiet, run, run_if_permitted};
use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Called between fork and exec; gives 0 if all went well.
type SetUp = fn() -> libc::c_int;

/// Set up between fork and exec: the program's own view of the file systems. Gives up where that is not permitted.
fn own_mounts(command: &mut Command, set_up: SetUp) {
    // SAFETY: only system calls are made between fork and exec.
    unsafe {
        command.pre_exec(move || {
            let user = if libc::geteuid() == 0 { 0 } else { libc::CLONE_NEWUSER };
            let null = std::ptr::null();
            if libc::unshare(user | libc::CLONE_NEWNS) != 0
                || libc::mount(null, c"/".as_ptr(), null, libc::MS_REC | libc::MS_PRIVATE, null.cast()) != 0
                || set_up() != 0
            {
                libc::_exit(NOT_PERMITTED);
            }
            Ok(())
        });
    }
}

/// An empty file system in memory over a folder.
fn hide(folder: &CStr, flags: libc::c_ulong) -> libc::c_int {
    // SAFETY: the strings end with a NUL and outlive the call.
    unsafe { libc::mount(c"none".as_ptr(), folder.as_ptr(), c"tmpfs".as_ptr(), flags, std::ptr::null()) }
}

/// The program has no `/dev/shm` of any use, and may lock no memory.
pub(crate) fn without_shared_folder_and_locked_memory(command: &mut Command) {
    own_mounts(command, || {
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: `none` is readable and outlives the call.
        hide(c"/dev/shm", libc::MS_RDONLY) | unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const none) }
    });
}

/// What a program says that is run so; `None` where the set-up is not permitted.
fn said(what: &str, argument: &str, set_up: SetUp) -> Option<Ended> {
    // By descriptor, because the set-up may hide the file.
    let file = File::open(real_program()).unwrap();
    let fd = file.as_raw_fd();
    let mut command =
        quiet(Command::new(if what == "no /proc" { real_program() } else { "/proc/self/fd/300".into() }));
    command.arg(argument);
    // SAFETY: only `dup2` is called between fork and exec.
    unsafe {
        command.pre_exec(
            move || if libc::dup2(fd, 300) == 300 { Ok(()) } else { Err(io::Error::last_os_error()) },
        );
    }
    own_mounts(&mut command, set_up);
    let ended = run_if_permitted(what, command)?;
    assert_eq!(ended.code(), Some(0), "{what}: {ended:?}");
    Some(ended)
}

/// Row 82: read-only fs; noexec /tmp; no /dev/null: works.
#[test]
fn workers_need_no_writable_folder_and_no_devices() {
    let read_only = || {
        let flags = libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY;
        // SAFETY: the strings end with a NUL and outlive the call.
        unsafe { libc::mount(std::ptr::null(), c"/".as_ptr(), std::ptr::null(), flags, std::ptr::null()) }
    };
    let no_exec = || {
        hide(c"/tmp", libc::MS_NOEXEC | libc::MS_RDONLY)
            | hide(c"/dev/shm", libc::MS_NOEXEC | libc::MS_RDONLY)
    };
    let no_devices = || hide(c"/dev", 0);
    let cases: [(&str, SetUp); 3] =
        [("read-only", read_only), ("no exec in /tmp", no_exec), ("no devices", no_devices)];
    for (what, set_up) in cases {
        if let Some(ended) = said(what, "functions", set_up) {
            assert!(ended.stdout.contains("sum 1009"), "{what}: {ended:?}");
        }
        if let Some(ended) = said(what, "task-crash", set_up) {
            assert!(ended.stdout.contains("crash true signal Some(6)"), "{what}: {ended:?}");
        }
    }
}

/// Row 82: no /proc; chroot: Spawn error with the reason. (Threads work.)
#[test]
fn without_proc_there_are_no_workers_and_the_error_says_why() {
    let no_proc = said("no /proc", "error", || hide(c"/proc", 0));
    let dir = Dir::new();
    let in_chroot = {
        let mut command = quiet(Command::new(real_program()));
        command.args(["chroot", &dir.path("")]);
        // SAFETY: takes nothing.
        (unsafe { libc::geteuid() } == 0).then(|| run("chroot", command))
    };
    for ended in [no_proc, in_chroot].into_iter().flatten() {
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        assert!(ended.stdout.contains("outcome Err((true,"), "{ended:?}");
        assert!(ended.stdout.contains("is /proc mounted in this chroot or container?"), "{ended:?}");
        assert!(ended.stdout.contains("thread 42"), "{ended:?}");
    }
}

/// A system call, or only one with this number as the argument in this place.
#[derive(Clone, Copy)]
pub(crate) enum Call {
    Any(libc::c_long),
    With(libc::c_long, u32, u32),
}

/// A filter of system calls that answers these with an error, and lets all others through.
pub(crate) fn deny(command: &mut Command, calls: &[libc::c_long], error: i32) {
    let calls: Vec<_> = calls.iter().copied().map(Call::Any).collect();
    deny_calls(command, &calls, error);
}

/// As [`deny`].
pub(crate) fn deny_calls(command: &mut Command, calls: &[Call], error: i32) {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let refuse = step(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | error as u32);
    let mut program = Vec::new();
    for &call in calls {
        // The number of the call.
        program.push(step(LOAD, 0, 0, 0));
        match call {
            Call::Any(call) => program.extend([step(EQUAL, 0, 1, call as u32), refuse]),
            Call::With(call, place, value) => {
                // The lower half of the argument.
                let argument = step(LOAD, 0, 0, 16 + 8 * place + 4 * u32::from(cfg!(target_endian = "big")));
                let is_that = step(EQUAL, 0, 1, value);
                program.extend([step(EQUAL, 0, 3, call as u32), argument, is_that, refuse]);
            }
        }
    }
    program.push(step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW));
    // SAFETY: only `prctl` is called between fork and exec; `program` lives in the closure, and the kernel copies it.
    unsafe {
        command.pre_exec(move || {
            let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
            if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
                || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) != 0
            {
                libc::_exit(NOT_PERMITTED);
            }
            Ok(())
        });
    }
}

fn denied(what: &str, calls: &[libc::c_long], error: i32, argument: &str) -> Option<Ended> {
    let mut command = quiet(Command::new(real_program()));
    command.arg(argument);
    deny(&mut command, calls, error);
    let ended = run_if_permitted("filters of system calls", command)?;
    assert_eq!(ended.code(), Some(0), "{what} {error}: {ended:?}");
    Some(ended)
}

/// Row 83: seccomp denies clone3 (ENOSYS), pidfd_open, prctl, memfd_create, eventfd2, close_range: degrade in the documented
/// order.
#[test]
fn workers_do_without_system_calls_that_are_denied() {
    let calls = [
        ("pidfd_open", libc::SYS_pidfd_open),
        ("memfd_create", libc::SYS_memfd_create),
        ("eventfd2", libc::SYS_eventfd2),
        ("close_range", libc::SYS_close_range),
        ("prctl", libc::SYS_prctl),
    ];
    let all = calls.map(|(_, call)| call);
    let each = calls.iter().map(|(name, call)| (*name, std::slice::from_ref(call)));
    let each: Vec<_> = each.chain([("all of these", &all[..])]).collect();
    let mut cases = vec![("clone3", &[libc::SYS_clone3][..], libc::ENOSYS)];
    cases.extend(each.iter().map(|&(name, calls)| (name, calls, libc::EPERM)));
    cases.extend(each.iter().map(|&(name, calls)| (name, calls, libc::ENOSYS)));
    for (name, calls, error) in cases {
        let Some(ended) = denied(name, calls, error, "functions") else { return };
        assert!(ended.stdout.contains("sum 1009"), "{name} {error}: {ended:?}");
        let ended = denied(name, calls, error, "task-crash").unwrap();
        assert!(ended.stdout.contains("crash true signal Some(6)"), "{name} {error}: {ended:?}");
        assert!(ended.stdout.contains("next 42"), "{name} {error}: {ended:?}");
    }
}

/// Row 83: only clone/exec denial is an error. (With clone3 denied as forbidden rather than unknown there are no threads either.)
#[test]
fn where_no_process_can_be_started_the_error_says_so() {
    let Some(ended) = denied("clone3", &[libc::SYS_clone3], libc::EPERM, "error") else { return };
    assert!(ended.stdout.contains("outcome Err((true,"), "{ended:?}");
    assert!(ended.stdout.contains("Operation not permitted"), "{ended:?}");
    assert!(ended.stdout.contains("thread 42"), "run by who needs it: {ended:?}");
}
