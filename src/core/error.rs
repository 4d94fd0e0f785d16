//! [`TaskError`]: the one error type, small to pass around, asked by predicates and accessors.

use crate::core::cancel::Unwanted;
use crate::core::expression::Note;
use crate::core::{context, unseen};
pub(crate) use crate::ground::panics::ForkPlace;
use crate::ground::panics::{self, Blow, Frames, LastStack, PanicRecord, Payload, Place, Route};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Why a task gave no value.
///
/// Cheap to clone: clones share the failure. What kind of failure it is, is asked by predicates such as
/// [`is_panic`](Self::is_panic); what is known about it, by accessors such as [`signal`](Self::signal).
///
/// Whoever reads the proxy itself instead gets a panic, and a report on stderr: the message and its place, the stack
/// of that place, where the task was forked, and the operators and tasks that the failure came through. The report
/// is printed once; further reads of the same failure print a line. What [`catch_unwind`](std::panic::catch_unwind)
/// gets is, for a task that panicked, what the task threw, if it is a `&str` or a `String` or the task ran in this
/// process; a payload of another type cannot leave a worker process, so a `String` that says so comes in its place.
/// For any other failure it is this error's text, as a `String`.
///
/// ```
/// use xfork::{thread, wait};
///
/// let broken = thread(|| -> u32 { "seven".parse().unwrap() }, ());
/// let error = wait(&broken).unwrap_err();
/// assert!(error.is_panic());
/// assert!(error.message().contains("ParseIntError"));
/// ```
#[derive(Clone)]
pub struct TaskError(Arc<Shown>);

/// A failure together with the way it took to the reader.
#[derive(Clone)]
struct Shown {
    failure: Arc<Failure>,
    route: Route,
    /// The last task that was not run because of the failure.
    dependent: Option<Arc<ForkPlace>>,
}

/// The failure itself, shared by every error that it causes.
struct Failure {
    task: String,
    pid: Option<u32>,
    kind: Kind,
    /// The deferred operation that panicked.
    operation: Option<Box<Operation>>,
    tries: AtomicU32,
    /// The end of what the task printed.
    output: OnceLock<String>,
    seen: AtomicBool,
    reported: AtomicBool,
}

/// A deferred operation that panicked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Operation {
    pub(crate) symbol: Cow<'static, str>,
    /// Where it stands in the user's source.
    pub(crate) place: Place,
    /// The tasks whose results were its operands.
    pub(crate) operands: Vec<ForkPlace>,
}

/// What happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Kind {
    Panic {
        record: PanicRecord,
        payload: Payload,
    },
    Crash {
        exit: Exit,
        last_panic: Option<PanicRecord>,
        /// How many bytes the task was allowed, if that was limited.
        memory: Option<u64>,
        /// What the worker told while it died of a signal.
        stack: Option<LastStack>,
    },
    Encode {
        what: Cow<'static, str>,
        reason: String,
    },
    Decode {
        what: Cow<'static, str>,
        reason: String,
    },
    TooLarge {
        what: Cow<'static, str>,
        bytes: u64,
        limit: u64,
    },
    Spawn {
        reason: String,
    },
    BuildMismatch {
        ours: u64,
        theirs: u64,
    },
    PoolBroken {
        reason: String,
    },
    Protocol {
        reason: String,
    },
    Timeout {
        waited_ms: u64,
    },
    /// A task ran longer than it may.
    Expired {
        limit: Duration,
        clock: Clock,
        /// Whether it goes on, since threads can't be ended.
        goes_on: bool,
    },
    Dropped,
    Cancelled {
        why: Unwanted,
        /// Whether it had started and goes on, without anybody listening.
        goes_on: bool,
    },
    /// A value that is needed to compute itself; the operations on the way, outermost first.
    Cycle {
        path: Vec<Operation>,
    },
    /// What has come from another process is larger than the memory that could be had for it.
    NoMemory {
        what: Cow<'static, str>,
        bytes: u64,
    },
}

/// What a limit of time is measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Clock {
    Wall,
    Cpu,
}

impl Kind {
    /// The death of a worker in the middle of a task.
    ///
    /// Where panics abort, a panic is such a death: it is told as what it is, so that a program fails alike however it was
    /// built. The payload is then the text, which is all that is left.
    pub(crate) fn crash(exit: Exit, last_panic: Option<PanicRecord>, stack: Option<LastStack>) -> Self {
        match (exit, last_panic) {
            (Exit::Signal { number }, Some(record))
                if cfg!(panic = "abort") && signal_name(number) == "SIGABRT" =>
            {
                Self::Panic { payload: Payload::from(record.message.clone()), record }
            }
            (exit, last_panic) => Self::Crash { exit, last_panic, stack, memory: None },
        }
    }

    /// The text in it that may be long.
    fn text(&self) -> Option<&str> {
        match self {
            Self::Panic { record, .. } | Self::Crash { last_panic: Some(record), .. } => {
                Some(&record.message)
            }
            Self::Encode { reason, .. }
            | Self::Decode { reason, .. }
            | Self::Spawn { reason }
            | Self::PoolBroken { reason }
            | Self::Protocol { reason } => Some(reason),
            _ => None,
        }
    }
}

/// How a worker process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Exit {
    Code(i32),
    Signal { number: i32 },
    Unavailable,
}

impl Failure {
    fn new(task: String, pid: Option<u32>, kind: Kind, operation: Option<Box<Operation>>) -> Self {
        let (seen, reported) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { task, pid, kind, operation, tries: AtomicU32::new(1), output: OnceLock::new(), seen, reported }
    }
}

impl TaskError {
    pub(crate) fn new(task: &str, pid: Option<u32>, kind: Kind) -> Self {
        Self::of(task.to_string(), pid, kind, None)
    }

    fn of(task: String, pid: Option<u32>, kind: Kind, operation: Option<Box<Operation>>) -> Self {
        Self::on_the_way(Failure::new(task, pid, kind, operation), Route::default(), None)
    }

    fn on_the_way(failure: Failure, route: Route, dependent: Option<Arc<ForkPlace>>) -> Self {
        Self(Arc::new(Shown { failure: Arc::new(failure), route, dependent }))
    }

    /// The deferred operation that panicked, if that is what happened.
    pub(crate) fn operation(&self) -> Option<&Operation> {
        self.0.failure.operation.as_deref()
    }

    /// The same failure, seen through one more fork.
    pub(crate) fn forked(&self, fork: ForkPlace) -> Self {
        let mut shown = (*self.0).clone();
        shown.route.fork(fork);
        Self(Arc::new(shown))
    }

    /// The same failure, as the reason why a task was not run.
    pub(crate) fn depended_on_by(&self, fork: ForkPlace) -> Self {
        let mut shown = (*self.0).clone();
        shown.dependent = Some(Arc::new(ForkPlace { frames: None, ..fork.clone() }));
        shown.route.not_run(fork);
        Self(Arc::new(shown))
    }

    /// The same failure, seen through operations that it is an operand of.
    pub(crate) fn through(&self, operations: impl IntoIterator<Item = Note>) -> Self {
        let mut operations = operations.into_iter().peekable();
        if operations.peek().is_none() {
            return self.clone();
        }
        let mut shown = (*self.0).clone();
        for Note { symbol, place } in operations {
            shown.route.operator(symbol.into(), place.into());
        }
        Self(Arc::new(shown))
    }

    /// Whether this is why the task that was forked there was not run.
    pub(crate) fn kept_from_running(&self, fork: &ForkPlace) -> bool {
        self.0.dependent.as_ref().is_some_and(|dependent| dependent.is_like(fork))
    }

    /// Whether the task itself failed in a way that may not happen again.
    pub(crate) fn is_worth_another_try(&self) -> bool {
        let is_its_own = matches!(
            self.kind(),
            Kind::Panic { .. } | Kind::Crash { .. } | Kind::Expired { .. } | Kind::Protocol { .. }
        );
        is_its_own && !self.is_dependency()
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.0.failure.kind
    }

    /// The way from the failure to whoever has the error.
    pub(crate) fn route(&self) -> &Route {
        &self.0.route
    }

    /// Says that the failure is being reported, and whether it is for the first time.
    pub(crate) fn report_first(&self) -> bool {
        // Relaxed: who comes second only prints less.
        !self.0.failure.reported.swap(true, Ordering::Relaxed)
    }

    /// Says how often `task` was tried until it failed for good. The failure of another task, which it only passed on,
    /// keeps its own number.
    pub(crate) fn tried(self, task: &str, tries: u32) -> Self {
        if self.0.failure.task == task {
            // Relaxed: nobody else knows the error yet.
            self.0.failure.tries.store(tries, Ordering::Relaxed);
        }
        self
    }

    /// Says that somebody has looked at the failure, so that it isn't reported at exit.
    pub(crate) fn see(&self) {
        // Relaxed: the flag is read at exit, after everything has ended.
        self.0.failure.seen.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_seen(&self) -> bool {
        self.0.failure.seen.load(Ordering::Relaxed)
    }

    /// Whether two errors come from the same failure.
    pub(crate) fn same_failure(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0.failure, &other.0.failure)
    }

    /// Remembers the failure until the end of the process, for the report of what nobody looked at.
    pub(crate) fn remember(&self) {
        // About: a panic has its text twice, and beside the texts there are places and frames. The message of a crash would have
        // the names in its stack looked up, by the thread that sees to all workers.
        let texts = 2 * self.kind().text().map_or(0, str::len) + self.output().map_or(0, str::len);
        unseen::remember(self, texts + size_of::<Failure>() + (1 << 10));
    }

    /// The same for a failure that another process sent in so many bytes.
    pub(crate) fn remember_sent(&self, bytes: usize) {
        unseen::remember(self, bytes + size_of::<Failure>());
    }

    /// Whether the task panicked.
    ///
    /// Also in a program built with `panic = "abort"`, in which the worker process dies of the panic: it is then still a panic
    /// and no [crash](Self::is_crash), and its payload is the message, as a `String`.
    ///
    /// ```
    /// let error = xfork::wait(&xfork::thread(|| -> u8 { panic!("no") }, ())).unwrap_err();
    /// assert!(error.is_panic());
    /// ```
    pub fn is_panic(&self) -> bool {
        matches!(self.kind(), Kind::Panic { .. })
    }

    /// Whether the worker process that ran the task died: by a signal, or by ending itself. Its
    /// [`backtrace`](Self::backtrace) says where, and [`message`](Self::message) how.
    ///
    /// ```
    /// #[xfork::cpu_bound]
    /// fn leave() { std::process::exit(3) }
    ///
    /// let error = xfork::wait(&xfork::fork(leave, ())).unwrap_err();
    /// assert!(error.is_crash() && !error.is_panic());
    /// ```
    pub fn is_crash(&self) -> bool {
        matches!(self.kind(), Kind::Crash { .. })
    }

    /// Whether memory could not be had: a `Vec`, a `Box` or the like was refused it in the worker process, which in Rust ends the
    /// process, or the process that was to receive arguments or a result had none for them. If a process has none to
    /// encode them, that is an error of encoding.
    ///
    /// The former is known by the names of the functions on the stack, so a program without symbols can't tell.
    ///
    /// ```
    /// #[xfork::cpu_bound]
    /// fn greedy() -> usize { Vec::<u8>::with_capacity(1 << 46).capacity() }
    ///
    /// let error = xfork::wait(&xfork::fork(greedy, ())).unwrap_err();
    /// assert!(error.is_out_of_memory() && error.is_crash());
    /// ```
    pub fn is_out_of_memory(&self) -> bool {
        match self.kind() {
            Kind::NoMemory { .. } => true,
            Kind::Crash { exit: Exit::Signal { number }, stack: Some(stack), .. } => {
                signal_name(*number) == "SIGABRT" && stack.is_out_of_memory()
            }
            _ => false,
        }
    }

    /// Whether time ran out: that of a wait, after which the task itself goes on, or that which the task may take.
    ///
    /// ```
    /// use std::time::Duration;
    /// let (sender, receiver) = std::sync::mpsc::channel::<()>();
    /// let waits = xfork::thread(move || receiver.recv().is_ok(), ());
    /// assert!(xfork::wait_timeout(&waits, Duration::from_millis(1)).unwrap_err().is_timeout());
    /// sender.send(()).unwrap();
    /// ```
    pub fn is_timeout(&self) -> bool {
        matches!(self.kind(), Kind::Timeout { .. } | Kind::Expired { .. })
    }

    /// Whether the task was not run because a task whose result it takes failed.
    ///
    /// ```
    /// use xfork::{thread, wait};
    /// let origin = thread(|| -> u8 { panic!("no") }, ());
    /// let dependent = thread(|n: u8| n, &origin);
    /// let error = wait(&dependent).unwrap_err();
    /// assert!(error.is_dependency() && error.is_panic());
    /// ```
    pub fn is_dependency(&self) -> bool {
        self.0.dependent.is_some()
    }

    /// Whether arguments or the result could not travel between processes: they failed to serialise or
    /// deserialise, were too large, or there was no memory to receive them.
    ///
    /// ```
    /// use xfork::{fork, wait, with_plan, Plan};
    /// with_plan(Plan::processes(1).max_message(10), || {
    ///     assert!(wait(&fork(|text: String| text.len(), "more than ten bytes")).unwrap_err().is_transport());
    /// });
    /// ```
    pub fn is_transport(&self) -> bool {
        matches!(
            self.kind(),
            Kind::Encode { .. }
                | Kind::Decode { .. }
                | Kind::TooLarge { .. }
                | Kind::NoMemory { .. }
                | Kind::Protocol { .. }
        )
    }

    /// Whether no worker process could be started.
    ///
    /// ```
    /// let error = xfork::wait(&xfork::thread(|| -> u8 { panic!("no") }, ())).unwrap_err();
    /// assert!(!error.is_spawn());
    /// ```
    pub fn is_spawn(&self) -> bool {
        matches!(self.kind(), Kind::Spawn { .. } | Kind::PoolBroken { .. } | Kind::BuildMismatch { .. })
    }

    /// Whether the task's outcome was not wanted any more: it was cancelled, or its runner dropped it.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use xfork::{fork, wait, with_plan, Plan, Runnable, Runner};
    ///
    /// struct Lazy;
    /// impl Runner for Lazy {
    ///     fn run(&self, task: Runnable) { drop(task) }
    /// }
    /// with_plan(Plan::runner(Arc::new(Lazy)), || {
    ///     assert!(wait(&fork(|n: u32| n, 1)).unwrap_err().is_cancelled());
    /// });
    /// ```
    pub fn is_cancelled(&self) -> bool {
        matches!(self.kind(), Kind::Dropped | Kind::Cancelled { .. })
    }

    /// Whether the task was cancelled because the program was interrupted by Ctrl-C.
    ///
    /// ```
    /// let error = xfork::wait(&xfork::thread(|| -> u8 { panic!("no") }, ())).unwrap_err();
    /// assert!(!error.is_interrupted());
    /// ```
    pub fn is_interrupted(&self) -> bool {
        matches!(self.kind(), Kind::Cancelled { why: Unwanted::Interrupt, .. })
    }

    /// Whether a value was needed to compute itself, so that waiting for it would never have ended.
    ///
    /// ```
    /// use std::sync::{Arc, OnceLock};
    /// use xfork::{ResultProxy, lazy, wait};
    ///
    /// let itself: Arc<OnceLock<ResultProxy<u32>>> = Arc::default();
    /// let needs = itself.clone();
    /// let endless = itself.get_or_init(|| lazy(move || **needs.get().unwrap() + 1));
    /// assert!(wait(endless).unwrap_err().is_cycle());
    /// ```
    pub fn is_cycle(&self) -> bool {
        matches!(self.kind(), Kind::Cycle { .. })
    }

    /// The name of the task that failed first; for a dependency, that of the origin.
    ///
    /// ```
    /// #[xfork::cpu_bound]
    /// fn leave() { std::process::exit(3) }
    ///
    /// let error = xfork::wait(&xfork::fork(leave, ())).unwrap_err();
    /// assert!(error.task().ends_with("leave"));
    /// ```
    pub fn task(&self) -> &str {
        &self.0.failure.task
    }

    /// What happened, in one sentence fragment; for a panic, the panic's own message.
    ///
    /// ```
    /// let error = xfork::wait(&xfork::thread(|| -> u8 { panic!("no") }, ())).unwrap_err();
    /// assert_eq!(error.message(), "no");
    /// ```
    pub fn message(&self) -> Cow<'_, str> {
        match self.kind() {
            Kind::Panic { record, .. } => Cow::Borrowed(&record.message),
            _ => Cow::Owned(self.reason()),
        }
    }

    /// Where the task panicked, as `(file, line, column)`; line and column count from 1.
    ///
    /// ```
    /// let error = xfork::wait(&xfork::thread(|| -> u8 { panic!("no") }, ())).unwrap_err();
    /// let (file, line, column) = error.location().unwrap();
    /// assert!(file.ends_with(".rs") && line > 0 && column > 0);
    /// ```
    pub fn location(&self) -> Option<(&str, u32, u32)> {
        let record = match self.kind() {
            Kind::Panic { record, .. } => record,
            Kind::Crash { last_panic, .. } => last_panic.as_ref()?,
            _ => return None,
        };
        record.place.as_ref().map(|place| (&*place.file, place.line, place.column))
    }

    /// The stack of the place where the task panicked, or where a signal killed its worker, one resolved frame per line; `None`
    /// when there is none.
    ///
    /// A worker tells its stack when it dies of SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT or SIGTRAP, be it in Rust or in C. It can't
    /// when a thread that a task started by itself (not by a fork) has used up its stack, nor after the task has
    /// set a handler of its own for the signal.
    ///
    /// ```
    /// #[xfork::cpu_bound]
    /// fn leave() { std::process::exit(3) }
    /// #[xfork::cpu_bound]
    /// fn abort() { std::process::abort() }
    ///
    /// let error = xfork::wait(&xfork::fork(leave, ())).unwrap_err();
    /// assert!(error.backtrace().is_none());
    /// let error = xfork::wait(&xfork::fork(abort, ())).unwrap_err();
    /// assert!(error.backtrace().unwrap().contains("abort"));
    /// ```
    pub fn backtrace(&self) -> Option<String> {
        let text = panics::backtrace(self.frames()?);
        (!text.is_empty()).then_some(text)
    }

    /// The stack of the place where it happened, if somebody took it. Of a crash after a panic it is the panic's, which was
    /// the cause.
    pub(crate) fn frames(&self) -> Option<&Frames> {
        let frames = match self.kind() {
            Kind::Panic { record, .. } => &record.frames,
            Kind::Crash { last_panic, stack, .. } => {
                let of_panic = last_panic.as_ref().map(|record| &record.frames);
                of_panic.filter(|frames| !frames.is_empty()).or(stack.as_ref().map(|stack| &stack.frames))?
            }
            _ => return None,
        };
        (!frames.is_empty()).then_some(frames)
    }

    /// Where the failed task was forked, the innermost fork first, as `(file, line, column)`.
    ///
    /// ```
    /// let error = xfork::wait(&xfork::thread(|| -> u8 { panic!("no") }, ())).unwrap_err();
    /// assert_eq!(error.forked_at().len(), 1);
    /// ```
    pub fn forked_at(&self) -> Vec<(&str, u32, u32)> {
        self.0.route.forks().map(|fork| (&*fork.place.file, fork.place.line, fork.place.column)).collect()
    }

    /// Where the deferred operation stands that panicked when it was evaluated, as `(file, line, column)`; `None` when it
    /// was not one.
    ///
    /// ```
    /// let quotient = xfork::ready(1) / 0;
    /// let error = xfork::wait(&quotient).unwrap_err();
    /// assert_eq!(error.operator_at().unwrap().0, file!());
    /// assert_eq!(error.operator_at(), error.location());
    /// ```
    pub fn operator_at(&self) -> Option<(&str, u32, u32)> {
        self.operation().map(|Operation { place, .. }| (&*place.file, place.line, place.column))
    }

    /// The number of the signal that killed the worker.
    ///
    /// ```
    /// #[xfork::cpu_bound]
    /// fn abort() { std::process::abort() }
    ///
    /// let error = xfork::wait(&xfork::fork(abort, ())).unwrap_err();
    /// assert_eq!(error.signal(), Some(6));
    /// ```
    pub fn signal(&self) -> Option<i32> {
        match self.kind() {
            Kind::Crash { exit: Exit::Signal { number }, .. } => Some(*number),
            _ => None,
        }
    }

    /// The code with which the worker ended itself in the middle of the task.
    ///
    /// ```
    /// #[xfork::cpu_bound]
    /// fn leave() { std::process::exit(3) }
    ///
    /// let error = xfork::wait(&xfork::fork(leave, ())).unwrap_err();
    /// assert_eq!(error.exit_code(), Some(3));
    /// ```
    pub fn exit_code(&self) -> Option<i32> {
        match self.kind() {
            Kind::Crash { exit: Exit::Code(code), .. } => Some(*code),
            _ => None,
        }
    }

    /// The process id of the worker that ran the task, when one did.
    ///
    /// ```
    /// #[xfork::cpu_bound]
    /// fn leave() { std::process::exit(3) }
    ///
    /// let error = xfork::wait(&xfork::fork(leave, ())).unwrap_err();
    /// assert_ne!(error.pid(), Some(std::process::id()));
    /// ```
    pub fn pid(&self) -> Option<u32> {
        self.0.failure.pid
    }

    /// How often the task was tried until it failed for good: more than once only where it was allowed to be, by
    /// [`retries`](crate::Task::retries). Everything else in the error is about the last try.
    ///
    /// ```
    /// use std::time::Duration;
    /// use xfork::{io_bound, task, wait};
    ///
    /// let broken = task(io_bound(|| -> u8 { panic!("no") }), ()).retries(2).backoff(Duration::from_millis(1));
    /// let error = wait(&broken.fork()).unwrap_err();
    /// assert_eq!(error.tries(), 3);
    /// assert!(error.to_string().ends_with("no; tried 3 times"));
    /// ```
    pub fn tries(&self) -> u32 {
        self.0.failure.tries.load(Ordering::Relaxed)
    }

    /// What the failed task had printed, if that was captured ([`Output`](crate::Output)): the last 64 KiB of standard output
    /// and standard error together. Control characters are left in it.
    ///
    /// ```
    /// use xfork::{Output, Plan, fork, wait, with_plan};
    ///
    /// #[xfork::cpu_bound]
    /// fn leave() {
    ///     println!("goodbye");
    ///     std::process::exit(3)
    /// }
    ///
    /// with_plan(Plan::processes(1).output(Output::Captured), || {
    ///     assert_eq!(wait(&fork(leave, ())).unwrap_err().output(), Some("goodbye\n"));
    /// });
    /// ```
    pub fn output(&self) -> Option<&str> {
        self.0.failure.output.get().map(String::as_str)
    }

    /// Says what the failed task printed, unless that is known: of a failure that went through several tasks, what the first
    /// printed counts.
    pub(crate) fn set_output(&self, text: Option<String>) {
        if let Some(text) = text {
            let _ = self.0.failure.output.set(text);
        }
    }

    /// Who panicked, in words.
    fn subject(&self) -> String {
        match self.operation() {
            Some(Operation { symbol, place, .. }) => {
                format!("the deferred `{}` at {place}", panics::escape(symbol))
            }
            None => format!("task `{}`", self.0.failure.task),
        }
    }

    /// What happened, with the task and the worker, without what it led to.
    pub(crate) fn reason(&self) -> String {
        let task = &self.0.failure.task;
        let worker = self.0.failure.pid.map_or(String::new(), |pid| format!(" (worker {pid})"));
        match self.kind() {
            Kind::Panic { record, .. }
                if self.operation().is_some_and(|it| Some(&it.place) == record.place.as_ref()) =>
            {
                format!("{}{worker} panicked: {}", self.subject(), record.message)
            }
            Kind::Panic { record, .. } => match &record.place {
                Some(place) => format!("{}{worker} panicked at {place}: {}", self.subject(), record.message),
                None => format!("{}{worker} panicked: {}", self.subject(), record.message),
            },
            Kind::Crash { exit, last_panic, stack, memory } => {
                let worker = self.0.failure.pid.map_or("a worker".into(), |pid| format!("worker {pid}"));
                let how = match exit {
                    Exit::Code(code) => {
                        format!(
                            "it ended itself with exit code {code}; return from the task instead of exiting"
                        )
                    }
                    Exit::Signal { number } => {
                        format!(
                            "killed by signal {number} ({}){}",
                            signal_name(*number),
                            signal_hint(*number, stack.as_ref())
                        )
                    }
                    Exit::Unavailable => {
                        "its exit status is unavailable, because the program ignores or reaps SIGCHLD itself"
                            .into()
                    }
                };
                let panic = last_panic.as_ref().map_or(String::new(), |record| match &record.place {
                    Some(place) => format!("; it had panicked at {place}: {}", record.message),
                    None => format!("; it had panicked: {}", record.message),
                });
                let allowed = memory.filter(|_| self.is_out_of_memory()).map_or(String::new(), |bytes| {
                    format!("; it was allowed {} more than its worker had", memory_text(bytes))
                });
                let once = match self.tries() {
                    0 | 1 => "; the task is not run again because it had started",
                    _ => "",
                };
                format!("{worker} died while running `{task}`: {how}{panic}{allowed}{once}")
            }
            Kind::Encode { what, reason } => format!(
                "the {what} of `{task}` could not be serialised: {reason}; \
                 check its Serialize implementation, or run it on a thread with `thread(..)`"
            ),
            Kind::Decode { what, reason } => format!(
                "the {what} of `{task}`{worker} could not be deserialised: {reason}; \
                 check that Serialize and Deserialize fit each other (no untagged, flatten or skipped fields)"
            ),
            Kind::TooLarge { what, bytes, limit } => format!(
                "the {what} of `{task}`{worker} takes {bytes} bytes, more than the limit of {limit}; \
                 pass a path instead of the data, or raise the limit with Plan::max_message"
            ),
            Kind::NoMemory { what, bytes } => format!(
                "the {what} of `{task}`{worker} takes {bytes} bytes, and there was no memory to receive them; \
                 pass a path instead of the data, or a part of it at a time, or let processes have more memory (`ulimit -v`)"
            ),
            Kind::Spawn { reason } => format!("no worker could be started for `{task}`: {reason}"),
            Kind::BuildMismatch { ours, theirs } => format!(
                "the worker for `{task}` is another build (this program {ours:016x}, worker {theirs:016x}); \
                 restart the program"
            ),
            Kind::PoolBroken { reason } => format!(
                "`{task}` was not run: workers died again and again while starting; last cause: {reason}"
            ),
            Kind::Protocol { reason } => format!(
                "worker{} sent what no worker sends while `{task}` was its task: {reason}; \
                 the task may have damaged its process's memory or files",
                self.0.failure.pid.map_or(String::new(), |pid| format!(" {pid}"))
            ),
            Kind::Timeout { waited_ms } => format!("`{task}` was not ready after {waited_ms} ms; it goes on"),
            Kind::Expired { limit, clock, goes_on } => {
                let what = match clock {
                    Clock::Wall => "ran longer than its timeout of",
                    Clock::Cpu => "used more processor time than its limit of",
                };
                let then = if *goes_on {
                    "its thread goes on, because a thread can't be ended; a cpu_bound task can"
                } else {
                    "its worker was ended"
                };
                format!("`{task}`{worker} {what} {limit:?}; {then}")
            }
            Kind::Cancelled { why, goes_on } => {
                let why = match why {
                    Unwanted::Asked => "was cancelled",
                    Unwanted::Parent => "was cancelled, because the task that forked it has ended",
                    Unwanted::Interrupt => "was cancelled, because the program was interrupted",
                };
                let then =
                    if *goes_on { "; it had started, and goes on without anybody listening" } else { "" };
                format!("`{task}`{worker} {why}{then}")
            }
            Kind::Dropped => format!("`{task}` was not run: its runner dropped it"),
            Kind::Cycle { path } => {
                let mut text = format!("the value of `{task}` is needed to compute itself");
                for Operation { symbol, place, .. } in path {
                    text.push_str(&format!("; in `{symbol}` at {place}"));
                }
                text.push_str("; compute it without reading its own proxy");
                text
            }
        }
    }
}

/// So many bytes, in the largest unit that tells them exactly.
fn memory_text(bytes: u64) -> String {
    const UNITS: [(u32, &str); 4] = [(30, "GiB"), (20, "MiB"), (10, "KiB"), (0, "bytes")];
    let (shift, unit) =
        UNITS.into_iter().find(|(shift, _)| bytes.trailing_zeros() >= *shift).expect("all have zero");
    format!("{} {unit}", bytes >> shift)
}

fn signal_name(number: i32) -> &'static str {
    crate::ground::sys::signal_name(number)
}

/// What the signal means, as far as that is known.
fn signal_hint(number: i32, stack: Option<&LastStack>) -> String {
    let name = signal_name(number);
    let Some(stack) = stack else {
        let guess = match name {
            "SIGKILL" => ", possibly out of memory",
            "SIGSEGV" | "SIGBUS" => ", an invalid memory access or a stack overflow",
            "SIGABRT" => ", an abort, a failed allocation or a stack overflow",
            _ => "",
        };
        return guess.to_owned();
    };
    match (stack.blow, name) {
        (Blow::Overflow, _) => match stack.used_up_by() {
            Some(function) => format!(", a stack overflow in `{}`", panics::escape(&function)),
            None => ", a stack overflow".to_owned(),
        },
        (Blow::Untold, _) => {
            ", most likely a stack overflow in a thread that the task started; give the thread a larger stack"
                .to_owned()
        }
        (Blow::Sent(pid), _) => format!(", sent by process {pid}"),
        (Blow::Access(address), _) => format!(", an invalid memory access at address {address:#x}"),
        (Blow::Plain, "SIGSEGV" | "SIGBUS") => ", an invalid memory access".to_owned(),
        (Blow::Plain, "SIGILL") => ", an illegal instruction".to_owned(),
        (Blow::Plain, "SIGFPE") => ", an arithmetic fault".to_owned(),
        (Blow::Raised, "SIGABRT") if stack.is_out_of_memory() => {
            ", because memory allocation failed".to_owned()
        }
        (Blow::Raised, "SIGABRT") => ", an abort".to_owned(),
        (Blow::Raised, _) => ", raised by the process itself".to_owned(),
        (Blow::Plain, _) => String::new(),
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(last) = &self.0.dependent {
            let last = panics::escape(&last.task);
            write!(f, "`{last}` was not run, because what it depends on failed: ")?;
        }
        // Names and texts come from tasks, and perhaps from a worker that lies.
        f.write_str(&panics::escape(&self.reason()))?;
        match self.tries() {
            0 | 1 => Ok(()),
            tries => write!(f, "; tried {tries} times"),
        }
    }
}

impl fmt::Debug for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskError({self}")?;
        for operand in self.operation().into_iter().flat_map(|operation| &operation.operands) {
            write!(f, "; operand from `{}` forked at {}", panics::escape(&operand.task), operand.place)?;
        }
        for fork in self.0.route.forks() {
            write!(f, "; forked at {}", fork.place)?;
        }
        f.write_str(")")
    }
}

impl std::error::Error for TaskError {}

/// The error for a panic that was caught in `task`: its own, or one that it passes on.
pub(crate) fn panic_error(task: &str, caught: panics::Caught) -> TaskError {
    let panics::Caught { payload, record, inherited } = caught;
    match inherited.and_then(|error| error.downcast::<TaskError>().ok()) {
        Some(error) => *error,
        None => TaskError::new(task, context::worker_pid(), Kind::Panic { record, payload }),
    }
}

/// The error for a panic that was caught while a deferred operation was carried out.
///
/// An operator of a number panics inside the library, where plain Rust would name the operator: so does the error.
pub(crate) fn operation_error(caught: panics::Caught, operation: Operation) -> TaskError {
    let panics::Caught { payload, mut record, inherited } = caught;
    if let Some(error) = inherited.and_then(|error| error.downcast::<TaskError>().ok()) {
        let mut shown = (*error.0).clone();
        if !operation.place.file.starts_with(OWN_SOURCES) {
            shown.route.operator(operation.symbol, operation.place);
        }
        return TaskError(Arc::new(shown));
    }
    if record.place.as_ref().is_some_and(|place| is_inside_operators(&place.file)) {
        record.place = Some(operation.place.clone());
    }
    let task = format!("deferred {}", operation.symbol);
    TaskError::of(task, context::worker_pid(), Kind::Panic { record, payload }, Some(Box::new(operation)))
}

/// The folder of this crate's sources, as places in it begin.
const OWN_SOURCES: &str = {
    // This file is `core/error.rs` below that folder.
    let (own, _) = file!().split_at(file!().len() - "core/error.rs".len());
    own
};

/// Whether a panic's place lies where operators on proxies call those of the value: in this crate or in std.
fn is_inside_operators(file: &str) -> bool {
    file.starts_with("/rustc/") || file.contains("/library/core/src/") || file.starts_with(OWN_SOURCES)
}

/// A [`TaskError`] as it travels between processes.
#[derive(Serialize, Deserialize)]
pub(crate) struct WireError {
    task: String,
    pid: Option<u32>,
    kind: Kind,
    operation: Option<Box<Operation>>,
    tries: u32,
    route: Route,
    dependent: Option<ForkPlace>,
    output: Option<String>,
}

impl WireError {
    /// Without what only this build of the program can read: stacks, and the way through its sources.
    pub(crate) fn without_stacks(mut self) -> Self {
        match &mut self.kind {
            Kind::Panic { record, .. } => record.frames = Default::default(),
            Kind::Crash { last_panic, stack, .. } => {
                *stack = None;
                last_panic.iter_mut().for_each(|record| record.frames = Default::default());
            }
            _ => {}
        }
        self.route = Route::default();
        self
    }
}

impl From<&TaskError> for WireError {
    fn from(error: &TaskError) -> Self {
        let Failure { task, pid, kind, operation, .. } = &*error.0.failure;
        Self {
            task: task.clone(),
            pid: *pid,
            kind: kind.clone(),
            operation: operation.clone(),
            tries: error.tries(),
            route: error.0.route.clone(),
            dependent: error.0.dependent.as_deref().cloned(),
            output: error.output().map(str::to_string),
        }
    }
}

impl From<WireError> for TaskError {
    fn from(wire: WireError) -> Self {
        let WireError { task, pid, kind, operation, tries, route, dependent, output } = wire;
        let mut failure = Failure::new(task, pid, kind, operation);
        failure.tries = AtomicU32::new(tries);
        failure.output = output.map_or_else(OnceLock::new, OnceLock::from);
        Self::on_the_way(failure, route.bounded(), dependent.map(Arc::new))
    }
}
