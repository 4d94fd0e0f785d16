//! [`Cache`]: results that are found again by what they were computed from, in this program or another one.
//!
//! Owns a directory with one file for each result. A store with one writer would make programs wait for each other, or lock them
//! out. Files that appear by a rename need no lock: a reader finds a whole entry or none, two writers of one entry write
//! the same, and what somebody removes another one has open still. Nothing is brought to the disk on purpose; what a
//! machine that stops leaves half written does not fit its checksum, and is then no entry.
//!
//! What was used least recently goes first, by the times of the files. A reader sets the time of its file only if that is more
//! than a minute old, so that reading the same again is only reading. How large everything is together is counted now and
//! then, by whoever writes ([`Room`]); in between the limit may be exceeded by about a sixteenth for each program.
//!
//! Keys and checksums are BLAKE3 (O'Connor et al., "BLAKE3: one function, fast everywhere", 2020), 256 bits: nobody finds two
//! arguments with one key, even on purpose.

use super::error::{Kind, StoreError};
use super::room::{self, Room, on_disk};
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, DirEntry, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

const VERSION: u32 = 1;
/// The file that says whose directory this is. Its first line is that of the Cache Directory Tagging Specification
/// (Kristall, 2004), so that programs that make backups leave the directory out.
pub(super) const TAG: &str = "CACHEDIR.TAG";
const SIGNATURE: &str = "Signature: 8a477f597d28d172789f06886806bc55";
const LINE: &str = "# Results of tasks, kept by xfork; format ";
const MAGIC: &[u8; 16] = b"xfork cache 0001";
/// Magic, key, length, sum.
const HEADER: usize = 16 + 32 + 8 + 32;
/// A time of use is not made more exact than this.
const GRAIN: Duration = Duration::from_secs(60);

/// What a result was computed from: a function, its code and its arguments.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Key {
    function: [u8; 16],
    whole: [u8; 32],
}

impl Key {
    /// `function` is a name that stays the same from build to build, `version` changes with the code, and `arguments` are
    /// encoded so that equal ones have equal bytes.
    pub(crate) fn new(function: &str, version: &str, arguments: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        // Lengths, so that no part can pass for a piece of the next one.
        for part in [function.as_bytes(), version.as_bytes(), arguments] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        Self { function: function_id(function), whole: hasher.finalize().into() }
    }
}

fn function_id(function: &str) -> [u8; 16] {
    let mut id = [0; 16];
    id.copy_from_slice(&blake3::hash(function.as_bytes()).as_bytes()[..16]);
    id
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Results in a directory that any number of programs may use at once.
#[derive(Debug)]
pub(crate) struct Cache {
    directory: PathBuf,
    limit: u64,
    /// Bytes that this program has written since the directory was last counted.
    written: AtomicU64,
    is_due: AtomicBool,
    next: AtomicU64,
    trouble: Mutex<Option<StoreError>>,
}

impl Cache {
    /// Opens the cache in `directory`, which is made if it is not there; the directory above must be.
    ///
    /// `limit` is in bytes of the disk, of which each entry needs at least 4096.
    ///
    /// # Errors
    ///
    /// If something else stands there, or a cache of another version, or if the directory can be neither made nor read.
    pub(crate) fn open(directory: impl AsRef<Path>, limit: u64) -> Result<Self, StoreError> {
        let directory = directory.as_ref();
        let doing = "opening the cache";
        let fail = |error| StoreError::io(doing, directory, error);
        let directory = std::path::absolute(directory).map_err(fail)?;
        // Results may be nobody else's business, and who can write here decides what tasks return.
        match DirBuilder::new().mode(0o700).create(&directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(StoreError::io(doing, &directory, error));
            }
            _ => {}
        }
        let written = AtomicU64::new(0);
        let (next, trouble) = (AtomicU64::new(0), Mutex::new(None));
        let is_due = AtomicBool::new(false);
        let cache = Self { directory, limit, written, is_due, next, trouble };
        cache.check_tag(doing)?;
        Ok(cache)
    }

    fn check_tag(&self, doing: &'static str) -> Result<(), StoreError> {
        let directory = &self.directory;
        let fail = |error| StoreError::io(doing, directory, error);
        let foreign = |what| StoreError::new(doing, directory, Kind::Foreign(what));
        if !fs::metadata(directory).map_err(fail)?.is_dir() {
            return Err(foreign("it is no directory"));
        }
        let mut text = Vec::new();
        match open(&directory.join(TAG)).and_then(|tag| tag.take(4096).read_to_end(&mut text)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail(error)),
            // One that the machine stopped before it was on the disk.
            Err(_) | Ok(0) => {
                // Another program may have put its first entries there meanwhile.
                if !room::is_ours(directory).map_err(fail)? {
                    return Err(foreign("it is not empty, and no cache of xfork"));
                }
                let text = format!("{SIGNATURE}\n{LINE}{VERSION}\n");
                return self.place(&directory.join(TAG), &[text.as_bytes()]).map_err(fail);
            }
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&text);
        let found = text.lines().find_map(|line| line.strip_prefix(LINE)?.trim().parse().ok());
        match found {
            Some(VERSION) => Ok(()),
            Some(found) => Err(StoreError::new(doing, directory, Kind::Version(found, VERSION))),
            None => Err(foreign("it is a cache of something else")),
        }
    }

    fn path(&self, key: &Key) -> PathBuf {
        let mut path = self.directory.join(hex(&key.function));
        path.push(hex(&key.whole));
        path
    }

    /// The result with this key, if there is one.
    ///
    /// An entry that is damaged is removed, and counts as none; one that cannot be read counts as none.
    pub(crate) fn get(&self, key: &Key) -> Option<Vec<u8>> {
        let path = self.path(key);
        let mut file = open(&path).ok()?;
        let about = file.metadata().ok()?;
        match read(&mut file, about.len(), key) {
            Ok(Some(bytes)) => {
                let now = SystemTime::now();
                // Also if it was used in what is now the future.
                let age = about.modified().ok().and_then(|used| now.duration_since(used).ok());
                if age.is_none_or(|age| age > GRAIN) {
                    let _ = file.set_modified(now);
                }
                Some(bytes)
            }
            Ok(None) => {
                let _ = fs::remove_file(&path);
                None
            }
            Err(_) => None,
        }
    }

    /// Keeps a result, and tells whether it did.
    ///
    /// Not keeping it is no failure: it may be larger than the limit, the disk may be full. [`trouble`](Self::trouble) knows why.
    pub(crate) fn put(&self, key: &Key, bytes: &[u8]) -> bool {
        let size = on_disk((HEADER + bytes.len()) as u64);
        if size > self.limit {
            return false;
        }
        let header = header(key, bytes);
        let parts = [&header[..], bytes];
        let path = self.path(key);
        let placed = self.place(&path, &parts).or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                return Err(error);
            }
            // The first entry of its function.
            let directory = path.parent().unwrap_or(&self.directory);
            match DirBuilder::new().mode(0o700).create(directory) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            self.place(&path, &parts)
        });
        if let Err(error) = placed {
            self.note(StoreError::io("writing into the cache", &self.directory, error));
            return false;
        }
        self.count(key, size);
        true
    }

    /// Decides whether the whole directory is to be looked at: when this program has written a sixteenth of the limit, or for
    /// one entry in so many that programs which each write a little come to the same together. Keys are evenly distributed,
    /// so they serve as the dice.
    fn count(&self, key: &Key, size: u64) {
        let share = (self.limit / 16).max(1);
        let written = self.written.fetch_add(size, Ordering::Relaxed) + size;
        let die = u64::from_le_bytes(key.whole[..8].try_into().unwrap_or_default());
        if written >= share || u128::from(die) * u128::from(share) < u128::from(size) << 64 {
            self.written.store(0, Ordering::Relaxed);
            self.is_due.store(true, Ordering::Relaxed);
        }
    }

    /// What has to make room, if it has become likely that some is needed. It takes long where there is much, and is nobody's
    /// task: whoever has kept a result gives it to a thread of its own.
    pub(crate) fn room(&self) -> Option<Room> {
        let is_due = self.is_due.load(Ordering::Relaxed) && self.is_due.swap(false, Ordering::Relaxed);
        is_due.then(|| Room::new(&self.directory, self.limit))
    }

    /// A file with these contents under this name, as a whole or not at all.
    fn place(&self, path: &Path, parts: &[&[u8]]) -> io::Result<()> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        // Beside the entry, so that it is gone together with its directory.
        let name = format!(".new-{}-{number}-{:p}", std::process::id(), self);
        let beside = path.with_file_name(name);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        // While it is locked, nobody takes it for what a killed program has left behind.
        let _ = file.try_lock();
        let written = parts.iter().try_for_each(|part| file.write_all(part));
        let placed = written.and_then(|()| fs::rename(&beside, path));
        if placed.is_err() {
            let _ = fs::remove_file(&beside);
        }
        placed
    }

    /// Removes all results of a function, and says how many there were.
    ///
    /// # Errors
    ///
    /// If one of them can't be removed; the others are.
    pub(crate) fn forget(&self, function: &str) -> Result<usize, StoreError> {
        let id = function_id(function);
        let removed = self.remove_entries(Some(&id));
        // Stays if somebody has just put something there.
        let _ = fs::remove_dir(self.directory.join(hex(&id)));
        removed
    }

    /// Removes all results, and says how many there were.
    ///
    /// # Errors
    ///
    /// If one of them can't be removed; the others are.
    pub(crate) fn forget_all(&self) -> Result<usize, StoreError> {
        let removed = self.remove_entries(None);
        for directory in room::functions(&self.directory).into_iter().flatten() {
            let _ = fs::remove_dir(directory);
        }
        removed
    }

    /// Removes the result with this key, and says whether it was there.
    ///
    /// # Errors
    ///
    /// If it can't be removed.
    pub(crate) fn forget_one(&self, key: &Key) -> Result<bool, StoreError> {
        self.remove(&self.path(key))
    }

    fn remove(&self, path: &Path) -> Result<bool, StoreError> {
        match fs::remove_file(path) {
            Ok(()) => Ok(true),
            // Somebody else was faster, or it never was.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(StoreError::io("removing from the cache", &self.directory, error)),
        }
    }

    fn remove_entries(&self, function: Option<&[u8; 16]>) -> Result<usize, StoreError> {
        let (mut removed, mut failed) = (0, None);
        let remove = |entry: &DirEntry| match self.remove(&entry.path()) {
            Ok(was_there) => removed += usize::from(was_there),
            Err(error) => failed = Some(error),
        };
        let directories = match function {
            Some(id) => Ok(vec![self.directory.join(hex(id))]),
            None => room::functions(&self.directory),
        };
        let listed = directories.and_then(|directories| room::for_each_entry(&directories, remove));
        if let Err(error) = listed {
            return Err(StoreError::io("listing the cache", &self.directory, error));
        }
        failed.map_or(Ok(removed), Err)
    }

    fn note(&self, error: StoreError) {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    /// Why something could not be kept, the first time since this was last asked.
    pub(crate) fn trouble(&self) -> Option<StoreError> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Opens for reading what nobody of us has put there if it is no regular file: a pipe must not block.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

fn header(key: &Key, bytes: &[u8]) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let (magic, rest) = header.split_at_mut(16);
    let (whole, rest) = rest.split_at_mut(32);
    let (len, sum) = rest.split_at_mut(8);
    magic.copy_from_slice(MAGIC);
    whole.copy_from_slice(&key.whole);
    len.copy_from_slice(&(bytes.len() as u64).to_le_bytes());
    sum.copy_from_slice(blake3::hash(bytes).as_bytes());
    header
}

/// `None`: this is not the entry, or it is damaged.
fn read(file: &mut File, len: u64, key: &Key) -> io::Result<Option<Vec<u8>>> {
    let mut header = [0; HEADER];
    let Some(body) = len.checked_sub(HEADER as u64) else { return Ok(None) };
    file.read_exact(&mut header)?;
    let (magic, rest) = header.split_at(16);
    let (whole, rest) = rest.split_at(32);
    let (body_len, sum) = rest.split_at(8);
    if magic != MAGIC || whole != key.whole || body_len != body.to_le_bytes() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    let wanted = usize::try_from(body).unwrap_or(usize::MAX);
    bytes.try_reserve_exact(wanted).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    file.take(body).read_to_end(&mut bytes)?;
    let is_whole = bytes.len() as u64 == body && blake3::hash(&bytes).as_bytes() == sum;
    Ok(is_whole.then_some(bytes))
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;
    use crate::store::tests::Scratch;

    const LARGE: u64 = 1 << 30;

    fn key(number: u32) -> Key {
        Key::new("square", "1", &number.to_le_bytes())
    }

    fn used(cache: &Cache, key: &Key, ago: u64) {
        let file = OpenOptions::new().write(true).open(cache.path(key)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(ago)).unwrap();
    }

    #[test]
    fn a_result_is_found_again_by_what_it_was_computed_from() {
        let scratch = Scratch::new();
        let cache = Cache::open(scratch.path("cache"), LARGE).unwrap();
        assert_eq!(cache.get(&key(1)), None);
        assert!(cache.put(&key(1), b"one") && cache.put(&key(2), b""));
        let cache = Cache::open(scratch.path("cache"), LARGE).unwrap();
        assert_eq!(cache.get(&key(1)).as_deref(), Some(&b"one"[..]));
        assert_eq!(cache.get(&key(2)).as_deref(), Some(&b""[..]));
    }

    #[test]
    fn keys_differ_when_anything_does() {
        let keys = [("f", "1", "ab"), ("g", "1", "ab"), ("f", "2", "ab"), ("f", "1a", "b"), ("f1", "", "ab")];
        let keys =
            keys.map(|(function, version, arguments)| Key::new(function, version, arguments.as_bytes()));
        for (at, key) in keys.iter().enumerate() {
            assert!(!keys[..at].contains(key));
        }
    }

    #[test]
    fn what_was_used_least_recently_goes_first() {
        let scratch = Scratch::new();
        let cache = Cache::open(scratch.path("cache"), 16 * 4096).unwrap();
        for number in 0..16 {
            assert!(cache.put(&key(number), &[1; 100]));
            used(&cache, &key(number), 10_000 - u64::from(number));
        }
        // Reading is using.
        assert!(cache.get(&key(0)).is_some());
        assert!(cache.put(&key(16), &[1; 100]));
        cache.room().unwrap().make();
        let gone: Vec<u32> = (0..17).filter(|number| cache.get(&key(*number)).is_none()).collect();
        assert_eq!(gone, [1, 2]);
    }

    #[test]
    fn a_result_larger_than_the_limit_is_not_kept() {
        let scratch = Scratch::new();
        let cache = Cache::open(scratch.path("cache"), 2 * 4096).unwrap();
        assert!(cache.put(&key(1), &[1; 10]));
        assert!(!cache.put(&key(2), &[1; 2 * 4096]));
        assert!(cache.get(&key(1)).is_some() && cache.trouble().is_none());
    }

    #[test]
    fn a_damaged_entry_is_absent_and_removed() {
        let scratch = Scratch::new();
        let cache = Cache::open(scratch.path("cache"), LARGE).unwrap();
        cache.put(&key(1), b"a value of some bytes");
        let path = cache.path(&key(1));
        let bytes = fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 4;
            fs::write(&path, flipped).unwrap();
            assert_eq!(cache.get(&key(1)), None);
            assert!(!path.exists());
            fs::write(&path, &bytes[..at]).unwrap();
            assert_eq!(cache.get(&key(1)), None);
            assert!(!path.exists());
        }
        // The entry of another key is none of this one.
        fs::write(&path, &bytes).unwrap();
        fs::rename(&path, cache.path(&key(2))).unwrap();
        assert_eq!(cache.get(&key(2)), None);
        assert!(cache.put(&key(1), b"again"));
        assert_eq!(cache.get(&key(1)).as_deref(), Some(&b"again"[..]));
    }

    #[test]
    fn a_function_is_forgotten_alone_or_with_all_others() {
        let scratch = Scratch::new();
        let cache = Cache::open(scratch.path("cache"), LARGE).unwrap();
        let (f, g) = (Key::new("f", "1", b""), Key::new("g", "1", b""));
        cache.put(&f, b"f");
        cache.put(&g, b"g");
        assert_eq!(cache.forget("f").unwrap(), 1);
        assert_eq!(cache.forget("f").unwrap(), 0);
        assert!(cache.get(&f).is_none() && cache.get(&g).is_some());
        // What a killed program has left, and what is nobody's business.
        let left = cache.path(&g).with_file_name(".new-1-1-0");
        fs::write(&left, "half").unwrap();
        fs::write(scratch.path("cache/mine"), "").unwrap();
        assert_eq!(cache.forget_all().unwrap(), 1);
        assert!(cache.get(&g).is_none() && !left.exists() && scratch.path("cache/mine").exists());
        assert!(cache.put(&g, b"g"));
        assert!(cache.forget_one(&g).unwrap() && !cache.forget_one(&g).unwrap());
    }

    #[test]
    fn a_directory_of_something_else_is_refused() {
        let scratch = Scratch::new();
        let open = |name: &str| Cache::open(scratch.path(name), LARGE).unwrap_err();
        fs::create_dir(scratch.path("other")).unwrap();
        fs::write(scratch.path("other/file"), "").unwrap();
        assert!(open("other").is_foreign());
        assert!(open("other/file").is_foreign());
        fs::write(scratch.path("other/CACHEDIR.TAG"), SIGNATURE).unwrap();
        assert!(open("other").is_foreign());
        let later = Cache::open(scratch.path("later"), LARGE).unwrap();
        assert!(later.put(&key(1), b"one"));
        // As after a stop of the machine.
        fs::write(scratch.path("later/CACHEDIR.TAG"), "").unwrap();
        assert!(Cache::open(scratch.path("later"), LARGE).unwrap().get(&key(1)).is_some());
        fs::write(scratch.path("later/CACHEDIR.TAG"), format!("{SIGNATURE}\n{LINE}7\n")).unwrap();
        assert!(open("later").is_version());
        assert_eq!(open("no/cache").io_kind(), Some(io::ErrorKind::NotFound));
    }
}
