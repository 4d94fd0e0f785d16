//! What a loop runs over: whether its values are there before, so that nobody sees from round to round what has been put off.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, VecDeque};
use std::collections::{btree_map, btree_set, hash_map, hash_set, vec_deque};
use std::iter::{Copied, Enumerate, Rev, Skip, StepBy, Take, Zip};
use std::mem::needs_drop;
use std::ops::{Range, RangeFrom, RangeInclusive};
use std::{array, option, slice, str, vec};

/// Iterators, and what becomes one, that give what is there before.
pub trait Calm {
    /// False where a value may do something when it ends, at the end of its round.
    const IS_CALM: bool = true;
}

macro_rules! calm {
    ($([$($generic:tt)*] $source:ty;)*) => { $(impl<$($generic)*> Calm for $source {})* };
}

calm! {
    ['a, T] slice::Iter<'a, T>; ['a, T] slice::IterMut<'a, T>; ['a, T] slice::Windows<'a, T>;
    ['a, T] slice::Chunks<'a, T>; ['a, T] slice::ChunksMut<'a, T>; ['a, T] slice::ChunksExact<'a, T>;
    ['a, T] &'a [T]; ['a, T] &'a mut [T]; ['a, T] &'a Vec<T>; ['a, T] &'a mut Vec<T>;
    ['a, T, const N: usize] &'a [T; N]; ['a, T, const N: usize] &'a mut [T; N];
    ['a, T] &'a VecDeque<T>; ['a, T] &'a mut VecDeque<T>; ['a, T] vec_deque::Iter<'a, T>;
    ['a, T] &'a Option<T>; ['a, T] &'a mut Option<T>; ['a, T] option::Iter<'a, T>;
    ['a, T] &'a BinaryHeap<T>; ['a, T, S] &'a HashSet<T, S>; ['a, T] hash_set::Iter<'a, T>;
    ['a, T] &'a BTreeSet<T>; ['a, T] btree_set::Iter<'a, T>;
    ['a, K, V, S] &'a HashMap<K, V, S>; ['a, K, V, S] &'a mut HashMap<K, V, S>;
    ['a, K, V] hash_map::Iter<'a, K, V>; ['a, K, V] hash_map::IterMut<'a, K, V>;
    ['a, K, V] hash_map::Keys<'a, K, V>; ['a, K, V] hash_map::Values<'a, K, V>;
    ['a, K, V] hash_map::ValuesMut<'a, K, V>;
    ['a, K, V] &'a BTreeMap<K, V>; ['a, K, V] &'a mut BTreeMap<K, V>;
    ['a, K, V] btree_map::Iter<'a, K, V>; ['a, K, V] btree_map::IterMut<'a, K, V>;
    ['a, K, V] btree_map::Keys<'a, K, V>; ['a, K, V] btree_map::Values<'a, K, V>;
    ['a, K, V] btree_map::ValuesMut<'a, K, V>; ['a, K, V] btree_map::Range<'a, K, V>;
    ['a] str::Chars<'a>; ['a] str::CharIndices<'a>; ['a] str::Bytes<'a>; ['a] str::Lines<'a>;
    ['a] str::SplitWhitespace<'a>;
    [T] Range<T>; [T] RangeInclusive<T>; [T] RangeFrom<T>;
}

macro_rules! calm_by_value {
    ($([$($generic:tt)*] $source:ty, $value:ty;)*) => {
        $(impl<$($generic)*> Calm for $source { const IS_CALM: bool = !needs_drop::<$value>(); })*
    };
}

calm_by_value! {
    [T] Vec<T>, T; [T] vec::IntoIter<T>, T; [T] VecDeque<T>, T; [T] Option<T>, T; [T] BinaryHeap<T>, T;
    [T, const N: usize] [T; N], T; [T, const N: usize] array::IntoIter<T, N>, T;
    [T, S] HashSet<T, S>, T; [T] BTreeSet<T>, T; [K, V, S] HashMap<K, V, S>, (K, V); [K, V] BTreeMap<K, V>, (K, V);
}

macro_rules! calm_if_inner {
    ($($adaptor:ident)*) => {
        $(impl<I: Calm> Calm for $adaptor<I> { const IS_CALM: bool = I::IS_CALM; })*
    };
}

calm_if_inner! { Copied Enumerate Rev Skip StepBy Take }

impl<A: Calm, B: Calm> Calm for Zip<A, B> {
    const IS_CALM: bool = A::IS_CALM && B::IS_CALM;
}

/// What a loop runs over: a method of its own is found before that of [`Unknown`].
pub struct Source<I>(pub I);

impl<I> std::fmt::Debug for Source<I> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Source")
    }
}

impl<I: Calm> Source<I> {
    /// What it is, after telling whether it is calm.
    pub fn __xfork_is_calm(self, calm: &Cell<bool>) -> I {
        calm.set(I::IS_CALM);
        self.0
    }
}

/// See [`Source`].
pub trait Unknown {
    type Source;
    fn __xfork_is_calm(self, calm: &Cell<bool>) -> Self::Source;
}

impl<I> Unknown for Source<I> {
    type Source = I;

    fn __xfork_is_calm(self, _: &Cell<bool>) -> I {
        self.0
    }
}
