//! Who holds some memory in this process, as one: values, and encoded values that mention it.
//!
//! Owns the number by which another process knows it, and a value that was made of the bytes. Promises: no two holdings of this
//! process, nor of what it was lent, have the same number, ever; whoever asked to be told when the last holder is gone is told once.

use super::Memory;
use parking_lot::Mutex;
use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// The number of a holding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct HeldId(pub(crate) u64);

static NEXT: AtomicU64 = AtomicU64::new(1);

/// Some memory while somebody holds it; counted as `Arc<Held>`.
pub(crate) struct Held {
    id: HeldId,
    memory: Arc<Memory>,
    /// Whether the number is that of another process, which has lent it.
    is_lent: bool,
    lenders: Mutex<Vec<Weak<dyn Lender>>>,
    value: Mutex<Option<Arc<dyn Any + Send + Sync>>>,
}

/// Somebody who has something to do when nobody holds some memory any more.
pub(crate) trait Lender: Send + Sync {
    /// Called in whatever thread lets go of it last.
    fn is_let_go(&self, id: HeldId);
}

impl Held {
    pub(crate) fn new(memory: Arc<Memory>) -> Arc<Self> {
        // Relaxed: only that numbers differ matters.
        let id = HeldId(NEXT.fetch_add(1, Ordering::Relaxed));
        Arc::new(Self { id, memory, is_lent: false, lenders: Mutex::default(), value: Mutex::default() })
    }

    /// What another process has lent by this number; `lender` is told when it is let go.
    pub(crate) fn lent(id: HeldId, memory: Memory, lender: Weak<dyn Lender>) -> Arc<Self> {
        let lenders = Mutex::new(vec![lender]);
        Arc::new(Self { id, memory: Arc::new(memory), is_lent: true, lenders, value: Mutex::default() })
    }

    pub(crate) fn id(&self) -> HeldId {
        self.id
    }

    pub(crate) fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    pub(crate) fn is_lent(&self) -> bool {
        self.is_lent
    }

    /// What `make` makes of the bytes: once, however many ask for it, and as long as somebody holds the memory. It must not hold
    /// the memory itself.
    ///
    /// # Errors
    ///
    /// As `make`; the next one tries again.
    pub(crate) fn value<T, E>(&self, make: impl FnOnce(&[u8]) -> Result<T, E>) -> Result<Arc<T>, E>
    where
        T: Send + Sync + 'static,
    {
        // Others wait for it meanwhile: to make it twice would take as long.
        let mut value = self.value.lock();
        if let Some(Ok(known)) = value.clone().map(Arc::downcast) {
            return Ok(known);
        }
        let made = Arc::new(make(self.memory.bytes())?);
        *value = Some(made.clone());
        Ok(made)
    }

    /// Asks to be told when nobody holds it any more.
    pub(crate) fn tell(&self, lender: Weak<dyn Lender>) {
        let mut lenders = self.lenders.lock();
        // Those of workers that are dead would otherwise gather.
        lenders.retain(|lender| lender.strong_count() > 0);
        lenders.push(lender);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        for lender in self.lenders.get_mut().drain(..) {
            if let Some(lender) = lender.upgrade() {
                lender.is_let_go(self.id);
            }
        }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {:?}", self.id, self.memory)
    }
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Ledger(Mutex<Vec<HeldId>>);

    impl Lender for Ledger {
        fn is_let_go(&self, id: HeldId) {
            self.0.lock().push(id);
        }
    }

    #[test]
    fn all_lenders_that_live_are_told_when_the_last_holder_goes() {
        let (one, other, dead) =
            (Arc::new(Ledger::default()), Arc::new(Ledger::default()), Ledger::default());
        let held = Held::new(Arc::new(Memory::copy_of(b"bytes").unwrap()));
        let again = held.clone();
        for ledger in [&one, &other] {
            let ledger: Arc<dyn Lender> = ledger.clone();
            held.tell(Arc::downgrade(&ledger));
        }
        let dead: Arc<dyn Lender> = Arc::new(dead);
        held.tell(Arc::downgrade(&dead));
        drop(dead);
        let id = held.id();
        drop(held);
        assert_eq!(*one.0.lock(), []);
        drop(again);
        assert_eq!((&*one.0.lock(), &*other.0.lock()), (&vec![id], &vec![id]));
        assert_ne!(Held::new(Arc::new(Memory::copy_of(b"").unwrap())).id(), id);
    }

    #[test]
    fn a_value_is_made_once_and_goes_with_the_memory() {
        let held = Held::new(Arc::new(Memory::copy_of(b"7").unwrap()));
        assert_eq!(held.value(|_| Err::<u8, _>("not now")), Err("not now"));
        let value = held.value(|bytes| Ok::<_, ()>(bytes[0])).unwrap();
        let again = held.value(|_| -> Result<u8, ()> { unreachable!("it is there") }).unwrap();
        assert!(Arc::ptr_eq(&value, &again) && *value == b'7');
        assert_eq!(*held.value(|bytes| Ok::<_, ()>(bytes.len())).unwrap(), 1, "of another type");
        drop((held, again));
        assert_eq!(Arc::strong_count(&value), 1);
    }
}
