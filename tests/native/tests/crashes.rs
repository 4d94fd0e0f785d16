//! Tasks that crash in C: faults.md, rows 9 and 10.

use std::time::Duration;
use xfork::{Plan, ResultProxy, TaskError, fork, process, wait_timeout, with_plan};
use xfork_native_tests::{calls_nothing, crashes_in_a_thread, recurses, writes_to};

/// How a task ended that must not have ended well, on a pool that works afterwards.
fn failure(start: impl FnOnce() -> ResultProxy<i32>) -> TaskError {
    with_plan(Plan::processes(1), || {
        let error = wait_timeout(&start(), Duration::from_secs(60)).copied().unwrap_err();
        assert_eq!(*fork(|n: u32| n * 2, 21), 42);
        error
    })
}

fn crash(error: TaskError, functions: [&str; 2], hint: &str) {
    assert!(error.is_crash() && error.signal() == Some(11), "{error}");
    assert!(error.to_string().contains(hint), "{error}");
    let backtrace = error.backtrace().unwrap_or_else(|| panic!("{error} without a stack"));
    let mut names = backtrace.lines().filter_map(|line| line.trim().split_once(": ")).map(|(_, name)| name);
    let first = names.next();
    assert_eq!(first, Some(functions[0]), "{backtrace}");
    assert!(names.any(|name| name.ends_with(functions[1])), "{backtrace}");
}

#[test]
fn a_crash_in_c_names_the_c_function_and_its_line() {
    let error = failure(|| process(writes_to, 8));
    assert!(error.backtrace().unwrap().contains("native.c:7"), "{}", error.backtrace().unwrap());
    crash(error, ["native_writes_to", "writes_to"], ", an invalid memory access at address 0x8;");
}

#[test]
fn a_stack_overflow_in_c_names_the_c_function() {
    crash(
        failure(|| process(recurses, 0)),
        ["native_recurses", "native_recurses"],
        ", a stack overflow in `native_recurses`;",
    );
}

#[test]
fn a_crash_in_a_thread_of_c_names_the_c_function() {
    let error = failure(|| process(crashes_in_a_thread, 8));
    crash(error, ["native_writes_to", "native_thread"], ", an invalid memory access at address 0x8;");
}

/// From where the program went nothing can be unwound; who sent it there is on the stack.
#[test]
fn a_call_of_nothing_names_the_caller() {
    let error = failure(|| process(calls_nothing, 1));
    assert!(error.to_string().contains(", an invalid memory access at address 0x0;"), "{error}");
    let backtrace = error.backtrace().unwrap();
    assert!(backtrace.contains("0: native_calls_nothing"), "{backtrace}");
}
