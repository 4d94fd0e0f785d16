//! What the tests share: plans, functions to run, gates that tasks of any process stop at, notes of who ran, and a program
//! of one's own.

use std::any::Any;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use xfork::{Outcome, Outcomes, Plan, Runnable, Runner, cpu_bound, io_bound, with_plan};

/// Runs each task in a thread of its own.
struct OneThreadEach;

impl Runner for OneThreadEach {
    fn run(&self, task: Runnable) {
        thread::spawn(move || task.run());
    }
}

/// A plan of each kind, with what to call it.
pub(crate) fn plans() -> [(&'static str, Plan); 5] {
    [
        ("one process", Plan::processes(1)),
        ("two processes", Plan::processes(2)),
        ("threads", Plan::threads()),
        ("sequential", Plan::sequential()),
        ("a runner of one's own", Plan::runner(Arc::new(OneThreadEach))),
    ]
}

/// Runs `body` under every plan.
pub(crate) fn every_plan(body: impl Fn(&str)) {
    for (name, plan) in plans() {
        with_plan(plan, || body(name));
    }
}

#[cpu_bound]
pub(crate) fn plus(a: i64, b: i64) -> i64 {
    a + b
}

#[cpu_bound]
pub(crate) fn square(n: i64) -> i64 {
    n * n
}

#[cpu_bound]
pub(crate) fn total(all: Vec<i64>) -> i64 {
    all.into_iter().sum()
}

#[io_bound]
pub(crate) fn plus_io(a: i64, b: i64) -> i64 {
    a + b
}

#[io_bound]
pub(crate) fn total_io(all: Vec<i64>) -> i64 {
    all.into_iter().sum()
}

/// How many times something happened.
#[derive(Clone, Default)]
pub(crate) struct Count(Arc<AtomicUsize>);

impl Count {
    pub(crate) fn add(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Who did something, in order.
#[derive(Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    pub(crate) fn add(&self, note: &str) {
        self.0.lock().unwrap().push(note.into());
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// Where a note stands.
    pub(crate) fn place(&self, note: &str) -> usize {
        let notes = self.0.lock().unwrap();
        notes.iter().position(|other| other == note).unwrap_or_else(|| panic!("no {note} in {notes:?}"))
    }
}

/// All tasks with what came of them, shortly: a failure is told without its error.
pub(crate) fn told(outcomes: &Outcomes) -> Vec<String> {
    let tell = |(name, outcome): (&str, Outcome)| match outcome {
        Outcome::Failed(_) => format!("{name}: failed"),
        other => format!("{name}: {other}"),
    };
    outcomes.iter().map(tell).collect()
}

/// The text of the panic that `body` ends with.
pub(crate) fn panic_of<T>(body: impl FnOnce() -> T) -> String {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(_) => panic!("it did not panic"),
        Err(payload) => text_of(&*payload),
    }
}

fn text_of(payload: &(dyn Any + Send)) -> String {
    let literal = payload.downcast_ref::<&str>().map(|text| (*text).to_string());
    literal.or_else(|| payload.downcast_ref::<String>().cloned()).expect("a payload that is a text")
}

/// A folder of the test's own, removed at its end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("xfork-graphs-folder-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
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
}

impl Gate {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self::at(std::env::temp_dir().join(format!("xfork-graphs-{}-{number}", std::process::id())))
    }

    pub(crate) fn at(path: PathBuf) -> Self {
        Self { listener: UnixListener::bind(&path).expect("a gate"), path }
    }

    /// What a task is given to stop at the gate.
    pub(crate) fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// Waits for the next task that stops here; it goes on when what this gives is dropped.
    pub(crate) fn next(&self) -> Stopped {
        let (mut stream, _) = self.listener.accept().expect("the gate is open");
        let mut label = [0; 4];
        stream.read_exact(&mut label).expect("a task says who it is");
        Stopped { label: u32::from_le_bytes(label), _stream: stream }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A task that has stopped at a gate.
pub(crate) struct Stopped {
    pub(crate) label: u32,
    _stream: UnixStream,
}

/// Stops the calling task at a gate; goes on at once when there is none any more.
fn stop_at(gate: &Path, label: u32) {
    let Ok(mut stream) = UnixStream::connect(gate) else { return };
    if stream.write_all(&label.to_le_bytes()).is_ok() {
        // The end of the stream, or an error, is what is waited for.
        let _ = stream.read(&mut [0]);
    }
}

/// Stops at a gate, in a worker process, then gives the label.
#[cpu_bound]
pub(crate) fn pass(gate: &Path, label: u32) -> u32 {
    stop_at(gate, label);
    label
}

/// As `pass`, on a thread.
#[io_bound]
pub(crate) fn pass_io(gate: &Path, label: u32) -> u32 {
    stop_at(gate, label);
    label
}

/// Says in the environment for which test this binary has been started as a program.
const ROLE: &str = "XFORK_GRAPHS_PROGRAM";

/// Starts this binary again for the calling test alone, where it runs `body`; gives what the program printed to stderr. `None`
/// in the program itself.
pub(crate) fn stderr_of_program<F: FnOnce()>(body: F) -> Option<String> {
    let name = crate::test_name::<F>();
    if std::env::var(ROLE).is_ok_and(|role| role == name) {
        body();
        return None;
    }
    let binary = std::env::current_exe().expect("a test has a file");
    let mut command = Command::new(binary);
    command.args(["--exact", &name, "--nocapture", "--test-threads=2"]).env(ROLE, &name);
    for variable in
        ["XFORK_PLAN", "XFORK_WORKERS", "XFORK_SEED", "XFORK_OUTPUT", "XFORK_UNSEEN", "RUST_BACKTRACE"]
    {
        command.env_remove(variable);
    }
    let output = command.stdin(Stdio::null()).output().expect("the program runs");
    assert!(output.status.success(), "{output:?}");
    Some(String::from_utf8_lossy(&output.stderr).into_owned())
}
