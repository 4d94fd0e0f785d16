//! A run of a graph: each task as soon as its inputs are there.
//!
//! Each task counts the inputs that are not there yet. Whoever learns of the end of a task counts down for its successors and
//! starts those that have all; the thread that called `run` only sleeps, and runs what must run there. Nothing is looked at
//! twice, and nothing recurs: what follows from the end of a task is a list, worked through by one loop.

use super::build::Graph;
use super::dag::Dag;
use super::log::Log;
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
use crate::core::series::{Member, Ran, Series, Site};
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

pub(super) const WAITING: u8 = 0;
pub(super) const STARTED: u8 = 1;
pub(super) const DONE: u8 = 2;
pub(super) const FAILED: u8 = 3;
pub(super) const SKIPPED: u8 = 4;
/// It had ended before this run, well or badly.
pub(super) const DONE_BEFORE: u8 = 5;
pub(super) const FAILED_BEFORE: u8 = 6;
/// It was started, and is known to run.
pub(super) const RUNNING: u8 = 7;

pub(super) fn is_started(state: u8) -> bool {
    matches!(state, STARTED | RUNNING)
}

/// A task in a run.
pub(super) struct TaskRun {
    /// How many of those that it waits for have not ended.
    pub(super) missing: AtomicU32,
    pub(super) state: AtomicU8,
    /// How many of those that need its result have not ended; only where results are dropped.
    users: AtomicU32,
    pub(super) timing: super::costs::Timing,
}

impl TaskRun {
    /// Notes that it runs; says whether that is news. Of a task in another process its end may be known already.
    pub(super) fn begins(&self) -> bool {
        self.state.compare_exchange(STARTED, RUNNING, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// How a task has ended.
pub(super) enum End {
    Done,
    Failed(crate::core::error::TaskError),
    Skipped(Skip),
}

/// A run of a graph.
pub(super) struct Running {
    pub(super) works: Arc<Vec<Arc<dyn Work>>>,
    pub(super) names: Arc<Names>,
    pub(super) dag: Arc<Dag>,
    pub(super) twins: FxHashMap<u32, u32>,
    pub(super) ranks: Vec<u32>,
    /// Whose results are wanted; all, if it is empty.
    pub(super) wanted: Vec<bool>,
    pub(super) tasks: Vec<TaskRun>,
    pub(super) lanes: Option<Lanes>,
    options: RunOptions,
    /// Where tasks are forked: for each lane, or once.
    origins: Vec<Origin>,
    /// Where the tasks are among the seeds.
    pub(super) branch: u64,
    pub(super) begin: Instant,
    /// When the time is over, and how long it was.
    deadline: Option<(Instant, Duration)>,
    unfinished: AtomicUsize,
    pub(super) reasons: Mutex<FxHashMap<u32, Reason>>,
    /// Taken out at the end: who waits for the file must not have to wait for tasks that go on.
    pub(super) writer: RwLock<Option<Writer>>,
    /// Tasks whose results could not be encoded for it, and why.
    pub(super) unsavable: Mutex<Vec<(u32, String)>>,
    pub(super) log: Option<Arc<Log>>,
    /// Whether there is a file or a log to tell what runs.
    pub(super) is_watching: bool,
    /// Why nothing more is started.
    pub(super) stopped: OnceLock<Skip>,
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
            deadline: options.timeout.and_then(end_after),
            options,
            origins,
            branch: 0,
            begin,
            unfinished: AtomicUsize::new(unfinished),
            reasons: Mutex::new(graph.reasons.clone()),
            writer: RwLock::new(None),
            unsavable: Mutex::default(),
            log: None,
            is_watching: false,
            stopped: OnceLock::new(),
            caller: Mutex::default(),
        }
    }

    pub(super) fn task(&self, task: u32) -> &TaskRun {
        &self.tasks[task as usize]
    }

    fn place_of(&self, task: u32) -> &dyn AnyPlace {
        self.works[task as usize].place()
    }

    /// Starts what can start, and returns when everything has ended.
    pub(super) fn run(self: &Arc<Self>, helper: &Arc<dyn Runner>) {
        // The end of the program waits for the run, also when none of its tasks has just been started.
        ROOT.enter();
        let (ended, ready) = self.first();
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
                self.follow(task, &mut ended, &mut ready);
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
        self.log_start(task);
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
        self.log_end(task, &end);
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
                if is_started(self.task(task).state.load(Ordering::Relaxed)) {
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
            if is_started(self.task(task).state.load(Ordering::Relaxed)) {
                self.cancel(task);
            }
        }
        // Those that wait for the calling thread are looked at there.
        self.ring();
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

    fn is_watching(&self) -> bool {
        self.is_watching
    }

    fn began(&self, task: u32, site: Site) {
        if !self.is_watching {
            return;
        }
        if self.log_begun(task, site, || self.task(task).begins()) {
            self.write_begun(task);
        }
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
