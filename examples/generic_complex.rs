//! Complex numbers of `num-complex` whose parts are still being computed. `cargo run --release --example generic_complex`
//!
//! Powers, quotients, sums and norms are written for `T: Num + Clone`; over proxies they build expressions. What
//! asks for the value, such as printing, waits.

use num_complex::Complex;
use std::time::Instant;
use xfork::{ProxyState, ResultProxy, cpu_bound, map};

/// A part of a number, by a walk that takes a while: in -1.0..1.0.
#[cpu_bound]
fn part(seed: u64) -> f64 {
    let mix = |n: u64| (n ^ (n >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(29);
    (0..2_000_000).fold(mix(seed + 1), |n, _| mix(n)) as i64 as f64 / i64::MAX as f64
}

/// A generic function that knows nothing of proxies: a polynomial in `z`, by the crate's powers.
fn polynomial<T: num_traits::Num + Clone>(z: &Complex<T>) -> Complex<T> {
    let cube = num_traits::pow(z.clone(), 3);
    (cube * z.powu(5) - z) / (z + T::one())
}

fn main() {
    let seeds = 0..16;
    let plain: Vec<f64> = seeds.clone().map(*part).collect();
    let plain = plain.chunks(2).map(|parts| Complex::new(parts[0], parts[1]));

    let start = Instant::now();
    let forked: Vec<ResultProxy<f64>> = map(part, seeds);
    let forked = forked.chunks(2).map(|parts| Complex::new(parts[0].clone(), parts[1].clone()));
    let sum: Complex<ResultProxy<f64>> = forked.map(|z| polynomial(&z)).sum();
    let norm = sum.norm_sqr();
    println!("the expression is built after {:?}", start.elapsed());
    assert_eq!(ResultProxy::state(&norm), ProxyState::Deferred);

    let expected: Complex<f64> = plain.map(|z| polynomial(&z)).sum();
    assert_eq!(norm, expected.norm_sqr());
    assert_eq!((&sum.re, &sum.im), (&expected.re.into(), &expected.im.into()));
    println!("{sum:.3} after {:?}", start.elapsed());
}
