//! `const`, `async`, `unsafe` and `extern` functions are refused at the qualifier.

use xfork::{cpu_bound, io_bound, sequential};

#[cpu_bound]
const fn square(n: i32) -> i32 {
    n * n
}

#[io_bound]
async fn fetch(url: String) -> String {
    url
}

#[cpu_bound]
unsafe fn read_raw(address: usize) -> u8 {
    unsafe { *(address as *const u8) }
}

#[cpu_bound]
extern "C" fn callback(n: i32) -> i32 {
    n
}

#[sequential]
unsafe extern "C" fn log(format: usize, more: ...) {}

fn main() {}
