//! Everything that is wrong with a function is said in one go.

use xfork::cpu_bound_fork;

#[cpu_bound_fork(speed = 3)]
const unsafe fn wrong<'a, T>(items: &mut Vec<T>, text: &'a str) -> &'a str {
    text
}

fn main() {}
