//! The whole of `panics` in action. A test that changes the hook, or ends the process, runs in a child: this binary again, with
//! the test's name and [`CHILD`] set.

use std::any::Any;
use std::cell::Cell;
use std::env;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, panic_any, resume_unwind, set_hook, take_hook};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use proptest::prelude::*;

use super::frames::Frames;
use super::*;
use super::{hook, payload, scope};

const CHILD: &str = "XFORK_TEST_PANICS_CHILD";

/// Runs `body` in a child and hands back what became of it; in the child it doesn't return.
fn in_child(test: &str, stderr: Stdio, body: fn()) -> Output {
    if env::var_os(CHILD).is_some() {
        body();
        std::process::exit(0);
    }
    let module = module_path!().split_once("::").unwrap().1;
    // Without capture libtest sets no hook of its own.
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", &format!("{module}::{test}"), "--nocapture", "--test-threads=1"]).env(CHILD, "1");
    child.stdout(Stdio::piped()).stderr(stderr).spawn().unwrap().wait_with_output().unwrap()
}

fn passes_in_child(test: &str, body: fn()) -> String {
    let output = in_child(test, Stdio::piped(), body);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{}\n{stderr}", output.status);
    stderr
}

fn caught<R>(f: impl FnOnce() -> R) -> Caught {
    match catch(f) {
        Ok(_) => panic!("the task did not panic"),
        Err(caught) => caught,
    }
}

/// The same panic twice would be confused by a test that compares only one thing.
fn nothing() -> Box<dyn Any + Send> {
    Box::new(())
}

fn unwound(f: impl FnOnce()) -> Box<dyn Any + Send> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_err()
}

/// One byte, so that it has an address, and no text.
#[derive(Debug, PartialEq)]
struct Odd(u8);

struct Bomb;
impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("the bomb went off");
    }
}

#[test]
fn row_1_text_place_thread_and_frames_are_those_of_the_panic() {
    let line = line!() + 1;
    let error = thread::Builder::new().name("io-7".into()).spawn(|| caught(|| panic!("boom {}", 1 + 1)));
    let error = error.unwrap().join().unwrap();
    assert_eq!(error.record.message, "boom 2");
    let place = error.record.place.clone().unwrap();
    assert!(place.file.ends_with("tests.rs"), "{place}");
    assert_eq!(place.line, line);
    assert_eq!(error.record.thread.as_deref(), Some("io-7"));
    assert!(error.inherited.is_none());
    let frames = error.record.frames.resolve();
    let first = frames.first().unwrap();
    assert!(first.name.as_ref().unwrap().contains("row_1_text_place"), "{frames:#?}");
    assert_eq!(first.line, Some(line));
    assert!(
        !frames.iter().any(|frame| frame.name.as_ref().unwrap().contains("panics::capture")),
        "{frames:#?}"
    );
    assert!(error.record.frames.resolve_all().len() > frames.len() + 5);
}

#[test]
fn row_1_the_payload_has_the_type_that_the_task_threw_at_every_access() {
    for _ in 0..2 {
        let text = caught(|| panic!("literal")).payload;
        let formatted = caught(|| panic!("{}", 1)).payload;
        let string = caught(|| panic_any(String::from("s"))).payload;
        for _ in 0..3 {
            assert_eq!(*text.take().downcast::<&'static str>().unwrap(), "literal");
            // The compiler may make a literal of a formatted text.
            let thrown = formatted.take();
            assert_eq!(payload::text_of(&*thrown), "1");
            assert_eq!(*string.clone().take().downcast::<String>().unwrap(), "s");
        }
        assert_eq!((text.message(), string.message()), ("literal", "s"));
    }
}

#[test]
fn row_2_another_type_is_given_out_once_and_then_as_a_text() {
    let error = caught(|| panic_any(Odd(7)));
    assert_eq!(error.record.message, "Box<dyn Any>");
    assert_eq!(error.payload.message(), "Box<dyn Any>");
    assert!(error.record.place.is_some());
    assert_eq!(*error.payload.take().downcast::<Odd>().unwrap(), Odd(7));
    for _ in 0..2 {
        let text = error.payload.take().downcast::<String>().unwrap();
        assert_eq!(*text, "a panic payload of another type, already taken");
    }
}

#[test]
fn row_3_dropping_a_payload_whose_drop_panics_is_silent() {
    struct Worse;
    impl Drop for Worse {
        fn drop(&mut self) {
            panic_any(Bomb);
        }
    }
    let stderr = passes_in_child("row_3_dropping_a_payload_whose_drop_panics_is_silent", || {
        drop(caught(|| panic_any(Bomb)));
        drop(caught(|| panic_any(Worse)).payload.clone());
        let given_back = caught(|| panic_any(Bomb)).payload;
        given_back.restore(Box::new(Bomb));
        assert!(!scope::is_inside());
    });
    assert_eq!(stderr, "");
}

#[test]
fn rows_3_and_4_a_bomb_dropped_while_unwinding_is_harmless() {
    struct Holds(Option<Payload>);
    impl Drop for Holds {
        fn drop(&mut self) {
            drop(self.0.take());
        }
    }
    let bomb = caught(|| panic_any(Bomb)).payload;
    let error = caught(move || {
        let _held = Holds(Some(bomb));
        panic!("first");
    });
    assert_eq!(error.record.message, "first");
    assert!(error.record.place.is_some());
}

static ABORTED_WITH: fn(&PanicRecord) = |record| {
    let place = record.place.as_ref().unwrap();
    println!("abort at line {}: {}", place.line, record.message);
};

#[test]
fn row_4_a_panic_while_panicking_reports_the_first_text_before_it_aborts() {
    let output = in_child(
        "row_4_a_panic_while_panicking_reports_the_first_text_before_it_aborts",
        Stdio::piped(),
        || {
            on_abort(ABORTED_WITH);
            let _ = catch(|| {
                let _ = catch_unwind(|| panic!("harmless"));
                let _bomb = Bomb;
                panic!("the cause");
            });
        },
    );
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.signal(), Some(6));
    assert!(stdout.contains(": the cause\n(then, while unwinding, at "), "{stdout}");
    assert!(stdout.contains(": the bomb went off: panic in a destructor during cleanup)"), "{stdout}");
    assert_eq!(stdout.matches("abort at").count(), 1, "{stdout}");
}

#[test]
fn row_4_a_panic_in_an_extern_c_function_reports_its_own_text() {
    extern "C" fn callback() {
        panic!("in C");
    }
    let output =
        in_child("row_4_a_panic_in_an_extern_c_function_reports_its_own_text", Stdio::piped(), || {
            on_abort(ABORTED_WITH);
            let _ = catch(|| callback());
        });
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.signal(), Some(6));
    let expected = ": in C\n(then, while unwinding: panic in a function that cannot unwind)";
    assert!(stdout.contains(expected), "{stdout}");
}

#[test]
fn row_4_without_a_receiver_the_last_words_go_to_stderr() {
    let output = in_child("row_4_without_a_receiver_the_last_words_go_to_stderr", Stdio::piped(), || {
        let _ = catch(|| {
            let _bomb = Bomb;
            panic!("the cause");
        });
    });
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.signal(), Some(6));
    assert!(stderr.starts_with("a task panicked at ") && stderr.contains(":\nthe cause\n"), "{stderr}");
}

#[test]
fn a_second_panic_that_stays_in_its_destructor_is_not_the_end() {
    struct Careful;
    impl Drop for Careful {
        fn drop(&mut self) {
            assert!(catch_unwind(|| panic!("inner")).is_err());
        }
    }
    let error = caught(|| {
        let _careful = Careful;
        panic!("outer");
    });
    assert_eq!(error.record.message, "outer");
    let frames = error.record.frames.resolve();
    assert!(!frames.iter().any(|frame| frame.name.as_deref().is_some_and(|name| name.contains("Careful"))));
}

#[test]
fn row_6_std_s_own_hook_is_recognised() {
    passes_in_child("row_6_std_s_own_hook_is_recognised", || {
        install();
        assert!(!hook::is_custom());
    });
}

#[test]
fn row_6_a_hook_set_before_sees_each_rethrown_panic_once_with_its_text() {
    thread_local! { static CALLS: Cell<usize> = const { Cell::new(0) }; }
    let stderr =
        passes_in_child("row_6_a_hook_set_before_sees_each_rethrown_panic_once_with_its_text", || {
            set_hook(Box::new(|info| {
                CALLS.set(CALLS.get() + 1);
                let place = info.location().unwrap();
                eprintln!("custom: {:?} at {}", info.payload_as_str(), place.file().ends_with("tests.rs"));
            }));
            let texts = [caught(|| panic!("a")), caught(|| panic_any(String::from("b")))];
            let odd = caught(|| panic_any(Odd(1)));
            assert!(hook::is_custom());
            assert_eq!(CALLS.get(), 0, "a panic in a task is silent");
            for error in &texts {
                let thrown = unwound(|| rethrow(error.payload.clone(), || "report\n".into(), nothing()));
                assert_eq!(payload::text_of(&*thrown), error.record.message);
                let again = unwound(|| rethrow(error.payload.clone(), String::new, nothing()));
                assert_eq!((*again).type_id(), (*thrown).type_id());
            }
            let thrown = unwound(|| rethrow(odd.payload.clone(), || "report\n".into(), nothing()));
            assert_eq!(*thrown.downcast::<Odd>().unwrap(), Odd(1));
            assert_eq!(CALLS.get(), 5);
        });
    let expected = "report\ncustom: Some(\"a\") at true\ncustom: Some(\"a\") at true\n\
                    report\ncustom: Some(\"b\") at true\ncustom: Some(\"b\") at true\n\
                    report\ncustom: Some(\"Box<dyn Any>\") at false\n";
    assert_eq!(stderr, expected);
}

#[test]
fn row_6_a_hook_that_replaced_ours_is_wrapped_after_the_first_panic_that_it_hid() {
    let stderr = passes_in_child(
        "row_6_a_hook_that_replaced_ours_is_wrapped_after_the_first_panic_that_it_hid",
        || {
            install();
            set_hook(Box::new(|info| eprintln!("custom: {}", info.payload_as_str().unwrap())));
            let hidden = caught(|| panic!("hidden"));
            assert_eq!(hidden.record.message, "hidden");
            assert_eq!(hidden.record.place, None);
            assert!(hidden.record.frames.is_empty());
            assert!(hook::is_custom());
            assert!(caught(|| panic!("seen")).record.place.is_some());
        },
    );
    assert_eq!(stderr, "custom: hidden\n");
}

#[test]
fn row_6_a_hook_that_calls_ours_changes_nothing() {
    passes_in_child("row_6_a_hook_that_calls_ours_changes_nothing", || {
        install();
        let ours = take_hook();
        set_hook(Box::new(move |info| ours(info)));
        assert!(caught(|| panic!("seen")).record.place.is_some());
        assert!(!hook::is_custom());
        // Silence for some lines, and then back.
        let ours = take_hook();
        set_hook(Box::new(|_| {}));
        assert_eq!(caught(|| panic!("in between")).record.place, None);
        set_hook(ours);
        assert!(caught(|| panic!("seen")).record.place.is_some());
        assert!(!hook::is_custom());
    });
}

#[test]
fn row_6_a_panic_outside_a_task_goes_to_the_previous_hook() {
    let stderr = passes_in_child("row_6_a_panic_outside_a_task_goes_to_the_previous_hook", || {
        install();
        install();
        unwound(|| panic!("outside"));
        set_hook(Box::new(|_| eprintln!("replaced")));
        hook::ensure_current();
        hook::ensure_current();
        unwound(|| panic!("again"));
        // Threads that a task starts are not in the task (row 16).
        assert!(catch(|| thread::spawn(|| panic!("helper")).join().unwrap_err()).is_ok());
    });
    assert!(stderr.contains("panicked at") && stderr.contains(":\noutside\n"), "{stderr}");
    assert_eq!(stderr.matches(":\noutside\n").count(), 1, "{stderr}");
    assert_eq!(stderr.matches("replaced").count(), 2, "{stderr}");
}

#[test]
fn payloads_resumed_without_a_hook_do_not_pile_up_hooks() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    passes_in_child("payloads_resumed_without_a_hook_do_not_pile_up_hooks", || {
        set_hook(Box::new(|_| _ = CALLS.fetch_add(1, Ordering::Relaxed)));
        for _ in 0..100 {
            let error = caught(|| resume_unwind(Box::new(Odd(1))));
            assert_eq!(error.record.place, None);
        }
        unwound(|| panic!("outside"));
        assert_eq!(CALLS.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_first_task_in_a_destructor_during_unwinding_is_no_double_panic() {
    struct Forks;
    impl Drop for Forks {
        fn drop(&mut self) {
            install();
            assert!(catch(|| 1).is_ok());
        }
    }
    passes_in_child("a_first_task_in_a_destructor_during_unwinding_is_no_double_panic", || {
        unwound(|| {
            let _forks = Forks;
            panic!("first");
        });
        assert!(caught(|| panic!("later")).record.place.is_some());
    });
}

#[test]
fn rows_1_and_7_rethrow_prints_the_report_and_nothing_else() {
    let stderr = passes_in_child("rows_1_and_7_rethrow_prints_the_report_and_nothing_else", || {
        let error = caught(|| panic!("boom"));
        let forked = Place::from(Location::caller());
        let record = PanicRecord {
            place: Some(Place { file: "src/main.rs".into(), line: 3, column: 14 }),
            frames: Frames::default(),
            ..error.record
        };
        let mut route = Route::default();
        route.fork(ForkPlace { place: forked, task: "app::fib".into(), frames: None });
        let text = report(&Report {
            what: What::Panic(Panic {
                task: "app::fib",
                operation: None,
                ran: Ran::Worker(4121),
                record: &record,
            }),
            frames: Some(&record.frames),
            route: &route,
            style: TraceStyle::from_environment(),
            paint: Paint::for_stderr(),
        });
        let thrown = unwound(|| rethrow(error.payload.clone(), || text, nothing()));
        assert_eq!(*thrown.downcast::<&'static str>().unwrap(), "boom");
        unwound(|| rethrow(error.payload.clone(), String::new, nothing()));
    });
    let (start, end) = stderr.split_once("forked at ").unwrap();
    assert_eq!(start, "task `app::fib` (worker 4121) panicked at src/main.rs:3:14:\nboom\n");
    assert!(end.ends_with(" (app::fib)\n") && end.lines().count() == 1, "{end}");
}

#[test]
fn printing_to_a_stderr_that_fails_is_no_panic() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = in_child("printing_to_a_stderr_that_fails_is_no_panic", full.into(), || print("lost\n"));
    assert!(output.status.success(), "{}", output.status);
}

#[test]
fn a_nested_task_that_panics_leaves_the_outer_one_alone() {
    let inner = catch(|| caught(|| panic!("inner")).record.message);
    assert_eq!(inner.ok().as_deref(), Some("inner"));
    let outer = caught(|| {
        let inner = caught(|| panic!("inner"));
        assert!(scope::is_inside());
        panic!("outer after {}", inner.record.message);
    });
    assert_eq!(outer.record.message, "outer after inner");
    assert!(!scope::is_inside());
}

#[test]
fn user_code_that_catches_and_resumes_keeps_the_record_of_the_right_panic() {
    let mut lines = (0, 0);
    let error = caught(|| {
        lines.0 = line!() + 1;
        let first = unwound(|| panic!("first"));
        lines.1 = line!() + 1;
        let _second = unwound(|| panic!("second"));
        resume_unwind(first);
    });
    assert_eq!(error.record.place.unwrap().line, lines.0);
    assert_ne!(lines.0, lines.1);
}

fn identity(name: &'static str) -> Box<dyn Any + Send> {
    Box::new(name)
}

fn name_of(error: Caught) -> Option<&'static str> {
    error.inherited.map(|identity| *identity.downcast::<&'static str>().unwrap())
}

#[test]
fn a_failure_that_passes_through_a_task_keeps_its_identity_and_prints_nothing() {
    let stderr =
        passes_in_child("a_failure_that_passes_through_a_task_keeps_its_identity_and_prints_nothing", || {
            for inner in [caught(|| panic!("text")), caught(|| panic!("{}", String::from("s")))] {
                let again = inner.payload.clone();
                let outer = caught(|| rethrow(again, || "report\n".into(), identity("inner")));
                assert_eq!(outer.record.message, inner.record.message);
                assert_eq!(name_of(outer), Some("inner"));
            }
        });
    assert_eq!(stderr, "");
}

#[test]
fn row_2_a_payload_that_passed_through_a_task_goes_back_to_its_failure() {
    let inner = caught(|| panic_any(Odd(3)));
    let outer = caught(|| rethrow(inner.payload.clone(), String::new, identity("inner")));
    let twice = caught(|| rethrow(outer.payload.clone(), String::new, identity("outer")));
    assert_eq!(*inner.payload.take().downcast::<Odd>().unwrap(), Odd(3));
    // Two readers at once: the one that got the text must not put it in the place of the original.
    let original = unwound(|| rethrow(inner.payload.clone(), String::new, nothing()));
    drop(original);
    let substitute = caught(|| rethrow(inner.payload.clone(), String::new, identity("inner")));
    assert_eq!(name_of(substitute), Some("inner"));
    inner.payload.restore(Box::new(Odd(4)));
    assert_eq!(*inner.payload.take().downcast::<Odd>().unwrap(), Odd(4));
    assert_eq!(name_of(twice), Some("outer"));
}

#[test]
fn a_failure_that_user_code_caught_and_resumed_is_still_that_failure() {
    let inner = caught(|| panic!("inner"));
    let outer = caught(|| {
        let thrown = unwound(|| rethrow(inner.payload.clone(), String::new, identity("inner")));
        drop(unwound(|| panic!("something else")));
        resume_unwind(thrown);
    });
    assert_eq!(name_of(outer), Some("inner"));
}

fn swallow(inner: &Caught) {
    let payload = inner.payload.clone();
    drop(unwound(|| rethrow(payload, String::new, identity("inner"))));
}

/// A task that swallows `inner` and then ends in another way.
fn after<R>(inner: &Caught, end: impl FnOnce() -> R) -> Caught {
    caught(|| {
        swallow(inner);
        end()
    })
}

#[test]
fn a_failure_that_user_code_caught_is_not_blamed_for_a_later_panic() {
    // Often enough that the allocator hands out the address of the dropped payload again.
    for _ in 0..100 {
        let text = caught(|| panic_any(String::from("same")));
        let odd = caught(|| panic_any(Odd(1)));
        let empty = caught(|| panic_any(()));
        for error in [
            after(&text, || panic_any(String::from("same"))),
            after(&text, || panic_any(String::from("other"))),
            after(&text, || resume_unwind(Box::new(String::from("other")))),
            after(&odd, || panic_any(Odd(1))),
            after(&empty, || panic_any(())),
            after(&empty, || resume_unwind(Box::new(()))),
        ] {
            assert!(error.inherited.is_none());
        }
        assert!(catch(|| swallow(&text)).is_ok());
        assert!(caught(|| panic_any(String::from("same"))).inherited.is_none());
    }
}

#[test]
fn a_failure_that_an_inner_task_swallowed_is_not_the_outer_one_s() {
    let inner = caught(|| panic!("inner"));
    let outer = caught(|| {
        let middle = caught(|| rethrow(inner.payload.clone(), String::new, identity("inner")));
        assert!(middle.inherited.is_some());
        resume_unwind(middle.payload.take());
    });
    assert!(outer.inherited.is_none());
}

#[test]
fn tasks_that_panic_on_many_threads_keep_their_own_records() {
    let threads: Vec<_> = (0..8)
        .map(|n| {
            thread::spawn(move || {
                for round in 0..200 {
                    let error = caught(|| panic!("{n} {round}"));
                    assert_eq!(error.record.message, format!("{n} {round}"));
                    assert!(error.record.place.is_some());
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn marked_functions_appear_under_their_own_name() {
    #[expect(non_camel_case_types, reason = "as the macro makes it")]
    struct fib;
    impl std::ops::Deref for fib {
        type Target = fn(u64) -> u64;
        fn deref(&self) -> &Self::Target {
            #[inline(never)]
            fn __xfork_fib(n: u64) -> u64 {
                if n == 0 { panic!("bottom") } else { fib(n - 1) + 1 }
            }
            const { &(__xfork_fib as fn(u64) -> u64) }
        }
    }
    let frames = caught(|| fib(2)).record.frames.resolve();
    // An optimised build makes one frame of the recursion.
    let names: Vec<_> = frames.iter().filter_map(|frame| frame.name.as_deref()).collect();
    assert!(names[0].ends_with("::fib") && !names.iter().any(|name| name.contains("__xfork")), "{names:#?}");
}

#[test]
fn row_1_the_wire_keeps_text_place_and_names() {
    for error in [caught(|| panic!("literal")), caught(|| panic_any(String::from("s")))] {
        let sent = postcard::to_stdvec(&(&error.payload, &error.record)).unwrap();
        let (payload, record): (Payload, PanicRecord) = postcard::from_bytes(&sent).unwrap();
        assert_eq!((*payload.take()).type_id(), (*error.payload.take()).type_id());
        assert_eq!(payload.message(), error.payload.message());
        assert_eq!((&record.message, &record.place), (&error.record.message, &error.record.place));
        assert_eq!(record.thread, error.record.thread);
        assert_eq!(record.frames.resolve(), error.record.frames.resolve());
        let resent = postcard::to_stdvec(&(&payload, &record)).unwrap();
        assert_eq!(resent, sent);
    }
    let odd = postcard::to_stdvec(&caught(|| panic_any(Odd(1))).payload).unwrap();
    let odd: Payload = postcard::from_bytes(&odd).unwrap();
    assert_eq!(odd.message(), "Box<dyn Any>");
    let text = odd.take().downcast::<String>().unwrap();
    assert_eq!(*text, "a panic payload of another type, left in the process that panicked");
}

fn full_report(record: &PanicRecord, style: TraceStyle) -> String {
    let what = What::Panic(Panic { task: "t", operation: None, ran: Ran::InPlace, record });
    let (route, paint) = (&Route::default(), Paint::Plain);
    report(&Report { what, frames: Some(&record.frames), route, style, paint })
}

proptest! {
    #[test]
    fn row_100_bytes_of_a_hostile_peer_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(payload) = postcard::from_bytes::<Payload>(&bytes) {
            drop(payload.take());
        }
        if let Ok(record) = postcard::from_bytes::<PanicRecord>(&bytes) {
            let text = full_report(&record, TraceStyle::Full);
            let is_clean = !text.contains('\u{1b}');
            prop_assert!(is_clean);
        }
    }

    #[test]
    fn row_100_well_formed_records_with_hostile_content_never_panic(
        message in ".*",
        file in ".*",
        code in prop::collection::vec(any::<(u32, u64)>(), 0..8),
        is_cut: bool,
    ) {
        let place = Some((file, u32::MAX, 0_u32));
        let bytes = postcard::to_stdvec(&(&message, &place, (is_cut, &code), None::<String>)).unwrap();
        let record: PanicRecord = postcard::from_bytes(&bytes).unwrap();
        let text = full_report(&record, TraceStyle::Short);
        let is_clean = !text.chars().any(|c| c.is_control() && c != '\n' && c != '\t');
        prop_assert!(is_clean);
    }
}

#[test]
fn values_pass_from_thread_to_thread() {
    fn shared<T: Send + Sync + Clone>() {}
    fn sent<T: Send>() {}
    shared::<Payload>();
    shared::<PanicRecord>();
    sent::<Caught>();
    let error = Arc::new(caught(|| panic!("x")).payload);
    let other = Arc::clone(&error);
    assert_eq!(thread::spawn(move || other.message().to_owned()).join().unwrap(), "x");
}
