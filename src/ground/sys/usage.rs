//! What a process uses, seen from outside, and how much more of it this one may use.
//!
//! Owns the limit on memory that a worker puts on itself for one task. Promises that nothing is promised about a process that
//! is gone: its number may be a stranger's, so callers ask only about children that they have not reaped.

#![expect(unsafe_code, reason = "clocks of other processes and limits have no safe counterpart in std")]

use super::call::check;
use std::time::Duration;

/// The time for which processors have worked for the process `pid`, all its threads together; `None` if it can't be told.
pub(crate) fn cpu_time_of(pid: u32) -> Option<Duration> {
    let mut clock = 0;
    // SAFETY: `clock` is writable and outlives the call.
    if unsafe { libc::clock_getcpuclockid(pid.cast_signed(), &raw mut clock) } != 0 {
        return None;
    }
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable and outlives the call; a clock that no longer exists is an error.
    check(unsafe { libc::clock_gettime(clock, &raw mut time) }).ok()?;
    Some(Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32))
}

/// How much memory the process `pid` has in use, in bytes; `None` if that can't be told.
pub(crate) fn resident_bytes_of(pid: u32) -> Option<u64> {
    pages(&format!("/proc/{pid}/statm"), 1)
}

fn pages(path: &str, field: usize) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let pages: u64 = text.split_ascii_whitespace().nth(field)?.parse().ok()?;
    // SAFETY: takes a number.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    Some(pages * u64::try_from(size).ok()?)
}

/// While it lives, this process can't get more than so many bytes beyond what it had.
#[derive(Debug)]
pub(crate) struct MemoryLimit {
    before: libc::rlimit,
}

/// Lets this process have at most `bytes` more memory of its own (RLIMIT_DATA: heap and private mappings) until the guard is
/// dropped. `None` where the system doesn't let it.
pub(crate) fn limit_memory(bytes: u64) -> Option<MemoryLimit> {
    let used = pages("/proc/self/statm", 5)?;
    let mut before = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `before` is writable and outlives the call.
    check(unsafe { libc::getrlimit(libc::RLIMIT_DATA, &raw mut before) }).ok()?;
    let allowed = used.saturating_add(bytes).min(before.rlim_cur);
    let now = libc::rlimit { rlim_cur: allowed, rlim_max: before.rlim_max };
    // SAFETY: `now` is readable and outlives the call.
    check(unsafe { libc::setrlimit(libc::RLIMIT_DATA, &raw const now) }).ok()?;
    Some(MemoryLimit { before })
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        // SAFETY: `before` is readable and outlives the call; the hard limit was not changed, so this is allowed.
        unsafe { libc::setrlimit(libc::RLIMIT_DATA, &raw const self.before) };
    }
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_process_uses_time_and_memory_and_nobody_uses_none() {
        let me = std::process::id();
        let before = cpu_time_of(me).unwrap();
        while cpu_time_of(me).unwrap() == before {
            std::hint::spin_loop();
        }
        assert!(resident_bytes_of(me).unwrap() > 1 << 16);
        assert_eq!(resident_bytes_of(u32::MAX >> 1), None);
    }
}
