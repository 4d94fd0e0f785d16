//! Results that are kept for later and found again by the function, its version and its arguments.
//!
//! A function whose results are kept is marked `#[cpu_bound(cache)]` or `#[io_bound(cache)]`, or wrapped: [`cached(f)`](cached).
//! Forked again with equal arguments, in this program, in another run of it or in another program, it is not called: the result
//! is read from a directory of the user. That suits functions whose result depends on their arguments alone, and which take
//! longer than that: finding a small result takes about 12 µs, and keeping one 0.1 to 0.5 ms, which depends on the file system.
//!
//! ```
//! use xfork::{Plan, cpu_bound, fork, with_plan};
//!
//! #[cpu_bound(cache)]
//! fn slow_square(n: u64) -> u64 { n * n }
//!
//! # let folder = std::env::temp_dir().join(format!("xfork-doc-cache-{}", std::process::id()));
//! with_plan(Plan::processes(2).cache(&folder), || {
//!     assert_eq!(fork(slow_square, 12), 144);          // computed
//!     assert_eq!(fork(slow_square, 12), 144);          // read
//! });
//! # std::fs::remove_dir_all(folder).unwrap();
//! ```
//!
//! # What makes a result another one
//!
//! - **The function**: its package and path, and the names of its types. Functions of one path, because they stand in two blocks of one
//!   function, are told apart by their versions only.
//! - **Its version**. `cache` alone means the function's text, without comments and layout: what is written in it, but not
//!   what it calls. `cache = "2"` is a version that you give: the result stays valid however the text changes, until you
//!   write another one, which you do when something changes that it calls. A function that is wrapped by [`cached()`] is of
//!   the version of the whole program: each build computes anew.
//! - **Its arguments**, as serde writes them, with the names and kinds of their fields. A `HashMap` or `HashSet` is written in
//!   an order that changes from run to run, so that it is rarely found again; `BTreeMap` and `BTreeSet` are.
//!
//! What a function reads besides (files, the time, [`seed()`](crate::seed())) is not known, and what it prints or writes happens only when
//! it is called. Give it the file's date or checksum as an argument. A panic, a crash and an `Err` are not kept. What serde is told to
//! skip is part of no key and of no result. A plain call `f(x)` does not look anything up.
//!
//! # Where they are
//!
//! In `$XDG_CACHE_HOME/xfork` or `~/.cache/xfork`, or where [`Plan::cache`](crate::Plan::cache) or `XFORK_CACHE` says, and together at most
//! 5 GiB of the disk, or what [`Plan::cache_limit`](crate::Plan::cache_limit) or `XFORK_CACHE_LIMIT` says (`0`: nothing is kept or looked for).
//! What was used least recently goes first. Any number of programs may use one directory at once; one that is killed
//! leaves nothing broken, what is damaged is computed anew, and where nothing can be kept (a full disk, no right to
//! write) the work goes on without, and each process that learns of it says so once. Others can't read what is in there; whoever can write there decides what
//! tasks return.

mod identity;
mod lookup;

use crate::args::{Inputs, IntoArgs, Portable, PortableArgs};
use crate::callable::{Again, Callable};
use crate::core::limits::Limits;
use crate::kept::Codec;
use crate::plan;
use crate::store::StoreError;
use std::fmt;

#[doc(hidden)]
pub use identity::Identity;
pub(crate) use lookup::prepare;
#[doc(hidden)]
pub use lookup::{Kept, Lookup, argument, look_up, result};

/// A function whose results are kept for later; made by [`cached`].
///
/// ```
/// let kept = xfork::cached(|n: u32| n + 1);
/// assert!(format!("{kept:?}").starts_with("cached "));
/// ```
#[derive(Clone, Copy)]
pub struct Cached<F> {
    function: F,
}

/// Has the results of a function be kept for later, which has no mark that says so: one of a library, or a closure.
///
/// Its version is the whole program: each build computes anew. A function that is marked `#[cpu_bound(cache)]` keeps its results
/// over builds in which it stays the same; see the [module](self).
///
/// ```
/// use xfork::{Plan, cached, fork, with_plan};
///
/// # let folder = std::env::temp_dir().join(format!("xfork-doc-cached-{}", std::process::id()));
/// with_plan(Plan::processes(1).cache(&folder), || {
///     let digits = |n: u32| n.to_string();
///     assert_eq!(fork(cached(digits), 7), "7");
///     assert_eq!(fork(cached(digits), 7), "7");            // read
/// });
/// # std::fs::remove_dir_all(folder).unwrap();
/// ```
///
/// A closure that captures can't be wrapped: what it captures would not be part of the key.
///
/// ```compile_fail
/// let more = 1;
/// xfork::fork(xfork::io_bound(xfork::cached(move |n: u32| n + more)), 1);
/// ```
pub fn cached<F: Copy + 'static>(function: F) -> Cached<F> {
    const {
        assert!(
            size_of::<F>() == 0,
            "a closure that captures, or a pointer, can't be `cached`: pass what it captures as an argument"
        )
    };
    Cached { function }
}

impl<F> fmt::Debug for Cached<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cached {}", std::any::type_name::<F>())
    }
}

impl<F, A> Callable<A> for Cached<F>
where
    F: Callable<A> + 'static,
    A: PortableArgs,
    F::Output: Portable,
{
    type Output = F::Output;
    type Mark = F::Mark;

    fn call(self, args: A) -> F::Output {
        let found = look_up::<A, F::Output>(Self::identity(), |out| args.keep(out));
        found.or(Codec::new(), || self.function.call(args))
    }

    fn name() -> &'static str {
        F::name()
    }

    fn limits() -> Limits {
        F::limits()
    }

    fn cost() -> Option<f64> {
        F::cost()
    }

    fn identity() -> Option<Identity> {
        Some(Identity::of_build::<F>())
    }

    fn again() -> Option<Again<Self, A>> {
        fn again<F: Callable<A>, A>(cached: &Cached<F>, args: &A) -> (Cached<F>, A) {
            let again = F::again().expect("only given out where there is one");
            let (function, args) = again(&cached.function, args);
            (Cached { function }, args)
        }
        F::again().map(|_| again::<F, A> as Again<Self, A>)
    }
}

/// Removes all results of a function from the cache, of every version, and says how many there were. Closures that stand in one
/// function have one name: a [`cached`] one is forgotten together with its neighbours.
///
/// ```
/// use xfork::{Plan, cache, cpu_bound, fork, with_plan};
///
/// #[cpu_bound(cache)]
/// fn square(n: u64) -> u64 { n * n }
///
/// # let folder = std::env::temp_dir().join(format!("xfork-doc-forget-{}", std::process::id()));
/// with_plan(Plan::processes(1).cache(&folder), || {
///     assert_eq!(fork(square, 1) + fork(square, 2), 5);
///     assert_eq!(cache::forget(square).unwrap(), 2);
///     assert_eq!(cache::forget(square).unwrap(), 0);
/// });
/// # std::fs::remove_dir_all(folder).unwrap();
/// ```
///
/// # Errors
///
/// If the cache can't be opened, or something can't be removed from it.
pub fn forget<F: Callable<A>, A>(_function: F) -> Result<usize, StoreError> {
    let runners = plan::runners();
    match (F::identity(), runners.cache.get().map_err(StoreError::clone)?) {
        (Some(identity), Some(cache)) => cache.forget(&identity.name()),
        _ => Ok(0),
    }
}

/// Removes the result of one call from the cache, and says whether it was there: one that turned out to be wrong, say.
///
/// ```
/// use xfork::{Plan, cache, cpu_bound, fork, with_plan};
///
/// #[cpu_bound(cache)]
/// fn square(n: u64) -> u64 { n * n }
///
/// # let folder = std::env::temp_dir().join(format!("xfork-doc-forget-call-{}", std::process::id()));
/// with_plan(Plan::processes(1).cache(&folder), || {
///     assert_eq!(fork(square, 3), 9);
///     assert!(cache::forget_call(square, 3).unwrap());
///     assert!(!cache::forget_call(square, 3).unwrap());
/// });
/// # std::fs::remove_dir_all(folder).unwrap();
/// ```
///
/// # Errors
///
/// If the cache can't be opened, or the result can't be removed from it.
///
/// # Panics
///
/// If a proxy among the arguments has failed.
pub fn forget_call<F, A, Form>(_function: F, args: impl IntoArgs<A, Form>) -> Result<bool, StoreError>
where
    F: Callable<A>,
    A: PortableArgs,
{
    let runners = plan::runners();
    let (Some(identity), Some(cache)) = (F::identity(), runners.cache.get().map_err(StoreError::clone)?)
    else {
        return Ok(false);
    };
    let inputs = args.into_inputs();
    for slot in inputs.slots() {
        crate::core::wait::wait(&slot, None).unwrap_or_else(|error| crate::proxy::rethrow(&error));
    }
    let args = inputs.resolve().unwrap_or_else(|error| crate::proxy::rethrow(&error));
    match lookup::key::<A, F::Output>(identity, |out| args.keep(out)) {
        Some(key) => cache.forget_one(&key),
        None => Ok(false),
    }
}

/// Removes the results of all functions from the cache, also those of other programs, and says how many there were.
///
/// ```
/// use xfork::{Plan, cache, cached, fork, with_plan};
///
/// # let folder = std::env::temp_dir().join(format!("xfork-doc-clear-{}", std::process::id()));
/// with_plan(Plan::processes(1).cache(&folder), || {
///     assert_eq!(fork(cached(|n: u32| n + 1), 1), 2);
///     assert_eq!(cache::clear().unwrap(), 1);
/// });
/// # std::fs::remove_dir_all(folder).unwrap();
/// ```
///
/// # Errors
///
/// If the cache can't be opened, or something can't be removed from it.
pub fn clear() -> Result<usize, StoreError> {
    match plan::runners().cache.get().map_err(StoreError::clone)? {
        Some(cache) => cache.forget_all(),
        None => Ok(0),
    }
}
