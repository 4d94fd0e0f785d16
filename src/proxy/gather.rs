//! Collecting proxies into one: `collect`, `extend` and `zip`.
//!
//! Promises that nothing here waits, that a collection is one node whatever its size, that it is what collecting the
//! values in their order gives, that the first failure in that order is the one reported, and that a value nobody else
//! points to is moved into its collection.

use super::ResultProxy;
use super::deferred::{binary, folded};
use crate::proxy::steps::symbol;

/// The deferred collection of results, in their order.
///
/// The collection is whatever can be collected from the values: a `Vec`, a set, a `String`, a map from pairs, a
/// `Result` or `Option` that ends at its first `Err` or `None`. If tasks have failed, its failure is the first in order.
///
/// ```
/// use std::collections::BTreeSet;
/// use xfork::{ResultProxy, fork, map_thread};
///
/// let squares: ResultProxy<Vec<u64>> = map_thread(|n: u64| n * n, 1..=3).into_iter().collect();
/// let total = fork(|squares: Vec<u64>| squares.iter().sum::<u64>(), &squares); // nothing has been waited for
/// assert_eq!(squares, [1, 4, 9]);
/// assert_eq!(total, 14);
///
/// let text: ResultProxy<String> = map_thread(|n: u32| format!("{n}, "), 1..=3).into_iter().collect();
/// assert_eq!(text, "1, 2, 3, ");
///
/// let odd: ResultProxy<BTreeSet<u64>> = map_thread(|n: u64| n % 2, 1..=9).into_iter().collect();
/// assert_eq!(odd.len(), 2);
///
/// let parse = |text: &'static str| text.parse::<u8>().map_err(|error| error.to_string());
/// let numbers: ResultProxy<Result<Vec<u8>, String>> = map_thread(parse, ["1", "2"]).into_iter().collect();
/// assert_eq!(numbers, Ok(vec![1, 2]));
/// ```
impl<A, C> FromIterator<ResultProxy<A>> for ResultProxy<C>
where
    A: Clone + Send + Sync + 'static,
    C: FromIterator<A> + Send + 'static,
{
    #[track_caller]
    fn from_iter<I: IntoIterator<Item = ResultProxy<A>>>(proxies: I) -> Self {
        folded(symbol!("collect"), proxies.into_iter().collect(), |values| values.collect())
    }
}

/// The deferred collection of results that are needed elsewhere too; of clones, then.
///
/// ```
/// use xfork::{ResultProxy, map_thread};
/// let squares = map_thread(|n: u64| n * n, 1..=3);
/// let all: ResultProxy<Vec<u64>> = squares.iter().collect();
/// assert_eq!(all.len() as u64 + &squares[2], 12);
/// ```
impl<'a, A, C> FromIterator<&'a ResultProxy<A>> for ResultProxy<C>
where
    A: Clone + Send + Sync + 'static,
    C: FromIterator<A> + Send + 'static,
{
    #[track_caller]
    fn from_iter<I: IntoIterator<Item = &'a ResultProxy<A>>>(proxies: I) -> Self {
        proxies.into_iter().cloned().collect()
    }
}

/// The deferred map from plain keys to results.
///
/// ```
/// use std::collections::BTreeMap;
/// use xfork::{ResultProxy, thread};
///
/// let lengths = ["one", "three"].map(|word| (word, thread(str::len, word)));
/// let lengths: ResultProxy<BTreeMap<&str, usize>> = lengths.into_iter().collect();
/// assert_eq!(lengths["three"], 5);
/// ```
///
/// Keys that are results themselves need [`zip`](ResultProxy::zip): a pair of two proxies is a pair of a plain key,
/// which happens to be a proxy, and a result, so it would collect to a map with proxies for keys.
///
/// ```
/// # use std::collections::BTreeMap;
/// # use xfork::{ResultProxy, thread};
/// let pairs = ["one", "three"].map(|word| (thread(str::to_uppercase, word), thread(str::len, word)));
/// let lengths: ResultProxy<BTreeMap<String, usize>> =
///     pairs.into_iter().map(|(key, value)| ResultProxy::zip(key, value)).collect();
/// assert_eq!(lengths["THREE"], 5);
/// ```
impl<K, V, C> FromIterator<(K, ResultProxy<V>)> for ResultProxy<C>
where
    K: Send + 'static,
    V: Clone + Send + Sync + 'static,
    C: FromIterator<(K, V)> + Send + 'static,
{
    #[track_caller]
    fn from_iter<I: IntoIterator<Item = (K, ResultProxy<V>)>>(pairs: I) -> Self {
        let (keys, proxies): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        folded(symbol!("collect"), proxies, |values| {
            keys.into_iter().zip(values).map(|(key, value)| Ok((key, value?))).collect()
        })
    }
}

/// The deferred map from plain keys to results that are needed elsewhere too.
///
/// ```
/// use std::collections::BTreeMap;
/// use xfork::{ResultProxy, map_thread};
///
/// let squares = map_thread(|n: u64| n * n, 1..=3);
/// let by_root: ResultProxy<BTreeMap<u64, u64>> = (1..).zip(&squares).collect();
/// assert_eq!(by_root[&3], squares[2]);
/// ```
impl<'a, K, V, C> FromIterator<(K, &'a ResultProxy<V>)> for ResultProxy<C>
where
    K: Send + 'static,
    V: Clone + Send + Sync + 'static,
    C: FromIterator<(K, V)> + Send + 'static,
{
    #[track_caller]
    fn from_iter<I: IntoIterator<Item = (K, &'a ResultProxy<V>)>>(pairs: I) -> Self {
        pairs.into_iter().map(|(key, value)| (key, value.clone())).collect()
    }
}

/// Adds results to a collection, without waiting for either.
///
/// As after `+=`, the proxy then points to the longer collection, and other proxies still to the one before. Plain
/// values are added as `all.extend(values.into_iter().map(xfork::ready))`.
///
/// ```
/// use xfork::{map_thread, ready};
///
/// let first = ready(vec![0]);
/// let mut all = first.clone();
/// all.extend(map_thread(|n: u64| n * n, 1..=3));
/// assert_eq!(all, [0, 1, 4, 9]);
/// assert_eq!(first, [0]);
/// ```
impl<A, C> Extend<ResultProxy<A>> for ResultProxy<C>
where
    A: Clone + Send + Sync + 'static,
    C: Extend<A> + Clone + Send + Sync + 'static,
{
    #[track_caller]
    fn extend<I: IntoIterator<Item = ResultProxy<A>>>(&mut self, proxies: I) {
        append(self, proxies.into_iter().collect());
    }
}

/// Adds results that are needed elsewhere too.
///
/// ```
/// use xfork::{map_thread, ready};
/// let words = map_thread(str::to_uppercase, ["a", "b"]);
/// let mut text = ready(String::new());
/// text.extend(&words);
/// assert_eq!(text, "AB");
/// ```
impl<'a, A, C> Extend<&'a ResultProxy<A>> for ResultProxy<C>
where
    A: Clone + Send + Sync + 'static,
    C: Extend<A> + Clone + Send + Sync + 'static,
{
    #[track_caller]
    fn extend<I: IntoIterator<Item = &'a ResultProxy<A>>>(&mut self, proxies: I) {
        append(self, proxies.into_iter().collect());
    }
}

/// Adds results under plain keys to a map.
///
/// ```
/// use std::collections::BTreeMap;
/// use xfork::{ready, thread};
/// let mut lengths = ready(BTreeMap::from([("one", 3)]));
/// lengths.extend([("three", thread(str::len, "three"))]);
/// assert_eq!(lengths["three"], 5);
/// ```
impl<K, V, C> Extend<(K, ResultProxy<V>)> for ResultProxy<C>
where
    K: Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    C: Extend<(K, V)> + Clone + Send + Sync + 'static,
{
    #[track_caller]
    fn extend<I: IntoIterator<Item = (K, ResultProxy<V>)>>(&mut self, pairs: I) {
        append(self, pairs.into_iter().collect());
    }
}

#[track_caller]
fn append<A, C>(all: &mut ResultProxy<C>, more: ResultProxy<Vec<A>>)
where
    A: Clone + Send + Sync + 'static,
    C: Extend<A> + Clone + Send + Sync + 'static,
{
    // The old proxy is dropped by the assignment, so `all` is moved on unless others point to it.
    *all = binary(symbol!("extend"), all.clone(), more, |mut all: C, more| {
        all.extend(more);
        all
    });
}

impl<T: Clone + Send + Sync + 'static> ResultProxy<T> {
    /// The deferred pair of two results; [`unzip`](ResultProxy::unzip) is the way back.
    ///
    /// More than two are joined by [`ResultProxy::join`].
    ///
    /// ```
    /// use xfork::{ResultProxy, thread};
    /// let pair = ResultProxy::zip(thread(|| 1, ()), thread(|| "one", ()));
    /// assert_eq!(pair, (1, "one"));
    /// ```
    #[track_caller]
    pub fn zip<U: Clone + Send + Sync + 'static>(this: Self, other: ResultProxy<U>) -> ResultProxy<(T, U)> {
        binary(symbol!("zip"), this, other, |left, right| (left, right))
    }
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;
    use crate::proxy::{ProxyState, lazy, ready};
    use std::collections::{BTreeMap, HashMap, HashSet};
    use std::panic::resume_unwind;
    use std::sync::Arc;
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
    fn collecting_does_not_evaluate() {
        let is_deferred = |state| assert_eq!(state, ProxyState::Deferred);
        let mut all: ResultProxy<Vec<u8>> = [never(), never()].into_iter().collect();
        all.extend([never::<u8>()]);
        all.extend(&[never::<u8>()]);
        is_deferred(ResultProxy::state(&all));
        let mut map: ResultProxy<HashMap<u8, u8>> = [(1, never())].into_iter().collect();
        map.extend([(2, never())]);
        is_deferred(ResultProxy::state(&map));
        is_deferred(ResultProxy::state(&ResultProxy::zip(never::<u8>(), all)));
    }

    #[test]
    fn proxies_collect_to_what_their_values_collect_to() {
        let numbers = || (1..=4_u8).map(|n| lazy(move || n));
        assert_eq!(numbers().collect::<ResultProxy<Vec<_>>>(), [1, 2, 3, 4]);
        assert_eq!(*numbers().collect::<ResultProxy<HashSet<u8>>>(), HashSet::from([1, 2, 3, 4]));
        assert_eq!(numbers().collect::<ResultProxy<Box<[u8]>>>()[..], [1, 2, 3, 4]);
        let words: Vec<_> = ["a", "b"].map(|word| lazy(move || word.to_string())).into();
        assert_eq!(words.iter().collect::<ResultProxy<String>>(), "ab");
        assert_eq!(['a', 'b'].into_iter().map(ready).collect::<ResultProxy<String>>(), "ab");
        let pairs = || [(1, 'a'), (2, 'b')].into_iter();
        assert_eq!(
            *pairs().map(ready).collect::<ResultProxy<BTreeMap<_, _>>>(),
            BTreeMap::from_iter(pairs())
        );
        let named = || pairs().map(|(key, value)| (key, ready(value)));
        assert_eq!(*named().collect::<ResultProxy<HashMap<_, _>>>(), HashMap::from_iter(pairs()));
        let values: Vec<_> = named().collect();
        let borrowed = values.iter().map(|(key, value)| (*key, value));
        assert_eq!(*borrowed.collect::<ResultProxy<HashMap<_, _>>>(), HashMap::from_iter(pairs()));
        let zipped = named().map(|(key, value)| ResultProxy::zip(ready(key), value));
        assert_eq!(*zipped.collect::<ResultProxy<BTreeMap<_, _>>>(), BTreeMap::from_iter(pairs()));
        assert_eq!([ready(()), lazy(|| ())].into_iter().collect::<ResultProxy<()>>(), ());
        assert!(std::iter::empty::<ResultProxy<u8>>().collect::<ResultProxy<Vec<_>>>().is_empty());
    }

    #[test]
    fn an_option_or_result_ends_at_the_first_that_is_none() {
        let some = [Some(1), Some(2)].map(ready).into_iter().collect::<ResultProxy<Option<Vec<u8>>>>();
        assert_eq!(some, Some(vec![1, 2]));
        let none = [Some(1), None].map(ready).into_iter().collect::<ResultProxy<Option<Vec<u8>>>>();
        assert_eq!(none, None);
        let error = [Ok(1), Err("first"), Err("second")].map(ready);
        assert_eq!(error.iter().collect::<ResultProxy<Result<Vec<u8>, _>>>(), Err("first"));
    }

    #[test]
    fn extending_leaves_other_proxies_alone() {
        let mut all = lazy(|| vec![1]);
        let first = all.clone();
        all.extend([lazy(|| 2), ready(3)]);
        all.extend(&[ready(4)]);
        all.extend([5, 6].map(ready));
        assert_eq!(all, [1, 2, 3, 4, 5, 6]);
        assert_eq!(first, [1]);
        let mut map = ready(BTreeMap::from([(1, 'a')]));
        map.extend([(2, ready('b'))]);
        map.extend([ready((3, 'c'))]);
        assert_eq!(*map, BTreeMap::from([(1, 'a'), (2, 'b'), (3, 'c')]));
    }

    #[test]
    fn iterators_of_pairs_and_partitions_collect_by_extending() {
        const MANY: usize = if cfg!(miri) { 30 } else { 1000 };
        let (names, values): (Vec<_>, ResultProxy<Vec<_>>) =
            (1..=MANY).map(|n| (n.to_string(), lazy(move || n))).unzip();
        assert_eq!((names.len(), values.len(), values[MANY - 1]), (MANY, MANY, MANY));
    }

    #[test]
    fn the_first_failure_in_order_is_the_one_reported() {
        let three = || [ready(1), fails("second"), fails("third")];
        assert_eq!(message(&three().into_iter().collect::<ResultProxy<Vec<_>>>()), "second");
        let named = ["a", "b", "c"].into_iter().zip(three());
        assert_eq!(message(&named.collect::<ResultProxy<HashMap<_, _>>>()), "second");
        let mut all = ready(vec![0]);
        all.extend(three());
        assert_eq!(message(&all), "second");
        let mut all = fails::<Vec<u8>>("before");
        all.extend([fails::<u8>("after")]);
        assert_eq!(message(&all), "before");
        assert_eq!(message(&ResultProxy::zip(fails::<u8>("left"), fails::<u8>("right"))), "left");
    }

    #[test]
    fn a_failure_that_is_only_collected_is_not_seen() {
        let failed = fails::<u8>("no");
        let all: ResultProxy<Vec<_>> = [&failed].into_iter().collect();
        crate::core::wait::wait(&all.any_slot(), None).unwrap();
        assert!(!failed.settled().unwrap_err().is_seen());
        ResultProxy::error(&all);
        assert!(failed.settled().unwrap_err().is_seen());
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
    fn what_nobody_else_holds_is_moved() {
        let clones = Arc::new(AtomicUsize::new(0));
        let counted = || ready(Counted(clones.clone()));
        let mut all: ResultProxy<Vec<_>> = [counted(), counted()].into_iter().collect();
        all.extend([counted()]);
        all.extend([counted()]);
        let map: ResultProxy<HashMap<_, _>> = [(1, counted()), (2, counted())].into_iter().collect();
        let (all, map) = ResultProxy::into_inner(ResultProxy::zip(all, map));
        assert_eq!((all.len(), map.len()), (4, 2));
        assert_eq!(clones.load(Ordering::Relaxed), 0);

        let shared = [counted(), counted()];
        let all: ResultProxy<Vec<_>> = shared.iter().collect();
        assert_eq!(all.len(), 2);
        assert_eq!(clones.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn extending_one_by_one_evaluates_and_drops_without_recursion() {
        const MANY: usize = if cfg!(miri) { 100 } else { 100_000 };
        let test = || {
            let build = || {
                (0..MANY).fold(ready(Vec::new()), |mut all, n| {
                    all.extend([lazy(move || n)]);
                    all
                })
            };
            assert_eq!(build().last(), Some(&(MANY - 1)));
            drop(build());
        };
        std::thread::Builder::new().stack_size(256 * 1024).spawn(test).unwrap().join().unwrap();
    }
}
