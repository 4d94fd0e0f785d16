//! Vectors and matrices of other crates as operands: `cargo run --release --example operands`.
//!
//! Proxies combine by whatever operators their values have. For a type of one's own, `#[derive(Operand)]` adds plain
//! values on either side and `+=`. For a type of another crate nobody but that crate can say so; `ready(value)` and
//! `a = a + b` take the place.

use nalgebra::{DMatrix, DVector};
use ndarray::{Array2, arr2};
use std::ops::{Add, Mul};
use xfork::{Operand, ResultProxy, cpu_bound, fork, map, ready};

/// A type of one's own: one line makes it an operand.
#[derive(Clone, Copy, Debug, PartialEq, Operand, serde::Serialize, serde::Deserialize)]
struct Vec3(f64, f64, f64);

impl Add for Vec3 {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0, self.1 + other.1, self.2 + other.2)
    }
}

impl Mul<f64> for Vec3 {
    type Output = Self;
    fn mul(self, factor: f64) -> Self {
        Self(self.0 * factor, self.1 * factor, self.2 * factor)
    }
}

#[cpu_bound]
fn force(mass: f64) -> Vec3 {
    Vec3(0.0, 0.0, -9.81) * mass
}

#[cpu_bound]
fn rotation(degrees: f64) -> DMatrix<f64> {
    let (sine, cosine) = degrees.to_radians().sin_cos();
    DMatrix::from_row_slice(2, 2, &[cosine, -sine, sine, cosine])
}

#[cpu_bound]
fn grid(step: f64) -> Array2<f64> {
    Array2::from_shape_fn((2, 3), |(row, column)| step * (3 * row + column) as f64)
}

fn own() {
    let mut total = fork(force, 2.0) + Vec3(1.0, 0.0, 0.0);
    total += fork(force, 3.0); // another proxy
    total += Vec3(0.0, 1.0, 0.0); // a plain value
    total *= 2.0; // a value of another type
    total *= fork(|half: f64| half, 0.5); // and a proxy of one
    total = Vec3(0.0, 0.0, 1.0) + total; // on the left, too
    let down = Vec3(0.0, 0.0, -9.81) * 2.0 + Vec3(0.0, 0.0, -9.81) * 3.0;
    assert_eq!(total, Vec3(0.0, 0.0, 1.0) + (Vec3(1.0, 1.0, 0.0) + down));
}

fn matrices() {
    let half_turn = fork(rotation, 90.0) * fork(rotation, 90.0);
    let identity = DMatrix::<f64>::identity(2, 2);
    assert!((&*half_turn + &identity).norm() < 1e-12);

    // Numbers are operands of any proxy, plain matrices after `ready`; also a matrix times a vector.
    let stretched = fork(rotation, 0.0) * 2.0;
    let moved = ready(identity.clone()) * &stretched * ready(DVector::from_vec(vec![1.0, 3.0]));
    assert_eq!(moved.as_slice(), [2.0, 6.0]);

    // `+=` is for types that say that they are operands; all other `op=` work. Sums are as the type defines them.
    let mut scaled = stretched;
    scaled *= ready(identity.clone());
    scaled -= ready(identity.clone());
    scaled = scaled + fork(rotation, 0.0);
    scaled /= 2.0;
    assert_eq!(*scaled, identity);
    let all: ResultProxy<DMatrix<f64>> = map(rotation, [0.0, 180.0]).into_iter().sum();
    assert!(all.norm() < 1e-12);
}

fn arrays() {
    let mut sum = fork(grid, 1.0) + fork(grid, 10.0);
    sum *= 2.0;
    sum = 1.0 + sum;
    assert_eq!(*sum, arr2(&[[1.0, 23.0, 45.0], [67.0, 89.0, 111.0]]));

    // ndarray has no sum of arrays, but `+`. Of many it is one node per term, and still nothing waits.
    let total = map(grid, [1.0, 2.0, 3.0]).into_iter().reduce(|sum, term| sum + term);
    assert_eq!(total.map(|total| total.sum()), Some(6.0 * 15.0));
    let rows = ResultProxy::map(&sum, |sum| sum.rows().into_iter().map(|row| row.sum()).collect::<Vec<_>>());
    assert_eq!(rows, [69.0, 267.0]);
}

fn main() {
    own();
    matrices();
    arrays();
}
