//! What a worker runs before its first task.

use super::Local;
use crate::core::context;
use crate::core::error::{Kind, TaskError, WireError, panic_error};
use crate::ground::panics;
use crate::ground::registry::{self, EntryId, Invocation, InvocationError};
use crate::ground::sys;
use crate::ground::wire::codec;
use crate::ground::wire::message::FromWorker;
use crate::ground::wire::parcel::Parcel;

/// How errors call it.
const NAME: &str = "Plan::on_worker_start";

impl Local {
    /// Runs the function whose number is one less, and tells the program; if it fails, this process ends.
    pub(super) fn prepare(&self, number: u64) {
        let entry = u32::try_from(number - 1).ok().map(EntryId);
        let outcome = match entry.and_then(registry::lookup) {
            Some(trampoline) => {
                let mut call = Preparation { failure: None };
                match panics::catch(|| trampoline(&mut call)) {
                    Ok(()) => call.failure.map_or(Ok(()), Err),
                    Err(caught) => Err(panic_error(NAME, caught)),
                }
            }
            None => {
                let reason = "it is not in the table of functions".into();
                Err(TaskError::new(NAME, context::worker_pid(), Kind::Spawn { reason }))
            }
        };
        match outcome {
            Ok(()) => self.say(&FromWorker::Prepared),
            Err(error) => {
                let mut bytes = Vec::new();
                if codec::encode(&WireError::from(&error), &mut bytes).is_ok() {
                    self.say(&FromWorker::Unprepared { error: &bytes });
                }
                sys::exit(3);
            }
        }
    }
}

struct Preparation {
    failure: Option<TaskError>,
}

impl Invocation for Preparation {
    fn arguments(&mut self) -> Parcel {
        Parcel::default()
    }

    fn each(&mut self, _item: &mut registry::Item<'_>) {
        unreachable!("what prepares a worker is no chunk");
    }

    fn finish(&mut self, outcome: Result<Parcel, InvocationError>) {
        if let Err(InvocationError::Decode(reason) | InvocationError::Encode(reason)) = outcome {
            self.failure = Some(TaskError::new(NAME, context::worker_pid(), Kind::Spawn { reason }));
        }
    }
}
