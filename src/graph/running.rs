//! A run of a graph: each task as soon as its inputs are there.
//!
//! Each task counts the inputs that are not there yet. Whoever learns of the end of a task counts down for its successors and
//! starts those that have all; the thread that called `run` only sleeps, and runs what must run there. Nothing is looked at
//! twice, and nothing recurs: what follows from the end of a task is a list, worked through by one loop.

use super::build::Graph;
use super::capture;
use super::dag::Dag;
use super::names::Names;
use super::options::RunOptions;
use super::outcome::Skip;
use super::rerun::{Reason, State};
use super::turn::in_turn;
use super::work::Work;
use crate::core::cancel::{self, Unwanted};
use crate::core::context::{Origin, Runners};
use crate::core::runner::Runner;
use crate::core::scope::ROOT;
use crate::core::seed::{self, Position};
use crate::core::series::{Member, Ran, Series};
use crate::core::slot::{self, AnySlot, Slot};
use crate::core::wait::wait_helping;
use crate::place::AnyPlace;
use crate::store::Writer;
use crate::task::{Where, drop_quietly};
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::panic::Location;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Lists of tasks, each of which is run by a worker of its own, one task after the other.
pub(super) struct Lanes {
    /// For each task, the one after it in its lane, if there is one.
    pub(super) next: Vec<u32>,
    pub(super) lane_of: Vec<u32>,
    pub(super) count: usize,
}

pub(super) const NONE: u32 = u32::MAX;

/// More forks than a task makes.
const ASIDE: u64 = 1 << 48;

const WAITING: u8 = 0;
const STARTED: u8 = 1;
pub(super) const DONE: u8 = 2;
pub(super) const FAILED: u8 = 3;
pub(super) const SKIPPED: u8 = 4;
/// It had ended before this run, well or badly.
const DONE_BEFORE: u8 = 5;
const FAILED_BEFORE: u8 = 6;

/// A task in a run.
pub(super) struct TaskRun {
    /// How many of those that it waits for have not ended.
    missing: AtomicU32,
    pub(super) state: AtomicU8,
    /// How many of those that need its result have not ended; only where results are dropped.
    users: AtomicU32,
    pub(super) timing: super::costs::Timing,
}

/// How a task has ended.
enum End {
    Done,
    Failed(crate::core::error::TaskError),
    Skipped(Skip),
}

/// A run of a graph.
pub(super) struct Running {
    pub(super) works: Arc<Vec<Arc<dyn Work>>>,
    pub(super) names: Arc<Names>,
    dag: Arc<Dag>,
    twins: FxHashMap<u32, u32>,
    ranks: Vec<u32>,
    /// Whose results are wanted; all, if it is empty.
    pub(super) wanted: Vec<bool>,
    pub(super) tasks: Vec<TaskRun>,
    pub(super) lanes: Option<Lanes>,
    options: RunOptions,
    /// Where tasks are forked: for each lane, or once.
    origins: Vec<Origin>,
    branch: u64,
    pub(super) begin: Instant,
    /// When the time is over, and how long it was.
    deadline: Option<(Instant, Duration)>,
    unfinished: AtomicUsize,
    pub(super) reasons: Mutex<FxHashMap<u32, Reason>>,
    /// Taken out at the end: who waits for the file must not have to wait for tasks that go on.
    pub(super) writer: RwLock<Option<Writer>>,
    /// Tasks whose results could not be encoded for it, and why.
    pub(super) unsavable: Mutex<Vec<(u32, String)>>,
    /// Why nothing more is started.
    stopped: OnceLock<Skip>,
    caller: Mutex<Caller>,
}

/// What the thread that runs the graph has to do.
#[derive(Default)]
struct Caller {
    /// Tasks that must run in that thread.
    here: VecDeque<u32>,
    /// It sleeps until this is settled.
    bell: Option<Arc<Slot<()>>>,
}

impl Running {
    pub(super) fn new(
        graph: &Graph,
        dag: Arc<Dag>,
        options: RunOptions,
        lanes: Option<Lanes>,
        runners: &Arc<Runners>,
    ) -> Self {
        let is_new = |task: u32| graph.states[task as usize] == State::New;
        let mut wanted = Vec::new();
        if let Some(outputs) = &graph.outputs {
            wanted = vec![false; graph.len()];
            // What somebody has given can't be computed again.
            graph.given_values.iter().for_each(|&task| wanted[task as usize] = true);
            outputs
                .iter()
                .filter_map(|name| graph.names.find(name))
                .for_each(|task| wanted[task as usize] = true);
        }
        let users = |task: u32| match wanted.is_empty() {
            true => 0,
            false => dag.successors.of(task).iter().filter(|&&after| is_new(after)).count() as u32,
        };
        let mut tasks: Vec<TaskRun> = (0..graph.len() as u32)
            .map(|task| {
                let (missing, state) = match graph.states[task as usize] {
                    State::New => {
                        (dag.predecessors.of(task).iter().filter(|&&before| is_new(before)).count(), WAITING)
                    }
                    State::Done | State::Valueless => (0, DONE_BEFORE),
                    State::Failed | State::Skipped => (0, FAILED_BEFORE),
                };
                TaskRun {
                    missing: AtomicU32::new(missing as u32),
                    state: AtomicU8::new(state),
                    users: AtomicU32::new(users(task)),
                    timing: Default::default(),
                }
            })
            .collect();
        for (task, &next) in lanes.iter().flat_map(|lanes| lanes.next.iter().enumerate()) {
            if next != NONE && is_new(task as u32) {
                *tasks[next as usize].missing.get_mut() += 1;
            }
        }
        let unfinished = (0..graph.len() as u32).filter(|&task| is_new(task)).count();
        let (here, begin) = (Origin::here(), Instant::now());
        let end_after = |limit| begin.checked_add(limit).map(|end| (end, limit));
        let origins = match &lanes {
            None => vec![here],
            Some(lanes) => (0..lanes.count)
                .map(|_| match runners.with_own_worker() {
                    Some(own) => here.with_runners(Arc::new(own)),
                    None => here.clone(),
                })
                .collect(),
        };
        Self {
            works: graph.works.clone(),
            names: graph.names.clone(),
            ranks: graph.ranks(&dag),
            dag,
            twins: graph.twins.clone(),
            wanted,
            tasks,
            lanes,
            options,
            origins,
            branch: seed::fork(),
            begin,
            deadline: options.timeout.and_then(end_after),
            unfinished: AtomicUsize::new(unfinished),
            reasons: Mutex::new(graph.reasons.clone()),
            writer: RwLock::new(None),
            unsavable: Mutex::default(),
            stopped: OnceLock::new(),
            caller: Mutex::default(),
        }
    }

    fn task(&self, task: u32) -> &TaskRun {
        &self.tasks[task as usize]
    }

    fn place_of(&self, task: u32) -> &dyn AnyPlace {
        self.works[task as usize].place()
    }

    /// Starts what can start, and returns when everything has ended.
    pub(super) fn run(self: &Arc<Self>, helper: &Arc<dyn Runner>) {
        // The end of the program waits for the run, also when none of its tasks has just been started.
        ROOT.enter();
        let is_first = |&task: &u32| {
            let task = self.task(task);
            task.state.load(Ordering::Relaxed) == WAITING && task.missing.load(Ordering::Relaxed) == 0
        };
        let first: Vec<u32> = self.dag.order().filter(is_first).collect();
        let (mut ended, mut ready) = (Vec::new(), Vec::new());
        for task in first {
            match self.lack(task) {
                Some(skip) => ended.push((task, End::Skipped(skip))),
                None => ready.push(task),
            }
        }
        self.go_on(ended, ready);
        self.attend(helper);
        ROOT.leave(1);
    }

    /// What the calling thread does until everything has ended.
    fn attend(self: &Arc<Self>, helper: &Arc<dyn Runner>) {
        loop {
            let bell: Arc<dyn AnySlot> = {
                let mut caller = self.caller.lock();
                if let Some(task) = caller.here.pop_front() {
                    drop(caller);
                    let end = self.launch(task).map(|end| (task, end));
                    self.go_on(end.into_iter().collect(), Vec::new());
                    continue;
                }
                // Acquire: what the tasks wrote is read after this.
                if self.unfinished.load(Ordering::Acquire) == 0 {
                    return;
                }
                caller.bell.get_or_insert_with(|| Slot::pending().cell().clone()).clone()
            };
            let deadline = self.deadline.filter(|_| self.stopped.get().is_none());
            let _ = wait_helping(&bell, helper, deadline.map(|(end, _)| end));
            self.look_at_the_time();
        }
    }

    fn look_at_the_time(&self) {
        if let Some((end, limit)) = self.deadline
            && Instant::now() >= end
        {
            self.stop(Skip::Timeout { limit });
        }
    }

    fn ring(&self) {
        let bell = self.caller.lock().bell.take();
        if let Some(bell) = bell {
            bell.fulfil(Ok(()));
        }
    }

    /// Works through what follows from the end of these tasks, and starts those that are ready.
    fn go_on(self: &Arc<Self>, mut ended: Vec<(u32, End)>, mut ready: Vec<u32>) {
        let mut finished = 0;
        loop {
            while let Some((task, end)) = ended.pop() {
                finished += 1;
                self.end(task, end);
                let lane = self.lanes.as_ref().map_or(NONE, |lanes| lanes.next[task as usize]);
                let followers = self.dag.successors.of(task).iter().copied();
                for after in followers.chain((lane != NONE).then_some(lane)) {
                    let is_waiting = self.task(after).state.load(Ordering::Relaxed) == WAITING;
                    // AcqRel: the last one to count down sees the ends of all.
                    if is_waiting && self.task(after).missing.fetch_sub(1, Ordering::AcqRel) == 1 {
                        match self.lack(after) {
                            Some(skip) => ended.push((after, End::Skipped(skip))),
                            None => ready.push(after),
                        }
                    }
                }
            }
            if ready.is_empty() {
                break;
            }
            in_turn(&self.works, &mut ready, |task| self.rank_of(task));
            // A task that runs in place is to end when all have been started, and not on top of this.
            let _held = slot::hold_calls();
            for task in ready.drain(..) {
                ended.extend(self.start(task).map(|end| (task, end)));
            }
        }
        if finished > 0 && self.unfinished.fetch_sub(finished, Ordering::AcqRel) == finished {
            self.ring();
        }
    }

    fn rank_of(&self, task: u32) -> u32 {
        self.ranks.get(task as usize).copied().unwrap_or(0)
    }

    /// Why a task whose inputs have all ended is not to be started, if it isn't.
    fn lack(&self, task: u32) -> Option<Skip> {
        let ancestor = if self.decides_itself(task) { None } else { self.failed_ancestor(task) };
        ancestor.or_else(|| self.stopped.get().cloned())
    }

    /// The inputs of a task that have no result.
    fn failed_inputs(&self, task: u32) -> impl Iterator<Item = u32> {
        let has_failed = |&before: &u32| {
            matches!(self.task(before).state.load(Ordering::Relaxed), FAILED | SKIPPED | FAILED_BEFORE)
        };
        self.dag.predecessors.of(task).iter().copied().filter(has_failed)
    }

    /// What it is said to be skipped for, if an input has failed.
    fn failed_ancestor(&self, task: u32) -> Option<Skip> {
        let before = self.failed_inputs(task).next()?;
        Some(match self.reasons.lock().get(&before) {
            Some(Reason::Skipped(skip)) => skip.clone(),
            _ => Skip::Ancestor { name: self.names.get(before).into() },
        })
    }

    /// Whether it is a part of an expression that gets its failed inputs as they are: it may have a value without them.
    fn decides_itself(&self, task: u32) -> bool {
        let is_settled = |before: u32| self.works[before as usize].part().is_some_and(capture::is_settled);
        self.works[task as usize].part().is_some() && self.failed_inputs(task).all(is_settled)
    }

    /// Starts a task; how it has ended, if it has already.
    fn start(self: &Arc<Self>, task: u32) -> Option<End> {
        // The thread that waits until the time is over may be this one.
        self.look_at_the_time();
        if let Some(skip) = self.stopped.get() {
            return Some(End::Skipped(skip.clone()));
        }
        if let Some(&first) = self.twins.get(&task) {
            self.place_of(task).share(self.works[first as usize].any_place());
            return Some(End::Done);
        }
        if self.works[task as usize].finds_result() {
            return Some(End::Done);
        }
        if self.works[task as usize].runs() == Where::Here {
            self.caller.lock().here.push_back(task);
            self.ring();
            return None;
        }
        self.launch(task)
    }

    fn launch(self: &Arc<Self>, task: u32) -> Option<End> {
        self.look_at_the_time();
        if let Some(skip) = self.stopped.get() {
            return Some(End::Skipped(skip.clone()));
        }
        self.task(task).state.store(STARTED, Ordering::Relaxed);
        self.write_start(task);
        let lane = self.lanes.as_ref().map_or(0, |lanes| lanes.lane_of[task as usize]);
        let is_started = {
            let position = Position { branch: self.branch, index: task.into() };
            // What parts of results fork on the way is no fork of the task's.
            let aside = Position { branch: seed::at(position), index: ASIDE };
            let _there = self.origins[lane as usize].enter(aside);
            self.works[task as usize].start(Member { series: self.clone(), position })
        };
        if !is_started {
            return Some(self.how(task));
        }
        // Here and in `stop`: either this thread sees that nothing is to run, or that one sees that this has started.
        fence(Ordering::SeqCst);
        if self.stopped.get().is_some() {
            self.cancel(task);
        }
        None
    }

    /// Called when a started task has ended.
    fn settled(self: &Arc<Self>, task: u32) {
        self.go_on(vec![(task, self.how(task))], Vec::new());
    }

    fn cancel(&self, task: u32) {
        if let Some(slot) = self.place_of(task).slot() {
            cancel::cancel_all(&slot, Unwanted::Asked);
            // Perhaps the last pointer to it, whose value is the user's.
            drop_quietly(slot);
        }
    }

    /// How a task has ended, whose result is settled.
    fn how(&self, task: u32) -> End {
        let slot = self.place_of(task).slot().expect("it was started");
        match (slot.error(), self.stopped.get()) {
            (None, _) => End::Done,
            (Some(error), Some(skip)) if error.is_cancelled() => {
                error.see();
                End::Skipped(skip.clone())
            }
            (Some(error), _) => match self.failed_ancestor(task) {
                Some(skip) => End::Skipped(skip),
                None => End::Failed(error.clone()),
            },
        }
    }

    /// Notes how a task has ended.
    fn end(&self, task: u32, end: End) {
        let state = match end {
            End::Done => {
                self.write_end(task, None);
                DONE
            }
            End::Failed(error) => {
                self.write_end(task, Some(&error));
                self.reasons.lock().insert(task, Reason::Failed(error));
                if self.options.fail_fast {
                    self.stop(Skip::FailFast { name: self.names.get(task).into() });
                }
                FAILED
            }
            End::Skipped(skip) => {
                if self.task(task).state.load(Ordering::Relaxed) == STARTED {
                    self.write_stop(task);
                }
                self.reasons.lock().insert(task, Reason::Skipped(skip));
                SKIPPED
            }
        };
        // Relaxed: who counts down afterwards releases it.
        self.task(task).state.store(state, Ordering::Relaxed);
        if !self.wanted.is_empty() {
            self.drop_results(task);
        }
    }

    /// Drops the results that nobody needs after the end of this task.
    fn drop_results(&self, task: u32) {
        let is_over = |task: u32| !self.wanted[task as usize];
        for &before in self.dag.predecessors.of(task) {
            if self.task(before).users.fetch_sub(1, Ordering::AcqRel) == 1 && is_over(before) {
                self.place_of(before).clear();
            }
        }
        if self.dag.successors.of(task).is_empty() && is_over(task) {
            self.place_of(task).clear();
        }
    }

    /// Has nothing more be started, and cancels what is running.
    fn stop(&self, why: Skip) {
        if self.stopped.set(why).is_err() {
            return;
        }
        fence(Ordering::SeqCst);
        for task in 0..self.tasks.len() as u32 {
            if self.task(task).state.load(Ordering::Relaxed) == STARTED {
                self.cancel(task);
            }
        }
        // Those that wait for the calling thread are looked at there.
        self.ring();
    }

    /// The names of the tasks that have started and not ended.
    pub(super) fn in_progress(&self) -> Vec<String> {
        let is_started = |task: &u32| self.task(*task).state.load(Ordering::Relaxed) == STARTED;
        let tasks = 0..self.tasks.len() as u32;
        tasks.filter(is_started).map(|task| self.names.get(task).to_owned()).collect()
    }

    /// How many tasks wait, have started, are done, have failed and were skipped.
    pub(super) fn counts(&self) -> [usize; 5] {
        let mut counts = [0; 5];
        for task in &self.tasks {
            let place = match task.state.load(Ordering::Relaxed) {
                DONE_BEFORE => DONE,
                FAILED_BEFORE => FAILED,
                state => state,
            };
            counts[place as usize] += 1;
        }
        counts
    }
}

impl Series for Running {
    fn name(&self, task: u32) -> &str {
        self.names.get(task)
    }

    fn place(&self, task: u32) -> &'static Location<'static> {
        self.works[task as usize].added_at()
    }

    fn rank(&self, task: u32) -> u32 {
        self.rank_of(task)
    }

    fn ran(&self, task: u32, run: Ran) {
        self.task(task).timing.ran(&run, self.begin);
    }

    fn sent(&self, task: u32, took: Duration) {
        self.task(task).timing.sent(took);
    }

    fn ended(self: Arc<Self>, task: u32) {
        slot::when_nothing_is_claimed(move || self.settled(task));
    }
}
