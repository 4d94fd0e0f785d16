//! What becomes of the text that tasks print: captured, a parallel run prints what the sequential one prints.
//!
//! Each test is a program of its own. `begin` marks where its text starts, and `exit` where it ends, so that nothing of the
//! test harness comes in between.
#![expect(unsafe_code, reason = "a task that closes or replaces the streams of its process")]

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::fixture::{Ended, Gate, Program, stop_at};
use xfork::{Limits, Output, Plan, ResultProxy, cpu_bound, fork, map, task, thread, wait, with_plan};

const BEGIN: &str = "<begin>\n";

fn begin() {
    print!("{BEGIN}");
    eprint!("{BEGIN}");
}

/// What a program printed after `begin`.
fn texts(ended: &Ended) -> (String, String) {
    let after = |text: &str| text.split_once(BEGIN).unwrap_or_else(|| panic!("{ended:?}")).1.to_string();
    (after(&ended.stdout), after(&ended.stderr))
}

/// Runs a program sequentially, and with one and with three workers whose output is captured: it prints the same. `None` in
/// the program itself.
fn as_sequential<F: FnOnce() + Copy>(body: F) -> Option<(String, String)> {
    let ended = Program::new().env("XFORK_PLAN", "sequential").run(body)?;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let expected = texts(&ended);
    for workers in ["1", "3"] {
        let program = Program::new().env("XFORK_WORKERS", workers).env("XFORK_OUTPUT", "captured");
        let ended = program.run(body)?;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(texts(&ended), expected, "{workers} workers");
    }
    Some(expected)
}

fn end() -> ! {
    std::process::exit(0)
}

/// Prints to both streams, a line and a half each.
#[cpu_bound]
fn say(n: u64) -> u64 {
    println!("task {n}");
    print!("and ");
    eprintln!("error {n}");
    eprint!("and ");
    n
}

#[cpu_bound]
fn add(a: u64, b: u64) -> u64 {
    println!("{a} + {b}");
    a + b
}

#[cpu_bound]
fn sum(all: Vec<u64>) -> u64 {
    println!("sum of {all:?}");
    all.iter().sum()
}

#[test]
fn forks_that_are_used_in_order_print_in_order() {
    let printed = as_sequential(|| {
        begin();
        let results = map(say, 0..50);
        assert_eq!(results.iter().map(|p| **p).sum::<u64>(), 49 * 25);
        println!("end");
        end();
    });
    let Some((out, err)) = printed else { return };
    assert!(out.starts_with("task 0\nand task 1\n") && out.ends_with("and end\n"), "{out}");
    assert!(err.starts_with("error 0\nand error 1\n"), "{err}");
}

#[test]
fn what_a_task_takes_prints_before_the_task() {
    let printed = as_sequential(|| {
        begin();
        let a = fork(say, 1);
        let b = fork(add, (&a, 2));
        let c = fork(add, (&a, &b));
        let d = fork(add, (&b, &c));
        let all = fork(sum, vec![a.clone(), b, c, d]);
        assert_eq!(all, 1 + 3 + 4 + 7);
        assert_eq!(a, 1);
        end();
    });
    let Some((out, _)) = printed else { return };
    assert_eq!(out, "task 1\nand 1 + 2\n1 + 3\n3 + 4\nsum of [1, 3, 4, 7]\n");
}

#[cpu_bound]
fn tree(depth: u64, label: u64) -> u64 {
    println!("into {label}");
    if depth == 0 {
        return label;
    }
    let below = map(tree, (0..3).map(|n| (depth - 1, label * 10 + n)));
    let total = below.iter().map(|p| **p).sum();
    println!("out of {label}");
    total
}

#[test]
fn forks_inside_tasks_print_where_they_are_used() {
    let printed = as_sequential(|| {
        begin();
        let trees = map(tree, [(3, 1), (3, 2)]);
        println!("{}", trees.iter().map(|p| **p).sum::<u64>());
        end();
    });
    // The first line of the whole is printed by what is used first, in each plan.
    let Some((out, _)) = printed else { return };
    assert_eq!(out.lines().count(), 2 * (27 + 2 * (9 + 3 + 1)) + 1, "{out}");
}

#[cpu_bound]
fn parent_of_unused(label: u64) -> u64 {
    map(say, (0..4).map(|n| label * 10 + n));
    label
}

#[test]
fn forks_inside_a_task_that_nobody_uses_print_in_the_order_of_forking() {
    let printed = as_sequential(|| {
        begin();
        let parents = map(parent_of_unused, [1, 2, 3]);
        assert_eq!(parents.iter().map(|p| **p).sum::<u64>(), 6);
        end();
    });
    let Some((out, _)) = printed else { return };
    assert!(out.starts_with("task 10\nand task 11\n"), "{out}");
}

#[test]
fn tasks_that_nobody_uses_print_at_the_end_in_the_order_of_forking() {
    let printed = as_sequential(|| {
        begin();
        map(say, 0..30);
        fork(add, (fork(say, 30), 1));
        end();
    });
    let Some((out, _)) = printed else { return };
    assert!(out.starts_with("task 0\nand task 1\n") && out.ends_with("30 + 1\n"), "{out}");
}

#[cpu_bound]
fn fail_after_text(n: u64) -> u64 {
    println!("before \x1b[31m{n}");
    eprintln!("also before {n}");
    panic!("failed with {n}")
}

#[test]
fn the_text_of_a_failed_task_comes_before_its_report_and_is_in_its_error() {
    let program = Program::new().env("XFORK_OUTPUT", "captured").run(|| {
        begin();
        let failed = fork(fail_after_text, 1);
        let dependent = fork(add, (&failed, 1));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| *dependent)).is_err());
        println!("seen");
        for error in [wait(&dependent).unwrap_err(), wait(&failed).unwrap_err()] {
            assert_eq!(error.output(), Some("before \x1b[31m1\nalso before 1\n"));
        }
        let plain =
            with_plan(Plan::processes(1), || wait(&fork(fail_after_text, 2)).unwrap_err().output().is_none());
        assert!(plain);
        end();
    });
    let Some(ended) = program else { return };
    let (out, err) = texts(&ended);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(out.starts_with("before \x1b[31m1\nseen\n"), "{out}");
    let (text, report) = (err.find("also before 1").unwrap(), err.find("failed with 1").unwrap());
    assert!(text < report && err.matches("also before 1").count() == 1, "{err}");
}

#[cpu_bound]
fn crash(how: &str) -> u64 {
    println!("last words");
    eprintln!("of {how}");
    match how {
        "abort" => std::process::abort(),
        _ => std::process::exit(3),
    }
}

#[cpu_bound]
fn crash_after_a_fork() -> u64 {
    println!("first");
    assert_eq!(fork(say, 1), 1);
    crash("abort")
}

#[test]
fn a_worker_that_dies_leaves_its_text() {
    let program = Program::new().env("XFORK_OUTPUT", "captured").run(|| {
        begin();
        for how in ["abort", "exit"] {
            let error = wait(&fork(crash, how)).unwrap_err();
            assert_eq!(error.output(), Some(format!("last words\nof {how}\n").as_str()));
        }
        let error = wait(&fork(crash_after_a_fork, ())).unwrap_err();
        assert!(
            error.output().unwrap().starts_with("first\ntask 1\nand last words\n"),
            "{:?}",
            error.output()
        );
        fork(crash, "abort");
        end();
    });
    let Some(ended) = program else { return };
    let (out, err) = texts(&ended);
    assert_eq!(out.matches("last words").count(), 4, "{ended:?}");
    assert_eq!((err.matches("of abort\n").count(), err.matches("of exit\n").count()), (3, 1), "{ended:?}");
}

#[cpu_bound]
fn print_and_stop(gate: &Path) -> u64 {
    println!("before");
    eprint!("error");
    stop_at(gate, 0);
    1
}

#[cpu_bound]
fn fork_and_stop(gate: &Path) -> u64 {
    println!("outer");
    *task(print_and_stop, gate).limits(Limits::new().timeout(Duration::from_secs(600))).fork()
}

#[test]
fn a_task_that_is_ended_keeps_what_it_has_printed() {
    let program = Program::new().env("XFORK_OUTPUT", "captured").env("XFORK_WORKERS", "2").run(|| {
        begin();
        let gate = Gate::new();
        // Long enough for the text, also under a sanitizer on a busy machine.
        let limits = Limits::new().timeout(Duration::from_secs(4));
        let expired = task(print_and_stop, gate.path()).limits(limits).fork();
        let error = wait(&expired).unwrap_err();
        assert!(error.is_timeout(), "{error}");
        assert_eq!(error.output(), Some("before\nerror"));
        let _stopped = gate.next();
        let cancelled = fork(print_and_stop, gate.path());
        let _stopped = gate.next();
        assert!(ResultProxy::cancel(&cancelled));
        assert_eq!(wait(&cancelled).unwrap_err().output(), Some("before\nerror"));
        // One whose fork is running in another worker.
        let cancelled = fork(fork_and_stop, gate.path());
        let _stopped = gate.next();
        assert!(ResultProxy::cancel(&cancelled));
        assert_eq!(wait(&cancelled).unwrap_err().output(), Some("outer\n"));
        end();
    });
    let Some(ended) = program else { return };
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let (out, err) = texts(&ended);
    assert_eq!((out.matches("before\n").count(), out.matches("outer\n").count()), (2, 1), "{ended:?}");
    assert!(err.starts_with("errorerror"), "{ended:?}");
}

#[test]
fn the_text_of_all_tries_of_a_task_is_kept() {
    let program = Program::new().env("XFORK_OUTPUT", "captured").run(|| {
        begin();
        let limits = Limits::new().retries(1);
        let failed = wait(&task(fail_after_text, 1).limits(limits).fork()).unwrap_err();
        let text = "before \x1b[31m1\nalso before 1\n";
        assert_eq!(failed.output(), Some(text.repeat(2).as_str()));
        let crashed = wait(&task(crash, "exit").limits(limits).fork()).unwrap_err();
        assert_eq!(crashed.output(), Some("last words\nof exit\n".repeat(2).as_str()));
        end();
    });
    let Some(ended) = program else { return };
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(texts(&ended).0.matches("last words").count(), 2, "{ended:?}");
}

#[cpu_bound]
fn much(bytes: usize) -> usize {
    let line = format!("{}\n", "x".repeat(99));
    (0..bytes / 100).for_each(|_| print!("{line}"));
    print!("end");
    bytes
}

/// Row 19 of faults.md: a task "prints 10 MB: no deadlock, no protocol damage"; whole up to 16 MiB, more with its middle left
/// out.
#[test]
fn a_task_prints_ten_megabytes_and_more() {
    let program = Program::new().env("XFORK_OUTPUT", "captured").run(|| {
        begin();
        let tasks = map(much, [10_000_000, 100_000_000]);
        println!("{}{}", *tasks[0], *tasks[1]);
        end();
    });
    let Some(ended) = program else { return };
    let (out, _) = texts(&ended);
    assert_eq!(ended.code, Some(0));
    let (first, second) = out.split_once("end").unwrap();
    assert_eq!(first.len(), 10_000_000);
    let (head, rest) = second.split_once("\n[… ").unwrap();
    let (left_out, tail) = rest.split_once(" bytes left out …]\n").unwrap();
    let tail = tail.strip_suffix("10000000100000000\n").unwrap();
    assert_eq!((head.len(), tail.len()), (16 << 20, 64 << 10));
    assert_eq!(head.len() + tail.len() + left_out.parse::<usize>().unwrap(), 100_000_003);
    assert!(tail.ends_with("x\nend") && !out.contains('\0'));
}

#[test]
fn a_text_is_printed_once_however_many_read_the_value() {
    let program = Program::new().env("XFORK_OUTPUT", "captured").run(|| {
        begin();
        let p = fork(say, 1);
        let both = fork(add, (&p, &p));
        std::thread::scope(|scope| {
            for n in 0..16 {
                let (p, both) = (&p, &both);
                scope.spawn(move || if n % 2 == 0 { assert_eq!(*p, 1) } else { assert_eq!(*both, 2) });
            }
        });
        assert_eq!(p, 1);
        end();
    });
    let Some(ended) = program else { return };
    let (out, err) = texts(&ended);
    assert_eq!((out.matches("task 1").count(), out.matches("1 + 1").count()), (1, 1), "{ended:?}");
    assert_eq!(err.matches("error 1").count(), 1, "{ended:?}");
}

/// Readers that hold the lock of a stream, and an expression that several of them need.
#[test]
fn readers_that_print_while_they_read_do_not_wait_for_each_other() {
    let program = Program::new().env("XFORK_OUTPUT", "captured").run(|| {
        begin();
        for n in 0..50 {
            let value = fork(add, (n, 1)) + fork(add, (n, 2));
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| println!("[{value}]"));
                    scope.spawn(|| assert_eq!(value, 2 * n + 3));
                }
            });
        }
        end();
    });
    let Some(ended) = program else { return };
    let (out, _) = texts(&ended);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!((out.matches('[').count(), out.matches(" + ").count()), (200, 100), "{out}");
}

#[cpu_bound]
fn hold_the_stream() -> u64 {
    let child = fork(say, 5);
    let holds = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut out = std::io::stdout().lock();
            holds.wait();
            writeln!(out, "value {child}").unwrap();
        });
        holds.wait();
    });
    1
}

#[cpu_bound]
fn quiet(n: u64) -> u64 {
    n
}

#[cpu_bound]
fn wait_with_the_stream_held() -> u64 {
    let (child, other) = (fork(quiet, 5), fork(quiet, 6));
    let holds = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _out = std::io::stdout().lock();
            holds.wait();
            assert_eq!(child, 5);
        });
        holds.wait();
        assert_eq!(other, 6);
    });
    1
}

/// A thread in a task holds the lock of standard output while it waits for a task that is to run in this very worker.
#[test]
fn a_thread_that_waits_with_a_stream_held_is_not_waited_for() {
    let program = Program::new().env("XFORK_OUTPUT", "captured").run(|| {
        begin();
        assert_eq!(fork(hold_the_stream, ()), 1);
        assert_eq!(fork(wait_with_the_stream_held, ()), 1);
        end();
    });
    let Some(ended) = program else { return };
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(texts(&ended).0.contains("task 5\n"), "{ended:?}");
}

#[cpu_bound]
fn break_streams(how: &str) -> u64 {
    println!("before {how}");
    // SAFETY: plain numbers; the streams of the process are the task's to spoil.
    unsafe {
        match how {
            "close" => libc::close(1),
            "dup2" => {
                let null = libc::open(c"/dev/null".as_ptr(), libc::O_WRONLY);
                libc::dup2(null, 1)
            }
            _ => libc::ftruncate(1, 0),
        };
    }
    let _ = writeln!(std::io::stdout(), "lost");
    1
}

/// Row 19 of faults.md: "dup2s over fd 0/1/2; closes stdout": its text from before is kept, and the next task's too.
#[test]
fn a_task_that_closes_or_replaces_its_streams_harms_no_other() {
    let program = Program::new().env("XFORK_OUTPUT", "captured").env("XFORK_WORKERS", "1").run(|| {
        begin();
        for how in ["close", "dup2"] {
            assert_eq!(fork(break_streams, how), 1);
            assert_eq!(fork(say, 7), 7);
        }
        assert_eq!(fork(break_streams, "truncate"), 1);
        assert_eq!(fork(say, 8), 8);
        end();
    });
    let Some(ended) = program else { return };
    let (out, _) = texts(&ended);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(out.starts_with("before close\ntask 7\nand before dup2\ntask 7\nand "), "{out:?}");
    assert!(out.ends_with("task 8\nand "), "{out:?}");
}

#[cpu_bound]
fn by_others() {
    println!("first");
    assert!(Command::new("sh").args(["-c", "echo second; echo third >&2"]).status().unwrap().success());
    // SAFETY: the texts are C strings.
    unsafe { libc::printf(c"fourth %d\n".as_ptr(), 4) };
    println!("fifth");
}

#[test]
fn what_a_grandchild_and_c_code_print_is_captured() {
    let program = Program::new().env("XFORK_OUTPUT", "captured").run(|| {
        begin();
        let task = fork(by_others, ());
        println!("before");
        wait(&task).unwrap();
        end();
    });
    let Some(ended) = program else { return };
    let (out, err) = texts(&ended);
    // C keeps its text back until the task ends.
    assert_eq!(out, "before\nfirst\nsecond\nfifth\nfourth 4\n");
    assert_eq!(err, "third\n");
}

#[test]
fn bytes_that_are_no_text_arrive_as_they_are() {
    let program = Program::new().env("XFORK_OUTPUT", "captured").run(|| {
        begin();
        let task = fork(|| std::io::stdout().write_all(&[0xff, b'a', 0xfe, b'\n']).unwrap(), ());
        wait(&task).unwrap();
        end();
    });
    let Some(ended) = program else { return };
    assert_eq!(texts(&ended).0, "\u{fffd}a\u{fffd}\n");
}

#[test]
fn what_a_threads_forks_printed_comes_with_the_thread() {
    let printed = as_sequential(|| {
        begin();
        let outer = thread(|| drop(map(say, 1..4)), ());
        fork(say, 4);
        wait(&outer).unwrap();
        end();
    });
    let Some((out, _)) = printed else { return };
    assert_eq!(out, "task 1\nand task 2\nand task 3\nand task 4\nand ");
}

/// The capture of tests sees what is printed where a value is used, as `println!` there.
#[test]
fn the_plan_of_a_scope_captures_too() {
    let program = Program::new().run(|| {
        begin();
        let plan = Plan::processes(2).output(Output::Captured);
        let (first, second) = with_plan(plan, || (fork(say, 1), fork(say, 2)));
        assert_eq!(second, 2);
        assert_eq!(first, 1);
        end();
    });
    let Some(ended) = program else { return };
    assert_eq!(texts(&ended).0, "task 2\nand task 1\nand ");
}
