//! The arguments of a chunk: those of several tasks of one function, one after the other in one parcel.
//!
//! In front stand two numbers that say where their seeds come from, and how many they are; before each its place behind the
//! first, the position of its first value in the parcel, and its length. So each can be read, and fail to be read, by itself.

use super::parcel::{Mark, Parcel, Piece, Reader};

const FRONT: usize = 8 + 8 + 4;
const EACH: usize = 4 + 4 + 8;

/// Puts items into a parcel.
pub(crate) struct Writer<'a> {
    parcel: &'a mut Parcel,
    start: usize,
    count: u32,
}

impl<'a> Writer<'a> {
    pub(crate) fn begin(branch: u64, first: u64, parcel: &'a mut Parcel) -> Self {
        let start = parcel.bytes.len();
        parcel.bytes.extend_from_slice(&branch.to_le_bytes());
        parcel.bytes.extend_from_slice(&first.to_le_bytes());
        parcel.bytes.extend_from_slice(&0_u32.to_le_bytes());
        Self { parcel, start, count: 0 }
    }

    /// Appends an item that `write` encodes; nothing, if it fails.
    pub(crate) fn put<E>(
        &mut self,
        place: u32,
        write: impl FnOnce(&mut Parcel) -> Result<(), E>,
    ) -> Result<(), E> {
        let before = self.parcel.mark();
        let start = self.parcel.bytes.len();
        self.parcel.bytes.extend_from_slice(&place.to_le_bytes());
        self.parcel.bytes.extend_from_slice(&before.values().to_le_bytes());
        self.parcel.bytes.extend_from_slice(&[0; 8]);
        if let Err(error) = write(self.parcel) {
            self.parcel.take_back(before);
            return Err(error);
        }
        let length = (self.parcel.bytes.len() - start - EACH) as u64;
        self.parcel.bytes[start + EACH - 8..start + EACH].copy_from_slice(&length.to_le_bytes());
        self.count += 1;
        Ok(())
    }

    /// How many bytes there are by now, with the pieces.
    pub(crate) fn size(&self) -> u64 {
        self.parcel.size() - self.start as u64
    }

    /// Where the next item will stand.
    pub(crate) fn mark(&self) -> (Mark, u32) {
        (self.parcel.mark(), self.count)
    }

    /// Takes back what was put since.
    pub(crate) fn take_back(&mut self, (mark, count): (Mark, u32)) {
        self.parcel.take_back(mark);
        self.count = count;
    }

    pub(crate) fn finish(self) {
        let front = &mut self.parcel.bytes[self.start..self.start + FRONT];
        front[FRONT - 4..].copy_from_slice(&self.count.to_le_bytes());
    }
}

/// The items of a chunk.
pub(crate) struct Items<'a> {
    pub(crate) branch: u64,
    pub(crate) first: u64,
    items: Vec<Item<'a>>,
    /// Those of the items that have not been read.
    pieces: Vec<Piece>,
}

struct Item<'a> {
    place: u32,
    values: u32,
    bytes: &'a [u8],
}

impl<'a> Items<'a> {
    /// Finds the items, and takes their pieces; `None` if that is no chunk.
    pub(crate) fn read(parcel: &'a mut Parcel) -> Option<Self> {
        let (mut rest, pieces) = parcel.parts();
        let branch = u64::from_le_bytes(number(&mut rest)?);
        let first = u64::from_le_bytes(number(&mut rest)?);
        let count = u32::from_le_bytes(number(&mut rest)?) as usize;
        let mut items = Vec::with_capacity(count.min(rest.len() / EACH));
        for _ in 0..count {
            let place = u32::from_le_bytes(number(&mut rest)?);
            let values = u32::from_le_bytes(number(&mut rest)?);
            let length = usize::try_from(u64::from_le_bytes(number(&mut rest)?)).ok()?;
            let bytes;
            (bytes, rest) = rest.split_at_checked(length)?;
            items.push(Item { place, values, bytes });
        }
        rest.is_empty().then_some(Self { branch, first, items, pieces })
    }

    /// How many items a chunk says that it has.
    pub(crate) fn count(parcel: &Parcel) -> u32 {
        let count = parcel.bytes.get(FRONT - 4..FRONT).and_then(|count| count.try_into().ok());
        count.map_or(0, u32::from_le_bytes)
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// The place of an item behind the first.
    pub(crate) fn place(&self, at: usize) -> u32 {
        self.items[at].place
    }

    /// Its arguments, for the only time.
    pub(crate) fn reader(&mut self, at: usize) -> Reader<'a> {
        let values = self.items[at].values..self.items.get(at + 1).map_or(u32::MAX, |next| next.values);
        Reader::of(self.items[at].bytes, values, &mut self.pieces)
    }
}

fn number<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*number)
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn items_are_read_one_by_one_whatever_those_before_contain() {
        let mut parcel = Parcel::default();
        let mut writer = Writer::begin(7, 8, &mut parcel);
        let put = |writer: &mut Writer<'_>, place, text: &str| {
            writer.put(place, |parcel| {
                parcel.put(&text.to_string()).unwrap();
                parcel.put(&1_u8).unwrap();
                if text.is_empty() { Err("no") } else { Ok(()) }
            })
        };
        put(&mut writer, 0, "first").unwrap();
        put(&mut writer, 1, "").unwrap_err();
        put(&mut writer, 2, "third").unwrap();
        let mark = writer.mark();
        put(&mut writer, 3, "too much").unwrap();
        writer.take_back(mark);
        writer.finish();
        assert_eq!(Items::count(&parcel), 2);
        let mut items = Items::read(&mut parcel).unwrap();
        assert_eq!((items.branch, items.first, items.len()), (7, 8, 2));
        for (at, place, text) in [(1, 2, "third"), (0, 0, "first")] {
            assert_eq!(items.place(at), place);
            let mut reader = items.reader(at);
            assert_eq!(reader.take::<String>().unwrap(), text);
            assert_eq!(reader.take::<u8>().unwrap(), 1);
            assert!(reader.take::<u8>().is_err(), "the next item is not part of this one");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_chunk_or_none(bytes: Vec<u8>) {
            let mut parcel = Parcel::new(bytes, Vec::new());
            if let Some(mut items) = Items::read(&mut parcel) {
                (0..items.len()).for_each(|at| drop(items.reader(at).take::<u64>()));
            }
        }
    }
}
