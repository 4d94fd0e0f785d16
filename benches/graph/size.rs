//! What a graph costs before it runs: the time to build and check it, and its memory.

use crate::built::{self, Built};
use crate::heap;
use crate::reach::Line;
use crate::shapes::{PATTERNS, Shape, random};
use crate::turns::{Field, time, timed};
use std::hint::black_box;

pub(crate) const CASE: &str = "build and check";
const XFORK: &str = "xfork";
const BY_HAND: &str = "lists and an order by hand";

/// Measured for each edge.
pub(crate) fn add<'a>(field: &mut Field<'a>, shape: &'a Shape) {
    let mut case = field.case(CASE, 7);
    case.add(XFORK, 1, shape.edges(), |_| {
        let mut built = None;
        let time = timed(|| built = Some(built::doing_nothing(shape).checked()));
        drop(built);
        time
    });
    case.add("xfork, checking alone", 1, shape.edges(), |_| {
        let built = built::doing_nothing(shape);
        let mut checked = None;
        let time = timed(|| checked = Some(built.checked()));
        drop(checked);
        time
    });
    case.add(BY_HAND, 1, shape.edges(), |_| {
        timed(|| assert_eq!(by_hand(shape).len(), shape.tasks() as usize))
    });
}

/// Who needs whom in both directions, and an order in which inputs come first (Kahn 1962).
fn by_hand(shape: &Shape) -> Vec<u32> {
    let inputs: Vec<Vec<u32>> = (0..shape.tasks()).map(|task| shape.inputs(task).to_vec()).collect();
    let successors = shape.successors();
    let mut missing: Vec<usize> = inputs.iter().map(Vec::len).collect();
    let mut order: Vec<u32> = (0..shape.tasks()).filter(|&task| missing[task as usize] == 0).collect();
    let mut next = 0;
    while let Some(&task) = order.get(next) {
        next += 1;
        for &after in &successors[task as usize] {
            missing[after as usize] -= 1;
            if missing[after as usize] == 0 {
                order.push(after);
            }
        }
    }
    black_box(&inputs);
    order
}

pub(crate) fn lines(field: &Field<'_>, shape: &Shape) -> Vec<Line> {
    let of = |name| field.best(CASE, &[name]).expect("it takes part");
    let (xfork, by_hand) = (of(XFORK).nanoseconds, of(BY_HAND));
    let case = format!("{} tasks, {} edges, built and checked", shape.tasks(), shape.edges());
    let against = format!("{}: {}", by_hand.name, time(by_hand.nanoseconds));
    vec![Line::new(case, time(xfork), against, xfork / 1e3, "µs per edge", ..=1.5)]
}

/// The memory of a graph of this shape whose nodes nobody keeps, and of runs of smaller graphs.
pub(crate) fn memory(shape: &Shape, small: usize) -> (Vec<Line>, Vec<serde_json::Value>) {
    let tasks = f64::from(shape.tasks());
    heap::start();
    let Built { graph, nodes } = built::doing_nothing(shape).checked();
    drop(nodes);
    let [asked, _, taken] = heap::counted().map(|bytes| bytes as f64 / tasks);
    heap::stop();
    drop(graph);
    let against = format!("{asked:.0} B asked for, 3 inputs each");
    let lines = vec![Line::new(
        "heap of a graph, per task",
        format!("{taken:.0} B"),
        against,
        taken,
        "bytes",
        ..=300.0,
    )];

    println!("heap of a run, in bytes for each of {small} tasks\n");
    println!("{:<10}{:>24}{:>24}", "pattern", "held by the results", "most during the run");
    let mut rows = Vec::new();
    for pattern in PATTERNS {
        let mut built = built::doing_nothing(&(pattern.make)(small, 100)).checked();
        heap::start();
        let outcomes = built.run();
        let [held, peak, taken] = heap::counted().map(|bytes| bytes as f64 / small as f64);
        heap::stop();
        drop(outcomes);
        println!("{:<10}{:>24.0}{:>24.0}", pattern.name, taken, peak);
        rows.push(serde_json::json!({
            "case": "memory of a run", "pattern": pattern.name,
            "held_bytes": held, "taken_bytes": taken, "peak_bytes": peak,
        }));
    }
    println!();
    (lines, rows)
}

/// The shape of the large graph.
pub(crate) fn large(scale: usize) -> Shape {
    random(1_000_000 / scale)
}
