//! Methods and associated functions are refused where they can be told from free functions.

use xfork::{cpu_bound, io_bound};

struct Image(Vec<u8>);

impl Image {
    #[cpu_bound]
    fn size(&self) -> usize {
        self.0.len()
    }

    #[cpu_bound]
    fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    #[io_bound]
    fn brighter(this: &Self) -> Option<Self> {
        None
    }
}

fn main() {}
