//! What can be forked: functions, closures and marked functions, and the marks.

use crate::cache::Identity;
use crate::core::limits::Limits;
use crate::own::Own;
use std::fmt;
use std::marker::PhantomData;

/// A function that can be forked with arguments of the types in the tuple `Args`.
///
/// Implemented for every closure and function of up to 12 parameters (marked as cpu-bound), and by the
/// attributes for the functions they mark. Nothing else needs to implement it.
///
/// ```
/// use xfork::Callable;
///
/// #[xfork::io_bound]
/// fn length(text: &str) -> usize { text.len() }
///
/// assert_eq!(length.call(("four".to_string(),)), 4);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be forked with arguments of the types `{Args}`",
    label = "not a function of these parameters",
    note = "`fork(f, args)` takes `()` for no argument, a bare value for one and a tuple for more; a parameter `&str` \
            is given as a String, `&[T]` as a Vec<T>, `&T` as a T, and each of them may be a ResultProxy instead"
)]
pub trait Callable<Args>: Sized {
    /// What the function returns.
    type Output;
    /// Where the function runs: [`Cpu`], [`Io`] or [`InPlace`].
    type Mark;
    /// Calls the function here and now.
    fn call(self, args: Args) -> Self::Output;
    /// The function's name, for errors and reports.
    fn name() -> &'static str {
        std::any::type_name::<Self>()
    }
    /// What a call may take, as its mark says.
    fn limits() -> Limits {
        Limits::new()
    }
    /// What a call costs, as its mark says; see [`Task::cost`](crate::Task::cost).
    fn cost() -> Option<f64> {
        None
    }
    /// How a call is made once more, if its mark says that it may be tried again.
    #[doc(hidden)]
    fn again() -> Option<Again<Self, Args>> {
        None
    }
    /// What it has beside its mark.
    #[doc(hidden)]
    fn own() -> Option<&'static Own> {
        None
    }
    /// Under which name and version its results are kept, if they are.
    #[doc(hidden)]
    fn identity() -> Option<Identity> {
        None
    }
}

/// Clones a function and its arguments, for one more try.
#[doc(hidden)]
pub type Again<F, A> = fn(&F, &A) -> (F, A);

/// An argument of a function that may be tried again.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is an argument of a function with `retries`, but can't be cloned",
    label = "each try takes a clone of this",
    note = "derive `Clone` for it, or leave `retries` out"
)]
pub trait Retried: Clone {}

#[diagnostic::do_not_recommend]
impl<T: Clone> Retried for T {}

/// The same argument, for one more try.
#[doc(hidden)]
pub fn another<T: Retried>(argument: &T) -> T {
    argument.clone()
}

/// The mark of functions that compute: they run in worker processes.
#[derive(Clone, Copy, Debug)]
pub struct Cpu;
/// The mark of functions that wait, for files, networks or devices: they run on threads.
#[derive(Clone, Copy, Debug)]
pub struct Io;
/// The mark of functions that are never forked: they run in place, in the caller's thread.
#[derive(Clone, Copy, Debug)]
pub struct InPlace;

/// A function with a mark put on from outside, by [`cpu_bound`], [`io_bound`] or [`r#unsafe()`](fn@crate::unsafe).
///
/// ```
/// let marked = xfork::io_bound(|n: u32| n + 1);
/// assert_eq!(xfork::fork(marked, 1), 2);
/// ```
pub struct Marked<F, M> {
    function: F,
    mark: PhantomData<fn() -> M>,
}

impl<F: Clone, M> Clone for Marked<F, M> {
    fn clone(&self) -> Self {
        Self { function: self.function.clone(), mark: PhantomData }
    }
}
impl<F: Copy, M> Copy for Marked<F, M> {}

impl<F, M> fmt::Debug for Marked<F, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as {}", std::any::type_name::<F>(), std::any::type_name::<M>())
    }
}

impl<F: Callable<A>, M, A> Callable<A> for Marked<F, M> {
    type Output = F::Output;
    type Mark = M;
    fn call(self, args: A) -> F::Output {
        self.function.call(args)
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
        F::identity()
    }
    fn again() -> Option<Again<Self, A>> {
        fn again<F: Callable<A>, M, A>(marked: &Marked<F, M>, args: &A) -> (Marked<F, M>, A) {
            let again = F::again().expect("only given out where there is one");
            let (function, args) = again(&marked.function, args);
            (Marked { function, mark: PhantomData }, args)
        }
        F::again().map(|_| again::<F, M, A> as Again<Self, A>)
    }
}

/// Marks a function that one doesn't own as cpu-bound: forked, it runs in a worker process.
///
/// ```
/// use xfork::{cpu_bound, fork};
///
/// assert_eq!(fork(cpu_bound(u64::count_ones), 255), 8);
/// ```
pub fn cpu_bound<F>(function: F) -> Marked<F, Cpu> {
    Marked { function, mark: PhantomData }
}

/// Marks a function that one doesn't own as io-bound: forked, it runs on a thread.
///
/// ```
/// use xfork::{fork, io_bound};
///
/// let text = fork(io_bound(std::fs::read_to_string::<String>), "Cargo.toml");
/// assert!(text.as_ref().unwrap().contains("[package]"));
/// ```
pub fn io_bound<F>(function: F) -> Marked<F, Io> {
    Marked { function, mark: PhantomData }
}

/// Marks a function as one that must not be forked: [`fork`](crate::fork()) calls it in place.
///
/// ```
/// use xfork::{fork, r#unsafe};
///
/// let here = std::thread::current().id();
/// let there = fork(r#unsafe(|| std::thread::current().id()), ());
/// assert_eq!(*there, here);
/// ```
pub fn r#unsafe<F>(function: F) -> Marked<F, InPlace> {
    Marked { function, mark: PhantomData }
}

macro_rules! callables {
    ($(($($name:ident)*))*) => {$(
        impl<Func, Out, $($name),*> Callable<($($name,)*)> for Func
        where
            Func: FnOnce($($name),*) -> Out,
        {
            type Output = Out;
            type Mark = Cpu;
            #[allow(non_snake_case, reason = "parameters are named for their types")]
            fn call(self, ($($name,)*): ($($name,)*)) -> Out {
                self($($name),*)
            }
        }
    )*};
}

callables! {
    () (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) (A B C D E F G) (A B C D E F G H)
    (A B C D E F G H I) (A B C D E F G H I J) (A B C D E F G H I J K) (A B C D E F G H I J K L)
}
