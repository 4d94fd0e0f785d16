//! `#[concurrent]` and `#[synchronized]`, seen from outside: the serial program and the forked one give the same.

#![recursion_limit = "2048"]
#![allow(
    clippy::needless_range_loop,
    clippy::ptr_arg,
    clippy::needless_return,
    clippy::vec_init_then_push,
    clippy::useless_vec,
    reason = "the programs are to have these forms"
)]

mod both;
mod deco;
mod fixture;
mod forms;
mod lent;
mod order;

mod programs;
mod random;
mod seen;
mod tracked;
mod waits;
