//! What came of the tasks of a graph.

use super::build::Graph;
use super::costs::Measured;
use super::error::{GraphError, GraphFault};
use super::names::Names;
use super::node::Node;
use super::rerun::{Reason, State};
use super::work::Work;
use crate::core::error::{ForkPlace, TaskError};
use crate::proxy::ResultProxy;
use rustc_hash::FxHashMap;
use std::any::Any;
use std::fmt;
use std::ops::Index;
use std::sync::Arc;
use std::time::Duration;

/// What has come of a task of a graph.
///
/// ```
/// use xfork::{Graph, Outcome, io_bound};
///
/// let mut graph = Graph::new();
/// graph.add_named("a", io_bound(|| 5), []);
/// assert!(matches!(graph.results().outcome("a")?, Outcome::NotRun));
/// assert!(matches!(graph.run()?.outcome("a")?, Outcome::Done));
/// # Ok::<(), xfork::GraphError>(())
/// ```
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It has a result.
    Done,
    /// It has failed.
    Failed(TaskError),
    /// It was not run, because of something that happened in the run.
    Skipped(Skip),
    /// It has not been run yet, or was reset.
    NotRun,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Failed(error) => write!(f, "failed: {error}"),
            Self::Skipped(skip) => write!(f, "skipped: {skip}"),
            Self::NotRun => f.write_str("not run"),
        }
    }
}

/// Why a task of a graph was not run, or was ended before it had a result.
///
/// ```
/// use xfork::{Graph, Outcome, io_bound};
///
/// let mut graph = Graph::new();
/// graph.add_named("a", io_bound(|| -> i32 { panic!("no") }), []);
/// graph.add_named("b", io_bound(|n: i32| n), ["a"]);
/// graph.add_named("c", io_bound(|n: i32| n), ["b"]);
/// let Outcome::Skipped(skip) = graph.run()?.outcome("c")? else { unreachable!() };
/// assert_eq!(skip.to_string(), "its ancestor `a` failed");
/// # Ok::<(), xfork::GraphError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Skip {
    /// A task failed whose result it needs, directly or through others.
    Ancestor {
        /// The name of the task that failed.
        name: String,
    },
    /// A task failed, and the graph was to [stop](crate::RunOptions::fail_fast) then.
    FailFast {
        /// The name of the task that failed.
        name: String,
    },
    /// The time for the whole run was [over](crate::RunOptions::timeout).
    Timeout {
        /// How long the run might take.
        limit: Duration,
    },
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ancestor { name } => write!(f, "its ancestor `{name}` failed"),
            Self::FailFast { name } => {
                write!(f, "`{name}` failed, and the run was to stop at the first failure")
            }
            Self::Timeout { limit } => write!(f, "the run took longer than its limit of {limit:?}"),
        }
    }
}

/// What came of all tasks of a graph: their results by [`Node`] or by name, their failures, and what was skipped and why.
///
/// It stays as it is when the graph is run again. A failure that nobody looks at, by any of these functions, is reported when
/// the program ends, like that of any fork.
///
/// ```
/// use xfork::{Graph, io_bound, task};
///
/// let mut graph = Graph::new();
/// let one = graph.add("one", task(io_bound(|| 1), ()))?;
/// let outcomes = graph.run()?;
/// assert!(outcomes.is_done());
/// assert_eq!(outcomes[&one], 1);
/// assert_eq!(outcomes.value::<i32>("one")?, &1);
/// # Ok::<(), xfork::GraphError>(())
/// ```
pub struct Outcomes {
    graph: u64,
    names: Arc<Names>,
    works: Arc<Vec<Arc<dyn Work>>>,
    states: Vec<State>,
    reasons: FxHashMap<u32, Reason>,
    /// Boxed proxies.
    results: Vec<Option<Box<dyn Any + Send + Sync>>>,
    pub(super) measured: Measured,
}

impl fmt::Debug for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |state| self.states.iter().filter(|other| **other == state).count();
        f.debug_struct("Outcomes")
            .field("done", &(count(State::Done) + count(State::Valueless)))
            .field("failed", &count(State::Failed))
            .field("skipped", &count(State::Skipped))
            .field("not run", &count(State::New))
            .finish()
    }
}

impl Outcomes {
    pub(super) fn of(graph: &Graph) -> Self {
        let result = |(task, state): (usize, &State)| match state {
            State::Done => graph.works[task].place().any_proxy(),
            _ => None,
        };
        Self {
            graph: graph.id,
            names: graph.names.clone(),
            works: graph.works.clone(),
            states: graph.states.clone(),
            reasons: graph.reasons.clone(),
            results: graph.states.iter().enumerate().map(result).collect(),
            measured: graph.measured.clone(),
        }
    }

    /// Whether all tasks are done.
    ///
    /// ```
    /// let mut graph = xfork::Graph::new();
    /// graph.add_named("a", xfork::io_bound(|| 5), []);
    /// assert!(!graph.results().is_done());
    /// assert!(graph.run()?.is_done());
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    pub fn is_done(&self) -> bool {
        self.states.iter().all(|state| state.is_done())
    }

    /// The same, if no task failed; else the first failure, in the order in which the tasks were added.
    ///
    /// ```
    /// use xfork::{Graph, io_bound};
    ///
    /// let mut graph = Graph::new();
    /// graph.add_named("a", io_bound(|| -> i32 { panic!("no") }), []);
    /// assert_eq!(graph.run()?.into_result().unwrap_err().task(), "a");
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The failure of a task.
    pub fn into_result(self) -> Result<Self, TaskError> {
        let first = self.failed().next().map(|(_, error)| error.clone());
        first.map_or(Ok(self), Err)
    }

    /// The result of a task; `None` if it has none, or it is not wanted as an [output](Graph::outputs).
    ///
    /// ```
    /// use xfork::{Graph, io_bound, task};
    ///
    /// let mut graph = Graph::new();
    /// let one = graph.add("one", task(io_bound(|| 1), ()))?;
    /// assert_eq!(graph.results().get(&one), None);
    /// assert_eq!(graph.run()?.get(&one), Some(&1));
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If the node is of another graph.
    pub fn get<T: Send + Sync + 'static>(&self, node: &Node<T>) -> Option<&T> {
        self.proxy::<T>(self.number(node))?.settled().ok()
    }

    /// What came of a task.
    ///
    /// ```
    /// use xfork::{Graph, Outcome, io_bound, task};
    ///
    /// let mut graph = Graph::new();
    /// let one = graph.add("one", task(io_bound(|| 1), ()))?;
    /// assert!(matches!(graph.run()?.of_node(&one), Outcome::Done));
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If the node is of another graph.
    pub fn of_node<T: Send + 'static>(&self, node: &Node<T>) -> Outcome {
        self.outcome_of(self.number(node))
    }

    /// What came of the task of this name.
    ///
    /// ```
    /// use xfork::{Graph, Outcome, io_bound};
    ///
    /// let mut graph = Graph::new();
    /// graph.add_named("a", io_bound(|| 5), []);
    /// assert!(matches!(graph.run()?.outcome("a")?, Outcome::Done));
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If there is no such task.
    pub fn outcome(&self, name: &str) -> Result<Outcome, GraphError> {
        Ok(self.outcome_of(self.find(name, "tell what came of")?))
    }

    /// The result of the task of this name, which is a `T`.
    ///
    /// ```
    /// use xfork::{Graph, io_bound};
    ///
    /// let mut graph = Graph::new();
    /// graph.add_named("a", io_bound(|| 5_u64), []);
    /// let outcomes = graph.run()?;
    /// assert_eq!(outcomes.value::<u64>("a")?, &5);
    /// assert!(outcomes.value::<String>("a").is_err());
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If there is no such task, it has no result, or one of another type.
    pub fn value<T: Send + Sync + 'static>(&self, name: &str) -> Result<&T, GraphError> {
        let task = self.find(name, "give the result of")?;
        let work = &self.works[task as usize];
        let result = work.place().output().name;
        let no_result = |outcome| GraphError::from(GraphFault::NoResult { task: name.into(), outcome });
        if self.results[task as usize].is_none() {
            return Err(no_result(self.outcome_of(task)));
        }
        let Some(proxy) = self.proxy::<T>(task) else {
            let given = std::any::type_name::<T>();
            return Err(
                GraphFault::ResultType { task: name.into(), result, given, place: work.added_at() }.into()
            );
        };
        // What came from another process may turn out to be undecodable only now.
        proxy.settled().map_err(|error| no_result(Outcome::Failed(error)))
    }

    /// All tasks with what came of them, in the order in which they were added.
    ///
    /// ```
    /// let mut graph = xfork::Graph::new();
    /// graph.add_named("a", xfork::io_bound(|| 5), []);
    /// let outcomes = graph.run()?;
    /// let all: Vec<_> = outcomes.iter().map(|(name, outcome)| format!("{name}: {outcome}")).collect();
    /// assert_eq!(all, ["a: done"]);
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (&str, Outcome)> {
        (0..self.states.len() as u32).map(|task| (self.names.get(task), self.outcome_of(task)))
    }

    /// The tasks that failed and how, in the order in which they were added.
    ///
    /// ```
    /// use xfork::{Graph, io_bound};
    ///
    /// let mut graph = Graph::new();
    /// graph.add_named("a", io_bound(|| -> i32 { panic!("no") }), []);
    /// let outcomes = graph.run()?;
    /// let failed: Vec<_> = outcomes.failed().map(|(name, error)| (name, error.message())).collect();
    /// assert_eq!(failed, [("a", "no".into())]);
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    pub fn failed(&self) -> impl Iterator<Item = (&str, &TaskError)> {
        let tasks = (0..self.states.len() as u32).filter(|&task| self.states[task as usize] == State::Failed);
        tasks.filter_map(|task| match self.reasons.get(&task) {
            Some(Reason::Failed(error)) => {
                error.see();
                Some((self.names.get(task), error))
            }
            _ => None,
        })
    }

    /// The tasks that were skipped and why, in the order in which they were added.
    ///
    /// ```
    /// use xfork::{Graph, io_bound};
    ///
    /// let mut graph = Graph::new();
    /// graph.add_named("a", io_bound(|| -> i32 { panic!("no") }), []);
    /// graph.add_named("b", io_bound(|n: i32| n), ["a"]);
    /// let outcomes = graph.run()?;
    /// let skipped: Vec<_> = outcomes.skipped().map(|(name, skip)| format!("{name}: {skip}")).collect();
    /// assert_eq!(skipped, ["b: its ancestor `a` failed"]);
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    pub fn skipped(&self) -> impl Iterator<Item = (&str, &Skip)> {
        let tasks =
            (0..self.states.len() as u32).filter(|&task| self.states[task as usize] == State::Skipped);
        tasks.filter_map(|task| match self.reasons.get(&task) {
            Some(Reason::Skipped(skip)) => Some((self.names.get(task), skip)),
            _ => None,
        })
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    fn find(&self, name: &str, what: &'static str) -> Result<u32, GraphError> {
        self.names.find(name).ok_or_else(|| GraphFault::unknown_task(&self.names, name, what).into())
    }

    fn number<T: Send + 'static>(&self, node: &Node<T>) -> u32 {
        assert_eq!(node.place.graph(), self.graph, "the node is of another graph");
        node.place.node()
    }

    fn proxy<T: Send + Sync + 'static>(&self, task: u32) -> Option<&ResultProxy<T>> {
        self.results.get(task as usize)?.as_ref()?.downcast_ref()
    }

    pub(super) fn outcome_of(&self, task: u32) -> Outcome {
        match (self.states.get(task as usize), self.reasons.get(&task)) {
            (Some(State::Done | State::Valueless), _) => Outcome::Done,
            (_, Some(Reason::Failed(error))) => {
                error.see();
                Outcome::Failed(error.clone())
            }
            (_, Some(Reason::Skipped(skip))) => Outcome::Skipped(skip.clone()),
            _ => Outcome::NotRun,
        }
    }
}

impl<T: Send + Sync + 'static> Index<&Node<T>> for Outcomes {
    type Output = T;

    /// The result of a task.
    ///
    /// # Panics
    ///
    /// Rethrows the panic of a task that failed, as reading its proxy would, and that of an ancestor which kept it from running.
    /// Panics, too, if the task has no result for another reason, or if the node is of another graph.
    fn index(&self, node: &Node<T>) -> &T {
        let task = self.number(node);
        if let Some(proxy) = self.proxy::<T>(task) {
            return proxy.force();
        }
        let name = self.names.get(task);
        let outcome = self.outcome_of(task);
        match &outcome {
            Outcome::Failed(error) => crate::proxy::rethrow(error),
            Outcome::Skipped(Skip::Ancestor { name: ancestor }) => {
                if let Some(ancestor) = self.names.find(ancestor)
                    && let Outcome::Failed(error) = self.outcome_of(ancestor)
                {
                    let place = self.works[task as usize].added_at();
                    crate::proxy::rethrow(&error.depended_on_by(ForkPlace {
                        place: place.into(),
                        task: name.to_owned(),
                        frames: None,
                    }));
                }
            }
            Outcome::Done => panic!("the result of `{name}` was dropped, since it is no output of the graph"),
            _ => {}
        }
        panic!("`{name}` has no result: {outcome}")
    }
}
