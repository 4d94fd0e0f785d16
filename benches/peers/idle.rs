//! What an open pool costs a program that has nothing to do: the processor time of the program and its workers.
//!
//! Two programs are measured at once, each with a pool of its own that has done a few tasks: one sleeps, the other
//! waits for a task that sleeps.

use crate::WORKERS;
use crate::again::again;
use crate::reach::Line;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use xfork::{Plan, map_process, process};

/// The time is told for a wait of ten seconds, however long the wait was.
pub(crate) fn lines(wait: Duration) -> Vec<Line> {
    let cases = [("idle, the program sleeps", "sleeps"), ("idle, it waits for a sleeping task", "waits")];
    let start = |(line, what)| {
        let mut command = again(&format!("idle {what} {}", wait.as_millis()));
        (line, command.stdout(Stdio::piped()).spawn().expect("this program starts again"))
    };
    let end = |(line, program): (&str, std::process::Child)| {
        let output = program.wait_with_output().expect("it ends");
        let told = String::from_utf8(output.stdout).expect("a number");
        // Where the kernel doesn't tell there is nothing to show.
        let nanoseconds: f64 = told.trim().parse().ok()?;
        let milliseconds = nanoseconds / 1e6 * 10.0 / wait.as_secs_f64();
        let shown = format!("{milliseconds:.2} ms");
        Some(Line::new(line, shown, format!("a wait of {wait:?}"), milliseconds, "ms in 10 s", ..10.0))
    };
    cases.map(start).into_iter().filter_map(end).collect()
}

/// The part of the program that is measured: tells the nanoseconds that it and its workers have run during the wait.
pub(crate) fn play(argument: &str) {
    let (what, wait) = argument.split_once(' ').expect("the bench says how long");
    let wait: u64 = wait.parse().expect("a number");
    xfork::plan(Plan::processes(WORKERS));
    let sum: u64 = map_process(|n: u64| n, 0..100).into_iter().map(|proxy| *proxy).sum();
    assert_eq!(sum, 99 * 100 / 2);
    // What these tasks leave to do is not part of the wait.
    std::thread::sleep(Duration::from_millis(100));
    let processes = with_children();
    let before = processor_time(&processes);
    match what {
        "sleeps" => std::thread::sleep(Duration::from_millis(wait)),
        _ => *process(|wait: u64| std::thread::sleep(Duration::from_millis(wait)), wait),
    }
    // A thread that has ended took its time along: better no number than a wrong one.
    if let (Some(before), Some(after)) = (before, processor_time(&processes))
        && let Some(time) = after.checked_sub(before)
    {
        println!("{time}");
    }
}

/// The folders in `/proc` of this process and its children.
fn with_children() -> Vec<PathBuf> {
    let me = std::process::id();
    let is_child = |process: &PathBuf| {
        let stat = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
        // After the name, which may hold anything, come the state and the parent.
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1));
        parent.is_some_and(|parent| parent.parse() == Ok(me))
    };
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
    std::iter::once(PathBuf::from("/proc/self")).chain(all.filter(is_child)).collect()
}

/// Nanoseconds that the threads of these have run.
fn processor_time(processes: &[PathBuf]) -> Option<u64> {
    let mut sum = 0;
    for process in processes {
        for thread in std::fs::read_dir(process.join("task")).ok()?.flatten() {
            let told = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
            sum += told.split_whitespace().next()?.parse::<u64>().ok()?;
        }
    }
    Some(sum)
}
