//! Values to bytes and back: postcard, with vectors of plain numbers copied as memory.
//!
//! Owns the format of arguments and results. Encodings of several values stand one after the other, so that an
//! already encoded value can be put between freshly encoded ones without being decoded. Promises that hostile
//! bytes give an error, never undefined behaviour or an allocation much larger than the input.

use super::blob::{self, Blob};
use super::bounded::{Bounded, Bounds};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;

/// Why a value could not be encoded or decoded; a fragment such as "invalid utf-8".
#[derive(Debug)]
pub(crate) struct CodecError(String);

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// No serde format moves an owned vector of numbers faster than element by element, since serde sees a sequence.
// These types are therefore recognised before serde is asked; on the wire they are a length and raw memory, which
// both sides read alike because they are the same binary on the same machine. Large ones become blobs, and a length
// that no vector has says so.
const IN_A_BLOB: u64 = u64::MAX;

macro_rules! plain_vectors {
    ($($element:ty),*) => {
        /// Whether the type is one of them, which is known when this is compiled.
        #[inline]
        fn is_plain_vector<T: 'static>() -> bool {
            $(TypeId::of::<T>() == TypeId::of::<Vec<$element>>())||*
        }

        /// The blob that a value becomes, if it is large enough and plain.
        fn as_blob(value: &dyn Any) -> Option<Blob> {
            $(if let Some(vector) = value.downcast_ref::<Vec<$element>>() {
                return is_large(vector).then(|| Blob::of(vector.clone()))?;
            })*
            None
        }

        /// As [`as_blob`], with the memory of the value, of which nothing is left.
        fn into_blob(value: &mut dyn Any) -> Option<Blob> {
            $(if let Some(vector) = value.downcast_mut::<Vec<$element>>() {
                return is_large(vector).then(|| Blob::of(std::mem::take(vector)))?;
            })*
            None
        }

        fn encode_plain(value: &dyn Any, out: &mut Vec<u8>) -> bool {
            $(if let Some(vector) = value.downcast_ref::<Vec<$element>>() {
                out.extend_from_slice(&(vector.len() as u64).to_le_bytes());
                out.extend_from_slice(bytemuck::cast_slice(vector));
                return true;
            })*
            false
        }

        fn decode_plain<T: 'static>(
            input: &mut &[u8],
            blob: &mut Option<Arc<Blob>>,
        ) -> Option<Result<T, CodecError>> {
            $(if let Some(made) = plain::<T, $element>(input, blob) {
                return Some(made);
            })*
            None
        }
    };
}

plain_vectors!(u8, i8, u16, i16, u32, i32, u64, i64, u128, i128, usize, isize, f32, f64);

/// Whether this is a number, or as simple as one: no code of the user has a part in encoding it, and it mentions nothing.
#[inline]
pub(crate) fn is_number<T: 'static>() -> bool {
    macro_rules! is {
        ($($number:ty)*) => { $(TypeId::of::<T>() == TypeId::of::<$number>())||* };
    }
    is!(() bool char u8 i8 u16 i16 u32 i32 u64 i64 u128 i128 usize isize f32 f64)
}

fn is_large<E>(vector: &[E]) -> bool {
    size_of_val(vector) >= blob::LEAST
}

fn plain<T: 'static, E: bytemuck::Pod>(
    input: &mut &[u8],
    blob: &mut Option<Arc<Blob>>,
) -> Option<Result<T, CodecError>> {
    let mut place: Option<T> = None;
    let slot = (&mut place as &mut dyn Any).downcast_mut::<Option<Vec<E>>>()?;
    if let Some((length, rest)) = input.split_first_chunk()
        && *length == IN_A_BLOB.to_le_bytes()
    {
        let Some(vector) = blob.take().and_then(|blob| Arc::unwrap_or_clone(blob).into_vector()) else {
            return Some(Err(CodecError("a vector of such numbers is not beside the data".into())));
        };
        *slot = Some(vector);
        *input = rest;
        return place.map(Ok);
    }
    let read = || {
        let (length, rest) = input.split_first_chunk::<8>()?;
        let bytes = usize::try_from(u64::from_le_bytes(*length)).ok()?.checked_mul(size_of::<E>())?;
        rest.split_at_checked(bytes)
    };
    let Some((bytes, rest)) = read() else {
        return Some(Err(CodecError("the data ends before the vector does".into())));
    };
    *slot = Some(bytemuck::pod_collect_to_vec(bytes));
    *input = rest;
    place.map(Ok)
}

/// Appends the encoding of `value`.
pub(crate) fn encode<T: Serialize + 'static>(value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
    if is_plain_vector::<T>() && encode_plain(value, out) {
        return Ok(());
    }
    postcard::serialize_with_flavor(value, Appender(out)).map_err(|error| CodecError(error.to_string()))
}

/// As [`encode`], but what is large and plain is copied into a blob, which is to travel along.
pub(super) fn encode_beside<T: Serialize + 'static>(
    value: &T,
    out: &mut Vec<u8>,
) -> Result<Option<Blob>, CodecError> {
    match is_plain_vector::<T>().then(|| as_blob(value)).flatten() {
        Some(blob) => Ok(Some(mention(blob, out))),
        None => encode(value, out).map(|()| None),
    }
}

/// As [`encode_beside`], but what is large and plain is moved into the blob: nothing is left of it in the value.
pub(super) fn encode_moving<T: Serialize + 'static>(
    value: &mut T,
    out: &mut Vec<u8>,
) -> Result<Option<Blob>, CodecError> {
    match is_plain_vector::<T>().then(|| into_blob(value)).flatten() {
        Some(blob) => Ok(Some(mention(blob, out))),
        None => encode(value, out).map(|()| None),
    }
}

fn mention(blob: Blob, out: &mut Vec<u8>) -> Blob {
    out.extend_from_slice(&IN_A_BLOB.to_le_bytes());
    blob
}

/// Takes one value from the front of `input`.
pub(crate) fn decode<T: DeserializeOwned + 'static>(input: &mut &[u8]) -> Result<T, CodecError> {
    decode_beside(input, None)
}

/// As [`decode`]; `blob` is what has travelled along, which becomes the value without a copy if nobody else holds it.
pub(super) fn decode_beside<T: DeserializeOwned + 'static>(
    input: &mut &[u8],
    mut blob: Option<Arc<Blob>>,
) -> Result<T, CodecError> {
    if is_plain_vector::<T>()
        && let Some(made) = decode_plain(input, &mut blob)
    {
        return made;
    }
    let bounds = Bounds::new(input.len());
    let mut inner = postcard::Deserializer::from_bytes(input);
    let read = T::deserialize(Bounded { inner: &mut inner, bounds: &bounds });
    let read = read.and_then(|value| Ok((value, inner.finalize()?)));
    let (value, rest) = read.map_err(|error| {
        CodecError(bounds.exceeded().map_or_else(|| error.to_string(), |what| what.to_string()))
    })?;
    *input = rest;
    Ok(value)
}

struct Appender<'a>(&'a mut Vec<u8>);

impl postcard::ser_flavors::Flavor for Appender<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn there_and_back<T: Serialize + DeserializeOwned + PartialEq + fmt::Debug + 'static>(value: T) {
        let mut bytes = Vec::new();
        encode(&value, &mut bytes).unwrap();
        bytes.push(7);
        let mut input = &bytes[..];
        assert_eq!(decode::<T>(&mut input).unwrap(), value);
        assert_eq!(input, [7], "exactly the value's bytes are taken");
    }

    #[test]
    fn values_come_back_equal_and_leave_what_follows() {
        there_and_back(vec![1u8, 2, 3]);
        there_and_back(Vec::<f64>::new());
        there_and_back(vec![f64::MIN, -0.0, f64::INFINITY]);
        there_and_back(vec![u128::MAX]);
        there_and_back("text with ü".to_string());
        there_and_back((Some('ß'), i128::MIN, [1u8; 3], vec![Some(1.5f32)]));
    }

    #[test]
    fn an_error_of_the_users_serialize_keeps_its_words() {
        struct Refuses;
        impl Serialize for Refuses {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("no"))
            }
        }
        assert!(encode(&Refuses, &mut Vec::new()).is_err());
    }

    /// faults.md, row 36: "Vec<()> with length 2^63, deep nesting 10^6: Decode error, bounded time, memory and stack".
    #[test]
    fn what_claims_to_be_endless_or_nests_too_deep_is_an_error() {
        #[derive(Debug, Serialize, serde::Deserialize, PartialEq)]
        enum List {
            End,
            More(Box<List>),
        }
        there_and_back(vec![(); 1_000_000]);
        there_and_back(List::More(Box::new(List::More(Box::new(List::End)))));
        let endless = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01];
        let error = decode::<Vec<()>>(&mut &endless[..]).unwrap_err();
        assert!(error.to_string().contains("more elements"), "{error}");
        assert!(decode::<Vec<Vec<()>>>(&mut &[&[2][..], &endless].concat()[..]).is_err());
        let deep = vec![1; 10_000_000];
        for size in [1 << 20, 64 << 20] {
            std::thread::scope(|scope| {
                let decode = || decode::<List>(&mut &deep[..]).unwrap_err();
                let thread =
                    std::thread::Builder::new().stack_size(size).spawn_scoped(scope, decode).unwrap();
                let error = thread.join().unwrap();
                assert!(error.to_string().contains("deeper than the stack"), "{error}");
            });
        }
    }

    proptest! {
        #[test]
        fn hostile_bytes_are_an_error_or_a_value_but_never_a_panic(bytes: Vec<u8>) {
            let _ = decode::<Vec<u64>>(&mut &bytes[..]);
            let _ = decode::<(String, Vec<Option<bool>>)>(&mut &bytes[..]);
            let _ = decode::<Vec<u8>>(&mut &bytes[..]);
        }
    }
}
