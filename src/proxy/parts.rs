//! Taking a result apart into proxies of its parts, and joining them again.
//!
//! Owns [`Proxied`], its implementations for tuples, what the output of `#[derive(Proxied)]` calls, and deferred
//! indexing. Promises that nothing here waits, that each part is moved out of a whole that nobody else points to, and
//! that a whole's failure is that of each part, and the first failed part's that of the whole.

use super::ResultProxy;
use super::deferred::{closure, unary};
use super::steps::value;
use crate::core::error::TaskError;
use crate::core::slot::AnySlot;
use crate::proxy::steps::symbol;
use parking_lot::Mutex;
use std::fmt;
use std::ops::Index;
use std::sync::Arc;

/// A type whose parts can have proxies of their own: a tuple, or a struct with `#[derive(Proxied)]`.
///
/// The [derive](macro@crate::Proxied) says what it makes for a struct; for a tuple, [`Proxies`](Self::Proxies) is the
/// tuple of proxies. One calls [`ResultProxy::split`] and [`ResultProxy::join`].
///
/// ```
/// use xfork::{Proxied, ResultProxy, ready};
///
/// /// The parts of several results, each result apart.
/// fn all_apart<T: Proxied>(wholes: Vec<ResultProxy<T>>) -> Vec<T::Proxies> {
///     wholes.into_iter().map(ResultProxy::split).collect()
/// }
///
/// let [(number, text), _] = &all_apart(vec![ready((1, "one")), ready((2, "two"))])[..] else { unreachable!() };
/// assert_eq!(*number, 1);
/// assert_eq!(*text, "one");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be taken apart into proxies",
    note = "if it is a struct of yours, write `#[derive(xfork::Proxied)]` on it; else take a part with \
            `ResultProxy::map(&proxy, |value| …)`"
)]
pub trait Proxied: Clone + Send + Sync + Sized + 'static {
    /// A proxy for each part.
    type Proxies;

    /// Takes a result apart; see [`ResultProxy::split`].
    ///
    /// ```
    /// use xfork::{Proxied, ready};
    /// let (number, text) = Proxied::split(ready((1, "one")));
    /// assert_eq!((number, text), (ready(1), ready("one")));
    /// ```
    fn split(whole: ResultProxy<Self>) -> Self::Proxies;

    /// Joins parts to a result; see [`ResultProxy::join`].
    ///
    /// ```
    /// use xfork::{Proxied, ready};
    /// assert_eq!(<(u8, &str)>::join((ready(1), ready("one"))), (1, "one"));
    /// ```
    fn join(parts: Self::Proxies) -> ResultProxy<Self>;
}

impl<T: Proxied> ResultProxy<T> {
    /// A proxy for each part of a tuple, or of a struct with `#[derive(Proxied)]`.
    ///
    /// Deferred as everything else, so that forks may depend on the parts of what is not there yet.
    ///
    /// ```
    /// use xfork::{ResultProxy, fork, thread};
    ///
    /// #[xfork::io_bound]
    /// fn length(text: &str) -> usize { text.len() }
    ///
    /// let (number, text, _) = ResultProxy::split(thread(|| (1, "one".to_string(), [0; 9]), ()));
    /// assert_eq!(fork(length, text) + number, 4);
    /// ```
    #[track_caller]
    pub fn split(this: Self) -> T::Proxies {
        T::split(this)
    }

    /// The deferred tuple or struct of parts; [`split`](Self::split) is the way back.
    ///
    /// ```
    /// use xfork::{ResultProxy, ready, thread};
    /// let all: ResultProxy<(i32, &str, char)> = ResultProxy::join((thread(|| 1, ()), ready("one"), ready('1')));
    /// assert_eq!(all, (1, "one", '1'));
    /// ```
    #[track_caller]
    pub fn join(parts: T::Proxies) -> Self {
        T::join(parts)
    }
}

impl<A, B> ResultProxy<(A, B)>
where
    A: Clone + Send + Sync + 'static,
    B: Clone + Send + Sync + 'static,
{
    /// A proxy for each half of a pair.
    ///
    /// Longer tuples are taken apart by [`ResultProxy::split`].
    ///
    /// ```
    /// use xfork::{ready, ResultProxy};
    /// let (number, text) = ResultProxy::unzip(ready((1, "one".to_string())));
    /// assert_eq!(number, 1);
    /// assert_eq!(text, "one");
    /// ```
    #[track_caller]
    pub fn unzip(this: Self) -> (ResultProxy<A>, ResultProxy<B>) {
        Self::split(this)
    }
}

impl<T: Send + Sync + 'static> ResultProxy<T> {
    /// The deferred item at `index`, where `p[index]` waits for it.
    ///
    /// A clone of the one item, not of the whole. Whatever else is to be taken out of a value,
    /// [`map`](ResultProxy::map) does: `ResultProxy::map(&p, |items| items.get(3).cloned())`.
    ///
    /// ```
    /// use xfork::{ResultProxy, thread};
    ///
    /// let squares = thread(|| vec![1, 4, 9], ());
    /// let last = ResultProxy::index(&squares, 2) + 1; // nothing has been waited for
    /// assert_eq!(squares[0], 1);
    /// assert_eq!(last, 10);
    /// ```
    ///
    /// An index that is out of bounds panics as usual, when the item is needed.
    #[track_caller]
    pub fn index<I>(this: &Self, index: I) -> ResultProxy<T::Output>
    where
        T: Index<I>,
        T::Output: Clone + Send + Sized + 'static,
        I: Send + 'static,
    {
        Self::map(this, |value| value[index].clone())
    }
}

/// A part of a whole that has been taken apart, until its proxy takes it.
#[derive(Debug)]
pub struct Part<T>(Mutex<Option<T>>);

impl<T> Part<T> {
    /// A part that nobody has taken.
    pub fn new(value: T) -> Self {
        Self(Mutex::new(Some(value)))
    }
}

/// The parts of a whole, which is taken apart once, when the first of them is needed.
#[track_caller]
pub fn parts<T, P>(whole: ResultProxy<T>, take_apart: fn(T) -> P) -> ResultProxy<P>
where
    T: Clone + Send + Sync + 'static,
    P: Send + Sync + 'static,
{
    unary(symbol!("split"), whole, take_apart)
}

/// The proxy of one of the parts, the only one to take it.
#[track_caller]
pub fn part<P, T>(parts: &ResultProxy<P>, which: fn(&P) -> &Part<T>) -> ResultProxy<T>
where
    P: Send + Sync + 'static,
    T: Send + 'static,
{
    let parts = parts.clone();
    closure(symbol!("part"), [parts.any_slot()], move || {
        let part = which(parts.settled()?).0.lock().take();
        Ok(part.expect("one proxy takes each part, and is evaluated once"))
    })
}

/// What a whole waits for, without the type of its value.
pub struct Needed(Arc<dyn AnySlot>);

impl fmt::Debug for Needed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Needed")
    }
}

/// A part that a whole waits for.
pub fn needed<T: Send + 'static>(part: &ResultProxy<T>) -> Needed {
    Needed(part.any_slot())
}

/// A whole that `join` makes of parts, in which it may call [`joined`] for each that it waits for.
#[track_caller]
pub fn join<T: Send + 'static, const N: usize>(
    parts: [Needed; N],
    join: impl FnOnce() -> Result<T, TaskError> + Send + 'static,
) -> ResultProxy<T> {
    closure(symbol!("join"), parts.map(|part| part.0), join)
}

/// What a part has come to; in the closure given to [`join`].
///
/// # Errors
///
/// The error of the part.
pub fn joined<T: Clone + Send + 'static>(part: ResultProxy<T>) -> Result<T, TaskError> {
    value(part)
}

macro_rules! tuples {
    ($($(#[$doc:meta])* ($($T:ident $at:tt),*);)*) => {$(
        $(#[$doc])*
        impl<$($T: Clone + Send + Sync + 'static),*> Proxied for ($($T,)*) {
            type Proxies = ($(ResultProxy<$T>,)*);

            #[track_caller]
            fn split(whole: ResultProxy<Self>) -> Self::Proxies {
                let parts = parts(whole, |whole: Self| ($(Part::new(whole.$at),)*));
                ($(part(&parts, |parts| &parts.$at),)*)
            }

            #[track_caller]
            fn join(parts: Self::Proxies) -> ResultProxy<Self> {
                join([$(needed(&parts.$at)),*], move || Ok(($(joined(parts.$at)?,)*)))
            }
        }
    )*};
}

tuples! {
    (A 0);
    (A 0, B 1);
    (A 0, B 1, C 2);
    (A 0, B 1, C 2, D 3);
    (A 0, B 1, C 2, D 3, E 4);
    (A 0, B 1, C 2, D 3, E 4, F 5);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;
    use crate::proxy::{ProxyState, lazy, ready};
    use std::collections::HashMap;
    use std::panic::{catch_unwind, resume_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn never<T: Send + 'static>() -> ResultProxy<T> {
        lazy(|| unreachable!("nobody has asked for it"))
    }

    fn fails<T: Send + 'static>(with: &'static str) -> ResultProxy<T> {
        lazy(move || resume_unwind(Box::new(with)))
    }

    fn message<T: Send + 'static>(proxy: &ResultProxy<T>) -> String {
        ResultProxy::error(proxy).expect("an operand has failed").message().into_owned()
    }

    #[test]
    fn taking_apart_and_joining_does_not_evaluate() {
        let (a, b) = ResultProxy::split(never::<(u8, u8)>());
        let joined: ResultProxy<(u8, u8, u8)> = ResultProxy::join((a, b, never()));
        let (pair, item) =
            (ResultProxy::unzip(never::<(u8, u8)>()).0, ResultProxy::index(&never::<Vec<u8>>(), 0));
        for proxy in [ResultProxy::split(joined).2, pair, item] {
            assert_eq!(ResultProxy::state(&proxy), ProxyState::Deferred);
        }
    }

    #[test]
    fn tuples_come_apart_and_together() {
        let whole = lazy(|| (1, "two".to_string(), 3.0, '4'));
        let (a, b, c, d) = ResultProxy::split(whole.clone());
        assert_eq!((&d, &b, &c, &a), (&ready('4'), &ready("two".to_string()), &ready(3.0), &ready(1)));
        let again: ResultProxy<(i32, String, f64, char)> = ResultProxy::join((a, b, c, d));
        assert_eq!(again, whole);
        let twelve = ready((1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12));
        let parts = ResultProxy::split(twelve);
        assert_eq!(parts.0 + parts.11, 13);
    }

    #[test]
    fn failures_go_from_the_whole_to_its_parts_and_back() {
        let (a, b) = ResultProxy::split(fails::<(u8, u8)>("whole"));
        assert_eq!((message(&a), message(&b)), ("whole".into(), "whole".into()));
        let joined: ResultProxy<(u8, u8, u8)> =
            ResultProxy::join((ready(1), fails("second"), fails("third")));
        assert_eq!(message(&joined), "second");
        assert_eq!(message(&ResultProxy::index(&fails::<Vec<u8>>("whole"), 0)), "whole");
    }

    /// Counts how often it is cloned.
    #[derive(Debug)]
    struct Counted(Arc<AtomicUsize>);

    impl Clone for Counted {
        fn clone(&self) -> Self {
            self.0.fetch_add(1, Ordering::Relaxed);
            Self(self.0.clone())
        }
    }

    #[test]
    fn parts_are_moved_unless_others_hold_the_whole() {
        let clones = Arc::new(AtomicUsize::new(0));
        let counted = || Counted(clones.clone());
        let (a, b, c) = ResultProxy::split(ready((counted(), counted(), counted())));
        drop(b);
        let (c, a) = ResultProxy::unzip(ResultProxy::zip(c, a));
        ResultProxy::into_inner(a);
        ResultProxy::into_inner(c);
        assert_eq!(clones.load(Ordering::Relaxed), 0);

        let whole = ready((counted(), counted()));
        let (a, b) = ResultProxy::split(whole.clone());
        ResultProxy::into_inner(a);
        ResultProxy::into_inner(b);
        assert_eq!(clones.load(Ordering::Relaxed), 2);

        let items = ready(vec![counted(), counted()]);
        ResultProxy::into_inner(ResultProxy::index(&items, 1));
        assert_eq!(clones.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn an_item_is_deferred_by_name_and_read_by_brackets() {
        let list = lazy(|| vec![3, 1, 2]);
        let item = ResultProxy::index(&list, 1);
        assert_eq!(ResultProxy::state(&list), ProxyState::Deferred);
        let read: i32 = list[1];
        assert_eq!(item, read);
        assert_eq!(Index::index(&list, 2), &2);
        assert_eq!(ResultProxy::index(&ready(HashMap::from([("one", 1)])), "one"), 1);
        assert_eq!(ResultProxy::index(&ready([[1, 2], [3, 4]]), 1), [3, 4]);
    }

    #[test]
    fn an_index_out_of_bounds_panics_as_usual_when_the_item_is_needed() {
        let list = vec![1, 2, 3];
        let item = ResultProxy::index(&ready(list.clone()), 3);
        let text =
            |payload: Box<dyn std::any::Any + Send>| *payload.downcast::<String>().expect("a formatted text");
        let plain = catch_unwind(|| list[std::hint::black_box(3)]).unwrap_err();
        assert_eq!(text(catch_unwind(|| *item).unwrap_err()), text(plain));
    }
}
