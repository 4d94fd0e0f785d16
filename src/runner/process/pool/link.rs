//! The program's end of one worker: what is written to it, and what is known of what it has said.
//!
//! Promises: nobody waits for a worker that does not read; what its ring or its socket does not take is kept, in order,
//! and written when there is room.

use super::Shared;
use super::loans::{Gift, Loans};
use crate::core::error::TaskError;
use crate::core::task::Body;
use crate::ground::panics::PanicRecord;
use crate::ground::ring::{self, Broken, Consumer, Producer, Wish};
use crate::ground::sys::crash::CrashPage;
use crate::ground::sys::lanes::{self, Lane, Lanes};
use crate::ground::sys::{self, Interest, Wait};
use crate::ground::wire::frame::Decoder;
use crate::ground::wire::letter::Letter;
use crate::ground::wire::message::ToWorker;
use crate::runner::process::captured::Captured;
use crate::runner::process::supervisor::WorkerId;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

/// The program's end of one worker.
pub(in crate::runner::process) struct Link {
    pub(super) worker: WorkerId,
    pub(super) pid: u32,
    pub(super) socket: OwnedFd,
    /// May be taken while the pool's state is held, never the other way round; nothing blocks while it is held.
    pub(super) out: Mutex<Out>,
    /// The right to read what it says. The pool's state may be taken while it is held, never the other way round; no code of
    /// the user runs while it is held.
    pub(super) hearing: Mutex<Hearing>,
    /// The ring that it writes into, to look whether there is something.
    pub(super) inward: Option<Lane>,
    /// How much of that has been heard, in words. Not what stands in the ring itself, where the worker could change it.
    pub(super) heard: AtomicU64,
    /// How many bytes it has said through its socket.
    pub(super) said_there: AtomicU64,
    pub(super) dead: AtomicBool,
    /// Its end of the ring that the program writes into makes no sense.
    pub(super) is_broken: AtomicBool,
    /// What the worker prints, if that is captured.
    pub(super) captured: Option<Mutex<Captured>>,
    /// Where it notes what it starts, and tells of a signal that kills it; without a memory file it can't.
    pub(super) page: Option<CrashPage>,
    /// The files of shared memory that it has.
    pub(super) loans: Arc<Loans>,
}

/// What is written to it.
#[derive(Default)]
pub(super) struct Out {
    /// For the socket: everything at first, and nothing but loans as soon as both sides use the rings.
    pub(super) socket: Waiting,
    pub(super) ring: Option<(Producer<Lane>, Waiting)>,
}

/// What has not been taken yet, and the descriptors that go along with it.
#[derive(Default)]
pub(super) struct Waiting {
    letter: Letter,
    /// In the order of their positions.
    gifts: VecDeque<Gift>,
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.letter.is_empty()
    }

    /// Adds what is to be written, and writes it if nothing is before it; leaves nothing of `letter` but perhaps its memory.
    fn add(&mut self, letter: &mut Letter, gifts: Vec<Gift>, write: impl FnOnce(&mut Self)) {
        if !self.is_empty() {
            let begin = self.letter.bytes.len();
            self.gifts.extend(gifts.into_iter().map(|(at, memory)| (begin + at, memory)));
            return self.letter.append(letter);
        }
        self.gifts = gifts.into();
        std::mem::swap(&mut self.letter, letter);
        write(self);
        if self.is_empty() {
            std::mem::swap(&mut self.letter, letter);
        }
    }

    /// All of it is written, or nobody will read it.
    fn clear(&mut self) {
        self.letter.clear();
        self.gifts.clear();
    }

    /// Sends some of it, with the descriptor that belongs to the first byte.
    fn send(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let is_due = |at: usize| at == self.letter.position() && !self.letter.is_at_blob();
        let gift = self.gifts.pop_front_if(|(at, _)| is_due(*at));
        let end = self.gifts.front().map_or(self.letter.bytes.len(), |(at, _)| *at);
        let bytes = self.letter.next_before(end);
        if let Some((at, memory)) = gift
            && let Some(file) = memory.file()
        {
            match sys::send_with(socket, bytes, file.as_fd()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.gifts.push_front((at, memory));
                    return Err(error);
                }
                // Too many descriptors are on their way: the worker says that it did not get this one.
                Err(_) => {}
                sent => return sent,
            }
        }
        sys::send(socket, bytes, Wait::DontBlock)
    }

    /// Sends what the socket takes.
    fn flush(&mut self, socket: BorrowedFd<'_>) {
        while !self.letter.next().is_empty() {
            match self.send(socket) {
                Ok(count) => self.letter.advance(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The worker is dead or dying; the driver will see it.
                Err(_) => break,
            }
        }
        self.clear();
    }

    /// Puts as much into the ring as there is room for; the worker knocks when there is more.
    fn push(&mut self, ring: &mut Producer<Lane>) -> Result<(), Broken> {
        while !self.letter.next().is_empty() {
            let count = ring.push(self.letter.next())?;
            self.letter.advance(count);
            if count > 0 {
                ring.publish();
                if ring.has_to_wake() {
                    lanes::wake_on(ring::bell_of_consumer(&ring.memory));
                }
            }
            if count == 0 && ring.ask_for_room() {
                return Ok(());
            }
        }
        self.clear();
        Ok(())
    }
}

/// What it says.
pub(super) struct Hearing {
    /// The rings, until it has said that it has them, too.
    pub(super) lanes: Option<Lanes>,
    pub(super) ring: Option<Consumer<Lane>>,
    /// For what comes through the ring.
    pub(super) decoder: Decoder,
    pub(super) ready: bool,
    /// When it last said something.
    pub(super) heard: Instant,
    pub(super) last_panic: Option<PanicRecord>,
    /// The chunk that it has last said an item of, as long as it runs there.
    pub(super) chunk: Option<(u64, Weak<dyn Body>)>,
    /// Why it could not be prepared.
    pub(super) unprepared: Option<TaskError>,
    /// Why it is killed, if it is.
    pub(super) verdict: Option<Verdict>,
}

/// Why a worker was killed.
pub(super) enum Verdict {
    Protocol(String),
    TooLarge {
        declared: u64,
        limit: u64,
    },
    /// It has said what there was no memory for, and not so much is known of it as whose it is.
    NoMemory {
        bytes: u64,
    },
    Slow,
}

impl Link {
    pub(super) fn token(&self) -> u64 {
        self.worker.0 * 2
    }

    /// Whether it seems to have said something through its ring.
    pub(super) fn has_news(&self) -> bool {
        self.published() != self.heard.load(Ordering::Relaxed)
    }

    /// Whether messages travel through rings by now.
    pub(super) fn has_ring(&self) -> bool {
        self.out.lock().ring.is_some()
    }

    /// Changes whenever it says something.
    pub(super) fn said(&self) -> u64 {
        self.published().wrapping_add(self.said_there.load(Ordering::Relaxed))
    }

    /// How much it has ever said through its ring, in words, as far as it can be believed.
    pub(super) fn published(&self) -> u64 {
        self.inward.as_ref().map_or(0, ring::published)
    }
}

impl Hearing {
    pub(super) fn new(lanes: Option<Lanes>, decoder: Decoder) -> Self {
        Self {
            lanes,
            ring: None,
            decoder,
            ready: false,
            heard: Instant::now(),
            last_panic: None,
            chunk: None,
            unprepared: None,
            verdict: None,
        }
    }

    /// Asks the worker to knock when there is something in the ring; false if there is already.
    pub(super) fn ask_for_knock(&self, wish: Wish) -> bool {
        self.ring.as_ref().is_none_or(|ring| ring.ask_to_be_woken(wish))
    }

    /// Takes that back, as somebody looks all the time.
    pub(super) fn needs_no_knock(&self) {
        if let Some(ring) = &self.ring {
            ring.is_awake();
        }
    }

    /// Takes bytes out of the ring; false if there are none, or it is not in use.
    pub(super) fn pull(&mut self) -> Result<bool, Broken> {
        let Some(ring) = &mut self.ring else { return Ok(false) };
        let count = ring.pull(self.decoder.buffer())?;
        self.decoder.advance(count);
        if count > 0 && ring.has_to_tell_of_room() {
            lanes::wake_on(ring::bell_of_producer(&ring.memory));
        }
        Ok(count > 0)
    }
}

impl Shared {
    pub(super) fn tell(&self, worker: WorkerId, message: &ToWorker<'_>) {
        let link = self.state.lock().links.get(&worker).cloned();
        if let Some(link) = link {
            let mut bytes = Vec::new();
            message.write(&mut bytes);
            self.post(&link, bytes);
        }
    }

    /// Writes as much as is taken; the rest is written when there is room.
    pub(in crate::runner::process) fn post(&self, link: &Link, bytes: Vec<u8>) {
        self.post_holding(link, &mut link.out.lock(), &mut bytes.into());
    }

    /// As [`post`](Self::post); leaves nothing of `letter` but perhaps its memory.
    pub(super) fn post_holding(&self, link: &Link, out: &mut Out, letter: &mut Letter) {
        if link.dead.load(Ordering::Acquire) {
            return;
        }
        match &mut out.ring {
            Some((ring, waiting)) => {
                waiting.add(letter, Vec::new(), |waiting| self.push(link, ring, waiting));
            }
            None => self.send_holding(link, out, letter, Vec::new()),
        }
    }

    /// Writes to the socket of a living worker; `gifts` go along with the bytes at their positions.
    pub(super) fn send_holding(&self, link: &Link, out: &mut Out, letter: &mut Letter, gifts: Vec<Gift>) {
        let was_full = !out.socket.is_empty();
        out.socket.add(letter, gifts, |waiting| waiting.flush(link.socket.as_fd()));
        if !was_full && !out.socket.is_empty() {
            // An error means that the driver has just let go of the worker.
            let _ = self.poller.modify(link.socket.as_fd(), link.token(), Interest::ReadWrite);
        }
    }

    fn push(&self, link: &Link, ring: &mut Producer<Lane>, waiting: &mut Waiting) {
        if waiting.push(ring).is_err() {
            // It reads no further; the driver sees to it.
            waiting.clear();
            link.is_broken.store(true, Ordering::Release);
            self.wake.signal();
        }
    }

    /// Writes what was not taken before.
    pub(super) fn write_rest(&self, link: &Link) {
        let mut out = link.out.lock();
        if link.dead.load(Ordering::Acquire) {
            return;
        }
        if !out.socket.is_empty() {
            out.socket.flush(link.socket.as_fd());
            if out.socket.is_empty() {
                out.socket = Waiting::default();
                let _ = self.poller.modify(link.socket.as_fd(), link.token(), Interest::Read);
            }
        }
        if let Some((ring, waiting)) = &mut out.ring
            && !waiting.is_empty()
        {
            self.push(link, ring, waiting);
            if waiting.is_empty() {
                *waiting = Waiting::default();
            }
        }
    }
}

/// Gives a task that is ended before its worker has ended it what it has printed and its worker has not told of. What it
/// prints from now on is nobody's.
pub(super) fn print_rest(body: &Arc<dyn Body>, printer: Option<Arc<Link>>) {
    if let Some(captured) = printer.as_ref().and_then(|link| link.captured.as_ref()) {
        let rest = captured.lock().rest();
        rest.into_iter().for_each(|part| body.printed(part));
    }
}
