//! Texts that live for ever, within a budget.
//!
//! A worker that panicked with a `&'static str` sends the text; here it must become `'static` again, so that a `downcast` sees
//! what the task threw. Owns the leaked texts. Promises: equal texts are leaked once, and all of them together
//! take at most [`BUDGET`], because a peer may send a new text each time; who gets `None` uses a `String`.

use std::collections::BTreeSet;

use parking_lot::Mutex;

/// A program has a few hundred panic messages of some 40 bytes.
const BUDGET: usize = 64 * 1024;
/// A guess at what a set entry costs, so that many short texts are no way around the budget.
const ENTRY: usize = 16;

static INTERNER: Mutex<Interner> = Mutex::new(Interner::new(BUDGET));

/// The text as a `'static` one, while the budget lasts.
pub(super) fn intern(text: &str) -> Option<&'static str> {
    INTERNER.lock().intern(text)
}

struct Interner {
    known: BTreeSet<&'static str>,
    left: usize,
}

impl Interner {
    const fn new(budget: usize) -> Self {
        Self { known: BTreeSet::new(), left: budget }
    }

    fn intern(&mut self, text: &str) -> Option<&'static str> {
        if let Some(known) = self.known.get(text) {
            return Some(known);
        }
        self.left = self.left.checked_sub(text.len() + ENTRY)?;
        let text: &'static str = Box::leak(text.into());
        self.known.insert(text);
        Some(text)
    }
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_leaked_once_and_the_budget_holds() {
        let mut interner = Interner::new(100);
        let first = interner.intern(&"a".repeat(40)).unwrap();
        let again = interner.intern(&"a".repeat(40)).unwrap();
        assert!(std::ptr::eq(first, again));
        assert_eq!(interner.intern(&"b".repeat(40)), None, "44 bytes are left, 56 would be needed");
        assert_eq!(interner.intern("c"), Some("c"), "a refused text must not use up the budget");
        assert_eq!(interner.intern(&"a".repeat(40)), Some(first), "known texts need no budget");
    }
}
