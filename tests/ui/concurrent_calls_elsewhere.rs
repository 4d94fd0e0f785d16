//! Where a concurrent call can't be forked, and says so at the call.

use std::collections::BTreeMap;
use xfork::{concurrent, synchronized};

#[concurrent]
fn f(number: i64) -> i64 {
    number
}

fn plain(number: i64) -> i64 {
    number
}

#[synchronized]
fn conditions() {
    if f(1) > plain(2) {}
    while f(2) > 3 {}
    match f(3) {
        _ => {}
    }
}

#[synchronized]
fn in_a_macro() {
    println!("{} {}", f(1), plain(2));
}

#[synchronized]
fn in_a_closure() -> i64 {
    let later = || f(1) + plain(2);
    later()
}

#[synchronized]
fn in_unsafe_code() -> i64 {
    unsafe { f(plain(1)) }
}

#[synchronized]
fn in_async_code() {
    let _future = async { f(1) };
}

#[synchronized]
fn as_an_operand() -> i64 {
    let sum = f(1) + plain(2);
    sum
}

#[synchronized]
fn two_at_once(map: &mut BTreeMap<i64, i64>) {
    map.insert(f(1), f(2));
    map.insert(plain(1), f(2));
}

fn main() {}
