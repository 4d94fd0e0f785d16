//! The runners: who runs a task once its inputs are ready.
//!
//! Each folder or file is one [`Runner`]: in the caller's thread, on a pool of threads that grows while its threads
//! are blocked, on rayon's threads, in a pool of worker processes. None knows of the others but by the trait.

pub(crate) mod compute;
pub(crate) mod process;
mod queue;
pub(crate) mod sequential;
pub(crate) mod threads;

pub use crate::core::runner::{Runnable, Runner};
