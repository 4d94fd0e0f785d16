//! What is noted of a value: numbers, of which each counts once, and the numbers of names.
//!
//! They are the same in every build, as their sum lies in files: names are hashed by FNV-1a, which is specified,
//! unlike the algorithms of std and rustc-hash, and takes a line. Nobody forges names, so that BLAKE3's strength
//! would be of no use. Addresses and rustc-hash only help to find again what was there before, which nearly all that
//! is met in a long value was.

use rustc_hash::FxHashSet;

/// A number of both, in this order: the halves of a product, folded, as in wyhash.
#[inline]
pub(super) fn mix(from: u64, what: u64) -> u64 {
    // Digits of π; they keep a zero from being the whole product, and tell one operand from the other.
    let product = u128::from(from ^ 0x243f_6a88_85a3_08d3) * u128::from(what ^ 0x1319_8a2e_0370_7344);
    product as u64 ^ (product >> 64) as u64
}

/// FNV-1a.
fn hash(name: &str) -> u64 {
    name.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// How many notes and names are found without a search: more than most types have parts.
const RECENT: usize = 128;
const NAMES: usize = 32;

/// Different notes.
pub(super) struct Notes {
    sum: u64,
    known: FxHashSet<u64>,
    /// Some of them, each where its last bits say.
    recent: [u64; RECENT],
}

impl Default for Notes {
    fn default() -> Self {
        Self { sum: 0, known: FxHashSet::default(), recent: [0; RECENT] }
    }
}

impl Notes {
    #[inline]
    pub(super) fn add(&mut self, note: u64) {
        let recent = &mut self.recent[note as usize % RECENT];
        if *recent != note {
            *recent = note;
            self.add_rare(note);
        }
    }

    #[inline(never)]
    fn add_rare(&mut self, note: u64) {
        if self.known.insert(note) {
            self.sum = self.sum.wrapping_add(note);
        }
    }

    /// The same in whatever order they came.
    pub(super) fn sum(&self) -> u64 {
        self.sum
    }
}

/// Numbers of names, each with where it stands or what it is the name of.
#[derive(Default)]
pub(super) struct Names([Known; NAMES]);

#[derive(Clone, Copy, Default)]
struct Known {
    /// Of the name, whose text never changes: it is static.
    address: usize,
    length: usize,
    with: u64,
    number: u64,
}

impl Names {
    #[inline]
    pub(super) fn number(&mut self, name: &'static str, with: u64) -> u64 {
        let (address, length) = (name.as_ptr().addr(), name.len());
        // Names lie side by side: the product spreads them.
        let known =
            &mut self.0[(address.wrapping_add(with as usize).wrapping_mul(0x9e37_79b9) >> 16) % NAMES];
        if (known.address, known.length, known.with) != (address, length, with) {
            *known = Known { address, length, with, number: mix(hash(name), with) };
        }
        known.number
    }
}
