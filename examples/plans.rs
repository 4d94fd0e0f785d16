//! Where tasks run is for the person who runs the program to say: `cargo run --release --example plans`.
//!
//! ```text
//! XFORK_PLAN=sequential cargo run --release --example plans -- where    # or threads, processes
//! XFORK_WORKERS=8       cargo run --release --example plans -- where
//! ```

use std::collections::HashSet;
use std::process::Command;
use std::{env, process};
use xfork::{Plan, cpu_bound, fork, map, with_plan};

#[cpu_bound]
fn pid() -> u32 {
    // Long enough that every worker gets some.
    std::thread::sleep(std::time::Duration::from_millis(5));
    process::id()
}

fn is_here() -> bool {
    fork(pid, ()) == process::id()
}

fn main() {
    if env::args().nth(1).is_some_and(|argument| argument == "where") {
        println!("{}", if is_here() { "in this process" } else { "in a worker process" });
        return;
    }

    // In place, in program order: for a debugger.
    with_plan(Plan::sequential(), || {
        let mut order = Vec::new();
        for n in 1..=3 {
            order.push(*fork(|n: u32| n, n));
        }
        assert_eq!(order, [1, 2, 3]);
        assert!(is_here());
    });

    // On threads of this process: for tasks too short to travel.
    with_plan(Plan::threads(), || assert!(is_here()));

    // On two worker processes.
    with_plan(Plan::processes(2), || {
        let pids: HashSet<u32> = map(pid, [(); 20]).iter().map(|worker| **worker).collect();
        println!("the workers were {pids:?}");
        assert!((1..=2).contains(&pids.len()) && !pids.contains(&process::id()));
    });

    // And without a change of code, by the environment.
    for (plan, place) in [
        ("sequential", "in this process"),
        ("threads", "in this process"),
        ("processes", "in a worker process"),
    ] {
        let program = env::current_exe().expect("this program has a file");
        let output =
            Command::new(program).arg("where").env("XFORK_PLAN", plan).output().expect("it runs again");
        let output = String::from_utf8_lossy(&output.stdout).trim().to_string();
        println!("XFORK_PLAN={plan}: {output}");
        assert_eq!(output, place);
    }
}
