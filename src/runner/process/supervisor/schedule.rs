//! Which worker gets which task, and how many workers there are.
//!
//! Owns the rules: the most urgent task to the worker with the least to do, short tasks ahead of time, to a blocked worker only
//! what descends from the task in which it is blocked, work back from those who have too much of it. README.md, "Ahead" and
//! "Blocking", says why.

use super::queue::Place;
use super::{
    AHEAD_MICROS, AHEAD_TASKS, Action, At, Id, LONG_MICROS, MORE_TASKS, SILENCE, Supervisor, Worker, WorkerId,
};

impl Supervisor {
    pub(super) fn dispatch(&mut self) {
        while !self.queue.is_empty() {
            let Some(worker) = self.free_worker() else { break };
            let id = self.queue.pop().expect("it is not empty");
            self.send(worker, id, 0);
        }
        if self.queue.nested().next().is_none() {
            return;
        }
        // A blocked worker runs what descends from the task in which it is blocked: see README.md, "Blocking".
        let blocked: Vec<_> = self
            .workers
            .iter()
            .filter_map(|(&id, worker)| {
                Some((id, worker.blocked.filter(|_| worker.sent.is_empty() && !worker.ending)?))
            })
            .collect();
        for (worker, ancestor) in blocked {
            let fits = |&(_, id): &(Place, Id)| !self.tasks[&id].alone && self.descends(id, ancestor);
            let found = self.queue.nested().find(fits);
            if let Some((place, id)) = found {
                self.queue.remove(place);
                self.send(worker, id, ancestor);
            }
        }
    }

    fn send(&mut self, worker: WorkerId, id: Id, above: Id) {
        let task = self.tasks.get_mut(&id).expect("a queued task is known");
        task.dispatches += 1;
        task.at = At::Worker(worker);
        self.workers.get_mut(&worker).expect("chosen from the workers").sent.push_back(id);
        self.actions.push(Action::Send { worker, id, above });
    }

    /// The worker with the least to do, if any should get a task.
    fn free_worker(&self) -> Option<WorkerId> {
        let ahead = ((AHEAD_MICROS / self.micros.max(1)) as usize).min(AHEAD_TASKS);
        let more = match self.queue.is_level() {
            true => (((LONG_MICROS - 1) / self.micros.max(1)) as usize).min(MORE_TASKS),
            false => 0,
        };
        self.workers
            .iter()
            .filter(|(_, worker)| worker.ready && worker.blocked.is_none() && !worker.recalling)
            .filter(|(_, worker)| {
                let given = worker.done + (worker.sent.len() + worker.running.len()) as u64;
                !worker.ending && !worker.warned && !worker.grown && given < self.max_tasks
            })
            .map(|(&id, worker)| (worker.sent.len() + worker.running.len(), worker.heard, id))
            .filter(|&(load, heard, id)| {
                let is_awake = self.finished - heard < SILENCE;
                load == 0
                    || (load <= ahead && is_awake)
                    || (load <= more
                        && self.queue.len() > load * self.workers.len()
                        && self.finishers.contains(&id))
            })
            .min_by_key(|&(load, _, id)| (load, id))
            .map(|(_, _, id)| id)
    }

    fn descends(&self, mut id: Id, ancestor: Id) -> bool {
        loop {
            match self.tasks.get(&id).and_then(|task| task.parent) {
                Some(parent) if parent == ancestor => return true,
                Some(parent) => id = parent,
                None => return false,
            }
        }
    }

    /// Takes work from workers that have more than they can do, for those that have none.
    pub(super) fn balance(&mut self) {
        if !self.queue.is_empty() {
            return;
        }
        let mut idle = 0;
        let mut hungry = Vec::new();
        for worker in self.workers.values() {
            if worker.ending {
                continue;
            }
            if worker.ready && worker.blocked.is_none() && worker.sent.is_empty() && worker.running.is_empty()
            {
                idle += 1;
            } else if let Some(task) = worker.blocked.filter(|_| worker.sent.is_empty()) {
                hungry.push(task);
            }
        }
        if idle + hungry.len() == 0 {
            return;
        }
        let steals: Vec<_> = self
            .workers
            .iter()
            .filter(|(_, worker)| worker.surplus && !worker.stealing && worker.blocked.is_none())
            .filter(|(_, worker)| {
                idle > 0
                    || worker
                        .running
                        .iter()
                        .any(|&id| hungry.iter().any(|&h| h == id || self.descends(id, h)))
            })
            .map(|(&id, _)| id)
            .collect();
        let want = (idle + hungry.len()) as u32;
        for id in steals {
            let worker = self.workers.get_mut(&id).expect("just seen");
            worker.stealing = true;
            worker.surplus = false;
            self.actions.push(Action::Steal(id, want));
        }
        if idle == 0 {
            return;
        }
        for (&id, worker) in &self.workers {
            let innermost = worker.running.last().filter(|_| worker.sent.is_empty() && !worker.ending);
            if let Some(task) = innermost.and_then(|task| self.tasks.get_mut(task))
                && std::mem::take(&mut task.divisible)
            {
                self.actions.push(Action::Divide(id, worker.running[worker.running.len() - 1]));
            }
        }
        for (&id, worker) in &mut self.workers {
            if !worker.recalling && !worker.running.is_empty() && !worker.sent.is_empty() {
                worker.recalling = true;
                self.actions.push(Action::Recall(id, worker.sent.len().div_ceil(2) as u32));
            }
        }
    }

    /// Starts workers while there is work for them and fewer than wanted.
    pub(super) fn recruit(&mut self) {
        let queued = self.queue.len();
        let wish = self.workers.values().any(|worker| worker.surplus && worker.ready) as usize;
        let mut starting = self.workers.values().filter(|worker| !worker.ready).count();
        let mut living = self.living();
        while living < self.wanted && queued + wish > starting {
            self.spawn();
            starting += 1;
            living += 1;
        }
        // Nothing that can run it will ever come free: those who are blocked may wait for just this task.
        if starting == 0 && self.queue.nested().any(|(_, id)| self.tasks[&id].alone) && self.are_all_blocked()
        {
            self.spawn();
        }
    }

    pub(super) fn are_all_blocked(&self) -> bool {
        self.workers.values().all(|worker| worker.blocked.is_some() || worker.ending)
    }

    /// How many workers there are, without those that are being ended: who takes their place may start already.
    pub(super) fn living(&self) -> usize {
        self.workers.values().filter(|worker| !worker.ending).count()
    }

    fn spawn(&mut self) {
        self.next_worker += 1;
        let id = WorkerId(self.next_worker);
        self.workers.insert(id, Worker::default());
        self.actions.push(Action::Spawn(id));
    }
}
