//! Matrices of `nalgebra` whose entries are still being computed. `cargo run --release --example generic_matrix`
//!
//! Its products, sums and transposes are written for numbers. Over proxies they run at once, wait for nothing, and give
//! a matrix of expressions; each entry is computed when it is read.

use nalgebra::DMatrix;
use std::time::Instant;
use xfork::{ProxyState, ResultProxy, cpu_bound, fork};

/// How many steps the Collatz sequences of the `n`th thousand numbers take together.
#[cpu_bound]
fn steps(n: i64) -> i64 {
    let sequence = |n| std::iter::successors(Some(n), |&n| Some(if n % 2 == 0 { n / 2 } else { 3 * n + 1 }));
    (n * 1_000..(n + 1) * 1_000).map(|n| sequence(n.max(1)).take_while(|&n| n != 1).count() as i64).sum()
}

fn main() {
    let size = 12;
    let number = |row: usize, column: usize| (row * size + column) as i64;
    let plain = DMatrix::from_fn(size, size, |row, column| steps(number(row, column)));

    let start = Instant::now();
    let forked = DMatrix::from_fn(size, size, |row, column| fork(steps, number(row, column)));
    let started = start.elapsed();
    let product = &forked * forked.transpose() + &forked;
    println!("{} forks in {started:?}, then their product in {:?}", size * size, start.elapsed() - started);
    assert!(product.iter().all(|entry| ResultProxy::state(entry) == ProxyState::Deferred));

    let expected = &plain * plain.transpose() + &plain;
    assert_eq!(product.map(|entry| *entry), expected);
    println!("all {} sums are there after {:?}", size * size, start.elapsed());

    // What they give can be the argument of a further fork: here the trace of a power.
    let trace = forked.fixed_view::<2, 2>(0, 0).clone_owned().pow(2).trace();
    let halved = fork(|n: i64| n / 2, trace);
    assert_eq!(halved, plain.fixed_view::<2, 2>(0, 0).clone_owned().pow(2).trace() / 2);
}
