//! Whose text it is: divides what this worker prints among the tasks that it runs.
//!
//! Owns the positions in the two files that stand in for standard output and error. The executor's tasks lie on a stack; from
//! the begin of one on, what is printed is its own, and from its end on, that of the one below. Promises: each byte is
//! told once, in order, before the task's result; what a task does to the descriptors lasts no longer than the task; the
//! program always knows from where on the text of a worker that dies is to be read. Text of other threads goes to the
//! task that is on top. Leaves out when text is shown (`core/output.rs`).

use super::Local;
use crate::core::output::{self, HEAD, Part, Stream, TAIL};
use crate::core::task::Body;
use crate::ground::sys::{self, Capture};
use crate::ground::wire::message::FromWorker;
use parking_lot::Mutex;
use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::time::Duration;

/// A message carries no more text, so that the program's limit on messages is not met.
const CHUNK: usize = 8 << 10;
/// How much is left in a file before its memory is given back.
const KEPT: u64 = 1 << 20;
/// How long a flush is waited for that another thread may hold up.
const PATIENCE: Duration = Duration::from_secs(2);

/// A task that is running.
pub(super) enum Owner {
    /// One that the program has sent, by its number there.
    Served(u64),
    /// One that a task of this worker has forked.
    Forked(Arc<dyn Body>),
}

/// The text of this worker.
pub(super) struct Record {
    files: Capture,
    state: Mutex<State>,
    flusher: Mutex<Option<Flusher>>,
}

/// A thread that flushes.
struct Flusher {
    ask: Sender<()>,
    answer: Receiver<()>,
    /// It has been asked, and has not answered in time.
    is_asked: bool,
}

impl Flusher {
    fn start() -> Self {
        let ((ask, asked), (done, answer)) = (channel::<()>(), channel());
        let thread = std::thread::Builder::new().name("xfork-flush".into());
        // Without the thread both other ends are dropped, and nothing is asked.
        let _ = thread.spawn(move || {
            for () in asked {
                flush();
                if done.send(()).is_err() {
                    return;
                }
            }
        });
        Self { ask, answer, is_asked: false }
    }
}

#[derive(Default)]
struct State {
    /// The running tasks, the innermost last.
    open: Vec<Owner>,
    /// Up to where each file has been read, and its memory given back.
    seen: [u64; 2],
    forgotten: [u64; 2],
}

impl Record {
    /// Begins to record; `None` if a stream is not the file that the program gave.
    pub(super) fn new() -> Option<Self> {
        let files = Capture::of_this_process().ok()?;
        output::begin();
        Some(Self { files, state: Mutex::default(), flusher: Mutex::default() })
    }

    /// A task begins.
    pub(super) fn begin(&self, local: &Local, owner: Owner) {
        let mut state = self.state.lock();
        if state.open.is_empty() {
            self.files.restore();
        } else {
            self.take(&mut state, local, When::Begin);
        }
        state.open.push(owner);
    }

    /// The task has ended, if it had begun.
    pub(super) fn end(&self, local: &Local, is_it: impl Fn(&Owner) -> bool) {
        let mut state = self.state.lock();
        if let Some(position) = state.open.iter().rposition(is_it) {
            self.take(&mut state, local, When::End);
            state.open.remove(position);
        }
    }

    /// As [`flush`], unless a thread of this worker holds the lock of a stream for long: it may wait for the very task that is
    /// about to begin or to end. That costs one wait for as long as the lock is held.
    fn flush_if_free(&self) {
        let mut flusher = self.flusher.lock();
        let flusher = flusher.get_or_insert_with(Flusher::start);
        let is_at_it = flusher.is_asked && flusher.answer.try_recv() == Err(TryRecvError::Empty);
        if !is_at_it && flusher.ask.send(()).is_ok() {
            flusher.is_asked = flusher.answer.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout);
        }
    }

    /// Gives what has been printed to the innermost task.
    fn take(&self, state: &mut State, local: &Local, when: When) {
        let Some(owner) = state.open.last() else { return };
        match owner {
            Owner::Served(_) if state.open.len() == 1 && when == When::End => flush(),
            _ => self.flush_if_free(),
        }
        let mut bytes = Vec::new();
        for stream in Stream::BOTH {
            let (from, to) = (state.seen[stream as usize], self.files.end(stream));
            state.seen[stream as usize] = to;
            if from == to {
                continue;
            }
            let parts = Part::of(stream, self.files.read(stream, from, to, HEAD, TAIL));
            match owner {
                Owner::Served(id) => parts.for_each(|part| write(*id, to, &part, &mut bytes)),
                Owner::Forked(body) => {
                    parts.for_each(|part| body.printed(part));
                    write(0, to, &Part { stream, left_out: 0, text: Vec::new() }, &mut bytes);
                }
            }
            let forgotten = &mut state.forgotten[stream as usize];
            if to.saturating_sub(*forgotten) > KEPT {
                self.files.forget(stream, *forgotten, to);
                *forgotten = to;
            }
        }
        if !bytes.is_empty() {
            local.write(&bytes);
        }
    }
}

/// When a text is taken: as another task begins on top, or as its own ends.
#[derive(PartialEq)]
enum When {
    Begin,
    End,
}

/// Writes out what the libraries keep back.
fn flush() {
    let _ = std::io::stdout().flush();
    sys::flush_c();
}

/// Writes the message, or messages, that tell the program of a text.
pub(super) fn write(id: u64, seen: u64, part: &Part, out: &mut Vec<u8>) {
    let stream = part.stream.number().unsigned_abs();
    let mut left_out = part.left_out;
    let mut chunks = part.text.chunks(CHUNK);
    let mut text = chunks.next().unwrap_or_default();
    loop {
        FromWorker::Text { id, stream, seen, left_out, text }.write(out);
        left_out = 0;
        let Some(next) = chunks.next() else { return };
        text = next;
    }
}
