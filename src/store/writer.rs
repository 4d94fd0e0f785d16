//! [`Writer`]: one thread that writes for all, so that no task waits for a disk.
//!
//! Owns the queue and when things are brought to the disk. The thread takes everything that waits and writes it together (group
//! commit: DeWitt et al., "Implementation techniques for main memory database systems", SIGMOD 1984, section 5). Once written, it
//! outlives the process. To the disk it is brought by a flush, and else about a second after the first of it was written.

use super::error::{Kind, StoreError};
use super::index::{Change, Mark, Record};
use super::store::Store;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How many bytes may wait to be written before whoever brings more has to wait, too.
const ROOM: usize = 64 << 20;
/// What a change costs in the queue besides its bytes.
const OVERHEAD: usize = 128;
/// How long something written may wait for the disk.
const DELAY: Duration = Duration::from_secs(1);

#[derive(Default, Debug)]
struct Queue {
    waiting: VecDeque<Change>,
    bytes: usize,
    /// How many changes have ever been brought, how many the thread is done with, and up to which one they are to be on
    /// the disk, or are.
    brought: u64,
    written: u64,
    wanted: u64,
    synced: u64,
    /// What went wrong first and has not been told.
    error: Option<StoreError>,
    is_closed: bool,
    /// The thread has left.
    is_over: bool,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    room: usize,
    queue: Mutex<Queue>,
    /// The thread has something to do.
    work: Condvar,
    /// The thread has done something.
    done: Condvar,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes into a [`Store`] from a thread of its own.
///
/// All functions may be called from any thread. What one thread brings is written in that order. When the writer is dropped it
/// writes what waits and brings it to the disk; errors are then lost, so call [`finish`](Self::finish).
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// If there can be no thread.
    pub(crate) fn start(store: Store) -> Result<Self, StoreError> {
        Self::with_room(store, ROOM)
    }

    fn with_room(store: Store, room: usize) -> Result<Self, StoreError> {
        let queue = Mutex::default();
        let shared = Arc::new(Shared { store, room, queue, work: Condvar::new(), done: Condvar::new() });
        let for_thread = shared.clone();
        let thread = thread::Builder::new()
            .name("xfork-store".into())
            .spawn(move || run(&for_thread))
            .map_err(|error| StoreError::new("saving to", shared.store.path(), Kind::Thread(Some(error))))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// The store that is written.
    #[cfg(all(test, not(xfork_loom)))]
    pub(crate) fn store(&self) -> &Store {
        &self.shared.store
    }

    /// The result of a task. Returns at once, unless 64 MiB wait already.
    pub(crate) fn put(&self, name: &[u8], record: Record) {
        self.bring(Change::Put(name.into(), record));
    }

    /// A task has been handed over to whoever runs it, now and by this process.
    pub(crate) fn started(&self, name: &[u8]) {
        self.bring(Change::Started(name.into(), Mark::now()));
    }

    /// A task that was started runs, from now on.
    pub(crate) fn began(&self, name: &[u8]) {
        self.bring(Change::Began(name.into(), Mark::now()));
    }

    /// A task has ended, now, in whatever way. A result says so by itself.
    pub(crate) fn ended(&self, name: &[u8]) {
        self.bring(Change::Ended(name.into(), Mark::now()));
    }

    /// All that is known of a task is forgotten.
    pub(crate) fn remove(&self, name: &[u8]) {
        self.bring(Change::Remove(name.into()));
    }

    /// Anything.
    pub(crate) fn bring(&self, change: Change) {
        let bytes = cost(&change);
        let mut queue = self.shared.queue();
        // One that is larger than the room goes alone.
        while queue.bytes > 0 && queue.bytes.saturating_add(bytes) > self.shared.room && !queue.is_over {
            queue = self.shared.done.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.brought += 1;
        if queue.is_over {
            return;
        }
        queue.bytes += bytes;
        queue.waiting.push_back(change);
        // One that sleeps does so because nothing waited, or until a time; each later change would wake it for nothing.
        if queue.waiting.len() == 1 {
            self.shared.work.notify_one();
        }
    }

    /// Waits until everything that was brought before this call is on the disk.
    ///
    /// # Errors
    ///
    /// The first failure since the last flush. Everything else that could be written is on the disk, and the writer goes on. Once
    /// something could not be written that replaces or removes what stands in the file, nothing behind it is written
    /// either, until this has told so.
    pub(crate) fn flush(&self) -> Result<(), StoreError> {
        let mut queue = self.shared.queue();
        let until = queue.brought;
        queue.wanted = queue.wanted.max(until);
        self.shared.work.notify_one();
        while queue.synced < until && !queue.is_over {
            queue = self.shared.done.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        if let Some(error) = queue.error.take() {
            self.shared.store.resume();
            return Err(error);
        }
        if queue.synced < until {
            return Err(StoreError::new("saving to", self.shared.store.path(), Kind::Thread(None)));
        }
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.queue().is_closed = true;
        self.shared.work.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn cost(change: &Change) -> usize {
    OVERHEAD
        + match change {
            Change::Put(name, record) => name.len() + record.fingerprint.len() + record.bytes.len(),
            Change::Remove(name)
            | Change::Started(name, _)
            | Change::Began(name, _)
            | Change::Ended(name, _) => name.len(),
            Change::Meta(name, value) => name.len() + value.len(),
        }
}

fn run(shared: &Shared) {
    let _leaving = Leaving(shared);
    let mut due: Option<Instant> = None;
    loop {
        let mut queue = shared.queue();
        while queue.waiting.is_empty() && queue.wanted <= queue.synced && !queue.is_closed {
            let now = Instant::now();
            queue = match due {
                Some(due) if due <= now => break,
                Some(due) => {
                    let waited = shared.work.wait_timeout(queue, due - now);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => shared.work.wait(queue).unwrap_or_else(PoisonError::into_inner),
            };
        }
        let is_last = queue.is_closed;
        let changes: Vec<Change> = std::mem::take(&mut queue.waiting).into();
        // Written, and not only taken, is what makes room: else as much again would be in memory.
        let bytes = queue.bytes;
        let upto = queue.written + changes.len() as u64;
        let is_wanted = queue.wanted > queue.synced;
        drop(queue);

        let written = if changes.is_empty() { Ok(()) } else { shared.store.append(&changes) };
        drop(changes);
        if due.is_none() && shared.store.is_unsynced() {
            due = Some(Instant::now() + DELAY);
        }
        let is_due = is_wanted || is_last || due.is_some_and(|due| due <= Instant::now());
        let synced = if is_due { shared.store.sync() } else { Ok(()) };
        if is_due {
            due = None;
        }

        let mut queue = shared.queue();
        queue.bytes -= bytes;
        queue.written = upto;
        if is_due {
            // Also if it failed: the error says so.
            queue.synced = upto;
        }
        if let Err(error) = written.and(synced) {
            queue.error.get_or_insert(error);
        }
        shared.done.notify_all();
        if is_last && queue.waiting.is_empty() {
            return;
        }
    }
}

/// Nobody waits for a thread that is no more.
struct Leaving<'a>(&'a Shared);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.queue().is_over = true;
        self.0.done.notify_all();
    }
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;
    use crate::store::tests::{Scratch, record};

    fn names(store: &Store) -> Vec<String> {
        store.entries().iter().map(|entry| String::from_utf8_lossy(&entry.name).into_owned()).collect()
    }

    #[test]
    fn what_is_flushed_is_in_the_file() {
        let scratch = Scratch::new();
        let path = scratch.path("graph");
        let writer = Writer::start(Store::open(&path).unwrap()).unwrap();
        writer.started(b"a");
        writer.started(b"b");
        writer.began(b"b");
        writer.put(b"a", record(*b"value"));
        // Told after its end, which happens.
        writer.began(b"a");
        writer.flush().unwrap();
        let seen = Store::peek(&path).unwrap();
        assert_eq!(seen.get(b"a").unwrap(), Some(record(*b"value")));
        let running = seen.in_progress();
        assert_eq!(running.len(), 1);
        assert_eq!((&*running[0].0, running[0].1.pid, running[0].2), (&b"b"[..], std::process::id(), true));
        writer.ended(b"b");
        writer.remove(b"a");
        writer.flush().unwrap();
        drop(writer);
        let seen = Store::peek(&path).unwrap();
        assert!(seen.in_progress().is_empty());
        assert_eq!(names(&seen), ["b"]);
    }

    #[test]
    fn a_writer_that_is_dropped_writes_what_waits() {
        let scratch = Scratch::new();
        let path = scratch.path("graph");
        let writer = Writer::start(Store::open(&path).unwrap()).unwrap();
        (0..1000_u32).for_each(|number| writer.put(&number.to_le_bytes(), record(*b"value")));
        drop(writer);
        assert_eq!(Store::open(&path).unwrap().entries().len(), 1000);
    }

    #[test]
    fn no_more_waits_than_there_is_room_for() {
        let scratch = Scratch::new();
        let room = 3000;
        let writer = Writer::with_room(Store::open(scratch.path("graph")).unwrap(), room).unwrap();
        thread::scope(|scope| {
            for part in 0..4_u32 {
                let writer = &writer;
                scope.spawn(move || {
                    for number in 0..200 {
                        writer.put(&(1000 * part + number).to_le_bytes(), record(vec![1; 600]));
                        assert!(writer.shared.queue().bytes <= room);
                    }
                });
            }
        });
        // It has to wait for all others, and goes alone.
        writer.put(b"large", record(vec![2; 10 * room]));
        writer.flush().unwrap();
        assert_eq!(writer.store().entries().len(), 801);
    }

    #[test]
    fn what_cannot_be_written_is_told_once_and_the_rest_is_written() {
        let scratch = Scratch::new();
        let writer = Writer::start(Store::open(scratch.path("graph")).unwrap()).unwrap();
        writer.put(b"a", record(*b"value"));
        writer.put(&vec![b'n'; 2 << 20], record(*b"value"));
        writer.put(b"b", record(*b"value"));
        let error = writer.flush().unwrap_err();
        assert!(error.to_string().contains("a name is longer"), "{error}");
        writer.flush().unwrap();
        assert_eq!(names(writer.store()), ["a", "b"]);
    }

    #[test]
    fn nothing_is_written_beside_what_could_not_be_replaced_until_that_is_told() {
        let scratch = Scratch::new();
        let writer = Writer::start(Store::open(scratch.path("graph")).unwrap()).unwrap();
        writer.bring(Change::Meta(b"note"[..].into(), vec![1]));
        writer.bring(Change::Meta(b"note"[..].into(), vec![2; 17 << 20]));
        writer.put(b"a", record(*b"value"));
        assert!(writer.flush().is_err());
        assert!(names(writer.store()).is_empty());
        assert_eq!(writer.store().meta(b"note"), Some(vec![1]));
        writer.put(b"b", record(*b"value"));
        writer.flush().unwrap();
        drop(writer);
        assert_eq!(names(&Store::open(scratch.path("graph")).unwrap()), ["b"]);
    }
}
