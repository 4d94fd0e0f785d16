//! The environment in which a program runs: variables, and streams that are closed.

use std::process::id;

use crate::fixture::{Program, children, fib, given_folder, own_pid, square};
use xfork::{Plan, fork, map, thread, wait};

/// Runs a program that says where its tasks run.
fn places() {
    let (cpu, in_thread) = (*fork(own_pid, ()), *thread(own_pid, ()));
    println!(
        "cpu in place: {}, io in place: {}, children: {}",
        cpu == id(),
        in_thread == id(),
        children().len()
    );
}

/// XF-48, XF-06: `XFORK_PLAN=sequential|threads|processes` says where things run, without a change of code.
#[test]
fn xfork_plan_says_where_things_run() {
    for (plan, expected) in [
        ("sequential", "cpu in place: true, io in place: true, children: 0"),
        ("threads", "cpu in place: true, io in place: true, children: 0"),
        ("processes", "cpu in place: false, io in place: true, children: "),
        ("", "cpu in place: false, io in place: true, children: "),
    ] {
        let program = Program::new().env("XFORK_PLAN", plan).run(|| {
            places();
        });
        let Some(ended) = program else { return };
        assert!(ended.stdout.contains(expected) && ended.code == Some(0), "{plan}: {ended:?}");
    }
}

/// XF-40: `XFORK_WORKERS` says how many workers there are.
#[test]
fn xfork_workers_says_how_many_workers_there_are() {
    let program = Program::new().env("XFORK_WORKERS", "3").run(|| {
        let mut pids: Vec<_> = {
            let gate = crate::fixture::Gate::new();
            map(crate::fixture::pass, (0..3).map(|n| (gate.path(), n)));
            gate.many(3).iter().map(|stopped| stopped.pid).collect()
        };
        pids.sort();
        pids.dedup();
        println!("{} workers, {} children", pids.len(), children().len());
    });
    let Some(ended) = program else { return };
    assert!(ended.stdout.contains("3 workers, 3 children"), "{ended:?}");
}

/// XF-06: unknown mark → `RuntimeError`: what can be unknown here is the plan, and its error is typed and says what
/// may be.
#[test]
fn an_unknown_plan_is_an_error_that_says_what_is_known() {
    for (name, value) in [("XFORK_PLAN", "parallel"), ("XFORK_WORKERS", "0"), ("XFORK_WORKERS", "many")] {
        let program = Program::new().env(name, value).run(|| {
            let error: xfork::PlanError = Plan::from_env().unwrap_err();
            println!("typed: {error}");
            fork(own_pid, ());
        });
        let Some(ended) = program else { return };
        assert!(ended.stdout.contains("typed: XFORK_"), "{ended:?}");
        // At the fork it is a panic with the same text, in the user's thread.
        assert_eq!(ended.code, Some(101), "{ended:?}");
        let known = if name == "XFORK_PLAN" { "`processes`, `threads` or `sequential`" } else { "1 to 4096" };
        assert!(ended.stderr.contains(known) && ended.stderr.contains(value), "{ended:?}");
    }
}

/// XF-40: pools are created lazily: a program that forks nothing starts nothing, one that forks on threads no process.
#[test]
fn pools_are_created_when_they_are_first_needed() {
    let program = Program::new().env("XFORK_WORKERS", "2").run(|| {
        let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
        let (before, none) = (threads(), children().len());
        assert_eq!(*xfork::ready(1), 1);
        assert_eq!((threads(), children().len(), none), (before, 0, 0));
        assert_eq!(*thread(|| 1, ()), 1);
        assert_eq!(children().len(), 0);
        assert_eq!(*fork(square, 3), 9);
        assert!((1..=2).contains(&children().len()));
    });
    let Some(ended) = program else { return };
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

/// XF-40: processes = cpu count.
#[test]
fn there_are_as_many_workers_as_cores_unless_told_otherwise() {
    let program = Program::new().run(|| {
        let cores = std::thread::available_parallelism().unwrap().get();
        let gate = crate::fixture::Gate::new();
        let tasks = map(crate::fixture::pass, (0..cores as u32 * 4).map(|n| (gate.path(), n)));
        let mut pids: Vec<_> = gate.many(cores).iter().map(|stopped| stopped.pid).collect();
        pids.sort();
        pids.dedup();
        assert_eq!(pids.len(), cores);
        drop(gate);
        assert!(wait(tasks.last().unwrap()).is_ok());
        assert_eq!(children().len(), cores);
    });
    let Some(ended) = program else { return };
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

/// XF-40: a program with closed standard streams forks like any other, and no socket takes their place.
#[test]
fn a_program_whose_streams_are_closed_forks_like_any_other() {
    for redirections in ["<&-", "<&- >&-", "<&- >&- 2>&-", "2>&-"] {
        let program = Program::new().redirected(redirections).run(|| {
            let value = *fork(fib, 10) + *thread(fib, 11) + *fork(|| *fork(fib, 12), ());
            // What tasks print must not end up in a socket.
            fork(|| println!("printed by a task"), ());
            eprintln!("said by the program");
            std::fs::write(given_folder().join("value"), value.to_string()).unwrap();
        });
        let Some(ended) = program else { return };
        let value = std::fs::read_to_string(ended.folder.file("value"));
        assert_eq!(value.ok().as_deref(), Some("288"), "{redirections}: {ended:?}");
        assert_eq!(ended.code, Some(0), "{redirections}: {ended:?}");
    }
}

/// XF-43: what a task prints is there, in order, before its result is.
#[test]
fn what_a_task_prints_comes_before_what_its_result_makes_the_program_print() {
    let program = Program::new().env("XFORK_WORKERS", "1").run(|| {
        for n in 0..20 {
            let p = fork(
                |n: u32| {
                    println!("task {n}");
                    n
                },
                n,
            );
            println!("program {}", *p);
        }
    });
    let Some(ended) = program else { return };
    let lines: Vec<_> =
        ended.stdout.lines().filter(|line| line.starts_with("task") || line.starts_with("program")).collect();
    let expected: Vec<_> = (0..20).flat_map(|n| [format!("task {n}"), format!("program {n}")]).collect();
    assert_eq!(lines, expected);
}

/// XF-48: workers see the program's arguments, environment and folder as it saw them itself.
#[test]
fn workers_see_the_programs_arguments_environment_and_folder() {
    let program = Program::new().env("XFORK_IT_SAID", "hello").run(|| {
        let here = || {
            let args: Vec<String> = std::env::args().collect();
            (args, std::env::var("XFORK_IT_SAID"), std::env::current_dir().ok())
        };
        let (args, said, folder) = here();
        let there = fork(
            || {
                let args: Vec<String> = std::env::args().collect();
                (
                    args,
                    std::env::var("XFORK_IT_SAID").ok(),
                    std::env::var("XFORK_WORKER").ok(),
                    std::env::current_dir().ok(),
                )
            },
            (),
        );
        assert_eq!(*there, (args, said.ok(), None, folder));
    });
    let Some(ended) = program else { return };
    assert_eq!(ended.code, Some(0), "{ended:?}");
}
