//! What a concurrent function has beside its mark: the calls of it that were forked, and a runner of its own.

use crate::core::context::Runners;
use crate::core::runner::Runner;
use crate::core::slot::AnySlot;
use crate::core::wait::wait;
use crate::plan::Plan;
use crate::proxy::rethrow;
use parking_lot::Mutex;
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

/// What one concurrent function has, in this process.
#[doc(hidden)]
pub struct Own {
    /// Those that have ended are forgotten now and then.
    forked: Mutex<Vec<Weak<dyn AnySlot>>>,
    make: Option<fn() -> Arc<dyn Runner>>,
    runners: OnceLock<Arc<Runners>>,
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[up to {} calls]", self.forked.lock().len())
    }
}

impl Own {
    /// `make` gives its runner when the first call is forked.
    #[doc(hidden)]
    pub const fn new(make: Option<fn() -> Arc<dyn Runner>>) -> Self {
        Self { forked: Mutex::new(Vec::new()), make, runners: OnceLock::new() }
    }

    /// Where its calls run, if not where its mark says.
    pub(crate) fn runners(&self) -> Option<Arc<Runners>> {
        let make = self.make?;
        Some(self.runners.get_or_init(|| Plan::runner(make()).build()).clone())
    }

    /// A call was forked.
    pub(crate) fn note(&self, slot: Weak<dyn AnySlot>) {
        let mut forked = self.forked.lock();
        if forked.len() == forked.capacity() {
            forked.retain(|slot| slot.upgrade().is_some_and(|slot| !slot.is_settled()));
        }
        forked.push(slot);
    }

    fn unsettled(&self) -> Vec<Arc<dyn AnySlot>> {
        let forked = self.forked.lock();
        forked.iter().filter_map(Weak::upgrade).filter(|slot| !slot.is_settled()).collect()
    }

    /// Waits until all calls that were forked before have ended.
    #[doc(hidden)]
    pub fn wait(&self) {
        for slot in self.unsettled() {
            wait(&slot, None).unwrap_or_else(|error| rethrow(&error));
        }
    }

    /// Whether a call has not ended.
    #[doc(hidden)]
    pub fn is_in_progress(&self) -> bool {
        !self.unsettled().is_empty()
    }
}
