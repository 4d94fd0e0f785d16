//! A task without its types: its name, its state, who forked it and who it waits for.

use crate::core::cancel::{self, Unwanted};
use crate::core::context::{self, Runners};
use crate::core::error::{ForkPlace, TaskError};
use crate::core::group::{self, Members};
use crate::core::ids::TaskId;
use crate::core::limits::Terms;
use crate::core::output::{self, Part};
use crate::core::pause;
use crate::core::runner::{Runnable, Runner};
use crate::core::scope::{Forks, ROOT};
use crate::core::slot::AnySlot;
use crate::ground::cell::ThreadNumber;
use crate::ground::panics::Frames;
use crate::ground::registry::EntryId;
use crate::ground::wire::parcel::Parcel;
use std::borrow::Cow;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
use std::time::Duration;

const WAITING: u8 = 0;
const QUEUED: u8 = 1;
const CLAIMED: u8 = 2;

/// A task of any type, as runners, waiters and dependencies see it.
pub(crate) trait Body: Send + Sync {
    fn core(&self) -> &TaskCore;
    /// Runs a claimed task in this thread, then delivers its outcome once its own forks are finished.
    fn run(self: Arc<Self>);
    /// Ends a claimed task without running it.
    fn fail(self: Arc<Self>, error: TaskError);
    /// Ends a claimed task with the encoded result that another process computed.
    fn complete(self: Arc<Self>, result: Parcel);
    /// Puts the outcome into the slot; called once, when the task and all its forks have finished.
    fn deliver(&self);
    /// Keeps what the task printed in another process.
    fn printed(&self, part: Part) {
        let core = self.core();
        output::add(core.id, core.parent_id(), part);
    }
    /// The first input that is not there yet.
    fn next_unready(&self) -> Option<Arc<dyn AnySlot>>;
    /// The error of the first input that failed.
    fn failed_input(&self) -> Option<TaskError>;
    /// How the task is run in another process; `None` when it can't be.
    fn remote(&self) -> Option<&dyn Remote>;
    /// Settles the result of a task that goes on running, unless its outcome is decided; says whether it did.
    fn abandon(&self, _error: TaskError) -> bool {
        false
    }
    /// In a worker, the number by which the program knows the task, if it does.
    fn served_as(&self) -> Option<u64> {
        None
    }
}

/// A task that can run in another process.
pub(crate) trait Remote {
    /// Its trampoline, in the table that both processes share.
    fn entry(&self) -> Option<EntryId>;
    /// Appends its encoded arguments.
    fn encode(&self, out: &mut Parcel) -> Result<(), TaskError>;
    /// Drops the arguments: the task has started elsewhere and is never sent again.
    fn release(&self);
}

/// What every task has, whatever its types.
pub(crate) struct TaskCore {
    /// Whose text it is that the task prints, however often it is tried.
    pub(crate) id: TaskId,
    pub(crate) name: Cow<'static, str>,
    pub(crate) place: &'static Location<'static>,
    /// The task that forked this one.
    pub(crate) parent: Option<Arc<dyn Body>>,
    /// The runners for its own forks, when they were chosen for a scope.
    pub(crate) runners: Option<Arc<Runners>>,
    pub(crate) runner: Arc<dyn Runner>,
    pub(crate) terms: Terms,
    /// The scope that it can be cancelled with.
    pub(crate) group: Option<Arc<Members>>,
    /// How the thread that forked it got there, if somebody wants to know.
    frames: Option<Box<Frames>>,
    forks: Forks,
    state: AtomicU8,
    /// Inputs that are not there yet, plus one while the task is being set up.
    unready: AtomicUsize,
    /// Whether the one that forked it counts it.
    counted: bool,
    /// The number of the thread that runs it, or zero.
    thread: AtomicU32,
    /// The number under which its runner last gave it to another process, or zero.
    ticket: AtomicU64,
    /// Somebody has asked to end it: it is not tried again.
    unwanted: AtomicBool,
}

impl TaskCore {
    /// A task forked here and now by the current task, or by the program outside any.
    pub(crate) fn new(
        name: Cow<'static, str>,
        place: &'static Location<'static>,
        runner: Arc<dyn Runner>,
        terms: Terms,
    ) -> Self {
        let parent = context::task();
        match &parent {
            Some(parent) => parent.core().forks.enter(),
            None => ROOT.enter(),
        }
        Self {
            id: TaskId::next(),
            name,
            place,
            parent,
            runners: context::scoped_runners(),
            runner,
            terms,
            group: group::current(),
            frames: Frames::of_fork().map(Box::new),
            forks: Forks::new(),
            state: AtomicU8::new(WAITING),
            unready: AtomicUsize::new(1),
            counted: true,
            thread: AtomicU32::new(0),
            ticket: AtomicU64::new(0),
            unwanted: AtomicBool::new(false),
        }
    }

    /// A task that another process forked; nobody here counts it.
    pub(crate) fn served(name: Cow<'static, str>, runner: Arc<dyn Runner>, terms: Terms) -> Self {
        Self {
            id: TaskId::next(),
            name,
            place: Location::caller(),
            parent: None,
            runners: None,
            runner,
            terms,
            group: None,
            frames: None,
            forks: Forks::new(),
            state: AtomicU8::new(CLAIMED),
            unready: AtomicUsize::new(0),
            counted: false,
            thread: AtomicU32::new(0),
            ticket: AtomicU64::new(0),
            unwanted: AtomicBool::new(false),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn parent_id(&self) -> Option<TaskId> {
        self.parent.as_ref().map(|parent| parent.core().id)
    }

    pub(crate) fn fork_place(&self) -> ForkPlace {
        let frames = self.frames.as_deref().cloned();
        ForkPlace { place: self.place.into(), task: self.name.to_string(), frames }
    }

    /// Takes the right to run or end the task; true for exactly one caller.
    pub(crate) fn claim(&self) -> bool {
        // AcqRel: the claimer sees the inputs, and everybody else sees that they are taken.
        self.move_on(QUEUED, CLAIMED)
    }

    /// Takes that right before the task is ready to run or has been run; true for exactly one caller. In any case the task
    /// is not tried again.
    pub(crate) fn claim_unstarted(&self) -> bool {
        self.unwanted.store(true, Ordering::Relaxed);
        // Here and in `try_again`: either this finds the task waiting for its next try, or that one sees the mark.
        fence(Ordering::SeqCst);
        self.move_on(WAITING, CLAIMED) || self.claim()
    }

    fn move_on(&self, from: u8, to: u8) -> bool {
        self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// A new number for another process to know the task by.
    pub(crate) fn new_ticket(&self) -> u64 {
        let ticket = TaskId::next().0;
        // Relaxed: who cancels the task with an old one comes too late for that try.
        self.ticket.store(ticket, Ordering::Relaxed);
        ticket
    }

    /// The number under which another process knows the task; 0 if none does.
    pub(crate) fn ticket(&self) -> u64 {
        self.ticket.load(Ordering::Relaxed)
    }

    /// Whether somebody has asked to end the task.
    pub(crate) fn is_unwanted(&self) -> bool {
        self.unwanted.load(Ordering::Relaxed)
    }

    pub(crate) fn is_claimed(&self) -> bool {
        self.state.load(Ordering::Acquire) == CLAIMED
    }

    pub(crate) fn is_queued(&self) -> bool {
        self.state.load(Ordering::Acquire) == QUEUED
    }

    /// Says that this thread begins to run the task.
    pub(crate) fn begin(&self) {
        // Relaxed, here and below: who looks for a circle of waits sees the store when it counts, under a lock.
        self.thread.store(ThreadNumber::current().get(), Ordering::Relaxed);
    }

    /// Says that this thread has stopped running the task, which may still wait for what it forked.
    pub(crate) fn end(&self) {
        self.thread.store(0, Ordering::Relaxed);
    }

    /// The thread that runs the task now.
    pub(crate) fn runs_on(&self) -> Option<ThreadNumber> {
        ThreadNumber::from_number(self.thread.load(Ordering::Relaxed))
    }

    /// Says that the task itself has finished; true when none of its forks is unfinished.
    pub(crate) fn finish(&self) -> bool {
        self.forks.leave()
    }
}

/// Makes the task wait for `inputs`, and hands it to its runner when all are there.
pub(crate) fn schedule(task: Arc<dyn Body>, inputs: &[Arc<dyn AnySlot>]) {
    group::join(&task);
    for input in inputs {
        if !input.is_settled() {
            task.core().unready.fetch_add(1, Ordering::Relaxed);
            let waiting = task.clone();
            input.when_settled(move || input_ready(waiting));
        }
    }
    input_ready(task);
}

fn input_ready(task: Arc<dyn Body>) {
    // AcqRel: the last one to count down sees every input.
    if task.core().unready.fetch_sub(1, Ordering::AcqRel) != 1 {
        return;
    }
    if let Some(error) = task.failed_input() {
        // Unless it was cancelled meanwhile.
        if task.core().move_on(WAITING, CLAIMED) {
            let error = error.depended_on_by(task.core().fork_place());
            task.fail(error);
        }
        return;
    }
    enqueue(task);
}

fn enqueue(task: Arc<dyn Body>) {
    if cancel::is_interrupted() {
        cancel::cancel(&task, Unwanted::Interrupt);
    } else if task.core().move_on(WAITING, QUEUED) {
        let runner = task.core().runner.clone();
        runner.run(Runnable(Some(task)));
    }
}

/// Hands a claimed task to its runner once more, after a pause in which it can be cancelled. False, with the task claimed as
/// before, if somebody has just asked to end it, or if there can be no pause.
pub(crate) fn try_again(task: Arc<dyn Body>, pause: Duration) -> bool {
    let Some(beginning) = pause::begin() else { return false };
    task.core().state.store(WAITING, Ordering::Release);
    fence(Ordering::SeqCst);
    if task.core().is_unwanted() && task.core().move_on(WAITING, CLAIMED) {
        return false;
    }
    // If it can't be claimed again, who has just cancelled it ends it.
    beginning.pause(task.clone(), pause, enqueue) || !task.core().move_on(WAITING, CLAIMED)
}

/// Says that `task` itself has finished. The last of the task and its forks delivers the outcome, then counts
/// the task as finished for the one that forked it, and so on upwards.
pub(crate) fn finished(task: &dyn Body) {
    if !task.core().finish() {
        return;
    }
    task.deliver();
    if !task.core().counted {
        return;
    }
    let mut parent = task.core().parent.clone();
    loop {
        let Some(body) = parent else { return ROOT.leave() };
        if !body.core().finish() {
            return;
        }
        body.deliver();
        if !body.core().counted {
            return;
        }
        parent = body.core().parent.clone();
    }
}
