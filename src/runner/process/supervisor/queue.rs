//! The tasks that wait for a worker, in the order in which they are to be sent.
//!
//! The most urgent first; of equally urgent ones those that a task forked, so that what has begun is finished; of those the
//! oldest. What comes back from a worker unstarted is older than everything else. Any task can be taken out.

use super::Id;
use crate::core::limits::Urgency;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The place of a task in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    urgency: Reverse<Urgency>,
    is_root: bool,
    turn: i64,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    tasks: BTreeMap<Place, Id>,
    /// How many of them a task forked.
    nested: usize,
    last: i64,
    first: i64,
}

impl Queue {
    pub(super) fn push_back(&mut self, id: Id, urgency: Urgency, is_root: bool) -> Place {
        self.last += 1;
        self.insert(id, Place { urgency: Reverse(urgency), is_root, turn: self.last })
    }

    pub(super) fn push_front(&mut self, id: Id, urgency: Urgency, is_root: bool) -> Place {
        self.first -= 1;
        self.insert(id, Place { urgency: Reverse(urgency), is_root, turn: self.first })
    }

    fn insert(&mut self, id: Id, place: Place) -> Place {
        self.tasks.insert(place, id);
        self.nested += usize::from(!place.is_root);
        place
    }

    pub(super) fn remove(&mut self, place: Place) {
        if self.tasks.remove(&place).is_some() {
            self.nested -= usize::from(!place.is_root);
        }
    }

    pub(super) fn pop(&mut self) -> Option<Id> {
        let (place, id) = self.tasks.pop_first()?;
        self.nested -= usize::from(!place.is_root);
        Some(id)
    }

    /// The tasks that a task forked, in order.
    pub(super) fn nested(&self) -> impl Iterator<Item = (Place, Id)> {
        let all = (self.nested > 0).then_some(&self.tasks).into_iter().flatten();
        all.filter(|(place, _)| !place.is_root).take(self.nested).map(|(&place, &id)| (place, id))
    }

    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether none is more urgent than another.
    pub(super) fn is_level(&self) -> bool {
        let ends = self.tasks.first_key_value().zip(self.tasks.last_key_value());
        ends.is_none_or(|((first, _), (last, _))| first.urgency == last.urgency)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    #[cfg(any(all(test, not(xfork_loom)), fuzzing))]
    pub(super) fn iter(&self) -> impl Iterator<Item = Id> {
        self.tasks.values().copied()
    }

    pub(super) fn take(&mut self) -> Vec<Id> {
        self.nested = 0;
        std::mem::take(&mut self.tasks).into_values().collect()
    }
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_urgent_come_first_then_the_nested_then_the_old() {
        let mut queue = Queue::default();
        assert!(queue.is_level());
        queue.push_back(1, 0, true);
        queue.push_back(2, 0, false);
        assert!(queue.is_level());
        queue.push_back(3, 5, true);
        queue.push_back(4, 0, true);
        let place = queue.push_back(5, 5, true);
        queue.push_front(6, 0, true);
        assert!(!queue.is_level());
        queue.push_back(7, -1, false);
        queue.remove(place);
        queue.remove(place);
        assert_eq!(queue.nested().map(|(_, id)| id).collect::<Vec<_>>(), [2, 7]);
        let mut order = Vec::new();
        order.extend(std::iter::from_fn(|| queue.pop()));
        assert_eq!(order, [3, 2, 6, 1, 4, 7]);
        assert!(queue.is_empty() && queue.nested().next().is_none());
    }
}
