//! Refusing concurrent calls where they can't be forked, by the type of what is called there.

use super::callee::{Callee, Concurrent};

/// A function called where a concurrent one may not be.
#[derive(Debug)]
pub struct Position<F>(pub F);

/// Every other function may be called anywhere.
pub trait Anywhere: Sized {
    type Function;
    fn __xfork_in_condition(self) -> Self::Function;
    fn __xfork_in_macro(self) -> Self::Function;
    fn __xfork_in_closure(self) -> Self::Function;
    fn __xfork_in_unsafe(self) -> Self::Function;
    fn __xfork_in_async(self) -> Self::Function;
    fn __xfork_in_expression(self) -> Self::Function;
}

impl<F> Anywhere for Position<F> {
    type Function = F;

    #[inline]
    fn __xfork_in_condition(self) -> F {
        self.0
    }

    #[inline]
    fn __xfork_in_macro(self) -> F {
        self.0
    }

    #[inline]
    fn __xfork_in_closure(self) -> F {
        self.0
    }

    #[inline]
    fn __xfork_in_unsafe(self) -> F {
        self.0
    }

    #[inline]
    fn __xfork_in_async(self) -> F {
        self.0
    }

    #[inline]
    fn __xfork_in_expression(self) -> F {
        self.0
    }
}

impl<F: Concurrent> Position<F> {
    pub fn __xfork_in_condition(self) -> F
    where
        F: InCondition,
    {
        self.0
    }

    pub fn __xfork_in_macro(self) -> F
    where
        F: InMacro,
    {
        self.0
    }

    pub fn __xfork_in_closure(self) -> F
    where
        F: InClosure,
    {
        self.0
    }

    pub fn __xfork_in_unsafe(self) -> F
    where
        F: InUnsafe,
    {
        self.0
    }

    pub fn __xfork_in_async(self) -> F
    where
        F: InAsync,
    {
        self.0
    }

    pub fn __xfork_in_expression(self) -> F
    where
        F: InExpression,
    {
        self.0
    }
}

/// A function called in one statement with another.
#[derive(Debug)]
pub struct Beside<'c, 'f, F, G>(pub &'c Callee<'f, F>, pub G);

/// If one of them is ordinary, it may.
pub trait AnywhereBeside: Sized {
    type Function;
    fn __xfork_beside_another(self) -> Self::Function;
}

impl<F, G> AnywhereBeside for Beside<'_, '_, F, G> {
    type Function = G;

    #[inline]
    fn __xfork_beside_another(self) -> G {
        self.1
    }
}

impl<F: Concurrent, G: Concurrent> Beside<'_, '_, F, G> {
    pub fn __xfork_beside_another(self) -> G
    where
        G: BesideAnother,
    {
        self.1
    }
}

/// Nothing is.
#[diagnostic::on_unimplemented(
    message = "a concurrent call can't stand in a condition",
    label = "this call",
    note = "in a `#[synchronized]` function a concurrent call is `place = f(..)`, `place += f(..)`, `let x = f(..)`, \
            `x.method(.., f(..))`, `g(.., f(..))`, `f(..)` alone, or `iter.map(|x| f(x)).collect()`; \
            put it into a `let` before this, or call it elsewhere"
)]
pub trait InCondition {}

/// Nothing is.
#[diagnostic::on_unimplemented(
    message = "a concurrent call can't stand in a macro's arguments",
    label = "this call",
    note = "in a `#[synchronized]` function a concurrent call is `place = f(..)`, `place += f(..)`, `let x = f(..)`, \
            `x.method(.., f(..))`, `g(.., f(..))`, `f(..)` alone, or `iter.map(|x| f(x)).collect()`; \
            put it into a `let` before this, or call it elsewhere"
)]
pub trait InMacro {}

/// Nothing is.
#[diagnostic::on_unimplemented(
    message = "a concurrent call can't stand in a closure, which may be called at any time",
    label = "this call",
    note = "in a `#[synchronized]` function a concurrent call is `place = f(..)`, `place += f(..)`, `let x = f(..)`, \
            `x.method(.., f(..))`, `g(.., f(..))`, `f(..)` alone, or `iter.map(|x| f(x)).collect()`; \
            put it into a `let` before this, or call it elsewhere"
)]
pub trait InClosure {}

/// Nothing is.
#[diagnostic::on_unimplemented(
    message = "a concurrent call can't stand in an `unsafe` block",
    label = "this call",
    note = "in a `#[synchronized]` function a concurrent call is `place = f(..)`, `place += f(..)`, `let x = f(..)`, \
            `x.method(.., f(..))`, `g(.., f(..))`, `f(..)` alone, or `iter.map(|x| f(x)).collect()`; \
            put it into a `let` before this, or call it elsewhere"
)]
pub trait InUnsafe {}

/// Nothing is.
#[diagnostic::on_unimplemented(
    message = "a concurrent call can't stand in an `async` block",
    label = "this call",
    note = "in a `#[synchronized]` function a concurrent call is `place = f(..)`, `place += f(..)`, `let x = f(..)`, \
            `x.method(.., f(..))`, `g(.., f(..))`, `f(..)` alone, or `iter.map(|x| f(x)).collect()`; \
            put it into a `let` before this, or call it elsewhere"
)]
pub trait InAsync {}

/// Nothing is.
#[diagnostic::on_unimplemented(
    message = "a concurrent call can't be part of a larger expression",
    label = "this call",
    note = "in a `#[synchronized]` function a concurrent call is `place = f(..)`, `place += f(..)`, `let x = f(..)`, \
            `x.method(.., f(..))`, `g(.., f(..))`, `f(..)` alone, or `iter.map(|x| f(x)).collect()`; \
            put it into a `let` before this, or call it elsewhere"
)]
pub trait InExpression {}

/// Nothing is.
#[diagnostic::on_unimplemented(
    message = "a statement can have one concurrent call",
    label = "this call",
    note = "in a `#[synchronized]` function a concurrent call is `place = f(..)`, `place += f(..)`, `let x = f(..)`, \
            `x.method(.., f(..))`, `g(.., f(..))`, `f(..)` alone, or `iter.map(|x| f(x)).collect()`; \
            put it into a `let` before this, or call it elsewhere"
)]
pub trait BesideAnother {}
