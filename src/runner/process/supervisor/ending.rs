//! How tasks leave the accounts before a worker has finished them, and how workers leave the pool.
//!
//! Promises: the outcome of a task is decided once; what a task forked ends with it; a worker is ended only if all that it is
//! running was cancelled, and its death costs what it was running and nothing else. README.md, "Ending a task", says why.

use super::{Action, At, BOOT_FAILURES, DISPATCHES, Id, Supervisor, Why, Worker, WorkerId};

impl Supervisor {
    pub(super) fn bury(&mut self, id: WorkerId, cause: &str) {
        if self.leaving.remove(&id) {
            return;
        }
        let Some(worker) = self.workers.remove(&id) else { return };
        let was_running = !worker.running.is_empty();
        for &task in worker.running.iter().rev() {
            if self.decide(task) {
                self.actions.push(Action::Crashed(id, task));
            }
        }
        for task in worker.running.into_iter().rev() {
            // What it forked has nobody left to use it.
            self.cancel_forks(task);
            self.forget(task);
        }
        // What it was running is to blame, else the first that it had not started; the others cost it nothing.
        let blamed = if was_running { None } else { worker.sent.front().copied() };
        for task in worker.sent.into_iter().rev() {
            if worker.lied {
                if self.decide(task) {
                    self.actions.push(Action::Doubtful(id, task));
                }
                self.forget(task);
                continue;
            }
            let known = self.tasks.get_mut(&task).expect("a sent task is known");
            // A worker started before the last such death may have died with that one, not of the task.
            if Some(task) != blamed || id.0 <= known.blamed_until {
                known.dispatches -= 1;
            } else {
                known.blamed_until = self.next_worker;
            }
            if known.dispatches >= DISPATCHES && !known.cancelled {
                self.forget(task);
                self.actions.push(Action::GiveUp(task, Why::NeverStarted(cause.to_string())));
            } else {
                self.put_back(task);
            }
        }
        // Those that were started before the last failure was seen die with it, not of trying again.
        if !worker.ready && id.0 > self.boot_tries {
            self.boot_tries = self.next_worker;
            self.boot_failures += 1;
            if self.boot_failures >= BOOT_FAILURES {
                self.boot_failures = 0;
                self.give_up_all(&Why::BootLoop(cause.to_string()));
            }
        }
    }

    /// Gives up everything that is queued.
    pub(super) fn give_up_all(&mut self, why: &Why) {
        for id in self.queue.take() {
            self.forget(id);
            self.actions.push(Action::GiveUp(id, why.clone()));
        }
        self.actions.push(Action::GiveUpRest(why.clone()));
    }

    /// Notes that the outcome of a known task is decided; false if it was.
    fn decide(&mut self, id: Id) -> bool {
        let task = self.tasks.get_mut(&id).expect("a task of a worker or of the queue is known");
        let is_new = !std::mem::replace(&mut task.cancelled, true);
        self.decided += usize::from(is_new);
        is_new
    }

    /// Takes a task out of the accounts.
    pub(super) fn forget(&mut self, id: Id) {
        let Some(task) = self.tasks.remove(&id) else { return };
        self.decided -= usize::from(task.cancelled);
        if let Some(parent) = task.parent.and_then(|parent| self.tasks.get_mut(&parent)) {
            parent.forks -= 1;
        }
    }

    /// Queues a task again that was sent and not started, in front.
    pub(super) fn put_back(&mut self, id: Id) {
        let task = self.tasks.get_mut(&id).expect("a sent task is known");
        if task.cancelled {
            return self.forget(id);
        }
        task.at = At::Queue(self.queue.push_front(id, task.urgency, task.parent.is_none()));
    }

    pub(super) fn cancel(&mut self, id: Id) {
        let Some(at) = self.tasks.get(&id).map(|task| task.at) else { return };
        if !self.decide(id) {
            return;
        }
        self.actions.push(Action::Cancelled(id));
        self.cancel_forks(id);
        match at {
            At::Queue(place) => {
                self.queue.remove(place);
                self.forget(id);
            }
            At::Worker(worker) => {
                self.end_if_unwanted(worker);
                let Some(known) = self.workers.get_mut(&worker) else { return };
                // Perhaps it comes back before it has started.
                if known.sent.contains(&id) && !std::mem::replace(&mut known.recalling, true) {
                    let want = known.sent.len() as u32;
                    self.actions.push(Action::Recall(worker, want));
                }
            }
        }
    }

    fn cancel_forks(&mut self, id: Id) {
        if self.tasks.get(&id).is_none_or(|task| task.forks == 0) {
            return;
        }
        let mut forks: Vec<_> =
            self.tasks.iter().filter(|(_, task)| task.parent == Some(id)).map(|(&fork, _)| fork).collect();
        forks.sort_unstable();
        for fork in forks {
            self.cancel(fork);
        }
    }

    /// Ends a worker that runs only what nobody wants. What was sent behind that is asked back first: the worker may have
    /// begun it by now, and it must not end with the worker.
    pub(super) fn end_if_unwanted(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get(&id) else { return };
        // Nothing can have changed in the usual case, that everything is wanted.
        if worker.ending || self.decided == 0 && !worker.warned && !worker.asked_back {
            return;
        }
        let is_unwanted =
            !worker.running.is_empty() && worker.running.iter().all(|&running| self.is_cancelled(running));
        let worker = self.workers.get_mut(&id).expect("just seen");
        if !is_unwanted {
            worker.asked_back = false;
            if std::mem::take(&mut worker.warned) {
                self.actions.push(Action::Spare(id));
            }
        } else if worker.sent.is_empty() {
            worker.ending = true;
            self.actions.push(Action::End(id));
        } else {
            if !std::mem::replace(&mut worker.warned, true) {
                self.actions.push(Action::Warn(id));
            }
            if !worker.recalling && !std::mem::replace(&mut worker.asked_back, true) {
                worker.recalling = true;
                self.actions.push(Action::Recall(id, worker.sent.len() as u32));
            }
        }
    }

    /// Has workers leave that have done enough, or are too many, as soon as they have nothing to do.
    pub(super) fn retire(&mut self) {
        let enough = |worker: &Worker| worker.grown || worker.done >= self.max_tasks;
        let spare = self.living().saturating_sub(self.wanted);
        if spare == 0 && !self.workers.values().any(enough) {
            return;
        }
        let mut gone: Vec<_> =
            self.workers.iter().filter(|(_, w)| w.is_idle() && enough(w)).map(|(&id, _)| id).collect();
        if self.queue.is_empty() {
            let idle = self.workers.iter().rev().filter(|(_, w)| w.is_idle() && !enough(w));
            gone.extend(idle.take(spare.saturating_sub(gone.len())).map(|(&id, _)| id));
        }
        for id in gone {
            self.send_away(id);
        }
    }

    pub(super) fn send_away(&mut self, id: WorkerId) {
        self.workers.remove(&id);
        self.leaving.insert(id);
        self.actions.push(Action::Retire(id));
    }
}
