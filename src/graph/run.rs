//! Running a graph: what is done before its tasks start, and after they have ended.

use super::build::Graph;
use super::dag::Dag;
use super::error::{GraphError, GraphFault};
use super::log::Log;
use super::options::RunOptions;
use super::outcome::{Outcomes, Skip};
use super::rerun::{Reason, State};
use super::running::{DONE, FAILED, Lanes, Running, SKIPPED};
use crate::core::seed;
use crate::plan;
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Graph {
    /// Runs all tasks that have not been run yet, or that an earlier run [stopped](RunOptions) before, each as soon as its inputs are
    /// there, where its function's mark says; returns when all have ended. What has failed is run again only after
    /// [`reset_failed`](Self::reset_failed).
    ///
    /// Among those that could start, the ones that run on threads come first, since they mostly wait; then the more urgent
    /// ones ([`Task::priority`](crate::Task::priority)); then those from which the way to the end is longest, where costs are known.
    /// Where they are, its tasks come before other forks of the same priority.
    /// A task that fails keeps those that need its result from running, and no others.
    ///
    /// ```
    /// use xfork::{Graph, Outcome, Skip, io_bound};
    ///
    /// let mut graph = Graph::new();
    /// graph.add_named("a", io_bound(|| 5), []);
    /// graph.add_named("b", io_bound(|n: i32| -> i32 { panic!("{n} is too small") }), ["a"]);
    /// graph.add_named("c", io_bound(|n: i32| n + 1), ["b"]);
    /// graph.add_named("d", io_bound(|n: i32| n * 2), ["a"]);
    /// let outcomes = graph.run()?;
    /// assert_eq!(outcomes.value::<i32>("d")?, &10);
    /// assert!(matches!(outcomes.outcome("b")?, Outcome::Failed(error) if error.message() == "5 is too small"));
    /// assert!(matches!(outcomes.outcome("c")?, Outcome::Skipped(Skip::Ancestor { name }) if name == "b"));
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the graph does not pass [`check`](Self::check), or a task needs the value of one that is marked as done without it;
    /// nothing has run then. Failures of tasks are no errors here, but [`Outcome`](crate::Outcome)s. If the graph is
    /// [kept](Self::keep_in) in a file that can't be written, everything has run all the same, and [`results`](Self::results) has it.
    pub fn run(&mut self) -> Result<Outcomes, GraphError> {
        self.run_with(RunOptions::new())
    }

    /// As [`run`](Self::run), with a limit of time, an end at the first failure, or a log.
    ///
    /// ```
    /// use xfork::{Graph, RunOptions};
    /// assert!(Graph::new().run_with(RunOptions::new().fail_fast())?.is_done());
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run); also if the [log](RunOptions::log) can't be opened, and nothing has run then.
    pub fn run_with(&mut self, options: RunOptions) -> Result<Outcomes, GraphError> {
        self.execute(options, None)
    }

    /// Runs the graph; with lanes, each task after the one before it in its lane.
    pub(super) fn execute(
        &mut self,
        options: RunOptions,
        lanes: Option<Lanes>,
    ) -> Result<Outcomes, GraphError> {
        self.take_added_since()?;
        let dag = self.shape()?;
        self.check_values(&dag)?;
        let runners = plan::runners();
        let log = options.log.as_deref().map(Log::open).transpose()?.flatten();
        let (writer, unsavable) = self.start_writing(&dag)?;
        let mut running = Running::new(self, dag, options, lanes, &runners);
        (running.writer, running.unsavable) = (RwLock::new(writer), Mutex::new(unsavable));
        (running.branch, running.log) = (seed::fork(), log);
        running.is_watching = running.log.is_some() || running.writer.get_mut().is_some();
        let running = Arc::new(running);
        self.running.set(&running);
        running.log_begin();
        running.run(&runners.cpu);
        running.log_finish();
        self.running.clear();
        self.take_over(&running);
        let written = running.finish_writing();
        let unsavable = std::mem::take(&mut *running.unsavable.lock());
        let mut faults: Vec<_> = unsavable.into_iter().map(|one| self.unsavable(one)).collect();
        faults.extend(written.err().map(GraphFault::Store));
        if faults.is_empty() { Ok(Outcomes::of(self)) } else { Err(GraphError::new(faults)) }
    }

    /// Makes sure that every task which is to run will get its inputs, and has what lacks by now be run again.
    pub(super) fn check_values(&mut self, dag: &Dag) -> Result<(), GraphError> {
        let states = self.states_to_run(dag)?;
        for (task, state) in states.into_iter().enumerate() {
            if self.states[task] != state {
                self.set_state(task as u32, state);
            }
        }
        Ok(())
    }

    /// The states in which a run finds the tasks.
    pub(super) fn states_to_run(&self, dag: &Dag) -> Result<Vec<State>, GraphError> {
        let mut states = self.states.clone();
        // What an earlier run did not get to is for this one.
        for (&task, reason) in &self.reasons {
            if let Reason::Skipped(Skip::Timeout { .. } | Skip::FailFast { .. }) = reason {
                states[task as usize] = State::New;
            }
        }
        let mut faults = Vec::new();
        let may_lack = self.outputs.is_some() || states.contains(&State::Valueless);
        let tasks: Vec<u32> = if may_lack { dag.order().collect() } else { Vec::new() };
        for &task in tasks.iter().rev() {
            if states[task as usize] != State::New {
                continue;
            }
            let inputs: Vec<_> = match self.twins.get(&task) {
                Some(&first) => vec![(first, true)],
                None => {
                    let named =
                        self.named.get(&task).into_iter().flatten().filter_map(|name| self.names.find(name));
                    let fed = self.edges.of(task).filter(|(link, _)| link.is_fed());
                    fed.map(|(link, _)| (link.node(), true))
                        .chain(named.map(|input| (input, false)))
                        .collect()
                }
            };
            for (input, is_typed) in inputs {
                match states[input as usize] {
                    // It computes what it lacks.
                    State::Valueless if self.works[task as usize].part().is_some() => {}
                    State::Valueless if is_typed => faults.push(GraphFault::NoValue {
                        task: self.names.get(task).into(),
                        input: self.names.get(input).into(),
                    }),
                    // Its result has been dropped, since it is no output.
                    State::Done if self.works[input as usize].place().slot().is_none() => {
                        states[input as usize] = State::New;
                    }
                    _ => {}
                }
            }
        }
        faults.reverse();
        if faults.is_empty() { Ok(states) } else { Err(GraphError::new(faults)) }
    }

    fn take_over(&mut self, running: &Running) {
        for (task, run) in running.tasks.iter().enumerate() {
            let state = match run.state.load(Ordering::Acquire) {
                DONE => State::Done,
                FAILED => State::Failed,
                SKIPPED => State::Skipped,
                _ => continue,
            };
            self.states[task] = state;
            if let Some(is_written) = self.is_written.get_mut(task) {
                *is_written = state != State::Skipped;
            }
        }
        // Also of earlier runs, in which more was wanted.
        for (task, _) in running.wanted.iter().enumerate().filter(|(_, is_wanted)| !**is_wanted) {
            self.works[task].place().clear();
        }
        self.reasons.extend(running.reasons.lock().drain());
        self.measured.take_over(&running.tasks, running.lanes.as_ref());
    }
}
