//! A program that is built by the tests of faults: `built <what> <arguments>`.

use std::io::{Read, Write};
use xfork::{Plan, ResultProxy, fork, process, wait};

fn hear(pipe: &str) -> String {
    let mut text = String::new();
    std::fs::File::open(pipe).unwrap().read_to_string(&mut text).unwrap();
    text
}

fn append(path: &str, text: &str) {
    let mut options = std::fs::File::options();
    options.append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn wait_and_leave_a_trace(gate: String, trace: String) {
    assert_eq!(hear(&gate), "go");
    append(&trace, "x");
}

#[xfork::cpu_bound]
fn marked(n: u64) -> u64 {
    n + 1
}

fn generic<T: Into<u64>>(n: u8) -> u64
where
    T: From<u8>,
{
    T::from(n).into()
}

fn double(n: u64) -> u64 {
    n * 2
}

fn panic(n: u64) -> u64 {
    panic!("a panic that aborts {n}")
}

fn functions() {
    let parts = [
        fork(marked, 1),
        fork(double, 1),
        fork(generic::<u16>, 1),
        fork(generic::<u32>, 2),
        fork(|n: u64| n * 1000, 1),
        process(u64::count_ones, 7).map_to_u64(),
    ];
    let sum: u64 = parts.iter().map(|part| **part).sum();
    println!("sum {sum}");
    assert_ne!(*process(std::process::id, ()), std::process::id());
}

trait MapToU64 {
    fn map_to_u64(self) -> ResultProxy<u64>;
}

impl MapToU64 for ResultProxy<u32> {
    fn map_to_u64(self) -> ResultProxy<u64> {
        ResultProxy::map(&self, |&n| u64::from(n) - 1)
    }
}

fn task_panic() {
    let (broken, sibling) = (fork(panic, 7), fork(|n: u64| n * n, 3));
    let error = wait(&broken).unwrap_err();
    println!("panic {}, crash {} {error}", error.is_panic(), error.is_crash());
    println!("place {:?}", error.location());
    println!("sibling {}", *sibling);
    println!("next {}", *fork(double, 21));
}

fn pid_then_abort(pid: bool) -> u32 {
    if pid { std::process::id() } else { std::process::abort() }
}

/// A worker dies; the next takes its place.
fn task_crash() {
    let worker = *process(pid_then_abort, true);
    let error = wait(&process(pid_then_abort, false)).unwrap_err();
    println!("crash {} signal {:?}", error.is_crash(), error.signal());
    assert_ne!(*process(pid_then_abort, true), worker);
    println!("next {}", *fork(double, 21));
}

/// The whole error, on one line.
fn error() {
    let error = wait(&process(double, 1)).map(|value| *value);
    println!("outcome {:?}", error.map_err(|error| (error.is_spawn(), error.to_string())));
    println!("thread {}", *xfork::thread(double, 21));
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    println!("main runs");
    xfork::plan(Plan::processes(2));
    match args[0].as_str() {
        "functions" => functions(),
        "task-panic" => task_panic(),
        "task-crash" => task_crash(),
        "error" => error(),
        "chroot" => {
            let folder = std::ffi::CString::new(args[1].as_str()).unwrap();
            // SAFETY: `folder` is a C string that outlives the call.
            assert_eq!(unsafe { libc::chroot(folder.as_ptr()) }, 0);
            std::env::set_current_dir("/").unwrap();
            error();
        }
        "secure" => {
            // SAFETY: takes a number.
            println!("secure {}", unsafe { libc::getauxval(libc::AT_SECURE) });
            error();
        }
        way => {
            for gate in &args[3..] {
                drop(fork(wait_and_leave_a_trace, (gate, &args[2])));
            }
            std::fs::File::options().write(true).open(&args[1]).unwrap().write_all(b"leaving").unwrap();
            match way {
                "return" => {}
                "panic" => panic!("in main"),
                "exit" => std::process::exit(3),
                _ => panic!("there is nothing called {way}"),
            }
        }
    }
}
