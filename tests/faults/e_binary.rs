//! Section E: binary, build, environment.

use crate::built::{real_program, small_program};
use crate::fixture::{
    Afterwards, Dir, alone, alone_with, children, double, ended, ends_within, hang, hear_pid, kill, os, pool,
    program, program_of, quiet, run,
};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;
use xfork::process;

/// Row 75: binary deleted / replaced by another build / replaced by /bin/true after start: workers are still this build, or
/// BuildMismatch; never another program's "success".
#[test]
fn workers_are_this_build_whatever_happens_to_the_file() {
    for what in ["delete", "true", "another"] {
        let dir = Dir::new();
        let exe = dir.program("program", &std::env::current_exe().unwrap());
        let mut command = quiet(program_of(exe.as_ref(), "loses_its_binary"));
        command.env("EXE", &exe).env("WHAT", what).env("DIR", dir.path(""));
        if what == "another" {
            command.env("OTHER", real_program());
        }
        let ended = run(what, command);
        assert_eq!(ended.code(), Some(0), "{what}: {ended:?}");
        assert_eq!(ended.stdout.matches("value 42").count(), 2, "{what}: {ended:?}");
    }
}

fn which<T: 'static>(_: u8) -> String {
    std::any::type_name::<T>().to_string()
}

macro_rules! on_one_line {
    ($($number:literal)*) => { [$(process(|n: u64| n * 1000 + $number, 7)),*] };
}

/// Row 78: unregistered id, id out of range, duplicate names (nested fns, two crate versions, doctests): error at first use
/// or compile time; never another function. (Ids are private: the unit tests of the registry hold that part.)
#[test]
fn functions_of_the_same_name_stay_apart() {
    fn left() -> u32 {
        fn same() -> u32 {
            1
        }
        ended(process(same, ())).unwrap()
    }
    fn right() -> u32 {
        fn same() -> u32 {
            2
        }
        ended(process(same, ())).unwrap()
    }
    fn identical_too(n: u64) -> u64 {
        n * 2
    }
    alone(|| {
        pool(2, || {
            assert_eq!((left(), right()), (1, 2));
            assert_eq!(on_one_line!(1 2 3).map(|proxy| ended(proxy).unwrap()), [7001, 7002, 7003]);
            let names = [process(which::<u8>, 0), process(which::<u16>, 0), process(which::<String>, 0)];
            assert_eq!(names.map(|proxy| ended(proxy).unwrap()), ["u8", "u16", "alloc::string::String"]);
            assert_eq!(
                (ended(process(double, 2)).unwrap(), ended(process(identical_too, 3)).unwrap()),
                (4, 6)
            );
        });
    });
}

/// Row 80: LTO, gc-sections, strip, opt-level z, codegen-units 1, PIE off: registry complete; ASLR off and on.
/// Row 5: built with panic=abort: panic report still arrives (from hook), and the failure is a panic; others ok.
#[test]
fn a_small_build_has_all_functions_and_reports_panics() {
    let exe = small_program();
    let aslr_off = {
        let mut command = Command::new("setarch");
        command.arg("-R").arg(&exe);
        command
    };
    for mut command in [quiet(Command::new(&exe)), quiet(aslr_off)] {
        command.arg("functions");
        let ended = run("functions", command);
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        assert!(ended.stdout.contains("sum 1009"), "{ended:?}");
    }
    let mut command = quiet(Command::new(&exe));
    command.arg("task-panic");
    let ended = run("task-panic", command);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    for part in ["panic true, crash false", "a panic that aborts 7", "main.rs", "sibling 9", "next 42"] {
        assert!(ended.stdout.contains(part), "{part}: {ended:?}");
    }
}

/// Row 80: the same functions in a build with the default settings.
#[test]
fn a_plain_build_has_all_functions() {
    let mut command = quiet(Command::new(real_program()));
    command.arg("functions");
    let ended = run("functions", command);
    assert!(ended.code() == Some(0) && ended.stdout.contains("sum 1009"), "{ended:?}");
}

/// Row 85: marker set by a user by hand (fd 0, a file, a wrong socket, stale value): the program starts normally or exits
/// with one line; never runs a task from stdin.
#[test]
fn a_marker_set_by_hand_starts_no_worker() {
    let dir = Dir::new();
    let input = dir.path("input");
    File::create(&input).unwrap().write_all(&[1; 4096]).unwrap();
    let file = File::open(&input).unwrap();
    let (socket, _peer) = UnixStream::pair().unwrap();
    let (file, socket) = (file.as_raw_fd(), socket.as_raw_fd());
    for value in ["0", "1", "", "abc", "-1", "999", "99999999999999999999", "300", "301"] {
        // A shell stands between, so that the socket was not made by the parent.
        let mut command = Command::new("sh");
        let exe = std::env::current_exe().unwrap();
        command.args([os("-c"), os("\"$@\"; exit $?"), os("sh"), exe.into_os_string()]);
        command.args(program("says_hello").get_args());
        command.env("XFORK_FAULTS_PROGRAM", "says_hello").env("XFORK_WORKER", value);
        command.stdin(File::open(&input).unwrap());
        // SAFETY: only `dup2` is called between fork and exec.
        unsafe {
            command.pre_exec(move || {
                libc::dup2(file, 300);
                libc::dup2(socket, 301);
                Ok(())
            });
        }
        let ended = run(value, command);
        if ended.code() != Some(0) {
            assert_eq!(ended.code(), Some(2), "{value}: {ended:?}");
            assert_eq!(ended.stderr.lines().count(), 1, "{value}: {ended:?}");
            assert!(ended.stderr.contains("XFORK_WORKER"), "{value}: {ended:?}");
            assert_eq!(ended.stdout, "", "{value}");
        } else {
            assert!(ended.stdout.contains("hello 42"), "{value}: {ended:?}");
        }
    }
}

/// Row 86: marker not inherited by programs started inside a task; nested xfork program works.
#[test]
fn a_program_started_in_a_task_is_a_program() {
    fn environment() -> String {
        let output = Command::new("env").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
    fn nested() -> String {
        let output = quiet(program("says_hello")).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
    alone(|| {
        pool(1, || {
            let seen = ended(process(environment, ())).unwrap();
            assert!(seen.contains("PATH=") && !seen.contains("XFORK_WORKER="), "{seen}");
            assert!(ended(process(nested, ())).unwrap().contains("hello 42"));
        });
    });
}

/// Row 87: re-exec'd process that misses the hook: guard stops it before user code forks again (no recursion of main); argv
/// of the user kept out of it.
#[test]
fn a_process_that_missed_the_hook_starts_no_worker() {
    alone_with(Duration::from_secs(60), Afterwards::ItsPool, || {
        // SAFETY: no other thread of this process touches the environment now.
        unsafe { std::env::set_var("XFORK_WORKER", "17") };
        let error = ended(process(double, 1)).unwrap_err();
        assert!(error.is_spawn() && error.to_string().contains("XFORK_WORKER"), "{error}");
        assert!(children().is_empty());
        // SAFETY: as above.
        unsafe { std::env::remove_var("XFORK_WORKER") };
    });
}

/// Row 87: what a task gets is in no argument and no variable of its process, where everybody could read it.
#[test]
fn arguments_of_tasks_are_not_to_be_seen_from_outside() {
    alone(|| {
        let dir = Dir::new();
        let pipe = dir.pipe("a-secret-argument");
        pool(1, || {
            let task = process(hang, pipe.clone());
            let worker = hear_pid(&pipe);
            for file in ["cmdline", "environ"] {
                let bytes = fs::read(format!("/proc/{worker}/{file}")).unwrap();
                assert!(!String::from_utf8_lossy(&bytes).contains("a-secret-argument"), "{file}");
            }
            kill(worker, libc::SIGKILL);
            assert!(ended(task).unwrap_err().is_crash());
        });
    });
}

/// Row 88: cargo test (threads 1 and many), --nocapture, nextest: work without user set-up; no LEAK. (nextest calls a process
/// that holds standard output 100 ms after the test's end a leak.)
#[test]
fn pools_work_in_test_binaries_and_hold_no_output() {
    for options in [&["--test-threads=1"][..], &["--test-threads=4"], &["--test-threads=4", "--nocapture"]] {
        let mut command = quiet(Command::new(std::env::current_exe().unwrap()));
        command.args(["programs::small_test", "--ignored"]).args(options).process_group(0);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut pipe = child.stdout.take().unwrap();
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            pipe.read_to_string(&mut text).map(|_| text)
        });
        assert!(ends_within(child.id(), Duration::from_secs(30)), "{options:?} hangs");
        let begin = std::time::Instant::now();
        let text = reader.join().unwrap().unwrap();
        assert!(child.wait().unwrap().success(), "{text}");
        assert!(text.contains("3 passed"), "{text}");
        assert!(begin.elapsed() < Duration::from_millis(100), "somebody held the output");
    }
}

/// Row 89: libtest process with a failing test: no worker left.
#[test]
fn a_failing_test_leaves_no_worker() {
    let mut command = quiet(program("fails_with_a_pool"));
    command.env("XFORK_WORKERS", "2");
    let ended = run("fails_with_a_pool", command);
    assert_eq!(ended.code(), Some(101), "{ended:?}");
    assert!(ended.stdout.contains("1 failed"), "{ended:?}");
}
