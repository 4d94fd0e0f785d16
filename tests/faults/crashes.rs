//! What is told of a worker that dies of a signal: rows 4, 9, 10, 11, 12 and 23 of section A, seen through `backtrace()` and the text.

use crate::fixture::{Dir, double};
use crate::fixture::{alone, ended, hang, hear_pid, kill, pool, program, quiet, run};
use serde::{Deserialize, Serialize, Serializer};
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use xfork::{TaskError, lazy, process, thread};

/// The crash of a task, with what holds for each.
fn crash(error: TaskError, signal: i32, function: &str, hint: &str) {
    assert!(error.is_crash() && !error.is_panic(), "{error}");
    assert_eq!((error.signal(), error.exit_code()), (Some(signal), None), "{error}");
    assert!(error.to_string().contains(hint), "{hint}: {error}");
    let backtrace = error.backtrace().unwrap_or_else(|| panic!("{error} without a stack"));
    assert!(backtrace.contains(function), "{function}: {error}\n{backtrace}");
    assert!(!backtrace.contains("on_fatal") && !backtrace.contains("task_boundary"), "{backtrace}");
}

#[inline(never)]
fn writes_to_nowhere(address: usize) -> u64 {
    // SAFETY: none; that is the fault.
    unsafe { std::ptr::without_provenance_mut::<u64>(black_box(address)).write_volatile(1) };
    black_box(1)
}

#[inline(never)]
fn reads_behind_a_file() -> u64 {
    // SAFETY: a new mapping of an empty file, of which nothing is there to be read; that is the fault.
    unsafe {
        let file = libc::memfd_create(c"empty".as_ptr(), 0);
        let page = libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ, libc::MAP_SHARED, file, 0);
        black_box(page.cast::<u64>().read_volatile())
    }
}

#[inline(never)]
fn raises(signal: i32) -> u64 {
    // SAFETY: takes a number.
    unsafe { libc::raise(signal) };
    black_box(1)
}

#[inline(never)]
fn aborts() -> u64 {
    std::process::abort()
}

/// Row 9: abort(), SIGSEGV, SIGBUS, SIGILL, SIGFPE: the error has the stack of the place where it happened.
#[test]
fn each_signal_names_the_function_that_it_hit() {
    alone(|| {
        pool(2, || {
            let sibling = process(double, 4);
            let no_memory = ", an invalid memory access at address ";
            let error = ended(process(writes_to_nowhere, 16)).unwrap_err();
            crash(error, libc::SIGSEGV, "writes_to_nowhere", &format!("(SIGSEGV){no_memory}0x10;"));
            // An address that no pointer can have: the processor doesn't tell it.
            let error = ended(process(writes_to_nowhere, 1 << 63)).unwrap_err();
            crash(error, libc::SIGSEGV, "writes_to_nowhere", "(SIGSEGV), an invalid memory access;");
            let error = ended(process(reads_behind_a_file, ())).unwrap_err();
            crash(error, libc::SIGBUS, "reads_behind_a_file", &format!("(SIGBUS){no_memory}"));
            let error = ended(process(aborts, ())).unwrap_err();
            assert!(!error.is_out_of_memory());
            crash(error, libc::SIGABRT, "aborts", "(SIGABRT), an abort;");
            for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP] {
                let error = ended(process(raises, signal)).unwrap_err();
                crash(error, signal, "raises", ", raised by the process itself;");
            }
            assert_eq!(sibling, 8);
        });
    });
}

/// Row 9, on the processor that these instructions are of.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_fault_of_the_processor_names_the_function_that_it_hit() {
    #[inline(never)]
    fn divides_by_zero() -> u64 {
        // SAFETY: changes no memory; that it faults is the point.
        unsafe {
            std::arch::asm!("div {0:r}", in(reg) 0_u64, inout("rax") 1_u64 => _, inout("rdx") 0_u64 => _)
        };
        black_box(1)
    }
    #[inline(never)]
    fn has_no_instruction() -> u64 {
        // SAFETY: as above.
        unsafe { std::arch::asm!("ud2") };
        black_box(1)
    }
    #[inline(never)]
    fn loses_its_stack() -> u64 {
        // SAFETY: none; whoever walks this stack crashes.
        unsafe { std::arch::asm!("mov rsp, 8", "mov rbp, 8", "ud2", options(noreturn)) }
    }
    alone(|| {
        pool(1, || {
            let error = ended(process(divides_by_zero, ())).unwrap_err();
            crash(error, libc::SIGFPE, "divides_by_zero", "(SIGFPE), an arithmetic fault;");
            let error = ended(process(has_no_instruction, ())).unwrap_err();
            crash(error, libc::SIGILL, "has_no_instruction", "(SIGILL), an illegal instruction;");
            // The handler crashes as well: still the first signal, and what was told before.
            let error = ended(process(loses_its_stack, ())).unwrap_err();
            crash(error, libc::SIGILL, "loses_its_stack", "(SIGILL), an illegal instruction;");
        });
    });
}

#[inline(never)]
fn recurses(depth: u64) -> u64 {
    let room = black_box([depth; 256]);
    if depth == u64::MAX { 0 } else { recurses(depth + 1).wrapping_add(room[7]) }
}

/// Row 10: stack overflow, small and main thread: named as such, with the function; others ok.
#[test]
fn a_stack_overflow_is_named_with_the_function_that_recursed() {
    fn beside() -> u64 {
        let forked = process(recurses, 0);
        // While a value is being computed here, the fork runs in a thread beside.
        *lazy(move || *forked)
    }
    fn in_a_pool_thread() -> u64 {
        *thread(|| recurses(0), ())
    }
    fn while_waiting() -> u64 {
        *process(recurses, 0)
    }
    alone(|| {
        pool(1, || {
            for task in [
                process(recurses, 0),
                process(beside, ()),
                process(in_a_pool_thread, ()),
                process(while_waiting, ()),
            ] {
                let error = ended(task).unwrap_err();
                crash(error, libc::SIGSEGV, "recurses", "(SIGSEGV), a stack overflow in `");
            }
            let error = ended(process(recurses, 0)).unwrap_err();
            assert!(error.to_string().contains("crashes::recurses`"), "{error}");
            assert!(error.backtrace().unwrap().matches("recurses\n").count() > 100, "the innermost frames");
        });
    });
}

/// Row 10: of a thread that the task started by itself only the death is known.
#[test]
fn a_stack_overflow_in_a_thread_of_the_task_s_own_is_supposed() {
    fn in_an_own_thread() -> u64 {
        std::thread::spawn(|| recurses(0)).join().unwrap()
    }
    alone(|| {
        pool(1, || {
            let error = ended(process(in_an_own_thread, ())).unwrap_err();
            assert_eq!(error.signal(), Some(libc::SIGSEGV), "{error}");
            assert!(
                error.to_string().contains("a stack overflow in a thread that the task started"),
                "{error}"
            );
            assert_eq!(error.backtrace(), None);
        });
    });
}

/// Row 11: infinite recursion in Serialize of the result: as 10.
#[test]
fn a_result_that_serialises_without_end_is_a_stack_overflow() {
    #[derive(Clone, Deserialize)]
    struct Endless;
    impl Serialize for Endless {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            // The sign is for the compiler, which may see through the rest.
            serializer.serialize_newtype_struct("Endless", &black_box(Endless))
        }
    }
    fn endless() -> Endless {
        Endless
    }
    alone(|| {
        pool(1, || {
            let error = ended(process(endless, ())).map(|_| ()).unwrap_err();
            crash(error, libc::SIGSEGV, "Endless", "a stack overflow in `");
        });
    });
}

/// Row 12: allocation failure (1<<46): named as such, with the function; the program is fine.
#[test]
fn a_failed_allocation_is_out_of_memory() {
    #[inline(never)]
    fn wants_too_much() -> u64 {
        black_box(Vec::<u8>::with_capacity(black_box(1 << 46))).capacity() as u64
    }
    alone(|| {
        pool(1, || {
            let error = ended(process(wants_too_much, ())).unwrap_err();
            assert!(error.is_out_of_memory(), "{error}");
            crash(error, libc::SIGABRT, "wants_too_much", "(SIGABRT), because memory allocation failed");
        });
    });
}

/// Row 4: panic while panicking (Drop): WorkerDied with the first panic's text and stack.
#[test]
fn a_panic_while_panicking_is_a_crash_with_the_first_one_s_text_and_stack() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("the second one");
        }
    }
    #[inline(never)]
    fn panics_twice() -> u64 {
        let _panics = Panics;
        panic!("the first one")
    }
    alone(|| {
        pool(1, || {
            let error = ended(process(panics_twice, ())).unwrap_err();
            assert!(error.location().unwrap().0.ends_with("crashes.rs"));
            crash(error, libc::SIGABRT, "panics_twice", "the first one");
        });
    });
}

/// Row 9, for a task that a task forked: the error arrives through the other worker.
#[test]
fn a_crash_in_a_nested_fork_names_its_function() {
    fn forks() -> String {
        let forked: Vec<_> = (0..4).map(|_| process(writes_to_nowhere, 0)).collect();
        let mut last = String::new();
        for task in forked {
            last = ended(task).unwrap_err().backtrace().unwrap_or_default();
        }
        last
    }
    alone(|| {
        pool(3, || match ended(process(forks, ())) {
            // Another worker took the forks, or this one ran one of them itself and died.
            Ok(backtrace) => assert!(backtrace.contains("writes_to_nowhere"), "{backtrace}"),
            Err(error) => crash(error, libc::SIGSEGV, "writes_to_nowhere", "at address 0x0;"),
        });
    });
}

/// Row 9: several threads of a worker crash at the same time.
#[test]
fn threads_that_crash_together_are_one_crash() {
    fn all_together() -> u64 {
        let barrier = Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    barrier.wait();
                    writes_to_nowhere(32)
                });
            }
        });
        1
    }
    alone(|| {
        pool(1, || {
            for _ in 0..10 {
                let error = ended(process(all_together, ())).unwrap_err();
                crash(error, libc::SIGSEGV, "writes_to_nowhere", "at address 0x20;");
            }
        });
    });
}

/// The handler waits for a lock that a thread of the task holds for ever: the process ends all the same, of the right signal, and
/// what was told before counts.
#[test]
fn a_handler_that_gets_stuck_does_not_keep_the_worker_alive() {
    unsafe extern "C" fn stay(_: *mut libc::dl_phdr_info, _: usize, barrier: *mut libc::c_void) -> i32 {
        // SAFETY: the barrier that was passed below, which lives as long as the process.
        unsafe { &*barrier.cast::<Barrier>() }.wait();
        loop {
            std::thread::park();
        }
    }
    #[inline(never)]
    fn locks_and_raises() -> u64 {
        let barrier: &'static Barrier = Box::leak(Box::new(Barrier::new(2)));
        std::thread::spawn(|| {
            let barrier = std::ptr::from_ref(barrier).cast_mut().cast();
            // SAFETY: the callback does not return, so the loader's lock is held from now on.
            unsafe { libc::dl_iterate_phdr(Some(stay), barrier) }
        });
        barrier.wait();
        raises(libc::SIGFPE)
    }
    alone(|| {
        pool(1, || {
            let error = ended(process(locks_and_raises, ())).unwrap_err();
            crash(error, libc::SIGFPE, "locks_and_raises", "(SIGFPE)");
        });
    });
}

/// A signal from outside: who sent it is told, and no stack, since which thread got it is chance.
#[test]
fn a_signal_from_another_process_is_told_as_such() {
    alone(|| {
        let dir = Dir::new();
        pool(1, || {
            let pipe = dir.pipe("started");
            let busy = process(hang, pipe.as_str());
            kill(hear_pid(&pipe), libc::SIGSEGV);
            let error = ended(busy).unwrap_err();
            assert_eq!(error.signal(), Some(libc::SIGSEGV), "{error}");
            assert!(
                error.to_string().contains(&format!("sent by process {}", std::process::id())),
                "{error}"
            );
            assert_eq!(error.backtrace(), None);
        });
    });
}

/// A handler that a task installs is the task's own.
#[test]
fn a_handler_of_the_task_replaces_ours() {
    extern "C" fn leave(_: i32) {
        // SAFETY: takes a number.
        unsafe { libc::_exit(55) };
    }
    fn handles_it_itself() -> u64 {
        let leave: extern "C" fn(i32) = leave;
        // SAFETY: the handler ends the process.
        unsafe { libc::signal(libc::SIGSEGV, leave as libc::sighandler_t) };
        writes_to_nowhere(0)
    }
    alone(|| {
        pool(1, || {
            let error = ended(process(handles_it_itself, ())).unwrap_err();
            assert_eq!(error.exit_code(), Some(55), "{error}");
        });
    });
}

/// Row 23: calls fork() (libc) itself: the child's crash is not the worker's, and has its own signal.
#[test]
fn a_crash_of_a_process_that_a_task_forked_is_not_the_worker_s() {
    fn forks_a_process(then: i32) -> i32 {
        let mut status = 0;
        // SAFETY: the child crashes at once.
        unsafe {
            match libc::fork() {
                0 => _ = writes_to_nowhere(0),
                child => _ = libc::waitpid(child, &raw mut status, 0),
            }
            if then != 0 {
                libc::kill(libc::getpid(), then);
            }
        }
        libc::WTERMSIG(status)
    }
    alone(|| {
        pool(1, || {
            assert_eq!(ended(process(forks_a_process, 0)).unwrap(), libc::SIGSEGV);
            let error = ended(process(forks_a_process, libc::SIGKILL)).unwrap_err();
            assert_eq!((error.signal(), error.backtrace()), (Some(libc::SIGKILL), None), "{error}");
        });
    });
}

pub(crate) fn uses_a_crashed_task() {
    let broken = process(writes_to_nowhere, 8);
    catch_unwind(AssertUnwindSafe(|| *broken)).unwrap_err();
}

/// Rows 7 and 9: the report of a crash is laid out like that of a panic.
#[test]
fn the_report_of_a_crash_has_its_stack() {
    for (setting, has_stack) in [("0", false), ("1", true), ("full", true)] {
        let mut command = quiet(program("uses_a_crashed_task"));
        command.env("RUST_BACKTRACE", setting);
        let ended = run("uses_a_crashed_task", command);
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        let text = &ended.stderr;
        assert!(text.contains("(SIGSEGV), an invalid memory access at address 0x8; the task"), "{text}");
        let stack = "\nstack backtrace:\n";
        assert_eq!(
            (text.contains(stack), text.contains("writes_to_nowhere\n")),
            (has_stack, has_stack),
            "{text}"
        );
        assert!(text.contains("\nforked at tests/faults/crashes.rs:"), "{text}");
    }
}
