//! Tasks that wait for a thread: the most urgent first, and of equally urgent ones the oldest.
//!
//! Those of urgency 0, which are nearly all, go through a queue without a lock (crossbeam's `Injector`, which rayon stands
//! on, too); the others lie in classes under one, and two counts tell whether it is worth looking there.

use super::Runnable;
use crate::core::limits::Urgency;
use crossbeam_deque::{Injector, Steal};
use parking_lot::Mutex;
use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};

pub(super) struct Queue {
    usual: Injector<Runnable>,
    /// By urgency.
    classes: Mutex<BTreeMap<Reverse<Urgency>, VecDeque<Runnable>>>,
    /// How many in the classes come before the usual ones, and how many after; written under the lock.
    urgent: AtomicUsize,
    patient: AtomicUsize,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            usual: Injector::new(),
            classes: Mutex::default(),
            urgent: AtomicUsize::new(0),
            patient: AtomicUsize::new(0),
        }
    }

    pub(super) fn push(&self, task: Runnable) {
        match task.urgency() {
            0 => self.usual.push(task),
            urgency => {
                let mut classes = self.classes.lock();
                classes.entry(Reverse(urgency)).or_default().push_back(task);
                self.count(urgency).fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    pub(super) fn pop(&self) -> Option<Runnable> {
        // Relaxed, here and below: who must see a task has locked or fenced after it was queued.
        if self.urgent.load(Ordering::Relaxed) != 0
            && let Some(task) = self.pop_class(|urgency| urgency > 0)
        {
            return Some(task);
        }
        loop {
            match self.usual.steal() {
                Steal::Success(task) => return Some(task),
                Steal::Retry => std::hint::spin_loop(),
                Steal::Empty => break,
            }
        }
        if self.patient.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.pop_class(|_| true)
    }

    /// The first task of the most urgent class, if that is one of these.
    fn pop_class(&self, is_asked: fn(Urgency) -> bool) -> Option<Runnable> {
        let mut classes = self.classes.lock();
        let mut first = classes.first_entry()?;
        let Reverse(urgency) = *first.key();
        if !is_asked(urgency) {
            return None;
        }
        let task = first.get_mut().pop_front();
        if first.get().is_empty() {
            first.remove();
        }
        self.count(urgency).fetch_sub(1, Ordering::SeqCst);
        task
    }

    fn count(&self, urgency: Urgency) -> &AtomicUsize {
        if urgency > 0 { &self.urgent } else { &self.patient }
    }

    pub(super) fn len(&self) -> usize {
        self.usual.len() + self.urgent.load(Ordering::SeqCst) + self.patient.load(Ordering::SeqCst)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.usual.is_empty()
            && self.urgent.load(Ordering::SeqCst) == 0
            && self.patient.load(Ordering::SeqCst) == 0
    }
}
