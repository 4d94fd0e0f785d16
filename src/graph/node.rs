//! [`Node`]: a task of a graph as an argument of others; [`Edge`]: what one task gets from another.

use crate::args::{Arg, Input, Origin, Source};
use crate::place::Place;
use crate::proxy::ResultProxy;
use crate::task::{Before, Predecessor};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

/// A task of a [`Graph`](crate::Graph), to be given to other tasks of the same graph as an argument, and to look its result up.
///
/// A clone is another handle of the same task.
///
/// ```
/// use xfork::{Graph, io_bound, task};
///
/// let mut graph = Graph::new();
/// let two = graph.add("two", task(io_bound(|| 2), ()))?;
/// let four = graph.add("four", task(io_bound(|a: i32, b: i32| a + b), (&two, two.clone())))?;
/// assert_eq!(graph.run()?[&four], 4);
/// # Ok::<(), xfork::GraphError>(())
/// ```
pub struct Node<T: Send + 'static> {
    pub(super) place: Arc<Place<T>>,
}

impl<T: Send + 'static> Clone for Node<T> {
    fn clone(&self) -> Self {
        Self { place: self.place.clone() }
    }
}

impl<T: Send + 'static> fmt::Debug for Node<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({} of graph {})", self.place.node(), self.place.graph())
    }
}

impl<T: Send + Sync + 'static> Node<T> {
    /// A part of the result, as an argument of another task.
    ///
    /// `part` is called for each task that gets it, when that is started, so it should be quick. If it panics, that task fails.
    ///
    /// ```
    /// use xfork::{Graph, io_bound, task};
    ///
    /// let mut graph = Graph::new();
    /// let pair = graph.add("pair", task(io_bound(|| (3, "three".to_string())), ()))?;
    /// let length = graph.add("length", task(io_bound(|text: String| text.len()), pair.key(|pair| pair.1.clone())))?;
    /// assert_eq!(graph.run()?[&length], 5);
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    pub fn key<U>(&self, part: impl Fn(&T) -> U + Send + Sync + 'static) -> Edge<U>
    where
        U: Clone + Send + Sync + 'static,
    {
        Edge::from(self.clone()).key(part)
    }

    /// The result as an argument of another task, with what it costs to bring it to another worker: in the unit of
    /// [`Task::cost`](crate::Task::cost). Tasks on the same worker don't pay it.
    ///
    /// ```
    /// use xfork::{Graph, Heft, io_bound, task};
    ///
    /// let mut graph = Graph::new();
    /// let one = graph.add("one", task(io_bound(|| 1), ()).cost(1.0))?;
    /// graph.add("two", task(io_bound(|n: i32| n + 1), one.comm_cost(100.0)).cost(1.0))?;
    /// let plan = graph.schedule(Heft::new(2))?;
    /// assert_eq!(plan.makespan(), 2.0);
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    pub fn comm_cost(&self, cost: f64) -> Edge<T>
    where
        T: Clone,
    {
        Edge { upstream: self.place.clone(), transfer: cost }
    }
}

/// The result of a task of a graph, or a part of it, as an argument of another; made by [`Node::key`] and [`Node::comm_cost`].
///
/// ```
/// use xfork::{Graph, io_bound, task};
///
/// let mut graph = Graph::new();
/// let words = graph.add("words", task(io_bound(|| vec!["a".to_string(), "bc".to_string()]), ()))?;
/// let second = words.key(|words| words[1].clone()).key(|word| word.len()).comm_cost(0.1);
/// let twice = graph.add("twice", task(io_bound(|n: usize| 2 * n), second))?;
/// assert_eq!(graph.run()?[&twice], 4);
/// # Ok::<(), xfork::GraphError>(())
/// ```
pub struct Edge<T: Send + 'static> {
    upstream: Arc<dyn Upstream<T>>,
    transfer: f64,
}

impl<T: Send + 'static> Clone for Edge<T> {
    fn clone(&self) -> Self {
        Self { upstream: self.upstream.clone(), transfer: self.transfer }
    }
}

impl<T: Send + 'static> fmt::Debug for Edge<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Edge(of cost {})", self.transfer)
    }
}

impl<T: Send + Sync + 'static> Edge<T> {
    /// A part of it; see [`Node::key`].
    ///
    /// ```
    /// use xfork::{Graph, io_bound, task};
    ///
    /// let mut graph = Graph::new();
    /// let pair = graph.add("pair", task(io_bound(|| ((1, 2), 3)), ()))?;
    /// let second = pair.key(|pair| pair.0).key(|pair| pair.1);
    /// let same = graph.add("same", task(io_bound(|n: i32| n), &second))?;
    /// assert_eq!(graph.run()?[&same], 2);
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    pub fn key<U>(&self, part: impl Fn(&T) -> U + Send + Sync + 'static) -> Edge<U>
    where
        U: Clone + Send + Sync + 'static,
    {
        let (of, part) = (self.upstream.clone(), Arc::new(part));
        Edge { upstream: Arc::new(Projected { of, part }), transfer: self.transfer }
    }

    /// The same with a cost; see [`Node::comm_cost`].
    ///
    /// ```
    /// use xfork::{Graph, io_bound, task};
    ///
    /// let mut graph = Graph::new();
    /// let pair = graph.add("pair", task(io_bound(|| (1, 2)), ()))?;
    /// let cheap = pair.key(|pair| pair.0).comm_cost(0.5);
    /// let same = graph.add("same", task(io_bound(|n: i32| n), cheap))?;
    /// assert_eq!(graph.run()?[&same], 1);
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    pub fn comm_cost(mut self, cost: f64) -> Self {
        self.transfer = cost;
        self
    }
}

/// Where a value comes from in each run.
trait Upstream<T: Send + 'static>: Send + Sync {
    fn origin(&self) -> Origin;
    fn proxy(&self) -> Option<ResultProxy<T>>;
}

impl<T: Send + Sync + 'static> Upstream<T> for Place<T> {
    fn origin(&self) -> Origin {
        self.origin(0.0, true)
    }

    fn proxy(&self) -> Option<ResultProxy<T>> {
        self.proxy()
    }
}

/// A part of what comes from elsewhere.
struct Projected<T: Send + 'static, P> {
    of: Arc<dyn Upstream<T>>,
    part: Arc<dyn Fn(&T) -> P + Send + Sync>,
}

impl<T: Send + Sync + 'static, P: Send + Sync + 'static> Upstream<P> for Projected<T, P> {
    fn origin(&self) -> Origin {
        Origin { is_whole: false, ..self.of.origin() }
    }

    fn proxy(&self) -> Option<ResultProxy<P>> {
        let part = self.part.clone();
        Some(ResultProxy::map(&self.of.proxy()?, move |whole| part(whole)))
    }
}

impl<T: Clone + Send + Sync + 'static> Source<T> for Edge<T> {
    fn origins(&self, to: &mut dyn FnMut(Origin)) {
        to(Origin { transfer: self.transfer, ..self.upstream.origin() });
    }

    fn input(&self) -> Option<Input<T>> {
        Some(Input::of_proxy(self.upstream.proxy()?))
    }
}

impl<T: Clone + Send + Sync + 'static> Arg<T> for Node<T> {
    fn into_input(self) -> Input<T> {
        Input::of_source(self.place)
    }
}

impl<T: Clone + Send + Sync + 'static> Arg<T> for &Node<T> {
    fn into_input(self) -> Input<T> {
        Input::of_source(self.place.clone())
    }
}

impl<T: Clone + Send + Sync + 'static> Arg<T> for Edge<T> {
    fn into_input(self) -> Input<T> {
        Input::of_source(Arc::new(self))
    }
}

impl<T: Clone + Send + Sync + 'static> Arg<T> for &Edge<T> {
    fn into_input(self) -> Input<T> {
        self.clone().into_input()
    }
}

/// A collection of edges, and how to make the collection of their values.
struct Gathered<C, T: Send + 'static, V> {
    edges: Vec<Edge<T>>,
    keys: C,
    make: fn(&C, Vec<ResultProxy<T>>) -> Input<V>,
}

impl<C: Send + Sync, T: Send + Sync + 'static, V> Source<V> for Gathered<C, T, V> {
    fn origins(&self, to: &mut dyn FnMut(Origin)) {
        for edge in &self.edges {
            to(Origin { transfer: edge.transfer, is_whole: false, ..edge.upstream.origin() });
        }
    }

    fn input(&self) -> Option<Input<V>> {
        let proxies: Option<Vec<_>> = self.edges.iter().map(|edge| edge.upstream.proxy()).collect();
        Some((self.make)(&self.keys, proxies?))
    }
}

impl<T: Send + Sync + 'static> From<Node<T>> for Edge<T> {
    /// The whole result, without a cost.
    fn from(node: Node<T>) -> Self {
        Self { upstream: node.place, transfer: 0.0 }
    }
}

macro_rules! collections {
    ($($one:ident),*) => {$(
        impl<T: Clone + Send + Sync + 'static> Arg<Vec<T>> for Vec<$one<T>> {
            fn into_input(self) -> Input<Vec<T>> {
                let edges = self.into_iter().map(Edge::from).collect();
                Input::of_source(Arc::new(Gathered { edges, keys: (), make: |(), proxies| proxies.into_input() }))
            }
        }

        impl<T: Clone + Send + Sync + 'static> Arg<Vec<T>> for &[$one<T>] {
            fn into_input(self) -> Input<Vec<T>> {
                self.to_vec().into_input()
            }
        }

        impl<T: Clone + Send + Sync + 'static> Arg<Vec<T>> for &Vec<$one<T>> {
            fn into_input(self) -> Input<Vec<T>> {
                self.clone().into_input()
            }
        }

        impl<T: Clone + Send + Sync + 'static> Arg<Option<T>> for Option<$one<T>> {
            fn into_input(self) -> Input<Option<T>> {
                let edges = self.into_iter().map(Edge::from).collect();
                let make = |(): &(), mut proxies: Vec<ResultProxy<T>>| proxies.pop().into_input();
                Input::of_source(Arc::new(Gathered { edges, keys: (), make }))
            }
        }

        impl<K, T, S> Arg<HashMap<K, T, S>> for HashMap<K, $one<T>, S>
        where
            K: Clone + Eq + Hash + Send + Sync + 'static,
            T: Clone + Send + Sync + 'static,
            S: BuildHasher + Default + 'static,
        {
            fn into_input(self) -> Input<HashMap<K, T, S>> {
                let (keys, edges) = self.into_iter().map(|(key, one)| (key, Edge::from(one))).unzip();
                let make = |keys: &Vec<K>, proxies: Vec<ResultProxy<T>>| {
                    keys.iter().cloned().zip(proxies).collect::<HashMap<K, ResultProxy<T>, S>>().into_input()
                };
                Input::of_source(Arc::new(Gathered { edges, keys, make }))
            }
        }

        impl<K, T> Arg<BTreeMap<K, T>> for BTreeMap<K, $one<T>>
        where
            K: Clone + Ord + Send + Sync + 'static,
            T: Clone + Send + Sync + 'static,
        {
            fn into_input(self) -> Input<BTreeMap<K, T>> {
                let (keys, edges) = self.into_iter().map(|(key, one)| (key, Edge::from(one))).unzip();
                let make = |keys: &Vec<K>, proxies: Vec<ResultProxy<T>>| {
                    keys.iter().cloned().zip(proxies).collect::<BTreeMap<K, ResultProxy<T>>>().into_input()
                };
                Input::of_source(Arc::new(Gathered { edges, keys, make }))
            }
        }
    )*};
}

collections! { Node, Edge }

impl<T: Send + 'static> Predecessor for Node<T> {
    fn precede(&self, before: &mut Before<'_>) {
        before.nodes.push(self.place.origin(0.0, false));
    }
}
