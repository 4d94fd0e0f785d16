//! What a run would do, without doing it.

use super::build::Graph;
use super::dag::Dag;
use super::error::GraphError;
use super::names::{Names, in_one_line, shown};
use super::options::RunOptions;
use super::outcome::Skip;
use super::rerun::{Reason, State};
use super::running::{DONE, End, Running, SKIPPED};
use super::turn::{Turn, in_turn, turn};
use super::work::Work;
use crate::plan;
use crate::task::Where;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What a run of a graph would do; made by [`Graph::dry_run`]. Shown, it is a numbered list.
///
/// ```
/// use xfork::{Graph, cpu_bound, io_bound};
///
/// #[cpu_bound]
/// fn square(n: i64) -> i64 { n * n }
///
/// let mut graph = Graph::new();
/// graph.add_named("square", square, ["read it"]);
/// graph.add_named("read it", io_bound(|| 3_i64), []);
/// graph.add_named("known", io_bound(|| 3), []);
/// graph.mark_done("known", 3)?;
/// let expected = "\
/// to run: 2 tasks
///   1. \"read it\" (thread)
///   2. square (process), after \"read it\"
/// done: 1 task
/// ";
/// assert_eq!(graph.dry_run()?.to_string(), expected);
/// # Ok::<(), xfork::GraphError>(())
/// ```
pub struct DryRun {
    names: Arc<Names>,
    works: Arc<Vec<Arc<dyn Work>>>,
    dag: Arc<Dag>,
    order: Vec<u32>,
    /// Tasks that get the results of equal ones, and those.
    shared: Vec<(u32, u32)>,
    skipped: Vec<(u32, Skip)>,
    /// By number.
    done: Vec<u32>,
    failed: Vec<u32>,
}

impl fmt::Debug for DryRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DryRun")
            .field("to run", &self.order.len())
            .field("skipped", &self.skipped.len())
            .field("done", &self.done.len())
            .field("failed", &self.failed.len())
            .finish()
    }
}

impl Graph {
    /// Tells what [`run`](Self::run) would do now, under the current plan, and runs nothing: which tasks it would start in which
    /// order, which it would skip because of earlier failures, and which are done.
    ///
    /// The order is the one in which one worker would take the tasks, if none of them failed: among those that could start, those that
    /// run on threads come first, then the more urgent, then those with the longest way to the end, then those that have waited
    /// longest. With several workers the next ones start sooner, and their order may depend on how long others take. Under
    /// [`Plan::sequential`](crate::Plan::sequential) each task runs as soon as it could, before any that can only start later.
    ///
    /// ```
    /// use xfork::{Graph, Limits, io_bound};
    ///
    /// let mut graph = Graph::new();
    /// graph.add_named("sum", io_bound(|a: i32, b: i32| a + b), ["a", "b"]);
    /// graph.add_named("a", io_bound(|| -> i32 { unreachable!("nothing runs") }), []);
    /// graph.add_named("b", io_bound(|| 2), []);
    /// graph.set_limits("b", Limits::new().priority(1))?;
    /// let plan = graph.dry_run()?;
    /// assert_eq!(plan.order().collect::<Vec<_>>(), ["b", "a", "sum"]);
    /// assert!(graph.done().is_empty());
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run), before anything has run.
    pub fn dry_run(&mut self) -> Result<DryRun, GraphError> {
        self.take_added_since()?;
        let dag = self.shape()?;
        let states = self.states_to_run(&dag)?;
        let in_state = |is: fn(State) -> bool| {
            let tasks = (0..states.len() as u32).filter(|&task| is(states[task as usize]));
            tasks.collect::<Vec<u32>>()
        };
        let (done, failed) = (in_state(State::is_done), in_state(|state| state == State::Failed));
        let skipped = in_state(|state| state == State::Skipped).into_iter();
        let skipped = skipped.filter_map(|task| match self.reasons.get(&task) {
            Some(Reason::Skipped(skip)) => Some((task, skip.clone())),
            _ => None,
        });
        let mut skipped: Vec<_> = skipped.collect();
        let runners = plan::runners();
        let kept = std::mem::replace(&mut self.states, states);
        let running = Running::new(self, dag.clone(), RunOptions::new(), None, &runners);
        self.states = kept;
        let rehearsed = rehearse(&running, runners.cpu.runs_in_place());
        skipped.extend(rehearsed.skipped);
        skipped.sort_unstable_by_key(|&(task, _)| task);
        let (names, works) = (self.names.clone(), self.works.clone());
        let Rehearsed { order, shared, .. } = rehearsed;
        Ok(DryRun { names, works, dag, order, shared, skipped, done, failed })
    }
}

impl DryRun {
    /// The names of the tasks that would be started, in that order.
    ///
    /// ```
    /// let mut graph = xfork::Graph::new();
    /// graph.add_named("b", xfork::io_bound(|n: i32| n), ["a"]);
    /// graph.add_named("a", xfork::io_bound(|| 5), []);
    /// assert_eq!(graph.dry_run()?.order().collect::<Vec<_>>(), ["a", "b"]);
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    pub fn order(&self) -> impl ExactSizeIterator<Item = &str> {
        self.order.iter().map(|&task| self.names.get(task))
    }

    /// The tasks that would not be run because of failures from before, in the order in which they were added.
    ///
    /// ```
    /// use xfork::{Graph, io_bound};
    ///
    /// let mut graph = Graph::new();
    /// graph.add_named("a", io_bound(|| -> i32 { panic!("no") }), []);
    /// assert_eq!(graph.run()?.failed().count(), 1);
    /// graph.add_named("b", io_bound(|n: i32| n), ["a"]);
    /// let plan = graph.dry_run()?;
    /// let skipped: Vec<_> = plan.skipped().map(|(name, skip)| format!("{name}: {skip}")).collect();
    /// assert_eq!(skipped, ["b: its ancestor `a` failed"]);
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    pub fn skipped(&self) -> impl ExactSizeIterator<Item = (&str, &Skip)> {
        self.skipped.iter().map(|(task, skip)| (self.names.get(*task), skip))
    }

    /// The tasks that would get the result of an equal one, each with that one; see
    /// [`remove_duplicates`](Graph::remove_duplicates).
    ///
    /// ```
    /// use xfork::{Graph, cpu_bound, task};
    ///
    /// #[cpu_bound]
    /// fn square(n: i64) -> i64 { n * n }
    ///
    /// let mut graph = Graph::new();
    /// graph.add("a", task(square, 3))?;
    /// graph.add("b", task(square, 3))?;
    /// graph.remove_duplicates()?;
    /// assert_eq!(graph.dry_run()?.shared().collect::<Vec<_>>(), [("b", "a")]);
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    pub fn shared(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.shared.iter().map(|&(task, first)| (self.names.get(task), self.names.get(first)))
    }

    /// The tasks that are done already, in the order in which they were added.
    ///
    /// ```
    /// let mut graph = xfork::Graph::new();
    /// graph.add_named("a", xfork::io_bound(|| 5), []);
    /// graph.run()?;
    /// assert_eq!(graph.dry_run()?.done().collect::<Vec<_>>(), ["a"]);
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    pub fn done(&self) -> impl ExactSizeIterator<Item = &str> {
        self.done.iter().map(|&task| self.names.get(task))
    }

    /// The tasks that have failed before and would not be run again, in the order in which they were added; see
    /// [`reset_failed`](Graph::reset_failed).
    ///
    /// ```
    /// let mut graph = xfork::Graph::new();
    /// graph.add_named("a", xfork::io_bound(|| -> i32 { panic!("no") }), []);
    /// assert_eq!(graph.run()?.failed().count(), 1);
    /// assert_eq!(graph.dry_run()?.failed().collect::<Vec<_>>(), ["a"]);
    /// graph.reset_failed();
    /// assert_eq!(graph.dry_run()?.order().collect::<Vec<_>>(), ["a"]);
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    pub fn failed(&self) -> impl ExactSizeIterator<Item = &str> {
        self.failed.iter().map(|&task| self.names.get(task))
    }

    /// What a task that would be started waits for, by number.
    fn waits_for(&self, task: u32) -> Vec<u32> {
        let before = self.dag.predecessors.of(task).iter().copied();
        let mut open: Vec<u32> = before.filter(|before| self.done.binary_search(before).is_err()).collect();
        open.sort_unstable();
        open.dedup();
        open
    }
}

impl fmt::Display for DryRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Of what a task waits for, so many names are shown.
        const SHOWN: usize = 8;
        let counted = |count: usize| format!("{count} task{}", if count == 1 { "" } else { "s" });
        writeln!(f, "to run: {}", counted(self.order.len()))?;
        for (place, &task) in self.order.iter().enumerate() {
            let runs = match self.works[task as usize].runs() {
                Where::Process => "process",
                Where::Thread => "thread",
                Where::Here => "in place",
            };
            write!(f, "  {}. {} ({runs})", place + 1, shown(self.names.get(task)))?;
            let before = self.waits_for(task);
            for (place, &before) in before.iter().take(SHOWN).enumerate() {
                let comma = if place == 0 { ", after" } else { "," };
                write!(f, "{comma} {}", shown(self.names.get(before)))?;
            }
            match before.len().saturating_sub(SHOWN) {
                0 => writeln!(f)?,
                more => writeln!(f, " and {more} more")?,
            }
        }
        if !self.shared.is_empty() {
            writeln!(f, "equal to others: {}", counted(self.shared.len()))?;
            self.shared()
                .try_for_each(|(task, first)| writeln!(f, "  - {} to {}", shown(task), shown(first)))?;
        }
        if !self.skipped.is_empty() {
            writeln!(f, "skipped: {}", counted(self.skipped.len()))?;
            for (task, skip) in self.skipped() {
                writeln!(f, "  - {}: {}", shown(task), in_one_line(&skip.to_string()))?;
            }
        }
        if !self.failed.is_empty() {
            writeln!(f, "failed before: {}", counted(self.failed.len()))?;
            self.failed().try_for_each(|task| writeln!(f, "  - {}", shown(task)))?;
        }
        if !self.done.is_empty() {
            writeln!(f, "done: {}", counted(self.done.len()))?;
        }
        Ok(())
    }
}

/// What tasks would wait in for the only worker.
enum Queue {
    /// The most urgent is next, and of equals the oldest: it has the smallest number.
    ByTurn(BinaryHeap<Reverse<(Turn, u32, u32)>>),
    /// What could start has started. What must run in the thread of the run comes when that has nothing else to do.
    InPlace { started: VecDeque<u32>, here: VecDeque<u32> },
}

impl Queue {
    fn push(&mut self, running: &Running, task: u32, number: u32) {
        let work = &*running.works[task as usize];
        match self {
            Self::ByTurn(heap) => heap.push(Reverse((turn(work, running.rank_of(task)), number, task))),
            Self::InPlace { here, .. } if work.runs() == Where::Here => here.push_back(task),
            Self::InPlace { started, .. } => started.push_back(task),
        }
    }

    fn pop(&mut self) -> Option<u32> {
        match self {
            Self::ByTurn(heap) => heap.pop().map(|Reverse((_, _, task))| task),
            Self::InPlace { started, here } => started.pop_front().or_else(|| here.pop_front()),
        }
    }
}

struct Rehearsed {
    order: Vec<u32>,
    shared: Vec<(u32, u32)>,
    skipped: Vec<(u32, Skip)>,
}

/// Goes through a run in which each task ends well as soon as the worker has taken it.
fn rehearse(running: &Running, is_in_place: bool) -> Rehearsed {
    let mut queue = match is_in_place {
        true => Queue::InPlace { started: VecDeque::new(), here: VecDeque::new() },
        false => Queue::ByTurn(BinaryHeap::new()),
    };
    let mut rehearsed = Rehearsed { order: Vec::new(), shared: Vec::new(), skipped: Vec::new() };
    let (mut ended, mut ready) = running.first();
    let mut number = 0;
    loop {
        while let Some((task, end)) = ended.pop() {
            let state = match end {
                End::Skipped(skip) => {
                    running.reasons.lock().insert(task, Reason::Skipped(skip.clone()));
                    rehearsed.skipped.push((task, skip));
                    SKIPPED
                }
                End::Done | End::Failed(_) => DONE,
            };
            running.task(task).state.store(state, Ordering::Relaxed);
            running.follow(task, &mut ended, &mut ready);
        }
        in_turn(&running.works, &mut ready, |task| running.rank_of(task));
        for task in ready.drain(..) {
            if let Some(&first) = running.twins.get(&task) {
                rehearsed.shared.push((task, first));
                ended.push((task, End::Done));
            } else {
                queue.push(running, task, number);
                number += 1;
            }
        }
        if ended.is_empty() {
            let Some(task) = queue.pop() else { return rehearsed };
            rehearsed.order.push(task);
            ended.push((task, End::Done));
        }
    }
}
