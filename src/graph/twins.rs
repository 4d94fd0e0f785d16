//! Tasks that do the same: computed once.

use super::build::Graph;
use super::error::GraphError;
use crate::task::Cost;
use rustc_hash::FxHashMap;
use std::any::TypeId;
use std::collections::hash_map::Entry;

/// What makes a task equal to another: its function, what it waits for and how, and the arguments that are values.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    function: TypeId,
    inputs: Vec<(u32, bool)>,
    arguments: Vec<u8>,
}

impl Graph {
    /// Has tasks that call the same function with equal arguments be computed once: the first of them is run, and the others get
    /// its result. What needs equal results then has equal arguments, too.
    ///
    /// Arguments are equal if they come from equal tasks, or are encoded alike. So this is for cpu-bound functions, whose
    /// arguments can be encoded, and for any function all of whose arguments are results. Tasks are left alone that get parts
    /// or collections of results, or proxies; functions that capture, since these are not known; and functions that are run in
    /// place. Use it for functions whose result depends on nothing but their arguments. Limits and priorities are those of the
    /// first. Replacing a task, putting another before it or marking it as done makes it a task of its own again.
    ///
    /// Gives the names of the tasks that are computed for others, each with those others; the greatest of their costs counts.
    ///
    /// ```
    /// use xfork::{Graph, cpu_bound, task};
    ///
    /// #[cpu_bound]
    /// fn square(n: i64) -> i64 { n * n }
    /// #[cpu_bound]
    /// fn plus(a: i64, b: i64) -> i64 { a + b }
    ///
    /// let mut graph = Graph::new();
    /// let (a, b) = (graph.add("a", task(square, 3))?, graph.add("b", task(square, 3))?);
    /// let (c, d) = (graph.add("c", task(plus, (&a, &b)))?, graph.add("d", task(plus, (&b, &a)))?);
    /// assert_eq!(graph.remove_duplicates()?, [("a".into(), vec!["b".into()]), ("c".into(), vec!["d".into()])]);
    /// let outcomes = graph.run()?;
    /// assert_eq!((outcomes[&b], outcomes[&d]), (9, 18));
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the graph does not pass [`check`](Self::check).
    pub fn remove_duplicates(&mut self) -> Result<Vec<(String, Vec<String>)>, GraphError> {
        let dag = self.shape()?;
        let mut known = FxHashMap::<Key, u32>::default();
        let mut first_of: Vec<u32> = (0..self.len() as u32).collect();
        for task in dag.order() {
            if let Some(&first) = self.twins.get(&task) {
                first_of[task as usize] = first_of[first as usize];
                continue;
            }
            let Some(key) = self.key(task, dag.predecessors.of(task), &first_of) else { continue };
            match known.entry(key) {
                Entry::Vacant(place) => {
                    place.insert(task);
                }
                Entry::Occupied(first) => first_of[task as usize] = *first.get(),
            }
        }
        let mut others = FxHashMap::<u32, Vec<String>>::default();
        for task in 0..self.len() as u32 {
            let first = first_of[task as usize];
            if first != task {
                others.entry(first).or_default().push(self.names.get(task).to_owned());
                if self.twins.insert(task, first).is_none() {
                    self.share_cost(first, task);
                }
            }
        }
        self.changed();
        let mut firsts: Vec<u32> = others.keys().copied().collect();
        firsts.sort_unstable();
        let name = |first: u32| self.names.get(first).to_owned();
        Ok(firsts.into_iter().map(|first| (name(first), others.remove(&first).unwrap_or_default())).collect())
    }

    /// Has a task that will do something else be equal to none: the first of those that it computed is computed for the others.
    pub(super) fn part_twins(&mut self, task: u32) {
        self.twins.remove(&task);
        let mut others: Vec<u32> =
            self.twins.iter().filter(|(_, first)| **first == task).map(|(&other, _)| other).collect();
        others.sort_unstable();
        let Some((&first, others)) = others.split_first() else { return };
        self.twins.remove(&first);
        self.given.set(first, self.given.of(task));
        for &other in others {
            self.twins.insert(other, first);
        }
    }

    /// What a task is equal by, if that can be told.
    fn key(&self, task: u32, predecessors: &[u32], first_of: &[u32]) -> Option<Key> {
        let identity = self.works[task as usize].identity()?;
        let is_named = self.named.contains_key(&task);
        let mut links = self.edges.of(task);
        let mut arguments = 0;
        let mut inputs = Vec::with_capacity(predecessors.len());
        for (place, &before) in predecessors.iter().enumerate() {
            let is_argument = match links.next() {
                Some((link, _)) if link.is_fed() && !link.is_whole_argument() => return None,
                Some((link, _)) => link.is_fed(),
                None => is_named && place < self.named[&task].len(),
            };
            arguments += usize::from(is_argument);
            inputs.push((first_of[before as usize], is_argument));
        }
        let values = match identity.arguments {
            Some(values) => values,
            // All of them are results.
            None if is_named || arguments == identity.parameters => Vec::new(),
            None => return None,
        };
        Some(Key { function: identity.function, inputs, arguments: values })
    }

    fn share_cost(&mut self, first: u32, other: u32) {
        if let (Some(Cost::Same(one)), Some(Cost::Same(two))) = (self.given.of(first), self.given.of(other)) {
            self.given.set(first, Some(Cost::Same(one.max(two))));
        }
        if self.given.of(other).is_some() {
            self.given.set(other, Some(Cost::Same(0.0)));
        }
    }
}
