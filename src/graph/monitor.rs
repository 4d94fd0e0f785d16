//! Watching a run from another thread.

use super::build::Graph;
use super::running::{DONE, DONE_BEFORE, FAILED, FAILED_BEFORE, RUNNING, Running, STARTED, is_started};
use parking_lot::Mutex;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

/// The run of a graph that is under way, if one is.
#[derive(Default)]
pub(super) struct Current(Mutex<Weak<Running>>);

impl Current {
    pub(super) fn set(&self, running: &Arc<Running>) {
        *self.0.lock() = Arc::downgrade(running);
    }

    /// There is none any more.
    pub(super) fn clear(&self) {
        *self.0.lock() = Weak::new();
    }

    fn get(&self) -> Option<Arc<Running>> {
        self.0.lock().upgrade()
    }
}

/// Tells other threads how far the run of a graph is; made by [`Graph::monitor`].
///
/// ```
/// use std::sync::mpsc::{Receiver, channel};
/// use std::sync::{Arc, Mutex};
/// use xfork::{Graph, io_bound, task};
///
/// let (tell, told) = channel::<()>();
/// let wait = |told: Arc<Mutex<Receiver<()>>>| told.lock().unwrap().recv().unwrap();
/// let mut graph = Graph::new();
/// graph.add("waits", task(io_bound(wait), Arc::new(Mutex::new(told))))?;
/// graph.add("is quick", task(io_bound(|| ()), ()))?;
///
/// let monitor = graph.monitor();
/// let run = std::thread::spawn(move || graph.run().map(|outcomes| outcomes.is_done()));
/// while monitor.progress().done < 1 || monitor.in_progress() != ["waits"] {
///     std::thread::yield_now();
/// }
/// tell.send(()).unwrap();
/// assert!(run.join().unwrap()?);
/// assert!(monitor.in_progress().is_empty());
/// # Ok::<(), xfork::GraphError>(())
/// ```
#[derive(Clone)]
pub struct Monitor(Arc<Current>);

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.progress().fmt(f)
    }
}

/// How many tasks of a graph are how far in its run; all zero, if it is not being run.
///
/// ```
/// let graph = xfork::Graph::new();
/// assert_eq!(graph.monitor().progress(), xfork::Progress::default());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Progress {
    /// They wait for others.
    pub waiting: usize,
    /// They have been given to a runner: they run, or wait there for a worker or thread.
    pub started: usize,
    /// They have a result, also from an earlier run.
    pub done: usize,
    /// They have failed.
    pub failed: usize,
    /// They will not be run.
    pub skipped: usize,
}

impl Monitor {
    /// How far the run is.
    ///
    /// ```
    /// let graph = xfork::Graph::new();
    /// assert_eq!(graph.monitor().progress().done, 0);
    /// ```
    pub fn progress(&self) -> Progress {
        let Some(running) = self.0.get() else { return Progress::default() };
        let [waiting, started, done, failed, skipped] = running.counts();
        Progress { waiting, started, done, failed, skipped }
    }

    /// The names of the tasks that have been given to a runner and not ended: they run, or wait there for a worker or thread.
    ///
    /// ```
    /// let graph = xfork::Graph::new();
    /// assert!(graph.monitor().in_progress().is_empty());
    /// ```
    pub fn in_progress(&self) -> Vec<String> {
        self.0.get().map(|running| running.in_progress()).unwrap_or_default()
    }
}

impl Graph {
    /// What tells other threads how far this graph is while it is run.
    ///
    /// ```
    /// let graph = xfork::Graph::new();
    /// let monitor = graph.monitor();
    /// assert_eq!(monitor.progress().waiting, 0);
    /// ```
    pub fn monitor(&self) -> Monitor {
        Monitor(self.running.clone())
    }
}

impl Running {
    /// The names of the tasks that have started and not ended.
    fn in_progress(&self) -> Vec<String> {
        let is_started = |task: &u32| is_started(self.tasks[*task as usize].state.load(Ordering::Relaxed));
        let tasks = 0..self.tasks.len() as u32;
        tasks.filter(is_started).map(|task| self.names.get(task).to_owned()).collect()
    }

    /// How many tasks wait, have started, are done, have failed and were skipped.
    fn counts(&self) -> [usize; 5] {
        let mut counts = [0; 5];
        for task in &self.tasks {
            let place = match task.state.load(Ordering::Relaxed) {
                DONE_BEFORE => DONE,
                FAILED_BEFORE => FAILED,
                RUNNING => STARTED,
                state => state,
            };
            counts[place as usize] += 1;
        }
        counts
    }
}
