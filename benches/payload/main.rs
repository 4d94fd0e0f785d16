//! What it costs to give a task something: large arguments and results, small ones, shared memory, and the memory of a queue.
//!
//! ```sh
//! cargo bench --bench payload               # under a minute
//! cargo bench --bench payload -- --quick    # a second, for orders of magnitude
//! ```
//!
//! `benches/README.md` says what each case measures and how to read the tables. The pool has two workers.

#[path = "../measure/again.rs"]
mod again;
#[path = "../measure/asked.rs"]
mod asked;
#[path = "../measure/heap.rs"]
mod heap;
mod memory;
#[path = "../measure/pipes.rs"]
mod pipes;
#[path = "../measure/reach.rs"]
mod reach;
mod shared;
mod socket;
#[path = "../measure/turns.rs"]
mod turns;

use asked::Extent;
use pipes::Pipes;
use reach::Line;
use socket::{Buffers, Socket};
use std::time::Duration;
use turns::{Field, time, timed};
use xfork::{Plan, ResultProxy, process};

const WORKERS: usize = 2;

/// The size of a large payload in bytes.
const LARGE: usize = 64 << 20;
const BYTES: &str = "64 MiB of u8";
const NUMBERS: &str = "64 MiB of f64";

const LIMIT: Duration = Duration::from_secs(60);
const QUICK_LIMIT: Duration = Duration::from_secs(1);

fn main() {
    if let Some(role) = again::role() {
        return play(&role);
    }
    let Some(extent) = asked::extent() else { return };
    let machine = reach::machine();
    let quick = extent != Extent::Full;
    let scale = extent.scale();
    xfork::plan(Plan::processes(WORKERS));

    // First, so that the heap has no room yet that others have left.
    let memory = memory::lines(100_000 / scale);
    let mut field = Field::new(scale);
    large(&mut field, scale);
    let mut case = field.case("1 byte", 20);
    case.add("xfork process", 500, 1, |_| {
        timed(|| assert_eq!(*process(there_and_back::<Vec<u8>>, vec![7]), [7]))
    });
    let mut pipes = Pipes::start();
    case.add("through pipes", 500, 1, move |_| timed(|| pipes.round_trip()));
    shared::add(&mut field, scale);
    let rounds = field.take_turns(if quick { 1 } else { 5 }, if quick { QUICK_LIMIT } else { LIMIT });

    let header = format!("{machine}, {WORKERS} workers, {rounds} rounds, sizes divided by {scale}");
    println!("{header}; ratio to the first of the case\n");
    let rows = field.report();
    let mut lines = Vec::new();
    for case in [BYTES, NUMBERS] {
        let of = |name| field.best(case, &[name]).expect("it takes part");
        let (xfork, socket) = (of("xfork process").nanoseconds, of(socket::FRESH));
        let against = format!("{}: {}", socket.name, time(socket.nanoseconds));
        let measured = xfork / socket.nanoseconds;
        lines.push(Line::new(format!("{case}, there and back"), time(xfork), against, measured, "×", ..=1.3));
    }
    lines.extend(shared::lines(&field));
    lines.extend(memory);
    reach::conclude("payload", &["peers"], header, extent, rows, lines);
}

/// Every size is the same number of bytes, and what is sent is made before the time begins.
fn large(field: &mut Field<'_>, scale: usize) {
    let length = LARGE / scale / size_of::<f64>() * size_of::<f64>();
    let bytes: Vec<u8> = (0..length).map(|n| n as u8).collect();
    let numbers: Vec<f64> = (0..length / size_of::<f64>()).map(|n| n as f64).collect();
    let mut case = field.case(BYTES, 20);
    case.add("xfork process", 1, 1, {
        let bytes = bytes.clone();
        move |_| round_trip(&bytes)
    });
    against_sockets(&mut case, &bytes);
    let text = "x".repeat(length);
    case.add("xfork process, a String", 1, 1, move |_| round_trip(&text));
    let mut case = field.case(NUMBERS, 20);
    case.add("xfork process", 1, 1, move |_| round_trip(&numbers));
    against_sockets(&mut case, &bytes);
}

fn against_sockets(case: &mut turns::Case<'_, '_>, bytes: &[u8]) {
    for (name, buffers) in [(socket::FRESH, Buffers::Fresh), (socket::REUSED, Buffers::Reused)] {
        let (mut socket, bytes) = (Socket::start(bytes.len(), buffers), bytes.to_vec());
        case.add(name, 1, 1, move |_| socket.round_trip(&bytes));
    }
}

fn there_and_back<T>(value: T) -> T {
    value
}

fn round_trip<T>(value: &T) -> Duration
where
    T: Clone + Default + PartialEq + Send + serde::Serialize + serde::de::DeserializeOwned + 'static,
{
    let argument = value.clone();
    let mut result = T::default();
    let time = timed(|| result = ResultProxy::into_inner(process(there_and_back::<T>, argument)));
    assert!(result == *value, "the same comes back");
    time
}

/// The parts of this program that are limits.
fn play(role: &str) {
    match role.split_once(' ') {
        Some(("socket", argument)) => socket::answer(argument),
        _ => pipes::answer(),
    }
}
