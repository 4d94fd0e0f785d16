//! Items that travel as one task of the pool.
//!
//! Owns which of them have ended, in order: the pool accounts for each before it hears anything else of the chunk. Promises
//! that each item is settled once, by its outcome, with its worker, or by whoever gives it up; what a worker has not
//! started goes back to the batch.

use super::{Batch, Item, RunEach, pace};
use crate::args::{EncodeError, Portable, PortableArgs};
use crate::callable::Callable;
use crate::core::batch::{self, OutOfTurn, Outcomes};
use crate::core::context;
use crate::core::error::{Kind, TaskError, panic_error};
use crate::core::slot::Slot;
use crate::core::task::{self, Body, Remote, TaskCore};
use crate::ground::panics;
use crate::ground::registry::{self, EntryId};
use crate::ground::wire::chunk::Writer;
use crate::ground::wire::codec;
use crate::ground::wire::parcel::Parcel;
use crate::task::{decode, drop_quietly, drop_slot};
use parking_lot::Mutex;
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(super) struct Chunk<F: Callable<A>, A: PortableArgs> {
    core: TaskCore,
    batch: Arc<Batch<F, A>>,
    run: Mutex<Run<F, A>>,
    /// How often it has begun to be sent.
    sendings: AtomicU64,
}

struct Run<F: Callable<A>, A> {
    items: Vec<Item<F, A>>,
    /// The first that has not ended.
    next: usize,
    /// Behind the last that the worker has.
    end: usize,
    bytes: u64,
    is_over: bool,
    /// How many items were given up while they were here.
    given_up: usize,
    /// The worker has been asked to give back what it has not started.
    is_dividing: bool,
    /// The batch has got items back, and is to be submitted for them.
    has_overflown: bool,
}

impl<F: Callable<A>, A: PortableArgs> Chunk<F, A> {
    pub(super) fn new(batch: Arc<Batch<F, A>>, items: Vec<Item<F, A>>) -> Self {
        let core = batch.core.sibling(items[0].index);
        let run = Run {
            next: 0,
            end: items.len(),
            items,
            bytes: 0,
            is_over: false,
            given_up: 0,
            is_dividing: false,
            has_overflown: false,
        };
        Self { core, batch, run: Mutex::new(run), sendings: AtomicU64::new(0) }
    }

    /// Takes the slot of an item that nobody wants any more, unless it has ended, or is in another chunk.
    pub(super) fn give_up(&self, index: u32) -> Option<Arc<Slot<F::Output>>> {
        let mut run = self.run.lock();
        let open = run.open();
        let slot = run.items[open].iter_mut().find(|item| item.index == index)?.slot.take();
        run.given_up += usize::from(slot.is_some());
        slot
    }

    /// Whether to ask now that the rest be given back: once.
    pub(super) fn is_to_be_divided(&self) -> bool {
        let mut run = self.run.lock();
        !run.is_over && !std::mem::replace(&mut run.is_dividing, true)
    }
}

impl<F: Callable<A>, A> Run<F, A> {
    fn open(&self) -> std::ops::Range<usize> {
        if self.is_over { 0..0 } else { self.next..self.end }
    }

    /// Takes out the items from this place on.
    fn split_off(&mut self, from: usize) -> Vec<Item<F, A>> {
        let to = self.end;
        self.end = from;
        self.items.drain(from..to).collect()
    }
}

impl<F: Callable<A>, A: PortableArgs> Drop for Chunk<F, A> {
    fn drop(&mut self) {
        drop_quietly(std::mem::take(&mut self.run.get_mut().items));
    }
}

impl<F, A> Chunk<F, A>
where
    F: Callable<A> + Copy + Send + 'static,
    A: PortableArgs + 'static,
    F::Output: Portable,
{
    /// The chunk ends without its worker's word: what has not started goes back, the others end with this error.
    fn end(&self, error: &TaskError, unstarted: impl FnOnce(&mut Run<F, A>) -> Vec<Item<F, A>>) {
        self.batch.expect_back();
        let (lost, unstarted) = {
            let mut run = self.run.lock();
            if run.is_over {
                self.batch.take_back(Vec::new());
                return;
            }
            let unstarted = unstarted(&mut run);
            let open = run.open();
            let lost: Vec<_> = run.items[open].iter_mut().filter_map(|item| item.slot.take()).collect();
            run.is_over = true;
            (lost, unstarted)
        };
        lost.into_iter().for_each(|slot| self.batch.settle(slot, Err(error.clone())));
        self.batch.is_over(self);
        let (unstarted, unwanted): (Vec<_>, Vec<_>) =
            unstarted.into_iter().partition(|item| item.slot.is_some());
        drop_quietly(unwanted);
        if self.batch.take_back(unstarted) {
            self.batch.submit();
        } else {
            self.core.runner().stir();
        }
    }

    fn cannot_encode(&self, error: EncodeError) -> TaskError {
        match error {
            EncodeError::Input(error) => error,
            EncodeError::Codec { reason, type_name } => {
                let reason = format!("{type_name}: {reason}");
                self.batch.error(Kind::Encode { what: Cow::Borrowed("arguments"), reason })
            }
        }
    }
}

impl<F, A> batch::Chunk for Chunk<F, A>
where
    F: Callable<A> + Copy + Send + 'static,
    A: PortableArgs + 'static,
    F::Output: Portable,
{
    fn open(&self) -> usize {
        self.run.lock().open().len()
    }

    fn item_ended(&self) -> Result<Option<usize>, OutOfTurn> {
        let mut run = self.run.lock();
        if run.is_over {
            return Ok(None);
        }
        let next = run.open().next().ok_or(OutOfTurn("the end of an item that it does not have"))?;
        run.next += 1;
        Ok(Some(next))
    }

    fn deliver(&self, first: usize, outcomes: Outcomes) {
        let count = match &outcomes {
            Outcomes::Values { ends, .. } => ends.len(),
            Outcomes::One(_) => 1,
        };
        let mut given = Vec::with_capacity(count);
        {
            let mut run = self.run.lock();
            let items = run.items[first..first + count].iter_mut();
            given.extend(items.map(|item| (item.slot.take(), item.args.take())));
        }
        match outcomes {
            Outcomes::One(outcome) => {
                for (slot, args) in given {
                    drop_quietly(args);
                    let Some(slot) = slot else { continue };
                    match outcome {
                        Ok(parcel) => {
                            slot.fulfil_encoded(Arc::new(parcel), decode::<F, A>);
                            drop_slot(slot);
                            task::leave(&self.batch.core, 1);
                        }
                        Err(error) => self.batch.settle(slot, Err(error)),
                    }
                    return;
                }
            }
            Outcomes::Values { bytes, ends } => {
                // Decoding takes no longer than keeping the bytes.
                let is_number = codec::is_number::<F::Output>();
                let (mut begin, mut count) = (0, 0);
                for ((slot, args), end) in given.into_iter().zip(ends) {
                    drop_quietly(args);
                    let value = &bytes[begin..end];
                    begin = end;
                    let Some(slot) = slot else { continue };
                    match is_number.then(|| codec::decode(&mut &value[..])) {
                        Some(Ok(number)) => slot.fulfil(Ok(number)),
                        _ => {
                            let parcel = Parcel::new(value.to_vec(), Vec::new());
                            slot.fulfil_encoded(Arc::new(parcel), decode::<F, A>);
                        }
                    }
                    drop_slot(slot);
                    count += 1;
                }
                if count > 0 {
                    task::leave(&self.batch.core, count);
                }
            }
        }
    }

    fn ended(&self, nanos: u64) -> Result<(), OutOfTurn> {
        let (items, bytes) = {
            let mut run = self.run.lock();
            if run.is_over {
                return Ok(());
            }
            if !run.open().is_empty() {
                return Err(OutOfTurn("the end of a chunk before that of its items"));
            }
            run.is_over = true;
            (run.next, run.bytes)
        };
        self.batch.is_over(self);
        self.batch.state.lock().pace.note(items, nanos, bytes);
        Ok(())
    }

    fn divided(&self, from: usize) -> Result<Option<Arc<dyn Body>>, OutOfTurn> {
        let back = {
            let mut run = self.run.lock();
            if run.is_over {
                return Ok(None);
            }
            if from < run.next || from > run.end {
                return Err(OutOfTurn("the return of an item that it does not have"));
            }
            self.batch.expect_back();
            let mut back = run.split_off(from);
            // Those that nobody wants are dropped with the chunk: what the user's code does then must not happen here.
            let wanted: Vec<_> = back.extract_if(.., |item| item.slot.is_some()).collect();
            run.items.extend(back);
            wanted
        };
        Ok(self.batch.take_back(back).then(|| self.batch.arc() as Arc<dyn Body>))
    }

    fn is_unwanted(&self) -> bool {
        let run = self.run.lock();
        let open = run.open();
        run.given_up > 0 && !open.is_empty() && run.items[open].iter().all(|item| item.slot.is_none())
    }

    fn has_unwanted(&self) -> bool {
        let run = self.run.lock();
        run.given_up > 0 && run.items[run.open()].iter().any(|item| item.slot.is_none())
    }

    fn begin_sending(&self) -> u64 {
        self.sendings.fetch_add(1, Ordering::AcqRel) + 1
    }

    fn encode(&self, sending: u64, out: &mut Parcel) {
        let first = self.batch.core.first_position().expect("its seed follows from its place");
        let mut failed = Vec::new();
        let mut back = Vec::new();
        {
            let _for_a_task = context::for_a_task();
            self.batch.expect_back();
            let mut run = self.run.lock();
            let mut writer = Writer::begin(first.branch, first.index, out);
            // Whoever was to send it to a worker that has died meanwhile may come too late: the items have begun elsewhere.
            let is_current = self.sendings.load(Ordering::Acquire) == sending;
            if is_current {
                run.is_dividing = false;
            }
            let mut at = 0;
            while is_current && at < run.end {
                let before = writer.mark();
                let item = &run.items[at];
                let written = match &item.args {
                    Some(args) if item.slot.is_some() => {
                        Some(panics::catch(|| writer.put(item.index, |out| args.encode_values(out))))
                    }
                    _ => None,
                };
                let error = match written {
                    Some(Ok(Ok(()))) if at > 0 && writer.size() > pace::BYTES => {
                        writer.take_back(before);
                        back = run.split_off(at);
                        break;
                    }
                    Some(Ok(Ok(()))) => {
                        at += 1;
                        continue;
                    }
                    Some(Ok(Err(error))) => Some(self.cannot_encode(error)),
                    Some(Err(caught)) => {
                        writer.take_back(before);
                        Some(panic_error(self.core.name(), caught))
                    }
                    None => None,
                };
                failed.push((run.items.remove(at), error));
                run.end -= 1;
            }
            if is_current {
                run.bytes = writer.size();
            }
            writer.finish();
            run.has_overflown |= self.batch.take_back(back);
        }
        for (item, error) in failed {
            drop_quietly(item.args);
            if let (Some(slot), Some(error)) = (item.slot, error) {
                self.batch.settle(slot, Err(error));
            }
        }
    }

    fn overflow(&self) -> Option<Arc<dyn Body>> {
        std::mem::take(&mut self.run.lock().has_overflown).then(|| self.batch.arc() as Arc<dyn Body>)
    }

    fn crashed(&self, error: TaskError) {
        self.end(&error, |run| {
            let from = (run.next + 1).min(run.end);
            run.split_off(from)
        });
    }
}

impl<F, A> Body for Chunk<F, A>
where
    F: Callable<A> + Copy + Send + 'static,
    A: PortableArgs + 'static,
    F::Output: Portable,
{
    fn core(&self) -> &TaskCore {
        &self.core
    }
    fn run(self: Arc<Self>) {
        unreachable!("its runner gives nothing back");
    }
    fn fail(self: Arc<Self>, error: TaskError) {
        self.end(&error, |_| Vec::new());
    }
    fn complete(self: Arc<Self>, _result: Parcel) {
        // Its items have been accounted for.
    }
    fn deliver(&self) {}
    fn remote(&self) -> Option<&dyn Remote> {
        Some(self)
    }
    fn chunk(&self) -> Option<&dyn batch::Chunk> {
        Some(self)
    }
}

impl<F, A> Remote for Chunk<F, A>
where
    F: Callable<A> + Copy + Send + 'static,
    A: PortableArgs + 'static,
    F::Output: Portable,
{
    fn entry(&self) -> Option<EntryId> {
        registry::entry_of::<RunEach<F, A>>()
    }

    fn encode(&self, _: &mut Parcel) -> Result<(), TaskError> {
        unreachable!("a chunk is encoded for one sending")
    }

    fn release(&self) {
        // If its worker dies, those that have not started are sent again.
        let mut run = self.run.lock();
        if run.items.len() == 1 {
            let args = run.items[0].args.take();
            drop(run);
            drop_quietly(args);
        }
    }
}
