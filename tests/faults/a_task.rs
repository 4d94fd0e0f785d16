//! Section A: the task itself.

use crate::fixture::{alone, ended, pool, program, quiet, run};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use xfork::{ResultProxy, process};

pub(crate) const HERE: &str = "tests/faults/a_task.rs";

#[inline(never)]
pub(crate) fn panic_in_some_way(way: u32) -> u64 {
    match way {
        0 => panic!("plain text"),
        1 => std::panic::panic_any(String::from("a string")),
        _ => panic!("formatted {way}"),
    }
}

/// Row 1: panics with &str / String / fmt: rethrown in the consumer with same text, location, worker backtrace with the
/// task's frame; others ok.
#[test]
fn a_panic_comes_back_with_text_place_and_stack() {
    alone(|| {
        pool(2, || {
            for (way, text) in [(0, "plain text"), (1, "a string"), (2, "formatted 2")] {
                let (broken, sibling) = (process(panic_in_some_way, way), process(u64::count_ones, 7));
                let error = ResultProxy::error(&broken).unwrap();
                assert!(error.is_panic() && !error.is_crash(), "{error}");
                assert_eq!(error.message(), text);
                let (file, line, _) = error.location().unwrap();
                assert!(file.ends_with(HERE) && line > 0, "{file}:{line}");
                assert!(error.pid().is_some_and(|pid| pid != std::process::id()));
                let backtrace = error.backtrace().unwrap();
                assert!(backtrace.contains("panic_in_some_way"), "{backtrace}");

                let payload = catch_unwind(AssertUnwindSafe(|| *broken)).unwrap_err();
                let thrown = payload.downcast_ref::<&str>().map(|text| text.to_string());
                let thrown = thrown.or_else(|| payload.downcast_ref::<String>().cloned());
                assert_eq!(thrown.as_deref(), Some(text));
                assert_eq!(sibling, 3);
            }
        });
    });
}

/// Row 2: panic_any(non-string): payload type is named if unknown; documented kind; no hang.
#[test]
fn a_panic_with_a_value_of_another_type_is_a_panic() {
    #[derive(Clone, Copy)]
    struct Own;
    fn of_a_number() -> u64 {
        panic_any(42_u32)
    }
    fn of_an_own_type() -> u64 {
        panic_any(Own)
    }
    alone(|| {
        pool(1, || {
            for proxy in [process(of_a_number, ()), process(of_an_own_type, ())] {
                let error = ResultProxy::error(&proxy).unwrap();
                assert!(error.is_panic(), "{error}");
                assert!(error.location().unwrap().0.ends_with(HERE));
                let payload = catch_unwind(AssertUnwindSafe(|| *proxy)).unwrap_err();
                let text = payload.downcast_ref::<String>().expect("a text stands for what cannot travel");
                assert!(text.contains("another type"), "{text}");
            }
        });
    });
}

/// Row 6: user panic hook set in the parent (before or after start) and in the task: ours still captures; the user's hook
/// in the parent is called as documented, once.
#[test]
fn hooks_of_the_program_and_of_the_task_change_nothing_for_the_report() {
    fn with_a_hook() -> u64 {
        std::panic::set_hook(Box::new(|_| {}));
        panic!("under a hook of the task")
    }
    fn hook(calls: &Arc<AtomicUsize>) {
        let calls = calls.clone();
        std::panic::set_hook(Box::new(move |_| {
            calls.fetch_add(1, Ordering::SeqCst);
        }));
    }
    alone(|| {
        let (before, after) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        hook(&before);
        pool(1, || {
            let broken = process(panic_in_some_way, 0);
            assert_eq!(ResultProxy::error(&broken).unwrap().message(), "plain text");
            assert_eq!(before.load(Ordering::SeqCst), 0, "looking at an error is no panic");
            catch_unwind(AssertUnwindSafe(|| *broken)).unwrap_err();
            assert_eq!(before.load(Ordering::SeqCst), 1);

            hook(&after);
            let broken = process(panic_in_some_way, 2);
            catch_unwind(AssertUnwindSafe(|| *broken)).unwrap_err();
            assert_eq!((before.load(Ordering::SeqCst), after.load(Ordering::SeqCst)), (1, 1));

            // The first panic after the task's own hook may be recorded without a place; every one has its text.
            for _ in 0..2 {
                let error = ended(process(with_a_hook, ())).unwrap_err();
                assert!(error.is_panic(), "{error}");
                assert_eq!(error.message(), "under a hook of the task");
            }
            let error = ended(process(panic_in_some_way, 0)).unwrap_err();
            assert!(
                error.location().is_some(),
                "the hook of an earlier task in the same worker hides this place"
            );
        });
        let _ = std::panic::take_hook();
    });
}

/// Row 7: RUST_BACKTRACE unset/0/1/full: trace policy as documented; never empty location.
#[test]
fn the_place_of_a_panic_is_always_told_and_its_stack_unless_unwanted() {
    for (setting, has_stack) in [(None, true), (Some("0"), false), (Some("1"), true), (Some("full"), true)] {
        let mut command = quiet(program("uses_a_panicked_task"));
        match setting {
            Some(value) => command.env("RUST_BACKTRACE", value),
            None => command.env_remove("RUST_BACKTRACE"),
        };
        let ended = run("uses_a_panicked_task", command);
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        assert!(ended.stderr.contains(&format!("{HERE}:")), "{setting:?}: {}", ended.stderr);
        let told = ended.stderr.contains("::panic_in_some_way");
        assert_eq!(told, has_stack, "{setting:?}: {}", ended.stderr);
    }
}

/// Row 8: process::exit(0), exit(42), libc::_exit(0): WorkerDied{code}, never success, never hang.
#[test]
fn a_task_that_ends_its_process_is_a_crash_with_its_code() {
    fn exit(code: i32) -> u64 {
        std::process::exit(code)
    }
    fn leave(code: i32) -> u64 {
        // SAFETY: takes a number.
        unsafe { libc::_exit(code) }
    }
    alone(|| {
        pool(2, || {
            let sibling = process(u64::count_ones, 15);
            for (proxy, code) in [
                (process(exit, 0), 0),
                (process(exit, 42), 42),
                (process(leave, 0), 0),
                (process(leave, 7), 7),
            ] {
                let error = ended(proxy).unwrap_err();
                assert!(error.is_crash(), "{error}");
                assert_eq!((error.exit_code(), error.signal()), (Some(code), None), "{error}");
                assert!(error.to_string().contains(&format!("exit code {code}")), "{error}");
            }
            assert_eq!(sibling, 4);
        });
    });
}

/// Row 9: abort(), SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTERM to self: WorkerDied{signal name}.
#[test]
fn a_task_that_kills_its_process_is_a_crash_with_its_signal() {
    fn die(signal: i32) -> u64 {
        // SAFETY: takes a number; no handler is installed for these.
        unsafe { libc::raise(signal) };
        u64::MAX
    }
    fn abort() -> u64 {
        std::process::abort()
    }
    alone(|| {
        let signals = [
            (libc::SIGSEGV, "SIGSEGV"),
            (libc::SIGBUS, "SIGBUS"),
            (libc::SIGILL, "SIGILL"),
            (libc::SIGFPE, "SIGFPE"),
            (libc::SIGTERM, "SIGTERM"),
            (libc::SIGKILL, "SIGKILL"),
        ];
        pool(2, || {
            let error = ended(process(abort, ())).unwrap_err();
            assert_eq!(error.signal(), Some(libc::SIGABRT), "{error}");
            for (number, name) in signals {
                let (broken, sibling) = (process(die, number), process(u64::count_ones, 3));
                let error = ended(broken).unwrap_err();
                assert!(error.is_crash() && error.signal() == Some(number), "{error}");
                assert!(error.to_string().contains(name) && error.to_string().contains("die"), "{error}");
                assert!(error.to_string().contains(&error.pid().unwrap().to_string()), "{error}");
                assert_eq!(sibling, 2);
            }
        });
    });
}
