//! Results that are kept for a later process: how they are written down, and for which functions that is known.

use crate::args::Portable;
use crate::ground::wire::{codec, parcel};
use std::marker::PhantomData;

/// How a result is written down for a later process, and read there.
#[doc(hidden)]
#[derive(Debug)]
pub struct Codec<T> {
    pub(crate) encode: fn(&T) -> Result<Vec<u8>, String>,
    pub(crate) decode: fn(&[u8]) -> Result<T, String>,
}

impl<T> Clone for Codec<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Codec<T> {}

impl<T: Portable> Codec<T> {
    #[doc(hidden)]
    pub fn new() -> Self {
        Self {
            encode: |value| {
                // Outside a parcel all of it is written, shared memory, too.
                let _aside = parcel::aside();
                let mut bytes = Vec::new();
                codec::encode(value, &mut bytes).map_err(|error| error.to_string())?;
                Ok(bytes)
            },
            decode: |mut bytes| {
                let _aside = parcel::aside();
                let value = codec::decode(&mut bytes).map_err(|error| error.to_string())?;
                if bytes.is_empty() { Ok(value) } else { Err(format!("{} bytes are left over", bytes.len())) }
            },
        }
    }
}

impl<T: Portable> Default for Codec<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// The result type of a marked function, which the mark asks whether it can be kept: `(&&Kept::<T>::new()).codec()` is the method
/// of [`IfPortable`] if `T` is portable, and else, one reference further in, that of [`IfNot`].
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct Kept<T>(PhantomData<fn() -> T>);

impl<T> Kept<T> {
    #[doc(hidden)]
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

#[doc(hidden)]
pub trait IfPortable<T> {
    fn codec(&self) -> Option<Codec<T>>;
}

impl<T: Portable> IfPortable<T> for &Kept<T> {
    fn codec(&self) -> Option<Codec<T>> {
        Some(Codec::new())
    }
}

#[doc(hidden)]
pub trait IfNot<T> {
    fn codec(&self) -> Option<Codec<T>>;
}

impl<T> IfNot<T> for Kept<T> {
    fn codec(&self) -> Option<Codec<T>> {
        None
    }
}
