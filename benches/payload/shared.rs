//! What it costs to give a task numbers that it need not get: `Shared` memory that its worker has already.
//!
//! The task reads one element, in the middle. A byte through pipes is the limit, since the task and its result travel in any case; how
//! much is shared should make no difference. The last rows are what sharing is to be weighed against: to send the
//! numbers, and to share them for one task only.

use crate::LARGE;
use crate::pipes::Pipes;
use crate::reach::Line;
use crate::turns::{Field, time, timed};
use std::hint::black_box;
use xfork::{Shared, process};

const CASE: &str = "a task reads";
const LARGE_SHARED: &str = "64 MiB of f64, shared";
const SMALL_SHARED: &str = "64 KiB of f64, shared";
const PIPES: &str = "a byte through pipes";

/// The size of a small payload in bytes.
const SMALL: usize = 64 << 10;
const SAMPLES: usize = 500;

pub(crate) fn add(field: &mut Field<'_>, scale: usize) {
    let (large, small) = (shared(LARGE / scale), shared(SMALL));
    let vector = small.to_vec();
    let mut case = field.case(CASE, 20);
    for (name, numbers) in [(LARGE_SHARED, large), (SMALL_SHARED, small)] {
        case.add(name, SAMPLES, 1, move |_| timed(|| assert_eq!(*process(middle, &numbers), 1.5)));
    }
    let mut pipes = Pipes::start();
    case.add(PIPES, SAMPLES, 1, move |_| timed(|| pipes.round_trip()));
    case.add("64 KiB of f64 in a Vec", SAMPLES, 1, move |_| {
        let vector = vector.clone();
        timed(|| assert_eq!(*process(middle_of_vector, vector), 1.5))
    });
    case.add("64 KiB of f64, shared for it only", SAMPLES, 1, |_| {
        timed(|| assert_eq!(*process(middle, shared(SMALL)), 1.5))
    });
}

pub(crate) fn lines(field: &Field<'_>) -> Vec<Line> {
    let of = |name| field.best(CASE, &[name]).expect("it takes part").nanoseconds;
    let (large, small, pipes) = (of(LARGE_SHARED), of(SMALL_SHARED), of(PIPES));
    let line = |name: &str, xfork: f64, against: &str, other: f64, reach: f64| {
        let against = format!("{against}: {}", time(other));
        Line::new(format!("{CASE} {name}"), time(xfork), against, xfork / other, "×", ..=reach)
    };
    vec![
        line(LARGE_SHARED, large, PIPES, pipes, 5.0),
        line(SMALL_SHARED, small, PIPES, pipes, 5.0),
        // Whatever the size: what is beyond is noise.
        line(LARGE_SHARED, large, SMALL_SHARED, small, 1.25),
    ]
}

fn shared(bytes: usize) -> Shared<[f64]> {
    Shared::new_with(bytes / size_of::<f64>(), |numbers| numbers.fill(1.5))
}

fn middle(numbers: Shared<[f64]>) -> f64 {
    black_box(&numbers)[numbers.len() / 2]
}

fn middle_of_vector(numbers: Vec<f64>) -> f64 {
    black_box(&numbers)[numbers.len() / 2]
}
