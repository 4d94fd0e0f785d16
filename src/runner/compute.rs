//! Runs tasks on rayon's global pool: cpu-bound work in this process, for the plan `threads`.
//!
//! A rayon thread that has to block runs other rayon jobs first. When all of its threads are blocked, a task that
//! is forked then would never start: it is handed to the thread pool as well, and whoever claims it first runs it.

use super::{Runnable, Runner};
use crate::core::runner::Until;
use crate::core::{context, expression};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs tasks on rayon's threads.
pub(crate) struct Compute {
    me: std::sync::Weak<Self>,
    blocked: AtomicUsize,
    when_all_blocked: Arc<dyn Runner>,
}

impl Compute {
    pub(crate) fn new(when_all_blocked: Arc<dyn Runner>) -> Arc<Self> {
        Arc::new_cyclic(|me| Self { me: me.clone(), blocked: AtomicUsize::new(0), when_all_blocked })
    }
}

impl Runner for Compute {
    fn run(&self, task: Runnable) {
        let task = task.into_task();
        let (again, owner) = (task.clone(), self.me.upgrade());
        rayon::spawn(move || {
            let previous = context::thread_runner();
            context::own_thread(owner.map(|owner| owner as Arc<dyn Runner>));
            Runnable(Some(task)).run();
            context::own_thread(previous);
        });
        // SeqCst, here and in `block`: either this sees the last thread blocked, or that thread, which says so
        // before it looks for jobs a last time, finds the job.
        if self.blocked.load(Ordering::SeqCst) >= rayon::current_num_threads() {
            self.when_all_blocked.run(Runnable(Some(again)));
        }
    }

    fn block(&self, until: &Until<'_>) {
        self.blocked.fetch_add(1, Ordering::SeqCst);
        // Not while this thread has claimed a deferred value: the other task might need just that, and could not wait.
        while !until.is_over()
            && !expression::is_computing()
            && rayon::yield_now() == Some(rayon::Yield::Executed)
        {}
        until.park();
        self.blocked.fetch_sub(1, Ordering::SeqCst);
    }
}
