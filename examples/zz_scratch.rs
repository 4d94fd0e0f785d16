//! Scratch.
use std::time::Instant;
use xfork::{Plan, process};
fn no_op() {}
fn main() {
    let w: usize = std::env::var("W").ok().and_then(|v| v.parse().ok()).unwrap_or(2);
    xfork::plan(Plan::processes(w));
    *process(no_op, ());
    let n = 100_000;
    for round in 0..5 {
        let mut times = Vec::new();
        for _ in 0..3000 {
            let b = Instant::now();
            *process(no_op, ());
            times.push(b.elapsed().as_nanos());
        }
        times.sort();
        let b = Instant::now();
        let ps: Vec<_> = (0..n).map(|_| process(no_op, ())).collect();
        let sub = b.elapsed();
        ps.into_iter().for_each(|p| *p);
        let all = b.elapsed();
        println!(
            "round {round}: rt p10 {} p50 {} p90 {} ns; submit {} ns/task, all {} ns/task",
            times[300],
            times[1500],
            times[2700],
            sub.as_nanos() / n,
            all.as_nanos() / n
        );
    }
}
