//! Memory files: bytes that several processes see, and that nobody can change any more.
//!
//! Owns making such a file (without a name, filled, then sealed against shrinking, growing and writing), looking at one that came
//! from elsewhere, and the mapping of both. Promises: what is mapped here is read-only, and stays the same for as long as it is
//! mapped; a descriptor that isn't such a file, of just the size that was told, is refused before it is mapped. Mappings are
//! private, as kernels before 6.7 refuse a shared one of a file that is sealed against writing; pages that nobody writes to are
//! shared all the same. Leaves out who gets to see a file (`memory`, `runner/process`).

#![expect(
    unsafe_code,
    reason = "memfd_create, pwrite, fcntl, fstat and mmap take plain numbers and give addresses"
)]

use super::call::{check, retry};
use super::fd;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};

/// Nothing of the file can be changed, and neither can that.
const SEALS: libc::c_int = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;

/// A descriptor out of so many that the process may have is one of ours at most, lest the program lack them.
const SHARE: u64 = 4;

/// How many files this process has made and not closed.
static OPEN: AtomicU64 = AtomicU64::new(0);

/// A sealed file of this process, with its bytes mapped.
#[derive(Debug)]
pub(crate) struct MemoryFile {
    map: Map,
    file: File,
}

/// What tells one memory file from another that is open at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inode(pub(crate) u64);

impl MemoryFile {
    /// Makes one with these bytes, of which there must be some.
    pub(crate) fn with(bytes: &[u8]) -> io::Result<Self> {
        let file = File::new(bytes.len())?;
        file.write(bytes)?;
        file.seal(bytes.len())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.map.bytes()
    }

    pub(crate) fn inode(&self) -> io::Result<Inode> {
        Ok(Inode(status(self.file.0.as_fd())?.st_ino))
    }
}

impl AsFd for MemoryFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.0.as_fd()
    }
}

/// A file that is being filled: nobody else has it yet.
#[derive(Debug)]
pub(crate) struct Draft {
    map: Map,
    file: File,
}

impl Draft {
    /// One of so many zeros, and at least one.
    pub(crate) fn new(bytes: usize) -> io::Result<Self> {
        let file = File::new(bytes)?;
        let map = Map::new(file.0.as_fd(), bytes, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED)?;
        Ok(Self { map, file })
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: the mapping is writable and as long as it says; `file` has never left this struct, so nobody else has mapped it,
        // and `self` is borrowed mutably for as long as the slice is.
        unsafe { std::slice::from_raw_parts_mut(self.map.address.as_ptr(), self.map.bytes) }
    }

    /// Seals it. Where that is denied (a copy of this process, made by `fork` meanwhile, has the writable mapping, too), gives the
    /// file back to be read.
    pub(crate) fn seal(self) -> Result<MemoryFile, Unsealed> {
        let Self { map, file } = self;
        let bytes = map.bytes;
        // A file that is mapped for writing can't be sealed against that.
        drop(map);
        match file.try_seal(bytes) {
            Ok(map) => Ok(MemoryFile { map, file }),
            Err(_) => Err(Unsealed(file)),
        }
    }
}

/// A filled file that can't be shared.
#[derive(Debug)]
pub(crate) struct Unsealed(File);

impl Unsealed {
    /// Copies its bytes from its begin on.
    pub(crate) fn read(&self, into: &mut [u8]) -> io::Result<()> {
        let mut done = 0;
        while done < into.len() {
            let rest = &mut into[done..];
            // SAFETY: `rest` is writable for its length during the call; the file is open.
            let got = retry(|| unsafe {
                libc::pread(self.0.0.as_raw_fd(), rest.as_mut_ptr().cast(), rest.len(), done as libc::off_t)
            })?;
            if got == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            done += got as usize;
        }
        Ok(())
    }
}

/// The descriptor of a file that was made here, counted.
#[derive(Debug)]
struct File(OwnedFd);

impl File {
    /// A file of so many zeros.
    fn new(bytes: usize) -> io::Result<Self> {
        if bytes == 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "nothing can be mapped of an empty file",
            ));
        }
        let size = libc::off_t::try_from(bytes).map_err(|_| io::ErrorKind::FileTooLarge)?;
        Map::probe(bytes)?;
        // Relaxed, here and below: a count, which guards nothing.
        if OPEN.fetch_add(1, Ordering::Relaxed) >= descriptor_limit() / SHARE {
            OPEN.fetch_sub(1, Ordering::Relaxed);
            return Err(io::Error::from_raw_os_error(libc::EMFILE));
        }
        let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
        // SAFETY: takes a C string and a number.
        let raw = check(unsafe { libc::memfd_create(c"xfork-shared".as_ptr(), flags) });
        // SAFETY: the kernel has just made it for us.
        let fd = raw.and_then(|raw| unsafe { fd::adopt(raw) });
        let file = fd.map(File).inspect_err(|_| _ = OPEN.fetch_sub(1, Ordering::Relaxed))?;
        // SAFETY: takes numbers; the file is open.
        check(unsafe { libc::ftruncate(file.0.as_raw_fd(), size) })?;
        Ok(file)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut done = 0;
        while done < bytes.len() {
            let rest = &bytes[done..];
            // SAFETY: `rest` is readable for its length during the call; the file is open.
            let put = retry(|| unsafe {
                libc::pwrite(self.0.as_raw_fd(), rest.as_ptr().cast(), rest.len(), done as libc::off_t)
            })?;
            done += put as usize;
        }
        Ok(())
    }

    fn seal(self, bytes: usize) -> io::Result<MemoryFile> {
        let map = self.try_seal(bytes)?;
        Ok(MemoryFile { map, file: self })
    }

    fn try_seal(&self, bytes: usize) -> io::Result<Map> {
        // SAFETY: takes numbers; the file is open.
        check(unsafe { libc::fcntl(self.0.as_raw_fd(), libc::F_ADD_SEALS, SEALS) })?;
        Map::of_sealed(self.0.as_fd(), bytes)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Some pages of a file, unmapped when dropped.
#[derive(Debug)]
pub(crate) struct Map {
    address: NonNull<u8>,
    bytes: usize,
}

impl Map {
    /// Maps what another process has sent: a memory file of so many bytes, sealed as those that are made here. Closes the
    /// descriptor, which the mapping doesn't need.
    pub(crate) fn received(file: OwnedFd, bytes: u64) -> io::Result<Self> {
        let refused = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what);
        // SAFETY: takes numbers; the file is open. Only memory files know of seals.
        let seals = check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GET_SEALS) })?;
        if seals & SEALS != SEALS {
            return Err(refused("a memory file that can be changed"));
        }
        let size = u64::try_from(status(file.as_fd())?.st_size).unwrap_or(0);
        if size != bytes || bytes == 0 {
            return Err(refused("a memory file of another size than was told"));
        }
        Self::of_sealed(file.as_fd(), usize::try_from(bytes).map_err(|_| refused("too large"))?)
    }

    /// Maps a file that is sealed and of this size.
    fn of_sealed(file: BorrowedFd<'_>, bytes: usize) -> io::Result<Self> {
        Self::new(file, bytes, libc::PROT_READ, libc::MAP_PRIVATE)
    }

    /// Whether the kernel would give so much memory. It does not ask itself that for a file, and would rather kill somebody later.
    fn probe(bytes: usize) -> io::Result<()> {
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a mapping at an address that the kernel chooses overlaps nothing.
        let address = unsafe { libc::mmap(ptr::null_mut(), bytes, rights, flags, -1, 0) };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it has just been mapped, and nobody knows of it.
        unsafe { libc::munmap(address, bytes) };
        Ok(())
    }

    fn new(file: BorrowedFd<'_>, bytes: usize, rights: libc::c_int, flags: libc::c_int) -> io::Result<Self> {
        // SAFETY: a mapping at an address that the kernel chooses overlaps nothing; `file` is open for the call.
        let address = unsafe { libc::mmap(ptr::null_mut(), bytes, rights, flags, file.as_raw_fd(), 0) };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let address = NonNull::new(address.cast()).expect("the kernel maps nothing at zero by itself");
        Ok(Self { address, bytes })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping is readable for `bytes` bytes until drop. Nobody changes or shortens the file: it is sealed, as
        // `of_sealed` demands of its callers, or it is that of a draft, whose bytes are not read this way.
        unsafe { std::slice::from_raw_parts(self.address.as_ptr(), self.bytes) }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, of this length, and nobody has a reference into it any more: all were borrowed from `self`.
        // The result is of no interest: only nonsense is refused.
        unsafe { libc::munmap(self.address.as_ptr().cast(), self.bytes) };
    }
}

// SAFETY: the pages belong to the value, which gives out shared references to unchanging bytes, or an exclusive one through an
// exclusive borrow (`Draft`); the kernel doesn't care which thread unmaps them.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

/// What tells this file from any other that is open now.
pub(crate) fn inode_of(file: BorrowedFd<'_>) -> io::Result<Inode> {
    Ok(Inode(status(file)?.st_ino))
}

fn status(file: BorrowedFd<'_>) -> io::Result<libc::stat> {
    // SAFETY: all-zero is a valid value of these numbers.
    let mut status: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `status` is writable and outlives the call; the file is open.
    check(unsafe { libc::fstat(file.as_raw_fd(), &raw mut status) })?;
    Ok(status)
}

/// How many descriptors this process may have.
fn descriptor_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is writable and outlives the call.
    let got = check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) });
    got.map_or(0, |_| limit.rlim_cur)
}

#[cfg(all(test, not(miri), not(xfork_loom)))]
mod tests {
    use super::*;
    use std::io::ErrorKind;

    fn memory_file(flags: libc::c_uint, bytes: &[u8]) -> OwnedFd {
        // SAFETY: takes a C string and a number; the kernel has just made what is adopted.
        let fd = unsafe { fd::adopt(check(libc::memfd_create(c"test".as_ptr(), flags)).unwrap()) }.unwrap();
        // SAFETY: the bytes are readable for their length.
        let put = unsafe { libc::write(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) };
        assert_eq!(put, bytes.len() as isize);
        fd
    }

    fn seal(fd: &OwnedFd, seals: libc::c_int) {
        // SAFETY: takes numbers.
        check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_ADD_SEALS, seals) }).unwrap();
    }

    fn drafted(bytes: usize) -> MemoryFile {
        let mut draft = Draft::new(bytes).unwrap();
        assert!(draft.bytes_mut().iter().all(|byte| *byte == 0));
        draft.bytes_mut().fill(7);
        draft.seal().unwrap()
    }

    #[test]
    fn what_was_filled_is_seen_here_and_through_the_descriptor() {
        for file in [drafted(10_000), MemoryFile::with(&[7; 10_000]).unwrap()] {
            assert_eq!(file.bytes(), [7; 10_000]);
            let elsewhere = Map::received(file.as_fd().try_clone_to_owned().unwrap(), 10_000).unwrap();
            drop(file);
            assert_eq!(elsewhere.bytes(), [7; 10_000], "the mapping does not need its maker");
        }
    }

    #[test]
    fn a_sealed_file_cannot_be_written_cut_lengthened_or_unsealed() {
        let file = drafted(5000);
        let fd = file.as_fd().as_raw_fd();
        // SAFETY: the calls take numbers, and a pointer to a byte that is readable.
        let outcomes = unsafe {
            [
                check(libc::pwrite(fd, [1_u8].as_ptr().cast(), 1, 0) as libc::c_int),
                check(libc::ftruncate(fd, 4999)),
                check(libc::ftruncate(fd, 5001)),
                check(libc::fallocate(fd, libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE, 0, 4096)),
                check(libc::fcntl(fd, libc::F_ADD_SEALS, libc::F_SEAL_WRITE)),
            ]
        };
        for outcome in outcomes {
            assert_eq!(outcome.unwrap_err().raw_os_error(), Some(libc::EPERM));
        }
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        assert!(Map::new(file.as_fd(), 5000, rights, libc::MAP_SHARED).is_err());
        assert_eq!(file.bytes(), [7; 5000]);
    }

    /// Row 98 of faults.md: nothing is mapped that its maker could still shorten under the reader.
    #[test]
    fn what_is_no_memory_file_sealed_for_good_and_of_the_told_size_is_refused() {
        let refused = |fd: OwnedFd, bytes| Map::received(fd, bytes).unwrap_err().kind();
        let sealed = || drafted(5000).as_fd().try_clone_to_owned().unwrap();
        assert!(Map::received(sealed(), 5000).is_ok());
        for bytes in [0, 1, 4999, 5001, u64::MAX] {
            assert_eq!(refused(sealed(), bytes), ErrorKind::InvalidInput, "{bytes}");
        }
        assert_eq!(refused(memory_file(0, b"text"), 4), ErrorKind::InvalidInput);
        for missing in [libc::F_SEAL_SEAL, libc::F_SEAL_SHRINK, libc::F_SEAL_GROW, libc::F_SEAL_WRITE] {
            let file = memory_file(libc::MFD_ALLOW_SEALING, b"text");
            seal(&file, SEALS & !missing);
            assert_eq!(refused(file, 4), ErrorKind::InvalidInput, "without {missing}");
        }
        let null = std::fs::File::open("/dev/null").unwrap();
        let exe = std::fs::File::open("/proc/self/exe").unwrap();
        let (socket, _other) = crate::ground::sys::pair().unwrap();
        for other in [null.into(), exe.into(), socket] {
            assert!(Map::received(other, 4).is_err());
        }
    }

    #[test]
    fn a_draft_that_cannot_be_sealed_gives_its_bytes_back() {
        let mut draft = Draft::new(5000).unwrap();
        draft.bytes_mut().fill(7);
        // As a copy of the process would have it.
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        let other = Map::new(draft.file.0.as_fd(), 5000, rights, libc::MAP_SHARED).unwrap();
        let unsealed = draft.seal().unwrap_err();
        let mut bytes = [0; 5000];
        unsealed.read(&mut bytes).unwrap();
        assert_eq!(bytes, [7; 5000]);
        drop(other);
    }

    #[test]
    fn an_empty_file_and_one_larger_than_memory_are_errors() {
        assert!(Draft::new(0).is_err());
        assert!(MemoryFile::with(&[]).is_err());
        assert!(Draft::new(usize::MAX).is_err());
        assert!(Draft::new(1 << 55).is_err());
    }

    #[test]
    fn files_have_inodes_of_their_own() {
        let (one, other) = (drafted(1), drafted(1));
        assert_ne!(one.inode().unwrap(), other.inode().unwrap());
        assert_eq!(one.inode().unwrap(), inode_of(one.as_fd()).unwrap());
    }
}
