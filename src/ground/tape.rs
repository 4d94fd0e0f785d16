//! A list of steps of different types that turn a value into the next, stored one behind the other.
//!
//! Owns the memory of a deferred expression. A *step* knows how to carry a value on and consumes itself doing so. The
//! first one lies in the tape itself, so that an expression of one operation needs no memory of its own; later ones
//! lie in chunks. Neighbours of one type and one note share a header, a *run*: a million equal operations take
//! their operands' memory and nothing else, and are carried out by one loop that the compiler has seen whole.
//!
//! Promises that each step is carried out or dropped once, also when one unwinds; nothing is ever moved to grow the tape.
//! Leaves out: what a step does, and who may touch the tape (its owner, by `&mut`).
#![expect(unsafe_code, reason = "values of different types in one stretch of memory")]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::marker::PhantomData;
use std::mem::{MaybeUninit, align_of, size_of};
use std::ptr::{self, NonNull};

/// The size of the first step that needs no allocation of its own, in words.
const FIRST: usize = 2;
/// What runs and their steps are aligned to, in bytes.
const UNIT: usize = 16;
/// The smallest and the largest chunk, in bytes; a larger step is boxed.
const SMALLEST: usize = 128;
const LARGEST: usize = 64 * 1024;
/// Steps larger than this are boxed, in bytes.
const LARGE: usize = 512;

/// One step: what is carried, and how.
pub(crate) trait Step: Send + Sized + 'static {
    /// What is carried from step to step.
    type Carry;
    /// To whom a step shows what it is made of.
    type Seen: ?Sized;

    /// Carries one step out.
    fn apply(self, carry: Self::Carry) -> Self::Carry;

    /// Carries a run of steps out.
    fn apply_all(steps: Steps<'_, Self>, carry: Self::Carry) -> Self::Carry {
        steps.fold(carry, |carry, step| step.apply(carry))
    }

    /// Shows what the steps of a run are made of.
    fn show(steps: &[Self], seen: &mut Self::Seen);
}

/// The steps of one run, each to be carried out once. Those that are left are dropped.
pub(crate) struct Steps<'a, P> {
    next: *mut P,
    left: usize,
    run: PhantomData<&'a mut [P]>,
}

impl<P> Iterator for Steps<'_, P> {
    type Item = P;

    #[inline]
    fn next(&mut self) -> Option<P> {
        if self.left == 0 {
            return None;
        }
        // SAFETY: `next` and the `left - 1` steps behind it are initialised, and whoever made this gave them up. Each is
        // read once, since `next` moves on.
        let step = unsafe { self.next.read() };
        // SAFETY: at most one past the last step of the run.
        self.next = unsafe { self.next.add(1) };
        self.left -= 1;
        Some(step)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<P> Drop for Steps<'_, P> {
    fn drop(&mut self) {
        if std::mem::needs_drop::<P>() {
            self.for_each(drop);
        }
    }
}

/// What can be done to a run of steps when nothing is known of its types but that they can be dropped.
#[repr(C)]
struct Drops {
    /// The size of one step, in bytes.
    stride: usize,
    drop: unsafe fn(*mut u8, usize),
}

/// What can be done to a run of steps.
#[repr(C)]
struct Table<V, S: ?Sized> {
    /// First, so that a pointer to the table is one to `Drops`.
    drops: Drops,
    apply: unsafe fn(*mut u8, usize, V) -> V,
    show: unsafe fn(*const u8, usize, &mut S),
}

/// The table of one type of step.
struct TableOf<P>(PhantomData<P>);

impl<P: Step> TableOf<P> {
    const TABLE: Table<P::Carry, P::Seen> = Table {
        drops: Drops {
            stride: size_of::<P>(),
            drop: |at, count| {
                // SAFETY: the tape calls this with the place and number of the initialised steps of a run of type `P`,
                // and forgets them before.
                drop(unsafe { steps::<P>(at, count) });
            },
        },
        apply: |at, count, carry| {
            // SAFETY: as above.
            P::apply_all(unsafe { steps::<P>(at, count) }, carry)
        },
        show: |at, count, seen| {
            // SAFETY: the tape calls this with the place and number of the initialised steps of a run of type `P`, while
            // it is borrowed.
            P::show(unsafe { std::slice::from_raw_parts(at.cast(), count) }, seen);
        },
    };
}

/// # Safety
///
/// At `at` lie `count` initialised steps of type `P`, which nobody uses any more.
unsafe fn steps<'a, P>(at: *mut u8, count: usize) -> Steps<'a, P> {
    Steps { next: at.cast(), left: count, run: PhantomData }
}

/// The header of a run of steps.
#[repr(C)]
struct Run<N> {
    table: NonNull<Drops>,
    note: N,
    count: usize,
}

impl<N> Run<N> {
    /// From its begin to the first step, in bytes.
    const SIZE: usize = whole_units(size_of::<Self>());
}

/// A stretch of memory for runs; its words follow it.
#[repr(C)]
struct Chunk {
    /// The next chunk; that of the last is the first.
    next: *mut Chunk,
    /// Bytes for runs, and how many of them are used.
    capacity: usize,
    used: usize,
    /// Where the last run begins.
    last: usize,
}

impl Chunk {
    const HEADER: usize = size_of::<Chunk>().next_multiple_of(UNIT);

    fn layout(capacity: usize) -> Layout {
        // `capacity` is a multiple of the unit below `2 * LARGEST`.
        Layout::from_size_align(Self::HEADER + capacity, UNIT).expect("small")
    }

    fn allocate(capacity: usize) -> *mut Self {
        let layout = Self::layout(capacity);
        // SAFETY: the layout is not empty.
        let chunk = unsafe { alloc(layout) }.cast::<Self>();
        if chunk.is_null() {
            handle_alloc_error(layout);
        }
        // SAFETY: freshly allocated for a `Chunk` and what follows it.
        unsafe { chunk.write(Self { next: chunk, capacity, used: 0, last: 0 }) };
        chunk
    }

    /// # Safety
    ///
    /// `chunk` came from `allocate` and is not used any more.
    unsafe fn free(chunk: *mut Self) {
        // SAFETY: the caller says that the chunk is one, and not used any more.
        unsafe { dealloc(chunk.cast(), Self::layout((*chunk).capacity)) };
    }

    /// # Safety
    ///
    /// `chunk` is one, and `offset` at most its capacity.
    unsafe fn at(chunk: *mut Self, offset: usize) -> *mut u8 {
        // SAFETY: the words lie behind the header in the same allocation.
        unsafe { chunk.cast::<u8>().add(Self::HEADER + offset) }
    }
}

const fn whole_units(bytes: usize) -> usize {
    bytes.next_multiple_of(UNIT)
}

/// A tape of which only this is known: it can be dropped.
pub(crate) struct Erased<N: Copy> {
    first: Option<First<N>>,
    /// The last chunk, or null. No chunk is empty.
    chunks: *mut Chunk,
}

struct First<N> {
    table: NonNull<Drops>,
    note: N,
    step: [MaybeUninit<u64>; FIRST],
}

// SAFETY: a tape owns its steps and chunks, and steps are `Send` (`Tape::begin` and `Tape::push` ask for it).
unsafe impl<N: Copy + Send> Send for Erased<N> {}

impl<N: Copy> Erased<N> {
    /// Takes the first run, or the next one of the chunks, and hands it over with its place.
    ///
    /// The run counts as gone before `with` sees it; its chunk is freed when the next run is taken.
    fn take_run(&mut self, cursor: &mut Cursor) -> Option<(NonNull<Drops>, N, *mut u8, usize)> {
        if let Some(first) = &mut self.first {
            let run = (first.table, first.note, first.step.as_mut_ptr().cast::<u8>(), 1);
            if !std::mem::replace(&mut cursor.first_is_taken, true) {
                return Some(run);
            }
            self.first = None;
        }
        if self.chunks.is_null() {
            return None;
        }
        // SAFETY: the chunks form a ring of valid chunks that this tape owns, of which `chunks` is the last. `cursor.offset`
        // is where a run begins in the first one, or its end.
        unsafe {
            let mut chunk = (*self.chunks).next;
            if cursor.offset == (*chunk).used {
                let next = (*chunk).next;
                if next == chunk {
                    self.chunks = ptr::null_mut();
                } else {
                    (*self.chunks).next = next;
                }
                Chunk::free(chunk);
                cursor.offset = 0;
                if self.chunks.is_null() {
                    return None;
                }
                chunk = next;
            }
            let run = &*Chunk::at(chunk, cursor.offset).cast::<Run<N>>();
            let place = Chunk::at(chunk, cursor.offset + Run::<N>::SIZE);
            let size = Run::<N>::SIZE + whole_units(run.table.as_ref().stride * run.count);
            cursor.offset += size;
            Some((run.table, run.note, place, run.count))
        }
    }
}

/// How far a tape has been emptied.
#[derive(Default)]
struct Cursor {
    first_is_taken: bool,
    offset: usize,
}

/// Empties what is left of a tape when it is dropped, whatever unwound.
struct Emptying<'a, N: Copy> {
    tape: &'a mut Erased<N>,
    cursor: Cursor,
}

impl<N: Copy> Emptying<'_, N> {
    fn next(&mut self) -> Option<(NonNull<Drops>, N, *mut u8, usize)> {
        self.tape.take_run(&mut self.cursor)
    }
}

impl<N: Copy> Drop for Emptying<'_, N> {
    fn drop(&mut self) {
        while let Some((table, _, place, count)) = self.next() {
            // SAFETY: `take_run` gives each run once, with the table that it was made with.
            unsafe { (table.as_ref().drop)(place, count) };
        }
    }
}

impl<N: Copy> Drop for Erased<N> {
    fn drop(&mut self) {
        drop(Emptying { tape: self, cursor: Cursor::default() });
    }
}

/// Steps that carry a `V`, each with a note `N` about where it comes from.
pub(crate) struct Tape<V, S: ?Sized, N: Copy> {
    steps: Erased<N>,
    types: PhantomData<(fn(V) -> V, fn(&mut S))>,
}

/// A step that is too large, or too strictly aligned, for the words of a tape.
struct Boxed<P>(Box<P>);

impl<P: Step> Step for Boxed<P> {
    type Carry = P::Carry;
    type Seen = P::Seen;

    fn apply(self, carry: P::Carry) -> P::Carry {
        (*self.0).apply(carry)
    }

    fn show(steps: &[Self], seen: &mut P::Seen) {
        for step in steps {
            P::show(std::slice::from_ref(&step.0), seen);
        }
    }
}

impl<V, S: ?Sized, N: Copy> Tape<V, S, N> {
    /// A tape without steps.
    pub(crate) const fn empty() -> Self {
        Self { steps: Erased { first: None, chunks: ptr::null_mut() }, types: PhantomData }
    }

    /// The tape without its types, leaving this one empty.
    pub(crate) fn erase(&mut self) -> Erased<N> {
        std::mem::replace(&mut self.steps, Erased { first: None, chunks: ptr::null_mut() })
    }

    /// Whether there are no steps.
    pub(crate) fn is_empty(&self) -> bool {
        self.steps.first.is_none() && self.steps.chunks.is_null()
    }
}

impl<V: 'static, S: ?Sized + 'static, N: Copy + PartialEq> Tape<V, S, N> {
    /// A tape of one step.
    pub(crate) fn begin<P: Step<Carry = V, Seen = S>>(note: N, step: P) -> Self {
        let mut tape = Self::empty();
        if align_of::<P>() <= 8 && size_of::<P>() <= 8 * FIRST {
            tape.first(note, step);
        } else {
            tape.first(note, Boxed(Box::new(step)));
        }
        tape
    }

    fn first<P: Step<Carry = V, Seen = S>>(&mut self, note: N, step: P) {
        let mut words = [MaybeUninit::uninit(); FIRST];
        // SAFETY: `begin` has checked size and alignment; a box is one word.
        unsafe { words.as_mut_ptr().cast::<P>().write(step) };
        self.steps.first = Some(First { table: table::<P>(), note, step: words });
    }

    /// Appends a step.
    #[inline]
    pub(crate) fn push<P: Step<Carry = V, Seen = S>>(&mut self, note: N, step: P) {
        if align_of::<P>() <= UNIT && size_of::<P>() <= LARGE {
            self.append(note, step);
        } else {
            self.append(note, Boxed(Box::new(step)));
        }
    }

    #[inline]
    fn append<P: Step<Carry = V, Seen = S>>(&mut self, note: N, step: P) {
        let table = table::<P>();
        let chunk = self.steps.chunks;
        if !chunk.is_null() {
            // SAFETY: `chunk` is a valid chunk of this tape; its last run is one, followed by its steps.
            unsafe {
                let begin = (*chunk).last;
                let run = &mut *Chunk::at(chunk, begin).cast::<Run<N>>();
                let end = begin + Run::<N>::SIZE + run.count * size_of::<P>();
                if run.table == table && run.note == note && end + size_of::<P>() <= (*chunk).capacity {
                    // Steps of this table have this size, so `end` is where the next one belongs.
                    Chunk::at(chunk, end).cast::<P>().write(step);
                    run.count += 1;
                    (*chunk).used = whole_units(end + size_of::<P>());
                    return;
                }
            }
        }
        self.append_run(Run { table, note, count: 1 }, step);
    }

    #[inline(never)]
    fn append_run<P>(&mut self, run: Run<N>, step: P) {
        const { assert!(align_of::<Run<N>>() <= UNIT) };
        // `push` has boxed what is not so.
        assert!(align_of::<P>() <= UNIT && size_of::<P>() <= LARGE);
        let size = Run::<N>::SIZE + whole_units(size_of::<P>());
        // SAFETY: the chunks are valid and owned by this tape; what is written fits where it is written to.
        unsafe {
            let last = self.steps.chunks;
            let has_room = !last.is_null() && (*last).used + size <= (*last).capacity;
            if !has_room {
                let capacity = if last.is_null() {
                    SMALLEST - Chunk::HEADER
                } else {
                    (2 * ((*last).capacity + Chunk::HEADER)).min(LARGEST) - Chunk::HEADER
                };
                let chunk = Chunk::allocate(capacity.max(size));
                if !last.is_null() {
                    (*chunk).next = (*last).next;
                    (*last).next = chunk;
                }
                self.steps.chunks = chunk;
            }
            let chunk = self.steps.chunks;
            let begin = (*chunk).used;
            Chunk::at(chunk, begin).cast::<Run<N>>().write(run);
            Chunk::at(chunk, begin + Run::<N>::SIZE).cast::<P>().write(step);
            (*chunk).last = begin;
            (*chunk).used = begin + size;
        }
    }

    /// Carries all steps out, in order, and leaves the tape empty. `entered` is told the note of each run before it
    /// begins. If a step unwinds, those behind it are dropped.
    pub(crate) fn run(&mut self, mut carry: V, mut entered: impl FnMut(N)) -> V {
        let mut emptying = Emptying { tape: &mut self.steps, cursor: Cursor::default() };
        while let Some((table, note, place, count)) = emptying.next() {
            entered(note);
            // SAFETY: `take_run` gives each run once, with the table that it was made with; all tables of this tape are of
            // carried type `V` and viewer `S`, because all steps are, and point to the whole of it.
            carry = unsafe { (table.cast::<Table<V, S>>().as_ref().apply)(place, count, carry) };
        }
        carry
    }

    /// Shows all steps, in order. `entered` is told the note and the length of each run before it is shown.
    pub(crate) fn show(&self, seen: &mut S, mut entered: impl FnMut(&mut S, N, usize)) {
        if let Some(first) = &self.steps.first {
            entered(seen, first.note, 1);
            // SAFETY: as in `run`; the step is there until `run` or a drop, which need the tape by `&mut`.
            unsafe { (first.table.cast::<Table<V, S>>().as_ref().show)(first.step.as_ptr().cast(), 1, seen) };
        }
        let last = self.steps.chunks;
        if last.is_null() {
            return;
        }
        // SAFETY: the chunks form a ring of valid chunks; each run is followed by its steps; none is touched elsewhere, since
        // the tape is borrowed.
        unsafe {
            let mut chunk = last;
            loop {
                chunk = (*chunk).next;
                let mut offset = 0;
                while offset < (*chunk).used {
                    let run = &*Chunk::at(chunk, offset).cast::<Run<N>>();
                    entered(seen, run.note, run.count);
                    let table = run.table.cast::<Table<V, S>>().as_ref();
                    let begin = offset + Run::<N>::SIZE;
                    (table.show)(Chunk::at(chunk, begin), run.count, seen);
                    offset = begin + whole_units(run.count * table.drops.stride);
                }
                if chunk == last {
                    return;
                }
            }
        }
    }
}

fn table<P: Step>() -> NonNull<Drops> {
    let table: &'static Table<P::Carry, P::Seen> = &TableOf::<P>::TABLE;
    NonNull::from(table).cast()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    type Numbers = Tape<Vec<u64>, Vec<u64>, u8>;

    /// Appends its number; size and alignment vary with `P`. Number 99 unwinds instead.
    struct Append<P>(u64, P, Arc<AtomicUsize>);

    impl<P: Send + 'static> Step for Append<P> {
        type Carry = Vec<u64>;
        type Seen = Vec<u64>;

        fn apply(self, mut carry: Vec<u64>) -> Vec<u64> {
            if self.0 == 99 {
                std::panic::resume_unwind(Box::new("99"));
            }
            carry.push(self.0);
            carry
        }

        fn show(steps: &[Self], seen: &mut Vec<u64>) {
            seen.extend(steps.iter().map(|step| step.0));
        }
    }

    impl<P> Drop for Append<P> {
        fn drop(&mut self) {
            self.2.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[repr(align(32))]
    struct Strict(#[expect(dead_code, reason = "it is there for its alignment")] u8);

    fn append(tape: &mut Numbers, kind: u8, number: u64, note: u8, drops: &Arc<AtomicUsize>) {
        let drops = drops.clone();
        match kind {
            0 => tape.push(note, Append(number, (), drops)),
            1 => tape.push(note, Append(number, 1_u8, drops)),
            2 => tape.push(note, Append(number, [0_u8; 13], drops)),
            3 => tape.push(note, Append(number, [0_u64; 40], drops)),
            4 => tape.push(note, Append(number, [0_u64; 100], drops)),
            _ => tape.push(note, Append(number, Strict(1), drops)),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 8 } else { 256 }, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn steps_of_all_sizes_are_carried_out_in_order_and_dropped_once(
            first in any::<bool>(),
            steps in proptest::collection::vec((0_u8..6, 0_u64..100, 0_u8..3, 1_usize..20), 0..40),
            end in 0_u8..3,
        ) {
            let drops = Arc::new(AtomicUsize::new(0));
            let mut tape = match first {
                true => Numbers::begin(0, Append(7, (), drops.clone())),
                false => Numbers::empty(),
            };
            let mut expected: Vec<u64> = first.then_some(7).into_iter().collect();
            for &(kind, number, note, times) in &steps {
                for _ in 0..times {
                    append(&mut tape, kind, number, note, &drops);
                    expected.push(number);
                }
            }
            let (mut seen, mut shown) = (Vec::new(), 0);
            tape.show(&mut seen, |_, _, count| shown += count);
            prop_assert_eq!(&seen, &expected);
            prop_assert_eq!(shown, expected.len());
            let unwinds = expected.contains(&99);
            match end {
                0 => {
                    let mut entered = 0;
                    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| tape.run(Vec::new(), |_| entered += 1)));
                    prop_assert_eq!(result.is_err(), unwinds);
                    if let Ok(result) = result {
                        prop_assert_eq!(&result, &expected);
                        prop_assert!(entered <= expected.len());
                    }
                    prop_assert!(tape.is_empty());
                }
                1 => drop(tape.erase()),
                _ => drop(tape),
            }
            prop_assert_eq!(drops.load(Ordering::Relaxed), expected.len());
        }
    }

    #[test]
    fn steps_without_size_are_counted() {
        struct Increment;
        impl Step for Increment {
            type Carry = u64;
            type Seen = u64;
            fn apply(self, carry: u64) -> u64 {
                carry + 1
            }
            fn show(steps: &[Self], seen: &mut u64) {
                *seen += steps.len() as u64;
            }
        }
        let mut tape = Tape::<u64, u64, ()>::begin((), Increment);
        for _ in 0..1000 {
            tape.push((), Increment);
        }
        let mut seen = 0;
        tape.show(&mut seen, |_, (), _| {});
        assert_eq!(seen, 1001);
        assert_eq!(tape.run(0, |()| {}), 1001);
        assert_eq!(tape.run(7, |()| {}), 7);
    }
}
