//! Starting this program a second time, and learning how such a child ended.
//!
//! Owns [`Child`]: it is killed and reaped only while it is known to be ours, so that no signal ever reaches
//! a stranger who got the number of a dead worker. Promises that a child starts with default signal
//! dispositions, nothing blocked, and exactly those descriptors of ours that it is given (faults.md, traps 6, 10 and 11).
//! Starting is `posix_spawn`, which shares memory with the child for an instant instead of copying a process
//! with threads (trap 4). Leaves out what the child does (`life`, `runner`) and when it must die.
//!
//! The pidfd is opened after the start and not by it, because `posix_spawn` can't. In between someone else in
//! the program (`waitpid(-1)`, SIGCHLD ignored) may have reaped the child and the number may have been given
//! away, so what was opened is asked whether it is our child before it is believed.

#![expect(unsafe_code, reason = "posix_spawn, waitid and the pidfd calls take pointers and plain numbers")]

use super::call::{check, retry};
use super::fd;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It called `exit` or returned from `main`.
    Code(i32),
    /// A signal ended it.
    Signal {
        /// The signal; see [`signal_name`].
        number: i32,
        /// Whether the kernel wrote a core dump.
        core: bool,
    },
    /// It is gone, but somebody else in this program took the status, or SIGCHLD is ignored.
    Unavailable,
}

/// A second run of this program. Dropping it neither kills nor reaps: the runner does both, in its own order.
#[derive(Debug)]
pub(crate) struct Child {
    /// Its number, which may be another process's as soon as the child was reaped. For messages.
    pub(crate) pid: u32,
    /// Readable as soon as the child is dead, even if a grandchild holds the child's socket open. `None`
    /// where the kernel or a filter of system calls denies pidfds; then the end of the socket has to do.
    pub(crate) pidfd: Option<OwnedFd>,
    /// Set once the child was reaped, by us or by somebody else; from then on `pid` is not ours any more.
    exit: Option<Exit>,
}

/// Starts the running program again, even if its file was replaced or deleted since.
///
/// `args` are all the arguments, the zeroth included. The environment is ours with `env` put over it. Of our
/// descriptors the child gets `inherit`, under the same numbers, `streams`, if any, as its standard output and
/// error, and those which the program itself left inheritable. Call it from a thread that never ends, if the child is to use
/// [`super::life::die_with_parent`].
pub(crate) fn respawn_self(
    inherit: &[BorrowedFd<'_>],
    streams: Option<[BorrowedFd<'_>; 2]>,
    env: &[(OsString, OsString)],
    args: &[OsString],
) -> io::Result<Child> {
    // The kernel gives a program that was started without arguments one empty argument; so do we.
    let empty = [OsString::new()];
    let args = if args.is_empty() { &empty } else { args };
    let args = args.iter().map(|arg| text("argument", arg.as_bytes())).collect::<io::Result<Vec<_>>>()?;
    let variables = environment(env)?;
    let (args, variables) = (pointers(&args), pointers(&variables));

    let mut attributes = Attributes::new()?;
    let mut actions = FileActions::new()?;
    attributes.reset_signals()?;
    inherit.iter().try_for_each(|fd| actions.copy(fd.as_raw_fd(), fd.as_raw_fd()))?;
    for (stream, number) in streams.iter().flatten().zip([libc::STDOUT_FILENO, libc::STDERR_FILENO]) {
        actions.copy(stream.as_raw_fd(), number)?;
    }
    let mut pid = 0;
    // SAFETY: the path is a constant; both lists end with a null pointer and their strings live in `args` and
    // `variables` above, which outlive the call; `attributes` and `actions` are initialised and outlive it
    // too.
    let started = succeeded(unsafe {
        libc::posix_spawn(
            &raw mut pid,
            c"/proc/self/exe".as_ptr(),
            &raw const actions.0,
            &raw const attributes.0,
            args.list.as_ptr().cast(),
            variables.list.as_ptr().cast(),
        )
    });
    started.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => io::Error::new(
            error.kind(),
            "cannot start /proc/self/exe: is /proc mounted in this chroot or container?",
        ),
        _ => error,
    })?;
    Ok(Child::started(pid))
}

/// The variables of this process with `changes` over them, each as `NAME=value`.
fn environment(changes: &[(OsString, OsString)]) -> io::Result<Vec<CString>> {
    for (name, _) in changes {
        if name.is_empty() || name.as_bytes().contains(&b'=') {
            return Err(invalid(format!(
                "the name of the environment variable {name:?} is empty or holds an `=`"
            )));
        }
    }
    let changed = |name: &OsStr| changes.iter().any(|(change, _)| change == name);
    std::env::vars_os()
        .filter(|(name, _)| !changed(name))
        .chain(changes.iter().cloned())
        .map(|(mut variable, value)| {
            variable.push("=");
            variable.push(value);
            text("environment variable", variable.as_bytes())
        })
        .collect()
}

fn text(what: &str, bytes: &[u8]) -> io::Result<CString> {
    CString::new(bytes).map_err(|_| {
        let shown = String::from_utf8_lossy(bytes);
        invalid(format!("the {what} {shown:?} holds a NUL byte, which no program can be given"))
    })
}

fn invalid(words: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, words)
}

/// A null-terminated list of C strings that stay alive as long as the list.
struct Pointers<'a> {
    list: Vec<*const libc::c_char>,
    _strings: &'a [CString],
}

fn pointers(strings: &[CString]) -> Pointers<'_> {
    let list = strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect();
    Pointers { list, _strings: strings }
}

/// Reads the result of a function that returns the error number itself.
fn succeeded(number: libc::c_int) -> io::Result<()> {
    if number == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(number)) }
}

struct Attributes(libc::posix_spawnattr_t);

impl Attributes {
    fn new() -> io::Result<Attributes> {
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: the function initialises what it is given.
        succeeded(unsafe { libc::posix_spawnattr_init(attributes.as_mut_ptr()) })?;
        // SAFETY: it has just succeeded.
        Ok(Attributes(unsafe { attributes.assume_init() }))
    }

    /// A child must not inherit that the program, or the thread that spawns, blocks or ignores a signal:
    /// std's `Command` lets both through, and a worker that ignores SIGTERM outlives its welcome. But Ctrl-C is held back
    /// until the child can swallow it (`swallow_interrupts`).
    fn reset_signals(&mut self) -> io::Result<()> {
        let (mut interrupts, mut all) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        let flags = libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
        // SAFETY: `sigemptyset` and `sigfillset` initialise the sets before they are used; `self.0` was initialised
        // by `new`.
        unsafe {
            check(libc::sigemptyset(interrupts.as_mut_ptr()))?;
            check(libc::sigaddset(interrupts.as_mut_ptr(), libc::SIGINT))?;
            check(libc::sigfillset(all.as_mut_ptr()))?;
            succeeded(libc::posix_spawnattr_setsigmask(&raw mut self.0, interrupts.as_ptr()))?;
            succeeded(libc::posix_spawnattr_setsigdefault(&raw mut self.0, all.as_ptr()))?;
            succeeded(libc::posix_spawnattr_setflags(&raw mut self.0, flags as libc::c_short))
        }
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: initialised by `new`, destroyed only here.
        unsafe { libc::posix_spawnattr_destroy(&raw mut self.0) };
    }
}

struct FileActions(libc::posix_spawn_file_actions_t);

impl FileActions {
    fn new() -> io::Result<FileActions> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: the function initialises what it is given.
        succeeded(unsafe { libc::posix_spawn_file_actions_init(actions.as_mut_ptr()) })?;
        // SAFETY: it has just succeeded.
        Ok(FileActions(unsafe { actions.assume_init() }))
    }

    /// Copying a descriptor, also onto itself, takes close-on-exec away, in the child only: POSIX says so for
    /// `posix_spawn`, and glibc and musl do it. So no other thread's child can get it, however the two race.
    fn copy(&mut self, fd: RawFd, to: RawFd) -> io::Result<()> {
        // SAFETY: `self.0` was initialised by `new`.
        succeeded(unsafe { libc::posix_spawn_file_actions_adddup2(&raw mut self.0, fd, to) })
    }
}

impl Drop for FileActions {
    fn drop(&mut self) {
        // SAFETY: initialised by `new`, destroyed only here.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}

/// Whether to wait for the end, and whether to take the status or to leave it for later.
#[derive(Clone, Copy)]
enum Ask {
    WaitAndTake,
    Take,
    Look,
}

impl Child {
    fn started(pid: libc::pid_t) -> Child {
        let mut child = Child { pid: pid.unsigned_abs(), pidfd: open_pidfd(pid), exit: None };
        // With a pidfd of a stranger, or of nobody, this gives `Unavailable`, and the pidfd is dropped.
        if let Ok(Some(Exit::Unavailable)) = child.ask(Ask::Look) {
            child.exit = Some(Exit::Unavailable);
            child.pidfd = None;
        }
        child
    }

    /// Ends the child now. To kill one that is dead already is no error.
    pub(crate) fn kill(&self) -> io::Result<()> {
        self.signal(libc::SIGKILL)
    }

    /// Asks the child to end.
    pub(crate) fn terminate(&self) -> io::Result<()> {
        self.signal(libc::SIGTERM)
    }

    fn signal(&self, signal: libc::c_int) -> io::Result<()> {
        if self.exit.is_some() {
            return Ok(());
        }
        if let Some(pidfd) = &self.pidfd {
            // SAFETY: the call takes a descriptor that `self` keeps open, a number, a null pointer and a
            // zero.
            let sent = check(unsafe {
                libc::syscall(
                    libc::SYS_pidfd_send_signal,
                    pidfd.as_raw_fd(),
                    signal,
                    ptr::null::<libc::siginfo_t>(),
                    0,
                )
            });
            match sent {
                Ok(_) => return Ok(()),
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(()),
                // Old kernel or a filter: by number, below.
                Err(_) => {}
            }
        }
        // A zombie keeps its number, so while the kernel says that it is our child the number is the child's.
        // Only a rival in this very program could reap it between the two calls.
        if self.ask(Ask::Look)? == Some(Exit::Unavailable) {
            return Ok(());
        }
        // SAFETY: takes two numbers.
        match check(unsafe { libc::kill(self.pid.cast_signed(), signal) }) {
            Err(error) if error.raw_os_error() != Some(libc::ESRCH) => Err(error),
            _ => Ok(()),
        }
    }

    /// Takes the status if the child is dead. Asked again later it gives the same.
    pub(crate) fn try_reap(&mut self) -> io::Result<Option<Exit>> {
        if self.exit.is_none() {
            self.exit = self.ask(Ask::Take)?;
        }
        Ok(self.exit)
    }

    /// Waits until the child is dead and takes the status.
    pub(crate) fn reap(&mut self) -> io::Result<Exit> {
        loop {
            if let Some(exit) = self.exit {
                return Ok(exit);
            }
            self.exit = self.ask(Ask::WaitAndTake)?;
        }
    }

    fn ask(&self, ask: Ask) -> io::Result<Option<Exit>> {
        let options = match ask {
            Ask::WaitAndTake => libc::WEXITED,
            Ask::Take => libc::WEXITED | libc::WNOHANG,
            Ask::Look => libc::WEXITED | libc::WNOHANG | libc::WNOWAIT,
        };
        let by_pid = (libc::P_PID, self.pid as libc::id_t);
        let mut target = match &self.pidfd {
            Some(pidfd) => (libc::P_PIDFD, pidfd.as_raw_fd() as libc::id_t),
            None => by_pid,
        };
        loop {
            // SAFETY: all-zero is a valid `siginfo_t`, and the one by which "nothing yet" is told from an
            // answer.
            let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
            // SAFETY: `info` is writable and outlives the call.
            match retry(|| unsafe { libc::waitid(target.0, target.1, &raw mut info, options) }) {
                Ok(_) => return Ok(read_exit(&info)),
                Err(error) => match error.raw_os_error() {
                    Some(libc::ECHILD) => return Ok(Some(Exit::Unavailable)),
                    // A kernel with pidfds that cannot wait for them (5.3).
                    Some(libc::EINVAL) if target != by_pid => target = by_pid,
                    _ => return Err(error),
                },
            }
        }
    }
}

fn read_exit(info: &libc::siginfo_t) -> Option<Exit> {
    // SAFETY: `waitid` filled the fields of SIGCHLD, or left the zeroes of the caller.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    if pid == 0 {
        return None;
    }
    Some(match info.si_code {
        libc::CLD_EXITED => Exit::Code(status),
        code => Exit::Signal { number: status, core: code == libc::CLD_DUMPED },
    })
}

fn open_pidfd(pid: libc::pid_t) -> Option<OwnedFd> {
    // SAFETY: takes two numbers, returns a new descriptor (always close-on-exec) or -1.
    let raw = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) }).ok()?;
    // SAFETY: the kernel has just made it for us.
    unsafe { fd::adopt(RawFd::try_from(raw).ok()?) }.ok()
}

/// The name of a signal as `kill -l` gives it.
pub(crate) fn signal_name(number: i32) -> &'static str {
    match number {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGUSR1 => "SIGUSR1",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGUSR2 => "SIGUSR2",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGALRM => "SIGALRM",
        libc::SIGTERM => "SIGTERM",
        libc::SIGCHLD => "SIGCHLD",
        libc::SIGCONT => "SIGCONT",
        libc::SIGSTOP => "SIGSTOP",
        libc::SIGTSTP => "SIGTSTP",
        libc::SIGTTIN => "SIGTTIN",
        libc::SIGTTOU => "SIGTTOU",
        libc::SIGURG => "SIGURG",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGXFSZ => "SIGXFSZ",
        libc::SIGVTALRM => "SIGVTALRM",
        libc::SIGPROF => "SIGPROF",
        libc::SIGWINCH => "SIGWINCH",
        libc::SIGIO => "SIGIO",
        libc::SIGPWR => "SIGPWR",
        libc::SIGSYS => "SIGSYS",
        libc::SIGSTKFLT => "SIGSTKFLT",
        32..=64 => "a real-time signal",
        _ => "an unknown signal",
    }
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::super::event::{Interest, Poller};
    use super::super::role;
    use super::super::socket::{Wait, pair, receive, send_all};
    use super::*;
    use std::os::fd::{AsFd, FromRawFd};
    use std::time::Duration;

    const HERE: &str = module_path!();

    #[test]
    #[ignore = "a role for other tests, played in a process of its own"]
    fn role_ends_as_told() {
        let Some(stage) = role::stage() else { return };
        let mut order = [0; 2];
        if receive(stage.as_fd(), &mut order, Wait::Block).unwrap() < 2 {
            role::leave(99);
        }
        match order[0] {
            b'c' => role::leave(i32::from(order[1])),
            // SAFETY: takes a number; ends this process, which plays a role and nothing else.
            _ => unsafe { libc::raise(i32::from(order[1])) },
        };
    }

    fn told(order: [u8; 2]) -> (Child, OwnedFd) {
        let (child, stage) = role::play(HERE, "role_ends_as_told");
        send_all(stage.as_fd(), &order).unwrap();
        (child, stage)
    }

    /// Waits, with a limit, until the kernel says that the child is dead.
    fn await_death(child: &Child) {
        let poller = Poller::new().unwrap();
        poller.add(child.pidfd.as_ref().unwrap().as_fd(), 0, Interest::Read).unwrap();
        let mut ready = Vec::new();
        poller.wait(&mut ready, Some(Duration::from_secs(30))).unwrap();
        assert!(ready[0].readable);
    }

    #[test]
    fn the_exit_code_and_the_signal_are_told_apart() {
        let (mut child, _stage) = told([b'c', 7]);
        assert_eq!(child.reap().unwrap(), Exit::Code(7));
        assert_eq!(child.try_reap().unwrap(), Some(Exit::Code(7)));
        let (mut child, _stage) = told([b's', libc::SIGTERM as u8]);
        assert_eq!(child.reap().unwrap(), Exit::Signal { number: libc::SIGTERM, core: false });
    }

    #[test]
    fn a_running_child_is_not_reaped_and_a_killed_one_shows_in_the_pidfd() {
        let (mut child, _stage) = role::play(HERE, "role_ends_as_told");
        assert_eq!(child.try_reap().unwrap(), None);
        child.kill().unwrap();
        await_death(&child);
        assert_eq!(child.try_reap().unwrap(), Some(Exit::Signal { number: libc::SIGKILL, core: false }));
        child.kill().unwrap();
    }

    /// faults.md, row 83: pidfd_open denied.
    #[test]
    fn a_child_without_a_pidfd_is_killed_and_reaped_by_number() {
        let (mut child, _stage) = role::play(HERE, "role_ends_as_told");
        child.pidfd = None;
        assert_eq!(child.try_reap().unwrap(), None);
        child.kill().unwrap();
        assert_eq!(child.reap().unwrap(), Exit::Signal { number: libc::SIGKILL, core: false });
    }

    /// faults.md, row 65: "a rival waitpid(-1): deaths still seen; status "unavailable" stated".
    #[test]
    fn a_status_taken_by_somebody_else_is_unavailable_and_no_stranger_is_killed() {
        for with_pidfd in [true, false] {
            let (mut child, _stage) = told([b'c', 3]);
            // SAFETY: a null pointer is allowed for the status; the number is that of our child.
            let taken =
                retry(|| unsafe { libc::waitpid(child.pid.cast_signed(), ptr::null_mut(), 0) }).unwrap();
            assert_eq!(taken.unsigned_abs(), child.pid);
            if !with_pidfd {
                child.pidfd = None;
            } else {
                await_death(&child);
            }
            child.kill().unwrap();
            assert_eq!(child.reap().unwrap(), Exit::Unavailable);
            // As it would have been, had the rival been faster than `pidfd_open`.
            assert_eq!(Child::started(child.pid.cast_signed()).try_reap().unwrap(), Some(Exit::Unavailable));
        }
    }

    #[test]
    fn a_pid_that_is_not_our_child_is_never_believed() {
        let mut stranger = Child::started(1);
        assert!(stranger.pidfd.is_none());
        stranger.kill().unwrap();
        assert_eq!(stranger.reap().unwrap(), Exit::Unavailable);
    }

    #[test]
    #[ignore = "a role for other tests, played in a process of its own"]
    fn role_tells_what_it_got() {
        let Some(stage) = role::stage() else { return };
        let mut told = format!("PATH set: {}\n", std::env::var_os("PATH").is_some());
        told += &format!("ROLE_EXTRA: {:?}\n", std::env::var_os("ROLE_EXTRA"));
        let mut blocked = MaybeUninit::uninit();
        // SAFETY: a null set changes nothing; the kernel fills `blocked`, which `sigismember` then reads.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, ptr::null(), blocked.as_mut_ptr());
            told += &format!("SIGUSR2 blocked: {}\n", libc::sigismember(blocked.as_ptr(), libc::SIGUSR2));
        }
        // SAFETY: an all-zero `sigaction` is valid and is written by the call, which changes nothing.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            libc::sigaction(libc::SIGUSR2, ptr::null(), &raw mut action);
            told += &format!("SIGUSR2 default: {}\n", action.sa_sigaction == libc::SIG_DFL);
        }
        for number in std::env::var("ROLE_NUMBERS").unwrap().split(' ') {
            told += &format!("open: {}\n", std::fs::exists(format!("/proc/self/fd/{number}")).unwrap());
        }
        send_all(stage.as_fd(), told.as_bytes()).unwrap();
        role::leave(0);
    }

    /// faults.md, row 67 and trap 11, and row 72 for our own descriptors.
    #[test]
    fn a_child_gets_our_environment_clean_signals_and_only_what_is_inheritable() {
        let (secret, _other) = pair().unwrap();
        // SAFETY: takes numbers. The copy lacks close-on-exec, as a descriptor that the program itself made
        // might.
        let inherited = check(unsafe { libc::fcntl(secret.as_raw_fd(), libc::F_DUPFD, 500) }).unwrap();
        // SAFETY: made in the line above, owned by nobody.
        let inherited = unsafe { OwnedFd::from_raw_fd(inherited) };
        // SAFETY: the set is initialised before use; the mask is this thread's, and ends with it.
        unsafe {
            let mut set = MaybeUninit::uninit();
            libc::sigemptyset(set.as_mut_ptr());
            libc::sigaddset(set.as_mut_ptr(), libc::SIGUSR2);
            libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), ptr::null_mut());
            libc::signal(libc::SIGUSR2, libc::SIG_IGN);
        }
        let numbers = format!("{} {}", secret.as_raw_fd(), inherited.as_raw_fd());
        let env = [("ROLE_EXTRA".into(), "a=b".into()), ("ROLE_NUMBERS".into(), numbers.into())];
        let (mut child, stage) = role::play_with(HERE, "role_tells_what_it_got", &env);
        let told = String::from_utf8(role::told(&mut child, stage)).unwrap();
        let path = std::env::var_os("PATH").is_some();
        let expected = format!(
            "PATH set: {path}\nROLE_EXTRA: Some(\"a=b\")\nSIGUSR2 blocked: 0\nSIGUSR2 default: true\n\
             open: false\nopen: true\n"
        );
        assert_eq!(told, expected);
    }

    #[test]
    fn a_nul_byte_and_a_bad_name_are_refused_with_words() {
        let (inherit, _other) = pair().unwrap();
        let refused = |env: &[(OsString, OsString)], args: &[OsString]| {
            let error = respawn_self(&[inherit.as_fd()], None, env, args).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            error.to_string()
        };
        let nul = || OsString::from("a\0b");
        let says = "holds a NUL byte, which no program can be given";
        assert_eq!(refused(&[], &["p".into(), nul()]), format!("the argument \"a\\0b\" {says}"));
        let variable = format!("the environment variable \"N=a\\0b\" {says}");
        assert_eq!(refused(&[("N".into(), nul())], &["p".into()]), variable);
        let name = "the name of the environment variable \"A=B\" is empty or holds an `=`";
        assert_eq!(refused(&[("A=B".into(), "x".into())], &["p".into()]), name);
    }

    #[test]
    fn a_later_variable_replaces_ours_instead_of_standing_beside_it() {
        let list = environment(&[("PATH".into(), "/xfork".into())]).unwrap();
        let paths: Vec<_> = list.iter().filter(|text| text.as_bytes().starts_with(b"PATH=")).collect();
        assert_eq!(paths, [c"PATH=/xfork"]);
    }

    #[test]
    fn signals_have_names() {
        assert_eq!(signal_name(9), "SIGKILL");
        assert_eq!(signal_name(libc::SIGSEGV), "SIGSEGV");
        assert_eq!(signal_name(40), "a real-time signal");
        assert_eq!(signal_name(-1), "an unknown signal");
    }
}
