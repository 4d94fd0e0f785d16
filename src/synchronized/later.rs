//! What a call gives in a synchronized function: a value now, or a task whose value has its place later.

use super::queue::{Queue, Session};
use crate::args::{Args, Inputs};
use crate::callable::Callable;
use crate::proxy::ResultProxy;
use crate::task::{Route, Task};
use std::cell::RefCell;
use std::panic::Location;
use std::rc::Rc;

/// A concurrent call that was forked.
#[derive(Debug)]
pub struct Forked<T: Send + 'static>(ResultProxy<T>);

impl<T: Send + 'static> Forked<T> {
    /// Forks a call.
    #[track_caller]
    pub fn start<F, A>(function: F, args: A) -> Self
    where
        F: Callable<A, Output = T>,
        A: Args,
        F::Mark: Route<F, A>,
    {
        Self(F::Mark::start(Task::of_inputs(function, Inputs::of_values(args), Location::caller())))
    }

    /// The value, when it is there.
    fn value(self) -> T {
        ResultProxy::try_into_inner(self.0).unwrap_or_else(|_| unreachable!("nobody else has this proxy"))
    }

    /// What is to be done with the value, and where.
    pub fn __xfork_then<'q, R: ?Sized>(
        self,
        session: &Session,
        queue: &mut Queue<'q, R>,
        then: impl FnOnce(&mut R, T) + 'q,
    ) {
        queue.push(session.next(), move |place| then(place, self.value()));
    }

    /// The value, when all calls before this one are settled.
    pub fn __xfork_later<'q>(self, session: &Session, queue: &mut Queue<'q, ()>) -> Later<T> {
        Later::after(session, queue, move || self.value())
    }
}

/// Concurrent calls whose values are collected.
pub trait Collected<T: Send + 'static> {
    fn __xfork_collect_then<'q, R: ?Sized, C: FromIterator<T>>(
        self,
        session: &Session,
        queue: &mut Queue<'q, R>,
        then: impl FnOnce(&mut R, C) + 'q,
    );

    fn __xfork_collect_later<'q, C: FromIterator<T> + 'q>(
        self,
        session: &Session,
        queue: &mut Queue<'q, ()>,
    ) -> Later<C>;
}

impl<T: Send + 'static> Collected<T> for Vec<Forked<T>> {
    fn __xfork_collect_then<'q, R: ?Sized, C: FromIterator<T>>(
        self,
        session: &Session,
        queue: &mut Queue<'q, R>,
        then: impl FnOnce(&mut R, C) + 'q,
    ) {
        queue.push(session.next(), move |place| then(place, collect(self)));
    }

    fn __xfork_collect_later<'q, C: FromIterator<T> + 'q>(
        self,
        session: &Session,
        queue: &mut Queue<'q, ()>,
    ) -> Later<C> {
        Later::after(session, queue, move || collect(self))
    }
}

fn collect<T: Send + 'static, C: FromIterator<T>>(forked: Vec<Forked<T>>) -> C {
    forked.into_iter().map(|forked| forked.value()).collect()
}

/// As [`Collected`] for calls of an ordinary function, which are never made this way.
pub trait HereCollected<T> {
    fn __xfork_collect_then<R: ?Sized, C: FromIterator<T>>(
        self,
        session: &Session,
        queue: &mut Queue<'_, R>,
        then: impl FnOnce(&mut R, C),
    );

    fn __xfork_collect_later<C: FromIterator<T>>(
        self,
        session: &Session,
        queue: &mut Queue<'_, ()>,
    ) -> Later<C>;
}

/// A value that is there, or will be when its call is settled.
#[derive(Debug)]
pub struct Later<T>(State<T>);

#[derive(Debug)]
enum State<T> {
    Now(T),
    Pending { call: u64, value: Rc<RefCell<Option<T>>> },
}

impl<T> Later<T> {
    pub fn now(value: T) -> Self {
        Self(State::Now(value))
    }

    fn after<'q>(session: &Session, queue: &mut Queue<'q, ()>, get: impl FnOnce() -> T + 'q) -> Self
    where
        T: 'q,
    {
        let (call, value) = (session.next(), Rc::new(RefCell::new(None)));
        let place = value.clone();
        queue.push(call, move |()| {
            let value = get();
            *place.borrow_mut() = Some(value);
        });
        Self(State::Pending { call, value })
    }

    /// The call up to which is to be settled before [`take`](Self::take).
    pub fn call(&self) -> u64 {
        match &self.0 {
            State::Now(_) => 0,
            State::Pending { call, .. } => *call,
        }
    }

    /// The value.
    pub fn take(self) -> T {
        match self.0 {
            State::Now(value) => value,
            State::Pending { value, .. } => {
                let value = value.borrow_mut().take();
                value.expect("its call is settled, once, before it is taken")
            }
        }
    }
}

/// What a task owns of an argument that its function borrows.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is borrowed by a concurrent function, but can't be cloned",
    label = "each call takes a clone of this",
    note = "derive `Clone` for it, or have the function take it by value"
)]
pub trait Owned: ToOwned {}

#[diagnostic::do_not_recommend]
impl<T: ToOwned + ?Sized> Owned for T {}

pub fn owned<T: Owned + ?Sized>(borrowed: &T) -> T::Owned {
    borrowed.to_owned()
}
