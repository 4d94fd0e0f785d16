//! What a task in the queue holds: the bytes that the program has asked its allocator for and not given back.
//!
//! The only worker is kept busy by a task that reads from a connection until the program closes it, so that all others
//! wait. What the kernel holds besides, and the allocator's own waste, show in the resident set, which is the second line.

use crate::heap;
use crate::reach::Line;
use std::io::Read;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::time::Duration;
use xfork::{Plan, process, with_plan};

/// Bytes of arguments: two numbers.
const ARGUMENTS: usize = 2 * size_of::<u64>();

pub(crate) fn lines(tasks: usize) -> Vec<Line> {
    let (heap, resident) = with_plan(Plan::processes(1), || held(tasks));
    let against = format!("{tasks} tasks with {ARGUMENTS} bytes each");
    let line = |case: &str, bytes: f64, reach: f64| {
        Line::new(case, format!("{bytes:.0} B"), &against, bytes, "bytes", ..=reach)
    };
    let mut lines = vec![line("memory per queued task, heap", heap, 200.0)];
    if let Some(resident) = resident {
        lines.push(line("memory per queued task, resident set", resident, 200.0));
    }
    lines
}

/// Bytes on the heap and in the resident set for each task that waits in the queue, its proxy included.
fn held(tasks: usize) -> (f64, Option<f64>) {
    let name = format!("xfork-bench-{}", std::process::id());
    let listener = UnixListener::bind_addr(&address(&name)).expect("nobody else has this name");
    let busy = process(read_to_the_end, name);
    let (connection, _) = listener.accept().expect("the task connects");

    // What is kept for any number of tasks is there after a few.
    let mut proxies = Vec::with_capacity(tasks + tasks / 10);
    let mut fork = |n: usize| proxies.push(process(|a: u64, b: u64| a ^ b, (n as u64, 1)));
    (0..tasks / 10).for_each(&mut fork);
    let before = resident();
    heap::start();
    (0..tasks).for_each(&mut fork);
    let live = settled();
    let after = resident();
    heap::stop();
    assert!(proxies.iter().all(|proxy| !xfork::ResultProxy::is_ready(proxy)), "all of them wait");

    drop(connection);
    assert_eq!(*busy, 0);
    let right = proxies.into_iter().enumerate().filter(|(n, proxy)| **proxy == position(*n, tasks) ^ 1);
    assert_eq!(right.count(), tasks + tasks / 10);
    // Counted in pages, so parts of a byte mean nothing.
    let resident = before.zip(after).map(|(before, after)| ((after - before) / tasks as f64).round());
    // The place of a proxy in the program's own list was there before.
    (live as f64 / tasks as f64 + size_of::<xfork::ResultProxy<u64>>() as f64, resident)
}

/// Bytes on the heap: the most that is seen until it no longer changes, since the pool may still be at work on the queue.
fn settled() -> isize {
    let [mut live, ..] = heap::counted();
    let mut most = live;
    loop {
        std::thread::sleep(Duration::from_millis(20));
        let [now, ..] = heap::counted();
        if now == live {
            return most;
        }
        (live, most) = (now, most.max(now));
    }
}

/// The argument of the task at this place: the first tenth was counted from zero, too.
fn position(place: usize, tasks: usize) -> u64 {
    (if place < tasks / 10 { place } else { place - tasks / 10 }) as u64
}

fn address(name: &str) -> SocketAddr {
    // A name that is in no folder, and is gone with the listener.
    SocketAddr::from_abstract_name(name).expect("a short name")
}

/// Runs in the worker until the program closes the connection.
fn read_to_the_end(name: String) -> usize {
    let mut connection = UnixStream::connect_addr(&address(&name)).expect("the program listens");
    connection.read_to_end(&mut Vec::new()).expect("the program closes the connection")
}

/// Bytes; `None` where `/proc` doesn't tell.
fn resident() -> Option<f64> {
    let told = std::fs::read_to_string("/proc/self/smaps_rollup").ok()?;
    let line = told.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok().map(|kib| kib * 1024.0)
}
