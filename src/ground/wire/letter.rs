//! What is to be written: bytes, and blobs between them.
//!
//! Owns the order in which they go. Promises that a blob is never copied on its way, and is let go of as soon as it has been written.
//! Leaves out who takes the bytes, and how many at a time.

use super::blob::Blob;
use super::frame;
use std::collections::VecDeque;
use std::sync::Arc;

/// Bytes to be written, and the blobs that come after so many of them.
#[derive(Debug, Default)]
pub(crate) struct Letter {
    pub(crate) bytes: Vec<u8>,
    /// In the order of their positions.
    blobs: VecDeque<(usize, Arc<Blob>)>,
    /// How many of `bytes` have been written,
    sent: usize,
    /// and how many of the blob in front, which comes next if its position has been reached.
    sent_of_blob: usize,
}

impl Letter {
    /// Appends the frame of a blob.
    pub(crate) fn add_blob(&mut self, blob: Arc<Blob>) {
        frame::write_header(blob.kind(), blob.bytes().len(), &mut self.bytes);
        if !blob.bytes().is_empty() {
            self.blobs.push_back((self.bytes.len(), blob));
        }
    }

    /// Appends what has not been written of another, and leaves nothing of that but perhaps its memory.
    pub(crate) fn append(&mut self, other: &mut Letter) {
        debug_assert!(other.sent == 0 && other.sent_of_blob == 0, "it is new");
        let begin = self.bytes.len();
        self.blobs.extend(other.blobs.drain(..).map(|(at, blob)| (begin + at, blob)));
        self.bytes.append(&mut other.bytes);
    }

    /// Whether a blob is to be written next.
    pub(crate) fn is_at_blob(&self) -> bool {
        self.blobs.front().is_some_and(|(at, _)| *at == self.sent)
    }

    /// How many of its bytes have been written, blobs aside.
    pub(crate) fn position(&self) -> usize {
        self.sent
    }

    /// What is to be written next, at most up to this position; empty only if that has been reached.
    pub(crate) fn next_before(&self, end: usize) -> &[u8] {
        match self.blobs.front() {
            Some((at, blob)) if *at == self.sent => &blob.bytes()[self.sent_of_blob..],
            Some((at, _)) => &self.bytes[self.sent..end.min(*at)],
            None => &self.bytes[self.sent..end],
        }
    }

    /// What is to be written next; empty if everything has been.
    pub(crate) fn next(&self) -> &[u8] {
        self.next_before(self.bytes.len())
    }

    /// Says that so many bytes of [`next`](Self::next) have been written.
    pub(crate) fn advance(&mut self, count: usize) {
        match self.blobs.front() {
            Some((at, blob)) if *at == self.sent => {
                self.sent_of_blob += count;
                if self.sent_of_blob == blob.bytes().len() {
                    self.blobs.pop_front();
                    self.sent_of_blob = 0;
                }
            }
            _ => self.sent += count,
        }
    }

    /// Whether there is nothing in it, written or not.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Leaves nothing but the memory of its bytes.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.blobs.clear();
        (self.sent, self.sent_of_blob) = (0, 0);
    }
}

impl From<Vec<u8>> for Letter {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, ..Self::default() }
    }
}
