//! Tasks that wait for a thread: the most urgent first, and of equally urgent ones the oldest.

use super::Runnable;
use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

#[derive(Default)]
pub(super) struct Queue {
    /// By priority.
    classes: BTreeMap<Reverse<i32>, VecDeque<Runnable>>,
    length: usize,
}

impl Queue {
    pub(super) fn push(&mut self, task: Runnable) {
        let priority = task.priority();
        self.classes.entry(Reverse(priority)).or_default().push_back(task);
        self.length += 1;
    }

    pub(super) fn pop(&mut self) -> Option<Runnable> {
        loop {
            let mut first = self.classes.first_entry()?;
            if let Some(task) = first.get_mut().pop_front() {
                self.length -= 1;
                return Some(task);
            }
            // The last one stays, lest it be made again for each task.
            if self.length == 0 {
                return None;
            }
            first.remove();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl IntoIterator for Queue {
    type Item = Runnable;
    type IntoIter =
        std::iter::Flatten<std::collections::btree_map::IntoValues<Reverse<i32>, VecDeque<Runnable>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.classes.into_values().flatten()
    }
}
