//! The bytes of a store: a header, then frames, one after the other.
//!
//! Owns how a frame is laid out and checked. A frame is a head of 40 bytes, a name, a label and a body. The sum in the head
//! covers head, name and label, and also the place of the frame and a number that each file draws for itself: so bytes that
//! happen to look like a frame, as those of another store that somebody has saved as a value, are none here. The body has a
//! sum of its own, since bodies are large and are checked when they are read. Sums are the first 8 bytes of BLAKE3. Numbers are little-endian.

use super::error::{Kind, StoreError};
use std::path::Path;

/// The format's number; any change of the layout, or of what bodies say, takes the next one.
pub(super) const VERSION: u32 = 2;
pub(super) const MAGIC: &[u8; 16] = b"xfork task graph";
/// Magic, version, four bytes of nothing, salt, sum.
pub(super) const HEADER: usize = 40;
pub(super) const HEAD: usize = 40;
const MARK: [u8; 4] = *b"\xf7xfr";
/// More than any name needs; what a damaged length can make the reader ask for.
pub(super) const LONGEST_NAME: usize = 1 << 20;
/// A body that is read together with its frame (times, process numbers) has no more than this.
pub(super) const LONGEST_SMALL: u64 = 16 << 20;

/// The first bytes of a hash of everything in `parts`; their lengths must follow from the first.
pub(super) fn sum(parts: &[&[u8]]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    let mut sum = [0; 8];
    sum.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    sum
}

pub(super) fn header(salt: [u8; 8]) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..16].copy_from_slice(MAGIC);
    header[16..20].copy_from_slice(&VERSION.to_le_bytes());
    header[24..32].copy_from_slice(&salt);
    let sum = sum(&[&header[..32]]);
    header[32..].copy_from_slice(&sum);
    header
}

/// The salt of a file that begins with `bytes`, the first [`HEADER`] of it or all that there are.
pub(super) fn salt(bytes: &[u8], doing: &'static str, path: &Path) -> Result<[u8; 8], StoreError> {
    let fail = |kind| StoreError::new(doing, path, kind);
    let seen = bytes.len().min(MAGIC.len());
    if bytes[..seen] != MAGIC[..seen] {
        return Err(fail(Kind::Foreign("it was not written by xfork")));
    }
    // The version is looked at first: another one may have another header.
    let found = bytes.get(16..20).and_then(|version| version.try_into().ok()).map(u32::from_le_bytes);
    match found {
        Some(found) if found != VERSION => return Err(fail(Kind::Version(found, VERSION))),
        Some(_) if bytes.len() == HEADER => {}
        _ => return Err(fail(Kind::Corrupt("it ends within the first line", bytes.len() as u64))),
    }
    if bytes[32..] != sum(&[&bytes[..32]]) {
        return Err(fail(Kind::Corrupt("its header does not fit its checksum", 0)));
    }
    Ok(bytes[24..32].try_into().unwrap_or_default())
}

/// What a frame says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Verb {
    /// The result of the task `name`, whose type is `label`.
    Result = 1,
    /// The task `name` has no result any more.
    Remove,
    /// It waits to be run, with tag 0, or runs, with tag 1.
    Started,
    Ended,
    /// A note of the owner of the store under `name`.
    Meta,
    /// Everything before this frame had been brought to the disk when it was written.
    Synced,
}

impl Verb {
    fn of(byte: u8) -> Option<Self> {
        [Self::Result, Self::Remove, Self::Started, Self::Ended, Self::Meta, Self::Synced]
            .into_iter()
            .find(|verb| *verb as u8 == byte)
    }

    /// Whether the body is part of what is kept in memory.
    pub(super) fn has_small_body(self) -> bool {
        matches!(self, Self::Started | Self::Ended | Self::Meta)
    }
}

/// The fixed part of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) verb: Verb,
    /// How a task ended, or whether it runs; a number of the store's.
    pub(super) tag: u8,
    pub(super) name: u32,
    pub(super) label: u32,
    pub(super) body: u64,
    pub(super) body_sum: [u8; 8],
    head_sum: [u8; 8],
}

impl Head {
    /// What comes after the head.
    pub(super) fn rest(&self) -> u64 {
        u64::from(self.name) + u64::from(self.label) + self.body
    }

    /// `None`: no head. Whether it is one for certain, only [`fits`](Self::fits) tells.
    pub(super) fn parse(bytes: &[u8; HEAD]) -> Option<Self> {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap_or_default());
        let eight = |at: usize| -> [u8; 8] { bytes[at..at + 8].try_into().unwrap_or_default() };
        let head = Self {
            verb: Verb::of(bytes[4])?,
            tag: bytes[5],
            name: word(8),
            label: word(12),
            body: u64::from_le_bytes(eight(16)),
            body_sum: eight(24),
            head_sum: eight(32),
        };
        let sane = bytes[..4] == MARK
            && head.name as usize <= LONGEST_NAME
            && head.label as usize <= LONGEST_NAME
            && head.body <= i64::MAX as u64 / 2
            && (!head.verb.has_small_body() || head.body <= LONGEST_SMALL);
        sane.then_some(head)
    }

    /// Whether these are the bytes that were written at `at` of the file with `salt`.
    pub(super) fn fits(&self, bytes: &[u8; HEAD], names: &[u8], salt: [u8; 8], at: u64) -> bool {
        self.head_sum == sum(&[&bytes[..32], &salt, &at.to_le_bytes(), names])
    }
}

/// The head, name and label of a frame that is to stand at `at`, behind what is in `out`.
#[expect(clippy::too_many_arguments, reason = "the fields of a frame, in their order")]
pub(super) fn frame(
    out: &mut Vec<u8>,
    salt: [u8; 8],
    at: u64,
    (verb, tag): (Verb, u8),
    name: &[u8],
    label: &[u8],
    body: u64,
    body_sum: [u8; 8],
) {
    let mut head = [0; HEAD];
    head[..4].copy_from_slice(&MARK);
    head[4] = verb as u8;
    head[5] = tag;
    // Longer ones are refused where they come in.
    head[8..12].copy_from_slice(&(name.len() as u32).to_le_bytes());
    head[12..16].copy_from_slice(&(label.len() as u32).to_le_bytes());
    head[16..24].copy_from_slice(&body.to_le_bytes());
    head[24..32].copy_from_slice(&body_sum);
    let head_sum = sum(&[&head[..32], &salt, &at.to_le_bytes(), name, label]);
    head[32..].copy_from_slice(&head_sum);
    out.extend_from_slice(&head);
    out.extend_from_slice(name);
    out.extend_from_slice(label);
}
