//! The text about a failed task that goes to stderr.
//!
//! Owns the wording and the layout, which follow std's so that a forked program reads like the sequential one. Promises:
//! the same parts give the same text; printing never panics. Leaves out: when to print, and that it happens once (`rethrow`).
//!
//! Unlike std's, the trace is shown when `RUST_BACKTRACE` is unset: to see the trace of another process by running again is
//! more than setting a variable (another schedule, another worker), and it has been taken already.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::Write as _;

use super::frames::Frame;
use super::record::{PanicRecord, Place, escape};
use super::{payload, scope};
use crate::ground::sys::Stream;

/// What a report tells.
pub(crate) struct Report<'a> {
    /// The name of the task.
    pub(crate) task: &'a str,
    /// The operation that was evaluated, when it was that and no task that panicked.
    pub(crate) operation: Option<Operation<'a>>,
    pub(crate) ran: Ran<'a>,
    pub(crate) record: &'a PanicRecord,
    /// The forks between the panic and whoever uses the result, innermost first.
    pub(crate) forks: &'a [ForkPlace<'a>],
    pub(crate) style: TraceStyle,
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
    pub(crate) operands: &'a [ForkPlace<'a>],
}

/// Where a task was forked.
pub(crate) struct ForkPlace<'a> {
    pub(crate) place: &'a Place,
    pub(crate) task: &'a str,
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
    let frames = match parts.style {
        TraceStyle::None => Vec::new(),
        TraceStyle::Short => parts.record.frames.resolve(),
        TraceStyle::Full => parts.record.frames.resolve_all(),
    };
    write(parts, &frames)
}

/// The frames of the place where a panic happened, as lines; empty when none were captured.
pub(crate) fn backtrace(record: &PanicRecord) -> String {
    let mut text = String::new();
    trace(&mut text, &record.frames.resolve(), TraceStyle::Short);
    text
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
    let record = parts.record;
    let mut text = match &parts.operation {
        Some(operation) => format!("deferred `{}` ", escape(operation.symbol)),
        None => format!("task `{}` ", escape(parts.task)),
    };
    match parts.ran {
        Ran::Thread(name) => text.push_str(&format!("(thread `{}`)", escape(name))),
        Ran::Worker(pid) => text.push_str(&format!("(worker {pid})")),
        Ran::InPlace => text.push_str("(in place)"),
    }
    match &record.place {
        Some(place) => line(&mut text, format_args!(" panicked at {place}:")),
        None => line(&mut text, format_args!(" panicked at an unknown place:")),
    }
    line(&mut text, format_args!("{}", escape(&record.message)));
    if !frames.is_empty() {
        text.push_str("stack backtrace:\n");
        trace(&mut text, frames, parts.style);
        if record.frames.is_cut() {
            text.push_str("      … deeper frames were not kept\n");
        }
    }
    if let Some(operation) = &parts.operation {
        tell_operation(&mut text, operation, record.place.as_ref());
    }
    for fork in parts.forks {
        line(&mut text, format_args!("forked at {} ({})", fork.place, escape(fork.task)));
    }
    text
}

/// Where an operation stands, unless the panic's own place has said it, and where its operands came from.
fn tell_operation(text: &mut String, operation: &Operation<'_>, panicked_at: Option<&Place>) {
    let Operation { symbol, place, operands } = operation;
    if panicked_at != Some(*place) {
        // Of an operator the code is elsewhere; a deferred function was given where it was deferred.
        let symbol = escape(symbol);
        if symbol.starts_with(char::is_alphabetic) {
            line(text, format_args!("deferred at {place} ({symbol})"));
        } else {
            line(text, format_args!("evaluated for `{symbol}` at {place}"));
        }
    }
    for operand in *operands {
        line(text, format_args!("operand from `{}` forked at {}", escape(operand.task), operand.place));
    }
}

fn trace(text: &mut String, frames: &[Frame], style: TraceStyle) {
    if frames.iter().all(|frame| frame.name.is_none()) {
        let count = frames.len();
        return line(text, format_args!("      … {count} frames without names: the program has no symbols"));
    }
    let mut number = 0;
    let mut folded = 0;
    for frame in frames {
        if style == TraceStyle::Short && frame.is_runtime() {
            folded += 1;
            continue;
        }
        fold(text, &mut folded);
        line(text, format_args!("{number:4}: {}", escape(frame.name.as_deref().unwrap_or("<unknown>"))));
        if let Some(file) = &frame.file {
            let _ = write!(text, "             at {}", escape(file));
            for part in [frame.line, frame.column].into_iter().flatten() {
                let _ = write!(text, ":{part}");
            }
            text.push('\n');
        }
        number += 1;
    }
    // What stands between the task's function and its caller is the same in each report, so it isn't even counted, unless
    // there is nothing else.
    if number == 0 {
        fold(text, &mut folded);
    }
}

fn fold(text: &mut String, folded: &mut usize) {
    match std::mem::take(folded) {
        0 => {}
        1 => text.push_str("      … 1 frame of the runtime\n"),
        count => line(text, format_args!("      … {count} frames of the runtime")),
    }
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{arguments}");
}

#[cfg(test)]
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
        let (inner, outer) = (place(9, 13), place(20, 1));
        let forks =
            [ForkPlace { place: &inner, task: "app::fib" }, ForkPlace { place: &outer, task: "app::all" }];
        let parts = Report { task: "app::fib", operation: None, ran, record: &record, forks: &forks, style };
        write(&parts, frames)
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

    fn text_of_operation(symbol: &str, place_of_panic: Option<Place>, operands: &[ForkPlace<'_>]) -> String {
        let record = PanicRecord { place: place_of_panic, ..PanicRecord::unplaced("overflow".into()) };
        let stands = place(12, 17);
        let outer = place(20, 1);
        let parts = Report {
            task: "deferred +",
            operation: Some(Operation { symbol, place: &stands, operands }),
            ran: Ran::Thread("main"),
            record: &record,
            forks: &[ForkPlace { place: &outer, task: "app::all" }],
            style: TraceStyle::None,
        };
        write(&parts, &[])
    }

    /// XF-51, row 105: the panic of an operator reads like the sequential program's and names the forks of its operands.
    #[test]
    fn row_105_an_operator_has_its_own_place_and_its_operands_theirs() {
        let (left, right) = (place(8, 13), place(9, 13));
        let operands =
            [ForkPlace { place: &left, task: "app::fib" }, ForkPlace { place: &right, task: "app::\x1b" }];
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
}
