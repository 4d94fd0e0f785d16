//! A file that is there as a whole or not at all.
//!
//! Owns the way of writing it: beside its place, brought to the disk, renamed, and the directory brought to the disk as well.
//! Whatever fails before the rename leaves the old file as it was. The file beside has one name, so that a process that was
//! killed leaves one file at most, which the next one writes over; its lock keeps two from writing it at once.

use super::error::{Kind, StoreError};
use super::format::{self, HEADER, MAGIC, Verb};
use super::index::{Change, Record, put};
use super::lock::{self, Locked};
use super::sink::Sink;
use super::store::new_salt;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Writes a store that contains these results and nothing else, in place of what stands at `path`.
///
/// The new file has the rights of the old one; where `path` is a link, what it leads to is replaced.
///
/// # Errors
///
/// If the file is open elsewhere or is something else than a store, or if the new one cannot be written. What stood there is
/// then as it was.
pub(crate) fn write_whole<'r>(
    path: impl AsRef<Path>,
    records: impl IntoIterator<Item = (&'r [u8], Record)>,
) -> Result<(), StoreError> {
    let (path, doing) = (path.as_ref(), "saving to");
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let _held = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        _ => Some(held(path, doing)?),
    };
    replace(path, doing, |sink| {
        records
            .into_iter()
            .try_for_each(|(name, record)| put(sink, &Change::Put(name.into(), record)).map(drop))
    })
    .map(drop)
}

/// The store at `path`, locked; it may be damaged, or of another version.
fn held(path: &Path, doing: &'static str) -> Result<Locked, StoreError> {
    let file = lock::open(path, doing, |path| OpenOptions::new().read(true).write(true).open(path))?;
    let len = file.metadata().map_err(|error| StoreError::io(doing, path, error))?.len();
    let mut first = [0; MAGIC.len()];
    let seen = len.min(first.len() as u64) as usize;
    file.read_exact_at(&mut first[..seen], 0).map_err(|error| StoreError::io(doing, path, error))?;
    if first[..seen] != MAGIC[..seen] {
        return Err(StoreError::new(doing, path, Kind::Foreign("it was not written by xfork")));
    }
    Ok(file)
}

/// Gives the new file, which is locked.
pub(super) fn replace(
    path: &Path,
    doing: &'static str,
    fill: impl FnOnce(&mut Sink<'_>) -> io::Result<()>,
) -> Result<Locked, StoreError> {
    let beside = beside(path);
    let fail = |error: io::Error| match error.kind() {
        io::ErrorKind::InvalidInput => StoreError::new(doing, path, Kind::TooLong),
        _ => StoreError::io(doing, path, error),
    };
    let file = lock::open(&beside, doing, |path| {
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
    })?;
    let write = || {
        file.set_len(0)?;
        if let Ok(old) = fs::metadata(path) {
            file.set_permissions(old.permissions())?;
        }
        let salt = new_salt();
        file.write_all_at(&format::header(salt), 0)?;
        let mut sink = Sink::new(&file, salt, HEADER as u64);
        fill(&mut sink)?;
        // Nobody sees the file before all of it is on the disk.
        sink.head((Verb::Synced, 0), b"", b"", 0, format::sum(&[]))?;
        sink.flush()?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    if let Err(error) = write() {
        let _ = fs::remove_file(&beside);
        return Err(fail(error));
    }
    sync_directory(path).map_err(fail)?;
    Ok(file)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    path.with_file_name(name)
}

/// Makes sure that the file is found under its name after the machine has stopped.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    match File::open(parent.unwrap_or(Path::new("."))).and_then(|directory| directory.sync_all()) {
        // Directories that may be written and not read, and file systems that cannot do it.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        synced => synced,
    }
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::tests::{Scratch, record};
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_file_is_replaced_as_a_whole_with_its_rights() {
        let scratch = Scratch::new();
        let (path, link) = (scratch.path("graph"), scratch.path("link"));
        write_whole(&path, [(&b"old"[..], record(*b"1"))]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("graph", &link).unwrap();
        // What a process left behind that was killed while it wrote.
        fs::write(scratch.path(".graph.new"), "half").unwrap();
        write_whole(&link, [(&b"new"[..], record(*b"2"))]).unwrap();

        let store = Store::open(&path).unwrap();
        assert_eq!(store.get(b"new").unwrap(), Some(record(*b"2")));
        assert_eq!(store.get(b"old").unwrap(), None);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(!scratch.path(".graph.new").exists());
    }

    #[test]
    fn a_damaged_store_can_be_replaced() {
        let scratch = Scratch::new();
        let path = scratch.path("graph");
        fs::write(&path, MAGIC).unwrap();
        assert!(Store::open(&path).unwrap_err().is_corrupt());
        write_whole(&path, [(&b"new"[..], record(*b"2"))]).unwrap();
        assert_eq!(Store::open(&path).unwrap().entries().len(), 1);
    }
}
