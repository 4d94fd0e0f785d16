//! A pool of threads for work that waits: grows while its threads are blocked, shrinks when they are idle.
//!
//! Up to [`EAGER`] threads are started as tasks come. Beyond that a monitor, which sleeps while nothing is queued,
//! doubles the number as long as tasks are queued and this process leaves processor time unused: then the threads
//! are blocked, and more of them get more done. A thread that blocks inside xfork says so, and may be replaced at
//! once, beyond the limit: a limit of one thread is enough for tasks that wait for tasks, at any depth.

use super::queue::Queue;
use super::{Runnable, Runner};
use crate::core::runner::Until;
use crate::core::{context, interrupt};
use crate::ground::sys;
use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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
/// How often a thread without work looks again before it sleeps; one thread does so at a time.
const SPINS: usize = 2000;
/// A pool whose threads take fewer tasks than this each, between two looks of the monitor, may be blocked.
const BRISK: usize = 8;

/// The pool of threads.
pub(crate) struct Threads {
    me: Weak<Self>,
    limit: usize,
    state: Mutex<State>,
    work: Condvar,
    stall: Condvar,
    /// How many tasks are queued; written under the lock, read without.
    queued: AtomicUsize,
    /// A thread without work is looking for some: nobody needs to be woken for the next task.
    searching: AtomicBool,
}

#[derive(Default)]
struct State {
    queue: Queue,
    threads: usize,
    /// Threads asleep for want of work.
    idle: usize,
    /// Idle threads that have been woken and have not looked yet.
    waking: usize,
    /// Threads blocked inside xfork.
    blocked: usize,
    /// Tasks taken from the queue, ever.
    taken: usize,
    monitored: bool,
    /// The monitor sleeps until there is something to watch.
    monitor_asleep: bool,
}

impl Threads {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            limit: limit.max(1),
            state: Mutex::new(State::default()),
            work: Condvar::new(),
            stall: Condvar::new(),
            queued: AtomicUsize::new(0),
            searching: AtomicBool::new(false),
        })
    }

    /// Has somebody look at the queue: an idle thread, a new one, or the monitor.
    fn attend(&self, state: &mut State) {
        if state.idle > state.waking {
            // A thread that is just leaving for want of work can't be woken; it looks at the queue once more itself.
            if self.work.notify_one() {
                state.waking += 1;
            }
        } else if state.threads < self.limit.min(EAGER) + state.blocked {
            self.grow(state);
        } else if state.threads < self.limit + state.blocked {
            self.watch(state);
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
            if std::mem::replace(&mut state.monitor_asleep, false) {
                self.stall.notify_one();
            }
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

    fn take(&self, state: &mut State) -> Option<Runnable> {
        let task = state.queue.pop()?;
        state.taken += 1;
        self.queued.store(state.queue.len(), Ordering::Relaxed);
        Some(task)
    }

    /// The next task; `None` when this thread has been idle for long.
    fn next(&self) -> Option<Runnable> {
        let mut state = self.state.lock();
        if let Some(task) = self.take(&mut state) {
            return Some(task);
        }
        drop(state);
        // SeqCst, here and in `run`: a task queued while `searching` was seen is found below, under the lock.
        if !self.searching.swap(true, Ordering::SeqCst) {
            for spin in 0..SPINS {
                if self.queued.load(Ordering::Relaxed) != 0 {
                    break;
                }
                if spin % 100 == 99 { std::thread::yield_now() } else { std::hint::spin_loop() }
            }
            self.searching.store(false, Ordering::SeqCst);
        }
        let mut state = self.state.lock();
        loop {
            if let Some(task) = self.take(&mut state) {
                // Nobody was woken for those behind it while this thread searched.
                if !state.queue.is_empty() {
                    self.attend(&mut state);
                }
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

    /// Starts threads while tasks are queued, the threads take few of them, and processor time is left over.
    fn monitor(&self) {
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        let mut state = self.state.lock();
        loop {
            if state.queue.is_empty() || state.threads >= self.limit + state.blocked {
                state.monitor_asleep = true;
                let timed_out = self.stall.wait_for(&mut state, IDLE).timed_out();
                state.monitor_asleep = false;
                if timed_out && state.queue.is_empty() {
                    state.monitored = false;
                    return;
                }
            }
            let (begin, used, taken) = (Instant::now(), sys::process_cpu_time(), state.taken);
            self.stall.wait_for(&mut state, LOOK);
            let elapsed = begin.elapsed();
            let taken = state.taken - taken;
            // The threads are not blocked; or the look came so late, on a busy machine, that it says little.
            if taken > BRISK * state.threads || (elapsed > 4 * LOOK && taken > 0) {
                continue;
            }
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
        state.queue.push(task);
        self.queued.store(state.queue.len(), Ordering::Relaxed);
        if !self.searching.load(Ordering::SeqCst) {
            self.attend(&mut state);
        }
        if state.threads == 0
            && let Some(task) = self.take(&mut state)
        {
            // No thread is to be had: the caller is better than nobody.
            drop(state);
            task.run();
        }
    }

    fn cancel_waiting(&self) -> usize {
        let waiting = {
            let mut state = self.state.lock();
            self.queued.store(0, Ordering::Relaxed);
            std::mem::take(&mut state.queue)
        };
        waiting.into_iter().map(|task| interrupt::cancel_waiting(&task.into_task())).sum()
    }

    fn block(&self, until: &Until<'_>) {
        {
            let mut state = self.state.lock();
            state.blocked += 1;
            if !state.queue.is_empty() {
                self.attend(&mut state);
            }
        }
        until.park();
        self.state.lock().blocked -= 1;
    }
}
