//! What can't be kept, or costs nothing that could be written, is refused where it stands.

use std::cell::Cell;
use xfork::{cpu_bound, io_bound, sequential};

#[cpu_bound(cache = 2)]
fn number() {}

#[cpu_bound(cache = "")]
fn empty() {}

#[sequential(cache)]
fn in_place() {}

#[cpu_bound(cost = "3 s")]
fn text() {}

#[io_bound(cost)]
fn without_value() {}

struct Handle(u8);

#[io_bound(cache)]
fn takes(handle: Handle, n: u32) -> u32 {
    n + u32::from(handle.0)
}

#[io_bound(cache)]
fn gives(n: u8) -> Cell<Handle> {
    Cell::new(Handle(n))
}

fn main() {}
