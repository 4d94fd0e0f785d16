//! A parameter without an owned form is refused where it is written.

use xfork::{cpu_bound, io_bound};

#[cpu_bound]
fn sort(items: &mut Vec<i32>) {
    items.sort();
}

#[io_bound]
fn show(value: &dyn std::fmt::Display, again: &(dyn std::fmt::Display + Send)) -> String {
    format!("{value} {again}")
}

#[io_bound]
fn show_any(value: impl std::fmt::Display, all: &[impl std::fmt::Display]) -> String {
    value.to_string()
}

#[cpu_bound]
fn join(words: &[&str], last: Option<&str>) -> String {
    words.concat()
}

#[cpu_bound]
fn fill(buffers: Vec<&mut [u8]>) {}

#[cpu_bound]
fn configured(#[cfg(unix)] mode: u32, path: String) {}

fn main() {}
