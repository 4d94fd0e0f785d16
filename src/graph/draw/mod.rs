//! Pictures of task graphs and of schedules.
//!
//! Owns what is drawn ([`Picture`], [`Gantt`]) and the languages it is drawn in: [Graphviz](mod@dot), [Mermaid](mod@mermaid), and
//! SVG with a [layout](mod@layout) of its own, so that no other program is needed to see a graph. Promises the same text for
//! the same picture, well-formed whatever the names are, in time and memory that are nearly linear in its length, without
//! recursion. An edge one of whose ends doesn't exist, or that leads from a node to itself, isn't drawn.
//! Leaves out where the pictures come from, and files.
//!
//! | picture | limit | above it |
//! | --- | --- | --- |
//! | `svg` | [`coarse`]: 40 nodes side by side, 5 000 nodes, 60 000 points where edges pass layers | like nodes of a layer become one stack, then whole layers do |
//! | `gantt` | bars narrower than 1.5 pixels | neighbours become one bar |
//! | `dot`, `mermaid` | none | |

mod axis;
mod coarse;
mod dot;
mod gantt;
mod hues;
mod layout;
mod legend;
mod mermaid;
mod paint;
mod svg;
#[cfg(all(test, not(xfork_loom)))]
mod tests;
mod text;

pub(crate) use dot::{dot, dot_of_schedule};
pub(crate) use gantt::gantt;
pub(crate) use mermaid::mermaid;
pub(crate) use svg::svg;

/// A graph of tasks, as it is to be drawn.
#[derive(Clone, Debug, Default)]
pub(crate) struct Picture {
    pub(crate) title: Option<String>,
    pub(crate) nodes: Vec<DrawnNode>,
    pub(crate) edges: Vec<DrawnEdge>,
}

#[derive(Clone, Debug)]
pub(crate) struct DrawnNode {
    pub(crate) name: String,
    /// A second line, such as a duration or a cost; none if empty.
    pub(crate) detail: String,
    pub(crate) state: Look,
    pub(crate) kind: NodeKind,
}

/// How far a task has got. Later ones win where several tasks are drawn as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Look {
    NotRun,
    Done,
    Skipped,
    Running,
    Failed,
}

/// What a node stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum NodeKind {
    Cpu,
    Io,
    InPlace,
    /// A part of an expression of proxies.
    Operation,
    /// A value that comes from elsewhere.
    Input,
}

#[derive(Clone, Debug)]
pub(crate) struct DrawnEdge {
    /// Where the node stands in [`Picture::nodes`].
    pub(crate) from: u32,
    pub(crate) to: u32,
    pub(crate) kind: EdgeKind,
    /// What stands beside the edge, such as a cost of communication; nothing if empty.
    pub(crate) label: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum EdgeKind {
    /// A result that the other task takes.
    Value,
    /// Only "not before".
    OrderOnly,
}

/// Who did what and when: charts with the same rows, one under the other.
#[derive(Clone, Debug)]
pub(crate) struct Gantt {
    pub(crate) title: Option<String>,
    pub(crate) unit: TimeUnit,
    pub(crate) charts: Vec<GanttChart>,
}

/// What 1.0 of a [`Bar`] means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeUnit {
    /// A second; shown in s, ms, µs or ns.
    Seconds,
    /// A unit without a name, as of estimated costs.
    Plain,
}

#[derive(Clone, Debug)]
pub(crate) struct GanttChart {
    /// Such as "planned" or "measured".
    pub(crate) heading: String,
    pub(crate) rows: Vec<GanttRow>,
}

/// A worker.
#[derive(Clone, Debug)]
pub(crate) struct GanttRow {
    pub(crate) name: String,
    pub(crate) bars: Vec<Bar>,
}

/// A task on a worker. Left out if a time isn't finite, or `finish` lies before `start`.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) start: f64,
    pub(crate) finish: f64,
    /// [`Look::NotRun`] in a plan, [`Look::Done`] for what went well: both have the colour of the task.
    pub(crate) look: Look,
}

impl Picture {
    /// The edges that can be drawn.
    fn drawn_edges(&self) -> impl Iterator<Item = &DrawnEdge> + Clone {
        let count = self.nodes.len();
        let is_drawn =
            move |edge: &DrawnEdge| edge.from != edge.to && (edge.from.max(edge.to) as usize) < count;
        self.edges.iter().filter(move |edge| is_drawn(edge))
    }
}
