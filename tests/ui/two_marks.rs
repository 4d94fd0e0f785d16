//! A function has one mark: the second is refused, also by a path.

use xfork::{cpu_bound, io_bound_fork};

#[cpu_bound]
#[xfork::io_bound]
fn both() {}

#[io_bound_fork]
/// Documented between its marks.
#[inline]
#[xfork::r#unsafe]
fn never() {}

#[cpu_bound]
#[cpu_bound]
fn twice() {}

fn main() {}
