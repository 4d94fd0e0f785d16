//! A limit for every test.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Runs a test that ends within a minute, or the program with an error.
pub(crate) fn deadline<F: FnOnce() + Send + 'static>(body: F) {
    let name = std::thread::current().name().unwrap_or("a test").to_string();
    let (sender, receiver) = channel::<()>();
    let running = std::thread::Builder::new().name(name.clone()).spawn(move || {
        body();
        drop(sender);
    });
    let running = running.unwrap();
    if receiver.recv_timeout(Duration::from_secs(60)) == Err(RecvTimeoutError::Timeout) {
        eprintln!("{name} has not ended after 60 s");
        std::process::abort();
    }
    if let Err(payload) = running.join() {
        std::panic::resume_unwind(payload);
    }
}
