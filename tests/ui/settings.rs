//! A mark's settings are refused at the word that is wrong.

use xfork::{cpu_bound, cpu_bound_fork, io_bound, sequential};

#[cpu_bound(naem = "resize")]
fn misspelt() {}

#[io_bound(fast)]
fn unknown() {}

#[cpu_bound_fork(name)]
fn without_value() {}

#[cpu_bound(name = 3)]
fn number() {}

#[cpu_bound(name = "")]
fn empty() {}

#[sequential(name = "a", name = "b")]
fn twice() {}

fn main() {}
