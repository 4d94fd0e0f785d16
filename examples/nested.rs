//! Tasks that fork tasks: `cargo run --release --example nested`.
//!
//! A task may fork and wait as the program itself does. Worker processes pass such tasks to each other, and a worker
//! that waits does other work meanwhile, so no depth needs more workers or more threads than there are.

use std::time::Instant;
use xfork::{cpu_bound, fork, io_bound, map};

/// Counts the ways to put queens on the rows that are left, given the columns of those above.
fn queens(size: usize, above: &[usize]) -> u64 {
    if above.len() == size {
        return 1;
    }
    let row = above.len();
    let is_free =
        |column: &usize| above.iter().enumerate().all(|(r, c)| c != column && c.abs_diff(*column) != row - r);
    (0..size).filter(is_free).map(|column| queens(size, &[above, &[column]].concat())).sum()
}

/// The same, with a task for each queen of the first two rows.
#[cpu_bound]
fn forked_queens(size: usize, above: &[usize]) -> u64 {
    if above.len() == 2 {
        return queens(size, above);
    }
    let tasks = map(forked_queens, (0..size).map(|column| (size, [above, &[column]].concat())));
    let is_free = |column: &usize| above.iter().all(|c| c != column && c.abs_diff(*column) != above.len());
    tasks.iter().enumerate().filter(|(column, _)| is_free(column)).map(|(_, task)| **task).sum()
}

/// As deep as it goes: each task waits for the next.
#[cpu_bound]
fn depth(n: u32) -> u32 {
    if n == 0 { 0 } else { *fork(depth, n - 1) + 1 }
}

/// A task on a thread may fork tasks for worker processes, and the other way round.
#[io_bound]
fn on_a_thread(n: u32) -> u32 {
    *fork(in_a_worker, n) + 1
}

#[cpu_bound]
fn in_a_worker(n: u32) -> u32 {
    if n == 0 { 0 } else { *fork(on_a_thread, n - 1) + 1 }
}

fn main() {
    let start = Instant::now();
    let expected = queens(12, &[]);
    let sequential = start.elapsed();
    let start = Instant::now();
    let found = *fork(forked_queens, (12, Vec::<usize>::new()));
    println!("{found} solutions, sequentially in {sequential:?}, forked in {:?}", start.elapsed());
    assert_eq!((found, expected), (14_200, 14_200));

    assert_eq!(fork(depth, 200), 200);
    assert_eq!(fork(on_a_thread, 20), 41);
}
