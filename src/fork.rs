//! The calls that start tasks: `fork`, `thread`, `process`, and one task for each item of an iterator.

use crate::args::{Args, IntoArgs};
use crate::callable::{Callable, Cpu, Io};
use crate::core::error::TaskError;
use crate::core::slot::AnySlot;
use crate::proxy::{ResultProxy, wait_all};
use crate::task::{Route, task};
use std::panic::Location;
use std::sync::Arc;

/// Starts `f(args…)` in the background and returns a proxy of its result at once.
///
/// Where it runs, `f`'s mark says: [`#[io_bound]`](macro@crate::io_bound) functions run on threads,
/// [`#[cpu_bound]`](macro@crate::cpu_bound) and unmarked functions and closures in worker processes,
/// [`#[r#unsafe]`](macro@crate::unsafe) functions in place. `args` is `()`, one bare value, or a tuple; any argument
/// may be a [`ResultProxy`], which the task then waits for without blocking anybody.
///
/// Dropping the proxy neither cancels nor blocks: the program waits at its end for what it forked.
///
/// ```
/// use xfork::fork;
///
/// #[xfork::cpu_bound]
/// fn fib(n: u64) -> u64 { if n < 2 { n } else { fib(n - 1) + fib(n - 2) } }
///
/// let (a, b) = (fork(fib, 10), fork(fib, 11));
/// let largest = fork(|x: u64, y: u64| x.max(y), (&a, &b));
/// assert_eq!(a + b, 144);
/// assert_eq!(*largest, 89);
/// ```
///
/// # Panics
///
/// Never for what happens in the task: that is seen when the result is used. A function marked `r#unsafe` runs here
/// and now, and so does its panic.
#[track_caller]
pub fn fork<F, A, Form>(f: F, args: impl IntoArgs<A, Form>) -> ResultProxy<F::Output>
where
    F: Callable<A>,
    A: Args,
    F::Mark: Route<F, A>,
    F::Output: Send + 'static,
{
    task(f, args).fork()
}

/// Starts `f(args…)` on a thread of this process, whatever its mark; closures may capture.
///
/// ```
/// let offset = 40;
/// assert_eq!(xfork::thread(move |n: u32| n + offset, 2), 42);
/// ```
#[track_caller]
pub fn thread<F, A, Form>(f: F, args: impl IntoArgs<A, Form>) -> ResultProxy<F::Output>
where
    F: Callable<A>,
    A: Args,
    Io: Route<F, A>,
    F::Output: Send + 'static,
{
    task(f, args).fork_as::<Io>()
}

/// Starts `f(args…)` in a worker process, whatever its mark.
///
/// The arguments are dropped here once the task has started there, by the first thread to learn of it: perhaps yours, the
/// next time that it forks or waits. So their destructors should not wait for what that thread is to do, nor take a lock
/// that it may hold.
///
/// ```
/// let pid = xfork::process(std::process::id, ());
/// assert_ne!(*pid, std::process::id());
/// ```
///
/// A closure that captures can't cross a process; that is a compile error:
///
/// ```compile_fail
/// let offset = 40;
/// xfork::process(move |n: u32| n + offset, 2);
/// ```
#[track_caller]
pub fn process<F, A, Form>(f: F, args: impl IntoArgs<A, Form>) -> ResultProxy<F::Output>
where
    F: Callable<A>,
    A: Args,
    Cpu: Route<F, A>,
    F::Output: Send + 'static,
{
    task(f, args).fork_as::<Cpu>()
}

macro_rules! maps {
    ($($(#[$doc:meta])* $map:ident, $(#[$block_doc:meta])* $block_map:ident = $mark:ty;)*) => {$(
        $(#[$doc])*
        #[track_caller]
        pub fn $map<F, A, Form, I>(f: F, items: I) -> Vec<ResultProxy<F::Output>>
        where
            I: IntoIterator,
            I::Item: IntoArgs<A, Form>,
            F: Callable<A> + Clone,
            A: Args,
            $mark: Route<F, A>,
            F::Output: Send + 'static,
        {
            <$mark as Route<F, A>>::start_each(f, items, Location::caller())
        }

        $(#[$block_doc])*
        #[track_caller]
        pub fn $block_map<F, A, Form, I>(f: F, items: I) -> Result<Vec<F::Output>, TaskError>
        where
            I: IntoIterator,
            I::Item: IntoArgs<A, Form>,
            F: Callable<A> + Clone,
            A: Args,
            $mark: Route<F, A>,
            F::Output: Send + 'static,
        {
            values($map(f, items))
        }
    )*};
}

maps! {
    /// Forks `f` once for each item; an item that is a tuple is spread over the parameters.
    ///
    /// ```
    /// use xfork::map;
    /// let powers = map(|base: u64, exponent: u32| base.pow(exponent), [(2, 3), (3, 2)]);
    /// assert_eq!(powers, [8, 9]);
    /// ```
    map,
    /// Forks `f` once for each item and waits for all the values, in order.
    ///
    /// ```
    /// assert_eq!(xfork::block_map(|n: u64| n * n, 1..=3).unwrap(), [1, 4, 9]);
    /// ```
    ///
    /// # Errors
    ///
    /// The [`TaskError`] of the first item, in order, whose task failed; all tasks have ended by then.
    block_map = F::Mark;

    /// Runs `f` on a thread once for each item, whatever its mark; closures may capture.
    ///
    /// ```
    /// let word = String::from("ab");
    /// let repeated = xfork::map_thread(move |n: usize| word.repeat(n), [1, 2]);
    /// assert_eq!(repeated, ["ab", "abab"]);
    /// ```
    map_thread,
    /// Runs `f` on a thread once for each item and waits for all the values, in order.
    ///
    /// ```
    /// assert_eq!(xfork::block_map_thread(|text: &str| text.len(), ["a", "bc"]).unwrap(), [1, 2]);
    /// ```
    ///
    /// # Errors
    ///
    /// The [`TaskError`] of the first item, in order, whose task failed; all tasks have ended by then.
    block_map_thread = Io;

    /// Runs `f` in a worker process once for each item, whatever its mark.
    ///
    /// Short items travel together, as many as take about 100 µs; each has a result, a failure and an end of its own all the same.
    /// The first one starts before the second is made.
    ///
    /// ```
    /// assert_eq!(xfork::map_process(u64::count_ones, [7, 8]), [3, 1]);
    /// ```
    map_process,
    /// Runs `f` in a worker process once for each item and waits for all the values, in order.
    ///
    /// ```
    /// assert_eq!(xfork::block_map_process(u64::count_ones, [7, 8]).unwrap(), [3, 1]);
    /// ```
    ///
    /// # Errors
    ///
    /// The [`TaskError`] of the first item, in order, whose task failed; all tasks have ended by then.
    block_map_process = Cpu;
}

/// Waits for all, then gives the values or the first error.
fn values<T: Send + 'static>(proxies: Vec<ResultProxy<T>>) -> Result<Vec<T>, TaskError> {
    for proxy in &proxies {
        let _ = ResultProxy::wait(proxy);
    }
    wait_all(&proxies)?;
    Ok(proxies
        .into_iter()
        .map(|proxy| {
            ResultProxy::try_into_inner(proxy).unwrap_or_else(|_| unreachable!("nobody else has them"))
        })
        .collect())
}

/// Runs `then` on a pool thread when `inputs` are settled, whether they failed or not.
#[track_caller]
pub(crate) fn follow<T: Send + 'static>(
    name: &'static str,
    inputs: &[Arc<dyn AnySlot>],
    then: impl FnOnce() -> T + Send + 'static,
) -> ResultProxy<T> {
    let settled = inputs.iter().map(crate::proxy::settled);
    let mut following = task(then, ()).name(name);
    for input in settled {
        following = following.after(&input);
    }
    following.fork_as::<Io>()
}
