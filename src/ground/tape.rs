//! A list of steps of different types that turn a value into the next, stored one behind the other.
//!
//! Owns the memory of a deferred expression. A *step* knows how to carry a value on and consumes itself doing so. The
//! first one lies in the tape itself, so that an expression of one operation needs no memory of its own; later ones
//! lie in chunks. Neighbours of one type and one note share a header, a *run*: a million equal operations take
//! their operands' memory and nothing else, and are carried out by one loop that the compiler has seen whole.
//!
//! Promises that each step is carried out or dropped once, also when one unwinds (if a drop unwinds, what follows is leaked);
//! nothing is ever moved to grow the tape.
//! Leaves out: what a step does, and who may touch the tape (its owner, by `&mut`).
#![expect(unsafe_code, reason = "values of different types in one stretch of memory")]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::panic::Location;
use std::ptr::{self, NonNull};

/// The size of the first step that needs no allocation of its own, in words of a pointer's size.
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
    /// Where a step puts what it needs before it can be carried out.
    type Needs;
    /// What the step is called.
    const NAME: &'static str;
    /// Whether the step looks at what is its own before it looks at what is carried.
    const COMES_FIRST: bool = false;

    /// Carries one step out.
    fn apply(self, carry: Self::Carry) -> Self::Carry;

    /// Carries a run of steps out.
    fn apply_all(steps: Steps<'_, Self>, carry: Self::Carry) -> Self::Carry {
        steps.fold(carry, |carry, step| step.apply(carry))
    }

    /// Adds what the steps of a run need and do not have yet.
    fn gather(steps: &[Self], needs: &mut Self::Needs);

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
    /// From the begin of a run to its first step, in bytes.
    offset: usize,
    drop: unsafe fn(*mut u8, usize),
}

/// Stands for the table of a tape that keeps its steps in chunks, or has none.
static CHUNKED: Drops = Drops { stride: 0, offset: 0, drop: |_, _| {} };

/// What can be done to a run of steps.
#[repr(C)]
struct Table<V, S: ?Sized, G> {
    /// First, so that a pointer to the table is one to `Drops`.
    drops: Drops,
    name: &'static str,
    comes_first: bool,
    apply: unsafe fn(*mut u8, usize, V) -> V,
    gather: unsafe fn(*const u8, usize, &mut G),
    show: unsafe fn(*const u8, usize, &mut S),
}

/// The table of one type of step.
struct TableOf<P>(PhantomData<P>);

/// A table cannot know the type of its tape's notes, only how large they are.
impl<P: Step> TableOf<P> {
    const TABLE: Table<P::Carry, P::Seen, P::Needs> = Table {
        name: P::NAME,
        comes_first: P::COMES_FIRST,
        drops: Drops {
            stride: size_of::<P>(),
            offset: size_of::<Run>().next_multiple_of(align_of::<P>()),
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
        gather: |at, count, needs| {
            // SAFETY: as for `show`.
            P::gather(unsafe { std::slice::from_raw_parts(at.cast(), count) }, needs);
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

/// Where a step comes from: a place in the user's source.
pub(crate) type Place = &'static Location<'static>;

/// The header of a run of steps.
#[repr(C)]
struct Run {
    table: NonNull<Drops>,
    place: Place,
    count: usize,
}

impl Run {
    /// The steps and the bytes from the begin of the run to the begin of the next.
    fn size(&self) -> (usize, usize) {
        // SAFETY: tables are static.
        let table = unsafe { self.table.as_ref() };
        (table.offset, whole_units(table.offset + table.stride * self.count))
    }
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
pub(crate) struct Erased {
    /// That of the one step which lies in `words`; or [`CHUNKED`].
    table: NonNull<Drops>,
    place: MaybeUninit<Place>,
    /// The first step; or, if that has followers, the last chunk, or null. No chunk is empty.
    words: [MaybeUninit<*mut Chunk>; FIRST],
}

// SAFETY: a tape owns its steps and chunks, and steps are `Send` (`Tape::begin` and `Tape::push` ask for it).
unsafe impl Send for Erased {}

/// A run that has been taken out of a tape: its steps are to be carried out or dropped.
struct Taken {
    table: NonNull<Drops>,
    place: Place,
    steps: *mut u8,
    count: usize,
}

impl Erased {
    const fn empty() -> Self {
        let mut words = [MaybeUninit::uninit(); FIRST];
        words[0] = MaybeUninit::new(ptr::null_mut());
        Self { table: NonNull::from_ref(&CHUNKED), place: MaybeUninit::uninit(), words }
    }

    fn is_chunked(&self) -> bool {
        ptr::eq(self.table.as_ptr(), &CHUNKED)
    }

    /// The last chunk, or null; only when the tape is chunked.
    fn chunks(&self) -> *mut Chunk {
        debug_assert!(self.is_chunked());
        // SAFETY: with this table, the first word is a chunk or null.
        unsafe { self.words[0].assume_init() }
    }

    fn set_chunks(&mut self, chunks: *mut Chunk) {
        self.table = NonNull::from_ref(&CHUNKED);
        self.words[0] = MaybeUninit::new(chunks);
    }

    /// Takes the next run out of the tape. Its chunk is freed when the next one is taken.
    fn take_run(&mut self, cursor: &mut Cursor) -> Option<Taken> {
        if !self.is_chunked() {
            cursor.first = self.words;
            // SAFETY: a tape with the table of a step has its place.
            let place = unsafe { self.place.assume_init() };
            let taken = Taken { table: self.table, place, steps: cursor.first.as_mut_ptr().cast(), count: 1 };
            self.set_chunks(ptr::null_mut());
            return Some(taken);
        }
        let last = self.chunks();
        if last.is_null() {
            return None;
        }
        // SAFETY: the chunks form a ring of valid chunks that this tape owns, of which `last` is the last. `cursor.offset` is
        // where a run begins in the first one, or its end.
        unsafe {
            let mut chunk = (*last).next;
            if cursor.offset == (*chunk).used {
                let next = (*chunk).next;
                if chunk == last {
                    self.set_chunks(ptr::null_mut());
                } else {
                    (*last).next = next;
                }
                Chunk::free(chunk);
                cursor.offset = 0;
                if chunk == last {
                    return None;
                }
                chunk = next;
            }
            let begin = Chunk::at(chunk, cursor.offset);
            let run = &*begin.cast::<Run>();
            let (offset, size) = run.size();
            cursor.offset += size;
            Some(Taken { table: run.table, place: run.place, steps: begin.add(offset), count: run.count })
        }
    }
}

/// How far a tape has been emptied.
struct Cursor {
    /// The first step, once taken: it is carried out from here.
    first: [MaybeUninit<*mut Chunk>; FIRST],
    offset: usize,
}

/// Empties what is left of a tape when it is dropped, whatever unwound.
struct Emptying<'a> {
    tape: &'a mut Erased,
    cursor: Cursor,
}

impl<'a> Emptying<'a> {
    fn new(tape: &'a mut Erased) -> Self {
        Self { tape, cursor: Cursor { first: [MaybeUninit::uninit(); FIRST], offset: 0 } }
    }

    fn next(&mut self) -> Option<Taken> {
        self.tape.take_run(&mut self.cursor)
    }
}

impl Drop for Emptying<'_> {
    fn drop(&mut self) {
        while let Some(taken) = self.next() {
            // SAFETY: `take_run` gives each run once, with the table that it was made with.
            unsafe { (taken.table.as_ref().drop)(taken.steps, taken.count) };
        }
    }
}

impl Drop for Erased {
    fn drop(&mut self) {
        drop(Emptying::new(self));
    }
}

/// Steps that carry a `V`, each with the place where it comes from.
pub(crate) struct Tape<V, S: ?Sized, G> {
    steps: Erased,
    types: Types<V, S, G>,
}

/// A tape uses values of these types and has none.
type Types<V, S, G> = PhantomData<(fn(V) -> V, fn(&mut S), fn(&mut G))>;

/// A tape of which the steps are being carried out; if one unwinds, those behind it are named and dropped.
struct Running<'a, V: 'static, S: ?Sized + 'static, G: 'static, E: FnMut(&'static str, Place, Option<&V>)> {
    emptying: Emptying<'a>,
    entered: E,
    types: PhantomData<Types<V, S, G>>,
}

impl<V, S: ?Sized, G, E: FnMut(&'static str, Place, Option<&V>)> Drop for Running<'_, V, S, G, E> {
    fn drop(&mut self) {
        while let Some(taken) = self.emptying.next() {
            // SAFETY: as in `Tape::run`, which makes this of a tape of these types.
            let table = unsafe { taken.table.cast::<Table<V, S, G>>().as_ref() };
            (self.entered)(table.name, taken.place, None);
            // SAFETY: as there.
            unsafe { (table.drops.drop)(taken.steps, taken.count) };
        }
    }
}

/// A step that is too large, or too strictly aligned, for the words of a tape.
struct Boxed<P>(Box<P>);

impl<P: Step> Step for Boxed<P> {
    type Carry = P::Carry;
    type Seen = P::Seen;
    type Needs = P::Needs;
    const NAME: &'static str = P::NAME;
    const COMES_FIRST: bool = P::COMES_FIRST;

    fn apply(self, carry: P::Carry) -> P::Carry {
        (*self.0).apply(carry)
    }

    fn gather(steps: &[Self], needs: &mut P::Needs) {
        for step in steps {
            P::gather(std::slice::from_ref(&step.0), needs);
        }
    }

    fn show(steps: &[Self], seen: &mut P::Seen) {
        for step in steps {
            P::show(std::slice::from_ref(&step.0), seen);
        }
    }
}

impl<V, S: ?Sized, G> Tape<V, S, G> {
    /// A tape without steps.
    pub(crate) const fn empty() -> Self {
        Self { steps: Erased::empty(), types: PhantomData }
    }

    /// The tape without its types, leaving this one empty.
    pub(crate) fn erase(&mut self) -> Erased {
        std::mem::replace(&mut self.steps, Erased::empty())
    }

    /// Whether there are no steps.
    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_chunked() && self.steps.chunks().is_null()
    }
}

impl<V: 'static, S: ?Sized + 'static, G: 'static> Tape<V, S, G> {
    /// A tape of one step.
    pub(crate) fn begin<P: Step<Carry = V, Seen = S, Needs = G>>(place: Place, step: P) -> Self {
        let mut tape = Self::empty();
        // As a constant, so that only the way which is taken is compiled.
        if const {
            align_of::<P>() <= align_of::<*mut Chunk>() && size_of::<P>() <= size_of::<[*mut Chunk; FIRST]>()
        } {
            tape.first(place, step);
        } else {
            tape.first(place, Boxed(Box::new(step)));
        }
        tape
    }

    fn first<P: Step<Carry = V, Seen = S, Needs = G>>(&mut self, place: Place, step: P) {
        // SAFETY: `begin` has checked size and alignment; a box is one word. The tape is empty.
        unsafe { self.steps.words.as_mut_ptr().cast::<P>().write(step) };
        self.steps.place = MaybeUninit::new(place);
        self.steps.table = table::<P>();
    }

    /// Appends a step.
    #[inline]
    pub(crate) fn push<P: Step<Carry = V, Seen = S, Needs = G>>(&mut self, place: Place, step: P) {
        if const { align_of::<P>() <= UNIT && size_of::<P>() <= LARGE } {
            self.append(place, step);
        } else {
            self.append(place, Boxed(Box::new(step)));
        }
    }

    #[inline]
    fn append<P: Step<Carry = V, Seen = S, Needs = G>>(&mut self, place: Place, step: P) {
        let table = table::<P>();
        if self.steps.is_chunked() && !self.steps.chunks().is_null() {
            let chunk = self.steps.chunks();
            // SAFETY: `chunk` is a valid chunk of this tape; its last run is one, followed by its steps.
            unsafe {
                let begin = (*chunk).last;
                let run = &mut *Chunk::at(chunk, begin).cast::<Run>();
                if run.table == table && ptr::eq(run.place, place) {
                    // Steps of this table have this size, so `end` is where the next one belongs.
                    let end = begin + table.as_ref().offset + run.count * size_of::<P>();
                    if end + size_of::<P>() <= (*chunk).capacity {
                        Chunk::at(chunk, end).cast::<P>().write(step);
                        run.count += 1;
                        (*chunk).used = whole_units(end + size_of::<P>());
                        return;
                    }
                }
            }
        }
        self.append_run(table, place, step);
    }

    #[inline(never)]
    fn append_run<P>(&mut self, table: NonNull<Drops>, place: Place, step: P) {
        // `push` has boxed what is not so.
        assert!(align_of::<P>() <= UNIT && size_of::<P>() <= LARGE);
        if !self.steps.is_chunked() {
            // SAFETY: the place and the words are those of the first step, whose bytes move to the run as they are.
            unsafe {
                let (first, size) = (self.steps.table, self.steps.table.as_ref().stride);
                let place = self.steps.place.assume_init();
                let words = self.steps.words;
                self.steps.set_chunks(ptr::null_mut());
                let to = self.begin_run(first, place, size);
                ptr::copy_nonoverlapping(words.as_ptr().cast::<u8>(), to, size);
            }
        }
        let to = self.begin_run(table, place, size_of::<P>()).cast::<P>();
        // SAFETY: a new run with room for one step of this type, at its alignment.
        unsafe { to.write(step) };
    }

    /// Makes room for a run of one step, which the caller has to write to the place that is returned.
    fn begin_run(&mut self, table: NonNull<Drops>, place: Place, stride: usize) -> *mut u8 {
        // SAFETY: tables are static; the chunks are valid and owned by this tape; what is written fits.
        unsafe {
            let offset = table.as_ref().offset;
            let size = whole_units(offset + stride);
            let last = self.steps.chunks();
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
                self.steps.set_chunks(chunk);
            }
            let chunk = self.steps.chunks();
            let begin = (*chunk).used;
            Chunk::at(chunk, begin).cast::<Run>().write(Run { table, place, count: 1 });
            (*chunk).last = begin;
            (*chunk).used = begin + size;
            Chunk::at(chunk, begin + offset)
        }
    }

    /// Carries all steps out, in order, and leaves the tape empty. `entered` is told the name and place of each run before it
    /// begins, and what is carried to it; nothing is carried to the runs behind a step that unwinds, which are dropped.
    pub(crate) fn run(&mut self, mut carry: V, entered: impl FnMut(&'static str, Place, Option<&V>)) -> V {
        let emptying = Emptying::new(&mut self.steps);
        let mut running = Running { emptying, entered, types: PhantomData::<Types<V, S, G>> };
        while let Some(taken) = running.emptying.next() {
            // SAFETY: all tables of this tape are of carried type `V` and viewer `S`, because all steps are; pointers to them
            // are made of pointers to the whole.
            let table = unsafe { taken.table.cast::<Table<V, S, G>>().as_ref() };
            (running.entered)(table.name, taken.place, Some(&carry));
            // SAFETY: `take_run` gives each run once, with the table that it was made with.
            carry = unsafe { (table.apply)(taken.steps, taken.count, carry) };
        }
        carry
    }

    /// Adds what the steps need and do not have yet, in order.
    pub(crate) fn gather(&self, needs: &mut G) {
        if !self.steps.is_chunked() {
            // SAFETY: as in `show`.
            unsafe {
                let table = self.steps.table.cast::<Table<V, S, G>>().as_ref();
                (table.gather)(self.steps.words.as_ptr().cast(), 1, needs);
            }
            return;
        }
        self.each_run(|table, run, steps| {
            // SAFETY: as in `show`.
            unsafe { (table.gather)(steps, run.count, needs) };
        });
    }

    /// Whether there is a further step that [comes first](Step::COMES_FIRST).
    pub(crate) fn has_first_comers(&self) -> bool {
        let mut found = false;
        if self.steps.is_chunked() {
            self.each_run(|table, _, _| found |= table.comes_first);
        }
        found
    }

    /// Shows all steps, in order. `entered` is told name, place and length of each run before it is shown.
    pub(crate) fn show(&self, seen: &mut S, mut entered: impl FnMut(&mut S, &'static str, Place, usize)) {
        if !self.steps.is_chunked() {
            // SAFETY: as in `run`; the step is there until `run` or a drop, which need the tape by `&mut`.
            unsafe {
                let table = self.steps.table.cast::<Table<V, S, G>>().as_ref();
                entered(seen, table.name, self.steps.place.assume_init(), 1);
                (table.show)(self.steps.words.as_ptr().cast(), 1, seen);
            }
            return;
        }
        self.each_run(|table, run, steps| {
            entered(seen, table.name, run.place, run.count);
            // SAFETY: the run is one of this tape, with its table and its steps.
            unsafe { (table.show)(steps, run.count, seen) };
        });
    }

    /// Goes through the runs of a chunked tape, in order; each comes with its table and the place of its steps.
    fn each_run(&self, mut with: impl FnMut(&Table<V, S, G>, &Run, *const u8)) {
        let last = self.steps.chunks();
        if last.is_null() {
            return;
        }
        // SAFETY: the chunks form a ring of valid chunks; each run is followed by its steps; none is touched elsewhere, since
        // the tape is borrowed.
        unsafe {
            let mut chunk = last;
            loop {
                chunk = (*chunk).next;
                let mut begin = 0;
                while begin < (*chunk).used {
                    let run = &*Chunk::at(chunk, begin).cast::<Run>();
                    let (offset, size) = run.size();
                    with(run.table.cast::<Table<V, S, G>>().as_ref(), run, Chunk::at(chunk, begin + offset));
                    begin += size;
                }
                if chunk == last {
                    return;
                }
            }
        }
    }
}

fn table<P: Step>() -> NonNull<Drops> {
    let table: &'static Table<P::Carry, P::Seen, P::Needs> = &TableOf::<P>::TABLE;
    NonNull::from(table).cast()
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    type Numbers = Tape<Vec<u64>, Vec<u64>, usize>;

    fn elsewhere() -> Place {
        Location::caller()
    }

    /// Three places.
    fn place(number: u8) -> Place {
        match number {
            0 => Location::caller(),
            1 => elsewhere(),
            _ => std::panic::Location::caller(),
        }
    }

    /// Appends its number; size and alignment vary with `P`. Number 99 unwinds instead.
    struct Append<P>(u64, P, Arc<AtomicUsize>);

    impl<P: Send + 'static> Step for Append<P> {
        type Carry = Vec<u64>;
        type Seen = Vec<u64>;
        type Needs = usize;
        const NAME: &'static str = "append";

        fn apply(self, mut carry: Vec<u64>) -> Vec<u64> {
            if self.0 == 99 {
                std::panic::resume_unwind(Box::new("99"));
            }
            carry.push(self.0);
            carry
        }

        fn gather(steps: &[Self], needs: &mut usize) {
            *needs += steps.len();
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
            0 => tape.push(place(note), Append(number, (), drops)),
            1 => tape.push(place(note), Append(number, 1_u8, drops)),
            2 => tape.push(place(note), Append(number, [0_u8; 13], drops)),
            3 => tape.push(place(note), Append(number, [0_u64; 40], drops)),
            4 => tape.push(place(note), Append(number, [0_u64; 100], drops)),
            _ => tape.push(place(note), Append(number, Strict(1), drops)),
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
                true => Numbers::begin(place(0), Append(7, (), drops.clone())),
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
            tape.show(&mut seen, |_, _, _, count| shown += count);
            prop_assert_eq!(&seen, &expected);
            prop_assert_eq!(shown, expected.len());
            let mut gathered = 0;
            tape.gather(&mut gathered);
            prop_assert_eq!(gathered, expected.len());
            let unwinds = expected.contains(&99);
            match end {
                0 => {
                    let mut entered = 0;
                    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| tape.run(Vec::new(), |_, _, carry| entered += usize::from(carry.is_some()))));
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
            type Needs = usize;
            const NAME: &'static str = "increment";
            fn apply(self, carry: u64) -> u64 {
                carry + 1
            }
            fn gather(_: &[Self], _: &mut usize) {}
            fn show(steps: &[Self], seen: &mut u64) {
                *seen += steps.len() as u64;
            }
        }
        let mut tape = Tape::<u64, u64, usize>::begin(place(0), Increment);
        for _ in 0..1000 {
            tape.push(place(1), Increment);
        }
        let mut seen = 0;
        tape.show(&mut seen, |_, _, _, _| {});
        assert_eq!(seen, 1001);
        assert_eq!(tape.run(0, |_, _, _| {}), 1001);
        assert_eq!(tape.run(7, |_, _, _| {}), 7);
    }
}
