//! Waiting for one, for the first, for all, for a while: `cargo run --release --example waiting`.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use xfork::{
    ResultProxy, as_completed, block_map, cpu_bound, io_bound, ready, thread, wait, wait_all, wait_any,
    wait_timeout,
};

#[cpu_bound]
fn half(n: u32) -> u32 {
    assert!(n.is_multiple_of(2), "{n} is odd");
    n / 2
}

/// Stands for whatever one waits for: comes when it is sent.
#[io_bound]
fn letter(from: Receiver<&'static str>) -> &'static str {
    from.recv().unwrap_or("nothing")
}

fn main() {
    // One, as a Result instead of a panic.
    assert_eq!(wait(&xfork::fork(half, 8)).ok(), Some(&4));
    assert!(wait(&xfork::fork(half, 7)).is_err());

    // For a while. The task goes on, and may be waited for again.
    let (sender, receiver) = channel();
    let answer = xfork::fork(letter, receiver);
    assert!(wait_timeout(&answer, Duration::from_millis(10)).is_err_and(|error| error.is_timeout()));
    assert!(ResultProxy::try_wait(&answer).is_none());
    sender.send("at last").expect("somebody listens");
    assert_eq!(wait(&answer).ok(), Some(&"at last"));

    // The first of several; then each as it comes.
    let (senders, letters): (Vec<_>, Vec<_>) = ["a", "b", "c"]
        .map(|name| {
            let (sender, receiver) = channel();
            ((name, sender), xfork::fork(letter, receiver))
        })
        .into_iter()
        .unzip();
    let send = move |position: usize| {
        let (name, sender) = &senders[position];
        sender.send(*name).expect("somebody listens");
    };
    send(1);
    assert_eq!(wait_any(&letters), Some(1));
    let mut arrived = as_completed(letters);
    let mut order = vec![arrived.next().map(|arrived| *arrived)];
    for next in [2, 0] {
        send(next);
        order.push(arrived.next().map(|arrived| *arrived));
    }
    println!("in order of arrival: {order:?}");
    assert_eq!(order, [Some("b"), Some("c"), Some("a")]);

    // All of them: the values in order, or the first error in order.
    let both = [ready(1), thread(|| 2, ())];
    assert_eq!(wait_all(&both).ok(), Some(vec![&1, &2]));
    assert_eq!(block_map(half, [2, 4, 6]).ok(), Some(vec![1, 2, 3]));
    let error = block_map(half, [2, 5, 7]).expect_err("5 is odd");
    assert_eq!(error.message(), "5 is odd");
}
