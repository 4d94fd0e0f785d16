//! What the program does about what a worker says.
//!
//! Whatever a worker says is checked before it is believed: an error of these functions condemns it.

use super::super::Relayed;
use super::{Driver, Verdict};
use crate::core::cancel::Unwanted;
use crate::core::error::{Kind, TaskError, WireError};
use crate::core::limits::Terms;
use crate::core::runner::{Runnable, Runner};
use crate::core::task::{Body, TaskCore};
use crate::ground::registry::{self, EntryId};
use crate::ground::sys::{self};
use crate::ground::wire::codec;
use crate::ground::wire::frame::Frame;
use crate::ground::wire::message::{FromWorker, PROTOCOL, ToWorker};
use crate::ground::wire::parcel::{Parcel, Piece};
use crate::runner::process::relay::Relay;
use crate::runner::process::settings::Settings;
use crate::runner::process::supervisor::{Event, Violation, WorkerId};
use parking_lot::Mutex;
use std::borrow::Cow;
use std::sync::Arc;

impl Driver {
    pub(super) fn message(&mut self, number: u64, frame: &Frame) -> Result<(), String> {
        let message = FromWorker::read(frame).map_err(|error| error.to_string())?;
        let FromWorker::With { pieces, message } = message else {
            return self.hear(number, message, Vec::new());
        };
        let pieces = self.driven[&number].link.loans.pieces(pieces)?;
        let frame = Frame::only(message).ok_or("shared memory with half a message")?;
        match FromWorker::read(&frame).map_err(|error| error.to_string())? {
            message @ (FromWorker::Done { .. } | FromWorker::Child { .. }) => {
                self.hear(number, message, pieces)
            }
            _ => Err("shared memory with a message that has no values".into()),
        }
    }

    /// `pieces` is what the values of the message mention.
    fn hear(&mut self, number: u64, message: FromWorker<'_>, pieces: Vec<Piece>) -> Result<(), String> {
        let driven = self.driven.get_mut(&number).expect("the reader has it");
        let worker = driven.link.worker;
        if !driven.ready && !matches!(message, FromWorker::Hello { .. } | FromWorker::LastPanic { .. }) {
            return Err("something before its hello".into());
        }
        let event = match message {
            FromWorker::Hello { protocol, build, pid: _ } => {
                if driven.ready {
                    return Err("a second hello".into());
                }
                if protocol != PROTOCOL || build != sys::build_fingerprint() {
                    return self.foreign(number, build);
                }
                driven.ready = true;
                let Settings { workers, max_message, prepare, .. } = self.shared.settings;
                let entry = |entry: Option<EntryId>| entry.map_or(u64::MAX, |EntryId(id)| u64::from(id) + 1);
                let prepare = prepare.map_or(0, |prepare| entry(prepare()));
                let captures = u32::from(driven.link.captured.is_some());
                let link = driven.link.clone();
                let mut bytes = Vec::new();
                ToWorker::Welcome { workers: workers as u32, max_message, prepare, captures }
                    .write(&mut bytes);
                self.shared.post(&link, bytes);
                if prepare != 0 {
                    return Ok(());
                }
                Event::Ready(worker)
            }
            FromWorker::Prepared => Event::Ready(worker),
            FromWorker::Unprepared { error } => {
                driven.unprepared = Some(decode_error(error)?);
                return Ok(());
            }
            FromWorker::Unwanted { id } => {
                let known = self.shared.state.lock().relayed.get(&(worker, id)).copied();
                if let Some(known) = known {
                    // The worker has told its own task of it already.
                    let kind = Kind::Cancelled { why: Unwanted::Asked, goes_on: false };
                    self.shared.end(known, TaskError::new("", None, kind));
                }
                return Ok(());
            }
            FromWorker::Started { id } => {
                let pid = driven.link.pid;
                self.step(Event::Started(worker, id))?;
                let body = self.shared.state.lock().tasks.get(&id).map(|entry| entry.body.clone());
                if let Some(body) = body {
                    self.shared.watch_time(id, &body, pid);
                    body.remote().expect("only tasks that travel are submitted").release();
                }
                return Ok(());
            }
            FromWorker::Done { id, micros, result } => {
                self.look_at_size(number)?;
                if let Some(body) = self.finished(worker, id, micros)? {
                    body.complete(Parcel::new(result.to_vec(), pieces));
                }
                return Ok(());
            }
            FromWorker::Failed { id, error } => {
                let decoded = decode_error(error)?;
                if let Some(body) = self.finished(worker, id, 0)? {
                    body.fail(decoded);
                }
                return Ok(());
            }
            FromWorker::Returned { id } => Event::Returned(worker, id),
            FromWorker::Surplus => Event::Surplus(worker),
            FromWorker::Child { parent, id, entry, name, terms, args } => {
                let terms = codec::decode(&mut &terms[..]).map_err(|error| error.to_string())?;
                let args = Parcel::new(args.to_vec(), pieces);
                let fork = Fork { parent, id, entry, name, terms, args };
                return self.child(number, fork);
            }
            FromWorker::Stolen => Event::Stolen(worker),
            FromWorker::Recalled => Event::Recalled(worker),
            FromWorker::Blocked { id } => Event::Blocked(worker, id),
            FromWorker::Unblocked => Event::Unblocked(worker),
            FromWorker::LastPanic { record } => {
                let record = codec::decode(&mut &record[..]).map_err(|error| error.to_string())?;
                driven.last_panic = Some(record);
                return Ok(());
            }
            FromWorker::Text { id, stream, seen, left_out, text } => {
                let captured = driven.link.captured.as_ref().ok_or("a text, though nothing is captured")?;
                let part = captured.lock().told(stream, seen, left_out, text).ok_or("a text of no stream")?;
                let state = self.shared.state.lock();
                if id != 0 && !state.supervisor.is_running(worker, id) {
                    return Err("a text of a task that it is not running".into());
                }
                // None if its outcome was decided before.
                let body = state.tasks.get(&id).map(|entry| entry.body.clone());
                drop(state);
                if let Some(body) = body {
                    body.printed(part);
                }
                return Ok(());
            }
            FromWorker::LetGo { id } => return driven.link.loans.let_go(id),
            FromWorker::Refused { id } => return driven.link.loans.refused(id),
            FromWorker::With { .. } => return Err("shared memory with shared memory".into()),
            FromWorker::Unseen { error } => {
                decode_error(error)?.remember_sent(error.len());
                return Ok(());
            }
        };
        self.step(event)
    }

    /// Takes a task that has ended out of the accounts, and gives its worker the next.
    /// `None` if its outcome was decided before.
    fn finished(&self, worker: WorkerId, id: u64, micros: u64) -> Result<Option<Arc<dyn Body>>, String> {
        let (actions, body) = {
            let mut state = self.shared.state.lock();
            let actions = state
                .supervisor
                .step(Event::Finished(worker, id, micros))
                .map_err(|Violation(what)| what.to_string())?;
            (actions, state.take(id))
        };
        self.shared.perform(actions);
        Ok(body)
    }

    /// Takes over a task that a task of this worker has forked.
    fn child(&mut self, number: u64, fork: Fork<'_>) -> Result<(), String> {
        let Fork { parent, id, entry, name, terms, args } = fork;
        if registry::lookup(EntryId(entry)).is_none() {
            return Err(format!("a task for the function number {entry}, which does not exist"));
        }
        let link = &self.driven[&number].link;
        let is_wanted = {
            let supervisor = &self.shared.state.lock().supervisor;
            if !supervisor.is_running(link.worker, parent) {
                return Err("a fork of a task that it is not running".into());
            }
            !supervisor.is_cancelled(parent)
        };
        let (worker, origin) = (link.worker, Arc::downgrade(link));
        let runner: Arc<dyn Runner> = Arc::new(NoRunner);
        let relay = Relay {
            core: TaskCore::served(Cow::Owned(name.to_string()), runner, terms),
            entry: EntryId(entry),
            args: Mutex::new(args),
            origin,
            id,
            shared: self.shared.me.clone(),
        };
        if is_wanted {
            self.shared.submit(Arc::new(relay), Some(Relayed { worker, id, parent }));
        } else {
            let kind = Kind::Cancelled { why: Unwanted::Parent, goes_on: false };
            let error = TaskError::new(name, None, kind);
            Arc::new(relay).fail(error);
        }
        Ok(())
    }

    fn foreign(&mut self, number: u64, build: u64) -> Result<(), String> {
        let driven = self.driven.get_mut(&number).expect("the reader has it");
        driven.verdict = Some(Verdict::Protocol("another build".into()));
        let _ = driven.child.kill();
        let worker = driven.link.worker;
        self.step(Event::Foreign { worker, build })
    }
}

/// A task that a worker hands over.
struct Fork<'a> {
    parent: u64,
    id: u64,
    entry: u32,
    name: &'a str,
    terms: Terms,
    args: Parcel,
}

fn decode_error(bytes: &[u8]) -> Result<TaskError, String> {
    let wire: WireError =
        codec::decode(&mut &bytes[..]).map_err(|error| format!("an unreadable error: {error}"))?;
    Ok(wire.into())
}

/// The runner of relayed tasks, which no waiter in the program ever sees.
struct NoRunner;

impl Runner for NoRunner {
    fn run(&self, _: Runnable) {
        unreachable!("a relayed task is given to the pool directly");
    }
    fn gives_back(&self) -> bool {
        false
    }
}
