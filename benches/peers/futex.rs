//! The limit of a round trip between processes: one word in memory that both share, and a futex to sleep on.
//!
//! No data, no queue, no choice of a worker: each side stores the word, wakes the other, and sleeps until the word is
//! stored again. Neither side spins.

#![expect(unsafe_code, reason = "std has neither shared memory nor futexes")]

use crate::again::again;
use crate::pin;
use std::fs::File;
use std::io::Error;
use std::os::fd::{AsFd, AsRawFd, FromRawFd};
use std::process::{Child, Stdio};
use std::ptr::{NonNull, null, null_mut};
use std::sync::atomic::{AtomicU32, Ordering};

/// Whose turn it is.
const ASKER: u32 = 0;
const ANSWERER: u32 = 1;

/// A word at the beginning of a page that another process has, too.
struct Word {
    page: NonNull<AtomicU32>,
}

const PAGE: usize = 4096;

/// Where the other side runs.
#[derive(Clone, Copy)]
pub(crate) enum Other {
    /// Where the thread may that starts it.
    Here,
    /// On the core after the one that this thread is pinned to.
    NextCore,
}

impl Word {
    fn of(memory: &File) -> Self {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping replaces none; `memory` is an open file of one page, so every byte of it is there.
        let page = unsafe { libc::mmap(null_mut(), PAGE, access, libc::MAP_SHARED, memory.as_raw_fd(), 0) };
        assert_ne!(page, libc::MAP_FAILED, "a page of memory: {}", Error::last_os_error());
        Self { page: NonNull::new(page.cast()).expect("no mapping begins at 0") }
    }

    fn word(&self) -> &AtomicU32 {
        // SAFETY: the mapping lasts as long as `self`, begins at a multiple of a page, and both processes use the word
        // as an atomic only. Every bit pattern is a number.
        unsafe { self.page.as_ref() }
    }

    /// Gives the other side its turn.
    fn give(&self, turn: u32) {
        self.word().store(turn, Ordering::SeqCst);
        // SAFETY: the word is mapped; the call reads no memory through it, it only names the sleepers.
        unsafe { libc::syscall(libc::SYS_futex, self.page.as_ptr(), libc::FUTEX_WAKE, 1) };
    }

    /// Sleeps until the word is no longer `turn`, or for about a second. False if it still is.
    fn wait_while(&self, turn: u32) -> bool {
        let limit = libc::timespec { tv_sec: 1, tv_nsec: 0 };
        while self.word().load(Ordering::SeqCst) == turn {
            // SAFETY: the word is mapped, and `limit` outlives the call.
            let slept = unsafe {
                libc::syscall(
                    libc::SYS_futex,
                    self.page.as_ptr(),
                    libc::FUTEX_WAIT,
                    turn,
                    &raw const limit,
                    null::<u32>(),
                    0,
                )
            };
            if slept == -1 && Error::last_os_error().raw_os_error() == Some(libc::ETIMEDOUT) {
                return false;
            }
        }
        true
    }
}

// SAFETY: the mapping belongs to no thread, and the word in it is only ever used as an atomic.
unsafe impl Send for Word {}

impl Drop for Word {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `of` with this length, and nothing borrows from it any more.
        unsafe { libc::munmap(self.page.as_ptr().cast(), PAGE) };
    }
}

pub(crate) struct PingPong {
    child: Child,
    word: Word,
}

impl PingPong {
    pub(crate) fn start(other: Other) -> Self {
        // SAFETY: the name is a string with its end.
        let fd = unsafe { libc::memfd_create(c"ping-pong".as_ptr(), libc::MFD_CLOEXEC) };
        assert!(fd >= 0, "a memory file: {}", Error::last_os_error());
        // SAFETY: the descriptor is new, and nobody else has it.
        let memory = unsafe { File::from_raw_fd(fd) };
        memory.set_len(PAGE as u64).expect("a page of memory");
        let word = Word::of(&memory);
        let role = match other {
            Other::Here => "futex here",
            Other::NextCore => "futex next",
        };
        let child = again(role).stdin(Stdio::from(memory)).spawn().expect("this program starts again");
        Self { child, word }
    }

    pub(crate) fn round_trip(&mut self) {
        self.word.give(ANSWERER);
        assert!(self.word.wait_while(ANSWERER), "the other side answers within a second");
    }
}

impl Drop for PingPong {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The other side of [`PingPong`]: has the memory as its standard input, and ends with its parent.
pub(crate) fn answer(place: &str) {
    if place == "next" {
        pin::process_to_next_core();
    }
    let parent = std::os::unix::process::parent_id();
    let memory = File::from(std::io::stdin().as_fd().try_clone_to_owned().expect("a descriptor"));
    let word = Word::of(&memory);
    while std::os::unix::process::parent_id() == parent {
        if word.wait_while(ASKER) {
            word.give(ASKER);
        }
    }
}
