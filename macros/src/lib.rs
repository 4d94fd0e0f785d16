//! The attributes and derives of the `xfork` crate, which re-exports all of them.
//!
//! This file holds the entry points and their documentation. Each parses its input, hands it to one module
//! and converts the answer: `mark` writes the plain marks, `implicit` the `*_fork` marks, `call` the `fork!`
//! macro; `function` and `settings` are what they read, `check` says what may be marked, and `parameter` knows the
//! owned form of a borrowed parameter. `proxied` and `operand` write the derives. A refusal is a `compile_error!`, never a
//! panic.

mod call;
mod check;
mod code;
mod concurrent;
mod function;
mod implicit;
mod mark;
mod operand;
mod parameter;
mod proxied;
mod quantity;
mod settings;
mod synchronized;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

use crate::call::Call;
use crate::mark::Mark;

/// Marks a function whose work is computation: `fork` runs it in a worker process.
///
/// The function stays one to its callers: `resize(&image, 80)` is an ordinary call in place, and `*resize` is
/// an ordinary function pointer. What changes is that its name now has a type of its own, so that
/// `fork(resize, (image, 80))` knows the mark when it is compiled.
///
/// A borrowed parameter is given to a forked call in its owned form, because the caller does not wait:
///
/// | parameter | a forked call takes |
/// | --- | --- |
/// | `&str` | `String` |
/// | `&[T]` | `Vec<T>` |
/// | `&Path`, `&OsStr`, `&CStr` | `PathBuf`, `OsString`, `CString` |
/// | `&T` | `T` |
/// | `&'static T` | `&'static T` |
/// | `T` | `T` |
///
/// # Settings
///
/// ```text
/// #[cpu_bound(name = "thumbnail", timeout = "30s", retries = 2)]
/// fn resize(image: &[u8], width: u32) -> Vec<u8> { … }
/// ```
///
/// | setting | meaning | otherwise |
/// | --- | --- | --- |
/// | `name = "thumbnail"` | what reports call the function | its path |
/// | `timeout = "30s"` | how long a task may run | no limit |
/// | `cpu_time = "10s"` | how much processor time it may use | no limit |
/// | `memory = "512 MiB"` | how much memory it may add to its worker's | no limit |
/// | `retries = 2` | how many more times it is tried when it fails | 0 |
/// | `backoff = "100ms"` | how long to wait before the first further try; twice as long before each next | 100 ms |
/// | `priority = 3` | how urgent it is: the greatest number goes first; may be negative | 0 |
/// | `cost = 10.8` | what it costs, for the schedule of a graph, in the unit of all its costs | not known |
/// | `cache`, `cache = "2"` | keeps its results for later, see `xfork::cache`; its version is its text, or what you write here | nothing is kept |
///
/// A time is a number and `ns`, `us`, `ms`, `s`, `min` or `h`; a size a number and `B`, `KiB`, `MiB`, `GiB`, `TiB` or
/// `kB`, `MB`, `GB`, `TB`. They hold for forks, not for the plain call in place. What a single task says
/// (`Task::timeout` and its neighbours) wins over its mark, and the mark over the plan; `xfork::Limits` says how each
/// limit is kept.
///
/// `retries` needs arguments that are `Clone`. Without it, no task that has started is ever run again.
///
/// # Examples
///
/// The `xfork` crate re-exports this attribute:
///
/// ```
/// use xfork::{cpu_bound, fork};
///
/// #[cpu_bound]
/// fn fib(n: u64) -> u64 {
///     if n < 2 { n } else { fib(n - 1) + fib(n - 2) }
/// }
///
/// let forked = fork(fib, 20);
/// assert_eq!(fib(10), 55);                      // in place
/// assert_eq!((1..4).map(*fib).sum::<u64>(), 4); // as a function pointer
/// assert_eq!(*forked, 6765);
///
/// #[cpu_bound(timeout = "1min", memory = "1 GiB", priority = -1)]
/// fn greet(name: &str) -> String {
///     format!("hello {name}")
/// }
///
/// assert_eq!(fork(greet, "you"), "hello you");
/// ```
///
/// # Limits
///
/// A generic, `const`, `async`, `unsafe` or `extern` function, a method, a parameter that is `&mut`, `impl
/// Trait` or `&dyn Trait`, a result that borrows and a 13th parameter are refused, each with what to do
/// instead.
///
/// The name becomes that of a constant and of its type. So a module beside it can't have the same name, and
/// where it is in scope no variable or parameter can: `let resize = …` would be a pattern that compares.
#[proc_macro_attribute]
pub fn cpu_bound(settings: TokenStream, item: TokenStream) -> TokenStream {
    plain(Mark::Cpu, settings, item)
}

/// Marks a function whose work is waiting (for files, sockets, locks): `fork` runs it on a thread.
///
/// Its arguments and its result stay in the process, so they need `Send + 'static` and no serialisation. For
/// the rest, and for the settings, see [`cpu_bound`](macro@cpu_bound); `memory` and `cpu_time` are not among them, since
/// a thread can't be held to either.
///
/// # Examples
///
/// The `xfork` crate re-exports this attribute:
///
/// ```
/// use std::path::{Path, PathBuf};
/// use xfork::{fork, io_bound};
///
/// #[io_bound]
/// fn read(path: &Path) -> std::io::Result<String> {
///     std::fs::read_to_string(path)
/// }
///
/// let text = fork(read, PathBuf::from("Cargo.toml"));
/// assert!(text.as_ref().is_ok_and(|text| text.contains("[package]")));
/// ```
#[proc_macro_attribute]
pub fn io_bound(settings: TokenStream, item: TokenStream) -> TokenStream {
    plain(Mark::Io, settings, item)
}

/// Marks a function that must not run anywhere else: `fork` calls it in place, at once.
///
/// It is for functions with effects that only make sense in the caller's thread and order. The word is the
/// keyword, so it is written `r#unsafe`; [`sequential`](macro@sequential) is the same mark. The only setting is `name`
/// (see [`cpu_bound`](macro@cpu_bound)): nothing limits what runs in place.
///
/// # Examples
///
/// The `xfork` crate re-exports this attribute:
///
/// ```
/// use std::cell::Cell;
/// use xfork::fork;
///
/// thread_local!(static SEEN: Cell<i32> = const { Cell::new(0) });
///
/// #[xfork::r#unsafe]
/// fn note(n: i32) {
///     SEEN.set(n);
/// }
///
/// fork(note, 3);
/// assert_eq!(SEEN.get(), 3);
/// ```
#[proc_macro_attribute]
pub fn r#unsafe(settings: TokenStream, item: TokenStream) -> TokenStream {
    plain(Mark::InPlace, settings, item)
}

/// Marks a function that must not run anywhere else: the same as [`unsafe`](macro@unsafe), by a milder name.
///
/// # Examples
///
/// The `xfork` crate re-exports this attribute:
///
/// ```
/// use xfork::{fork, sequential};
///
/// #[sequential]
/// fn twice(n: i32) -> i32 {
///     2 * n
/// }
///
/// assert_eq!(*fork(twice, 21), 42); // done before `fork` returned
/// ```
#[proc_macro_attribute]
pub fn sequential(settings: TokenStream, item: TokenStream) -> TokenStream {
    plain(Mark::InPlace, settings, item)
}

/// Marks a function whose plain call forks onto a worker process and returns a `ResultProxy`.
///
/// `f(x)` forks, also where `f` calls itself, and each argument may be a value or a proxy of one;
/// `f::sequential(x)` calls it in place. For what may be marked, the owned form of borrowed parameters and
/// the settings see [`cpu_bound`](macro@cpu_bound).
///
/// # Examples
///
/// The `xfork` crate re-exports this attribute:
///
/// ```
/// use xfork::cpu_bound_fork;
///
/// #[cpu_bound_fork]
/// fn count(text: &str, letter: char) -> usize {
///     text.chars().filter(|c| *c == letter).count()
/// }
///
/// let a = count("banana".to_owned(), 'a'); // returns at once
/// assert_eq!(count::sequential("banana", 'n'), 2);
/// assert_eq!(*a, 3);
/// ```
#[proc_macro_attribute]
pub fn cpu_bound_fork(settings: TokenStream, item: TokenStream) -> TokenStream {
    implicit(Mark::Cpu, settings, item)
}

/// Marks a function whose plain call forks onto a thread and returns a `ResultProxy`.
///
/// It is to [`cpu_bound_fork`](macro@cpu_bound_fork) what [`io_bound`](macro@io_bound) is to
/// [`cpu_bound`](macro@cpu_bound).
///
/// # Examples
///
/// The `xfork` crate re-exports this attribute:
///
/// ```
/// use std::path::{Path, PathBuf};
/// use xfork::io_bound_fork;
///
/// #[io_bound_fork]
/// fn exists(path: &Path) -> bool {
///     path.exists()
/// }
///
/// let root = exists(PathBuf::from("/"));
/// assert!(!exists::sequential(Path::new("/no/such/file")));
/// assert!(*root);
/// ```
#[proc_macro_attribute]
pub fn io_bound_fork(settings: TokenStream, item: TokenStream) -> TokenStream {
    implicit(Mark::Io, settings, item)
}

/// Forks an ordinary call: `fork!(f(a, b))` is `fork(f, (a, b))`.
///
/// The arguments are evaluated here and now, as in the call; only the call itself is forked.
///
/// # Examples
///
/// The `xfork` crate re-exports this macro:
///
/// ```
/// use xfork::{cpu_bound, fork};
///
/// #[cpu_bound]
/// fn add(a: i32, b: i32) -> i32 {
///     a + b
/// }
///
/// let three = fork!(add(1, 2));
/// assert_eq!(*three, 3);
/// ```
#[proc_macro]
pub fn fork(input: TokenStream) -> TokenStream {
    let call = parse_macro_input!(input as Call);
    call.expand().into()
}

/// Gives a struct a form in which each field is a proxy: `OutProxies` for `Out`.
///
/// So each part of a result can be forked on before all of it is known, in either direction:
///
/// * `ResultProxy::split(out)` takes the `ResultProxy<Out>` of a fork apart into `OutProxies`;
/// * a function that forks for each part returns `OutProxies { a: fork(…), b: fork(…) }`, and whoever needs the
///   whole as one argument or value writes `.join()`, which gives a `ResultProxy<Out>`.
///
/// None of it waits. Each field is moved out of the result, unless other proxies point to the whole; then of a
/// clone of it.
///
/// For
///
/// ```
/// # use xfork::Proxied;
/// #[derive(Clone, Proxied)]
/// pub struct Out<T> {
///     pub a: Vec<T>,
///     b: String,
/// }
/// ```
///
/// this is added:
///
/// ```text
/// pub struct OutProxies<T> where T: Send + 'static {
///     pub a: ResultProxy<Vec<T>>,
///     b: ResultProxy<String>,
/// }
/// impl<T> Clone for OutProxies<T> { … }         // each proxy, not the values
/// impl<T> Debug for OutProxies<T> { … }         // the state of each, without waiting
/// impl<T> OutProxies<T> { pub fn join(self) -> ResultProxy<Out<T>> { … } }
/// impl<T> Proxied for Out<T> where T: Clone + Send + Sync + 'static { … }
/// ```
///
/// A tuple struct becomes a tuple struct.
///
/// # Examples
///
/// The `xfork` crate re-exports this derive, and the trait of the same name:
///
/// ```
/// use xfork::{Proxied, ResultProxy, fork, io_bound, thread};
///
/// #[derive(Clone, Debug, PartialEq, Proxied)]
/// struct Statistics { mean: f64, sorted: Vec<f64> }
///
/// #[io_bound]
/// fn statistics(mut values: Vec<f64>) -> Statistics {
///     values.sort_by(f64::total_cmp);
///     Statistics { mean: values.iter().sum::<f64>() / values.len() as f64, sorted: values }
/// }
///
/// #[io_bound]
/// fn median(sorted: &[f64]) -> f64 { sorted[sorted.len() / 2] }
///
/// let StatisticsProxies { mean, sorted } = ResultProxy::split(fork(statistics, vec![4.0, 1.0, 1.0]));
/// let skew = mean - fork(median, sorted); // nothing has been waited for
/// assert_eq!(skew, 1.0);
///
/// let whole = StatisticsProxies { mean: thread(|| 2.0, ()), sorted: thread(|| vec![2.0], ()) }.join();
/// assert_eq!(*whole, Statistics { mean: 2.0, sorted: vec![2.0] });
/// ```
///
/// # Limits
///
/// The struct implements `Clone`, as every value that several proxies may point to, and not `Drop`, which would
/// keep its fields in. An enum, a union, a struct without fields and one that borrows are refused; of those,
/// `ResultProxy::map` takes a part.
#[proc_macro_derive(Proxied)]
pub fn proxied(item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as DeriveInput);
    proxied::expand(&item).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Joins values of one's own type to the operators and comparisons of proxies, on either side.
///
/// It writes `impl Operand for Vector {}`, by which plain values may stand on the right of a proxy; what that gives,
/// and what works without it, says the trait of the same name. And for the left side, for `ResultProxy<U>` and
/// `&ResultProxy<U>` and each of the operators `+` `-` `*` `/` `%` `&` `|` `^` `<<` `>>`, it writes
///
/// ```text
/// impl<U> Add<ResultProxy<U>> for Vector where Vector: Add<U>, … { type Output = ResultProxy<…>; … }
/// impl<U> PartialEq<ResultProxy<U>> for Vector where Vector: PartialEq<U>, … { … } // also PartialOrd
/// ```
///
/// An operator that the type does not have is not there for proxies either. Operators are deferred, comparisons
/// wait. Type parameters are asked for `Clone + Send + Sync + 'static`.
///
/// # Examples
///
/// The `xfork` crate re-exports this derive, and the trait of the same name:
///
/// ```
/// use xfork::{Operand, ready};
///
/// #[derive(Clone, Debug, PartialEq, Operand)]
/// struct Vector<N>(N, N);
///
/// impl<N: std::ops::Add<Output = N>> std::ops::Add for Vector<N> {
///     type Output = Self;
///     fn add(self, other: Self) -> Self { Self(self.0 + other.0, self.1 + other.1) }
/// }
///
/// impl std::ops::Mul<f64> for Vector<f64> {
///     type Output = Self;
///     fn mul(self, factor: f64) -> Self { Self(self.0 * factor, self.1 * factor) }
/// }
///
/// let mut sum = ready(Vector(1.0, 2.0)) * 2.0 + Vector(1.0, 1.0);
/// sum += ready(Vector(0.5, 0.5)) * ready(2.0);
/// assert_eq!(sum, Vector(4.0, 6.0));
///
/// let left = Vector(0.5, 0.5) * ready(2.0) + &sum; // still nothing is computed
/// assert_eq!(Vector(5.0, 7.0), left);
/// ```
///
/// # Limits
///
/// An operator of one's own for *every* type that meets a bound, also `impl<T: Copy + …> Mul<T> for Matrix<T>`, covers
/// proxies as far as the compiler can know, and so conflicts with the derive (E0119). Then write the line alone and do
/// without the left side; `ready(value) * proxy` stands in for it:
///
/// ```
/// use xfork::{Operand, ready};
///
/// #[derive(Clone, Debug, PartialEq)]
/// struct Length(f64);
///
/// impl Operand for Length {}
///
/// impl<T: Into<f64>> std::ops::Mul<T> for Length {
///     type Output = Self;
///     fn mul(self, factor: T) -> Self { Self(self.0 * factor.into()) }
/// }
///
/// assert_eq!(ready(Length(2.0)) * 1.5, Length(3.0));
/// assert_eq!(ready(Length(2.0)) * ready(2_u8), Length(4.0));
/// ```
///
/// Since the right side of the type's operators may then also be a proxy, a type that only they would tell the
/// compiler has to be said: `vector * x.into()` needs `f64::from(x)`, `list == []` needs `list.is_empty()`, and where
/// an operator takes `&Vector`, `vector - &boxed` needs `&*boxed`. The line alone leaves all that as it is.
#[proc_macro_derive(Operand)]
pub fn operand(item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as DeriveInput);
    operand::expand(&item).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Marks a function whose calls run at once where a [`synchronized`](macro@synchronized) function makes them.
///
/// Everywhere else it is what [`cpu_bound`](macro@cpu_bound) makes of it: an ordinary function when it is called, and one that
/// can be forked.
///
/// | written | its calls run |
/// | --- | --- |
/// | `#[concurrent]` | in worker processes |
/// | `#[concurrent(io)]` | on threads |
/// | `#[concurrent(runner = …)]` | on a runner of one's own: an expression for an `Arc<dyn xfork::Runner>`, evaluated once |
///
/// The settings of [`cpu_bound`](macro@cpu_bound#settings) may stand behind: `#[concurrent(io, timeout = "5s")]`.
///
/// Two methods are for code that is not in a synchronized function: `f.wait()` waits until all calls of `f` that were
/// forked before have ended, and `f.in_progress()` tells whether one has not.
///
/// # Examples
///
/// ```
/// use xfork::{concurrent, fork};
///
/// #[concurrent(io)]
/// fn square(n: u64) -> u64 { n * n }
///
/// assert_eq!(square(3), 9); // here and now
///
/// let forked = fork(square, 4);
/// square.wait();
/// assert!(!square.in_progress());
/// assert_eq!(forked, 16);
/// ```
///
/// # Limits
///
/// Those of [`cpu_bound`](macro@cpu_bound#limits). What is borrowed is cloned for the task, so `&T` needs `T: Clone + Send + Sync`; what the
/// function changes behind a shared reference (an atomic number) it changes in its copy. `&mut` is for one [`Tracked`] collection, and
/// such a function can't be forked by hand.
///
/// [`Tracked`]: https://docs.rs/xfork/latest/xfork/struct.Tracked.html
#[proc_macro_attribute]
pub fn concurrent(settings: TokenStream, item: TokenStream) -> TokenStream {
    concurrent::expand(settings.into(), item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a serial function parallel: calls of [`concurrent`](macro@concurrent) functions in it are forked where they stand, and
/// their results are put in their places before anything could miss them.
///
/// ```
/// use std::collections::BTreeMap;
/// use xfork::{concurrent, synchronized};
///
/// #[concurrent]
/// fn process_lat_lon(lat: i32, lon: i32, data: &[f64]) -> f64 {
///     data.iter().map(|value| value * f64::from(lat + lon)).sum()
/// }
///
/// #[synchronized]
/// fn process_data_set(data: &[f64]) -> BTreeMap<i32, Vec<f64>> {
///     let mut results: BTreeMap<i32, Vec<f64>> = BTreeMap::new();
///     let mut total = 0.0;
///     for lat in 0..2 {
///         let mut row = vec![0.0; 3];
///         for lon in 0..3 {
///             row[lon as usize] = process_lat_lon(lat, lon, data); // runs in the background
///         }
///         total += process_lat_lon(lat, 0, data);
///         results.insert(lat, row);                                // `row` is read: here it waits
///     }
///     results.insert(99, vec![total]);
///     results
/// }
///
/// let results = process_data_set(&[1.0, 2.0]);
/// assert_eq!(results, BTreeMap::from([(0, vec![0.0, 3.0, 6.0]), (1, vec![3.0, 6.0, 9.0]), (99, vec![3.0])]));
/// ```
///
/// Without the attribute the function is the same, but for the time it takes. Which functions are concurrent is known by their
/// type; they are not listed.
///
/// # What is forked
///
/// | statement | done later |
/// | --- | --- |
/// | `place = f(..)`, `place += f(..)` | the assignment; `place` is a variable, its fields, indexes and `*`, in any depth |
/// | `place.method(.., f(..))` | the method call |
/// | `g(.., f(..))` for an ordinary `g` | the call of `g`, with clones of the texts, numbers and lists that are referred to |
/// | `let x = f(..)`, `let (x, y) = f(..)` | `x` gets its value before it is first mentioned |
/// | `f(..);` | nothing |
/// | `iter.map(\|x\| f(x)).collect()`, assigned, bound or returned | the collecting |
///
/// in loops, branches, `match` and blocks. Arguments and indexes are evaluated at once, so an argument that reads what is
/// pending waits for it. In any other place a concurrent call is an error that says so.
///
/// # When it waits
///
/// All that is pending is done, in the order of the calls, before a statement that mentions the variable of a pending place (also
/// in a closure, in a macro or in the braces of a format string), or one that it may be a reference into; before
/// a variable with something pending ends; before `return`, a `?` and the end of the function; and when the function panics. When it
/// can't be sure, it waits. A method or an operator like `+=` of anything but a collection, text or number of the standard library, and
/// a function like `g`, may have effects that anybody sees: then it waits before the next statement that calls anything.
///
/// # What calls borrow
///
/// A value that calls borrow by `x`, `&x` or `&x.field` is cloned and serialised once, however many calls there are, until a statement
/// may change it; and a worker that has once read equal bytes does not read them again. Of 10 MB, 10 000 calls take 14 µs each. What may
/// change a variable is any other mention than `&x`; a variable that is a shared reference (a `&T` parameter, `let x = &y;`) does not
/// change, and what is behind it is taken to change where it is passed on or a method of it is called, unless it consists of
/// numbers, texts and collections of them, or the method is `len`, `iter`, `get` or the like. So a table of one's own type is serialised
/// anew in each round of a loop that calls a method of it; take what is needed of it before the loop.
///
/// # What calls change
///
/// A concurrent function may take one [`Tracked`] collection by `&mut`: what it writes there by index is put in place like any other
/// result, in the order of the calls. A call that has read what an earlier one wrote is made again.
///
/// ```
/// use xfork::{Tracked, concurrent, synchronized};
///
/// #[concurrent]
/// fn square(i: usize, numbers: &mut Tracked<Vec<u64>>) { numbers[i] *= numbers[i]; }
///
/// #[synchronized]
/// fn squares(numbers: Vec<u64>) -> Vec<u64> {
///     let mut numbers = Tracked::new(numbers);
///     for i in 0..numbers.len() {
///         square(i, &mut numbers);
///     }
///     numbers.into_inner()
/// }
///
/// assert_eq!(squares(vec![1, 2, 3]), [1, 4, 9]);
/// ```
///
/// [`Tracked`]: https://docs.rs/xfork/latest/xfork/struct.Tracked.html
///
/// # Panics
///
/// With the panic of a call, where its result would be put into its place: what was called before has been done by then,
/// nothing behind it has, and what was forked behind it is cancelled. An index that is out of bounds panics then, too, with the
/// line of its assignment. What the function has done itself in the meantime, without looking at what is pending, has happened. If it
/// panics itself, what was called before is put in the places that outlive it, but for those that are reached by a reference
/// of its own (`for row in rows.iter_mut()`).
///
/// # Limits
///
/// A concurrent function shares nothing with the function that calls it but its arguments and its result: a lock or a channel
/// that both use is used at once. Not for `async fn` and `const fn`. What a statement that is done later borrows has to
/// outlive that: the compiler says so if it doesn't. In a function whose result may borrow (a reference, a lifetime, `impl
/// Trait`), or that gives a parameter another `&mut`, what is pending at a panic of the function itself is not done. `f(..)?`
/// is called in its place, since what comes behind it may not happen. Collecting goes into what takes all values: a
/// `Result<Vec<_>, _>` would stop at the first error. What the drop of a replaced value does, and an `IndexMut` of one's own,
/// is done with the assignment. A `&mut` that a function or a pattern gave is passed on beside a concurrent call as `&mut
/// *x`, and a `&'static str` as a literal or a constant.
#[proc_macro_attribute]
pub fn synchronized(settings: TokenStream, item: TokenStream) -> TokenStream {
    synchronized::expand(&settings.into(), item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

fn plain(mark: Mark, settings: TokenStream, item: TokenStream) -> TokenStream {
    function::read(mark, settings.into(), item.into())
        .map(|marked| mark::expand(mark, &marked))
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

fn implicit(mark: Mark, settings: TokenStream, item: TokenStream) -> TokenStream {
    function::read(mark, settings.into(), item.into())
        .map(|marked| implicit::expand(mark, &marked))
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
