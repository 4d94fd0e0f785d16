//! The end of a program: it waits for what it forked, and says what failed unseen. Each in a process of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::fixture::{Gate, Program, fail, fail_io, given_folder, square};
use xfork::{cpu_bound, fork, io_bound, process, report_unseen_failures, thread, wait};

/// Takes a while, so that a program that did not wait would end before.
fn work(file: &Path) {
    std::thread::sleep(Duration::from_millis(100));
    std::fs::write(file, "").unwrap();
    println!("written {}", file.file_name().unwrap().to_str().unwrap());
}

#[cpu_bound]
fn write(file: &Path) {
    work(file);
}

#[io_bound]
fn write_io(file: &Path) {
    work(file);
}

#[cpu_bound]
fn write_by_a_fork(file: &Path) {
    fork(write, file);
    fork(write_io, file.with_extension("io"));
}

fn fire_and_forget() {
    fork(write, given_folder().join("cpu"));
    fork(write_io, given_folder().join("io"));
    fork(write_by_a_fork, given_folder().join("nested"));
    let dependency = fork(square, 3);
    thread(|_: u64, file: PathBuf| work(&file), (dependency, given_folder().join("dependent")));
}

/// XF-43: program exit waits for outstanding forks (fire-and-forget prints appear): at the return from `main`.
#[test]
fn a_program_that_returns_from_main_waits_for_what_it_forked() {
    let program = Program::new().run(|| {
        fire_and_forget();
    });
    let Some(ended) = program else { return };
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.folder.count(), 5, "{ended:?}");
    assert_eq!(ended.stdout.matches("written ").count(), 5, "{ended:?}");
}

/// XF-43: at `exit`, whose code stays.
#[test]
fn a_program_that_exits_waits_for_what_it_forked() {
    let program = Program::new().run(|| {
        fire_and_forget();
        std::process::exit(7);
    });
    let Some(ended) = program else { return };
    assert_eq!((ended.code, ended.folder.count()), (Some(7), 5), "{ended:?}");
}

/// XF-43: and where a thread that is no task ends the program while others wait.
#[test]
fn an_exit_in_another_thread_waits_too() {
    let program = Program::new().run(|| {
        fire_and_forget();
        std::thread::spawn(|| std::process::exit(3)).join().unwrap();
    });
    let Some(ended) = program else { return };
    assert_eq!((ended.code, ended.folder.count()), (Some(3), 5), "{ended:?}");
}

/// XF-43: a task that ends the program can't wait for itself: the program ends all the same.
#[test]
fn an_exit_inside_a_task_on_a_thread_ends_the_program() {
    let program = Program::new().run(|| {
        let p = thread(|| -> u8 { std::process::exit(5) }, ());
        wait(&p).unwrap();
    });
    let Some(ended) = program else { return };
    assert_eq!(ended.code, Some(5), "{ended:?}");
}

/// XF-44: unforced errors were silent: they are reported at exit, how many and each with its task and place; the exit
/// code is the program's own.
#[test]
fn failures_that_nobody_saw_are_reported_at_the_end() {
    let program = Program::new().run(|| {
        fork(fail, "unseen in a worker");
        fork(fail_io, "unseen on a thread");
        fork(square, fork(fail, "unseen origin"));
        fork(parent_of_a_failure, ());
        wait(&fork(fail, "looked at")).unwrap_err();
    });
    let Some(ended) = program else { return };
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let text = &ended.stderr;
    assert_eq!(text.matches("4 tasks failed").count(), 1, "{text}");
    for part in ["in a worker", "on a thread", "origin", "in a fork's fork"] {
        assert_eq!(text.matches(&format!("unseen {part}")).count(), 1, "{text}");
    }
    assert!(text.contains("it::fixture::fail") && text.contains("tests/it/fixture.rs:"), "{text}");
    assert!(text.contains("forked at tests/it/ending.rs:"), "{text}");
    assert!(!text.contains("looked at\n") && !text.contains("looked at ("), "{text}");
}

#[cpu_bound]
fn parent_of_a_failure() {
    fork(fail, "unseen in a fork's fork");
}

/// XF-44: a program without failures says nothing.
#[test]
fn a_program_without_failures_says_nothing() {
    let program = Program::new().run(|| {
        fork(square, 3);
        assert_eq!(wait(&fork(fail, "looked at")).unwrap_err().message(), "looked at");
    });
    let Some(ended) = program else { return };
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
}

/// XF-44: opt-out, by a call or by the environment.
#[test]
fn the_report_of_unseen_failures_can_be_turned_off() {
    let by_call = Program::new().run(|| {
        report_unseen_failures(false);
        fork(fail, "unseen");
    });
    let Some(by_call) = by_call else { return };
    let by_environment = Program::new().env("XFORK_UNSEEN", "off").run(|| {
        fork(fail, "unseen");
    });
    let Some(by_environment) = by_environment else { return };
    for ended in [by_call, by_environment] {
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    }
}

/// XF-43: a program that ends leaves no worker behind: not when it returns, nor when it exits, nor when it is killed.
#[test]
fn a_program_that_ends_leaves_no_process_behind() {
    let endings: [fn(); 3] = [|| {}, || std::process::exit(0), || std::process::abort()];
    for number in 0..endings.len() {
        // `run` returns when nobody holds the program's output any more, and workers hold it.
        let program = Program::new().env("XFORK_IT_ENDING", &number.to_string()).run(|| {
            let chosen: usize = std::env::var("XFORK_IT_ENDING").unwrap().parse().unwrap();
            assert_eq!(*process(square, 3), 9);
            endings[chosen]();
        });
        let Some(ended) = program else { return };
        assert_eq!(ended.code.is_none(), number == 2, "{ended:?}");
    }
}

/// XF-43: a program that is killed while tasks run leaves no worker behind either.
#[test]
fn a_killed_program_takes_its_busy_workers_with_it() {
    let program = Program::new().run(|| {
        let gate = Gate::inside(&given_folder());
        let _busy = process(crate::fixture::pass, (gate.path(), 0));
        let _stopped = gate.next();
        std::process::abort();
    });
    let Some(ended) = program else { return };
    assert_eq!(ended.code, None, "{ended:?}");
}
