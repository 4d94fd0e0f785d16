//! Performs what the supervisor decides, on the side of those who fork, cancel and wait.
//!
//! A caller of `fork` writes its task to the worker's socket itself when a worker is free; the `driver`, one thread, does the
//! rest. Owns the tasks whose outcome is not decided and the list of what the driver is to do. Promises: no lock is held
//! while code of the user (a `Serialize`, a `Drop`) runs. `link` is the program's end of one worker, `clock` ends tasks
//! when their time is over.

mod batches;
mod clock;
mod driver;
mod hear;
mod link;
mod listen;
mod loans;

pub(super) use link::Link;

use super::boot;
use super::settings::Settings;
use super::supervisor::{Action, Event, Supervisor, Why, WorkerId};
use crate::core::batch::Next;
use crate::core::cancel::{self, Unwanted};
use crate::core::error::{Kind, TaskError};
use crate::core::interrupt;
use crate::core::output::{self, Output};
use crate::core::runner::{Ending, Runnable, Runner, Sleep, Until};
use crate::core::task::Body;
use crate::core::timer::Alarm;
use crate::ground::registry::{self, EntryId};
use crate::ground::sys::crash::CrashPage;
use crate::ground::sys::{self, EventFd, Poller, Spin};
use crate::ground::wire::codec;
use crate::ground::wire::frame;
use crate::ground::wire::message::{ToWorker, begin_task};
use crate::ground::wire::parcel::Parcel;
use driver::drive;
use link::print_rest;
use listen::Transport;
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;
use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::available_parallelism;
use std::time::Duration;

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
    /// The living workers, for those who look for what they say; replaced as a whole, since they look far more often than
    /// workers come and go.
    speakers: RwLock<Arc<[Arc<Link>]>>,
    /// How many threads sleep until a result is there with which they go on.
    sleepers: AtomicUsize,
    /// The driver is to ask the backlog again.
    is_stirred: AtomicBool,
    /// How long one thread at a time looks before it sleeps.
    spin: Mutex<Spin>,
    cores: usize,
    /// Whether workers get rings.
    transport: Transport,
    /// Set once if this program can't have workers at all.
    impossible: OnceLock<String>,
    /// The process that has the workers; a copy of it, made by the system's `fork`, has none, and must not write to them.
    owner: u32,
    /// Its [`sys::generation`], which is quicker to ask for.
    generation: u32,
}

struct State {
    supervisor: Supervisor,
    /// The tasks behind those that the supervisor knows, the oldest first, unclaimed: one that waits here takes no more than
    /// a pointer.
    backlog: VecDeque<Arc<dyn Body>>,
    /// What was there and is no task any more; to be dropped without the lock, since it may be the last that keeps the pool.
    spent: Vec<Arc<dyn Body>>,
    /// How many tasks the supervisor knows that wait for a worker, if there are so many.
    enough: usize,
    /// How many workers there are to be.
    workers: usize,
    tasks: FxHashMap<u64, Entry>,
    /// The tasks that workers handed over, by the worker and the number that it knows them by.
    relayed: HashMap<(WorkerId, u64), u64>,
    links: FxHashMap<WorkerId, Arc<Link>>,
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
    /// It is not to be believed.
    Kill,
    /// It is running what nobody wants.
    Terminate,
    /// It is to be killed if it has not been ended or spared for long.
    Warn,
    Spare,
    /// It is to be killed if it says for long nothing more than this.
    Answer(u64),
}

impl State {
    fn take(&mut self, id: u64) -> Option<Arc<dyn Body>> {
        let entry = self.tasks.remove(&id)?;
        if let Some(origin) = entry.origin {
            self.relayed.remove(&origin);
        }
        Some(entry.body)
    }

    /// Says what is to be done, and gives the supervisor of the backlog what it has room for.
    fn decide(&mut self) -> Vec<Action> {
        let mut actions = self.supervisor.decide_now();
        if actions.iter().any(|action| matches!(action, Action::GiveUpRest(_))) {
            return actions;
        }
        while !self.backlog.is_empty() && self.supervisor.waiting() < self.enough {
            let mut is_later = false;
            while !is_later
                && self.supervisor.waiting() < self.enough
                && let Some(body) = self.backlog.pop_front()
            {
                match body.source().map(|batch| batch.next(self.workers)) {
                    // Whoever has cancelled it has claimed it.
                    None if body.core().claim() => self.admit(body, None),
                    None | Some(Next::Nothing) => self.spent.push(body),
                    Some(Next::Chunk(chunk)) => {
                        self.admit(chunk, None);
                        self.backlog.push_front(body);
                    }
                    Some(Next::Later) => {
                        is_later = true;
                        self.backlog.push_front(body);
                    }
                }
            }
            actions.append(&mut self.supervisor.decide_now());
            if is_later {
                break;
            }
        }
        // Few wait again after many did.
        if self.backlog.is_empty() && self.backlog.capacity() > 1 << 12 {
            self.backlog = VecDeque::new();
        }
        actions
    }

    /// Takes an event that is no worker's message.
    fn step(&mut self, event: Event) -> Vec<Action> {
        self.supervisor.note(event).expect("only what a worker says can be wrong");
        self.decide()
    }

    /// The workers that are to be started: none, if what they were meant for is no more.
    fn take_spawns(&mut self) -> Vec<WorkerId> {
        let spawns = std::mem::take(&mut self.spawns);
        if !self.is_idle() {
            return spawns;
        }
        for worker in spawns {
            self.supervisor.note(Event::Unneeded(worker)).expect("not a worker's message");
        }
        Vec::new()
    }

    /// Takes back into the backlog what was too much for one message.
    fn admit_overflow(&mut self, body: &Arc<dyn Body>) -> Vec<Action> {
        let Some(batch) = body.chunk().and_then(|chunk| chunk.overflow()) else { return Vec::new() };
        self.backlog.push_front(batch);
        self.decide()
    }

    /// Whether no task is left.
    fn is_idle(&self) -> bool {
        self.supervisor.is_idle() && self.backlog.is_empty()
    }

    /// Whether a task is to wait in the backlog: the supervisor puts those that are urgent, or that another task waits for, before
    /// others.
    fn can_wait(&self, body: &Arc<dyn Body>) -> bool {
        let limits = body.core().limits();
        let is_usual = body.core().urgency() == 0 && !limits.need_a_process();
        is_usual && (!self.backlog.is_empty() || self.supervisor.waiting() >= self.enough)
    }

    /// Takes a claimed task into the accounts.
    fn admit(&mut self, body: Arc<dyn Body>, relayed: Option<Relayed>) {
        let id = body.core().new_ticket();
        let (limits, urgency) = (*body.core().limits(), body.core().urgency());
        let origin = relayed.as_ref().map(|relayed| (relayed.worker, relayed.id));
        if let Some(origin) = origin {
            self.relayed.insert(origin, id);
        }
        let divisible = body.chunk().is_some_and(|chunk| chunk.open() > 1);
        self.tasks.insert(id, Entry { body, origin, timeout: None, look: None });
        let event = Event::Submit {
            id,
            parent: relayed.map(|relayed| relayed.parent),
            urgency,
            alone: limits.need_a_process(),
            divisible,
        };
        self.supervisor.note(event).expect("a submission is no worker's message");
    }

    /// The outcome of a task was decided before it was written to the worker that was to run it: the worker will never see
    /// it, nor give it back.
    fn is_not_sent(&mut self, worker: WorkerId, id: u64) -> Vec<Action> {
        if !self.supervisor.is_sent(worker, id) {
            return Vec::new();
        }
        self.step(Event::Unsendable(worker, id))
    }

    /// Reads what a worker has started, which it may not have said, or nobody has heard.
    fn look_what_has_begun(&mut self, worker: WorkerId) {
        let link = self.links.get(&worker);
        let Some(started) = link.and_then(|link| link.page.as_ref()?.started()) else { return };
        for id in self.supervisor.sent(worker).into_iter().filter(|id| started.contains(id)) {
            self.supervisor.note(Event::Begun(worker, id)).expect("not a worker's message");
        }
    }

    /// The worker that is adding to the text of this task.
    fn printer(&mut self, id: u64) -> Option<Arc<Link>> {
        if let Some(worker) = self.supervisor.is_unstarted_in(id) {
            self.look_what_has_begun(worker);
        }
        self.links.get(&self.supervisor.is_innermost_in(id)?).cloned()
    }
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
                backlog: VecDeque::new(),
                spent: Vec::new(),
                enough: 64 + 2 * settings.workers,
                workers: settings.workers,
                tasks: FxHashMap::default(),
                relayed: HashMap::new(),
                links: FxHashMap::default(),
                spawns: Vec::new(),
                ends: Vec::new(),
                driven: false,
                closing: false,
            }),
            settings,
            wake,
            poller,
            speakers: RwLock::default(),
            sleepers: AtomicUsize::new(0),
            is_stirred: AtomicBool::new(false),
            spin: Mutex::new(Spin::new()),
            cores: available_parallelism().map_or(1, |cores| cores.get()),
            transport: Transport::from_environment(),
            impossible: OnceLock::new(),
            owner: std::process::id(),
            generation: sys::generation(),
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
        self.shared.submit(task.into_task());
    }

    fn cancel_waiting(&self) -> usize {
        if self.shared.is_copy() {
            return 0;
        }
        let (backlog, actions, cancelled) = {
            let mut state = self.shared.state.lock();
            // That a worker has started a task may not have been read yet.
            let pages = state.links.values().filter_map(|link| link.page.as_ref());
            let begun = pages.filter_map(CrashPage::started).flatten().collect();
            let backlog = std::mem::take(&mut state.backlog);
            let actions = state.step(Event::CancelWaiting { begun });
            let body = |action: &_| match action {
                Action::Cancelled(id) => Some(state.tasks.get(id)?.body.clone()),
                _ => None,
            };
            let cancelled: Vec<_> = actions.iter().filter_map(body).collect();
            (backlog, actions, cancelled)
        };
        let items = |body: &Arc<dyn Body>| body.chunk().map_or(1, |chunk| chunk.open());
        let count: usize = cancelled.iter().map(items).sum();
        self.shared.perform(actions);
        drop(cancelled);
        self.shared.divide_all();
        // What batches have in chunks comes back, and is ended by the driver.
        self.shared.wake.signal();
        let cancelled = |body: &Arc<dyn Body>| match body.source() {
            None => interrupt::cancel_waiting(body),
            Some(batch) => batch.fail_waiting(&|| {
                let kind = Kind::Cancelled { why: Unwanted::Interrupt, goes_on: false };
                TaskError::new(body.core().name(), None, kind)
            }),
        };
        count + backlog.iter().map(cancelled).sum::<usize>()
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

    fn takes_batches(&self) -> bool {
        self.shared.takes_batches()
    }

    fn tend(&self) {
        if !self.shared.is_copy() {
            self.shared.hear_rings();
        }
    }

    fn stir(&self) {
        if !self.shared.is_copy() {
            self.shared.is_stirred.store(true, Ordering::Release);
            self.shared.wake.signal();
        }
    }

    fn divide(&self, ticket: u64) {
        if !self.shared.is_copy() {
            self.shared.divide(ticket);
        }
    }

    fn help(&self, until: &Until<'_>) {
        if !self.shared.is_copy() {
            self.shared.help(until);
        }
    }

    fn sleeps(&self, how: Sleep) {
        if !self.shared.is_copy() {
            self.shared.sleeps(how);
        }
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
        sys::generation() != self.generation
    }

    fn submit(&self, body: Arc<dyn Body>) {
        let copy = self.is_copy().then(|| {
            let owner = self.owner;
            format!(
                "this process is a copy, made by fork(), of process {owner}, which has the workers; \
                 give it its own with xfork::plan, or fork before the first task"
            )
        });
        if let Some(reason) = copy.or_else(|| self.impossible.get().cloned()) {
            if is_unclaimed(&body) {
                fail(body, Kind::Spawn { reason });
            }
            return;
        }
        let (actions, is_behind, spent) = {
            let mut state = self.state.lock();
            if !state.driven {
                if let Err(error) = drive(self.me.upgrade().expect("a pool in use is alive")) {
                    drop(state);
                    let reason = format!("the process pool needs a thread: {error}");
                    if is_unclaimed(&body) {
                        fail(body, Kind::Spawn { reason });
                    }
                    return;
                }
                state.driven = true;
            }
            if body.source().is_some() || state.can_wait(&body) {
                state.backlog.push_back(body);
            } else if body.core().claim() {
                // Under the lock: who cancels the task finds it unclaimed, or here.
                state.admit(body, None);
            } else {
                return;
            }
            (state.decide(), state.supervisor.waiting() > 0, std::mem::take(&mut state.spent))
        };
        end_spent(spent);
        self.perform(actions);
        if is_behind {
            // The workers would finish what they have before the driver comes to it.
            self.hear_rings();
        }
    }

    /// Ends a task with this error, if its outcome is not decided; says whether it was not.
    fn end(&self, id: u64, error: TaskError) -> bool {
        let (body, printer, actions) = {
            let mut state = self.state.lock();
            let Some(body) = state.take(id) else { return false };
            let printer = state.printer(id);
            (body, printer, state.step(Event::Cancel(id)))
        };
        print_rest(&body, printer);
        body.fail(error);
        self.perform(actions);
        true
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
                    Action::Recall(worker, want) => {
                        self.tell(worker, &ToWorker::Recall { want });
                        // What has started can't come back, though the worker may be in no state to say so.
                        let mut state = self.state.lock();
                        state.look_what_has_begun(worker);
                        more.extend(state.decide());
                    }
                    Action::Divide(worker, id) => self.tell(worker, &ToWorker::Divide { id }),
                    Action::Crashed(..) | Action::Doubtful(..) => {
                        unreachable!("deaths are handled by the driver")
                    }
                    Action::GiveUp(id, why) => self.give_up(id, why),
                    Action::GiveUpRest(why) => self.give_up_backlog(&why),
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
        let (body, link, sending) = {
            let mut state = self.state.lock();
            // The worker is dead already, and the task back in the queue.
            let Some(link) = state.links.get(&worker).cloned() else { return Vec::new() };
            let Some(body) = state.tasks.get(&id).map(|entry| entry.body.clone()) else {
                return state.is_not_sent(worker, id);
            };
            let sending = body.chunk().map(|chunk| chunk.begin_sending());
            (body, link, sending)
        };
        let remote = body.remote().expect("only tasks that travel are submitted");
        // What a `Serialize` forks finds none, and uses a buffer of its own.
        let (bytes, mut terms) = BUFFERS.try_with(Cell::take).unwrap_or_default();
        let mut parcel = Parcel::new(bytes, Vec::new());
        let encoded = match remote.entry() {
            None => {
                let reason = "it is not in the table of functions".to_string();
                Err(TaskError::new(body.core().name(), None, Kind::Spawn { reason }))
            }
            Some(EntryId(entry)) => {
                codec::encode(&body.core().terms(), &mut terms).expect("numbers can be encoded");
                let is_chunk = body.chunk().is_some();
                let name = body.core().name();
                let start = begin_task(id, above, entry, name, &terms, is_chunk, &mut parcel.bytes);
                let encoded = match body.chunk().zip(sending) {
                    Some((chunk, sending)) => {
                        chunk.encode(sending, &mut parcel);
                        Ok(())
                    }
                    None => remote.encode(&mut parcel),
                };
                encoded.and_then(|()| {
                    let size = (parcel.bytes.len() - start) as u64 + link.loans.weight(&parcel);
                    let limit = self.settings.max_message;
                    if size > limit {
                        let what = Cow::Borrowed("arguments");
                        let kind = Kind::TooLarge { what, bytes: size, limit };
                        return Err(TaskError::new(body.core().name(), None, kind));
                    }
                    frame::finish(&mut parcel.bytes, start);
                    Ok(())
                })
            }
        };
        match encoded {
            Ok(()) => {
                let mut state = self.state.lock();
                let mut more = state.admit_overflow(&body);
                if !state.tasks.contains_key(&id) {
                    more.append(&mut state.is_not_sent(worker, id));
                    return more;
                }
                // Who cancels the task from now on asks for it after this.
                let out = link.out.lock();
                drop(state);
                self.post_parcel(&link, out, &mut parcel);
                keep(parcel.bytes, terms);
                // Whoever has given some of it up since it was encoded may have asked before the worker had it.
                if body.chunk().is_some_and(|chunk| chunk.has_unwanted()) {
                    self.divide(id);
                }
                more
            }
            Err(error) => {
                let (open, actions) = {
                    let mut state = self.state.lock();
                    let mut actions = state.admit_overflow(&body);
                    if !state.supervisor.is_sent(worker, id) {
                        // The worker died meanwhile, and the task is for another: that sending decides.
                        return actions;
                    }
                    let open = state.take(id);
                    actions.append(&mut state.step(Event::Unsendable(worker, id)));
                    (open, actions)
                };
                // Unless its outcome was decided meanwhile.
                if let Some(body) = open {
                    body.fail(error);
                }
                actions
            }
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
        fail(body, Kind::Cancelled { why, goes_on: false });
    }

    fn give_up(&self, id: u64, why: Why) {
        let Some(body) = self.state.lock().take(id) else { return };
        fail(body, kind_of(&why));
    }

    fn give_up_backlog(&self, why: &Why) {
        let backlog = std::mem::take(&mut self.state.lock().backlog);
        for body in backlog.into_iter().filter(is_unclaimed) {
            fail(body, kind_of(why));
        }
    }
}

fn kind_of(why: &Why) -> Kind {
    match why {
        Why::BootLoop(reason) | Why::NeverStarted(reason) => Kind::PoolBroken { reason: reason.clone() },
        Why::NoWorker(reason) => Kind::Spawn { reason: reason.clone() },
        Why::Foreign { build } => Kind::BuildMismatch { ours: sys::build_fingerprint(), theirs: *build },
    }
}

thread_local! {
    /// For what a thread sends next: its message, and the terms in it.
    static BUFFERS: Cell<(Vec<u8>, Vec<u8>)> = const { Cell::new((Vec::new(), Vec::new())) };
}

/// Keeps buffers for the next message, unless they are large.
fn keep(mut bytes: Vec<u8>, mut terms: Vec<u8>) {
    if bytes.capacity() <= 1 << 16 {
        bytes.clear();
        terms.clear();
        // Where the thread is ending there is no next one.
        let _ = BUFFERS.try_with(|buffers| buffers.set((bytes, terms)));
    }
}

/// Lets go of what is in the backlog no more, without the lock.
fn end_spent(spent: Vec<Arc<dyn Body>>) {
    for body in spent {
        if body.source().is_some() && cancel::is_interrupted() {
            fail(body, Kind::Cancelled { why: Unwanted::Interrupt, goes_on: false });
        }
    }
}

/// Claims what waits; a batch is not claimed as a whole.
fn is_unclaimed(body: &Arc<dyn Body>) -> bool {
    body.source().is_some() || body.core().claim()
}

/// Ends a task that no worker is to blame for.
fn fail(body: Arc<dyn Body>, kind: Kind) {
    let error = TaskError::new(body.core().name(), None, kind);
    body.fail(error);
}

/// Where a task comes from that a worker handed over: the worker, the number that it knows it by, the task that forked it.
struct Relayed {
    worker: WorkerId,
    id: u64,
    parent: u64,
}
