//! The model of `model.rs`, played at random; then the rows of faults.md.

use super::model::{End, Pool, What, play};
use super::*;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn each_task_ends_once_whatever_happens(
        wanted in 1..5usize,
        micros in 1..15_000u64,
        numbers in prop::collection::vec(any::<u32>(), 0..400),
    ) {
        play(wanted, micros, numbers);
    }

    /// Without deaths every task finishes, with its forks, on any number of workers.
    #[test]
    fn everything_finishes_if_nobody_dies(
        wanted in 1..5usize,
        micros in 1..15_000u64,
        numbers in prop::collection::vec(any::<u32>(), 0..300),
    ) {
        let pool = play(wanted, micros, numbers.into_iter().filter(|&number| !What::of(number).is_bad()));
        prop_assert!(pool.ends.values().all(|end| *end == End::Finished));
    }
}

/// A task of the program itself, with nothing particular about it.
fn submit(id: Id) -> Event {
    Event::Submit { id, parent: None, urgency: 0, alone: false, divisible: false }
}

/// Row 15 of faults.md: "SIGSTOP of a worker mid-task: others proceed".
#[test]
fn a_worker_that_has_fallen_silent_gets_nothing_ahead() {
    let mut pool = Pool::new(2);
    let long = pool.submit(None);
    pool.deliver();
    let has_it = |(_, worker): &(&WorkerId, &super::Worker)| worker.sent.contains(&long);
    let (&silent, _) = pool.supervisor.workers.iter().find(has_it).unwrap();
    pool.pretended(silent).go_on(silent, 1);
    pool.read_all(silent);
    let short: Vec<Id> = (0..200).map(|_| pool.submit(None)).collect();
    while pool.ends.len() < short.len() {
        pool.deliver();
        let others: Vec<_> = pool.workers.keys().copied().filter(|&worker| worker != silent).collect();
        assert!(!others.is_empty() && !pool.supervisor.is_idle());
        for worker in others {
            pool.pretended(worker).go_on(worker, 1);
            pool.read_all(worker);
        }
    }
    assert!(short.iter().all(|id| pool.ends[id] == End::Finished));
}

/// What is sent to whom.
fn sent(actions: Vec<Action>) -> Vec<(WorkerId, Id)> {
    let sends = actions.into_iter().filter_map(|action| match action {
        Action::Send { worker, id, .. } => Some((worker, id)),
        _ => None,
    });
    sends.collect()
}

/// A worker with two behind the one that it runs tells of every other task only, and is never without one.
#[test]
fn of_tasks_of_a_millisecond_two_are_sent_ahead_while_there_are_others() {
    let (first, second) = (WorkerId(1), WorkerId(2));
    let mut supervisor = Supervisor { micros: 1200, ..Supervisor::new(2, u64::MAX) };
    (1..=9).for_each(|id| _ = supervisor.step(submit(id)).unwrap());
    for (worker, id) in [(first, 1), (second, 2)] {
        supervisor.step(Event::Ready(worker)).unwrap();
        supervisor.step(Event::Started(worker, id)).unwrap();
    }
    let ends = supervisor.step(Event::Finished(first, 1, 1200)).unwrap();
    assert_eq!(sent(ends), [(first, 3), (first, 4), (first, 5)]);
    // Not the last ones, which somebody else may have to do.
    let ends = supervisor.step(Event::Finished(second, 2, 1200)).unwrap();
    assert_eq!(sent(ends), [(second, 6), (second, 7)]);
}

#[test]
fn of_tasks_that_are_neither_short_nor_long_one_is_sent_ahead_while_there_are_others() {
    let (first, second) = (WorkerId(1), WorkerId(2));
    let mut supervisor = Supervisor::new(2, u64::MAX);
    (1..=6).for_each(|id| _ = supervisor.step(submit(id)).unwrap());
    assert_eq!(sent(supervisor.step(Event::Ready(first)).unwrap()), [(first, 1)]);
    assert_eq!(sent(supervisor.step(Event::Ready(second)).unwrap()), [(second, 2)]);
    supervisor.step(Event::Started(first, 1)).unwrap();
    supervisor.step(Event::Started(second, 2)).unwrap();
    // Who has just ended one gets the next, and one more, as long as there is another for each worker.
    assert_eq!(sent(supervisor.step(Event::Finished(first, 1, 5000)).unwrap()), [(first, 3), (first, 4)]);
    supervisor.step(Event::Started(first, 3)).unwrap();
    assert_eq!(sent(supervisor.step(Event::Finished(second, 2, 5000)).unwrap()), [(second, 5)]);
    // What was sent ahead is asked back for who has nothing to do.
    assert!(sent(supervisor.step(Event::Started(second, 5)).unwrap()).is_empty());
    assert_eq!(sent(supervisor.step(Event::Finished(second, 5, 5000)).unwrap()), [(second, 6)]);
    supervisor.step(Event::Started(second, 6)).unwrap();
    let actions = supervisor.step(Event::Finished(second, 6, 5000)).unwrap();
    assert_eq!(actions, [Action::Recall(first, 1)]);
}

#[test]
fn of_long_tasks_none_is_sent_ahead() {
    let worker = WorkerId(1);
    let mut supervisor = Supervisor::new(1, u64::MAX);
    (1..=9).for_each(|id| _ = supervisor.step(submit(id)).unwrap());
    supervisor.step(Event::Ready(worker)).unwrap();
    for id in 1..=8 {
        supervisor.step(Event::Started(worker, id)).unwrap();
        let actions = supervisor.step(Event::Finished(worker, id, 10 * super::LONG_MICROS)).unwrap();
        assert_eq!(actions, [Action::Send { worker, id: id + 1, above: 0 }]);
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
    supervisor.step(submit(1)).unwrap();
    let actions = supervisor.step(Event::Foreign { worker: WorkerId(1), build: 0xb0d }).unwrap();
    let why = Why::Foreign { build: 0xb0d };
    assert_eq!(actions, [Action::GiveUp(1, why.clone()), Action::GiveUpRest(why)]);
    assert!(supervisor.is_idle());
}

/// Row 46: "worker dies at boot every time: after k tries in t s -> PoolBroken with last cause; no fork bomb; later
/// recovery possible as documented."
#[test]
fn five_deaths_at_the_start_give_up_what_is_queued_and_the_next_task_tries_again() {
    let mut supervisor = Supervisor::new(1, u64::MAX);
    let mut actions = supervisor.step(submit(1)).unwrap();
    for death in 1..=5 {
        assert_eq!(actions, [Action::Spawn(WorkerId(death))]);
        actions = supervisor.step(Event::Gone(WorkerId(death), format!("death {death}"))).unwrap();
    }
    let why = Why::BootLoop("death 5".into());
    assert_eq!(actions, [Action::GiveUp(1, why.clone()), Action::GiveUpRest(why)]);
    assert!(supervisor.is_idle());
    let actions = supervisor.step(submit(2)).unwrap();
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
    alone.step(submit(1)).unwrap();
    let actions = alone.step(Event::SpawnFailed(WorkerId(1), "too many".into())).unwrap();
    let why = Why::NoWorker("too many".into());
    assert_eq!(actions, [Action::GiveUp(1, why.clone()), Action::GiveUpRest(why)]);
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
            pool.event(submit(id));
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
            .step(Event::Submit { id, parent: Some(parent), urgency: 0, alone: false, divisible: false })
            .unwrap();
        let expected = Action::Send { worker: one, id, above: first };
        assert_eq!(actions, if id == mine { vec![expected] } else { vec![] });
    }
    assert_eq!(pool.supervisor.queue.iter().collect::<Vec<_>>(), [theirs, other]);
}

/// Contract C2: a worker is ended for a cancelled task only when nothing else can have begun there.
#[test]
fn a_worker_that_runs_what_nobody_wants_is_ended_once_the_rest_is_back() {
    let one = WorkerId(1);
    let mut supervisor = Supervisor::new(1, u64::MAX);
    supervisor.micros = 1;
    let mut step = |event| supervisor.step(event).unwrap();
    step(submit(1));
    step(Event::Ready(one));
    for id in 2..=3 {
        assert_eq!(step(submit(id)), [Action::Send { worker: one, id, above: 0 }]);
    }
    step(Event::Started(one, 1));
    let asked_back = [Action::Cancelled(1), Action::Warn(one), Action::Recall(one, 2)];
    assert_eq!(step(Event::Cancel(1)), asked_back);
    assert_eq!(step(submit(4)), [], "it gets nothing more");
    // Task 2 had begun when it was asked for.
    assert_eq!(step(Event::Returned(one, 3)), []);
    assert_eq!(step(Event::Finished(one, 1, 1)), [Action::Spare(one)]);
    assert_eq!(step(Event::Started(one, 2)), []);
    let [third, fourth] = [3, 4].map(|id| Action::Send { worker: one, id, above: 0 });
    assert_eq!(step(Event::Recalled(one)), [third, fourth]);
    // And without such luck: all is back, and the worker is ended.
    assert_eq!(step(Event::Cancel(2)), [Action::Cancelled(2), Action::Warn(one), Action::Recall(one, 2)]);
    assert_eq!(step(Event::Returned(one, 4)), []);
    assert_eq!(step(Event::Returned(one, 3)), [Action::End(one), Action::Spawn(WorkerId(2))]);
    assert_eq!(step(Event::Recalled(one)), []);
    step(Event::Gone(one, "it was ended".into()));
    assert_eq!(step(Event::Ready(WorkerId(2))).len(), 2);
}

/// A fork that is handed over while its parent is being cancelled is cancelled with it.
#[test]
fn a_fork_of_a_cancelled_task_is_cancelled() {
    let one = WorkerId(1);
    let mut supervisor = Supervisor::new(1, u64::MAX);
    let mut step = |event| supervisor.step(event).unwrap();
    step(submit(1));
    step(Event::Ready(one));
    step(Event::Started(one, 1));
    step(Event::Cancel(1));
    let actions = step(Event::Submit { id: 2, parent: Some(1), urgency: 0, alone: true, divisible: false });
    assert!(actions.contains(&Action::Cancelled(2)), "{actions:?}");
    step(Event::Gone(one, "it was ended".into()));
    assert!(supervisor.is_idle());
}

/// Row 63 of faults.md: Ctrl-C cancels what has not started, and nothing else, even if that has not been said yet.
#[test]
fn what_is_known_to_have_begun_is_not_cancelled_with_what_waits() {
    let one = WorkerId(1);
    let mut supervisor = Supervisor::new(1, u64::MAX);
    supervisor.micros = 1;
    let mut step = |event| supervisor.step(event).unwrap();
    for id in 1..=4 {
        step(submit(id));
    }
    step(Event::Ready(one));
    step(Event::Started(one, 1));
    let actions = step(Event::CancelWaiting { begun: vec![2] });
    assert_eq!(actions, [Action::Cancelled(3), Action::Recall(one, 3), Action::Cancelled(4)]);
    step(Event::Finished(one, 1, 1));
    assert_eq!(step(Event::Started(one, 2)), []);
}

/// Contract C3: what was sent to a liar may have started there, whatever it says, and is not sent again.
#[test]
fn what_was_sent_to_a_liar_counts_as_started() {
    let one = WorkerId(1);
    let mut supervisor = Supervisor::new(1, u64::MAX);
    supervisor.micros = 1;
    let mut step = |event| supervisor.step(event).unwrap();
    for id in 1..=3 {
        step(submit(id));
    }
    step(Event::Ready(one));
    step(Event::Started(one, 1));
    assert_eq!(step(Event::Lied(one)), []);
    assert_eq!(step(submit(4)), [Action::Spawn(WorkerId(2))]);
    // One of them is known not to have been started: it is for the next worker.
    assert_eq!(step(Event::Returned(one, 3)), []);
    let actions = step(Event::Gone(one, "it was killed".into()));
    assert_eq!(actions, [Action::Crashed(one, 1), Action::Doubtful(one, 2)]);
    let two = WorkerId(2);
    let sends = [3, 4].map(|id| Action::Send { worker: two, id, above: 0 });
    assert_eq!(step(Event::Ready(two)), sends);
}

#[test]
fn a_task_that_can_be_divided_is_asked_once_when_another_worker_has_nothing_to_do() {
    let mut supervisor = Supervisor::new(2, u64::MAX);
    let mut step = |event| supervisor.step(event).unwrap();
    let submit = |id| Event::Submit { id, parent: None, urgency: 0, alone: false, divisible: true };
    let (first, second) = (WorkerId(1), WorkerId(2));
    assert_eq!(step(submit(1)), [Action::Spawn(first)]);
    assert_eq!(step(submit(2)), [Action::Spawn(second)]);
    assert_eq!(step(Event::Ready(first)), [Action::Send { worker: first, id: 1, above: 0 }]);
    assert_eq!(step(Event::Started(first, 1)), []);
    assert_eq!(step(Event::Ready(second)), [Action::Send { worker: second, id: 2, above: 0 }]);
    assert_eq!(step(Event::Started(second, 2)), []);
    assert_eq!(step(Event::Finished(second, 2, 1)), [Action::Divide(first, 1)]);
    assert_eq!(step(Event::Surplus(first)), [Action::Steal(first, 1)], "not a second time");
}
