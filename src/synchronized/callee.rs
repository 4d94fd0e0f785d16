//! Telling a concurrent function from an ordinary one where it is called, by its type.
//!
//! A macro sees the text `f(a, b)` and not what `f` is. What it writes asks for methods that both kinds of functions have:
//! those of a concurrent one are found first, and for every other there is a trait. For an ordinary
//! function they have no effect but on types: the call that the user wrote is made as he wrote it.

use super::later::{HereCollected, Later};
use super::lent::Lend;
use super::queue::{Queue, Session};
use std::marker::PhantomData;
use std::ops::Deref;

/// A function marked `#[concurrent]`.
pub trait Concurrent: Copy {
    /// Whether it changes a tracked argument.
    const TRACKS: bool;
}

/// What is called.
#[derive(Debug)]
pub struct Callee<'a, F>(pub &'a F);

impl<F> Deref for Callee<'_, F> {
    type Target = F;

    fn deref(&self) -> &F {
        self.0
    }
}

impl<F: Concurrent> Callee<'_, F> {
    #[inline]
    pub fn __xfork_is_concurrent(&self) -> bool {
        true
    }

    #[inline]
    pub fn __xfork_tracks(&self) -> bool {
        F::TRACKS
    }
}

/// Any other function.
pub trait Ordinary {
    #[inline]
    fn __xfork_is_concurrent(&self) -> bool {
        false
    }

    #[inline]
    fn __xfork_tracks(&self) -> bool {
        false
    }
}

impl<F> Ordinary for Callee<'_, F> {}

/// What a call of an ordinary function would give; there is none, as it is called where it stands.
#[derive(Debug)]
pub struct Here<T>(PhantomData<fn() -> T>);

const NOT_FORKED: &str = "an ordinary function is called where it stands";

impl<T> Here<T> {
    pub fn __xfork_into<R: ?Sized, C: ?Sized>(
        self,
        _: &Session,
        _: &mut Queue<'_, R>,
        _: impl FnOnce(&mut R) -> &mut C,
    ) -> Self {
        unreachable!("{NOT_FORKED}")
    }

    pub fn __xfork_then<R: ?Sized>(self, _: &Session, _: &mut Queue<'_, R>, _: impl FnOnce(&mut R, T)) {
        unreachable!("{NOT_FORKED}")
    }

    pub fn __xfork_later(self, _: &Session, _: &mut Queue<'_, ()>) -> Later<T> {
        unreachable!("{NOT_FORKED}")
    }
}

impl<T> HereCollected<T> for Vec<Here<T>> {
    fn __xfork_collect_then<R: ?Sized, C: FromIterator<T>>(
        self,
        _: &Session,
        _: &mut Queue<'_, R>,
        _: impl FnOnce(&mut R, C),
    ) {
        unreachable!("{NOT_FORKED}")
    }

    fn __xfork_collect_later<C: FromIterator<T>>(self, _: &Session, _: &mut Queue<'_, ()>) -> Later<C> {
        unreachable!("{NOT_FORKED}")
    }
}

macro_rules! plain {
    ($($(#[$doc:meta])* $plain:ident ($($name:ident)*);)*) => {$(
        $(#[$doc])*
        pub trait $plain<Out $(, $name)*> {
            #[allow(clippy::too_many_arguments, non_snake_case, reason = "as the function that is meant")]
            fn __xfork_call(&self, lends: &[Option<&Lend>] $(, $name: $name)*) -> Here<Out>;
        }

        impl<Func, Out $(, $name)*> $plain<Out $(, $name)*> for Callee<'_, Func>
        where
            Func: FnOnce($($name),*) -> Out,
        {
            #[allow(non_snake_case, reason = "parameters are named for their types")]
            fn __xfork_call(&self, _: &[Option<&Lend>] $(, _: $name)*) -> Here<Out> {
                unreachable!("{NOT_FORKED}")
            }
        }
    )*};
}

plain! {
    /// An ordinary function without parameters.
    Plain0 ();
    /// An ordinary function of one parameter, and so on.
    Plain1 (A);
    Plain2 (A B);
    Plain3 (A B C);
    Plain4 (A B C D);
    Plain5 (A B C D E);
    Plain6 (A B C D E F);
    Plain7 (A B C D E F G);
    Plain8 (A B C D E F G H);
    Plain9 (A B C D E F G H I);
    Plain10 (A B C D E F G H I J);
    Plain11 (A B C D E F G H I J K);
    Plain12 (A B C D E F G H I J K L);
}
