//! Waits that could never end: a value that is needed to compute itself.
//!
//! Operators cannot build such a value, but code can: a `lazy` closure, or a task, that reaches its own proxy through a
//! shared place. Who is about to block follows the chain "the slot I need is computed by a thread, which is blocked for a
//! slot, which is computed by a thread …"; if the chain comes back to this thread, the wait is refused with an error.
//!
//! A thread is in the table only while it really sleeps without a deadline. What it computes cannot change meanwhile,
//! and whoever closes the circle is the last to come, under the lock, and sees all of it. Not seen is a circle through
//! another process, through a task that has returned and waits for its forks, or through a worker's executor, which does
//! not sleep but looks for other tasks.

use crate::core::error::{Kind, TaskError};
use crate::core::slot::AnySlot;
use crate::core::{context, expression};
use crate::ground::cell::ThreadNumber;
use parking_lot::Mutex;
use std::sync::Arc;

struct Sleeper {
    thread: ThreadNumber,
    needs: Arc<dyn AnySlot>,
}

static SLEEPERS: Mutex<Vec<Sleeper>> = Mutex::new(Vec::new());

/// While it lives, this thread is known to sleep.
pub(crate) struct Sleeping(ThreadNumber);

impl Drop for Sleeping {
    fn drop(&mut self) {
        let mut sleepers = SLEEPERS.lock();
        let mine = sleepers.iter().rposition(|sleeper| sleeper.thread == self.0);
        let gone = mine.map(|mine| sleepers.swap_remove(mine));
        drop(sleepers);
        // Outside the lock: it may be the last pointer to an expression.
        drop(gone);
    }
}

/// Says that this thread will sleep until `slot` is settled.
///
/// # Errors
///
/// If `slot` waits for this thread.
pub(crate) fn sleep_for(slot: &Arc<dyn AnySlot>) -> Result<Sleeping, TaskError> {
    let me = ThreadNumber::current();
    let mut sleepers = SLEEPERS.lock();
    let mut next = slot;
    // Each hop is another sleeper; more hops than sleepers would be a circle without this thread, which its last
    // member has been refused.
    for _ in 0..=sleepers.len() {
        match computed_by(next) {
            Some(thread) if thread == me => return Err(error(slot)),
            Some(thread) => match sleepers.iter().find(|sleeper| sleeper.thread == thread) {
                Some(sleeper) => next = &sleeper.needs,
                None => break,
            },
            None => break,
        }
    }
    sleepers.push(Sleeper { thread: me, needs: slot.clone() });
    Ok(Sleeping(me))
}

/// Whether the thread that needs `slot` is the one that computes it.
pub(crate) fn is_own(slot: &Arc<dyn AnySlot>) -> bool {
    computed_by(slot) == Some(ThreadNumber::current())
}

/// The thread of this process that computes the value of `slot`, if there is one now.
fn computed_by(slot: &Arc<dyn AnySlot>) -> Option<ThreadNumber> {
    if slot.is_settled() {
        return None;
    }
    // The task first: who looks for it claims its slot for a moment, and computes nothing.
    match slot.task() {
        Some(task) => task.core().runs_on(),
        None => slot.claimant(),
    }
}

/// The error of a wait that would never end.
pub(crate) fn error(slot: &Arc<dyn AnySlot>) -> TaskError {
    let name = slot.origin().map_or("a deferred expression".to_string(), |origin| origin.task);
    let path = expression::computing();
    TaskError::new(&name, context::worker_pid(), Kind::Cycle { path })
}
