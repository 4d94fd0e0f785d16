//! A pool of pretended workers, honest but mortal, played against the supervisor; then the rows of faults.md.
//!
//! Messages take their time in both directions and may be overtaken by decisions, as between the real ones. What a
//! pretended worker does when it gets a message is what `worker/execute.rs` and `worker/listen.rs` do.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

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
    Child { parent: Id },
}

#[derive(Debug, Default)]
struct Pretended {
    hello: bool,
    inward: VecDeque<ToWorker>,
    outward: VecDeque<FromWorker>,
    inbox: VecDeque<(Id, Id)>,
    /// Parents of the tasks that were forked here and not started.
    forked: VecDeque<Id>,
    /// Tasks on the stack, the innermost last.
    stack: Vec<Id>,
    /// Tasks that have returned before their forks.
    returned: Vec<Id>,
    /// Unfinished forks of each task on the stack or returned.
    open: HashMap<Id, usize>,
    blocked: Option<Id>,
    advertised: bool,
}

impl Pretended {
    fn say(&mut self, event: Event) {
        self.outward.push_back(FromWorker::Event(event));
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
                    self.outward.push_back(FromWorker::Child { parent });
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
        self.say(Event::Started(me, id));
        self.stack.push(id);
        self.open.insert(id, 0);
    }

    /// The innermost task forks.
    fn fork(&mut self, me: WorkerId) -> bool {
        let Some(&top) = self.stack.last().filter(|_| self.blocked.is_none()) else { return false };
        *self.open.get_mut(&top).expect("on the stack") += 1;
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
    fn go_on(&mut self, me: WorkerId, micros: u64) -> bool {
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

#[derive(Debug, PartialEq)]
enum End {
    Finished,
    Crashed,
    GivenUp,
    Unsendable,
}

struct Pool {
    supervisor: Supervisor,
    workers: BTreeMap<WorkerId, Pretended>,
    spawns: Vec<WorkerId>,
    /// Sent by decision, not written yet.
    sends: Vec<(WorkerId, Id, Id)>,
    parents: HashMap<Id, Option<Id>>,
    /// Where to tell of the end of a task that a worker handed over.
    origins: HashMap<Id, (WorkerId, Id)>,
    started: BTreeSet<Id>,
    ends: BTreeMap<Id, End>,
    /// Forks that may still be made.
    budget: usize,
}

impl Pool {
    fn new(wanted: usize) -> Self {
        Self {
            supervisor: Supervisor::new(wanted, u64::MAX),
            workers: BTreeMap::new(),
            spawns: Vec::new(),
            sends: Vec::new(),
            parents: HashMap::new(),
            origins: HashMap::new(),
            started: BTreeSet::new(),
            ends: BTreeMap::new(),
            budget: 100,
        }
    }

    fn submit(&mut self, parent: Option<Id>) -> Id {
        let id = self.parents.len() as Id + 1;
        self.parents.insert(id, parent);
        self.event(Event::Submit { id, parent, priority: 0, alone: false });
        id
    }

    fn end(&mut self, id: Id, end: End) {
        assert!(end != End::Crashed || self.started.contains(&id), "{id} had not started");
        assert!(end == End::Finished || end == End::Crashed || !self.started.contains(&id), "{id}: {end:?}");
        assert_eq!(self.ends.insert(id, end), None, "task {id} has ended twice");
        if let Some((worker, parent)) = self.origins.remove(&id)
            && let Some(worker) = self.workers.get_mut(&worker)
        {
            worker.inward.push_back(ToWorker::ChildEnded { parent });
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Started(_, id) => assert!(self.started.insert(id), "task {id} has started twice"),
            Event::Finished(_, id, _) => self.end(id, End::Finished),
            _ => {}
        }
        let text = format!("{event:?}");
        let actions = self.supervisor.step(event).unwrap_or_else(|Violation(what)| panic!("{text}: {what}"));
        for action in actions {
            match action {
                Action::Spawn(worker) => self.spawns.push(worker),
                Action::Send { worker, id, above } => {
                    let known = &self.supervisor.workers[&worker];
                    assert!(known.ready, "{text}: task {id} is sent to {worker:?}, which is not ready");
                    assert!(!self.started.contains(&id), "{text}: task {id} had started");
                    assert_eq!(known.blocked.unwrap_or(0), above);
                    assert!(above == 0 || self.descends(id, above), "{text}: {id} is no fork of {above}");
                    self.sends.push((worker, id, above));
                }
                Action::Steal(worker, want) => self.tell(worker, ToWorker::Steal(want)),
                Action::Recall(worker, want) => self.tell(worker, ToWorker::Recall(want)),
                Action::Crashed(worker, id) => {
                    assert!(!self.workers.contains_key(&worker));
                    self.end(id, End::Crashed);
                }
                Action::GiveUp(id, _) => self.end(id, End::GivenUp),
                Action::Cancelled(_) | Action::End(_) | Action::Retire(_) => {
                    unreachable!("nobody asked for it")
                }
            }
        }
        self.check(&text);
    }

    /// Every task has ended or is in exactly one place, and there are no more workers than wanted.
    fn check(&self, text: &str) {
        let Supervisor { workers, queue, tasks, wanted, .. } = &self.supervisor;
        let held = workers.values().flat_map(|worker| worker.sent.iter().chain(&worker.running));
        let mut places: Vec<Id> = held.copied().chain(queue.iter()).collect();
        places.sort();
        let mut open: Vec<Id> =
            self.parents.keys().copied().filter(|id| !self.ends.contains_key(id)).collect();
        open.sort();
        assert_eq!(places, open, "{text}");
        assert!(tasks.len() == open.len() && tasks.keys().all(|id| open.contains(id)), "{text}");
        assert_eq!(self.supervisor.is_idle(), open.is_empty());
        assert!(workers.len() <= *wanted, "{text}");
        let running = workers.values().flat_map(|worker| &worker.running);
        assert!(running.clone().all(|id| self.started.contains(id)), "{text}");
        assert_eq!(running.count(), self.started.iter().filter(|id| open.contains(id)).count(), "{text}");
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
            self.end(id, End::Unsendable);
            self.event(Event::Unsendable(worker, id));
        }
    }

    /// Reads one message of a worker.
    fn read(&mut self, worker: WorkerId) -> bool {
        match self.workers.get_mut(&worker).and_then(|worker| worker.outward.pop_front()) {
            Some(FromWorker::Event(event)) => self.event(event),
            Some(FromWorker::Child { parent }) => {
                assert!(self.supervisor.is_running(worker, parent));
                let id = self.parents.len() as Id + 1;
                self.origins.insert(id, (worker, parent));
                self.submit(Some(parent));
            }
            None => return false,
        }
        true
    }

    /// The worker dies; of what it had to say, the last `lost` was not written any more.
    fn die(&mut self, worker: WorkerId, lost: usize) {
        let left = self.workers[&worker].outward.len().saturating_sub(lost);
        for _ in 0..left {
            self.read(worker);
        }
        self.workers.remove(&worker);
        self.event(Event::Gone(worker, format!("{worker:?} was killed")));
    }

    fn boot(&mut self) -> WorkerId {
        let worker = self.spawns.remove(0);
        self.workers.insert(worker, Pretended::default());
        worker
    }

    fn greet(&mut self, worker: WorkerId) {
        self.workers.get_mut(&worker).expect("alive").hello = true;
        self.event(Event::Ready(worker));
    }

    fn fork(&mut self, worker: WorkerId) -> bool {
        let forked = self.budget > 0 && self.workers.get_mut(&worker).expect("alive").fork(worker);
        self.budget -= usize::from(forked);
        forked
    }

    /// One random thing happens.
    fn happen(&mut self, what: u32) {
        let (kind, which, extent) = (what % 32, (what >> 5) as usize % 64, (what >> 11) as usize % 8);
        let at = |length: usize| if length == 0 { None } else { Some(which % length) };
        let worker = at(self.workers.len()).and_then(|at| self.workers.keys().nth(at).copied());
        match (kind, worker) {
            (0..3, _) => drop(self.submit(None)),
            (3, _) if extent < 4 && !self.spawns.is_empty() => {
                let worker = self.spawns.remove(0);
                self.event(Event::SpawnFailed(worker, "no memory".into()));
            }
            (4..7, _) if !self.spawns.is_empty() => drop(self.boot()),
            (7, _) if let Some(at) = at(self.sends.len()) => self.fail_to_write(at),
            (8..11, _) if let Some(at) = at(self.sends.len()) => self.write(at),
            (11, Some(worker)) if extent < 4 => self.die(worker, extent),
            (_, Some(worker)) if !self.workers[&worker].hello => {
                if kind == 12 {
                    self.event(Event::Foreign { worker, build: 7 });
                    self.workers.remove(&worker);
                    self.event(Event::Gone(worker, "another build".into()));
                } else {
                    self.greet(worker);
                }
            }
            (12..16, Some(worker)) => drop(self.fork(worker)),
            (16, Some(worker)) => drop(self.pretended(worker).leave(worker, 10)),
            (17..20, Some(worker)) if !self.workers[&worker].inward.is_empty() => {
                self.pretended(worker).hear(worker);
            }
            (20..23, Some(worker)) => drop(self.read(worker)),
            (23..28, Some(worker)) => drop(self.pretended(worker).go_on(worker, 4 << extent)),
            // Or messages are faster than anything else.
            (28.., Some(worker)) => {
                self.deliver();
                self.read_all(worker);
                self.pretended(worker).go_on(worker, 4 << extent);
                self.read_all(worker);
            }
            _ => {}
        }
    }

    fn pretended(&mut self, worker: WorkerId) -> &mut Pretended {
        self.workers.get_mut(&worker).expect("alive")
    }

    /// Everybody lives and does what there is to do, until there is nothing.
    fn settle(&mut self) {
        for round in 0..10_000 {
            let mut busy = false;
            while !self.spawns.is_empty() {
                self.boot();
            }
            while !self.sends.is_empty() {
                self.write(0);
            }
            for worker in self.workers.keys().copied().collect::<Vec<_>>() {
                if !self.workers[&worker].hello {
                    self.greet(worker);
                }
                while !self.workers[&worker].inward.is_empty() {
                    self.pretended(worker).hear(worker);
                    busy = true;
                }
                // Some fork until nothing is left to be forked, so that much is blocked in much.
                busy |= (round + worker.0) % 3 == 0 && self.fork(worker);
                busy |= self.pretended(worker).go_on(worker, 30);
                while self.read(worker) {
                    busy = true;
                }
            }
            if !busy && self.spawns.is_empty() && self.sends.is_empty() {
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
    fn deliver(&mut self) {
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
    fn read_all(&mut self, worker: WorkerId) {
        while self.read(worker) {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// The invariants of [`Pool::event`] and [`Pool::check`] hold at each step, whatever happens in whatever order;
    /// and once nobody dies any more, everything ends.
    #[test]
    fn each_task_ends_once_whatever_happens(
        wanted in 1..5usize,
        micros in 1..1000u64,
        what in prop::collection::vec(any::<u32>(), 0..400),
    ) {
        let mut pool = Pool::new(wanted);
        pool.supervisor.micros = micros;
        for what in what {
            pool.happen(what);
        }
        pool.settle();
        prop_assert!(pool.supervisor.is_idle(), "left: {:?}", pool.supervisor);
        prop_assert_eq!(pool.ends.len(), pool.parents.len());
    }

    /// Without deaths every task finishes, with its forks, on any number of workers.
    #[test]
    fn everything_finishes_if_nobody_dies(
        wanted in 1..5usize,
        micros in 1..1000u64,
        what in prop::collection::vec(any::<u32>(), 0..300),
    ) {
        let mut pool = Pool::new(wanted);
        pool.supervisor.micros = micros;
        for what in what {
            if !matches!(what % 32, 3 | 7 | 11 | 12) {
                pool.happen(what);
            }
        }
        pool.settle();
        prop_assert_eq!(pool.ends.len(), pool.parents.len());
        prop_assert!(pool.ends.values().all(|end| *end == End::Finished));
    }
}

/// Row 41 of faults.md: "SIGKILL of an idle worker: next task succeeds, no error."
#[test]
fn the_death_of_an_idle_worker_costs_nothing() {
    let mut pool = Pool::new(1);
    pool.submit(None);
    pool.settle();
    pool.die(WorkerId(1), 0);
    assert!(pool.spawns.is_empty(), "nothing is to be done, so nobody is started");
    pool.submit(None);
    pool.settle();
    assert_eq!(pool.ends, BTreeMap::from([(1, End::Finished), (2, End::Finished)]));
}

/// Row 42: "SIGKILL between Sent and Started ack: re-dispatched once, runs once."
#[test]
fn a_task_that_was_sent_and_not_started_is_sent_once_more() {
    let mut pool = Pool::new(1);
    let id = pool.submit(None);
    pool.deliver();
    pool.die(WorkerId(1), 0);
    assert_eq!(pool.spawns, [WorkerId(2)]);
    let worker = pool.boot();
    pool.greet(worker);
    assert_eq!(pool.sends, [(WorkerId(2), id, 0)]);
    pool.settle();
    assert_eq!(pool.ends, BTreeMap::from([(id, End::Finished)]));
}

/// Row 43: "SIGKILL after Started: WorkerDied; not re-run".
#[test]
fn a_task_that_had_started_crashes_with_its_worker_and_is_never_sent_again() {
    let mut pool = Pool::new(1);
    let id = pool.submit(None);
    pool.deliver();
    pool.pretended(WorkerId(1)).go_on(WorkerId(1), 0);
    pool.die(WorkerId(1), 0);
    assert_eq!(pool.ends, BTreeMap::from([(id, End::Crashed)]));
    assert!(pool.spawns.is_empty() && pool.sends.is_empty() && pool.supervisor.is_idle());
}

/// Row 45: "all workers killed at once, n = 1, 2, 5, 13, in a loop: each task ends once."
#[test]
fn each_task_ends_once_when_all_workers_die_again_and_again() {
    for wanted in [1, 2, 5, 13] {
        let mut pool = Pool::new(wanted);
        for round in 0..20 {
            for _ in 0..2 * wanted {
                pool.submit(None);
            }
            pool.deliver();
            for worker in pool.workers.keys().copied().collect::<Vec<_>>() {
                if (worker.0 + round) % 2 == 0 {
                    pool.pretended(worker).go_on(worker, 0);
                }
            }
            for worker in pool.workers.keys().copied().collect::<Vec<_>>() {
                pool.die(worker, 0);
            }
        }
        pool.settle();
        assert_eq!(pool.ends.len(), 40 * wanted);
    }
}

/// Row 77: "worker of another build or protocol version connects: BuildMismatch with both ids; no task sent."
#[test]
fn a_worker_of_another_build_gets_no_task_and_its_build_is_told() {
    let mut supervisor = Supervisor::new(1, u64::MAX);
    supervisor.step(Event::Submit { id: 1, parent: None, priority: 0, alone: false }).unwrap();
    let actions = supervisor.step(Event::Foreign { worker: WorkerId(1), build: 0xb0d }).unwrap();
    assert_eq!(actions, [Action::GiveUp(1, Why::Foreign { build: 0xb0d })]);
    assert!(supervisor.is_idle());
}

/// Row 46: "worker dies at boot every time: after k tries in t s -> PoolBroken with last cause; no fork bomb; later
/// recovery possible as documented."
#[test]
fn five_deaths_at_the_start_give_up_what_is_queued_and_the_next_task_tries_again() {
    let mut supervisor = Supervisor::new(1, u64::MAX);
    let mut actions =
        supervisor.step(Event::Submit { id: 1, parent: None, priority: 0, alone: false }).unwrap();
    for death in 1..=5 {
        assert_eq!(actions, [Action::Spawn(WorkerId(death))]);
        actions = supervisor.step(Event::Gone(WorkerId(death), format!("death {death}"))).unwrap();
    }
    assert_eq!(actions, [Action::GiveUp(1, Why::BootLoop("death 5".into()))]);
    assert!(supervisor.is_idle());
    let actions = supervisor.step(Event::Submit { id: 2, parent: None, priority: 0, alone: false }).unwrap();
    assert_eq!(actions, [Action::Spawn(WorkerId(6))]);
    let actions = supervisor.step(Event::Ready(WorkerId(6))).unwrap();
    assert_eq!(actions, [Action::Send { worker: WorkerId(6), id: 2, above: 0 }]);
}

/// Row 47: "one task that always kills its worker: crash limit, others progress."
#[test]
fn tasks_that_kill_their_workers_cost_others_nothing() {
    let mut pool = Pool::new(2);
    // Short tasks first, so that the killers are sent ahead together with the others, and these behind those.
    for _ in 0..40 {
        pool.submit(None);
        pool.settle();
    }
    let killers: Vec<Id> = (0..300).map(|_| pool.submit(None)).filter(|id| id % 3 != 0).collect();
    while !pool.supervisor.is_idle() {
        pool.deliver();
        for worker in pool.workers.keys().copied().collect::<Vec<_>>() {
            pool.pretended(worker).go_on(worker, 1);
            if pool.workers[&worker].stack.iter().any(|id| killers.contains(id)) {
                pool.die(worker, 0);
            } else {
                pool.read_all(worker);
            }
        }
    }
    for (id, end) in &pool.ends {
        assert_eq!(*end, if killers.contains(id) { End::Crashed } else { End::Finished }, "task {id}");
    }
}

/// Row 48: "spawn fails once (EAGAIN, EMFILE, ENOMEM, pids.max): retried/degraded to live workers; with none -> Spawn
/// error, not hang."
#[test]
fn a_worker_that_cannot_be_started_is_asked_for_again_at_the_next_event_and_not_at_once() {
    let mut pool = Pool::new(2);
    pool.submit(None);
    pool.deliver();
    pool.pretended(WorkerId(1)).go_on(WorkerId(1), 0);
    pool.read_all(WorkerId(1));
    pool.submit(None);
    let failed = pool.spawns.remove(0);
    pool.event(Event::SpawnFailed(failed, "too many".into()));
    assert!(pool.spawns.is_empty(), "at once would be for ever");
    pool.submit(None);
    assert_eq!(pool.spawns.len(), 1);
    pool.settle();
    assert!(pool.ends.values().all(|end| *end == End::Finished));

    let mut alone = Supervisor::new(1, u64::MAX);
    alone.step(Event::Submit { id: 1, parent: None, priority: 0, alone: false }).unwrap();
    let actions = alone.step(Event::SpawnFailed(WorkerId(1), "too many".into())).unwrap();
    assert_eq!(actions, [Action::GiveUp(1, Why::NoWorker("too many".into()))]);
}

/// Row 94: "result for a foreign, finished or future task id; two results; ack after result; result before ack:
/// Protocol error, worker killed, correct task accounted once."
#[test]
fn what_no_honest_worker_says_is_a_violation_and_changes_nothing() {
    let (one, two, none) = (WorkerId(1), WorkerId(2), WorkerId(9));
    // Each runs its own task, 1 and 2; task 3 was sent to nobody; 4 has finished at worker 1; 5 is in the future.
    let lies: [fn(WorkerId, WorkerId, WorkerId) -> Event; 12] = [
        |one, _, _| Event::Finished(one, 2, 0),
        |one, _, _| Event::Finished(one, 3, 0),
        |one, _, _| Event::Finished(one, 4, 0),
        |one, _, _| Event::Finished(one, 5, 0),
        |one, _, _| Event::Started(one, 1),
        |one, _, _| Event::Started(one, 3),
        |one, _, _| Event::Started(one, 4),
        |one, _, _| Event::Returned(one, 1),
        |one, _, _| Event::Returned(one, 4),
        |_, two, _| Event::Blocked(two, 1),
        |_, two, _| Event::Blocked(two, 5),
        |_, _, none| Event::Ready(none),
    ];
    for lie in lies {
        let mut pool = Pool::new(2);
        for id in [4, 1, 2, 3] {
            pool.parents.insert(id, None);
            pool.event(Event::Submit { id, parent: None, priority: 0, alone: false });
            if id == 4 {
                pool.settle();
                continue;
            }
            pool.deliver();
            for worker in [one, two] {
                if id != 3 && pool.workers.contains_key(&worker) {
                    if pool.workers[&worker].stack.is_empty() {
                        pool.pretended(worker).go_on(worker, 0);
                    }
                    pool.read_all(worker);
                }
            }
        }
        assert!(pool.supervisor.is_running(one, 1) && pool.supervisor.is_running(two, 2));
        let lie = lie(one, two, none);
        let text = format!("{lie:?}");
        assert!(pool.supervisor.step(lie).is_err(), "{text}");
        pool.check(&text);
        // It is killed, and what it was running is accounted once.
        pool.die(one, 0);
        pool.settle();
        assert_eq!(pool.ends[&1], End::Crashed);
        assert!([2, 3, 4].iter().all(|id| pool.ends[id] == End::Finished), "{text}");
    }
}

/// "Blocking" in the README: only what descends from the task in which a worker is blocked is run on top of it.
#[test]
fn a_blocked_worker_gets_what_its_task_forked_and_nothing_else() {
    let (one, two) = (WorkerId(1), WorkerId(2));
    let mut pool = Pool::new(2);
    let (first, second) = (pool.submit(None), pool.submit(None));
    pool.deliver();
    for (worker, id) in [(one, first), (two, second)] {
        pool.pretended(worker).go_on(worker, 0);
        pool.read_all(worker);
        assert!(pool.supervisor.is_running(worker, id));
    }
    let other = pool.submit(None);
    pool.event(Event::Blocked(one, first));
    let mine = pool.parents.len() as Id + 1;
    pool.parents.insert(mine, Some(first));
    let theirs = mine + 1;
    pool.parents.insert(theirs, Some(second));
    for (id, parent) in [(theirs, second), (mine, first)] {
        let actions = pool
            .supervisor
            .step(Event::Submit { id, parent: Some(parent), priority: 0, alone: false })
            .unwrap();
        let expected = Action::Send { worker: one, id, above: first };
        assert_eq!(actions, if id == mine { vec![expected] } else { vec![] });
    }
    assert_eq!(pool.supervisor.queue.iter().collect::<Vec<_>>(), [theirs, other]);
}
