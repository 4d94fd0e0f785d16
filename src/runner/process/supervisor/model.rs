//! A pool of pretended workers, honest but mortal, played against the supervisor.
//!
//! Messages take their time in both directions and may be overtaken by decisions, as between the real ones. What a
//! pretended worker does when it gets a message is what `worker/execute.rs` and `worker/listen.rs` do. What happens, and to
//! whom, is chosen by numbers: random ones (`tests.rs`), or the bytes of a fuzzer. A new event is a variant of [`What`]
//! with its place in [`OFTEN`], and an arm in [`Pool::happen`]; a new action, an arm in [`Pool::event`].

use super::*;
use std::collections::{BTreeSet, HashMap};

/// What is on its way to a worker.
#[derive(Debug)]
enum ToWorker {
    Task { id: Id, above: Id },
    Steal(u32),
    Recall(u32),
    ChildEnded { parent: Id },
}

/// What is on its way from a worker.
#[derive(Debug)]
enum FromWorker {
    Event(Event),
    Child { parent: Id, alone: bool },
}

/// A worker that only says what a worker would.
#[derive(Debug, Default)]
pub(crate) struct Pretended {
    hello: bool,
    inward: VecDeque<ToWorker>,
    outward: VecDeque<FromWorker>,
    inbox: VecDeque<(Id, Id)>,
    /// Parents of the tasks that were forked here and not started.
    forked: VecDeque<Id>,
    /// Tasks on the stack, the innermost last.
    pub(crate) stack: Vec<Id>,
    /// Tasks that have returned before their forks.
    returned: Vec<Id>,
    /// Unfinished forks of each task on the stack or returned.
    open: HashMap<Id, usize>,
    blocked: Option<Id>,
    advertised: bool,
    /// Started, and the program has not been told.
    untold: Vec<Id>,
    /// Where the tasks stand that it has started, if it has such a page.
    page: Option<BTreeSet<Id>>,
}

impl Pretended {
    fn say(&mut self, event: Event) {
        if let Event::Finished(_, id, _) = event {
            self.untold.retain(|&untold| untold != id);
        }
        self.tell_of_starts(event.worker());
        self.outward.push_back(FromWorker::Event(event));
    }

    fn tell_of_starts(&mut self, me: WorkerId) {
        let told = self.untold.drain(..).map(|id| FromWorker::Event(Event::Started(me, id)));
        self.outward.extend(told);
    }

    fn hand_over(&mut self, me: WorkerId, parent: Id, alone: bool) {
        self.tell_of_starts(me);
        self.outward.push_back(FromWorker::Child { parent, alone });
    }

    fn hear(&mut self, me: WorkerId) {
        match self.inward.pop_front().expect("asked only when there is one") {
            ToWorker::Task { id, above } if self.blocked.unwrap_or(0) != above => {
                self.say(Event::Returned(me, id));
            }
            ToWorker::Task { id, above } => self.inbox.push_back((id, above)),
            ToWorker::Recall(want) => {
                for _ in 0..want {
                    let Some((id, _)) = self.inbox.pop_back() else { break };
                    self.say(Event::Returned(me, id));
                }
                self.say(Event::Recalled(me));
            }
            ToWorker::Steal(want) => {
                for _ in 0..want {
                    let Some(parent) = self.forked.pop_front() else { break };
                    self.hand_over(me, parent, false);
                }
                self.advertised = !self.forked.is_empty();
                self.say(Event::Stolen(me));
                if self.advertised {
                    self.say(Event::Surplus(me));
                }
            }
            ToWorker::ChildEnded { parent } => self.fork_ended(me, parent),
        }
    }

    fn fork_ended(&mut self, me: WorkerId, parent: Id) {
        let open = self.open.get_mut(&parent).expect("a task with forks has not ended");
        *open -= 1;
        if *open == 0 && self.returned.contains(&parent) {
            self.returned.retain(|&id| id != parent);
            self.open.remove(&parent);
            self.say(Event::Finished(me, parent, 50));
        }
    }

    fn unblock(&mut self, me: WorkerId) {
        if self.blocked.take().is_some() {
            let (go, stay) = std::mem::take(&mut self.inbox).into_iter().partition(|(_, above)| *above != 0);
            self.inbox = stay;
            for (id, _) in go {
                self.say(Event::Returned(me, id));
            }
            self.say(Event::Unblocked(me));
        }
    }

    fn block(&mut self, me: WorkerId, id: Id) -> bool {
        if self.blocked == Some(id) {
            return false;
        }
        self.blocked = Some(id);
        for (id, _) in std::mem::take(&mut self.inbox) {
            self.say(Event::Returned(me, id));
        }
        self.say(Event::Blocked(me, id));
        true
    }

    fn start(&mut self, me: WorkerId, id: Id) {
        self.unblock(me);
        let has_page = self.page.as_mut().map(|page| page.insert(id)).is_some();
        // Some tasks are to be told of at once.
        if has_page && !id.is_multiple_of(3) {
            self.untold.push(id);
        } else {
            self.say(Event::Started(me, id));
        }
        self.stack.push(id);
        self.open.insert(id, 0);
    }

    /// The innermost task forks.
    fn fork(&mut self, me: WorkerId, alone: bool) -> bool {
        let Some(&top) = self.stack.last().filter(|_| self.blocked.is_none()) else { return false };
        *self.open.get_mut(&top).expect("on the stack") += 1;
        if alone {
            self.hand_over(me, top, alone);
            return true;
        }
        self.forked.push_back(top);
        if !std::mem::replace(&mut self.advertised, true) {
            self.say(Event::Surplus(me));
        }
        true
    }

    /// The innermost task returns, whether its forks have finished or not.
    fn leave(&mut self, me: WorkerId, micros: u64) -> bool {
        let Some(top) = self.stack.pop_if(|_| self.blocked.is_none()) else { return false };
        if self.open[&top] == 0 {
            self.open.remove(&top);
            self.say(Event::Finished(me, top, micros));
        } else {
            self.returned.push(top);
        }
        true
    }

    /// One step of the executor that waits for its forks; false when there is nothing to do.
    pub(crate) fn go_on(&mut self, me: WorkerId, micros: u64) -> bool {
        if let Some(parent) = self.forked.pop_back() {
            // Run here, on top of whatever waits; the program never hears of it.
            self.unblock(me);
            self.fork_ended(me, parent);
            return true;
        }
        match self.stack.last() {
            Some(&top) if self.open[&top] == 0 => {
                self.unblock(me);
                self.leave(me, micros)
            }
            Some(&top) => match self.inbox.iter().position(|&(_, above)| Some(above) == self.blocked) {
                Some(position) => {
                    let (id, _) = self.inbox.remove(position).expect("just found");
                    self.start(me, id);
                    true
                }
                None => self.block(me, top),
            },
            None => {
                if let Some((id, _)) = self.inbox.pop_front() {
                    self.start(me, id);
                    return true;
                }
                match self.returned.last() {
                    Some(&last) => self.block(me, last),
                    None if self.blocked.is_some() => {
                        self.unblock(me);
                        true
                    }
                    None => false,
                }
            }
        }
    }
}

/// How a task has ended.
#[derive(Debug, PartialEq)]
pub(crate) enum End {
    Finished,
    Crashed,
    GivenUp,
    Unsendable,
    Cancelled,
}

/// What can happen, to the pool or to one of its workers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum What {
    Submitted,
    CannotSpawn,
    Spawned,
    Unsendable,
    Written,
    Dies,
    IsForeign,
    Greets,
    Forks,
    ForksAlone,
    Leaves,
    Hears,
    IsRead,
    GoesOn,
    IsCancelled,
    AllIsCancelled,
    Rests,
    Grows,
    Ends,
    /// Messages are faster than anything else.
    IsFast,
}

/// How often each of them happens, among 64. The place of an entry is its number in the files of `fuzz/corpus`.
const OFTEN: [What; 64] = {
    use What::*;
    [
        Submitted,
        Submitted,
        Submitted,
        CannotSpawn,
        Spawned,
        Spawned,
        Spawned,
        Unsendable, //
        Written,
        Written,
        Written,
        Dies,
        IsForeign,
        Forks,
        Forks,
        Forks, //
        Leaves,
        Hears,
        Hears,
        Hears,
        IsRead,
        IsRead,
        IsRead,
        GoesOn, //
        GoesOn,
        GoesOn,
        GoesOn,
        GoesOn,
        IsFast,
        IsFast,
        IsFast,
        IsFast, //
        ForksAlone,
        ForksAlone,
        IsCancelled,
        IsCancelled,
        AllIsCancelled,
        Rests,
        Grows,
        Ends, //
        Ends,
        Ends,
        Submitted,
        Submitted,
        Spawned,
        Spawned,
        Written,
        Written, //
        Forks,
        Forks,
        Leaves,
        Hears,
        Hears,
        IsRead,
        IsRead,
        GoesOn, //
        GoesOn,
        GoesOn,
        GoesOn,
        IsRead,
        Hears,
        IsFast,
        IsFast,
        IsFast,
    ]
};

impl What {
    pub(crate) fn of(number: u32) -> Self {
        OFTEN[number as usize % OFTEN.len()]
    }

    /// Whether a task may end by it otherwise than by finishing.
    pub(crate) fn is_bad(self) -> bool {
        use What::*;
        matches!(self, CannotSpawn | Unsendable | Dies | IsForeign | IsCancelled | AllIsCancelled)
    }

    fn is_of_a_worker(self) -> bool {
        use What::*;
        !matches!(
            self,
            Submitted | CannotSpawn | Spawned | Unsendable | Written | IsCancelled | AllIsCancelled | Ends
        )
    }
}

/// The pool and all that is on its way.
pub(crate) struct Pool {
    pub(crate) supervisor: Supervisor,
    pub(crate) workers: BTreeMap<WorkerId, Pretended>,
    pub(crate) spawns: Vec<WorkerId>,
    /// Sent by decision, not written yet.
    pub(crate) sends: Vec<(WorkerId, Id, Id)>,
    pub(crate) parents: HashMap<Id, Option<Id>>,
    /// Where to tell of the end of a task that a worker handed over.
    origins: HashMap<Id, (WorkerId, Id)>,
    started: BTreeSet<Id>,
    pub(crate) ends: BTreeMap<Id, End>,
    /// Workers that are being ended, and such as have left and are not reaped.
    pub(crate) ending: Vec<WorkerId>,
    /// One of them is dying of it.
    is_ending: bool,
    left: Vec<WorkerId>,
    /// Tasks that must be possible to end.
    alone: BTreeSet<Id>,
    /// Tasks that were asked for a part of themselves.
    divided: BTreeSet<Id>,
    /// Tasks are of several priorities, and some must be possible to end.
    mixed: bool,
    /// Every second worker has a page of memory.
    paged: bool,
    /// Forks that may still be made.
    budget: usize,
}

/// Which tasks can give back a part of themselves.
fn is_divisible(id: Id) -> bool {
    id.is_multiple_of(4)
}

impl Pool {
    pub(crate) fn new(wanted: usize) -> Self {
        Self {
            supervisor: Supervisor::new(wanted, u64::MAX),
            workers: BTreeMap::new(),
            spawns: Vec::new(),
            sends: Vec::new(),
            parents: HashMap::new(),
            origins: HashMap::new(),
            started: BTreeSet::new(),
            ends: BTreeMap::new(),
            ending: Vec::new(),
            is_ending: false,
            left: Vec::new(),
            alone: BTreeSet::new(),
            divided: BTreeSet::new(),
            mixed: false,
            paged: false,
            budget: 100,
        }
    }

    pub(crate) fn submit(&mut self, parent: Option<Id>) -> Id {
        self.submit_as(parent, false)
    }

    fn submit_as(&mut self, parent: Option<Id>, alone: bool) -> Id {
        let id = self.parents.len() as Id + 1;
        self.parents.insert(id, parent);
        if alone {
            self.alone.insert(id);
        }
        let urgency = if self.mixed { (id % 3) as i64 } else { 0 };
        self.event(Event::Submit { id, parent, urgency, alone, divisible: is_divisible(id) });
        id
    }

    fn end(&mut self, id: Id, end: End) {
        assert!(end != End::Crashed || self.started.contains(&id), "{id} had not started");
        let may_have_started = matches!(end, End::Finished | End::Crashed | End::Cancelled);
        assert!(may_have_started || !self.started.contains(&id), "{id}: {end:?}");
        assert_eq!(self.ends.insert(id, end), None, "task {id} has ended twice");
        if let Some((worker, parent)) = self.origins.remove(&id)
            && let Some(worker) = self.workers.get_mut(&worker)
        {
            worker.inward.push_back(ToWorker::ChildEnded { parent });
        }
    }

    pub(crate) fn event(&mut self, event: Event) {
        match event {
            Event::Started(_, id) => {
                let is_known = self.supervisor.tasks.get(&id).is_some_and(|task| task.has_begun);
                assert!(self.started.insert(id) || is_known, "task {id} has started twice");
            }
            Event::Begun(worker, id) | Event::Finished(worker, id, _)
                if self.supervisor.is_sent(worker, id) =>
            {
                assert!(self.started.insert(id), "task {id} has started twice");
            }
            _ => {}
        }
        match event {
            Event::Finished(_, id, _) if !self.supervisor.is_cancelled(id) => self.end(id, End::Finished),
            _ => {}
        }
        let text = format!("{event:?}");
        let actions = self.supervisor.step(event).unwrap_or_else(|Violation(what)| panic!("{text}: {what}"));
        let mut recalled = Vec::new();
        for action in actions {
            match action {
                Action::Spawn(worker) => self.spawns.push(worker),
                Action::Send { worker, id, above } => {
                    let known = &self.supervisor.workers[&worker];
                    assert!(known.ready, "{text}: task {id} is sent to {worker:?}, which is not ready");
                    assert!(!self.started.contains(&id), "{text}: task {id} had started");
                    assert_eq!(known.blocked.unwrap_or(0), above);
                    assert!(above == 0 || self.descends(id, above), "{text}: {id} is no fork of {above}");
                    assert!(above == 0 || !self.alone.contains(&id), "{text}: {id} is on top of {above}");
                    self.sends.push((worker, id, above));
                }
                Action::Steal(worker, want) => self.tell(worker, ToWorker::Steal(want)),
                Action::Divide(worker, id) => {
                    assert!(is_divisible(id) && self.divided.insert(id), "{text}: {id} is asked for a part");
                    assert_eq!(self.supervisor.innermost(worker), Some(id), "{text}");
                }
                Action::Recall(worker, want) => {
                    self.tell(worker, ToWorker::Recall(want));
                    recalled.push(worker);
                }
                Action::Crashed(worker, id) => {
                    assert!(!self.is_ending, "{text}: {id} ends with {worker:?}, which was ended for others");
                    assert!(!self.workers.contains_key(&worker));
                    self.end(id, End::Crashed);
                }
                Action::GiveUp(id, _) => self.end(id, End::GivenUp),
                Action::GiveUpRest(_) => {}
                Action::Cancelled(id) => self.end(id, End::Cancelled),
                Action::Doubtful(worker, _) => unreachable!("{worker:?} is honest"),
                Action::Warn(_) | Action::Spare(_) => {}
                Action::End(worker) => {
                    let running = &self.supervisor.workers[&worker].running;
                    assert!(running.iter().all(|id| self.ends[id] == End::Cancelled), "{text}: {running:?}");
                    self.ending.push(worker);
                }
                Action::Retire(worker) => {
                    let leaver = self.workers.remove(&worker).expect("only the living leave");
                    assert!(leaver.stack.is_empty() && leaver.returned.is_empty() && leaver.inbox.is_empty());
                    self.left.push(worker);
                }
            }
        }
        self.check(&text);
        for worker in recalled {
            for id in self.begun_in(worker) {
                self.event(Event::Begun(worker, id));
            }
        }
    }

    /// What was sent to a worker and stands on its page, in the order of sending.
    fn begun_in(&self, worker: WorkerId) -> Vec<Id> {
        let Some(page) = self.workers.get(&worker).and_then(|worker| worker.page.as_ref()) else {
            return vec![];
        };
        self.supervisor.sent(worker).into_iter().filter(|id| page.contains(id)).collect()
    }

    /// Every task has ended or is in exactly one place, and there are no more workers than wanted.
    pub(crate) fn check(&self, text: &str) {
        let Supervisor { workers, queue, tasks, wanted, .. } = &self.supervisor;
        let held = workers.values().flat_map(|worker| worker.sent.iter().chain(&worker.running));
        // Of those that were cancelled, some are still in a worker.
        let is_open = |id: &Id| self.ends.get(id) != Some(&End::Cancelled);
        let mut places: Vec<Id> = held.copied().filter(is_open).chain(queue.iter()).collect();
        places.sort();
        let mut open: Vec<Id> =
            self.parents.keys().copied().filter(|id| !self.ends.contains_key(id)).collect();
        open.sort();
        assert_eq!(places, open, "{text}");
        let known = tasks.iter().filter(|(_, task)| !task.cancelled);
        assert!(
            known.clone().count() == open.len() && known.clone().all(|(id, _)| open.contains(id)),
            "{text}"
        );
        assert!(tasks.iter().all(|(id, task)| task.cancelled != is_open(id)), "{text}");
        let forks = |id| tasks.values().filter(|task| task.parent == Some(id)).count();
        assert!(tasks.iter().all(|(&id, task)| task.forks == forks(id)), "{text}");
        // One more for each task that needs a worker to itself while all others are blocked.
        assert!(self.supervisor.living() <= *wanted + self.alone.len(), "{text}");
        let running = workers.values().flat_map(|worker| &worker.running);
        assert!(running.clone().all(|id| self.started.contains(id)), "{text}");
        let running = running.filter(|id| is_open(id)).count();
        assert_eq!(running, self.started.iter().filter(|id| open.contains(id)).count(), "{text}");
    }

    fn descends(&self, mut id: Id, ancestor: Id) -> bool {
        while let Some(parent) = self.parents[&id] {
            if parent == ancestor {
                return true;
            }
            id = parent;
        }
        false
    }

    fn tell(&mut self, worker: WorkerId, message: ToWorker) {
        self.workers.get_mut(&worker).expect("only the living are told").inward.push_back(message);
    }

    /// Ctrl-C, with all that is known of what the workers have begun.
    fn cancel_waiting(&mut self) {
        let said = self.workers.values().flat_map(|worker| &worker.outward);
        let begun: Vec<_> = said
            .filter_map(|said| match said {
                FromWorker::Event(Event::Started(_, id)) => Some(*id),
                _ => None,
            })
            .chain(self.workers.keys().flat_map(|&worker| self.begun_in(worker)))
            .collect();
        let open: Vec<_> = begun.iter().copied().filter(|id| !self.ends.contains_key(id)).collect();
        self.event(Event::CancelWaiting { begun });
        assert!(open.iter().all(|id| !self.ends.contains_key(id)), "what has begun is not waiting");
    }

    /// Writes a task to its worker, who may be dead by now.
    fn write(&mut self, position: usize) {
        let (worker, id, above) = self.sends.swap_remove(position);
        if let Some(worker) = self.workers.get_mut(&worker) {
            worker.inward.push_back(ToWorker::Task { id, above });
        }
    }

    /// The arguments turn out not to be encodable; only the sending that counts says so.
    fn fail_to_write(&mut self, position: usize) {
        let (worker, id, _) = self.sends.swap_remove(position);
        if self.supervisor.is_sent(worker, id) {
            if !self.supervisor.is_cancelled(id) {
                self.end(id, End::Unsendable);
            }
            self.event(Event::Unsendable(worker, id));
        }
    }

    /// Reads one message of a worker.
    fn read(&mut self, worker: WorkerId) -> bool {
        match self.workers.get_mut(&worker).and_then(|worker| worker.outward.pop_front()) {
            Some(FromWorker::Event(event)) => self.event(event),
            Some(FromWorker::Child { parent, .. }) if self.supervisor.is_cancelled(parent) => {
                self.pretended(worker).inward.push_back(ToWorker::ChildEnded { parent });
            }
            Some(FromWorker::Child { parent, alone }) => {
                assert!(self.supervisor.is_running(worker, parent));
                let id = self.parents.len() as Id + 1;
                self.origins.insert(id, (worker, parent));
                self.submit_as(Some(parent), alone);
            }
            None => return false,
        }
        true
    }

    /// The worker dies; of what it had to say, the last `lost` was not written any more.
    pub(crate) fn die(&mut self, worker: WorkerId, lost: usize) {
        let left = self.workers[&worker].outward.len().saturating_sub(lost);
        for _ in 0..left {
            self.read(worker);
        }
        // What it said may have had it leave.
        for id in self.begun_in(worker) {
            self.event(Event::Started(worker, id));
        }
        // And so may that.
        let Some(_) = self.workers.remove(&worker) else { return };
        self.ending.retain(|&other| other != worker);
        self.event(Event::Gone(worker, format!("{worker:?} was killed")));
    }

    pub(crate) fn boot(&mut self) -> WorkerId {
        let worker = self.spawns.remove(0);
        let page = (self.paged && worker.0.is_multiple_of(2)).then(BTreeSet::new);
        self.workers.insert(worker, Pretended { page, ..Pretended::default() });
        worker
    }

    pub(crate) fn greet(&mut self, worker: WorkerId) {
        self.workers.get_mut(&worker).expect("alive").hello = true;
        self.event(Event::Ready(worker));
    }

    /// Those that have left are reaped, and those that are to end are dead.
    fn bury(&mut self) -> bool {
        let (left, ending) = (std::mem::take(&mut self.left), std::mem::take(&mut self.ending));
        let any = !left.is_empty() || !ending.is_empty();
        for worker in left {
            self.event(Event::Gone(worker, "it has left".into()));
        }
        for worker in
            ending.into_iter().filter(|worker| self.workers.contains_key(worker)).collect::<Vec<_>>()
        {
            self.is_ending = true;
            self.die(worker, 0);
            self.is_ending = false;
        }
        any
    }

    fn fork(&mut self, worker: WorkerId, alone: bool) -> bool {
        let forked = self.budget > 0 && self.workers.get_mut(&worker).expect("alive").fork(worker, alone);
        self.budget -= usize::from(forked);
        forked
    }

    /// One thing happens, chosen by a number: the lowest bits say what, the next ones to whom.
    pub(crate) fn happen(&mut self, number: u32) {
        let (which, extent) = ((number >> 6) as usize % 64, (number >> 12) as usize % 8);
        let at = |length: usize| if length == 0 { None } else { Some(which % length) };
        let spawning = !self.spawns.is_empty();
        let sending = at(self.sends.len());
        let worker = at(self.workers.len()).and_then(|at| self.workers.keys().nth(at).copied());
        let what = What::of(number);
        let what = match worker {
            // All that can happen to a worker that has just been started.
            Some(worker) if what.is_of_a_worker() && !self.workers[&worker].hello => match what {
                What::Dies | What::IsForeign => what,
                _ => What::Greets,
            },
            _ => what,
        };
        match (what, worker) {
            (What::Submitted, _) => drop(self.submit(None)),
            (What::CannotSpawn, _) if spawning && self.supervisor.is_idle() => {
                let worker = self.spawns.remove(0);
                self.event(Event::Unneeded(worker));
            }
            (What::CannotSpawn, _) if spawning && extent < 4 => {
                let worker = self.spawns.remove(0);
                self.event(Event::SpawnFailed(worker, "no memory".into()));
            }
            (What::Spawned, _) if spawning => drop(self.boot()),
            (What::Unsendable, _) if let Some(at) = sending => self.fail_to_write(at),
            (What::Written, _) if let Some(at) = sending => self.write(at),
            (What::Dies, Some(worker)) if extent < 4 => self.die(worker, extent),
            (What::IsForeign, Some(worker)) if !self.workers[&worker].hello => {
                self.event(Event::Foreign { worker, build: 7 });
                self.workers.remove(&worker);
                self.event(Event::Gone(worker, "another build".into()));
            }
            (What::Greets, Some(worker)) if !self.workers[&worker].hello => self.greet(worker),
            (What::Forks, Some(worker)) => drop(self.fork(worker, false)),
            (What::ForksAlone, Some(worker)) => drop(self.fork(worker, true)),
            (What::IsCancelled, _) if let Some(at) = at(self.parents.len()) => {
                let id = at as Id + 1;
                let was_open = !self.ends.contains_key(&id);
                self.event(Event::Cancel(id));
                assert!(!was_open || self.ends[&id] == End::Cancelled);
            }
            (What::AllIsCancelled, _) if extent == 0 => self.cancel_waiting(),
            (What::Rests, Some(worker)) => self.event(Event::Rested(worker)),
            (What::Grows, Some(worker)) => self.event(Event::Grown(worker)),
            (What::Ends, _) => drop(self.bury()),
            (What::Leaves, Some(worker)) => drop(self.pretended(worker).leave(worker, 10)),
            (What::Hears, Some(worker)) if !self.workers[&worker].inward.is_empty() => {
                self.pretended(worker).hear(worker);
            }
            (What::IsRead, Some(worker)) => drop(self.read(worker)),
            (What::GoesOn, Some(worker)) => drop(self.pretended(worker).go_on(worker, 4 << extent)),
            (What::IsFast, Some(worker)) => {
                self.deliver();
                self.read_all(worker);
                if let Some(living) = self.workers.get_mut(&worker) {
                    living.go_on(worker, 4 << extent);
                }
                self.read_all(worker);
            }
            _ => {}
        }
    }

    pub(crate) fn pretended(&mut self, worker: WorkerId) -> &mut Pretended {
        self.workers.get_mut(&worker).expect("alive")
    }

    /// Everybody lives and does what there is to do, until there is nothing.
    pub(crate) fn settle(&mut self) {
        for round in 0..10_000 {
            let mut busy = self.bury();
            while !self.spawns.is_empty() {
                self.boot();
            }
            while !self.sends.is_empty() {
                self.write(0);
            }
            for worker in self.workers.keys().copied().collect::<Vec<_>>() {
                if self.workers.get(&worker).is_some_and(|living| !living.hello) {
                    self.greet(worker);
                }
                // What another one said may have had it leave.
                let Some(living) = self.workers.get_mut(&worker) else { continue };
                while !living.inward.is_empty() {
                    living.hear(worker);
                    busy = true;
                }
                // Some fork until nothing is left to be forked, so that much is blocked in much.
                busy |= (round + worker.0) % 3 == 0 && self.fork(worker, self.mixed && round % 2 == 0);
                busy |= self.pretended(worker).go_on(worker, 30);
                while self.read(worker) {
                    busy = true;
                }
            }
            if !busy && self.spawns.is_empty() && self.sends.is_empty() && self.ending.is_empty() {
                for (worker, known) in &self.supervisor.workers {
                    let free = known.blocked.is_none() && !known.stealing && !known.recalling;
                    assert!(free, "{worker:?} has nothing to do, and the supervisor has {known:?}");
                }
                return;
            }
        }
        panic!("the pool never comes to rest");
    }

    /// Starts the workers that are asked for, and has everything written and heard, but nothing run.
    pub(crate) fn deliver(&mut self) {
        while !self.spawns.is_empty() {
            self.boot();
        }
        for worker in self.workers.keys().copied().collect::<Vec<_>>() {
            if !self.workers[&worker].hello {
                self.greet(worker);
            }
        }
        while !self.sends.is_empty() {
            self.write(0);
        }
        for (&worker, pretended) in &mut self.workers {
            while !pretended.inward.is_empty() {
                pretended.hear(worker);
            }
        }
    }

    /// Has everything read that the worker has said.
    pub(crate) fn read_all(&mut self, worker: WorkerId) {
        while self.read(worker) {}
    }
}

/// Plays all that `numbers` say to a new pool. The invariants of [`Pool::event`] and [`Pool::check`] hold at each step;
/// once nobody dies any more, everything ends.
///
/// # Panics
///
/// When they don't.
pub(crate) fn play(wanted: usize, micros: u64, numbers: impl IntoIterator<Item = u32>) -> Pool {
    let mut pool = Pool::new(wanted);
    pool.supervisor.micros = micros;
    pool.mixed = true;
    pool.paged = true;
    // Some pools have workers that soon leave.
    pool.supervisor.max_tasks = if micros.is_multiple_of(3) { 2 + micros % 5 } else { u64::MAX };
    for number in numbers {
        pool.happen(number);
    }
    pool.settle();
    assert!(pool.supervisor.is_idle(), "left: {:?}", pool.supervisor);
    assert_eq!(pool.ends.len(), pool.parents.len());
    pool
}
