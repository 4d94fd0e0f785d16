//! Values that are computed by whoever needs them first: the nodes of expressions.

use super::ResultProxy;
use crate::core::error::{TaskError, panic_error};
use crate::core::slot::{AnySlot, Buried, Deferred, Slot, State};
use crate::ground::panics;
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
pub fn lazy<T: Send + 'static>(compute: impl FnOnce() -> T + Send + 'static) -> ResultProxy<T> {
    lazy_with([], move || Ok(compute()))
}

/// A deferred value over operands: `compute` is called once, when all of them are settled.
pub(crate) fn lazy_with<T: Send + 'static, const N: usize>(
    operands: [Arc<dyn AnySlot>; N],
    compute: impl FnOnce() -> Result<T, TaskError> + Send + 'static,
) -> ResultProxy<T> {
    ResultProxy::new(Slot::deferred(Box::new(Closure { operands, compute })))
}

/// What an operand has come to; it is settled, since expressions are evaluated operands first.
pub(super) fn value<T: Clone + Send + 'static>(operand: ResultProxy<T>) -> Result<T, TaskError> {
    // `into_result` says that somebody has looked at the error. Here nobody has: it goes on into the expression.
    operand.settled()?;
    ResultProxy::into_result(operand)
}

/// The deferred value of the operation `_symbol` on one proxy.
#[track_caller]
pub(super) fn unary<T, V>(
    _symbol: &'static str,
    operand: ResultProxy<T>,
    apply: impl FnOnce(T) -> V + Send + 'static,
) -> ResultProxy<V>
where
    T: Clone + Send + Sync + 'static,
    V: Send + 'static,
{
    lazy_with([operand.any_slot()], move || value(operand).map(apply))
}

/// The deferred value of an operation on two proxies.
#[track_caller]
pub(super) fn binary<T, U, V>(
    _symbol: &'static str,
    left: ResultProxy<T>,
    right: ResultProxy<U>,
    apply: impl FnOnce(T, U) -> V + Send + 'static,
) -> ResultProxy<V>
where
    T: Clone + Send + Sync + 'static,
    U: Clone + Send + Sync + 'static,
    V: Send + 'static,
{
    lazy_with([left.any_slot(), right.any_slot()], move || {
        let left = value(left)?;
        let right = value(right)?;
        Ok(apply(left, right))
    })
}

/// The deferred value of an operation on a proxy and a plain value on its right.
#[track_caller]
pub(super) fn plain_right<T, P, V>(
    symbol: &'static str,
    left: ResultProxy<T>,
    right: P,
    apply: impl FnOnce(T, P) -> V + Send + 'static,
) -> ResultProxy<V>
where
    T: Clone + Send + Sync + 'static,
    P: Send + 'static,
    V: Send + 'static,
{
    unary(symbol, left, move |left| apply(left, right))
}

/// The deferred value of an operation on a proxy and a plain value on its left.
#[track_caller]
pub(super) fn plain_left<P, T, V>(
    symbol: &'static str,
    left: P,
    right: ResultProxy<T>,
    apply: impl FnOnce(P, T) -> V + Send + 'static,
) -> ResultProxy<V>
where
    T: Clone + Send + Sync + 'static,
    P: Send + 'static,
    V: Send + 'static,
{
    unary(symbol, right, move |right| apply(left, right))
}

struct Closure<C, const N: usize> {
    operands: [Arc<dyn AnySlot>; N],
    compute: C,
}

impl<C: Send, const N: usize> Buried for Closure<C, N> {}

impl<T, C, const N: usize> Deferred<T> for Closure<C, N>
where
    T: Send,
    C: FnOnce() -> Result<T, TaskError> + Send,
{
    fn operand(&self, position: usize) -> Option<Arc<dyn AnySlot>> {
        self.operands.get(position).cloned()
    }

    fn compute(self: Box<Self>) -> Result<T, TaskError> {
        let Self { operands, compute } = *self;
        // Only proxies held by `compute` itself count when it asks whether it may move a value out.
        drop(operands);
        evaluate(compute)
    }
}

/// Computes a deferred value; a panic becomes its outcome.
pub(crate) fn evaluate<T>(compute: impl FnOnce() -> Result<T, TaskError>) -> Result<T, TaskError> {
    match panics::catch(compute) {
        Ok(outcome) => outcome,
        Err(caught) => Err(panic_error("a deferred expression", caught)),
    }
}

/// Asks a pool thread to evaluate `slot`, because a task needs it and nobody waits for it here.
pub(crate) fn demand(slot: Arc<dyn AnySlot>) {
    crate::fork::follow("a deferred argument", &[], move || {
        crate::core::wait::wait(&slot, None);
    });
}

/// A proxy that is ready when `slot` is settled, whether with a value or an error.
pub(crate) fn settled(slot: &Arc<dyn AnySlot>) -> ResultProxy<()> {
    let (when, right) = Slot::pending();
    let filled = when.clone();
    slot.head().when_settled(move || filled.fulfil(Ok(())));
    if slot.head().state() == State::Deferred {
        demand(slot.clone());
    }
    ResultProxy::new((when, right))
}
