//! A worker has to know which function to run, so type and const parameters are refused, and so are lifetimes,
//! which have nothing left to say about owned arguments.

use xfork::{cpu_bound, io_bound};

#[cpu_bound]
fn largest<T: Ord, U>(items: Vec<T>, _: U) -> Option<T> {
    items.into_iter().max()
}

#[cpu_bound]
fn sum<const N: usize>(items: [i32; N]) -> i32 {
    items.iter().sum()
}

#[io_bound]
fn shorter<'a, 'b>(left: &'a str, right: &'b str) -> bool {
    left.len() < right.len()
}

#[io_bound]
fn constrained(n: i32) -> i32
where
    i32: Copy,
{
    n
}

fn main() {}
