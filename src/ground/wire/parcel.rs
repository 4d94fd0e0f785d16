//! Encoded values, and what they mention: held memory, and blobs.
//!
//! A value in shared memory is not in the bytes: what stands there is its number among the pieces of the value that it is part of.
//! A value that is a large text or vector of plain numbers is a blob, and nothing of it is in the bytes.
//! Owns that list, and how a value being encoded or decoded in this thread gets at it. Promises: a parcel keeps what it mentions
//! alive; encoded values can be put together without looking into them, and each finds its own pieces again. Leaves out which
//! pieces go to another process as a number and which as bytes: that is asked for ([`write_pieces`](Parcel::write_pieces),
//! [`read_pieces`]).

use super::blob::{self, Blob};
use super::codec::{self, CodecError};
use crate::ground::memory::{Held, HeldId, Memory};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Encoded values, one after the other, and what they mention.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parcel {
    pub(crate) bytes: Vec<u8>,
    pieces: Vec<Piece>,
    values: u32,
}

/// A place between two values.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    bytes: usize,
    pieces: usize,
    values: u32,
}

impl Mark {
    /// How many values are before it.
    pub(crate) fn values(self) -> u32 {
        self.values
    }
}

/// Something that a value mentions.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    /// The position of the value in the parcel.
    value: u32,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Held(Arc<Held>),
    Blob(Arc<Blob>),
}

impl Parcel {
    /// What came from another process.
    pub(crate) fn new(bytes: Vec<u8>, pieces: Vec<Piece>) -> Self {
        Self { bytes, pieces, values: 0 }
    }

    /// Appends a value.
    pub(crate) fn put<T: Serialize + 'static>(&mut self, value: &T) -> Result<(), CodecError> {
        if codec::is_number::<T>() {
            self.values += 1;
            return codec::encode(value, &mut self.bytes);
        }
        self.put_by(|bytes| codec::encode_beside(value, bytes))
    }

    /// Appends a value, of which nothing may be left: what is large and plain is moved.
    pub(crate) fn put_moving<T: Serialize + 'static>(&mut self, value: &mut T) -> Result<(), CodecError> {
        if codec::is_number::<T>() {
            return self.put(value);
        }
        self.put_by(|bytes| codec::encode_moving(value, bytes))
    }

    fn put_by(
        &mut self,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<Option<Blob>, CodecError>,
    ) -> Result<(), CodecError> {
        let open = Opened::new(Open::Packing { pieces: Vec::new(), known: BTreeMap::new() });
        let blob = encode(&mut self.bytes)?;
        let value = self.values;
        if let Some(Open::Packing { pieces, .. }) = open.close() {
            self.pieces.extend(pieces.into_iter().map(|held| Piece { value, what: What::Held(held) }));
        }
        self.pieces.extend(blob.map(|blob| Piece { value, what: What::Blob(Arc::new(blob)) }));
        self.values += 1;
        Ok(())
    }

    /// Appends the only value of another parcel.
    pub(crate) fn splice(&mut self, other: &Parcel) {
        self.bytes.extend_from_slice(&other.bytes);
        let value = self.values;
        let pieces = other.pieces.iter().filter(|piece| piece.value == 0);
        self.pieces.extend(pieces.map(|piece| Piece { value, what: piece.what.clone() }));
        self.values += 1;
    }

    /// Appends all of another parcel; this one has no values.
    pub(crate) fn append(&mut self, other: &Parcel) {
        self.bytes.extend_from_slice(&other.bytes);
        self.pieces.extend(other.pieces.iter().cloned());
    }

    /// The values whose bytes begin there, with all pieces.
    pub(crate) fn tail(&self, begin: usize) -> Self {
        Self { bytes: self.bytes[begin..].to_vec(), pieces: self.pieces.clone(), values: self.values }
    }

    /// The same values, in a message that `write` makes of their bytes.
    pub(crate) fn framed(self, write: impl FnOnce(&[u8], &mut Vec<u8>)) -> Self {
        let mut bytes = Vec::with_capacity(self.bytes.len() + 64);
        write(&self.bytes, &mut bytes);
        Self { bytes, ..self }
    }

    /// Where the next value will stand.
    pub(crate) fn mark(&self) -> Mark {
        Mark { bytes: self.bytes.len(), pieces: self.pieces.len(), values: self.values }
    }

    /// Takes back what was appended since.
    pub(crate) fn take_back(&mut self, mark: Mark) {
        self.bytes.truncate(mark.bytes);
        self.pieces.truncate(mark.pieces);
        self.values = mark.values;
    }

    /// The bytes, and the pieces, which the parcel has no longer.
    pub(crate) fn parts(&mut self) -> (&[u8], Vec<Piece>) {
        (&self.bytes, std::mem::take(&mut self.pieces))
    }

    /// How many bytes it takes wherever nothing is lent.
    pub(crate) fn size(&self) -> u64 {
        self.bytes.len() as u64 + self.weight_of_pieces(|_| false)
    }

    /// Reads the values from the first on.
    /// The bytes, if nothing is beside them.
    pub(crate) fn plain_bytes(&self) -> Option<&[u8]> {
        self.pieces.is_empty().then_some(&self.bytes)
    }

    pub(crate) fn reader(&self) -> Reader<'_> {
        Reader { rest: &self.bytes, pieces: self.pieces.clone(), value: 0 }
    }

    /// The same, for the last time: blobs that nobody else holds become values without a copy.
    pub(crate) fn last_reader(&mut self) -> Reader<'_> {
        Reader { rest: &self.bytes, pieces: std::mem::take(&mut self.pieces), value: 0 }
    }

    /// What the values mention.
    #[cfg(all(test, not(xfork_loom)))]
    pub(crate) fn mentions(&self) -> impl Iterator<Item = &Arc<Held>> {
        self.pieces.iter().filter_map(|piece| match &piece.what {
            What::Held(held) => Some(held),
            What::Blob(_) => None,
        })
    }

    /// The blobs, in the order in which the list has them.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = &Arc<Blob>> {
        self.pieces.iter().filter_map(|piece| match &piece.what {
            What::Held(_) => None,
            What::Blob(blob) => Some(blob),
        })
    }

    /// How many bytes the list and the blobs take, if those that are `lent` go as a number.
    pub(crate) fn weight_of_pieces(&self, lent: impl Fn(&Held) -> bool) -> u64 {
        let bytes = |piece: &Piece| match &piece.what {
            What::Held(held) if lent(held) => 0,
            What::Held(held) => held.memory().bytes().len(),
            What::Blob(blob) => blob.bytes().len(),
        };
        self.pieces.iter().map(|piece| (PIECE + bytes(piece)) as u64).sum()
    }

    pub(crate) fn mentions_any(&self) -> bool {
        !self.pieces.is_empty()
    }

    /// Appends the list of pieces: those that `number` gives a number as that, the others as bytes. Blobs are to be written
    /// directly before the message that has the list.
    pub(crate) fn write_pieces(
        &self,
        mut number: impl FnMut(&Arc<Held>) -> Option<HeldId>,
        out: &mut Vec<u8>,
    ) {
        let mut blobs = 0_u64;
        for Piece { value, what } in &self.pieces {
            out.extend_from_slice(&value.to_le_bytes());
            let held = match what {
                What::Held(held) => held,
                What::Blob(_) => {
                    out.push(BY_BLOB);
                    out.extend_from_slice(&blobs.to_le_bytes());
                    blobs += 1;
                    continue;
                }
            };
            match number(held) {
                Some(HeldId(id)) => {
                    out.push(BY_NUMBER);
                    out.extend_from_slice(&id.to_le_bytes());
                }
                None => {
                    let bytes = held.memory().bytes();
                    out.push(BY_BYTES);
                    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
                    out.extend_from_slice(bytes);
                }
            }
        }
    }
}

/// What stands before the bytes of a piece: the position of its value, how it comes, and a number.
const PIECE: usize = 4 + 1 + 8;
const BY_NUMBER: u8 = 0;
const BY_BYTES: u8 = 1;
const BY_BLOB: u8 = 2;

/// Why a list of pieces can't be read.
#[derive(Debug, PartialEq)]
pub(crate) enum PieceError {
    Malformed,
    /// Nothing is known by this number.
    Unknown(HeldId),
    /// It mentions other blobs than came before it, or not each of them once and in order.
    Blobs,
}

/// What is known of the values of a message beside their bytes.
#[derive(Debug)]
pub(crate) struct Values {
    /// What they mention.
    pieces: Vec<Piece>,
    /// How many bytes of the message, or of what they mention, there was no memory for.
    lost: u64,
}

/// There is no memory for values of so many bytes.
#[derive(Debug)]
pub(crate) struct NoMemory {
    pub(crate) bytes: u64,
}

impl Values {
    /// Those of a message without a list; `lost` as of its frame.
    pub(crate) fn without_list(lost: u64) -> Self {
        Self { pieces: Vec::new(), lost }
    }

    /// Those of a message with this list; `lost` as of its frame, `find` and `blobs` as for [`read_pieces`].
    pub(crate) fn read(
        list: &[u8],
        blobs: Vec<Blob>,
        mut lost: u64,
        find: impl FnMut(HeldId) -> Option<Arc<Held>>,
    ) -> Result<Self, PieceError> {
        let pieces = read_pieces(list, blobs, find, |bytes| lost = lost.max(bytes))?;
        Ok(Self { pieces, lost })
    }

    /// Whether they mention nothing, as most, and are whole.
    pub(crate) fn are_plain(&self) -> bool {
        self.pieces.is_empty() && !self.are_lost()
    }

    /// Whether they are not whole.
    pub(crate) fn are_lost(&self) -> bool {
        self.lost > 0
    }

    /// The held memory that they mention.
    pub(crate) fn held(&self) -> impl Iterator<Item = &Piece> {
        self.pieces.iter().filter(|piece| matches!(piece.what, What::Held(_)))
    }

    /// A copy of them, given their bytes.
    pub(crate) fn copy(self, bytes: &[u8]) -> Result<Parcel, NoMemory> {
        if self.are_lost() {
            return Err(NoMemory { bytes: self.lost });
        }
        let copy = blob::copy(bytes).map_err(|_| NoMemory { bytes: bytes.len() as u64 })?;
        Ok(Parcel::new(copy, self.pieces))
    }
}

/// Reads a list of pieces to its end, whatever is unknown or too large; `find` knows what there is by number, `blobs` came before the
/// message, and `lacks` is told for how many bytes there is no memory.
fn read_pieces(
    mut list: &[u8],
    blobs: Vec<Blob>,
    mut find: impl FnMut(HeldId) -> Option<Arc<Held>>,
    mut lacks: impl FnMut(u64),
) -> Result<Vec<Piece>, PieceError> {
    let (mut pieces, mut unknown) = (Vec::new(), None);
    let mut blobs = (0..).zip(blobs);
    while !list.is_empty() {
        let (value, rest) = list.split_first_chunk().ok_or(PieceError::Malformed)?;
        let (&how, rest) = rest.split_first().ok_or(PieceError::Malformed)?;
        let (number, rest) = rest.split_first_chunk().ok_or(PieceError::Malformed)?;
        let number = u64::from_le_bytes(*number);
        let (held, rest) = match how {
            BY_BLOB => {
                let blob = blobs.next().filter(|(at, _)| *at == number).ok_or(PieceError::Blobs)?.1;
                let what = What::Blob(Arc::new(blob));
                pieces.push(Piece { value: u32::from_le_bytes(*value), what });
                list = rest;
                continue;
            }
            BY_NUMBER => (find(HeldId(number)), rest),
            BY_BYTES => {
                let length = usize::try_from(number).map_err(|_| PieceError::Malformed)?;
                let (bytes, rest) = rest.split_at_checked(length).ok_or(PieceError::Malformed)?;
                let Some(memory) = Memory::copy_of(bytes) else {
                    lacks(number);
                    list = rest;
                    continue;
                };
                (Some(Held::new(Arc::new(memory))), rest)
            }
            _ => return Err(PieceError::Malformed),
        };
        match held {
            Some(held) => pieces.push(Piece { value: u32::from_le_bytes(*value), what: What::Held(held) }),
            None => _ = unknown.get_or_insert(PieceError::Unknown(HeldId(number))),
        }
        list = rest;
    }
    if blobs.next().is_some() {
        return Err(PieceError::Blobs);
    }
    unknown.map_or(Ok(pieces), Err)
}

/// The values of a parcel that are still to be read.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    /// Of the values that have not been read.
    pieces: Vec<Piece>,
    value: u32,
}

impl<'a> Reader<'a> {
    /// Of those values whose positions are `values`; takes their pieces.
    pub(crate) fn of(rest: &'a [u8], values: Range<u32>, pieces: &mut Vec<Piece>) -> Self {
        let pieces = pieces.extract_if(.., |piece| values.contains(&piece.value)).collect();
        Self { rest, pieces, value: values.start }
    }

    /// The next value.
    pub(crate) fn take<T: DeserializeOwned + 'static>(&mut self) -> Result<T, CodecError> {
        let value = self.value;
        self.value += 1;
        if codec::is_number::<T>() {
            return codec::decode(&mut self.rest);
        }
        let (mut held, mut blob) = (Vec::new(), None);
        for piece in self.pieces.extract_if(.., |piece| piece.value == value) {
            match piece.what {
                What::Held(one) => held.push(one),
                What::Blob(one) => blob = Some(one),
            }
        }
        let _open = Opened::new(Open::Unpacking(held));
        codec::decode_beside(&mut self.rest, blob)
    }
}

/// The value that this thread is encoding or decoding for a task.
enum Open {
    Packing { pieces: Vec<Arc<Held>>, known: BTreeMap<HeldId, u32> },
    Unpacking(Vec<Arc<Held>>),
}

thread_local! {
    static OPEN: RefCell<Option<Open>> = const { RefCell::new(None) };
}

/// Puts back what was open before.
struct Opened(Option<Open>);

impl Opened {
    fn new(open: impl Into<Option<Open>>) -> Self {
        Self(swap(open.into()))
    }

    fn close(mut self) -> Option<Open> {
        let before = self.0.take();
        std::mem::forget(self);
        swap(before)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // Dropped when the cell is not borrowed any more: letting go of memory may do a lot.
        drop(swap(self.0.take()));
    }
}

fn swap(open: Option<Open>) -> Option<Open> {
    OPEN.try_with(|cell| cell.replace(open)).ok().flatten()
}

/// While it lives, what is encoded in this thread is not part of any task: code of a task runs, which may be called in the middle of an
/// encoding that waits.
pub(crate) struct Aside(#[expect(dead_code, reason = "puts back what was open when dropped")] Opened);

pub(crate) fn aside() -> Aside {
    Aside(Opened::new(None))
}

/// Adds a piece to the value that is being encoded for a task, and gives its number there; `None` if none is.
pub(crate) fn pack(held: &Arc<Held>) -> Option<u32> {
    OPEN.try_with(|open| match &mut *open.borrow_mut() {
        Some(Open::Packing { pieces, known }) => Some(*known.entry(held.id()).or_insert_with(|| {
            pieces.push(held.clone());
            (pieces.len() - 1) as u32
        })),
        _ => None,
    })
    .ok()
    .flatten()
}

/// Whether a value is being encoded for a task.
pub(crate) fn is_packing() -> bool {
    OPEN.try_with(|open| matches!(&*open.borrow(), Some(Open::Packing { .. }))).unwrap_or(false)
}

/// Whether a value is being decoded for a task.
pub(crate) fn is_unpacking() -> bool {
    OPEN.try_with(|open| matches!(&*open.borrow(), Some(Open::Unpacking(_)))).unwrap_or(false)
}

/// The piece that the value being decoded knows by this number.
pub(crate) fn unpack(number: u32) -> Option<Arc<Held>> {
    OPEN.try_with(|open| match &*open.borrow() {
        Some(Open::Unpacking(pieces)) => pieces.get(number as usize).cloned(),
        _ => None,
    })
    .ok()
    .flatten()
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn held(bytes: &[u8]) -> Arc<Held> {
        Held::new(Arc::new(Memory::copy_of(bytes).unwrap()))
    }

    /// As a value in shared memory does it.
    #[derive(Debug)]
    struct Mentioned(Arc<Held>);

    impl Serialize for Mentioned {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            pack(&self.0).serialize(serializer)
        }
    }

    impl<'de> serde::Deserialize<'de> for Mentioned {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let number: Option<u32> = serde::Deserialize::deserialize(deserializer)?;
            let held = number.and_then(unpack);
            held.map(Mentioned).ok_or_else(|| serde::de::Error::custom("nothing by this number"))
        }
    }

    fn texts(values: &[Mentioned]) -> Vec<&[u8]> {
        values.iter().map(|value| value.0.memory().bytes()).collect()
    }

    #[test]
    fn each_value_of_a_parcel_finds_its_own_pieces() {
        let (one, two) = (held(b"one"), held(b"two"));
        let mut first = Parcel::default();
        first.put(&vec![Mentioned(two.clone())]).unwrap();
        let mut parcel = Parcel::default();
        parcel.put(&7_u64).unwrap();
        parcel.put(&vec![Mentioned(one.clone()), Mentioned(two.clone()), Mentioned(one.clone())]).unwrap();
        parcel.splice(&first);
        assert_eq!(parcel.mentions().count(), 3, "what is mentioned twice by a value is one piece");
        let mut list = Vec::new();
        parcel.write_pieces(|held| (held.id() == two.id()).then_some(two.id()), &mut list);
        let read = pieces_of(&list, Vec::new(), |id| (id == two.id()).then(|| two.clone())).unwrap();
        for parcel in [&parcel, &Parcel::new(parcel.bytes.clone(), read)] {
            let mut reader = parcel.reader();
            assert_eq!(reader.take::<u64>().unwrap(), 7);
            assert_eq!(texts(&reader.take::<Vec<Mentioned>>().unwrap()), [b"one", b"two", b"one"]);
            assert_eq!(texts(&reader.take::<Vec<Mentioned>>().unwrap()), [b"two"]);
            assert!(reader.take::<u64>().is_err());
        }
        assert_eq!(list.len() as u64, parcel.weight_of_pieces(|held| held.id() == two.id()));
        assert_eq!(pieces_of(&list, Vec::new(), |_| None).unwrap_err(), PieceError::Unknown(two.id()));
    }

    fn pieces_of(
        list: &[u8],
        blobs: Vec<Blob>,
        find: impl FnMut(HeldId) -> Option<Arc<Held>>,
    ) -> Result<Vec<Piece>, PieceError> {
        let values = Values::read(list, blobs, 0, find)?;
        assert!(!values.are_lost());
        Ok(values.pieces)
    }

    /// What the other process makes of a parcel.
    fn received(parcel: &Parcel) -> Result<Parcel, PieceError> {
        let mut list = Vec::new();
        parcel.write_pieces(|_| None, &mut list);
        let blobs = parcel.blobs().map(|blob| Blob::clone(blob)).collect();
        Ok(Parcel::new(parcel.bytes.clone(), pieces_of(&list, blobs, |_| None)?))
    }

    #[test]
    fn large_vectors_travel_as_blobs_and_others_in_the_bytes() {
        let large: Vec<f64> = (0..100_000).map(f64::from).collect();
        let (mut moved, mut small) = (large.clone(), vec![1_u16, 2]);
        let address = moved.as_ptr().addr();
        let mut parcel = Parcel::default();
        parcel.put(&large).unwrap();
        parcel.put_moving(&mut small).unwrap();
        parcel.put(&vec![Mentioned(held(b"one"))]).unwrap();
        parcel.put_moving(&mut moved).unwrap();
        assert!(moved.is_empty() && small == [1, 2]);
        assert_eq!((parcel.blobs().count(), parcel.bytes.len() < 100), (2, true));
        assert!(parcel.weight_of_pieces(|_| true) > 1_600_000);
        let mut other = received(&parcel).unwrap();
        let mut spliced = Parcel::default();
        let mut one = Parcel::default();
        one.put(&large).unwrap();
        spliced.put(&7_u8).unwrap();
        spliced.splice(&one);
        assert!(Arc::ptr_eq(spliced.blobs().next().unwrap(), one.blobs().next().unwrap()));
        let read = |mut reader: Reader<'_>| {
            assert!(reader.take::<Vec<f64>>().unwrap() == large);
            assert_eq!(reader.take::<Vec<u16>>().unwrap(), [1, 2]);
            assert_eq!(texts(&reader.take::<Vec<Mentioned>>().unwrap()), [b"one"]);
            let last = reader.take::<Vec<f64>>().unwrap();
            assert!(last == large);
            assert!(reader.take::<Vec<f64>>().is_err());
            last.as_ptr().addr()
        };
        read(other.last_reader());
        assert_ne!(read(parcel.reader()), address);
        assert_eq!(read(parcel.last_reader()), address, "the memory is the same");
        assert!(parcel.last_reader().take::<Vec<f64>>().is_err(), "it is gone");
        assert!(one.reader().take::<Vec<u32>>().is_err(), "other elements");
    }

    #[test]
    fn a_list_mentions_each_blob_once_and_in_order() {
        let blob = |byte| Blob::of(vec![byte; 3]).unwrap();
        let piece = |number: u8| [&[0, 0, 0, 0, BY_BLOB, number][..], &[0; 7]].concat();
        let read = |list: &[u8], blobs| pieces_of(list, blobs, |_| None).map(|pieces| pieces.len());
        let list = [piece(0), piece(1)].concat();
        assert_eq!(read(&list, vec![blob(1), blob(2)]), Ok(2));
        for (list, blobs) in [
            (&list[..], vec![]),
            (&list, vec![blob(1)]),
            (&list, vec![blob(1), blob(2), blob(3)]),
            (&[], vec![blob(1)]),
            (&piece(1), vec![blob(1), blob(2)]),
            (&[piece(0), piece(0)].concat(), vec![blob(1), blob(2)]),
            (&[0, 0, 0, 0, BY_BLOB, 0, 0, 0, 0, 0, 0, 0, 1], vec![blob(1)]),
        ] {
            assert_eq!(read(list, blobs), Err(PieceError::Blobs));
        }
        assert_eq!(read(&list[..7], vec![blob(1)]), Err(PieceError::Malformed));
    }

    #[test]
    fn outside_a_value_for_a_task_nothing_is_mentioned() {
        let one = held(b"one");
        assert_eq!(pack(&one), None);
        let mut parcel = Parcel::default();
        struct Waits(Arc<Held>);
        impl Serialize for Waits {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let aside = aside();
                assert_eq!(pack(&self.0), None);
                drop(aside);
                pack(&self.0).serialize(serializer)
            }
        }
        parcel.put(&Waits(one.clone())).unwrap();
        assert_eq!(parcel.mentions().count(), 1);
        assert_eq!(pack(&one), None);
        assert!(!is_unpacking() && unpack(0).is_none());
    }

    proptest! {
        /// Row 92 of faults.md: whatever bytes come, the answer is a list of pieces or an error.
        #[test]
        fn hostile_lists_are_an_error_or_pieces(bytes: Vec<u8>) {
            let _ = Values::read(&bytes, Vec::new(), 0, |_| None);
        }
    }
}
