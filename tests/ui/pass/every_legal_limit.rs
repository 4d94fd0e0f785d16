//! Every limit that a mark may say, in every form.
#![deny(missing_docs, unreachable_pub, unused, missing_debug_implementations, rust_2018_idioms, warnings)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use xfork::{Callable, Limits, cpu_bound, cpu_bound_fork, fork, io_bound, io_bound_fork};

/// Everything at once.
#[cpu_bound(
    name = "everything",
    timeout = "30s",
    cpu_time = "1.5 min",
    memory = "512 MiB",
    retries = 2,
    backoff = "100ms",
    priority = -3,
)]
pub fn everything(text: &str, items: &[u8], path: &Path, count: &usize, pair: (u8, u8)) -> usize {
    text.len() + items.len() + path.as_os_str().len() + count + usize::from(pair.0)
}

/// Sizes in their other forms.
#[cpu_bound(memory = "10MB", priority = 7)]
pub fn decimal() {}

#[cpu_bound_fork(retries = 1, backoff = "0s", timeout = "2h")]
fn doubled(n: u32) -> u32 {
    2 * n
}

#[io_bound(timeout = "250us", retries = 0)]
fn waits() {}

/// Borrowed parameters are kept as what they own.
#[cpu_bound(cache, cost = 10.8)]
pub fn kept(text: &str, items: &[u8], path: &Path, pair: (u8, u8)) -> Vec<String> {
    vec![text.to_string(), format!("{items:?} {path:?} {pair:?}")]
}

/// Of a version that is given by hand.
#[io_bound(cache = "2", cost = 3, retries = 1)]
fn kept_by_hand() {}

/// Looks for its result whenever it is called.
#[cpu_bound_fork(cache)]
pub fn kept_and_forked(n: u32) -> u32 {
    n + 1
}

/// A name that could be one of the mark's own.
#[cpu_bound(cache)]
pub fn identity(out: u8) -> u8 {
    out
}

/// The same, that forks when it is called.
#[io_bound_fork(cache)]
pub fn out(found: String) -> Result<String, String> {
    Ok(found)
}

macro_rules! kept_of {
    ($name:ident, $parameter:ty, $result:ty) => {
        /// Made by a macro.
        #[cpu_bound(cache)]
        pub fn $name(value: $parameter) -> $result {
            value.into()
        }
    };
}
kept_of!(from_a_macro, &str, String);

/// No parameter is an argument to clone.
#[io_bound_fork(retries = 3)]
pub fn nothing() {}

/// A value that can't be cloned is no matter where nothing is tried again.
#[derive(Debug)]
pub struct Unique;

/// Has a `Clone` that is a matter of the parameter.
#[io_bound(timeout = "1s", retries = 0)]
pub fn takes(unique: Unique) {
    drop(unique);
}

fn main() {
    let all = Limits::new()
        .timeout(Duration::from_secs(30))
        .cpu_time(Duration::from_secs(90))
        .memory(512 << 20)
        .retries(2)
        .backoff(Duration::from_millis(100))
        .priority(-3);
    fn limits<A, F: Callable<A>>(_: F) -> Limits {
        F::limits()
    }
    assert_eq!(limits(everything), all);
    assert_eq!(limits(decimal), Limits::new().memory(10_000_000).priority(7));
    assert_eq!(limits(waits), Limits::new().timeout(Duration::from_micros(250)).retries(0));
    assert_eq!(limits(xfork::io_bound(decimal)), limits(decimal));
    fn cost<A, F: Callable<A>>(_: F) -> Option<f64> {
        F::cost()
    }
    assert_eq!((cost(kept), cost(xfork::cpu_bound(kept_by_hand)), cost(waits)), (Some(10.8), Some(3.0), None));
    assert_eq!(kept("", &[], Path::new(""), (0, 0)).len(), 2);
    kept_by_hand();
    assert_eq!((identity(1), from_a_macro("a"), out::sequential("b".into())), (1, "a".into(), Ok("b".into())));
    assert_eq!(kept_and_forked::sequential(4), 5);

    assert_eq!(everything("ab", &[1], Path::new("c"), &3, (4, 5)), 11);
    let arguments = ("ab".to_owned(), vec![1], PathBuf::from("c"), 3, (4, 5));
    assert_eq!(*fork(everything, arguments), 11);
    assert_eq!(*doubled(4), 8);
    assert_eq!(doubled::sequential(4), 8);
    waits();
    nothing();
    takes(Unique);
}
