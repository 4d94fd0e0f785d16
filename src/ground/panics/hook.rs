//! The process-wide panic hook: ours around the one that was there.
//!
//! Owns the wrapping and what the hook does. Promises: a panic outside a task goes to the previous hook unchanged; one
//! inside a task is recorded and silent, unless it ends the process, because then nobody is left to report it.
//! The hook takes no lock of this folder: std holds its own lock while a hook runs, and `wrap` waits for that one.
//! Leaves out: what becomes of a record (`capture`).
//!
//! std has no way to change the hook in one step, so between `take_hook` and `set_hook` (some 100 ns, once at the first
//! task) a panic of another thread prints in std's way, and a hook that another thread sets just then is lost.
//! Whether a hook is std's own matters to `rethrow`: the default one would repeat what our report says.

use std::panic::{PanicHookInfo, set_hook, take_hook};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread;
use std::{fmt::Write as _, io::Write as _};

use parking_lot::Mutex;

use super::record::{PanicRecord, escape};
use super::scope::{self, Fingerprint};

type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Send + Sync + 'static>;

static STATE: State = State {
    is_installed: AtomicBool::new(false),
    is_custom: AtomicBool::new(false),
    wrapping: Mutex::new(Wrapping { default: None, ours: Weak::new() }),
    on_abort: OnceLock::new(),
};

struct State {
    is_installed: AtomicBool,
    is_custom: AtomicBool,
    wrapping: Mutex<Wrapping>,
    on_abort: OnceLock<fn(&PanicRecord)>,
}

struct Wrapping {
    /// std's hook, to compare others with.
    default: Option<Hook>,
    /// Lives as long as our newest hook.
    ours: Weak<()>,
}

/// Wraps the current panic hook, if that has not been done; else costs one load.
///
/// A thread that is unwinding cannot change the hook; there it does nothing, and the next caller does it.
pub(crate) fn install() {
    // Acquire pairs with the release in `wrap`: who sees the flag also sees whether the previous hook is custom.
    if !STATE.is_installed.load(Ordering::Acquire) {
        wrap();
    }
}

/// Sets what is called with the panic that ends this process; the first one set stays.
///
/// It runs inside the hook, in the thread that panicked, in a task or not: it must not panic.
pub(crate) fn on_abort(report: fn(&PanicRecord)) {
    let _ = STATE.on_abort.set(report);
}

/// Whether the hook that we wrap is the program's own.
pub(super) fn is_custom() -> bool {
    // Relaxed, because it only chooses how a report is made; `install` has ordered it where that matters.
    STATE.is_custom.load(Ordering::Relaxed)
}

/// Wraps the hook again if the program has replaced ours; for use when a panic passed our hook by.
///
/// `set_hook` drops the hook that it replaces, so a dropped hook of ours is a replaced one. One that lives is in its
/// place, or the program keeps it: to call it from its own hook, or to put it back after some lines of silence. Then wrapping
/// would nest hooks without end. To look costs nothing, which matters because `resume_unwind` passes the hook by too.
pub(super) fn ensure_current() {
    wrap();
}

fn wrap() {
    // std panics when an unwinding thread touches the hook, which would end the process.
    if thread::panicking() {
        return;
    }
    let mut wrapping = STATE.wrapping.lock();
    if wrapping.ours.strong_count() != 0 {
        return;
    }
    let current = take_hook();
    // The hook has just been taken, so what is there now is certainly the default one.
    let default = wrapping.default.get_or_insert_with(take_hook);
    let is_custom = !is_same(&current, default);
    let life = Arc::new(());
    wrapping.ours = Arc::downgrade(&life);
    set_hook(Box::new(move |info| {
        let _captured = &life;
        on_panic(info, &current);
    }));
    STATE.is_custom.store(is_custom, Ordering::Relaxed);
    STATE.is_installed.store(true, Ordering::Release);
}

fn is_same(one: &Hook, other: &Hook) -> bool {
    // std's hook is a function item in a box: it has no size, so the vtable is what tells it from others. Both vtables
    // come from one function in std. Should they differ nevertheless, the default hook is called as if it were custom,
    // and its message follows our report.
    ptr::eq(&**one, &**other)
}

fn on_panic(info: &PanicHookInfo<'_>, previous: &Hook) {
    let is_inside = scope::is_inside();
    let is_end = ends_process(info);
    if !is_inside {
        previous(info);
    }
    if !is_inside && !is_end {
        return;
    }
    let record = PanicRecord::of(info);
    if !is_end {
        return scope::see(Fingerprint::of(info.payload()), record);
    }
    let own_place = record.place.clone();
    let cause = cause_of(record);
    match STATE.on_abort.get() {
        Some(report) => report(&cause),
        None if is_inside => {
            // Nobody will read the record, so the silence ends here. Not `eprint!`: a panic in a hook aborts at once.
            if cause.place != own_place {
                let _ = std::io::stderr().write_all(last_words(&cause).as_bytes());
            }
            previous(info);
        }
        None => {}
    }
}

fn last_words(cause: &PanicRecord) -> String {
    let mut text = String::from("a task panicked");
    if let Some(place) = &cause.place {
        let _ = write!(text, " at {place}");
    }
    let _ = writeln!(text, ":\n{}", escape(&cause.message));
    text
}

/// Whether the process aborts when the hook returns.
///
/// Inside a hook `thread::panicking()` is always true, so it does not tell a first panic from a second one; and a
/// second one need not be the end, if it stays inside its destructor. When it leaves the destructor, the runtime
/// raises one more panic, one that cannot unwind. `PanicHookInfo::can_unwind` is unstable, but its `Debug` shows the field
/// (a test holds that); for the day when it doesn't, the texts of those panics are known.
fn ends_process(info: &PanicHookInfo<'_>) -> bool {
    if cfg!(panic = "abort") {
        return true;
    }
    let shown = format!("{info:?}");
    match shown.rsplit_once("can_unwind: ") {
        Some((_, rest)) => rest.starts_with("false"),
        None => {
            let text = info.payload_as_str().unwrap_or_default();
            text == IN_CLEANUP || text == IN_NO_UNWIND || text.starts_with("unsafe precondition(s) violated")
        }
    }
}

/// core's text when a destructor panics during unwinding.
const IN_CLEANUP: &str = "panic in a destructor during cleanup";
/// core's text when a panic reaches an `extern "C"` function.
const IN_NO_UNWIND: &str = "panic in a function that cannot unwind";

/// The panic that people want to hear of when `end` ends the process: often one that came before it.
fn cause_of(end: PanicRecord) -> PanicRecord {
    let (first, second) = match (end.message.as_str(), scope::last_two()) {
        (IN_CLEANUP, [Some(first), Some(second)]) => (first, Some(second)),
        (IN_CLEANUP | IN_NO_UNWIND, [_, Some(last)]) => (last, None),
        _ => return end,
    };
    let mut cause = first;
    // The first text must survive whole, so what is added is short.
    cause.message.push_str("\n(then, while unwinding");
    if let Some(second) = second {
        if let Some(place) = &second.place {
            let _ = write!(cause.message, ", at {place}");
        }
        let _ = write!(cause.message, ": {}", second.message.chars().take(200).collect::<String>());
    }
    let _ = write!(cause.message, ": {})", end.message);
    cause
}
