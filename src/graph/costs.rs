//! What tasks have cost: measured in each run, and given to the next schedule.

use super::build::Graph;
use super::error::{GraphError, GraphFault};
use super::running::{Lanes, TaskRun};
use crate::core::series::{Ran, Site};
use crate::task::Cost;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// When a task ran in a run of its graph; written by whoever learns of it, and read when the run is over.
#[derive(Default)]
pub(super) struct Timing {
    /// In nanoseconds since the run began.
    begin: AtomicU64,
    end: AtomicU64,
    /// Where, as a number that is not 0; 0 if it did not run.
    site: AtomicU64,
    /// How many nanoseconds it took to give it its arguments in another process.
    sent: AtomicU64,
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Timing {
    pub(super) fn ran(&self, run: &Ran, start: Instant) {
        let site = match run.site {
            Site::Thread(number) => number << 1,
            Site::Process(id) => u64::from(id) << 1 | 1,
        };
        // Relaxed: read when the task has ended, which who ends it releases.
        self.begin.store(nanos(run.begin.saturating_duration_since(start)), Ordering::Relaxed);
        self.end.store(nanos(run.end.saturating_duration_since(start)), Ordering::Relaxed);
        self.site.store(site, Ordering::Relaxed);
    }

    pub(super) fn sent(&self, took: Duration) {
        self.sent.store(nanos(took), Ordering::Relaxed);
    }

    /// How long it ran, if that is known.
    pub(super) fn took(&self) -> Option<Duration> {
        let load = |nanos: &AtomicU64| nanos.load(Ordering::Relaxed);
        let nanos = load(&self.end).saturating_sub(load(&self.begin));
        (load(&self.site) != 0).then(|| Duration::from_nanos(nanos))
    }

    fn span(&self, lane: Option<u32>) -> Option<Span> {
        let seconds = |nanos: &AtomicU64| nanos.load(Ordering::Relaxed) as f64 / 1e9;
        let site = match self.site.load(Ordering::Relaxed) {
            0 => return None,
            site if site & 1 == 1 => Site::Process((site >> 1) as u32),
            site => Site::Thread(site >> 1),
        };
        Some(Span {
            begin: seconds(&self.begin),
            end: seconds(&self.end),
            sent: seconds(&self.sent),
            site,
            lane,
        })
    }
}

/// When and where a task ran, in seconds since its run of the graph began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) begin: f64,
    pub(super) end: f64,
    /// How long it took to give it its arguments in another process.
    sent: f64,
    pub(super) site: Site,
    /// The list of a schedule that it was run from.
    pub(super) lane: Option<u32>,
}

/// What is known of the last run of each task; empty until there is one.
#[derive(Clone, Default)]
pub(super) struct Measured {
    /// Each with the number of its run.
    spans: Vec<Option<(u32, Span)>>,
    /// How many runs there were.
    runs: u32,
}

impl Measured {
    pub(super) fn take_over(&mut self, tasks: &[TaskRun], lanes: Option<&Lanes>) {
        self.runs += 1;
        self.spans.resize(tasks.len(), None);
        for (task, run) in tasks.iter().enumerate() {
            if let Some(span) = run.timing.span(lanes.map(|lanes| lanes.lane_of[task])) {
                self.spans[task] = Some((self.runs, span));
            }
        }
    }

    pub(super) fn forget(&mut self, task: u32) {
        if let Some(span) = self.spans.get_mut(task as usize) {
            *span = None;
        }
    }

    pub(super) fn append(&mut self, other: &Self, by: u32) {
        if !other.spans.is_empty() {
            self.spans.resize(by as usize, None);
            self.spans.extend(&other.spans);
            self.runs = self.runs.max(other.runs);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The last run of a task, in seconds.
    pub(super) fn cost(&self, task: u32) -> Option<f64> {
        self.of(task).map(|span| span.end - span.begin)
    }

    fn of(&self, task: u32) -> Option<Span> {
        self.spans.get(task as usize).copied().flatten().map(|(_, span)| span)
    }

    /// The tasks of the last run of the graph.
    pub(super) fn last_run(&self) -> impl Iterator<Item = (u32, Span)> {
        let spans = self.spans.iter().enumerate();
        spans.filter_map(|(task, span)| {
            span.filter(|(run, _)| *run == self.runs).map(|(_, span)| (task as u32, span))
        })
    }
}

/// What the tasks of a graph have cost, by their names, in seconds; measured by a run, and of use to the schedule of another.
///
/// It can be serialised, to be kept from one run of a program to the next.
///
/// ```
/// use xfork::{Graph, Heft, cpu_bound, task};
///
/// #[cpu_bound]
/// fn fib(n: u64) -> u64 { if n < 2 { n } else { fib(n - 1) + fib(n - 2) } }
///
/// let mut graph = Graph::new();
/// graph.add("small", task(fib, 5))?;
/// graph.add("large", task(fib, 32))?;
/// graph.run()?;
/// let costs = graph.costs();
/// assert!(costs.task("small").unwrap() < costs.task("large").unwrap());
///
/// graph.use_costs(&costs)?;
/// let plan = graph.schedule(Heft::new(2))?;
/// assert_eq!(plan.makespan(), costs.task("large").unwrap());
/// # Ok::<(), xfork::GraphError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Costs {
    tasks: BTreeMap<String, f64>,
    /// By the names of the two tasks.
    transfers: BTreeMap<String, BTreeMap<String, f64>>,
}

impl Costs {
    /// What the task of this name cost, in seconds; `None` if it has not run.
    ///
    /// ```
    /// assert_eq!(xfork::Graph::new().costs().task("a"), None);
    /// ```
    pub fn task(&self, name: &str) -> Option<f64> {
        self.tasks.get(name).copied()
    }

    /// What it cost to give the result of one task to another in another process, in seconds; `None` if that did not happen.
    ///
    /// What one task was given is measured together; each of its inputs has an equal share.
    ///
    /// ```
    /// assert_eq!(xfork::Graph::new().costs().transfer("a", "b"), None);
    /// ```
    pub fn transfer(&self, from: &str, to: &str) -> Option<f64> {
        self.transfers.get(from)?.get(to).copied()
    }

    /// All tasks that have run, each with its cost in seconds, by name.
    ///
    /// ```
    /// assert_eq!(xfork::Graph::new().costs().tasks().count(), 0);
    /// ```
    pub fn tasks(&self) -> impl Iterator<Item = (&str, f64)> {
        self.tasks.iter().map(|(name, &cost)| (name.as_str(), cost))
    }
}

impl Graph {
    /// What the tasks have cost in their last runs.
    ///
    /// ```
    /// use xfork::{Graph, io_bound, task};
    ///
    /// let mut graph = Graph::new();
    /// graph.add("one", task(io_bound(|| 1), ()))?;
    /// assert_eq!(graph.costs().task("one"), None);
    /// graph.run()?;
    /// assert!(graph.costs().task("one").unwrap() < 1.0);
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    pub fn costs(&mut self) -> Costs {
        let mut costs = Costs::default();
        let Ok(dag) = self.shape() else { return costs };
        for task in 0..self.len() as u32 {
            let Some(span) = self.measured.of(task) else { continue };
            let name = self.names.get(task).to_owned();
            let inputs = dag.predecessors.of(task);
            if matches!(span.site, Site::Process(_)) {
                for &input in inputs {
                    let to = costs.transfers.entry(self.names.get(input).to_owned()).or_default();
                    *to.entry(name.clone()).or_default() += span.sent / inputs.len() as f64;
                }
            }
            costs.tasks.insert(name, span.end - span.begin);
        }
        costs
    }

    /// Has the tasks that are named in `costs` cost that much, and the transfers between them, instead of what was said before.
    /// Names that this graph does not have are passed over; says how many tasks it has.
    ///
    /// ```
    /// use xfork::{Graph, Heft, io_bound, task};
    ///
    /// let build = || {
    ///     let mut graph = Graph::new();
    ///     graph.add("one", task(io_bound(|| 1), ()))?;
    ///     Ok::<_, xfork::GraphError>(graph)
    /// };
    /// let mut first = build()?;
    /// first.run()?;
    /// let mut second = build()?;
    /// assert_eq!(second.use_costs(&first.costs())?, 1);
    /// assert_eq!(second.schedule(Heft::new(1))?.makespan(), first.costs().task("one").unwrap());
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a cost is negative or infinite, or no number; all that are. Nothing is changed then.
    pub fn use_costs(&mut self, costs: &Costs) -> Result<usize, GraphError> {
        let mut faults = Vec::new();
        let known: Vec<(u32, f64)> =
            costs.tasks().filter_map(|(name, cost)| Some((self.names.find(name)?, cost))).collect();
        let transfers = costs
            .transfers
            .iter()
            .flat_map(|(from, all)| all.iter().map(move |(to, &cost)| (from, to, cost)));
        let transfers: Vec<((u32, u32), f64)> = transfers
            .filter_map(|(from, to, cost)| Some(((self.names.find(from)?, self.names.find(to)?), cost)))
            .collect();
        let all = known.iter().copied().chain(transfers.iter().map(|&((_, to), cost)| (to, cost)));
        for (task, cost) in all.filter(|(_, cost)| !(*cost >= 0.0 && cost.is_finite())) {
            let of = format!("`{}`", self.names.get(task));
            faults.push(GraphFault::Cost { of, cost, place: self.works[task as usize].added_at() });
        }
        if !faults.is_empty() {
            return Err(GraphError::new(faults));
        }
        let count = known.len();
        for (task, cost) in known {
            self.given.set(task, Some(Cost::Same(cost)));
        }
        self.given.transfers.extend(transfers);
        self.changed();
        Ok(count)
    }
}
