//! Fork calls, use their results as if they were there: `cargo run --release --example fork_join`.
//!
//! A mark says what a function is, `fork` calls it in the background, and the proxy it returns stands for the value.
//! Only reading waits; arithmetic on proxies gives another proxy.

use xfork::{cpu_bound, fork, io_bound, r#unsafe};

#[cpu_bound] // computes: runs in a worker process
fn fib(n: u64) -> u64 {
    if n < 2 { n } else { fib(n - 1) + fib(n - 2) }
}

#[io_bound] // waits: runs on a thread
fn lines(path: &str) -> usize {
    std::fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

#[r#unsafe] // only makes sense here and now: never forked
fn here() -> u32 {
    std::process::id()
}

fn main() {
    // Three calls at once. None of these lines waits.
    let a = fork(fib, 30);
    let b = fork!(fib(31)); // the same, wrapped round an ordinary call
    let count = fork(lines, concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));

    // Operators give deferred expressions: proxies with proxies, with references to them, with plain numbers.
    let mut sum = &a + &b;
    sum += 2 * (&b - &a);

    // Reading waits: comparing, printing, `*`.
    assert!(b > a);
    assert_eq!(a, 832_040);
    assert_eq!(sum, 832_040 + 1_346_269 + 2 * (1_346_269 - 832_040));
    assert!(*count > 0);
    println!("fib(30) = {a}, fib(31) = {b}, together {sum}; {count} lines");

    // Without a mark a function computes, so it runs elsewhere; `unsafe` keeps it here.
    assert_ne!(fork(std::process::id, ()), std::process::id());
    assert_eq!(fork(here, ()), std::process::id());

    // A marked function is still a function.
    assert_eq!(fib(10), 55);
    assert_eq!((1..=10).map(*fib).sum::<u64>(), 143);
}
