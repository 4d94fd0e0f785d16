//! What follows from the end of a task: which others can start now, and which can't at all.

use super::capture;
use super::outcome::Skip;
use super::rerun::Reason;
use super::running::{End, FAILED, FAILED_BEFORE, NONE, Running, SKIPPED, WAITING};
use std::sync::atomic::Ordering;

impl Running {
    /// The tasks that wait for none: those that are not to be started, and those that could.
    pub(super) fn first(&self) -> (Vec<(u32, End)>, Vec<u32>) {
        let is_first = |&task: &u32| {
            let task = self.task(task);
            task.state.load(Ordering::Relaxed) == WAITING && task.missing.load(Ordering::Relaxed) == 0
        };
        let (mut ended, mut ready) = (Vec::new(), Vec::new());
        self.dag.order().filter(is_first).for_each(|task| self.sort_out(task, &mut ended, &mut ready));
        (ended, ready)
    }

    /// Adds the tasks that have waited for this one alone, which has ended.
    pub(super) fn follow(&self, task: u32, ended: &mut Vec<(u32, End)>, ready: &mut Vec<u32>) {
        let lane = self.lanes.as_ref().map_or(NONE, |lanes| lanes.next[task as usize]);
        let followers = self.dag.successors.of(task).iter().copied();
        for after in followers.chain((lane != NONE).then_some(lane)) {
            let is_waiting = self.task(after).state.load(Ordering::Relaxed) == WAITING;
            // AcqRel: the last one to count down sees the ends of all.
            if is_waiting && self.task(after).missing.fetch_sub(1, Ordering::AcqRel) == 1 {
                self.sort_out(after, ended, ready);
            }
        }
    }

    fn sort_out(&self, task: u32, ended: &mut Vec<(u32, End)>, ready: &mut Vec<u32>) {
        match self.lack(task) {
            Some(skip) => ended.push((task, End::Skipped(skip))),
            None => ready.push(task),
        }
    }

    /// Why a task whose inputs have all ended is not to be started, if it isn't.
    fn lack(&self, task: u32) -> Option<Skip> {
        let ancestor = if self.decides_itself(task) { None } else { self.failed_ancestor(task) };
        ancestor.or_else(|| self.stopped.get().cloned())
    }

    /// The inputs of a task that have no result.
    pub(super) fn failed_inputs(&self, task: u32) -> impl Iterator<Item = u32> {
        let has_failed = |&before: &u32| {
            matches!(self.task(before).state.load(Ordering::Relaxed), FAILED | SKIPPED | FAILED_BEFORE)
        };
        self.dag.predecessors.of(task).iter().copied().filter(has_failed)
    }

    /// What it is said to be skipped for, if an input has failed.
    pub(super) fn failed_ancestor(&self, task: u32) -> Option<Skip> {
        let before = self.failed_inputs(task).next()?;
        Some(match self.reasons.lock().get(&before) {
            Some(Reason::Skipped(skip)) => skip.clone(),
            _ => Skip::Ancestor { name: self.names.get(before).into() },
        })
    }

    /// Whether it is a part of an expression that gets its failed inputs as they are: it may have a value without them.
    pub(super) fn decides_itself(&self, task: u32) -> bool {
        let is_settled = |before: u32| self.works[before as usize].part().is_some_and(capture::is_settled);
        self.works[task as usize].part().is_some() && self.failed_inputs(task).all(is_settled)
    }

    pub(super) fn rank_of(&self, task: u32) -> u32 {
        self.ranks.get(task as usize).copied().unwrap_or(0)
    }
}
