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

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn blob(bytes: &[u8]) -> Arc<Blob> {
        Arc::new(Blob::of(bytes.to_vec()).unwrap())
    }

    /// All that a letter says, a few bytes at a time.
    fn written(letter: &mut Letter, piece: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while !letter.next().is_empty() {
            let count = letter.next().len().min(piece);
            out.extend_from_slice(&letter.next()[..count]);
            letter.advance(count);
        }
        out
    }

    #[test]
    fn a_blob_is_let_go_of_once_it_is_written() {
        let one = blob(b"blob");
        let mut letter = Letter::from(b"before".to_vec());
        letter.add_blob(one.clone());
        letter.bytes.extend_from_slice(b"after");
        letter.advance(6 + 9);
        assert!(letter.is_at_blob());
        letter.advance(3);
        assert_eq!((letter.next(), Arc::strong_count(&one)), (&b"b"[..], 2));
        letter.advance(1);
        assert_eq!((letter.next(), Arc::strong_count(&one)), (&b"after"[..], 1));
        assert_eq!(letter.next_before(letter.position()), b"");
        letter.clear();
        assert!(letter.is_empty() && letter.next().is_empty());
    }

    proptest! {
        #[test]
        fn everything_goes_in_order_whatever_is_taken_at_a_time(
            parts in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..20), any::<bool>()), 0..12),
            split in 0..12_usize,
            piece in 1..9_usize,
        ) {
            let (mut expected, mut letters) = (Vec::new(), [Letter::default(), Letter::default()]);
            for (at, (bytes, is_blob)) in parts.iter().enumerate() {
                let letter = &mut letters[usize::from(at >= split)];
                if *is_blob {
                    letter.add_blob(blob(bytes));
                    frame::write_header(40, bytes.len(), &mut expected);
                } else {
                    letter.bytes.extend_from_slice(bytes);
                }
                expected.extend_from_slice(bytes);
            }
            let [mut first, mut second] = letters;
            first.append(&mut second);
            prop_assert_eq!(written(&mut first, piece), expected);
            prop_assert!(second.is_empty() && second.next().is_empty());
        }
    }
}
