//! Work of a known size: arithmetic in which each step needs the one before.
//!
//! It is a number of steps, not a time read from a clock: a task that is interrupted still has all of its work to do.

use std::hint::black_box;
use std::time::Instant;

/// Does so many steps.
pub(crate) fn spin(steps: u64) -> u64 {
    let mut x = black_box(0x9E37_79B9_7F4A_7C15_u64);
    for _ in 0..steps {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    x
}

/// How many steps a core that nobody disturbs does in a nanosecond: the most of many short measurements.
pub(crate) fn calibrate() -> f64 {
    const STEPS: u64 = 50_000;
    let measure = |_| {
        let begin = Instant::now();
        black_box(spin(black_box(STEPS)));
        STEPS as f64 / begin.elapsed().as_nanos() as f64
    };
    (0..400).map(measure).fold(0.0, f64::max)
}
