//! The messages between the program and a worker, and their bytes.
//!
//! Small fixed fields are little-endian numbers in front; what follows (arguments, a result, an error) fills the rest
//! of the frame and is not looked into here. See `src/runner/process/README.md` for who sends what when.

use crate::ground::wire::frame::{self, Frame};

/// The version of this protocol; part of the handshake.
pub(crate) const PROTOCOL: u32 = 6;

/// What the program tells a worker.
#[derive(Debug, PartialEq)]
pub(crate) enum ToWorker<'a> {
    /// The worker is accepted; how many workers the pool has, the largest message in bytes, the number after that of the
    /// function to run before the first task, or 0, and whether its standard output and error are files for the text of its
    /// tasks (1) or not (0); and whether both sides write into their rings from now on (1) or not (0).
    Welcome { workers: u32, max_message: u64, prepare: u64, captures: u32, rings: u32 },
    /// Run this. `above` is 0, or the task that the worker has said it is blocked in: only then may it run it. `terms` is
    /// what the task takes along, encoded.
    /// If it is a chunk, `args` are those of several items, which are to be run one after the other.
    Task { id: u64, above: u64, entry: u32, name: &'a str, terms: &'a [u8], is_chunk: bool, args: &'a [u8] },
    /// Give back the items of this chunk that you have not started.
    Divide { id: u64 },
    /// Hand over up to `want` of the tasks that your tasks forked and nobody has started.
    Steal { want: u32 },
    /// Give back up to `want` of the tasks sent to you that you have not started.
    Recall { want: u32 },
    /// A task that you handed over has this result.
    ChildDone { id: u64, result: &'a [u8] },
    /// A task that you handed over failed.
    ChildFailed { id: u64, error: &'a [u8] },
    /// A task that you handed over, and that has not ended yet, has printed this after `left_out` bytes that are left out;
    /// `stream` is 1 or 2.
    ChildText { id: u64, stream: u32, left_out: u64, text: &'a [u8] },
    /// The pool ends; so do you.
    Bye,
    /// The descriptor with this inode, which has come with the first byte of this or before, is a memory file of so many bytes: messages
    /// call it `id` from now on.
    Lend { id: u64, bytes: u64, inode: u64 },
    /// No message will call this file by its number any more: say when you have let go of it, too.
    Forget { id: u64 },
    /// The frame `message`, a task or the result of one that you handed over, whose values mention these pieces.
    With { pieces: &'a [u8], message: &'a [u8] },
}

/// What a worker tells the program.
#[derive(Debug, PartialEq)]
pub(crate) enum FromWorker<'a> {
    /// Who I am, and whether I have the rings that I was given (1) or not (0).
    Hello { protocol: u32, build: u64, pid: u32, rings: u32 },
    /// There is something in my ring.
    Knock,
    /// I am about to run the task, or have begun: from now on it is never run elsewhere.
    Started { id: u64 },
    /// The task, and all that it forked, has finished after `micros` microseconds.
    Done { id: u64, micros: u64, result: &'a [u8] },
    /// The task failed.
    Failed { id: u64, error: &'a [u8] },
    /// The next item of my chunk `id`, and all that it forked, has finished.
    Item { id: u64, result: &'a [u8] },
    /// It has failed.
    ItemFailed { id: u64, error: &'a [u8] },
    /// I have not started the items of the chunk from this place on, counted from zero, and will not.
    Divided { id: u64, from: u32 },
    /// A task sent to me that I have not started and will not start.
    Returned { id: u64 },
    /// My tasks have forked tasks that nobody has started.
    Surplus,
    /// A task forked by my task `parent`, handed over; I know it as `id`.
    Child { parent: u64, id: u64, entry: u32, name: &'a str, terms: &'a [u8], args: &'a [u8] },
    /// That was all I had to answer to the last `Steal`.
    Stolen,
    /// That was all I had to answer to the last `Recall`.
    Recalled,
    /// My task `id` waits for others and I have nothing to do.
    Blocked { id: u64 },
    /// I have something to do again.
    Unblocked,
    /// I am about to abort because of this panic.
    LastPanic { record: &'a [u8] },
    /// My task `id`, or none if that is 0, has printed this after `left_out` bytes that are left out. What lies in the file of
    /// the stream before `seen` is told: after my death, what lies behind is that of the task that I was running.
    Text { id: u64, stream: u32, seen: u64, left_out: u64, text: &'a [u8] },
    /// What was to be run before the first task has been run.
    Prepared,
    /// It failed; I am about to end.
    Unprepared { error: &'a [u8] },
    /// The result of a task that I handed over is not wanted any more.
    Unwanted { id: u64 },
    /// A task that my task forked failed, and nobody looked at it.
    Unseen { error: &'a [u8] },
    /// The frame `message`, a result or a task that I hand over, whose values mention these pieces.
    With { pieces: &'a [u8], message: &'a [u8] },
    /// Nobody here holds any more what I was told to forget.
    LetGo { id: u64 },
    /// I can't take what was lent to me by this number: lend me nothing more.
    Refused { id: u64 },
}

/// A message that no honest peer sends.
#[derive(Debug, PartialEq)]
pub(crate) struct Malformed(pub(crate) u8);

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a malformed message of kind {}", self.0)
    }
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn u64(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*number))
    }

    fn u32(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_le_bytes(*number))
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()? as usize;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    /// Bytes whose length is one of 8 bytes.
    fn long_bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.u64()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}

trait Put {
    fn u64(&mut self, number: u64);
    fn u32(&mut self, number: u32);
    fn bytes(&mut self, bytes: &[u8]);
}

impl Put for Vec<u8> {
    fn u64(&mut self, number: u64) {
        self.extend_from_slice(&number.to_le_bytes());
    }
    fn u32(&mut self, number: u32) {
        self.extend_from_slice(&number.to_le_bytes());
    }
    fn bytes(&mut self, bytes: &[u8]) {
        self.u32(bytes.len() as u32);
        self.extend_from_slice(bytes);
    }
}

/// Writes a frame whose payload `write` appends.
pub(crate) fn framed(kind: u8, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = frame::begin(kind, out);
    write(out);
    frame::finish(out, start);
}

fn with(kind: u8, pieces: &[u8], message: &[u8], out: &mut Vec<u8>) {
    out.reserve(pieces.len() + message.len() + 64);
    framed(kind, out, |out| {
        out.u64(pieces.len() as u64);
        out.extend_from_slice(pieces);
        out.extend_from_slice(message);
    });
}

const WELCOME: u8 = 1;
const TASK: u8 = 2;
const STEAL: u8 = 3;
const RECALL: u8 = 4;
const CHILD_DONE: u8 = 5;
const CHILD_FAILED: u8 = 6;
const BYE: u8 = 7;
const CHILD_TEXT: u8 = 16;
const LEND: u8 = 17;
const FORGET: u8 = 18;
const WITH: u8 = 19;
const CHUNK: u8 = 20;
const DIVIDE: u8 = 21;

/// Writes everything of a task's frame but the arguments, which the caller appends before [`frame::finish`].
pub(crate) fn begin_task(
    id: u64,
    above: u64,
    entry: u32,
    name: &str,
    terms: &[u8],
    is_chunk: bool,
    out: &mut Vec<u8>,
) -> usize {
    let start = frame::begin(if is_chunk { CHUNK } else { TASK }, out);
    out.u64(id);
    out.u64(above);
    out.u32(entry);
    out.bytes(name.as_bytes());
    out.bytes(terms);
    start
}

impl<'a> ToWorker<'a> {
    /// Whether it has values, which may mention pieces.
    pub(crate) fn has_values(&self) -> bool {
        matches!(self, ToWorker::Task { .. } | ToWorker::ChildDone { .. })
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match *self {
            ToWorker::Welcome { workers, max_message, prepare, captures, rings } => {
                framed(WELCOME, out, |out| {
                    out.u32(workers);
                    out.u64(max_message);
                    out.u64(prepare);
                    out.u32(captures);
                    out.u32(rings);
                })
            }
            ToWorker::Divide { id } => framed(DIVIDE, out, |out| out.u64(id)),
            ToWorker::Task { id, above, entry, name, terms, is_chunk, args } => {
                let start = begin_task(id, above, entry, name, terms, is_chunk, out);
                out.extend_from_slice(args);
                frame::finish(out, start);
            }
            ToWorker::Steal { want } => framed(STEAL, out, |out| out.u32(want)),
            ToWorker::Recall { want } => framed(RECALL, out, |out| out.u32(want)),
            ToWorker::ChildDone { id, result } => framed(CHILD_DONE, out, |out| {
                out.u64(id);
                out.extend_from_slice(result);
            }),
            ToWorker::ChildFailed { id, error } => framed(CHILD_FAILED, out, |out| {
                out.u64(id);
                out.extend_from_slice(error);
            }),
            ToWorker::ChildText { id, stream, left_out, text } => framed(CHILD_TEXT, out, |out| {
                out.u64(id);
                out.u32(stream);
                out.u64(left_out);
                out.extend_from_slice(text);
            }),
            ToWorker::Bye => framed(BYE, out, |_| ()),
            ToWorker::Lend { id, bytes, inode } => framed(LEND, out, |out| {
                out.u64(id);
                out.u64(bytes);
                out.u64(inode);
            }),
            ToWorker::Forget { id } => framed(FORGET, out, |out| out.u64(id)),
            ToWorker::With { pieces, message } => with(WITH, pieces, message, out),
        }
    }

    pub(crate) fn read(frame: &'a Frame<'_>) -> Result<Self, Malformed> {
        let mut fields = Fields(&frame.payload);
        let mut read = || {
            Some(match frame.kind {
                WELCOME => ToWorker::Welcome {
                    workers: fields.u32()?,
                    max_message: fields.u64()?,
                    prepare: fields.u64()?,
                    captures: fields.u32()?,
                    rings: fields.u32()?,
                },
                TASK | CHUNK => ToWorker::Task {
                    id: fields.u64()?,
                    above: fields.u64()?,
                    entry: fields.u32()?,
                    name: fields.text()?,
                    terms: fields.bytes()?,
                    is_chunk: frame.kind == CHUNK,
                    args: fields.rest(),
                },
                DIVIDE => ToWorker::Divide { id: fields.u64()? },
                STEAL => ToWorker::Steal { want: fields.u32()? },
                RECALL => ToWorker::Recall { want: fields.u32()? },
                CHILD_DONE => ToWorker::ChildDone { id: fields.u64()?, result: fields.rest() },
                CHILD_FAILED => ToWorker::ChildFailed { id: fields.u64()?, error: fields.rest() },
                CHILD_TEXT => ToWorker::ChildText {
                    id: fields.u64()?,
                    stream: fields.u32()?,
                    left_out: fields.u64()?,
                    text: fields.rest(),
                },
                BYE => ToWorker::Bye,
                LEND => ToWorker::Lend { id: fields.u64()?, bytes: fields.u64()?, inode: fields.u64()? },
                FORGET => ToWorker::Forget { id: fields.u64()? },
                WITH => ToWorker::With { pieces: fields.long_bytes()?, message: fields.rest() },
                _ => return None,
            })
        };
        read().filter(|_| fields.0.is_empty()).ok_or(Malformed(frame.kind))
    }
}

const HELLO: u8 = 65;
const STARTED: u8 = 66;
const DONE: u8 = 67;
const FAILED: u8 = 68;
const RETURNED: u8 = 69;
const SURPLUS: u8 = 70;
const CHILD: u8 = 71;
const STOLEN: u8 = 72;
const RECALLED: u8 = 73;
const BLOCKED: u8 = 74;
const UNBLOCKED: u8 = 75;
const LAST_PANIC: u8 = 76;
const UNSEEN: u8 = 77;
const PREPARED: u8 = 78;
const UNPREPARED: u8 = 79;
const UNWANTED: u8 = 80;
const TEXT: u8 = 82;
const KNOCK: u8 = 83;
const WITH_FROM: u8 = 84;
const LET_GO: u8 = 85;
const REFUSED: u8 = 86;
const ITEM: u8 = 87;
const ITEM_FAILED: u8 = 88;
const DIVIDED: u8 = 89;

impl<'a> FromWorker<'a> {
    /// Whether it has values, which may mention pieces.
    pub(crate) fn has_values(&self) -> bool {
        matches!(self, FromWorker::Done { .. } | FromWorker::Item { .. } | FromWorker::Child { .. })
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match *self {
            FromWorker::Hello { protocol, build, pid, rings } => framed(HELLO, out, |out| {
                out.u32(protocol);
                out.u64(build);
                out.u32(pid);
                out.u32(rings);
            }),
            FromWorker::Knock => framed(KNOCK, out, |_| ()),
            FromWorker::Started { id } => framed(STARTED, out, |out| out.u64(id)),
            FromWorker::Done { id, micros, result } => framed(DONE, out, |out| {
                out.u64(id);
                out.u64(micros);
                out.extend_from_slice(result);
            }),
            FromWorker::Failed { id, error } => framed(FAILED, out, |out| {
                out.u64(id);
                out.extend_from_slice(error);
            }),
            FromWorker::Item { id, result } => framed(ITEM, out, |out| {
                out.u64(id);
                out.extend_from_slice(result);
            }),
            FromWorker::ItemFailed { id, error } => framed(ITEM_FAILED, out, |out| {
                out.u64(id);
                out.extend_from_slice(error);
            }),
            FromWorker::Divided { id, from } => framed(DIVIDED, out, |out| {
                out.u64(id);
                out.u32(from);
            }),
            FromWorker::Returned { id } => framed(RETURNED, out, |out| out.u64(id)),
            FromWorker::Surplus => framed(SURPLUS, out, |_| ()),
            FromWorker::Child { parent, id, entry, name, terms, args } => framed(CHILD, out, |out| {
                out.u64(parent);
                out.u64(id);
                out.u32(entry);
                out.bytes(name.as_bytes());
                out.bytes(terms);
                out.extend_from_slice(args);
            }),
            FromWorker::Stolen => framed(STOLEN, out, |_| ()),
            FromWorker::Recalled => framed(RECALLED, out, |_| ()),
            FromWorker::Blocked { id } => framed(BLOCKED, out, |out| out.u64(id)),
            FromWorker::Unblocked => framed(UNBLOCKED, out, |_| ()),
            FromWorker::LastPanic { record } => framed(LAST_PANIC, out, |out| out.extend_from_slice(record)),
            FromWorker::Prepared => framed(PREPARED, out, |_| ()),
            FromWorker::Unprepared { error } => framed(UNPREPARED, out, |out| out.extend_from_slice(error)),
            FromWorker::Unwanted { id } => framed(UNWANTED, out, |out| out.u64(id)),
            FromWorker::Text { id, stream, seen, left_out, text } => framed(TEXT, out, |out| {
                out.u64(id);
                out.u32(stream);
                out.u64(seen);
                out.u64(left_out);
                out.extend_from_slice(text);
            }),
            FromWorker::Unseen { error } => framed(UNSEEN, out, |out| out.extend_from_slice(error)),
            FromWorker::With { pieces, message } => with(WITH_FROM, pieces, message, out),
            FromWorker::LetGo { id } => framed(LET_GO, out, |out| out.u64(id)),
            FromWorker::Refused { id } => framed(REFUSED, out, |out| out.u64(id)),
        }
    }

    pub(crate) fn read(frame: &'a Frame<'_>) -> Result<Self, Malformed> {
        let mut fields = Fields(&frame.payload);
        let mut read = || {
            Some(match frame.kind {
                HELLO => FromWorker::Hello {
                    protocol: fields.u32()?,
                    build: fields.u64()?,
                    pid: fields.u32()?,
                    rings: fields.u32()?,
                },
                KNOCK => FromWorker::Knock,
                STARTED => FromWorker::Started { id: fields.u64()? },
                DONE => FromWorker::Done { id: fields.u64()?, micros: fields.u64()?, result: fields.rest() },
                FAILED => FromWorker::Failed { id: fields.u64()?, error: fields.rest() },
                ITEM => FromWorker::Item { id: fields.u64()?, result: fields.rest() },
                ITEM_FAILED => FromWorker::ItemFailed { id: fields.u64()?, error: fields.rest() },
                DIVIDED => FromWorker::Divided { id: fields.u64()?, from: fields.u32()? },
                RETURNED => FromWorker::Returned { id: fields.u64()? },
                SURPLUS => FromWorker::Surplus,
                CHILD => FromWorker::Child {
                    parent: fields.u64()?,
                    id: fields.u64()?,
                    entry: fields.u32()?,
                    name: fields.text()?,
                    terms: fields.bytes()?,
                    args: fields.rest(),
                },
                STOLEN => FromWorker::Stolen,
                RECALLED => FromWorker::Recalled,
                BLOCKED => FromWorker::Blocked { id: fields.u64()? },
                UNBLOCKED => FromWorker::Unblocked,
                LAST_PANIC => FromWorker::LastPanic { record: fields.rest() },
                PREPARED => FromWorker::Prepared,
                UNPREPARED => FromWorker::Unprepared { error: fields.rest() },
                UNWANTED => FromWorker::Unwanted { id: fields.u64()? },
                TEXT => FromWorker::Text {
                    id: fields.u64()?,
                    stream: fields.u32()?,
                    seen: fields.u64()?,
                    left_out: fields.u64()?,
                    text: fields.rest(),
                },
                UNSEEN => FromWorker::Unseen { error: fields.rest() },
                WITH_FROM => FromWorker::With { pieces: fields.long_bytes()?, message: fields.rest() },
                LET_GO => FromWorker::LetGo { id: fields.u64()? },
                REFUSED => FromWorker::Refused { id: fields.u64()? },
                _ => return None,
            })
        };
        read().filter(|_| fields.0.is_empty()).ok_or(Malformed(frame.kind))
    }
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame_of(bytes: &[u8]) -> Frame<'_> {
        Frame::within(bytes, 0).unwrap()
    }

    #[test]
    fn messages_come_back_equal() {
        for message in [
            ToWorker::Welcome { workers: 2, max_message: 9, prepare: 0, captures: 1, rings: 1 },
            ToWorker::ChildText { id: 8, stream: 2, left_out: 3, text: b"t" },
            ToWorker::Task {
                id: 1,
                above: 2,
                entry: 3,
                name: "näme",
                terms: b"t",
                is_chunk: false,
                args: b"args",
            },
            ToWorker::Task { id: 1, above: 0, entry: 3, name: "", terms: b"", is_chunk: true, args: b"" },
            ToWorker::Divide { id: 12 },
            ToWorker::Steal { want: 4 },
            ToWorker::Recall { want: 5 },
            ToWorker::ChildDone { id: 6, result: b"" },
            ToWorker::ChildFailed { id: 7, error: b"e" },
            ToWorker::Bye,
            ToWorker::Lend { id: 8, bytes: 9, inode: 10 },
            ToWorker::Forget { id: 11 },
            ToWorker::With { pieces: b"p", message: b"m" },
        ] {
            let mut bytes = Vec::new();
            message.write(&mut bytes);
            assert_eq!(ToWorker::read(&frame_of(&bytes)), Ok(message));
        }
        for message in [
            FromWorker::Hello { protocol: 1, build: 2, pid: 3, rings: 1 },
            FromWorker::Knock,
            FromWorker::Started { id: 4 },
            FromWorker::Done { id: 5, micros: 6, result: b"r" },
            FromWorker::Failed { id: 7, error: b"" },
            FromWorker::Item { id: 7, result: b"r" },
            FromWorker::ItemFailed { id: 7, error: b"e" },
            FromWorker::Divided { id: 7, from: 3 },
            FromWorker::Returned { id: 8 },
            FromWorker::Surplus,
            FromWorker::Child { parent: 9, id: 10, entry: 11, name: "", terms: b"", args: b"" },
            FromWorker::Stolen,
            FromWorker::Recalled,
            FromWorker::Blocked { id: 12 },
            FromWorker::Unblocked,
            FromWorker::LastPanic { record: b"p" },
            FromWorker::Prepared,
            FromWorker::Unprepared { error: b"e" },
            FromWorker::Unwanted { id: 13 },
            FromWorker::Unseen { error: b"u" },
            FromWorker::With { pieces: b"", message: b"m" },
            FromWorker::LetGo { id: 14 },
            FromWorker::Refused { id: 15 },
            FromWorker::Text { id: 13, stream: 1, seen: 14, left_out: 15, text: b"" },
        ] {
            let mut bytes = Vec::new();
            message.write(&mut bytes);
            assert_eq!(FromWorker::read(&frame_of(&bytes)), Ok(message));
        }
    }

    proptest! {
        /// Row 92 of faults.md: whatever bytes come, the answer is a message or `Malformed`.
        #[test]
        fn hostile_payloads_are_malformed_or_a_message(kind: u8, payload: Vec<u8>) {
            let frame = Frame { kind, payload: payload.into(), blobs: Vec::new(), lost: 0 };
            let _ = FromWorker::read(&frame);
            let _ = ToWorker::read(&frame);
        }
    }
}
