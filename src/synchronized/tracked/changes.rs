//! What a task reads and changes of a tracked collection, and what of it others have changed meanwhile.

use super::Tracked;
use super::indexed::{Indexed, Keyed, Reads};
use crate::synchronized::lent::Lent;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// A tracked collection as a task gets it: as it was when the task was forked.
#[derive(Serialize, Deserialize)]
#[serde(bound(serialize = "C: Serialize", deserialize = "C: serde::de::DeserializeOwned"))]
pub struct Snapshot<C: Indexed>(pub(super) Lent<C>);

impl<C: Indexed> Clone for Snapshot<C> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<C: Indexed> fmt::Debug for Snapshot<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Snapshot")
    }
}

/// What a task has read and written, by index; what it writes lies beside what it was given.
pub(super) struct Draft<C: Indexed> {
    base: Lent<C>,
    reads: C::Reads,
    has_read_all: AtomicBool,
    writes: C::Map<Option<C::Value>>,
    /// Both as one, where the task wants that.
    whole: OnceLock<C>,
    /// The task has changed `whole` itself, and nothing else counts from then on.
    is_whole_written: bool,
}

impl<C: Indexed> Draft<C> {
    pub(super) fn new(snapshot: Snapshot<C>) -> Self {
        let Snapshot(base) = snapshot;
        Self {
            reads: base.reads(),
            base,
            has_read_all: AtomicBool::new(false),
            writes: Default::default(),
            whole: OnceLock::new(),
            is_whole_written: false,
        }
    }

    /// As it was when the task was forked: what no write by index changes may be asked of it.
    pub(super) fn base(&self) -> &C {
        self.whole.get().filter(|_| self.is_whole_written).unwrap_or(&self.base)
    }

    pub(super) fn read(&self, key: &C::Key) -> Option<&C::Value> {
        if self.is_whole_written {
            return self.base().find(key);
        }
        match self.writes.at(key) {
            Some(written) => written.as_ref(),
            None => {
                self.reads.note(key);
                self.base.find(key)
            }
        }
    }

    /// What is changed through the reference may have been read before.
    pub(super) fn change(&mut self, key: &C::Key) -> Option<&mut C::Value> {
        if self.is_whole_written {
            return self.whole.get_mut()?.find_mut(key);
        }
        self.whole.take();
        if self.writes.at(key).is_none() {
            self.reads.note(key);
            let value = self.base.find(key)?.clone();
            self.writes.set(key.clone(), Some(value));
        }
        self.writes.at_mut(key)?.as_mut()
    }

    pub(super) fn put(&mut self, key: C::Key, value: Option<C::Value>) {
        match self.whole.get_mut().filter(|_| self.is_whole_written) {
            Some(whole) => whole.put(key, value),
            None => {
                self.whole.take();
                self.writes.set(key, value);
            }
        }
    }

    pub(super) fn whole(&self) -> &C {
        // Relaxed: read when the task has ended.
        self.has_read_all.store(true, Ordering::Relaxed);
        if self.writes.each().next().is_none() && self.whole.get().is_none() {
            return &self.base;
        }
        self.merged()
    }

    fn merged(&self) -> &C {
        self.whole.get_or_init(|| {
            let mut whole = C::clone(&self.base);
            self.writes.each().for_each(|(key, value)| whole.put(key.clone(), value.clone()));
            whole
        })
    }

    pub(super) fn whole_mut(&mut self) -> &mut C {
        self.has_read_all.store(true, Ordering::Relaxed);
        self.merged();
        self.is_whole_written = true;
        self.whole.get_mut().expect("just made")
    }

    pub(super) fn into_whole(self) -> C {
        self.merged();
        self.whole.into_inner().expect("just made")
    }

    pub(super) fn into_changes(self) -> Changes<C> {
        let reads = match self.has_read_all.into_inner() {
            true => Read::All,
            false => Read::Some(self.reads.into_keys()),
        };
        let writes = match self.is_whole_written {
            true => Written::Whole(Box::new(self.whole.into_inner().expect("it was written"))),
            false => Written::Some(self.writes.into_each().collect()),
        };
        Changes { reads, writes }
    }
}

/// What a task has read and written.
#[derive(Serialize, Deserialize)]
#[serde(bound(
    serialize = "C: Serialize, C::Key: Serialize, C::Value: Serialize",
    deserialize = "C: Deserialize<'de>, C::Key: Deserialize<'de>, C::Value: Deserialize<'de>"
))]
pub struct Changes<C: Indexed> {
    reads: Read<C::Key>,
    pub(super) writes: Written<C>,
}

impl<C: Indexed> fmt::Debug for Changes<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Changes")
    }
}

impl<C: Indexed> Changes<C> {
    /// Of a task that put another collection in its place.
    pub(super) fn of_another(collection: C) -> Self {
        Self { reads: Read::All, writes: Written::Whole(Box::new(collection)) }
    }
}

#[derive(Serialize, Deserialize)]
enum Read<K> {
    Some(Vec<K>),
    All,
}

#[derive(Serialize, Deserialize)]
#[serde(bound(
    serialize = "C: Serialize, C::Key: Serialize, C::Value: Serialize",
    deserialize = "C: Deserialize<'de>, C::Key: Deserialize<'de>, C::Value: Deserialize<'de>"
))]
pub(super) enum Written<C: Indexed> {
    /// These elements; what is removed has no value.
    Some(Vec<(C::Key, Option<C::Value>)>),
    Whole(Box<C>),
}

/// Who changed something, for messages: a function, and where it was called.
pub(super) type Writer = (&'static str, &'static Location<'static>);

/// What was written while calls were pending, so that each of them can be compared with what came before it.
pub(super) struct History<C: Indexed> {
    /// Each pending call has one.
    pending: Arc<Left<C>>,
    /// Calls are pending, though none of them has that.
    is_left: bool,
    writes: usize,
    /// When an element was written last, and by which call.
    last: C::Map<(usize, Option<Writer>)>,
    /// When all of it may have been.
    whole: Option<(usize, Option<Writer>)>,
}

impl<C: Indexed> Default for History<C> {
    fn default() -> Self {
        Self { pending: Arc::default(), is_left: false, writes: 0, last: Default::default(), whole: None }
    }
}

/// A collection that has ended while calls were pending, as it was then.
pub(super) struct Left<C: Indexed>(Mutex<Option<Tracked<C>>>);

impl<C: Indexed> Default for Left<C> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

/// A call that was forked at this time.
pub(super) struct Since<C: Indexed> {
    writes: usize,
    pending: Arc<Left<C>>,
}

impl<C: Indexed> Clone for Since<C> {
    fn clone(&self) -> Self {
        Self { writes: self.writes, pending: self.pending.clone() }
    }
}

impl<C: Indexed> Since<C> {
    /// The collection, where it has ended.
    pub(super) fn left(&self) -> MutexGuard<'_, Option<Tracked<C>>> {
        self.pending.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Indexed> History<C> {
    /// A call is forked now.
    pub(super) fn since(&mut self) -> Since<C> {
        self.forget_if_settled();
        Since { writes: self.writes, pending: self.pending.clone() }
    }

    /// The collection ends. If calls are pending, `collection` is what becomes of them.
    pub(super) fn leave(&mut self, collection: impl FnOnce(Self) -> Tracked<C>) {
        if Arc::get_mut(&mut self.pending).is_none() && !self.is_left {
            let pending = std::mem::take(&mut self.pending);
            let history = Self { is_left: true, ..std::mem::take(self) };
            let left = collection(history);
            *pending.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(left);
        }
    }

    fn forget_if_settled(&mut self) -> bool {
        let is_settled = !self.is_left && Arc::get_mut(&mut self.pending).is_some();
        if is_settled && self.writes > 0 {
            *self = Self::default();
        }
        is_settled
    }

    pub(super) fn note(&mut self, key: &C::Key, writer: Option<Writer>) {
        if !self.forget_if_settled() {
            self.writes += 1;
            self.last.set(key.clone(), (self.writes, writer));
        }
    }

    pub(super) fn note_whole(&mut self, writer: Option<Writer>) {
        if !self.forget_if_settled() {
            self.writes += 1;
            self.whole = Some((self.writes, writer));
        }
    }

    /// Something that was written after the call was forked.
    pub(super) fn write_after(&self, since: &Since<C>) -> Option<Clash<C::Key>> {
        let is_later = |(at, _): &(usize, Option<Writer>)| *at > since.writes;
        if let Some((_, writer)) = self.whole.filter(is_later) {
            return Some(Clash { key: None, writer });
        }
        let (key, (_, writer)) = self.last.each().find(|(_, last)| is_later(last))?;
        Some(Clash { key: Some(key.clone()), writer: *writer })
    }

    /// Something that was written after the call was forked, and that it has read, or, for `writes`, written.
    pub(super) fn conflict(
        &self,
        since: &Since<C>,
        changes: &Changes<C>,
        writes: bool,
    ) -> Option<Clash<C::Key>> {
        if self.writes == since.writes {
            return None;
        }
        let is_later = |(at, _): &(usize, Option<Writer>)| *at > since.writes;
        let is_all =
            matches!(changes.reads, Read::All) || writes && matches!(changes.writes, Written::Whole(_));
        if is_all || self.whole.as_ref().is_some_and(is_later) {
            return self.write_after(since);
        }
        let clash = |key: &C::Key| {
            let (_, writer) = self.last.at(key).filter(|last| is_later(last))?;
            Some(Clash { key: Some(key.clone()), writer: *writer })
        };
        let read = match &changes.reads {
            Read::Some(keys) => keys.iter().find_map(clash),
            Read::All => None,
        };
        read.or_else(|| match &changes.writes {
            Written::Some(written) if writes => written.iter().find_map(|(key, _)| clash(key)),
            _ => None,
        })
    }
}

/// What two calls have both used, one of them writing.
pub(super) struct Clash<K> {
    /// `None` for all of it.
    pub(super) key: Option<K>,
    pub(super) writer: Option<Writer>,
}
