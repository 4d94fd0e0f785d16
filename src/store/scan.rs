//! Reading a store from its beginning: which frames count, and where the next one goes.
//!
//! Owns the decision between "the writer was stopped" and "the file is damaged". Frames are read until one does not fit. If the
//! file says further behind that everything before had been brought to the disk, then what does not fit was whole once,
//! and the file is damaged. Else the end was being written when the process or the machine stopped, and what remains is
//! what stands before it. A machine that stops may lose any part of what was not yet brought to the disk; so of the frames
//! behind the last such remark the bodies are read, too.

use super::error::{Kind, StoreError};
use super::format::{self, HEAD, HEADER, Head, Verb};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What is read from the file at a time.
const STRIDE: usize = 256 << 10;

#[derive(Debug)]
pub(super) struct Frame {
    pub(super) at: u64,
    pub(super) head: Head,
    pub(super) name: Box<[u8]>,
    pub(super) label: Box<[u8]>,
    /// The body, where it belongs into memory.
    pub(super) small: Box<[u8]>,
}

impl Frame {
    pub(super) fn body_at(&self) -> u64 {
        self.end() - self.head.body
    }

    pub(super) fn end(&self) -> u64 {
        self.at + HEAD as u64 + self.head.rest()
    }
}

#[derive(Debug)]
pub(super) struct Scan {
    pub(super) salt: [u8; 8],
    pub(super) frames: Vec<Frame>,
    /// Behind the last frame that counts.
    pub(super) end: u64,
    /// Whether the file goes on there.
    pub(super) is_torn: bool,
    /// Behind the last remark that everything is on the disk.
    pub(super) synced: u64,
}

pub(super) fn scan(file: &File, path: &Path, doing: &'static str) -> Result<Scan, StoreError> {
    let fail = |error| StoreError::io(doing, path, error);
    let len = file.metadata().map_err(fail)?.len();
    let mut reader = Reader { file, len, start: 0, bytes: Vec::new() };
    let first = reader.at(0, len.min(HEADER as u64) as usize).map_err(fail)?.unwrap_or_default();
    let salt = format::salt(first, doing, path)?;
    let (mut frames, mut at, mut synced) = (Vec::new(), HEADER as u64, HEADER as u64);
    while at < len {
        let Some(frame) = next(&mut reader, salt, at).map_err(fail)? else {
            if has_remark_behind(&mut reader, salt, at).map_err(fail)? {
                let what = "a record does not fit its checksum";
                return Err(StoreError::new(doing, path, Kind::Corrupt(what, at)));
            }
            break;
        };
        if frame.end() > len {
            break;
        }
        at = frame.end();
        match frame.head.verb {
            Verb::Synced => synced = at,
            _ => frames.push(frame),
        }
    }
    let unsure = frames.partition_point(|frame| frame.at < synced);
    for index in unsure..frames.len() {
        if !has_its_body(&mut reader, &frames[index]).map_err(fail)? {
            at = frames[index].at;
            frames.truncate(index);
            break;
        }
    }
    Ok(Scan { salt, frames, end: at, is_torn: at < len, synced })
}

/// The frame at `at`, if one stands there; whether its body is whole is another question.
fn next(reader: &mut Reader<'_>, salt: [u8; 8], at: u64) -> io::Result<Option<Frame>> {
    let Some(head) = reader.head(at)?.and_then(|bytes| Head::parse(&bytes)) else { return Ok(None) };
    let names = head.name as usize + head.label as usize;
    let Some(bytes) = reader.at(at, HEAD + names)? else { return Ok(None) };
    let (bytes, names) = bytes.split_at(HEAD);
    if !head.fits(bytes.try_into().unwrap_or(&[0; HEAD]), names, salt, at) {
        return Ok(None);
    }
    let (name, label) = names.split_at(head.name as usize);
    let mut frame = Frame { at, head, name: name.into(), label: label.into(), small: Box::default() };
    if head.verb.has_small_body() && frame.end() <= reader.len {
        let Some(small) = reader.at(frame.body_at(), head.body as usize)? else { return Ok(None) };
        if head.body_sum != format::sum(&[small]) {
            return Ok(None);
        }
        frame.small = small.into();
    }
    Ok(Some(frame))
}

/// Whether the file says anywhere behind `at` that all before is on the disk.
fn has_remark_behind(reader: &mut Reader<'_>, salt: [u8; 8], at: u64) -> io::Result<bool> {
    for at in at + 1..reader.len.saturating_sub(HEAD as u64 - 1) {
        let Some(bytes) = reader.at(at, HEAD)? else { break };
        let bytes: &[u8; HEAD] = bytes.try_into().unwrap_or(&[0; HEAD]);
        let head = Head::parse(bytes).filter(|head| head.verb == Verb::Synced && head.rest() == 0);
        if head.is_some_and(|head| head.fits(bytes, &[], salt, at)) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn has_its_body(reader: &mut Reader<'_>, frame: &Frame) -> io::Result<bool> {
    let mut hasher = blake3::Hasher::new();
    let mut at = frame.body_at();
    while at < frame.end() {
        let part = (frame.end() - at).min(STRIDE as u64);
        let Some(bytes) = reader.at(at, part as usize)? else { return Ok(false) };
        hasher.update(bytes);
        at += part;
    }
    Ok(hasher.finalize().as_bytes()[..8] == frame.head.body_sum)
}

/// Bytes of a file at places that mostly increase.
struct Reader<'a> {
    file: &'a File,
    len: u64,
    /// Where `bytes` stand.
    start: u64,
    bytes: Vec<u8>,
}

impl Reader<'_> {
    /// The `count` bytes at `at`; `None` if the file ends before.
    fn at(&mut self, at: u64, count: usize) -> io::Result<Option<&[u8]>> {
        if at.checked_add(count as u64).is_none_or(|end| end > self.len) {
            return Ok(None);
        }
        let is_there = at >= self.start && at + count as u64 <= self.start + self.bytes.len() as u64;
        if !is_there {
            let wanted = (count.max(STRIDE) as u64).min(self.len - at) as usize;
            self.bytes.resize(wanted, 0);
            self.start = at;
            if let Err(error) = self.file.read_exact_at(&mut self.bytes, at) {
                self.bytes.clear();
                // Cut since its length was asked for, by the process that writes it.
                return if error.kind() == io::ErrorKind::UnexpectedEof { Ok(None) } else { Err(error) };
            }
        }
        let from = (at - self.start) as usize;
        Ok(Some(&self.bytes[from..from + count]))
    }

    fn head(&mut self, at: u64) -> io::Result<Option<[u8; HEAD]>> {
        Ok(self.at(at, HEAD)?.and_then(|bytes| bytes.try_into().ok()))
    }
}
