//! Schedules of a graph: its costs as a problem, and a schedule as lists that workers run.

use super::build::Graph;
use super::dag::{Builder, Dag};
use super::error::{GraphError, GraphFault};
use super::options::RunOptions;
use super::outcome::Outcomes;
use super::rerun::State;
use super::running::{Lanes, NONE};
use super::schedule::{Problem, Schedule, ScheduleError, Scheduler, TaskCost};
use crate::task::Cost;
use std::sync::Arc;

impl Graph {
    /// Decides which worker runs which task when, by what the tasks and the transfers of results cost. All tasks are
    /// scheduled, whether they have a result or not.
    ///
    /// Costs are those given by [`Task::cost`](crate::Task::cost) and its like, in the graph's own unit. If none are given, those
    /// are taken that were measured in the last runs, in seconds. A task of which nothing is known costs as much as the others do
    /// on average, or 1 if nothing is known of any.
    ///
    /// ```
    /// use xfork::{Cpop, Graph, Heft, io_bound, task};
    ///
    /// let mut graph = Graph::new();
    /// let read = graph.add("read", task(io_bound(|| 1), ()).cost(2.0))?;
    /// let left = graph.add("left", task(io_bound(|n: i32| n + 1), &read).cost(5.0))?;
    /// let right = graph.add("right", task(io_bound(|n: i32| n + 2), read.comm_cost(1.0)).cost(3.0))?;
    /// graph.add("sum", task(io_bound(|a: i32, b: i32| a + b), (&left, right.comm_cost(1.0))).cost(1.0))?;
    ///
    /// let plan = graph.schedule(Heft::new(2))?;
    /// assert_eq!(plan.makespan(), 8.0);
    /// assert_eq!(plan.task_lists(), [vec![0, 1, 3], vec![2]]);
    /// assert!(graph.schedule(Cpop::new(2))?.makespan() >= 8.0);
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the graph does not pass [`check`](Self::check), there are no workers, or a cost or a speed is none.
    pub fn schedule(&mut self, scheduler: impl Scheduler) -> Result<Schedule, GraphError> {
        let dag = self.shape()?;
        let problem = self.problem(&dag, &scheduler)?;
        let names = self.names.clone();
        let placements = scheduler.place(&problem);
        let schedule =
            Schedule::new(Arc::new(problem), placements).with_names(move |task| names.get(task).to_owned());
        schedule.validate().map_err(|error| self.scheduling(error))?;
        Ok(schedule)
    }

    /// Runs the graph as a schedule says: each worker of the schedule runs its list, one task after the other, each as soon
    /// as its inputs are there too. Under a plan with worker processes each list of cpu-bound tasks has a process of its own.
    ///
    /// If costs were not what the schedule was made for, tasks start later or sooner, but in the same order on each worker.
    /// Tasks that have a result are passed over.
    ///
    /// ```
    /// use xfork::{Graph, Heft, cpu_bound, task};
    ///
    /// #[cpu_bound]
    /// fn square(n: i64) -> i64 { n * n }
    ///
    /// let mut graph = Graph::new();
    /// let nine = graph.add("nine", task(square, 3).cost(1.0))?;
    /// let large = graph.add("81", task(square, &nine).cost(1.0))?;
    /// let plan = graph.schedule(Heft::new(2))?;
    /// assert_eq!(graph.run_schedule(&plan)?[&large], 81);
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run); also if the schedule is for other tasks, or for others that need each other.
    pub fn run_schedule(&mut self, schedule: &Schedule) -> Result<Outcomes, GraphError> {
        self.run_schedule_with(schedule, RunOptions::new())
    }

    /// As [`run_schedule`](Self::run_schedule), with a limit of time or an end at the first failure.
    ///
    /// ```
    /// use xfork::{Graph, Heft, RunOptions};
    /// let mut graph = Graph::new();
    /// let plan = graph.schedule(Heft::new(1))?;
    /// assert!(graph.run_schedule_with(&plan, RunOptions::new().fail_fast())?.is_done());
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`run_schedule`](Self::run_schedule).
    pub fn run_schedule_with(
        &mut self,
        schedule: &Schedule,
        options: RunOptions,
    ) -> Result<Outcomes, GraphError> {
        let dag = self.shape()?;
        self.check_schedule(schedule, &dag)?;
        self.check_values(&dag)?;
        let lists = schedule.task_lists();
        let (mut next, mut lane_of) = (vec![NONE; self.len()], vec![0; self.len()]);
        for (lane, list) in lists.iter().enumerate() {
            let mut last = NONE;
            for &task in list.iter().filter(|&&task| self.states[task as usize] == State::New) {
                lane_of[task as usize] = lane as u32;
                if last != NONE {
                    next[last as usize] = task;
                }
                last = task;
            }
        }
        self.check_lanes(&dag, &next)?;
        self.execute(options, Some(Lanes { next, lane_of, count: lists.len() }))
    }

    fn check_schedule(&self, schedule: &Schedule, dag: &Dag) -> Result<(), GraphError> {
        let fault = |what: String| Err(GraphFault::ForeignSchedule { what }.into());
        let problem = schedule.problem();
        if problem.tasks() != self.len() {
            return fault(format!("it has {} tasks, and the graph {}", problem.tasks(), self.len()));
        }
        for task in 0..self.len() as u32 {
            let name = self.names.get(task);
            if schedule.name(task) != name {
                return fault(format!(
                    "its task {task} is `{}`, and the graph's `{name}`",
                    schedule.name(task)
                ));
            }
            let known = problem.predecessors(task);
            let new = dag
                .predecessors
                .of(task)
                .iter()
                .find(|&&before| known.iter().all(|edge| edge.task != before));
            if let Some(&before) = new {
                return fault(format!("`{name}` needs `{}` by now", self.names.get(before)));
            }
        }
        // Its own order is checked again: users can make schedules themselves.
        schedule.validate().map_err(|error| self.scheduling(error))
    }

    /// Makes sure that lists which wait for their inputs, too, don't wait for each other: a schedule may be a little wrong in the
    /// last digits.
    fn check_lanes(&self, dag: &Dag, next: &[u32]) -> Result<(), GraphError> {
        let mut last = vec![NONE; self.len()];
        for (task, &next) in next.iter().enumerate().filter(|(_, next)| **next != NONE) {
            last[next as usize] = task as u32;
        }
        let mut builder = Builder::new(self.len(), self.len());
        for (task, &last) in last.iter().enumerate() {
            let before = dag.predecessors.of(task as u32).iter().copied();
            before.chain((last != NONE).then_some(last)).for_each(|before| builder.push(before));
            builder.end();
        }
        let name = |task: &u32| format!("`{}`", self.names.get(*task));
        Dag::new(builder).map(drop).map_err(|cycles| {
            let path: Vec<_> = cycles[0].iter().map(name).collect();
            let what = format!("in its order these wait for each other: {}", path.join(", "));
            GraphFault::ForeignSchedule { what }.into()
        })
    }

    fn problem(&self, dag: &Dag, scheduler: &impl Scheduler) -> Result<Problem, GraphError> {
        let costs = self.task_costs();
        let edges = self.weighted_edges(dag);
        Problem::new(scheduler.workers(), scheduler.speeds(), costs, &edges)
            .map_err(|error| self.scheduling(error))
    }

    fn scheduling(&self, error: ScheduleError) -> GraphError {
        let text = error.describe(|task| self.names.get(task).to_owned());
        GraphFault::Schedule { error, text }.into()
    }

    /// What each task costs, as far as anybody knows.
    fn task_costs(&self) -> Vec<TaskCost> {
        let known = |task: u32| match self.given.of(task) {
            Some(Cost::Same(cost)) => Some(TaskCost::Same(cost)),
            Some(Cost::PerWorker(costs)) => Some(TaskCost::PerWorker(costs)),
            None if self.given.is_empty() => self.measured.cost(task).map(TaskCost::Same),
            None => None,
        };
        let costs: Vec<Option<TaskCost>> = (0..self.len() as u32).map(known).collect();
        let (sum, count) =
            costs.iter().flatten().fold((0.0, 0_u32), |(sum, count), cost| (sum + mean(cost), count + 1));
        let usual = if count == 0 { 1.0 } else { sum / f64::from(count) };
        costs.into_iter().map(|cost| cost.unwrap_or(TaskCost::Same(usual))).collect()
    }

    /// Who waits for whom, and what it costs to bring the result.
    fn weighted_edges(&self, dag: &Dag) -> Vec<(u32, u32, f64)> {
        let mut edges = Vec::new();
        for task in 0..self.len() as u32 {
            let given = |before: u32| self.given.transfers.get(&(before, task)).copied().unwrap_or(0.0);
            let mut said = self.edges.of(task).filter(|_| !self.twins.contains_key(&task));
            for &before in dag.predecessors.of(task) {
                // The edges that were given by number come first, in the same order.
                let transfer = said.next().map_or(0.0, |(_, transfer)| transfer);
                edges.push((before, task, transfer.max(given(before))));
            }
        }
        edges
    }

    /// The upward rank of each task (Topcuoglu, Hariri and Wu, IEEE TPDS 13(3), 2002, §4.1), as a number that orders like it: the
    /// longer the way from its start to the end, the greater. Nothing where no costs are known.
    pub(super) fn ranks(&self, dag: &Dag) -> Vec<u32> {
        if self.given.is_empty() && self.measured.is_empty() {
            return Vec::new();
        }
        let costs = self.task_costs();
        let mut transfers = vec![Vec::new(); if self.has_transfers() { self.len() } else { 0 }];
        if self.has_transfers() {
            for (from, to, transfer) in self.weighted_edges(dag) {
                transfers[from as usize].push((to, transfer));
            }
        }
        let mut ranks = vec![0.0_f64; self.len()];
        for task in dag.order().rev() {
            let way = match transfers.get(task as usize) {
                Some(transfers) => {
                    transfers.iter().map(|&(to, transfer)| transfer + ranks[to as usize]).fold(0.0, f64::max)
                }
                None => dag.successors.of(task).iter().map(|&to| ranks[to as usize]).fold(0.0, f64::max),
            };
            ranks[task as usize] = mean(&costs[task as usize]) + way;
        }
        let mut sorted = ranks.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted.dedup();
        let place = |rank: &f64| sorted.partition_point(|other| other < rank) as u32 + 1;
        ranks.iter().map(place).collect()
    }

    fn has_transfers(&self) -> bool {
        self.edges.has_costs() || !self.given.transfers.is_empty()
    }
}

fn mean(cost: &TaskCost) -> f64 {
    match cost {
        TaskCost::Same(cost) => *cost,
        TaskCost::PerWorker(costs) => costs.iter().sum::<f64>() / costs.len().max(1) as f64,
    }
}
