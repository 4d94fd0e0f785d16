//! Forking functions that one doesn't own: `cargo run --release --example not_my_function`.
//!
//! `io_bound(f)` and `cpu_bound(f)` mark a function at the call; `thread` and `process` say where it runs, whatever
//! its mark. A closure on a thread may capture; one that goes to another process takes what it needs as arguments.

use std::collections::HashMap;
use xfork::{cpu_bound, fork, io_bound, map_thread, process, thread};

fn main() {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");

    // The standard library's, as they are. A generic function needs its type to be said.
    let text = fork(io_bound(std::fs::read_to_string::<String>), manifest);
    let missing = fork(io_bound(std::fs::read_to_string::<String>), "/no/such/file");
    let ones = fork(cpu_bound(u64::count_ones), 255);
    assert!(text.as_ref().is_ok_and(|text| text.contains("xfork")));
    assert!(missing.is_err());
    assert_eq!(ones, 8);

    // A closure with captures, on a thread.
    let prices = HashMap::from([("tea", 3), ("cake", 4)]);
    let bill = thread(
        move |order: Vec<&'static str>| order.iter().map(|item| prices[item]).sum::<u32>(),
        vec!["tea", "cake"],
    );
    assert_eq!(bill, 7);
    let indent = "  ".to_string();
    assert_eq!(map_thread(move |line: &str| format!("{indent}{line}"), ["a", "b"]), ["  a", "  b"]);

    // In a worker process: what it needs comes as an argument.
    let pattern = "[dependencies]".to_string();
    let found = process(
        |text: String, pattern: String| text.contains(&pattern),
        (text.as_ref().unwrap_or(&String::new()), pattern),
    );
    println!("the manifest has dependencies: {found}");
    assert!(*found);
    assert_ne!(process(std::process::id, ()), std::process::id());
}
