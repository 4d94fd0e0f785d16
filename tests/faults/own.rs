//! What a process is told of itself by the kernel, and how many descriptors it may have.

use std::fs;

/// A field of the status of this thread and its process, such as `Umask`.
pub(crate) fn status(field: &str) -> String {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value.unwrap_or_else(|| panic!("no {field} in {status}")).trim().to_string()
}

/// A field that is a set, such as `SigBlk`.
pub(crate) fn status_bits(field: &str) -> u64 {
    u64::from_str_radix(&status(field), 16).unwrap()
}

/// A number of pages in `statm`, in bytes.
fn bytes(column: usize) -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(column).unwrap().parse::<u64>().unwrap() * 4096
}

/// How many bytes of address space this process has.
pub(crate) fn address_space() -> u64 {
    bytes(0)
}

/// How many bytes of memory it has.
pub(crate) fn memory() -> u64 {
    bytes(1)
}

/// The most bytes of memory that it has had.
fn peak_memory() -> u64 {
    status("VmHWM").trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// By how many bytes that grows meanwhile. The kernel sums up what its processors have counted, and may find
/// less than before.
pub(crate) fn grown_by(scope: impl FnOnce()) -> u64 {
    let before = peak_memory();
    scope();
    peak_memory().saturating_sub(before)
}

/// Sets how many descriptors this process may have, and gives what it might have before.
pub(crate) fn limit_descriptors(limit: u64) -> u64 {
    set_limit(libc::RLIMIT_NOFILE, limit)
}

/// Sets how many bytes of address space this process may have, and gives what it might have before.
pub(crate) fn limit_address_space(limit: u64) -> u64 {
    set_limit(libc::RLIMIT_AS, limit)
}

fn set_limit(of: libc::__rlimit_resource_t, limit: u64) -> u64 {
    let mut limits = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limits` is readable and writable, and outlives the calls.
    unsafe {
        assert_eq!(libc::getrlimit(of, &raw mut limits), 0);
        let before = limits.rlim_cur;
        limits.rlim_cur = limit;
        assert_eq!(libc::setrlimit(of, &raw const limits), 0);
        before
    }
}
