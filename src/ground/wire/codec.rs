//! Values to bytes and back: postcard, with texts and vectors of plain numbers copied as memory.
//!
//! Owns the format of arguments and results. Encodings of several values stand one after the other, so that an
//! already encoded value can be put between freshly encoded ones without being decoded. Promises that hostile
//! bytes give an error, never undefined behaviour or an allocation much larger than the input.

use super::blob::{self, Blob, NoMemory};
use super::bounded::{Bounded, Bounds};
use bytemuck::Pod;
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
// These types and texts are therefore recognised before serde is asked; on the wire they are a length and raw memory, which
// both sides read alike because they are the same binary on the same machine. Large ones become blobs, and a length
// that none has says so.
const IN_A_BLOB: u64 = u64::MAX;

macro_rules! plain_vectors {
    ($($element:ty),*) => {
        /// Whether the type is a text or one of them, which is known when this is compiled.
        #[inline]
        pub(crate) fn is_plain<T: 'static>() -> bool {
            TypeId::of::<T>() == TypeId::of::<String>() $(|| TypeId::of::<T>() == TypeId::of::<Vec<$element>>())*
        }

        /// The blob that a value becomes, if it is large enough and plain.
        fn as_blob(value: &dyn Any) -> Option<Result<Blob, CodecError>> {
            if let Some(text) = value.downcast_ref::<String>() {
                return copied(text.as_bytes());
            }
            $(if let Some(vector) = value.downcast_ref::<Vec<$element>>() {
                return copied(vector);
            })*
            None
        }

        /// As [`as_blob`], with the memory of the value, of which nothing is left.
        fn into_blob(value: &mut dyn Any) -> Option<Blob> {
            if let Some(text) = value.downcast_mut::<String>() {
                return is_large(text.as_bytes()).then(|| Blob::of(std::mem::take(text).into_bytes()))?;
            }
            $(if let Some(vector) = value.downcast_mut::<Vec<$element>>() {
                return is_large(vector).then(|| Blob::of(std::mem::take(vector)))?;
            })*
            None
        }

        fn encode_plain(value: &dyn Any, out: &mut Vec<u8>) -> Option<Result<(), CodecError>> {
            if let Some(text) = value.downcast_ref::<String>() {
                return Some(append(text.len(), text.as_bytes(), out));
            }
            $(if let Some(vector) = value.downcast_ref::<Vec<$element>>() {
                return Some(append(vector.len(), bytemuck::cast_slice(vector), out));
            })*
            None
        }

        fn decode_plain<T: 'static>(
            input: &mut &[u8],
            blob: &mut Option<Arc<Blob>>,
        ) -> Option<Result<T, CodecError>> {
            if let Some(made) = text::<T>(input, blob) {
                return Some(made);
            }
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

/// A copy of elements that are enough for a blob.
fn copied<E: Pod>(elements: &[E]) -> Option<Result<Blob, CodecError>> {
    if !is_large(elements) {
        return None;
    }
    match blob::copy(elements) {
        Ok(copy) => Blob::of(copy).map(Ok),
        Err(NoMemory) => Some(Err(no_memory())),
    }
}

fn append(length: usize, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
    out.try_reserve(size_of::<u64>() + bytes.len()).map_err(|_| no_memory())?;
    out.extend_from_slice(&(length as u64).to_le_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

/// Elements as they came.
enum Elements<'a, E> {
    Here(&'a [u8]),
    Moved(Vec<E>),
}

/// The elements at the front of `input`, or in the blob that it mentions.
fn elements<'a, E: Pod>(
    input: &mut &'a [u8],
    blob: &mut Option<Arc<Blob>>,
) -> Result<Elements<'a, E>, CodecError> {
    let short = || CodecError("the data ends before the vector does".into());
    let (length, rest) = input.split_first_chunk().ok_or_else(short)?;
    if *length == IN_A_BLOB.to_le_bytes() {
        *input = rest;
        let absent = || CodecError("a vector of such numbers is not beside the data".into());
        let own = Arc::try_unwrap(blob.take().ok_or_else(absent)?).or_else(|shared| shared.copy());
        let own = own.map_err(|NoMemory| no_memory())?;
        return own.into_vector().map(Elements::Moved).ok_or_else(absent);
    }
    let count = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| short())?;
    let bytes = count.checked_mul(size_of::<E>()).ok_or_else(short)?;
    let (bytes, rest) = rest.split_at_checked(bytes).ok_or_else(short)?;
    *input = rest;
    Ok(Elements::Here(bytes))
}

fn plain<T: 'static, E: Pod>(
    input: &mut &[u8],
    blob: &mut Option<Arc<Blob>>,
) -> Option<Result<T, CodecError>> {
    let mut place: Option<T> = None;
    let slot = (&mut place as &mut dyn Any).downcast_mut::<Option<Vec<E>>>()?;
    *slot = Some(match elements(input, blob) {
        Ok(Elements::Moved(vector)) => vector,
        Ok(Elements::Here(bytes)) => bytemuck::pod_collect_to_vec(bytes),
        Err(error) => return Some(Err(error)),
    });
    place.map(Ok)
}

fn text<T: 'static>(input: &mut &[u8], blob: &mut Option<Arc<Blob>>) -> Option<Result<T, CodecError>> {
    let mut place: Option<T> = None;
    let slot = (&mut place as &mut dyn Any).downcast_mut::<Option<String>>()?;
    let invalid = |error: &dyn fmt::Display| CodecError(error.to_string());
    let made = elements::<u8>(input, blob).and_then(|elements| match elements {
        Elements::Moved(bytes) => String::from_utf8(bytes).map_err(|error| invalid(&error.utf8_error())),
        Elements::Here(bytes) => {
            std::str::from_utf8(bytes).map(str::to_owned).map_err(|error| invalid(&error))
        }
    });
    *slot = match made {
        Ok(text) => Some(text),
        Err(error) => return Some(Err(error)),
    };
    place.map(Ok)
}

/// Appends the encoding of `value`.
pub(crate) fn encode<T: Serialize + 'static>(value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
    if is_plain::<T>()
        && let Some(encoded) = encode_plain(value, out)
    {
        return encoded;
    }
    postcard::serialize_with_flavor(value, Appender(out)).map_err(|error| match error {
        // Of the appender; postcard itself says so of buffers only.
        postcard::Error::SerializeBufferFull => no_memory(),
        error => CodecError(error.to_string()),
    })
}

fn no_memory() -> CodecError {
    CodecError("there is no memory for its bytes".into())
}

/// As [`encode`], but what is large and plain is copied into a blob, which is to travel along.
pub(super) fn encode_beside<T: Serialize + 'static>(
    value: &T,
    out: &mut Vec<u8>,
) -> Result<Option<Blob>, CodecError> {
    match is_plain::<T>().then(|| as_blob(value)).flatten() {
        Some(blob) => Ok(Some(mention(blob?, out))),
        None => encode(value, out).map(|()| None),
    }
}

/// As [`encode_beside`], but what is large and plain is moved into the blob: nothing is left of it in the value.
pub(super) fn encode_moving<T: Serialize + 'static>(
    value: &mut T,
    out: &mut Vec<u8>,
) -> Result<Option<Blob>, CodecError> {
    match is_plain::<T>().then(|| into_blob(value)).flatten() {
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
    if is_plain::<T>()
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
        self.0.try_reserve(1).map_err(|_| postcard::Error::SerializeBufferFull)?;
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.try_reserve(bytes.len()).map_err(|_| postcard::Error::SerializeBufferFull)?;
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

#[cfg(all(test, not(xfork_loom)))]
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
        there_and_back(String::new());
        there_and_back((Some('ß'), i128::MIN, [1u8; 3], vec![Some(1.5f32)]));
    }

    /// faults.md, row 36: "bad UTF-8: Decode error".
    #[test]
    fn a_text_that_is_none_is_an_error_beside_the_data_as_well() {
        let mut bytes = Vec::new();
        encode(&"a ü".to_string(), &mut bytes).unwrap();
        for length in 0..bytes.len() {
            assert!(decode::<String>(&mut &bytes[..length]).is_err(), "{length} bytes");
        }
        let end = bytes.len() - 1;
        bytes[end] = b'x';
        let error = decode::<String>(&mut &bytes[..]).unwrap_err();
        assert!(error.to_string().contains("invalid utf-8"), "{error}");
        let mention = IN_A_BLOB.to_le_bytes();
        let beside = |blob| decode_beside::<String>(&mut &mention[..], blob);
        let blob = |bytes: &[u8]| Some(Arc::new(Blob::of(bytes.to_vec()).unwrap()));
        assert_eq!(beside(blob("a ü".as_bytes())).unwrap(), "a ü");
        assert!(beside(blob(b"a \xfc")).unwrap_err().to_string().contains("invalid utf-8"));
        assert!(beside(None).is_err());
        assert!(beside(Some(Arc::new(Blob::of(vec![0_u16]).unwrap()))).is_err(), "other elements");
    }

    #[test]
    fn a_large_text_is_moved_and_a_copy_of_it_is_made_where_it_is_still_needed() {
        let text = "ü".repeat(blob::LEAST);
        let (mut copy, mut bytes) = (text.clone(), Vec::new());
        let address = copy.as_ptr();
        let moved = encode_moving(&mut copy, &mut bytes).unwrap().unwrap();
        assert!(copy.is_empty() && moved.bytes().as_ptr() == address && bytes == IN_A_BLOB.to_le_bytes());
        assert_eq!(encode_beside(&text, &mut Vec::new()).unwrap().unwrap().bytes(), text.as_bytes());
        let back = decode_beside::<String>(&mut &bytes[..], Some(Arc::new(moved))).unwrap();
        assert!(back == text && back.as_ptr() == address);
        assert!(encode_beside(&"short".to_string(), &mut Vec::new()).unwrap().is_none());
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
            let _ = decode::<String>(&mut &bytes[..]);
        }
    }
}
