//! A chunk while it runs in a worker: its items one after the other, until all have run or the rest is given back.
//!
//! Promises: an item starts only after the outcome of the one before has been written, so that the program knows, whenever
//! this process dies, which one was running; items that were given back never start.

use super::Local;
use super::borrowed::{weight, write_with};
use super::served::{Served, encoded, kind_of, write_unseen};
use crate::core::context;
use crate::core::error::{Kind, TaskError, panic_error};
use crate::core::seed::Position;
use crate::core::slot::{AnySlot, Slot};
use crate::core::task::{self, Body, TaskCore};
use crate::core::wait::wait;
use crate::ground::panics;
use crate::ground::registry;
use crate::ground::wire::chunk::Items;
use crate::ground::wire::letter::Letter;
use crate::ground::wire::message::FromWorker;
use crate::ground::wire::parcel::Parcel;
use parking_lot::Mutex;
use std::borrow::Cow;
use std::cell::Cell;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Which items of a chunk are still to be started: in the upper half the next one, in the lower the end.
pub(super) struct Division(AtomicU64);

impl Division {
    /// That of a chunk of which nothing has started.
    pub(super) fn of(args: &Parcel) -> Self {
        Self(AtomicU64::new(Items::count(args).into()))
    }

    fn change(&self, new: impl Fn(u64, u64) -> Option<(u64, u64)>) -> Option<u64> {
        // AcqRel says more than is needed: the number itself is all that the two sides share.
        let old = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |both| {
            let (next, end) = new(both >> 32, both & u64::from(u32::MAX))?;
            Some(next << 32 | end)
        });
        old.ok().map(|both| both >> 32)
    }

    /// The item to be started now.
    fn start(&self) -> Option<usize> {
        self.change(|next, end| (next < end).then_some((next + 1, end))).map(|next| next as usize)
    }

    /// Gives back what has not started, and says from which place on.
    pub(super) fn divide(&self) -> u32 {
        self.change(|next, _| Some((next, next))).expect("it can always be changed so") as u32
    }
}

impl Local {
    /// Gives back what has not started of a chunk.
    pub(super) fn divide(&self, id: u64) {
        let mut state = self.state.lock();
        let waiting = state.inbox.iter().position(|incoming| incoming.id == id);
        let answer = if let Some(at) = waiting {
            state.inbox.remove(at);
            Some(FromWorker::Returned { id })
        } else {
            let found = state.dividing.iter().find(|(chunk, _)| *chunk == id);
            found.map(|(_, division)| FromWorker::Divided { id, from: division.divide() })
        };
        let mut bytes = Vec::new();
        // Who has nothing to give back says something, too: silence means that the worker is stopped.
        answer.unwrap_or(FromWorker::Knock).write(&mut bytes);
        // The end of the chunk must not overtake this: it is written by whoever has had the state after this.
        let mut writing = self.writing.lock();
        drop(state);
        self.write_holding(&mut writing, &bytes);
    }
}

impl Served {
    /// Runs the items, and says how many nanoseconds that took.
    pub(super) fn run_items(
        &self,
        items: &mut Items<'_>,
        division: &Division,
        run: &mut registry::Item<'_>,
    ) -> Parcel {
        let first = Position { branch: items.branch, index: items.first };
        let name = Cow::Owned(self.core.name().to_string());
        let common = TaskCore::served_items(name, self.local.clone(), first);
        let limit = self.local.state.lock().max_message;
        let begin = Instant::now();
        while let Some(at) = division.start().filter(|&at| at < items.len()) {
            let item = Arc::new(Item {
                core: common.sibling(items.place(at)),
                local: self.local.clone(),
                chunk: self.id,
                limit,
                outcome: Mutex::new(None),
                over: Mutex::new(None),
            });
            let arguments = items.reader(at);
            let mut has_ended = false;
            let _context = context::enter_task(item.clone());
            let caught = panics::catch(|| {
                run(arguments, &mut |outcome| {
                    has_ended = true;
                    item.end(outcome.map_err(|error| item.error(kind_of(error))));
                });
            });
            // After the outcome is known, what a destructor does wrong concerns nobody.
            if let (Err(caught), false) = (caught, has_ended) {
                item.end(Err(panic_error(item.core.name(), caught)));
            }
        }
        let nanos = u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Parcel::new(nanos.to_le_bytes().to_vec(), Vec::new())
    }
}

/// One item of a chunk while it runs here.
struct Item {
    core: TaskCore,
    local: Arc<Local>,
    chunk: u64,
    /// How many bytes its result may have.
    limit: u64,
    outcome: Mutex<Option<Result<Parcel, TaskError>>>,
    /// Filled when it is delivered, if that takes longer than its function.
    over: Mutex<Option<Arc<Slot<()>>>>,
}

thread_local! {
    /// For the next message.
    static BYTES: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Item {
    fn error(&self, kind: Kind) -> TaskError {
        TaskError::new(self.core.name(), context::worker_pid(), kind)
    }

    /// Ends the item in the thread that runs it, and returns when all that it forked has ended, too.
    fn end(self: &Arc<Self>, outcome: Result<Parcel, TaskError>) {
        // Before any lock, which another thread may have held when the copy was made.
        self.local.end_if_copy();
        *self.outcome.lock() = Some(outcome);
        // What it printed is seen before its result is.
        let _ = std::io::stdout().flush();
        if self.core.has_no_forks() {
            return task::finished(&**self);
        }
        let over = Slot::<()>::pending();
        *self.over.lock() = Some(over.cell().clone());
        task::finished(&**self);
        let over: Arc<dyn AnySlot> = over.cell().clone();
        let _ = wait(&over, None);
    }
}

impl Body for Item {
    fn core(&self) -> &TaskCore {
        &self.core
    }
    fn run(self: Arc<Self>) {
        unreachable!("an item is run where it arrives");
    }
    fn fail(self: Arc<Self>, error: TaskError) {
        self.end(Err(error));
    }
    fn complete(self: Arc<Self>, result: Parcel) {
        self.end(Ok(result));
    }
    fn deliver(&self) {
        let outcome = self.outcome.lock().take().expect("delivered once, after its end");
        let mut letter = Letter::default();
        letter.bytes = BYTES.take();
        write_unseen(&mut letter.bytes);
        let outcome = outcome.and_then(|result| match weight(&result) {
            size if size > self.limit => {
                let what = Cow::Borrowed("result");
                Err(self.error(Kind::TooLarge { what, bytes: size, limit: self.limit }))
            }
            _ => Ok(result),
        });
        match &outcome {
            Ok(result) => write_with(result, &mut letter, |result, out| {
                FromWorker::Item { id: self.chunk, result }.write(out);
            }),
            Err(failure) => {
                FromWorker::ItemFailed { id: self.chunk, error: &encoded(failure) }.write(&mut letter.bytes);
            }
        }
        self.local.write_item(&mut letter);
        let mut bytes = letter.bytes;
        if bytes.capacity() <= 1 << 16 {
            bytes.clear();
            BYTES.set(bytes);
        }
        // Not before: that this was the last holder of something lent is said after the result.
        drop(outcome);
        if let Some(over) = self.over.lock().take() {
            over.fulfil(Ok(()));
            self.local.changed.notify_all();
        }
    }
    fn served_as(&self) -> Option<u64> {
        Some(self.chunk)
    }
}
