//! The program's end of one worker: what is written to its socket.
//!
//! Promises: nobody waits for a worker that does not read; what its socket does not take is kept, in order, and written
//! by the driver.

use super::Shared;
use super::loans::{Gift, Loans};
use crate::core::task::Body;
use crate::ground::sys::crash::CrashPage;
use crate::ground::sys::{self, Interest, Wait};
use crate::ground::wire::message::ToWorker;
use crate::runner::process::captured::Captured;
use crate::runner::process::supervisor::WorkerId;
use parking_lot::{Mutex, MutexGuard};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The program's end of one worker.
pub(in crate::runner::process) struct Link {
    pub(super) worker: WorkerId,
    pub(super) pid: u32,
    pub(super) socket: OwnedFd,
    /// May be taken while the pool's state is held, never the other way round; nothing blocks while it is held.
    pub(super) out: Mutex<Out>,
    pub(super) dead: AtomicBool,
    /// What the worker prints, if that is captured.
    pub(super) captured: Option<Mutex<Captured>>,
    /// Where it notes what it starts, and tells of a signal that kills it; without a memory file it can't.
    pub(super) page: Option<CrashPage>,
    /// The files of shared memory that it has.
    pub(super) loans: Arc<Loans>,
}

/// Bytes that the socket did not take yet.
#[derive(Default)]
pub(super) struct Out {
    pub(super) bytes: Vec<u8>,
    pub(super) sent: usize,
    /// Descriptors that go along, in the order of their positions.
    pub(super) gifts: VecDeque<Gift>,
}

impl Out {
    /// Sends some of what is waiting, with the descriptor that belongs to the first byte of it.
    fn send(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let gift = self.gifts.pop_front_if(|(at, _)| *at == self.sent);
        let end = self.gifts.front().map_or(self.bytes.len(), |(at, _)| *at);
        let bytes = &self.bytes[self.sent..end];
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
}

impl Link {
    pub(super) fn token(&self) -> u64 {
        self.worker.0 * 2
    }

    /// Sends what is waiting, as far as the socket takes it.
    pub(super) fn flush(&self, out: &mut Out) {
        while out.sent < out.bytes.len() {
            match out.send(self.socket.as_fd()) {
                Ok(sent) => out.sent += sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The worker is dead or dying; the driver will see it.
                Err(_) => break,
            }
        }
        *out = Out::default();
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

    /// Writes as much as the socket takes; the driver writes the rest when it takes more.
    pub(in crate::runner::process) fn post(&self, link: &Link, bytes: Vec<u8>) {
        self.post_holding(link, link.out.lock(), bytes, Vec::new());
    }

    /// As [`post`](Self::post); `gifts` go along with the bytes at their positions.
    pub(super) fn post_holding(
        &self,
        link: &Link,
        mut out: MutexGuard<'_, Out>,
        bytes: Vec<u8>,
        gifts: Vec<Gift>,
    ) {
        if link.dead.load(Ordering::Acquire) {
            return;
        }
        let was_empty = out.bytes.is_empty();
        if was_empty {
            *out = Out { bytes, sent: 0, gifts: gifts.into() };
            link.flush(&mut out);
        } else {
            let begin = out.bytes.len();
            out.gifts.extend(gifts.into_iter().map(|(at, memory)| (begin + at, memory)));
            out.bytes.extend_from_slice(&bytes);
        }
        if was_empty && !out.bytes.is_empty() {
            // An error means that the driver has just let go of the worker.
            let _ = self.poller.modify(link.socket.as_fd(), link.token(), Interest::ReadWrite);
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
