//! Runs every task in place, at the fork: the program as it would be without xfork.

use super::{Runnable, Runner};

/// Runs every task in the thread that forks it, at once.
#[derive(Debug)]
pub(crate) struct Sequential;

impl Runner for Sequential {
    fn run(&self, task: Runnable) {
        task.run();
    }

    fn runs_in_place(&self) -> bool {
        true
    }
}
