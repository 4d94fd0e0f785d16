//! Pictures of graphs, schedules and runs.

use super::build::Graph;
use super::costs::Measured;
use super::dag::Dag;
use super::draw::{
    self, Bar, DrawnEdge, DrawnNode, EdgeKind, Gantt, GanttChart, GanttRow, Look, Picture, TimeUnit,
};
use super::error::GraphError;
use super::names::Names;
use super::outcome::{Outcome, Outcomes};
use super::rerun::State;
use super::schedule::Schedule;
use crate::core::series::Site;
use crate::task::Cost;
use std::collections::BTreeMap;

impl Graph {
    /// The graph as an SVG picture: a box for each task, with its state and what it cost, inputs above what needs them.
    ///
    /// Of more tasks than can be looked at, those that are alike are drawn as one.
    ///
    /// ```
    /// use xfork::{Graph, io_bound};
    ///
    /// let mut graph = Graph::new();
    /// graph.add_named("a", io_bound(|| 5), []);
    /// graph.add_named("b", io_bound(|n: i32| n), ["a"]);
    /// let picture = graph.to_svg()?;
    /// assert!(picture.starts_with("<svg") && picture.contains(">b<"));
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the graph does not pass [`check`](Self::check).
    pub fn to_svg(&mut self) -> Result<String, GraphError> {
        Ok(draw::svg(&self.picture()?))
    }

    /// The graph in the language of Graphviz; what is waited for and not fed has a dashed line.
    ///
    /// ```
    /// use xfork::{Graph, io_bound};
    ///
    /// let mut graph = Graph::new();
    /// graph.add_named("a", io_bound(|| 5), []);
    /// assert!(graph.to_dot()?.starts_with("digraph"));
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the graph does not pass [`check`](Self::check).
    pub fn to_dot(&mut self) -> Result<String, GraphError> {
        Ok(draw::dot(&self.picture()?))
    }

    /// As [`to_dot`](Self::to_dot), with the tasks of each worker of a schedule in a box of their own.
    ///
    /// ```
    /// use xfork::{Graph, Heft, io_bound};
    ///
    /// let mut graph = Graph::new();
    /// graph.add_named("a", io_bound(|| 5), []);
    /// let plan = graph.schedule(Heft::new(2))?;
    /// assert!(graph.to_dot_on(&plan)?.contains("cluster"));
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the graph does not pass [`check`](Self::check).
    pub fn to_dot_on(&mut self, schedule: &Schedule) -> Result<String, GraphError> {
        let worker = |task| schedule.placement(task).map_or(u32::MAX, |placement| placement.worker);
        let workers: Vec<u32> = (0..self.len() as u32).map(worker).collect();
        Ok(draw::dot_of_schedule(&self.picture()?, &workers))
    }

    /// The graph as a flowchart in the language of Mermaid, which many sites draw where Markdown is shown.
    ///
    /// ```
    /// use xfork::{Graph, io_bound};
    ///
    /// let mut graph = Graph::new();
    /// graph.add_named("a", io_bound(|| 5), []);
    /// assert!(graph.to_mermaid()?.starts_with("flowchart"));
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the graph does not pass [`check`](Self::check).
    pub fn to_mermaid(&mut self) -> Result<String, GraphError> {
        Ok(draw::mermaid(&self.picture()?))
    }

    fn picture(&mut self) -> Result<Picture, GraphError> {
        let dag = self.shape()?;
        let nodes = (0..self.len() as u32).map(|task| DrawnNode {
            name: self.names.get(task).to_owned(),
            detail: self.detail(task),
            state: match self.states[task as usize] {
                State::New => Look::NotRun,
                State::Done | State::Valueless => Look::Done,
                State::Failed => Look::Failed,
                State::Skipped => Look::Skipped,
            },
            kind: self.works[task as usize].drawn_as(),
        });
        Ok(Picture { title: None, nodes: nodes.collect(), edges: self.drawn_edges(&dag) })
    }

    /// What a task cost, or is said to.
    fn detail(&self, task: u32) -> String {
        match (self.measured.cost(task), self.given.of(task)) {
            (Some(seconds), _) => duration(seconds),
            (None, Some(Cost::Same(cost))) => format!("cost {}", short(cost)),
            (None, Some(Cost::PerWorker(costs))) => {
                let costs: Vec<String> = costs.iter().map(|&cost| short(cost)).collect();
                format!("cost {}", costs.join(" | "))
            }
            (None, None) => String::new(),
        }
    }

    fn drawn_edges(&self, dag: &Dag) -> Vec<DrawnEdge> {
        let mut edges = Vec::new();
        for to in 0..self.len() as u32 {
            let mut said = self.edges.of(to).filter(|_| !self.twins.contains_key(&to));
            let named = self.named.get(&to).map_or(0, Vec::len);
            for (place, &from) in dag.predecessors.of(to).iter().enumerate() {
                // First those that were given by number, then those that were given by name.
                let (is_fed, transfer) = match said.next() {
                    Some((link, transfer)) => (link.is_fed(), transfer),
                    None => (place < named || self.twins.contains_key(&to), 0.0),
                };
                let transfer = self.given.transfers.get(&(from, to)).copied().unwrap_or(0.0).max(transfer);
                let label = if transfer > 0.0 { short(transfer) } else { String::new() };
                let kind = if is_fed { EdgeKind::Value } else { EdgeKind::OrderOnly };
                edges.push(DrawnEdge { from, to, kind, label });
            }
        }
        edges.dedup_by_key(|edge| (edge.from, edge.to));
        edges
    }
}

impl Outcomes {
    /// When the tasks of the last run ran and where, as an SVG picture: a row for each thread or worker process, or, after
    /// [`run_schedule`](Graph::run_schedule), for each worker of the schedule.
    ///
    /// ```
    /// use xfork::{Graph, io_bound};
    ///
    /// let mut graph = Graph::new();
    /// graph.add_named("a", io_bound(|| 5), []);
    /// assert!(graph.run()?.gantt_svg().starts_with("<svg"));
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    pub fn gantt_svg(&self) -> String {
        draw::gantt(&Gantt { title: None, unit: TimeUnit::Seconds, charts: vec![self.chart()] })
    }

    fn chart(&self) -> GanttChart {
        chart_of(&self.measured, self.names(), |task| match self.outcome_of(task) {
            Outcome::Failed(_) => Look::Failed,
            Outcome::Skipped(_) => Look::Skipped,
            Outcome::Done | Outcome::NotRun => Look::Done,
        })
    }
}

fn chart_of(measured: &Measured, names: &Names, look: impl Fn(u32) -> Look) -> GanttChart {
    let mut rows = BTreeMap::<(Option<u32>, Option<Site>), Vec<Bar>>::new();
    for (task, span) in measured.last_run() {
        let row = match span.lane {
            Some(lane) => (Some(lane), None),
            None => (None, Some(span.site)),
        };
        let (name, start, finish, look) = (names.get(task).to_owned(), span.begin, span.end, look(task));
        rows.entry(row).or_default().push(Bar { name, start, finish, look });
    }
    let (mut threads, mut processes) = (0, 0);
    let mut row_name = |(lane, site): (Option<u32>, Option<Site>)| match (lane, site) {
        (Some(lane), _) => format!("worker {lane}"),
        (None, Some(Site::Process(_))) => {
            processes += 1;
            format!("process {processes}")
        }
        _ => {
            threads += 1;
            format!("thread {threads}")
        }
    };
    let rows = rows.into_iter().map(|(row, bars)| GanttRow { name: row_name(row), bars });
    GanttChart { heading: "measured".into(), rows: rows.collect() }
}

impl Schedule {
    /// The schedule as an SVG picture: a row for each worker, a bar for each task.
    ///
    /// ```
    /// use xfork::{Graph, Heft, io_bound, task};
    ///
    /// let mut graph = Graph::new();
    /// graph.add("one", task(io_bound(|| 1), ()).cost(2.0))?;
    /// assert!(graph.schedule(Heft::new(2))?.gantt_svg().starts_with("<svg"));
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    pub fn gantt_svg(&self) -> String {
        draw::gantt(&Gantt { title: None, unit: TimeUnit::Plain, charts: vec![self.chart()] })
    }

    /// The schedule, and under it the run that happened, as an SVG picture in which equal tasks have equal colours. The costs
    /// of the schedule are taken to be seconds.
    ///
    /// ```
    /// use xfork::{Graph, Heft, io_bound};
    ///
    /// let mut graph = Graph::new();
    /// graph.add_named("a", io_bound(|| 5), []);
    /// graph.run()?;
    /// let plan = graph.schedule(Heft::new(2))?;           // by the costs of the first run
    /// graph.reset(["a"])?;
    /// let outcomes = graph.run_schedule(&plan)?;
    /// assert!(plan.gantt_svg_beside(&outcomes).contains("measured"));
    /// # Ok::<(), xfork::GraphError>(())
    /// ```
    pub fn gantt_svg_beside(&self, run: &Outcomes) -> String {
        let charts = vec![self.chart(), run.chart()];
        draw::gantt(&Gantt { title: None, unit: TimeUnit::Seconds, charts })
    }

    fn chart(&self) -> GanttChart {
        let bar = |&task: &u32| {
            let placement = self.placement(task).expect("what stands in a list is placed");
            let (start, finish) = (placement.start, placement.finish);
            Bar { name: self.name(task), start, finish, look: Look::NotRun }
        };
        let rows = self.task_lists().iter().enumerate().map(|(worker, list)| GanttRow {
            name: format!("worker {worker}"),
            bars: list.iter().map(bar).collect(),
        });
        GanttChart { heading: "planned".into(), rows: rows.collect() }
    }
}

/// A number with at most three digits after those that are zero.
fn short(number: f64) -> String {
    match number.abs() {
        size if size != 0.0 && !(1e-3..1e6).contains(&size) => format!("{number:.2e}"),
        size if size >= 100.0 => format!("{number:.0}"),
        _ => format!("{number:.3}").trim_end_matches('0').trim_end_matches('.').to_owned(),
    }
}

/// Such as "1.5 ms".
fn duration(seconds: f64) -> String {
    let (number, unit) = match seconds {
        _ if seconds >= 1.0 => (seconds, "s"),
        _ if seconds >= 1e-3 => (seconds * 1e3, "ms"),
        _ => (seconds * 1e6, "µs"),
    };
    let digits = if number >= 100.0 { 0 } else { 1 };
    format!("{number:.digits$} {unit}")
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_short_as_they_can_be_read() {
        let all = [0.0, 1.0, 10.8, 0.25, 1234.5, 1e7, 0.00001234].map(short);
        assert_eq!(all, ["0", "1", "10.8", "0.25", "1234", "1.00e7", "1.23e-5"]);
        assert_eq!([2.5, 0.0123, 1.2e-5, 180.0].map(duration), ["2.5 s", "12.3 ms", "12.0 µs", "180 s"]);
    }
}
