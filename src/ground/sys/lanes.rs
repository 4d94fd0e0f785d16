//! The memory that a program and one worker share, with a ring for each direction, and sleeping on it.
//!
//! Owns the mapping. Promises: an end stays mapped as long as somebody has a part of it, and can be read and written at any time,
//! whatever the other process does, because the file can't become shorter: it is sealed before it is mapped (faults.md, trap
//! 17). Leaves out what the words mean (`ground/ring.rs`).

#![expect(unsafe_code, reason = "memory is mapped by address, and futexes are reached by number")]

use super::call::check;
use crate::ground::ring::{self, Consumer, Memory, Producer};
use crate::ground::sync::AtomicU64;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

/// How many words of data a ring holds: 128 KiB for each direction, which is room for all short tasks that are ever sent ahead,
/// and little enough to stay in the caches of a core while a large value passes through.
const CAPACITY: usize = 16 * 1024;
const WORDS: usize = ring::words_for(CAPACITY);

/// How many bytes both rings take, a whole number of pages of 4 KiB.
pub(crate) const BYTES: usize = (2 * WORDS * 8).next_multiple_of(4096);

/// Memory mapped from a file.
#[cfg_attr(xfork_loom, expect(dead_code, reason = "a model has no processes"))]
#[derive(Debug)]
struct Mapping {
    address: NonNull<u8>,
    length: usize,
    /// Where in it the rings begin, in bytes.
    offset: usize,
}

// SAFETY: the memory is only ever seen as atomic numbers, which any thread may use.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `map` made exactly this mapping, and whoever uses it keeps `self`.
        unsafe { libc::munmap(self.address.as_ptr().cast(), self.length) };
    }
}

/// One of the two rings.
#[cfg_attr(xfork_loom, expect(dead_code, reason = "a model has no processes"))]
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    mapping: Arc<Mapping>,
    /// Its number, 0 or 1.
    number: usize,
}

impl Memory for Lane {
    #[cfg(xfork_loom)]
    fn words(&self) -> &[AtomicU64] {
        unreachable!("a model has no processes, and its numbers are no memory")
    }

    #[cfg(not(xfork_loom))]
    fn words(&self) -> &[AtomicU64] {
        // SAFETY: `map` has checked that the mapping has room for two rings behind `offset`, which is aligned for numbers of 8
        // bytes as pages are; it is readable and writable for as long as `self.mapping` lives, and all that this
        // process ever sees of it are atomic numbers, of which any bits are valid.
        unsafe {
            let first = self.mapping.address.add(self.mapping.offset).cast::<AtomicU64>();
            std::slice::from_raw_parts(first.add(self.number * WORDS).as_ptr(), WORDS)
        }
    }

    #[cfg(not(xfork_loom))]
    fn put(&self, word: usize, bytes: &[u8]) {
        // SAFETY: `Lane::bytes` has checked the place, which is mapped for as long as `self.mapping` lives; it is memory that
        // may change (`AtomicU64`), so it overlaps no `bytes` of ours. An honest peer reads it only when it has been published
        // and writes it never (`ring`); what another does changes bytes that nobody in this process relies on.
        unsafe { self.bytes(word * 8, bytes.len()).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    #[cfg(not(xfork_loom))]
    fn get(&self, byte: usize, out: &mut [u8]) {
        // SAFETY: as above. Any bytes are valid in `out`; what a dishonest peer writes meanwhile may or may not be among them.
        unsafe { self.bytes(byte, out.len()).copy_to_nonoverlapping(out.as_mut_ptr(), out.len()) };
    }
}

// The default of `Memory` copies word by word, which is slow where the compiler does not optimise.
#[cfg(not(xfork_loom))]
impl Lane {
    /// The part of the data that `bytes` bytes from number `first` on take.
    fn bytes(&self, first: usize, bytes: usize) -> *mut u8 {
        let data = ring::data(self);
        assert!(first <= size_of_val(data) && bytes <= size_of_val(data) - first);
        data.as_ptr().cast::<u8>().cast_mut().wrapping_add(first)
    }
}

/// What one process has of the two rings.
#[derive(Debug)]
pub(crate) struct Lanes {
    pub(crate) producer: Producer<Lane>,
    pub(crate) consumer: Consumer<Lane>,
}

/// Which of the two processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Program,
    Worker,
}

/// Seals a file of ours, so that nobody can change its size any more.
///
/// # Errors
///
/// If the system can't do that: then it must not be mapped.
pub(super) fn seal_size(file: BorrowedFd<'_>) -> io::Result<()> {
    let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
    // SAFETY: takes numbers; `file` is open.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) })?;
    Ok(())
}

/// Whether the size of a file can't change any more.
fn has_sealed_size(file: BorrowedFd<'_>) -> io::Result<bool> {
    let needed = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;
    // SAFETY: takes numbers; `file` is open.
    let seals = check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GET_SEALS) })?;
    Ok(seals & needed == needed)
}

/// Maps the rings that stand in `file` from `offset` on, a whole number of pages. To be called once for each side.
///
/// # Errors
///
/// If the file is too short or not sealed, if it can't be mapped, or if there are no futexes.
pub(super) fn map(file: BorrowedFd<'_>, offset: usize, side: Side) -> io::Result<Lanes> {
    // SAFETY: all-zero is a valid `stat`.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is writable and outlives the call; `file` is open.
    check(unsafe { libc::fstat(file.as_raw_fd(), &raw mut stat) })?;
    let length = offset + BYTES;
    if !has_sealed_size(file)? || u64::try_from(stat.st_size).is_ok_and(|size| size < length as u64) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a sealed file of the right size"));
    }
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping of an open file, at a place that the kernel chooses.
    let address =
        unsafe { libc::mmap(ptr::null_mut(), length, protection, libc::MAP_SHARED, file.as_raw_fd(), 0) };
    if address == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let address = NonNull::new(address.cast()).expect("the kernel maps nothing at address zero by itself");
    let mapping = Arc::new(Mapping { address, length, offset });
    let lane = |number| Lane { mapping: mapping.clone(), number };
    let (out, back) = if side == Side::Program { (0, 1) } else { (1, 0) };
    let lanes = Lanes { producer: Producer::new(lane(out)), consumer: Consumer::new(lane(back)) };
    let bell = ring::bell_of_consumer(&lanes.producer.memory);
    futex(bell, libc::FUTEX_WAKE, 0, None)?;
    // No bell has this number, so it does not sleep.
    match futex(bell, libc::FUTEX_WAIT, u32::MAX, None) {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(lanes),
    }
}

/// Sleeps until somebody wakes who sleeps on `bell`, as long as it holds 1; or until the time is over, or for no reason.
pub(crate) fn sleep_on(bell: &AtomicU64, limit: Option<Duration>) {
    // Woken, changed before it slept, interrupted or too late: the caller looks again in any case.
    let _ = futex(bell, libc::FUTEX_WAIT, 1, limit);
}

/// Wakes who sleeps on `bell`.
pub(crate) fn wake_on(bell: &AtomicU64) {
    let _ = futex(bell, libc::FUTEX_WAKE, i32::MAX.cast_unsigned(), None);
}

#[cfg(xfork_loom)]
fn futex(_: &AtomicU64, _: libc::c_int, _: u32, _: Option<Duration>) -> io::Result<()> {
    unreachable!("a model has no processes")
}

#[cfg(not(xfork_loom))]
fn futex(bell: &AtomicU64, what: libc::c_int, value: u32, limit: Option<Duration>) -> io::Result<()> {
    let limit = limit.map(|limit| libc::timespec {
        tv_sec: limit.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: limit.subsec_nanos().into(),
    });
    let limit = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
    // The half of the word that holds small numbers.
    let half = usize::from(cfg!(target_endian = "big"));
    // SAFETY: the address lies in `bell`, which is borrowed for the call; `limit` is null or points at a time that outlives
    // the call. The futex is a shared one: its word is known to two processes.
    check(unsafe {
        libc::syscall(libc::SYS_futex, bell.as_ptr().cast::<u32>().add(half), what, value, limit)
    })?;
    Ok(())
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::super::crash::CrashPage;
    use super::*;
    use std::os::fd::AsFd;

    fn ends() -> (Lanes, Lanes) {
        let page = CrashPage::new().unwrap();
        let theirs = map(page.as_fd(), 4096, Side::Worker).unwrap();
        (page.lanes().unwrap(), theirs)
    }

    #[test]
    fn what_one_side_writes_the_other_reads() {
        let (mut ours, mut theirs) = ends();
        let mut buffer = [0; 8];
        assert_eq!(ours.producer.push(b"there"), Ok(5));
        ours.producer.publish();
        assert_eq!(theirs.consumer.pull(&mut buffer), Ok(5));
        assert_eq!(&buffer[..5], b"there");
        assert_eq!(theirs.producer.push(b"back"), Ok(4));
        theirs.producer.publish();
        assert_eq!(ours.consumer.pull(&mut buffer), Ok(4));
        assert_eq!(&buffer[..4], b"back");
    }

    #[test]
    fn a_sleeper_is_woken_and_one_who_need_not_sleep_returns() {
        let (mut ours, mut theirs) = ends();
        let sleeper = std::thread::spawn(move || {
            let mut buffer = [0; 8];
            loop {
                match theirs.consumer.pull(&mut buffer).unwrap() {
                    0 if theirs.consumer.ask_to_be_woken(ring::Wish::Soon) => {
                        sleep_on(ring::bell_of_consumer(&theirs.consumer.memory), None)
                    }
                    0 => {}
                    count => return buffer[..count].to_vec(),
                }
            }
        });
        assert_eq!(ours.producer.push(b"x"), Ok(1));
        ours.producer.publish();
        if ours.producer.has_to_wake() {
            wake_on(ring::bell_of_consumer(&ours.producer.memory));
        }
        assert_eq!(sleeper.join().unwrap(), b"x");
    }

    /// faults.md, row 98: "truncates its shared memfd: no SIGBUS in parent (sealed or read)".
    #[test]
    fn nobody_makes_the_memory_shorter_and_an_unsealed_file_is_not_mapped() {
        let page = CrashPage::new().unwrap();
        for size in [0, 100, 1 << 30] {
            // SAFETY: takes numbers.
            let result = check(unsafe { libc::ftruncate(page.as_fd().as_raw_fd(), size) });
            assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EPERM));
        }
        // SAFETY: takes a C string and a number.
        let raw = unsafe { libc::memfd_create(c"unsealed".as_ptr(), libc::MFD_ALLOW_SEALING) };
        // SAFETY: just made for us.
        let file = unsafe { super::super::fd::adopt(raw) }.unwrap();
        // SAFETY: takes numbers.
        check(unsafe { libc::ftruncate(file.as_raw_fd(), 1 << 20) }).unwrap();
        assert!(map(file.as_fd(), 4096, Side::Worker).is_err());
    }
}
