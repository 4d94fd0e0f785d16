//! Deferred operations on three proxies, out of the binary ones.
//!
//! Promises what those promise: nothing is computed yet, and the failure of the leftmost operand is the one reported.

use crate::proxy::ResultProxy;
use crate::proxy::deferred::binary;

/// The deferred value of an operation on three proxies: one on a pair and the third.
#[track_caller]
pub(super) fn ternary<A, B, C, V>(
    symbol: &'static str,
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
    let pair = binary("pair", first, second, |first, second| (first, second));
    binary(symbol, pair, third, |(first, second), third| apply(first, second, third))
}
