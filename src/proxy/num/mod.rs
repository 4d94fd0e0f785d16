//! The traits of num-traits for proxies, so that generic code written for `T: Num + Clone` runs deferred, unchanged.
//!
//! Owns these implementations and the deferred functions of numbers. Promises that what gives a number is deferred and
//! what gives a plain `bool`, `Option` or number waits, with the value of the same call on plain values; `table.md`
//! says which is which, trait by trait, and is held by the tests here. Leaves out the traits that are `Copy` or have
//! constants, which a pointer to a result can't have, and the operators, which are in `ops`.

mod arithmetic;
mod checked;
mod conversions;
mod functions;
mod identities;
#[cfg(all(test, not(xfork_loom)))]
mod tests;

pub use functions::ValueOrProxy;
