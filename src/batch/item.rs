//! One item of a batch, as those know it who look at its result before it is there, or don't want it any more.

use super::{Batch, Item};
use crate::args::{Portable, PortableArgs};
use crate::callable::Callable;
use crate::core::batch::Chunk as _;
use crate::core::error::TaskError;
use crate::core::runner::Ending;
use crate::core::task::{Body, TaskCore};
use crate::ground::wire::parcel::Parcel;
use crate::task::drop_quietly;
use parking_lot::Mutex;
use std::sync::{Arc, Weak};

/// Made anew for everybody who asks: what is to be known of the item stands in the batch.
pub(super) struct ItemTask<F: Callable<A>, A: PortableArgs> {
    core: TaskCore,
    batch: Arc<Batch<F, A>>,
    index: u32,
    /// The item itself, as soon as it is only here.
    claimed: Mutex<Option<Item<F, A>>>,
}

impl<F: Callable<A>, A: PortableArgs> ItemTask<F, A> {
    pub(super) fn new(batch: Arc<Batch<F, A>>, index: u32, is_waiting: bool) -> Self {
        let core = if is_waiting { batch.core.queued_sibling(index) } else { batch.core.sibling(index) };
        Self { core, batch, index, claimed: Mutex::new(None) }
    }
}

impl<F, A> ItemTask<F, A>
where
    F: Callable<A> + Copy + Send + 'static,
    A: PortableArgs + 'static,
    F::Output: Portable,
{
    fn settle_claimed(&self, error: TaskError) {
        let Some(item) = self.claimed.lock().take() else { return };
        drop_quietly(item.args);
        if let Some(slot) = item.slot {
            self.batch.settle(slot, Err(error));
        }
    }
}

impl<F, A> Body for ItemTask<F, A>
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
        self.settle_claimed(error);
    }
    fn complete(self: Arc<Self>, _result: Parcel) {
        unreachable!("its chunk has the result");
    }
    fn deliver(&self) {}

    fn claim_unstarted(&self) -> bool {
        let mut state = self.batch.state.lock();
        let item = state.find(self.index).and_then(|at| state.waiting.remove(at));
        let is_ours = item.is_some();
        *self.claimed.lock() = item;
        is_ours
    }

    /// Its outcome is decided now. The chunk that it is in ends without it; if the item is running, its worker is ended as soon as
    /// nothing else can be running there.
    fn end_started(&self, ending: &Ending<'_>) -> Option<bool> {
        let (slot, chunk) = loop {
            let (under_way, is_in_transit) = {
                let state = self.batch.state.lock();
                (state.under_way.clone(), state.in_transit > 0)
            };
            let chunks = under_way.iter().filter_map(Weak::upgrade);
            let found = chunks.filter_map(|chunk| Some((chunk.give_up(self.index)?, chunk))).next();
            if let Some(found) = found {
                break found;
            }
            // It may have come back meanwhile, or be about to.
            if self.claim_unstarted() {
                self.settle_claimed(ending.error.clone());
                return Some(true);
            }
            if !is_in_transit {
                return Some(false);
            }
            std::thread::yield_now();
        };
        self.batch.settle(slot, Err(ending.error.clone()));
        let runner = self.core.runner();
        if chunk.is_unwanted() {
            let chunk: Arc<dyn Body> = chunk;
            runner.end(&Ending { task: &chunk, error: ending.error.clone() });
        } else if chunk.is_to_be_divided() {
            runner.divide(chunk.core().ticket());
        }
        Some(true)
    }
}
