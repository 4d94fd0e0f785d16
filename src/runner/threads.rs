//! A pool of threads for work that waits: grows while its threads are blocked, shrinks when they are idle.
//!
//! Up to [`EAGER`] threads are started as tasks come. Beyond that a monitor, which sleeps while nothing is queued,
//! doubles the number as long as tasks are queued and this process leaves processor time unused: then the threads
//! are blocked, and more of them get more done. A thread that blocks inside xfork says so, and may be replaced at
//! once, beyond the limit: a limit of one thread is enough for tasks that wait for tasks, at any depth.

use super::{Runnable, Runner};
use crate::core::context;
use crate::core::runner::Until;
use crate::ground::sys;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Threads started without asking whether the others are blocked.
const EAGER: usize = 4;
/// The default limit of threads that are not blocked inside xfork.
pub(crate) const DEFAULT_LIMIT: usize = 512;
/// How long a thread stays without work.
const IDLE: Duration = Duration::from_secs(5);
/// How often the monitor looks, while tasks are queued.
const LOOK: Duration = Duration::from_micros(500);
/// The stack of a thread, in bytes; address space only, until it is used.
const STACK: usize = 8 * 1024 * 1024;
/// How often a thread without work looks again before it sleeps.
const SPINS: usize = 64;

/// The pool of threads.
pub(crate) struct Threads {
    me: Weak<Self>,
    limit: usize,
    state: Mutex<State>,
    work: Condvar,
    stall: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Runnable>,
    threads: usize,
    /// Threads asleep for want of work.
    idle: usize,
    /// Idle threads that have been woken and have not looked yet.
    waking: usize,
    /// Threads blocked inside xfork.
    blocked: usize,
    monitored: bool,
}

impl Threads {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            limit: limit.max(1),
            state: Mutex::new(State::default()),
            work: Condvar::new(),
            stall: Condvar::new(),
        })
    }

    /// Has somebody look at the queue: an idle thread, a new one, or the monitor.
    fn attend(&self, mut state: parking_lot::MutexGuard<'_, State>) {
        if state.idle > state.waking {
            state.waking += 1;
            drop(state);
            self.work.notify_one();
        } else if state.threads < self.limit.min(EAGER) + state.blocked {
            self.grow(&mut state);
        } else if state.threads < self.limit + state.blocked {
            self.watch(&mut state);
        }
    }

    fn grow(&self, state: &mut State) {
        let Some(pool) = self.me.upgrade() else { return };
        state.threads += 1;
        let spawned =
            std::thread::Builder::new().name("xfork-io".into()).stack_size(STACK).spawn(move || pool.serve());
        if spawned.is_err() {
            state.threads -= 1;
        }
    }

    fn watch(&self, state: &mut State) {
        if state.monitored {
            self.stall.notify_one();
            return;
        }
        let Some(pool) = self.me.upgrade() else { return };
        let spawned =
            std::thread::Builder::new().name("xfork-io-monitor".into()).spawn(move || pool.monitor());
        state.monitored = spawned.is_ok();
    }

    /// The life of one thread.
    fn serve(self: Arc<Self>) {
        context::own_thread(Some(self.clone()));
        while let Some(task) = self.next() {
            task.run();
        }
    }

    /// The next task; `None` when this thread has been idle for long.
    fn next(&self) -> Option<Runnable> {
        for _ in 0..SPINS {
            if let Some(task) = self.state.lock().queue.pop_front() {
                return Some(task);
            }
            std::thread::yield_now();
        }
        let mut state = self.state.lock();
        loop {
            if let Some(task) = state.queue.pop_front() {
                return Some(task);
            }
            state.idle += 1;
            let timed_out = self.work.wait_for(&mut state, IDLE).timed_out();
            state.idle -= 1;
            if !timed_out {
                state.waking = state.waking.saturating_sub(1);
            } else if state.queue.is_empty() {
                state.threads -= 1;
                return None;
            }
        }
    }

    /// Starts threads while tasks are queued and processor time is left over.
    fn monitor(&self) {
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        let mut state = self.state.lock();
        loop {
            if state.queue.is_empty() || state.threads >= self.limit + state.blocked {
                let timed_out = self.stall.wait_for(&mut state, IDLE).timed_out();
                if timed_out && state.queue.is_empty() {
                    state.monitored = false;
                    return;
                }
            }
            let (begin, used) = (Instant::now(), sys::process_cpu_time());
            self.stall.wait_for(&mut state, LOOK);
            let elapsed = begin.elapsed();
            // The guard may have come back late on a busy machine: then little can be said.
            let busy =
                sys::process_cpu_time().saturating_sub(used).as_secs_f64() / elapsed.as_secs_f64().max(1e-6);
            if busy < 0.75 * cores as f64 {
                let room = (self.limit + state.blocked).saturating_sub(state.threads);
                for _ in 0..state.threads.max(1).min(room).min(state.queue.len()) {
                    self.grow(&mut state);
                }
            }
        }
    }
}

impl Runner for Threads {
    fn run(&self, task: Runnable) {
        let mut state = self.state.lock();
        state.queue.push_back(task);
        self.attend(state);
    }

    fn block(&self, until: &Until<'_>) {
        {
            let mut state = self.state.lock();
            state.blocked += 1;
            if !state.queue.is_empty() {
                self.attend(state);
            }
        }
        until.park();
        self.state.lock().blocked -= 1;
    }
}
