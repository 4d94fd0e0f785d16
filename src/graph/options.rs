//! How a graph is run.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// How a graph is run; see [`Graph::run_with`](crate::Graph::run_with).
///
/// ```
/// use std::time::Duration;
/// let careful = xfork::RunOptions::new().fail_fast().timeout(Duration::from_secs(60));
/// assert!(xfork::Graph::new().run_with(careful)?.is_done());
/// # Ok::<(), xfork::GraphError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    pub(super) fail_fast: bool,
    pub(super) timeout: Option<Duration>,
    pub(super) log: Option<PathBuf>,
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

    /// Has a file be appended to that tells people what happens, a line for each event; it is created if there is none.
    ///
    /// A line has the time (UTC, RFC 3339), the process that runs the graph, what happened, and the task:
    ///
    /// ```text
    /// 2026-03-01T09:26:53.589793Z pid 4711: run begins: 3 tasks to run
    /// 2026-03-01T09:26:53.589871Z pid 4711: queued task read
    /// 2026-03-01T09:26:53.589893Z pid 4711: started task read
    /// 2026-03-01T09:26:53.590046Z pid 4711: finished task read after 12.35µs
    /// 2026-03-01T09:26:53.590051Z pid 4711: queued task "count words"
    /// 2026-03-01T09:26:53.590063Z pid 4711: started task "count words"
    /// 2026-03-01T09:26:53.590102Z pid 4711: failed task "count words": there are no words
    /// 2026-03-01T09:26:53.590104Z pid 4711: skipped task report: its ancestor `count words` failed
    /// 2026-03-01T09:26:53.590107Z pid 4711: run ends after 518.00µs: 1 finished, 1 failed, 1 skipped
    /// ```
    ///
    /// A name with spaces, quotes or control characters stands in quotes. A task is `queued` when it is handed to the worker
    /// processes or threads, where it may wait for a free one, and `started` when it runs. What the
    /// program was at when it was killed is in the file: that a task runs on a thread, before it does; that one was queued for
    /// a worker process, before it can run, and that it runs there, soon after. Other lines may come up to 20 ms later. Lines
    /// are whole also if several programs append to the file, unless it lies on another machine. It takes some 3 µs for each task.
    ///
    /// If the file can't be written any more, perhaps because the disk is full, the run goes on, and standard error says so once.
    ///
    /// ```
    /// use xfork::{Graph, RunOptions, io_bound};
    ///
    /// let file = std::env::temp_dir().join(format!("xfork-doc-log-{}", std::process::id()));
    /// let mut graph = Graph::new();
    /// graph.add_named("a", io_bound(|| 5), []);
    /// graph.run_with(RunOptions::new().log(&file))?;
    /// let text = std::fs::read_to_string(&file).unwrap();
    /// let what: Vec<&str> = text.lines().map(|line| line.split_once(": ").unwrap().1).collect();
    /// assert_eq!(what[..3], ["run begins: 1 task to run", "queued task a", "started task a"]);
    /// assert!(what[3].starts_with("finished task a after "));
    /// assert!(what[4].starts_with("run ends after ") && what[4].ends_with(": 1 finished"));
    /// # std::fs::remove_file(file).unwrap();
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    pub fn log(mut self, path: impl AsRef<Path>) -> Self {
        self.log = Some(path.as_ref().to_owned());
        self
    }
}
