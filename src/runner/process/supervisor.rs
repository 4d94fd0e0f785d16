//! The pool's accounting, pure: events in, actions out; no clock, no process, no lock.
//!
//! Owns which task is where (queued, sent, started) and decides which worker gets which, and when one has to go.
//! Promises: each task ends exactly once; a task that was sent and not started goes back to the queue when its worker
//! dies, unless that had lied; a task that has started is never sent again; a worker is ended only if all that it is
//! running was cancelled.
//! See README.md beside this file for the protocol and why nothing is lost.

mod ending;
mod queue;
mod schedule;

use crate::core::limits::Urgency;
use queue::{Place, Queue};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A worker of this pool; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct WorkerId(pub(crate) u64);

/// A task of this pool.
pub(crate) type Id = u64;

/// Deaths while starting, one after the other, after which the pool gives up what is queued.
const BOOT_FAILURES: u32 = 5;
/// Dispatches of one task, none of which got as far as starting it, after which it is given up.
const DISPATCHES: u32 = 4;
/// A worker is sent tasks ahead for about this long, in microseconds.
const AHEAD_MICROS: u64 = 1000;
/// Where tasks take longer than this, in microseconds, none is sent ahead: a more urgent one may come, and what a worker loses
/// while it waits for the next is nothing to them. Of those in between a few are that take no longer together, if there are as many
/// for everybody else.
const LONG_MICROS: u64 = 10_000;
/// How many: with two, a worker need not tell of each task that has ended to have the next in time.
const MORE_TASKS: usize = 2;
/// The most tasks sent ahead to one worker.
const AHEAD_TASKS: usize = 128;

/// A worker that has said nothing while the pool finished so many tasks is sent none ahead: it is running a long one, or is
/// stopped.
const SILENCE: u64 = 16;

/// What has happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// A task, perhaps forked by another task of this pool; `alone` is one that must be possible to end, `divisible` one that may
    /// be asked to give back a part of itself.
    Submit {
        id: Id,
        parent: Option<Id>,
        urgency: Urgency,
        alone: bool,
        divisible: bool,
    },
    /// The task's outcome is not wanted any more, nor that of anything that it forked.
    Cancel(Id),
    /// What no worker has started is not wanted any more, unless a task that runs has forked it. These are known to have
    /// been started, though their workers' word of it is still on its way.
    CancelWaiting {
        begun: Vec<Id>,
    },
    /// A worker has had nothing to do for long.
    Rested(WorkerId),
    /// A worker has grown too large to get more tasks.
    Grown(WorkerId),
    /// A worker has said who it is and was accepted.
    Ready(WorkerId),
    /// A worker could not be started.
    SpawnFailed(WorkerId, String),
    /// A worker has not been started, as there is nothing left to do.
    Unneeded(WorkerId),
    /// The arguments of a task that [`is_sent`](Supervisor::is_sent) could not be encoded; the task is told.
    Unsendable(WorkerId, Id),
    Started(WorkerId, Id),
    /// The task, which was sent to the worker, is known to have been started there; the worker may say so later.
    Begun(WorkerId, Id),
    /// The task, which has been sent there, has ended, with a value or not, after so many microseconds.
    Finished(WorkerId, Id, u64),
    /// The task has come back without having been started, or is known not to have been where a worker lied and died.
    Returned(WorkerId, Id),
    Surplus(WorkerId),
    /// A worker has answered `Steal`.
    Stolen(WorkerId),
    /// A worker has answered `Recall`.
    Recalled(WorkerId),
    Blocked(WorkerId, Id),
    Unblocked(WorkerId),
    /// A worker has broken the protocol, and is being killed: nothing that it says is believed any more.
    Lied(WorkerId),
    /// A worker is dead; everything it sent has been handled.
    Gone(WorkerId, String),
    /// A worker is another build: none will do better.
    Foreign {
        worker: WorkerId,
        build: u64,
    },
}

#[cfg(any(all(test, not(xfork_loom)), fuzzing))]
impl Event {
    /// The worker whose message it is.
    fn worker(&self) -> WorkerId {
        match *self {
            Event::Started(worker, _)
            | Event::Finished(worker, ..)
            | Event::Returned(worker, _)
            | Event::Surplus(worker)
            | Event::Stolen(worker)
            | Event::Recalled(worker)
            | Event::Blocked(worker, _)
            | Event::Unblocked(worker) => worker,
            _ => unreachable!("not a message of a worker that works"),
        }
    }
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(crate) enum Action {
    Spawn(WorkerId),
    /// Send the task; `above` is the task in which the worker is blocked, 0 if it isn't.
    Send {
        worker: WorkerId,
        id: Id,
        above: Id,
    },
    Steal(WorkerId, u32),
    Recall(WorkerId, u32),
    /// The worker is to give back what it has not started of this task.
    Divide(WorkerId, Id),
    /// The task was running when its worker died.
    Crashed(WorkerId, Id),
    /// The task was sent to a worker that has lied: nobody knows whether it was started.
    Doubtful(WorkerId, Id),
    /// No worker will run the task.
    GiveUp(Id, Why),
    /// Nor any other that waits for one.
    GiveUpRest(Why),
    /// The task is not wanted any more; whatever a worker may still say of it is not passed on.
    Cancelled(Id),
    /// All that the worker is running was cancelled, and nothing else can have begun there.
    End(WorkerId),
    /// All that it is running was cancelled, but something has been sent to it that is asked back first: to be ended in
    /// any case if that takes long.
    Warn(WorkerId),
    /// It has something else to do by now.
    Spare(WorkerId),
    /// The worker has nothing to do and gets nothing any more: it is to leave.
    Retire(WorkerId),
}

/// Why a task is given up.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Why {
    /// Workers die while starting; the last cause.
    BootLoop(String),
    /// No worker can be started; the reason.
    NoWorker(String),
    /// Workers are another build.
    Foreign { build: u64 },
    /// Workers died each time before they could start it; the last cause.
    NeverStarted(String),
}

/// An event that an honest worker cannot cause.
#[derive(Debug, PartialEq)]
pub(crate) struct Violation(pub(crate) &'static str);

#[derive(Debug, Default)]
struct Worker {
    ready: bool,
    /// It is being ended.
    ending: bool,
    /// It is to be ended as soon as nothing is on its way to it.
    warned: bool,
    /// Since then everything that was on its way to it has been asked back.
    asked_back: bool,
    lied: bool,
    /// How many tasks it has finished.
    done: u64,
    /// How many the pool had finished when it last started or finished one.
    heard: u64,
    grown: bool,
    /// Sent, not started; in the order of sending.
    sent: VecDeque<Id>,
    /// Started, not finished; the innermost last.
    running: Vec<Id>,
    /// The task in which it is blocked, with nothing to do.
    blocked: Option<Id>,
    /// It has told of tasks that could be taken over.
    surplus: bool,
    /// A `Steal` or `Recall` has not been answered yet.
    stealing: bool,
    recalling: bool,
}

#[derive(Debug)]
struct Task {
    parent: Option<Id>,
    urgency: Urgency,
    /// It is not run on top of another task, because its worker may have to be ended.
    alone: bool,
    /// It has not been asked for a part of itself.
    divisible: bool,
    at: At,
    /// How many of its forks are known here.
    forks: usize,
    /// Its outcome is decided; it is here until its worker says that it is over.
    cancelled: bool,
    /// That it has started is known, though not from its worker.
    has_begun: bool,
    dispatches: u32,
    blamed_until: u64,
}

#[derive(Clone, Copy, Debug)]
enum At {
    Queue(Place),
    Worker(WorkerId),
}

impl Worker {
    fn is_idle(&self) -> bool {
        self.ready
            && !self.ending
            && self.sent.is_empty()
            && self.running.is_empty()
            && self.blocked.is_none()
            && !self.stealing
            && !self.recalling
    }
}

/// The state of the pool.
#[derive(Debug)]
pub(crate) struct Supervisor {
    wanted: usize,
    /// How many tasks a worker does before it leaves.
    max_tasks: u64,
    workers: BTreeMap<WorkerId, Worker>,
    /// Workers that were told to leave, and are not dead yet.
    leaving: BTreeSet<WorkerId>,
    tasks: FxHashMap<Id, Task>,
    queue: Queue,
    /// How many of the tasks are cancelled.
    decided: usize,
    next_worker: u64,
    boot_failures: u32,
    /// The last worker that had been started when one last died while starting.
    boot_tries: u64,
    /// How long a task takes, in microseconds: a moving average.
    micros: u64,
    /// How many tasks have been finished.
    finished: u64,
    /// Who has finished a task in this step.
    finishers: Vec<WorkerId>,
    /// Whether workers may be started in this step.
    recruits: bool,
    /// What has been decided in this step.
    actions: Vec<Action>,
}

impl Supervisor {
    /// A pool of up to `wanted` workers, each of which does up to `max_tasks` tasks.
    pub(crate) fn new(wanted: usize, max_tasks: u64) -> Self {
        Self {
            wanted,
            max_tasks: max_tasks.max(1),
            workers: BTreeMap::new(),
            leaving: BTreeSet::new(),
            tasks: FxHashMap::default(),
            queue: Queue::default(),
            decided: 0,
            next_worker: 0,
            boot_failures: 0,
            boot_tries: 0,
            micros: LONG_MICROS,
            finished: 0,
            finishers: Vec::new(),
            recruits: true,
            actions: Vec::new(),
        }
    }

    /// Takes one event, and says what is to be done.
    ///
    /// # Errors
    ///
    /// A [`Violation`] when the worker is not honest: it is to be killed, and its death reported as an event.
    #[cfg(any(all(test, not(xfork_loom)), fuzzing))]
    pub(crate) fn step(&mut self, event: Event) -> Result<Vec<Action>, Violation> {
        self.note(event)?;
        Ok(self.decide_now())
    }

    /// Takes one event of several, after the last of which [`decide_now`](Self::decide_now) is asked what is to be done.
    ///
    /// # Errors
    ///
    /// As [`step`](Self::step).
    pub(crate) fn note(&mut self, event: Event) -> Result<(), Violation> {
        self.recruits &= !matches!(event, Event::SpawnFailed(..));
        self.account(event)
    }

    /// Says what is to be done about all that was noted.
    pub(crate) fn decide_now(&mut self) -> Vec<Action> {
        self.dispatch();
        self.finishers.clear();
        self.balance();
        self.retire();
        // Whether another can be started after one could not is asked at the next event: at once would be for ever.
        if std::mem::replace(&mut self.recruits, true) {
            self.recruit();
        }
        std::mem::take(&mut self.actions)
    }

    /// How many tasks wait for a worker to have room for them.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// How many workers have something to do.
    pub(crate) fn busy(&self) -> usize {
        self.workers.values().filter(|worker| !worker.is_idle()).count()
    }

    /// Whether no task is left.
    pub(crate) fn is_idle(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Whether the task is the worker's and not started.
    pub(crate) fn is_sent(&self, worker: WorkerId, id: Id) -> bool {
        self.workers.get(&worker).is_some_and(|worker| worker.sent.contains(&id))
    }

    /// What the worker was sent and has not said that it has started.
    pub(crate) fn sent(&self, worker: WorkerId) -> Vec<Id> {
        self.workers.get(&worker).map_or(Vec::new(), |worker| worker.sent.iter().copied().collect())
    }

    /// Whether the worker has nothing to do.
    pub(crate) fn is_resting(&self, worker: WorkerId) -> bool {
        self.workers.get(&worker).is_some_and(Worker::is_idle)
    }

    /// Whether the outcome of the task is decided, though a worker has not finished it.
    pub(crate) fn is_cancelled(&self, id: Id) -> bool {
        self.tasks.get(&id).is_some_and(|task| task.cancelled)
    }

    /// Whether the worker has started the task and not finished it.
    pub(crate) fn is_running(&self, worker: WorkerId, id: Id) -> bool {
        self.workers.get(&worker).is_some_and(|worker| worker.running.contains(&id))
    }

    /// The innermost task that the worker has started, cancelled or not.
    pub(crate) fn innermost(&self, worker: WorkerId) -> Option<Id> {
        self.workers.get(&worker)?.running.last().copied()
    }

    /// The worker that the task was sent to, if it has not started there for all that is known.
    pub(crate) fn is_unstarted_in(&self, id: Id) -> Option<WorkerId> {
        match self.tasks.get(&id)?.at {
            At::Worker(worker) if self.is_sent(worker, id) => Some(worker),
            _ => None,
        }
    }

    /// The worker that the task was sent to, whether it has started there or not.
    pub(crate) fn worker_of(&self, id: Id) -> Option<WorkerId> {
        match self.tasks.get(&id)?.at {
            At::Worker(worker) => Some(worker),
            At::Queue(_) => None,
        }
    }

    /// The worker in which the task is the innermost.
    pub(crate) fn is_innermost_in(&self, id: Id) -> Option<WorkerId> {
        match self.tasks.get(&id)?.at {
            At::Worker(worker) if self.innermost(worker) == Some(id) => Some(worker),
            _ => None,
        }
    }

    fn worker(&mut self, id: WorkerId) -> Result<&mut Worker, Violation> {
        self.workers.get_mut(&id).ok_or(Violation("a message after its end"))
    }

    fn account(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Submit { id, parent, urgency, alone, divisible } => {
                // One that was forked by a task which has ended belongs to nobody.
                let parent = parent.filter(|parent| self.tasks.contains_key(parent));
                if let Some(parent) = parent.and_then(|parent| self.tasks.get_mut(&parent)) {
                    parent.forks += 1;
                }
                let at = At::Queue(self.queue.push_back(id, urgency, parent.is_none()));
                let task = Task {
                    parent,
                    urgency,
                    alone,
                    divisible,
                    at,
                    forks: 0,
                    cancelled: false,
                    has_begun: false,
                    dispatches: 0,
                    blamed_until: 0,
                };
                self.tasks.insert(id, task);
                if parent.is_some_and(|parent| self.is_cancelled(parent)) {
                    self.cancel(id);
                }
            }
            Event::Cancel(id) => self.cancel(id),
            Event::CancelWaiting { begun } => {
                let runs = |at, id| match at {
                    At::Queue(_) => false,
                    At::Worker(worker) => self.is_running(worker, id) || begun.contains(&id),
                };
                let waiting =
                    self.tasks.iter().filter(|(id, task)| task.parent.is_none() && !runs(task.at, **id));
                let mut waiting: Vec<_> = waiting.map(|(&id, _)| id).collect();
                waiting.sort_unstable();
                for id in waiting {
                    self.cancel(id);
                }
            }
            Event::Rested(worker) => {
                if self.workers.get(&worker).is_some_and(Worker::is_idle) {
                    self.send_away(worker);
                }
            }
            Event::Grown(worker) => {
                if let Some(worker) = self.workers.get_mut(&worker) {
                    worker.grown = true;
                }
            }
            Event::Ready(worker) => {
                self.worker(worker)?.ready = true;
                self.boot_failures = 0;
            }
            Event::SpawnFailed(worker, reason) => {
                self.workers.remove(&worker);
                if self.workers.is_empty() {
                    self.give_up_all(&Why::NoWorker(reason));
                } else if self.are_all_blocked() {
                    // They may wait for tasks that need a worker to themselves, and nothing would ever happen again.
                    let lonely: Vec<_> = self.queue.nested().filter(|(_, id)| self.tasks[id].alone).collect();
                    for (place, id) in lonely {
                        self.queue.remove(place);
                        self.forget(id);
                        self.actions.push(Action::GiveUp(id, Why::NoWorker(reason.clone())));
                    }
                }
            }
            Event::Unneeded(worker) => drop(self.workers.remove(&worker)),
            Event::Unsendable(worker, id) => {
                self.worker(worker)?.sent.retain(|&sent| sent != id);
                self.forget(id);
                self.end_if_unwanted(worker);
            }
            Event::Begun(worker, id) => {
                if self.is_sent(worker, id) {
                    self.account(Event::Started(worker, id))?;
                    self.tasks.get_mut(&id).expect("a sent task is known").has_begun = true;
                }
            }
            Event::Started(worker, id) => {
                let (id_of, finished) = (worker, self.finished);
                if self.is_running(worker, id)
                    && let Some(task) = self.tasks.get_mut(&id)
                    && std::mem::take(&mut task.has_begun)
                {
                    return Ok(());
                }
                let worker = self.worker(worker)?;
                let position = worker.sent.iter().position(|&sent| sent == id);
                worker
                    .sent
                    .remove(position.ok_or(Violation("an acknowledgement of a task it was not sent"))?);
                worker.running.push(id);
                worker.heard = finished;
                self.end_if_unwanted(id_of);
            }
            Event::Finished(worker, id, micros) => {
                let (id_of, finished) = (worker, self.finished + 1);
                let worker = self.worker(worker)?;
                if let Some(position) = worker.running.iter().rposition(|&running| running == id) {
                    worker.running.remove(position);
                } else {
                    // That it had started the task, it need not have said.
                    let position = worker.sent.iter().position(|&sent| sent == id);
                    let lie = Violation("a result of a task it was not running");
                    worker.sent.remove(position.ok_or(lie)?);
                }
                worker.done += 1;
                worker.heard = finished;
                self.finished = finished;
                self.finishers.push(id_of);
                self.forget(id);
                self.end_if_unwanted(id_of);
                self.micros = (self.micros * 7 + micros.min(LONG_MICROS * 10)) / 8;
            }
            Event::Returned(worker, id) => {
                let id_of = worker;
                let worker = self.worker(worker)?;
                let position = worker.sent.iter().position(|&sent| sent == id);
                worker.sent.remove(position.ok_or(Violation("a return of a task it was not sent"))?);
                // Not its worker's fault, and not the task's.
                self.tasks.get_mut(&id).expect("a sent task is known").dispatches -= 1;
                self.put_back(id);
                self.end_if_unwanted(id_of);
            }
            Event::Surplus(worker) => self.worker(worker)?.surplus = true,
            Event::Stolen(worker) => self.worker(worker)?.stealing = false,
            Event::Recalled(worker) => {
                self.worker(worker)?.recalling = false;
                self.end_if_unwanted(worker);
            }
            Event::Blocked(worker, id) => {
                let id_of = worker;
                let worker = self.worker(worker)?;
                if !worker.running.contains(&id) {
                    return Err(Violation("a block in a task it was not running"));
                }
                worker.blocked = Some(id);
                // What is still on its way to it would wait as long as it does.
                if !worker.sent.is_empty() && !std::mem::replace(&mut worker.recalling, true) {
                    let want = worker.sent.len() as u32;
                    self.actions.push(Action::Recall(id_of, want));
                }
            }
            Event::Unblocked(worker) => self.worker(worker)?.blocked = None,
            Event::Lied(worker) => {
                if let Some(worker) = self.workers.get_mut(&worker) {
                    (worker.ending, worker.lied) = (true, true);
                }
            }
            Event::Gone(worker, cause) => self.bury(worker, &cause),
            Event::Foreign { worker, build } => {
                self.bury(worker, "another build");
                self.give_up_all(&Why::Foreign { build });
            }
        }
        Ok(())
    }
}

#[cfg(any(all(test, not(xfork_loom)), fuzzing))]
#[cfg_attr(not(test), expect(dead_code, reason = "some of it is for the tests only"))]
pub(super) mod model;
#[cfg(all(test, not(xfork_loom)))]
mod tests;
