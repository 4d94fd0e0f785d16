//! What this process and this thread have used up: processor time and stack.
//!
//! Promises answers cheap enough to be asked for every task. Leaves out what follows from them.

#![expect(
    unsafe_code,
    reason = "clock_gettime and the attributes of a thread have no safe counterpart in std"
)]

use super::call::check;
use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;
use std::time::Duration;

/// The time for which processors have worked for this process, all threads together.
pub(crate) fn process_cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable and outlives the call.
    match check(unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) }) {
        Ok(_) => Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32),
        // Only a filter of system calls can deny it, and then there is nothing to tell.
        Err(_) => Duration::ZERO,
    }
}

/// How many threads of this process with this name (of at most 15 bytes) run, or would if there were a processor for them;
/// counts up to `enough`. Zero where it can't be told. Takes some microseconds for each thread.
pub(crate) fn runnable_threads(name: &str, enough: usize) -> usize {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return 0 };
    let mark = format!(" ({name}) R ");
    threads
        .filter_map(|thread| std::fs::read(thread.ok()?.path().join("stat")).ok())
        // The name may be any bytes; what stands behind it are numbers.
        .filter(|stat| stat.windows(mark.len()).any(|part| part == mark.as_bytes()))
        .take(enough)
        .count()
}

thread_local! {
    /// The stack of this thread: not asked for, asked for in vain, or known. It never moves; the limit of the
    /// main thread can be changed while it runs, but the room kept free below it was decided when the program
    /// started.
    static STACK: Cell<Option<Option<(usize, usize)>>> = const { Cell::new(None) };
}

/// About how many bytes are left on the stack of this thread. `None` if that is not known, for instance on a
/// stack that a coroutine library made.
pub(crate) fn stack_left() -> Option<usize> {
    let bounds = STACK.get().unwrap_or_else(|| {
        let bounds = stack_bounds().map(|range| (range.start, range.end));
        STACK.set(Some(bounds));
        bounds
    });
    let (low, high) = bounds?;
    let local = 0u8;
    let here = ptr::from_ref(&local).addr();
    (low..high).contains(&here).then(|| here - low)
}

/// The stack of this thread, if [`stack_left`] has asked for it. For a signal handler: it only looks.
pub(super) fn known_stack() -> Option<Range<usize>> {
    STACK.get().flatten().map(|(low, high)| low..high)
}

/// Asks the C library, which for the main thread reads /proc/self/maps (hence once per thread), and takes
/// RLIMIT_STACK and the mapping below into account (glibc); musl gives what the kernel has mapped so far, so
/// there the answer errs low.
fn stack_bounds() -> Option<Range<usize>> {
    let mut attributes = MaybeUninit::uninit();
    // SAFETY: fills in `attributes` if it returns 0.
    if unsafe { libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) } != 0 {
        return None;
    }
    let (mut low, mut size, mut guard) = (ptr::null_mut(), 0, 0);
    // SAFETY: `attributes` was initialised just now and is destroyed once, here; the results go to three
    // locals.
    let got = unsafe {
        let got = libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut low, &raw mut size)
            | libc::pthread_attr_getguardsize(attributes.as_ptr(), &raw mut guard);
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        got
    };
    let (low, high) = (low.addr(), low.addr().checked_add(size)?);
    // Some versions count the guard as stack, some do not; to take it off twice costs a page.
    (got == 0).then(|| low.saturating_add(guard).min(high)..high)
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::super::role;
    use super::super::socket::send_all;
    use super::*;
    use std::hint::black_box;
    use std::os::fd::AsFd;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
    use std::thread;
    use std::time::Instant;

    const HERE: &str = module_path!();

    #[test]
    fn a_thread_that_computes_is_runnable_and_one_that_sleeps_is_not() {
        let (name, is_over) = ("runnable-test", Arc::new(AtomicBool::new(false)));
        let thread = {
            let is_over = is_over.clone();
            let spin = move || while !is_over.load(SeqCst) {};
            thread::Builder::new().name(name.into()).spawn(spin).unwrap()
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        while runnable_threads(name, 2) != 1 {
            assert!(Instant::now() < deadline);
        }
        assert_eq!(runnable_threads(name, 0), 0);
        assert_eq!(runnable_threads("nobody", 2), 0);
        is_over.store(true, SeqCst);
        thread.join().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let (begun, has_begun) = std::sync::mpsc::channel();
        let thread = thread::Builder::new().name(name.into());
        let sleep = move || {
            begun.send(()).unwrap();
            receiver.recv().is_err()
        };
        let thread = thread.spawn(sleep).unwrap();
        has_begun.recv().unwrap();
        while runnable_threads(name, 2) != 0 {
            assert!(Instant::now() < deadline);
        }
        drop(sender);
        assert!(thread.join().unwrap());
    }

    #[test]
    fn computing_uses_processor_time() {
        let before = process_cpu_time();
        let mut number = 1u64;
        while process_cpu_time() == before {
            number = black_box(number.wrapping_mul(3));
        }
        assert!(process_cpu_time() > before);
    }

    #[inline(never)]
    fn deeper(levels: usize) -> usize {
        let room = black_box([levels; 128]);
        let left = if levels == 0 { stack_left().unwrap() } else { deeper(levels - 1) };
        left.min(room[0].saturating_add(usize::MAX / 2))
    }

    #[test]
    fn less_is_left_the_deeper_the_call() {
        // Larger than what the C library keeps of ended threads, of which a new one may get a stack with room
        // to spare.
        let size = 64 << 20;
        let thread = thread::Builder::new().stack_size(size).spawn(move || {
            let left = stack_left().unwrap();
            assert!(left < size + (64 << 10) && left > size / 2, "{left}");
            let below = deeper(100);
            assert!(left - below >= 100 * 128 * size_of::<usize>(), "{left} {below}");
        });
        thread.unwrap().join().unwrap();
    }

    #[test]
    #[ignore = "a role for other tests, played in a process of its own"]
    fn role_tells_its_stack() {
        let Some(stage) = role::stage() else { return };
        let limit = libc::rlimit { rlim_cur: 3 << 20, rlim_max: libc::RLIM_INFINITY };
        // SAFETY: `limit` is readable; the other two take nothing and cannot fail.
        let is_main = unsafe {
            let limit = libc::rlimit { rlim_max: limit.rlim_cur, ..limit };
            assert_eq!(libc::setrlimit(libc::RLIMIT_STACK, &raw const limit), 0);
            libc::gettid() == libc::getpid()
        };
        let left = stack_left().unwrap();
        send_all(stage.as_fd(), format!("{is_main} {}", left < 3 << 20 && left > 2 << 20).as_bytes())
            .unwrap();
        role::leave(0);
    }

    #[test]
    fn the_main_thread_has_what_its_limit_allows() {
        let (mut child, stage) = role::play(HERE, "role_tells_its_stack");
        let told = role::told(&mut child, stage);
        // libtest runs a single test on the main thread; should that change, there is nothing to see here.
        assert!(told == b"true true" || told.starts_with(b"false"), "{}", String::from_utf8_lossy(&told));
    }
}
