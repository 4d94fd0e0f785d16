//! The items of a map into worker processes: they wait together, travel in chunks and end one by one.
//!
//! A batch is open while its map goes on, so the first item starts before the second is made. Owns the items until they are
//! in a chunk (`chunk`), how many fit into one (`pace`), and what an item is for those who look at it or cancel it (`item`).
//! Promises the contract of a task for each item: it starts once, its panic or crash is its own, nothing that is
//! cancelled before it starts ever does. Leaves out maps with limits, in a scope that can be cancelled, or to runners that
//! take one task at a time: there each item is a task.

mod chunk;
mod item;
mod pace;

use crate::args::{Inputs, IntoArgs, Portable, PortableArgs};
use crate::cache;
use crate::callable::{Callable, Cpu};
use crate::core::batch::{Batched, Next, Source};
use crate::core::cancel::{self, Unwanted};
use crate::core::error::{Kind, TaskError};
use crate::core::group;
use crate::core::limits::Limits;
use crate::core::runner::Runnable;
use crate::core::seed;
use crate::core::slot::Slot;
use crate::core::task::{self, Body, Fork, TaskCore, Unusual};
use crate::ground::registry::{self, Entry, Invocation, InvocationError};
use crate::ground::wire::parcel::Parcel;
use crate::plan;
use crate::proxy::ResultProxy;
use crate::task::{Route, Task, drop_quietly, drop_slot, finish_with};
use chunk::Chunk;
use item::ItemTask;
use pace::Pace;
use parking_lot::Mutex;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::{Arc, Weak};

/// How often whoever makes the items looks after those on their way.
const TENDED: usize = 64;

/// The items of one map.
pub(crate) struct Batch<F: Callable<A>, A: PortableArgs> {
    me: Weak<Self>,
    /// Stands for the map itself, as long as it makes items.
    core: TaskCore,
    state: Mutex<State<F, A>>,
}

struct State<F: Callable<A>, A: PortableArgs> {
    /// Those that are in no chunk, in order.
    waiting: VecDeque<Item<F, A>>,
    /// The runner has the batch, and will ask for chunks.
    is_submitted: bool,
    under_way: Vec<Weak<Chunk<F, A>>>,
    /// How many chunks are just giving items back, which are in no place then.
    in_transit: usize,
    pace: Pace,
}

struct Item<F: Callable<A>, A> {
    /// Its place among the forks of the same place.
    index: u32,
    /// Until it cannot be sent again.
    args: Option<A>,
    /// Until its outcome is decided.
    slot: Option<Arc<Slot<F::Output>>>,
}

impl<F: Callable<A>, A: PortableArgs> State<F, A> {
    /// Where an item waits.
    fn find(&self, index: u32) -> Option<usize> {
        self.waiting.binary_search_by_key(&index, |item| item.index).ok()
    }
}

/// Forks the function for each item: in chunks where that makes no difference, or each by itself.
pub(crate) fn map<F, A, Form, I>(
    function: F,
    items: I,
    place: &'static Location<'static>,
) -> Vec<ResultProxy<F::Output>>
where
    F: Callable<A> + Copy + Send + 'static,
    A: PortableArgs + 'static,
    A::Inputs: Send,
    F::Output: Portable,
    I: IntoIterator,
    I::Item: IntoArgs<A, Form>,
{
    // Refuses function pointers and captures at compile time.
    let _ = registry::conjure::<F>;
    cache::prepare::<F, A>();
    let items = items.into_iter();
    let mut proxies = Vec::with_capacity(items.size_hint().0.min(1 << 16));
    let mut open: Option<Open<F, A>> = None;
    let is_usual = is_usual::<F, A>();
    for item in items {
        let inputs = item.into_inputs();
        let values = if is_usual { inputs.values() } else { Err(inputs) };
        let args = match values {
            Ok(args) => args,
            Err(inputs) => {
                proxies.push(Cpu::start(Task::of_inputs(function, inputs, place)));
                continue;
            }
        };
        let (open, index) = match &open {
            Some(known) => (known, known.0.core.index_of(seed::fork_position())),
            None => {
                let new = open.insert(Open(Batch::new(place)));
                (&*new, new.0.core.own_index())
            }
        };
        proxies.push(match index {
            Some(index) => open.0.push(index, args),
            // The program has chosen another seed meanwhile.
            None => Cpu::start(Task::of_inputs(function, Inputs::of_values(args), place)),
        });
    }
    proxies
}

/// Whether items forked here and now need nothing that only a task by itself can have.
fn is_usual<F: Callable<A>, A>() -> bool {
    group::current().is_none()
        && plan::with_runners(|runners| {
            F::limits().or(runners.limits) == Limits::new() && runners.cpu.takes_batches()
        })
}

/// A batch whose map goes on.
struct Open<F: Callable<A> + 'static, A: PortableArgs + 'static>(Arc<Batch<F, A>>);

impl<F: Callable<A> + 'static, A: PortableArgs + 'static> Drop for Open<F, A> {
    fn drop(&mut self) {
        task::leave(&self.0.core, 1);
    }
}

impl<F, A> Batch<F, A>
where
    F: Callable<A> + Copy + Send + 'static,
    A: PortableArgs + 'static,
    F::Output: Portable,
{
    fn new(place: &'static Location<'static>) -> Arc<Self> {
        let core = plan::with_runners(|runners| {
            TaskCore::new(Fork {
                name: Cow::Borrowed(F::name()),
                place,
                runner: &runners.cpu,
                limits: Limits::new(),
                unusual: Unusual::default(),
                member: None,
            })
        });
        let state = State {
            waiting: VecDeque::new(),
            is_submitted: false,
            under_way: Vec::new(),
            in_transit: 0,
            pace: Pace::new(),
        };
        Arc::new_cyclic(|me| Self { me: me.clone(), core, state: Mutex::new(state) })
    }

    fn arc(&self) -> Arc<Self> {
        self.me.upgrade().expect("whoever calls it has one")
    }

    fn push(self: &Arc<Self>, index: u32, args: A) -> ResultProxy<F::Output> {
        let reader = Slot::of_item(self.core.about().clone(), self.clone(), index);
        self.core.enter_sibling();
        let item = Item { index, args: Some(args), slot: Some(reader.cell().clone()) };
        let (is_new, count) = {
            let mut state = self.state.lock();
            state.waiting.push_back(item);
            (!std::mem::replace(&mut state.is_submitted, true), state.waiting.len())
        };
        if is_new {
            self.submit();
        } else if count % TENDED == 0 {
            self.core.runner().tend();
        }
        if cancel::is_interrupted() {
            self.end_waiting(&|| self.interrupted());
        }
        ResultProxy::new(reader)
    }

    fn submit(&self) {
        if cancel::is_interrupted() {
            self.fail_waiting(&|| self.interrupted());
        } else {
            self.core.runner().clone().run(Runnable(Some(self.arc())));
        }
    }

    fn interrupted(&self) -> TaskError {
        self.error(Kind::Cancelled { why: Unwanted::Interrupt, goes_on: false })
    }

    /// Ends what is in no chunk; says how many items that were.
    fn end_waiting(&self, error: &dyn Fn() -> TaskError) -> usize {
        let items = std::mem::take(&mut self.state.lock().waiting);
        let mut count = 0;
        for item in items {
            drop_quietly(item.args);
            if let Some(slot) = item.slot {
                count += 1;
                self.settle(slot, Err(error()));
            }
        }
        count
    }

    fn error(&self, kind: Kind) -> TaskError {
        TaskError::new(self.core.name(), None, kind)
    }

    /// A chunk has no place any more among those under way.
    fn is_over(&self, chunk: &Chunk<F, A>) {
        self.state.lock().under_way.retain(|other| !std::ptr::eq(other.as_ptr(), chunk));
    }

    /// A chunk is about to take out items, to give them [back](Self::take_back).
    fn expect_back(&self) {
        self.state.lock().in_transit += 1;
    }

    /// Takes items back that have not started; true if the batch is to be submitted for them.
    fn take_back(&self, items: Vec<Item<F, A>>) -> bool {
        let mut state = self.state.lock();
        state.in_transit -= 1;
        if items.is_empty() {
            return false;
        }
        let waiting = &mut state.waiting;
        items.into_iter().rev().for_each(|item| waiting.push_front(item));
        // What another chunk has given back is older than this only rarely.
        if !waiting.iter().is_sorted_by_key(|item| item.index) {
            waiting.make_contiguous().sort_by_key(|item| item.index);
        }
        !std::mem::replace(&mut state.is_submitted, true)
    }

    /// Decides the outcome of an item.
    fn settle(&self, slot: Arc<Slot<F::Output>>, outcome: Result<F::Output, TaskError>) {
        let outcome = outcome.map_err(|error| error.forked(self.core.fork_place()));
        if let Err(error) = &outcome
            && !error.is_cancelled()
        {
            error.remember();
        }
        slot.fulfil(outcome);
        drop_slot(slot);
        task::leave(&self.core, 1);
    }
}

impl<F, A> Batched for Batch<F, A>
where
    F: Callable<A> + Copy + Send + 'static,
    A: PortableArgs + 'static,
    F::Output: Portable,
{
    fn item(self: Arc<Self>, index: u32) -> Arc<dyn Body> {
        let is_waiting = self.state.lock().find(index).is_some();
        Arc::new(ItemTask::new(self, index, is_waiting))
    }
}

impl<F, A> Source for Batch<F, A>
where
    F: Callable<A> + Copy + Send + 'static,
    A: PortableArgs + 'static,
    F::Output: Portable,
{
    fn next(&self, workers: usize) -> Next {
        let mut state = self.state.lock();
        if state.waiting.is_empty() || cancel::is_interrupted() {
            state.is_submitted = false;
            return Next::Nothing;
        }
        // One that runs, and one that is there when it ends.
        if state.under_way.len() >= 2 * workers {
            return Next::Later;
        }
        let share = state.waiting.len().div_ceil(workers);
        let count = state.pace.items().min(share);
        let items: Vec<_> = state.waiting.drain(..count).collect();
        let chunk = Arc::new(Chunk::new(self.arc(), items));
        state.under_way.push(Arc::downgrade(&chunk));
        Next::Chunk(chunk)
    }

    fn fail_waiting(&self, error: &dyn Fn() -> TaskError) -> usize {
        self.state.lock().is_submitted = false;
        self.end_waiting(error)
    }
}

/// What waits for the pool, as one of its tasks.
impl<F, A> Body for Batch<F, A>
where
    F: Callable<A> + Copy + Send + 'static,
    A: PortableArgs + 'static,
    F::Output: Portable,
{
    fn core(&self) -> &TaskCore {
        &self.core
    }
    fn run(self: Arc<Self>) {
        unreachable!("only a pool of processes takes batches, and it gives none back");
    }
    fn fail(self: Arc<Self>, error: TaskError) {
        self.fail_waiting(&|| error.clone());
    }
    fn complete(self: Arc<Self>, _result: Parcel) {
        unreachable!("its chunks run, not the batch");
    }
    fn deliver(&self) {}
    fn source(&self) -> Option<&dyn Source> {
        Some(self)
    }
}

/// The trampoline of a chunk: what a worker runs when it gets one of this function.
struct RunEach<F, A>(PhantomData<fn(F, A)>);

impl<F, A> Entry for RunEach<F, A>
where
    F: Callable<A> + Copy + Send + 'static,
    A: PortableArgs + 'static,
    F::Output: Portable,
{
    fn invoke(call: &mut dyn Invocation) {
        call.each(&mut |mut arguments, finish| match A::decode(&mut arguments) {
            Ok(args) => finish_with(registry::conjure::<F>().call(args), finish),
            Err(reason) => finish(Err(InvocationError::Decode(reason))),
        });
    }
}
