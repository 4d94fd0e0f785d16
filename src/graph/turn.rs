//! Whose turn it is: in which order tasks that could all start are handed to their runners.

use super::work::Work;
use crate::task::Where;
use std::cmp::Reverse;
use std::sync::Arc;

/// The less, the sooner: threads first, which mostly wait, then by priority, then by upward rank.
pub(super) type Turn = (bool, Reverse<(i32, u32)>);

pub(super) fn turn(work: &dyn Work, rank: u32) -> Turn {
    (work.runs() == Where::Process, Reverse((work.priority(), rank)))
}

/// Sorts tasks by their turn; of equals, the first stays the first.
pub(super) fn in_turn(works: &[Arc<dyn Work>], tasks: &mut [u32], rank: impl Fn(u32) -> u32) {
    if tasks.len() > 1 {
        tasks.sort_by_cached_key(|&task| turn(&*works[task as usize], rank(task)));
    }
}
