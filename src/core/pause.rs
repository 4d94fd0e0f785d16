//! Tasks between two tries.
//!
//! Owns which tasks wait for their next try. Promises: the pause of a task that is cancelled ends at once, and nothing of the
//! task is kept for it; when the program is interrupted, every pause ends with the task, and none begins. Leaves
//! out how long a pause is, and the tries (`tries`, `core/task.rs`).

use crate::core::cancel::{self, Unwanted};
use crate::core::ids::TaskId;
use crate::core::task::Body;
use crate::core::timer::{self, Alarm};
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

type Pauses = BTreeMap<TaskId, (Arc<dyn Body>, Option<Alarm>)>;

static PAUSES: Mutex<Pauses> = Mutex::new(BTreeMap::new());

/// The right to begin a pause; while it is held, none ends.
pub(crate) struct Beginning(MutexGuard<'static, Pauses>);

/// Asks for that right; `None` if the program has been interrupted.
pub(crate) fn begin() -> Option<Beginning> {
    let pauses = PAUSES.lock();
    // Under the lock: who interrupts ends what is in it afterwards.
    (!cancel::is_interrupted()).then_some(Beginning(pauses))
}

impl Beginning {
    /// Has `go_on` called with the task when the pause is over; false if there is no clock to tell when that is.
    pub(crate) fn pause(mut self, task: Arc<dyn Body>, pause: Duration, go_on: fn(Arc<dyn Body>)) -> bool {
        let id = task.core().id;
        let alarm = timer::after(pause, move || {
            let over = PAUSES.lock().remove(&id);
            if let Some((task, _)) = over {
                go_on(task);
            }
        });
        let is_set = alarm.is_set();
        if is_set {
            self.0.insert(id, (task, Some(alarm)));
        }
        is_set
    }

    /// Notes that the thread which runs the task pauses by itself.
    pub(crate) fn note(mut self, task: Arc<dyn Body>) -> Noted {
        let id = task.core().id;
        self.0.insert(id, (task, None));
        Noted(id)
    }
}

/// A pause that ends when this is dropped.
pub(crate) struct Noted(TaskId);

impl Drop for Noted {
    fn drop(&mut self) {
        end(self.0);
    }
}

/// Ends the pause of a task, if it is in one.
pub(crate) fn end(id: TaskId) {
    let over = PAUSES.lock().remove(&id);
    // Without the lock: what it holds may be the last of the task.
    drop(over);
}

/// Cancels all tasks that are between two tries, because the program was interrupted; says how many.
pub(crate) fn interrupt() -> usize {
    let tasks: Vec<_> = PAUSES.lock().values().map(|(task, _)| task.clone()).collect();
    tasks.iter().filter(|task| cancel::cancel(task, Unwanted::Interrupt)).count()
}
