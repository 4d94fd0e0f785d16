//! [`Tracked`]: a collection that concurrent functions change by index.
//!
//! Owns what a user holds, in the program and in a task. Promises: a task sees the collection as it was when it was forked and what
//! it has written itself; what comes back of it are the elements that it has written, which are put in place in the order of
//! the calls; a call that has read what an earlier one of the same synchronisation wrote is made again, so that the result is that of
//! the serial program. `indexed` is which collections there are, `changes` what a task has done to one, `forked` a call with
//! one.

mod changes;
mod forked;
mod indexed;

pub use changes::{Changes, Snapshot};
pub use forked::{Again, ForkedInto, IsTracked, SnapshotOf, again};
pub use indexed::{Indexed, Keyed, Reads};

use super::lent::Lent;
use changes::{Draft, History, Writer, Written};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::ops::{Deref, DerefMut, Index, IndexMut};

/// A collection that `#[concurrent]` functions take as `&mut Tracked<..>` and change by index: a `Vec`, an array, a `HashMap` or a
/// `BTreeMap`.
///
/// It reads like the collection, by [`Deref`]. In a [`#[synchronized]`](macro@crate::synchronized) function a task gets it as it is when the call
/// is forked, and what the task writes, and nothing else, travels back and is put in place at the next synchronisation, in the order of
/// the calls. Without the attributes it is a plain collection, with the same result.
///
/// ```
/// use xfork::{Tracked, concurrent, synchronized};
///
/// #[concurrent]
/// fn smooth(i: usize, heights: &[f64], smoothed: &mut Tracked<Vec<f64>>) {
///     smoothed.set(i, (heights[i] + heights[i + 1]) / 2.0);
/// }
///
/// #[synchronized]
/// fn smooth_all(heights: &[f64]) -> Vec<f64> {
///     let mut smoothed = Tracked::new(vec![0.0; heights.len() - 1]);
///     for i in 0..smoothed.len() {
///         smooth(i, heights, &mut smoothed);
///     }
///     smoothed.into_inner()
/// }
///
/// assert_eq!(smooth_all(&[1.0, 3.0, 4.0]), [2.0, 3.5]);
/// ```
///
/// # What calls have to do with each other
///
/// A call that has read an element which an earlier call of the same synchronisation wrote has read the old one. It is made again when
/// its turn has come, so that the result is that of the serial program, if the function depends on its arguments alone; that takes
/// time. [`conflicts`](Self::conflicts) says what to do instead. By index, [`get`](Self::get) and [`get_mut`](Self::get_mut) one element
/// is read; `x[i] = v` and `get_mut` may read before they write, and [`set`](Self::set) only writes. Everything else that a
/// `&Vec<T>` or `&HashMap<K, V>` can do (`iter()`, slices) reads all of it, and what a `&mut` one can (`push`, `sort`, `clear`) writes
/// all of it, which then travels back as a whole. The length of a list is not something that is read.
///
/// # Limits
///
/// - A concurrent function has one such parameter at most, and its other arguments are `Clone`, since it may be called again.
/// - In a call the argument is `&mut x`, or `x` if that is such a reference, and the declaration of `x` has the word `Tracked` in it:
///   `let mut x = Tracked::new(..)`, `let x: &mut Tracked<_> = &mut self.heights`, a parameter `x: &mut Tracked<Vec<f64>>`. Anything
///   else is a compile error that says so.
/// - What the indexes of an assignment mention, and calls that are arguments of others, are called where they stand.
/// - Keys that are looked for are made into keys of their own: a `&str` finds a `String`, and not a `&'static str`.
/// - A slice is `(*list)[1..3]`; by index there is one element.
/// - A task may work with old elements before it is called again: it has to end with these, too.
/// - An ordinary function that gives a reference into a variable that is declared so, `let x = f(&mut list)`, is refused by the borrow checker.
/// - Serde writes arrays of up to 32 elements only, and so do tasks in worker processes.
pub struct Tracked<C: Indexed> {
    /// Taken only by what consumes the collection.
    state: Option<State<C>>,
    /// What was written since the first pending call was forked.
    history: History<C>,
    conflicts: Conflict,
}

enum State<C: Indexed> {
    /// Where the collection is.
    Own(Lent<C>),
    /// In a task.
    Draft(Box<Draft<C>>),
}

/// What happens when a call has read what an earlier call of the same synchronisation wrote; see [`Tracked::conflicts`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Conflict {
    /// The call is made again, with what the earlier ones have written: the result is that of the serial program.
    #[default]
    Again,
    /// What the call has written is put in place all the same: the last writer wins.
    Last,
    /// A panic that names both calls and what they have both used; also if both have written it and none has read it.
    Error,
}

impl<C: Indexed> Tracked<C> {
    /// Tracks what tasks do to the collection.
    ///
    /// ```
    /// let mut squares = xfork::Tracked::new(vec![0; 3]);
    /// squares[2] = 4;
    /// assert_eq!(*squares, [0, 0, 4]);
    /// ```
    pub fn new(collection: C) -> Self {
        Self::with(State::Own(Lent::new(collection)))
    }

    fn with(state: State<C>) -> Self {
        Self { state: Some(state), history: History::default(), conflicts: Conflict::default() }
    }

    /// Says what to do with a call that has read what an earlier one wrote.
    ///
    /// ```should_panic
    /// use xfork::{Conflict, Tracked, concurrent, synchronized};
    ///
    /// #[concurrent]
    /// fn count(word: &str, counts: &mut Tracked<Vec<u32>>) { counts[word.len()] += 1; }
    ///
    /// #[synchronized]
    /// fn lengths() {
    ///     let mut counts = Tracked::new(vec![0; 10]).conflicts(Conflict::Error);
    ///     for word in ["one", "two", "three"] {
    ///         count(word, &mut counts);
    ///     }
    /// }
    ///
    /// lengths(); // the second call has read and written 3, which the first one wrote
    /// ```
    pub fn conflicts(mut self, conflicts: Conflict) -> Self {
        self.conflicts = conflicts;
        self
    }

    /// The collection.
    ///
    /// ```
    /// assert_eq!(xfork::Tracked::new([1, 2]).into_inner(), [1, 2]);
    /// ```
    pub fn into_inner(mut self) -> C {
        match self.take() {
            State::Own(value) => value.into_inner(),
            State::Draft(draft) => draft.into_whole(),
        }
    }

    fn take(&mut self) -> State<C> {
        self.state.take().expect("consumed once")
    }

    fn state(&self) -> &State<C> {
        self.state.as_ref().expect("it is not consumed")
    }

    fn state_mut(&mut self) -> &mut State<C> {
        self.state.as_mut().expect("it is not consumed")
    }

    fn read(&self, key: &C::Key) -> Option<&C::Value> {
        match self.state() {
            State::Own(value) => value.find(key),
            State::Draft(draft) => draft.read(key),
        }
    }

    fn change(&mut self, key: &C::Key) -> Option<&mut C::Value> {
        self.history.note(key, None);
        match self.state_mut() {
            State::Own(value) => value.make_mut().find_mut(key),
            State::Draft(draft) => draft.change(key),
        }
    }

    fn put(&mut self, key: C::Key, value: Option<C::Value>, writer: Option<Writer>) {
        self.history.note(&key, writer);
        match self.state_mut() {
            State::Own(own) => own.make_mut().put(key, value),
            State::Draft(draft) => draft.put(key, value),
        }
    }

    /// Does what a task has done.
    fn apply(&mut self, changes: Changes<C>, writer: Writer) {
        match changes.writes {
            Written::Some(writes) => {
                writes.into_iter().for_each(|(key, value)| self.put(key, value, Some(writer)));
            }
            Written::Whole(whole) => {
                self.history.note_whole(Some(writer));
                match self.state_mut() {
                    State::Own(value) => *value = Lent::new(*whole),
                    State::Draft(draft) => *draft.whole_mut() = *whole,
                }
            }
        }
    }

    /// What no write by index changes.
    fn shape(&self) -> &C {
        match self.state() {
            State::Own(value) => value,
            State::Draft(draft) => draft.base(),
        }
    }

    /// For a task.
    fn of(snapshot: Snapshot<C>) -> Self {
        Self::with(State::Draft(Box::new(Draft::new(snapshot))))
    }

    /// As it is now, for a task.
    fn snapshot(&self) -> Snapshot<C> {
        match self.state() {
            State::Own(value) => Snapshot(value.clone()),
            // A task that forks calls of its own.
            State::Draft(draft) => Snapshot(Lent::new(draft.whole().clone())),
        }
    }
}

impl<C: Indexed> Drop for Tracked<C> {
    /// Where a function panics, calls may be pending of what ends with it: they are done to what is left of that.
    fn drop(&mut self) {
        if let Some(state) = self.state.take() {
            let conflicts = self.conflicts;
            self.history.leave(|history| Self { state: Some(state), history, conflicts });
        }
    }
}

macro_rules! list {
    ([$($parameters:tt)*] $list:ty) => {
        impl<T: Clone + Send + Sync + 'static, $($parameters)*> Tracked<$list> {
            /// How many elements there are.
            ///
            /// ```
            /// assert_eq!(xfork::Tracked::new(vec!['a', 'b']).len(), 2);
            /// ```
            pub fn len(&self) -> usize {
                self.shape().len()
            }

            /// Whether there is no element.
            ///
            /// ```
            /// assert!(!xfork::Tracked::new(vec!['a', 'b']).is_empty());
            /// ```
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// The element, if there is one.
            ///
            /// ```
            /// assert_eq!(xfork::Tracked::new([1, 2]).get(2), None);
            /// ```
            pub fn get(&self, index: usize) -> Option<&T> {
                self.read(&index)
            }

            /// The element, to be changed, if there is one.
            ///
            /// ```
            /// let mut list = xfork::Tracked::new([1, 2]);
            /// list.get_mut(0).map(|first| *first += 2);
            /// assert_eq!(list[0], 3);
            /// ```
            pub fn get_mut(&mut self, index: usize) -> Option<&mut T> {
                self.change(&index)
            }

            /// Puts another element in its place, without reading that.
            ///
            /// ```
            /// let mut list = xfork::Tracked::new([1, 2]);
            /// list.set(0, 3);
            /// assert_eq!(list[0], 3);
            /// ```
            ///
            /// # Panics
            ///
            /// If there is no such element.
            #[track_caller]
            pub fn set(&mut self, index: usize, value: T) {
                let length = self.len();
                assert!(
                    index < length,
                    "index out of bounds: the len is {length} but the index is {index}"
                );
                self.put(index, Some(value), None);
            }
        }

        impl<T: Clone + Send + Sync + 'static, $($parameters)*> Index<usize> for Tracked<$list> {
            type Output = T;

            #[track_caller]
            fn index(&self, index: usize) -> &T {
                let length = self.len();
                match self.read(&index) {
                    Some(value) => value,
                    None => panic!("index out of bounds: the len is {length} but the index is {index}"),
                }
            }
        }

        impl<T: Clone + Send + Sync + 'static, $($parameters)*> IndexMut<usize> for Tracked<$list> {
            #[track_caller]
            fn index_mut(&mut self, index: usize) -> &mut T {
                let length = self.len();
                match self.change(&index) {
                    Some(value) => value,
                    None => panic!("index out of bounds: the len is {length} but the index is {index}"),
                }
            }
        }
    };
}

list!([] Vec<T>);
list!([const N: usize] [T; N]);

macro_rules! map {
    ($map:ident [$($parameters:tt)*] [$($arguments:tt)*] [$($query:tt)*] [$($bounds:tt)*]) => {
        impl<K, T, $($parameters)*> Tracked<$map<K, T, $($arguments)*>>
        where
            $map<K, T, $($arguments)*>: Indexed<Key = K, Value = T>,
            K: $($query)*,
            T: Clone,
            $($bounds)*
        {
            /// The value of this key, if there is one.
            ///
            /// ```
            #[doc = concat!("let ages = xfork::Tracked::new(std::collections::", stringify!($map), "::from([(\"Ada\".to_string(), 36)]));")]
            /// assert_eq!((ages.get("Ada"), ages.get("Bob")), (Some(&36), None));
            /// ```
            pub fn get<Q>(&self, key: &Q) -> Option<&T>
            where
                K: Borrow<Q>,
                Q: $($query)* + ToKey<K> + ?Sized,
            {
                match self.state() {
                    State::Own(value) => $map::get(value, key),
                    State::Draft(draft) => draft.read(&key.to_key()),
                }
            }

            /// The value of this key, to be changed, if there is one.
            ///
            /// ```
            #[doc = concat!("let mut ages = xfork::Tracked::new(std::collections::", stringify!($map), "::from([(\"Ada\".to_string(), 36)]));")]
            /// *ages.get_mut("Ada").unwrap() += 1;
            /// assert_eq!(ages["Ada"], 37);
            /// ```
            pub fn get_mut<Q>(&mut self, key: &Q) -> Option<&mut T>
            where
                K: Borrow<Q>,
                Q: $($query)* + ToKey<K> + ?Sized,
            {
                self.change(&key.to_key())
            }

            /// Whether there is a value of this key.
            ///
            /// ```
            #[doc = concat!("let ages = xfork::Tracked::new(std::collections::", stringify!($map), "::from([(\"Ada\".to_string(), 36)]));")]
            /// assert!(ages.contains_key("Ada"));
            /// ```
            pub fn contains_key<Q>(&self, key: &Q) -> bool
            where
                K: Borrow<Q>,
                Q: $($query)* + ToKey<K> + ?Sized,
            {
                self.get(key).is_some()
            }

            /// Gives the key this value, and returns the one it had. [`set`](Self::set) does not read that.
            ///
            /// ```
            #[doc = concat!("let mut ages = xfork::Tracked::new(std::collections::", stringify!($map), "::from([(\"Ada\".to_string(), 36)]));")]
            /// assert_eq!(ages.insert("Ada".to_string(), 37), Some(36));
            /// ```
            pub fn insert(&mut self, key: K, value: T) -> Option<T> {
                let before = self.read(&key).cloned();
                self.put(key, Some(value), None);
                before
            }

            /// Gives the key this value, whether it had one or not.
            ///
            /// ```
            #[doc = concat!("let mut ages = xfork::Tracked::new(std::collections::", stringify!($map), "::new());")]
            /// ages.set("Ada".to_string(), 36);
            /// assert_eq!(ages["Ada"], 36);
            /// ```
            pub fn set(&mut self, key: K, value: T) {
                self.put(key, Some(value), None);
            }

            /// Removes the key, and returns the value it had.
            ///
            /// ```
            #[doc = concat!("let mut ages = xfork::Tracked::new(std::collections::", stringify!($map), "::from([(\"Ada\".to_string(), 36)]));")]
            /// assert_eq!((ages.remove("Ada"), ages.get("Ada")), (Some(36), None));
            /// ```
            pub fn remove<Q>(&mut self, key: &Q) -> Option<T>
            where
                K: Borrow<Q>,
                Q: $($query)* + ToKey<K> + ?Sized,
            {
                let before = self.get(key).cloned();
                if before.is_some() {
                    self.put(key.to_key(), None, None);
                }
                before
            }
        }

        impl<K, T, Q, $($parameters)*> Index<&Q> for Tracked<$map<K, T, $($arguments)*>>
        where
            $map<K, T, $($arguments)*>: Indexed<Key = K, Value = T>,
            K: Borrow<Q> + $($query)*,
            Q: $($query)* + ToKey<K> + ?Sized,
            $($bounds)*
        {
            type Output = T;

            #[track_caller]
            fn index(&self, key: &Q) -> &T {
                self.get(key).expect("no entry found for key")
            }
        }

        impl<K, T, Q, $($parameters)*> IndexMut<&Q> for Tracked<$map<K, T, $($arguments)*>>
        where
            $map<K, T, $($arguments)*>: Indexed<Key = K, Value = T>,
            K: Borrow<Q> + $($query)*,
            Q: $($query)* + ToKey<K> + ?Sized,
            $($bounds)*
        {
            #[track_caller]
            fn index_mut(&mut self, key: &Q) -> &mut T {
                self.get_mut(key).expect("no entry found for key")
            }
        }
    };
}

map!(HashMap [S] [S] [Eq + Hash] [S: BuildHasher]);
map!(BTreeMap [] [] [Ord] []);

/// What a key is looked for by, made into a key of its own.
#[diagnostic::on_unimplemented(
    message = "a key `{K}` can't be made of `{Self}`",
    note = "a task notes which keys it has read, so it needs one of its own: look for a `&K`"
)]
pub trait ToKey<K> {
    #[doc(hidden)]
    fn to_key(&self) -> K;
}

impl<K, Q: ToOwned + ?Sized> ToKey<K> for Q
where
    Q::Owned: Into<K>,
{
    fn to_key(&self) -> K {
        self.to_owned().into()
    }
}

/// Reads all of it.
impl<C: Indexed> Deref for Tracked<C> {
    type Target = C;

    fn deref(&self) -> &C {
        match self.state() {
            State::Own(value) => value,
            State::Draft(draft) => draft.whole(),
        }
    }
}

/// Writes all of it.
impl<C: Indexed> DerefMut for Tracked<C> {
    fn deref_mut(&mut self) -> &mut C {
        self.history.note_whole(None);
        match self.state_mut() {
            State::Own(value) => value.make_mut(),
            State::Draft(draft) => draft.whole_mut(),
        }
    }
}

impl<C: Indexed> From<C> for Tracked<C> {
    fn from(collection: C) -> Self {
        Self::new(collection)
    }
}

impl<C: Indexed + Default> Default for Tracked<C> {
    fn default() -> Self {
        Self::new(C::default())
    }
}

impl<C: Indexed> Clone for Tracked<C> {
    fn clone(&self) -> Self {
        Self::new(C::clone(self)).conflicts(self.conflicts)
    }
}

impl<C: Indexed + fmt::Debug> fmt::Debug for Tracked<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<C: Indexed + PartialEq> PartialEq for Tracked<C> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<C: Indexed + Eq> Eq for Tracked<C> {}

impl<'a, C: Indexed> IntoIterator for &'a Tracked<C>
where
    &'a C: IntoIterator,
{
    type Item = <&'a C as IntoIterator>::Item;
    type IntoIter = <&'a C as IntoIterator>::IntoIter;

    fn into_iter(self) -> Self::IntoIter {
        (&**self).into_iter()
    }
}

impl<C: Indexed + Serialize> Serialize for Tracked<C> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de, C: Indexed + Deserialize<'de>> Deserialize<'de> for Tracked<C> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        C::deserialize(deserializer).map(Self::new)
    }
}
