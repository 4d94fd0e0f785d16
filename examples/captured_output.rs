//! A parallel run prints what the sequential one prints: `cargo run --release --example captured_output`.
//!
//! What a task prints is kept with its result, and printed where that is used. `XFORK_OUTPUT=captured` does the same to
//! a program that says nothing of it.

use std::time::Duration;
use xfork::{Output, Plan, cpu_bound, fork, map, wait};

#[cpu_bound]
fn measure(step: u64) -> u64 {
    println!("step {step} begins");
    // The first takes longest, and is printed first all the same.
    std::thread::sleep(Duration::from_millis(40 - 10 * step));
    println!("step {step} ends");
    step * step
}

#[cpu_bound]
fn add(a: u64, b: u64) -> u64 {
    println!("{a} + {b}");
    a + b
}

#[cpu_bound]
fn fail(at: &str) {
    println!("working at {at}");
    eprintln!("warning: {at} is hot");
    std::process::abort()
}

fn main() {
    xfork::plan(Plan::processes(3).output(Output::Captured));

    // Each line `step … begins` is followed by its own end, in the order of the loop.
    for (square, expected) in map(measure, 0..4).iter().zip([0, 1, 4, 9]) {
        assert_eq!(**square, expected);
    }

    // What a task takes prints before it.
    let sum = fork(add, (fork(measure, 2), fork(measure, 3)));
    assert_eq!(sum, 13);

    // A worker that died has left its text, which is with the error, too.
    let error = wait(&fork(fail, "the furnace")).expect_err("it aborts");
    assert_eq!(error.signal(), Some(6));
    assert_eq!(error.output(), Some("working at the furnace\nwarning: the furnace is hot\n"));
}
