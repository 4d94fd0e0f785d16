//! Schedules: graphs in layers, with costs of tasks and of what is brought from one to another.

use crate::asked;
use crate::reach::Line;
use crate::shapes::{Random, Shape, layered};
use crate::turns::{Field, time, timed};
use serde_json::json;
use std::hint::black_box;
use xfork::graph::Edge;
use xfork::graph::schedule::{Ranking, Selection};
use xfork::{Graph, Heft, Node, io_bound, task};

const CASE: &str = "schedule";

/// What ampeg 0.2's `earliest_finish_time` takes for the graph of a thousand tasks that `--write-graph` writes, in seconds:
/// measured by hand, once, as `benches/README.md` says.
const AMPEG: [(usize, f64); 2] = [(4, 15.3), (64, 16.5)];

/// A shape with costs.
struct Weighted {
    shape: Shape,
    tasks: Vec<u32>,
    /// In the order of the edges.
    transfers: Vec<Vec<u32>>,
}

fn weighted(tasks: usize) -> Weighted {
    let mut random = Random(7);
    let shape = layered(tasks, &mut random);
    let costs = (0..tasks).map(|_| 1 + random.below(100)).collect();
    let transfers = (0..shape.tasks())
        .map(|task| shape.inputs(task).iter().map(|_| 1 + random.below(20)).collect())
        .collect();
    Weighted { shape, tasks: costs, transfers }
}

#[io_bound]
fn sum(inputs: Vec<u32>) -> u32 {
    inputs.iter().sum()
}

fn graph(weighted: &Weighted) -> Graph {
    let mut graph = Graph::new();
    let mut nodes: Vec<Node<u32>> = Vec::new();
    for number in 0..weighted.shape.tasks() {
        let costs = &weighted.transfers[number as usize];
        let edges = weighted.shape.inputs(number).iter().zip(costs);
        let edges: Vec<Edge<u32>> =
            edges.map(|(&input, &cost)| nodes[input as usize].comm_cost(cost.into())).collect();
        let cost = weighted.tasks[number as usize];
        let added = graph.add(number.to_string(), task(sum, edges).cost(cost.into()));
        nodes.push(added.expect("names and nodes are right"));
    }
    graph.check().expect("the shape has no faults");
    graph
}

pub(crate) fn add(field: &mut Field<'_>, scale: usize) {
    let mut case = field.case(CASE, 10);
    for (name, tasks, workers) in [
        ("10⁴ tasks, 64 workers", 10_000 / scale, 64),
        ("10⁵ tasks, 64 workers", 100_000 / scale, 64),
        // Never fewer: it is compared with what was measured elsewhere.
        ("10³ tasks, 4 workers", 1000, 4),
        ("10³ tasks, 64 workers", 1000, 64),
    ] {
        let mut graph = graph(&weighted(tasks));
        case.add(name, 1, 1, move |_| {
            timed(|| drop(black_box(graph.schedule(Heft::new(workers)).expect("costs are costs"))))
        });
    }
}

pub(crate) fn lines(field: &Field<'_>, scale: usize) -> Vec<Line> {
    let of = |name: &str| field.best(CASE, &[name]).expect("it takes part").nanoseconds;
    let large = of("10⁵ tasks, 64 workers");
    let against = format!("{} tasks: {}", 100_000 / scale, time(large));
    let taken = of("10⁴ tasks, 64 workers");
    let case = format!("Heft, {} tasks, 64 workers", 10_000 / scale);
    let mut lines = vec![Line::new(case, time(taken), against, taken / 1e9, "s", ..=1.0)];
    for (workers, seconds) in AMPEG {
        let taken = of(&format!("10³ tasks, {workers} workers"));
        let against = format!("ampeg, quoted: {}", time(seconds * 1e9));
        let case = format!("Heft, 1000 tasks, {workers} workers");
        lines.push(Line::new(case, time(taken), against, seconds * 1e9 / taken, "× faster", 1000.0..));
    }
    lines
}

/// Writes a layered graph of so many tasks for other programs: its costs, and for each task its inputs, each with what it costs to
/// bring.
pub(crate) fn write_graph(tasks: usize) {
    let weighted = weighted(tasks);
    let inputs: Vec<Vec<(u32, u32)>> = (0..weighted.shape.tasks())
        .map(|task| {
            let costs = &weighted.transfers[task as usize];
            weighted.shape.inputs(task).iter().copied().zip(costs.iter().copied()).collect()
        })
        .collect();
    let text = json!({ "costs": weighted.tasks, "inputs": inputs }).to_string();
    asked::write(&format!("layered-{tasks}.json"), &text);
    for (workers, _) in AMPEG {
        let mut graph = graph(&weighted);
        let mut makespan = |heft: Heft| graph.schedule(heft).expect("costs are costs").makespan();
        let alike = Heft::new(workers).ranking(Ranking::Sum).selection(Selection::EarliestStart);
        let (own, alike) = (makespan(Heft::new(workers)), makespan(alike));
        println!("{workers} workers: makespan {own}, and {alike} as ampeg decides");
    }
}
