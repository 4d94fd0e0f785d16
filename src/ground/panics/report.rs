//! The text about a failed task that goes to stderr.
//!
//! Owns the wording and the layout, which follow std's so that a forked program reads like the sequential one: what
//! happened and where, the stack of that place, and then the way from there to the reader. Promises:
//! the same parts give the same text; printing never panics. Leaves out: when to print, and that it happens once (`rethrow`).
//!
//! Unlike std's, the trace is shown when `RUST_BACKTRACE` is unset: to see the trace of another process by running again is
//! more than setting a variable (another schedule, another worker), and it has been taken already. The stacks of the forks
//! cost something at each fork, so they are there only if that variable asks for them (`1` or `full`).

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::Write as _;

use super::colour::Paint;
use super::frames::{Frame, Frames};
use super::record::{PanicRecord, Place, escape};
use super::route::{ForkPlace, Route, Skipped, Step};
use super::{payload, scope};
use crate::ground::sys::Stream;

/// What a report tells.
pub(crate) struct Report<'a> {
    pub(crate) what: What<'a>,
    /// The stack of the place where it happened, if there is one.
    pub(crate) frames: Option<&'a Frames>,
    /// The way from there to whoever uses the result.
    pub(crate) route: &'a Route,
    pub(crate) style: TraceStyle,
    pub(crate) paint: Paint,
}

/// What happened.
pub(crate) enum What<'a> {
    Panic(Panic<'a>),
    /// Anything else, in words.
    Failure(&'a str),
}

/// A panic, and what it ended.
pub(crate) struct Panic<'a> {
    /// The name of the task.
    pub(crate) task: &'a str,
    /// The operation that was evaluated, when it was that and no task that panicked.
    pub(crate) operation: Option<Operation<'a>>,
    pub(crate) ran: Ran<'a>,
    pub(crate) record: &'a PanicRecord,
}

/// Where a task ran.
#[derive(Clone, Copy)]
pub(crate) enum Ran<'a> {
    /// The name of the thread.
    Thread(&'a str),
    /// The process id of the worker.
    Worker(u32),
    InPlace,
}

/// An operation that was evaluated later than the program says it.
pub(crate) struct Operation<'a> {
    pub(crate) symbol: &'a str,
    /// Where it stands in the user's source.
    pub(crate) place: &'a Place,
    /// The forks whose results were its operands, in their order.
    pub(crate) operands: &'a [ForkPlace],
}

/// How much of the stack to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TraceStyle {
    None,
    Short,
    Full,
}

impl TraceStyle {
    /// What `RUST_BACKTRACE` asks for.
    pub(crate) fn from_environment() -> Self {
        Self::parse(std::env::var_os("RUST_BACKTRACE").as_deref())
    }

    fn parse(value: Option<&OsStr>) -> Self {
        match value.and_then(OsStr::to_str) {
            Some("0") => Self::None,
            Some("full") => Self::Full,
            _ => Self::Short,
        }
    }
}

/// The text, ending in a newline.
pub(crate) fn report(parts: &Report<'_>) -> String {
    let frames = match (parts.frames, parts.style) {
        (None, _) | (_, TraceStyle::None) => Vec::new(),
        (Some(frames), TraceStyle::Short) => frames.resolve(),
        (Some(frames), TraceStyle::Full) => frames.resolve_all(),
    };
    write(parts, &frames)
}

/// One line for a failure that has been reported and is used once more.
pub(crate) fn again(task: &str, message: &str, paint: Paint) -> String {
    let message = escape(message.lines().next().unwrap_or_default());
    let text = format!("task `{}` failed before: {message} (reported above)", escape(task));
    format!("{}\n", paint.loud(&text))
}

/// The frames of the place where a failure happened, as lines; empty when none were captured.
pub(crate) fn backtrace(frames: &Frames) -> String {
    let mut sheet = Sheet::new(Paint::Plain);
    sheet.trace(&frames.resolve(), TraceStyle::Short);
    sheet.text
}

/// Writes to stderr, in one call, and in a way that libtest's capture sees. Nothing is said if that fails.
pub(crate) fn print(text: &str) {
    if cfg!(panic = "abort") {
        // The panic of `eprint!` could not be caught.
        let _ = std::io::stderr().write_all(text.as_bytes());
    } else if let (Err(thrown), _) = scope::run(|| eprint!("{text}")) {
        payload::discard(thrown);
    }
}

/// As [`print`], to either stream. Bytes that are no text go to the stream as they are.
pub(crate) fn print_to(stream: Stream, bytes: &[u8]) {
    match (std::str::from_utf8(bytes), stream) {
        (Ok(text), Stream::Err) => print(text),
        (Ok(text), Stream::Out) if cfg!(not(panic = "abort")) => {
            if let (Err(thrown), _) = scope::run(|| print!("{text}")) {
                payload::discard(thrown);
            }
        }
        (_, Stream::Out) => {
            let _ = std::io::stdout().write_all(bytes);
        }
        (Err(_), Stream::Err) => {
            let _ = std::io::stderr().write_all(bytes);
        }
    }
}

fn write(parts: &Report<'_>, frames: &[Frame]) -> String {
    let mut sheet = Sheet::new(parts.paint);
    match &parts.what {
        What::Panic(panic) => sheet.panic(panic),
        What::Failure(reason) => sheet.first(&escape(reason)),
    }
    if !frames.is_empty() {
        sheet.line(format_args!("stack backtrace:"));
        sheet.trace(frames, parts.style);
        if parts.frames.is_some_and(Frames::is_cut) {
            sheet.dim("      … deeper frames were not kept");
        }
    }
    if let What::Panic(Panic { operation: Some(operation), record, .. }) = &parts.what {
        sheet.operation(operation, record.place.as_ref());
    }
    sheet.route(parts.route, parts.style);
    sheet.text
}

/// A text in the making.
struct Sheet {
    text: String,
    paint: Paint,
    /// What each line of a trace begins with.
    margin: &'static str,
}

impl Sheet {
    fn new(paint: Paint) -> Self {
        Self { text: String::new(), paint, margin: "" }
    }

    fn line(&mut self, arguments: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{arguments}");
    }

    fn dim(&mut self, text: &str) {
        let _ = writeln!(self.text, "{}{}", self.margin, self.paint.dim(text));
    }

    /// The first line, and those that belong to it.
    fn first(&mut self, text: &str) {
        let _ = writeln!(self.text, "{}", self.paint.loud(text));
    }

    fn panic(&mut self, panic: &Panic<'_>) {
        let mut text = match &panic.operation {
            Some(operation) => format!("deferred `{}` ", escape(operation.symbol)),
            None => format!("task `{}` ", escape(panic.task)),
        };
        match panic.ran {
            Ran::Thread(name) => text.push_str(&format!("(thread `{}`)", escape(name))),
            Ran::Worker(pid) => text.push_str(&format!("(worker {pid})")),
            Ran::InPlace => text.push_str("(in place)"),
        }
        match &panic.record.place {
            Some(place) => text.push_str(&format!(" panicked at {place}:")),
            None => text.push_str(" panicked at an unknown place:"),
        }
        self.first(&text);
        self.line(format_args!("{}", escape(&panic.record.message)));
    }

    /// Where an operation stands, unless the panic's own place has said it, and where its operands came from.
    fn operation(&mut self, operation: &Operation<'_>, panicked_at: Option<&Place>) {
        let Operation { symbol, place, operands } = operation;
        if panicked_at != Some(*place) {
            // Of an operator the code is elsewhere; a deferred function was given where it was deferred.
            let symbol = escape(symbol);
            if symbol.starts_with(char::is_alphabetic) {
                self.line(format_args!("deferred at {place} ({symbol})"));
            } else {
                self.line(format_args!("evaluated for `{symbol}` at {place}"));
            }
        }
        for operand in *operands {
            self.line(format_args!("operand from `{}` forked at {}", escape(&operand.task), operand.place));
        }
    }

    fn route(&mut self, route: &Route, style: TraceStyle) {
        let mut steps = route.steps().peekable();
        while let Some(step) = steps.next() {
            match &*step {
                Step::Fork(fork) => {
                    self.line(format_args!("forked at {} ({})", fork.place, escape(&fork.task)));
                    self.fork_stack(fork, style);
                    // A recursion that forks.
                    let mut folded = 0_u32;
                    while steps
                        .next_if(|next| matches!(&**next, Step::Fork(it) if it.is_like(fork)))
                        .is_some()
                    {
                        folded += 1;
                    }
                    self.more(folded, ["time", "times"], " there");
                }
                Step::Operator { symbol, place } => {
                    let symbol = escape(symbol);
                    let how =
                        if symbol.starts_with(char::is_alphabetic) { "needed by" } else { "operand of" };
                    self.line(format_args!("{how} `{symbol}` at {place}"));
                }
                Step::NotRun(fork) => {
                    let task = escape(&fork.task);
                    self.line(format_args!("so `{task}` was not run, forked at {}", fork.place));
                    self.fork_stack(fork, style);
                }
                Step::Skipped(Skipped { forks, operators, not_run }) => {
                    self.more(*forks, ["fork", "forks"], "");
                    self.more(*operators, ["operator", "operators"], "");
                    self.more(*not_run, ["task was", "tasks were"], " not run");
                }
            }
        }
    }

    /// A line for what is only counted.
    fn more(&mut self, count: u32, [one, many]: [&str; 2], rest: &str) {
        match count {
            0 => {}
            1 => self.dim(&format!("… and 1 more {one}{rest}")),
            count => self.dim(&format!("… and {count} more {many}{rest}")),
        }
    }

    /// The stack of the thread that forked, further right than that of the failure.
    fn fork_stack(&mut self, fork: &ForkPlace, style: TraceStyle) {
        let frames = match (&fork.frames, style) {
            (None, _) | (_, TraceStyle::None) => return,
            (Some(frames), TraceStyle::Short) => frames.resolve_fork(),
            (Some(frames), TraceStyle::Full) => frames.resolve_all(),
        };
        self.margin = "    ";
        self.trace(&frames, style);
        self.margin = "";
    }

    fn trace(&mut self, frames: &[Frame], style: TraceStyle) {
        if frames.iter().all(|frame| frame.name.is_none()) {
            let count = frames.len();
            return self.dim(&format!("      … {count} frames without names: the program has no symbols"));
        }
        let mut number = 0;
        let mut folded = 0;
        for frame in frames {
            if style == TraceStyle::Short && frame.is_runtime() {
                folded += 1;
                continue;
            }
            self.fold(&mut folded);
            let name = escape(frame.name.as_deref().unwrap_or("<unknown>"));
            let margin = self.margin;
            self.line(format_args!("{margin}{number:4}: {name}"));
            if let Some(file) = &frame.file {
                let mut place = format!("             at {}", escape(file));
                for part in [frame.line, frame.column].into_iter().flatten() {
                    let _ = write!(place, ":{part}");
                }
                self.dim(&place);
            }
            number += 1;
        }
        self.fold(&mut folded);
    }

    fn fold(&mut self, folded: &mut usize) {
        match std::mem::take(folded) {
            0 => {}
            1 => self.dim("      … 1 frame of the runtime"),
            count => self.dim(&format!("      … {count} frames of the runtime")),
        }
    }
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn place(line: u32, column: u32) -> Place {
        Place { file: Cow::Borrowed("src/main.rs"), line, column }
    }

    fn frame(name: &str, line: u32) -> Frame {
        let file = (line != 0).then(|| "src/main.rs".to_owned());
        let line = (line != 0).then_some(line);
        Frame { name: Some(name.to_owned()), file, line, column: line.map(|_| 14) }
    }

    fn text(ran: Ran<'_>, place_of_panic: Option<Place>, style: TraceStyle, frames: &[Frame]) -> String {
        let record =
            PanicRecord { place: place_of_panic, ..PanicRecord::unplaced("boom\x1b[0m\nagain".into()) };
        let what = What::Panic(Panic { task: "app::fib", operation: None, ran, record: &record });
        let route = forked([("app::fib", place(9, 13)), ("app::all", place(20, 1))]);
        write(&Report { what, frames: None, route: &route, style, paint: Paint::Plain }, frames)
    }

    fn fork((task, place): (&str, Place)) -> ForkPlace {
        ForkPlace { place, task: task.into(), frames: None }
    }

    fn forked<const N: usize>(forks: [(&str, Place); N]) -> Route {
        let mut route = Route::default();
        forks.into_iter().for_each(|it| route.fork(fork(it)));
        route
    }

    #[test]
    fn rows_1_and_7_the_exact_text_with_a_short_trace() {
        let frames = [
            frame("core::option::unwrap_failed", 0),
            frame("core::option::Option<T>::unwrap", 0),
            frame("app::fib", 3),
            frame("core::ops::function::FnOnce::call_once", 0),
            frame("app::all", 0),
            frame("core::ops::function::FnOnce::call_once", 0),
        ];
        let expected = "\
task `app::fib` (worker 4121) panicked at src/main.rs:3:14:
boom\\u{1b}[0m
again
stack backtrace:
      … 2 frames of the runtime
   0: app::fib
             at src/main.rs:3:14
      … 1 frame of the runtime
   1: app::all
      … 1 frame of the runtime
forked at src/main.rs:9:13 (app::fib)
forked at src/main.rs:20:1 (app::all)
";
        assert_eq!(text(Ran::Worker(4121), Some(place(3, 14)), TraceStyle::Short, &frames), expected);
    }

    #[test]
    fn row_7_the_full_trace_shows_every_frame_and_none_shows_none() {
        let frames = [frame("core::panicking::panic_fmt", 0), frame("app::fib", 3)];
        let full = text(Ran::InPlace, Some(place(3, 14)), TraceStyle::Full, &frames);
        assert!(full.contains("   0: core::panicking::panic_fmt\n   1: app::fib\n"), "{full}");
        let expected = "\
task `app::fib` (thread `io-3`) panicked at an unknown place:
boom\\u{1b}[0m
again
forked at src/main.rs:9:13 (app::fib)
forked at src/main.rs:20:1 (app::all)
";
        assert_eq!(text(Ran::Thread("io-3"), None, TraceStyle::None, &[]), expected);
    }

    fn text_of_operation(symbol: &str, place_of_panic: Option<Place>, operands: &[ForkPlace]) -> String {
        let record = PanicRecord { place: place_of_panic, ..PanicRecord::unplaced("overflow".into()) };
        let stands = place(12, 17);
        let what = What::Panic(Panic {
            task: "deferred +",
            operation: Some(Operation { symbol, place: &stands, operands }),
            ran: Ran::Thread("main"),
            record: &record,
        });
        let route = forked([("app::all", place(20, 1))]);
        let (style, paint) = (TraceStyle::None, Paint::Plain);
        write(&Report { what, frames: None, route: &route, style, paint }, &[])
    }

    /// XF-51, row 105: the panic of an operator reads like the sequential program's and names the forks of its operands.
    #[test]
    fn row_105_an_operator_has_its_own_place_and_its_operands_theirs() {
        let operands = [("app::fib", place(8, 13)), ("app::\x1b", place(9, 13))].map(fork);
        let expected = "\
deferred `+` (thread `main`) panicked at src/main.rs:12:17:
overflow
operand from `app::fib` forked at src/main.rs:8:13
operand from `app::\\u{1b}` forked at src/main.rs:9:13
forked at src/main.rs:20:1 (app::all)
";
        assert_eq!(text_of_operation("+", Some(place(12, 17)), &operands), expected);
    }

    /// XF-51: a panic elsewhere has the place of the operation as well.
    #[test]
    fn row_105_a_panic_elsewhere_names_the_place_of_the_operation() {
        for (symbol, place_of_panic, start, told) in [
            (
                "+",
                Some(place(3, 14)),
                "deferred `+` (thread `main`) panicked at src/main.rs:3:14:",
                "evaluated for `+` at src/main.rs:12:17",
            ),
            (
                "+",
                None,
                "deferred `+` (thread `main`) panicked at an unknown place:",
                "evaluated for `+` at src/main.rs:12:17",
            ),
            (
                "lazy",
                Some(place(3, 14)),
                "deferred `lazy` (thread `main`) panicked at src/main.rs:3:14:",
                "deferred at src/main.rs:12:17 (lazy)",
            ),
            (
                "\x1b",
                Some(place(3, 14)),
                "deferred `\\u{1b}` (thread `main`) panicked at src/main.rs:3:14:",
                "evaluated for `\\u{1b}` at src/main.rs:12:17",
            ),
        ] {
            let expected = format!("{start}\noverflow\n{told}\nforked at src/main.rs:20:1 (app::all)\n");
            assert_eq!(text_of_operation(symbol, place_of_panic, &[]), expected);
        }
    }

    #[test]
    fn a_program_without_symbols_gets_one_line_instead_of_a_page() {
        let shown = text(Ran::InPlace, None, TraceStyle::Short, &vec![Frame::default(); 17]);
        assert!(shown.contains("… 17 frames without names"), "{shown}");
    }

    #[test]
    fn row_7_rust_backtrace_chooses_the_style() {
        for (value, style) in [
            (None, TraceStyle::Short),
            (Some("1"), TraceStyle::Short),
            (Some("0"), TraceStyle::None),
            (Some("full"), TraceStyle::Full),
            (Some(""), TraceStyle::Short),
        ] {
            assert_eq!(TraceStyle::parse(value.map(OsStr::new)), style, "{value:?}");
        }
    }

    /// What happened to a task whose way is `route`, as text.
    fn of_route(route: &Route, paint: Paint, frames: &[Frame]) -> String {
        let what = What::Failure("worker 7 died while running `app::fib`: killed");
        write(&Report { what, frames: None, route, style: TraceStyle::Short, paint }, frames)
    }

    #[test]
    fn a_failure_that_is_no_panic_has_the_same_layout() {
        let mut route = forked([("app::fib", place(9, 13))]);
        route.operator("+".into(), place(10, 5));
        route.operator("map".into(), place(11, 5));
        route.not_run(fork(("app::use\x1b", place(12, 5))));
        route.fork(fork(("app::all", place(20, 1))));
        let expected = "\
worker 7 died while running `app::fib`: killed
stack backtrace:
   0: app::fib
             at src/main.rs:3:14
      … 1 frame of the runtime
forked at src/main.rs:9:13 (app::fib)
operand of `+` at src/main.rs:10:5
needed by `map` at src/main.rs:11:5
so `app::use\\u{1b}` was not run, forked at src/main.rs:12:5
forked at src/main.rs:20:1 (app::all)
";
        let frames = [frame("app::fib", 3), frame("std::rt::lang_start", 0)];
        assert_eq!(of_route(&route, Paint::Plain, &frames), expected);
    }

    #[test]
    fn a_terminal_shows_the_first_line_and_the_names_more_than_the_rest() {
        let route = forked([("app::fib", place(9, 13))]);
        let expected = "\
\x1b[1;31mworker 7 died while running `app::fib`: killed\x1b[0m
stack backtrace:
   0: app::fib
\x1b[2m             at src/main.rs:3:14\x1b[0m
\x1b[2m      … 1 frame of the runtime\x1b[0m
forked at src/main.rs:9:13 (app::fib)
";
        let frames = [frame("app::fib", 3), frame("std::rt::lang_start", 0)];
        assert_eq!(of_route(&route, Paint::Coloured, &frames), expected);
    }

    #[test]
    fn long_ways_are_folded_and_counted() {
        let mut route = Route::default();
        (0..40).for_each(|_| route.fork(fork(("app::deep", place(9, 13)))));
        (0..18).for_each(|line| route.operator("+".into(), place(line, 1)));
        (0..17).for_each(|_| route.not_run(fork(("app::next", place(30, 1)))));
        let text = of_route(&route, Paint::Plain, &[]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1 + 2 + 16 + 1 + 16 + 1, "{text}");
        assert_eq!(
            lines[1..4],
            [
                "forked at src/main.rs:9:13 (app::deep)",
                "… and 39 more times there",
                "operand of `+` at src/main.rs:0:1"
            ]
        );
        assert_eq!((lines[19], lines[36]), ("… and 2 more operators", "… and 1 more task was not run"));
    }

    #[test]
    fn a_failure_that_is_used_again_takes_one_line() {
        let expected = "task `app::fib` failed before: boom\\u{1b} (reported above)\n";
        assert_eq!(again("app::fib", "boom\x1b\nand more", Paint::Plain), expected);
    }

    #[test]
    fn the_stack_of_a_fork_stands_further_right() {
        let mut sheet = Sheet { margin: "    ", ..Sheet::new(Paint::Plain) };
        sheet.trace(&[frame("app::main", 9), frame("std::rt::lang_start", 0)], TraceStyle::Short);
        let expected =
            "       0: app::main\n                 at src/main.rs:9:14\n          … 1 frame of the runtime\n";
        assert_eq!(sheet.text, expected);
    }
}
