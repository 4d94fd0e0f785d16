//! A closure that captures can't cross a process.

fn main() {
    let offset = 3;
    xfork::process(move |n: u32| n + offset, 1_u32);
}
