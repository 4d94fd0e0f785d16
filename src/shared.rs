//! [`Shared`]: big plain data that tasks read where it lies.
//!
//! Owns the type that users hold, and its two forms in serde: a mention while a task is being encoded or decoded
//! (`ground/wire/parcel.rs`), and the plain data everywhere else. Leaves out the memory (`ground/memory`) and how a
//! worker gets at it (`src/runner/process/README.md`).

use crate::ground::memory::{ALIGNMENT, Held, Memory, View};
use crate::ground::wire::parcel;
use bytemuck::{AnyBitPattern, NoUninit};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// Data that tasks read without a copy: a counted reference that may go to any number of tasks.
///
/// `Shared<[T]>` holds a slice, `Shared<T>` one value, `Shared<str>` a text. `T` is [`Plain`]: numbers, arrays of them, and structs
/// that derive bytemuck's `Pod`. The data never changes, and reads like the slice or the value itself. It is there until the last
/// holder is gone, in the program or in a task.
///
/// ```
/// use xfork::{Shared, fork};
///
/// #[xfork::cpu_bound]
/// fn sum(numbers: Shared<[f64]>, from: usize, to: usize) -> f64 { numbers[from..to].iter().sum() }
///
/// let numbers: Shared<[f64]> = Shared::from(vec![0.5; 100_000]);
/// let halves = (fork(sum, (&numbers, 0, 50_000)), fork(sum, (&numbers, 50_000, 100_000)));
/// assert_eq!(halves.0 + halves.1, 50_000.0);
/// ```
///
/// # Where the data lies
///
/// From 16 KiB on it lies in a memory file, sealed so that nobody can change it any more. A worker process maps that file once, however many
/// tasks get it, and what goes to a task is a few bytes, whatever the size. Less data, and data where no such file can be made
/// (some sandboxes; a quarter of the descriptors that the process may have is used for files at most), travels as bytes like any
/// other argument. What a task makes itself and returns travels as bytes once; what it was given and returns does not.
/// In threads of this process it is a counted reference.
///
/// The memory that a worker has mapped does not count against [`Limits::memory`](crate::Limits::memory).
///
/// # serde
///
/// Outside the arguments and results of tasks a `Shared` is written as the slice or value that it holds, and read likewise.
///
/// ```
/// # use xfork::Shared;
/// let numbers = Shared::from(vec![1, 2, 3]);
/// assert_eq!(serde_json::to_string(&numbers).unwrap(), "[1,2,3]");
/// assert_eq!(serde_json::from_str::<Shared<[i32]>>("[1,2,3]").unwrap(), numbers);
/// ```
pub struct Shared<T: ?Sized>(View<T>);

/// What can lie in shared memory: plain old data, as slices, single values and text.
///
/// It is there for every type that has bytemuck's [`AnyBitPattern`] and [`NoUninit`] (deriving `Pod` gives both), is at least a byte
/// long and is aligned to at most 64, for slices of these, and for `str`.
///
/// ```
/// use xfork::Shared;
///
/// let table: Shared<[[u16; 4]]> = Shared::from(vec![[1, 2, 3, 4]; 10]);
/// let name: Shared<str> = Shared::from("Ada");
/// let mask: Shared<u64> = Shared::new(0xff);
/// assert_eq!((table[9][3], &*name, *mask), (4, "Ada", 255));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't lie in shared memory",
    note = "shared memory takes numbers, arrays of them, structs that derive `bytemuck::Pod`, slices of these, and `str`"
)]
pub trait Plain: Send + Sync + sealed::Sealed + 'static {
    #[doc(hidden)]
    fn bytes(&self) -> &[u8];
    #[doc(hidden)]
    fn see(bytes: &[u8]) -> Option<&Self>;
}

mod sealed {
    use bytemuck::{AnyBitPattern, NoUninit};

    pub trait Sealed {}
    impl<T: AnyBitPattern + NoUninit> Sealed for T {}
    impl<T: AnyBitPattern + NoUninit> Sealed for [T] {}
    impl Sealed for str {}
}

/// Refuses, when it is compiled, what has no bytes or wants more alignment than the memory has.
const fn fits<T>() {
    assert!(size_of::<T>() > 0, "a type without bytes can't lie in shared memory");
    assert!(
        align_of::<T>() <= ALIGNMENT,
        "a type that is aligned to more than 64 bytes can't lie in shared memory"
    );
}

impl<T: AnyBitPattern + NoUninit + Send + Sync> Plain for T {
    fn bytes(&self) -> &[u8] {
        const { fits::<T>() };
        bytemuck::bytes_of(self)
    }
    fn see(bytes: &[u8]) -> Option<&Self> {
        const { fits::<T>() };
        bytemuck::try_from_bytes(bytes).ok()
    }
}

impl<T: AnyBitPattern + NoUninit + Send + Sync> Plain for [T] {
    fn bytes(&self) -> &[u8] {
        const { fits::<T>() };
        bytemuck::cast_slice(self)
    }
    fn see(bytes: &[u8]) -> Option<&Self> {
        const { fits::<T>() };
        bytemuck::try_cast_slice(bytes).ok()
    }
}

impl Plain for str {
    fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }
    fn see(bytes: &[u8]) -> Option<&Self> {
        std::str::from_utf8(bytes).ok()
    }
}

impl<T: Plain + ?Sized> Shared<T> {
    fn of(memory: Memory) -> Self {
        let held = Held::new(Arc::new(memory));
        Self(View::new(held, T::see).expect("the bytes were made of such a value"))
    }

    /// Copies data to where tasks can read it.
    ///
    /// # Panics
    ///
    /// If there is no memory for the copy.
    ///
    /// ```
    /// let text = xfork::Shared::copy_of("a long text");
    /// assert_eq!(&text[2..6], "long");
    /// ```
    pub fn copy_of(data: &T) -> Self {
        let bytes = data.bytes();
        let memory = Memory::copy_of(bytes);
        Self::of(
            memory.unwrap_or_else(|| panic!("xfork: there is no memory for {} shared bytes", bytes.len())),
        )
    }

    /// Whether two are the same data in the same place, and not just equal.
    ///
    /// ```
    /// use xfork::Shared;
    /// let one = Shared::new(1);
    /// assert!(Shared::is_same(&one, &one.clone()));
    /// assert!(!Shared::is_same(&one, &Shared::new(1)));
    /// ```
    pub fn is_same(one: &Self, other: &Self) -> bool {
        Arc::ptr_eq(one.0.held().memory(), other.0.held().memory())
    }
}

impl<T: AnyBitPattern + NoUninit + Send + Sync> Shared<T> {
    /// Shares one value.
    ///
    /// ```
    /// let board = xfork::Shared::new([[0_u8; 64]; 64]);
    /// assert_eq!(board[63][63], 0);
    /// ```
    pub fn new(value: T) -> Self {
        Self::copy_of(&value)
    }
}

impl<T: AnyBitPattern + NoUninit + Send + Sync> Shared<[T]> {
    /// Makes `length` elements, all bytes zero, and has `fill` write them where they are to lie: there is no further copy.
    ///
    /// ```
    /// let squares = xfork::Shared::new_with(10_000, |elements: &mut [u64]| {
    ///     for (n, element) in elements.iter_mut().enumerate() {
    ///         *element = (n * n) as u64;
    ///     }
    /// });
    /// assert_eq!(squares[100], 10_000);
    /// ```
    ///
    /// # Panics
    ///
    /// When `fill` does, and when so many elements are more bytes than can be addressed.
    pub fn new_with(length: usize, fill: impl FnOnce(&mut [T])) -> Self {
        const { fits::<T>() };
        let bytes = length.checked_mul(size_of::<T>()).filter(|bytes| isize::try_from(*bytes).is_ok());
        let bytes = bytes.expect("so many elements can't be addressed");
        Self::of(Memory::filled(bytes, |bytes| fill(bytemuck::cast_slice_mut(bytes))))
    }
}

impl<T: ?Sized> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: ?Sized> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: ?Sized> AsRef<T> for Shared<T> {
    fn as_ref(&self) -> &T {
        self
    }
}

impl<T: ?Sized> Borrow<T> for Shared<T> {
    fn borrow(&self) -> &T {
        self
    }
}

impl<T: AnyBitPattern + NoUninit + Send + Sync> From<Vec<T>> for Shared<[T]> {
    fn from(data: Vec<T>) -> Self {
        Self::copy_of(&data)
    }
}

impl<T: AnyBitPattern + NoUninit + Send + Sync> From<&[T]> for Shared<[T]> {
    fn from(data: &[T]) -> Self {
        Self::copy_of(data)
    }
}

impl<T: AnyBitPattern + NoUninit + Send + Sync, const N: usize> From<[T; N]> for Shared<[T]> {
    fn from(data: [T; N]) -> Self {
        Self::copy_of(&data)
    }
}

impl<T: AnyBitPattern + NoUninit + Send + Sync> FromIterator<T> for Shared<[T]> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        Self::from(elements.into_iter().collect::<Vec<_>>())
    }
}

impl From<&str> for Shared<str> {
    fn from(data: &str) -> Self {
        Self::copy_of(data)
    }
}

impl From<String> for Shared<str> {
    fn from(data: String) -> Self {
        Self::copy_of(&data)
    }
}

impl<'a, T> IntoIterator for &'a Shared<[T]> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: fmt::Debug + ?Sized> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: fmt::Display + ?Sized> fmt::Display for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: PartialEq + ?Sized> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Eq + ?Sized> Eq for Shared<T> {}

impl<T: PartialOrd + ?Sized> PartialOrd for Shared<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (**self).partial_cmp(&**other)
    }
}

impl<T: Ord + ?Sized> Ord for Shared<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl<T: Hash + ?Sized> Hash for Shared<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl<T: Serialize + ?Sized> Serialize for Shared<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A text format inside an argument is the user's, who may read it anywhere.
        if !serializer.is_human_readable()
            && let Some(number) = parcel::pack(self.0.held())
        {
            return serializer.serialize_u32(number);
        }
        (**self).serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Shared<T>
where
    T: Plain + ToOwned + ?Sized,
    T::Owned: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() || !parcel::is_unpacking() {
            return Ok(Self::copy_of(T::Owned::deserialize(deserializer)?.borrow()));
        }
        let held = parcel::unpack(u32::deserialize(deserializer)?);
        let held = held.ok_or_else(|| D::Error::custom("there is no such shared memory"))?;
        let view = View::new(held, T::see);
        view.map(Self).ok_or_else(|| D::Error::custom("the shared memory holds something else"))
    }
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;
    use crate::ground::memory::SMALL;
    use crate::ground::wire::parcel::Parcel;

    #[test]
    fn what_is_shared_reads_as_it_was_given() {
        for length in [0, 1, 1000, SMALL] {
            let numbers: Vec<u16> = (0..length).map(|n| n as u16).collect();
            let shared = Shared::from(numbers.clone());
            assert_eq!(*shared, numbers[..]);
            assert_eq!(shared, Shared::new_with(length, |to: &mut [u16]| to.copy_from_slice(&numbers)));
            assert_eq!(shared, numbers.iter().copied().collect());
            assert_eq!(format!("{shared:?}"), format!("{numbers:?}"));
        }
        assert_eq!(Shared::<str>::from("ß").to_string(), "ß");
        assert_eq!(*Shared::new([1.5_f64; 5000]), [1.5; 5000]);
    }

    type Value = (Shared<[u32]>, Vec<Option<Shared<[u32]>>>, String);

    #[test]
    fn a_parcel_mentions_what_every_other_format_writes_out() {
        let shared: Shared<[u32]> = Shared::from(vec![7; SMALL]);
        let value: Value = (shared.clone(), vec![Some(shared.clone()), None], "text".to_string());
        let mut parcel = Parcel::default();
        parcel.put(&value).unwrap();
        assert!(parcel.bytes.len() < 20, "{} bytes", parcel.bytes.len());
        let back: Value = parcel.reader().take().unwrap();
        assert_eq!(back, value);
        assert!(Shared::is_same(&back.0, &shared) && Shared::is_same(back.1[0].as_ref().unwrap(), &shared));
        let json = serde_json::to_string(&value).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), value);
        let plain = postcard::to_allocvec(&shared).unwrap();
        assert_eq!(plain, postcard::to_allocvec(&vec![7_u32; SMALL]).unwrap());
        assert_eq!(postcard::from_bytes::<Shared<[u32]>>(&plain).unwrap(), shared);
    }

    #[test]
    fn what_is_mentioned_and_of_another_shape_is_an_error() {
        let mut parcel = Parcel::default();
        parcel.put(&Shared::<[u8]>::from(vec![0xff; 9])).unwrap();
        assert!(parcel.reader().take::<Shared<[u8]>>().is_ok());
        assert!(parcel.reader().take::<Shared<str>>().is_err(), "no UTF-8");
        assert!(parcel.reader().take::<Shared<[u16]>>().is_err(), "nine bytes");
        assert!(parcel.reader().take::<Shared<u64>>().is_err());
        let nothing = Parcel::new(parcel.bytes.clone(), Vec::new());
        assert!(nothing.reader().take::<Shared<[u8]>>().is_err());
    }
}
