//! [`StoreError`]: what was being done, to which file, why it failed and what to try.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the file of a graph, or the cache of results, could not be read or written.
///
/// It reads as a sentence or two: what was being done and to which file, why it failed, and what to try. What kind of
/// failure it is, is asked by predicates such as [`is_locked`](Self::is_locked). Cheap to clone.
///
/// ```
/// let error = xfork::graph::in_progress("no such file").unwrap_err();
/// assert_eq!(error.path(), std::path::Path::new("no such file"));
/// assert_eq!(error.io_kind(), Some(std::io::ErrorKind::NotFound));
/// ```
#[derive(Clone)]
pub struct StoreError(Arc<Inner>);

struct Inner {
    doing: &'static str,
    path: PathBuf,
    kind: Kind,
}

pub(super) enum Kind {
    /// By the process with this number, if the system tells.
    Locked(Option<u32>),
    /// Of which format the file says that it is, and which one is known here.
    Version(u32, u32),
    /// No store at all; what it is instead.
    Foreign(&'static str),
    /// What does not fit, and at which byte.
    Corrupt(&'static str, u64),
    /// A name or a value is longer than the format can say.
    TooLong,
    Full(io::Error),
    Io(io::Error),
    /// The thread that writes could not be started, or is gone.
    Thread(Option<io::Error>),
}

impl StoreError {
    pub(super) fn new(doing: &'static str, path: &Path, kind: Kind) -> Self {
        Self(Arc::new(Inner { doing, path: path.to_owned(), kind }))
    }

    /// Tells a full disk, a quota and a limit on the size of files from everything else.
    pub(super) fn io(doing: &'static str, path: &Path, error: io::Error) -> Self {
        let full = matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        );
        Self::new(doing, path, if full { Kind::Full(error) } else { Kind::Io(error) })
    }

    /// The file or directory in question.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Whether another process, or this one, has the file open.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        matches!(self.0.kind, Kind::Locked(_))
    }

    /// The number of the process that has the file open, if the system tells.
    #[must_use]
    pub fn locked_by(&self) -> Option<u32> {
        match self.0.kind {
            Kind::Locked(pid) => pid,
            _ => None,
        }
    }

    /// Whether the file was written in a format of another version.
    #[must_use]
    pub fn is_version(&self) -> bool {
        matches!(self.0.kind, Kind::Version(..))
    }

    /// Whether the file is something else altogether. It is never changed then.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        matches!(self.0.kind, Kind::Foreign(_))
    }

    /// Whether what the file contains is damaged.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        matches!(self.0.kind, Kind::Corrupt(..))
    }

    /// Whether there was no room: the disk is full, or a quota or a limit has been reached.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self.0.kind, Kind::Full(_))
    }

    /// The kind of the system's error, if the system refused something.
    #[must_use]
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        match &self.0.kind {
            Kind::Full(error) | Kind::Io(error) | Kind::Thread(Some(error)) => Some(error.kind()),
            _ => None,
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { doing, path, kind } = &*self.0;
        write!(f, "{doing} {path:?} failed: ")?;
        match kind {
            Kind::Locked(Some(pid)) if *pid == std::process::id() => {
                write!(f, "this program has it open already; use the store that is open, or close it first")
            }
            Kind::Locked(Some(pid)) => write!(
                f,
                "another process, {pid}, has it open; wait until that has ended, or choose another file"
            ),
            Kind::Locked(None) => {
                write!(f, "another process has it open; wait until that has ended, or choose another file")
            }
            Kind::Version(found, known) => write!(
                f,
                "it has format {found}, and this program reads format {known}; it is left as it is: use the \
                 version of xfork that wrote it, or choose another file"
            ),
            Kind::Foreign(what) => write!(f, "{what}; it is left as it is: choose another path"),
            Kind::Corrupt(what, at) => write!(
                f,
                "it is damaged at byte {at}: {what}; it is left as it is: restore it from a copy, or remove it \
                 to start anew"
            ),
            Kind::TooLong => write!(f, "a name is longer than 1 MiB, or a note than 16 MiB; make it shorter"),
            Kind::Full(error) => {
                write!(f, "there is no room ({error}); what was saved before is intact: free some space")
            }
            Kind::Io(error) => write!(f, "{error}{}", advice(error.kind())),
            Kind::Thread(Some(error)) => write!(f, "no thread could be started that writes ({error})"),
            Kind::Thread(None) => write!(f, "the thread that writes has ended; open the store again"),
        }
    }
}

fn advice(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::NotFound => "; create the directory first, or choose another path",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; choose a path that this program may write to"
        }
        io::ErrorKind::OutOfMemory => "; there is not enough memory for it",
        _ => "",
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreError({self})")
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.kind {
            Kind::Full(error) | Kind::Io(error) | Kind::Thread(Some(error)) => Some(error),
            _ => None,
        }
    }
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;

    fn said(kind: Kind) -> String {
        StoreError::new("opening", Path::new("/a/b.graph"), kind).to_string()
    }

    #[test]
    fn an_error_names_the_file_the_reason_and_a_way_out() {
        assert_eq!(
            said(Kind::Locked(Some(7))),
            "opening \"/a/b.graph\" failed: another process, 7, has it open; wait until that has ended, or \
             choose another file"
        );
        assert!(said(Kind::Locked(Some(std::process::id()))).contains("this program has it open"));
        assert!(said(Kind::Version(9, 1)).contains("format 9, and this program reads format 1"));
        assert!(said(Kind::Corrupt("a record's end is missing", 40)).contains("at byte 40"));
    }

    #[test]
    fn a_full_disk_is_told_from_other_failures() {
        let path = Path::new("x");
        let full = StoreError::io("writing", path, io::ErrorKind::StorageFull.into());
        let other = StoreError::io("writing", path, io::ErrorKind::PermissionDenied.into());
        assert!(full.is_full() && !other.is_full());
        assert_eq!(other.io_kind(), Some(io::ErrorKind::PermissionDenied));
    }
}
