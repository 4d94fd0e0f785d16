//! Runs tasks on rayon's global pool: cpu-bound work in this process, for the plan `threads`.
//!
//! A rayon thread that has to block runs nothing else meanwhile: another task on top of the blocked one might need the
//! result of just that, or a value that it is computing, and could not wait for it. When all of rayon's threads are
//! blocked, the tasks that wait for one are handed to the thread pool as well, and whoever claims a task first runs it.

use super::{Runnable, Runner};
use crate::core::runner::Until;
use crate::core::task::Body;
use crate::core::{context, interrupt};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

/// Runs tasks on rayon's threads.
pub(crate) struct Compute {
    me: Weak<Self>,
    blocked: AtomicUsize,
    /// The tasks that rayon has been given, in order; those at the front that have begun are forgotten now and then.
    given: Mutex<VecDeque<Weak<dyn Body>>>,
    when_all_blocked: Arc<dyn Runner>,
}

impl Compute {
    pub(crate) fn new(when_all_blocked: Arc<dyn Runner>) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            blocked: AtomicUsize::new(0),
            given: Mutex::default(),
            when_all_blocked,
        })
    }

    /// Hands the tasks that nobody has begun to the thread pool, if no thread of rayon's will come for them.
    fn hand_over(&self) {
        if self.blocked.load(Ordering::SeqCst) < rayon::current_num_threads() {
            return;
        }
        let given = std::mem::take(&mut *self.given.lock());
        for task in given.iter().filter_map(Weak::upgrade).filter(|task| task.core().is_queued()) {
            self.when_all_blocked.run(Runnable(Some(task)));
        }
    }
}

impl Runner for Compute {
    fn run(&self, task: Runnable) {
        let task = task.into_task();
        // Dropped without the lock: this may be the last to have them.
        let mut begun = Vec::new();
        {
            let mut given = self.given.lock();
            while let Some(first) = given.front() {
                let first = first.upgrade();
                if first.as_ref().is_some_and(|first| first.core().is_queued()) {
                    begun.extend(first);
                    break;
                }
                begun.extend(first);
                given.pop_front();
            }
            given.push_back(Arc::downgrade(&task));
        }
        drop(begun);
        let owner = self.me.upgrade();
        rayon::spawn(move || {
            let previous = context::thread_runner();
            context::own_thread(owner.map(|owner| owner as Arc<dyn Runner>));
            Runnable(Some(task)).run();
            context::own_thread(previous);
        });
        // Either this sees the last thread blocked, or that thread, which says so first, finds the task among those given.
        self.hand_over();
    }

    fn cancel_waiting(&self) -> usize {
        let given = std::mem::take(&mut *self.given.lock());
        let waiting = given.iter().filter_map(Weak::upgrade).filter(|task| task.core().is_queued());
        waiting.map(|task| interrupt::cancel_waiting(&task)).sum()
    }

    fn block(&self, until: &Until<'_>) {
        self.blocked.fetch_add(1, Ordering::SeqCst);
        self.hand_over();
        until.park();
        self.blocked.fetch_sub(1, Ordering::SeqCst);
    }
}
