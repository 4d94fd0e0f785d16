//! Failures that nobody has looked at yet: kept until the end of the process, and reported there.

use crate::core::error::TaskError;
use parking_lot::Mutex;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

/// How many failures are kept one by one; of the rest, those that nobody saw can't be told from the seen.
const KEPT: usize = 10_000;
/// How many bytes they may take altogether: one can be long, and worker processes send them.
const KEPT_BYTES: usize = 32 << 20;
/// How many are listed in the report.
const LISTED: usize = 20;

static FAILURES: Mutex<Failures> = Mutex::new(Failures { list: Vec::new(), bytes: 0 });
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

struct Failures {
    /// Each with its length.
    list: Vec<(TaskError, usize)>,
    bytes: usize,
}

impl Failures {
    fn has_room_for(&self, length: usize) -> bool {
        self.list.len() < KEPT && self.bytes + length <= KEPT_BYTES
    }

    fn forget_seen(&mut self) {
        self.list.retain(|(failure, _)| !failure.is_seen());
        self.bytes = self.list.iter().map(|(_, length)| length).sum();
    }
}

/// Keeps a failure that takes about so many bytes.
pub(crate) fn remember(error: &TaskError, length: usize) {
    let mut failures = FAILURES.lock();
    if !failures.has_room_for(length) {
        failures.forget_seen();
    }
    let is_known = failures.list.iter().rev().take(8).any(|(kept, _)| kept.same_failure(error));
    if failures.has_room_for(length) && !is_known {
        failures.list.push((error.clone(), length));
        failures.bytes += length;
    }
}

/// Takes the failures that nobody has seen.
pub(crate) fn take() -> Vec<TaskError> {
    let mut failures = {
        let mut kept = FAILURES.lock();
        kept.bytes = 0;
        std::mem::take(&mut kept.list)
    };
    failures.retain(|(failure, _)| !failure.is_seen());
    failures.into_iter().map(|(failure, _)| failure).collect()
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
