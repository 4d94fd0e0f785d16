//! Whether this process is a copy of another one, made by the system's `fork`.
//!
//! Owns a counter that stands one higher in each copy of a copy. Promises: to ask costs a load and no system call. Leaves
//! out copies made behind the C library's back (a bare `clone`).

#![expect(unsafe_code, reason = "the C library calls a function in each copy")]

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

static GENERATION: AtomicU32 = AtomicU32::new(0);
static COUNTED: Once = Once::new();

extern "C" fn in_the_copy() {
    // Relaxed: the copy has one thread yet.
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// How often this process has been copied since the first call: equal before and after only in the same process.
pub(crate) fn generation() -> u32 {
    COUNTED.call_once(|| {
        // SAFETY: the function does nothing but count, which is allowed in a copy of a process with threads. Without memory for it
        // there will be no second process either.
        unsafe { libc::pthread_atfork(None, None, Some(in_the_copy)) };
    });
    GENERATION.load(Ordering::Relaxed)
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_copy_knows_that_it_is_one() {
        let here = generation();
        // SAFETY: the child asks for an atomic number and ends, without running anything else.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: ends the process at once.
            unsafe { libc::_exit(i32::from(generation() == here)) };
        }
        let mut status = 0;
        // SAFETY: `status` outlives the call; the child is ours and has not been waited for.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(libc::WEXITSTATUS(status), 0);
        assert_eq!(generation(), here);
    }
}
