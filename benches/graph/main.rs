//! What a task of a graph costs: to build, to check, to run and to schedule, in the patterns of Task Bench.
//!
//! ```sh
//! cargo bench --bench graph                    # some minutes
//! cargo bench --bench graph -- --quick         # a few seconds, for orders of magnitude
//! cargo bench --bench graph -- --metg          # one table alone, in about a minute
//! cargo bench --bench graph -- --write-graph   # the graph that schedulers elsewhere are measured with
//! ```
//!
//! `benches/README.md` says what each case measures and how to read the tables. Every pool here has two workers or
//! threads, on whatever machine.

#[path = "../measure/asked.rs"]
mod asked;
mod built;
mod byhand;
#[path = "../measure/heap.rs"]
mod heap;
mod metg;
mod plans;
#[path = "../measure/reach.rs"]
mod reach;
mod shapes;
mod size;
#[path = "../measure/spin.rs"]
mod spin;
#[path = "../measure/turns.rs"]
mod turns;

use asked::Extent;
use byhand::{Dataflow, calls};
use reach::Line;
use shapes::{PATTERNS, Shape};
use std::hint::black_box;
use std::time::Duration;
use turns::{Field, time, timed};
use xfork::Plan;

/// Of every pool.
const WORKERS: usize = 2;
/// Of the patterns that have one.
const WIDTH: usize = 100;

/// After this no round begins, if there were enough for a median.
const LIMIT: Duration = Duration::from_secs(100);
const QUICK_LIMIT: Duration = Duration::from_secs(1);

const XFORK: &str = "xfork threads";
const BUILT: &str = "xfork, built and checked";
const RAYON: &str = "rayon by hand";
const CALLS: &str = "plain calls";

fn main() {
    let Some(extent) = asked::extent() else { return };
    if asked::is_asked("--write-graph") {
        return [100, 300, 1000].into_iter().for_each(plans::write_graph);
    }
    let machine = reach::machine();
    let quick = extent != Extent::Full;
    let scale = extent.scale();
    xfork::plan(Plan::processes(WORKERS).io_threads(WORKERS));
    rayon::ThreadPoolBuilder::new().num_threads(WORKERS).build_global().expect("nobody has used it yet");

    if asked::is_asked("--metg") {
        println!("{machine}");
        return drop(metg::report(extent, spin::calibrate()));
    }
    let large = size::large(scale);
    let (memory, memory_rows) = size::memory(&large, 100_000 / scale);
    let shapes = PATTERNS.map(|pattern| {
        let shape = (pattern.make)(100_000 / scale, WIDTH);
        let successors = shape.successors();
        (pattern.name, shape, successors)
    });
    let mut field = Field::new(scale);
    for (name, shape, successors) in &shapes {
        run(&mut field, name, shape, successors);
    }
    size::add(&mut field, &large);
    plans::add(&mut field, scale);
    let rounds = field.take_turns(if quick { 1 } else { 5 }, if quick { QUICK_LIMIT } else { LIMIT });

    let header = format!("{machine}, {WORKERS} workers, {rounds} rounds, sizes divided by {scale}");
    println!("{header}; per task, `{}` per edge; ratio to the first of the case\n", size::CASE);
    let mut rows = field.report();
    rows.extend(memory_rows);
    rows.extend(metg::report(extent, spin::calibrate()));

    let mut lines: Vec<Line> = shapes.iter().map(|(name, ..)| line(&field, name)).collect();
    lines.extend(size::lines(&field, &large));
    lines.extend(memory);
    lines.extend(plans::lines(&field, scale));
    reach::conclude("graph", &[], header, extent, rows, lines);
}

/// The competitors of a pattern; each checks the result of the last task.
fn run<'a>(field: &mut Field<'a>, name: &'static str, shape: &'a Shape, successors: &'a [Vec<u32>]) {
    let tasks = shape.tasks() as usize;
    let right = calls(shape, 0);
    let mut case = field.case(name, 25);
    case.add(XFORK, 1, tasks, move |_| {
        let mut built = built::doing_nothing(shape).checked();
        let mut done = None;
        let time = timed(|| done = Some(built.run()));
        assert_eq!(done.map(|(outcomes, last)| (outcomes.is_done(), last)), Some((true, right)));
        time
    });
    case.add(BUILT, 1, tasks, move |_| {
        let mut built = None;
        let time = timed(|| built = Some(built::doing_nothing(shape).checked()));
        drop(built);
        time
    });
    case.add(RAYON, 1, tasks, move |_| {
        let dataflow = Dataflow::new(shape, successors, 0);
        timed(|| assert_eq!(dataflow.run(), right))
    });
    case.add(CALLS, 1, tasks, move |_| timed(|| assert_eq!(calls(black_box(shape), 0), right)));
}

/// Zero, after so many steps of arithmetic.
fn nothing_after(steps: u64) -> u32 {
    // Of a start that is not zero, no step makes zero.
    (spin::spin(steps) == 0).into()
}

fn line(field: &Field<'_>, pattern: &str) -> Line {
    let of = |name| field.best(pattern, &[name]).expect("it takes part").nanoseconds;
    let (xfork, rayon, calls) = (of(XFORK), of(RAYON), of(CALLS));
    let against = format!("{RAYON}: {}, {CALLS}: {}", time(rayon), time(calls));
    Line::new(format!("run, {pattern}, per task"), time(xfork), against, xfork / 1e3, "µs", ..=2.0)
}
