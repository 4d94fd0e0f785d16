//! The report of a failure that reaches the user: from a [`TaskError`] to the text.
//!
//! Owns which parts of an error the report is made of. Promises one full report per failure, however often and by how many readers
//! it is used. Leaves out: the layout (`ground::panics`), and when something is printed (`rethrow` there).

use crate::core::error::{Kind, TaskError};
use crate::ground::panics::{self, Operation, Paint, Panic, Ran, Report, TraceStyle, What};

/// What is printed when `error` is thrown outside any task: the full report, or a line if that has been printed.
pub(crate) fn text(error: &TaskError) -> String {
    // Who interrupts a program needs no report of what that ended.
    if error.is_interrupted() {
        return String::new();
    }
    let paint = Paint::for_stderr();
    if error.report_first() {
        full(error, TraceStyle::from_environment(), paint)
    } else {
        panics::again(error.task(), &error.message(), paint)
    }
}

fn full(error: &TaskError, style: TraceStyle, paint: Paint) -> String {
    let reason;
    let what = match error.kind() {
        Kind::Panic { record, .. } => {
            let operation = error.operation().map(|operation| Operation {
                symbol: &operation.symbol,
                place: &operation.place,
                operands: &operation.operands,
            });
            let ran = match (error.pid(), &record.thread) {
                (Some(pid), _) => Ran::Worker(pid),
                (None, Some(thread)) => Ran::Thread(thread),
                (None, None) => Ran::InPlace,
            };
            What::Panic(Panic { task: error.task(), operation, ran, record })
        }
        _ => {
            reason = error.reason();
            What::Failure(&reason)
        }
    };
    panics::report(&Report { what, frames: error.frames(), route: error.route(), style, paint })
}
