//! Frames on their way into a file.
//!
//! Owns the buffering: small frames go to the system together, large bodies as they are, without a copy. Writes at a place, not
//! at the end of the file, so that what a failed write has left behind is written over.

use super::format::{self, Verb};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// What is collected before it is written; a body longer than this is not copied.
const ENOUGH: usize = 256 << 10;

#[derive(Debug)]
pub(super) struct Sink<'a> {
    file: &'a File,
    salt: [u8; 8],
    /// Where the first byte of `waiting` belongs.
    at: u64,
    waiting: Vec<u8>,
}

impl<'a> Sink<'a> {
    pub(super) fn new(file: &'a File, salt: [u8; 8], at: u64) -> Self {
        Self { file, salt, at, waiting: Vec::new() }
    }

    /// Where the next byte goes.
    pub(super) fn end(&self) -> u64 {
        self.at + self.waiting.len() as u64
    }

    /// A frame without its body, of which length and sum are known. Gives the place of the frame.
    pub(super) fn head(
        &mut self,
        verb: (Verb, u8),
        name: &[u8],
        label: &[u8],
        body: u64,
        body_sum: [u8; 8],
    ) -> io::Result<u64> {
        if self.waiting.len() >= ENOUGH {
            self.flush()?;
        }
        let at = self.end();
        format::frame(&mut self.waiting, self.salt, at, verb, name, label, body, body_sum);
        Ok(at)
    }

    pub(super) fn body(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() <= ENOUGH {
            self.waiting.extend_from_slice(bytes);
            return Ok(());
        }
        self.flush()?;
        self.file.write_all_at(bytes, self.at)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.waiting, self.at)?;
        self.at += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }
}
