//! Processes of their own for tests, watchdogs, and the proof that nothing is left.

use std::ffi::{CString, OsString};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use xfork::{Plan, TaskError, process, wait, with_plan};

const ALONE: &str = "XFORK_FAULTS_ALONE";
const PROGRAM: &str = "XFORK_FAULTS_PROGRAM";
/// How long a test may take.
const LIMIT: Duration = Duration::from_secs(120);
/// How long a worker may outlive its pool or its parent.
pub(crate) const GONE: Duration = Duration::from_secs(1);

/// Runs `body` in a process in which there is no other test, and checks that it leaves nothing.
pub(crate) fn alone(body: impl FnOnce()) {
    alone_for(LIMIT, body);
}

/// As [`alone`], for tests that take long.
pub(crate) fn alone_for(limit: Duration, body: impl FnOnce()) {
    alone_with(limit, Afterwards::Nothing, body);
}

/// What may be left in the process after a test.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Afterwards {
    /// No child, no descriptor, no thread of a pool.
    Nothing,
    /// The pool of the program, which lives as long as the program.
    ItsPool,
}

/// As [`alone`], with a choice of what may be left in the process; no process is, in any case.
pub(crate) fn alone_with(limit: Duration, afterwards: Afterwards, body: impl FnOnce()) {
    let name = std::thread::current().name().expect("libtest names its threads").to_string();
    if std::env::var(ALONE).is_ok_and(|alone| alone == name) {
        // What lasts as long as the program is there from its first fork on: the ear for Ctrl-C.
        with_plan(Plan::sequential(), || drop(process(double, 1)));
        let before = descriptors();
        body();
        if afterwards == Afterwards::Nothing {
            assert_nothing_left(&before);
        }
        return;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([&*name, "--exact", "--nocapture", "--test-threads=1"]).env(ALONE, &name);
    let ended = Started::new(&name, command).wait(limit);
    assert!(ended.status.success(), "{name}: {}\n{}{}", ended.status, ended.stdout, ended.stderr);
    eprint!("{}", ended.stderr);
}

/// A command that runs the function `name` of [`crate::programs`] in a new process.
pub(crate) fn program(name: &str) -> Command {
    program_of(&std::env::current_exe().unwrap(), name)
}

/// The same, from a copy of this binary.
pub(crate) fn program_of(exe: &Path, name: &str) -> Command {
    let mut command = Command::new(exe);
    command.args(["programs::program", "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(PROGRAM, name);
    // Tests in the background of a script, or under `nohup`, have these ignored, and so would the program.
    let listen = || {
        for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT] {
            // SAFETY: async-signal-safe, and SIG_DFL runs no code.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        Ok(())
    };
    // SAFETY: the function calls only what is async-signal-safe.
    unsafe { command.pre_exec(listen) };
    command
}

/// The name of the program to run in this process.
pub(crate) fn chosen_program() -> Option<String> {
    std::env::var(PROGRAM).ok()
}

/// Runs a command to its end, and checks that no process of it is left.
pub(crate) fn run(name: &str, command: Command) -> Ended {
    Started::new(name, command).wait(LIMIT)
}

/// The exit code by which a set-up between fork and exec says that the machine does not permit it.
pub(crate) const NOT_PERMITTED: i32 = 77;

/// [`run`] for a command with such a set-up; where it is not permitted, says so.
pub(crate) fn run_if_permitted(name: &str, command: Command) -> Option<Ended> {
    let ended = run(name, command);
    if ended.code() == Some(NOT_PERMITTED) {
        eprintln!("not tested: {name} can't be had here");
        return None;
    }
    Some(ended)
}

/// A process that leads a group of its own.
pub(crate) struct Started {
    name: String,
    child: Child,
    output: [File; 2],
    begun: Instant,
}

/// How a process ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Started {
    pub(crate) fn new(name: &str, mut command: Command) -> Self {
        // Not pipes: a worker that lives too long would hold them, and the reader would wait instead of telling.
        let output = [memory_file(), memory_file()];
        command
            .stdout(output[0].try_clone().unwrap())
            .stderr(output[1].try_clone().unwrap())
            .process_group(0);
        let child = command.spawn().unwrap();
        Self { name: name.to_string(), child, output, begun: Instant::now() }
    }

    pub(crate) fn group(&self) -> i32 {
        self.child.id() as i32
    }

    /// What it has written to standard error so far.
    pub(crate) fn stderr(&self) -> String {
        text(&self.output[1])
    }

    pub(crate) fn signal_group(&self, signal: i32) {
        // SAFETY: takes numbers.
        assert_eq!(unsafe { libc::kill(-self.group(), signal) }, 0);
    }

    /// Waits for the end; then nothing of its group may live for longer than a second.
    pub(crate) fn wait(mut self, limit: Duration) -> Ended {
        if !ends_within(self.child.id(), limit) {
            let stacks = dump(self.group());
            self.signal_group(libc::SIGKILL);
            let _ = self.child.wait();
            let [stdout, stderr] = self.output.each_ref().map(text);
            panic!("{} hangs after {:?}\n{stacks}\n{stdout}{stderr}", self.name, self.begun.elapsed());
        }
        let status = self.child.wait().unwrap();
        let end = Instant::now() + GONE;
        while let Some(&survivor) = members(self.group()).first() {
            if !ends_within(survivor, end.saturating_duration_since(Instant::now())) {
                let stacks = dump(self.group());
                // SAFETY: takes numbers.
                unsafe { libc::kill(-self.group(), libc::SIGKILL) };
                let [stdout, stderr] = self.output.each_ref().map(text);
                panic!("{} left processes behind\n{stacks}\n{stdout}{stderr}", self.name);
            }
        }
        let [stdout, stderr] = self.output.each_ref().map(text);
        Ended { status, stdout, stderr }
    }
}

impl Ended {
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    pub(crate) fn signal(&self) -> Option<i32> {
        self.status.signal()
    }
}

fn memory_file() -> File {
    // SAFETY: the name is a C string; the result is checked, and owned by nobody else.
    unsafe {
        let fd = libc::memfd_create(c"output".as_ptr(), libc::MFD_CLOEXEC);
        assert!(fd >= 0);
        File::from_raw_fd(fd)
    }
}

/// Everything that was written to a file, without moving its position.
fn text(file: &File) -> String {
    let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether a process ends within `limit`; one that does not exist has ended.
pub(crate) fn ends_within(pid: u32, limit: Duration) -> bool {
    // SAFETY: takes numbers; a descriptor that was made is owned by nobody else.
    let pidfd = unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, pid, 0);
        if fd < 0 {
            return true;
        }
        OwnedFd::from_raw_fd(fd as i32)
    };
    let mut poll = libc::pollfd { fd: pidfd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: `poll` is one entry and outlives the call.
    unsafe { libc::poll(&raw mut poll, 1, limit.as_millis() as i32) > 0 }
}

/// Waits until a condition holds that nothing signals; false if it doesn't in time.
pub(crate) fn within(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if holds() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether no thread of a process runs.
pub(crate) fn is_asleep(pid: u32) -> bool {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let stats = tasks.filter_map(|task| fs::read_to_string(task.path().join("stat")).ok());
    stats.into_iter().all(|stat| stat[stat.rfind(')').unwrap()..].starts_with(") S"))
}

/// State, parent and group of every process.
fn processes() -> Vec<(u32, char, u32, i32)> {
    let numbers = fs::read_dir("/proc").unwrap().flatten();
    let pids = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let mut fields = stat[stat.rfind(')')? + 2..].split(' ');
        Some((pid, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    })
    .collect()
}

/// The living processes of a group.
fn members(group: i32) -> Vec<u32> {
    let of_group =
        processes().into_iter().filter(|&(_, state, _, its)| its == group && !matches!(state, 'Z' | 'X'));
    of_group.map(|(pid, ..)| pid).collect()
}

/// The children of this process, dead ones that nobody has reaped included.
pub(crate) fn children() -> Vec<u32> {
    children_of(std::process::id())
}

/// The children of any process.
pub(crate) fn children_of(parent: u32) -> Vec<u32> {
    processes().into_iter().filter(|&(_, _, its, _)| its == parent).map(|(pid, ..)| pid).collect()
}

/// What every thread of a group is doing.
fn dump(group: i32) -> String {
    let mut out = String::new();
    for pid in members(group) {
        let _ = writeln!(out, "process {pid}");
        for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let read = |what: &str| fs::read_to_string(task.path().join(what)).unwrap_or_default();
            let (comm, wchan, call) = (read("comm"), read("wchan"), read("syscall"));
            let _ = writeln!(out, "  {}: {wchan}, system call {}", comm.trim(), call.trim());
        }
    }
    out
}

/// The open descriptors of this process, each with what it is.
fn descriptors() -> Vec<String> {
    descriptors_of("self")
}

/// How many they are.
pub(crate) fn open_descriptors() -> usize {
    descriptors().len()
}

/// The same of any process.
pub(crate) fn descriptors_of(pid: &str) -> Vec<String> {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let mut all: Vec<_> = links
        .filter_map(|link| {
            let target = fs::read_link(link.path()).ok()?;
            // The listing itself.
            let is_listing = target.starts_with("/proc") && target.ends_with("fd");
            (!is_listing).then(|| format!("{}: {}", link.file_name().display(), target.display()))
        })
        .collect();
    all.sort();
    all
}

/// The names of the threads of this process.
pub(crate) fn threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    tasks
        .filter_map(|task| Some(fs::read_to_string(task.path().join("comm")).ok()?.trim().to_string()))
        .collect()
}

fn assert_nothing_left(before: &[String]) {
    // A pool gives its workers a second to end.
    let limit = GONE * 3;
    assert!(within(limit, || children().is_empty()), "children are left: {:?}", children());
    let is_driver = |name: &String| name.starts_with("xfork-driver");
    assert!(within(limit, || !threads().iter().any(is_driver)), "threads are left: {:?}", threads());
    let left = || descriptors().into_iter().filter(|fd| !before.contains(fd)).collect::<Vec<_>>();
    assert!(within(limit, || left().is_empty()), "descriptors are left: {:?}", left());
}

/// A pool of `workers` for the forks in `scope`, after which it must still work.
pub(crate) fn pool<R>(workers: usize, scope: impl FnOnce() -> R) -> R {
    pool_of(Plan::processes(workers), scope)
}

/// The same for any plan.
pub(crate) fn pool_of<R>(plan: Plan, scope: impl FnOnce() -> R) -> R {
    with_plan(plan, || {
        let result = scope();
        the_next_task_succeeds();
        result
    })
}

/// Whether messages travel through shared memory: unless the environment says otherwise.
pub(crate) fn has_rings() -> bool {
    std::env::var_os("XFORK_TRANSPORT").is_none_or(|transport| transport == "rings")
}

pub(crate) fn the_next_task_succeeds() {
    assert_eq!(ended(process(double, 21)).expect("the next task succeeds"), 42);
}

/// The outcome of a task.
pub(crate) fn ended<T: Clone + Send + 'static>(proxy: xfork::ResultProxy<T>) -> Result<T, TaskError> {
    wait(&proxy).cloned()
}

pub(crate) fn double(n: u64) -> u64 {
    n * 2
}

/// Which process a task runs in.
pub(crate) fn own_process() -> u32 {
    std::process::id()
}

/// A directory that is deleted in the end.
pub(crate) struct Dir(PathBuf);

impl Dir {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("faults-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_string()
    }

    /// A copy of a program, which can be started at once.
    ///
    /// Another process writes it: what other tests start in that moment has our descriptors until its exec, and a file that
    /// somebody has open for writing can't be started.
    pub(crate) fn program(&self, name: &str, from: &Path) -> String {
        let path = self.path(name);
        assert!(Command::new("cp").arg(from).arg(&path).status().unwrap().success());
        path
    }

    /// A new pipe with a name, by which processes wait for each other.
    pub(crate) fn pipe(&self, name: &str) -> String {
        let path = self.path(name);
        let text = CString::new(path.clone()).unwrap();
        // SAFETY: `text` is a C string that outlives the call.
        assert_eq!(unsafe { libc::mkfifo(text.as_ptr(), 0o600) }, 0);
        path
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Writes to a pipe as soon as somebody reads it.
pub(crate) fn tell(pipe: &str, text: &str) {
    use std::io::Write;
    File::options().write(true).open(pipe).unwrap().write_all(text.as_bytes()).unwrap();
}

/// What one writer says into a pipe.
pub(crate) fn hear(pipe: &str) -> String {
    let mut text = String::new();
    File::open(pipe).unwrap().read_to_string(&mut text).unwrap();
    text
}

/// The process id that a task told.
pub(crate) fn hear_pid(pipe: &str) -> u32 {
    hear(pipe).parse().unwrap()
}

/// A task that says which process it is, and then runs until that is killed.
pub(crate) fn hang(pipe: String) -> u64 {
    tell(&pipe, &std::process::id().to_string());
    loop {
        std::thread::park();
    }
}

/// A task that leaves a trace.
pub(crate) fn leave_a_trace(path: String) {
    use std::io::Write;
    File::options().append(true).create(true).open(path).unwrap().write_all(b"x").unwrap();
}

/// How many traces were left.
pub(crate) fn traces(path: &str) -> usize {
    fs::read(path).map_or(0, |bytes| bytes.len())
}

pub(crate) fn kill(pid: u32, signal: i32) {
    // SAFETY: takes numbers.
    unsafe { libc::kill(pid as i32, signal) };
}

/// Stops a process, and waits until it has stopped.
pub(crate) fn stop(pid: u32) {
    kill(pid, libc::SIGSTOP);
    let is_stopped = || processes().iter().any(|&(other, state, ..)| other == pid && state == 'T');
    assert!(within(GONE, is_stopped), "{pid} does not stop");
}

/// A command without input.
pub(crate) fn quiet(mut command: Command) -> Command {
    command.stdin(Stdio::null());
    command
}

/// Numbers that need not be good.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Self {
        Self(
            u64::from(std::process::id()) << 32
                | u64::from(std::time::UNIX_EPOCH.elapsed().unwrap().subsec_nanos())
                | 1,
        )
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// For how long a test that looks for rare races does so: `seconds`, unless the environment says otherwise.
pub(crate) fn soak_time(seconds: u64) -> Duration {
    let told = std::env::var("XFORK_SOAK_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(told.unwrap_or(seconds))
}

/// A file name for [`OsString`] arguments.
pub(crate) fn os(text: &str) -> OsString {
    text.into()
}
