//! Building: tasks with typed arguments, tasks by name, and graphs out of graphs.

use super::dag::Dag;
use super::edges::{Edges, MOST};
use super::error::{GraphError, GraphFault};
use super::given::GivenCosts;
use super::names::Names;
use super::node::Node;
use super::rerun::State;
use super::work::{TypedWork, Work};
use crate::args::{Inputs, NodeArgs, Origin};
use crate::callable::Callable;
use crate::place::Place;
use crate::task::{Route, Task};
use rustc_hash::{FxHashMap, FxHashSet};
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[doc = include_str!("graph.md")]
pub struct Graph {
    pub(super) id: u64,
    pub(super) names: Arc<Names>,
    pub(super) works: Arc<Vec<Arc<dyn Work>>>,
    pub(super) edges: Edges,
    pub(super) given: GivenCosts,
    /// The tasks whose inputs are given by name, and the names.
    pub(super) named: FxHashMap<u32, Vec<String>>,
    /// What tasks wait for by name, without getting it.
    pub(super) after: FxHashMap<u32, Vec<String>>,
    /// Tasks that have the name of an earlier one.
    pub(super) duplicates: Vec<(u32, u32)>,
    pub(super) outputs: Option<Vec<String>>,
    pub(super) states: Vec<State>,
    /// Tasks that have a value because somebody has given it.
    pub(super) given_values: FxHashSet<u32>,
    /// Whether a task ever counted as done without a value.
    pub(super) may_lack_values: bool,
    pub(super) reasons: FxHashMap<u32, super::rerun::Reason>,
    /// Tasks that do the same as another, whose result they share.
    pub(super) twins: FxHashMap<u32, u32>,
    /// What has been measured in the last run of each task.
    pub(super) measured: super::costs::Measured,
    /// The shape, until something is changed.
    pub(super) checked: Option<Arc<Dag>>,
    pub(super) running: Arc<super::monitor::Current>,
    /// The tasks that are parts of expressions.
    pub(super) captured: super::capture::Captured,
    /// Where results are kept.
    pub(super) store: Option<crate::store::Store>,
    /// Of which tasks that says what is so; empty without it.
    pub(super) is_written: Vec<bool>,
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = self.states.iter().filter(|state| state.is_done()).count();
        f.debug_struct("Graph").field("tasks", &self.len()).field("done", &done).finish()
    }
}

impl Default for Graph {
    fn default() -> Self {
        Self::new()
    }
}

fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Graph {
    /// A graph without tasks.
    ///
    /// ```
    /// let mut graph = xfork::Graph::new();
    /// assert!(graph.is_empty() && graph.run()?.is_done());
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    pub fn new() -> Self {
        Self {
            id: next_id(),
            names: Arc::default(),
            works: Arc::default(),
            edges: Edges::default(),
            given: GivenCosts::default(),
            named: FxHashMap::default(),
            after: FxHashMap::default(),
            duplicates: Vec::new(),
            outputs: None,
            states: Vec::new(),
            given_values: FxHashSet::default(),
            may_lack_values: false,
            reasons: FxHashMap::default(),
            twins: FxHashMap::default(),
            measured: Default::default(),
            checked: None,
            running: Arc::default(),
            captured: Default::default(),
            store: None,
            is_written: Vec::new(),
        }
    }

    /// Adds a task under a name of its own.
    ///
    /// Arguments may be nodes of this graph, parts of them ([`Node::key`]), collections of them, values, and proxies of
    /// forks. A graph can run its tasks more than once, so the function and its arguments are cloned for each run.
    ///
    /// ```
    /// use xfork::{Graph, cpu_bound, task};
    ///
    /// #[cpu_bound]
    /// fn plus(a: i64, b: i64) -> i64 { a + b }
    ///
    /// let mut graph = Graph::new();
    /// let three = graph.add("three", task(plus, (1, 2)))?;
    /// let sum = graph.add("sum", task(plus, (&three, xfork::fork(plus, (3, 4)))))?;
    /// assert_eq!(graph.run()?[&sum], 10);
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If there is a task of that name already, or an argument is a node of another graph. The graph stays as it was.
    #[track_caller]
    pub fn add<F, A>(
        &mut self,
        name: impl AsRef<str>,
        task: Task<F, A>,
    ) -> Result<Node<F::Output>, GraphError>
    where
        F: Callable<A> + Clone + Send + 'static,
        A: NodeArgs,
        A::Inputs: Send,
        F::Mark: Route<F, A>,
        F::Output: Send + Sync + 'static,
    {
        let (name, added_at) = (name.as_ref(), Location::caller());
        let mut parts = task.into_parts();
        parts.place = added_at;
        let origins = self.origins::<A>(name, added_at, &parts.inputs, &parts.origins)?;
        if let Some(first) = self.names.find(name) {
            let first = self.works[first as usize].added_at();
            return Err(GraphFault::DuplicateName { name: name.into(), first, second: added_at }.into());
        }
        let place = Place::new();
        let cost = parts.cost.take();
        let number = self.push(name, TypedWork::new(parts, place.clone()));
        self.edges.push(&origins);
        self.given.set(number, cost);
        Ok(Node { place })
    }

    /// Adds a task whose arguments are the results of the tasks with these names, in this order, which may be added later.
    ///
    /// Results of type `()` are waited for, but are no arguments; a name that is listed twice is two arguments. Whether all
    /// names exist and all types fit, [`check`](Self::check) finds out, for all tasks together. What else can be said of a task is
    /// said by its name: [`set_limits`](Self::set_limits), [`set_saved`](Self::set_saved), [`set_cost`](Self::set_cost).
    ///
    /// ```
    /// use xfork::{Graph, io_bound};
    ///
    /// let mut graph = Graph::new();
    /// graph.add_named("c", io_bound(|a: i32, b: i32| a + b), ["a", "b"]);
    /// graph.add_named("b", io_bound(|a: i32| a + 10), ["a"]);
    /// graph.add_named("a", io_bound(|| 5), []);
    /// assert_eq!(graph.run()?.value::<i32>("c")?, &20);
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    #[track_caller]
    pub fn add_named<'a, F, A>(
        &mut self,
        name: impl AsRef<str>,
        function: F,
        inputs: impl IntoIterator<Item = &'a str>,
    ) -> Node<F::Output>
    where
        F: Callable<A> + Clone + Send + 'static,
        A: NodeArgs,
        A::Inputs: Send,
        F::Mark: Route<F, A>,
        F::Output: Send + Sync + 'static,
    {
        let place = Place::new();
        let work = TypedWork::<F, A, _>::named(function, place.clone(), Location::caller());
        let number = self.push(name.as_ref(), work);
        self.edges.push(&[]);
        self.named.insert(number, inputs.into_iter().map(str::to_owned).collect());
        Node { place }
    }

    /// Puts another task in the place of one, which counts as not run from then on, and so do its descendants.
    ///
    /// ```
    /// use xfork::{Graph, io_bound, task};
    ///
    /// let mut graph = Graph::new();
    /// let one = graph.add("one", task(io_bound(|| 1), ()))?;
    /// let twice = graph.add("twice", task(io_bound(|n: i32| 2 * n), &one))?;
    /// assert_eq!(graph.run()?[&twice], 2);
    /// graph.replace("one", task(io_bound(|| 5), ()))?;
    /// assert_eq!(graph.run()?[&twice], 10);
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If there is no such task, its result has another type, an argument is a node of another graph, or the task was
    /// [captured](Self::add_expression) and other captured parts contain it. The graph stays as it was.
    #[track_caller]
    pub fn replace<F, A>(
        &mut self,
        name: impl AsRef<str>,
        task: Task<F, A>,
    ) -> Result<Node<F::Output>, GraphError>
    where
        F: Callable<A> + Clone + Send + 'static,
        A: NodeArgs,
        A::Inputs: Send,
        F::Mark: Route<F, A>,
        F::Output: Send + Sync + 'static,
    {
        let (name, added_at) = (name.as_ref(), Location::caller());
        let mut parts = task.into_parts();
        parts.place = added_at;
        let number = self.number(name, "replace")?;
        let place = self.place_of::<F::Output>(number)?;
        self.check_unused(number, "replace")?;
        let origins = self.origins::<A>(name, added_at, &parts.inputs, &parts.origins)?;
        let descendants = self.descendants(&[number]);
        let cost = parts.cost.take();
        self.part_twins(number);
        Arc::make_mut(&mut self.works)[number as usize] = TypedWork::new(parts, place.clone());
        self.edges.replace(number, &origins);
        self.given.set(number, cost);
        self.named.remove(&number);
        self.after.remove(&number);
        self.measured.forget(number);
        self.changed();
        self.forget(&descendants);
        Ok(Node { place })
    }

    /// Has one task start only after another, by name, without getting its result.
    ///
    /// ```
    /// use xfork::{Graph, io_bound};
    ///
    /// let mut graph = Graph::new();
    /// graph.add_named("clean", io_bound(|| ()), []);
    /// graph.add_named("build", io_bound(|| 1), []);
    /// graph.put_before("clean", "build")?;
    /// assert!(graph.run()?.is_done());
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If there is no task `second`; that there is none of the name `first` is told by [`check`](Self::check).
    pub fn put_before(&mut self, first: &str, second: &str) -> Result<(), GraphError> {
        let second = self.number(second, "put another task before")?;
        self.part_twins(second);
        self.after.entry(second).or_default().push(first.into());
        self.changed();
        Ok(())
    }

    /// Says whose results are wanted; all, if nothing is said. The others are run, too, and their results are dropped as soon
    /// as no task needs them. What was captured by [`add_expression`](Self::add_expression) stays with its task.
    ///
    /// ```
    /// use xfork::{Graph, Outcome, io_bound, task};
    ///
    /// let mut graph = Graph::new();
    /// let big = graph.add("big", task(io_bound(|| vec![1; 1000]), ()))?;
    /// let sum = graph.add("sum", task(io_bound(|all: Vec<i32>| all.iter().sum::<i32>()), &big))?;
    /// graph.outputs(["sum"]);
    /// let done = graph.run()?;
    /// assert_eq!(done[&sum], 1000);
    /// assert!(done.get(&big).is_none());
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    pub fn outputs<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        self.outputs = Some(names.into_iter().map(str::to_owned).collect());
        self.changed();
    }

    /// How many tasks there are.
    ///
    /// ```
    /// assert_eq!(xfork::Graph::new().len(), 0);
    /// ```
    pub fn len(&self) -> usize {
        self.works.len()
    }

    /// Whether there are none.
    ///
    /// ```
    /// assert!(xfork::Graph::new().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.works.is_empty()
    }

    /// The names of all tasks, in the order in which they were added.
    ///
    /// ```
    /// let mut graph = xfork::Graph::new();
    /// graph.add_named("a", xfork::io_bound(|| 5), []);
    /// assert_eq!(graph.names().collect::<Vec<_>>(), ["a"]);
    /// ```
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter()
    }

    /// The name of a task.
    ///
    /// ```
    /// use xfork::{Graph, io_bound, task};
    ///
    /// let mut graph = Graph::new();
    /// let one = graph.add("one", task(io_bound(|| 1), ()))?;
    /// graph.prefix("first");
    /// assert_eq!(graph.name(&one), "first/one");
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If the node is of another graph.
    pub fn name<T: Send + 'static>(&self, node: &Node<T>) -> &str {
        assert_eq!(node.place.graph(), self.id, "the node is of another graph");
        self.names.get(node.place.node())
    }

    /// Puts `prefix/` before all names, so that another graph with the same names can be [merged](Self::merge).
    ///
    /// ```
    /// let mut graph = xfork::Graph::new();
    /// graph.add_named("a", xfork::io_bound(|| 5), []);
    /// graph.add_named("b", xfork::io_bound(|n: i32| n), ["a"]);
    /// graph.prefix("left");
    /// assert_eq!(graph.names().collect::<Vec<_>>(), ["left/a", "left/b"]);
    /// assert_eq!(graph.run()?.value::<i32>("left/b")?, &5);
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    pub fn prefix(&mut self, prefix: &str) {
        let longer = |name: &str| format!("{prefix}/{name}");
        let mut names = Names::default();
        for name in self.names.iter() {
            // That some are equal is known already.
            let _ = names.push(&longer(name));
        }
        self.names = Arc::new(names);
        let lists = self.named.values_mut().chain(self.after.values_mut()).chain(&mut self.outputs);
        for name in lists.flatten() {
            *name = longer(name);
        }
        self.reasons.values_mut().for_each(|reason| reason.rename(longer));
        self.changed();
    }

    /// Adds all tasks of another graph; its nodes are nodes of this graph from then on.
    ///
    /// ```
    /// use xfork::{Graph, io_bound, task};
    ///
    /// let (mut left, mut right) = (Graph::new(), Graph::new());
    /// let one = left.add("one", task(io_bound(|| 1), ()))?;
    /// let two = right.add("two", task(io_bound(|| 2), ()))?;
    /// left.merge(right)?;
    /// let sum = left.add("sum", task(io_bound(|a: i32, b: i32| a + b), (&one, &two)))?;
    /// assert_eq!(left.run()?[&sum], 3);
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If both have tasks of the same name: all of those. This graph stays as it was.
    pub fn merge(&mut self, other: Self) -> Result<(), GraphError> {
        let both = other.names.iter().enumerate().filter_map(|(second, name)| {
            let first = self.works[self.names.find(name)? as usize].added_at();
            Some(GraphFault::DuplicateName {
                name: name.into(),
                first,
                second: other.works[second].added_at(),
            })
        });
        let both: Vec<_> = both.collect();
        if !both.is_empty() {
            return Err(GraphError::new(both));
        }
        assert!(self.len() + other.len() < MOST, "a graph has at most {MOST} tasks");
        let (by, len) = (self.len() as u32, other.len() as u32);
        let mut duplicates =
            other.duplicates.iter().map(|&(first, second)| (first + by, second + by)).collect();
        for (number, name) in other.names.iter().enumerate() {
            let work = other.works[number].clone();
            work.place().set_position(self.id, by + number as u32);
            let _ = Arc::make_mut(&mut self.names).push(name);
            Arc::make_mut(&mut self.works).push(work);
        }
        self.edges.append(&other.edges, by);
        self.given.append(&other.given, by, len);
        self.duplicates.append(&mut duplicates);
        self.states.extend(&other.states);
        self.given_values.extend(other.given_values.iter().map(|task| task + by));
        self.may_lack_values |= other.may_lack_values;
        self.named.extend(other.named.into_iter().map(|(task, names)| (task + by, names)));
        self.after.extend(other.after.into_iter().map(|(task, names)| (task + by, names)));
        self.reasons.extend(other.reasons.into_iter().map(|(task, reason)| (task + by, reason)));
        self.twins.extend(other.twins.into_iter().map(|(task, first)| (task + by, first + by)));
        self.measured.append(&other.measured, by);
        self.captured.append(&other.captured, by);
        if let Some(outputs) = other.outputs {
            match &mut self.outputs {
                Some(own) => own.extend(outputs),
                // All of this graph's, and only those of the other.
                own => {
                    *own =
                        Some(self.names.iter().take(by as usize).map(str::to_owned).chain(outputs).collect())
                }
            }
        } else if let Some(own) = &mut self.outputs {
            own.extend(other.names.iter().map(str::to_owned));
        }
        self.changed();
        Ok(())
    }

    pub(super) fn push(&mut self, name: &str, work: Arc<dyn Work>) -> u32 {
        let number = self.works.len() as u32;
        assert!(self.works.len() < MOST, "a graph has at most {MOST} tasks");
        if let Err(first) = Arc::make_mut(&mut self.names).push(name) {
            self.duplicates.push((first, number));
        }
        work.place().set_position(self.id, number);
        Arc::make_mut(&mut self.works).push(work);
        self.states.push(State::New);
        self.changed();
        number
    }

    /// The nodes that a task waits for.
    fn origins<A: NodeArgs>(
        &self,
        name: &str,
        place: &'static Location<'static>,
        inputs: &A::Inputs,
        after: &[Origin],
    ) -> Result<Vec<Origin>, GraphError> {
        let mut origins = Vec::new();
        inputs.origins(&mut |origin| origins.push(origin));
        origins.extend(after);
        if origins.iter().any(|origin| origin.graph != self.id) {
            return Err(GraphFault::ForeignNode { task: name.into(), place }.into());
        }
        Ok(origins)
    }

    /// The number of the task of this name.
    pub(super) fn number(&self, name: &str, what: &'static str) -> Result<u32, GraphError> {
        self.names.find(name).ok_or_else(|| self.unknown(name, what).into())
    }

    pub(super) fn unknown(&self, name: &str, what: &'static str) -> GraphFault {
        GraphFault::unknown_task(&self.names, name, what)
    }

    /// The place of a task's result, if that is a `T`.
    pub(super) fn place_of<T: Send + Sync + 'static>(&self, task: u32) -> Result<Arc<Place<T>>, GraphError> {
        let work = &self.works[task as usize];
        let result = work.place().output().name;
        work.any_place().downcast().map_err(|_| {
            let given = std::any::type_name::<T>();
            GraphFault::ResultType {
                task: self.names.get(task).into(),
                result,
                given,
                place: work.added_at(),
            }
            .into()
        })
    }

    /// Says that the shape may not be what it was.
    pub(super) fn changed(&mut self) {
        self.checked = None;
    }
}
