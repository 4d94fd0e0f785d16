//! What a failed task tells, and to whom.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};

use crate::fixture::{MINUTE, Program, deadline, fail, fail_io, panic_of, square, text_of};
use xfork::{ResultProxy, TaskError, cpu_bound, fork, io_bound, process, ready, thread, wait};

/// XF-13: `ResultEvaluationError` public: a TaskError is an error like others, and cheap to share.
#[test]
fn a_task_error_is_an_error_that_can_be_shared() {
    fn is_error<E: Error + Clone + Send + Sync + 'static>(_: &E) {}
    deadline(MINUTE, || {
        let error = wait(&fork(fail, "shared")).unwrap_err();
        is_error(&error);
        let boxed: Box<dyn Error + Send + Sync> = error.clone().into();
        let back = boxed.downcast::<TaskError>().unwrap();
        assert_eq!(back.message(), "shared");
        assert!(!format!("{error:?}").is_empty());
    });
}

/// XF-13: the error carries the remote traceback text, and what else is known.
#[test]
fn a_task_error_tells_what_happened_where() {
    #[cpu_bound]
    fn outer_frame(text: &str) -> u64 {
        inner_frame(text)
    }
    #[inline(never)]
    fn inner_frame(text: &str) -> u64 {
        panic!("{text}")
    }
    deadline(MINUTE, || {
        let (p, forked) = (fork(outer_frame, "what happened"), line!());
        let error = wait(&p).unwrap_err();
        assert!(error.is_panic());
        let others = [
            error.is_crash(),
            error.is_timeout(),
            error.is_dependency(),
            error.is_transport(),
            error.is_spawn(),
            error.is_cancelled(),
        ];
        assert_eq!(others, [false; 6]);
        assert_eq!(error.message(), "what happened");
        assert!(error.task().ends_with("failures::outer_frame"), "{}", error.task());
        let (file, line, column) = error.location().unwrap();
        assert!(file == file!() && line < forked && column > 0, "{file}:{line}:{column}");
        let backtrace = error.backtrace().unwrap();
        assert!(backtrace.contains("inner_frame") && backtrace.contains("outer_frame"), "{backtrace}");
        assert_eq!(
            error.forked_at().iter().map(|place| (place.0, place.1)).collect::<Vec<_>>(),
            [(file!(), forked)]
        );
        assert_eq!((error.signal(), error.exit_code()), (None, None));
        let pid = error.pid().unwrap();
        assert_ne!(pid, std::process::id());
        let text = error.to_string();
        for part in ["outer_frame", "what happened", file!(), &pid.to_string()] {
            assert!(text.contains(part), "{text}");
        }
    });
}

#[cpu_bound]
fn quotient(divisor: u64) -> u64 {
    1 / divisor
}

#[io_bound]
fn quotient_io(divisor: u64) -> u64 {
    1 / divisor
}

/// XF-50: the 8 scenarios of upstream's test_exception: cpu/io × fork/process/thread × {task raises, operator raises}:
/// the original message, place and frames, and the fork's place.
#[test]
fn the_eight_scenarios_of_a_failing_task_or_operator() {
    const DIVISION: &str = "attempt to divide by zero";
    deadline(MINUTE, || {
        let tasks = [
            (fork(quotient, 0), line!(), true),
            (process(quotient_io, 0), line!(), true),
            (fork(quotient_io, 0), line!(), false),
            (thread(quotient, 0), line!(), false),
        ];
        for (proxy, forked, in_worker) in tasks {
            let error = wait(&proxy).unwrap_err();
            assert_eq!(error.message(), DIVISION);
            assert_eq!(error.location().unwrap().0, file!());
            assert!(error.backtrace().unwrap().contains("quotient"), "{error:?}");
            assert_eq!((error.forked_at()[0].0, error.forked_at()[0].1), (file!(), forked));
            assert_eq!(error.pid().is_some(), in_worker);
            assert_eq!(panic_of(|| *proxy), DIVISION);
        }
        let zeros = [fork(square, 0), process(square, 0), thread(square, 0), fork(io_zero, ())];
        for zero in zeros {
            let expression = 1 / (zero * 2);
            assert_eq!(panic_of(|| *expression), DIVISION);
            assert_eq!(wait(&expression).unwrap_err().message(), DIVISION);
        }
    });
}

#[io_bound]
fn io_zero() -> u64 {
    0
}

/// XF-50: text = stack of the fork's call site + frames inside the worker + message, at the line that forces; it reads
/// like a sequential program's, on stderr.
#[test]
fn the_report_reads_like_that_of_a_sequential_program() {
    let Some(ended) = Program::new().run(|| {
        let p = fork(middle, ());
        *p;
    }) else {
        return;
    };
    assert_eq!(ended.code, Some(101), "{ended:?}");
    let parts =
        ["failures::", "panicked at tests/it/failures.rs:", "innermost", "stack backtrace:", "deepest_frame"];
    let mut rest = &*ended.stderr;
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else {
            panic!("no {part:?} in its place: {}", ended.stderr)
        };
        rest = after;
    }
    // Every fork between there and here, the innermost first, each one by the user's own line.
    let places: Vec<_> =
        rest.lines().filter(|line| line.starts_with("forked at tests/it/failures.rs:")).collect();
    assert_eq!(places.len(), 2, "{}", ended.stderr);
    assert!(places[0].contains("innermost_task") && places[1].contains("middle"), "{places:?}");
    assert_eq!(ended.stderr.matches("panicked at").count(), 1, "told once: {}", ended.stderr);
    assert!(!ended.stderr.contains("nobody looked"), "{}", ended.stderr);
}

#[cpu_bound]
fn innermost_task() {
    deepest_frame();
}

#[inline(never)]
fn deepest_frame() {
    panic!("innermost");
}

#[cpu_bound]
fn middle() {
    *fork(innermost_task, ());
}

/// XF-50: how much of the stack is shown, RUST_BACKTRACE says: everything of the user's if it is unset, nothing for
/// `0`, the runtime's frames as well for `full`.
#[test]
fn rust_backtrace_chooses_how_much_of_the_stack_is_shown() {
    let report = |value: Option<&str>| -> Option<String> {
        let program =
            value.into_iter().fold(Program::new(), |program, value| program.env("RUST_BACKTRACE", value));
        let ended = program.run(|| {
            *fork(innermost_task, ());
        });
        ended.map(|ended| ended.stderr)
    };
    let Some(unset) = report(None) else { return };
    let (Some(none), Some(one), Some(full)) = (report(Some("0")), report(Some("1")), report(Some("full")))
    else {
        unreachable!("only the program itself gets none");
    };
    for text in [&unset, &one] {
        assert!(text.contains("stack backtrace:") && text.contains("deepest_frame"), "{text}");
        assert!(!text.contains("core::panicking::panic_fmt"), "{text}");
    }
    assert!(none.contains("innermost") && !none.contains("stack backtrace:"), "{none}");
    assert!(full.contains("deepest_frame") && full.contains("core::panicking::panic_fmt"), "{full}");
}

/// XF-52: an inner failure passes through outer operators and forks unchanged (no double wrapping).
#[test]
fn an_inner_failure_passes_through_outer_tasks_unchanged() {
    #[cpu_bound]
    fn outer(text: &str) -> u64 {
        *fork(inner, text) + 1
    }
    #[io_bound]
    fn inner(text: &str) -> u64 {
        *fork(fail, text) + 1
    }
    deadline(MINUTE, || {
        let original = wait(&fork(fail, "at the core")).unwrap_err();
        let p = fork(outer, "at the core");
        for proxy in [p.clone(), &p + 1, thread(|n: u64| n, &p), ResultProxy::map(&p, |n| *n)] {
            let error = wait(&proxy).unwrap_err();
            assert_eq!(error.message(), original.message());
            assert_eq!(error.task(), original.task());
            assert_eq!(error.location(), original.location());
            assert_eq!(panic_of(|| *proxy), "at the core");
        }
        // One fork place for each fork that it came through, the innermost first.
        let error = wait(&p).unwrap_err();
        assert_eq!(error.forked_at().len(), 3, "{error:?}");
        let lines: Vec<_> = error.forked_at().iter().map(|place| place.1).collect();
        assert!(lines[1] < lines[0] && lines[0] < lines[2], "{lines:?}");
    });
}

/// XF-52: a task that catches the panic of what it forked, and goes on, has not failed.
#[test]
fn a_task_may_handle_the_failure_of_what_it_forked() {
    #[cpu_bound]
    fn careful() -> String {
        let caught = catch_unwind(AssertUnwindSafe(|| *fork(fail, "inside"))).unwrap_err();
        format!("{} and {}", text_of(&*caught), wait(&fork(fail_io, "again")).unwrap_err().message())
    }
    deadline(MINUTE, || assert_eq!(*fork(careful, ()), "inside and again"));
}

/// XF-53: forcing twice raises twice: with the original payload, in every thread.
#[test]
fn reading_a_failed_result_twice_panics_twice() {
    deadline(MINUTE, || {
        for p in [fork(fail, "twice"), fork(fail_io, "twice")] {
            for _ in 0..2 {
                assert_eq!(panic_of(|| *p), "twice");
            }
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| assert_eq!(panic_of(|| *p), "twice"));
                }
            });
        }
    });
}

/// XF-53, XF-50: `catch_unwind` and `downcast` see what the task threw, whatever its type.
#[test]
fn a_payload_of_any_type_arrives_from_a_thread() {
    #[derive(Debug, PartialEq)]
    struct Code(u32);
    deadline(MINUTE, || {
        let thrown = thread(|| -> u8 { panic_any(Code(7)) }, ());
        let payload = catch_unwind(AssertUnwindSafe(|| *thrown)).unwrap_err();
        assert_eq!(payload.downcast_ref::<Code>(), Some(&Code(7)));
        let thrown = thread(|| -> u8 { resume_unwind(Box::new("a literal")) }, ());
        let payload = catch_unwind(AssertUnwindSafe(|| *thrown)).unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"a literal"));
    });
}

/// XF-50: the payload of a panic in another process is the text that was thrown, of the type that it had.
#[test]
fn a_text_payload_of_either_type_arrives_from_a_process() {
    deadline(MINUTE, || {
        let literal = fork(|| -> u8 { panic!("a literal") }, ());
        let payload = catch_unwind(AssertUnwindSafe(|| *literal)).unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"a literal"));
        let formatted = fork(|n: u8| -> u8 { panic!("number {n}") }, 7);
        let payload = catch_unwind(AssertUnwindSafe(|| *formatted)).unwrap_err();
        assert_eq!(payload.downcast_ref::<String>().map(String::as_str), Some("number 7"));
    });
}

/// XF-13: a panic does not cost the worker its life, and other tasks nothing.
#[test]
fn a_panic_costs_no_other_task_anything() {
    deadline(MINUTE, || {
        xfork::with_plan(xfork::Plan::processes(1), || {
            let before = *fork(crate::fixture::own_pid, ());
            for _ in 0..20 {
                let (failed, fine) = (fork(fail, "one of many"), fork(square, 3));
                assert_eq!(*fine, 9);
                assert!(wait(&failed).unwrap_err().is_panic());
            }
            assert_eq!(*fork(crate::fixture::own_pid, ()), before);
        });
    });
}

/// XF-50: a panic in the destructor of an argument is the task's failure, and concerns nobody when the task is not run.
#[test]
fn a_panic_in_a_destructor_is_contained() {
    struct BadDrop;
    impl Drop for BadDrop {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("in a destructor");
            }
        }
    }
    deadline(MINUTE, || {
        let p = thread(|_: BadDrop| 1, BadDrop);
        assert_eq!(wait(&p).unwrap_err().message(), "in a destructor");
        let skipped = thread(|_: u64, _: BadDrop| 1, (fork(fail, "origin"), BadDrop));
        assert_eq!(wait(&skipped).unwrap_err().message(), "origin");
        assert_eq!(*thread(|n: u32| n, ready(3)), 3);
    });
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
struct Picky(u64);

impl std::ops::Add for Picky {
    type Output = Self;
    fn add(self, _: Self) -> Self {
        picky_frame()
    }
}

#[inline(never)]
fn picky_frame() -> Picky {
    panic!("not that one")
}

#[cpu_bound]
fn picky(n: u64) -> Picky {
    Picky(n)
}

/// What a program that ends with the panic of `body` writes to stderr; `None` in the program.
fn told_by<F: FnOnce()>(body: F) -> Option<String> {
    let ended = Program::new().env("RUST_BACKTRACE", "0").run(body)?;
    assert_eq!(ended.code, Some(101), "{ended:?}");
    Some(ended.stderr)
}

/// XF-51: an operator that is evaluated later is reported with its own place, and with the forks of its operands.
#[test]
fn the_report_of_an_operator_names_its_place_and_the_forks_of_its_operands() {
    const LINE: u32 = line!() + 3;
    let told = told_by(|| {
        let (one, zero) = (fork(square, 1), fork(square, 0));
        let share = &one / &zero;
        let _ = *share;
    });
    let Some(told) = told else { return };
    let lines: Vec<&str> = told.lines().collect();
    let (at, forked) = (format!("{}:{LINE}:21", file!()), format!("forked at {}:{}:", file!(), LINE - 1));
    assert!(lines[0].starts_with("deferred `/` (thread `"), "{told}");
    assert!(lines[0].ends_with(&format!("`) panicked at {at}:")), "{told}");
    assert_eq!(lines[1], "attempt to divide by zero", "{told}");
    for line in &lines[2..4] {
        assert!(line.starts_with("operand from `") && line.contains("::square` "), "{told}");
        assert!(line.contains(&forked), "{told}");
    }
    assert!(lines[2] < lines[3], "the left one comes first: {told}");
    assert_eq!((lines.len(), told.matches("panicked at").count()), (4, 1), "{told}");
}

/// XF-51: when an operator of one's own panics by itself, its place is the panic's, and that of the operation is told too.
#[test]
fn the_report_of_an_operator_of_ones_own_names_both_places() {
    const LINE: u32 = line!() + 2;
    let told = told_by(|| {
        let _ = (fork(picky, 1) + fork(picky, 2)).0;
    });
    let Some(told) = told else { return };
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].contains("deferred `+`") && lines[0].contains(file!()), "{told}");
    assert!(!lines[0].contains(&format!(":{LINE}:")), "{told}");
    assert_eq!(lines[1..3], ["not that one", &*format!("evaluated for `+` at {}:{LINE}:17", file!())]);
    assert_eq!(told.matches("operand from `").count(), 2, "{told}");
}

/// XF-51: the same for a function that is deferred.
#[test]
fn the_report_of_a_deferred_function_names_where_it_was_deferred() {
    const LINE: u32 = line!() + 2;
    let told = told_by(|| {
        let _ = (xfork::lazy(picky_frame) + ready(Picky(1))).0;
    });
    let Some(told) = told else { return };
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].starts_with("deferred `lazy` (thread `"), "{told}");
    let [deferred, operand] = ["deferred at {}:18 (lazy)", "operand of `+` at {}:17"]
        .map(|line| line.replace("{}", &format!("{}:{LINE}", file!())));
    assert_eq!(lines[1..], ["not that one", &*deferred, &*operand]);
}

/// XF-51: the text of the error says the same in one line.
#[test]
fn the_error_of_an_operator_reads_well() {
    deadline(MINUTE, || {
        let line = line!() + 1;
        let error = wait(&(fork(square, 1) / 0)).unwrap_err();
        let at = format!("{}:{line}:27", file!());
        assert_eq!(
            error.to_string(),
            format!("the deferred `/` at {at} panicked: attempt to divide by zero")
        );
        let debug = format!("{error:?}");
        assert!(debug.contains("; operand from `") && debug.contains("::square` forked at "), "{debug}");
        let line = line!() + 1;
        let error = wait(&(fork(picky, 1) + fork(picky, 2))).unwrap_err();
        let text = error.to_string();
        let begin = format!("the deferred `+` at {0}:{line}:27 panicked at {0}:", file!());
        assert!(text.starts_with(&begin) && text.ends_with(": not that one"), "{text}");
    });
}
