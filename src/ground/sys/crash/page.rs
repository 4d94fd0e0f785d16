//! The page on which a dying worker writes, and how the program reads it.
//!
//! It also says which tasks the worker has started last, for when nothing else that it said can be believed.
//!
//! The first page of a memory file per worker: made by the program, mapped by the worker and closed there, read by the program
//! with `pread` after the death. Not the socket, since another thread may be in the middle of a message there; and not a pipe,
//! since a handler that stores into memory needs no system call, and what it has stored is there even if it gets no
//! further. Whatever a worker does to the file, reading the page is no more than a read that comes up short. Behind the page
//! stand the rings of `lanes`, if the file could be sealed.

#![expect(unsafe_code, reason = "a memory file is made by number and mapped by address")]

use super::super::call::{check, retry};
use super::super::fd;
use super::super::image::CodeAddress;
use super::super::lanes::{self, Lanes, Side};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};

/// The smallest page of any machine; the file has one.
const BYTES: usize = 4096;
/// The most frames that are kept: the innermost ones.
pub(super) const FRAMES: usize = 128;

/// How many started tasks are kept: more than are ever sent to a worker before it says that it has started them.
const STARTS: usize = 240;

/// Where what stands, in words of 8 bytes.
mod at {
    pub(super) const STATE: usize = 0;
    pub(super) const SIGNAL: usize = 1;
    pub(super) const CODE: usize = 2;
    pub(super) const ADDRESS: usize = 3;
    pub(super) const SENDER: usize = 4;
    pub(super) const FLAGS: usize = 5;
    pub(super) const COUNT: usize = 6;
    /// How many tasks have been started.
    pub(super) const STARTED: usize = 7;
    pub(super) const FRAMES: usize = 8;
    /// The last of them; each in the place of its number.
    pub(super) const STARTS: usize = FRAMES + 2 * super::FRAMES;
}

const _: () = assert!(at::STARTS + STARTS <= BYTES / 8);

const ARMED: u64 = 1;
const DYING: u64 = 2;
const OVERFLOW: u64 = 1;
const CUT: u64 = 2;
/// For a frame of which the module is not known yet, or never: no peer has so many.
const NOWHERE: u64 = u32::MAX as u64;

/// The program's end.
#[derive(Debug)]
pub(crate) struct CrashPage {
    fd: OwnedFd,
    /// Why there are no rings behind the page, if so.
    unsealed: Option<io::Error>,
}

/// What is found after a death.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LastWords {
    /// There was no handler, or the page is nonsense.
    Unknown,
    /// There was a handler, and it was not called or could not run.
    Silent,
    /// It has told.
    Told(Dying),
}

/// What a worker told while it was dying; hostile, so numbers to show and code addresses to look up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dying {
    pub(crate) signal: i32,
    /// The address of which the processor complained.
    pub(crate) address: Option<u64>,
    /// Nothing happened but that a process sent the signal: this one, or `sender`.
    pub(crate) was_sent: bool,
    /// The other process that sent the signal.
    pub(crate) sender: Option<u32>,
    /// The thread had used up its stack.
    pub(crate) is_overflow: bool,
    /// The innermost frame first. Return addresses, and for the first what follows from its instruction.
    pub(crate) frames: Vec<CodeAddress>,
    /// There were more frames.
    pub(crate) is_cut: bool,
}

impl CrashPage {
    /// Makes an empty one, closed on exec.
    pub(crate) fn new() -> io::Result<CrashPage> {
        let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
        // SAFETY: takes a C string and a number.
        let raw = check(unsafe { libc::memfd_create(c"xfork-worker".as_ptr(), flags) })?;
        // SAFETY: the kernel has just made it for us.
        let fd = unsafe { fd::adopt(raw) }?;
        let grow = |bytes: usize| {
            // A file above the limit would end this program with a signal.
            if file_size_limit().is_some_and(|limit| limit < bytes as u64) {
                return Err(io::Error::from_raw_os_error(libc::EFBIG));
            }
            // SAFETY: takes numbers; `fd` is open.
            check(unsafe { libc::ftruncate(fd.as_raw_fd(), bytes as libc::off_t) })
        };
        let rings = grow(BYTES + lanes::BYTES).and_then(|_| lanes::seal_size(fd.as_fd()));
        let unsealed = rings.err();
        if unsealed.is_some() {
            grow(BYTES)?;
        }
        Ok(CrashPage { fd, unsealed })
    }

    /// Maps the rings; to be called once.
    ///
    /// # Errors
    ///
    /// If there are none, or the system does not let us have them.
    pub(crate) fn lanes(&self) -> io::Result<Lanes> {
        if let Some(error) = &self.unsealed {
            return Err(io::Error::new(error.kind(), error.to_string()));
        }
        lanes::map(self.fd.as_fd(), BYTES, Side::Program)
    }

    /// Reads what is on it; to be called when the worker is dead.
    pub(crate) fn read(&self) -> LastWords {
        self.words().map_or(LastWords::Unknown, |words| decode(&words))
    }

    /// The last tasks that the worker has started, in no order; `None` if it has not used the page. While the
    /// worker lives, it may have started another before this returns.
    pub(crate) fn started(&self) -> Option<Vec<u64>> {
        let words = self.words()?;
        let is_used = matches!(words[at::STATE], ARMED | DYING);
        let count = usize::try_from(words[at::STARTED]).unwrap_or(STARTS).min(STARTS);
        is_used.then(|| words[at::STARTS..at::STARTS + count].to_vec())
    }

    fn words(&self) -> Option<[u64; BYTES / 8]> {
        let mut words = [0_u64; BYTES / 8];
        // SAFETY: `words` is writable for `BYTES` bytes, of which any are valid numbers.
        let got = retry(|| unsafe { libc::pread(self.fd.as_raw_fd(), words.as_mut_ptr().cast(), BYTES, 0) });
        got.is_ok_and(|count| count == BYTES as isize).then_some(words)
    }
}

impl AsFd for CrashPage {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// How large a file of this process may become, in bytes, if that is limited.
fn file_size_limit() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: `limit` is writable and outlives the call.
    check(unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) }).ok()?;
    (limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

fn decode(words: &[u64; BYTES / 8]) -> LastWords {
    match words[at::STATE] {
        ARMED => return LastWords::Silent,
        DYING => {}
        _ => return LastWords::Unknown,
    }
    let Some(signal) =
        i32::try_from(words[at::SIGNAL]).ok().filter(|number| super::handler::is_fatal(*number))
    else {
        return LastWords::Unknown;
    };
    // As the kernel says it: positive for what the processor found, zero or less for what somebody sent.
    let code = words[at::CODE].cast_signed();
    // For an address that no pointer can hold the kernel gives SI_KERNEL and zero.
    let has_address =
        code > 0 && code != i64::from(libc::SI_KERNEL) && matches!(signal, libc::SIGSEGV | libc::SIGBUS);
    let count = usize::try_from(words[at::COUNT]).unwrap_or(FRAMES).min(FRAMES);
    let pairs = words[at::FRAMES..].chunks_exact(2).take(count);
    let located = pairs.filter(|pair| pair[0] < NOWHERE);
    LastWords::Told(Dying {
        signal,
        was_sent: code <= 0,
        address: has_address.then_some(words[at::ADDRESS]),
        sender: u32::try_from(words[at::SENDER]).ok().filter(|pid| code <= 0 && *pid != 0),
        is_overflow: words[at::FLAGS] & OVERFLOW != 0,
        is_cut: words[at::FLAGS] & CUT != 0,
        frames: located.map(|pair| CodeAddress { module: pair[0] as u32, offset: pair[1] }).collect(),
    })
}

/// The worker's end: mapped until the process ends. Written from a signal handler, so every store is an atomic one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written(&'static [AtomicU64; BYTES / 8]);

/// What the kernel says of a signal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) signal: i32,
    pub(super) code: i32,
    pub(super) address: u64,
    pub(super) sender: u32,
    pub(super) is_overflow: bool,
}

impl Written {
    /// The address, to be kept in a static; see [`Written::at`].
    pub(super) fn address(self) -> *mut u8 {
        ptr::from_ref(self.0).cast_mut().cast()
    }

    /// # Safety
    ///
    /// `address` is what [`Written::address`] gave in this process.
    pub(super) unsafe fn at(address: *mut u8) -> Option<Self> {
        // SAFETY: the page is mapped until the process ends, and only ever seen as atomic numbers, as the caller upholds.
        NonNull::new(address.cast()).map(|page| Self(unsafe { page.as_ref() }))
    }

    /// Says that there is a handler.
    pub(super) fn arm(self) {
        self.put(at::STATE, ARMED);
    }

    pub(super) fn begin(self, facts: Facts) {
        self.put(at::SIGNAL, facts.signal as u64);
        self.put(at::CODE, i64::from(facts.code).cast_unsigned());
        self.put(at::ADDRESS, facts.address);
        self.put(at::SENDER, u64::from(facts.sender));
        self.put(at::FLAGS, u64::from(facts.is_overflow) * OVERFLOW);
        self.put(at::COUNT, 0);
        self.put(at::STATE, DYING);
    }

    /// Writes frame `index`; those before it are written.
    pub(super) fn frame(self, index: usize, place: Option<CodeAddress>) {
        if index >= FRAMES {
            let flags = self.0[at::FLAGS].load(Ordering::Relaxed);
            return self.put(at::FLAGS, flags | CUT);
        }
        let (module, offset) = place.map_or((NOWHERE, 0), |place| (u64::from(place.module), place.offset));
        self.put(at::FRAMES + 2 * index, module);
        self.put(at::FRAMES + 2 * index + 1, offset);
        self.put(at::COUNT, (index as u64 + 1).max(self.0[at::COUNT].load(Ordering::Relaxed)));
    }

    fn put(self, word: usize, value: u64) {
        // Relaxed: the reader looks when this process is dead. That the stores stand in this order matters only if the
        // process ends between two of them, and a compiler has no reason to move them across each other.
        self.0[word].store(value, Ordering::Relaxed);
    }
}

/// Maps the page of descriptor `raw`, which came as a number from outside, and the rings behind it if there are any, and closes
/// the descriptor. `None` for any number that [`CrashPage::new`] cannot have made. To be called once for a number, as [`super::super::open_fd_is_socket`].
pub(crate) fn take_page(raw: i32) -> Option<(TakenPage, Option<Lanes>)> {
    // SAFETY: takes numbers. A memory file has seals, and nothing else that a program inherits does.
    if raw < fd::FIRST || check(unsafe { libc::fcntl(raw, libc::F_GET_SEALS) }).is_err() {
        return None;
    }
    // SAFETY: `raw` is open, as the call above has shown, and has no other owner: the parent passed it to this process and
    // nobody else in it has been told the number, which `boot` upholds by removing it from the environment.
    let fd = unsafe { OwnedFd::from_raw_fd(raw) };
    // SAFETY: all-zero is a valid `stat`.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is writable and outlives the call; `fd` is open.
    check(unsafe { libc::fstat(fd.as_raw_fd(), &raw mut stat) }).ok()?;
    if stat.st_size != BYTES as libc::off_t && stat.st_size != (BYTES + lanes::BYTES) as libc::off_t {
        return None;
    }
    let lanes = lanes::map(fd.as_fd(), BYTES, Side::Worker).ok();
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping of an open file, at a place that the kernel chooses.
    let page = unsafe { libc::mmap(ptr::null_mut(), BYTES, protection, libc::MAP_SHARED, fd.as_raw_fd(), 0) };
    if page == libc::MAP_FAILED {
        return None;
    }
    // SAFETY: the mapping has `BYTES` bytes, page-aligned, and stays until the process ends. Nobody makes the file shorter:
    // the program does not, and this process has no descriptor of it any more when this function returns.
    Some((TakenPage(unsafe { Written::at(page.cast()) }?), lanes))
}

/// A page that has been mapped; for [`super::install`].
#[derive(Debug)]
pub(crate) struct TakenPage(pub(super) Written);

impl TakenPage {
    /// Notes that a task is about to be started.
    pub(crate) fn note_start(&self, id: u64) {
        // Relaxed, as in `put`; and it is not started if the process ends between the two.
        let count = self.0.0[at::STARTED].fetch_add(1, Ordering::Relaxed);
        self.0.put(at::STARTS + (count % STARTS as u64) as usize, id);
    }
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;

    fn taken() -> (CrashPage, Written) {
        let page = CrashPage::new().unwrap();
        let theirs = page.as_fd().try_clone_to_owned().unwrap();
        // SAFETY: takes numbers; the copy is the caller's from here on.
        let raw = unsafe { libc::fcntl(theirs.as_raw_fd(), libc::F_DUPFD_CLOEXEC, fd::FIRST) };
        (page, take_page(raw).unwrap().0.0)
    }

    /// As where a file can't be sealed.
    fn unsealed(bytes: usize) -> CrashPage {
        // SAFETY: takes a C string and numbers; the file is owned by nobody else.
        let fd = unsafe {
            let raw = libc::memfd_create(c"xfork-test".as_ptr(), libc::MFD_CLOEXEC);
            libc::ftruncate(raw, bytes as libc::off_t);
            fd::adopt(raw).unwrap()
        };
        CrashPage { fd, unsealed: Some(io::Error::from_raw_os_error(libc::EPERM)) }
    }

    fn facts(code: i32) -> Facts {
        Facts { signal: libc::SIGSEGV, code, address: 16, sender: 7, is_overflow: code > 0 }
    }

    #[test]
    fn the_last_tasks_that_were_started_are_known() {
        let (page, written) = taken();
        assert_eq!(page.started(), None, "nobody has used it");
        written.arm();
        assert_eq!(page.started(), Some(vec![]));
        let taken = TakenPage(written);
        (1..=3).for_each(|id| taken.note_start(id));
        assert_eq!(page.started(), Some(vec![1, 2, 3]));
        (4..=STARTS as u64 + 1).for_each(|id| taken.note_start(id));
        let mut started = page.started().unwrap();
        started.sort_unstable();
        assert_eq!(started, (2..=STARTS as u64 + 1).collect::<Vec<_>>());
        written.begin(facts(1));
        (0..=FRAMES).for_each(|index| written.frame(index, Some(CodeAddress { module: 1, offset: 1 })));
        assert_eq!(
            page.started().map(|started| started.len()),
            Some(STARTS),
            "frames have places of their own"
        );
    }

    #[test]
    fn what_is_written_is_read_at_every_moment() {
        let (page, written) = taken();
        assert_eq!(page.read(), LastWords::Unknown);
        written.arm();
        assert_eq!(page.read(), LastWords::Silent);
        written.begin(facts(1));
        let mut expected =
            Dying { signal: libc::SIGSEGV, address: Some(16), is_overflow: true, ..Dying::default() };
        assert_eq!(page.read(), LastWords::Told(expected.clone()));
        let place = CodeAddress { module: 3, offset: 4096 };
        written.frame(0, Some(place));
        written.frame(1, None);
        expected.frames.push(place);
        assert_eq!(page.read(), LastWords::Told(expected.clone()));
        written.frame(1, Some(place));
        (2..FRAMES + 1).for_each(|index| written.frame(index, Some(place)));
        (expected.frames, expected.is_cut) = (vec![place; FRAMES], true);
        assert_eq!(page.read(), LastWords::Told(expected));
    }

    #[test]
    fn a_signal_that_was_sent_has_a_sender_and_no_address() {
        let (page, written) = taken();
        written.begin(facts(libc::SI_USER));
        let expected = Dying { signal: libc::SIGSEGV, was_sent: true, sender: Some(7), ..Dying::default() };
        assert_eq!(page.read(), LastWords::Told(expected));
    }

    /// faults.md, contract C7: "the parent never aborts, hangs or allocates unboundedly because of a peer's bytes".
    #[test]
    fn nonsense_on_the_page_is_bounded() {
        let mut state = 1_u64;
        for round in 0..1000 {
            let words = std::array::from_fn(|word| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                match (word, round % 2) {
                    (at::STATE, 0) => DYING,
                    (at::SIGNAL, 0) => libc::SIGBUS as u64,
                    _ => state,
                }
            });
            match decode(&words) {
                LastWords::Told(told) => assert!(told.frames.len() <= FRAMES),
                words => assert_eq!((words, round % 2), (LastWords::Unknown, 1)),
            }
        }
    }

    #[test]
    fn a_page_that_a_worker_made_shorter_says_nothing() {
        let page = unsealed(BYTES);
        assert_eq!(page.started(), None);
        assert!(page.lanes().is_err());
        // SAFETY: takes numbers; nobody has mapped it.
        unsafe { libc::ftruncate(page.fd.as_raw_fd(), 100) };
        assert_eq!(page.read(), LastWords::Unknown);
    }

    /// faults.md, row 85.
    #[test]
    fn only_a_memory_file_of_one_page_is_taken() {
        let file = std::fs::File::open("/dev/null").unwrap();
        // SAFETY: takes numbers; the copies are closed below.
        let high = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 400) };
        for raw in [-1, 0, 2, 9, 1_000_000, i32::MAX, high] {
            assert!(take_page(raw).is_none(), "{raw}");
        }
        // SAFETY: made above, owned by nobody.
        drop(unsafe { OwnedFd::from_raw_fd(high) });
        let take = |page: CrashPage| {
            // SAFETY: takes numbers; the copy is the callee's.
            take_page(unsafe { libc::fcntl(page.fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, fd::FIRST) })
        };
        assert!(take(unsealed(2 * BYTES)).is_none());
        let (_, lanes) = take(unsealed(BYTES)).expect("a page without rings");
        assert!(lanes.is_none());
        let (_, lanes) = take(unsealed(BYTES + lanes::BYTES)).expect("rings that could become shorter");
        assert!(lanes.is_none());
        assert!(take(CrashPage::new().unwrap()).is_some_and(|(_, lanes)| lanes.is_some()));
    }
}
