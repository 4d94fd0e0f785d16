//! A result that borrows is refused wherever the borrow is in its type.

use xfork::{cpu_bound, io_bound};

#[cpu_bound]
fn trimmed(text: &str) -> &str {
    text.trim()
}

#[cpu_bound]
fn first(items: &[String]) -> Option<(usize, &String)> {
    items.iter().enumerate().next()
}

#[io_bound]
fn lossy(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

#[cpu_bound]
fn even(limit: u64) -> impl Iterator<Item = u64> {
    (0..limit).step_by(2)
}

#[io_bound]
fn serve() -> ! {
    loop {}
}

fn main() {}
