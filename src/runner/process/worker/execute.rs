//! The executor: the thread of a worker that runs tasks, and what it does while one of them is blocked.

use super::borrowed::weight;
use super::line::Patience;
use super::listen::{portable, serving};
use super::record::Owner;
use super::served::{Call, Served};
use super::{Incoming, LOCAL, Local, State};
use crate::core::error::{Kind, panic_error};
use crate::core::limits::Limits;
use crate::core::runner::{Ending, Runnable, Runner, Until};
use crate::core::task::{Body, TaskCore};
use crate::core::{context, expression};
use crate::ground::panics;
use crate::ground::registry::{self, EntryId};
use crate::ground::sys;
use crate::ground::wire::message::FromWorker;
use parking_lot::{Mutex, MutexGuard};
use std::borrow::Cow;
use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// What the executor does next.
enum Work {
    /// The number after that of a function to run before the first task.
    Prepare(u64),
    Forked(Arc<dyn Body>),
    /// A forked task that must not run on top of the blocked one.
    Beside(Arc<dyn Body>),
    Served(Incoming),
}

impl Local {
    /// The executor thread: runs what there is to run.
    pub(super) fn execute(self: Arc<Self>) {
        context::own_thread(Some(self.clone()));
        EXECUTOR.set(true);
        loop {
            let work = self.wait_for_work();
            self.say_unblocked();
            self.follow.begin();
            self.perform(work);
            self.follow.end();
            self.end_if_mute();
        }
    }

    fn wait_for_work(self: &Arc<Self>) -> Work {
        loop {
            let mut state = self.state.lock();
            if let Some(work) = self.next(&mut state) {
                state.idle = false;
                return work;
            }
            if let Some(&id) = state.serving.last() {
                // Tasks that have returned, but whose forks are being run elsewhere, are blocked in them.
                let known = state.blocked;
                state = self.say_blocked(state, id);
                if state.blocked == known {
                    self.changed.wait(&mut state);
                }
                continue;
            }
            if state.blocked.is_some() {
                // The task in which it was blocked has been delivered by whoever finished its last fork.
                drop(state);
                self.say_unblocked();
                continue;
            }
            state.idle = true;
            // With nothing to do, the executor reads the socket itself: a task then starts without a hand-over. Tried
            // under the lock, because a follower that stops reading says so under the lock.
            if let Some(mut inlet) = self.reading.try_lock() {
                drop(state);
                self.read(&mut inlet, Patience::Looks);
            } else {
                self.settle_up();
                self.changed.wait(&mut state);
            }
        }
    }

    fn next(&self, state: &mut State) -> Option<Work> {
        if state.prepare != 0 {
            return Some(Work::Prepare(std::mem::take(&mut state.prepare)));
        }
        if let Some(body) = state.forked.pop_back() {
            return Some(Work::Forked(body));
        }
        state.inbox.pop_front().map(|incoming| {
            state.serve(&incoming);
            Work::Served(incoming)
        })
    }

    fn perform(self: &Arc<Self>, work: Work) {
        match work {
            Work::Prepare(number) => self.prepare(number),
            Work::Forked(body) => self.run_forked(body),
            Work::Beside(body) => self.run_beside(body),
            Work::Served(incoming) => self.run(incoming),
        }
    }

    /// Runs a task that was forked here, elsewhere than where its value is used: its text is kept for that place.
    fn run_forked(&self, body: Arc<dyn Body>) {
        let Some(record) = self.record.get() else { return Runnable(Some(body)).run() };
        if body.core().claim() {
            let id = body.core().id.0;
            record.begin(self, Owner::Forked(body.clone()));
            body.run();
            self.has_run(id);
        }
    }

    /// What a blocked thread does with the newest forked task. On top of `current` may only run what it forked, itself or
    /// through others: anything else might wait for `current`, or for a value that is being computed here, and could
    /// not wait. That runs in a thread beside this one, one at a time.
    fn forked_while_blocked(state: &mut State, current: Option<&Arc<dyn Body>>) -> Option<Work> {
        let body = state.forked.back()?;
        let is_child = current.is_none_or(|current| descends(body, current));
        if is_child && !expression::is_computing() {
            return state.forked.pop_back().map(Work::Forked);
        }
        if state.beside > 0 {
            return None;
        }
        state.beside += 1;
        state.forked.pop_back().map(Work::Beside)
    }

    /// Runs `body` in another thread.
    fn run_beside(self: &Arc<Self>, body: Arc<dyn Body>) {
        let place = Occupied(self.clone());
        let elsewhere = body.clone();
        let spawned = std::thread::Builder::new().name("xfork-beside".into()).stack_size(STACK_BESIDE).spawn(
            move || {
                context::own_thread(Some(place.0.clone()));
                BESIDE.set(true);
                Runnable(Some(elsewhere)).run();
                drop(place);
            },
        );
        if spawned.is_err() {
            // No thread to be had: this one must do.
            Runnable(Some(body)).run();
        }
    }

    /// Gives back what was sent ahead, and asks for something that may be run while the task `id` waits. The lock was
    /// let go exactly if `state.blocked` has changed.
    fn say_blocked<'a>(&'a self, mut state: MutexGuard<'a, State>, id: u64) -> MutexGuard<'a, State> {
        if state.blocked == Some(id) {
            return state;
        }
        self.follow.promote();
        if state.workers <= 1 && state.away.is_empty() {
            return state;
        }
        state.blocked = Some(id);
        let mut bytes = Vec::new();
        for incoming in state.inbox.drain(..) {
            FromWorker::Returned { id: incoming.id }.write(&mut bytes);
        }
        for (id, division) in &state.dividing {
            FromWorker::Divided { id: *id, from: division.divide() }.write(&mut bytes);
        }
        FromWorker::Blocked { id }.write(&mut bytes);
        // Another thread may finish the task as soon as the lock is free: its result must not overtake this.
        let mut writing = self.writing.lock();
        drop(state);
        self.write_holding(&mut writing, &bytes);
        drop(writing);
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
        if let Some(record) = self.record.get() {
            record.begin(self, Owner::Served(incoming.id));
        }
        if let Some(page) = &self.page {
            page.note_start(incoming.id);
        }
        // Who keeps its time, its text or large arguments has to know it now.
        let Limits { timeout, cpu_time, memory, .. } = incoming.terms.limits;
        let is_watched =
            timeout.is_some() || cpu_time.is_some() || memory.is_some() || self.record.get().is_some();
        let is_watched = is_watched || incoming.terms.is_watched;
        self.say_started(incoming.id, is_watched || weight(&incoming.args) > LARGE);
        let _memory = incoming.terms.limits.memory.and_then(sys::limit_memory);
        let body = Arc::new(Served {
            core: TaskCore::served(Cow::Owned(incoming.name), self.clone(), incoming.terms),
            local: self.clone(),
            id: incoming.id,
            begin: Instant::now(),
            outcome: Mutex::new(None),
        });
        let Some(trampoline) = registry::lookup(EntryId(incoming.entry)) else {
            body.end(Err(body.error(Kind::Spawn { reason: "it is not in the table of functions".into() })));
            return;
        };
        let mut call =
            Call { body: &body, args: Some(incoming.args), division: incoming.division, ended: false };
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

/// Arguments of more bytes are dropped by the program as soon as their task has started.
const LARGE: u64 = 64 << 10;

/// The stack of a thread beside the executor, in bytes; address space only, until it is used.
const STACK_BESIDE: usize = 64 * 1024 * 1024;

thread_local! {
    static EXECUTOR: Cell<bool> = const { Cell::new(false) };
    /// Whether this thread runs forked tasks beside a blocked one.
    static BESIDE: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is the executor.
pub(super) fn is_executor() -> bool {
    EXECUTOR.get()
}

/// The place of a thread beside the executor.
struct Occupied(Arc<Local>);

impl Drop for Occupied {
    fn drop(&mut self) {
        self.0.state.lock().beside -= 1;
        self.0.changed.notify_all();
    }
}

/// The place of a thread beside the executor, given up while it is blocked.
struct GivenUp<'a>(&'a Local);

impl<'a> GivenUp<'a> {
    fn new(local: &'a Local) -> Self {
        local.state.lock().beside -= 1;
        local.changed.notify_all();
        Self(local)
    }
}

impl Drop for GivenUp<'_> {
    fn drop(&mut self) {
        self.0.state.lock().beside += 1;
    }
}

/// Whether `ancestor` forked `body`, itself or through others.
fn descends(body: &Arc<dyn Body>, ancestor: &Arc<dyn Body>) -> bool {
    let mut parent = body.core().parent();
    while let Some(task) = parent {
        if std::ptr::eq(task.core(), ancestor.core()) {
            return true;
        }
        parent = task.core().parent();
    }
    false
}

impl Runner for Local {
    fn run(&self, task: Runnable) {
        let task = task.into_task();
        // One that may have to be ended can't share this process with the task that forked it.
        if task.core().limits().need_a_process()
            && let Some((parent, entry)) = portable(&task)
        {
            self.follow.promote();
            self.give_away(task, parent, entry);
            return;
        }
        let mut state = self.state.lock();
        let taken = state.sweep();
        state.forked.push_back(task);
        // An idle executor may be reading the socket: the program's answer wakes it.
        let tell = state.workers > 1 || state.idle;
        let advertise = tell && !std::mem::replace(&mut state.advertised, true);
        drop(state);
        drop(taken);
        self.changed.notify_all();
        if advertise {
            self.follow.promote();
            self.say(&FromWorker::Surplus);
        }
    }

    fn has_run(&self, task: u64) {
        if let Some(record) = self.record.get() {
            record.end(self, |owner| matches!(owner, Owner::Forked(body) if body.core().id.0 == task));
        }
    }

    fn end(&self, ending: &Ending<'_>) -> Option<bool> {
        let id = ending.task.core().ticket();
        let body = self.state.lock().away.remove(&id)?;
        self.say(&FromWorker::Unwanted { id });
        body.fail(ending.error.clone());
        self.changed.notify_all();
        Some(true)
    }

    fn block(&self, until: &Until<'_>) {
        // The settling thread locks, so that the notification cannot come between the check and the wait.
        let local = LOCAL.get().expect("only a worker has this runner").clone();
        until.slot().when_changed(move || {
            drop(local.state.lock());
            local.changed.notify_all();
        });
        let local = LOCAL.get().expect("as above");
        let current = context::task();
        // Not the last of `serving`: that may have returned already, and only wait for its forks.
        let task = current.as_ref().and_then(serving);
        // While this thread is blocked, another may run beside the executor.
        let _place = BESIDE.get().then(|| GivenUp::new(local));
        loop {
            let work = {
                let mut state = self.state.lock();
                loop {
                    if until.is_over() {
                        break None;
                    }
                    if let Some(work) = Self::forked_while_blocked(&mut state, current.as_ref()) {
                        break Some(work);
                    }
                    let above = state.blocked;
                    if let Some(position) = state.inbox.iter().position(|task| Some(task.above) == above) {
                        let incoming = state.inbox.remove(position).expect("just found");
                        state.serve(&incoming);
                        // The program learns from `Started` that this worker has something to do; what it blocks in
                        // next is another task.
                        break Some(Work::Served(incoming));
                    }
                    if let Some(id) = task {
                        state = self.say_blocked(state, id);
                        if state.blocked != above {
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
