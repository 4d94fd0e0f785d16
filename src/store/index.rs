//! What a store says: results, states and notes, as an index in memory.
//!
//! Owns the order in which a thing takes the place of another: how each kind of change alters the index, whether it comes from the
//! file or goes there. Values stay in the file; the index knows where.

use super::format::{self, HEAD, HEADER, Verb};
use super::scan::Frame;
use super::sink::Sink;
use std::collections::{BTreeMap, HashSet};
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The tag of what was started and runs.
const RUNS: u8 = 1;

/// How a task ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Outcome {
    /// With a value.
    Done = 1,
    /// With a failure.
    Failed,
    /// It counts as done, without a value.
    Marked,
}

impl Outcome {
    fn of(tag: u8) -> Option<Self> {
        [Self::Done, Self::Failed, Self::Marked].into_iter().find(|outcome| *outcome as u8 == tag)
    }
}

/// The result of a task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Record {
    /// What the bytes are of; the store only gives it back.
    pub(crate) fingerprint: Arc<str>,
    pub(crate) outcome: Outcome,
    pub(crate) bytes: Vec<u8>,
}

/// When something happened, and in which process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mark {
    pub(crate) time: SystemTime,
    pub(crate) pid: u32,
}

impl Mark {
    /// By the clock on the wall, which may be set back.
    pub(crate) fn now() -> Self {
        Self { time: SystemTime::now(), pid: std::process::id() }
    }

    fn encode(self) -> [u8; 16] {
        let since = self.time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&since.as_secs().to_le_bytes());
        bytes[8..12].copy_from_slice(&since.subsec_nanos().to_le_bytes());
        bytes[12..].copy_from_slice(&self.pid.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; 16] = bytes.try_into().ok()?;
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap_or_default());
        let secs = u64::from_le_bytes(bytes[..8].try_into().unwrap_or_default());
        let nanos = Some(word(8)).filter(|nanos| *nanos < 1_000_000_000)?;
        Some(Self { time: UNIX_EPOCH.checked_add(Duration::new(secs, nanos))?, pid: word(12) })
    }
}

/// Something to be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// The result of a task, which by that is in progress no more.
    Put(Box<[u8]>, Record),
    /// All that is known of a task is forgotten.
    Remove(Box<[u8]>),
    /// A task has been handed over to whoever runs it.
    Started(Box<[u8]>, Mark),
    /// It runs; that says nothing if it has ended meanwhile.
    Began(Box<[u8]>, Mark),
    Ended(Box<[u8]>, Mark),
    /// A note of the graph's own, of at most 16 MiB.
    Meta(Box<[u8]>, Vec<u8>),
}

/// What is known of a task without reading its result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    pub(crate) name: Box<[u8]>,
    /// Outcome, fingerprint and length of the result in bytes.
    pub(crate) result: Option<(Outcome, Arc<str>, u64)>,
    /// When it was last started, as far as anybody has said.
    pub(crate) started: Option<Mark>,
    pub(crate) ended: Option<Mark>,
    pub(crate) is_in_progress: bool,
    /// Whether it runs, and does not only wait for that.
    pub(crate) is_running: bool,
}

/// Where a result lies.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) outcome: Outcome,
    pub(super) fingerprint: Arc<str>,
    pub(super) at: u64,
    pub(super) len: u64,
    pub(super) sum: [u8; 8],
}

#[derive(Default, Debug)]
pub(super) struct Slot {
    pub(super) result: Option<Place>,
    pub(super) started: Option<Mark>,
    pub(super) ended: Option<Mark>,
    pub(super) is_in_progress: bool,
    /// Whether it runs, and does not only wait for that.
    pub(super) is_running: bool,
}

#[derive(Default, Debug)]
pub(super) struct Index {
    pub(super) tasks: BTreeMap<Box<[u8]>, Slot>,
    pub(super) meta: BTreeMap<Box<[u8]>, Vec<u8>>,
    /// Tasks mostly have few types between them.
    fingerprints: HashSet<Arc<str>>,
}

impl Index {
    fn fingerprint(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.fingerprints.get(text) {
            return known.clone();
        }
        let new: Arc<str> = text.into();
        self.fingerprints.insert(new.clone());
        new
    }

    fn slot(&mut self, name: &[u8]) -> &mut Slot {
        if !self.tasks.contains_key(name) {
            self.tasks.insert(name.into(), Slot::default());
        }
        self.tasks.entry(name.into()).or_default()
    }

    fn put(&mut self, name: &[u8], place: Place) {
        let slot = self.slot(name);
        slot.result = Some(place);
        (slot.is_in_progress, slot.is_running) = (false, false);
    }

    fn started(&mut self, name: &[u8], mark: Mark) {
        let slot = self.slot(name);
        (slot.started, slot.ended, slot.is_in_progress, slot.is_running) = (Some(mark), None, true, false);
    }

    /// Who learns of it may be overtaken by who learns of its end.
    fn began(&mut self, name: &[u8], mark: Mark) {
        if let Some(slot) = self.tasks.get_mut(name).filter(|slot| slot.is_in_progress) {
            (slot.started, slot.is_running) = (Some(mark), true);
        }
    }

    fn ended(&mut self, name: &[u8], mark: Mark) {
        let slot = self.slot(name);
        (slot.ended, slot.is_in_progress, slot.is_running) = (Some(mark), false, false);
    }

    /// `None`: the frame is whole, and says what this version does not know.
    pub(super) fn take(&mut self, frame: Frame) -> Option<()> {
        let head = frame.head;
        match head.verb {
            Verb::Result => {
                let place = Place {
                    outcome: Outcome::of(head.tag)?,
                    fingerprint: self.fingerprint(std::str::from_utf8(&frame.label).ok()?),
                    at: frame.body_at(),
                    len: head.body,
                    sum: head.body_sum,
                };
                self.put(&frame.name, place);
            }
            Verb::Remove => drop(self.tasks.remove(&frame.name)),
            Verb::Started => {
                let mark = Mark::decode(&frame.small)?;
                match head.tag {
                    0 => self.started(&frame.name, mark),
                    RUNS => self.began(&frame.name, mark),
                    _ => return None,
                }
            }
            Verb::Ended => self.ended(&frame.name, Mark::decode(&frame.small)?),
            Verb::Meta => drop(self.meta.insert(frame.name, frame.small.into())),
            Verb::Synced => {}
        }
        Some(())
    }

    /// What a file needs that says all this and nothing else.
    pub(super) fn size(&self) -> u64 {
        let frame = |name: &[u8], rest: u64| HEAD as u64 + name.len() as u64 + rest;
        let tasks = self.tasks.iter().map(|(name, slot)| {
            let marks = u64::from(slot.started.is_some())
                + u64::from(slot.is_running)
                + u64::from(slot.ended.is_some());
            let result = slot
                .result
                .as_ref()
                .map_or(0, |place| frame(name, place.fingerprint.len() as u64 + place.len));
            marks * frame(name, 16) + result
        });
        let meta = self.meta.iter().map(|(name, value)| frame(name, value.len() as u64));
        HEADER as u64 + tasks.sum::<u64>() + meta.sum::<u64>()
    }
}

impl Index {
    pub(super) fn apply(&mut self, change: &Change, at: u64, sum: [u8; 8]) {
        match change {
            Change::Put(name, record) => {
                let fingerprint = self.fingerprint(&record.fingerprint);
                let at = at + HEAD as u64 + (name.len() + fingerprint.len()) as u64;
                let (outcome, len) = (record.outcome, record.bytes.len() as u64);
                self.put(name, Place { outcome, fingerprint, at, len, sum });
            }
            Change::Remove(name) => drop(self.tasks.remove(name)),
            Change::Started(name, mark) => self.started(name, *mark),
            Change::Began(name, mark) => self.began(name, *mark),
            Change::Ended(name, mark) => self.ended(name, *mark),
            Change::Meta(name, value) => drop(self.meta.insert(name.clone(), value.clone())),
        }
    }

    pub(super) fn is_replaced_by(&self, change: &Change) -> bool {
        match change {
            Change::Put(name, _) => self.tasks.get(name).is_some_and(|slot| slot.result.is_some()),
            Change::Remove(name) => self.tasks.contains_key(name),
            Change::Started(..) | Change::Began(..) | Change::Ended(..) => false,
            Change::Meta(name, _) => self.meta.contains_key(name),
        }
    }
}

/// The frame of a change; gives its place and the sum of its body.
pub(super) fn put(sink: &mut Sink<'_>, change: &Change) -> io::Result<(u64, [u8; 8])> {
    let small;
    let (verb, name, label, body): (_, &[u8], &[u8], &[u8]) = match change {
        Change::Put(name, record) => {
            let verb = (Verb::Result, record.outcome as u8);
            (verb, name, record.fingerprint.as_bytes(), &record.bytes)
        }
        Change::Remove(name) => ((Verb::Remove, 0), name, b"", b""),
        Change::Started(name, mark) => {
            small = mark.encode();
            ((Verb::Started, 0), name, b"", &small)
        }
        Change::Began(name, mark) => {
            small = mark.encode();
            ((Verb::Started, RUNS), name, b"", &small)
        }
        Change::Ended(name, mark) => {
            small = mark.encode();
            ((Verb::Ended, 0), name, b"", &small)
        }
        Change::Meta(name, value) => ((Verb::Meta, 0), name, b"", value),
    };
    let is_note = verb.0 == Verb::Meta;
    if name.len().max(label.len()) > format::LONGEST_NAME
        || is_note && body.len() as u64 > format::LONGEST_SMALL
    {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let sum = format::sum(&[body]);
    let at = sink.head(verb, name, label, body.len() as u64, sum)?;
    sink.body(body)?;
    Ok((at, sum))
}
