//! The other end: what a worker process does.
//!
//! The main thread reads the socket, and never runs code of the user; one executor thread runs tasks, first those that
//! its own tasks forked, then those sent to it. A third thread, started when first asked, hands tasks over to other
//! workers, since encoding them runs code of the user. Tasks forked here stay unencoded until they are handed over.

use crate::core::context;
use crate::core::error::{Kind, TaskError, WireError};
use crate::core::runner::{Runnable, Runner, Until};
use crate::core::slot::AnySlot;
use crate::core::task::{self, Body, Remote, TaskCore};
use crate::core::unseen;
use crate::ground::panics::{self, PanicRecord};
use crate::ground::registry::{self, EntryId, Invocation, InvocationError};
use crate::ground::sys::{self, Wait};
use crate::ground::wire::codec;
use crate::ground::wire::frame::Decoder;
use crate::ground::wire::message::{FromWorker, PROTOCOL, ToWorker};
use crate::task::panic_error;
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// The stack of the executor, in bytes; address space only, until it is used. Where so much is not to be had, less is
/// tried.
const STACKS: [usize; 3] = [256 << 20, 64 << 20, 8 << 20];

static LOCAL: OnceLock<Arc<Local>> = OnceLock::new();

/// The runner for forks inside this worker; `None` if this process is no worker.
pub(super) fn local() -> Option<Arc<dyn Runner>> {
    LOCAL.get().map(|local| local.clone() as Arc<dyn Runner>)
}

/// What the threads of a worker share.
struct Local {
    socket: OwnedFd,
    writing: Mutex<()>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Sent by the program, not started; in the order of arrival.
    inbox: VecDeque<Incoming>,
    /// Forked by tasks of this worker, not started; the newest last.
    forked: VecDeque<Arc<dyn Body>>,
    /// Handed over to other workers.
    away: HashMap<u64, Arc<dyn Body>>,
    /// The program knows that `forked` is not empty.
    advertised: bool,
    /// How many workers the pool has; with one, nobody ever takes over anything.
    workers: u32,
    max_message: u64,
    /// Tasks of the program that are running or not delivered yet, the innermost last.
    serving: Vec<u64>,
    /// The task in which the program knows this worker to be blocked.
    blocked: Option<u64>,
}

struct Incoming {
    id: u64,
    above: u64,
    entry: u32,
    name: String,
    args: Vec<u8>,
}

/// Turns this process into a worker; does not return.
pub(super) fn serve(socket: OwnedFd) -> ! {
    context::become_worker();
    panics::install();
    panics::on_abort(send_last_panic);
    let local = Arc::new(Local {
        socket,
        writing: Mutex::new(()),
        state: Mutex::new(State { workers: 1, ..State::default() }),
        changed: Condvar::new(),
    });
    assert!(LOCAL.set(local.clone()).is_ok(), "a process becomes a worker once");
    local.say(&FromWorker::Hello {
        protocol: PROTOCOL,
        build: sys::build_fingerprint(),
        pid: std::process::id(),
    });
    let executor = STACKS.iter().any(|&stack| {
        let local = local.clone();
        let thread = std::thread::Builder::new().name("xfork-worker".into()).stack_size(stack);
        thread.spawn(move || local.execute()).is_ok()
    });
    if !executor {
        eprintln!("xfork: worker {} could not start a thread", std::process::id());
        sys::exit_now(3);
    }
    local.listen()
}

/// Called by the panic hook when a panic is about to end the process.
fn send_last_panic(record: &PanicRecord) {
    let mut bytes = Vec::new();
    if let Some(local) = LOCAL.get()
        && codec::encode(record, &mut bytes).is_ok()
    {
        local.say(&FromWorker::LastPanic { record: &bytes });
    }
}

impl Local {
    fn say(&self, message: &FromWorker<'_>) {
        let mut bytes = Vec::new();
        message.write(&mut bytes);
        self.write(&bytes);
    }

    fn write(&self, bytes: &[u8]) {
        let _one_at_a_time = self.writing.lock();
        // An error means that the program is gone; the listening thread sees that and ends the process.
        let _ = sys::send_all(self.socket.as_fd(), bytes);
    }

    /// The main thread: reads what the program says.
    fn listen(self: Arc<Self>) -> ! {
        let mut decoder = Decoder::new(u64::MAX);
        let mut stealing: Option<Sender<u32>> = None;
        loop {
            match sys::receive(self.socket.as_fd(), decoder.buffer(), Wait::Block) {
                // The program is gone without a word: whatever is running here is of no use to anybody.
                Ok(0) | Err(_) => sys::exit_now(0),
                Ok(count) => decoder.advance(count),
            }
            while let Ok(Some(frame)) = decoder.next() {
                match ToWorker::read(&frame) {
                    Ok(message) => self.hear(message, &mut stealing),
                    Err(error) => {
                        eprintln!("xfork: worker {} got {error}", std::process::id());
                        sys::exit_now(3);
                    }
                }
            }
        }
    }

    fn hear(self: &Arc<Self>, message: ToWorker<'_>, stealing: &mut Option<Sender<u32>>) {
        match message {
            ToWorker::Welcome { workers, max_message } => {
                let mut state = self.state.lock();
                state.workers = workers;
                state.max_message = max_message;
            }
            ToWorker::Task { id, above, entry, name, args } => {
                let mut state = self.state.lock();
                // Sent before the program knew that this worker is blocked: somebody else is to run it.
                let misplaced = state.blocked.is_some() && state.blocked != Some(above);
                if misplaced || (above != 0 && state.blocked != Some(above)) {
                    drop(state);
                    self.say(&FromWorker::Returned { id });
                    return;
                }
                let (name, args) = (name.to_string(), args.to_vec());
                state.inbox.push_back(Incoming { id, above, entry, name, args });
                drop(state);
                self.changed.notify_all();
            }
            ToWorker::Steal { want } => {
                let sender = stealing.get_or_insert_with(|| {
                    let (sender, receiver) = channel();
                    let local = self.clone();
                    let thread = std::thread::Builder::new().name("xfork-hand-over".into());
                    // Without the thread the receiver is dropped, and the program is told so below.
                    let _ = thread.spawn(move || receiver.iter().for_each(|want| local.hand_over(want)));
                    sender
                });
                if sender.send(want).is_err() {
                    self.say(&FromWorker::Stolen);
                }
            }
            ToWorker::Recall { want } => {
                let mut back = Vec::new();
                {
                    let mut state = self.state.lock();
                    for _ in 0..want {
                        let Some(incoming) = state.inbox.pop_back() else { break };
                        FromWorker::Returned { id: incoming.id }.write(&mut back);
                    }
                }
                FromWorker::Recalled.write(&mut back);
                self.write(&back);
            }
            ToWorker::ChildDone { id, result } => {
                let body = self.state.lock().away.remove(&id);
                if let Some(body) = body {
                    body.complete(result.to_vec());
                    self.changed.notify_all();
                }
            }
            ToWorker::ChildFailed { id, error } => {
                let body = self.state.lock().away.remove(&id);
                if let Some(body) = body {
                    let error = match codec::decode::<WireError>(&mut &error[..]) {
                        Ok(wire) => wire.into(),
                        Err(error) => {
                            let kind = Kind::Protocol { reason: format!("an unreadable error: {error}") };
                            TaskError::new(body.core().name(), None, kind)
                        }
                    };
                    body.fail(error);
                    self.changed.notify_all();
                }
            }
            ToWorker::Bye => sys::exit(0),
        }
    }

    /// Gives up to `want` of the oldest forked tasks to the program.
    fn hand_over(&self, want: u32) {
        for _ in 0..want {
            let Some(body) = self.state.lock().forked.pop_front() else { break };
            let parent = serving(&body);
            let (Some(remote), Some(parent)) = (body.remote(), parent) else {
                self.state.lock().forked.push_back(body.clone());
                break;
            };
            let Some(EntryId(entry)) = remote.entry() else { continue };
            if !body.core().claim() {
                continue;
            }
            let mut args = Vec::new();
            if let Err(error) = remote.encode(&mut args) {
                body.fail(error);
                continue;
            }
            remote.release();
            let id = body.core().id.0;
            let mut bytes = Vec::new();
            let name = body.core().name();
            FromWorker::Child { parent, id, entry, name, args: &args }.write(&mut bytes);
            self.state.lock().away.insert(id, body.clone());
            self.write(&bytes);
        }
        let mut state = self.state.lock();
        let more = !state.forked.is_empty();
        state.advertised = more;
        drop(state);
        self.say(&FromWorker::Stolen);
        if more {
            self.say(&FromWorker::Surplus);
        }
    }

    /// The executor thread: runs what there is to run.
    fn execute(self: Arc<Self>) {
        context::own_thread(Some(self.clone()));
        loop {
            let work = {
                let mut state = self.state.lock();
                loop {
                    if let Some(work) = self.next(&mut state) {
                        break work;
                    }
                    // Tasks that have returned, but whose forks are being run elsewhere, are blocked in them.
                    state = self.say_blocked(state);
                    if state.inbox.is_empty() && state.forked.is_empty() {
                        self.changed.wait(&mut state);
                    }
                }
            };
            self.say_unblocked();
            self.perform(work);
        }
    }

    fn next(&self, state: &mut State) -> Option<Work> {
        if let Some(body) = state.forked.pop_back() {
            return Some(Work::Forked(body));
        }
        state.inbox.pop_front().map(|incoming| {
            state.serving.push(incoming.id);
            Work::Served(incoming)
        })
    }

    fn perform(self: &Arc<Self>, work: Work) {
        match work {
            Work::Forked(body) => Runnable(Some(body)).run(),
            Work::Served(incoming) => self.run(incoming),
        }
    }

    /// Gives back what was sent ahead, and asks for something that may be run while the innermost task waits.
    fn say_blocked<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let Some(&id) = state.serving.last() else { return state };
        if state.workers <= 1 || state.blocked == Some(id) {
            return state;
        }
        state.blocked = Some(id);
        let mut bytes = Vec::new();
        for incoming in state.inbox.drain(..) {
            FromWorker::Returned { id: incoming.id }.write(&mut bytes);
        }
        FromWorker::Blocked { id }.write(&mut bytes);
        drop(state);
        self.write(&bytes);
        self.state.lock()
    }

    fn say_unblocked(&self) {
        let mut back = Vec::new();
        {
            let mut state = self.state.lock();
            if state.blocked.take().is_none() {
                return;
            }
            // What was meant to be run on top of the blocked task is not, any more.
            let (stay, go): (VecDeque<_>, VecDeque<_>) =
                std::mem::take(&mut state.inbox).into_iter().partition(|incoming| incoming.above == 0);
            state.inbox = stay;
            for incoming in go {
                FromWorker::Returned { id: incoming.id }.write(&mut back);
            }
            FromWorker::Unblocked.write(&mut back);
        }
        self.write(&back);
    }

    /// Runs a task that the program sent.
    fn run(self: &Arc<Self>, incoming: Incoming) {
        self.say(&FromWorker::Started { id: incoming.id });
        let body = Arc::new(Served {
            core: TaskCore::served(Cow::Owned(incoming.name), self.clone()),
            local: self.clone(),
            id: incoming.id,
            begin: Instant::now(),
            outcome: Mutex::new(None),
        });
        let Some(trampoline) = registry::lookup(EntryId(incoming.entry)) else {
            body.end(Err(body.error(Kind::Spawn { reason: "it is not in the table of functions".into() })));
            return;
        };
        let mut call = Call { body: &body, args: Some(incoming.args), ended: false };
        let caught = {
            let _context = context::enter_task(body.clone());
            panics::catch(|| trampoline(&mut call))
        };
        // After the outcome is known, what a destructor does wrong concerns nobody.
        if let (Err(caught), false) = (caught, call.ended) {
            body.end(Err(panic_error(body.core.name(), caught)));
        }
    }
}

enum Work {
    Forked(Arc<dyn Body>),
    Served(Incoming),
}

/// The number of the task of the program that `body` is part of.
fn serving(body: &Arc<dyn Body>) -> Option<u64> {
    let mut task = body.clone();
    loop {
        if let Some(id) = task.served_as() {
            return Some(id);
        }
        let parent = task.core().parent.clone()?;
        task = parent;
    }
}

impl Runner for Local {
    fn run(&self, task: Runnable) {
        let mut state = self.state.lock();
        state.forked.push_back(task.into_task());
        let advertise = state.workers > 1 && !std::mem::replace(&mut state.advertised, true);
        drop(state);
        self.changed.notify_all();
        if advertise {
            self.say(&FromWorker::Surplus);
        }
    }

    fn block(&self, until: &Until<'_>) {
        // The settling thread locks, so that the notification cannot come between the check and the wait.
        let local = LOCAL.get().expect("only a worker has this runner").clone();
        until.slot.head().when_settled(move || {
            drop(local.state.lock());
            local.changed.notify_all();
        });
        let local = LOCAL.get().expect("as above");
        loop {
            let work = {
                let mut state = self.state.lock();
                loop {
                    if until.is_over() {
                        break None;
                    }
                    if let Some(body) = state.forked.pop_back() {
                        break Some(Work::Forked(body));
                    }
                    let above = state.blocked;
                    if let Some(position) = state.inbox.iter().position(|task| Some(task.above) == above) {
                        let incoming = state.inbox.remove(position).expect("just found");
                        state.serving.push(incoming.id);
                        // The program learns from `Started` that this worker has something to do; what it blocks in
                        // next is another task.
                        break Some(Work::Served(incoming));
                    }
                    if above.is_none() {
                        state = self.say_blocked(state);
                        if !state.forked.is_empty() || !state.inbox.is_empty() || until.is_over() {
                            continue;
                        }
                    }
                    match until.deadline {
                        None => self.changed.wait(&mut state),
                        Some(end) => {
                            self.changed.wait_until(&mut state, end);
                        }
                    }
                }
            };
            self.say_unblocked();
            match work {
                Some(work) => local.perform(work),
                None => return,
            }
        }
    }
}

/// A task of the program while it runs here.
struct Served {
    core: TaskCore,
    local: Arc<Local>,
    id: u64,
    begin: Instant,
    outcome: Mutex<Option<Result<Vec<u8>, TaskError>>>,
}

impl Served {
    fn error(&self, kind: Kind) -> TaskError {
        TaskError::new(self.core.name(), context::worker_pid(), kind)
    }

    /// Says that the function has ended; its forks may not have.
    fn end(self: &Arc<Self>, outcome: Result<Vec<u8>, TaskError>) {
        *self.outcome.lock() = Some(outcome);
        // What a task printed is seen before its result is.
        let _ = std::io::stdout().flush();
        task::finished(&**self);
    }
}

impl Body for Served {
    fn core(&self) -> &TaskCore {
        &self.core
    }
    fn run(self: Arc<Self>) {
        unreachable!("a served task is run where it arrives");
    }
    fn fail(self: Arc<Self>, error: TaskError) {
        self.end(Err(error));
    }
    fn complete(self: Arc<Self>, result: Vec<u8>) {
        self.end(Ok(result));
    }
    fn deliver(&self) {
        let outcome = self.outcome.lock().take().expect("delivered once, after its end");
        let mut bytes = Vec::new();
        for failure in unseen::take() {
            let mut error = Vec::new();
            if codec::encode(&WireError::from(&failure), &mut error).is_ok() {
                FromWorker::Unseen { error: &error }.write(&mut bytes);
            }
        }
        let limit = {
            let mut state = self.local.state.lock();
            state.serving.retain(|&id| id != self.id);
            state.max_message
        };
        let outcome = outcome.and_then(|result| match result.len() as u64 {
            size if size > limit => {
                Err(self.error(Kind::TooLarge { what: Cow::Borrowed("result"), bytes: size, limit }))
            }
            _ => Ok(result),
        });
        match outcome {
            Ok(result) => {
                let micros = self.begin.elapsed().as_micros() as u64;
                FromWorker::Done { id: self.id, micros, result: &result }.write(&mut bytes);
            }
            Err(failure) => {
                let mut error = Vec::new();
                if codec::encode(&WireError::from(&failure), &mut error).is_err() {
                    error.clear();
                }
                FromWorker::Failed { id: self.id, error: &error }.write(&mut bytes);
            }
        }
        self.local.write(&bytes);
    }
    fn next_unready(&self) -> Option<Arc<dyn AnySlot>> {
        None
    }
    fn failed_input(&self) -> Option<TaskError> {
        None
    }
    fn remote(&self) -> Option<&dyn Remote> {
        None
    }
    fn served_as(&self) -> Option<u64> {
        Some(self.id)
    }
}

/// One call of a trampoline.
struct Call<'a> {
    body: &'a Arc<Served>,
    args: Option<Vec<u8>>,
    ended: bool,
}

impl Invocation for Call<'_> {
    fn arguments(&mut self) -> Vec<u8> {
        self.args.take().unwrap_or_default()
    }

    fn finish(&mut self, outcome: Result<Vec<u8>, InvocationError>) {
        self.ended = true;
        self.body.end(outcome.map_err(|error| {
            self.body.error(match error {
                InvocationError::Decode(reason) => Kind::Decode { what: Cow::Borrowed("arguments"), reason },
                InvocationError::Encode(reason) => Kind::Encode { what: Cow::Borrowed("result"), reason },
            })
        }));
    }
}
