//! What the program has lent to this worker: files of values in shared memory, by the numbers that messages use.
//!
//! Owns the descriptors that have come and are not mapped yet, and the table of what is mapped. Promises: nothing is mapped that
//! isn't a sealed file of the told size; what can't be had is refused, and the tasks that need it are given back; a mapping goes when the
//! program has forgotten it and no value here holds it, and the program is told. See "Shared memory" in
//! `src/runner/process/README.md`.

use super::{LOCAL, Local};
use crate::ground::memory::{Held, HeldId, Lender, Memory};
use crate::ground::sys::{self, Inode, Map};
use crate::ground::wire::letter::Letter;
use crate::ground::wire::message::FromWorker;
use crate::ground::wire::parcel::Parcel;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Weak};

/// What this worker has been lent.
pub(super) struct Borrowed {
    table: Mutex<Table>,
    /// Says so when something is let go.
    lender: Arc<dyn Lender>,
}

#[derive(Default)]
struct Table {
    /// Held until the program forgets it, lest it be lent again for the next task.
    held: HashMap<HeldId, Arc<Held>>,
    arrived: VecDeque<OwnedFd>,
    /// What could not be had, until the program forgets it, too. It lends nothing more once it knows.
    refused: HashSet<HeldId>,
}

impl Borrowed {
    pub(super) fn new() -> Self {
        Self { table: Mutex::default(), lender: Arc::new(TellsTheProgram { generation: sys::generation() }) }
    }

    /// Takes what has come with the bytes that were read last.
    pub(super) fn arrived(&self, gifts: Vec<OwnedFd>) {
        self.table.lock().arrived.extend(gifts);
    }

    /// Maps a file that has arrived; false if that can't be.
    fn take(&self, id: HeldId, bytes: u64, inode: Inode) -> bool {
        let file = {
            let mut table = self.table.lock();
            let is_it = |file: &OwnedFd| sys::inode_of(file.as_fd()).is_ok_and(|other| other == inode);
            let Some(at) = table.arrived.iter().position(is_it) else { return false };
            // Descriptors come in order: nothing will ask for those before it.
            table.arrived.drain(..=at).next_back().expect("just found")
        };
        let Ok(map) = Map::received(file, bytes) else { return false };
        let held = Held::lent(id, Memory::Lent(map), Arc::downgrade(&self.lender) as Weak<dyn Lender>);
        self.table.lock().held.insert(id, held);
        true
    }

    fn refuse(&self, id: HeldId) {
        self.table.lock().refused.insert(id);
    }

    fn forget(&self, id: HeldId) {
        let held = {
            let mut table = self.table.lock();
            table.refused.remove(&id);
            table.held.remove(&id)
        };
        // Without the lock: this may be the last holder.
        drop(held);
    }

    /// Whether the program's word of this loan has been heard, and it has not been forgotten.
    pub(super) fn has_come(&self, id: HeldId) -> bool {
        let table = self.table.lock();
        table.held.contains_key(&id) || table.refused.contains(&id)
    }

    /// What is lent by this number; `None` if it has been refused.
    pub(super) fn find(&self, id: HeldId) -> Option<Arc<Held>> {
        self.table.lock().held.get(&id).cloned()
    }
}

impl Local {
    /// The program lends something.
    pub(super) fn borrow(&self, id: u64, bytes: u64, inode: u64) {
        if !self.borrowed.take(HeldId(id), bytes, Inode(inode)) {
            self.borrowed.refuse(HeldId(id));
            self.say(&FromWorker::Refused { id });
        }
    }

    pub(super) fn forget(&self, id: u64) {
        self.borrowed.forget(HeldId(id));
    }
}

struct TellsTheProgram {
    generation: u32,
}

impl Lender for TellsTheProgram {
    fn is_let_go(&self, HeldId(id): HeldId) {
        // A copy of this process that a task has made has nothing to say.
        if sys::generation() == self.generation
            && let Some(local) = LOCAL.get()
        {
            local.say(&FromWorker::LetGo { id });
        }
    }
}

/// Appends a message whose values may mention shared memory and blobs; `write` appends it without that, given the bytes of the values.
pub(super) fn write_with(parcel: &Parcel, out: &mut Letter, write: impl FnOnce(&[u8], &mut Vec<u8>)) {
    if !parcel.mentions_any() {
        return write(&parcel.bytes, &mut out.bytes);
    }
    let (mut pieces, mut message) = (Vec::new(), Vec::new());
    parcel.write_pieces(|held| held.is_lent().then(|| held.id()), &mut pieces);
    write(&parcel.bytes, &mut message);
    parcel.blobs().for_each(|blob| out.add_blob(blob.clone()));
    FromWorker::With { pieces: &pieces, message: &message }.write(&mut out.bytes);
}

/// How many bytes a message takes for the values of the parcel.
pub(super) fn weight(parcel: &Parcel) -> u64 {
    parcel.bytes.len() as u64 + parcel.weight_of_pieces(Held::is_lent)
}
