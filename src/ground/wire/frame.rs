//! Frames: how one message is told from the next in a stream of bytes.
//!
//! A frame is `[u8 kind][u64 little-endian length][payload]`. Owns writing one in place and finding them
//! again in whatever pieces the bytes arrive. Promises that memory grows with the bytes received and never
//! with the length declared, that a length above a limit is refused before anything is stored, and that no
//! input panics. A blob has a frame of its own, which is given together with the next frame that is none; what
//! is declared of them is limited together. Leaves out what a kind or a payload means, and reading: the caller
//! reads into [`Decoder::buffer`].

use super::blob::{self, Blob};
use std::alloc::{Layout, handle_alloc_error};
use std::borrow::Cow;
use std::ops::Range;

/// A kind and a length.
const HEADER: usize = 1 + size_of::<u64>();

/// As many blobs as one message mentions at most: a task has twelve arguments.
const MOST_BLOBS: usize = 12;

/// What is read at once. A frame that fits into it is looked at in place, and many small ones cost one system
/// call; a larger one is read straight into its own memory.
const BUFFER: usize = blob::STEP;

/// How much there is of a frame that there is no memory for.
const KEPT: usize = BUFFER / 2;

/// Starts a frame at the end of `out`; the payload is then appended to `out`, and [`finish`] given the number
/// returned.
pub(crate) fn begin(kind: u8, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.push(kind);
    out.extend_from_slice(&[0; HEADER - 1]);
    start
}

/// Completes the frame that [`begin`] started at `start`, by writing its length.
///
/// # Panics
///
/// When `start` is not what `begin` returned for this `out`.
pub(crate) fn finish(out: &mut [u8], start: usize) {
    let length = (out.len() - start - HEADER) as u64;
    out[start + 1..start + HEADER].copy_from_slice(&length.to_le_bytes());
}

/// Writes what stands in front of a payload of so many bytes.
pub(super) fn write_header(kind: u8, length: usize, out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(&(length as u64).to_le_bytes());
}

/// One message as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    /// Which message; not checked here.
    pub(crate) kind: u8,
    /// Its bytes.
    pub(crate) payload: Cow<'a, [u8]>,
    /// What came directly before it.
    pub(crate) blobs: Vec<Blob>,
    /// How many bytes it has, or its blobs, that this process had no memory for; usually 0. Otherwise only the beginning of a long
    /// `payload` is there, and blobs may be empty.
    pub(crate) lost: u64,
}

impl<'a> Frame<'a> {
    /// The frame that these bytes are, and nothing else, in another that has `lost` so many.
    pub(crate) fn within(bytes: &'a [u8], lost: u64) -> Option<Self> {
        let ([kind, length @ ..], payload) = bytes.split_first_chunk::<HEADER>()?;
        let is_all = lost > 0 || u64::from_le_bytes(*length) == payload.len() as u64;
        let is_all = is_all && Blob::of_kind(*kind).is_none();
        is_all.then(|| Frame { kind: *kind, payload: Cow::Borrowed(payload), blobs: Vec::new(), lost })
    }
}

/// Why a stream cannot be read on. It stays so: where the next frame begins is not known any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameError {
    /// The peer announced more than is allowed.
    TooLarge {
        /// What it announced.
        declared: u64,
        /// What is allowed.
        limit: u64,
    },
    /// It announced a blob that ends in the middle of an element.
    Uneven {
        /// What it announced.
        declared: u64,
        /// The size of an element.
        size: usize,
    },
    /// It sent more blobs than any message mentions.
    TooMany,
}

impl std::fmt::Display for FrameError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLarge { declared, limit } => {
                write!(f, "a message of {declared} bytes was announced, and the limit is {limit}")
            }
            Self::Uneven { declared, size } => {
                write!(f, "{declared} bytes of elements of {size} bytes were announced")
            }
            Self::TooMany => write!(f, "more than {MOST_BLOBS} blobs came before one message"),
        }
    }
}

impl std::error::Error for FrameError {}

/// Finds the frames in a stream: read into [`buffer`](Decoder::buffer), tell [`advance`](Decoder::advance)
/// how much, take frames with [`next`](Decoder::next) until there is none, and so on.
#[derive(Debug)]
pub(crate) struct Decoder {
    waiting: Waiting,
    /// A payload too large for a read. Until it is complete nothing is in `waiting`; what is there afterwards
    /// came after it.
    large: Option<Large>,
    /// Those that came before the next frame.
    blobs: Vec<Blob>,
    /// How many bytes of these, and of that frame, there is no memory for.
    lost: u64,
    limit: u64,
}

/// What was received and not yet taken, `bytes[start..end]`, and behind `end` the room for the next read.
#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

/// A payload of which the first `filled` bytes have been received, out of `declared`.
#[derive(Debug)]
struct Large {
    kind: u8,
    declared: usize,
    /// Also of a frame that is no blob.
    into: Blob,
    filled: usize,
    /// There is no memory for it: `into` has the first bytes, and behind them room to read the others and forget them.
    is_lost: bool,
}

/// What a frame brings.
enum Payload {
    /// Part of what is waiting.
    Here(Range<usize>),
    Bytes(Vec<u8>),
    Blob(Blob),
}

impl Decoder {
    /// Makes one that refuses payloads of more than `limit` bytes.
    pub(crate) fn new(limit: u64) -> Decoder {
        Decoder { waiting: Waiting::default(), large: None, blobs: Vec::new(), lost: 0, limit }
    }

    /// Where to read to; never empty. Its size has nothing to do with what the peer declared, except that it
    /// never reaches beyond the end of a large payload.
    pub(crate) fn buffer(&mut self) -> &mut [u8] {
        match &mut self.large {
            Some(large) if !large.is_complete() => large.room(),
            _ => self.waiting.room(),
        }
    }

    /// Says that `count` bytes were read into what [`buffer`](Decoder::buffer) returned last.
    ///
    /// # Panics
    ///
    /// When that is more than fitted, which is a mistake of the caller and nothing that a peer can bring
    /// about.
    pub(crate) fn advance(&mut self, count: usize) {
        let (end, room) = match &mut self.large {
            Some(large) if !large.is_complete() => {
                let room = large.there().len();
                (&mut large.filled, room)
            }
            _ => {
                let room = self.waiting.bytes.len() - self.waiting.end;
                (&mut self.waiting.end, room)
            }
        };
        assert!(count <= room, "advanced by {count} bytes with room for {room}");
        *end += count;
    }

    /// Takes bytes that were not read into [`buffer`](Decoder::buffer), as tests have them.
    #[cfg(any(all(test, not(xfork_loom)), fuzzing))]
    pub(crate) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let buffer = self.buffer();
            let count = bytes.len().min(buffer.len());
            buffer[..count].copy_from_slice(&bytes[..count]);
            self.advance(count);
            bytes = &bytes[count..];
        }
    }

    /// What it holds, in bytes of capacity.
    #[cfg(any(all(test, not(xfork_loom)), fuzzing))]
    pub(crate) fn held(&self) -> usize {
        let blobs = self.large.iter().map(|large| &large.into).chain(&self.blobs);
        self.waiting.bytes.capacity() + blobs.map(Blob::capacity).sum::<usize>()
    }

    /// Takes the next whole frame, if there is one, with the blobs before it.
    pub(crate) fn next(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        loop {
            let Some((kind, payload)) = self.next_payload()? else { return Ok(None) };
            let payload = match payload {
                Payload::Blob(blob) => {
                    self.blobs.push(blob);
                    continue;
                }
                Payload::Here(place) => Cow::Borrowed(&self.waiting.bytes[place]),
                Payload::Bytes(bytes) => Cow::Owned(bytes),
            };
            let (blobs, lost) = (std::mem::take(&mut self.blobs), std::mem::take(&mut self.lost));
            return Ok(Some(Frame { kind, payload, blobs, lost }));
        }
    }

    fn next_payload(&mut self) -> Result<Option<(u8, Payload)>, FrameError> {
        if self.large.is_none() {
            let waiting = &self.waiting;
            let received = &waiting.bytes[waiting.start..waiting.end];
            let Some((header, rest)) = received.split_first_chunk::<HEADER>() else { return Ok(None) };
            let [kind, length @ ..] = *header;
            let blob = Blob::of_kind(kind);
            let declared = self.allowed(u64::from_le_bytes(length), blob.as_ref())?;
            if let Some(bytes) = rest.get(..declared) {
                let begin = waiting.start + HEADER;
                let payload = match blob {
                    Some(blob) => Payload::Blob(blob.copy_from(bytes)),
                    None => Payload::Here(begin..begin + declared),
                };
                self.waiting.start = begin + declared;
                return Ok(Some((kind, payload)));
            }
            if declared <= BUFFER - HEADER {
                return Ok(None);
            }
            let into = blob.unwrap_or(Blob::One(Vec::new()));
            let mut large = Large { kind, declared, filled: 0, into, is_lost: false };
            large.begin(rest);
            self.large = Some(large);
            self.waiting.clear();
        }
        let Some(large) = self.large.take_if(|large| large.is_complete()) else { return Ok(None) };
        if large.is_lost {
            self.lost = self.lost.saturating_add(large.declared as u64);
        }
        Ok(Some(large.into_payload()))
    }

    /// How many bytes to take for a frame of which so many are declared, if they and the blobs before it are allowed.
    fn allowed(&self, declared: u64, blob: Option<&Blob>) -> Result<usize, FrameError> {
        let before: usize = self.blobs.iter().map(|blob| blob.bytes().len()).sum();
        let in_all = declared.saturating_add(before as u64).saturating_add(self.lost);
        let too_large = FrameError::TooLarge { declared: in_all, limit: self.limit };
        if in_all > self.limit {
            return Err(too_large);
        }
        if let Some(size) = blob.map(Blob::size) {
            if !declared.is_multiple_of(size as u64) {
                return Err(FrameError::Uneven { declared, size });
            }
            if self.blobs.len() == MOST_BLOBS {
                return Err(FrameError::TooMany);
            }
        }
        usize::try_from(declared).map_err(|_| too_large)
    }
}

impl Waiting {
    fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
        // Only a caller that read far ahead made it larger.
        self.bytes.truncate(BUFFER);
        self.bytes.shrink_to(BUFFER);
    }

    fn room(&mut self) -> &mut [u8] {
        if self.start == self.end {
            self.clear();
        }
        // A frame begun near the end is moved to the front, so that a read is never for a few bytes only.
        // Each move was paid for by a frame that has been taken since the last.
        if self.start > 0 && self.bytes.len() - self.end < BUFFER / 2 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        // Empty at first, so that a decoder without traffic costs nothing. Full only if the caller reads on
        // without taking frames; what is waiting then is doubled.
        if self.end == self.bytes.len() {
            self.bytes.resize((2 * self.end).max(BUFFER), 0);
        }
        &mut self.bytes[self.end..]
    }
}

impl Large {
    fn is_complete(&self) -> bool {
        self.filled == self.declared
    }

    /// Takes the bytes that were read before it was known to be large; fewer than are declared.
    fn begin(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = self.room();
            let count = room.len().min(bytes.len());
            room[..count].copy_from_slice(&bytes[..count]);
            self.filled += count;
            bytes = &bytes[count..];
        }
    }

    fn into_payload(mut self) -> (u8, Payload) {
        let is_blob = Blob::of_kind(self.kind);
        if self.is_lost {
            self.into = is_blob.clone().unwrap_or_else(|| Blob::One(self.into.bytes()[..KEPT].to_vec()));
        }
        let payload = match self.into {
            Blob::One(bytes) if is_blob.is_none() => Payload::Bytes(bytes),
            blob => Payload::Blob(blob),
        };
        (self.kind, payload)
    }

    /// Where the next bytes go that there is room for by now.
    fn there(&mut self) -> &mut [u8] {
        let bytes = self.into.bytes_mut();
        if self.is_lost {
            let end = bytes.len().min(KEPT.saturating_add(self.declared - self.filled));
            return &mut bytes[KEPT..end];
        }
        &mut bytes[self.filled..]
    }

    /// The same, never empty.
    fn room(&mut self) -> &mut [u8] {
        if self.there().is_empty() && self.into.grow(self.declared).is_err() {
            if self.into.bytes().is_empty() {
                // A process that has no 64 KiB left can't go on.
                handle_alloc_error(Layout::new::<[u8; BUFFER]>());
            }
            self.into.give_back();
            self.is_lost = true;
        }
        self.there()
    }
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(frames: &[Frame<'_>]) -> Vec<u8> {
        let mut out = Vec::new();
        for frame in frames {
            for blob in &frame.blobs {
                write_header(blob.kind(), blob.bytes().len(), &mut out);
                out.extend_from_slice(blob.bytes());
            }
            let start = begin(frame.kind, &mut out);
            out.extend_from_slice(&frame.payload);
            finish(&mut out, start);
        }
        out
    }

    fn owned(frame: Frame<'_>) -> Frame<'static> {
        Frame { payload: Cow::Owned(frame.payload.into_owned()), ..frame }
    }

    fn header(kind: u8, declared: u64) -> Vec<u8> {
        let mut bytes = vec![kind];
        bytes.extend(declared.to_le_bytes());
        bytes
    }

    fn frame(kind: u8, length: usize) -> Frame<'static> {
        let payload: Vec<u8> = (0..length).map(|i| (i % 253) as u8 ^ kind).collect();
        Frame { kind, payload: Cow::Owned(payload), blobs: Vec::new(), lost: 0 }
    }

    /// A blob of so many elements of 2^`size` bytes.
    fn blob(size: u8, length: usize) -> Blob {
        let bytes: Vec<u8> = (0..length << size).map(|at| (at % 251) as u8 ^ size).collect();
        Blob::of_kind(40 + size).unwrap().copy_from(&bytes)
    }

    fn with(blobs: Vec<Blob>, frame: Frame<'static>) -> Frame<'static> {
        Frame { blobs, ..frame }
    }

    fn drain(decoder: &mut Decoder, into: &mut Vec<Frame<'static>>) {
        while let Some(frame) = decoder.next().unwrap() {
            into.push(owned(frame));
        }
    }

    /// Feeds as a socket would: never more than there is room for.
    fn read_in_pieces(stream: &[u8], piece: usize) -> Vec<Frame<'static>> {
        let (mut decoder, mut got) = (Decoder::new(u64::MAX), Vec::new());
        let mut left = stream;
        while !left.is_empty() {
            let buffer = decoder.buffer();
            let count = piece.min(left.len()).min(buffer.len());
            assert!(count > 0);
            buffer[..count].copy_from_slice(&left[..count]);
            decoder.advance(count);
            left = &left[count..];
            drain(&mut decoder, &mut got);
        }
        got
    }

    #[test]
    fn a_frame_is_a_kind_a_length_and_a_payload() {
        let mut out = b"before".to_vec();
        let start = begin(3, &mut out);
        out.extend_from_slice(b"abc");
        finish(&mut out, start);
        assert_eq!(out, b"before\x03\x03\0\0\0\0\0\0\0abc");
    }

    /// faults.md, row 93: "declared length max/0/negative, header split into 1-byte writes, two frames in one
    /// write: handled; memory grows only with bytes received."
    #[test]
    fn every_split_of_two_frames_gives_the_two_frames() {
        let frames = [frame(1, 20), frame(2, 0), frame(255, 5)];
        splits(&frames, 1);
        // Blobs go with what comes behind them.
        let blobs = vec![blob(0, 3), blob(4, 1), blob(1, 0)];
        splits(&[with(blobs, frame(1, 4)), frame(2, 3), with(vec![blob(3, 2)], frame(3, 0))], 1);
        // Those that are not read at once, and what begins in the middle of an element.
        let blobs = vec![blob(2, BUFFER), blob(4, BUFFER / 7)];
        splits(&[frame(1, 2), with(blobs, frame(2, 5)), frame(3, BUFFER)], 9973);
    }

    /// Reads the frames with two splits anywhere, or at every so many bytes.
    fn splits(frames: &[Frame<'_>], step: usize) {
        let stream = encoded(frames);
        for first in (0..=stream.len()).step_by(step) {
            for second in (first..=stream.len()).step_by(step) {
                let (mut decoder, mut got) = (Decoder::new(1 << 20), Vec::new());
                for part in [&stream[..first], &stream[first..second], &stream[second..]] {
                    decoder.push(part);
                    drain(&mut decoder, &mut got);
                }
                assert!(got == frames, "split at {first} and {second}: {got:?}");
            }
        }
        assert!(read_in_pieces(&stream, 1) == frames);
    }

    #[test]
    fn bytes_are_a_frame_only_if_they_are_all_of_it() {
        let one = frame(7, 20);
        let bytes = encoded(std::slice::from_ref(&one));
        assert_eq!(Frame::within(&bytes, 0), Some(one.clone()));
        assert_eq!(Frame::within(&bytes[..bytes.len() - 1], 0), None);
        assert_eq!(Frame::within(&[&bytes[..], &[0]].concat(), 0), None);
        assert_eq!(Frame::within(&bytes[..4], 0), None);
    }

    #[test]
    fn frames_pushed_without_taking_any_are_all_kept_in_order() {
        let frames =
            [frame(1, 10), frame(2, BUFFER), frame(3, 300_000), frame(4, 7), frame(5, BUFFER - HEADER)];
        let stream = encoded(&frames);
        let (mut decoder, mut got) = (Decoder::new(1 << 20), Vec::new());
        decoder.push(&stream);
        decoder.push(&stream);
        drain(&mut decoder, &mut got);
        assert_eq!(got, [frames.clone(), frames].concat());
        // And the room that this took is given back.
        decoder.buffer();
        assert_eq!(decoder.held(), BUFFER);
    }

    #[test]
    fn what_follows_a_large_frame_that_nobody_has_taken_yet_stays_behind_it() {
        let frames = [frame(1, 200_000), frame(2, 3), frame(3, 100_000), frame(4, 0)];
        let stream = encoded(&frames);
        let (mut decoder, mut got) = (Decoder::new(1 << 20), Vec::new());
        decoder.push(&stream[..100]);
        assert_eq!(decoder.next(), Ok(None));
        decoder.push(&stream[100..]);
        drain(&mut decoder, &mut got);
        assert_eq!(got, frames);
    }

    /// faults.md, row 93, hostile lengths.
    #[test]
    fn a_length_above_the_limit_is_refused_for_good_and_stores_nothing() {
        for declared in [1001, u64::from(u32::MAX), i64::MAX as u64, 1 << 63, u64::MAX - 8, u64::MAX] {
            let mut decoder = Decoder::new(1000);
            decoder.push(&header(1, declared));
            let refused = Err(FrameError::TooLarge { declared, limit: 1000 });
            assert_eq!(decoder.next(), refused);
            decoder.push(&[0; 100]);
            assert_eq!(decoder.next(), refused);
            assert_eq!(decoder.held(), BUFFER);
        }
        let error = FrameError::TooLarge { declared: 1001, limit: 1000 };
        assert_eq!(error.to_string(), "a message of 1001 bytes was announced, and the limit is 1000");
    }

    /// faults.md, row 93, hostile lengths.
    #[test]
    fn blobs_that_are_uneven_too_large_together_or_too_many_are_refused_for_good() {
        let uneven = |declared| FrameError::Uneven { declared, size: 8 };
        let too_large = FrameError::TooLarge { declared: 1600, limit: 1000 };
        let largest = FrameError::TooLarge { declared: u64::MAX, limit: 1000 };
        let before = |blobs: &[Blob], rest: Vec<u8>| {
            let mut stream = encoded(&[with(blobs.to_vec(), frame(0, 0))]);
            stream.truncate(stream.len() - HEADER);
            [stream, rest].concat()
        };
        for (stream, expected) in [
            (header(43, 999), uneven(999)),
            (header(43, 1), uneven(1)),
            (header(44, u64::MAX), largest),
            (before(&[blob(3, 100)], header(43, 800)), too_large),
            (before(&[blob(3, 100)], header(9, 800)), too_large),
            (before(&[blob(3, 100)], header(43, u64::MAX)), largest),
            (before(&vec![blob(0, 0); MOST_BLOBS], header(40, 0)), FrameError::TooMany),
        ] {
            let mut decoder = Decoder::new(1000);
            for _ in 0..3 {
                decoder.push(&stream);
                assert_eq!(decoder.next(), Err(expected), "{expected}");
                assert!(decoder.held() <= BUFFER + 1000);
            }
        }
        assert_eq!(uneven(999).to_string(), "999 bytes of elements of 8 bytes were announced");
        assert_eq!(FrameError::TooMany.to_string(), "more than 12 blobs came before one message");
        // As many as are allowed.
        let most = [with(vec![blob(0, 1); MOST_BLOBS], frame(1, 9))];
        assert_eq!(read_in_pieces(&encoded(&most), 7), most);
    }

    #[test]
    fn a_frame_before_a_refused_one_is_delivered() {
        let mut stream = encoded(&[frame(7, 1000)]);
        stream.extend(header(1, 1001));
        let mut decoder = Decoder::new(1000);
        decoder.push(&stream);
        assert_eq!(decoder.next(), Ok(Some(frame(7, 1000))));
        assert!(decoder.next().is_err());
    }

    /// faults.md, row 93: "memory grows only with bytes received".
    #[test]
    fn a_peer_that_declares_much_and_sends_little_gets_little_memory() {
        for (kind, declared) in [(1, 1 << 40), (1, u64::MAX), (40, u64::MAX), (44, 1 << 40)] {
            let mut decoder = Decoder::new(u64::MAX);
            decoder.push(&header(kind, declared));
            for sent in 1..=1000 {
                assert_eq!(decoder.next(), Ok(None));
                assert!(!decoder.buffer().is_empty());
                assert!(decoder.held() <= 2 * BUFFER, "{} after {sent} bytes", decoder.held());
                decoder.push(&[0]);
            }
            let mut sent = 1000;
            for _ in 0..200 {
                decoder.push(&[0; 10_000]);
                sent += 10_000;
                assert_eq!(decoder.next(), Ok(None));
                assert!(decoder.held() <= 2 * sent + 2 * BUFFER, "{} after {sent} bytes", decoder.held());
            }
        }
    }

    #[test]
    fn three_mebibytes_arrive_whole_whatever_the_pieces_and_take_no_more_than_that() {
        let frames = [frame(1, 9), frame(2, 3 << 20), frame(3, 9)];
        let stream = encoded(&frames);
        for piece in [1000, 4096, BUFFER - 1, BUFFER, 1 << 20, usize::MAX] {
            let got = read_in_pieces(&stream, piece);
            assert!(got == frames, "pieces of {piece}");
            let Cow::Owned(large) = &got[1].payload else { panic!("it has memory of its own") };
            assert_eq!(large.capacity(), 3 << 20);
        }
    }

    #[test]
    fn of_what_there_is_no_memory_for_the_beginning_is_there_and_what_follows_is_whole() {
        let large = 300_000;
        let frames = [
            with(vec![blob(0, 9)], frame(1, 9)),
            frame(2, large),
            with(vec![blob(3, 9), blob(3, large / 8), blob(4, 1)], frame(3, 9)),
            with(vec![blob(0, large)], frame(4, large)),
            with(vec![blob(0, BUFFER)], frame(5, BUFFER)),
        ];
        let expected = [
            frames[0].clone(),
            Frame { payload: frames[1].payload[..KEPT].to_vec().into(), lost: large as u64, ..frame(2, 0) },
            Frame { lost: large as u64, ..with(vec![blob(3, 9), blob(3, 0), blob(4, 1)], frame(3, 9)) },
            Frame {
                payload: frames[3].payload[..KEPT].to_vec().into(),
                lost: 2 * large as u64,
                ..with(vec![blob(0, 0)], frame(4, 0))
            },
            frames[4].clone(),
        ];
        let stream = encoded(&frames);
        for memory in [BUFFER, 2 * BUFFER, 4 * BUFFER] {
            blob::tests::MEMORY.set(memory);
            for piece in [1, 1000, BUFFER, usize::MAX] {
                assert!(read_in_pieces(&stream, piece) == expected, "{memory} bytes, in pieces of {piece}");
            }
            // What is forgotten counts towards the limit.
            let limit = large as u64 + 80;
            let mut decoder = Decoder::new(limit);
            let mut pieces = encoded(&frames[2..3]);
            let last = pieces.split_off(pieces.len() - 100);
            for piece in pieces.chunks(BUFFER) {
                decoder.push(piece);
                assert_eq!(decoder.next(), Ok(None));
            }
            decoder.push(&last);
            assert_eq!(decoder.next(), Err(FrameError::TooLarge { declared: limit + 8, limit }));
        }
        blob::tests::MEMORY.set(usize::MAX);
        assert!(read_in_pieces(&stream, 1000) == frames);
    }

    #[test]
    fn lengths_around_the_buffer_size_are_no_special_case() {
        for length in
            [BUFFER - HEADER - 1, BUFFER - HEADER, BUFFER - HEADER + 1, BUFFER - 1, BUFFER, BUFFER + 1]
        {
            let frames = [frame(1, length), frame(2, 1), frame(3, length)];
            for piece in [HEADER, 1009, BUFFER] {
                assert!(read_in_pieces(&encoded(&frames), piece) == frames, "{length} in pieces of {piece}");
            }
        }
    }

    fn any_frame() -> impl Strategy<Value = Frame<'static>> {
        let length = prop_oneof![4 => 0..40usize, 1 => 0..3 * BUFFER];
        let blob = (0..5_u8, prop_oneof![4 => 0..9usize, 1 => 0..BUFFER / 4]);
        let blobs =
            prop::collection::vec(blob.prop_map(|(size, length)| super::tests::blob(size, length)), 0..3);
        let kind = any::<u8>().prop_filter("no blob", |kind| Blob::of_kind(*kind).is_none());
        (kind, length, blobs).prop_map(|(kind, length, blobs)| with(blobs, frame(kind, length)))
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 64,
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn any_frames_come_back_from_any_pieces(
            frames in prop::collection::vec(any_frame(), 0..12),
            pieces in prop::collection::vec(
                (prop_oneof![1..20usize, 1..2 * BUFFER], any::<bool>()),
                1..40,
            ),
        ) {
            let stream = encoded(&frames);
            let (mut decoder, mut got) = (Decoder::new(u64::MAX), Vec::new());
            let (mut left, mut pieces) = (&stream[..], pieces.iter().cycle());
            while !left.is_empty() {
                let &(piece, take_frames) = pieces.next().unwrap();
                let (now, later) = left.split_at(piece.min(left.len()));
                decoder.push(now);
                if take_frames {
                    drain(&mut decoder, &mut got);
                }
                left = later;
            }
            drain(&mut decoder, &mut got);
            prop_assert!(got == frames);
        }

        /// faults.md, row 92: "Protocol/Decode error, never panic or hang".
        #[test]
        fn any_bytes_give_frames_or_an_error(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            limit in 0..100u64,
        ) {
            let mut decoder = Decoder::new(limit);
            for part in bytes.chunks(7) {
                decoder.push(part);
                while let Ok(Some(frame)) = decoder.next() {
                    let blobs: usize = frame.blobs.iter().map(|blob| blob.bytes().len()).sum();
                    prop_assert!((frame.payload.len() + blobs) as u64 <= limit);
                }
            }
        }
    }
}
