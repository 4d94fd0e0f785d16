//! What tasks and transfers cost, as far as somebody has said it.

use crate::task::Cost;
use rustc_hash::FxHashMap;

/// What tasks and transfers cost, as far as it was said.
#[derive(Clone, Default)]
pub(super) struct GivenCosts {
    /// NaN where nothing was said; empty until something is.
    tasks: Vec<f64>,
    per_worker: FxHashMap<u32, Box<[f64]>>,
    /// Between tasks that were given by name: from, to.
    pub(super) transfers: FxHashMap<(u32, u32), f64>,
}

impl GivenCosts {
    pub(super) fn of(&self, task: u32) -> Option<Cost> {
        if let Some(costs) = self.per_worker.get(&task) {
            return Some(Cost::PerWorker(costs.clone()));
        }
        self.tasks
            .get(task as usize)
            .filter(|cost| !cost.is_nan() || cost.is_sign_negative())
            .map(|&cost| Cost::Same(cost))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty() && self.per_worker.is_empty()
    }

    pub(super) fn set(&mut self, task: u32, cost: Option<Cost>) {
        match cost {
            None => {
                self.per_worker.remove(&task);
                if let Some(cost) = self.tasks.get_mut(task as usize) {
                    *cost = f64::NAN;
                }
            }
            Some(Cost::PerWorker(costs)) => {
                self.per_worker.insert(task, costs);
            }
            Some(Cost::Same(cost)) => {
                self.per_worker.remove(&task);
                if self.tasks.len() <= task as usize {
                    self.tasks.resize(task as usize + 1, f64::NAN.copysign(1.0));
                }
                // A NaN that was given is told from none by its sign.
                self.tasks[task as usize] = if cost.is_nan() { cost.copysign(-1.0) } else { cost };
            }
        }
    }

    pub(super) fn append(&mut self, other: &Self, by: u32, len: u32) {
        for task in 0..len {
            if let Some(cost) = other.of(task) {
                self.set(task + by, Some(cost));
            }
        }
        self.transfers.extend(other.transfers.iter().map(|((from, to), &cost)| ((from + by, to + by), cost)));
    }
}
