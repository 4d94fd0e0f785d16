//! The executor: the thread of a worker that runs tasks, and what it does while one of them is blocked.

use super::served::{Call, Served};
use super::{Incoming, LOCAL, Local, State};
use crate::core::context;
use crate::core::error::Kind;
use crate::core::runner::{Runnable, Runner, Until};
use crate::core::task::{Body, TaskCore};
use crate::ground::panics;
use crate::ground::registry::{self, EntryId};
use crate::ground::wire::message::FromWorker;
use crate::task::panic_error;
use parking_lot::{Mutex, MutexGuard};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// What the executor does next.
enum Work {
    Forked(Arc<dyn Body>),
    Served(Incoming),
}

impl Local {
    /// The executor thread: runs what there is to run.
    pub(super) fn execute(self: Arc<Self>) {
        context::own_thread(Some(self.clone()));
        loop {
            let work = self.wait_for_work();
            self.say_unblocked();
            self.follow.begin();
            self.perform(work);
            self.follow.end();
        }
    }

    fn wait_for_work(self: &Arc<Self>) -> Work {
        loop {
            let mut state = self.state.lock();
            if let Some(work) = self.next(&mut state) {
                state.idle = false;
                return work;
            }
            if !state.serving.is_empty() {
                // Tasks that have returned, but whose forks are being run elsewhere, are blocked in them.
                state = self.say_blocked(state);
                if state.inbox.is_empty() && state.forked.is_empty() && !state.serving.is_empty() {
                    self.changed.wait(&mut state);
                }
                continue;
            }
            state.idle = true;
            drop(state);
            // With nothing to do, the executor reads the socket itself: a task then starts without a hand-over.
            if let Some(mut decoder) = self.reading.try_lock() {
                self.read(&mut decoder);
                continue;
            }
            let mut state = self.state.lock();
            if state.inbox.is_empty() && state.forked.is_empty() {
                self.changed.wait(&mut state);
            }
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
        self.follow.promote();
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

impl Runner for Local {
    fn run(&self, task: Runnable) {
        let mut state = self.state.lock();
        state.forked.push_back(task.into_task());
        let advertise = state.workers > 1 && !std::mem::replace(&mut state.advertised, true);
        drop(state);
        self.changed.notify_all();
        if advertise {
            self.follow.promote();
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
