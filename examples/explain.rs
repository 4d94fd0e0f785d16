//! What a value is made of and how far it is: `cargo run --example explain`, or `… | dot -Tsvg` for the second half.
//!
//! `ResultProxy::explain` looks at a proxy without waiting for it: what is ready, what a task is still computing, what
//! nobody has needed yet. The picture is a tree for a terminal or a log, and a graph for Graphviz.

use std::sync::mpsc::channel;
use xfork::{ResultProxy, cpu_bound, fork, thread};

#[cpu_bound]
fn fib(n: u64) -> u64 {
    if n < 2 { n } else { fib(n - 1) + fib(n - 2) }
}

fn main() {
    let small = fork(fib, 20);
    assert_eq!(small, 6765); // so it is ready when we look
    let (go, gate) = channel::<u64>();
    let slow = thread(move || gate.recv().unwrap(), ());

    let mut total = (&slow + 1) * &small;
    for n in 0..100_000_u64 {
        total += n; // one node of the picture, not so many
    }
    total -= &small;

    let explanation = ResultProxy::explain(&total);
    println!("{explanation}");
    println!("{}", explanation.to_dot());
    let text = explanation.to_string();
    assert!(text.starts_with("-  deferred, ") && text.contains("+ 100 000 times  deferred"));
    assert!(text.contains("#1 fib  ready 6765, forked at ") && text.contains("#1 (as above)"));

    go.send(1).unwrap();
    assert_eq!(total, 2 * 6765 + 99_999 * 50_000 - 6765);
    println!("{}", ResultProxy::explain(&total));
}
