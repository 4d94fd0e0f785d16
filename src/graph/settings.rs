//! What can be said of a task after it was added, by its name: limits, costs, and that its result is to be saved.
//!
//! [`Task`](crate::Task) says the same of a task before it is added; a task given by name has none to say it with.

use super::build::Graph;
use super::error::GraphError;
use crate::args::Portable;
use crate::core::limits::Limits;
use crate::kept::Codec;
use crate::task::Cost;

impl Graph {
    /// Sets what a task may take, how often it is tried and how urgent it is, as [`Task::limits`](crate::Task::limits) does: what
    /// these limits don't say stays as it was, for the rest as the function's mark says.
    ///
    /// It holds from the next run on, and is forgotten when the task is [replaced](Self::replace). Each task of a graph can be
    /// tried again, also one that runs on a thread: a try takes clones of the function and its arguments there, and
    /// comes after a panic of the function only. Of equal tasks of which [one is run](Self::remove_duplicates), the limits of that
    /// one hold.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU32, Ordering};
    /// use std::time::Duration;
    /// use xfork::{Graph, Limits, Outcome, cpu_bound, io_bound};
    ///
    /// let calls = Arc::new(AtomicU32::new(0));
    /// let ask = move || { assert_eq!(calls.fetch_add(1, Ordering::Relaxed), 2, "the network is down"); 7 };
    ///
    /// let mut graph = Graph::new();
    /// graph.add_named("answer", io_bound(ask), []);
    /// graph.add_named("hangs", cpu_bound(|_: i32| std::thread::sleep(Duration::from_secs(3600))), ["answer"]);
    /// graph.set_limits("answer", Limits::new().retries(5).backoff(Duration::from_millis(1)))?;
    /// graph.set_limits("hangs", Limits::new().timeout(Duration::from_millis(20)))?;
    /// let outcomes = graph.run()?;
    /// assert_eq!(outcomes.value::<i32>("answer")?, &7);
    /// assert!(matches!(outcomes.outcome("hangs")?, Outcome::Failed(error) if error.is_timeout()));
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If there is no such task.
    pub fn set_limits(&mut self, name: &str, limits: Limits) -> Result<(), GraphError> {
        let number = self.number(name, "set the limits of")?;
        self.works[number as usize].set_limits(limits);
        Ok(())
    }

    /// Has the result of a task be saved with the graph, and taken from there in a later process, as
    /// [`Task::saved`](crate::Task::saved) does. Results of cpu-bound functions are in any case.
    ///
    /// To be said before the graph is [loaded](Self::load) or [kept](Self::keep_in).
    ///
    /// ```
    /// use xfork::{Graph, io_bound};
    ///
    /// let file = std::env::temp_dir().join(format!("xfork-doc-set-saved-{}", std::process::id()));
    /// let mut graph = Graph::new();
    /// graph.add_named("one", io_bound(|| 1), []);
    /// graph.set_saved::<i32>("one")?;
    /// graph.run()?;
    /// assert!(graph.save(&file)?.is_empty());
    /// graph.reset(["one"])?;
    /// assert_eq!(graph.load(&file)?, 1);
    /// # std::fs::remove_file(file).unwrap();
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If there is no such task, or its result is no `T`, or it is a part of an [expression](Self::add_expression).
    pub fn set_saved<T: Portable + Sync>(&mut self, name: &str) -> Result<(), GraphError> {
        let number = self.number(name, "have the result be saved of")?;
        self.place_of::<T>(number)?;
        let set = self.works[number as usize].set_saved(&Codec::<T>::new());
        Ok(set.map_err(|why| self.unsavable((number, why)))?)
    }

    /// Sets what a task costs, as [`Task::cost`](crate::Task::cost) does.
    ///
    /// ```
    /// use xfork::{Graph, Heft, io_bound};
    ///
    /// let mut graph = Graph::new();
    /// graph.add_named("a", io_bound(|| 5), []);
    /// graph.set_cost("a", 2.5)?;
    /// assert_eq!(graph.schedule(Heft::new(1))?.makespan(), 2.5);
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If there is no such task.
    pub fn set_cost(&mut self, name: &str, cost: f64) -> Result<(), GraphError> {
        self.set_costs(name, Cost::Same(cost))
    }

    /// Sets what a task costs on each worker of a schedule, as [`Task::cost_on`](crate::Task::cost_on) does.
    ///
    /// ```
    /// use xfork::{Graph, Heft, io_bound};
    ///
    /// let mut graph = Graph::new();
    /// graph.add_named("a", io_bound(|| 5), []);
    /// graph.set_cost_on("a", [14.0, 16.0, 9.0])?;
    /// assert_eq!(graph.schedule(Heft::new(3))?.makespan(), 9.0);
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If there is no such task.
    pub fn set_cost_on(
        &mut self,
        name: &str,
        costs: impl IntoIterator<Item = f64>,
    ) -> Result<(), GraphError> {
        self.set_costs(name, Cost::PerWorker(costs.into_iter().collect()))
    }

    /// Sets what it costs to bring the result of one task to another that runs on another worker; as
    /// [`Node::comm_cost`](crate::Node::comm_cost).
    ///
    /// ```
    /// use xfork::{Graph, Heft, io_bound};
    ///
    /// let mut graph = Graph::new();
    /// graph.add_named("a", io_bound(|| 5), []);
    /// graph.add_named("b", io_bound(|n: i32| n), ["a"]);
    /// graph.set_comm_cost("a", "b", 1.0)?;
    /// assert_eq!(graph.schedule(Heft::new(2))?.makespan(), 2.0);  // both on one worker, each of cost 1
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If there is no task of either name.
    pub fn set_comm_cost(&mut self, from: &str, to: &str, cost: f64) -> Result<(), GraphError> {
        let from = self.number(from, "set the cost of the result of")?;
        let to = self.number(to, "set the cost of what comes to")?;
        self.given.transfers.insert((from, to), cost);
        self.changed();
        Ok(())
    }

    fn set_costs(&mut self, name: &str, cost: Cost) -> Result<(), GraphError> {
        let number = self.number(name, "set the cost of")?;
        self.given.set(number, Some(cost));
        self.changed();
        Ok(())
    }
}
