//! What a worker prints, as the program sees it: two files, and how far the worker has told of them.
//!
//! Promises: what a worker had printed before its death is read then, bounded; a task that prints without end takes bounded
//! memory (looked after every [`TRIMMED_EVERY`], so what it prints in between comes on top).

use crate::core::output::{HEAD, Part, Stream, TAIL};
use crate::ground::sys::Capture;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// How often files that grow are looked at.
pub(super) const TRIMMED_EVERY: Duration = Duration::from_millis(200);
/// How much a task may have printed before the middle of it is given up.
const ROOM: u64 = 4 * HEAD;
/// How much of the end is left then: the task goes on printing meanwhile.
const MARGIN: u64 = 16 * TAIL;

/// The text of one worker.
pub(super) struct Captured {
    files: Capture,
    /// Up to where the worker has told of each file.
    told: [u64; 2],
    /// Up to where the middle has been given up.
    given_up: [u64; 2],
}

impl Captured {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { files: Capture::new()?, told: [0; 2], given_up: [0; 2] })
    }

    pub(super) fn fds(&self) -> [BorrowedFd<'_>; 2] {
        self.files.fds()
    }

    /// The worker has told of a text; `None` if there is no such stream.
    pub(super) fn told(&mut self, stream: u32, seen: u64, left_out: u64, text: &[u8]) -> Option<Part> {
        let stream = Stream::of_number(stream)?;
        let told = &mut self.told[stream as usize];
        *told = seen.max(*told);
        Some(Part { stream, left_out, text: text.to_vec() })
    }

    /// What the worker has not told of.
    pub(super) fn rest(&mut self) -> Vec<Part> {
        let read = |stream: Stream| {
            let (from, to) = (self.told[stream as usize], self.files.end(stream));
            Part::of(stream, self.files.read(stream, from, to.max(from), HEAD, TAIL))
        };
        Stream::BOTH.into_iter().flat_map(read).collect()
    }

    /// Gives up the middle of what has become too long.
    pub(super) fn trim(&mut self) {
        for stream in Stream::BOTH {
            let (told, end) = (self.told[stream as usize], self.files.end(stream));
            let from = told.saturating_add(HEAD).max(self.given_up[stream as usize]);
            let to = end.saturating_sub(MARGIN);
            if to.saturating_sub(from) > ROOM {
                self.files.forget(stream, from, to);
                self.given_up[stream as usize] = to;
            }
        }
    }
}
