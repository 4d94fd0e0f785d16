//! The worker's side of living and dying: what a process does to itself when it turns out to be a worker.
//!
//! Before `main` nothing of what Rust's runtime sets up is there (faults.md, trap 1): a write to a closed
//! pipe kills, descriptors of the parent may be open, and the process may outlive its parent. The functions
//! here set that right, one each. Promises that each works, or does nothing, under a filter of system calls
//! and without /proc. Leaves out the order in which they are called, which is `boot`'s.

#![expect(unsafe_code, reason = "prctl, close_range, sigaction and exit have no safe counterpart in std")]

use super::call::check;
use super::fd;
use super::socket::is_unix_stream;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Has the kernel kill this process when its parent dies, and says whether the parent is still the expected
/// one.
///
/// On `false` the parent died before the kernel was asked and the process is to leave at once. A filter that
/// denies the request is no reason for `false`: the end of the socket then has to do (faults.md, row 83).
/// "The parent" is for the kernel the thread that spawned (trap 8), so that one must live as long as its
/// process.
pub(crate) fn die_with_parent(expected_parent: u32) -> bool {
    // SAFETY: takes numbers.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong, 0, 0, 0) };
    parent_pid() == expected_parent
}

/// Whether the kernel ends this process when its parent dies.
pub(crate) fn dies_with_parent() -> bool {
    let mut signal: libc::c_int = 0;
    // SAFETY: the kernel writes one number there, which outlives the call.
    let result = unsafe { libc::prctl(libc::PR_GET_PDEATHSIG, &raw mut signal) };
    result == 0 && signal == libc::SIGKILL
}

/// The parent's number, or 0 for one outside our pid namespace. When the parent has died it is some other
/// process's.
pub(crate) fn parent_pid() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::getppid() }.unsigned_abs()
}

/// Whether this is the thread in which the program began.
pub(crate) fn is_main_thread() -> bool {
    // SAFETY: takes nothing and cannot fail.
    let thread = unsafe { libc::gettid() };
    thread.unsigned_abs() == std::process::id()
}

/// Closes every descriptor above standard error but `keep`.
///
/// For a worker that has just started: whatever is open then was left inheritable by the program, and would
/// keep files, ports and pipes of the parent alive (faults.md, row 72). It must be called before any object
/// of this process owns a descriptor; that is what `boot` upholds by calling it first.
pub(crate) fn close_inherited_except(keep: BorrowedFd<'_>) {
    let keep = keep.as_raw_fd();
    if close_range(3, keep - 1).and_then(|()| close_range(keep.max(2) + 1, RawFd::MAX)).is_err() {
        close_one_by_one(3, keep);
    }
}

fn close_range(first: RawFd, last: RawFd) -> io::Result<()> {
    if first > last {
        return Ok(());
    }
    // SAFETY: takes numbers. That nobody owns a descriptor in the range is upheld by `boot`, which alone
    // calls `close_inherited_except`, in a process that has opened nothing yet.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) })?;
    Ok(())
}

/// The same for a kernel before 5.9 or a filter that denies `close_range`.
fn close_one_by_one(first: RawFd, keep: RawFd) {
    let listed = std::fs::read_dir("/proc/self/fd").map(|entries| {
        // Collected first: the listing itself holds a descriptor, which must not be closed under it.
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect::<Vec<RawFd>>()
    });
    // Without /proc all numbers that the limit on descriptors allows, up to a bound for "unlimited".
    let numbers = listed.unwrap_or_else(|_| (first..descriptor_limit().min(1 << 16)).collect());
    for raw in numbers.into_iter().filter(|&raw| raw >= first && raw != keep) {
        // SAFETY: as in `close_range`; a number that is not open gives EBADF and nothing else.
        unsafe { libc::close(raw) };
    }
}

fn descriptor_limit() -> RawFd {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is writable and outlives the call.
    match check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) }) {
        Ok(_) => RawFd::try_from(limit.rlim_cur).unwrap_or(RawFd::MAX),
        Err(_) => RawFd::MAX,
    }
}

/// Makes a write to a closed pipe an error instead of a death, as Rust's runtime does before `main`.
pub(crate) fn ignore_pipe_signal() {
    // SAFETY: SIG_IGN is a valid disposition and runs no code. std's `Command` gives children the default
    // again.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

extern "C" fn do_nothing(_: libc::c_int) {}

/// Survives Ctrl-C, which the terminal sends to the whole group: what it means is decided by the parent
/// (faults.md, row 63). An empty handler and not SIG_IGN, because exec keeps "ignored" but not a handler, and
/// a program which a task starts must be interruptible. SA_RESTART, so that no system call of a task fails
/// for it. Until this the worker has blocked the signal, as its parent wanted.
pub(crate) fn swallow_interrupts() {
    // SAFETY: all-zero is a valid `sigaction` with an empty mask; the handler does nothing, hence is
    // async-signal-safe, and is a function, hence alive for ever. The set is initialised before it is used.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = do_nothing as extern "C" fn(libc::c_int) as libc::sighandler_t;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(libc::SIGINT, &raw const action, std::ptr::null_mut());
        let mut interrupts = std::mem::MaybeUninit::uninit();
        libc::sigemptyset(interrupts.as_mut_ptr());
        libc::sigaddset(interrupts.as_mut_ptr(), libc::SIGINT);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, interrupts.as_ptr(), std::ptr::null_mut());
    }
}

/// Offers this process to the kernel, when memory runs out, before the parent: a lost task is an error, a
/// lost parent is the whole computation. Raising needs no privilege; a score that is higher already stays.
pub(crate) fn raise_oom_score() {
    const PATH: &str = "/proc/self/oom_score_adj";
    const SCORE: i32 = 500;
    let now = std::fs::read_to_string(PATH).ok().and_then(|text| text.trim().parse::<i32>().ok());
    if now.is_some_and(|now| now < SCORE) {
        let _ = std::fs::write(PATH, SCORE.to_string());
    }
}

/// Whether the program runs with more rights than its user (set-uid, file capabilities). Then nothing in the
/// environment may be believed, least of all that this is a worker (faults.md, row 84).
pub(crate) fn is_secure_execution() -> bool {
    // SAFETY: takes a number; reads what the kernel left at the start.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Ends the process without flushing or calling anything: for a worker whose state cannot be trusted.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: takes a number and does not return; nothing of this process runs afterwards.
    unsafe { libc::_exit(code) }
}

/// Ends the process as returning from `main` would: what tasks printed is flushed, C and C++ exit functions
/// run (and with them the writers of coverage and profiles). std flushes only if no thread holds the lock of
/// standard output, so a task that is stuck in a print cannot keep the process alive.
pub(crate) fn exit(code: i32) -> ! {
    std::process::exit(code)
}

/// Has a function called when the process ends by `exit` or by returning from `main`, before those registered
/// earlier. False if there is no memory for it.
pub(crate) fn at_exit(function: extern "C" fn()) -> bool {
    // SAFETY: `function` is a function of this binary, hence alive at exit; that it doesn't unwind follows
    // from its ABI. A binary that is unloaded before exit (`dlclose`) is refused as a home of workers and of
    // pools.
    unsafe { libc::atexit(function) == 0 }
}

/// Takes ownership of an inherited socket whose number came as text, and makes it close-on-exec. `None` for
/// any number that [`super::socket::pair`] cannot have made: one of standard input to 9, one that is not
/// open, a file, another kind of socket (faults.md, row 85). To be called once for a number: the result is
/// its owner.
pub(crate) fn open_fd_is_socket(raw: i32) -> Option<OwnedFd> {
    if raw < fd::FIRST {
        return None;
    }
    // SAFETY: takes numbers. For one that is not open this fails, so below `raw` is open.
    check(unsafe { libc::fcntl(raw, libc::F_GETFD) }).ok()?;
    // SAFETY: `raw` is open, and the borrow ends with the line.
    if !is_unix_stream(unsafe { BorrowedFd::borrow_raw(raw) }) {
        return None;
    }
    // SAFETY: `raw` is open. It has no other owner: the parent passed it to this process and nobody else in
    // it has been told the number, which `boot` upholds by removing it from the environment.
    let fd = unsafe { OwnedFd::from_raw_fd(raw) };
    // SAFETY: takes numbers; `fd` is open.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) }).ok()?;
    Some(fd)
}

/// Takes a variable out of the environment, so that no program which a task starts can take itself for a
/// worker (faults.md, row 86). Only for a worker that has just started, while no other thread can read the
/// environment; that is what `boot` upholds by calling it before it starts one.
pub(crate) fn forget_variable(name: &str) {
    // SAFETY: no other thread runs, as said above; a library that starts one in a constructor which stands
    // before ours, and reads the environment in it at this instant, would break this, as any `unsetenv`.
    unsafe { std::env::remove_var(name) };
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::super::role;
    use super::super::socket::{Wait, pair, receive, send_all};
    use super::*;
    use std::os::fd::{AsFd, IntoRawFd};
    use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

    const HERE: &str = module_path!();

    fn is_open(raw: RawFd) -> bool {
        // SAFETY: takes numbers.
        unsafe { libc::fcntl(raw, libc::F_GETFD) >= 0 }
    }

    #[test]
    #[ignore = "a role for other tests, played in a process of its own"]
    fn role_is_a_worker() {
        let Some(stage) = role::stage() else { return };
        // SAFETY: takes numbers; not close-on-exec, but the role starts nothing.
        let opened = [200, 300].map(|least| unsafe { libc::fcntl(0, libc::F_DUPFD, least) });
        let mut told = String::new();
        let parent: u32 = std::env::var("ROLE_PARENT").unwrap().parse().unwrap();
        told += &format!("parent: {} {}\n", die_with_parent(parent), die_with_parent(parent + 1));
        let mut death = 0;
        // SAFETY: the kernel writes an int to the pointer; the other calls take numbers.
        unsafe {
            libc::prctl(libc::PR_GET_PDEATHSIG, &raw mut death);
            told += &format!("dies by {death}\n");
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
            ignore_pipe_signal();
            libc::raise(libc::SIGPIPE);
            swallow_interrupts();
            libc::raise(libc::SIGINT);
        }
        forget_variable("ROLE_PARENT");
        // SAFETY: the name ends with a NUL, and the result is only compared.
        let is_forgotten = unsafe { libc::getenv(c"ROLE_PARENT".as_ptr()).is_null() };
        told += &format!("forgotten: {is_forgotten}\n");
        raise_oom_score();
        told += &std::fs::read_to_string("/proc/self/oom_score_adj").unwrap();
        close_one_by_one(250, stage.as_raw_fd());
        told += &format!("open: {:?}", opened.map(is_open));
        close_inherited_except(stage.as_fd());
        told += &format!(" {:?}\n", opened.map(is_open));
        send_all(stage.as_fd(), told.as_bytes()).unwrap();
        role::leave(0);
    }

    #[test]
    fn a_worker_is_tied_to_its_parent_and_deaf_to_what_the_parent_decides() {
        let parent = [("ROLE_PARENT".into(), std::process::id().to_string().into())];
        let (mut child, stage) = role::play_with(HERE, "role_is_a_worker", &parent);
        let told = String::from_utf8(role::told(&mut child, stage)).unwrap();
        assert_eq!(
            told,
            "parent: true false\ndies by 9\nforgotten: true\n500\nopen: [true, false] [false, false]\n"
        );
    }

    #[test]
    #[ignore = "a role for other tests, played in a process of its own"]
    fn role_exits() {
        static STAGE: AtomicI32 = AtomicI32::new(-1);
        extern "C" fn say_so() {
            // SAFETY: the role gave up ownership of the number, and nobody closes it.
            let stage = unsafe { BorrowedFd::borrow_raw(STAGE.load(SeqCst)) };
            send_all(stage, b"exit function ran").unwrap();
        }
        let Some(stage) = role::stage() else { return };
        let now = std::env::var_os("ROLE_NOW").is_some();
        STAGE.store(stage.into_raw_fd(), SeqCst);
        assert!(at_exit(say_so));
        if now { exit_now(0) } else { exit(0) }
    }

    #[test]
    fn exit_calls_the_exit_functions_and_exit_now_does_not() {
        let (mut child, stage) = role::play(HERE, "role_exits");
        assert_eq!(role::told(&mut child, stage), b"exit function ran");
        let (mut child, stage) = role::play_with(HERE, "role_exits", &[("ROLE_NOW".into(), "1".into())]);
        assert_eq!(role::told(&mut child, stage), b"");
    }

    /// faults.md, row 85: "marker set by a user by hand (fd 0, a file, a wrong socket, stale value)".
    #[test]
    fn only_an_open_unix_stream_socket_is_taken() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let file = file.as_fd().try_clone_to_owned().unwrap();
        // SAFETY: takes numbers; the copy is closed below.
        let high = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 400) };
        for raw in [-1, 0, 2, 9, 1_000_000, i32::MAX, high] {
            assert!(open_fd_is_socket(raw).is_none(), "{raw}");
        }
        // SAFETY: made above, owned by nobody.
        drop(unsafe { OwnedFd::from_raw_fd(high) });

        let (left, right) = pair().unwrap();
        // SAFETY: takes numbers; clears close-on-exec, as it is after an exec.
        unsafe { libc::fcntl(left.as_raw_fd(), libc::F_SETFD, 0) };
        let taken = open_fd_is_socket(left.into_raw_fd()).unwrap();
        // SAFETY: takes numbers.
        assert_eq!(unsafe { libc::fcntl(taken.as_raw_fd(), libc::F_GETFD) }, libc::FD_CLOEXEC);
        drop(taken);
        assert_eq!(receive(right.as_fd(), &mut [0], Wait::Block).unwrap(), 0);
    }

    #[test]
    fn a_test_binary_has_no_extra_rights() {
        assert!(!is_secure_execution());
        assert_ne!(parent_pid(), std::process::id());
    }
}
