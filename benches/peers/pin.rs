//! Threads and processes on cores that are chosen for them.
//!
//! A round trip between processes takes several times as long if the kernel wakes the other side on another core, above all
//! on one that sleeps. Where both sides are pinned, this luck is no part of what is compared.

#![expect(unsafe_code, reason = "std can't choose a core")]

use std::io::Error;
use std::mem::size_of;

/// Pins the calling thread to the first core that it may use; what it starts from now on inherits that.
pub(crate) fn to_first_core() {
    pin(0, first_core()).expect("a core that it may use");
}

/// Pins all threads of a process that has inherited one core to the next core that there is.
pub(crate) fn process_to_next_core() {
    let mine = first_core();
    let threads = std::fs::read_dir("/proc/self/task").expect("a process has threads").flatten();
    let threads: Vec<i32> = threads.filter_map(|thread| thread.file_name().to_str()?.parse().ok()).collect();
    let mut others = mine + 1..libc::CPU_SETSIZE as usize;
    let can_all_go = |core: &usize| threads.iter().all(|thread| pin(*thread, *core).is_ok());
    assert!(others.any(|core| can_all_go(&core)), "there is a second core");
}

/// The lowest number among the cores that the calling thread may use.
fn first_core() -> usize {
    // SAFETY: a set of cores is an array of numbers, and all zeros is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the size is that of the set, which outlives the call.
    let result = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) };
    assert_eq!(result, 0, "the cores of a thread: {}", Error::last_os_error());
    let is_in = |core: &usize| {
        // SAFETY: the number is below the size of the set.
        unsafe { libc::CPU_ISSET(*core, &set) }
    };
    (0..libc::CPU_SETSIZE as usize).find(is_in).expect("a thread has a core")
}

/// Pins the thread of this process with that number, or the calling one if it is 0.
fn pin(thread: i32, core: usize) -> Result<(), Error> {
    // SAFETY: a set of cores is an array of numbers, and all zeros is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: both callers take the number from below the size of the set.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: the size is that of the set, which outlives the call.
    match unsafe { libc::sched_setaffinity(thread, size_of::<libc::cpu_set_t>(), &raw const set) } {
        0 => Ok(()),
        _ => Err(Error::last_os_error()),
    }
}
