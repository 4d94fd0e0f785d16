//! What the program has lent to one worker: the files of values in shared memory.
//!
//! Owns the table of loans, and turning a message whose values mention such memory into what is written to the worker: the
//! descriptors that it lacks, and the message with a list of numbers. Promises: a worker gets each descriptor once; a number
//! is believed only if it was lent to the very worker that says it; memory stays until every worker that has it has let go of
//! it or is dead, and no longer than somebody needs it. The protocol is in `src/runner/process/README.md`, section "Shared
//! memory".

use super::Shared;
use super::link::{Link, Out};
use crate::ground::memory::{Held, HeldId, Lender, Memory};
use crate::ground::wire::blob::Blob;
use crate::ground::wire::letter::Letter;
use crate::ground::wire::message::ToWorker;
use crate::ground::wire::parcel::{Parcel, PieceError, Values};
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

/// A descriptor to be sent along with the byte at this position.
pub(super) type Gift = (usize, Arc<Memory>);

/// What one worker has been lent.
pub(super) struct Loans {
    pool: Weak<Shared>,
    link: Weak<Link>,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    loans: HashMap<HeldId, Loan>,
    /// It could not take something: everything goes to it as bytes.
    refuses: bool,
}

struct Loan {
    memory: Arc<Memory>,
    /// Who holds it here, if anybody does.
    held: Weak<Held>,
    /// The worker has been told that no message will mention it again.
    is_forgotten: bool,
}

impl Loans {
    pub(super) fn new(pool: Weak<Shared>, link: Weak<Link>) -> Arc<Self> {
        Arc::new(Self { pool, link, table: Mutex::default() })
    }

    /// How many bytes the message takes besides its own, since not all it mentions can be lent.
    pub(super) fn weight(&self, parcel: &Parcel) -> u64 {
        if !parcel.mentions_any() {
            return 0;
        }
        let refuses = self.table.lock().refuses;
        parcel.weight_of_pieces(|held| !refuses && held.memory().file().is_some())
    }

    /// What to write before the message, with the descriptors that go along, and the message. The caller holds the link's output and
    /// keeps the parcel until it has let go of that.
    fn frame(self: &Arc<Self>, parcel: &Parcel) -> (Letter, Vec<Gift>, Letter) {
        let (mut lends, mut gifts, mut pieces) = (Letter::default(), Vec::new(), Vec::new());
        let mut table = self.table.lock();
        parcel.write_pieces(|held| self.lend(&mut table, held, &mut lends.bytes, &mut gifts), &mut pieces);
        drop(table);
        let mut message = Letter::default();
        parcel.blobs().for_each(|blob| message.add_blob(blob.clone()));
        ToWorker::With { pieces: &pieces, message: &parcel.bytes }.write(&mut message.bytes);
        (lends, gifts, message)
    }

    /// The number by which the worker knows this; `None` if it can't have it.
    fn lend(
        self: &Arc<Self>,
        table: &mut Table,
        held: &Arc<Held>,
        bytes: &mut Vec<u8>,
        gifts: &mut Vec<Gift>,
    ) -> Option<HeldId> {
        let id = held.id();
        if table.refuses {
            return None;
        }
        if table.loans.contains_key(&id) {
            return Some(id);
        }
        let memory = held.memory();
        let inode = memory.file()?.inode().ok()?;
        gifts.push((bytes.len(), memory.clone()));
        ToWorker::Lend { id: id.0, bytes: memory.bytes().len() as u64, inode: inode.0 }.write(bytes);
        let loan = Loan { memory: memory.clone(), held: Arc::downgrade(held), is_forgotten: false };
        table.loans.insert(id, loan);
        let lender: Arc<dyn Lender> = self.clone();
        held.tell(Arc::downgrade(&lender));
        Some(id)
    }

    /// What is known of the values of a message that the worker has sent with this list, and the blobs before it.
    pub(super) fn values(&self, list: &[u8], blobs: Vec<Blob>, lost: u64) -> Result<Values, String> {
        Values::read(list, blobs, lost, |id| self.find(id)).map_err(|error| match error {
            PieceError::Malformed => "a malformed list of shared memory".to_string(),
            PieceError::Blobs => "a message that mentions other blobs than came before it".to_string(),
            PieceError::Unknown(HeldId(id)) => {
                format!("shared memory number {id}, which was not lent to it")
            }
        })
    }

    fn find(&self, id: HeldId) -> Option<Arc<Held>> {
        let mut table = self.table.lock();
        let loan = table.loans.get_mut(&id)?;
        Some(loan.held.upgrade().unwrap_or_else(|| {
            // Nobody has held it here since the worker got it. By its new number it may be lent again, also to this worker.
            let held = Held::new(loan.memory.clone());
            loan.held = Arc::downgrade(&held);
            held
        }))
    }

    /// The worker says that it has let go of what it was told to forget. What is given is to be dropped without a lock.
    pub(super) fn let_go(&self, id: u64) -> Result<Arc<Memory>, String> {
        let mut table = self.table.lock();
        let is_forgotten = table.loans.get(&HeldId(id)).is_some_and(|loan| loan.is_forgotten);
        let loan = is_forgotten.then(|| table.loans.remove(&HeldId(id))).flatten();
        loan.map(|loan| loan.memory)
            .ok_or_else(|| format!("it let go of shared memory number {id}, which it was not told to forget"))
    }

    /// The worker says that it can't take something. What is given is to be dropped without a lock.
    pub(super) fn refused(&self, id: u64) -> Result<Arc<Memory>, String> {
        let mut table = self.table.lock();
        table.refuses = true;
        let loan = table.loans.remove(&HeldId(id));
        loan.map(|loan| loan.memory)
            .ok_or_else(|| format!("it refused shared memory number {id}, which was not lent to it"))
    }

    /// The worker is dead.
    pub(super) fn end(&self) {
        let table = std::mem::take(&mut *self.table.lock());
        drop(table);
    }
}

impl Lender for Loans {
    /// Nobody holds it in the program any more.
    fn is_let_go(&self, id: HeldId) {
        let (Some(pool), Some(link)) = (self.pool.upgrade(), self.link.upgrade()) else { return };
        if pool.is_copy() {
            return;
        }
        match self.table.lock().loans.get_mut(&id) {
            Some(loan) => loan.is_forgotten = true,
            None => return,
        }
        let mut bytes = Vec::new();
        ToWorker::Forget { id: id.0 }.write(&mut bytes);
        pool.post(&link, bytes);
    }
}

impl Shared {
    /// Writes a message whose values may mention shared memory, and leaves nothing of its bytes but perhaps their memory. The parcel
    /// is dropped after `out`: it may be the last holder, and then the worker is told.
    pub(super) fn post_parcel(&self, link: &Link, mut out: MutexGuard<'_, Out>, parcel: &mut Parcel) {
        if !parcel.mentions_any() {
            let mut letter = Letter::from(std::mem::take(&mut parcel.bytes));
            self.post_holding(link, &mut out, &mut letter);
            parcel.bytes = letter.bytes;
            return;
        }
        if link.dead.load(Ordering::Acquire) {
            return;
        }
        let (mut lends, gifts, mut message) = link.loans.frame(parcel);
        // Before the message: what it finds missing there, the worker waits for at the socket.
        if !lends.is_empty() {
            if out.ring.is_none() {
                lends.append(&mut message);
            }
            self.send_holding(link, &mut out, &mut lends, gifts);
        }
        if !message.is_empty() {
            self.post_holding(link, &mut out, &mut message);
        }
    }

    /// As [`post_parcel`](Self::post_parcel), for who does not hold the output.
    pub(in crate::runner::process) fn send_parcel(&self, link: &Link, mut parcel: Parcel) {
        self.post_parcel(link, link.out.lock(), &mut parcel);
    }
}
