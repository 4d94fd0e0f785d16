//! Every form of function that may be marked, and of call that may be forked.
#![deny(missing_docs, unreachable_pub, unused, missing_debug_implementations, rust_2018_idioms, warnings)]

use std::borrow::Cow;
use std::ffi::{CStr, OsStr, OsString};
use std::path::{Path, PathBuf};

use xfork::{cpu_bound, cpu_bound_fork, fork, io_bound, io_bound_fork, sequential};

/// Borrowed and owned parameters.
#[cpu_bound]
fn resize(image: &[u8], width: u32) -> Vec<u8> {
    image.iter().copied().take(width as usize).collect()
}

/// A call of itself is the function's own.
#[cpu_bound(name = "fibonacci")]
pub fn fib(n: u64) -> u64 {
    if n < 2 { n } else { fib(n - 1) + fib(n - 2) }
}

/// Every borrow with an owned form of another type, and one that is its own.
#[io_bound()]
#[inline]
fn describe(
    path: &Path,
    other: &std::path::Path,
    os: &OsStr,
    c: &CStr,
    text: &str,
    tag: &'static str,
    pair: &(i32, i32),
) -> String {
    format!("{} {} {os:?} {c:?} {text} {tag} {pair:?}", path.display(), other.display())
}

/// Patterns as parameters, and a type with a borrow that may be `'static`.
#[io_bound(name = "patterns")]
fn patterns(mut text: String, (a, b): (i32, i32), _: u8, cow: Cow<'_, str>) -> String {
    text += &format!("{}{cow}", a + b);
    text
}

/// Function pointers keep the borrows of their own signature.
#[io_bound]
fn apply(f: fn(&str) -> usize, text: &str) -> usize {
    f(text)
}

/// A static borrow is no borrow from the caller.
#[sequential]
fn label(n: i32) -> Option<&'static str> {
    (n > 0).then_some("positive")
}

/// No parameter, no result.
#[xfork::r#unsafe]
#[must_use]
pub(crate) fn nothing() {}

/// A name that is a keyword.
#[cpu_bound]
fn r#type(r#in: u8) -> u8 {
    r#in
}

#[cpu_bound]
#[cfg(any())]
fn gone(missing: Missing) {}

#[cpu_bound_fork]
#[cfg(any())]
fn gone_implicitly(missing: Missing) {}

#[cpu_bound]
#[expect(dead_code, unused_variables, reason = "each is fulfilled once")]
fn never_called(n: u8) {}

#[sequential]
#[deprecated = "replaced"]
#[cfg_attr(all(), doc = "Documented on a condition.", inline)]
fn old(n: u8) -> u8 {
    if n == 0 { 0 } else { old(n - 1) }
}

/// Twelve parameters.
#[cpu_bound]
fn twelve(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8, j: u8, k: u8, l: u8) -> u8 {
    a + b + c + d + e + f + g + h + i + j + k + l
}

/// A plain call forks, one in place is named so.
#[cpu_bound_fork]
fn count(text: &str, letter: char) -> usize {
    text.chars().filter(|c| *c == letter).count()
}

/// Calls of itself fork too, unless they say otherwise.
#[io_bound_fork(name = "sum")]
pub fn sum_to(n: u64) -> u64 {
    if n == 0 { 0 } else { n + sum_to::sequential(n - 1) }
}

/// Marked functions in modules.
pub mod inner {
    use xfork::cpu_bound;

    /// A type named like one of the standard library.
    #[derive(Clone, Debug)]
    pub struct Path(pub usize);

    /// Takes its own module's `Path`.
    #[xfork::sequential]
    pub fn length(path: &Path) -> usize {
        path.0
    }

    #[cpu_bound]
    pub(super) fn double(n: i32) -> i32 {
        2 * n
    }
}

macro_rules! marked {
    ($name:ident, $parameter:ty, $result:ty) => {
        #[cpu_bound]
        fn $name(items: $parameter) -> $result {
            items.len()
        }
    };
}
marked!(made_by_a_macro, &[String], usize);

macro_rules! forked {
    ($call:expr) => {
        fork!($call)
    };
}

fn main() {
    #[cpu_bound]
    fn local(n: i32) -> i32 {
        n + 1
    }

    // In place.
    assert_eq!(resize(&[1, 2, 3], 2), [1, 2]);
    assert_eq!((0..5).map(*fib).collect::<Vec<_>>(), [0, 1, 1, 2, 3]);
    assert_eq!(apply(str::len, "four"), 4);
    assert_eq!(label(1), Some("positive"));
    nothing();
    assert_eq!(count::sequential("banana", 'n'), 2);
    assert_eq!(made_by_a_macro(&[String::new()]), 1);
    assert_eq!(inner::length(&inner::Path(3)), 3);
    #[expect(deprecated, reason = "it is")]
    let zero = old(3);
    assert_eq!(zero, 0);

    // Forked.
    assert_eq!(*fork(resize, (vec![1, 2, 3], 2)), [1, 2]);
    assert_eq!(*fork(fib, (10,)), 55);
    assert_eq!(*fork(inner::double, (21,)), 42);
    assert_eq!(*fork(local, (1,)), 2);
    assert_eq!(*fork(r#type, (1,)), 1);
    assert_eq!(*fork(twelve, (1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)), 12);
    assert_eq!(*fork(apply, (str::len as fn(&str) -> usize, "four".to_owned())), 4);
    assert_eq!(*fork(patterns, ("sum ".to_owned(), (1, 2), 0, Cow::Borrowed("!"))), "sum 3!");
    let arguments = (
        PathBuf::from("a"),
        PathBuf::from("b"),
        OsString::from("c"),
        c"d".to_owned(),
        "e".to_owned(),
        "f",
        (1, 2),
    );
    assert_eq!(*fork(describe, arguments), r#"a b "c" "d" e f (1, 2)"#);
    fork(nothing, ());

    // Forked by `fork!`.
    assert_eq!(*fork!(inner::double(21)), 42);
    assert_eq!(*fork!(resize(vec![1, 2, 3], 1,),), [1]);
    assert_eq!(*forked!(local(1)), 2);
    fork!(nothing());

    // Forked by a plain call.
    assert_eq!(*count("banana".to_owned(), 'a'), 3);
    assert_eq!(*sum_to(4), 10);
}
