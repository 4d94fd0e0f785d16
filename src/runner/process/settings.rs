//! How a pool of worker processes is run, as the plan says.

use crate::core::output::Output;
use crate::ground::registry::EntryId;
use crate::store::CacheConfig;
use std::time::Duration;

/// What a pool is told when it is made.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// How many workers there are at most.
    pub(crate) workers: usize,
    /// The largest arguments or result, in bytes.
    pub(crate) max_message: u64,
    /// How many tasks a worker does before another takes its place.
    pub(crate) max_tasks: u64,
    /// How many bytes of memory a worker may have in use after a task, if it is to get another.
    pub(crate) max_rss: Option<u64>,
    /// How long a worker stays without a task.
    pub(crate) idle: Option<Duration>,
    /// How long a worker may take to end when it is asked to.
    pub(crate) grace: Duration,
    /// How many threads libraries inside a worker are to use.
    pub(crate) threads: usize,
    /// What each worker runs before its first task.
    pub(crate) prepare: Option<fn() -> Option<EntryId>>,
    /// What becomes of the text that tasks print.
    pub(crate) output: Output,
    /// Where workers keep results for later.
    pub(crate) cache: CacheConfig,
}

/// The largest message, in bytes, unless the plan says otherwise.
const MAX_MESSAGE: u64 = 2 << 30;
/// How long a worker may take to end, unless the plan says otherwise.
const GRACE: Duration = Duration::from_secs(1);

impl Default for Settings {
    fn default() -> Self {
        Self {
            workers: 1,
            max_message: MAX_MESSAGE,
            max_tasks: u64::MAX,
            max_rss: None,
            idle: None,
            grace: GRACE,
            threads: 1,
            prepare: None,
            output: Output::Inherited,
            cache: CacheConfig::default(),
        }
    }
}
