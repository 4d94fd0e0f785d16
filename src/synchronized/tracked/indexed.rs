//! The collections that a [`Tracked`](super::Tracked) may hold, and which of their indexes a task has read.

use parking_lot::Mutex;
use rustc_hash::FxBuildHasher;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicU64, Ordering};

/// A collection whose elements are found by an index: `Vec`, arrays, `HashMap` and `BTreeMap`.
#[diagnostic::on_unimplemented(
    message = "`Tracked<{Self}>` can't be",
    note = "`Tracked` holds a `Vec<T>`, an array, a `HashMap<K, V>` or a `BTreeMap<K, V>`, whose elements and keys are `Clone + Send \
            + Sync` and whose keys are `Debug`"
)]
pub trait Indexed: Clone + Send + Sync + 'static {
    /// What elements are found by.
    type Key: Clone + Debug + Send + Sync + 'static;
    /// An element.
    type Value: Clone + Send + Sync + 'static;
    /// Something for each of some indexes.
    #[doc(hidden)]
    type Map<T: Send + Sync + 'static>: Keyed<Self::Key, T>;
    /// Which indexes were read.
    #[doc(hidden)]
    type Reads: Reads<Self::Key>;
    /// None was.
    #[doc(hidden)]
    fn reads(&self) -> Self::Reads;
    #[doc(hidden)]
    fn find(&self, key: &Self::Key) -> Option<&Self::Value>;
    #[doc(hidden)]
    fn find_mut(&mut self, key: &Self::Key) -> Option<&mut Self::Value>;
    /// Puts an element where it belongs, or removes it.
    #[doc(hidden)]
    fn put(&mut self, key: Self::Key, value: Option<Self::Value>);
}

/// A map with keys of any of these collections.
pub trait Keyed<K, T>: Default + Send + Sync + 'static {
    fn at(&self, key: &K) -> Option<&T>;
    fn at_mut(&mut self, key: &K) -> Option<&mut T>;
    fn set(&mut self, key: K, value: T);
    fn each<'a>(&'a self) -> impl Iterator<Item = (&'a K, &'a T)>
    where
        K: 'a,
        T: 'a;
    fn into_each(self) -> impl Iterator<Item = (K, T)>;
}

macro_rules! keyed {
    ($map:ident [$($parameter:ident: $($bound:path),+)?] [$($key:path),+]) => {
        impl<K, T $(, $parameter)?> Keyed<K, T> for $map<K, T $(, $parameter)?>
        where
            K: $($key +)+ Send + Sync + 'static,
            T: Send + Sync + 'static,
            $($parameter: $($bound +)+ Send + Sync + 'static)?
        {
            fn at(&self, key: &K) -> Option<&T> {
                self.get(key)
            }
            fn at_mut(&mut self, key: &K) -> Option<&mut T> {
                self.get_mut(key)
            }
            fn set(&mut self, key: K, value: T) {
                self.insert(key, value);
            }
            fn each<'a>(&'a self) -> impl Iterator<Item = (&'a K, &'a T)>
            where
                K: 'a,
                T: 'a,
            {
                self.iter()
            }
            fn into_each(self) -> impl Iterator<Item = (K, T)> {
                self.into_iter()
            }
        }

        impl<K, T $(, $parameter)?> Indexed for $map<K, T $(, $parameter)?>
        where
            K: Clone + Debug + $($key +)+ Send + Sync + 'static,
            T: Clone + Send + Sync + 'static,
            $($parameter: Clone + $($bound +)+ Send + Sync + 'static)?
        {
            type Key = K;
            type Value = T;
            type Map<V: Send + Sync + 'static> = $map<K, V $(, $parameter)?>;
            type Reads = Keys<$map<K, () $(, $parameter)?>>;
            fn reads(&self) -> Self::Reads {
                Keys(Mutex::default())
            }
            fn find(&self, key: &K) -> Option<&T> {
                self.get(key)
            }
            fn find_mut(&mut self, key: &K) -> Option<&mut T> {
                self.get_mut(key)
            }
            fn put(&mut self, key: K, value: Option<T>) {
                match value {
                    Some(value) => self.insert(key, value),
                    None => self.remove(&key),
                };
            }
        }
    };
}

keyed!(HashMap [S: BuildHasher, Default] [Eq, Hash]);
keyed!(BTreeMap [] [Ord]);

/// Indexes that were read, noted through a shared reference.
pub trait Reads<K>: Send + Sync + 'static {
    fn note(&self, key: &K);
    fn into_keys(self) -> Vec<K>;
}

/// Of a list: a bit for each element, as a task may read every element many times.
#[derive(Debug)]
pub struct Bits(Box<[AtomicU64]>);

impl Bits {
    fn of(length: usize) -> Self {
        Self((0..length.div_ceil(64)).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Reads<usize> for Bits {
    #[inline]
    fn note(&self, &index: &usize) {
        // What is out of bounds was not there to be read, which no other call changes.
        let Some(word) = self.0.get(index / 64) else { return };
        let bit = 1 << (index % 64);
        // Relaxed: read when the task has ended.
        if word.load(Ordering::Relaxed) & bit == 0 {
            word.fetch_or(bit, Ordering::Relaxed);
        }
    }

    fn into_keys(self) -> Vec<usize> {
        let words = self.0.into_iter().map(AtomicU64::into_inner).enumerate();
        words
            .flat_map(|(at, word)| {
                (0..64).filter(move |bit| word & 1 << bit != 0).map(move |bit| at * 64 + bit)
            })
            .collect()
    }
}

/// Of a map.
#[derive(Debug)]
pub struct Keys<M>(Mutex<M>);

impl<K, M> Reads<K> for Keys<M>
where
    K: Clone + 'static,
    M: Keyed<K, ()>,
{
    fn note(&self, key: &K) {
        let mut keys = self.0.lock();
        if keys.at(key).is_none() {
            keys.set(key.clone(), ());
        }
    }

    fn into_keys(self) -> Vec<K> {
        self.0.into_inner().into_each().map(|(key, ())| key).collect()
    }
}

macro_rules! list {
    ([$($parameters:tt)*] $list:ty) => {
        impl<T: Clone + Send + Sync + 'static, $($parameters)*> Indexed for $list {
            type Key = usize;
            type Value = T;
            type Map<V: Send + Sync + 'static> = HashMap<usize, V, FxBuildHasher>;
            type Reads = Bits;
            fn reads(&self) -> Bits {
                Bits::of(self.len())
            }
            fn find(&self, &key: &usize) -> Option<&T> {
                self.get(key)
            }
            fn find_mut(&mut self, &key: &usize) -> Option<&mut T> {
                self.get_mut(key)
            }
            fn put(&mut self, key: usize, value: Option<T>) {
                // No element is removed by its index, and what an earlier call has cut off is not there to be written.
                if let (Some(place), Some(value)) = (self.get_mut(key), value) {
                    *place = value;
                }
            }
        }
    };
}

list!([] Vec<T>);
list!([const N: usize] [T; N]);
