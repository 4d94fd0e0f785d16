//! What the program does about what a worker says.
//!
//! Whoever finds something in a worker's ring, or in its socket, handles it: the driver, or a thread that forks or waits. Owns the
//! order of that. Promises: whatever a worker says is checked before it is believed, and an error of these functions
//! condemns it; what was said is accounted for in order, under the lock of that worker's [`Hearing`], and code of the user
//! runs only when no lock is held.

use super::link::{Hearing, Verdict, Waiting};
use super::{End, Link, Relayed, Shared, end_spent};
use crate::core::batch::Outcomes;
use crate::core::cancel::Unwanted;
use crate::core::error::{Kind, TaskError, WireError};
use crate::core::limits::Terms;
use crate::core::runner::{Runnable, Runner};
use crate::core::series::{Ran, Series, Site};
use crate::core::task::{Body, TaskCore};
use crate::ground::memory::Memory;
use crate::ground::registry::{self, EntryId};
use crate::ground::sys;
use crate::ground::sys::lanes::Lanes;
use crate::ground::wire::codec;
use crate::ground::wire::frame::{Decoder, Frame, FrameError};
use crate::ground::wire::message::{FromWorker, PROTOCOL, ToWorker};
use crate::ground::wire::parcel::{NoMemory, Parcel, Piece, Values};
use crate::runner::process::relay::Relay;
use crate::runner::process::settings::Settings;
use crate::runner::process::supervisor::{Action, Event, Violation, WorkerId};
use parking_lot::Mutex;
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// What is left to be done about messages when they have been accounted for, in this order.
#[derive(Default)]
pub(super) struct Consequences {
    actions: Vec<Action>,
    pub(super) for_tasks: Vec<(Arc<dyn Body>, Outcome)>,
    /// The shared memory that messages have mentioned: who lets go of it last, tells workers.
    mentioned: Vec<Piece>,
    /// What may be the last pointers to tasks.
    pub(super) spent: Vec<Arc<dyn Body>>,
    /// What a worker has let go of, which may be large.
    let_go: Vec<Arc<Memory>>,
}

pub(super) enum Outcome {
    Done(Parcel),
    /// The outcomes of items of a chunk, from this place on.
    Items(usize, Outcomes),
    Failed(TaskError),
    /// It has started in this process, and its arguments are not needed any more.
    Started(u32),
    /// It is not wanted any more.
    Unwanted(u64),
}

impl Shared {
    /// Hears what is in a worker's ring, unless somebody else is hearing it; says whether there was anything.
    pub(super) fn hear_ring(&self, link: &Arc<Link>) -> bool {
        let heard = link.hearing.try_lock().and_then(|mut hearing| self.drain(link, &mut hearing));
        heard.map(|consequences| self.conclude(consequences)).is_some()
    }

    /// Accounts for what is in the ring, as far as it has been written by now; `None` if there is nothing, or the worker isn't
    /// believed any more.
    pub(super) fn drain(&self, link: &Arc<Link>, hearing: &mut Hearing) -> Option<Consequences> {
        let mut consequences = Consequences::default();
        let mut any = false;
        let end = link.published();
        while hearing.verdict.is_none() {
            match hearing.pull() {
                Ok(true) => any = true,
                Ok(false) => break,
                Err(broken) => {
                    self.condemn(link, hearing, Verdict::Protocol(broken.to_string()));
                    break;
                }
            }
            let mut decoder = std::mem::replace(&mut hearing.decoder, Decoder::new(0));
            self.hear(link, hearing, &mut decoder, &mut consequences);
            hearing.decoder = decoder;
            // What comes meanwhile may never end.
            if hearing.ring.as_ref().is_none_or(|ring| ring.taken() >= end) {
                break;
            }
        }
        if let Some(ring) = &hearing.ring {
            link.heard.store(ring.taken(), Ordering::Relaxed);
        }
        any.then(|| self.decide(consequences))
    }

    /// Accounts for all messages that the decoder has.
    pub(super) fn hear(
        &self,
        link: &Arc<Link>,
        hearing: &mut Hearing,
        decoder: &mut Decoder,
        consequences: &mut Consequences,
    ) {
        if self.settings.idle.is_some() {
            hearing.heard = Instant::now();
        }
        // Nothing that a condemned worker says is believed any more.
        while hearing.verdict.is_none() {
            let verdict = match decoder.next() {
                Ok(None) => return,
                Ok(Some(frame)) => {
                    let lost = frame.lost;
                    match self.message(link, hearing, frame, consequences) {
                        Ok(()) => continue,
                        Err(_) if lost > 0 => Verdict::NoMemory { bytes: lost },
                        Err(reason) => Verdict::Protocol(reason),
                    }
                }
                Err(FrameError::TooLarge { declared, limit }) => Verdict::TooLarge { declared, limit },
                Err(error) => Verdict::Protocol(error.to_string()),
            };
            self.condemn(link, hearing, verdict);
        }
    }

    /// Decides what to do after what was accounted for.
    pub(super) fn decide(&self, mut consequences: Consequences) -> Consequences {
        let spent = {
            let mut state = self.state.lock();
            consequences.actions.append(&mut state.decide());
            std::mem::take(&mut state.spent)
        };
        consequences.spent.extend(spent);
        consequences
    }

    /// Does what follows; called without any lock, since it runs code of the user.
    pub(super) fn conclude(&self, consequences: Consequences) {
        // First of all the workers get something to do.
        self.perform(consequences.actions);
        end_spent(consequences.spent);
        for (body, outcome) in consequences.for_tasks {
            match outcome {
                Outcome::Done(result) => body.complete(result),
                Outcome::Items(first, outcomes) => {
                    body.chunk().expect("that of a chunk").deliver(first, outcomes);
                }
                Outcome::Failed(error) => body.fail(error),
                Outcome::Started(pid) => {
                    body.core().tell_series(|series, number| series.began(number, Site::Process(pid)));
                    body.remote().expect("only tasks that travel are submitted").release();
                }
                Outcome::Unwanted(id) => {
                    // The worker has told its own task of it already.
                    let kind = Kind::Cancelled { why: Unwanted::Asked, goes_on: false };
                    self.end(id, TaskError::new("", None, kind));
                }
            }
        }
    }

    /// A worker is not believed any more, and is to be killed.
    pub(super) fn condemn(&self, link: &Link, hearing: &mut Hearing, verdict: Verdict) {
        let has_lied = !matches!(verdict, Verdict::Slow);
        hearing.verdict.get_or_insert(verdict);
        if has_lied {
            self.note(Event::Lied(link.worker)).expect("not a worker's message");
        }
        self.end_worker(link.worker, End::Kill);
    }

    fn note(&self, event: Event) -> Result<(), String> {
        self.state.lock().supervisor.note(event).map_err(|Violation(what)| what.to_string())
    }

    fn message(
        &self,
        link: &Arc<Link>,
        hearing: &mut Hearing,
        mut frame: Frame<'_>,
        consequences: &mut Consequences,
    ) -> Result<(), String> {
        let blobs = std::mem::take(&mut frame.blobs);
        let message = FromWorker::read(&frame).map_err(|error| error.to_string())?;
        let FromWorker::With { pieces, message } = message else {
            if !blobs.is_empty() {
                return Err("a blob that nothing mentions".into());
            }
            let values = Values::without_list(frame.lost);
            return self.message_with(link, hearing, message, values, consequences);
        };
        let values = link.loans.values(pieces, blobs, frame.lost)?;
        consequences.mentioned.extend(values.held().cloned());
        let frame = Frame::within(message, frame.lost).ok_or("shared memory with half a message")?;
        let message = FromWorker::read(&frame).map_err(|error| error.to_string())?;
        if !message.has_values() {
            return Err("shared memory with a message that has no values".into());
        }
        self.message_with(link, hearing, message, values, consequences)
    }

    /// What a task fails with whose values there is no memory for.
    pub(super) fn no_memory(&self, link: &Link, id: u64, NoMemory { bytes }: NoMemory) -> TaskError {
        let kind = Kind::NoMemory { what: Cow::Borrowed("result"), bytes };
        let state = self.state.lock();
        let name = state.tasks.get(&id).map_or("", |entry| entry.body.core().name());
        TaskError::new(name, Some(link.pid), kind)
    }

    /// `values` is known of those of the message.
    fn message_with(
        &self,
        link: &Arc<Link>,
        hearing: &mut Hearing,
        message: FromWorker<'_>,
        values: Values,
        consequences: &mut Consequences,
    ) -> Result<(), String> {
        if values.are_lost() && !message.has_values() {
            return Err("half a message".into());
        }
        let worker = link.worker;
        if !hearing.ready && !matches!(message, FromWorker::Hello { .. } | FromWorker::LastPanic { .. }) {
            return Err("something before its hello".into());
        }
        let event = match message {
            FromWorker::Hello { protocol, build, pid: _, rings } => {
                if hearing.ready {
                    return Err("a second hello".into());
                }
                if protocol != PROTOCOL || build != sys::build_fingerprint() {
                    hearing.verdict = Some(Verdict::Protocol("another build".into()));
                    self.end_worker(worker, End::Kill);
                    return self.note(Event::Foreign { worker, build });
                }
                hearing.ready = true;
                if !self.welcome(link, hearing, rings == 1)? {
                    return Ok(());
                }
                Event::Ready(worker)
            }
            FromWorker::Knock => return Ok(()),
            FromWorker::Prepared => Event::Ready(worker),
            FromWorker::Unprepared { error } => {
                hearing.unprepared = Some(decode_error(error)?);
                return Ok(());
            }
            FromWorker::Unwanted { id } => {
                let state = self.state.lock();
                if let Some(&known) = state.relayed.get(&(worker, id))
                    && let Some(entry) = state.tasks.get(&known)
                {
                    consequences.for_tasks.push((entry.body.clone(), Outcome::Unwanted(known)));
                }
                return Ok(());
            }
            FromWorker::Started { id } => {
                self.note(Event::Started(worker, id))?;
                let body = self.state.lock().tasks.get(&id).map(|entry| entry.body.clone());
                if let Some(body) = body {
                    self.watch_time(id, &body, link.pid);
                    consequences.for_tasks.push((body, Outcome::Started(link.pid)));
                }
                return Ok(());
            }
            FromWorker::Item { id, result } => {
                return self.item(link, hearing, id, result, values, consequences);
            }
            FromWorker::ItemFailed { id, error } => {
                return self.item_failed(link, hearing, id, decode_error(error)?, consequences);
            }
            FromWorker::Divided { id, from } => return self.divided(link, hearing, id, from, consequences),
            FromWorker::Done { id, micros, result } => {
                self.look_at_size(link)?;
                self.chunk_ended(link, hearing, id, result, consequences)?;
                let outcome = match values.copy(result) {
                    Ok(parcel) => Outcome::Done(parcel),
                    Err(lack) => Outcome::Failed(self.no_memory(link, id, lack)),
                };
                let body = self.finished(worker, id, micros)?;
                if let Some(body) = &body {
                    let tell =
                        |series: &dyn Series, task| series.ran(task, Ran::in_process(link.pid, micros));
                    body.core().tell_series(tell);
                }
                consequences.for_tasks.extend(body.map(|body| (body, outcome)));
                return Ok(());
            }
            FromWorker::Failed { id, error } => {
                hearing.chunk = None;
                let decoded = decode_error(error)?;
                let body = self.finished(worker, id, 0)?;
                consequences.for_tasks.extend(body.map(|body| (body, Outcome::Failed(decoded))));
                return Ok(());
            }
            FromWorker::Returned { id } => Event::Returned(worker, id),
            FromWorker::Surplus => Event::Surplus(worker),
            FromWorker::Child { parent, id, entry, name, terms, args } => {
                let terms = codec::decode(&mut &terms[..]).map_err(|error| error.to_string())?;
                let args = values.copy(args);
                let fork = Fork { parent, id, entry, name, terms, args };
                return self.child(link, fork, consequences);
            }
            FromWorker::Stolen => Event::Stolen(worker),
            FromWorker::Recalled => Event::Recalled(worker),
            FromWorker::Blocked { id } => Event::Blocked(worker, id),
            FromWorker::Unblocked => Event::Unblocked(worker),
            FromWorker::LastPanic { record } => {
                let record = codec::decode(&mut &record[..]).map_err(|error| error.to_string())?;
                hearing.last_panic = Some(record);
                return Ok(());
            }
            FromWorker::Text { id, stream, seen, left_out, text } => {
                let captured = link.captured.as_ref().ok_or("a text, though nothing is captured")?;
                let part = captured.lock().told(stream, seen, left_out, text).ok_or("a text of no stream")?;
                let state = self.state.lock();
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
            FromWorker::LetGo { id } => {
                consequences.let_go.push(link.loans.let_go(id)?);
                return Ok(());
            }
            FromWorker::Refused { id } => {
                consequences.let_go.push(link.loans.refused(id)?);
                return Ok(());
            }
            FromWorker::With { .. } => return Err("shared memory with shared memory".into()),
            FromWorker::Unseen { error } => {
                decode_error(error)?.remember_sent(error.len());
                return Ok(());
            }
        };
        self.note(event)
    }

    /// Accepts a worker, and says whether it is ready for tasks.
    fn welcome(&self, link: &Link, hearing: &mut Hearing, has_rings: bool) -> Result<bool, String> {
        let Settings { workers, max_message, prepare, .. } = self.settings;
        let entry = |entry: Option<EntryId>| entry.map_or(u64::MAX, |EntryId(id)| u64::from(id) + 1);
        let prepare = prepare.map_or(0, |prepare| entry(prepare()));
        let captures = u32::from(link.captured.is_some());
        let lanes = hearing.lanes.take().filter(|_| has_rings);
        let rings = u32::from(lanes.is_some());
        let mut bytes = Vec::new();
        ToWorker::Welcome { workers: workers as u32, max_message, prepare, captures, rings }
            .write(&mut bytes);
        self.post(link, bytes);
        if let Some(Lanes { producer, consumer }) = lanes {
            let mut out = link.out.lock();
            if !out.socket.is_empty() {
                return Err("a hello, though it does not read".into());
            }
            out.ring = Some((producer, Waiting::default()));
            hearing.ring = Some(consumer);
        }
        Ok(prepare == 0)
    }

    /// Takes a task that has ended out of the accounts. `None` if its outcome was decided before.
    fn finished(&self, worker: WorkerId, id: u64, micros: u64) -> Result<Option<Arc<dyn Body>>, String> {
        let mut state = self.state.lock();
        let event = Event::Finished(worker, id, micros);
        state.supervisor.note(event).map_err(|Violation(what)| what.to_string())?;
        Ok(state.take(id))
    }

    /// Sees whether a worker that has finished a task has grown too large for another.
    fn look_at_size(&self, link: &Link) -> Result<(), String> {
        let Some(limit) = self.settings.max_rss else { return Ok(()) };
        if sys::resident_bytes_of(link.pid).is_some_and(|bytes| bytes > limit) {
            self.note(Event::Grown(link.worker))?;
        }
        Ok(())
    }

    /// Takes over a task that a task of this worker has forked.
    fn child(&self, link: &Arc<Link>, fork: Fork<'_>, consequences: &mut Consequences) -> Result<(), String> {
        let Fork { parent, id, entry, name, terms, args } = fork;
        if registry::lookup(EntryId(entry)).is_none() {
            return Err(format!("a task for the function number {entry}, which does not exist"));
        }
        let is_wanted = {
            let supervisor = &self.state.lock().supervisor;
            if !supervisor.is_running(link.worker, parent) {
                return Err("a fork of a task that it is not running".into());
            }
            !supervisor.is_cancelled(parent)
        };
        let (worker, origin) = (link.worker, Arc::downgrade(link));
        let runner: Arc<dyn Runner> = Arc::new(NoRunner);
        let (args, refused) = match args {
            _ if !is_wanted => {
                (Parcel::default(), Some(Kind::Cancelled { why: Unwanted::Parent, goes_on: false }))
            }
            Ok(args) => (args, None),
            Err(NoMemory { bytes }) => {
                (Parcel::default(), Some(Kind::NoMemory { what: Cow::Borrowed("arguments"), bytes }))
            }
        };
        let relay = Relay {
            core: TaskCore::served(Cow::Owned(name.to_string()), runner, terms),
            entry: EntryId(entry),
            args: Mutex::new(args),
            origin,
            id,
            shared: self.me.clone(),
        };
        match refused {
            None => {
                let relayed = Some(Relayed { worker, id, parent });
                self.state.lock().admit(Arc::new(relay), relayed);
            }
            Some(kind) => {
                let error = TaskError::new(name, None, kind);
                consequences.for_tasks.push((Arc::new(relay), Outcome::Failed(error)));
            }
        }
        Ok(())
    }
}

/// A task that a worker hands over.
struct Fork<'a> {
    parent: u64,
    id: u64,
    entry: u32,
    name: &'a str,
    terms: Terms,
    args: Result<Parcel, NoMemory>,
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
