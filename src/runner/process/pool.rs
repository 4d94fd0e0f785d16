//! Performs what the supervisor decides: starts workers, moves frames, ends tasks and workers.
//!
//! A caller of `fork` writes its task to the worker's socket itself when a worker is free. One driver thread does the
//! rest: it reads every worker's socket, writes what did not fit, starts workers (it lives as long as the pool, and the
//! kernel ties a child's life to the thread that made it) and sees them die. No lock is held while code of the user
//! (a `Serialize`, a `Drop`) runs.

use super::boot;
use super::captured::{self, Captured};
use super::relay::Relay;
use super::settings::Settings;
use super::supervisor::{Action, Event, Supervisor, Violation, Why, WorkerId};
use crate::core::cancel::{self, Unwanted};
use crate::core::error::{Clock, Exit, Kind, TaskError, WireError};
use crate::core::limits::Terms;
use crate::core::output::{self, Output};
use crate::core::runner::{Ending, Runnable, Runner};
use crate::core::task::{Body, TaskCore};
use crate::core::timer::{self, Alarm};
use crate::ground::panics::{LastStack, PanicRecord};
use crate::ground::registry::{self, EntryId};
use crate::ground::sys::crash::{CrashPage, LastWords};
use crate::ground::sys::{self, EventFd, Interest, Poller, Ready, Wait};
use crate::ground::wire::codec;
use crate::ground::wire::frame::{self, Decoder, Frame};
use crate::ground::wire::message::{FromWorker, PROTOCOL, ToWorker, begin_task};
use parking_lot::{Mutex, MutexGuard};
use std::borrow::Cow;
use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

/// How long a worker may take from its start to its `Hello`, unless [`BOOT_VARIABLE`] says otherwise.
const BOOT_LIMIT: Duration = Duration::from_secs(30);
/// Says it in milliseconds.
const BOOT_VARIABLE: &str = "XFORK_BOOT_LIMIT_MS";

/// The runner of cpu-bound tasks: a pool of worker processes.
pub(crate) struct Processes {
    shared: Arc<Shared>,
}

/// What the callers and the driver share.
pub(super) struct Shared {
    me: Weak<Shared>,
    settings: Settings,
    boot_limit: Duration,
    state: Mutex<State>,
    wake: EventFd,
    poller: Poller,
    /// Set once if this program can't have workers at all.
    impossible: OnceLock<String>,
    /// The process that has the workers; a copy of it, made by the system's `fork`, has none, and must not write to them.
    owner: u32,
}

struct State {
    supervisor: Supervisor,
    tasks: HashMap<u64, Entry>,
    /// The tasks that workers handed over, by the worker and the number that it knows them by.
    relayed: HashMap<(WorkerId, u64), u64>,
    links: HashMap<WorkerId, Arc<Link>>,
    spawns: Vec<WorkerId>,
    /// Workers that have to end, and how.
    ends: Vec<(WorkerId, End)>,
    driven: bool,
    closing: bool,
}

/// A task whose outcome is not decided.
struct Entry {
    body: Arc<dyn Body>,
    /// The worker that handed it over, and the number that it knows it by.
    origin: Option<(WorkerId, u64)>,
    /// While it runs: what ends it when its time is over, and what looks at its worker's clock next.
    timeout: Option<Alarm>,
    look: Option<Alarm>,
}

/// How a worker is made to end.
#[derive(Clone, Copy)]
enum End {
    /// It has been told to leave.
    Leave,
    /// It is running what nobody wants.
    Terminate,
    /// It is to be killed if it has not been ended or spared for long.
    Warn,
    Spare,
}

impl State {
    fn take(&mut self, id: u64) -> Option<Arc<dyn Body>> {
        let entry = self.tasks.remove(&id)?;
        if let Some(origin) = entry.origin {
            self.relayed.remove(&origin);
        }
        Some(entry.body)
    }

    /// The outcome of a task was decided before it was written to the worker that was to run it: the worker will never see
    /// it, nor give it back.
    fn is_not_sent(&mut self, worker: WorkerId, id: u64) -> Vec<Action> {
        if !self.supervisor.is_sent(worker, id) {
            return Vec::new();
        }
        self.supervisor.step(Event::Unsendable(worker, id)).expect("not a worker's message")
    }

    /// The worker that is adding to the text of this task.
    fn printer(&self, id: u64) -> Option<Arc<Link>> {
        self.links.get(&self.supervisor.is_innermost_in(id)?).cloned()
    }
}

/// The program's end of one worker.
pub(super) struct Link {
    worker: WorkerId,
    pid: u32,
    socket: OwnedFd,
    /// May be taken while the pool's state is held, never the other way round; nothing blocks while it is held.
    out: Mutex<Out>,
    dead: AtomicBool,
    /// What the worker prints, if that is captured.
    captured: Option<Mutex<Captured>>,
}

/// Bytes that the socket did not take yet.
#[derive(Default)]
struct Out {
    bytes: Vec<u8>,
    sent: usize,
}

/// What only the driver knows of a worker.
struct Driven {
    link: Arc<Link>,
    child: sys::Child,
    decoder: Decoder,
    born: Instant,
    ready: bool,
    /// When it last said something.
    heard: Instant,
    /// When to kill it, if it is to end.
    kill_at: Option<Instant>,
    last_panic: Option<PanicRecord>,
    /// Why it could not be prepared.
    unprepared: Option<TaskError>,
    /// Where it tells of a signal that kills it; without a memory file it can't.
    page: Option<CrashPage>,
    /// Why the driver killed it, if it did.
    verdict: Option<Verdict>,
}

enum Verdict {
    Protocol(String),
    TooLarge { declared: u64, limit: u64 },
    Slow,
}

impl Processes {
    pub(crate) fn new(settings: Settings) -> Arc<Self> {
        boot::install();
        if settings.output == Output::Captured {
            output::begin();
        }
        let (wake, poller) = match (EventFd::new(), Poller::new()) {
            (Ok(wake), Ok(poller)) => (wake, poller),
            (Err(error), _) | (_, Err(error)) => {
                panic!("xfork: the process pool needs a few descriptors: {error}")
            }
        };
        let shared = Arc::new_cyclic(|me| Shared {
            me: me.clone(),
            boot_limit: boot_limit(),
            state: Mutex::new(State {
                supervisor: Supervisor::new(settings.workers, settings.max_tasks),
                tasks: HashMap::new(),
                relayed: HashMap::new(),
                links: HashMap::new(),
                spawns: Vec::new(),
                ends: Vec::new(),
                driven: false,
                closing: false,
            }),
            settings,
            wake,
            poller,
            impossible: OnceLock::new(),
            owner: std::process::id(),
        });
        if let Some(reason) = why_impossible() {
            let _ = shared.impossible.set(reason);
        }
        Arc::new(Self { shared })
    }
}

fn boot_limit() -> Duration {
    let told = std::env::var(BOOT_VARIABLE).ok().and_then(|text| text.trim().parse().ok());
    told.map_or(BOOT_LIMIT, Duration::from_millis)
}

/// Why this program cannot start itself again as a worker.
fn why_impossible() -> Option<String> {
    if cfg!(miri) {
        return Some("there are no processes under Miri; use Plan::threads()".into());
    }
    if !sys::is_main_image(why_impossible as *const ()) {
        return Some(
            "xfork was loaded as part of a shared library, and the main program knows nothing of it; \
             use Plan::threads()"
                .into(),
        );
    }
    if sys::is_secure_execution() {
        // Its workers would have to ignore that they are such, and would run `main`.
        return Some(
            "this program has more rights than its user (set-uid, or capabilities), and such a program can't start \
             itself as a worker; use Plan::threads()"
                .into(),
        );
    }
    if std::env::var_os(boot::VARIABLE).is_some() {
        return Some(format!(
            "{} is set, and the hook that removes it has not run; unset it, or use Plan::threads()",
            boot::VARIABLE
        ));
    }
    if registry::is_empty() {
        return Some("the table of functions is empty; use Plan::threads()".into());
    }
    None
}

impl Runner for Processes {
    fn run(&self, task: Runnable) {
        self.shared.submit(task.into_task(), None);
    }

    fn cancel_waiting(&self) -> usize {
        if self.shared.is_copy() {
            return 0;
        }
        let actions = {
            let mut state = self.shared.state.lock();
            state.supervisor.step(Event::CancelWaiting).expect("not a worker's message")
        };
        let count = actions.iter().filter(|action| matches!(action, Action::Cancelled(_))).count();
        self.shared.perform(actions);
        count
    }

    fn end(&self, ending: &Ending<'_>) -> Option<bool> {
        if self.shared.is_copy() {
            return None;
        }
        let ticket = ending.task.core().ticket();
        Some(self.shared.end(ticket, ending.error.clone()))
    }

    fn gives_back(&self) -> bool {
        false
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        if self.shared.is_copy() {
            return;
        }
        self.shared.state.lock().closing = true;
        self.shared.wake.signal();
    }
}

impl Shared {
    fn is_copy(&self) -> bool {
        std::process::id() != self.owner
    }

    fn submit(&self, body: Arc<dyn Body>, relayed: Option<Relayed>) {
        // What a worker hands over has been claimed there.
        let is_claimed = relayed.is_some();
        let copy = self.is_copy().then(|| {
            let owner = self.owner;
            format!(
                "this process is a copy, made by fork(), of process {owner}, which has the workers; \
                 give it its own with xfork::plan, or fork before the first task"
            )
        });
        if let Some(reason) = copy.or_else(|| self.impossible.get().cloned()) {
            if !is_claimed && !body.core().claim() {
                return;
            }
            let error = TaskError::new(body.core().name(), None, Kind::Spawn { reason });
            body.fail(error);
            return;
        }
        let id = body.core().new_ticket();
        let limits = body.core().terms.limits;
        let actions = {
            let mut state = self.state.lock();
            // Under the lock: who cancels the task finds it unclaimed, or here.
            if !is_claimed && !body.core().claim() {
                return;
            }
            if !state.driven
                && let Err(error) = drive(self.me.upgrade().expect("a pool in use is alive"))
            {
                drop(state);
                let reason = format!("the process pool needs a thread: {error}");
                let error = TaskError::new(body.core().name(), None, Kind::Spawn { reason });
                body.fail(error);
                return;
            }
            state.driven = true;
            let origin = relayed.as_ref().map(|relayed| (relayed.worker, relayed.id));
            if let Some(origin) = origin {
                state.relayed.insert(origin, id);
            }
            state.tasks.insert(id, Entry { body, origin, timeout: None, look: None });
            let event = Event::Submit {
                id,
                parent: relayed.map(|relayed| relayed.parent),
                priority: limits.priority.unwrap_or(0),
                alone: limits.need_a_process(),
            };
            state.supervisor.step(event).expect("a submission is no worker's message")
        };
        self.perform(actions);
    }

    /// Ends a task with this error, if its outcome is not decided; says whether it was not.
    fn end(&self, id: u64, error: TaskError) -> bool {
        let (body, printer, actions) = {
            let mut state = self.state.lock();
            let Some(body) = state.take(id) else { return false };
            let printer = state.printer(id);
            (body, printer, state.supervisor.step(Event::Cancel(id)).expect("not a worker's message"))
        };
        print_rest(&body, printer);
        body.fail(error);
        self.perform(actions);
        true
    }

    /// A worker has started a task: from now on its time runs.
    fn watch_time(&self, id: u64, body: &Arc<dyn Body>, pid: u32) {
        let limits = body.core().terms.limits;
        let expire = move |shared: &Weak<Shared>, body: &Weak<dyn Body>, limit, clock| {
            if let (Some(shared), Some(body)) = (shared.upgrade(), body.upgrade()) {
                let kind = Kind::Expired { limit, clock, goes_on: false };
                shared.end(id, TaskError::new(body.core().name(), Some(pid), kind));
            }
        };
        let timeout = limits.timeout.map(|limit| {
            let (shared, body) = (self.me.clone(), Arc::downgrade(body));
            timer::after(limit, move || expire(&shared, &body, limit, Clock::Wall))
        });
        let before = limits.cpu_time.and_then(|limit| Some((limit, sys::cpu_time_of(pid)?)));
        let look = before.map(|(limit, before)| {
            let (shared, body) = (self.me.clone(), Arc::downgrade(body));
            let left = move || {
                let now = sys::cpu_time_of(pid)?;
                Some(limit.saturating_sub(now.saturating_sub(before)))
            };
            let expire = move || expire(&shared, &body, limit, Clock::Cpu);
            cpu_alarm(limit, self.me.clone(), id, left, expire)
        });
        if timeout.is_none() && look.is_none() {
            return;
        }
        if let Some(entry) = self.state.lock().tasks.get_mut(&id) {
            entry.timeout = timeout;
            // The clock may have been looked at already; then there is a next look.
            entry.look = entry.look.take().or(look);
        }
    }

    /// Performs actions; called without the lock.
    fn perform(&self, mut actions: Vec<Action>) {
        while !actions.is_empty() {
            let mut more = Vec::new();
            for action in actions {
                match action {
                    Action::Spawn(worker) => {
                        self.state.lock().spawns.push(worker);
                        self.wake.signal();
                    }
                    Action::Send { worker, id, above } => more.extend(self.send(worker, id, above)),
                    Action::Steal(worker, want) => self.tell(worker, &ToWorker::Steal { want }),
                    Action::Recall(worker, want) => self.tell(worker, &ToWorker::Recall { want }),
                    Action::Crashed(..) | Action::Doubtful(..) => {
                        unreachable!("deaths are handled by the driver")
                    }
                    Action::GiveUp(id, why) => self.give_up(id, why),
                    Action::Cancelled(id) => self.cancelled(id),
                    Action::End(worker) => self.end_worker(worker, End::Terminate),
                    Action::Warn(worker) => self.end_worker(worker, End::Warn),
                    Action::Spare(worker) => self.end_worker(worker, End::Spare),
                    Action::Retire(worker) => {
                        self.tell(worker, &ToWorker::Bye);
                        self.end_worker(worker, End::Leave);
                    }
                }
            }
            actions = more;
        }
    }

    fn send(&self, worker: WorkerId, id: u64, above: u64) -> Vec<Action> {
        let (body, link) = {
            let mut state = self.state.lock();
            // The worker is dead already, and the task back in the queue.
            let Some(link) = state.links.get(&worker).cloned() else { return Vec::new() };
            let Some(body) = state.tasks.get(&id).map(|entry| entry.body.clone()) else {
                return state.is_not_sent(worker, id);
            };
            (body, link)
        };
        let remote = body.remote().expect("only tasks that travel are submitted");
        let mut bytes = Vec::new();
        let encoded = match remote.entry() {
            None => {
                let reason = "it is not in the table of functions".to_string();
                Err(TaskError::new(body.core().name(), None, Kind::Spawn { reason }))
            }
            Some(EntryId(entry)) => {
                let mut terms = Vec::new();
                codec::encode(&body.core().terms, &mut terms).expect("numbers can be encoded");
                let start = begin_task(id, above, entry, body.core().name(), &terms, &mut bytes);
                remote.encode(&mut bytes).and_then(|()| {
                    let size = (bytes.len() - start) as u64;
                    let limit = self.settings.max_message;
                    if size > limit {
                        let what = Cow::Borrowed("arguments");
                        let kind = Kind::TooLarge { what, bytes: size, limit };
                        return Err(TaskError::new(body.core().name(), None, kind));
                    }
                    frame::finish(&mut bytes, start);
                    Ok(())
                })
            }
        };
        match encoded {
            Ok(()) => {
                let mut state = self.state.lock();
                if !state.tasks.contains_key(&id) {
                    return state.is_not_sent(worker, id);
                }
                // Who cancels the task from now on asks for it after this.
                let out = link.out.lock();
                drop(state);
                self.post_holding(&link, out, bytes);
                Vec::new()
            }
            Err(error) => {
                let (open, actions) = {
                    let mut state = self.state.lock();
                    if !state.supervisor.is_sent(worker, id) {
                        // The worker died meanwhile, and the task is for another: that sending decides.
                        return Vec::new();
                    }
                    let open = state.take(id);
                    let event = Event::Unsendable(worker, id);
                    (open, state.supervisor.step(event).expect("not a worker's message"))
                };
                // Unless its outcome was decided meanwhile.
                if let Some(body) = open {
                    body.fail(error);
                }
                actions
            }
        }
    }

    fn tell(&self, worker: WorkerId, message: &ToWorker<'_>) {
        let link = self.state.lock().links.get(&worker).cloned();
        if let Some(link) = link {
            let mut bytes = Vec::new();
            message.write(&mut bytes);
            self.post(&link, bytes);
        }
    }

    /// Writes as much as the socket takes; the driver writes the rest when it takes more.
    pub(super) fn post(&self, link: &Link, bytes: Vec<u8>) {
        self.post_holding(link, link.out.lock(), bytes);
    }

    fn post_holding(&self, link: &Link, mut out: MutexGuard<'_, Out>, bytes: Vec<u8>) {
        if link.dead.load(Ordering::Acquire) {
            return;
        }
        let was_empty = out.bytes.is_empty();
        if was_empty {
            *out = Out { bytes, sent: 0 };
            link.flush(&mut out);
        } else {
            out.bytes.extend_from_slice(&bytes);
        }
        if was_empty && !out.bytes.is_empty() {
            // An error means that the driver has just let go of the worker.
            let _ = self.poller.modify(link.socket.as_fd(), link.token(), Interest::ReadWrite);
        }
    }

    fn end_worker(&self, worker: WorkerId, how: End) {
        self.state.lock().ends.push((worker, how));
        self.wake.signal();
    }

    /// The outcome of a task is not wanted any more, because that of the task which forked it isn't, or nobody's is.
    fn cancelled(&self, id: u64) {
        let (body, printer) = {
            let mut state = self.state.lock();
            let Some(body) = state.take(id) else { return };
            (body, state.printer(id))
        };
        print_rest(&body, printer);
        let why = if cancel::is_interrupted() { Unwanted::Interrupt } else { Unwanted::Parent };
        let kind = Kind::Cancelled { why, goes_on: false };
        let error = TaskError::new(body.core().name(), None, kind);
        body.fail(error);
    }

    fn give_up(&self, id: u64, why: Why) {
        let Some(body) = self.state.lock().take(id) else { return };
        let kind = match why {
            Why::BootLoop(reason) | Why::NeverStarted(reason) => Kind::PoolBroken { reason },
            Why::NoWorker(reason) => Kind::Spawn { reason },
            Why::Foreign { build } => Kind::BuildMismatch { ours: sys::build_fingerprint(), theirs: build },
        };
        let error = TaskError::new(body.core().name(), None, kind);
        body.fail(error);
    }
}

/// Gives a task that is ended before its worker has ended it what it has printed and its worker has not told of. What it
/// prints from now on is nobody's.
fn print_rest(body: &Arc<dyn Body>, printer: Option<Arc<Link>>) {
    if let Some(captured) = printer.as_ref().and_then(|link| link.captured.as_ref()) {
        let rest = captured.lock().rest();
        rest.into_iter().for_each(|part| body.printed(part));
    }
}

impl Link {
    fn token(&self) -> u64 {
        self.worker.0 * 2
    }

    /// Sends what is waiting, as far as the socket takes it.
    fn flush(&self, out: &mut Out) {
        while out.sent < out.bytes.len() {
            match sys::send(self.socket.as_fd(), &out.bytes[out.sent..], Wait::DontBlock) {
                Ok(sent) => out.sent += sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The worker is dead or dying; the driver will see it.
                Err(_) => break,
            }
        }
        *out = Out::default();
    }
}

/// Starts the driver thread of a pool.
fn drive(shared: Arc<Shared>) -> io::Result<()> {
    let thread = std::thread::Builder::new().name("xfork-driver".into());
    thread.spawn(move || Driver { shared, driven: HashMap::new(), warned: false }.run())?;
    Ok(())
}

const WAKE: u64 = 0;

struct Driver {
    shared: Arc<Shared>,
    driven: HashMap<u64, Driven>,
    /// It has been said that there are fewer workers than wanted.
    warned: bool,
}

/// Turns a panic of the driver, which would leave everybody waiting, into an abort with a message.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("xfork: the driver of the process pool panicked; this is a bug in xfork");
            std::process::abort();
        }
    }
}

impl Driver {
    fn run(mut self) {
        let _guard = AbortOnPanic;
        let shared = self.shared.clone();
        shared.poller.add(shared.wake.as_fd(), WAKE, Interest::Read).expect("a new poller takes an eventfd");
        let mut ready = Vec::new();
        loop {
            let timeout = self.next_deadline();
            shared.poller.wait(&mut ready, timeout).expect("the poller is ours");
            let events = std::mem::take(&mut ready);
            for event in &events {
                self.handle(event);
            }
            ready = events;
            self.kill_slow();
            self.send_home();
            self.trim();
            let (spawns, ends, close) = {
                let mut state = shared.state.lock();
                let close = state.closing && state.supervisor.is_idle();
                (std::mem::take(&mut state.spawns), std::mem::take(&mut state.ends), close)
            };
            for (worker, how) in ends {
                self.begin_to_end(worker, how);
            }
            if close {
                break;
            }
            for worker in spawns {
                self.spawn(worker);
            }
        }
        self.close();
    }

    fn handle(&mut self, ready: &Ready) {
        if ready.token == WAKE {
            self.shared.wake.clear();
            return;
        }
        let number = ready.token / 2;
        if !self.driven.contains_key(&number) {
            return;
        }
        if ready.token % 2 == 1 {
            // The process is dead: what it wrote before is still to be read.
            self.read(number, HowMuch::All);
            self.bury(number);
            return;
        }
        if ready.writable {
            self.write(number);
        }
        if (ready.readable || ready.hangup) && self.read(number, HowMuch::Once) == Flow::Ended {
            self.ended(number);
        }
    }

    fn write(&self, number: u64) {
        let link = &self.driven[&number].link;
        let mut out = link.out.lock();
        link.flush(&mut out);
        if out.bytes.is_empty() {
            let _ = self.shared.poller.modify(link.socket.as_fd(), link.token(), Interest::Read);
        }
    }

    /// Reads and handles what a worker has written: all of it, or what one call to the system gives.
    fn read(&mut self, number: u64, how_much: HowMuch) -> Flow {
        loop {
            let Some(driven) = self.driven.get_mut(&number) else { return Flow::Ended };
            driven.heard = Instant::now();
            let buffer = driven.decoder.buffer();
            let room = buffer.len();
            let received = sys::receive(driven.link.socket.as_fd(), buffer, Wait::DontBlock);
            let mut lie = None;
            let emptied = match received {
                Ok(0) => return Flow::Ended,
                Ok(count) => {
                    driven.decoder.advance(count);
                    count < room
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Flow::Open,
                Err(error) if let Some(count) = sys::came_with_descriptors(&error) => {
                    driven.decoder.advance(count);
                    lie = Some(error.to_string());
                    false
                }
                Err(_) => return Flow::Ended,
            };
            loop {
                let Some(driven) = self.driven.get_mut(&number) else { return Flow::Ended };
                if driven.verdict.is_some() {
                    // Nothing that a condemned worker says is believed any more.
                    break;
                }
                match driven.decoder.next() {
                    Ok(Some(frame)) => {
                        if let Err(reason) = self.message(number, &frame) {
                            self.condemn(number, Verdict::Protocol(reason));
                        }
                    }
                    Ok(None) => break,
                    Err(frame::FrameError::TooLarge { declared, limit }) => {
                        self.condemn(number, Verdict::TooLarge { declared, limit });
                    }
                }
            }
            if let Some(reason) = lie {
                self.condemn(number, Verdict::Protocol(reason));
            }
            if self.driven.get(&number).is_some_and(|driven| driven.verdict.is_some()) {
                return Flow::Ended;
            }
            // The poller tells if there is more.
            if emptied && how_much == HowMuch::Once {
                return Flow::Open;
            }
        }
    }

    fn condemn(&mut self, number: u64, verdict: Verdict) {
        let Some(driven) = self.driven.get_mut(&number) else { return };
        let has_lied = !matches!(verdict, Verdict::Slow);
        driven.verdict.get_or_insert(verdict);
        let _ = driven.child.kill();
        if has_lied {
            let worker = driven.link.worker;
            self.step(Event::Lied(worker)).expect("not a worker's message");
        }
    }

    fn message(&mut self, number: u64, frame: &Frame) -> Result<(), String> {
        let message = FromWorker::read(frame).map_err(|error| error.to_string())?;
        let driven = self.driven.get_mut(&number).expect("the reader has it");
        let worker = driven.link.worker;
        if !driven.ready && !matches!(message, FromWorker::Hello { .. } | FromWorker::LastPanic { .. }) {
            return Err("something before its hello".into());
        }
        let event = match message {
            FromWorker::Hello { protocol, build, pid: _ } => {
                if driven.ready {
                    return Err("a second hello".into());
                }
                if protocol != PROTOCOL || build != sys::build_fingerprint() {
                    return self.foreign(number, build);
                }
                driven.ready = true;
                let Settings { workers, max_message, prepare, .. } = self.shared.settings;
                let entry = |entry: Option<EntryId>| entry.map_or(u64::MAX, |EntryId(id)| u64::from(id) + 1);
                let prepare = prepare.map_or(0, |prepare| entry(prepare()));
                let captures = u32::from(driven.link.captured.is_some());
                let link = driven.link.clone();
                let mut bytes = Vec::new();
                ToWorker::Welcome { workers: workers as u32, max_message, prepare, captures }
                    .write(&mut bytes);
                self.shared.post(&link, bytes);
                if prepare != 0 {
                    return Ok(());
                }
                Event::Ready(worker)
            }
            FromWorker::Prepared => Event::Ready(worker),
            FromWorker::Unprepared { error } => {
                driven.unprepared = Some(decode_error(error)?);
                return Ok(());
            }
            FromWorker::Unwanted { id } => {
                let known = self.shared.state.lock().relayed.get(&(worker, id)).copied();
                if let Some(known) = known {
                    // The worker has told its own task of it already.
                    let kind = Kind::Cancelled { why: Unwanted::Asked, goes_on: false };
                    self.shared.end(known, TaskError::new("", None, kind));
                }
                return Ok(());
            }
            FromWorker::Started { id } => {
                let pid = driven.link.pid;
                self.step(Event::Started(worker, id))?;
                let body = self.shared.state.lock().tasks.get(&id).map(|entry| entry.body.clone());
                if let Some(body) = body {
                    self.shared.watch_time(id, &body, pid);
                    body.remote().expect("only tasks that travel are submitted").release();
                }
                return Ok(());
            }
            FromWorker::Done { id, micros, result } => {
                self.look_at_size(number)?;
                if let Some(body) = self.finished(worker, id, micros)? {
                    body.complete(result.to_vec());
                }
                return Ok(());
            }
            FromWorker::Failed { id, error } => {
                let decoded = decode_error(error)?;
                if let Some(body) = self.finished(worker, id, 0)? {
                    body.fail(decoded);
                }
                return Ok(());
            }
            FromWorker::Returned { id } => Event::Returned(worker, id),
            FromWorker::Surplus => Event::Surplus(worker),
            FromWorker::Child { parent, id, entry, name, terms, args } => {
                let terms = codec::decode(&mut &terms[..]).map_err(|error| error.to_string())?;
                let fork = Fork { parent, id, entry, name, terms, args };
                return self.child(number, fork);
            }
            FromWorker::Stolen => Event::Stolen(worker),
            FromWorker::Recalled => Event::Recalled(worker),
            FromWorker::Blocked { id } => Event::Blocked(worker, id),
            FromWorker::Unblocked => Event::Unblocked(worker),
            FromWorker::LastPanic { record } => {
                let record = codec::decode(&mut &record[..]).map_err(|error| error.to_string())?;
                driven.last_panic = Some(record);
                return Ok(());
            }
            FromWorker::Text { id, stream, seen, left_out, text } => {
                let captured = driven.link.captured.as_ref().ok_or("a text, though nothing is captured")?;
                let part = captured.lock().told(stream, seen, left_out, text).ok_or("a text of no stream")?;
                let state = self.shared.state.lock();
                if id != 0 && !state.supervisor.is_running(worker, id) {
                    return Err("a text of a task that it is not running".into());
                }
                // None if its outcome was decided before.
                let body = state.tasks.get(&id).map(|entry| entry.body.clone());
                drop(state);
                if let Some(body) = body {
                    body.printed(part);
                }
                return Ok(());
            }
            FromWorker::Unseen { error } => {
                decode_error(error)?.remember_sent(error.len());
                return Ok(());
            }
        };
        self.step(event)
    }

    fn step(&self, event: Event) -> Result<(), String> {
        let actions =
            self.shared.state.lock().supervisor.step(event).map_err(|Violation(what)| what.to_string())?;
        self.shared.perform(actions);
        Ok(())
    }

    /// Takes a task that has ended out of the accounts, and gives its worker the next.
    /// `None` if its outcome was decided before.
    fn finished(&self, worker: WorkerId, id: u64, micros: u64) -> Result<Option<Arc<dyn Body>>, String> {
        let (actions, body) = {
            let mut state = self.shared.state.lock();
            let actions = state
                .supervisor
                .step(Event::Finished(worker, id, micros))
                .map_err(|Violation(what)| what.to_string())?;
            (actions, state.take(id))
        };
        self.shared.perform(actions);
        Ok(body)
    }

    /// Takes over a task that a task of this worker has forked.
    fn child(&mut self, number: u64, fork: Fork<'_>) -> Result<(), String> {
        let Fork { parent, id, entry, name, terms, args } = fork;
        if registry::lookup(EntryId(entry)).is_none() {
            return Err(format!("a task for the function number {entry}, which does not exist"));
        }
        let link = &self.driven[&number].link;
        let is_wanted = {
            let supervisor = &self.shared.state.lock().supervisor;
            if !supervisor.is_running(link.worker, parent) {
                return Err("a fork of a task that it is not running".into());
            }
            !supervisor.is_cancelled(parent)
        };
        let (worker, origin) = (link.worker, Arc::downgrade(link));
        let runner: Arc<dyn Runner> = Arc::new(NoRunner);
        let relay = Relay {
            core: TaskCore::served(Cow::Owned(name.to_string()), runner, terms),
            entry: EntryId(entry),
            args: Mutex::new(args.to_vec()),
            origin,
            id,
            shared: self.shared.me.clone(),
        };
        if is_wanted {
            self.shared.submit(Arc::new(relay), Some(Relayed { worker, id, parent }));
        } else {
            let kind = Kind::Cancelled { why: Unwanted::Parent, goes_on: false };
            let error = TaskError::new(name, None, kind);
            Arc::new(relay).fail(error);
        }
        Ok(())
    }

    fn foreign(&mut self, number: u64, build: u64) -> Result<(), String> {
        let driven = self.driven.get_mut(&number).expect("the reader has it");
        driven.verdict = Some(Verdict::Protocol("another build".into()));
        let _ = driven.child.kill();
        let worker = driven.link.worker;
        self.step(Event::Foreign { worker, build })
    }

    fn spawn(&mut self, worker: WorkerId) {
        if let Err(error) = self.try_spawn(worker) {
            let reason = format!("starting this program again as a worker failed: {error}");
            if !self.driven.is_empty() && !std::mem::replace(&mut self.warned, true) {
                let (living, wanted) = (self.driven.len(), self.shared.settings.workers);
                // Where standard error is closed nobody is told.
                let _ = writeln!(
                    io::stderr(),
                    "xfork: the work goes on with {living} of {wanted} worker processes: {reason}"
                );
            }
            self.step(Event::SpawnFailed(worker, reason)).expect("not a worker's message");
        }
    }

    fn try_spawn(&mut self, worker: WorkerId) -> io::Result<()> {
        let (ours, theirs) = sys::pair()?;
        let page = CrashPage::new().ok();
        let inherit: Vec<_> = [theirs.as_fd()].into_iter().chain(page.as_ref().map(AsFd::as_fd)).collect();
        let mut env: Vec<(OsString, OsString)> = vec![(boot::VARIABLE.into(), boot::names(&inherit).into())];
        // One worker per core is enough: libraries inside a task don't start threads for all cores again.
        for variable in THREADS_OF_LIBRARIES {
            if std::env::var_os(variable).is_none() {
                env.push((variable.into(), self.shared.settings.threads.to_string().into()));
            }
        }
        let args: Vec<_> = std::env::args_os().collect();
        let captured = match self.shared.settings.output {
            Output::Inherited => None,
            Output::Captured => Some(Captured::new()?),
        };
        let streams = captured.as_ref().map(Captured::fds);
        let mut child = sys::respawn_self(&inherit, streams, &env, &args)?;
        drop(theirs);
        let link = Arc::new(Link {
            worker,
            pid: child.pid,
            socket: ours,
            out: Mutex::default(),
            dead: AtomicBool::new(false),
            captured: captured.map(Mutex::new),
        });
        if let Err(error) = self.watch(&link, &child) {
            let _ = child.kill();
            let _ = child.reap();
            return Err(error);
        }
        self.shared.state.lock().links.insert(worker, link.clone());
        let decoder = Decoder::new(self.shared.settings.max_message.saturating_add(1 << 16));
        let driven = Driven {
            link,
            child,
            decoder,
            born: Instant::now(),
            ready: false,
            heard: Instant::now(),
            kill_at: None,
            last_panic: None,
            unprepared: None,
            page,
            verdict: None,
        };
        self.driven.insert(worker.0, driven);
        Ok(())
    }

    fn watch(&self, link: &Link, child: &sys::Child) -> io::Result<()> {
        self.shared.poller.add(link.socket.as_fd(), link.token(), Interest::Read)?;
        match &child.pidfd {
            Some(pidfd) => self.shared.poller.add(pidfd.as_fd(), link.token() + 1, Interest::Read),
            None => Ok(()),
        }
    }

    /// The worker's end of the socket is closed: it is dead, dying, or has closed what isn't its own.
    fn ended(&mut self, number: u64) {
        let Some(driven) = self.driven.get_mut(&number) else { return };
        // It may have closed the socket and live on: it is of no use any more. One that is exiting keeps its code.
        let _ = driven.child.kill();
        if driven.child.pidfd.is_none() {
            self.bury(number);
        } else {
            // The process id's descriptor tells when it is dead; until then the socket must not wake us.
            let _ = self.shared.poller.remove(driven.link.socket.as_fd());
        }
    }

    /// The process is dead, and everything it wrote has been read.
    fn bury(&mut self, number: u64) {
        let Some(mut driven) = self.driven.remove(&number) else { return };
        let exit = match driven.child.reap() {
            Ok(sys::Exit::Code(code)) => Exit::Code(code),
            Ok(sys::Exit::Signal { number, .. }) => Exit::Signal { number },
            Ok(sys::Exit::Unavailable) | Err(_) => Exit::Unavailable,
        };
        let link = &driven.link;
        {
            let mut out = link.out.lock();
            link.dead.store(true, Ordering::Release);
            *out = Out::default();
        }
        let _ = self.shared.poller.remove(link.socket.as_fd());
        if let Some(pidfd) = &driven.child.pidfd {
            let _ = self.shared.poller.remove(pidfd.as_fd());
        }
        let kind = match &driven.verdict {
            Some(Verdict::Protocol(reason)) => Kind::Protocol { reason: reason.clone() },
            Some(Verdict::TooLarge { declared, limit }) => {
                Kind::TooLarge { what: Cow::Borrowed("result"), bytes: *declared, limit: *limit }
            }
            _ => Kind::crash(exit, driven.last_panic.take(), last_stack(driven.page.as_ref(), exit)),
        };
        // Of what it may have started, too, it says only that the worker is not to be believed.
        let doubt = match &driven.verdict {
            Some(Verdict::TooLarge { declared, .. }) => {
                Kind::Protocol { reason: format!("a message of {declared} bytes") }
            }
            _ => kind.clone(),
        };
        let cause = match (&driven.verdict, exit) {
            _ if driven.unprepared.is_some() => {
                let error = driven.unprepared.take().expect("just seen");
                format!("worker {} could not be prepared: {error}", link.pid)
            }
            (Some(Verdict::Slow), _) => {
                format!("worker {} did not say hello in {:?}", link.pid, self.shared.boot_limit)
            }
            (_, Exit::Code(code)) => format!("worker {} ended with exit code {code}", link.pid),
            (_, Exit::Signal { number }) => {
                format!("worker {} was killed by signal {number} ({})", link.pid, sys::signal_name(number))
            }
            (_, Exit::Unavailable) => format!("worker {} died, its exit status is unavailable", link.pid),
        };
        let (innermost, actions) = {
            let mut state = self.shared.state.lock();
            state.links.remove(&link.worker);
            let innermost = state.supervisor.innermost(link.worker);
            let gone = Event::Gone(link.worker, cause);
            (innermost, state.supervisor.step(gone).expect("a death is no message"))
        };
        // What it had not told is that of the task on top.
        let mut rest = link.captured.as_ref().map(|captured| captured.lock().rest()).unwrap_or_default();
        let mut others = Vec::new();
        for action in actions {
            let (id, kind) = match (action, &kind) {
                (Action::Crashed(_, id), kind) => (id, kind),
                (Action::Doubtful(_, id), _) => (id, &doubt),
                (action, _) => {
                    others.push(action);
                    continue;
                }
            };
            let body = self.shared.state.lock().take(id);
            if let Some(body) = body {
                if Some(id) == innermost {
                    rest.drain(..).for_each(|part| body.printed(part));
                }
                let mut kind = kind.clone();
                if let Kind::Crash { memory, .. } = &mut kind {
                    *memory = body.core().terms.limits.memory;
                }
                let error = TaskError::new(body.core().name(), Some(link.pid), kind);
                body.fail(error);
            }
        }
        // If the outcome of that was decided before, the text ends there.
        if innermost.is_none() {
            output::add_nobodys(rest);
        }
        self.shared.perform(others);
    }

    /// How long until a worker has to be looked at.
    fn next_deadline(&self) -> Option<Duration> {
        let boots = self
            .driven
            .values()
            .filter(|driven| !driven.ready)
            .map(|driven| driven.born + self.shared.boot_limit);
        let kills = self.driven.values().filter_map(|driven| driven.kill_at);
        let rests = self.shared.settings.idle.into_iter().flat_map(|idle| {
            let state = self.shared.state.lock();
            let resting =
                self.driven.values().filter(|driven| state.supervisor.is_resting(driven.link.worker));
            resting.map(|driven| driven.heard + idle).collect::<Vec<_>>()
        });
        let next = boots.chain(kills).chain(rests).min();
        let next = next.map(|next| next.saturating_duration_since(Instant::now()));
        next.into_iter().chain(self.trim_deadline()).min()
    }

    /// Has workers leave that have had nothing to do for long.
    fn send_home(&mut self) {
        let Some(idle) = self.shared.settings.idle else { return };
        let rested = self.driven.values().filter(|driven| driven.ready && driven.heard.elapsed() >= idle);
        for worker in rested.map(|driven| driven.link.worker).collect::<Vec<_>>() {
            self.step(Event::Rested(worker)).expect("not a worker's message");
        }
    }

    /// Sees whether a worker that has finished a task has grown too large for another.
    fn look_at_size(&self, number: u64) -> Result<(), String> {
        let Some(limit) = self.shared.settings.max_rss else { return Ok(()) };
        let link = &self.driven[&number].link;
        if sys::resident_bytes_of(link.pid).is_some_and(|bytes| bytes > limit) {
            self.step(Event::Grown(link.worker))?;
        }
        Ok(())
    }

    fn begin_to_end(&mut self, worker: WorkerId, how: End) {
        let Some(driven) = self.driven.get_mut(&worker.0) else { return };
        match how {
            End::Terminate => _ = driven.child.terminate(),
            End::Spare => return driven.kill_at = None,
            End::Leave | End::Warn => {}
        }
        driven.kill_at.get_or_insert(Instant::now() + self.shared.settings.grace);
    }

    /// When to look again whether a task prints without end.
    fn trim_deadline(&self) -> Option<Duration> {
        let is_busy = self.driven.values().any(|driven| driven.link.captured.is_some())
            && !self.shared.state.lock().supervisor.is_idle();
        is_busy.then_some(captured::TRIMMED_EVERY)
    }

    fn trim(&mut self) {
        for driven in self.driven.values() {
            if let Some(captured) = &driven.link.captured {
                captured.lock().trim();
            }
        }
    }

    fn kill_slow(&mut self) {
        let slow: Vec<_> = self
            .driven
            .iter()
            .filter(|(_, driven)| !driven.ready && driven.born.elapsed() >= self.shared.boot_limit)
            .map(|(&number, _)| number)
            .collect();
        for number in slow {
            self.condemn(number, Verdict::Slow);
        }
        for driven in self.driven.values_mut() {
            if driven.kill_at.is_some_and(|time| Instant::now() >= time) {
                driven.kill_at = None;
                let _ = driven.child.kill();
            }
        }
    }

    /// Ends the workers: nobody uses the pool any more.
    fn close(mut self) {
        let mut bye = Vec::new();
        ToWorker::Bye.write(&mut bye);
        for driven in self.driven.values() {
            self.shared.post(&driven.link, bye.clone());
        }
        let end = Instant::now() + self.shared.settings.grace;
        let mut ready = Vec::new();
        self.reap_the_dead();
        while !self.driven.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let _ = self.shared.poller.wait(&mut ready, Some(left));
            for event in std::mem::take(&mut ready) {
                let number = event.token / 2;
                if event.token == WAKE {
                    self.shared.wake.clear();
                } else if event.token % 2 == 0 && self.driven.contains_key(&number) {
                    if event.writable {
                        self.write(number);
                    }
                    if self.drain(number) == Flow::Ended {
                        let _ = self.shared.poller.remove(self.driven[&number].link.socket.as_fd());
                    }
                }
            }
            self.reap_the_dead();
        }
        for (_, mut driven) in self.driven.drain() {
            let _ = driven.child.kill();
            let _ = driven.child.reap();
        }
    }

    /// Reads without believing.
    fn drain(&mut self, number: u64) -> Flow {
        let mut buffer = [0; 4096];
        loop {
            match sys::receive(self.driven[&number].link.socket.as_fd(), &mut buffer, Wait::DontBlock) {
                Ok(0) => return Flow::Ended,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Flow::Open,
                Err(_) => return Flow::Ended,
            }
        }
    }

    fn reap_the_dead(&mut self) {
        self.driven.retain(|_, driven| !matches!(driven.child.try_reap(), Ok(Some(_)) | Err(_)));
    }
}

/// Where a task comes from that a worker handed over: the worker, the number that it knows it by, the task that forked it.
struct Relayed {
    worker: WorkerId,
    id: u64,
    parent: u64,
}

/// The variables by which libraries are told how many threads to start, lest those in each worker start as many as
/// there are cores.
const THREADS_OF_LIBRARIES: [&str; 7] = [
    "RAYON_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
];

/// Looks at a worker's clock when its task may have used up its processor time, which needs at least that time divided
/// by the number of cores.
fn cpu_alarm(
    left: Duration,
    shared: Weak<Shared>,
    id: u64,
    time_left: impl Fn() -> Option<Duration> + Send + 'static,
    expire: impl FnOnce() + Send + 'static,
) -> Alarm {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    let look: Box<dyn FnOnce() + Send> = Box::new(move || match time_left() {
        // In a thread of its own.
        Some(Duration::ZERO) => set_look(&shared, id, |_| timer::after(Duration::ZERO, expire)),
        Some(left) => set_look(&shared, id, |shared| cpu_alarm(left, shared, id, time_left, expire)),
        None => {}
    });
    timer::briefly_after((left / cores).max(Duration::from_millis(1)), look)
}

/// Sets what happens next to a task whose worker's clock is looked at, if its outcome is not decided.
fn set_look(shared: &Weak<Shared>, id: u64, next: impl FnOnce(Weak<Shared>) -> Alarm) {
    let Some(pool) = shared.upgrade() else { return };
    let next = next(shared.clone());
    if let Some(entry) = pool.state.lock().tasks.get_mut(&id) {
        entry.look = Some(next);
    }
}

/// What a worker told of the signal that killed it.
fn last_stack(page: Option<&CrashPage>, exit: Exit) -> Option<LastStack> {
    let Exit::Signal { number } = exit else { return None };
    match page?.read() {
        // Another signal than the one that it told of may have been quicker (SIGKILL, say).
        LastWords::Told(dying) if dying.signal == number => Some(dying.into()),
        LastWords::Silent if sys::signal_name(number) == "SIGSEGV" => Some(LastStack::untold()),
        _ => None,
    }
}

/// A task that a worker hands over.
struct Fork<'a> {
    parent: u64,
    id: u64,
    entry: u32,
    name: &'a str,
    terms: Terms,
    args: &'a [u8],
}

#[derive(Clone, Copy, PartialEq)]
enum HowMuch {
    Once,
    All,
}

#[derive(PartialEq)]
enum Flow {
    Open,
    Ended,
}

fn decode_error(bytes: &[u8]) -> Result<TaskError, String> {
    let wire: WireError =
        codec::decode(&mut &bytes[..]).map_err(|error| format!("an unreadable error: {error}"))?;
    Ok(wire.into())
}

/// The runner of relayed tasks, which no waiter in the program ever sees.
struct NoRunner;

impl Runner for NoRunner {
    fn run(&self, _: Runnable) {
        unreachable!("a relayed task is given to the pool directly");
    }
    fn gives_back(&self) -> bool {
        false
    }
}
