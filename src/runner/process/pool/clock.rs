//! Ends the tasks that have a limit of time, by the clock on the wall or by that of their worker's processor time.
//!
//! Owns nothing but alarms that lie with their tasks. Code of the user, which the end of a task may run, never runs on
//! the timer's thread.

use super::Shared;
use crate::core::error::{Clock, Kind, TaskError};
use crate::core::task::Body;
use crate::core::timer::{self, Alarm};
use crate::ground::sys::{self};
use std::sync::{Arc, Weak};
use std::time::Duration;

impl Shared {
    /// A worker has started a task: from now on its time runs.
    pub(super) fn watch_time(&self, id: u64, body: &Arc<dyn Body>, pid: u32) {
        let limits = *body.core().limits();
        let expire = move |shared: &Weak<Shared>, body: &Weak<dyn Body>, limit, clock| {
            if let (Some(shared), Some(body)) = (shared.upgrade(), body.upgrade()) {
                let kind = Kind::Expired { limit, clock, goes_on: false };
                shared.end(id, TaskError::new(body.core().name(), Some(pid), kind));
            }
        };
        let timeout = limits.timeout.map(|limit| {
            let (shared, body) = (self.me.clone(), Arc::downgrade(body));
            timer::after(limit, move || expire(&shared, &body, limit, Clock::Wall))
        });
        let before = limits.cpu_time.and_then(|limit| Some((limit, sys::cpu_time_of(pid)?)));
        let look = before.map(|(limit, before)| {
            let (shared, body) = (self.me.clone(), Arc::downgrade(body));
            let left = move || {
                let now = sys::cpu_time_of(pid)?;
                Some(limit.saturating_sub(now.saturating_sub(before)))
            };
            let expire = move || expire(&shared, &body, limit, Clock::Cpu);
            cpu_alarm(limit, self.me.clone(), id, left, expire)
        });
        if timeout.is_none() && look.is_none() {
            return;
        }
        if let Some(entry) = self.state.lock().tasks.get_mut(&id) {
            entry.timeout = timeout;
            // The clock may have been looked at already; then there is a next look.
            entry.look = entry.look.take().or(look);
        }
    }
}

/// Looks at a worker's clock when its task may have used up its processor time, which needs at least that time divided
/// by the number of cores.
fn cpu_alarm(
    left: Duration,
    shared: Weak<Shared>,
    id: u64,
    time_left: impl Fn() -> Option<Duration> + Send + 'static,
    expire: impl FnOnce() + Send + 'static,
) -> Alarm {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    let look: Box<dyn FnOnce() + Send> = Box::new(move || match time_left() {
        // In a thread of its own.
        Some(Duration::ZERO) => set_look(&shared, id, |_| timer::after(Duration::ZERO, expire)),
        Some(left) => set_look(&shared, id, |shared| cpu_alarm(left, shared, id, time_left, expire)),
        None => {}
    });
    timer::briefly_after((left / cores).max(Duration::from_millis(1)), look)
}

/// Sets what happens next to a task whose worker's clock is looked at, if its outcome is not decided.
fn set_look(shared: &Weak<Shared>, id: u64, next: impl FnOnce(Weak<Shared>) -> Alarm) {
    let Some(pool) = shared.upgrade() else { return };
    let next = next(shared.clone());
    if let Some(entry) = pool.state.lock().tasks.get_mut(&id) {
        entry.look = Some(next);
    }
}
