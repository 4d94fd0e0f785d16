//! `#[concurrent]` and `#[synchronized]`, seen from outside: the serial program and the forked one give the same.

#![recursion_limit = "2048"]

mod both;
mod deco;
mod fixture;
mod forms;
mod order;
#[allow(unreachable_pub)]
mod programs;
mod random;
