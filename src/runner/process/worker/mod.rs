//! The other end: what a worker process does.
//!
//! One executor thread runs tasks, first those that its own tasks forked, then those sent to it (`execute`, `served`).
//! It reads what the program says itself while it has nothing to do; the main thread reads when it is busy (`listen`, and `line` for
//! how). A third
//! thread, started when first asked, hands tasks over to other workers, since encoding them runs code of the user.
//! Tasks forked here stay unencoded until they are handed over.

mod borrowed;
mod chunk;
mod execute;
mod line;
mod listen;
mod prepare;
mod record;
mod served;

use crate::core::context;
use crate::core::limits::Terms;
use crate::core::runner::Runner;
use crate::core::task::Body;
use crate::ground::memory;
use crate::ground::panics::{self, PanicRecord};
use crate::ground::sys;
use crate::ground::sys::crash::{self, TakenPage};
use crate::ground::sys::lanes::Lanes;
use crate::ground::wire::codec;
use crate::ground::wire::message::{FromWorker, PROTOCOL};
use crate::ground::wire::parcel::Parcel;
use borrowed::Borrowed;
use chunk::Division;
use line::{Inlet, Outlet};
use listen::Follow;
use parking_lot::{Condvar, Mutex};
use record::Record;
use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::mpsc::Sender;
use std::sync::{Arc, OnceLock};

/// The stack of the executor, in bytes; address space only, until it is used. Where so much is not to be had, less is
/// tried.
const STACKS: [usize; 3] = [256 << 20, 64 << 20, 8 << 20];

/// The exit code of a worker that can't speak to the program any more: EX_IOERR of sysexits.h.
const BROKEN: i32 = 74;

static LOCAL: OnceLock<Arc<Local>> = OnceLock::new();

/// The runner for forks inside this worker; `None` if this process is no worker.
pub(super) fn local() -> Option<Arc<dyn Runner>> {
    LOCAL.get().map(|local| local.clone() as Arc<dyn Runner>)
}

/// What the threads of a worker share.
struct Local {
    socket: OwnedFd,
    /// The [`sys::generation`] of the worker; its copies have others.
    generation: u32,
    /// May be taken while `state` is held, never the other way round.
    writing: Mutex<Outlet>,
    state: Mutex<State>,
    changed: Condvar,
    /// The right to read what the program says.
    reading: Mutex<Inlet>,
    follow: Follow,
    /// Asks the thread that hands tasks over.
    stealing: Mutex<Option<Sender<u32>>>,
    /// What the tasks print, if that is captured.
    record: OnceLock<Record>,
    /// Where the tasks that have started are noted, lest a task that damages the socket leaves a doubt about the others.
    page: Option<TakenPage>,
    /// The shared memory that the program has lent.
    borrowed: Borrowed,
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
    /// The number after that of a function to run before the first task, or 0.
    prepare: u64,
    /// Tasks of the program that are running or not delivered yet, the innermost last.
    serving: Vec<u64>,
    /// The task in which the program knows this worker to be blocked.
    blocked: Option<u64>,
    /// The chunks that have begun and not ended.
    dividing: Vec<(u64, Arc<Division>)>,
    /// The executor has nothing to do and waits for the next task.
    idle: bool,
    /// Threads that run forked tasks beside one that is blocked, and are not blocked themselves; one at most is started.
    beside: usize,
}

impl State {
    /// A task of the program begins.
    fn serve(&mut self, incoming: &Incoming) {
        self.serving.push(incoming.id);
        self.dividing.extend(incoming.division.clone().map(|division| (incoming.id, division)));
    }

    /// It has ended.
    fn has_served(&mut self, id: u64) {
        self.serving.retain(|&serving| serving != id);
        self.dividing.retain(|&(chunk, _)| chunk != id);
    }

    /// Takes out, at both ends, the forked tasks that whoever waited for them has already run; to be dropped without
    /// the lock. A task that forks and waits for ever would otherwise collect them for ever.
    fn sweep(&mut self) -> Vec<Arc<dyn Body>> {
        let mut taken = Vec::new();
        while let Some(body) = self.forked.pop_back_if(|body| body.core().is_claimed()) {
            taken.push(body);
        }
        while let Some(body) = self.forked.pop_front_if(|body| body.core().is_claimed()) {
            taken.push(body);
        }
        taken
    }
}

struct Incoming {
    id: u64,
    above: u64,
    entry: u32,
    name: String,
    terms: Terms,
    args: Parcel,
    /// If it is a chunk: which items are still to be started.
    division: Option<Arc<Division>>,
}

/// Turns this process into a worker; does not return.
pub(super) fn serve(socket: OwnedFd, page: Option<TakenPage>, lanes: Option<Lanes>) -> ! {
    context::become_worker();
    memory::only_borrow();
    if let Some(page) = &page {
        crash::install(page);
        crash::prepare_thread();
    }
    panics::install();
    panics::on_abort(send_last_panic);
    let inlet = Inlet::new(lanes);
    let rings = u32::from(inlet.has_rings());
    let local = Arc::new(Local {
        socket,
        generation: sys::generation(),
        writing: Mutex::default(),
        state: Mutex::new(State { workers: 1, ..State::default() }),
        changed: Condvar::new(),
        reading: Mutex::new(inlet),
        follow: Follow::default(),
        stealing: Mutex::new(None),
        record: OnceLock::new(),
        page,
        borrowed: Borrowed::new(),
    });
    assert!(LOCAL.set(local.clone()).is_ok(), "a process becomes a worker once");
    local.say(&FromWorker::Hello {
        protocol: PROTOCOL,
        build: sys::build_fingerprint(),
        pid: std::process::id(),
        rings,
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
    local.follow()
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
