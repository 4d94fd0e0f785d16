//! A pool of threads for work that waits: grows while its threads are blocked, shrinks when they are idle.
//!
//! Up to [`EAGER`] threads are started as tasks come. Beyond that a monitor, which sleeps while nothing is queued,
//! doubles the number as long as tasks are queued, this process leaves processor time unused, and hardly any of the threads
//! wants more of it: then they are blocked, and more of them get more done. A thread that blocks inside xfork says so, and may be replaced at
//! once, beyond the limit: a limit of one thread is enough for tasks that wait for tasks, at any depth.

use super::queue::Queue;
use super::{Runnable, Runner};
use crate::core::runner::Until;
use crate::core::{context, interrupt};
use crate::ground::sys;
use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// The name of its threads.
const NAME: &str = "xfork-io";
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
/// How many tasks a thread takes before it counts them.
const FEW: usize = 4;

/// The pool of threads.
pub(crate) struct Threads {
    me: Weak<Self>,
    limit: usize,
    queue: Queue,
    state: Mutex<State>,
    work: Condvar,
    stall: Condvar,
    /// A thread without work is looking for some: nobody needs to be woken for the next task.
    searching: AtomicBool,
    /// Nor has anybody to be woken or started for the next task as things are; written under the lock. Who queues tasks takes
    /// no lock while this is so.
    calm: AtomicBool,
    /// Tasks taken from the queue, ever; some are counted a little later.
    taken: AtomicUsize,
}

#[derive(Default)]
struct State {
    threads: usize,
    /// Threads asleep for want of work.
    idle: usize,
    /// Idle threads that have been woken and have not looked yet.
    waking: usize,
    /// Threads blocked inside xfork.
    blocked: usize,
    monitored: bool,
    /// The monitor sleeps until there is something to watch.
    monitor_asleep: bool,
}

impl Threads {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            limit: limit.max(1),
            queue: Queue::new(),
            state: Mutex::new(State::default()),
            work: Condvar::new(),
            stall: Condvar::new(),
            searching: AtomicBool::new(false),
            calm: AtomicBool::new(false),
            taken: AtomicUsize::new(0),
        })
    }

    /// Has somebody look at the queue: an idle thread, a new one, or the monitor.
    fn attend(&self, state: &mut State) {
        match self.next_to_attend(state) {
            // A thread that is just leaving for want of work can't be woken; it looks at the queue once more itself.
            Attendant::Idle => state.waking += usize::from(self.work.notify_one()),
            Attendant::New => self.grow(state),
            Attendant::Monitor => self.watch(state),
            Attendant::Nobody => {}
        }
        self.note(state);
    }

    /// Who is to look at the queue when it has a task more.
    fn next_to_attend(&self, state: &State) -> Attendant {
        if state.waking > 0 {
            // It is on its way, and has the next one woken if it finds more than one task: a burst of tasks wakes
            // one thread after the other, by threads that are awake anyway.
            Attendant::Nobody
        } else if state.idle > 0 {
            Attendant::Idle
        } else if state.threads < self.limit.min(EAGER) + state.blocked {
            Attendant::New
        } else if state.threads < self.limit + state.blocked && (!state.monitored || state.monitor_asleep) {
            Attendant::Monitor
        } else {
            Attendant::Nobody
        }
    }

    /// Notes for those who queue tasks whether there is anything for them to do; after each change of the state.
    fn note(&self, state: &State) {
        let is_calm = matches!(self.next_to_attend(state), Attendant::Nobody);
        self.calm.store(is_calm, Ordering::Relaxed);
        // Here and in `run`: either this thread finds the task in the queue afterwards, or who queued it sees the note.
        fence(Ordering::SeqCst);
    }

    fn grow(&self, state: &mut State) {
        let Some(pool) = self.me.upgrade() else { return };
        state.threads += 1;
        let spawned =
            std::thread::Builder::new().name(NAME.into()).stack_size(STACK).spawn(move || pool.serve());
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
        let mut uncounted = 0;
        loop {
            let next = self.queue.pop();
            uncounted += usize::from(next.is_some());
            // A few at once: the count is a place that all threads write to.
            if next.is_none() || uncounted == FEW {
                self.taken.fetch_add(std::mem::take(&mut uncounted), Ordering::Relaxed);
            }
            let Some(task) = next.or_else(|| self.search()) else { return };
            task.run();
        }
    }

    /// Waits for a task; `None` when this thread has been idle for long.
    fn search(&self) -> Option<Runnable> {
        if !self.searching.swap(true, Ordering::SeqCst) {
            for spin in 0..SPINS {
                if !self.queue.is_empty() {
                    break;
                }
                if spin % 100 == 99 { std::thread::yield_now() } else { std::hint::spin_loop() }
            }
            self.searching.store(false, Ordering::SeqCst);
            // Here and in `run`: a task queued while `searching` was seen is found below.
            fence(Ordering::SeqCst);
        }
        let mut state = self.state.lock();
        loop {
            if let Some(task) = self.queue.pop() {
                self.taken.fetch_add(1, Ordering::Relaxed);
                // Nobody was woken for those behind it while this thread searched or woke up.
                if !self.queue.is_empty() {
                    self.attend(&mut state);
                }
                return Some(task);
            }
            state.idle += 1;
            self.note(&state);
            if !self.queue.is_empty() {
                state.idle -= 1;
                self.note(&state);
                continue;
            }
            let timed_out = self.work.wait_for(&mut state, IDLE).timed_out();
            state.idle -= 1;
            if !timed_out {
                state.waking = state.waking.saturating_sub(1);
            } else if self.queue.is_empty() {
                state.threads -= 1;
                self.note(&state);
                return None;
            }
            self.note(&state);
        }
    }

    /// Starts threads while tasks are queued, the threads take few of them, and processor time is left over.
    fn monitor(&self) {
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        let mut state = self.state.lock();
        loop {
            if self.has_nothing_to_watch(&state) {
                state.monitor_asleep = true;
                self.note(&state);
                let timed_out =
                    self.has_nothing_to_watch(&state) && self.stall.wait_for(&mut state, IDLE).timed_out();
                state.monitor_asleep = false;
                if timed_out && self.queue.is_empty() {
                    state.monitored = false;
                    self.note(&state);
                    return;
                }
                self.note(&state);
            }
            let taken = self.taken.load(Ordering::Relaxed);
            let (begin, used) = (Instant::now(), sys::process_cpu_time());
            self.stall.wait_for(&mut state, LOOK);
            let elapsed = begin.elapsed();
            let taken = self.taken.load(Ordering::Relaxed) - taken;
            // The threads are not blocked; or the look came so late, on a busy machine, that it says little.
            if taken > BRISK * state.threads || (elapsed > 4 * LOOK && taken > 0) {
                continue;
            }
            let busy =
                sys::process_cpu_time().saturating_sub(used).as_secs_f64() / elapsed.as_secs_f64().max(1e-6);
            // On a busy machine others have the processors: then the threads are not blocked, and more would not help.
            if busy < 0.75 * cores as f64 && sys::runnable_threads(NAME, cores) < cores {
                let room = (self.limit + state.blocked).saturating_sub(state.threads);
                for _ in 0..state.threads.max(1).min(room).min(self.queue.len()) {
                    self.grow(&mut state);
                }
                self.note(&state);
            }
        }
    }

    fn has_nothing_to_watch(&self, state: &State) -> bool {
        self.queue.is_empty() || state.threads >= self.limit + state.blocked
    }
}

/// Who is to look at the queue.
enum Attendant {
    Nobody,
    Idle,
    New,
    Monitor,
}

impl Runner for Threads {
    fn run(&self, task: Runnable) {
        self.queue.push(task);
        fence(Ordering::SeqCst);
        // Relaxed: the fence orders them after the push.
        if self.searching.load(Ordering::Relaxed) || self.calm.load(Ordering::Relaxed) {
            return;
        }
        let mut state = self.state.lock();
        if self.queue.is_empty() {
            return;
        }
        self.attend(&mut state);
        if state.threads == 0
            && let Some(task) = self.queue.pop()
        {
            // No thread is to be had: the caller is better than nobody.
            drop(state);
            task.run();
        }
    }

    fn cancel_waiting(&self) -> usize {
        let waiting: Vec<_> = std::iter::from_fn(|| self.queue.pop()).collect();
        waiting.into_iter().map(|task| interrupt::cancel_waiting(&task.into_task())).sum()
    }

    fn block(&self, until: &Until<'_>) {
        {
            let mut state = self.state.lock();
            state.blocked += 1;
            self.note(&state);
            if !self.queue.is_empty() {
                self.attend(&mut state);
            }
        }
        until.park();
        let mut state = self.state.lock();
        state.blocked -= 1;
        self.note(&state);
    }
}
