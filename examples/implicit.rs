//! Functions that fork by themselves: `cargo run --release --example implicit`.
//!
//! With `cpu_bound_fork` or `io_bound_fork` the plain call forks, so that callers need not change at all;
//! `f::sequential(…)` is the call without a fork.

use xfork::{ResultProxy, cpu_bound_fork, io_bound_fork};

#[cpu_bound_fork]
fn fib(n: u64) -> u64 {
    // Inside too a plain call forks; small ones are not worth it.
    if n < 20 { small_fib(n) } else { *(fib(n - 1) + fib(n - 2)) }
}

fn small_fib(n: u64) -> u64 {
    if n < 2 { n } else { small_fib(n - 1) + small_fib(n - 2) }
}

#[io_bound_fork]
fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

#[cpu_bound_fork]
fn words(text: &Option<String>) -> usize {
    text.as_ref().map_or(0, |text| text.split_whitespace().count())
}

fn main() {
    // Reads like a sequential program, and forks three times.
    let text = read(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml").to_string());
    let count: ResultProxy<usize> = words(text);
    let number = fib(25);
    println!("{count} words, fib(25) = {number}");
    assert!(*count > 10);
    assert_eq!(number, 75_025);

    assert_eq!(fib::sequential(10), 55);
    assert_eq!(words::sequential(&Some("in place".to_string())), 2);
}
