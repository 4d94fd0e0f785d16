//! What the type of a place tells: whether what changes it has effects elsewhere, and whether its fields are its own.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::marker::PhantomData;
use std::num::{Saturating, Wrapping};
use std::ops::Deref;
use std::time::{Duration, Instant, SystemTime};

/// A container whose methods change it and nothing else, so that nobody sees when they are called who does not see the
/// container.
pub trait Container {}

impl<T> Container for Vec<T> {}
impl<T> Container for VecDeque<T> {}
impl<T> Container for LinkedList<T> {}
impl<T> Container for BinaryHeap<T> {}
impl<K, V, S> Container for HashMap<K, V, S> {}
impl<T, S> Container for HashSet<T, S> {}
impl<K, V> Container for BTreeMap<K, V> {}
impl<T> Container for BTreeSet<T> {}
impl<T> Container for Option<T> {}
impl<T> Container for [T] {}
impl<T, const N: usize> Container for [T; N] {}
impl Container for String {}
impl<T: Container + ?Sized> Container for &mut T {}
impl<T: Container + ?Sized> Container for Box<T> {}

/// So are numbers, of which `+=` and the like change nothing else.
macro_rules! numbers {
    ($($number:ty)*) => {$(
        impl Container for $number {}
        impl Container for Wrapping<$number> {}
        impl Container for Saturating<$number> {}
    )*};
}
numbers! { i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize }
impl Container for f32 {}
impl Container for f64 {}
impl Container for bool {}
impl Container for Duration {}
impl Container for Instant {}
impl Container for SystemTime {}

/// The type of what is changed, by which it is known whether that is a [`Container`]: a method of its own is found before that of
/// [`Unknown`].
pub struct Receiver<T: ?Sized>(PhantomData<fn(&T)>);

impl<T: ?Sized> std::fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Receiver")
    }
}

impl<T: ?Sized> Receiver<T> {
    /// The type is said by [`is`](Self::is).
    pub fn of_some_type() -> Self {
        Self(PhantomData)
    }

    /// It is the type of what the function, which is not called, would reach from the place. This is called where the program
    /// never comes, as it takes the indexes of the place.
    pub fn is<R: ?Sized>(&self, _: &R, _: impl FnOnce(&R) -> &T) {}
}

impl<T: Container + ?Sized> Receiver<T> {
    pub fn __xfork_has_effects(&self) -> bool {
        false
    }
}

/// The type of a variable, by which it is known whether its fields are its own: those behind a [`Deref`] may be parts of one.
pub struct Fields<T: ?Sized>(PhantomData<fn(&T)>);

impl<T: ?Sized> std::fmt::Debug for Fields<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fields")
    }
}

impl<T: ?Sized> Fields<T> {
    pub fn of(_: &T) -> Self {
        Self(PhantomData)
    }
}

impl<T: Deref + ?Sized> Fields<T> {
    pub fn __xfork_may_overlap(&self) -> bool {
        true
    }
}

/// See [`Fields`].
pub trait Apart {
    fn __xfork_may_overlap(&self) -> bool {
        false
    }
}

impl<T: ?Sized> Apart for Fields<T> {}

/// See [`Receiver`].
pub trait Unknown {
    fn __xfork_has_effects(&self) -> bool {
        true
    }
}

impl<T: ?Sized> Unknown for Receiver<T> {}
