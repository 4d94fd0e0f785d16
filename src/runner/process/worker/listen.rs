//! Who reads what the program says, and what is done about it.
//!
//! An executor that has nothing to do reads it itself. While it runs a task, the *follower* reads, but only once that is
//! worth a switch of threads: when the task has forked others, is blocked, or has run for a whole [`TICK`] (behind a stream of
//! short ones, up to [`LONGEST_TICK`]). So such a stream passes through one thread, and a long task never keeps the worker from
//! answering. What the executor leaves for later to tell the program is told by the follower if the executor takes long; it can't
//! see that while it reads, so it is called back then.

use super::borrowed::write_with;
use super::chunk::Division;
use super::line::{Inlet, Patience};
use super::record::Record;
use super::served::encoded;
use super::{Incoming, Local};
use crate::core::context;
use crate::core::error::{Kind, TaskError, WireError};
use crate::core::output::{Part, Stream};
use crate::core::task::Body;
use crate::ground::registry::EntryId;
use crate::ground::sys;
use crate::ground::wire::codec;
use crate::ground::wire::frame::Frame;
use crate::ground::wire::letter::Letter;
use crate::ground::wire::message::{FromWorker, ToWorker};
use crate::ground::wire::parcel::{NoMemory, Parcel, PieceError, Values};
use parking_lot::{Condvar, Mutex};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

/// How long a task runs before the follower reads in its stead.
const TICK: Duration = Duration::from_millis(2);
/// The same behind a stream of shorter tasks: to look costs some 20 µs of a core that a task could have.
const LONGEST_TICK: Duration = Duration::from_millis(8);

/// Tells the follower when to read.
#[derive(Default)]
pub(super) struct Follow {
    /// Counts tasks; odd while one runs.
    beats: AtomicU64,
    /// The follower looks every tick; otherwise it sleeps until it is woken.
    awake: AtomicBool,
    /// The follower has the line, and is to keep it.
    reads: AtomicBool,
    promoted: Mutex<bool>,
    changed: Condvar,
}

impl Follow {
    /// A task begins.
    pub(super) fn begin(&self) {
        self.beats.fetch_add(1, Ordering::SeqCst);
        // SeqCst, here and in `wait`: either this sees the follower asleep, or the follower sees the new beat.
        if !self.awake.swap(true, Ordering::SeqCst) {
            drop(self.promoted.lock());
            self.changed.notify_one();
        }
    }

    /// The task has ended.
    pub(super) fn end(&self) {
        self.beats.fetch_add(1, Ordering::SeqCst);
    }

    /// Has the follower read from now on.
    pub(super) fn promote(&self) {
        let mut promoted = self.promoted.lock();
        if !std::mem::replace(&mut *promoted, true) {
            self.changed.notify_one();
        }
    }

    /// Has the follower look every tick again instead of reading; says whether it has to be woken for that. To be called
    /// with the lock of the outlet.
    pub(super) fn call_back(&self) -> bool {
        // SeqCst, here and in `is_to_read`: either the follower sees this before it sleeps, or its wish to be woken is seen.
        self.reads.load(Ordering::Relaxed) && self.reads.swap(false, Ordering::SeqCst)
    }

    /// Whether nobody has called the follower back.
    pub(super) fn is_to_read(&self) -> bool {
        self.reads.load(Ordering::SeqCst)
    }

    /// Returns when the follower is to read.
    fn wait(&self) {
        let mut promoted = self.promoted.lock();
        let mut seen = self.beats.load(Ordering::SeqCst);
        let mut tick = TICK;
        while !*promoted {
            if !self.awake.load(Ordering::SeqCst) {
                self.changed.wait(&mut promoted);
                tick = TICK;
                seen = self.beats.load(Ordering::SeqCst);
                continue;
            }
            let timed_out = self.changed.wait_for(&mut promoted, tick).timed_out();
            let beats = self.beats.load(Ordering::SeqCst);
            if timed_out && beats == seen {
                if beats % 2 == 1 {
                    return;
                }
                self.awake.store(false, Ordering::SeqCst);
                // A task that began just before has not woken anybody.
                if self.beats.load(Ordering::SeqCst) != beats {
                    self.awake.store(true, Ordering::SeqCst);
                }
            }
            tick = if beats == seen { TICK } else { LONGEST_TICK.min(2 * tick) };
            seen = beats;
        }
        *promoted = false;
    }
}

impl Local {
    /// The follower, on the main thread.
    pub(super) fn follow(self: &Arc<Self>) -> ! {
        loop {
            self.follow.wait();
            let mut inlet = self.reading.lock();
            self.follow.reads.store(true, Ordering::SeqCst);
            // What runs now runs for long: nobody else would tell the program. Not before the above: who leaves something
            // untold after this calls back.
            self.settle_up();
            while self.follow.is_to_read() {
                self.read(&mut inlet, Patience::Sleeps);
                let state = self.state.lock();
                if state.idle && !state.inbox.is_empty() {
                    break;
                }
            }
            self.follow.reads.store(false, Ordering::SeqCst);
            drop(inlet);
            // By now the executor may have done that task, found the socket taken, and gone to sleep.
            let _state = self.state.lock();
            self.changed.notify_all();
        }
    }

    /// Does what a message says.
    pub(super) fn hear_frame(self: &Arc<Self>, mut frame: Frame<'_>, inlet: &mut Inlet) {
        let blobs = std::mem::take(&mut frame.blobs);
        match ToWorker::read(&frame) {
            Ok(ToWorker::With { pieces, message }) => {
                let values = match Values::read(pieces, blobs, frame.lost, |id| self.borrowed_by(id, inlet)) {
                    Ok(values) => Some(values),
                    // What is lost is not asked for again.
                    Err(PieceError::Unknown(_)) => (frame.lost > 0).then(|| Values::without_list(frame.lost)),
                    Err(PieceError::Malformed | PieceError::Blobs) => {
                        return self.hear_nonsense("half a message");
                    }
                };
                let Some(frame) = Frame::within(message, frame.lost) else {
                    return self.hear_nonsense("half a message");
                };
                match ToWorker::read(&frame) {
                    Ok(message) => self.hear(message, values),
                    Err(error) => self.hear_nonsense(error),
                }
            }
            Ok(_) if !blobs.is_empty() => self.hear_nonsense("a blob that nothing mentions"),
            Ok(message) => {
                if let ToWorker::Welcome { rings: 1, .. } = message {
                    self.use_rings(inlet);
                }
                self.hear(message, Some(Values::without_list(frame.lost)));
            }
            Err(error) => self.hear_nonsense(error),
        }
    }

    pub(super) fn hear_nonsense(&self, what: impl std::fmt::Display) {
        eprintln!("xfork: worker {} got {what}", std::process::id());
        sys::exit_now(3);
    }

    /// `values` is known of those of the message; `None` if this worker could not take some shared memory that they mention.
    fn hear(self: &Arc<Self>, message: ToWorker<'_>, values: Option<Values>) {
        if values.as_ref().is_some_and(Values::are_lost) && !message.has_values() {
            return self.hear_nonsense("what it has no memory for");
        }
        match message {
            ToWorker::Welcome { workers, max_message, prepare, captures, rings: _ } => {
                if captures == 1
                    && let Some(record) = Record::new()
                {
                    let _ = self.record.set(record);
                }
                let mut state = self.state.lock();
                state.workers = workers;
                state.max_message = max_message;
                state.prepare = prepare;
                drop(state);
                self.changed.notify_all();
            }
            ToWorker::Task { id, above, entry, name, terms, is_chunk, args } => {
                let args = values.map(|values| values.copy(args));
                let mut state = self.state.lock();
                // Sent before the program knew that this worker is blocked: somebody else is to run it.
                let misplaced = state.blocked.is_some() && state.blocked != Some(above);
                let is_misplaced = misplaced || (above != 0 && state.blocked != Some(above));
                let args = match args {
                    Some(Ok(args)) if !is_misplaced => args,
                    Some(Err(lack)) if !is_misplaced => {
                        drop(state);
                        let error = no_memory(name, "arguments", lack);
                        self.say(&FromWorker::Failed { id, error: &encoded(&error) });
                        return;
                    }
                    // Or before it knew that this worker can't take what it mentions: it comes again, as bytes.
                    _ => {
                        drop(state);
                        self.say(&FromWorker::Returned { id });
                        return;
                    }
                };
                let name = name.to_string();
                let terms = codec::decode(&mut &terms[..]).unwrap_or_default();
                let division = is_chunk.then(|| Arc::new(Division::of(&args)));
                state.inbox.push_back(Incoming { id, above, entry, name, terms, args, division });
                drop(state);
                self.changed.notify_all();
            }
            ToWorker::Steal { want } => {
                let sent = self
                    .stealing
                    .lock()
                    .get_or_insert_with(|| {
                        let (sender, receiver) = channel();
                        let local = self.clone();
                        let thread = std::thread::Builder::new().name("xfork-hand-over".into());
                        // Without the thread the receiver is dropped, and the program is told so below.
                        let _ = thread.spawn(move || receiver.iter().for_each(|want| local.hand_over(want)));
                        sender
                    })
                    .send(want);
                if sent.is_err() {
                    self.say(&FromWorker::Stolen);
                }
            }
            ToWorker::Recall { want } => {
                let mut back = Vec::new();
                {
                    let mut state = self.state.lock();
                    for _ in 0..want {
                        let Some(incoming) = state.inbox.pop_back() else { break };
                        FromWorker::Returned { id: incoming.id }.write(&mut back);
                    }
                }
                FromWorker::Recalled.write(&mut back);
                self.write(&back);
            }
            ToWorker::Divide { id } => self.divide(id),
            ToWorker::ChildDone { id, result } => {
                let body = self.state.lock().away.remove(&id);
                if let Some(body) = body {
                    match values.map(|values| values.copy(result)) {
                        Some(Ok(result)) => body.complete(result),
                        Some(Err(lack)) => {
                            let error = no_memory(body.core().name(), "result", lack);
                            body.fail(error);
                        }
                        None => {
                            let what = Cow::Borrowed("result");
                            let reason = "this process could not map the shared memory in it".into();
                            let kind = Kind::Decode { what, reason };
                            let error = TaskError::new(body.core().name(), context::worker_pid(), kind);
                            body.fail(error);
                        }
                    }
                    self.changed.notify_all();
                }
            }
            ToWorker::ChildFailed { id, error } => {
                let body = self.state.lock().away.remove(&id);
                if let Some(body) = body {
                    let error = match codec::decode::<WireError>(&mut &error[..]) {
                        Ok(wire) => wire.into(),
                        Err(error) => {
                            let kind = Kind::Protocol { reason: format!("an unreadable error: {error}") };
                            TaskError::new(body.core().name(), None, kind)
                        }
                    };
                    body.fail(error);
                    self.changed.notify_all();
                }
            }
            ToWorker::ChildText { id, stream, left_out, text } => {
                let body = self.state.lock().away.get(&id).cloned();
                if let (Some(body), Some(stream)) = (body, Stream::of_number(stream)) {
                    body.printed(Part { stream, left_out, text: text.to_vec() });
                }
            }
            ToWorker::Lend { id, bytes, inode } => self.borrow(id, bytes, inode),
            ToWorker::Forget { id } => self.forget(id),
            ToWorker::With { .. } => self.hear_nonsense("shared memory with shared memory"),
            ToWorker::Bye => sys::exit(0),
        }
    }

    /// Gives a task to the program, unless somebody has claimed it.
    pub(super) fn give_away(&self, body: Arc<dyn Body>, parent: u64, entry: u32) {
        let id = body.core().new_ticket();
        {
            let mut state = self.state.lock();
            // Under the lock: who cancels the task finds it unclaimed, or away.
            if !body.core().claim() {
                return;
            }
            state.away.insert(id, body.clone());
        }
        let remote = body.remote().expect("a portable task");
        let mut args = Parcel::default();
        if let Err(error) = remote.encode(&mut args) {
            // Unless it has been cancelled meanwhile.
            if self.state.lock().away.remove(&id).is_some() {
                body.fail(error);
            }
            return;
        }
        remote.release();
        let mut letter = Letter::default();
        let name = body.core().name();
        let mut terms = Vec::new();
        codec::encode(&body.core().terms(), &mut terms).expect("numbers can be encoded");
        write_with(&args, &mut letter, |args, out| {
            FromWorker::Child { parent, id, entry, name, terms: &terms, args }.write(out);
        });
        let state = self.state.lock();
        if !state.away.contains_key(&id) {
            return;
        }
        // Who cancels the task from now on says so after this.
        let mut writing = self.writing.lock();
        drop(state);
        self.write_letter_holding(&mut writing, letter);
        drop(writing);
        // Who is blocked with nothing away has not told the program, which may have to start a worker for this.
        self.changed.notify_all();
    }

    /// Gives up to `want` of the oldest forked tasks to the program.
    fn hand_over(&self, want: u32) {
        for _ in 0..want {
            let taken = self.state.lock().sweep();
            drop(taken);
            let (body, parent, entry) = {
                let mut state = self.state.lock();
                let found = (0..).zip(&state.forked).find_map(|(at, body)| Some((at, portable(body)?)));
                let Some((at, (parent, entry))) = found else { break };
                (state.forked.remove(at).expect("just found"), parent, entry)
            };
            self.give_away(body, parent, entry);
        }
        let mut state = self.state.lock();
        let more = state.forked.iter().any(|body| portable(body).is_some());
        state.advertised = more;
        drop(state);
        self.say(&FromWorker::Stolen);
        if more {
            self.say(&FromWorker::Surplus);
        }
    }
}

/// There is no memory here to receive values of a task.
fn no_memory(task: &str, what: &'static str, NoMemory { bytes }: NoMemory) -> TaskError {
    TaskError::new(task, context::worker_pid(), Kind::NoMemory { what: Cow::Borrowed(what), bytes })
}

/// The task of the program that `body` is part of and the function that it calls, if it can be handed over.
pub(super) fn portable(body: &Arc<dyn Body>) -> Option<(u64, u32)> {
    if body.core().is_claimed() {
        return None;
    }
    let EntryId(entry) = body.remote()?.entry()?;
    Some((serving(body)?, entry))
}

/// The number of the task of the program that `body` is part of.
pub(super) fn serving(body: &Arc<dyn Body>) -> Option<u64> {
    let mut task = body.clone();
    loop {
        if let Some(id) = task.served_as() {
            return Some(id);
        }
        let parent = task.core().parent().cloned()?;
        task = parent;
    }
}
