//! A mark on anything but a function with a body is refused at the item's keyword.

use xfork::{cpu_bound, cpu_bound_fork, io_bound, sequential};

#[cpu_bound]
pub struct Image(Vec<u8>);

#[io_bound]
enum Size {
    Small,
}

#[cpu_bound]
unsafe impl Send for Size {}

#[cpu_bound]
const LIMIT: usize = 3;

#[sequential]
static NAME: &str = "name";

#[cpu_bound_fork]
pub(crate) mod inner {}

#[xfork::r#unsafe]
extern "C" {}

trait Resize {
    #[cpu_bound]
    fn resize(&self, width: u32) -> Vec<u8>;
}

fn main() {}
