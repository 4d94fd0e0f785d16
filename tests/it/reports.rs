//! What is printed when a failure reaches the user: exact texts, with numbers of processes and of frames set to `N`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::fixture::{MINUTE, Program, deadline, fail, fail_io, panic_of, pass_io, square};
use crate::nested_panic;
use xfork::{Plan, ResultProxy, cpu_bound, fork, lazy, task, thread, wait_timeout, with_plan};

/// What the program of the calling test writes to stderr; `None` in the program.
fn told_by<F: FnOnce()>(trace: &str, body: F) -> Option<String> {
    let ended = Program::new().env("RUST_BACKTRACE", trace).env("NO_COLOR", "1").run(body)?;
    Some(plain(&ended.stderr))
}

/// The text without what differs from run to run, and with places below `tests/it/` and names as an example has them.
fn plain(text: &str) -> String {
    let text =
        text.replace("tests/it/../../examples/", "examples/").replace("it::nested_panic::", "nested_panic::");
    // Debug information of lines alone has only the last names of some functions.
    let text = text.replace(": number\n", ": nested_panic::number\n");
    let text = number_after(&text, "(worker ");
    let text = number_after(&text, "worker ");
    number_after(&text, "      … ")
}

/// The text with `N` for each number that follows `word`.
fn number_after(text: &str, word: &str) -> String {
    let mut parts = text.split(word);
    let mut plain = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        plain.push_str(word);
        plain.push_str(if rest.len() < part.len() { "N" } else { "" });
        plain.push_str(rest);
    }
    plain.replace("N frame of", "N frames of")
}

/// The report without its trace.
fn without_trace(text: &str) -> String {
    let is_trace = |line: &&str| line.starts_with(' ') || *line == "stack backtrace:";
    text.lines().filter(|line| !is_trace(line)).map(|line| format!("{line}\n")).collect()
}

const README: &str = include_str!("../../README.md");
const EXAMPLE: &str = include_str!("../../examples/nested_panic.rs");

/// The first block of the README behind `heading` that begins with this fence.
fn block(heading: &str, fence: &str) -> &'static str {
    let (_, section) = README.split_once(heading).expect("the section is there");
    let (_, begin) = section.split_once(&format!("```{fence}\n")).expect("the block is there");
    begin.split_once("```").expect("the block ends").0
}

/// XF-50, row 1: the report of the README is that of its program, and its program the example.
#[test]
fn the_readme_shows_the_report_of_its_program() {
    let ended = Program::new().env("NO_COLOR", "1").run(|| {
        nested_panic::main();
    });
    let Some(ended) = ended else { return };
    assert_eq!(ended.code, Some(101), "{ended:?}");
    assert_eq!(plain(&ended.stderr), plain(block("## When something fails", "text")));
    let program = block("## When something fails", "rust,should_panic");
    let (_, example) = EXAMPLE.split_once("\n\n").unwrap();
    assert_eq!(example.replace("pub(crate) fn main", "fn main"), program);
}

/// XF-50, row 7: `RUST_BACKTRACE=1` shows the stack of each fork, further right, and `0` no stack at all.
#[test]
fn rust_backtrace_adds_the_stacks_of_the_forks() {
    let report = |trace| {
        told_by(trace, || {
            nested_panic::main();
        })
    };
    let (Some(none), Some(one), Some(full)) = (report("0"), report("1"), report("full")) else { return };
    let short = "\
task `nested_panic::sum` (worker N) panicked at examples/nested_panic.rs:13:18:
called `Result::unwrap()` on an `Err` value: ParseIntError { kind: InvalidDigit }
forked at examples/nested_panic.rs:19:6 (nested_panic::sum)
forked at examples/nested_panic.rs:24:35 (nested_panic::read)
operand of `+` at examples/nested_panic.rs:24:17
forked at examples/nested_panic.rs:29:17 (nested_panic::both)
operand of `*` at examples/nested_panic.rs:30:37
";
    assert_eq!(none, short);
    assert_eq!(without_trace(&one), short);
    assert_eq!(without_trace(&full), short);
    let stack = "\
forked at examples/nested_panic.rs:19:6 (nested_panic::sum)
       0: nested_panic::read
                 at examples/nested_panic.rs:19:6
          … N frames of the runtime
forked at examples/nested_panic.rs:24:35 (nested_panic::read)
       0: nested_panic::both
                 at examples/nested_panic.rs:24:35
          … N frames of the runtime
operand of `+`";
    assert!(one.contains(stack), "{one}");
    assert!(full.contains("TaskCore") && !one.contains("TaskCore"), "{full}");
}

/// Row 1: on a thread the thread's name stands where the worker's number does.
#[test]
fn a_panic_on_a_thread_names_the_thread() {
    const LINE: u32 = line!() + 2;
    let told = told_by("0", || {
        let _ = *thread(|| -> u8 { panic!("on a thread") }, ());
    });
    let Some(told) = told else { return };
    let lines: Vec<&str> = told.lines().collect();
    assert!(
        lines[0].contains(" (thread `")
            && lines[0].ends_with(&format!("`) panicked at {}:{LINE}:36:", file!()))
    );
    assert_eq!(lines[1], "on a thread");
    assert!(lines[2].starts_with(&format!("forked at {}:{LINE}:18 (", file!())), "{told}");
    assert_eq!(lines.len(), 3, "{told}");
}

/// Row 1: what runs in place has the same report, and names the thread that it ran on.
#[test]
fn a_panic_in_place_names_the_thread_as_well() {
    const LINE: u32 = line!() + 3;
    let told = told_by("0", || {
        with_plan(Plan::sequential(), || {
            let _ = *fork(fail, "in place");
        });
    });
    let Some(told) = told else { return };
    let (first, rest) = told.split_once('\n').unwrap();
    assert!(first.starts_with("task `it::fixture::fail` (thread `reports::a_panic_in_place"), "{told}");
    assert_eq!(rest, format!("in place\nforked at {}:{LINE}:22 (it::fixture::fail)\n", file!()));
}

#[cpu_bound]
fn leave(code: i32) -> u64 {
    std::process::exit(code)
}

/// Rows 8, 103: a crash is told in the same order, once, and main's panic repeats nothing.
#[test]
fn a_crash_is_reported_like_a_panic() {
    const LINE: u32 = line!() + 2;
    let told = told_by("0", || {
        let left = fork(leave, 3);
        let used = task(square, left + 1).name("used").fork();
        let _ = *used;
    });
    let Some(told) = told else { return };
    let expected = format!(
        "worker N died while running `it::reports::leave`: it ended itself with exit code 3; return from the task instead of \
         exiting; the task is not run again because it had started\n\
         forked at {0}:{LINE}:20 (it::reports::leave)\n\
         operand of `+` at {0}:{1}:33\n\
         so `used` was not run, forked at {0}:{1}:20\n",
        file!(),
        LINE + 1
    );
    assert_eq!(told, expected);
}

/// XF-51: every operator between the failure and the reader, in order, also those behind the one that fails.
#[test]
fn the_operators_in_between_are_listed_outwards() {
    const LINE: u32 = line!() + 2;
    let told = told_by("0", || {
        let zero = fork(square, 0);
        let part = (1 / &zero + 2) * 3;
        let other = &part - 1;
        let mapped = ResultProxy::map(&other, |n| *n);
        let lazily = lazy(move || *mapped + 1);
        let _ = *lazily;
    });
    let Some(told) = told else { return };
    let rest: Vec<&str> = told.lines().skip(2).collect();
    let at = |line: u32, column: u32| format!("at {}:{}:{column}", file!(), LINE + line);
    assert!(told.lines().next().unwrap().ends_with(&format!("panicked {}:", at(1, 21))), "{told}");
    assert_eq!(
        rest,
        [
            format!("operand from `it::fixture::square` forked {}", at(0, 20)),
            format!("operand of `+` {}", at(1, 20)),
            format!("operand of `*` {}", at(1, 20)),
            format!("operand of `-` {}", at(2, 21)),
            format!("needed by `map` {}", at(3, 22)),
            format!("needed by `lazy` {}", at(4, 22)),
        ]
    );
}

/// Row 104: a failure at the bottom of a million operators is told quickly, in less than a page.
#[test]
fn a_failure_below_a_million_operators_is_told_on_a_page() {
    let told = told_by("0", || {
        let mut sum = fork(fail, "at the bottom");
        for _ in 0..500_000 {
            let held = sum.clone();
            sum = &held + 1;
            sum = &sum * 1;
        }
        let _ = *sum;
    });
    let Some(told) = told else { return };
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 3 + 16 + 1, "{told}");
    assert_eq!(lines[19], "… and 999984 more operators");
}

/// The first reader gets the report, others a line; `catch_unwind` gets the payload each time.
#[test]
fn a_failure_is_reported_once_and_then_remembered_in_a_line() {
    let told = told_by("0", || {
        let failed = fork(fail, "seen\ntwice");
        let sum = &failed + 1;
        for _ in 0..2 {
            assert_eq!(panic_of(|| *failed), "seen\ntwice");
        }
        assert_eq!(panic_of(|| *sum), "seen\ntwice");
        // One that a task handles is none of the user's.
        let handled = thread(|| catch_unwind(AssertUnwindSafe(|| *fork(fail_io, "no"))).is_err(), ());
        assert!(*handled);
    });
    let Some(told) = told else { return };
    let again = "task `it::fixture::fail` failed before: seen (reported above)\n";
    assert_eq!(told.matches(again).count(), 2, "{told}");
    assert_eq!(told.matches("panicked at").count(), 1, "{told}");
    assert!(told.ends_with(&format!("{again}{again}")), "{told}");
}

/// A wait that runs out of time throws nothing, and says what it waited for.
#[test]
fn a_wait_out_of_time_says_so() {
    deadline(MINUTE, || {
        let gate = crate::fixture::Gate::new();
        let p = fork(pass_io, (gate.path(), 1));
        let stopped = gate.next();
        let error = wait_timeout(&p, Duration::from_millis(1)).unwrap_err();
        stopped.let_go();
        assert_eq!(error.to_string(), "`it::fixture::pass_io` was not ready after 1 ms; it goes on");
        assert_eq!((error.backtrace(), error.forked_at().len()), (None, 0));
        assert_eq!(*p, 1);
    });
}

/// <https://no-color.org>: a pipe has no colours; who asks for them gets them, and `NO_COLOR` has the last word.
#[test]
fn colours_are_for_those_who_want_them() {
    let report = |name: &str, value: &str| {
        let program = Program::new().env("RUST_BACKTRACE", "0").env("CLICOLOR_FORCE", "1").env(name, value);
        program.run(|| {
            let _ = *fork(fail, "in red");
        })
    };
    let (Some(forced), Some(refused)) = (report("NO_COLOR", ""), report("NO_COLOR", "1")) else { return };
    assert!(forced.stderr.starts_with("\u{1b}[1;31mtask `it::fixture::fail` (worker "), "{}", forced.stderr);
    assert!(forced.stderr.contains(":\u{1b}[0m\nin red\nforked at "), "{}", forced.stderr);
    assert!(!refused.stderr.contains('\u{1b}'), "{}", refused.stderr);
}
