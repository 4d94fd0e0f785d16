//! What a fuzzer plays with: three functions of a string of bytes that panic when a promise is broken.
//!
//! `fuzz/fuzz_targets` has a program for each; the inputs found so far lie in `fuzz/corpus` and are replayed by the test
//! below. Owns how bytes become frames, messages and events. Promises that every input ends soon: sizes are capped, so that
//! a time-out of the fuzzer is a finding. Leaves out how honest workers behave; that is `supervisor/model.rs`.

use super::supervisor::model;
use crate::core::error::{TaskError, WireError};
use crate::core::limits::Terms;
use crate::ground::panics::PanicRecord;
use crate::ground::wire::blob::Blob;
use crate::ground::wire::codec;
use crate::ground::wire::frame::{Decoder, Frame, FrameError};
use crate::ground::wire::message::{FromWorker, ToWorker};
use crate::ground::wire::parcel::Values;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::slice::Chunks;

/// What the decoder takes at once from the socket.
const READ: usize = 64 << 10;
/// The longest stream that is made of an input.
const LONGEST: usize = 256 << 10;

/// The input as choices; zeros behind its end.
struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    fn number<const BYTES: usize>(&mut self) -> u64 {
        (0..BYTES).fold(0, |number, at| number | u64::from(self.byte()) << (8 * at))
    }

    fn bytes(&mut self, count: usize) -> &'a [u8] {
        self.0.split_off(..count.min(self.0.len())).expect("no more than there are")
    }
}

/// Rows 92 and 93 of faults.md: a stream of frames, of pieces of frames and of anything else, in arbitrary pieces, gives
/// what one look at all of it gives, and takes no more memory than twice what has arrived and two buffers.
///
/// # Panics
///
/// When it doesn't.
pub(crate) fn frames(data: &[u8]) {
    let mut choices = Choices(data);
    let limit = 1 << (choices.byte() % 24);
    let (mut decoder, mut stream, mut got) = (Decoder::new(limit), Vec::new(), Vec::new());
    let mut failed = None;
    while !choices.0.is_empty() && stream.len() < LONGEST {
        let begin = stream.len();
        let what = choices.byte();
        match what % 8 {
            0 => {
                let length = usize::from(choices.byte());
                stream.extend_from_slice(choices.bytes(length));
            }
            // A header, of any length or of one that may be true.
            1 => {
                stream.push(choices.byte());
                stream.extend(choices.number::<8>().to_le_bytes());
            }
            2 => {
                stream.push(choices.byte());
                stream.extend(choices.number::<3>().to_le_bytes());
            }
            3 => stream.resize(begin + choices.number::<2>() as usize, what),
            // A whole frame.
            4 | 5 => {
                let (kind, length) = (choices.byte(), choices.number::<2>() << (what % 8 - 4));
                stream.push(kind);
                stream.extend(length.to_le_bytes());
                stream.resize(begin + 9 + length as usize, kind);
            }
            _ => failed = take(&mut decoder, &mut got, limit),
        }
        // As it came, a byte at a time, or in pieces of some size.
        let piece = match what >> 3 {
            0..8 => LONGEST,
            8..12 => 1,
            other => usize::from(other - 11) * 997,
        };
        for piece in stream[begin..].chunks(piece) {
            decoder.push(piece);
            if what & 8 != 0 {
                failed = take(&mut decoder, &mut got, limit);
            }
        }
        let (held, arrived) = (decoder.held(), stream.len());
        assert!(held <= 2 * arrived + 2 * READ, "{held} bytes are held after {arrived}");
    }
    let last = take(&mut decoder, &mut got, limit);
    assert!(failed.is_none() || failed == last, "{failed:?} was forgotten");
    let (expected, error) = frames_of(&stream, limit);
    assert!(got == expected, "{} frames instead of {}", got.len(), expected.len());
    assert_eq!(last, error);
}

fn take(decoder: &mut Decoder, got: &mut Vec<Frame<'static>>, limit: u64) -> Option<FrameError> {
    loop {
        match decoder.next() {
            Ok(Some(frame)) => {
                let blobs = frame.blobs.iter().map(|blob| blob.bytes().len());
                assert!((frame.payload.len() + blobs.sum::<usize>()) as u64 <= limit);
                got.push(Frame { payload: frame.payload.into_owned().into(), ..frame });
            }
            Ok(None) => return None,
            Err(error) => return Some(error),
        }
    }
}

/// The frames of a whole stream, found as simply as possible.
fn frames_of(mut stream: &[u8], limit: u64) -> (Vec<Frame<'_>>, Option<FrameError>) {
    let (mut frames, mut blobs) = (Vec::new(), Vec::new());
    while let Some((&[kind, a, b, c, d, e, f, g, h], rest)) = stream.split_first_chunk::<9>() {
        let declared = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let in_all =
            blobs.iter().fold(declared, |all, blob: &Blob| all.saturating_add(blob.bytes().len() as u64));
        if in_all > limit {
            return (frames, Some(FrameError::TooLarge { declared: in_all, limit }));
        }
        let size = matches!(kind, 40..45).then(|| 1_usize << (kind - 40));
        if let Some(size) = size.filter(|size| declared % *size as u64 != 0) {
            return (frames, Some(FrameError::Uneven { declared, size }));
        }
        if size.is_some() && blobs.len() == 12 {
            return (frames, Some(FrameError::TooMany));
        }
        let Some((payload, rest)) = rest.split_at_checked(declared as usize) else { break };
        let elements = payload.chunks(size.unwrap_or(1));
        match kind {
            40 => blobs.extend(Blob::of(payload.to_vec())),
            41 => blobs.extend(Blob::of(numbers(elements, u16::from_ne_bytes))),
            42 => blobs.extend(Blob::of(numbers(elements, u32::from_ne_bytes))),
            43 => blobs.extend(Blob::of(numbers(elements, u64::from_ne_bytes))),
            44 => blobs.extend(Blob::of(numbers(elements, u128::from_ne_bytes))),
            _ => {
                let blobs = std::mem::take(&mut blobs);
                frames.push(Frame { kind, payload: payload.into(), blobs, lost: 0 });
            }
        }
        stream = rest;
    }
    (frames, None)
}

fn numbers<const SIZE: usize, N>(elements: Chunks<'_, u8>, number: fn([u8; SIZE]) -> N) -> Vec<N> {
    elements.map(|bytes| number(bytes.try_into().expect("whole elements"))).collect()
}

/// Row 92 of faults.md: the first byte is the kind of a message, the rest its payload, and also what an error, a panic or
/// the terms of a task may be decoded from. What can be read, is written and read again as the same; an error can be
/// shown, without a control character.
///
/// # Panics
///
/// When it isn't so.
pub(crate) fn messages(data: &[u8]) {
    let Some((&kind, payload)) = data.split_first() else { return };
    let frame = Frame { kind, payload: payload.into(), blobs: Vec::new(), lost: 0 };
    if let Ok(message) = ToWorker::read(&frame) {
        let mut bytes = Vec::new();
        message.write(&mut bytes);
        assert_eq!(ToWorker::read(&only_frame(&bytes)), Ok(message));
    }
    if let Ok(ToWorker::With { pieces, message }) = ToWorker::read(&frame) {
        look_inside(pieces, message);
    }
    let mut blobs = vec![payload];
    if let Ok(message) = FromWorker::read(&frame) {
        let mut bytes = Vec::new();
        message.write(&mut bytes);
        assert_eq!(FromWorker::read(&only_frame(&bytes)), Ok(message));
        blobs.extend(match FromWorker::read(&frame) {
            Ok(FromWorker::Failed { error, .. }) => Some(error),
            Ok(FromWorker::Child { terms, .. }) => Some(terms),
            Ok(FromWorker::With { pieces, message }) => {
                look_inside(pieces, message);
                None
            }
            _ => None,
        });
    }
    for blob in blobs {
        if let Some(error) = stable::<WireError>(blob) {
            show(&TaskError::from(error), blob.len());
        }
        stable::<PanicRecord>(blob);
        stable::<Terms>(blob);
    }
}

/// What mentions shared memory has a list of it, and a frame.
fn look_inside(pieces: &[u8], message: &[u8]) {
    let blob = || Blob::of(vec![0_u8; 3]).expect("bytes");
    let _ = Values::read(pieces, vec![blob(), blob()], 0, |_| None);
    if let Some(frame) = Frame::within(message, 0) {
        let _ = (FromWorker::read(&frame), ToWorker::read(&frame));
    }
}

fn show(error: &TaskError, size: usize) {
    let shown = error.to_string();
    // A byte may be shown as `\u{202e}`.
    assert!(shown.len() <= 16 * (size + 1024), "{} bytes of {size}", shown.len());
    let is_hidden = |c: char| c.is_control() && c != '\n' && c != '\t';
    assert!(!shown.contains(is_hidden), "{shown:?}");
    let _ = (format!("{error:?}"), error.message(), error.location(), error.forked_at(), error.operator_at());
}

fn only_frame(bytes: &[u8]) -> Frame<'_> {
    let (mut frames, error) = frames_of(bytes, u64::MAX);
    assert!(frames.len() == 1 && error.is_none(), "a message is one frame");
    frames.remove(0)
}

/// The value that the bytes begin with, if they do: one whose own bytes give the same bytes again.
fn stable<T: Serialize + DeserializeOwned + 'static>(bytes: &[u8]) -> Option<T> {
    let encoded = |value: &T| {
        let mut bytes = Vec::new();
        codec::encode(value, &mut bytes).expect("what was decoded can be encoded");
        bytes
    };
    let value = codec::decode::<T>(&mut &bytes[..]).ok()?;
    let first = encoded(&value);
    let mut rest = &first[..];
    let again = codec::decode::<T>(&mut rest).expect("what was encoded can be decoded");
    assert!(rest.is_empty() && encoded(&again) == first);
    Some(value)
}

/// "Each task ends exactly once": the bytes are what happens to a pool of pretended workers, in this order.
///
/// # Panics
///
/// When an invariant of the model is broken.
pub(crate) fn supervisor(data: &[u8]) {
    let mut choices = Choices(data);
    let (wanted, micros) = (usize::from(choices.byte() % 4) + 1, choices.number::<2>() % 1000 + 1);
    let numbers =
        choices.0.chunks_exact(2).take(1000).map(|pair| u32::from(pair[0]) | u32::from(pair[1]) << 8);
    model::play(wanted, micros, numbers);
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;
    use std::fs;
    use std::path::{Path, PathBuf};

    fn corpus(target: &str) -> Vec<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
        let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(files.len() >= 10, "{} has {} files", folder.display(), files.len());
        files
    }

    fn replay(target: &str, play: fn(&[u8])) {
        for file in corpus(target) {
            // Shown only if it fails.
            println!("{}", file.display());
            play(&fs::read(&file).unwrap());
        }
    }

    /// Rows 92 and 93 of faults.md.
    #[test]
    fn every_stream_of_the_corpus_gives_its_frames() {
        replay("frames", frames);
    }

    /// Row 92 of faults.md.
    #[test]
    fn every_message_of_the_corpus_is_read_and_shown() {
        replay("messages", messages);
    }

    /// Row 92 of faults.md: "every single-byte truncation and bit flip of each message kind: Protocol/Decode error, never
    /// panic or hang".
    #[test]
    fn every_truncation_and_every_flip_of_a_bit_of_every_message_is_read_or_refused() {
        let mut kinds = std::collections::BTreeSet::new();
        for input in corpus("messages") {
            let bytes = fs::read(&input).unwrap();
            // The longest say nothing new at ten times the cost.
            let Some(kind) = bytes.first().filter(|_| bytes.len() <= 200) else { continue };
            kinds.insert(*kind);
            for length in 0..bytes.len() {
                messages(&bytes[..length]);
            }
            for bit in 0..8 * bytes.len() {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                messages(&flipped);
            }
        }
        assert!(
            (1..=7).chain([16]).chain(65..=80).chain([82]).all(|kind| kinds.contains(&kind)),
            "{kinds:?}"
        );
    }

    #[test]
    fn every_play_of_the_corpus_ends_each_task_once() {
        replay("supervisor", supervisor);
    }
}
