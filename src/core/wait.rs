//! Waiting that never wastes a thread: whoever waits for a task that nobody has started runs it.
//!
//! Waiting goes through what the awaited slot needs, with a stack of its own: what blocks an expression before the
//! expression, a task's inputs before the task. A wait that cannot run anything itself blocks, in the way that the owner of
//! the thread wants (a pool may start another thread, or use this one for other tasks).
//!
//! Why this ends: a blocked thread waits for a task that has started, or that its runner keeps for itself and
//! will start, or for an expression that another thread evaluates. Tasks wait for what they forked and for values that
//! existed before them, so the waits form no circle unless the program's own data does; that is an error (`cycle`).

use crate::core::error::TaskError;
use crate::core::expression::{Progress, evaluate};
use crate::core::runner::{Haste, Runner, Sleep, Until};
use crate::core::slot::{AnySlot, State, run_waiting_calls};
use crate::core::{context, cycle};
use crate::ground::sys;
use std::sync::Arc;
use std::time::Instant;

/// Below this many bytes of free stack, a task taken back runs on a fresh thread.
const STACK_NEEDED: usize = 512 * 1024;
/// The stack of such a thread, in bytes; address space only, until it is used.
const FRESH_STACK: usize = 64 * 1024 * 1024;

/// Waits until `slot` is settled, or until the deadline; says whether it is settled.
///
/// # Errors
///
/// If the wait would never end, because the value is computed by code that waits for this very value.
pub(crate) fn wait(slot: &Arc<dyn AnySlot>, deadline: Option<Instant>) -> Result<bool, TaskError> {
    wait_in(Haste::Now, slot, deadline)
}

/// As [`wait`], with this haste.
///
/// # Errors
///
/// As [`wait`].
pub(crate) fn wait_in(
    haste: Haste,
    slot: &Arc<dyn AnySlot>,
    deadline: Option<Instant>,
) -> Result<bool, TaskError> {
    if deadline.is_some() && slot.state() == State::Deferred && !slot.is_closure() {
        // What only has to be calculated is not too late, even if there is no time at all.
        evaluate(slot);
    }
    // What `slot` needs, and what that needs; usually nothing, and then nothing is allocated.
    let mut needed = Vec::new();
    loop {
        let top = needed.last().unwrap_or(slot);
        if top.is_settled() {
            match needed.pop() {
                Some(_) => continue,
                None => return Ok(true),
            }
        }
        // Not `is_over`: `top` may have been settled since, and is only something that `slot` needs.
        if deadline.is_some_and(|end| Instant::now() >= end) {
            return Ok(slot.is_settled());
        }
        if top.state() == State::Deferred {
            match evaluate(top) {
                Progress::Settled => {}
                Progress::Busy => block(haste, top, deadline)?,
                Progress::Blocked(blockers) => needed.extend(blockers.into_iter().rev()),
            }
            continue;
        }
        let Some(task) = top.task() else {
            block(haste, top, deadline)?;
            continue;
        };
        if let Some(input) = task.next_unready() {
            needed.push(input);
        } else if deadline.is_none()
            && task.core().is_queued()
            && task.core().runner().gives_back()
            // Who runs it can't be freed from it when its time is over.
            && task.core().limits().timeout.is_none()
            && task.core().claim()
        {
            run_here(task);
        } else if !top.is_settled() {
            block(haste, top, deadline)?;
        }
    }
}

/// Waits until a slot is settled that no task fills, or until the deadline, and has `helper` do meanwhile in this thread what
/// brings its results. Returns earlier when there may be something else to do.
///
/// # Errors
///
/// If the wait would never end.
pub(crate) fn wait_helping(
    slot: &Arc<dyn AnySlot>,
    helper: &Arc<dyn Runner>,
    deadline: Option<Instant>,
) -> Result<(), TaskError> {
    if slot.is_settled() || run_waiting_calls() {
        return Ok(());
    }
    block_with(Haste::Now, slot, Some(helper), deadline)
}

/// Evaluates what `slot` needs without waiting for anything that a task still computes.
pub(crate) fn settle_if_possible(slot: &Arc<dyn AnySlot>) -> bool {
    let mut needed = vec![slot.clone()];
    while let Some(top) = needed.last() {
        if top.is_settled() {
            needed.pop();
            continue;
        }
        if top.state() != State::Deferred {
            return false;
        }
        match evaluate(top) {
            Progress::Settled => {}
            Progress::Busy => return false,
            Progress::Blocked(blockers) => {
                if blockers.iter().any(|blocker| blocker.state() == State::Pending) {
                    return false;
                }
                needed.extend(blockers.into_iter().rev());
            }
        }
    }
    true
}

fn run_here(task: Arc<dyn crate::core::task::Body>) {
    if has_stack() {
        task.run();
        return;
    }
    // Deep nesting (a task that waits for a task that waits …) goes on where there is stack again.
    let owner = context::thread_runner();
    let nested = task.clone();
    let spawned =
        std::thread::Builder::new().name("xfork-nested".into()).stack_size(FRESH_STACK).spawn(move || {
            context::own_thread(owner);
            nested.run();
        });
    match spawned {
        Ok(thread) => {
            let _ = thread.join();
        }
        // No thread to be had: the stack that is left must do.
        Err(_) => task.run(),
    }
}

fn has_stack() -> bool {
    sys::stack_left().is_none_or(|left| left > STACK_NEEDED)
}

/// Blocks until `slot` has changed, or until the deadline, in the way that the owner of the thread wants.
fn block(haste: Haste, slot: &Arc<dyn AnySlot>, deadline: Option<Instant>) -> Result<(), TaskError> {
    if run_waiting_calls() {
        return Ok(());
    }
    if deadline.is_none() && cycle::is_own(slot) {
        return Err(cycle::error(slot));
    }
    let helper = slot.task().map(|task| task.core().runner().clone());
    block_with(haste, slot, helper.as_ref(), deadline)
}

fn block_with(
    haste: Haste,
    slot: &Arc<dyn AnySlot>,
    helper: Option<&Arc<dyn Runner>>,
    deadline: Option<Instant>,
) -> Result<(), TaskError> {
    let until = Until::new(slot, deadline);
    if let Some(helper) = helper {
        helper.help(&until);
        if until.is_over() {
            return until.into_result();
        }
        helper.sleeps(Sleep::Begins(haste));
    }
    match context::thread_runner() {
        Some(runner) => runner.block(&until),
        None => until.park(),
    }
    if let Some(helper) = helper {
        helper.sleeps(Sleep::Ends(haste));
    }
    until.into_result()
}
