//! What a call gives in a synchronized function: a value now, or a task whose value has its place later.

use super::queue::{Abandon, Queue, Session};
use crate::args::{Args, Inputs};
use crate::callable::Callable;
use crate::core::error::TaskError;
use crate::core::runner::Haste;
use crate::proxy::{ResultProxy, rethrow};
use crate::task::{Route, Task};
use std::borrow::Borrow as _;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

/// A concurrent call that was forked.
#[derive(Debug)]
pub struct Forked<T: Send + 'static>(Value<T>);

#[derive(Debug)]
enum Value<T: Send + 'static> {
    Called(Rc<Call<T>>),
    /// There when everything before it is settled.
    Put(Rc<RefCell<Option<T>>>, First<T>),
}

/// What a call gave before anything was settled.
struct First<T>(Box<dyn FnOnce() -> Option<T>>);

impl<T> fmt::Debug for First<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("First")
    }
}

/// The proxy of a call until it is used.
#[derive(Debug)]
pub(super) struct Call<T: Send + 'static> {
    proxy: RefCell<Option<ResultProxy<T>>>,
}

impl<T: Send + 'static> Call<T> {
    pub(super) fn start<F, A>(function: F, args: A, place: &'static Location<'static>) -> Self
    where
        F: Callable<A, Output = T>,
        A: Args,
        F::Mark: Route<F, A>,
    {
        let inputs = Inputs::of_values(args);
        let proxy = F::Mark::start(Task::of_inputs(function, inputs, place));
        Self { proxy: RefCell::new(Some(proxy)) }
    }

    fn take(&self) -> ResultProxy<T> {
        self.proxy.take().expect("taken only here, and abandoned only when nobody comes here")
    }

    /// The value, when it is there.
    ///
    /// # Panics
    ///
    /// As the call.
    pub(super) fn value(&self, haste: Haste) -> T {
        self.result(haste).unwrap_or_else(|error| rethrow(&error))
    }

    /// The value, or why there is none.
    pub(super) fn result(&self, haste: Haste) -> Result<T, TaskError> {
        let proxy = self.take();
        proxy.wait_in(haste)?;
        Ok(ResultProxy::try_into_inner(proxy).unwrap_or_else(|_| unreachable!("nobody else has this proxy")))
    }
}

impl<T: Send + 'static> Abandon for Call<T> {
    fn abandon(&self) {
        if let Some(proxy) = self.proxy.take() {
            ResultProxy::cancel(&proxy);
            // Nor would it have failed.
            let _ = ResultProxy::error(&proxy);
        }
    }

    fn check(&self) {
        if let Some(proxy) = &*self.proxy.borrow()
            && let Err(error) = ResultProxy::wait(proxy)
        {
            rethrow(&error);
        }
    }
}

impl<T: Send + 'static> Forked<T> {
    /// Forks a call.
    #[track_caller]
    pub fn start<F, A>(function: F, args: A) -> Self
    where
        F: Callable<A, Output = T>,
        A: Args,
        F::Mark: Route<F, A>,
    {
        Self(Value::Called(Rc::new(Call::start(function, args, Location::caller()))))
    }

    /// One whose value is put there by what is settled before it; where that is not done, because the function panics, it is `first`, if
    /// there is one.
    pub(super) fn put(first: impl FnOnce() -> Option<T> + 'static) -> (Self, Rc<RefCell<Option<T>>>) {
        let value = Rc::new(RefCell::new(None));
        (Self(Value::Put(value.clone(), First(Box::new(first)))), value)
    }

    /// Forked in this run.
    fn within(self, session: &Session) -> Self {
        if let Value::Called(call) = &self.0 {
            session.add(call);
        }
        self
    }

    /// The value, when it is there; none only if the function panics.
    fn value(self, haste: Haste) -> Option<T> {
        match self.0 {
            Value::Called(call) => Some(call.value(haste)),
            Value::Put(value, First(first)) => value.take().or_else(first),
        }
    }

    /// It changes nothing that it was given.
    pub fn __xfork_into<R: ?Sized, C: ?Sized>(
        self,
        _: &Session,
        _: &mut Queue<'_, R>,
        _: impl FnOnce(&mut R) -> &mut C,
    ) -> Self {
        self
    }

    /// What is to be done with the value, and where.
    pub fn __xfork_then<'q, R: ?Sized>(
        self,
        session: &Session,
        queue: &mut Queue<'q, R>,
        then: impl FnOnce(&mut R, T) + 'q,
    ) {
        let forked = self.within(session);
        queue.push(session.next(), move |place, haste| {
            if let Some(value) = forked.value(haste) {
                then(place, value);
            }
        });
    }

    /// The value, when all calls before this one are settled.
    pub fn __xfork_later<'q>(self, session: &Session, queue: &mut Queue<'q, ()>) -> Later<T> {
        let forked = self.within(session);
        Later::after(session, queue, move |haste| forked.value(haste))
    }
}

/// Concurrent calls whose values are collected.
pub trait Collected<T: Send + 'static> {
    fn __xfork_collect_then<'q, R: ?Sized, C: Whole<T>>(
        self,
        session: &Session,
        queue: &mut Queue<'q, R>,
        then: impl FnOnce(&mut R, C) + 'q,
    );

    fn __xfork_collect_later<'q, C: Whole<T> + 'q>(
        self,
        session: &Session,
        queue: &mut Queue<'q, ()>,
    ) -> Later<C>;
}

impl<T: Send + 'static> Collected<T> for Vec<Forked<T>> {
    fn __xfork_collect_then<'q, R: ?Sized, C: Whole<T>>(
        self,
        session: &Session,
        queue: &mut Queue<'q, R>,
        then: impl FnOnce(&mut R, C) + 'q,
    ) {
        let forked = within(self, session);
        queue.push(session.next(), move |place, haste| then(place, collect(forked, haste)));
    }

    fn __xfork_collect_later<'q, C: Whole<T> + 'q>(
        self,
        session: &Session,
        queue: &mut Queue<'q, ()>,
    ) -> Later<C> {
        let forked = within(self, session);
        Later::after(session, queue, move |haste| Some(collect(forked, haste)))
    }
}

fn within<T: Send + 'static>(forked: Vec<Forked<T>>, session: &Session) -> Vec<Forked<T>> {
    forked.into_iter().map(|forked| forked.within(session)).collect()
}

fn collect<T: Send + 'static, C: FromIterator<T>>(forked: Vec<Forked<T>>, haste: Haste) -> C {
    let count = forked.len();
    let forked = forked.into_iter().zip(1..);
    let haste_of = |number| if number == count { haste } else { Haste::Soon };
    forked.filter_map(|(forked, number)| forked.value(haste_of(number))).collect()
}

/// What takes all values, however many there are, and none of them is the last.
#[diagnostic::on_unimplemented(
    message = "concurrent calls can't be collected into `{Self}`, which may stop at one of them",
    label = "collected here",
    note = "collect them into a `Vec` first, and that into `{Self}`: `let all: Vec<_> = iter.map(|x| f(x)).collect();`"
)]
pub trait Whole<T>: FromIterator<T> {}

impl<T> Whole<T> for Vec<T> {}
impl<T> Whole<T> for VecDeque<T> {}
impl<T> Whole<T> for LinkedList<T> {}
impl<T: Ord> Whole<T> for BinaryHeap<T> {}
impl<T: Ord> Whole<T> for BTreeSet<T> {}
impl<K: Ord, V> Whole<(K, V)> for BTreeMap<K, V> {}
impl<T: Eq + Hash, S: BuildHasher + Default> Whole<T> for HashSet<T, S> {}
impl<K: Eq + Hash, V, S: BuildHasher + Default> Whole<(K, V)> for HashMap<K, V, S> {}
impl<T> Whole<T> for Box<[T]> {}
impl<T> Whole<T> for Rc<[T]> {}
impl<T> Whole<T> for Arc<[T]> {}
impl Whole<String> for String {}
impl Whole<char> for String {}
impl Whole<()> for () {}

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

    fn after<'q>(
        session: &Session,
        queue: &mut Queue<'q, ()>,
        get: impl FnOnce(Haste) -> Option<T> + 'q,
    ) -> Self
    where
        T: 'q,
    {
        let (call, value) = (session.next(), Rc::new(RefCell::new(None)));
        let place = value.clone();
        queue.push(call, move |(), haste| {
            let value = get(haste);
            *place.borrow_mut() = value;
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

/// An argument of a call that is made later, when what it borrows may be gone: it is kept, by [`Kept`] if it is a reference and as
/// it is otherwise.
#[derive(Debug)]
pub struct Keep<T>(pub T);

impl<T: ToOwned + Plain + ?Sized> Keep<&T> {
    pub fn __xfork_keep(self) -> Kept<T> {
        Kept(self.0.to_owned())
    }
}

/// What a clone can stand for: nobody changes it behind a shared reference.
pub trait Plain {}

macro_rules! plain {
    ($($plain:ty),*) => { $(impl Plain for $plain {})* };
}

plain!(bool, char, f32, f64, i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize);
plain!(str, String, std::path::Path, std::path::PathBuf, std::time::Duration);

impl<T: Plain> Plain for [T] {}
impl<T: Plain> Plain for Vec<T> {}
impl<T: Plain> Plain for Option<T> {}
impl<T: Plain + ?Sized> Plain for &T {}
impl<T: Plain, const N: usize> Plain for [T; N] {}
impl<A: Plain, B: Plain> Plain for (A, B) {}
impl<A: Plain, B: Plain, C: Plain> Plain for (A, B, C) {}
impl<T: Plain> Plain for VecDeque<T> {}
impl<T: Plain + ?Sized> Plain for Box<T> {}
impl<T: Plain + ?Sized> Plain for Arc<T> {}
impl<K: Plain, V: Plain, S> Plain for HashMap<K, V, S> {}
impl<K: Plain, V: Plain> Plain for BTreeMap<K, V> {}
impl<T: Plain, S> Plain for HashSet<T, S> {}
impl<T: Plain> Plain for BTreeSet<T> {}

/// See [`Keep`].
pub trait KeepAsIs {
    type Value;
    fn __xfork_keep(self) -> AsIs<Self::Value>;
}

impl<T> KeepAsIs for Keep<T> {
    type Value = T;

    fn __xfork_keep(self) -> AsIs<T> {
        AsIs(self.0)
    }
}

/// What a reference pointed at.
pub struct Kept<T: ToOwned + ?Sized>(T::Owned);

impl<T: ToOwned + ?Sized> std::fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kept")
    }
}

impl<T: ToOwned + ?Sized> Kept<T> {
    pub fn __xfork_give(&mut self) -> &T {
        self.0.borrow()
    }
}

/// A value that borrows nothing, as far as is known.
#[derive(Debug)]
pub struct AsIs<T>(T);

impl<T> AsIs<T> {
    pub fn __xfork_give(self) -> T {
        self.0
    }
}
