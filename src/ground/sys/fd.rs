//! Descriptors of our own, kept away from standard input, output and error.
//!
//! A program may start with descriptors 0 to 2 closed, and before `main` nothing has put /dev/null there. The
//! next descriptor that anyone opens is then "standard output", and the next `println!` of a task would be
//! written into our protocol. So everything that stays open here is moved up to [`FIRST`] or above.

#![expect(unsafe_code, reason = "fcntl takes and returns descriptors as plain numbers")]

use super::call::check;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// The lowest number of a descriptor of ours. Shells use 3 to 9 for redirections by hand, so we keep off
/// those too.
pub(crate) const FIRST: RawFd = 10;

/// Takes the descriptor that a C function has just returned, and moves it up to [`FIRST`] or above.
///
/// # Safety
///
/// `raw` is open and belongs to nobody: the caller has just got it from the kernel.
pub(crate) unsafe fn adopt(raw: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the caller upholds that `raw` is open and has no other owner.
    let fd = unsafe { OwnedFd::from_raw_fd(raw) };
    if raw >= FIRST {
        return Ok(fd);
    }
    // SAFETY: F_DUPFD_CLOEXEC takes an integer and no pointer; `fd` is owned here and open for the call.
    let moved = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, FIRST) });
    let moved = moved.map_err(|error| match error.raw_os_error() {
        // The kernel says "invalid argument" when the descriptor limit leaves no number from FIRST on.
        Some(libc::EINVAL) => io::Error::from_raw_os_error(libc::EMFILE),
        _ => error,
    })?;
    // SAFETY: the kernel has just made `moved` for us; nobody else knows the number.
    Ok(unsafe { OwnedFd::from_raw_fd(moved) })
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;
    use std::os::fd::IntoRawFd;

    #[test]
    fn an_adopted_descriptor_is_above_the_standard_ones_and_closed_on_exec() {
        for _ in 0..16 {
            let file = std::fs::File::open("/dev/null").unwrap();
            // SAFETY: `into_raw_fd` gave up the ownership in this very line.
            let fd = unsafe { adopt(file.into_raw_fd()) }.unwrap();
            assert!(fd.as_raw_fd() >= FIRST);
            // SAFETY: F_GETFD takes no pointer; `fd` is open.
            let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFD) };
            assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
            // Forgotten on purpose in every round, so that both paths (moved, and high already) are walked.
            std::mem::forget(fd);
        }
    }
}
