//! The `polynomial` crate over results that are still being computed. `cargo run --release --example generic_polynomial`
//!
//! Its Chebyshev approximation is written for numbers, `T: One + Zero + Clone + FromPrimitive + …`, and calls the function
//! to be approximated at some points. Given a function that forks, it starts them all before it needs the first.

use polynomial::Polynomial;
use std::time::Instant;
use xfork::{ProxyState, ResultProxy, cpu_bound, fork};

/// The integral of the bell curve from 0 to `x`, which takes a while.
#[cpu_bound]
fn integral(x: f64) -> f64 {
    let steps = 5_000_000;
    let step = x / steps as f64;
    (0..steps).map(|n| (-((n as f64 + 0.5) * step).powi(2)).exp() * step).sum()
}

fn main() {
    let points = 9;
    let start = Instant::now();
    let plain: Polynomial<f64> = Polynomial::chebyshev(&|x| integral(x), points, 0.0, 2.0).unwrap();
    let sequential = start.elapsed();

    let start = Instant::now();
    let forked: Polynomial<ResultProxy<f64>> =
        Polynomial::chebyshev(&|x| fork(integral, x), points, 0.0, 2.0).unwrap();
    println!("{points} integrals, sequentially in {sequential:?}, forked in {:?}", start.elapsed());
    assert_eq!(forked.data(), plain.data());

    // Evaluating it is an expression; so are products and sums of polynomials.
    let one = forked.eval(1.0.into());
    assert_eq!(ResultProxy::state(&one), ProxyState::Deferred);
    assert_eq!(one, plain.eval(1.0));
    assert_eq!((&forked * &forked - &forked).data(), (&plain * &plain - &plain).data());
    println!("the integral up to 1 is {one:.6}, or directly {:.6}", integral(1.0));
    assert!((*one - integral(1.0)).abs() < 1e-4);
}
