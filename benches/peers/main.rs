//! What a task costs in xfork, in the systems that people use instead, and at the limit of what the machine can do.
//!
//! ```sh
//! cargo bench --bench peers                 # some minutes
//! cargo bench --bench peers -- --quick      # a few seconds, for orders of magnitude
//! cargo bench --bench peers -- --scaling    # from one worker to as many as there are cores, and a drawing of it
//! ```
//!
//! `benches/README.md` says what each case measures and how to read the tables. Every pool here has two workers or
//! threads, on whatever machine.

#[path = "../measure/again.rs"]
mod again;
#[path = "../measure/asked.rs"]
mod asked;
mod chart;
mod cpu;
mod futex;
mod handmade;
mod idle;
mod io;
mod pin;
mod pinned;
#[path = "../measure/pipes.rs"]
mod pipes;
mod python;
#[path = "../measure/reach.rs"]
mod reach;
mod scaling;
#[path = "../measure/spin.rs"]
mod spin;
mod starts;
#[path = "../measure/turns.rs"]
mod turns;
mod within;

use asked::Extent;
use reach::Line;
use std::cell::Cell;
use std::time::Duration;
use turns::{Field, time, timed};
use xfork::Plan;

/// Of every pool.
const WORKERS: usize = 2;

/// After this no round begins, if there were enough for a median.
const LIMIT: Duration = Duration::from_secs(150);
const QUICK_LIMIT: Duration = Duration::from_secs(1);

fn main() {
    if let Some(role) = again::role() {
        return starts::play(&role);
    }
    procspawn::init();
    let Some(extent) = asked::extent() else { return };
    if scaling::is_asked() {
        return scaling::run(extent);
    }
    let machine = reach::machine();
    let quick = extent != Extent::Full;
    let scale = extent.scale();
    xfork::plan(Plan::processes(WORKERS));
    rayon::ThreadPoolBuilder::new().num_threads(WORKERS).build_global().expect("nobody has used it yet");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).build().expect("tokio starts");
    let rivals = cpu::Rivals::start();
    let alone = within::Within::new(Plan::processes(1));
    let lost = Cell::new(0);

    let mut field = Field::new(scale);
    io::tasks(&mut field, &runtime, scale);
    cpu::round_trips(&mut field, &rivals);
    pinned::round_trips(&mut field);
    cpu::many_at_once(&mut field, &rivals, scale);
    cpu::panics(&mut field, &lost, scale);
    cpu::work(&mut field, scale);
    starts::starts(&mut field);
    starts::after_crash(&mut field, &alone);
    let rounds = field.take_turns(if quick { 1 } else { 5 }, if quick { QUICK_LIMIT } else { LIMIT });

    let header = format!("{machine}, {WORKERS} workers, {rounds} rounds, sizes divided by {scale}");
    println!("{header}; per task; ratio to the first of the case\n");
    let rows = field.report();
    let mut lines = lines(&field);
    lines.push(Line::new("panics: outcomes lost or wrong", "", "", lost.get() as f64, "tasks", ..=0.0));
    lines.extend(idle::lines(if quick { Duration::from_secs(1) } else { Duration::from_secs(10) }));
    reach::conclude("peers", &["payload"], header, extent, rows, lines);
}

/// What the field is to reach.
fn lines(field: &Field<'_>) -> Vec<Line> {
    let mut lines = Vec::new();
    let xfork =
        |case, name| field.best(case, &[name]).expect("xfork takes part where a rival does").nanoseconds;
    let mut slower = |line: &str, case, name, rivals: &[&str], most: f64| {
        if let Some(rival) = field.best(case, rivals) {
            let ours = xfork(case, name);
            let against = format!("{}: {}", rival.name, time(rival.nanoseconds));
            lines.push(Line::new(line, time(ours), against, ours / rival.nanoseconds, "×", ..=most));
        }
    };
    slower("cpu, round trip", "cpu latency", "xfork process", &["futex ping-pong"], 2.0);
    slower("cpu, round trip on one core", pinned::ONE_CORE, "xfork process", &["futex ping-pong"], 2.0);
    slower(
        "cpu, round trip between two cores",
        pinned::TWO_CORES,
        "xfork process",
        &["futex ping-pong"],
        2.0,
    );
    slower("io, per task", "io throughput", "xfork thread", &io::RIVALS, 1.0);
    slower("io, round trip", "io latency", "xfork thread", &["rayon spawn + channel"], 1.2);
    slower("io, handed to another thread", "io hand-off", "xfork thread", &["rayon spawn + channel"], 1.2);
    slower("first cpu result after the start", "start", "xfork process", &[starts::NOTHING], 4.0);
    slower("first cpu result after a crash", "start", starts::AFTER_CRASH, &[starts::NOTHING], 4.0);
    let mut faster = |line: &str, case, rival, least: f64| {
        let ours = xfork(case, "xfork process");
        if let Some(rival) = field.best(case, &[rival]) {
            let against = format!("{}: {}", rival.name, time(rival.nanoseconds));
            lines.push(Line::new(line, time(ours), against, rival.nanoseconds / ours, "× faster", least..));
        }
    };
    faster("cpu, per task", "cpu throughput", "procspawn Pool", 50.0);
    faster("cpu, tasks of 10 µs, 2 workers", "work of 10 µs", "sequential", 1.5);
    faster("cpu, tasks of 100 µs, 2 workers", "work of 100 µs", "sequential", 1.85);
    let mut absolute = |line: &str, case, rival, most: f64| {
        let ours = xfork(case, "xfork process");
        let against =
            field.best(case, &[rival]).map(|rival| format!("{}: {}", rival.name, time(rival.nanoseconds)));
        lines.push(Line::new(line, time(ours), against.unwrap_or_default(), ours / 1e3, "µs", ..=most));
    };
    absolute("cpu, per task, whatever others take", "cpu throughput", "procspawn Pool", 1.0);
    absolute("cpu, map_process, per item", "cpu map", python::NAME, 0.3);
    let (panics, plain) = (xfork("panics", "xfork process, panics"), xfork("panics", "xfork process, no-op"));
    let against = format!("no-op: {}", time(plain));
    lines.push(Line::new(
        "a task that panics",
        time(panics),
        against,
        (panics - plain) / 1e3,
        "µs more",
        ..=100.0,
    ));
    lines
}

/// The measure of one task, as [`turns::Case::add`] wants it.
fn one<'a>(mut work: impl FnMut() + 'a) -> impl FnMut(usize) -> Duration + 'a {
    move |_| timed(&mut work)
}

/// The measure of many tasks at once; `work` is told how many.
fn many<'a>(mut work: impl FnMut(usize) + 'a) -> impl FnMut(usize) -> Duration + 'a {
    move |tasks| timed(|| work(tasks))
}

fn no_op() {}
