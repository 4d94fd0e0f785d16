//! Running before `main`, without a constructor in the user's code.
//!
//! Owns the entry that [`install`] leaves in the program's `.init_array` (the list of functions which the C
//! library calls before `main`), and running what stands behind it. Promises that the hook runs once per
//! process, however often the compiler instantiated `install`, and that no panic leaves it. The entry has no
//! priority, so that std's own (which keeps argc and argv) and everything that asked to be early has run
//! before. Leaves out what the hook does: a worker serves and never returns from it, everyone else returns at
//! once.
//!
//! A worker must not run tasks before the rest of the list has run, because C and C++ libraries, and
//! `inventory`, initialise there. As the hook of a worker never returns, the C library never gets to the
//! rest; so [`run_remaining_constructors`] does it in the C library's place: same order, same thread, same
//! arguments.

#![expect(
    unsafe_code,
    reason = "the list of constructors exists only for the linker, and is called through pointers"
)]

use std::arch::asm;
use std::ffi::{c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU8, AtomicUsize};

/// What to do before `main`.
pub(crate) trait AtLoad {
    /// Runs in the middle of the program's constructors, on the main thread. Once it has called
    /// [`run_remaining_constructors`] it must end the process instead of returning.
    fn at_load();
}

/// Puts `H` among the program's constructors. It does so by being compiled and linked, not by being called: a
/// call does nothing. To be mentioned by every function without which the program has no need of the hook.
#[inline(never)]
pub(crate) fn install<H: AtLoad>() {
    if cfg!(miri) {
        return;
    }
    // A `static` with `#[link_section]` would do in the user's crate, but from a library the linker takes an
    // object only if something in it is needed; this line travels with the function, which is. No COMDAT and
    // no `R` flag needed: linkers keep every `.init_array`.
    // SAFETY: the directives emit one pointer into another section and no instruction. The pointer is to a
    // function of the type which the C library calls from that list; the symbol keeps it alive.
    unsafe {
        #[cfg(target_pointer_width = "64")]
        asm!(
            ".pushsection .init_array,\"aw\",@init_array",
            ".balign 8",
            ".quad {0}",
            ".popsection",
            sym hook::<H>,
            options(nomem, nostack, preserves_flags)
        );
    }
}

type Constructor = unsafe extern "C" fn(c_int, *const *const c_char, *const *const c_char);

/// What is known of the one call of the hook.
struct Call {
    stage: AtomicU8,
    own: AtomicUsize,
    argc: AtomicI32,
    argv: AtomicPtr<*const c_char>,
    envp: AtomicPtr<*const c_char>,
}

/// No hook has run.
const BEFORE: u8 = 0;
/// The hook runs.
const INSIDE: u8 = 1;
/// The hook runs, and so do or did the rest of the constructors.
const RAN_THE_REST: u8 = 2;
/// The hook has returned.
const AFTER: u8 = 3;

// The C library calls constructors with nothing but these arguments, so there is nowhere else to keep them.
static CALL: Call = Call {
    stage: AtomicU8::new(BEFORE),
    own: AtomicUsize::new(0),
    argc: AtomicI32::new(0),
    argv: AtomicPtr::new(std::ptr::null_mut()),
    envp: AtomicPtr::new(std::ptr::null_mut()),
};

/// The entry. The C library of GNU passes the three arguments; musl passes none, and then what is remembered
/// here is whatever the registers held, which is passed on to functions that do not look at it either.
extern "C" fn hook<H: AtLoad>(argc: c_int, argv: *const *const c_char, envp: *const *const c_char) {
    // Two crates, or two codegen units, may each have an instance of `install` and hence an entry: the first
    // one is it.
    if CALL.stage.compare_exchange(BEFORE, INSIDE, SeqCst, SeqCst).is_err() {
        return;
    }
    CALL.own.store(hook::<H> as Constructor as usize, SeqCst);
    CALL.argc.store(argc, SeqCst);
    CALL.argv.store(argv.cast_mut(), SeqCst);
    CALL.envp.store(envp.cast_mut(), SeqCst);
    if catch_unwind(AssertUnwindSafe(H::at_load)).is_err() {
        // The message has been printed. Unwinding into the C library is undefined.
        std::process::abort();
    }
    if CALL.stage.swap(AFTER, SeqCst) == RAN_THE_REST {
        // The C library would now run the same constructors a second time.
        eprintln!("xfork: a worker returned from its load hook; this is a bug in xfork");
        std::process::abort();
    }
}

/// Runs, from within the hook, the program's constructors behind it, once. False outside the hook, the second
/// time, and where the list cannot be found.
pub(crate) fn run_remaining_constructors() -> bool {
    if CALL.stage.compare_exchange(INSIDE, RAN_THE_REST, SeqCst, SeqCst).is_err() {
        return false;
    }
    let Some(rest) = init_array().and_then(|list| behind(list, CALL.own.load(SeqCst))) else {
        return false;
    };
    let (argc, argv, envp) = (CALL.argc.load(SeqCst), CALL.argv.load(SeqCst), CALL.envp.load(SeqCst));
    for &entry in rest {
        // 0 and -1 are fillers in lists that old linkers made. Other instances of our own hook return at
        // once.
        if entry == 0 || entry == usize::MAX {
            continue;
        }
        // SAFETY: the linker collected the entries and the loader relocated them before it called the first.
        // Each is a function that the C library would call next, in this order, with these arguments.
        unsafe {
            let constructor = std::mem::transmute::<usize, Constructor>(entry);
            constructor(argc, argv, envp);
        }
    }
    true
}

/// What stands behind the first entry `own`.
fn behind(list: &[usize], own: usize) -> Option<&[usize]> {
    let at = list.iter().position(|&entry| entry == own)?;
    Some(&list[at + 1..])
}

/// The main program's list, between two symbols which the linker defines in every program. Referred to as
/// weak, because GNU ld does not define them in a shared library, and one that contains xfork must still load
/// (faults.md, row 81).
fn init_array() -> Option<&'static [usize]> {
    let (start, end) = init_array_bounds()?;
    if start.is_null() || end < start {
        return None;
    }
    let length = (end.addr() - start.addr()) / size_of::<usize>();
    // SAFETY: the linker made the list out of pointers, aligned, between the two symbols; after relocation
    // nobody writes.
    Some(unsafe { slice::from_raw_parts(start, length) })
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
fn init_array_bounds() -> Option<(*const usize, *const usize)> {
    let (start, end);
    // SAFETY: two reads of the global offset table, which the loader has filled in.
    unsafe {
        asm!(
            ".weak __init_array_start",
            ".weak __init_array_end",
            "mov {0}, qword ptr [rip + __init_array_start@GOTPCREL]",
            "mov {1}, qword ptr [rip + __init_array_end@GOTPCREL]",
            out(reg) start,
            out(reg) end,
            options(pure, readonly, nostack, preserves_flags)
        );
    }
    Some((start, end))
}

#[cfg(all(target_arch = "aarch64", not(miri)))]
fn init_array_bounds() -> Option<(*const usize, *const usize)> {
    let (start, end);
    // SAFETY: two reads of the global offset table, which the loader has filled in.
    unsafe {
        asm!(
            ".weak __init_array_start",
            ".weak __init_array_end",
            "adrp {0}, :got:__init_array_start",
            "ldr {0}, [{0}, :got_lo12:__init_array_start]",
            "adrp {1}, :got:__init_array_end",
            "ldr {1}, [{1}, :got_lo12:__init_array_end]",
            out(reg) start,
            out(reg) end,
            options(pure, readonly, nostack, preserves_flags)
        );
    }
    Some((start, end))
}

#[cfg(not(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri))))]
fn init_array_bounds() -> Option<(*const usize, *const usize)> {
    None
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;

    // Installing a hook here would be the only one of the test binary, in which xfork's own must be it. What
    // needs a program (the order, the arguments, once only) is held by the tests that start one.

    #[test]
    fn the_rest_is_what_stands_behind_the_first_entry_of_ours() {
        assert_eq!(behind(&[1, 2, 3, 2, 4], 2), Some(&[3, 2, 4][..]));
        assert_eq!(behind(&[1, 2], 2), Some(&[][..]));
        assert_eq!(behind(&[1, 2], 3), None);
        assert_eq!(behind(&[], 3), None);
    }

    // Miri has no list, and calls what it finds in the section without arguments.
    #[cfg(not(miri))]
    #[test]
    fn this_test_binary_has_a_list_of_constructors_in_its_own_image() {
        extern "C" fn constructor(_: c_int, _: *const *const c_char, _: *const *const c_char) {}
        #[used]
        // SAFETY: the section holds pointers to functions of this type, and this one does nothing.
        #[unsafe(link_section = ".init_array")]
        static ENTRY: Constructor = constructor;
        let list = init_array().unwrap();
        assert!(list.contains(&(constructor as Constructor as usize)));
        assert!(super::super::image::is_main_image(list.as_ptr().cast()));
    }

    #[test]
    fn outside_the_hook_no_constructor_runs_again() {
        assert!(!run_remaining_constructors());
    }
}
