//! The core: a task with inputs, the slot that its result fills, and who waits for whom.
//!
//! Owns the states of a task (waiting → queued → claimed → finished), the write-once slot with its waiters,
//! the rule that a task's own forks end before its result is delivered, and the error type.
//! Promises that every task ends exactly once, and that whoever waits runs what nobody has started.
//! It knows runners only by their trait, and nothing of processes, proxies or plans.

pub(crate) mod batch;
pub(crate) mod cancel;
pub(crate) mod context;
pub(crate) mod cycle;
pub(crate) mod error;
pub(crate) mod exit;
pub(crate) mod expression;
pub(crate) mod group;
pub(crate) mod ids;
pub(crate) mod interrupt;
pub(crate) mod limits;
pub(crate) mod output;
pub(crate) mod pause;
pub(crate) mod report;
pub(crate) mod runner;
pub(crate) mod scope;
pub(crate) mod seed;
pub(crate) mod series;
pub(crate) mod slot;
pub(crate) mod task;
pub(crate) mod timer;
pub(crate) mod unseen;
pub(crate) mod wait;

#[cfg(all(test, xfork_loom))]
mod models;
