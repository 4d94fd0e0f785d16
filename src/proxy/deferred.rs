//! Values that are computed by whoever needs them first: how expressions are built.
//!
//! Owns the decision what an operation becomes: a further step of the expression of an operand that nobody else points
//! to, or an expression of its own. Promises that nothing here waits or computes, and that the place of the operation
//! is that of the caller in the user's source.

use super::ResultProxy;
use super::steps::{
    Before, BeforePlain, Binary, Closure, Folded, PlainLeft, PlainRight, Ternary, Then, ThenPlain, ThenUnary,
    Unary,
};
use crate::core::error::TaskError;
use crate::core::expression::{Carry, Expression, Note, Seen, Symbol};
use crate::core::slot::{AnySlot, Slot, State};
use crate::ground::tape::Step;
use std::any::Any;
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
    closure(&"lazy", [], move || Ok(compute()))
}

/// A deferred value over operands: `compute` is called once, when all of them are settled.
#[track_caller]
pub(crate) fn closure<T: Send + 'static, const N: usize>(
    symbol: Symbol,
    operands: [Arc<dyn AnySlot>; N],
    compute: impl FnOnce() -> Result<T, TaskError> + Send + 'static,
) -> ResultProxy<T> {
    let step = Closure { operands, compute };
    ResultProxy::new(Slot::closure(Expression::begin(note(symbol), step)))
}

#[track_caller]
fn note(symbol: Symbol) -> Note {
    Note { symbol, place: Location::caller() }
}

#[inline]
fn node<T: Send + 'static>(note: Note, step: impl Step<Carry = Carry<T>, Seen = dyn Seen>) -> ResultProxy<T> {
    ResultProxy::new(Slot::expression(Expression::begin(note, step)))
}

/// The value of one type as that of another that is the same; the compiler sees which it is.
#[inline]
fn same<A: 'static, B: 'static>(value: A) -> B {
    let mut value = Some(value);
    let value = (&mut value as &mut dyn Any).downcast_mut::<Option<B>>();
    value.and_then(Option::take).expect("asked only for types that are the same")
}

/// The expression of `operand`, if an operation that gives a `V` may become a further step of it: nobody else points to it,
/// and it is one for values of type `V`.
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
    symbol: Symbol,
    mut operand: ResultProxy<T>,
    apply: impl FnOnce(T) -> V + Send + 'static,
) -> ResultProxy<V>
where
    T: Clone + Send + Sync + 'static,
    V: Send + 'static,
{
    let note = note(symbol);
    if let Some(expression) = own_expression::<T, V>(&mut operand) {
        expression.push(note, ThenUnary::new(move |value: V| apply(same(value))));
        return same(operand);
    }
    node(note, Unary { operand, apply })
}

/// The deferred value of an operation on two proxies.
#[track_caller]
pub(super) fn binary<T, U, V>(
    symbol: Symbol,
    mut left: ResultProxy<T>,
    mut right: ResultProxy<U>,
    apply: impl FnOnce(T, U) -> V + Send + 'static,
) -> ResultProxy<V>
where
    T: Clone + Send + Sync + 'static,
    U: Clone + Send + Sync + 'static,
    V: Send + 'static,
{
    let note = note(symbol);
    if let Some(expression) = own_expression::<T, V>(&mut left) {
        then(expression, note, right, move |value: V, right| apply(same(value), right));
        return same(left);
    }
    if let Some(expression) = own_expression::<U, V>(&mut right) {
        expression.push(note, Before::new(left, move |left, value: V| apply(left, same(value))));
        return same(right);
    }
    node(note, Binary { left, right, apply })
}

#[inline]
fn then<T, U>(
    expression: &mut Expression<T>,
    note: Note,
    right: ResultProxy<U>,
    apply: impl FnOnce(T, U) -> T + Send + 'static,
) where
    T: 'static,
    U: Clone + Send + Sync + 'static,
{
    if !is_small_and_plain(&right) {
        return expression.push(note, Then::new(right, apply));
    }
    match right.take() {
        Ok(right) => expression.push(note, ThenPlain::new(right, apply)),
        Err(right) => expression.push(note, Then::new(right, apply)),
    }
}

/// The deferred value of an operation on three proxies.
#[track_caller]
pub(super) fn ternary<A, B, C, V>(
    symbol: Symbol,
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
    node(note(symbol), Ternary { operands: (first, second, third), apply })
}

/// The deferred value of an operation on a proxy and a plain value on its right.
#[track_caller]
pub(super) fn plain_right<T, P, V>(
    symbol: Symbol,
    mut left: ResultProxy<T>,
    right: P,
    apply: impl FnOnce(T, P) -> V + Send + 'static,
) -> ResultProxy<V>
where
    T: Clone + Send + Sync + 'static,
    P: Send + 'static,
    V: Send + 'static,
{
    let note = note(symbol);
    if let Some(expression) = own_expression::<T, V>(&mut left) {
        expression.push(note, ThenPlain::new(right, move |value: V, right| apply(same(value), right)));
        return same(left);
    }
    node(note, PlainRight { left, right, apply })
}

/// The deferred value of an operation on a proxy and a plain value on its left.
#[track_caller]
pub(super) fn plain_left<P, T, V>(
    symbol: Symbol,
    left: P,
    mut right: ResultProxy<T>,
    apply: impl FnOnce(P, T) -> V + Send + 'static,
) -> ResultProxy<V>
where
    T: Clone + Send + Sync + 'static,
    P: Send + 'static,
    V: Send + 'static,
{
    let note = note(symbol);
    if let Some(expression) = own_expression::<T, V>(&mut right) {
        expression.push(note, BeforePlain::new(left, move |left, value: V| apply(left, same(value))));
        return same(right);
    }
    node(note, PlainLeft { left, right, apply })
}

/// Makes `left` the deferred value of an operation on itself and `right`.
#[inline]
#[track_caller]
pub(super) fn assign<T, U>(
    symbol: Symbol,
    left: &mut ResultProxy<T>,
    right: ResultProxy<U>,
    apply: impl FnOnce(T, U) -> T + Send + 'static,
) where
    T: Clone + Send + Sync + 'static,
    U: Clone + Send + Sync + 'static,
{
    let note = note(symbol);
    match left.expression_mut() {
        Some(expression) => then(expression, note, right, apply),
        None => *left = node(note, Binary { left: left.clone(), right, apply }),
    }
}

/// Makes `left` the deferred value of an operation on itself and a plain value.
#[inline]
#[track_caller]
pub(super) fn assign_plain<T, P>(
    symbol: Symbol,
    left: &mut ResultProxy<T>,
    right: P,
    apply: impl FnOnce(T, P) -> T + Send + 'static,
) where
    T: Clone + Send + Sync + 'static,
    P: Send + 'static,
{
    let note = note(symbol);
    match left.expression_mut() {
        Some(expression) => expression.push(note, ThenPlain::new(right, apply)),
        None => *left = node(note, PlainRight { left: left.clone(), right, apply }),
    }
}

/// The deferred value of an operation on any number of proxies.
///
/// One step, not a chain of them, so that the operands are combined in their order by the value's own operation: floats
/// give what the sequential program gives.
#[track_caller]
pub(super) fn folded<T, V, F>(symbol: Symbol, operands: Vec<ResultProxy<T>>, fold: F) -> ResultProxy<V>
where
    T: Clone + Send + Sync + 'static,
    V: Send + 'static,
    F: FnOnce(&mut dyn Iterator<Item = Result<T, TaskError>>) -> Result<V, TaskError> + Send + 'static,
{
    node(note(symbol), Folded { operands, fold })
}

/// Asks a pool thread to evaluate `slot`, because a task needs it and nobody waits for it here.
pub(crate) fn demand(slot: Arc<dyn AnySlot>) {
    crate::fork::follow("a deferred argument", &[], move || {
        // A wait that is refused leaves the slot to whoever computes it.
        let _ = crate::core::wait::wait(&slot, None);
    });
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
