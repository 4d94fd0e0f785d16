//! What is seen when something fails far away: `cargo run --example nested_panic`.
//!
//! It ends with a panic, on purpose, three forks down in another process; the README shows what it prints.

use xfork::{cpu_bound, fork, io_bound};

#[cpu_bound]
fn sum(text: &str) -> u32 {
    text.split(' ').map(number).sum()
}

fn number(word: &str) -> u32 {
    word.parse().unwrap()
}

#[io_bound]
fn read(path: &str) -> u32 {
    let text = if path == "odd.txt" { "1 3 5" } else { "2 four 6" };
    *fork(sum, text)
}

#[cpu_bound]
fn both(odd: &str, even: &str) -> u32 {
    let total = fork(read, odd) + fork(read, even);
    *total
}

pub(crate) fn main() {
    let total = fork(both, ("odd.txt", "even.txt"));
    println!("twice as much is {}", total * 2);
}
