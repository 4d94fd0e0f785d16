//! Ctrl-C, as something that the program is told of.
//!
//! Owns the handler of SIGINT, which is installed only where the signal would end the process: a program that has a handler,
//! or ignores the signal, keeps it, and one that sets its own later replaces ours. Promises that the second
//! signal ends the process at once, whatever the program is doing, and that a copy of the process made by the
//! system's `fork` dies of the signal as if nothing were installed. Leaves out what the first signal means.

#![expect(unsafe_code, reason = "signal handlers have no counterpart in std")]

use super::call::{check, retry};
use super::event::EventFd;
use std::os::fd::AsRawFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};

/// What a shell says of a program that Ctrl-C ended.
pub(crate) const EXIT_CODE: i32 = 130;

static BELL: OnceLock<EventFd> = OnceLock::new();
static RING: AtomicI32 = AtomicI32::new(-1);
static PROGRAM: AtomicU32 = AtomicU32::new(0);
static RANG: AtomicBool = AtomicBool::new(false);

/// Has `told` called, in a thread of its own, at the first SIGINT; the second ends the process with [`EXIT_CODE`]. Says
/// whether that is so: not, if the program deals with the signal itself. Called once.
pub(crate) fn on_interrupt(told: fn()) -> bool {
    if !is_default() {
        return false;
    }
    let Ok(bell) = EventFd::new() else { return false };
    let bell = BELL.get_or_init(|| bell);
    // Not a stack for much: it sleeps, and then asks others to do something.
    let thread = std::thread::Builder::new().name("xfork-interrupt".into()).stack_size(512 * 1024);
    let listens = thread.spawn(move || {
        bell.wait();
        told();
    });
    if listens.is_err() {
        return false;
    }
    RING.store(bell.ringing_end().as_raw_fd(), Ordering::Relaxed);
    // Release: the handler, which loads it first, finds the rest.
    PROGRAM.store(std::process::id(), Ordering::Release);
    // SAFETY: all-zero is a valid `sigaction` with an empty mask; the handler is a function of this binary, hence alive for
    // ever, and calls only what is async-signal-safe. SA_RESTART: no system call of the program fails for it.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as extern "C" fn(libc::c_int) as libc::sighandler_t;
        action.sa_flags = libc::SA_RESTART;
        check(libc::sigaction(libc::SIGINT, &raw const action, std::ptr::null_mut())).is_ok()
    }
}

fn is_default() -> bool {
    // SAFETY: all-zero is a valid `sigaction` to be written over; nothing is set.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        check(libc::sigaction(libc::SIGINT, std::ptr::null(), &raw mut now)).is_ok()
            && now.sa_sigaction == libc::SIG_DFL
    }
}

extern "C" fn handler(signal: libc::c_int) {
    // SAFETY: getpid, signal, raise, _exit, write and the place of errno are async-signal-safe; errno is put back.
    unsafe {
        if PROGRAM.load(Ordering::Acquire) != libc::getpid().cast_unsigned() {
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
            return;
        }
        if RANG.swap(true, Ordering::Relaxed) {
            libc::_exit(EXIT_CODE);
        }
        let errno = *libc::__errno_location();
        let one = 1u64.to_ne_bytes();
        let _ = retry(|| libc::write(RING.load(Ordering::Relaxed), one.as_ptr().cast(), one.len()));
        *libc::__errno_location() = errno;
    }
}

/// Ends the process as one that was interrupted, with everything written that C's streams hold; std has written its own by
/// the time that functions are called which were registered for the end.
pub(crate) fn exit_as_interrupted() -> ! {
    // SAFETY: flushing all streams takes a null pointer; `_exit` takes a number and does not return.
    unsafe {
        libc::fflush(std::ptr::null_mut());
        libc::_exit(EXIT_CODE)
    }
}
