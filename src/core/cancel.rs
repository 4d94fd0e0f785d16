//! Ending tasks whose outcome nobody wants: by request, because their time is over, or because the program is interrupted.
//!
//! What has not started never does. What runs in another process is ended there by its runner. What runs on a thread of this
//! process goes on, but its result is decided now, and whoever waits for it is free. Whichever of these comes first,
//! the task has one outcome: the claim of the task, the runner's accounts and the slot each belong to one taker.

use crate::core::error::{Kind, TaskError};
use crate::core::pause;
use crate::core::runner::Ending;
use crate::core::slot::AnySlot;
use crate::core::task::Body;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Why nobody wants the outcome of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Unwanted {
    Asked,
    /// The task that forked it was ended.
    Parent,
    /// The program was interrupted by Ctrl-C.
    Interrupt,
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Has every task that would start from now on be cancelled instead.
pub(crate) fn interrupt() {
    INTERRUPTED.store(true, Ordering::SeqCst);
}

/// Whether the program was interrupted.
pub(crate) fn is_interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Ends a task; says whether that decided its outcome.
pub(crate) fn cancel(task: &Arc<dyn Body>, why: Unwanted) -> bool {
    end(task, &|goes_on| Kind::Cancelled { why, goes_on })
}

/// Ends a task with an error of the kind that `kind` gives, which is told whether the task goes on nevertheless.
pub(crate) fn end(task: &Arc<dyn Body>, kind: &dyn Fn(bool) -> Kind) -> bool {
    let core = task.core();
    let error = |goes_on| TaskError::new(core.name(), None, kind(goes_on));
    if task.claim_unstarted() {
        pause::end(core.id);
        task.clone().fail(error(false));
        return true;
    }
    let ended = task.end_started(&Ending { task, error: error(false) });
    ended.unwrap_or_else(|| task.abandon(error(true)))
}

/// Ends every task that an unsettled value needs; says whether that decided the outcome of any.
///
/// The value itself, if it is deferred, is settled by that too; what it is made of, and others may need, is not.
pub(crate) fn cancel_all(root: &Arc<dyn AnySlot>, why: Unwanted) -> bool {
    let mut any = false;
    let mut slots = vec![root.clone()];
    let mut seen = HashSet::new();
    while let Some(slot) = slots.pop() {
        if slot.is_settled() || !seen.insert(Arc::as_ptr(&slot).cast::<()>()) {
            continue;
        }
        match slot.task() {
            Some(task) => any |= cancel(&task, why),
            None => {
                slots.extend(slot.operands());
                if Arc::ptr_eq(&slot, root) {
                    let kind = Kind::Cancelled { why, goes_on: false };
                    any |= slot.refuse(TaskError::new("a deferred expression", None, kind));
                }
            }
        }
    }
    any
}
