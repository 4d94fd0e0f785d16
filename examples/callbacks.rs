//! Going on with a result before it is there: `cargo run --release --example callbacks`.
//!
//! These belong to the proxy, not to its value, so they are associated functions: `ResultProxy::map(&p, …)`.

use std::sync::mpsc::channel;
use xfork::{ProxyState, ResultProxy, cpu_bound, fork, io_bound, lazy, ready, thread};

#[cpu_bound]
fn longest(text: &str) -> String {
    text.split_whitespace().max_by_key(|word| word.len()).unwrap_or_default().to_string()
}

#[io_bound]
fn letters(word: &str) -> usize {
    word.len()
}

#[cpu_bound]
fn bounds(numbers: &[i32]) -> (i32, i32) {
    (numbers.iter().copied().min().unwrap_or(0), numbers.iter().copied().max().unwrap_or(0))
}

fn main() {
    let word = fork(longest, "a proxy stands for its value");

    // Call something as soon as the outcome is there, on a thread of the pool.
    let (sender, receiver) = channel();
    ResultProxy::on_ready(&word, move |outcome| {
        let text = outcome.map_or_else(|error| error.to_string(), Clone::clone);
        let _ = sender.send(text);
    });
    assert_eq!(receiver.recv().as_deref(), Ok("stands"));

    // A function of the value, worked out in place by whoever needs it first.
    let shout = ResultProxy::map(&word, |word| word.to_uppercase());
    assert_eq!(shout, "STANDS");

    // Another fork that depends on what the value is.
    let count = ResultProxy::and_then(&word, |word| fork(letters, word.as_str()));
    assert_eq!(count, 6);

    // A pair as two proxies, each to be forked on.
    let (least, greatest) = ResultProxy::unzip(fork(bounds, vec![3, -7, 12]));
    assert_eq!((*least, *greatest), (-7, 12));

    // Values that nobody has to wait for, and values that nobody may ever need.
    let known = ready(20);
    let later = lazy(|| 22);
    assert_eq!(ResultProxy::state(&later), ProxyState::Deferred);
    assert_eq!(known + later, 42);
    let _never = lazy(|| -> i32 { unreachable!("nobody asks") });

    // The value itself, out of its proxy.
    let text: String = ResultProxy::into_inner(thread(|| "moved out".to_string(), ()));
    println!("{text}");
}
