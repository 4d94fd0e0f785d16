//! A task without its types: its name, its state, who forked it and who it waits for.

use crate::core::batch::{Chunk, Source};
use crate::core::cancel::{self, Unwanted};
use crate::core::context::{self, Runners};
use crate::core::error::{ForkPlace, TaskError};
use crate::core::group::{self, Members};
use crate::core::ids::TaskId;
use crate::core::limits::{Limits, Terms, Urgency};
use crate::core::output::{self, Part};
use crate::core::pause;
use crate::core::runner::{Ending, Runnable, Runner};
use crate::core::scope::{Forks, ROOT};
use crate::core::seed::{self, Position};
use crate::core::series::{Member, Running, Series};
use crate::core::slot::{About, AnySlot};
use crate::ground::cell::ThreadNumber;
use crate::ground::panics::Frames;
use crate::ground::registry::EntryId;
use crate::ground::wire::parcel::Parcel;
use std::any::Any;
use std::borrow::Cow;
use std::cell::Cell;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, Ordering, fence};
use std::sync::{Arc, Weak};
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
    fn next_unready(&self) -> Option<Arc<dyn AnySlot>> {
        None
    }
    /// The error of the first input that failed.
    fn failed_input(&self) -> Option<TaskError> {
        None
    }
    /// How the task is run in another process; `None` when it can't be.
    fn remote(&self) -> Option<&dyn Remote> {
        None
    }
    /// Settles the result of a task that goes on running, unless its outcome is decided; says whether it did.
    fn abandon(&self, _error: TaskError) -> bool {
        false
    }
    /// Takes the right to end the task before it starts; true for exactly one caller.
    fn claim_unstarted(&self) -> bool {
        self.core().claim_unstarted()
    }
    /// Ends a task that has started, where it is; as [`Runner::end`].
    fn end_started(&self, ending: &Ending<'_>) -> Option<bool> {
        self.core().runner().end(ending)
    }
    /// What this is if it stands for the items of a map that wait for a pool.
    fn source(&self) -> Option<&dyn Source> {
        None
    }
    /// What this is if it stands for items that run in another process one after the other.
    fn chunk(&self) -> Option<&dyn Chunk> {
        None
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

/// What every task has for itself, whatever its types. A program may have millions of tasks queued, so what can be told
/// from elsewhere is not stored again: ready inputs are counted in the place of the thread's number, the seed follows from
/// the position, and the ticket from the id.
pub(crate) struct TaskCore {
    shared: Arc<Shared>,
    /// Whose text it is that the task prints, however often it is tried.
    pub(crate) id: TaskId,
    /// The seed's position in its branch, counted from that of the first task that shares `shared`.
    index: u32,
    forks: Forks,
    /// Until the task is queued, the inputs that are not there yet, plus one while it is being set up. While it runs, the
    /// number of the thread that runs it, with [`THREAD`]; then zero.
    number: AtomicU32,
    state: AtomicU8,
    /// Somebody has asked to end it: it is not tried again.
    unwanted: AtomicBool,
    /// How many tickets it has had.
    tickets: AtomicU16,
}

/// The mark of a thread's number, which is less: threads are counted from one, and there are not so many.
const THREAD: u32 = 1 << 31;

/// Where an id ends in a ticket and the number of the ticket begins. So many tasks are not forked in a year.
const TICKET_SHIFT: u32 = 48;

/// What is equal for all tasks that one place forks in one context; a loop of forks has it once.
pub(crate) struct Shared {
    /// Their name and place, as the slots of their results keep it.
    about: Arc<About>,
    /// The task that forked them.
    parent: Option<Arc<dyn Body>>,
    /// The runners for their own forks, when they were chosen for a scope.
    runners: Option<Arc<Runners>>,
    runner: Arc<dyn Runner>,
    limits: Limits,
    /// The scope that they can be cancelled with.
    group: Option<Arc<Members>>,
    seed: Seed,
    /// The series that they are in; it names them.
    series: Option<Arc<dyn Series>>,
    /// Whether the one that forked them counts them.
    counted: bool,
    /// What few tasks have; then the task has a `Shared` to itself.
    unusual: Unusual,
}

/// Where the seeds of tasks come from.
enum Seed {
    Given(u64),
    /// The position of the first.
    After(Position),
}

/// What few tasks have.
#[derive(Default)]
pub(crate) struct Unusual {
    /// The proxies among the arguments, and what else the task waits for.
    pub(crate) inputs: Vec<Arc<dyn AnySlot>>,
    /// How to make the call once more: an `Again` of the task's types.
    pub(crate) again: Option<Box<dyn Any + Send + Sync>>,
    /// How often a runner has given the task back.
    pub(crate) tries: AtomicU32,
    /// How the thread that forked it got there, if somebody wants to know.
    frames: Option<Box<Frames>>,
}

impl Unusual {
    pub(crate) fn new(inputs: Vec<Arc<dyn AnySlot>>, again: Option<Box<dyn Any + Send + Sync>>) -> Self {
        Self { inputs, again, ..Self::default() }
    }

    fn is_needed(&self, limits: &Limits) -> bool {
        !self.inputs.is_empty() || self.again.is_some() || self.frames.is_some() || limits.retries.is_some()
    }
}

/// A fork as its caller describes it.
pub(crate) struct Fork<'a> {
    pub(crate) name: Cow<'static, str>,
    pub(crate) place: &'static Location<'static>,
    pub(crate) runner: &'a Arc<dyn Runner>,
    pub(crate) limits: Limits,
    pub(crate) unusual: Unusual,
    /// Its place in a series, which knows its name.
    pub(crate) member: Option<Member>,
}

/// What the last fork of a thread had. Weak, because a pool ends with its last task; the name and the place may stay.
#[derive(Default)]
struct Last {
    shared: Weak<Shared>,
    about: Option<Arc<About>>,
}

thread_local! {
    static LAST: Cell<Last> = const { Cell::new(Last { shared: Weak::new(), about: None }) };
}

impl Shared {
    /// What a task forked here and now shares with others: that of the last fork, if it is the same.
    fn of_fork(fork: Fork<'_>, position: Position) -> Arc<Self> {
        let has_its_own = fork.unusual.is_needed(&fork.limits);
        // Taken out, not borrowed: when the stale one is dropped, so may be a task, which may drop what forks.
        let mut last = LAST.try_with(Cell::take).unwrap_or_default();
        let known = if has_its_own { None } else { last.shared.upgrade() };
        let place = context::with_place(|parent, runners| match &known {
            Some(shared) if shared.suits(&fork, parent, runners, position) => None,
            _ => Some((parent.cloned(), runners.cloned())),
        });
        let shared = match (known, place) {
            (Some(shared), None) => shared,
            (_stale, place) => {
                let (parent, runners) = place.unwrap_or_default();
                let about = match last.about.take() {
                    _ if fork.member.is_some() => Arc::default(),
                    Some(about) if about.is(&fork.name, fork.place) => about,
                    _ => About::new(fork.name, fork.place),
                };
                let shared = Arc::new(Self {
                    about: about.clone(),
                    parent,
                    runners,
                    runner: fork.runner.clone(),
                    limits: fork.limits,
                    group: group::current(),
                    seed: Seed::After(position),
                    series: fork.member.map(|member| member.series),
                    counted: true,
                    unusual: fork.unusual,
                });
                if !has_its_own {
                    last.shared = Arc::downgrade(&shared);
                }
                last.about = Some(about);
                shared
            }
        };
        let _ = LAST.try_with(|kept| kept.set(last));
        shared
    }

    fn suits(
        &self,
        fork: &Fork<'_>,
        parent: Option<&Arc<dyn Body>>,
        runners: Option<&Arc<Runners>>,
        position: Position,
    ) -> bool {
        fn is<T: ?Sized>(one: Option<&Arc<T>>, other: Option<&Arc<T>>) -> bool {
            one.map(|one| Arc::as_ptr(one).cast::<()>()) == other.map(|other| Arc::as_ptr(other).cast())
        }
        let is_named = match &fork.member {
            None => self.series.is_none() && self.about.is(&fork.name, fork.place),
            Some(member) => is(self.series.as_ref(), Some(&member.series)),
        };
        is_named
            && is(self.parent.as_ref(), parent)
            && is(self.runners.as_ref(), runners)
            && is(Some(&self.runner), Some(fork.runner))
            && self.limits == fork.limits
            && group::is_current(self.group.as_ref())
            && self.index(position).is_some()
    }

    fn index(&self, position: Position) -> Option<u32> {
        match &self.seed {
            Seed::After(first) if first.branch == position.branch => {
                position.index.checked_sub(first.index)?.try_into().ok()
            }
            _ => None,
        }
    }
}

impl TaskCore {
    /// A task forked here and now by the current task, or by the program outside any.
    pub(crate) fn new(mut fork: Fork<'_>) -> Self {
        let position = fork.member.as_ref().map_or_else(seed::fork_position, |member| member.position);
        fork.unusual.frames = Frames::of_fork().map(Box::new);
        let shared = Shared::of_fork(fork, position);
        let index = shared.index(position).expect("it was made for this position, or suits it");
        let core = Self::with(shared, index, WAITING);
        core.enter_sibling();
        core
    }

    /// A task that another process forked; nobody here counts it.
    pub(crate) fn served(name: Cow<'static, str>, runner: Arc<dyn Runner>, terms: Terms) -> Self {
        let shared = Shared {
            about: About::new(name, Location::caller()),
            parent: None,
            runners: None,
            runner,
            limits: terms.limits,
            group: None,
            seed: Seed::Given(terms.seed),
            series: None,
            counted: false,
            unusual: Unusual::default(),
        };
        Self::with(Arc::new(shared), 0, CLAIMED)
    }

    /// What the items of a chunk that another process forked have in common; nobody here counts them.
    pub(crate) fn served_items(name: Cow<'static, str>, runner: Arc<dyn Runner>, first: Position) -> Self {
        let shared = Shared {
            about: About::new(name, Location::caller()),
            parent: None,
            runners: None,
            runner,
            limits: Limits::new(),
            group: None,
            seed: Seed::After(first),
            series: None,
            counted: false,
            unusual: Unusual::default(),
        };
        Self::with(Arc::new(shared), 0, CLAIMED)
    }

    /// A claimed task that shares everything with this one but its place among the forks; nobody counts it.
    pub(crate) fn sibling(&self, index: u32) -> Self {
        Self::with(self.shared.clone(), index, CLAIMED)
    }

    /// Such a task that has not been claimed.
    pub(crate) fn queued_sibling(&self, index: u32) -> Self {
        Self::with(self.shared.clone(), index, QUEUED)
    }

    /// Where this task is among its siblings.
    pub(crate) fn own_index(&self) -> Option<u32> {
        Some(self.index)
    }

    /// Where a position is among those that share everything with this task.
    pub(crate) fn index_of(&self, position: Position) -> Option<u32> {
        self.shared.index(position)
    }

    /// The position that the siblings are counted from.
    pub(crate) fn first_position(&self) -> Option<Position> {
        match self.shared.seed {
            Seed::After(first) => Some(first),
            Seed::Given(_) => None,
        }
    }

    /// Counts one more task for whoever forked this one, which is not finished yet.
    pub(crate) fn enter_sibling(&self) {
        match &self.shared.parent {
            Some(parent) => parent.core().forks.enter(),
            None => ROOT.enter(),
        }
    }

    fn with(shared: Arc<Shared>, index: u32, state: u8) -> Self {
        Self {
            shared,
            id: TaskId::next(),
            index,
            forks: Forks::new(),
            number: AtomicU32::new(1),
            state: AtomicU8::new(state),
            unwanted: AtomicBool::new(false),
            tickets: AtomicU16::new(0),
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self.series() {
            None => self.shared.about.name(),
            Some((series, number)) => series.name(number),
        }
    }

    /// The series that it is in, and its number there.
    fn series(&self) -> Option<(&Arc<dyn Series>, u32)> {
        let series = self.shared.series.as_ref()?;
        let first = self.first_position().map_or(0, |first| first.index);
        Some((series, first as u32 + self.index))
    }

    pub(crate) fn is_in_series(&self) -> bool {
        self.shared.series.is_some()
    }

    /// Tells its series that it begins to run in this thread, and that it has run: as long as the guard lives, it runs.
    pub(crate) fn running(&self) -> Option<Running<'_>> {
        self.series().map(|(series, number)| Running::new(&**series, number))
    }

    /// Tells its series, if it is in one.
    pub(crate) fn tell_series(&self, tell: impl FnOnce(&dyn Series, u32)) {
        if let Some((series, number)) = self.series() {
            tell(&**series, number);
        }
    }

    /// Says that its result is settled.
    pub(crate) fn settled(&self) {
        if let Some((series, number)) = self.series() {
            series.clone().ended(number);
        }
    }

    /// By what runners order tasks: zero, if nobody has said anything; the greater, the sooner.
    pub(crate) fn urgency(&self) -> Urgency {
        let rank = self.series().map_or(0, |(series, number)| series.rank(number));
        self.shared.limits.urgency(rank)
    }

    /// Its name and place, for the slot of its result.
    pub(crate) fn about(&self) -> &Arc<About> {
        &self.shared.about
    }

    /// The task that forked this one.
    pub(crate) fn parent(&self) -> Option<&Arc<dyn Body>> {
        self.shared.parent.as_ref()
    }

    pub(crate) fn parent_id(&self) -> Option<TaskId> {
        self.parent().map(|parent| parent.core().id)
    }

    /// The runners for its own forks, when they were chosen for a scope.
    pub(crate) fn runners(&self) -> Option<&Arc<Runners>> {
        self.shared.runners.as_ref()
    }

    pub(crate) fn runner(&self) -> &Arc<dyn Runner> {
        &self.shared.runner
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// The scope that it can be cancelled with.
    pub(crate) fn group(&self) -> Option<&Arc<Members>> {
        self.shared.group.as_ref()
    }

    pub(crate) fn unusual(&self) -> &Unusual {
        &self.shared.unusual
    }

    /// The seed of its random numbers and of its forks.
    pub(crate) fn seed(&self) -> u64 {
        match self.shared.seed {
            Seed::Given(seed) => seed,
            Seed::After(first) => seed::at(Position { index: first.index + u64::from(self.index), ..first }),
        }
    }

    /// What it takes along to wherever it runs.
    pub(crate) fn terms(&self) -> Terms {
        let is_watched = self.series().is_some_and(|(series, _)| series.is_watching());
        Terms { limits: self.shared.limits, seed: self.seed(), is_watched }
    }

    pub(crate) fn fork_place(&self) -> ForkPlace {
        let frames = self.shared.unusual.frames.as_deref().cloned();
        if let Some((series, number)) = self.series() {
            return ForkPlace {
                place: series.place(number).into(),
                task: series.name(number).to_string(),
                frames,
            };
        }
        ForkPlace { frames, ..self.shared.about.fork_place().expect("that of a task has an origin") }
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
        // Relaxed: who cancels the task with an old one comes too late for that try. The number of tickets may wrap: by then
        // the first ones are forgotten everywhere. It is never zero again, which means none.
        let count = self.tickets.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        if count == 0 {
            return self.new_ticket();
        }
        self.nth_ticket(count)
    }

    /// The number under which another process knows the task; 0 if none does.
    pub(crate) fn ticket(&self) -> u64 {
        match self.tickets.load(Ordering::Relaxed) {
            0 => 0,
            count => self.nth_ticket(count),
        }
    }

    /// Unique as long as ids are less than 2⁴⁸.
    fn nth_ticket(&self, count: u16) -> u64 {
        self.id.0 | u64::from(count - 1) << TICKET_SHIFT
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
        self.number.store(ThreadNumber::current().get() | THREAD, Ordering::Relaxed);
    }

    /// Says that this thread has stopped running the task, which may still wait for what it forked.
    pub(crate) fn end(&self) {
        self.number.store(0, Ordering::Relaxed);
    }

    /// The thread that runs the task now.
    pub(crate) fn runs_on(&self) -> Option<ThreadNumber> {
        let number = self.number.load(Ordering::Relaxed);
        // Without the mark it counts inputs.
        if number & THREAD == 0 { None } else { ThreadNumber::from_number(number & !THREAD) }
    }

    /// Whether none of the task's forks is unfinished; for the task, once it can fork no more.
    pub(crate) fn has_no_forks(&self) -> bool {
        self.forks.is_alone()
    }

    /// Says that the task itself has finished; true when none of its forks is unfinished.
    pub(crate) fn finish(&self) -> bool {
        self.forks.leave(1)
    }
}

/// Makes the task wait for `inputs`, and hands it to its runner when all are there.
pub(crate) fn schedule(task: Arc<dyn Body>) {
    let core = task.core();
    let inputs = &core.unusual().inputs;
    group::join(&task);
    if inputs.is_empty() {
        return enqueue(task);
    }
    for input in inputs {
        if !input.is_settled() {
            task.core().number.fetch_add(1, Ordering::Relaxed);
            let waiting = task.clone();
            input.when_settled(move || input_ready(waiting));
        }
    }
    input_ready(task);
}

fn input_ready(task: Arc<dyn Body>) {
    // AcqRel: the last one to count down sees every input.
    if task.core().number.fetch_sub(1, Ordering::AcqRel) != 1 {
        return;
    }
    all_ready(task);
}

fn all_ready(task: Arc<dyn Body>) {
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
        let runner = task.core().runner().clone();
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
    if task.core().finish() {
        task.deliver();
        delivered(task);
    }
}

/// Says that `task`, which has no unfinished forks, has finished and its outcome been delivered; see [`finished`].
pub(crate) fn delivered(task: &dyn Body) {
    leave(task.core(), 1);
}

/// Says that so many of `core` and the siblings that were [entered](TaskCore::enter_sibling) are finished and delivered.
pub(crate) fn leave(core: &TaskCore, count: u32) {
    if !core.shared.counted {
        return;
    }
    let Some(mut parent) = core.parent() else { return ROOT.leave(count as usize) };
    let mut count = count;
    while parent.core().forks.leave(std::mem::replace(&mut count, 1)) {
        parent.deliver();
        if !parent.core().shared.counted {
            return;
        }
        match parent.core().parent() {
            Some(next) => parent = next,
            None => return ROOT.leave(1),
        }
    }
}
