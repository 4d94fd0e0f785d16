//! What the tests share: a deadline, a gate where tasks stop, a folder for a while, and a program of one's own.
//!
//! None of them sleeps to let something happen. A test that fails leaves no task behind that waits for it: a gate
//! that is gone stops nobody.

use std::any::{Any, type_name};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use xfork::cpu_bound;

/// Time enough for anything on a busy machine: reached only by what hangs.
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
/// Time enough for the tests that run many tasks.
pub(crate) const MINUTES: Duration = Duration::from_secs(180);

/// Runs `body` in a thread, and fails with the test's name when it has not ended in time.
pub(crate) fn deadline<F: FnOnce() + Send + 'static>(limit: Duration, body: F) {
    let name = test_name::<F>();
    let (ended, end) = channel::<()>();
    let body = move || {
        // Dropped at the end of the thread, however it ends.
        let _ended = ended;
        body();
    };
    let thread = thread::Builder::new().name(name.clone()).spawn(body).expect("a thread for the test");
    if end.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
        end_even_if_tasks_hang();
        panic!("{name} has not ended after {limit:?}");
    }
    if let Err(panic) = thread.join() {
        resume_unwind(panic);
    }
}

/// A process waits at its end for its tasks: with one that hangs, the other tests get some time, then it is aborted.
fn end_even_if_tasks_hang() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        thread::spawn(|| {
            thread::sleep(MINUTES);
            eprintln!("aborted: a test hangs, see above");
            std::process::abort();
        });
    });
}

/// The name of the test that has `F` as its innermost closure but one, as libtest knows it.
fn test_name<F>() -> String {
    let path = type_name::<F>().trim_end_matches("::{{closure}}");
    path.split_once("::").expect("a test lies in a module").1.to_string()
}

/// A folder that lives as long as its value.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("xfork-it-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).expect("a folder for the test");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a file in the folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// How many files are in it.
    pub(crate) fn count(&self) -> usize {
        std::fs::read_dir(&self.0).expect("the folder is there").count()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A place where tasks, in whatever process, stop until the test lets them go on.
pub(crate) struct Gate {
    listener: UnixListener,
    path: PathBuf,
    _folder: Option<Folder>,
}

impl Gate {
    pub(crate) fn new() -> Self {
        let folder = Folder::new();
        let gate = Self::inside(folder.path());
        Self { _folder: Some(folder), ..gate }
    }

    /// A gate in a folder that somebody else will remove.
    pub(crate) fn inside(folder: &Path) -> Self {
        let path = folder.join("gate");
        Self { listener: UnixListener::bind(&path).expect("a gate"), path, _folder: None }
    }

    /// What a task is given to stop at the gate.
    pub(crate) fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// Waits for the next task that stops here.
    pub(crate) fn next(&self) -> Stopped {
        let (mut stream, _) = self.listener.accept().expect("the gate is open");
        let mut told = [0; 8];
        stream.read_exact(&mut told).expect("a task says who it is");
        let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four bytes"));
        Stopped { pid: word(&told[..4]), label: word(&told[4..]), _stream: stream }
    }

    /// Waits for several.
    pub(crate) fn many(&self, count: usize) -> Vec<Stopped> {
        (0..count).map(|_| self.next()).collect()
    }
}

/// A task that has stopped at a gate; goes on when this is dropped.
pub(crate) struct Stopped {
    pub(crate) pid: u32,
    pub(crate) label: u32,
    _stream: UnixStream,
}

impl Stopped {
    pub(crate) fn let_go(self) {}
}

/// Stops the calling task at a gate; goes on at once when there is none any more.
pub(crate) fn stop_at(gate: &Path, label: u32) {
    let Ok(mut stream) = UnixStream::connect(gate) else { return };
    let mut told = std::process::id().to_le_bytes().to_vec();
    told.extend(label.to_le_bytes());
    if stream.write_all(&told).is_ok() {
        // The end of the stream, or an error, is what is waited for.
        let _ = stream.read(&mut [0]);
    }
}

/// Stops at a gate, then gives the label.
#[cpu_bound]
pub(crate) fn pass(gate: &Path, label: u32) -> u32 {
    stop_at(gate, label);
    label
}

/// As `pass`, on a thread.
#[xfork::io_bound]
pub(crate) fn pass_io(gate: &Path, label: u32) -> u32 {
    stop_at(gate, label);
    label
}

#[cpu_bound]
pub(crate) fn fib(n: u64) -> u64 {
    if n < 2 { n } else { fib(n - 1) + fib(n - 2) }
}

#[cpu_bound]
pub(crate) fn square(n: u64) -> u64 {
    n * n
}

#[cpu_bound]
pub(crate) fn own_pid() -> u32 {
    std::process::id()
}

/// Panics with a text, in a worker.
#[cpu_bound]
pub(crate) fn fail(text: &str) -> u64 {
    panic!("{text}")
}

/// Panics with a text, on a thread.
#[xfork::io_bound]
pub(crate) fn fail_io(text: &str) -> u64 {
    panic!("{text}")
}

/// The text of the panic that `body` ends with.
pub(crate) fn panic_of<T>(body: impl FnOnce() -> T) -> String {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(_) => panic!("it did not panic"),
        Err(payload) => text_of(&*payload),
    }
}

/// The text in a panic's payload.
pub(crate) fn text_of(payload: &(dyn Any + Send)) -> String {
    let literal = payload.downcast_ref::<&str>().map(|text| (*text).to_string());
    literal.or_else(|| payload.downcast_ref::<String>().cloned()).expect("a payload that is a text")
}

/// The processes that this one has started and not reaped.
pub(crate) fn children() -> Vec<u32> {
    let tasks = std::fs::read_dir("/proc/self/task").expect("proc is mounted");
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<u32>>())
        .collect()
}

/// Says in the environment for which test this binary has been started as a program.
const ROLE: &str = "XFORK_IT_PROGRAM";

/// Says in the environment which folder a program may write to.
const FOLDER: &str = "XFORK_IT_FOLDER";

/// In a program: the folder that the test will look into.
pub(crate) fn given_folder() -> PathBuf {
    std::env::var_os(FOLDER).expect("a program is given a folder").into()
}

/// A program of one's own: this test binary, started again for the calling test alone, where it runs a body.
pub(crate) struct Program {
    environment: Vec<(String, String)>,
    redirections: &'static str,
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// What the program knew as its `given_folder`.
    pub(crate) folder: Folder,
}

impl Program {
    pub(crate) fn new() -> Self {
        Self { environment: Vec::new(), redirections: "" }
    }

    /// Sets a variable of its environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Has a shell start it, with these redirections.
    pub(crate) fn redirected(mut self, redirections: &'static str) -> Self {
        self.redirections = redirections;
        self
    }

    /// Runs it to its end, and that of every process that holds its output. `None` in the program itself, once it has
    /// run `body`: the test then just returns.
    pub(crate) fn run<F: FnOnce()>(self, body: F) -> Option<Ended> {
        let name = test_name::<F>();
        if std::env::var(ROLE).is_ok_and(|role| role == name) {
            body();
            return None;
        }
        let folder = Folder::new();
        let binary = std::env::current_exe().expect("a test has a file");
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("exec \"$0\" \"$@\" {}", self.redirections)).arg(binary);
        command.args(["--exact", &name, "--nocapture", "--test-threads=2"]);
        for variable in
            ["XFORK_PLAN", "XFORK_WORKERS", "XFORK_SEED", "XFORK_OUTPUT", "XFORK_UNSEEN", "RUST_BACKTRACE"]
        {
            command.env_remove(variable);
        }
        command.env(ROLE, &name).env(FOLDER, folder.path()).envs(self.environment);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().expect("a shell");
        let pid = child.id();
        let (ended, end) = channel();
        thread::spawn(move || ended.send(child.wait_with_output()));
        let Ok(output) = end.recv_timeout(MINUTE) else {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
            panic!("the program of {name} has not ended after {MINUTE:?}");
        };
        let output = output.expect("its output can be read");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        Some(Ended { code: output.status.code(), stdout, stderr, folder })
    }
}

/// A proxy of `[1, 4, 9]`.
pub(crate) fn map_values() -> xfork::ResultProxy<Vec<u64>> {
    xfork::process(|| vec![1, 4, 9], ())
}
