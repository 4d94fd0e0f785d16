//! Files in memory that stand in for a worker's standard output and error, and what is needed to read them.
//!
//! Owns [`Capture`], the two files of one worker. A writer never blocks, and what a worker wrote before it died can still
//! be read. Promises: positions only grow, since what has been read is given back as a hole at the front; nothing is
//! mapped, so that a worker that shortens its file harms nobody; and no read takes more memory than its caller allows.
//! The files are written by appending, so that a process that a task starts does not write over the task.
//! Leaves out whose text it is.

#![expect(
    unsafe_code,
    reason = "memfd_create, dup2 and fallocate take plain numbers; C's streams are reached by name"
)]

use super::call::{check, retry};
use super::fd;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::FileExt;

/// One of the two streams that a process writes text to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Out,
    Err,
}

impl Stream {
    pub(crate) const BOTH: [Self; 2] = [Self::Out, Self::Err];

    /// The number of its descriptor.
    pub(crate) fn number(self) -> libc::c_int {
        match self {
            Self::Out => libc::STDOUT_FILENO,
            Self::Err => libc::STDERR_FILENO,
        }
    }

    pub(crate) fn of_number(number: u32) -> Option<Self> {
        Self::BOTH.into_iter().find(|stream| stream.number().unsigned_abs() == number)
    }
}

/// A stretch of text from its two ends.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) head: Vec<u8>,
    /// How many bytes lie between.
    pub(crate) left_out: u64,
    pub(crate) tail: Vec<u8>,
}

/// The files of one worker's two streams.
#[derive(Debug)]
pub(crate) struct Capture([File; 2]);

impl Capture {
    /// Makes two empty files that have no name.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self([file(c"xfork-stdout")?, file(c"xfork-stderr")?]))
    }

    /// The files that this process has as its streams, by descriptors of their own.
    pub(crate) fn of_this_process() -> io::Result<Self> {
        Ok(Self([own(Stream::Out)?, own(Stream::Err)?]))
    }

    /// What a child is given as its standard output and error.
    pub(crate) fn fds(&self) -> [BorrowedFd<'_>; 2] {
        [self.0[0].as_fd(), self.0[1].as_fd()]
    }

    fn file(&self, stream: Stream) -> &File {
        &self.0[stream as usize]
    }

    /// Where the next byte will be written; 0 if the file can't be asked.
    pub(crate) fn end(&self, stream: Stream) -> u64 {
        self.file(stream).metadata().map_or(0, |data| data.len())
    }

    /// What lies between two positions: all of it if it is no longer than `head`, else that much and the last `tail` bytes.
    pub(crate) fn read(&self, stream: Stream, from: u64, to: u64, head: u64, tail: u64) -> Ends {
        let length = to.saturating_sub(from);
        let first = length.min(head);
        let last = (length - first).min(tail);
        Ends {
            head: self.bytes(stream, from, first),
            left_out: length - first - last,
            tail: self.bytes(stream, to - last, last),
        }
    }

    fn bytes(&self, stream: Stream, from: u64, length: u64) -> Vec<u8> {
        let mut bytes = vec![0; length as usize];
        let mut filled = 0;
        while filled < bytes.len() {
            match self.file(stream).read_at(&mut bytes[filled..], from + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        // The worker has shortened its file.
        bytes.truncate(filled);
        bytes
    }

    /// Gives the memory between two positions back; reads as zeroes from then on.
    pub(crate) fn forget(&self, stream: Stream, from: u64, to: u64) {
        let (Ok(from), Ok(length)) =
            (libc::off_t::try_from(from), libc::off_t::try_from(to.saturating_sub(from)))
        else {
            return;
        };
        let how = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        // SAFETY: takes numbers; the file is open as long as `self`. Where there are no holes the memory stays taken.
        let _ = retry(|| unsafe { libc::fallocate(self.file(stream).as_raw_fd(), how, from, length) });
    }

    /// Puts the files back as this process's streams, where a task has closed or replaced those.
    pub(crate) fn restore(&self) {
        for stream in Stream::BOTH {
            // SAFETY: takes numbers. The standard streams belong to the process as a whole: nobody owns their numbers.
            let _ = retry(|| unsafe { libc::dup2(self.file(stream).as_raw_fd(), stream.number()) });
        }
    }
}

fn file(name: &std::ffi::CStr) -> io::Result<File> {
    // SAFETY: the name is a C string that outlives the call.
    let raw = check(unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) })?;
    // SAFETY: the kernel has just made it for us.
    let file = unsafe { fd::adopt(raw) }?;
    // SAFETY: takes numbers; `file` is open.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, libc::O_APPEND) })?;
    Ok(file.into())
}

fn own(stream: Stream) -> io::Result<File> {
    // SAFETY: takes numbers; a stream that is closed gives an error.
    let raw = check(unsafe { libc::fcntl(stream.number(), libc::F_DUPFD_CLOEXEC, fd::FIRST) })?;
    // SAFETY: the kernel has just made it for us.
    let file = File::from(unsafe { fd::adopt(raw) }?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the stream is no file"));
    }
    Ok(file)
}

unsafe extern "C" {
    /// C's `stdout`.
    #[link_name = "stdout"]
    static C_STDOUT: *mut libc::FILE;
}

/// Writes out what C code has printed and its library has kept back. Only standard output: `fflush(NULL)` would wait for a
/// thread that reads from another stream.
pub(crate) fn flush_c() {
    // SAFETY: the C library sets the variable up before any code of ours runs; `fflush` locks the stream itself. A task
    // that assigns or closes it does so in C, whose rules for that hold for it as in any program.
    unsafe { libc::fflush(C_STDOUT) };
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_stretch_is_read_from_both_ends_and_its_memory_given_back() {
        let capture = Capture::new().unwrap();
        let mut writer = capture.file(Stream::Out).try_clone().unwrap();
        writer.write_all(&[b'a'; 10_000]).unwrap();
        writer.write_all(b"end").unwrap();
        assert_eq!((capture.end(Stream::Out), capture.end(Stream::Err)), (10_003, 0));
        let ends = capture.read(Stream::Out, 10, 10_003, 4, 5);
        assert_eq!(ends, Ends { head: b"aaaa".to_vec(), left_out: 9_984, tail: b"aaend".to_vec() });
        let whole = capture.read(Stream::Out, 9_999, 10_003, 4, 5);
        assert_eq!(whole, Ends { head: b"aend".to_vec(), left_out: 0, tail: Vec::new() });
        capture.forget(Stream::Out, 0, 8192);
        assert_eq!(capture.read(Stream::Out, 8191, 8193, 2, 0).head, b"\0a");
        writer.write_all(b"more").unwrap();
        assert_eq!(capture.end(Stream::Out), 10_007);
    }

    /// Bytes of a worker are hostile: a file that is shorter or longer than it says costs no more than was allowed.
    #[test]
    fn a_file_that_was_shortened_or_stretched_is_read_as_far_as_it_goes() {
        let capture = Capture::new().unwrap();
        let file = capture.file(Stream::Err);
        file.set_len(1 << 50).unwrap();
        let ends = capture.read(Stream::Err, 0, capture.end(Stream::Err), 100, 50);
        assert_eq!((ends.head.len(), ends.left_out, ends.tail.len()), (100, (1 << 50) - 150, 50));
        file.set_len(3).unwrap();
        assert_eq!(capture.read(Stream::Err, 0, 50, 100, 50).head, [0; 3]);
        assert_eq!(capture.read(Stream::Err, 60, 50, 100, 50), Ends::default());
    }
}
