//! [`Room`]: what was used least recently goes, when a cache has come to need more of the disk than it may.

use super::cache::TAG;
use super::lock;
use std::ffi::OsStr;
use std::fs::{self, DirEntry, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const LOCK: &str = "lock";
/// A file is taken to need whole blocks of so many bytes.
const BLOCK: u64 = 4096;

/// The bytes of the disk that a file of so many bytes needs.
pub(super) fn on_disk(len: u64) -> u64 {
    len.div_ceil(BLOCK) * BLOCK
}

/// A directory and what it may need of the disk.
#[derive(Debug)]
pub(crate) struct Room {
    directory: PathBuf,
    /// In bytes.
    limit: u64,
}

impl Room {
    pub(super) fn new(directory: &Path, limit: u64) -> Self {
        Self { directory: directory.to_owned(), limit }
    }

    /// Removes what was used least recently until a sixteenth is free, if there is more than the limit. Nothing depends on it, so
    /// what fails is left for the next time.
    pub(crate) fn make(&self) {
        let lock = self.directory.join(LOCK);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let Ok(gate) = options.custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(lock) else { return };
        if matches!(gate.try_lock(), Err(TryLockError::WouldBlock)) {
            // Another program is at it. Where a file system knows no locks, two remove the same.
            return;
        }
        let Ok(directories) = functions(&self.directory) else { return };
        // There may be a million: the number of the directory and not its name.
        let mut entries: Vec<(SystemTime, u64, usize, [u8; 64])> = Vec::new();
        let mut has_memory = true;
        for (number, directory) in directories.iter().enumerate() {
            let _ = for_each_entry(std::slice::from_ref(directory), |entry| {
                let (Ok(about), Ok(name)) =
                    (entry.metadata(), entry.file_name().as_encoded_bytes().try_into())
                else {
                    return;
                };
                has_memory &= entries.try_reserve(1).is_ok();
                if has_memory {
                    let used = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                    entries.push((used, on_disk(about.len()), number, name));
                }
            });
        }
        let mut total: u64 = entries.iter().map(|(_, size, ..)| size).sum();
        if total <= self.limit {
            return;
        }
        entries.sort_unstable();
        for (_, size, number, name) in entries {
            if total <= self.limit - self.limit / 16 {
                break;
            }
            let name = str::from_utf8(&name).unwrap_or_default();
            if fs::remove_file(directories[number].join(name)).is_ok() {
                total -= size;
            }
        }
    }
}

/// The directories of the functions in a cache.
pub(super) fn functions(cache: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(cache)?.filter_map(Result::ok);
    Ok(entries.filter(|entry| is_hex(&entry.file_name(), 32)).map(|entry| entry.path()).collect())
}

/// Every entry in these directories; removes what killed programs have left behind.
pub(super) fn for_each_entry(functions: &[PathBuf], mut each: impl FnMut(&DirEntry)) -> io::Result<()> {
    let mut outcome = Ok(());
    for directory in functions {
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            // Somebody was faster, or nothing was ever kept.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                outcome = Err(error);
                continue;
            }
        };
        for entry in entries.filter_map(Result::ok) {
            if is_hex(&entry.file_name(), 64) {
                each(&entry);
            } else if is_temporary(&entry) && is_left_behind(&entry.path()) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
    outcome
}

/// Whether there is nothing in a directory that a cache does not put there.
pub(super) fn is_ours(directory: &Path) -> io::Result<bool> {
    let is_ours = |entry: &DirEntry| {
        let name = entry.file_name();
        is_temporary(entry) || name == TAG || name == LOCK || is_hex(&name, 32)
    };
    Ok(fs::read_dir(directory)?.filter_map(Result::ok).all(|entry| is_ours(&entry)))
}

fn is_hex(name: &OsStr, digits: usize) -> bool {
    name.len() == digits && name.as_encoded_bytes().iter().all(|byte| byte.is_ascii_hexdigit())
}

fn is_temporary(entry: &DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".new-")
}

/// Whether nobody is writing it. Whoever has just made it and not yet locked it loses an entry, and no more.
fn is_left_behind(path: &Path) -> bool {
    lock::check_kind(path, "").is_ok() && File::open(path).is_ok_and(|file| file.try_lock().is_ok())
}
