//! A task that a task in some worker forked, on its way through the program to another worker.

use super::pool::{Link, Shared};
use crate::core::error::{TaskError, WireError};
use crate::core::output::Part;
use crate::core::task::{Body, Remote, TaskCore};
use crate::ground::registry::EntryId;
use crate::ground::wire::codec;
use crate::ground::wire::message::ToWorker;
use crate::ground::wire::parcel::Parcel;
use parking_lot::Mutex;
use std::sync::{Arc, Weak};

/// Passes encoded arguments on, and the encoded result back to the worker that asked.
pub(super) struct Relay {
    pub(super) core: TaskCore,
    pub(super) entry: EntryId,
    pub(super) args: Mutex<Parcel>,
    pub(super) origin: Weak<Link>,
    /// The task's number in the worker that it comes from.
    pub(super) id: u64,
    pub(super) shared: Weak<Shared>,
}

impl Relay {
    fn answer(&self, message: &ToWorker<'_>) {
        if let (Some(origin), Some(shared)) = (self.origin.upgrade(), self.shared.upgrade()) {
            let mut bytes = Vec::new();
            message.write(&mut bytes);
            shared.post(&origin, bytes);
        }
    }
}

impl Body for Relay {
    fn core(&self) -> &TaskCore {
        &self.core
    }
    fn run(self: Arc<Self>) {
        unreachable!("the pool gives nothing back to be run in the program");
    }
    fn fail(self: Arc<Self>, error: TaskError) {
        let mut bytes = Vec::new();
        match codec::encode(&WireError::from(&error), &mut bytes) {
            Ok(()) => self.answer(&ToWorker::ChildFailed { id: self.id, error: &bytes }),
            Err(_) => self.answer(&ToWorker::ChildFailed { id: self.id, error: b"" }),
        }
    }
    fn complete(self: Arc<Self>, result: Parcel) {
        if let (Some(origin), Some(shared)) = (self.origin.upgrade(), self.shared.upgrade()) {
            let message = result.framed(|result, out| ToWorker::ChildDone { id: self.id, result }.write(out));
            shared.send_parcel(&origin, message);
        }
    }
    fn printed(&self, part: Part) {
        let Part { stream, left_out, text } = part;
        let stream = stream.number().unsigned_abs();
        self.answer(&ToWorker::ChildText { id: self.id, stream, left_out, text: &text });
    }
    fn deliver(&self) {}
    fn remote(&self) -> Option<&dyn Remote> {
        Some(self)
    }
}

impl Remote for Relay {
    fn entry(&self) -> Option<EntryId> {
        Some(self.entry)
    }
    fn encode(&self, out: &mut Parcel) -> Result<(), TaskError> {
        out.append(&self.args.lock());
        Ok(())
    }
    fn release(&self) {
        // Dropped without the lock: this may be the last holder of shared memory.
        let args = std::mem::take(&mut *self.args.lock());
        drop(args);
    }
}
