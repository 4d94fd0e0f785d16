//! The second stack of a thread, on which its signal handler runs when the first is used up.
//!
//! std gives its threads one only if its own runtime has started before `main`, and a worker never gets there. So a thread gets
//! one here before its first task. Promises: a thread that has one keeps its own; ours goes with its thread. Leaves out
//! threads that a task starts by itself: nothing tells when one begins.

#![expect(unsafe_code, reason = "mmap and sigaltstack")]

use super::super::cpu;
use super::handler;
use std::cell::OnceCell;
use std::ptr;

/// Room for the handler and the unwinder, beside what the kernel saves there.
const ROOM: usize = 64 * 1024;

thread_local! {
    static ALTERNATE: OnceCell<Option<Alternate>> = const { OnceCell::new() };
}

/// Gives this thread what the handler needs. Costs one load in a process without a handler.
pub(crate) fn prepare_thread() {
    if handler::is_installed() {
        // A thread that is ending has had its chance.
        let _ = ALTERNATE.try_with(|alternate| {
            alternate.get_or_init(|| {
                // The bounds are asked for now, since the C library may allocate for the answer.
                let _ = cpu::stack_left();
                Alternate::new()
            });
        });
    }
}

/// A stack that is this thread's.
struct Alternate {
    mapping: *mut libc::c_void,
    size: usize,
    /// What the kernel was told: the mapping without the page at its low end.
    bottom: *mut libc::c_void,
}

impl Alternate {
    /// `None` if the thread has one or there is no memory for it.
    fn new() -> Option<Self> {
        if current()?.ss_flags & libc::SS_DISABLE == 0 {
            return None;
        }
        // SAFETY: takes numbers; zero, where the kernel doesn't tell, is less than `ROOM` anyway.
        let (page, saved) =
            unsafe { (libc::sysconf(libc::_SC_PAGESIZE), libc::getauxval(libc::AT_MINSIGSTKSZ)) };
        let page = usize::try_from(page).ok()?;
        let size = page + (ROOM + saved as usize).next_multiple_of(page);
        // SAFETY: a new mapping of its own.
        let mapping = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            libc::mmap(ptr::null_mut(), size, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
        };
        if mapping == libc::MAP_FAILED {
            return None;
        }
        let alternate = Self { mapping, size, bottom: mapping.wrapping_byte_add(page) };
        let stack = libc::stack_t { ss_sp: alternate.bottom, ss_flags: 0, ss_size: size - page };
        // SAFETY: the first page of the mapping is made a guard, the rest is given to the kernel, for this thread, and is
        // unmapped only after `drop` has taken it back.
        let accepted = unsafe {
            libc::mprotect(mapping, page, libc::PROT_NONE) == 0
                && libc::sigaltstack(&raw const stack, ptr::null_mut()) == 0
        };
        // Dropped otherwise, which sees that the kernel has not got it.
        accepted.then_some(alternate)
    }
}

impl Drop for Alternate {
    fn drop(&mut self) {
        let Some(current) = current() else { return };
        if current.ss_sp == self.bottom && current.ss_flags & libc::SS_DISABLE == 0 {
            let none = libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
            // SAFETY: takes the stack away from the kernel; fails if this thread is running on it.
            if unsafe { libc::sigaltstack(&raw const none, ptr::null_mut()) } != 0 {
                return;
            }
        }
        // SAFETY: mapped by `new`, and nobody's any more.
        unsafe { libc::munmap(self.mapping, self.size) };
    }
}

/// The second stack that this thread has.
fn current() -> Option<libc::stack_t> {
    let mut stack = libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: 0, ss_size: 0 };
    // SAFETY: `stack` is writable and outlives the call.
    (unsafe { libc::sigaltstack(ptr::null(), &raw mut stack) } == 0).then_some(stack)
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_gets_one_and_gives_it_back() {
        std::thread::spawn(|| {
            // Of a test program std has seen to its threads itself.
            let own = current().unwrap();
            let none = libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
            // SAFETY: nothing runs on it, and it is given back below.
            assert_eq!(unsafe { libc::sigaltstack(&raw const none, ptr::null_mut()) }, 0);
            let ours = Alternate::new().unwrap();
            assert_eq!(current().unwrap().ss_sp, ours.bottom);
            assert!(Alternate::new().is_none(), "a thread that has one keeps it");
            drop(ours);
            assert_eq!(current().unwrap().ss_flags, libc::SS_DISABLE);
            // SAFETY: as it was.
            assert_eq!(unsafe { libc::sigaltstack(&raw const own, ptr::null_mut()) }, 0);
        })
        .join()
        .unwrap();
    }
}
