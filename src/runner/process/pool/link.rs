//! The program's end of one worker: what is written to it, and what is known of what it has said.
//!
//! Promises: nobody waits for a worker that does not read; what its ring or its socket does not take is kept, in order,
//! and written when there is room.

use super::Shared;
use crate::core::error::TaskError;
use crate::core::task::Body;
use crate::ground::panics::PanicRecord;
use crate::ground::ring::{self, Broken, Consumer, Producer, Wish};
use crate::ground::sys::crash::CrashPage;
use crate::ground::sys::lanes::{self, Lane, Lanes};
use crate::ground::sys::{self, Interest, Wait};
use crate::ground::wire::frame::Decoder;
use crate::ground::wire::message::ToWorker;
use crate::runner::process::captured::Captured;
use crate::runner::process::supervisor::WorkerId;
use parking_lot::{Mutex, MutexGuard};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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
    pub(super) dead: AtomicBool,
    /// Its end of the ring that the program writes into makes no sense.
    pub(super) is_broken: AtomicBool,
    /// What the worker prints, if that is captured.
    pub(super) captured: Option<Mutex<Captured>>,
    /// Where it notes what it starts, and tells of a signal that kills it; without a memory file it can't.
    pub(super) page: Option<CrashPage>,
}

/// What is written to it.
#[derive(Default)]
pub(super) struct Out {
    /// What was not taken yet.
    pub(super) bytes: Vec<u8>,
    pub(super) sent: usize,
    /// Where it goes, as soon as both sides use the rings.
    pub(super) ring: Option<Producer<Lane>>,
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
    /// Why it could not be prepared.
    pub(super) unprepared: Option<TaskError>,
    /// Why it is killed, if it is.
    pub(super) verdict: Option<Verdict>,
}

/// Why a worker was killed.
pub(super) enum Verdict {
    Protocol(String),
    TooLarge { declared: u64, limit: u64 },
    Slow,
}

/// Whether everything has been written.
#[derive(PartialEq)]
enum Flushed {
    All,
    /// The socket tells when it takes more.
    SocketIsFull,
    /// The worker knocks when there is room.
    RingIsFull,
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

    /// How much it has ever said through its ring, in words, as far as it can be believed.
    pub(super) fn published(&self) -> u64 {
        self.inward.as_ref().map_or(0, ring::published)
    }

    /// Sends what is waiting, as far as it is taken.
    fn flush(&self, out: &mut Out) -> Flushed {
        if out.bytes.is_empty() {
            return Flushed::All;
        }
        match &mut out.ring {
            Some(ring) => flush_ring(ring, &out.bytes, &mut out.sent).unwrap_or_else(|Broken| {
                self.is_broken.store(true, Ordering::Release);
                Flushed::All
            }),
            None => self.flush_socket(&out.bytes, &mut out.sent),
        }
    }

    fn flush_socket(&self, bytes: &[u8], sent: &mut usize) -> Flushed {
        while *sent < bytes.len() {
            match sys::send(self.socket.as_fd(), &bytes[*sent..], Wait::DontBlock) {
                Ok(count) => *sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Flushed::SocketIsFull,
                // The worker is dead or dying; the driver will see it.
                Err(_) => break,
            }
        }
        Flushed::All
    }
}

fn flush_ring(ring: &mut Producer<Lane>, bytes: &[u8], sent: &mut usize) -> Result<Flushed, Broken> {
    loop {
        let count = ring.push(&bytes[*sent..])?;
        *sent += count;
        if count > 0 {
            ring.publish();
            if ring.has_to_wake() {
                lanes::wake_on(ring::bell_of_consumer(&ring.memory));
            }
        }
        if *sent == bytes.len() {
            return Ok(Flushed::All);
        }
        if ring.ask_for_room() {
            return Ok(Flushed::RingIsFull);
        }
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
    pub(in crate::runner::process) fn post(&self, link: &Link, mut bytes: Vec<u8>) {
        self.post_holding(link, link.out.lock(), &mut bytes);
    }

    /// As [`post`](Self::post); leaves nothing of `bytes` but perhaps their memory.
    pub(super) fn post_holding(&self, link: &Link, mut out: MutexGuard<'_, Out>, bytes: &mut Vec<u8>) {
        if link.dead.load(Ordering::Acquire) {
            return;
        }
        if !out.bytes.is_empty() {
            out.bytes.append(bytes);
            return;
        }
        out.sent = 0;
        std::mem::swap(&mut out.bytes, bytes);
        let flushed = link.flush(&mut out);
        if flushed == Flushed::All {
            std::mem::swap(&mut out.bytes, bytes);
            bytes.clear();
        }
        if link.is_broken.load(Ordering::Relaxed) {
            self.wake.signal();
        }
        if flushed == Flushed::SocketIsFull {
            // An error means that the driver has just let go of the worker.
            let _ = self.poller.modify(link.socket.as_fd(), link.token(), Interest::ReadWrite);
        }
    }

    /// Writes what was not taken before.
    pub(super) fn write_rest(&self, link: &Link) {
        let mut out = link.out.lock();
        if out.bytes.is_empty() || link.dead.load(Ordering::Acquire) {
            return;
        }
        if link.flush(&mut out) == Flushed::All {
            (out.bytes, out.sent) = (Vec::new(), 0);
            let _ = self.poller.modify(link.socket.as_fd(), link.token(), Interest::Read);
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
