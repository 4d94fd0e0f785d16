//! [`Cache`]: results that are found again by what they were computed from, in this program or another one.
//!
//! Owns a directory with one file for each result. A store with one writer would make programs wait for each other, or lock them
//! out. Files that appear by a rename need no lock: a reader finds a whole entry or none, two writers of one entry write
//! the same, and what somebody removes another one has open still. Nothing is brought to the disk on purpose; what a
//! machine that stops leaves half written does not fit its checksum, and is then no entry.
//!
//! What was used least recently goes first, by the times of the files. A reader sets the time of its file only if that is more
//! than a minute old, so that reading the same again is only reading. How large everything is together is counted now and
//! then, by whoever writes; in between the limit may be exceeded by about a sixteenth for each program.
//!
//! Keys and checksums are BLAKE3 (O'Connor et al., "BLAKE3: one function, fast everywhere", 2020), 256 bits: nobody finds two
//! arguments with one key, even on purpose.

use super::error::{Kind, StoreError};
use super::lock;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, DirEntry, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

const VERSION: u32 = 1;
/// The file that says whose directory this is. Its first line is that of the Cache Directory Tagging Specification
/// (Kristall, 2004), so that programs that make backups leave the directory out.
const TAG: &str = "CACHEDIR.TAG";
const SIGNATURE: &str = "Signature: 8a477f597d28d172789f06886806bc55";
const LINE: &str = "# Results of tasks, kept by xfork; format ";
const LOCK: &str = "lock";
const MAGIC: &[u8; 16] = b"xfork cache 0001";
/// Magic, key, length, sum.
const HEADER: usize = 16 + 32 + 8 + 32;
/// A file is taken to need whole blocks of so many bytes.
const BLOCK: u64 = 4096;
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

fn is_hex(name: &std::ffi::OsStr, digits: usize) -> bool {
    name.len() == digits && name.as_encoded_bytes().iter().all(|byte| byte.is_ascii_hexdigit())
}

/// Results in a directory that any number of programs may use at once.
#[derive(Debug)]
pub(crate) struct Cache {
    directory: PathBuf,
    limit: u64,
    /// Bytes that this program has written since the directory was last counted.
    written: AtomicU64,
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
        let cache = Self { directory, limit, written, next, trouble };
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
        let read = File::open(directory.join(TAG)).and_then(|tag| tag.take(4096).read_to_end(&mut text));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let others = fs::read_dir(directory).map_err(fail)?.filter_map(Result::ok);
                // Another program may be just about to put the tag there.
                let others = others.filter(|entry| !is_temporary(entry) && entry.file_name() != TAG);
                if others.count() > 0 {
                    return Err(foreign("it is not empty, and no cache of xfork"));
                }
                let text = format!("{SIGNATURE}\n{LINE}{VERSION}\n");
                return self.place(&directory.join(TAG), &[text.as_bytes()]).map_err(fail);
            }
            Err(error) => return Err(fail(error)),
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
    /// An entry that is damaged is removed, and counts as none; so does one that cannot be read.
    pub(crate) fn get(&self, key: &Key) -> Option<Vec<u8>> {
        let path = self.path(key);
        let mut file = File::open(&path).ok()?;
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

    /// Looks at the whole directory when that has become likely to be needed: after a sixteenth of the limit was written by
    /// this program, or for one entry in so many that programs which each write a little come to the same together. Keys are
    /// evenly distributed, so they serve as the dice.
    fn count(&self, key: &Key, size: u64) {
        let share = (self.limit / 16).max(1);
        let written = self.written.fetch_add(size, Ordering::Relaxed) + size;
        let die = u64::from_le_bytes(key.whole[..8].try_into().unwrap_or_default());
        if written >= share || u128::from(die) * u128::from(share) < u128::from(size) << 64 {
            self.written.store(0, Ordering::Relaxed);
            self.evict();
        }
    }

    /// Removes what was used least recently until a sixteenth is free, if there is more than the limit.
    fn evict(&self) {
        let Ok(gate) = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.directory.join(LOCK))
        else {
            return;
        };
        if gate.try_lock().is_err() {
            // Another program is at it.
            return;
        }
        let mut entries: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        self.for_each_entry(None, |entry| {
            let Ok(about) = entry.metadata() else { return };
            let used = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            entries.push((used, on_disk(about.len()), entry.path()));
        });
        let mut total: u64 = entries.iter().map(|(_, size, _)| size).sum();
        if total <= self.limit {
            return;
        }
        entries.sort_unstable();
        for (_, size, path) in entries {
            if total <= self.limit - self.limit / 16 {
                break;
            }
            if fs::remove_file(path).is_ok() {
                total -= size;
            }
        }
    }

    /// Every entry, of one function or of all; removes what killed programs have left behind.
    fn for_each_entry(&self, function: Option<&[u8; 16]>, mut each: impl FnMut(&DirEntry)) {
        let directories: Vec<PathBuf> = match function {
            Some(id) => vec![self.directory.join(hex(id))],
            None => list(&self.directory)
                .filter(|entry| is_hex(&entry.file_name(), 32))
                .map(|entry| entry.path())
                .collect(),
        };
        for entry in directories.iter().flat_map(|directory| list(directory)) {
            if is_hex(&entry.file_name(), 64) {
                each(&entry);
            } else if is_temporary(&entry) && is_left_behind(&entry.path()) {
                let _ = fs::remove_file(entry.path());
            }
        }
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
        for directory in list(&self.directory).filter(|entry| is_hex(&entry.file_name(), 32)) {
            let _ = fs::remove_dir(directory.path());
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
        self.for_each_entry(function, |entry| match self.remove(&entry.path()) {
            Ok(was_there) => removed += usize::from(was_there),
            Err(error) => failed = Some(error),
        });
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

fn on_disk(len: u64) -> u64 {
    len.div_ceil(BLOCK) * BLOCK
}

fn list(directory: &Path) -> impl Iterator<Item = DirEntry> + use<> {
    fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok)
}

fn is_temporary(entry: &DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".new-")
}

/// Whether nobody is writing it. Whoever has just made it and not yet locked it loses an entry, and no more.
fn is_left_behind(path: &Path) -> bool {
    lock::check_kind(path, "").is_ok() && File::open(path).is_ok_and(|file| file.try_lock().is_ok())
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
        let cache = Cache::open(scratch.path("cache"), 16 * BLOCK).unwrap();
        for number in 0..16 {
            assert!(cache.put(&key(number), &[1; 100]));
            used(&cache, &key(number), 10_000 - u64::from(number));
        }
        // Reading is using.
        assert!(cache.get(&key(0)).is_some());
        assert!(cache.put(&key(16), &[1; 100]));
        let gone: Vec<u32> = (0..17).filter(|number| cache.get(&key(*number)).is_none()).collect();
        assert_eq!(gone, [1, 2]);
    }

    #[test]
    fn a_result_larger_than_the_limit_is_not_kept() {
        let scratch = Scratch::new();
        let cache = Cache::open(scratch.path("cache"), 2 * BLOCK).unwrap();
        assert!(cache.put(&key(1), &[1; 10]));
        assert!(!cache.put(&key(2), &[1; 2 * BLOCK as usize]));
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
        Cache::open(scratch.path("later"), LARGE).unwrap();
        fs::write(scratch.path("later/CACHEDIR.TAG"), format!("{SIGNATURE}\n{LINE}7\n")).unwrap();
        assert!(open("later").is_version());
        assert_eq!(open("no/cache").io_kind(), Some(io::ErrorKind::NotFound));
    }
}
