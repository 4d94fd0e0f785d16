//! One process at a time: opening a file so that nobody else has it.
//!
//! Owns the lock, which is one of the system's on the file itself: it ends with the process however that ends, and leaves no file
//! behind. A file may be replaced by a rename while somebody waits to open it, so whoever has got the lock looks whether
//! the path still leads to that file.

use super::error::{Kind, StoreError};
use std::fs::{self, File, Metadata, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A file that this process has locked.
///
/// The lock is given back expressly: a process that is just being started has a copy of every open file until it runs its
/// own program, and closing ours would leave the lock with that copy for so long. A copy of this process, made by the system's
/// `fork`, shares the lock and must not give it back.
#[derive(Debug)]
pub(super) struct Locked {
    file: File,
    pid: u32,
}

impl std::ops::Deref for Locked {
    type Target = File;

    fn deref(&self) -> &File {
        &self.file
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        if self.pid == std::process::id() {
            let _ = self.file.unlock();
        }
    }
}

/// Opens by `open` and locks. What stands at the path and is not a regular file is never opened: a pipe would block.
pub(super) fn open(
    path: &Path,
    doing: &'static str,
    open: impl Fn(&Path) -> io::Result<File>,
) -> Result<Locked, StoreError> {
    let fail = |error| StoreError::io(doing, path, error);
    loop {
        check_kind(path, doing)?;
        let file = open(path).map_err(fail)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = file.metadata().ok().and_then(|file| holder(&file));
                return Err(StoreError::new(doing, path, Kind::Locked(holder)));
            }
            // A file system without locks; some network file systems are.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(fail(error)),
        }
        let locked = file.metadata().map_err(fail)?;
        match fs::metadata(path) {
            Ok(there) if (there.dev(), there.ino()) == (locked.dev(), locked.ino()) => {
                return Ok(Locked { file, pid: std::process::id() });
            }
            // Replaced or removed in between; each turn means that somebody else has got on.
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(fail(error)),
        }
    }
}

pub(super) fn check_kind(path: &Path, doing: &'static str) -> Result<(), StoreError> {
    match fs::metadata(path) {
        Ok(there) if there.is_dir() => Err(StoreError::new(doing, path, Kind::Foreign("it is a directory"))),
        Ok(there) if !there.is_file() => {
            Err(StoreError::new(doing, path, Kind::Foreign("it is no regular file")))
        }
        // What cannot be looked at, opening will tell.
        _ => Ok(()),
    }
}

/// Who has locked the file, as the system's table of locks (proc(5)) tells. In a container it may not.
fn holder(file: &Metadata) -> Option<u32> {
    let (dev, ino) = (file.dev(), file.ino());
    // The kernel's encoding of device numbers, as in makedev(3).
    let major = ((dev >> 32) & 0xffff_f000) | ((dev >> 8) & 0xfff);
    let minor = ((dev >> 12) & 0xffff_ff00) | (dev & 0xff);
    let wanted = format!("{major:02x}:{minor:02x}:{ino}");
    let table = fs::read_to_string("/proc/locks").ok()?;
    // "1: FLOCK  ADVISORY  WRITE 4711 fd:01:42 0 EOF"
    table.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let is_lock = words.next() == Some("FLOCK");
        let pid = words.nth(2)?.parse().ok().filter(|pid| *pid > 0)?;
        (is_lock && words.next() == Some(wanted.as_str())).then_some(pid)
    })
}
