//! The table of every function that this binary can run in a worker, made by the linker.
//!
//! Each instantiation of [`entry_of`] puts the address of one trampoline into the section `xfork_tasks`, also
//! from generic code in another crate. Both ends of a channel are the same binary, so the position in the table
//! is the same on both sides: a task travels as that number and is looked up here. No address ever leaves the
//! process, and a number that is not in the table is refused.
//!
//! Under Miri, where inline assembly and linker symbols do not exist, a table filled at run time stands in; it
//! cannot be shared with another process, and no pool of processes is started there.
#![expect(unsafe_code, reason = "linker-made tables are reached by assembly and extern statics")]

use crate::ground::wire::parcel::{Parcel, Reader};
use std::fmt;

/// What a trampoline gets and gives: the encoded arguments in, the encoded result out.
pub(crate) type Trampoline = fn(&mut dyn Invocation);

/// One run of a trampoline in a worker, seen from the trampoline.
pub(crate) trait Invocation {
    /// Takes the encoded arguments; a second call gets nothing.
    fn arguments(&mut self) -> Parcel;
    /// Runs the items of a chunk, one after the other, by `item`, which gets the arguments of one, and what ends it; ends the run.
    fn each(&mut self, item: &mut Item<'_>);
    /// Ends the run with the encoded result, or with what went wrong while decoding or encoding.
    fn finish(&mut self, outcome: Result<Parcel, InvocationError>);
}

/// Runs one item of a chunk.
pub(crate) type Item<'a> = dyn FnMut(Reader<'_>, &mut dyn FnMut(Result<Parcel, InvocationError>)) + 'a;

/// Why a run ended without a result, other than by a panic.
#[derive(Debug)]
pub(crate) enum InvocationError {
    /// The arguments could not be decoded.
    Decode(String),
    /// The result could not be encoded.
    Encode(String),
}

/// A function that can be run in a worker; its position in the table is its name on the wire.
pub(crate) trait Entry: 'static {
    fn invoke(call: &mut dyn Invocation);
}

/// The position of a trampoline in the link-time table.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct EntryId(pub(crate) u32);

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {}", self.0)
    }
}

fn trampoline<E: Entry>(call: &mut dyn Invocation) {
    E::invoke(call);
}

#[cfg(not(miri))]
mod table {
    use super::{Entry, EntryId, Trampoline, trampoline};
    use rustc_hash::FxHashMap;
    use std::arch::asm;
    use std::sync::OnceLock;

    unsafe extern "C" {
        #[link_name = "__start_xfork_tasks"]
        static START: usize;
        #[link_name = "__stop_xfork_tasks"]
        static STOP: usize;
    }

    /// Puts `E` into the table at link time and gives its position.
    #[inline(never)]
    pub(crate) fn entry_of<E: Entry>() -> Option<EntryId> {
        // SAFETY: emits one pointer-sized datum into a section of its own and executes no instruction. The "R"
        // flag keeps the section through `--gc-sections`; every datum is the address of a `Trampoline`.
        unsafe {
            asm!(
                ".pushsection xfork_tasks,\"awR\",@progbits",
                ".balign 8",
                ".quad {0}",
                ".popsection",
                sym trampoline::<E>,
                options(nomem, nostack, preserves_flags)
            );
        }
        index().get(&(trampoline::<E> as *const () as usize)).copied()
    }

    fn slice() -> &'static [usize] {
        // SAFETY: the linker defines both symbols as the bounds of the section, which holds nothing but the
        // aligned words written by `entry_of` and here; it is never written after relocation. The zero written here
        // has the section exist in a program that forks nothing into a process; `lookup` refuses it.
        unsafe {
            asm!(
                ".pushsection xfork_tasks,\"awR\",@progbits",
                ".balign 8",
                ".quad 0",
                ".popsection",
                options(nomem, nostack, preserves_flags)
            );
            let start = &raw const START;
            let len = (&raw const STOP).offset_from(start).cast_unsigned();
            std::slice::from_raw_parts(start, len)
        }
    }

    fn index() -> &'static FxHashMap<usize, EntryId> {
        static INDEX: OnceLock<FxHashMap<usize, EntryId>> = OnceLock::new();
        // A function instantiated in two crates stands twice in the table, under one address or two: the first
        // position of an address is its name, and either address runs the same function.
        INDEX.get_or_init(|| {
            let mut index = FxHashMap::default();
            for (position, &address) in slice().iter().enumerate() {
                index.entry(address).or_insert(EntryId(position as u32));
            }
            index
        })
    }

    pub(crate) fn lookup(id: EntryId) -> Option<Trampoline> {
        let &address = slice().get(id.0 as usize).filter(|&&address| address != 0)?;
        // SAFETY: `id` was checked against the table, and every word of the table was written by `entry_of` as
        // the address of an instance of `trampoline`, which has the type `Trampoline`.
        Some(unsafe { std::mem::transmute::<usize, Trampoline>(address) })
    }

    pub(crate) fn is_empty() -> bool {
        slice().iter().all(|&address| address == 0)
    }
}

#[cfg(miri)]
mod table {
    use super::{Entry, EntryId, Trampoline, trampoline};
    use std::sync::Mutex;

    static TABLE: Mutex<Vec<Trampoline>> = Mutex::new(Vec::new());

    pub(crate) fn entry_of<E: Entry>() -> Option<EntryId> {
        let mut table = TABLE.lock().expect("the table is only locked for single pushes");
        table.push(trampoline::<E>);
        Some(EntryId(table.len() as u32 - 1))
    }

    pub(crate) fn lookup(id: EntryId) -> Option<Trampoline> {
        TABLE.lock().expect("the table is only locked for single pushes").get(id.0 as usize).copied()
    }

    pub(crate) fn is_empty() -> bool {
        true
    }
}

pub(crate) use table::{entry_of, is_empty, lookup};

/// Makes a value of a function's type out of nothing: function items and closures without captures have no bytes.
///
/// # Panics
///
/// Does not compile for a type that has bytes, or whose drop does something.
pub(crate) fn conjure<F: Copy + Send + 'static>() -> F {
    const {
        assert!(
            size_of::<F>() == 0,
            "this function value can't be sent to a worker process: it is a closure that captures something, or a \
             function pointer. Pass what it captures as an argument, name the function itself, or use `thread(..)`"
        );
    }
    // SAFETY: `F` has size 0, so nothing is read, and an aligned address is enough; it is `Copy`, so a further value of it is
    // harmless once one exists, and the process that forked the task had one.
    unsafe { std::ptr::NonNull::<F>::dangling().read() }
}
