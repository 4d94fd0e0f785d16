//! A stream of bytes through memory that two processes share, one way: a ring with one producer and one consumer.
//!
//! Owns the layout of that memory, and who may be asleep when. Promises: what was published is read once and in order;
//! nobody sleeps while there is something for him to do, if both follow the protocol; and whatever the other process writes
//! into the memory, at whatever time, costs no more than [`Broken`] or wrong bytes: no index is used before it has
//! been checked, no length is read twice, and what is read is copied out before anybody looks at it. Leaves out how a
//! sleeper sleeps and is woken (`sys::lanes`), and what the bytes mean. README.md of `runner/process`, "The ring",
//! has the protocol and its memory order.

use crate::ground::sync::{AtomicU64, Ordering, fence};

/// Words of 8 bytes in front of the data: one for each of the places below, as far apart as processors fetch lines together.
const HEADER: usize = 4 * LINE;
// A model has few words, so that it has few states.
const LINE: usize = if cfg!(xfork_loom) { 1 } else { 16 };

/// Where what stands, in words.
mod at {
    use super::LINE;
    /// How many words the producer has published, ever.
    pub(super) const TAIL: usize = 0;
    /// How many the consumer has taken, ever.
    pub(super) const HEAD: usize = LINE;
    /// Whether the consumer wants to be woken when there is something to read: a [`Wish`](super::Wish), or 0.
    pub(super) const ASLEEP: usize = 2 * LINE;
    /// 1 if the producer wants to be woken when there is room.
    pub(super) const FULL: usize = 3 * LINE;
}

/// The memory of one ring: [`words_for`] words, all zero at first.
pub(crate) trait Memory {
    fn words(&self) -> &[AtomicU64];

    /// Copies bytes into the words of data from number `word` on, where they fit.
    fn put(&self, word: usize, bytes: &[u8]) {
        for (word, bytes) in data(self)[word..].iter().zip(bytes.chunks(8)) {
            let mut eight = [0; 8];
            eight[..bytes.len()].copy_from_slice(bytes);
            // Relaxed, here and below: the publication orders them.
            word.store(u64::from_ne_bytes(eight), Ordering::Relaxed);
        }
    }

    /// Copies bytes out of the words of data, from byte number `byte` on, where there are so many.
    fn get(&self, byte: usize, out: &mut [u8]) {
        let data = data(self);
        for (byte, out) in (byte..).zip(out) {
            *out = data[byte / 8].load(Ordering::Relaxed).to_ne_bytes()[byte % 8];
        }
    }
}

/// How many words a ring needs that holds `capacity` words of data, which is a power of two.
pub(crate) const fn words_for(capacity: usize) -> usize {
    assert!(capacity.is_power_of_two());
    HEADER + capacity
}

/// The word that the consumer of a ring sleeps on.
pub(crate) fn bell_of_consumer<M: Memory>(memory: &M) -> &AtomicU64 {
    &memory.words()[at::ASLEEP]
}

/// The word that the producer of a ring sleeps on.
pub(crate) fn bell_of_producer<M: Memory>(memory: &M) -> &AtomicU64 {
    &memory.words()[at::FULL]
}

/// How soon a consumer wants to be woken. A sleeper on a futex always says [`Soon`](Wish::Soon), and is woken at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wish {
    /// When the producer has nothing else to do, or after a while.
    Soon = 1,
    /// As soon as there is something that the producer is not about to add to.
    Now = 2,
}

/// What the other process has written makes no sense: the ring is of no use any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the ring in shared memory makes no sense")
    }
}

/// How many words were published, ever, as the producer says.
pub(crate) fn published<M: Memory>(memory: &M) -> u64 {
    memory.words()[at::TAIL].load(Ordering::Relaxed)
}

/// The words of data; number n of those that it ever had is number n modulo their count.
pub(crate) fn data<M: Memory + ?Sized>(memory: &M) -> &[AtomicU64] {
    &memory.words()[HEADER..]
}

/// Where a word stands that was or will be written as number `number`.
fn place(data: &[AtomicU64], number: u64) -> usize {
    (number % data.len() as u64) as usize
}

/// The end that writes.
#[derive(Debug)]
pub(crate) struct Producer<M> {
    pub(crate) memory: M,
    /// What it has written, published or not. Its own copy is the one that counts.
    tail: u64,
    /// What the consumer had taken when it was last asked.
    head: u64,
}

impl<M: Memory> Producer<M> {
    /// The only producer of this memory, which nobody has written to.
    pub(crate) fn new(memory: M) -> Self {
        Self { memory, tail: 0, head: 0 }
    }

    /// Writes as many of the bytes as there is room for, and says how many. Nobody sees them before
    /// [`publish`](Self::publish).
    ///
    /// # Errors
    ///
    /// If the consumer says that it has taken more than was published.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        let data = data(&self.memory);
        let wanted = 1 + bytes.len().div_ceil(8);
        let mut room = data.len() - (self.tail - self.head) as usize;
        if room < wanted {
            // Acquire: what the consumer has read there, it has read before it is overwritten.
            let head = self.memory.words()[at::HEAD].load(Ordering::Acquire);
            if head < self.head || head > self.tail {
                return Err(Broken);
            }
            self.head = head;
            room = data.len() - (self.tail - head) as usize;
        }
        let count = bytes.len().min(room.saturating_sub(1) * 8);
        if count == 0 {
            return Ok(0);
        }
        data[place(data, self.tail)].store(count as u64, Ordering::Relaxed);
        let first = place(data, self.tail + 1);
        let (behind, wrapped) = bytes[..count].split_at(count.min((data.len() - first) * 8));
        self.memory.put(first, behind);
        self.memory.put(0, wrapped);
        self.tail += 1 + count.div_ceil(8) as u64;
        Ok(count)
    }

    /// Shows the consumer what was written.
    pub(crate) fn publish(&self) {
        // Release: the bytes are there before their number.
        self.memory.words()[at::TAIL].store(self.tail, Ordering::Release);
    }

    /// Whether the consumer has asked to be woken, and has not been since; the caller then does it. To be asked after
    /// [`publish`](Self::publish).
    pub(crate) fn has_to_wake(&self) -> bool {
        rings(&self.memory.words()[at::ASLEEP])
    }

    /// What the consumer has asked for, if there is anything that it has not taken. To be asked after
    /// [`publish`](Self::publish).
    pub(crate) fn wish(&self) -> Option<Wish> {
        // As in `asks`.
        fence(Ordering::SeqCst);
        match self.memory.words()[at::ASLEEP].load(Ordering::Relaxed) {
            0 => None,
            _ if self.is_read() => None,
            1 => Some(Wish::Soon),
            _ => Some(Wish::Now),
        }
    }

    /// Whether the consumer has taken everything.
    pub(crate) fn is_read(&self) -> bool {
        self.memory.words()[at::HEAD].load(Ordering::Relaxed) == self.tail
    }

    /// Asks to be woken when there is room; false if there is some already, and nobody is asked.
    pub(crate) fn ask_for_room(&self) -> bool {
        let capacity = data(&self.memory).len() as u64;
        asks(&self.memory.words()[at::FULL], 1, || {
            let head = self.memory.words()[at::HEAD].load(Ordering::Relaxed);
            // A word of room would do, but then it would be woken for each.
            self.tail.wrapping_sub(head) > capacity / 2
        })
    }
}

/// The end that reads.
#[derive(Debug)]
pub(crate) struct Consumer<M> {
    pub(crate) memory: M,
    /// The number of the word that is read next. Its own copy is the one that counts.
    head: u64,
    /// How many bytes of that word have been read.
    within: usize,
    /// How many bytes are left of what was pushed at once.
    left: usize,
    /// What was published when it last looked.
    tail: u64,
}

impl<M: Memory> Consumer<M> {
    /// The only consumer of this memory, which nobody has read from.
    pub(crate) fn new(memory: M) -> Self {
        Self { memory, head: 0, within: 0, left: 0, tail: 0 }
    }

    /// Moves bytes into `out` and says how many; 0 if there are none, or `out` is empty.
    ///
    /// # Errors
    ///
    /// If the producer says what can't be.
    pub(crate) fn pull(&mut self, out: &mut [u8]) -> Result<usize, Broken> {
        let begin = self.head;
        let mut filled = 0;
        while filled < out.len() && (self.left > 0 || self.enter()?) {
            filled += self.copy(&mut out[filled..]);
        }
        if self.head != begin {
            // Release: everything has been read before it may be overwritten.
            self.memory.words()[at::HEAD].store(self.head, Ordering::Release);
        }
        Ok(filled)
    }

    /// Goes to the next piece that was pushed at once; false if there is none.
    fn enter(&mut self) -> Result<bool, Broken> {
        let data = data(&self.memory);
        if self.head == self.tail {
            // Acquire: the bytes are there when their number is.
            let tail = self.memory.words()[at::TAIL].load(Ordering::Acquire);
            if tail.wrapping_sub(self.head) > data.len() as u64 {
                return Err(Broken);
            }
            self.tail = tail;
        }
        let available = (self.tail - self.head) as usize;
        if available == 0 {
            return Ok(false);
        }
        // Read once; whoever changes it later changes nothing.
        let length = data[place(data, self.head)].load(Ordering::Relaxed);
        if length == 0 || length > (available as u64 - 1) * 8 {
            return Err(Broken);
        }
        self.left = length as usize;
        self.head += 1;
        Ok(true)
    }

    /// Copies what is left of a piece, as far as `out` takes it.
    fn copy(&mut self, out: &mut [u8]) -> usize {
        let data = data(&self.memory);
        let count = self.left.min(out.len());
        let first = place(data, self.head) * 8 + self.within;
        let (behind, wrapped) = out[..count].split_at_mut(count.min(data.len() * 8 - first));
        self.memory.get(first, behind);
        self.memory.get(0, wrapped);
        self.left -= count;
        let bytes = self.within + count;
        // The next piece begins with a new word.
        let words = if self.left == 0 { bytes.div_ceil(8) } else { bytes / 8 };
        self.head += words as u64;
        self.within = if self.left == 0 { 0 } else { bytes % 8 };
        count
    }

    /// How many words it has taken, ever.
    pub(crate) fn taken(&self) -> u64 {
        self.head
    }

    /// Whether there is nothing to read.
    pub(crate) fn is_empty(&self) -> bool {
        self.left == 0 && self.memory.words()[at::TAIL].load(Ordering::Relaxed) == self.head
    }

    /// Asks to be woken when there is something to read; false if there is already, and nobody is asked.
    pub(crate) fn ask_to_be_woken(&self, wish: Wish) -> bool {
        asks(&self.memory.words()[at::ASLEEP], wish as u64, || self.is_empty())
    }

    /// Takes back that it has asked.
    pub(crate) fn is_awake(&self) {
        // Relaxed: who sees it too late wakes somebody who is awake.
        self.memory.words()[at::ASLEEP].store(0, Ordering::Relaxed);
    }

    /// Whether the producer wants to be woken, because there was no room; the caller then does it.
    pub(crate) fn has_to_tell_of_room(&self) -> bool {
        rings(&self.memory.words()[at::FULL])
    }
}

/// Asks for the bell, unless what is waited for has happened.
fn asks(bell: &AtomicU64, wish: u64, has_to_wait: impl Fn() -> bool) -> bool {
    // AcqRel, here and in `rings`: who sets the bell after it has been reset sees what was published before that.
    bell.swap(wish, Ordering::AcqRel);
    // SeqCst, here and in `rings`: either this sees what the other has published, or that one sees the bell.
    fence(Ordering::SeqCst);
    let waits = has_to_wait();
    if !waits {
        bell.store(0, Ordering::Relaxed);
    }
    waits
}

/// Whether the bell has to be rung, which is asked for once.
pub(crate) fn rings(bell: &AtomicU64) -> bool {
    fence(Ordering::SeqCst);
    bell.load(Ordering::Relaxed) != 0 && bell.swap(0, Ordering::AcqRel) != 0
}

#[cfg(all(test, xfork_loom))]
mod models;
#[cfg(all(test, not(xfork_loom)))]
mod tests;
