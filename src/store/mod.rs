//! What survives a process: the results and states of a graph in one file, and results that any program may find again.
//!
//! Owns bytes on disks. [`Cache`] is a directory of results under keys, which any number of programs use at once;
//! [`OpenCache`] is the one of a plan. [`Store`] is the file of one graph: a log of frames with checksums, of which an index is held in
//! memory. [`Writer`] is the thread that writes into it, many results at a time, so that no task waits for a disk.
//! [`write_whole`] replaces a file by another one at once. [`StoreError`] says what went wrong.
//!
//! Promises: a process that is killed at any moment loses nothing that a `flush` has acknowledged, and leaves a file that
//! opens; what it had written without a flush is there up to some record, and nothing after that. A flush has brought
//! everything to the disk; without one, at most about the last second is lost when the machine stops, and again what
//! remains is a beginning of what was written. A file that is damaged, cut, of another version or no store at all gives an
//! error and is left as it is; a damaged result is an error or absent, never another value.
//!
//! Leaves out what the bytes mean: fingerprints of types, values and failures are encoded by whoever calls.

mod cache;
mod config;
mod error;
mod format;
#[cfg(any(all(test, not(xfork_loom)), fuzzing))]
pub(crate) mod fuzz;
mod index;
mod lock;
mod room;
mod scan;
mod sink;
#[expect(clippy::module_inception, reason = "the file of a graph is what the folder is about")]
mod store;
mod whole;
mod writer;

#[cfg(all(test, not(xfork_loom)))]
mod tests;

#[cfg(all(test, not(xfork_loom)))]
use cache::Cache;
pub(crate) use cache::Key;
pub(crate) use config::{CacheConfig, OpenCache};
pub use error::StoreError;
pub(crate) use index::{Change, Outcome, Record};
#[cfg(all(test, not(xfork_loom)))]
use index::{Entry, Mark};
pub(crate) use store::Store;
pub(crate) use whole::write_whole;
pub(crate) use writer::Writer;
