//! A task with its types: a function, its inputs and the slot of its result; and [`task()`], one not yet scheduled.

use crate::args::{Args, EncodeError, Inputs, IntoArgs, Origin, Portable, PortableArgs};
use crate::batch;
use crate::cache;
use crate::callable::{Again, Callable, Cpu, InPlace, Io};
use crate::core::context::{self, Runners};
use crate::core::error::{Clock, Kind, TaskError, panic_error};
use crate::core::limits::Limits;
use crate::core::output;
use crate::core::pause;
use crate::core::runner::Runner;
use crate::core::series::Member;
use crate::core::slot::{AnySlot, Decode, Slot};
use crate::core::task::{self, Body, Fork, Remote, TaskCore, Unusual};
use crate::core::timer::{self, Alarm};
use crate::core::wait::{settle_if_possible, wait};
use crate::ground::panics;
use crate::ground::registry::{self, Entry, EntryId, Invocation, InvocationError};
use crate::ground::wire::parcel::{Parcel, Reader};
use crate::kept::Codec;
use crate::own::Own;
use crate::place::Keep;
use crate::plan;
use crate::proxy::ResultProxy;
use crate::tries::{Source, Tries};
use parking_lot::Mutex;
use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A task with its types, while it is on its way. `W` says whether it can run in a worker process.
pub(crate) struct TypedTask<F: Callable<A>, A: Args, W> {
    core: TaskCore,
    progress: Mutex<Progress<F, A>>,
    way: PhantomData<fn() -> W>,
}

struct Progress<F: Callable<A>, A: Args> {
    /// Until the outcome is decided.
    slot: Option<Arc<Slot<F::Output>>>,
    work: Work<F, A>,
}

/// What is to be done, and what came of it.
enum Work<F: Callable<A>, A: Args> {
    /// The function and its arguments, which are all there.
    Values(F, A),
    /// The function and its arguments, some of which are proxies.
    Inputs(Box<(F, A::Inputs)>),
    /// The encoded arguments, for they can't be encoded again: the memory of large ones has been moved into blobs.
    Moved(Box<Moved<F, A>>),
    /// Somebody has taken it, or it was dropped.
    Taken,
    /// What came of it, while forks of the task are unfinished.
    Done(Box<Outcome<F::Output>>),
}

struct Moved<F, A> {
    /// Why they can't be encoded, or what is sent to one worker after the other until one has started the task.
    encoded: Result<Parcel, TaskError>,
    /// What is left of them, dropped when the others would be.
    _rest: (F, A),
}

impl<F: Callable<A>, A: Args> Work<F, A> {
    fn is_there(&self) -> bool {
        matches!(self, Self::Values(..) | Self::Inputs(_) | Self::Moved(_))
    }

    fn resolve(self) -> Result<(F, A), TaskError> {
        match self {
            Self::Values(function, args) => Ok((function, args)),
            Self::Inputs(inputs) => {
                let (function, inputs) = *inputs;
                Ok((function, inputs.resolve()?))
            }
            Self::Moved(_) => unreachable!("what has been sent once stays in other processes"),
            Self::Taken | Self::Done(_) => unreachable!("whoever takes it looks before"),
        }
    }
}

impl<F: Callable<A>, A: Args> Progress<F, A> {
    /// Takes out the work, if it is still there.
    fn take_work(&mut self) -> Option<Work<F, A>> {
        self.work.is_there().then(|| std::mem::replace(&mut self.work, Work::Taken))
    }

    /// Keeps what has been made of values, of which something may have been moved.
    fn keep_moved(&mut self, encoded: Result<Parcel, TaskError>) {
        self.work = match std::mem::replace(&mut self.work, Work::Taken) {
            Work::Values(function, args) => Work::Moved(Box::new(Moved { encoded, _rest: (function, args) })),
            other => other,
        };
    }
}

enum Outcome<R> {
    Here(Result<R, TaskError>),
    Encoded(Parcel),
}

/// Whether and how a task travels.
pub(crate) trait Way<F: Callable<A>, A: Args>: 'static {
    const TRAVEL: Option<Travel<F, A>>;
}

/// The way of a task that stays in its process.
pub(crate) enum Stays {}
/// The way of a task that runs in a worker: known only where its types are known to be [`Portable`].
pub(crate) enum Travels {}

impl<F: Callable<A>, A: Args> Way<F, A> for Stays {
    const TRAVEL: Option<Travel<F, A>> = None;
}

/// How a task travels to a worker.
pub(crate) struct Travel<F: Callable<A>, A: Args> {
    entry: fn() -> Option<EntryId>,
    encode: fn(&A::Inputs, &mut Parcel) -> Result<(), EncodeError>,
    encode_values: fn(&A, &mut Parcel) -> Result<(), EncodeError>,
    encode_moving: fn(&mut A, &mut Parcel) -> Result<(), EncodeError>,
    decode: Decode<F::Output>,
    /// Reads the arguments in this process, for a further try.
    again: fn(&Parcel) -> Option<(F, A)>,
}

impl<F: Callable<A>, A: Args> Travel<F, A> {
    /// Appends the encoded arguments.
    fn encode(&self, work: &Work<F, A>, out: &mut Parcel) -> Result<(), EncodeError> {
        match work {
            Work::Values(_, args) => (self.encode_values)(args, out),
            Work::Inputs(inputs) => (self.encode)(&inputs.1, out),
            Work::Moved(_) | Work::Taken | Work::Done(_) => Ok(()),
        }
    }

    /// As [`encode`](Self::encode); what is large is moved, if it is there.
    fn encode_moving(&self, work: &mut Work<F, A>, out: &mut Parcel) -> Result<(), EncodeError> {
        match work {
            Work::Values(_, args) => (self.encode_moving)(args, out),
            _ => self.encode(work, out),
        }
    }
}

impl<F, A, W> TypedTask<F, A, W>
where
    F: Callable<A> + Send + 'static,
    A: Args + Send + 'static,
    A::Inputs: Send,
    F::Output: Send + 'static,
    W: Way<F, A>,
{
    /// Sees to what the task and its forks printed in workers; says whether there is anything.
    fn end_output(&self, outcome: &Outcome<F::Output>, slot: &Arc<Slot<F::Output>>) -> bool {
        let id = self.core.id;
        if let Outcome::Here(Err(error)) = outcome
            && !error.is_dependency()
        {
            error.set_output(output::tail(id));
        }
        let inputs = self.core.unusual().inputs.iter().filter_map(|input| input.printed());
        let has_printed = output::end(id, self.core.parent_id(), inputs);
        if has_printed {
            (&**slot as &dyn AnySlot).set_printed(id);
        }
        has_printed
    }

    /// Sees to it that the result is not waited for longer than the task may run.
    fn alarm(self: &Arc<Self>) -> Option<Alarm> {
        let limit = self.core.limits().timeout?;
        let task = Arc::downgrade(self);
        Some(timer::after(limit, move || {
            let Some(task) = task.upgrade() else { return };
            let kind = Kind::Expired { limit, clock: Clock::Wall, goes_on: true };
            task.abandon(TaskError::new(task.core.name(), context::worker_pid(), kind));
        }))
    }

    /// Whether to try a task again that its runner has given back with this error.
    fn may_try_again(&self, error: &TaskError) -> Option<Duration> {
        let limits = self.core.limits();
        let retries = limits.retries.filter(|_| error.is_worth_another_try())?;
        let tries = self.core.unusual().tries.fetch_add(1, Ordering::Relaxed);
        let progress = self.progress.lock();
        let is_wanted = progress.slot.is_some() && !self.core.is_unwanted();
        let can = tries < retries && progress.work.is_there() && is_wanted;
        can.then(|| limits.pause_before(tries + 1))
    }

    fn run_claimed(self: Arc<Self>) {
        let (work, is_wanted) = {
            let mut progress = self.progress.lock();
            // Nobody waits for the result of a task that was cancelled when a thread had just taken it.
            (progress.take_work(), progress.slot.is_some())
        };
        let Some(work) = work else { return };
        if !is_wanted {
            drop_quietly(work);
            return task::finished(&*self);
        }
        let outcome = match self.core.limits().retries {
            None => self.attempt(|| work.resolve().map(|(function, args)| function.call(args))),
            Some(_) => return self.run_with_tries(work),
        };
        let outcome = outcome.unwrap_or_else(|caught| {
            Err(panic_error(self.core.name(), caught).forked(self.core.fork_place()))
        });
        self.has_run(outcome);
    }

    fn run_with_tries(self: Arc<Self>, work: Work<F, A>) {
        let mut tries = Tries::new(*self.core.limits(), || self.source(&work));
        let mut outcome = self.attempt(|| {
            let (function, args) = work.resolve()?;
            tries.begin(&function, &args);
            Ok(function.call(args))
        });
        while outcome.is_err()
            && let Some((function, args)) = tries.next()
        {
            if !self.pause(tries.pause()) {
                drop_quietly((function, args));
                break;
            }
            let failed = std::mem::replace(
                &mut outcome,
                self.attempt(|| {
                    tries.begin(&function, &args);
                    Ok(function.call(args))
                }),
            );
            drop_quietly(failed);
        }
        let outcome = outcome.unwrap_or_else(|caught| {
            let error = panic_error(self.core.name(), caught).tried(self.core.name(), tries.count());
            Err(error.forked(self.core.fork_place()))
        });
        drop_quietly(tries);
        self.has_run(outcome);
    }

    fn has_run(&self, outcome: Result<F::Output, TaskError>) {
        self.core.runner().has_run(self.core.id.0);
        self.conclude(Outcome::Here(outcome));
    }

    /// Says that the task itself has finished, with this outcome.
    fn conclude(&self, outcome: Outcome<F::Output>) {
        if !self.core.has_no_forks() {
            self.progress.lock().work = Work::Done(Box::new(outcome));
            return task::finished(self);
        }
        let slot = self.progress.lock().slot.take();
        self.decide(Some(outcome), slot);
        task::delivered(self);
    }

    /// Puts the outcome into the slot, if there is still one.
    fn decide(&self, outcome: Option<Outcome<F::Output>>, slot: Option<Arc<Slot<F::Output>>>) {
        let (Some(outcome), Some(slot)) = (outcome, slot) else {
            // Its result was decided while it ran; what its forks printed is still the task's.
            if output::is_in_use() {
                output::end(self.core.id, self.core.parent_id(), [].into_iter());
            }
            return;
        };
        let has_printed = output::is_in_use() && self.end_output(&outcome, &slot);
        match outcome {
            Outcome::Here(Ok(value)) if has_printed => slot.fulfil_held(value),
            Outcome::Here(outcome) => {
                if let Err(error) = &outcome
                    && !error.is_dependency()
                    && !error.is_cancelled()
                {
                    error.remember();
                }
                slot.fulfil(outcome);
            }
            Outcome::Encoded(parcel) => {
                let travel = W::TRAVEL.expect("only a task that travels comes back encoded");
                slot.fulfil_encoded(Arc::new(parcel), travel.decode);
            }
        }
        drop_slot(slot);
        self.core.settled();
    }

    /// Runs code of the user as this task; an error is a panic of it.
    #[expect(clippy::result_large_err, reason = "its caller takes the error apart at once")]
    fn attempt<R>(self: &Arc<Self>, code: impl FnOnce() -> R) -> Result<R, panics::Caught> {
        let _alarm = self.alarm();
        let _context = context::enter_task(self.clone());
        let _running = self.core.running();
        panics::catch(code)
    }

    /// What the tries after the first are given.
    fn source(&self, work: &Work<F, A>) -> Source<F, A> {
        let asked = self.core.unusual().again.as_ref().and_then(|again| again.downcast_ref());
        if let Some(again) = asked.copied().or_else(F::again) {
            return Source::Clone(again);
        }
        let Some(travel) = W::TRAVEL else { return Source::Nowhere };
        let _for_a_task = context::for_a_task();
        let mut parcel = Parcel::default();
        // What can't be encoded may still be given to the first try.
        match panics::catch(|| travel.encode(work, &mut parcel)) {
            Ok(Ok(())) => Source::Decode(parcel, travel.again),
            _ => Source::Nowhere,
        }
    }

    /// Waits between two tries, as this task: its thread may be used for what it forked, or another started for others.
    /// False if the task has been ended meanwhile.
    fn pause(self: &Arc<Self>, time: Duration) -> bool {
        let Some(_noted) = pause::begin().map(|beginning| beginning.note(self.clone())) else { return false };
        let Some(slot) = self.progress.lock().slot.clone() else { return false };
        let slot: Arc<dyn AnySlot> = slot;
        let _context = context::enter_task(self.clone());
        matches!(wait(&slot, Some(Instant::now() + time)), Ok(false))
    }
}

impl<F, A, W> Body for TypedTask<F, A, W>
where
    F: Callable<A> + Send + 'static,
    A: Args + Send + 'static,
    A::Inputs: Send,
    F::Output: Send + 'static,
    W: Way<F, A>,
{
    fn core(&self) -> &TaskCore {
        &self.core
    }

    fn run(self: Arc<Self>) {
        self.run_claimed();
    }

    fn fail(self: Arc<Self>, error: TaskError) {
        if let Some(pause) = self.may_try_again(&error)
            && task::try_again(self.clone(), pause)
        {
            return;
        }
        let place = self.core.fork_place();
        let error = if error.kept_from_running(&place) {
            error
        } else {
            let error = match self.core.unusual().tries.load(Ordering::Relaxed) {
                0 | 1 => error,
                tries => error.tried(self.core.name(), tries),
            };
            error.forked(place)
        };
        let work = self.progress.lock().take_work();
        drop_quietly(work);
        self.conclude(Outcome::Here(Err(error)));
    }

    fn abandon(&self, error: TaskError) -> bool {
        let Some(slot) = self.progress.lock().slot.take() else { return false };
        let error = error.forked(self.core.fork_place());
        if !error.is_cancelled() {
            error.remember();
        }
        slot.fulfil(Err(error));
        drop_slot(slot);
        self.core.settled();
        true
    }

    fn complete(self: Arc<Self>, result: Parcel) {
        let work = self.progress.lock().take_work();
        drop_quietly(work);
        self.conclude(Outcome::Encoded(result));
    }

    fn deliver(&self) {
        let (work, slot) = {
            let mut progress = self.progress.lock();
            (std::mem::replace(&mut progress.work, Work::Taken), progress.slot.take())
        };
        let outcome = match work {
            Work::Done(outcome) => Some(*outcome),
            _ => None,
        };
        self.decide(outcome, slot);
    }

    fn next_unready(&self) -> Option<Arc<dyn AnySlot>> {
        self.core.unusual().inputs.iter().find(|input| !input.is_settled()).cloned()
    }

    fn failed_input(&self) -> Option<TaskError> {
        self.core.unusual().inputs.iter().find_map(|input| input.error().cloned())
    }

    fn remote(&self) -> Option<&dyn Remote> {
        W::TRAVEL.is_some().then_some(self as &dyn Remote)
    }
}

impl<F, A, W> Remote for TypedTask<F, A, W>
where
    F: Callable<A> + Send + 'static,
    A: Args + Send + 'static,
    A::Inputs: Send,
    F::Output: Send + 'static,
    W: Way<F, A>,
{
    fn entry(&self) -> Option<EntryId> {
        (W::TRAVEL?.entry)()
    }

    fn encode(&self, out: &mut Parcel) -> Result<(), TaskError> {
        let travel = W::TRAVEL.expect("only reached through remote()");
        let mut progress = self.progress.lock();
        if let Work::Moved(moved) = &progress.work {
            return moved.encoded.as_ref().map(|parcel| out.append(parcel)).map_err(TaskError::clone);
        }
        let (what, start) = (Cow::Borrowed("arguments"), out.bytes.len());
        let may_move = self.core.limits().retries.is_none();
        let begin = self.core.is_in_series().then(Instant::now);
        let _for_a_task = context::for_a_task();
        let encode = || match may_move {
            true => travel.encode_moving(&mut progress.work, out),
            false => travel.encode(&progress.work, out),
        };
        let outcome = match panics::catch(encode) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(EncodeError::Input(error))) => Err(error.depended_on_by(self.core.fork_place())),
            Ok(Err(EncodeError::Codec { reason, type_name })) => {
                let reason = format!("{type_name}: {reason}");
                Err(TaskError::new(self.core.name(), None, Kind::Encode { what, reason }))
            }
            Err(caught) => Err(panic_error(self.core.name(), caught)),
        };
        if let Some(begin) = begin {
            self.core.tell_series(|series, number| series.sent(number, begin.elapsed()));
        }
        if may_move && out.blobs().next().is_some() {
            progress.keep_moved(outcome.clone().map(|()| out.tail(start)));
        }
        outcome
    }

    fn release(&self) {
        if self.core.limits().retries.is_some() {
            return;
        }
        let work = self.progress.lock().take_work();
        drop_quietly(work);
    }
}

/// Drops what the user gave us in a thread that is not his: a panic in a `Drop` must not end that thread.
pub(crate) fn drop_quietly<T>(value: T) {
    if !std::mem::needs_drop::<T>() {
        return;
    }
    let _for_a_task = context::for_a_task();
    let _ = panics::catch(|| drop(value));
}

/// Drops a pointer to a slot: perhaps nobody else wants the value, and its drop is the user's code.
pub(crate) fn drop_slot<T: Send + 'static>(slot: Arc<Slot<T>>) {
    if let Some(last) = Arc::into_inner(slot) {
        drop_quietly(last);
    }
}

/// The trampoline of a function: what a worker runs when it gets this entry.
struct Run<F, A>(PhantomData<fn(F, A)>);

impl<F, A> Entry for Run<F, A>
where
    F: Callable<A> + Copy + Send + 'static,
    A: PortableArgs + 'static,
    F::Output: Portable,
{
    fn invoke(call: &mut dyn Invocation) {
        let mut arguments = call.arguments();
        let args = match A::decode(&mut arguments.last_reader()) {
            Ok(args) => args,
            Err(reason) => return call.finish(Err(InvocationError::Decode(reason))),
        };
        drop(arguments);
        let result = registry::conjure::<F>().call(args);
        finish_with(result, &mut |outcome| call.finish(outcome));
    }
}

/// Ends a run in a worker with this result, which is dropped only then: what its destructor does concerns nobody.
pub(crate) fn finish_with<R: Portable>(
    mut result: R,
    finish: &mut dyn FnMut(Result<Parcel, InvocationError>),
) {
    let mut parcel = Parcel::default();
    finish(match parcel.put_moving(&mut result) {
        Ok(()) => Ok(parcel),
        Err(error) => Err(InvocationError::Encode(format!("{}: {error}", std::any::type_name::<R>()))),
    });
}

/// The entry of a function in the table that all processes of the program share.
pub(crate) fn entry<F, A>() -> Option<EntryId>
where
    F: Callable<A> + Copy + Send + 'static,
    A: PortableArgs + 'static,
    F::Output: Portable,
{
    registry::entry_of::<Run<F, A>>()
}

impl<F, A> Way<F, A> for Travels
where
    F: Callable<A> + Copy + Send + 'static,
    A: PortableArgs + 'static,
    F::Output: Portable,
{
    const TRAVEL: Option<Travel<F, A>> = Some(Travel {
        entry: registry::entry_of::<Run<F, A>>,
        encode: A::encode,
        encode_values: A::encode_values,
        encode_moving: A::encode_moving,
        decode: decode::<F, A>,
        again: again::<F, A>,
    });
}

pub(crate) fn decode<F, A>(mut reader: Reader<'_>) -> Result<F::Output, TaskError>
where
    F: Callable<A>,
    F::Output: Portable,
{
    let error = |reason| {
        let what = Cow::Borrowed("result");
        TaskError::new(F::name(), None, Kind::Decode { what, reason })
    };
    match panics::catch(|| reader.take::<F::Output>()) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(reason)) => Err(error(format!("{}: {reason}", std::any::type_name::<F::Output>()))),
        Err(caught) => Err(panic_error(F::name(), caught)),
    }
}

fn again<F: Copy + Send + 'static, A: PortableArgs>(parcel: &Parcel) -> Option<(F, A)> {
    let args = panics::catch(|| A::decode(&mut parcel.reader())).ok()?.ok()?;
    Some((registry::conjure::<F>(), args))
}

/// Where a function runs.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    Process,
    Thread,
    Here,
}

/// Where a function runs, decided by its mark at compile time; asks for the bounds that the place needs.
#[diagnostic::on_unimplemented(
    message = "`{F}` can't run where its mark says",
    note = "cpu-bound functions run in worker processes: arguments and result need serde's Serialize and Deserialize; \
            `thread(..)` or `#[io_bound]` runs them on a thread, where `Send` is enough"
)]
pub trait Route<F: Callable<A>, A: Args> {
    #[doc(hidden)]
    const PLACE: Where;

    #[doc(hidden)]
    fn start(task: Task<F, A>) -> ResultProxy<F::Output>
    where
        F::Output: Send + 'static;

    /// How its results can be kept for a later process, if they can.
    #[doc(hidden)]
    fn codec() -> Option<Codec<F::Output>> {
        None
    }

    /// Those of the arguments that are values, encoded; `None` if they can't be, or are not all known.
    #[doc(hidden)]
    fn describe(_inputs: &A::Inputs) -> Option<Vec<u8>> {
        None
    }

    /// Starts a task whose inputs are there; one that runs in place fails like any other.
    #[doc(hidden)]
    fn start_ready(task: Task<F, A>) -> ResultProxy<F::Output>
    where
        F: Send + 'static,
        A: Send + 'static,
        A::Inputs: Send,
        F::Output: Send + 'static,
    {
        Self::start(task)
    }

    /// Starts the function once for each item.
    #[doc(hidden)]
    fn start_each<Form, I>(
        function: F,
        items: I,
        place: &'static Location<'static>,
    ) -> Vec<ResultProxy<F::Output>>
    where
        F: Clone,
        F::Output: Send + 'static,
        I: IntoIterator,
        I::Item: IntoArgs<A, Form>,
    {
        let start = |item: I::Item| Self::start(Task::of_inputs(function.clone(), item.into_inputs(), place));
        items.into_iter().map(start).collect()
    }
}

impl<F, A> Route<F, A> for Cpu
where
    F: Callable<A> + Copy + Send + 'static,
    A: PortableArgs + 'static,
    A::Inputs: Send,
    F::Output: Portable,
{
    const PLACE: Where = Where::Process;

    fn codec() -> Option<Codec<F::Output>> {
        Some(Codec::new())
    }

    fn describe(inputs: &A::Inputs) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let is_known = panics::catch(|| A::describe(inputs, &mut bytes)).unwrap_or(false);
        is_known.then_some(bytes)
    }

    fn start(task: Task<F, A>) -> ResultProxy<F::Output> {
        // Refuses function pointers and captures at compile time.
        let _ = registry::conjure::<F>;
        cache::prepare::<F, A>();
        start::<F, A, Travels>(task, |runners| &runners.cpu)
    }

    fn start_each<Form, I>(
        function: F,
        items: I,
        place: &'static Location<'static>,
    ) -> Vec<ResultProxy<F::Output>>
    where
        I: IntoIterator,
        I::Item: IntoArgs<A, Form>,
    {
        batch::map(function, items, place)
    }
}

impl<F, A> Route<F, A> for Io
where
    F: Callable<A> + Send + 'static,
    A: Args + Send + 'static,
    A::Inputs: Send,
    F::Output: Send + 'static,
{
    const PLACE: Where = Where::Thread;

    fn start(task: Task<F, A>) -> ResultProxy<F::Output> {
        start::<F, A, Stays>(task, |runners| &runners.io)
    }
}

impl<F, A> Route<F, A> for InPlace
where
    F: Callable<A> + 'static,
    A: Args + 'static,
    F::Output: Send + 'static,
{
    const PLACE: Where = Where::Here;

    fn start_ready(task: Task<F, A>) -> ResultProxy<F::Output>
    where
        F: Send + 'static,
        A: Send + 'static,
        A::Inputs: Send,
        F::Output: Send + 'static,
    {
        start::<F, A, Stays>(task, |_| plan::in_place())
    }

    fn start(task: Task<F, A>) -> ResultProxy<F::Output> {
        for slot in task.after.into_iter().chain(task.inputs.slots()) {
            wait(&slot, None).unwrap_or_else(|error| crate::proxy::rethrow(&error));
        }
        let args = task.inputs.resolve().unwrap_or_else(|error| crate::proxy::rethrow(&error));
        crate::proxy::ready(task.function.call(args))
    }
}

fn start<F, A, W>(task: Task<F, A>, place: fn(&Runners) -> &Arc<dyn Runner>) -> ResultProxy<F::Output>
where
    F: Callable<A> + Send + 'static,
    A: Args + Send + 'static,
    A::Inputs: Send,
    F::Output: Send + 'static,
    W: Way<F, A>,
{
    let Task {
        function, inputs, name, limits, again, after, place: caller, member, result, in_graph, ..
    } = task;
    let own = F::own();
    let is_elsewhere = || !plan::with_runners(|runners| place(runners).runs_in_place());
    let runners = own.filter(|_| is_elsewhere()).and_then(Own::runners);
    let _own = runners.map(context::enter_runners);
    let is_alone = in_graph.is_none_or(|in_graph| in_graph.after.is_empty());
    assert!(is_alone, "`{name}` is to come after a node of a graph: add it to that graph, by `Graph::add`");
    let (work, mut slots) = match inputs.values() {
        Ok(args) => (Work::Values(function, args), Vec::new()),
        Err(inputs) => {
            let slots = inputs.slots();
            (Work::Inputs(Box::new((function, inputs))), slots)
        }
    };
    slots.extend(after);
    if !slots.is_empty() {
        settle(&slots, place(&plan::runners()).runs_in_place());
    }
    let core = plan::with_runners(|runners| {
        TaskCore::new(Fork {
            name,
            place: caller,
            runner: place(runners),
            limits: limits.or(F::limits()).or(runners.limits),
            unusual: Unusual::new(slots, again.map(|again| Box::new(again) as _)),
            member,
        })
    });
    let reader = Slot::of_task(core.about().clone());
    if let Some(own) = own {
        let slot: Arc<dyn AnySlot> = reader.cell().clone();
        own.note(Arc::downgrade(&slot));
    }
    let progress = Progress { slot: Some(reader.cell().clone()), work };
    let task = Arc::new(TypedTask::<F, A, W> { core, progress: Mutex::new(progress), way: PhantomData });
    reader.cell().set_task(task.clone());
    let proxy = ResultProxy::new(reader);
    if let Some(result) = result {
        // Before others can learn of its end.
        result.keep(proxy.clone());
    }
    task::schedule(task);
    proxy
}

/// Has those values computed that a task waits for, as far as nobody does it yet.
fn settle(slots: &[Arc<dyn AnySlot>], is_in_place: bool) {
    for slot in slots {
        if is_in_place {
            wait(slot, None).unwrap_or_else(|error| crate::proxy::rethrow(&error));
        }
        // An expression that is only waited for by a task is evaluated by the pool, unless that is easy now.
        if !settle_if_possible(slot) && slot.state() == crate::core::slot::State::Deferred {
            crate::proxy::demand(slot.clone());
        }
    }
}

/// A fork that has not been scheduled yet, with what there is to say about it; made by [`task()`].
///
/// ```
/// use xfork::{task, thread};
///
/// #[xfork::cpu_bound]
/// fn square(n: u64) -> u64 { n * n }
///
/// let prepared = thread(|| { /* … */ }, ());
/// let nine = task(square, 3).name("three squared").after(&prepared).fork();
/// assert_eq!(nine, 9);
/// ```
#[must_use = "a task does nothing until it is forked"]
pub struct Task<F: Callable<A>, A: Args> {
    function: F,
    inputs: A::Inputs,
    name: Cow<'static, str>,
    limits: Limits,
    again: Option<Again<F, A>>,
    after: Vec<Arc<dyn AnySlot>>,
    /// What only a graph wants to know.
    in_graph: Option<Box<InGraph>>,
    /// Its place in a series.
    member: Option<Member>,
    /// Where else its result is to be found.
    result: Option<Arc<dyn Keep<F::Output>>>,
    place: &'static Location<'static>,
    args: PhantomData<A>,
}

/// What a task has as part of a graph.
#[derive(Default)]
struct InGraph {
    cost: Option<Cost>,
    /// The nodes that come before it.
    after: Vec<Origin>,
    /// A `Codec` of its result, if that was asked for.
    codec: Option<Box<dyn Any + Send>>,
}

/// What a task costs, in any unit that all costs of a graph have in common.
#[derive(Clone, Debug)]
pub(crate) enum Cost {
    /// On a worker of speed 1.
    Same(f64),
    /// On each worker.
    PerWorker(Box<[f64]>),
}

/// A task, taken apart for a graph that runs it as often as it is asked to.
pub(crate) struct Parts<F: Callable<A>, A: Args> {
    pub(crate) function: F,
    pub(crate) inputs: A::Inputs,
    pub(crate) limits: Limits,
    pub(crate) again: Option<Again<F, A>>,
    pub(crate) after: Vec<Arc<dyn AnySlot>>,
    pub(crate) cost: Option<Cost>,
    pub(crate) origins: Vec<Origin>,
    pub(crate) codec: Option<Codec<F::Output>>,
    pub(crate) place: &'static Location<'static>,
}

/// What a task can be told to come after: a proxy, or a node of the same graph.
///
/// ```
/// use xfork::{Graph, io_bound, task};
///
/// let mut graph = Graph::new();
/// let first = graph.add("first", task(io_bound(|| 1), ()))?;
/// let second = graph.add("second", task(io_bound(|| 2), ()).after(&first))?;
/// assert_eq!(graph.run()?[&second], 2);
/// # Ok::<(), xfork::GraphError>(())
/// ```
pub trait Predecessor {
    #[doc(hidden)]
    fn precede(&self, before: &mut Before<'_>);
}

/// Where a task notes what comes before it.
#[doc(hidden)]
pub struct Before<'a> {
    pub(crate) slots: &'a mut Vec<Arc<dyn AnySlot>>,
    pub(crate) nodes: &'a mut Vec<Origin>,
}

impl fmt::Debug for Before<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Before").field("slots", &self.slots.len()).field("nodes", &self.nodes).finish()
    }
}

impl<T: Send + 'static> Predecessor for ResultProxy<T> {
    fn precede(&self, before: &mut Before<'_>) {
        before.slots.push(self.any_slot());
    }
}

impl<F: Callable<A>, A: Args> fmt::Debug for Task<F, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Task({} at {})", self.name, self.place)
    }
}

/// Prepares a fork without scheduling it; see [`Task`].
///
/// ```
/// use xfork::{ready, task};
/// assert_eq!(task(|n: u32| n + 1, ready(1)).fork(), 2);
/// ```
#[track_caller]
pub fn task<F, A, Form>(f: F, args: impl IntoArgs<A, Form>) -> Task<F, A>
where
    F: Callable<A>,
    A: Args,
{
    Task::of_inputs(f, args.into_inputs(), Location::caller())
}

impl<F: Callable<A>, A: Args> Task<F, A> {
    pub(crate) fn of_inputs(function: F, inputs: A::Inputs, place: &'static Location<'static>) -> Self {
        Self {
            function,
            inputs,
            name: Cow::Borrowed(F::name()),
            limits: Limits::new(),
            again: None,
            after: Vec::new(),
            in_graph: None,
            member: None,
            result: None,
            place,
            args: PhantomData,
        }
    }

    /// A task of a graph, for one run, which is the series; its inputs are there.
    pub(crate) fn in_series(parts: Parts<F, A>, member: Member, result: Arc<dyn Keep<F::Output>>) -> Self {
        let Parts { function, inputs, limits, again, after, place, .. } = parts;
        let (member, result) = (Some(member), Some(result));
        Self { limits, again, after, member, result, ..Self::of_inputs(function, inputs, place) }
    }

    pub(crate) fn into_parts(self) -> Parts<F, A>
    where
        F::Output: 'static,
    {
        let Self { function, inputs, limits, again, after, in_graph, place, .. } = self;
        let InGraph { cost, after: origins, codec } = in_graph.map(|parts| *parts).unwrap_or_default();
        let codec = codec.and_then(|codec| codec.downcast().ok()).map(|codec| *codec);
        let cost = cost.or_else(|| F::cost().map(Cost::Same));
        Parts { function, inputs, limits: limits.or(F::limits()), again, after, cost, origins, codec, place }
    }

    /// Names the task in errors and reports; its function's name otherwise.
    ///
    /// ```
    /// use xfork::{task, wait};
    /// let failed = task(|| -> u8 { panic!("no") }, ()).name("the first step").fork();
    /// assert_eq!(wait(&failed).unwrap_err().task(), "the first step");
    /// ```
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = name.into();
        self
    }

    /// Lets the task start only after `other` has a value; if `other` fails, the task isn't run.
    ///
    /// ```
    /// use xfork::{task, thread};
    /// let path = std::env::temp_dir().join(format!("xfork-doc-{}", std::process::id()));
    /// let written = thread(|path: std::path::PathBuf| std::fs::write(path, "text").unwrap(), path.clone());
    /// let read = task(xfork::io_bound(std::fs::read_to_string::<std::path::PathBuf>), path.clone());
    /// assert_eq!(read.after(&written).fork().as_ref().unwrap(), "text");
    /// # std::fs::remove_file(path).unwrap();
    /// ```
    ///
    /// Of a task that is added to a [`Graph`](crate::Graph), `other` may also be a node of that graph.
    pub fn after(mut self, other: &impl Predecessor) -> Self {
        let mut nodes = Vec::new();
        other.precede(&mut Before { slots: &mut self.after, nodes: &mut nodes });
        if !nodes.is_empty() {
            self.in_graph.get_or_insert_default().after.append(&mut nodes);
        }
        self
    }

    /// Says what the task costs, for the [schedules](crate::Graph::schedule) of a graph: in any unit that all costs of the
    /// graph have in common, such as seconds, on a worker of speed 1. Forked, it means nothing.
    ///
    /// ```
    /// use xfork::{Graph, Heft, io_bound, task};
    ///
    /// let mut graph = Graph::new();
    /// graph.add("one", task(io_bound(|| 1), ()).cost(3.0))?;
    /// graph.add("two", task(io_bound(|| 2), ()).cost(2.0))?;
    /// assert_eq!(graph.schedule(Heft::new(2))?.makespan(), 3.0);
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    pub fn cost(mut self, cost: f64) -> Self {
        self.in_graph.get_or_insert_default().cost = Some(Cost::Same(cost));
        self
    }

    /// As [`cost`](Self::cost), for workers that are not alike: one cost for each worker of the schedule.
    ///
    /// ```
    /// use xfork::{Graph, Heft, io_bound, task};
    ///
    /// let mut graph = Graph::new();
    /// graph.add("one", task(io_bound(|| 1), ()).cost_on([14.0, 16.0, 9.0]))?;
    /// let plan = graph.schedule(Heft::new(3))?;
    /// assert_eq!(plan.makespan(), 9.0);
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    pub fn cost_on(mut self, costs: impl IntoIterator<Item = f64>) -> Self {
        self.in_graph.get_or_insert_default().cost = Some(Cost::PerWorker(costs.into_iter().collect()));
        self
    }

    /// Sets how long the task may run, counted from when it starts; see [`Limits::timeout`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use xfork::{task, wait};
    ///
    /// let hangs = task(|| std::thread::sleep(Duration::from_secs(3600)), ());
    /// let hangs = hangs.timeout(Duration::from_millis(50)).fork();
    /// assert!(wait(&hangs).unwrap_err().is_timeout());
    /// ```
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limits = self.limits.timeout(limit);
        self
    }

    /// Sets how much processor time the task may use in a worker process; see [`Limits::cpu_time`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use xfork::{task, wait};
    ///
    /// let spins = task(|| loop { std::hint::spin_loop() }, ());
    /// let spins = spins.cpu_time(Duration::from_millis(50)).fork();
    /// assert!(wait::<()>(&spins).unwrap_err().is_timeout());
    /// ```
    pub fn cpu_time(mut self, limit: Duration) -> Self {
        self.limits = self.limits.cpu_time(limit);
        self
    }

    /// Sets how many bytes of memory the task may add to what its worker process has; see [`Limits::memory`].
    ///
    /// ```
    /// use xfork::{task, wait};
    ///
    /// let grows = task(|n: usize| vec![1_u8; n].len(), 1 << 30).memory(64 << 20).fork();
    /// assert!(wait(&grows).unwrap_err().is_out_of_memory());
    /// ```
    pub fn memory(mut self, bytes: u64) -> Self {
        self.limits = self.limits.memory(bytes);
        self
    }

    /// Sets how many more times the task is tried when it fails; see [`Limits::retries`].
    ///
    /// A try on a thread takes clones of the function and its arguments, and comes after a panic of the function only.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU32, Ordering};
    /// use std::time::Duration;
    /// use xfork::{io_bound, task};
    ///
    /// let calls = Arc::new(AtomicU32::new(0));
    /// let third_time_lucky = io_bound(|calls: Arc<AtomicU32>| {
    ///     assert_eq!(calls.fetch_add(1, Ordering::Relaxed), 2, "the network is down");
    ///     "here you are"
    /// });
    /// let page = task(third_time_lucky, calls).retries(5).backoff(Duration::from_millis(1)).fork();
    /// assert_eq!(page, "here you are");
    /// ```
    pub fn retries(mut self, times: u32) -> Self
    where
        F: Clone,
        A: Clone,
    {
        self.limits = self.limits.retries(times);
        self.again = Some(|function, args| (function.clone(), args.clone()));
        self
    }

    /// Sets how long to wait before the first further try; see [`Limits::backoff`].
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use xfork::{io_bound, task, wait};
    ///
    /// let begin = Instant::now();
    /// let broken = task(io_bound(|| -> u8 { panic!("no") }), ()).retries(2).backoff(Duration::from_millis(10));
    /// assert!(wait(&broken.fork()).is_err());
    /// assert!(begin.elapsed() >= Duration::from_millis(10 + 20));
    /// ```
    pub fn backoff(mut self, first: Duration) -> Self {
        self.limits = self.limits.backoff(first);
        self
    }

    /// Sets how urgent the task is; see [`Limits::priority`].
    ///
    /// ```
    /// use xfork::{Plan, Runnable, Runner, task, with_plan};
    /// use std::sync::{Arc, Mutex};
    ///
    /// /// A runner of one's own learns of it, too.
    /// struct Notes(Mutex<Vec<i32>>);
    /// impl Runner for Notes {
    ///     fn run(&self, task: Runnable) {
    ///         self.0.lock().unwrap().push(task.priority());
    ///         task.run();
    ///     }
    /// }
    ///
    /// let notes = Arc::new(Notes(Mutex::default()));
    /// with_plan(Plan::runner(notes.clone()), || {
    ///     assert_eq!(task(|n: u32| n + 1, 1).priority(10).fork(), 2);
    ///     assert_eq!(task(|n: u32| n + 1, 2).fork(), 3);
    /// });
    /// assert_eq!(*notes.0.lock().unwrap(), [10, 0]);
    /// ```
    pub fn priority(mut self, priority: i32) -> Self {
        self.limits = self.limits.priority(priority);
        self
    }

    /// Has the result of a task of a [`Graph`](crate::Graph) be saved with the graph, and taken from there in a later process.
    ///
    /// Those of cpu-bound functions are in any case.
    ///
    /// ```
    /// use xfork::{Graph, io_bound, task};
    ///
    /// let file = std::env::temp_dir().join(format!("xfork-doc-saved-{}", std::process::id()));
    /// let mut graph = Graph::new();
    /// graph.add("one", task(io_bound(|| 1), ()).saved())?;
    /// graph.run()?;
    /// graph.save(&file)?;
    /// graph.reset(["one"])?;
    /// assert_eq!(graph.load(&file)?, 1);
    /// assert_eq!(graph.results().value::<i32>("one")?, &1);
    /// # std::fs::remove_file(file).unwrap();
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    pub fn saved(mut self) -> Self
    where
        F::Output: Portable,
    {
        self.in_graph.get_or_insert_default().codec = Some(Box::new(Codec::<F::Output>::new()));
        self
    }

    /// Sets several limits at once; what they don't say stays as it was.
    ///
    /// ```
    /// use std::time::Duration;
    /// use xfork::{Limits, task};
    ///
    /// const CAREFUL: Limits = Limits::new().timeout(Duration::from_secs(60)).memory(1 << 30).retries(2);
    /// assert_eq!(task(|n: u32| n + 1, 1).limits(CAREFUL).priority(3).fork(), 2);
    /// ```
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits.or(self.limits);
        self
    }

    /// Schedules the task where its function's mark says.
    ///
    /// ```
    /// assert_eq!(xfork::task(|a: u8, b: u8| a * b, (6, 7)).fork(), 42);
    /// ```
    pub fn fork(self) -> ResultProxy<F::Output>
    where
        F::Mark: Route<F, A>,
        F::Output: Send + 'static,
    {
        F::Mark::start(self)
    }

    /// Schedules the task where `M` says, whatever its function's mark.
    pub(crate) fn fork_as<M: Route<F, A>>(self) -> ResultProxy<F::Output>
    where
        F::Output: Send + 'static,
    {
        M::start(self)
    }
}
