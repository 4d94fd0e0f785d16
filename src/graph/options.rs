//! How a graph is run.

use std::time::Duration;

/// How a graph is run; see [`Graph::run_with`](crate::Graph::run_with).
///
/// ```
/// use std::time::Duration;
/// let careful = xfork::RunOptions::new().fail_fast().timeout(Duration::from_secs(60));
/// assert!(xfork::Graph::new().run_with(careful)?.is_done());
/// # Ok::<(), xfork::GraphError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct RunOptions {
    pub(super) fail_fast: bool,
    pub(super) timeout: Option<Duration>,
}

impl RunOptions {
    /// As [`Graph::run`](crate::Graph::run) does it: what does not depend on a failed task goes on, and there is no limit of time.
    ///
    /// ```
    /// assert!(xfork::Graph::new().run_with(xfork::RunOptions::new())?.is_done());
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// After the first failure no task is started, and those that are running are cancelled.
    ///
    /// ```
    /// use xfork::{Graph, Outcome, RunOptions, Skip, io_bound};
    ///
    /// let mut graph = Graph::new();
    /// graph.add_named("broken", io_bound(|| -> i32 { panic!("no") }), []);
    /// graph.add_named("first", io_bound(|| std::thread::sleep(std::time::Duration::from_secs(2))), []);
    /// graph.add_named("second", io_bound(|| ()), ["first"]);
    /// let outcomes = graph.run_with(RunOptions::new().fail_fast())?;
    /// assert!(matches!(outcomes.outcome("second")?, Outcome::Skipped(Skip::FailFast { .. })));
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    pub fn fail_fast(mut self) -> Self {
        self.fail_fast = true;
        self
    }

    /// After so long no task is started, and those that are running are cancelled.
    ///
    /// ```
    /// use std::time::Duration;
    /// use xfork::{Graph, Outcome, RunOptions, Skip, io_bound};
    ///
    /// let mut graph = Graph::new();
    /// graph.add_named("long", io_bound(|| std::thread::sleep(Duration::from_secs(2))), []);
    /// let outcomes = graph.run_with(RunOptions::new().timeout(Duration::from_millis(10)))?;
    /// assert!(matches!(outcomes.outcome("long")?, Outcome::Skipped(Skip::Timeout { .. })));
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }
}
