//! What fails costs one task, never the program: `cargo run --release --example failures`.
//!
//! `wait` gives a `Result`; reading the proxy of a task that panicked panics here, with what the task threw.

use std::panic::catch_unwind;
use std::process::Command;
use xfork::{TaskError, cpu_bound, fork, map, wait};

#[cpu_bound]
fn fail(how: &str) -> String {
    match how {
        "panic" => panic!("the task panicked"),
        "exit" => std::process::exit(3),
        "abort" => std::process::abort(),
        "kill" => {
            // Stands for the kernel when memory runs out.
            let _ = Command::new("kill").args(["-KILL", &std::process::id().to_string()]).status();
            "unreachable".to_string()
        }
        how => how.to_string(),
    }
}

fn error(how: &str) -> TaskError {
    let error = wait(&fork(fail, how)).expect_err("the task fails");
    println!("{error}\n");
    error
}

fn main() {
    let panic = error("panic");
    assert!(panic.is_panic());
    assert_eq!(panic.message(), "the task panicked");
    assert!(panic.location().is_some_and(|(file, _, _)| file.ends_with("failures.rs")));

    // In a process of its own a task can't take the program with it.
    assert_eq!(error("exit").exit_code(), Some(3));
    assert_eq!(error("kill").signal(), Some(9));
    let abort = error("abort");
    assert!(abort.is_crash());
    assert_ne!(abort.pid(), Some(std::process::id()));

    // Reading rethrows, and `catch_unwind` sees the payload of the task. What it prints on stderr reads like the
    // message of an ordinary panic: where it happened, in which worker, and where it was forked.
    let payload = catch_unwind(|| fork(fail, "panic").len()).expect_err("reading rethrows");
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"the task panicked"));

    // The other tasks go on.
    let all = map(fail, ["one", "kill", "two", "panic", "three"]);
    let good: Vec<&str> = all.iter().filter_map(|task| wait(task).ok()).map(String::as_str).collect();
    assert_eq!(good, ["one", "two", "three"]);
    println!("{good:?} went well all the same");
}
