//! What xfork promises, seen from outside: a module for each topic, a test for each promise.
//!
//! A test's name is the behaviour, its comment quotes the row of the acceptance table that it shows;
//! `tests/README.md` lists them by row. Each has a deadline. What concerns a whole process (its end, its streams, its
//! environment) happens in a process of its own: this binary, started again for one test (`fixture::Program`).

mod fixture;

mod anywhere;
mod arguments;
mod batches;
mod caching;
mod cascades;
mod collecting;
mod dependencies;
mod ending;
mod environment;
mod expressions;
mod failures;
mod forcing;
mod forking;
mod helping;
mod implicit;
mod laziness;
mod limits;
mod mapping;
mod metadata;
mod output;
mod plans;
mod randomness;
mod reports;
mod runners;
mod shared;
mod upstream;
mod vectors;
mod waiting;
mod worker_local;

/// The program of the README, in this one: same lines, another path.
#[path = "../../examples/nested_panic.rs"]
mod nested_panic;
