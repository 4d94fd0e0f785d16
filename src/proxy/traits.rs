//! The traits by which a proxy behaves like its value.
//!
//! Owns every implementation that reads the value and therefore waits for it: `Deref`, formatting, comparison, hashing,
//! indexing, iteration, conversion, serialisation. Each promises what the same trait promises of the value, and
//! rethrows the panic of a failed task, but for `Debug`, which shows the error.
//! Leaves out whatever would change the value (`DerefMut`): a result may have several readers.
//! What doesn't wait is elsewhere: operators in `ops`, collecting in `gather`, taking apart in `parts`.

use super::{Operand, ResultProxy, ready};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::error::Error;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::num::{Saturating, Wrapping};
use std::ops::{Deref, Index};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

/// The value, waited for if need be.
///
/// ```
/// let text = xfork::thread(|| "four".to_string(), ());
/// assert_eq!(text.len(), 4);
/// assert_eq!(*text, "four");
/// ```
impl<T: Send + 'static> Deref for ResultProxy<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.force()
    }
}

macro_rules! formats {
    ($($Format:ident)*) => {$(
        impl<T: fmt::$Format + Send + 'static> fmt::$Format for ResultProxy<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.force().fmt(f)
            }
        }
    )*};
}

formats! { Display LowerHex UpperHex Binary Octal LowerExp UpperExp }

/// Waits, and shows exactly what the value shows, so that `assert_eq!` reads as it does for values.
///
/// A failed task does not panic here, where one often looks for what went wrong: its error is shown instead.
///
/// ```
/// use xfork::{lazy, ready};
/// assert_eq!(format!("{:?}", ready("one")), "\"one\"");
/// assert!(format!("{:?}", lazy(|| -> u8 { panic!("no") })).starts_with("ResultProxy(failed: "));
/// ```
impl<T: fmt::Debug + Send + 'static> fmt::Debug for ResultProxy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::wait(self) {
            Ok(value) => value.fmt(f),
            Err(error) => write!(f, "ResultProxy(failed: {error})"),
        }
    }
}

/// Compares the values.
impl<T, U> PartialEq<ResultProxy<U>> for ResultProxy<T>
where
    T: PartialEq<U> + Send + 'static,
    U: Send + 'static,
{
    fn eq(&self, other: &ResultProxy<U>) -> bool {
        self.force() == other.force()
    }
}

/// Compares the values.
impl<T, U> PartialOrd<ResultProxy<U>> for ResultProxy<T>
where
    T: PartialOrd<U> + Send + 'static,
    U: Send + 'static,
{
    fn partial_cmp(&self, other: &ResultProxy<U>) -> Option<Ordering> {
        self.force().partial_cmp(other.force())
    }
}

impl<T: Eq + Send + 'static> Eq for ResultProxy<T> {}

impl<T: Ord + Send + 'static> Ord for ResultProxy<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.force().cmp(other.force())
    }
}

/// Hashes as the value, so that a map with proxies for keys is asked by values.
///
/// ```
/// use std::collections::HashMap;
/// use xfork::{ResultProxy, ready};
///
/// let names: HashMap<ResultProxy<u32>, &str> = [(ready(1), "one")].into();
/// assert_eq!(names[&1], "one");
/// ```
impl<T: Hash + Send + 'static> Hash for ResultProxy<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.force().hash(state);
    }
}

/// Compares with a plain value of the user's own type; see [`Operand`].
impl<T: PartialEq<V> + Send + 'static, V: Operand> PartialEq<V> for ResultProxy<T> {
    fn eq(&self, other: &V) -> bool {
        self.force() == other
    }
}

/// Compares with a plain value of the user's own type; see [`Operand`].
impl<T: PartialOrd<V> + Send + 'static, V: Operand> PartialOrd<V> for ResultProxy<T> {
    fn partial_cmp(&self, other: &V) -> Option<Ordering> {
        self.force().partial_cmp(other)
    }
}

/// Comparison with plain values, on either side.
///
/// A list of types, because one implementation for all of them would also cover proxies, which have their own. Types
/// that are not listed are compared as `*proxy == value`.
macro_rules! compares_with {
    ($($generics:tt $($plain:ty),*;)*) => {$($(compares_with! { @each $generics $plain })*)*};
    (@each $generics:tt $plain:ty) => {
        compares_with! { @one $generics PartialEq::eq bool, $plain }
        compares_with! { @one $generics PartialOrd::partial_cmp Option<Ordering>, $plain }
    };
    (@one [$($generics:tt)*] $Compare:ident::$compare:ident $Outcome:ty, $plain:ty) => {
        impl<$($generics)* T: Send + 'static> $Compare<$plain> for ResultProxy<T>
        where
            T: $Compare<$plain>,
        {
            fn $compare(&self, other: &$plain) -> $Outcome {
                self.force().$compare(other)
            }
        }

        impl<$($generics)* T: Send + 'static> $Compare<ResultProxy<T>> for $plain
        where
            $plain: $Compare<T>,
        {
            fn $compare(&self, other: &ResultProxy<T>) -> $Outcome {
                self.$compare(other.force())
            }
        }
    };
}

compares_with! {
    [] i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize, f32, f64;
    [] bool, char, (), str, String, Duration, Instant, SystemTime, PathBuf;
    [U,] Wrapping<U>, Saturating<U>;
    ['a,] &'a str;
    [U,] Vec<U>, Option<U>;
    [U, const N: usize,] [U; N];
    ['a, U,] &'a [U];
    [U, E,] Result<U, E>;
    [A,] (A,);
    [A, B,] (A, B);
    [A, B, C,] (A, B, C);
    [A, B, C, D,] (A, B, C, D);
}

impl<T: AsRef<U> + Send + 'static, U: ?Sized> AsRef<U> for ResultProxy<T> {
    fn as_ref(&self) -> &U {
        self.force().as_ref()
    }
}

impl<T: Send + 'static> Borrow<T> for ResultProxy<T> {
    fn borrow(&self) -> &T {
        self.force()
    }
}

/// The items of the value: moved out if no other proxy points to it, else of a clone.
///
/// ```
/// let squares = xfork::thread(|| vec![1, 4, 9], ());
/// assert_eq!((&squares).into_iter().max(), Some(&9));
/// assert_eq!(squares.into_iter().sum::<i32>(), 14);
/// ```
impl<C: IntoIterator + Clone + Send + 'static> IntoIterator for ResultProxy<C> {
    type Item = C::Item;
    type IntoIter = C::IntoIter;

    fn into_iter(self) -> C::IntoIter {
        Self::into_inner(self).into_iter()
    }
}

impl<'a, C: Send + 'static> IntoIterator for &'a ResultProxy<C>
where
    &'a C: IntoIterator,
{
    type Item = <&'a C as IntoIterator>::Item;
    type IntoIter = <&'a C as IntoIterator>::IntoIter;

    fn into_iter(self) -> Self::IntoIter {
        self.force().into_iter()
    }
}

impl<T: Index<I> + Send + 'static, I> Index<I> for ResultProxy<T> {
    type Output = T::Output;

    fn index(&self, index: I) -> &T::Output {
        &self.force()[index]
    }
}

impl<T: Error + Send + 'static> Error for ResultProxy<T> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.force().source()
    }
}

/// Serialises the value; the panic of a failed task is rethrown, as by any other use.
///
/// ```
/// assert_eq!(serde_json::to_string(&xfork::thread(|| vec![1, 2], ())).unwrap(), "[1,2]");
/// ```
impl<T: Serialize + Send + 'static> Serialize for ResultProxy<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.force().serialize(serializer)
    }
}

/// A proxy that has its value.
impl<'de, T: Deserialize<'de> + Send + 'static> Deserialize<'de> for ResultProxy<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(ready)
    }
}

/// As [`ready`].
///
/// ```
/// let p: xfork::ResultProxy<u8> = 7.into();
/// assert_eq!(p, 7);
/// ```
impl<T: Send + 'static> From<T> for ResultProxy<T> {
    fn from(value: T) -> Self {
        ready(value)
    }
}

impl<T: Default + Send + 'static> Default for ResultProxy<T> {
    fn default() -> Self {
        ready(T::default())
    }
}

// A slot is final once it is settled, and a panic while it is being computed becomes its outcome: nobody who
// catches an unwinding sees anything half done, unless the value itself can be.
impl<T: RefUnwindSafe + Send + 'static> UnwindSafe for ResultProxy<T> {}
impl<T: RefUnwindSafe + Send + 'static> RefUnwindSafe for ResultProxy<T> {}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;
    use crate::proxy::lazy;
    use std::collections::{BTreeMap, HashMap};
    use std::panic::{catch_unwind, resume_unwind};

    fn fails<T: Send + 'static>() -> ResultProxy<T> {
        lazy(|| resume_unwind(Box::new("no")))
    }

    #[test]
    fn comparisons_infer_the_types_of_literals() {
        let p: ResultProxy<u64> = lazy(|| 25);
        assert_eq!(p, 25);
        assert_eq!(25, p);
        assert_eq!(*p, 25);
        assert_ne!(p, 26);
        assert!(p > 3);
        assert!(p <= 25);
        assert!(3 < p);
        assert!(26 >= p);
        assert!(ready(2.5) < 3.0 && 2.5 == ready(2.5));
        assert!(ready(2.5_f32) < 3.0);
        assert!(ready(true) == true);
        assert_eq!(ready('c'), 'c');
        assert_eq!(ready(()), ());
    }

    #[test]
    fn proxies_compare_with_proxies_by_value() {
        assert_eq!(ready(3), lazy(|| 3));
        assert!(ready(3) < lazy(|| 4));
        assert!(ready(f64::NAN) != ready(f64::NAN));
        assert_eq!(ready("four".to_string()), ready("four"));
        assert_eq!(ready(3).max(ready(4)), 4);
        let mut sorted = vec![ready(3), lazy(|| 1), ready(2)];
        sorted.sort();
        assert_eq!(sorted, [1, 2, 3]);
    }

    #[test]
    fn collections_of_proxies_compare_with_collections_of_values() {
        let squares: Vec<ResultProxy<u64>> = [1_u64, 2, 3].map(|n| lazy(move || n * n)).into();
        assert_eq!(squares, [1, 4, 9]);
        assert_eq!(squares, vec![1, 4, 9]);
        assert_eq!(squares[..2], [1, 4]);
        assert_eq!(vec![1, 4, 9], squares);
        assert_eq!(Some(ready(1_u8)), Some(ready(1)));
    }

    #[test]
    fn values_compare_with_plain_values_on_either_side() {
        let text = lazy(|| "four".to_string());
        assert_eq!(text, "four");
        assert_eq!("four", text);
        assert_eq!(text, "four".to_string());
        assert_eq!("four".to_string(), text);
        assert_eq!(text, *"four");
        assert_eq!(ready("four"), "four");
        let list = ready(vec![1_u64, 2]);
        assert!(list == vec![1, 2] && list == [1, 2] && list == &[1, 2][..] && *list == [1, 2]);
        assert!(vec![1, 2] == list && &[1, 2][..] == list);
        assert!(list < vec![1, 3]);
        assert_eq!(ready([1_u8, 2]), [1, 2]);
        assert_eq!(ready(Some(1_u8)), Some(1));
        assert_eq!(ready(None::<u8>), None);
        assert_eq!(ready(Ok::<u8, String>(1)), Ok(1));
        assert_eq!(ready((1_u8, "two".to_string(), 3.0)), (1, "two".to_string(), 3.0));
        assert_eq!((1, 2), ready((1_u8, 2_u64)));
        assert_eq!(ready(Duration::from_millis(1500)), Duration::from_secs_f64(1.5));
        assert_eq!(ready(PathBuf::from("a/b")), PathBuf::from("a").join("b"));
    }

    #[test]
    fn formats_as_the_value() {
        let p = lazy(|| 42);
        assert_eq!(format!("{p} {p:5} {p:<5}| {p:#x} {p:X} {p:#b} {p:o} {p:e} {p:E}"), {
            let p = 42;
            format!("{p} {p:5} {p:<5}| {p:#x} {p:X} {p:#b} {p:o} {p:e} {p:E}")
        });
        let list = vec![Some("one")];
        let proxy = ready(list.clone());
        assert_eq!(format!("{proxy:?} {proxy:#?}"), format!("{list:?} {list:#?}"));
        assert_eq!(p.to_string(), "42");
    }

    #[test]
    fn debug_of_a_failed_task_shows_its_error() {
        let p = fails::<u8>();
        let error = ResultProxy::error(&p).unwrap();
        assert_eq!(format!("{p:?}"), format!("ResultProxy(failed: {error})"));
    }

    #[test]
    fn reading_a_failed_task_rethrows_every_time() {
        let p = fails::<u32>();
        for _ in 0..2 {
            assert_eq!(*catch_unwind(|| *p).unwrap_err().downcast::<&str>().unwrap(), "no");
            assert!(catch_unwind(|| p == 3).is_err());
            assert!(catch_unwind(|| p.to_string()).is_err());
        }
    }

    #[test]
    #[expect(
        clippy::mutable_key_type,
        reason = "the value, which is what is hashed, is written once, before it is read"
    )]
    fn a_proxy_is_found_in_maps_by_its_value() {
        let hashed: HashMap<ResultProxy<u64>, u8> = [(lazy(|| 1), 10), (ready(2), 20)].into();
        let ordered: BTreeMap<_, _> = hashed.clone().into_iter().collect();
        assert_eq!(hashed.get(&2), Some(&20));
        assert_eq!(hashed[&ready(1)], 10);
        assert_eq!(ordered[&1], 10);
    }

    #[test]
    fn indexes_and_iterates_as_the_value() {
        let list = ready(vec![3, 1, 2]);
        assert_eq!(list[0], 3);
        assert_eq!(list[1..], [1, 2]);
        assert_eq!([5, 6, 7, 8][ready(vec![2_usize])[0]], 7);
        let map = ready(HashMap::from([("one".to_string(), 1)]));
        assert_eq!(map["one"], 1);
        assert_eq!(ready(std::sync::Arc::new(vec![4]))[0], 4);
        let mut seen = Vec::new();
        for &item in &list {
            seen.push(item);
        }
        for item in list.clone() {
            seen.push(item);
        }
        assert_eq!(seen, [3, 1, 2, 3, 1, 2]);
        assert_eq!(list.iter().max(), Some(&3));
    }

    #[test]
    fn converts_as_the_value() {
        fn length(text: impl AsRef<str>) -> usize {
            text.as_ref().len()
        }
        fn by_reference(text: &str) -> usize {
            text.len()
        }
        let text = ready("four".to_string());
        assert_eq!(length(&text), by_reference(&text));
        let path = ready(PathBuf::from("a"));
        assert_eq!(AsRef::<std::path::Path>::as_ref(&path), std::path::Path::new("a"));
        assert_eq!(ResultProxy::<u8>::default(), 0);
        assert_eq!(ResultProxy::from(7), 7);
        let error: Box<dyn Error> = Box::new(ready(std::io::Error::other("inner")));
        assert_eq!(error.to_string(), "inner");
    }

    #[test]
    fn serialises_as_the_value() {
        let json = serde_json::to_string(&(lazy(|| 1), ready("two"))).unwrap();
        assert_eq!(json, r#"[1,"two"]"#);
        let (one, two): (ResultProxy<u8>, ResultProxy<String>) = serde_json::from_str(&json).unwrap();
        assert_eq!(one, 1);
        assert_eq!(two, "two");
        assert!(std::panic::catch_unwind(|| serde_json::to_string(&fails::<u8>())).is_err());
    }

    #[derive(Clone, Debug, PartialEq, PartialOrd)]
    struct Metres(f64);

    impl Operand for Metres {}

    #[test]
    fn a_users_own_type_compares_with_plain_values() {
        assert_eq!(lazy(|| Metres(1.5)), Metres(1.5));
        assert!(ready(Metres(1.5)) < Metres(2.0));
        assert_eq!(ready(vec![Metres(1.5)]), [Metres(1.5)]);
    }

    #[test]
    fn proxies_move_between_threads_when_their_values_may_be_shared() {
        fn is_sync<T: Send + Sync + UnwindSafe + RefUnwindSafe>() {}
        is_sync::<ResultProxy<Vec<String>>>();
    }
}
