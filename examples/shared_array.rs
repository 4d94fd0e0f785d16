//! An array that all tasks read where it lies: `cargo run --release --example shared_array`.
//!
//! The numbers are written once, into memory that the workers map. A task gets the array and the number of its row block, a few bytes
//! in all, and looks at the array through an `ndarray` view.

use ndarray::{ArrayView2, Axis, s};
use xfork::{Shared, cpu_bound, map};

const ROWS: usize = 2_000;
const COLUMNS: usize = 1_000;
const BLOCK: usize = 250;

fn matrix(numbers: &Shared<[f64]>) -> ArrayView2<'_, f64> {
    ArrayView2::from_shape((ROWS, COLUMNS), numbers).expect("as many numbers as the shape says")
}

/// The sums of some rows.
#[cpu_bound]
fn row_sums(numbers: Shared<[f64]>, first: usize) -> Vec<f64> {
    matrix(&numbers).slice(s![first..first + BLOCK, ..]).sum_axis(Axis(1)).to_vec()
}

fn main() {
    let numbers = Shared::new_with(ROWS * COLUMNS, |numbers: &mut [f64]| {
        for (n, number) in numbers.iter_mut().enumerate() {
            *number = (n / COLUMNS) as f64;
        }
    });
    let blocks = (0..ROWS).step_by(BLOCK).map(|first| (numbers.clone(), first));
    let sums: Vec<f64> = map(row_sums, blocks).iter().flat_map(|block| block.to_vec()).collect();
    let expected: Vec<f64> = (0..ROWS).map(|row| (row * COLUMNS) as f64).collect();
    assert_eq!(sums, expected);
    assert_eq!(matrix(&numbers).sum(), sums.iter().sum::<f64>());
    println!("{} row sums of {} MiB, which no task has copied", sums.len(), size_of_val(&*numbers) >> 20);
}
