//! [`Store`]: the file of one graph.
//!
//! Owns the open file: what is read from it, appended to it and brought to the disk, and when it is made smaller. The file only
//! ever grows while it is open, so another process may read it meanwhile ([`Store::peek`]), and what was there is never
//! touched by what fails. What has been replaced or removed is left out when the file is next opened and that pays.

use super::error::{Kind, StoreError};
use super::format::{self, Verb};
use super::index::{Change, Entry, Index, Mark, Place, Record, put};
use super::lock::Locked;
use super::scan::{self, Scan};
use super::sink::Sink;
use super::{lock, whole};
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Less than this is not worth a copy of the file.
const WORTHWHILE: u64 = 4 << 20;

#[derive(Debug)]
struct State {
    index: Index,
    /// Where the next frame goes.
    end: u64,
    /// Whether there is anything that has not been brought to the disk.
    is_unsynced: bool,
    /// Something could not be written that replaces or removes what stands in the file. Whatever comes after would stand
    /// beside what is out of date, so the file stays as it is until somebody has been told.
    halted: Option<StoreError>,
}

#[derive(Debug)]
enum Access {
    Read(File),
    Write(Locked),
}

impl std::ops::Deref for Access {
    type Target = File;

    fn deref(&self) -> &File {
        match self {
            Self::Read(file) => file,
            Self::Write(file) => file,
        }
    }
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    file: Access,
    salt: [u8; 8],
    state: Mutex<State>,
}

/// The results and states of the tasks of one graph, in a file.
///
/// Clones are the same open store; the lock on the file ends with the last one.
#[derive(Clone, Debug)]
pub(crate) struct Store(Arc<Shared>);

impl Store {
    /// Opens the store for reading and writing, and makes an empty one if there is no file.
    ///
    /// # Errors
    ///
    /// If it is open elsewhere, not a store, damaged, of another version, or cannot be read or made. The file is then as
    /// it was.
    pub(crate) fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_and_shrink(path.as_ref(), WORTHWHILE)
    }

    fn open_and_shrink(path: &Path, worthwhile: u64) -> Result<Self, StoreError> {
        let doing = "opening";
        let fail = |error| StoreError::io(doing, path, error);
        let file = lock::open(path, doing, |path| {
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
        })?;
        if file.metadata().map_err(fail)?.len() == 0 {
            begin(&file, path).map_err(|error| StoreError::io("creating", path, error))?;
        }
        let scan = scan::scan(&file, path, doing)?;
        let is_torn = scan.is_torn;
        let store = Self::with(Access::Write(file), path, scan)?;
        if is_torn {
            // What stands there counts no more, and must not be there when what is written next is shorter.
            store.0.file.set_len(store.state().end).map_err(fail)?;
        }
        let (end, size) = {
            let state = store.state();
            (state.end, state.index.size())
        };
        if end - size.min(end) < worthwhile.max(size) {
            return Ok(store);
        }
        // Without room for a copy it stays as it is.
        Ok(store.shrunk().unwrap_or(store))
    }

    /// Reads the store as it is at this moment, while another process may be writing it or after one has died.
    ///
    /// # Errors
    ///
    /// If there is no file, or it is not a store, damaged, of another version, or cannot be read.
    pub(crate) fn peek(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let (path, doing) = (path.as_ref(), "reading");
        lock::check_kind(path, doing)?;
        let file = File::open(path).map_err(|error| StoreError::io(doing, path, error))?;
        let scan = scan::scan(&file, path, doing)?;
        Self::with(Access::Read(file), path, scan)
    }

    fn with(file: Access, path: &Path, scan: Scan) -> Result<Self, StoreError> {
        let mut index = Index::default();
        for frame in scan.frames {
            let at = frame.at;
            let what = Kind::Corrupt("a record says what no version of this format says", at);
            index.take(frame).ok_or_else(|| StoreError::new("reading", path, what))?;
        }
        let is_unsynced = scan.end > scan.synced;
        let state = Mutex::new(State { index, end: scan.end, is_unsynced, halted: None });
        // Messages and renames must neither depend on the directory of the process nor replace a link.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        Ok(Self(Arc::new(Shared { path, file, salt: scan.salt, state })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The absolute path of the file.
    pub(crate) fn path(&self) -> &Path {
        &self.0.path
    }

    /// The result of a task, if there is one in the file; what a [`Writer`](super::Writer) has not yet written is not.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or the result is damaged; other results may well be whole.
    pub(crate) fn get(&self, name: &[u8]) -> Result<Option<Record>, StoreError> {
        let place = self.state().index.tasks.get(name).and_then(|slot| slot.result.clone());
        place.map(|place| self.read(place)).transpose()
    }

    fn read(&self, place: Place) -> Result<Record, StoreError> {
        let (path, doing) = (self.path(), "reading a result from");
        let Place { outcome, fingerprint, at, len, sum } = place;
        let fail = |error| StoreError::io(doing, path, error);
        let mut bytes = Vec::new();
        let wanted = usize::try_from(len).unwrap_or(usize::MAX);
        bytes.try_reserve_exact(wanted).map_err(|_| fail(io::ErrorKind::OutOfMemory.into()))?;
        bytes.resize(wanted, 0);
        let whole = match self.0.file.read_exact_at(&mut bytes, at) {
            Ok(()) => format::sum(&[&bytes]) == sum,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => false,
            Err(error) => return Err(fail(error)),
        };
        if !whole {
            let what = "a result does not fit its checksum";
            return Err(StoreError::new(doing, path, Kind::Corrupt(what, at)));
        }
        Ok(Record { fingerprint, outcome, bytes })
    }

    /// What is known of all tasks, by name.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let state = self.state();
        let entries = state.index.tasks.iter().map(|(name, slot)| Entry {
            name: name.clone(),
            result: slot.result.as_ref().map(|at| (at.outcome, at.fingerprint.clone(), at.len)),
            started: slot.started,
            ended: slot.ended,
            is_in_progress: slot.is_in_progress,
            is_running: slot.is_running,
        });
        entries.collect()
    }

    /// The tasks that were started and have neither ended nor got a result, by name: since when, and whether they run.
    ///
    /// Of a program that has died, these are the ones that it was running, or that waited there for a worker.
    pub(crate) fn in_progress(&self) -> Vec<(Box<[u8]>, Mark, bool)> {
        let state = self.state();
        let tasks = state.index.tasks.iter().filter(|(_, slot)| slot.is_in_progress);
        tasks.filter_map(|(name, slot)| Some((name.clone(), slot.started?, slot.is_running))).collect()
    }

    /// A note that was written as [`Change::Meta`].
    #[cfg(all(test, not(xfork_loom)))]
    pub(crate) fn meta(&self, name: &[u8]) -> Option<Vec<u8>> {
        self.state().index.meta.get(name).cloned()
    }

    /// Writes changes in their order, and brings them to the disk.
    ///
    /// # Errors
    ///
    /// The first change that could not be written.
    #[cfg(all(test, not(xfork_loom)))]
    pub(crate) fn write(&self, changes: &[Change]) -> Result<(), StoreError> {
        if let Some(error) = &self.state().halted {
            // Of a writer, whose flush has yet to tell.
            return Err(error.clone());
        }
        let written = self.append(changes);
        if written.is_err() {
            self.resume();
        }
        written.and(self.sync())
    }

    /// Writes changes in their order. After this they outlive the process, though perhaps not the machine.
    pub(super) fn append(&self, changes: &[Change]) -> Result<(), StoreError> {
        let mut state = self.state();
        if let Some(error) = &state.halted {
            return Err(error.clone());
        }
        if self.group(&mut state, changes).is_ok() {
            return Ok(());
        }
        // There may be room for some of them.
        let mut first = None;
        for change in changes {
            if let Err(error) = self.group(&mut state, std::slice::from_ref(change)) {
                let first = first.get_or_insert(error);
                if state.index.is_replaced_by(change) {
                    state.halted = Some(first.clone());
                    break;
                }
            }
        }
        first.map_or(Ok(()), Err)
    }

    /// All of the changes, or none of them.
    fn group(&self, state: &mut State, changes: &[Change]) -> Result<(), StoreError> {
        let (path, doing) = (self.path(), "saving to");
        if let Access::Read(_) = self.0.file {
            let refused = io::Error::new(io::ErrorKind::PermissionDenied, "it was opened to be read");
            return Err(StoreError::io(doing, path, refused));
        }
        let mut sink = Sink::new(&self.0.file, self.0.salt, state.end);
        let write = |sink: &mut Sink<'_>| {
            let places: Result<Vec<_>, _> = changes.iter().map(|change| put(sink, change)).collect();
            places.and_then(|places| sink.flush().map(|()| places))
        };
        match write(&mut sink) {
            Ok(places) => {
                state.end = sink.end();
                state.is_unsynced = true;
                for (change, (at, sum)) in changes.iter().zip(places) {
                    state.index.apply(change, at, sum);
                }
                Ok(())
            }
            Err(error) => {
                // If this fails as well, what comes next is written over it, and a reader stops there.
                let _ = self.0.file.set_len(state.end);
                Err(if error.kind() == io::ErrorKind::InvalidInput {
                    StoreError::new(doing, path, Kind::TooLong)
                } else {
                    StoreError::io(doing, path, error)
                })
            }
        }
    }

    pub(super) fn is_unsynced(&self) -> bool {
        self.state().is_unsynced
    }

    /// Takes changes again after one that had to be told.
    pub(super) fn resume(&self) {
        self.state().halted = None;
    }

    /// Brings to the disk what has been written.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        if matches!(self.0.file, Access::Read(_)) || !self.is_unsynced() {
            return Ok(());
        }
        let end = self.state().end;
        // Not under the lock: it takes milliseconds, and readers need not wait for it.
        let synced = self.0.file.sync_data();
        synced.map_err(|error| StoreError::io("bringing to the disk", self.path(), error))?;
        let mut state = self.state();
        if state.end == end {
            let mut sink = Sink::new(&self.0.file, self.0.salt, end);
            state.is_unsynced = false;
            // Only a remark for the next reader; what counts is on the disk.
            let remark = sink.head((Verb::Synced, 0), b"", b"", 0, format::sum(&[]));
            match remark.and_then(|_| sink.flush()) {
                Ok(()) => state.end = sink.end(),
                Err(_) => drop(self.0.file.set_len(end)),
            }
        }
        Ok(())
    }

    /// Replaces the file by one without what counts no more.
    fn shrunk(&self) -> Result<Self, StoreError> {
        let path = self.path();
        let fail = |error| StoreError::io("making smaller", path, error);
        let file = whole::replace(path, "making smaller", |sink| {
            let state = self.state();
            for (name, value) in &state.index.meta {
                put(sink, &Change::Meta(name.clone(), value.clone()))?;
            }
            for (name, slot) in &state.index.tasks {
                let started = slot.started.map(|mark| Change::Started(name.clone(), mark));
                // A result ends what is in progress, unless that was started after it.
                let (before, after) = if slot.is_in_progress { (None, started) } else { (started, None) };
                let began = slot.started.filter(|_| slot.is_running);
                if let Some(started) = before {
                    put(sink, &started)?;
                }
                if let Some(mark) = slot.ended {
                    put(sink, &Change::Ended(name.clone(), mark))?;
                }
                if let Some(place) = &slot.result {
                    let verb = (Verb::Result, place.outcome as u8);
                    sink.head(verb, name, place.fingerprint.as_bytes(), place.len, place.sum)?;
                    copy(&self.0.file, place.at, place.len, sink)?;
                }
                if let Some(started) = after {
                    put(sink, &started)?;
                }
                if let Some(mark) = began {
                    put(sink, &Change::Began(name.clone(), mark))?;
                }
            }
            Ok(())
        })?;
        let scan = scan::scan(&file, path, "making smaller")?;
        Self::with(Access::Write(file), path, scan).map_err(|_| fail(io::ErrorKind::InvalidData.into()))
    }
}

fn copy(from: &File, at: u64, len: u64, sink: &mut Sink<'_>) -> io::Result<()> {
    let (mut at, end) = (at, at + len);
    let mut bytes = vec![0; len.min(1 << 20) as usize];
    while at < end {
        let part = (end - at).min(bytes.len() as u64) as usize;
        from.read_exact_at(&mut bytes[..part], at)?;
        sink.body(&bytes[..part])?;
        at += part as u64;
    }
    sink.flush()
}

/// An empty store in an empty file.
fn begin(file: &File, path: &Path) -> io::Result<()> {
    let made = file
        .write_all_at(&format::header(new_salt()), 0)
        .and_then(|()| file.sync_all())
        .and_then(|()| whole::sync_directory(path));
    if made.is_err() {
        let _ = file.set_len(0);
    }
    made
}

/// The keys of the standard library's hash maps come from the system's source of randomness.
pub(super) fn new_salt() -> [u8; 8] {
    RandomState::new().hash_one(std::process::id()).to_le_bytes()
}

#[cfg(all(test, not(xfork_loom)))]
pub(super) fn open_and_shrink(path: &Path) -> Result<Store, StoreError> {
    Store::open_and_shrink(path, 0)
}
