//! Values that are computed by whoever needs them first: how expressions are built.
//!
//! Owns the decision what an operation becomes: a further step of the expression of an operand that nobody else points
//! to, or an expression of its own. Promises that nothing here waits or computes, and that the place of the operation
//! is that of the caller in the user's source.

use super::steps::{
    Before, BeforePlain, Binary, Closure, Folded, PlainLeft, PlainRight, Ternary, Then, ThenPlain, ThenUnary,
    Unary,
};
use super::steps::{Symbol, symbol};
use super::{ResultProxy, pass_on};
use crate::core::error::TaskError;
use crate::core::expression::{Carry, Expression, Gather, Place, Seen};
use crate::core::seed;
use crate::core::slot::{AnySlot, Slot, State};
use crate::core::wait::wait;
use crate::ground::tape::Step;
use std::any::Any;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;

/// A proxy that already has its value.
///
/// ```
/// assert_eq!(xfork::ready(2) + 3, 5);
/// ```
pub fn ready<T: Send + 'static>(value: T) -> ResultProxy<T> {
    ResultProxy::new(Slot::ready(value))
}

/// A proxy whose value is computed in place, in the thread that needs it first; never, if nobody does.
///
/// ```
/// use xfork::{lazy, ResultProxy};
///
/// let never = lazy(|| -> u8 { unreachable!() });
/// let later = lazy(|| 6 * 7);
/// assert_eq!(later, 42);
/// drop(never);
/// ```
#[track_caller]
pub fn lazy<T: Send + 'static>(compute: impl FnOnce() -> T + Send + 'static) -> ResultProxy<T> {
    let seed = seed::fork();
    closure(symbol!("lazy"), [], move || {
        let _branch = seed::enter(seed);
        Ok(compute())
    })
}

/// A deferred value over operands: `compute` is called once, when all of them are settled.
#[track_caller]
pub(crate) fn closure<T: Send + 'static, const N: usize>(
    symbol: impl Symbol,
    operands: [Arc<dyn AnySlot>; N],
    compute: impl FnOnce() -> Result<T, TaskError> + Send + 'static,
) -> ResultProxy<T> {
    let step = Closure { symbol: type_of(symbol), operands, compute };
    ResultProxy::new(Slot::closure(Expression::begin(Location::caller(), step)))
}

#[inline]
fn node<T: Send + 'static>(
    place: Place,
    step: impl Step<Carry = Carry<T>, Seen = dyn Seen, Needs = Gather>,
) -> ResultProxy<T> {
    ResultProxy::new(Slot::expression(Expression::begin(place, step)))
}

/// A symbol is only a type.
fn type_of<S>(_: S) -> PhantomData<S> {
    PhantomData
}

/// The value of one type as that of another that is the same; the compiler sees which it is.
#[inline]
fn same<A: 'static, B: 'static>(value: A) -> B {
    let mut value = Some(value);
    let value = (&mut value as &mut dyn Any).downcast_mut::<Option<B>>();
    value.and_then(Option::take).expect("asked only for types that are the same")
}

/// The expression of `operand`, if an operation that gives a `V` may become a further step of it: nobody else points to it,
/// it is one for values of type `V`, and it is not a closure, whose steps are carried out when it is run.
#[inline]
fn own_expression<T: Send + 'static, V: 'static>(operand: &mut ResultProxy<T>) -> Option<&mut Expression<V>> {
    (operand.expression_mut()? as &mut dyn Any).downcast_mut()
}

/// The largest value, in bytes, that is moved into an expression instead of its proxy.
const SMALL: usize = 64;

/// Whether `operand` is a value that may as well stand in the expression itself.
#[inline]
fn is_small_and_plain<T: Send + 'static>(operand: &ResultProxy<T>) -> bool {
    size_of::<T>() <= SMALL && operand.is_plain()
}

/// The deferred value of the operation `symbol` on one proxy.
#[track_caller]
pub(super) fn unary<T, V>(
    symbol: impl Symbol,
    mut operand: ResultProxy<T>,
    apply: impl FnOnce(T) -> V + Send + 'static,
) -> ResultProxy<V>
where
    T: Clone + Send + Sync + 'static,
    V: Send + 'static,
{
    let place = Location::caller();
    if let Some(expression) = own_expression::<T, V>(&mut operand) {
        expression.push(place, ThenUnary::new(symbol, move |value: V| apply(same(value))));
        return same(operand);
    }
    node(place, Unary { symbol: type_of(symbol), operand, apply })
}

/// The deferred value of an operation on two proxies.
#[track_caller]
pub(super) fn binary<T, U, V>(
    symbol: impl Symbol,
    mut left: ResultProxy<T>,
    mut right: ResultProxy<U>,
    apply: impl FnOnce(T, U) -> V + Send + 'static,
) -> ResultProxy<V>
where
    T: Clone + Send + Sync + 'static,
    U: Clone + Send + Sync + 'static,
    V: Send + 'static,
{
    let place = Location::caller();
    if let Some(expression) = own_expression::<T, V>(&mut left) {
        then(symbol, expression, place, right, move |value: V, right| apply(same(value), right));
        return same(left);
    }
    if let Some(expression) = own_expression::<U, V>(&mut right) {
        expression.push(place, Before::new(symbol, left, move |left, value: V| apply(left, same(value))));
        return same(right);
    }
    node(place, Binary { symbol: type_of(symbol), left, right, apply })
}

#[inline]
fn then<T, U>(
    symbol: impl Symbol,
    expression: &mut Expression<T>,
    place: Place,
    right: ResultProxy<U>,
    apply: impl FnOnce(T, U) -> T + Send + 'static,
) where
    T: 'static,
    U: Clone + Send + Sync + 'static,
{
    if !is_small_and_plain(&right) {
        return expression.push(place, Then::new(symbol, right, apply));
    }
    match right.take() {
        Ok(right) => expression.push(place, ThenPlain::new(symbol, right, apply)),
        Err(right) => expression.push(place, Then::new(symbol, right, apply)),
    }
}

/// The deferred value of an operation on three proxies.
#[track_caller]
pub(super) fn ternary<A, B, C, V>(
    symbol: impl Symbol,
    first: ResultProxy<A>,
    second: ResultProxy<B>,
    third: ResultProxy<C>,
    apply: impl FnOnce(A, B, C) -> V + Send + 'static,
) -> ResultProxy<V>
where
    A: Clone + Send + Sync + 'static,
    B: Clone + Send + Sync + 'static,
    C: Clone + Send + Sync + 'static,
    V: Send + 'static,
{
    node(Location::caller(), Ternary { symbol: type_of(symbol), operands: (first, second, third), apply })
}

/// The deferred value of an operation on a proxy and a plain value on its right.
#[track_caller]
pub(super) fn plain_right<T, P, V>(
    symbol: impl Symbol,
    mut left: ResultProxy<T>,
    right: P,
    apply: impl FnOnce(T, P) -> V + Send + 'static,
) -> ResultProxy<V>
where
    T: Clone + Send + Sync + 'static,
    P: Send + 'static,
    V: Send + 'static,
{
    let place = Location::caller();
    if let Some(expression) = own_expression::<T, V>(&mut left) {
        expression
            .push(place, ThenPlain::new(symbol, right, move |value: V, right| apply(same(value), right)));
        return same(left);
    }
    node(place, PlainRight { symbol: type_of(symbol), left, right, apply })
}

/// The deferred value of an operation on a proxy and a plain value on its left.
#[track_caller]
pub(super) fn plain_left<P, T, V>(
    symbol: impl Symbol,
    left: P,
    mut right: ResultProxy<T>,
    apply: impl FnOnce(P, T) -> V + Send + 'static,
) -> ResultProxy<V>
where
    T: Clone + Send + Sync + 'static,
    P: Send + 'static,
    V: Send + 'static,
{
    let place = Location::caller();
    if let Some(expression) = own_expression::<T, V>(&mut right) {
        expression
            .push(place, BeforePlain::new(symbol, left, move |left, value: V| apply(left, same(value))));
        return same(right);
    }
    node(place, PlainLeft { symbol: type_of(symbol), left, right, apply })
}

/// Makes `left` the deferred value of an operation on itself and `right`.
#[inline]
#[track_caller]
pub(super) fn assign<T, U>(
    symbol: impl Symbol,
    left: &mut ResultProxy<T>,
    right: ResultProxy<U>,
    apply: impl FnOnce(T, U) -> T + Send + 'static,
) where
    T: Clone + Send + Sync + 'static,
    U: Clone + Send + Sync + 'static,
{
    let place = Location::caller();
    match left.expression_mut() {
        Some(expression) => then(symbol, expression, place, right, apply),
        None => *left = node(place, Binary { symbol: type_of(symbol), left: left.clone(), right, apply }),
    }
}

/// Makes `left` the deferred value of an operation on itself and a plain value.
#[inline]
#[track_caller]
pub(super) fn assign_plain<T, P>(
    symbol: impl Symbol,
    left: &mut ResultProxy<T>,
    right: P,
    apply: impl FnOnce(T, P) -> T + Send + 'static,
) where
    T: Clone + Send + Sync + 'static,
    P: Send + 'static,
{
    let place = Location::caller();
    match left.expression_mut() {
        Some(expression) => expression.push(place, ThenPlain::new(symbol, right, apply)),
        None => *left = node(place, PlainRight { symbol: type_of(symbol), left: left.clone(), right, apply }),
    }
}

/// The deferred value of an operation on any number of proxies.
///
/// One step, not a chain of them, so that the operands are combined in their order by the value's own operation: floats
/// give what the sequential program gives.
#[track_caller]
pub(super) fn folded<T, V, F>(symbol: impl Symbol, operands: Vec<ResultProxy<T>>, fold: F) -> ResultProxy<V>
where
    T: Clone + Send + Sync + 'static,
    V: Send + 'static,
    F: FnOnce(&mut dyn Iterator<Item = Result<T, TaskError>>) -> Result<V, TaskError> + Send + 'static,
{
    node(Location::caller(), Folded { symbol: type_of(symbol), operands, fold })
}

/// Asks a pool thread to evaluate `slot`, because a task needs it and nobody waits for it here.
pub(crate) fn demand(slot: Arc<dyn AnySlot>) {
    let _aside = seed::enter_aside();
    crate::fork::follow("a deferred argument", &[], move || {
        // A wait that is refused leaves the slot to whoever computes it.
        let _ = wait(&slot, None);
    });
}

/// Settles `slot`, for a task that has nothing else to do: computes what nobody else does, waits for the rest, and fails as the
/// slot does.
pub(crate) fn finish(slot: &Arc<dyn AnySlot>) {
    if let Err(error) = wait(slot, None) {
        pass_on(&error);
    }
    if let Some(error) = slot.error() {
        pass_on(error);
    }
}

/// A proxy that is ready when `slot` is settled, whether with a value or an error.
pub(crate) fn settled(slot: &Arc<dyn AnySlot>) -> ResultProxy<()> {
    let when = Slot::pending();
    let filled = when.cell().clone();
    slot.when_settled(move || filled.fulfil(Ok(())));
    if slot.state() == State::Deferred {
        demand(slot.clone());
    }
    ResultProxy::new(when)
}
