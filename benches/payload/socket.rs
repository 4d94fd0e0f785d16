//! The limit of a large payload: a plain socketpair and a process that sends everything back once it has all of it.
//!
//! No frames, no queue, no encoding; both sides know how many bytes there are. Whoever receives a `Vec` of its own needs
//! fresh memory for it, and the kernel has to find the pages: so the limit for tasks is the one with fresh buffers. The
//! other shows what the copies alone cost.

use crate::again::again;
use crate::turns::timed;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::time::Duration;

pub(crate) const FRESH: &str = "socketpair, into fresh memory";
pub(crate) const REUSED: &str = "socketpair, into the same memory";

/// What both sides receive into.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Buffers {
    /// New memory each time.
    Fresh,
    /// The same each time.
    Reused,
}

pub(crate) struct Socket {
    child: Child,
    stream: UnixStream,
    received: Vec<u8>,
    buffers: Buffers,
}

impl Socket {
    pub(crate) fn start(length: usize, buffers: Buffers) -> Self {
        let (stream, theirs) = UnixStream::pair().expect("a socketpair");
        let kind = if buffers == Buffers::Fresh { "fresh" } else { "reused" };
        let mut command = again(&format!("socket {kind} {length}"));
        let child = command.stdin(Stdio::from(OwnedFd::from(theirs))).spawn();
        let child = child.expect("this program starts again");
        Self { child, stream, received: Vec::new(), buffers }
    }

    pub(crate) fn round_trip(&mut self, bytes: &[u8]) -> Duration {
        let time = timed(|| {
            self.stream.write_all(bytes).expect("the other side lives");
            receive(&mut self.stream, &mut self.received, bytes.len()).expect("the other side answers");
        });
        assert!(self.received == bytes, "the same comes back");
        self.free();
        time
    }

    fn free(&mut self) {
        if self.buffers == Buffers::Fresh {
            self.received = Vec::new();
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn receive(stream: &mut UnixStream, buffer: &mut Vec<u8>, length: usize) -> std::io::Result<()> {
    if buffer.len() != length {
        // Zeroed memory of this size is fresh pages of the kernel, which nobody has touched yet.
        *buffer = vec![0; length];
    }
    stream.read_exact(buffer)
}

/// The other side of [`Socket`]: its standard input is the socket.
pub(crate) fn answer(argument: &str) {
    let (kind, length) = argument.split_once(' ').expect("the bench says how much");
    let length = length.parse().expect("a number");
    let mut stream = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned().expect("a descriptor"));
    let mut buffer = Vec::new();
    while receive(&mut stream, &mut buffer, length).and_then(|()| stream.write_all(&buffer)).is_ok() {
        if kind == "fresh" {
            buffer = Vec::new();
        }
    }
}
