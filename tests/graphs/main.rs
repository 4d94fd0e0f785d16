//! What task graphs promise, seen from outside: a module for each topic, a test for each promise.
//!
//! A test's name is the behaviour, and its comment quotes the row of the acceptance table that it shows; `tests/README.md`
//! lists them by row. Each test has a deadline, after which it aborts the process with its name. Tasks that must meet do so
//! at gates and channels, never by sleeping; where time itself is the matter, limits differ from what is expected by far.

use std::any::type_name;
use std::io::Write;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

mod building;
mod capturing;
mod checking;
mod drawing;
mod fixture;
mod logging;
mod rehearsing;
mod rerunning;
mod resuming;
mod running;
mod scheduling;
mod setting;
mod upstream;

/// Runs `body`, and aborts the process with the test's name if that takes longer than so many seconds.
fn within<F: FnOnce()>(seconds: u64, body: F) {
    let name = test_name::<F>();
    let (ended, end) = channel::<()>();
    let watch = move || {
        if end.recv_timeout(Duration::from_secs(seconds)) == Err(RecvTimeoutError::Timeout) {
            // Not by a macro, whose text libtest would keep.
            let _ = writeln!(std::io::stderr(), "aborted: {name} has not ended after {seconds} s");
            std::process::abort();
        }
    };
    let watchdog = thread::Builder::new().name("watchdog".into()).spawn(watch).expect("a thread to watch");
    body();
    drop(ended);
    watchdog.join().expect("the watchdog does not panic");
}

/// The name of the test that has `F` as its innermost closure, as libtest knows it.
fn test_name<F>() -> String {
    let path = type_name::<F>().trim_end_matches("::{{closure}}");
    path.split_once("::").expect("a test lies in a module").1.to_string()
}
