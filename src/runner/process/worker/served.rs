//! A task of the program while it runs in a worker, and one call of its trampoline.

use super::Local;
use super::borrowed::{weight, write_with};
use super::chunk::Division;
use super::execute::is_executor;
use super::line::Next;
use super::record::{self, Owner};
use crate::core::context;
use crate::core::error::{Kind, TaskError, WireError};
use crate::core::output;
use crate::core::task::{self, Body, TaskCore};
use crate::core::unseen;
use crate::ground::registry::{self, Invocation, InvocationError};
use crate::ground::wire::chunk::Items;
use crate::ground::wire::codec;
use crate::ground::wire::letter::Letter;
use crate::ground::wire::message::FromWorker;
use crate::ground::wire::parcel::Parcel;
use parking_lot::Mutex;
use std::borrow::Cow;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

/// A task of the program while it runs here.
pub(super) struct Served {
    pub(super) core: TaskCore,
    pub(super) local: Arc<Local>,
    pub(super) id: u64,
    pub(super) begin: Instant,
    pub(super) outcome: Mutex<Option<Result<Parcel, TaskError>>>,
}

impl Served {
    pub(super) fn error(&self, kind: Kind) -> TaskError {
        TaskError::new(self.core.name(), context::worker_pid(), kind)
    }

    /// Says that the function has ended; its forks may not have.
    pub(super) fn end(self: &Arc<Self>, outcome: Result<Parcel, TaskError>) {
        // Before any lock, which another thread may have held when the copy was made.
        self.local.end_if_copy();
        *self.outcome.lock() = Some(outcome);
        // What a task printed is seen before its result is.
        match self.local.record.get() {
            Some(record) => {
                record.end(&self.local, |owner| matches!(owner, Owner::Served(id) if *id == self.id))
            }
            None => drop(std::io::stdout().flush()),
        }
        task::finished(&**self);
    }
}

impl Body for Served {
    fn core(&self) -> &TaskCore {
        &self.core
    }
    fn run(self: Arc<Self>) {
        unreachable!("a served task is run where it arrives");
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
        let bytes = &mut letter.bytes;
        write_unseen(bytes);
        if output::is_in_use() {
            for part in output::take_of_forks(self.core.id) {
                record::write(self.id, 0, &part, bytes);
            }
        }
        let (limit, next) = {
            let mut state = self.local.state.lock();
            state.has_served(self.id);
            let next = match is_executor() {
                false => Next::Unknown,
                true if state.inbox.is_empty() => Next::Nothing,
                true if state.inbox.len() == 1 => Next::LastTask,
                true => Next::Task,
            };
            (state.max_message, next)
        };
        // The executor may wait for nothing but this.
        self.local.changed.notify_all();
        let outcome = outcome.and_then(|result| match weight(&result) {
            size if size > limit => {
                Err(self.error(Kind::TooLarge { what: Cow::Borrowed("result"), bytes: size, limit }))
            }
            _ => Ok(result),
        });
        let mentioned = match outcome {
            Ok(result) => {
                let micros = self.begin.elapsed().as_micros() as u64;
                let done = |result: &[u8], out: &mut Vec<u8>| {
                    FromWorker::Done { id: self.id, micros, result }.write(out);
                };
                write_with(&result, &mut letter, done);
                Some(result)
            }
            Err(failure) => {
                FromWorker::Failed { id: self.id, error: &encoded(&failure) }.write(&mut letter.bytes);
                None
            }
        };
        self.local.write_end(self.id, letter, next);
        // Not before: that this was the last holder of something lent is said after the result.
        drop(mentioned);
    }
    fn served_as(&self) -> Option<u64> {
        Some(self.id)
    }
}

/// Appends what nobody has looked at.
pub(super) fn write_unseen(out: &mut Vec<u8>) {
    for failure in unseen::take() {
        let mut error = Vec::new();
        if codec::encode(&WireError::from(&failure), &mut error).is_ok() {
            FromWorker::Unseen { error: &error }.write(out);
        }
    }
}

/// An error for the program; nothing, if it can't be encoded.
pub(super) fn encoded(failure: &TaskError) -> Vec<u8> {
    let mut error = Vec::new();
    if codec::encode(&WireError::from(failure), &mut error).is_err() {
        error.clear();
    }
    error
}

/// One call of a trampoline.
pub(super) struct Call<'a> {
    pub(super) body: &'a Arc<Served>,
    pub(super) args: Option<Parcel>,
    pub(super) division: Option<Arc<Division>>,
    pub(super) ended: bool,
}

impl Invocation for Call<'_> {
    fn arguments(&mut self) -> Parcel {
        self.args.take().unwrap_or_default()
    }

    fn each(&mut self, item: &mut registry::Item<'_>) {
        let mut args = self.arguments();
        let outcome = match (Items::read(&mut args), self.division.take()) {
            (Some(mut items), Some(division)) => Ok(self.body.run_items(&mut items, &division, item)),
            _ => Err(InvocationError::Decode("it is no chunk".into())),
        };
        self.finish(outcome);
    }

    fn finish(&mut self, outcome: Result<Parcel, InvocationError>) {
        self.ended = true;
        self.body.end(outcome.map_err(|error| self.body.error(kind_of(error))));
    }
}

pub(super) fn kind_of(error: InvocationError) -> Kind {
    match error {
        InvocationError::Decode(reason) => Kind::Decode { what: Cow::Borrowed("arguments"), reason },
        InvocationError::Encode(reason) => Kind::Encode { what: Cow::Borrowed("result"), reason },
    }
}
