//! Section E: what the program is: a file that is gone, a library that was loaded, one with more rights, another system.

use crate::built::{host_and_plugin, real_program};
use crate::fixture::{Dir, ends_within, kill, own_process, program_of, quiet, run};
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use xfork::{Plan, process, wait};

/// Row 76: backtrace names after delete: present (warm) or stated missing; message and location always.
#[test]
fn a_panic_is_told_in_full_when_the_programs_file_is_gone() {
    let dir = Dir::new();
    let exe = dir.program("program", &std::env::current_exe().unwrap());
    let mut command = quiet(program_of(exe.as_ref(), "panics_without_its_file"));
    command.env("EXE", &exe).env("RUST_BACKTRACE", "1");
    let ended = run("panics_without_its_file", command);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    for part in ["message: formatted 2", "location: true", "another worker: true"] {
        assert!(ended.stdout.contains(part), "{part}: {ended:?}");
    }
    let is_stated = ["no backtrace", "<unknown>"].iter().any(|text| ended.stdout.contains(text));
    assert!(ended.stdout.contains("panic_in_some_way") || is_stated, "{ended:?}");
}

pub(crate) fn panics_without_its_file() {
    xfork::plan(Plan::processes(1));
    let worker = *process(own_process, ());
    fs::remove_file(std::env::var("EXE").unwrap()).unwrap();
    kill(worker, libc::SIGKILL);
    assert!(ends_within(worker, Duration::from_secs(5)));
    let error = wait(&process(crate::a_task::panic_in_some_way, 2)).map(|_| ()).unwrap_err();
    println!("another worker: {}", error.pid() != Some(worker));
    println!("message: {}", error.message());
    println!("location: {}", error.location().is_some_and(|(file, ..)| file.ends_with("a_task.rs")));
    println!("{}", error.backtrace().unwrap_or_else(|| "no backtrace".into()));
}

/// Row 81: cdylib/plugin loaded by dlopen: refused with error, documented. (Threads and deferred values work.)
#[test]
fn a_library_that_was_loaded_has_no_workers_and_says_so() {
    let (host, plugin) = host_and_plugin();
    let mut command = quiet(Command::new(host));
    command.arg(plugin);
    let ended = run("host", command);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(ended.stdout.contains("outcome Err((true,"), "{ended:?}");
    for part in ["shared library", "Plan::threads()", "thread 42", "sum 3", "host goes on"] {
        assert!(ended.stdout.contains(part), "{part}: {ended:?}");
    }
}

/// Row 84: set-uid/capability binary (AT_SECURE): worker marker from the environment ignored; it has no workers, as they would
/// have to ignore it too.
#[test]
fn a_program_with_more_rights_than_its_user_is_nobodys_worker() {
    // SAFETY: takes nothing.
    if unsafe { libc::geteuid() } != 0 {
        eprintln!("not tested: only root can make a program that runs as somebody else");
        return;
    }
    let dir = Dir::new();
    let exe = dir.program("program", real_program().as_ref());
    std::os::unix::fs::chown(&exe, Some(65534), Some(65534)).unwrap();
    fs::set_permissions(&exe, fs::Permissions::from_mode(0o4755)).unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    for marker in [false, true] {
        let mut command = quiet(Command::new(&exe));
        command.arg("secure");
        if marker {
            // In all that a worker looks at this is one.
            let theirs = theirs.as_raw_fd();
            command.env("XFORK_WORKER", "300");
            // SAFETY: only `dup2` is called between fork and exec.
            unsafe {
                command.pre_exec(move || {
                    libc::dup2(theirs, 300);
                    Ok(())
                });
            }
        }
        let ended = run("secure", command);
        if ended.stdout.contains("secure 0") {
            eprintln!("not tested: this file system does not let programs run as somebody else");
            return;
        }
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        assert_eq!(ended.stdout.matches("main runs").count(), 1, "no worker runs main: {ended:?}");
        assert!(ended.stdout.contains("secure 1") && ended.stdout.contains("thread 42"), "{ended:?}");
        assert!(ended.stdout.contains("outcome Err((true,"), "{ended:?}");
        assert!(ended.stdout.contains("more rights than its user"), "{ended:?}");
    }
    // Nobody has said hello.
    ours.set_nonblocking(true).unwrap();
    assert!(std::io::Read::read(&mut &ours, &mut [0; 8]).is_err());
}

/// Row 90: under wasm/Windows/macOS: clear compile error. (Under Miri: the unit tests that Miri runs.)
#[test]
fn other_systems_are_refused_in_one_sentence() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sentence = "xfork needs Linux";
    let source = fs::read_to_string(root.join("src/lib.rs")).unwrap();
    assert!(source.contains(&format!("#[cfg(not(target_os = \"linux\"))]\ncompile_error!(\"{sentence}")));
    // Where the library of another system is installed: what its compiler says. Without the dependencies, which come later.
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).current_dir(root).output().unwrap();
    let libraries = Path::new(String::from_utf8(sysroot.stdout).unwrap().trim()).join("lib/rustlib");
    let dir = Dir::new();
    for target in
        ["aarch64-apple-darwin", "x86_64-apple-darwin", "x86_64-pc-windows-gnu", "wasm32-unknown-unknown"]
    {
        if !libraries.join(target).join("lib").exists() {
            continue;
        }
        let mut command = Command::new("rustc");
        command.args(["--edition", "2024", "--crate-type", "lib", "--emit", "metadata", "--target", target]);
        command.arg("--out-dir").arg(dir.path("")).arg(root.join("src/lib.rs"));
        let ended = run(target, command);
        assert_eq!(ended.code(), Some(1), "{target}");
        let first = ended.stderr.lines().find(|line| line.starts_with("error")).unwrap();
        assert!(first.contains(sentence), "{target}: {first}");
    }
}
