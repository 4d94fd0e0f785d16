//! Large texts and vectors of plain numbers, which travel beside the encoded values instead of in them.
//!
//! Owns their memory as bytes and as elements: a vector becomes a blob and a blob a vector without a copy. Promises that a blob that
//! is being received is never much larger than what has come of it. Leaves out which vectors go as blobs (`codec`), how a
//! message mentions them (`parcel`) and where they stand in the stream (`frame`, `letter`).

use crate::ground::sys;
use bytemuck::Pod;
use std::fmt;

/// A vector of fewer bytes is copied into the message. Measured there and back, a blob of 16 KiB costs as much, one of 32 KiB less.
pub(super) const LEAST: usize = 32 << 10;

/// The frame of a blob has this kind, and above it the logarithm of the size of an element.
const KIND: u8 = 40;

/// What is received into is made so much longer at a time: little enough to be still in the cache when the bytes come.
pub(super) const STEP: usize = 64 << 10;

/// Memory of at least so many bytes is asked to lie in large pages: for 64 MiB there and back that saves a quarter of the time.
const HUGE: usize = 4 << 20;

/// A vector by the size of its elements, to which they are aligned, too.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Blob {
    One(Vec<u8>),
    Two(Vec<u16>),
    Four(Vec<u32>),
    Eight(Vec<u64>),
    Sixteen(Vec<u128>),
}

/// The allocator has refused.
#[derive(Debug, PartialEq)]
pub(super) struct NoMemory;

macro_rules! whichever {
    ($blob:expr, $vector:ident => $result:expr) => {
        match $blob {
            Blob::One($vector) => $result,
            Blob::Two($vector) => $result,
            Blob::Four($vector) => $result,
            Blob::Eight($vector) => $result,
            Blob::Sixteen($vector) => $result,
        }
    };
}

impl Blob {
    /// The vector, with its memory; `None` if there are no blobs of such elements.
    pub(crate) fn of<E: Pod>(vector: Vec<E>) -> Option<Self> {
        use bytemuck::try_cast_vec;
        match size_of::<E>() {
            1 => try_cast_vec(vector).ok().map(Self::One),
            2 => try_cast_vec(vector).ok().map(Self::Two),
            4 => try_cast_vec(vector).ok().map(Self::Four),
            8 => try_cast_vec(vector).ok().map(Self::Eight),
            16 => try_cast_vec(vector).ok().map(Self::Sixteen),
            _ => None,
        }
    }

    /// An empty one that a frame of this kind is received into; `None` if that is no blob.
    pub(super) fn of_kind(kind: u8) -> Option<Self> {
        Some(match kind.checked_sub(KIND)? {
            0 => Self::One(Vec::new()),
            1 => Self::Two(Vec::new()),
            2 => Self::Four(Vec::new()),
            3 => Self::Eight(Vec::new()),
            4 => Self::Sixteen(Vec::new()),
            _ => return None,
        })
    }

    /// A copy of these bytes, which are whole elements.
    pub(super) fn copy_from(mut self, bytes: &[u8]) -> Self {
        let count = bytes.len() / self.size();
        whichever!(&mut self, vector => vector.resize(count, 0));
        self.bytes_mut().copy_from_slice(bytes);
        self
    }

    /// The kind of its frame.
    pub(super) fn kind(&self) -> u8 {
        KIND + self.size().trailing_zeros() as u8
    }

    /// The size of an element in bytes.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Two(_) => 2,
            Self::Four(_) => 4,
            Self::Eight(_) => 8,
            Self::Sixteen(_) => 16,
        }
    }

    /// The vector, with its memory; `None` if its elements are others.
    pub(crate) fn into_vector<E: Pod>(self) -> Option<Vec<E>> {
        whichever!(self, vector => bytemuck::try_cast_vec(vector).ok())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        whichever!(self, vector => bytemuck::cast_slice(vector))
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        whichever!(self, vector => bytemuck::cast_slice_mut(vector))
    }

    /// For how many bytes it has memory.
    #[cfg(any(all(test, not(xfork_loom)), fuzzing))]
    pub(super) fn capacity(&self) -> usize {
        self.size() * whichever!(self, vector => vector.capacity())
    }

    /// Makes it longer, for further bytes of `declared` in all: by a step, and its memory by as much as it has already, so that who
    /// declares much and sends little gets little.
    ///
    /// # Errors
    ///
    /// If there is no memory: it is as before.
    pub(super) fn grow(&mut self, declared: usize) -> Result<(), NoMemory> {
        whichever!(self, vector => grow(vector, declared))
    }

    /// Another of the same bytes.
    ///
    /// # Errors
    ///
    /// If there is no memory for it.
    pub(super) fn copy(&self) -> Result<Self, NoMemory> {
        Ok(match self {
            Self::One(vector) => Self::One(copy(vector)?),
            Self::Two(vector) => Self::Two(copy(vector)?),
            Self::Four(vector) => Self::Four(copy(vector)?),
            Self::Eight(vector) => Self::Eight(copy(vector)?),
            Self::Sixteen(vector) => Self::Sixteen(copy(vector)?),
        })
    }

    /// Gives all memory back that is more than the first step.
    pub(super) fn give_back(&mut self) {
        whichever!(self, vector => give_back(vector));
    }
}

/// A copy, if there is memory for it.
pub(super) fn copy<E: Pod>(elements: &[E]) -> Result<Vec<E>, NoMemory> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(elements.len()).map_err(|_| NoMemory)?;
    copy.extend_from_slice(elements);
    Ok(copy)
}

fn grow<E: Pod>(vector: &mut Vec<E>, declared: usize) -> Result<(), NoMemory> {
    let (step, declared) = (STEP / size_of::<E>(), declared / size_of::<E>());
    if vector.len() == vector.capacity() {
        let capacity = (2 * vector.len()).max(step).min(declared);
        #[cfg(all(test, not(xfork_loom)))]
        if capacity * size_of::<E>() > tests::MEMORY.get() {
            return Err(NoMemory);
        }
        vector.try_reserve_exact(capacity - vector.len()).map_err(|_| NoMemory)?;
        if capacity * size_of::<E>() >= HUGE {
            sys::prefer_large_pages(vector);
        }
    }
    // Zeros that are overwritten while they are in the cache, so that nobody has to be trusted with memory that isn't initialised.
    let length = (vector.len() + step).min(vector.capacity()).min(declared);
    vector.resize(length, E::zeroed());
    Ok(())
}

fn give_back<E: Pod>(vector: &mut Vec<E>) {
    vector.truncate(STEP / size_of::<E>());
    vector.shrink_to_fit();
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes in elements of {}", self.bytes().len(), self.size())
    }
}

#[cfg(all(test, not(xfork_loom)))]
pub(super) mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local! {
        /// How many bytes a blob may have that is received in this thread.
        pub(in super::super) static MEMORY: Cell<usize> = const { Cell::new(usize::MAX) };
    }

    fn there_and_back<E: Pod + PartialEq + fmt::Debug>(vector: Vec<E>, kind: u8) {
        let address = vector.as_ptr().addr();
        let blob = Blob::of(vector.clone()).unwrap();
        assert_eq!((blob.kind(), blob.size()), (kind, size_of::<E>()));
        assert_eq!(blob.bytes(), bytemuck::cast_slice::<E, u8>(&vector));
        let again = Blob::of_kind(kind).unwrap().copy_from(blob.bytes());
        assert_eq!(again, blob);
        assert_eq!(again.into_vector::<E>(), Some(vector.clone()));
        let moved = Blob::of(vector).unwrap().into_vector::<E>().unwrap();
        assert_eq!(moved.as_ptr().addr(), address, "the memory is the same");
    }

    #[test]
    fn vectors_of_all_sizes_become_blobs_and_vectors_again() {
        there_and_back(vec![1_u8, 2, 3], 40);
        there_and_back(vec![-1_i16; 5], 41);
        there_and_back(vec![1.5_f32; 7], 42);
        there_and_back(vec![f64::MIN, -0.0], 43);
        there_and_back(vec![usize::MAX; 9], 40 + size_of::<usize>().trailing_zeros() as u8);
        there_and_back(vec![i128::MIN, 1], 44);
        assert!(Blob::of(vec![[0_u8; 3]]).is_none());
        assert!(Blob::of(vec![0_u32]).unwrap().into_vector::<u8>().is_none(), "other elements");
        assert!([0, 39, 45, 255].map(Blob::of_kind).iter().all(Option::is_none));
    }

    #[test]
    fn growing_goes_by_doubling_and_ends_with_what_was_declared() {
        for (kind, declared) in [(40, 1), (40, 1_000_001), (43, 1_000_000), (44, 5 << 20)] {
            let mut blob = Blob::of_kind(kind).unwrap();
            while blob.bytes().len() < declared {
                let before = blob.bytes().len();
                blob.grow(declared).unwrap();
                let length = blob.bytes().len();
                assert!(length > before && length <= declared && length - before <= STEP);
                assert!(blob.capacity() <= (2 * before).max(STEP), "{} after {before}", blob.capacity());
                assert!(blob.bytes()[before..].iter().all(|byte| *byte == 0));
            }
            assert_eq!((blob.bytes().len(), blob.capacity()), (declared, declared));
            blob.give_back();
            assert!(blob.bytes().len() == declared.min(STEP) && blob.capacity() <= STEP);
        }
    }
}
