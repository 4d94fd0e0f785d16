//! Results that are kept for a later process: how they are written down, and how it is noticed that their
//! type has changed since.
//!
//! Owns the bytes of a kept result: 8 of its shape, then the value as it travels between processes. That format
//! says nothing of types, so a struct whose fields have been swapped since would read the old bytes as another
//! value. Promises: a value is read with the [`shape`] that was written, or refused. So an error is, wherever in
//! the value it stands: a field that was added, removed, renamed, moved or given a type of another kind; a variant
//! that was renamed, moved or is filled differently; a struct or enum of another name; a tuple of another length.
//! A value that is read by the type that wrote it is not refused, whatever is in it, in whatever order a map or set
//! gives its elements, and whatever serde is told to skip. One is: a value that its `Deserialize` replaces by one of
//! another variant or kind, if the process that made it has saved it.
//!
//! Leaves out what serde doesn't see: the name of the result's own type (the caller compares it), newtypes that are
//! transparent, types that are written alike (a `Vec` and a set, `u64` and `usize`), what a number is measured in,
//! and what the task computes. Nor is anything known of what the value doesn't have, as the elements of an empty list
//! or variants that are not in it: no bytes of these can be read wrongly, so a variant may be added at the end.

mod failure;
mod notes;
mod shape;

use crate::args::Portable;
use crate::ground::wire::{codec, parcel};

/// What is said of bytes that another build of the type has written.
const CHANGED: &str = "the type is built differently now than when this was saved (fields or variants were added, removed, \
                       renamed or moved, in it or in a type within it)";
const REMEDY: &str = "to read what was saved, build it as it was then";

/// How a result is written down for a later process, and read there.
#[doc(hidden)]
#[derive(Debug)]
pub struct Codec<T> {
    pub(crate) encode: fn(&T) -> Result<Vec<u8>, String>,
    /// What `encode` gives, of a value that is encoded for this process already and mentions nothing.
    pub(crate) adopt: fn(&[u8]) -> Result<Vec<u8>, String>,
    pub(crate) decode: fn(&[u8]) -> Result<T, String>,
    /// Whether the result is an `Err`.
    pub(crate) is_err: fn(&T) -> bool,
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
        Self { encode, adopt: adopt::<T>, decode, is_err: failure::is_err }
    }
}

impl<T: Portable> Default for Codec<T> {
    fn default() -> Self {
        Self::new()
    }
}

fn encode<T: Portable>(value: &T) -> Result<Vec<u8>, String> {
    // Outside a parcel all of it is written, shared memory, too.
    let _aside = parcel::aside();
    // The shape comes last: what can't be encoded has none, and the words about that are the codec's.
    let mut bytes = vec![0; size_of::<u64>()];
    codec::encode(value, &mut bytes).map_err(|error| error.to_string())?;
    bytes[..size_of::<u64>()].copy_from_slice(&shape_of(value)?.to_le_bytes());
    Ok(bytes)
}

fn adopt<T: Portable>(encoded: &[u8]) -> Result<Vec<u8>, String> {
    let _aside = parcel::aside();
    // Only a value has a shape.
    let shape = if codec::is_plain::<T>() { PLAIN } else { shape_of(&whole::<T>(encoded)?)? };
    Ok([&shape.to_le_bytes(), encoded].concat())
}

fn decode<T: Portable>(bytes: &[u8]) -> Result<T, String> {
    let _aside = parcel::aside();
    let (shape, encoded) = bytes.split_first_chunk().ok_or("the data ends before the value begins")?;
    // What is stored has a checksum, so bytes that don't fit are those of another type.
    let value = whole(encoded)
        .map_err(|error| format!("{CHANGED}, or its `Deserialize` fails: {error}; {REMEDY}"))?;
    if shape_of(&value)? == u64::from_le_bytes(*shape) {
        Ok(value)
    } else {
        Err(format!("{CHANGED}; {REMEDY}"))
    }
}

/// The value whose encoding this is, to the last byte.
fn whole<T: Portable>(mut encoded: &[u8]) -> Result<T, String> {
    let value = codec::decode(&mut encoded).map_err(|error| error.to_string())?;
    if encoded.is_empty() { Ok(value) } else { Err(format!("{} bytes are left over", encoded.len())) }
}

/// The shape of a text or a vector of plain numbers: its type's name, which is compared elsewhere, says all of it.
const PLAIN: u64 = 0;

fn shape_of<T: Portable>(value: &T) -> Result<u64, String> {
    if codec::is_plain::<T>() { Ok(PLAIN) } else { shape::of(value) }
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;
    use crate::shared::Shared;
    use serde::{Deserialize, Serialize};
    use std::fmt::Debug;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Point {
        x: f64,
        y: f64,
    }

    /// As if `Point` had been built differently.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename = "Point")]
    struct Swapped {
        y: f64,
        x: f64,
    }

    fn there_and_back<T: Portable + PartialEq + Debug>(value: T) {
        let codec = Codec::<T>::new();
        let bytes = (codec.encode)(&value).unwrap();
        assert_eq!((codec.decode)(&bytes).unwrap(), value);
        assert_eq!((codec.adopt)(&bytes[8..]).unwrap(), bytes);
        for length in 0..bytes.len() {
            assert!((codec.decode)(&bytes[..length]).is_err(), "{length} bytes of {value:?}");
        }
        assert!((codec.decode)(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn what_was_written_is_read() {
        there_and_back(5_i64);
        there_and_back(vec![1.5_f64; 100]);
        there_and_back("text".to_string());
        there_and_back(vec![Point { x: 1.0, y: 2.0 }; 3]);
        there_and_back((Shared::from(vec![1_u16; 300]), None::<Point>));
    }

    #[test]
    fn what_another_build_of_the_type_wrote_is_refused() {
        let bytes = (Codec::<Vec<Point>>::new().encode)(&vec![Point { x: 1.0, y: 2.0 }]).unwrap();
        let read: Vec<Swapped> = codec::decode(&mut &bytes[8..]).unwrap();
        assert_eq!(read, [Swapped { x: 2.0, y: 1.0 }], "the format lets it pass");
        let error = (Codec::<Vec<Swapped>>::new().decode)(&bytes).unwrap_err();
        assert!(error.contains("built differently") && error.contains("moved"), "{error}");
        let error = (Codec::<Vec<(u8, String)>>::new().decode)(&bytes).unwrap_err();
        assert!(error.contains("built differently"), "{error}");
        // No part of it is there.
        let none = (Codec::<Vec<Point>>::new().encode)(&Vec::new()).unwrap();
        assert_eq!((Codec::<Vec<Swapped>>::new().decode)(&none).unwrap(), []);
    }
}
