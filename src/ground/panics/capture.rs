//! The only place that catches a panic.
//!
//! Owns the step from "`f` unwound with this payload" to a [`Caught`]: which record of the hook belongs to the payload,
//! and whether the payload is one that an earlier task threw and that only passed through here.
//! Promises: `catch` itself never unwinds; catches nest; a record or an identity is never given to a payload of another
//! type or another text. Leaves out: the hook (`hook`) and the thread-local bookkeeping (`scope`).

use std::any::Any;

use super::frames::__xfork_task_boundary;
use super::hook;
use super::payload::Payload;
use super::record::PanicRecord;
use super::scope::{self, Fingerprint, Scope};
use crate::ground::sys::crash;

/// A panic that ended a task.
pub(crate) struct Caught {
    /// What the task threw, to be thrown again.
    pub(crate) payload: Payload,
    /// What the hook saw; without place and frames if the hook did not run (`resume_unwind`, or a replaced hook).
    pub(crate) record: PanicRecord,
    /// The identity handed to `rethrow`, when what ended this task is that very rethrown panic.
    /// The identity has the true record; `record` then only repeats the message.
    pub(crate) inherited: Option<Box<dyn Any + Send>>,
}

/// Runs `f` as a task: what it panics with is silent and comes back as a value.
///
/// # Errors
/// The panic. In a program built with `panic = "abort"` there is none to return: the hook reports and the process ends.
#[expect(
    clippy::result_large_err,
    reason = "a task's caller takes the error apart at once and never passes it on"
)]
pub(crate) fn catch<R>(f: impl FnOnce() -> R) -> Result<R, Caught> {
    hook::install();
    crash::prepare_thread();
    let (outcome, scope) = scope::run(|| __xfork_task_boundary(f));
    outcome.map_err(|payload| Caught::new(payload, scope))
}

impl Caught {
    fn new(payload: Box<dyn Any + Send>, mut scope: Scope) -> Self {
        let fingerprint = Fingerprint::of(&*payload);
        if let Some(lent) = scope.claim(&*payload, &fingerprint) {
            // The original goes back to the failure that it belongs to, so that its next reader gets it too.
            lent.payload.restore(payload);
            let record = PanicRecord::unplaced(fingerprint.into_message());
            return Self { payload: lent.payload, record, inherited: Some(lent.identity) };
        }
        let record = scope.record_of(&fingerprint).unwrap_or_else(|| {
            // Either user code passed a payload on with `resume_unwind`, or somebody replaced our hook.
            hook::ensure_current();
            PanicRecord::unplaced(fingerprint.into_message())
        });
        Self { payload: Payload::new(payload), record, inherited: None }
    }
}
