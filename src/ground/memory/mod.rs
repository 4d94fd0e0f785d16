//! Bytes that never change, counted: in a file that other processes can map, or on the heap.
//!
//! `held` is who holds them in this process, and who is told when nobody does; `view` is a value in them. Promises: bytes are
//! aligned to [`ALIGNMENT`], and where no memory file is to be had (a sandbox, no descriptors left) they lie on the heap and
//! everything else is the same. Leaves out how they get to another process (`wire::parcel`, `runner/process`).

mod held;
mod view;

pub(crate) use held::{Held, HeldId, Lender};
pub(crate) use view::View;

use crate::ground::sys::{Draft, Map, MemoryFile};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

/// What bytes are aligned to; a cache line.
pub(crate) const ALIGNMENT: usize = 64;
/// Fewer bytes are on the heap and travel in messages: to copy them costs less than to map them, and no descriptor.
pub(crate) const SMALL: usize = 16 << 10;

/// Whether this process only borrows: it makes no files.
static BORROWS: AtomicBool = AtomicBool::new(false);

/// Says that this process lends nothing to others, so that it needs no memory files.
pub(crate) fn only_borrow() {
    // Relaxed: set before the process has a second thread.
    BORROWS.store(true, Ordering::Relaxed);
}

/// Bytes that never change.
pub(crate) enum Memory {
    /// Made here, to be lent.
    File(MemoryFile),
    /// Lent to this process.
    Lent(Map),
    Heap(Heap),
}

impl Memory {
    /// A copy; `None` if there is no memory for it.
    pub(crate) fn copy_of(bytes: &[u8]) -> Option<Self> {
        if is_for_a_file(bytes.len())
            && let Ok(file) = MemoryFile::with(bytes)
        {
            return Some(Self::File(file));
        }
        let lines = bytemuck::try_zeroed_vec(bytes.len().div_ceil(ALIGNMENT)).ok()?;
        let mut heap = Heap { lines, bytes: bytes.len() };
        heap.bytes_mut().copy_from_slice(bytes);
        Some(Self::Heap(heap))
    }

    /// So many zeros, after `fill` has made something of them.
    pub(crate) fn filled(bytes: usize, fill: impl FnOnce(&mut [u8])) -> Self {
        if is_for_a_file(bytes)
            && let Ok(mut draft) = Draft::new(bytes)
        {
            fill(draft.bytes_mut());
            return match draft.seal() {
                Ok(file) => Self::File(file),
                Err(unsealed) => {
                    let mut heap = Heap::zeros(bytes);
                    unsealed.read(heap.bytes_mut()).expect("a memory file can be read");
                    Self::Heap(heap)
                }
            };
        }
        let mut heap = Heap::zeros(bytes);
        fill(heap.bytes_mut());
        Self::Heap(heap)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::File(file) => file.bytes(),
            Self::Lent(map) => map.bytes(),
            Self::Heap(heap) => heap.bytes(),
        }
    }

    /// The file that another process may map.
    pub(crate) fn file(&self) -> Option<&MemoryFile> {
        match self {
            Self::File(file) => Some(file),
            Self::Lent(_) | Self::Heap(_) => None,
        }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self {
            Self::File(_) => "a file",
            Self::Lent(_) => "a lent file",
            Self::Heap(_) => "the heap",
        };
        write!(f, "{} bytes in {place}", self.bytes().len())
    }
}

fn is_for_a_file(bytes: usize) -> bool {
    bytes >= SMALL && !cfg!(miri) && !BORROWS.load(Ordering::Relaxed)
}

/// Aligned bytes of this process alone.
pub(crate) struct Heap {
    lines: Vec<Line>,
    bytes: usize,
}

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; ALIGNMENT]);

#[expect(unsafe_code, reason = "bytemuck's traits are promises")]
mod plain {
    use super::Line;
    // SAFETY: bytes may be zero.
    unsafe impl bytemuck::Zeroable for Line {}
    // SAFETY: as many bytes as it is long, any of which are valid.
    unsafe impl bytemuck::Pod for Line {}
}

impl Heap {
    fn zeros(bytes: usize) -> Self {
        Self { lines: bytemuck::zeroed_vec(bytes.div_ceil(ALIGNMENT)), bytes }
    }

    fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.lines)[..self.bytes]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.lines)[..self.bytes]
    }
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_aligned_and_as_they_were_given_wherever_they_lie() {
        for length in [0, 1, 63, 64, 65, SMALL - 1, SMALL, SMALL + 1] {
            let bytes: Vec<u8> = (0..length).map(|at| at as u8).collect();
            for memory in
                [Memory::copy_of(&bytes).unwrap(), Memory::filled(length, |to| to.copy_from_slice(&bytes))]
            {
                assert_eq!(memory.bytes(), bytes);
                assert_eq!(memory.bytes().as_ptr().addr() % ALIGNMENT, 0);
                assert_eq!(memory.file().is_some(), length >= SMALL && !cfg!(miri));
            }
        }
    }

    #[test]
    fn a_fill_that_panics_leaves_nothing() {
        for length in [1, SMALL] {
            let caught = std::panic::catch_unwind(|| Memory::filled(length, |_| panic!("no")));
            assert!(caught.is_err());
        }
    }
}
