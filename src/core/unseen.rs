//! Failures that nobody has looked at yet: kept until the end of the process, and reported there.

use crate::core::error::TaskError;
use parking_lot::Mutex;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

/// How many failures are kept one by one; of the rest, those that nobody saw can't be told from the seen.
const KEPT: usize = 10_000;
/// How many are listed in the report.
const LISTED: usize = 20;

static FAILURES: Mutex<Vec<TaskError>> = Mutex::new(Vec::new());
static SILENT: AtomicBool = AtomicBool::new(false);

/// Turns the report of failures that nobody looked at, printed when the program ends, on or off.
///
/// It is on unless the environment says `XFORK_UNSEEN=off`.
///
/// ```
/// xfork::report_unseen_failures(false);
/// xfork::thread(|| panic!("nobody will know"), ());
/// ```
pub fn report_unseen_failures(on: bool) {
    // Relaxed: read once, at exit.
    SILENT.store(!on, Ordering::Relaxed);
}

pub(crate) fn remember(error: &TaskError) {
    let mut failures = FAILURES.lock();
    if failures.len() >= KEPT {
        failures.retain(|failure| !failure.is_seen());
    }
    if failures.len() < KEPT && !failures.iter().rev().take(8).any(|kept| kept.same_failure(error)) {
        failures.push(error.clone());
    }
}

/// Takes the failures that nobody has seen.
pub(crate) fn take() -> Vec<TaskError> {
    let mut failures = std::mem::take(&mut *FAILURES.lock());
    failures.retain(|failure| !failure.is_seen());
    failures
}

/// The text for the end of the program; `None` when there is nothing to report or nobody wants to know.
pub(crate) fn report() -> Option<String> {
    let failures = take();
    let off = std::env::var_os("XFORK_UNSEEN").is_some_and(|value| value == "off" || value == "0");
    if failures.is_empty() || off || SILENT.load(Ordering::Relaxed) {
        return None;
    }
    let tasks = if failures.len() == 1 { "1 task".to_string() } else { format!("{} tasks", failures.len()) };
    let mut text = format!("xfork: {tasks} failed, and nobody looked at the result:\n");
    for failure in failures.iter().take(LISTED) {
        let _ = write!(text, "  {failure}");
        if let Some(fork) = failure.route().forks().next() {
            let _ = write!(text, " (forked at {})", fork.place);
        }
        text.push('\n');
    }
    if failures.len() > LISTED {
        let _ = writeln!(text, "  and {} more", failures.len() - LISTED);
    }
    Some(text)
}
