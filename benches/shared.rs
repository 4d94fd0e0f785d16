//! What it costs to give a task big data: `cargo bench --bench shared`.
//!
//! Round trips of a task that reads one element, for several sizes, against a task that does nothing and a byte through the
//! pipes of another process, in turns; medians of the rounds, and how many times each takes what the byte takes.

use std::hint::black_box;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Instant;
use xfork::{Plan, Shared, plan, process};

const ROUNDS: usize = 15;
const TURNS: usize = 400;

fn nothing() {}

fn first(numbers: Shared<[f64]>) -> f64 {
    numbers[0]
}

fn first_of_vec(numbers: Vec<f64>) -> f64 {
    numbers[0]
}

/// Microseconds for each of so many turns.
fn time(turns: usize, mut turn: impl FnMut()) -> f64 {
    let begin = Instant::now();
    (0..turns).for_each(|_| turn());
    begin.elapsed().as_secs_f64() * 1e6 / turns as f64
}

fn shared(bytes: usize) -> Shared<[f64]> {
    Shared::new_with(bytes / 8, |numbers| numbers.fill(1.5))
}

fn main() {
    plan(Plan::processes(1));
    let mut cat = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("cat");
    let (mut to, mut from) = (cat.stdin.take().expect("piped"), cat.stdout.take().expect("piped"));
    let mut pipe = || {
        to.write_all(b"x").expect("it reads");
        from.read_exact(&mut [0]).expect("it writes");
    };
    let (small, large) = (shared(64 << 10), shared(64 << 20));
    let vec = vec![1.5; (64 << 10) / 8];
    let names = [
        "a byte through the pipes of `cat`",
        "a task that does nothing",
        "64 KiB shared",
        "64 MiB shared",
        "64 KiB in a Vec",
        "64 KiB made, shared and dropped",
    ];
    let mut times = vec![Vec::new(); names.len()];
    for _ in 0..=ROUNDS {
        let round = [
            time(TURNS, &mut pipe),
            time(TURNS, || *process(nothing, ())),
            time(TURNS, || _ = black_box(*process(first, &small))),
            time(TURNS, || _ = black_box(*process(first, &large))),
            time(TURNS, || _ = black_box(*process(first_of_vec, vec.clone()))),
            time(TURNS, || _ = black_box(*process(first, shared(64 << 10)))),
        ];
        times.iter_mut().zip(round).for_each(|(times, time)| times.push(time));
    }
    let median = |times: &mut Vec<f64>| {
        // The first round warms up.
        times.remove(0);
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let medians: Vec<f64> = times.iter_mut().map(median).collect();
    for (name, median) in names.iter().zip(&medians) {
        println!("{median:8.1} us, {:5.2} times the pipes: {name}", median / medians[0]);
    }
    drop(to);
    cat.wait().expect("it ends with its input");
}
