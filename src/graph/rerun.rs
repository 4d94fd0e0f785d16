//! What has been done and what is still to be done, from one run to the next.

use super::build::Graph;
use super::error::{GraphError, GraphFault};
use super::outcome::{Outcomes, Skip};
use super::turn::in_turn;
use crate::core::error::TaskError;
use crate::proxy::ready;
use std::any::TypeId;

/// How far a task has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It is to be run.
    New,
    Done,
    /// It counts as done, and has no value.
    Valueless,
    Failed,
    Skipped,
}

impl State {
    pub(super) fn is_done(self) -> bool {
        matches!(self, Self::Done | Self::Valueless)
    }
}

/// Why a task has no result.
#[derive(Clone, Debug)]
pub(super) enum Reason {
    Failed(TaskError),
    Skipped(Skip),
}

impl Reason {
    /// Calls the task that is to blame as `new` says.
    pub(super) fn rename(&mut self, new: impl Fn(&str) -> String) {
        if let Self::Skipped(Skip::Ancestor { name } | Skip::FailFast { name }) = self {
            *name = new(name);
        }
    }
}

impl Graph {
    /// Has what failed run again, with everything that needs it: what was skipped, and what was done before and is not any
    /// more what it would be.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicBool, Ordering};
    /// use xfork::{Graph, io_bound, task};
    ///
    /// let is_up = Arc::new(AtomicBool::new(false));
    /// let ask = |is_up: Arc<AtomicBool>| { assert!(is_up.load(Ordering::Relaxed), "no connection"); 7 };
    ///
    /// let mut graph = Graph::new();
    /// let answer = graph.add("answer", task(io_bound(ask), is_up.clone()))?;
    /// let twice = graph.add("twice", task(io_bound(|n: i32| 2 * n), &answer))?;
    /// assert_eq!(graph.run()?.failed().count(), 1);
    ///
    /// is_up.store(true, Ordering::Relaxed);
    /// assert_eq!(graph.reset_failed(), 2);
    /// assert_eq!(graph.run()?[&twice], 14);
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    ///
    /// Says how many tasks are to be run that were not before.
    pub fn reset_failed(&mut self) -> usize {
        let is_failed = |&task: &u32| matches!(self.states[task as usize], State::Failed | State::Skipped);
        let failed: Vec<u32> = (0..self.len() as u32).filter(is_failed).collect();
        let all = self.descendants(&failed);
        self.forget(&all)
    }

    /// Has these tasks run again, with everything that needs them; says how many tasks are to be run that were not before.
    ///
    /// ```
    /// use xfork::{Graph, io_bound};
    ///
    /// let mut graph = Graph::new();
    /// graph.add_named("a", io_bound(|| 5), []);
    /// graph.add_named("b", io_bound(|n: i32| n), ["a"]);
    /// graph.run()?;
    /// assert_eq!(graph.reset(["b"])?, 1);
    /// assert_eq!(graph.ready(), ["b"]);
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If one of them does not exist; nothing is reset then.
    pub fn reset<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) -> Result<usize, GraphError> {
        let tasks = self.numbers(names, "reset")?;
        let all = self.descendants(&tasks);
        Ok(self.forget(&all))
    }

    /// Has a task count as done, with this value. What was skipped because it had failed will be run; what is done stays as it
    /// is, whatever value it was made of.
    ///
    /// ```
    /// use xfork::{Graph, io_bound};
    ///
    /// let mut graph = Graph::new();
    /// graph.add_named("a", io_bound(|| -> i32 { unreachable!("it is done already") }), []);
    /// graph.add_named("b", io_bound(|n: i32| n + 1), ["a"]);
    /// graph.mark_done("a", 5)?;
    /// assert_eq!(graph.run()?.value::<i32>("b")?, &6);
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If there is no such task, its result has another type, or it was [captured](Self::add_expression) and other captured
    /// parts contain it.
    pub fn mark_done<T: Send + Sync + 'static>(&mut self, name: &str, value: T) -> Result<(), GraphError> {
        let task = self.number(name, "mark as done")?;
        let place = self.place_of::<T>(task)?;
        self.check_unused(task, "mark as done")?;
        place.set(ready(value));
        self.part_twins(task);
        self.set_state(task, State::Done);
        self.given_values.insert(task);
        let is_skipped = |&task: &u32| self.states[task as usize] == State::Skipped;
        let skipped: Vec<u32> = self.descendants(&[task]).into_iter().filter(is_skipped).collect();
        self.forget(&skipped);
        Ok(())
    }

    /// Has all tasks count as done but these, which are run. Those without a value count as if they had returned `()`: tasks
    /// that get their results by name are called without them.
    ///
    /// ```
    /// use xfork::{Graph, io_bound};
    ///
    /// let mut graph = Graph::new();
    /// graph.add_named("a", io_bound(|| -> i32 { unreachable!("it is done already") }), []);
    /// graph.add_named("b", io_bound(|| 1), ["a"]);
    /// graph.mark_done_except(["b"])?;
    /// assert_eq!(graph.run()?.value::<i32>("b")?, &1);
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If one of them does not exist; nothing is marked then.
    pub fn mark_done_except<'a>(
        &mut self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), GraphError> {
        let tasks = self.numbers(names, "run")?;
        let mut is_to_run = vec![false; self.len()];
        tasks.iter().for_each(|&task| is_to_run[task as usize] = true);
        for task in 0..self.len() as u32 {
            let place = self.works[task as usize].place();
            if is_to_run[task as usize] {
                place.clear();
                self.set_state(task, State::New);
            } else if self.states[task as usize] != State::Done {
                if place.output().id == TypeId::of::<()>() {
                    self.place_of::<()>(task)?.set(ready(()));
                    self.set_state(task, State::Done);
                } else {
                    place.clear();
                    self.set_state(task, State::Valueless);
                }
            }
        }
        Ok(())
    }

    /// The names of the tasks that are done, in the order in which they were added.
    ///
    /// ```
    /// let mut graph = xfork::Graph::new();
    /// graph.add_named("a", xfork::io_bound(|| 5), []);
    /// assert!(graph.done().is_empty());
    /// graph.run()?;
    /// assert_eq!(graph.done(), ["a"]);
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    pub fn done(&self) -> Vec<&str> {
        self.named_where(|task| self.states[task as usize].is_done())
    }

    /// The names of the tasks that would start at once if the graph were run: those that run on threads first, which mostly
    /// wait, then the more urgent ones.
    ///
    /// ```
    /// let mut graph = xfork::Graph::new();
    /// graph.add_named("b", xfork::io_bound(|n: i32| n), ["a"]);
    /// graph.add_named("a", xfork::io_bound(|| 5), []);
    /// assert_eq!(graph.ready(), ["a"]);
    /// ```
    ///
    /// A graph that does not pass [`check`](Self::check) has none.
    pub fn ready(&mut self) -> Vec<&str> {
        let Ok(dag) = self.shape() else { return Vec::new() };
        let is_ready = |&task: &u32| {
            let waits = |&before: &u32| !self.states[before as usize].is_done();
            self.states[task as usize] == State::New && !dag.predecessors.of(task).iter().any(waits)
        };
        let mut ready: Vec<u32> = (0..self.len() as u32).filter(is_ready).collect();
        in_turn(&self.works, &mut ready, |_| 0);
        ready.into_iter().map(|task| self.names.get(task)).collect()
    }

    /// What has come of the tasks so far.
    ///
    /// ```
    /// use xfork::{Graph, io_bound, task};
    ///
    /// let mut graph = Graph::new();
    /// let one = graph.add("one", task(io_bound(|| 1), ()))?;
    /// assert!(graph.results().get(&one).is_none());
    /// graph.run()?;
    /// assert_eq!(graph.results()[&one], 1);
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    pub fn results(&self) -> Outcomes {
        Outcomes::of(self)
    }

    /// These tasks and all that need their results, directly or through others.
    pub(super) fn descendants(&self, tasks: &[u32]) -> Vec<u32> {
        let mut marked = vec![false; self.len()];
        tasks.iter().for_each(|&task| marked[task as usize] = true);
        // Whatever is wrong with the graph by now: what it has run needs what it has run.
        let (builder, _) = self.predecessors(&mut Vec::new());
        builder.mark_descendants(&mut marked);
        (0..self.len() as u32).filter(|&task| marked[task as usize]).collect()
    }

    /// Forgets what came of these tasks; says of how many something was known.
    pub(super) fn forget(&mut self, tasks: &[u32]) -> usize {
        let mut count = 0;
        for &task in tasks {
            self.works[task as usize].place().clear();
            count += usize::from(self.states[task as usize] != State::New);
            self.set_state(task, State::New);
        }
        count
    }

    pub(super) fn set_state(&mut self, task: u32, state: State) {
        let before = std::mem::replace(&mut self.states[task as usize], state);
        self.reasons.remove(&task);
        self.given_values.remove(&task);
        if let Some(is_written) = self.is_written.get_mut(task as usize) {
            *is_written = false;
        }
        self.may_lack_values |= state == State::Valueless;
        let is_fed_else = (before == State::Valueless) != (state == State::Valueless);
        // Whether it is fed at all: see the check.
        if is_fed_else || self.may_lack_values && before.is_done() != state.is_done() {
            self.changed();
        }
    }

    /// The numbers of the tasks of these names.
    fn numbers<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
        what: &'static str,
    ) -> Result<Vec<u32>, GraphError> {
        let (mut numbers, mut faults) = (Vec::new(), Vec::<GraphFault>::new());
        for name in names {
            match self.names.find(name) {
                Some(number) => numbers.push(number),
                None => faults.push(self.unknown(name, what)),
            }
        }
        if faults.is_empty() { Ok(numbers) } else { Err(GraphError::new(faults)) }
    }

    fn named_where(&self, is: impl Fn(u32) -> bool) -> Vec<&str> {
        (0..self.len() as u32).filter(|&task| is(task)).map(|task| self.names.get(task)).collect()
    }
}
