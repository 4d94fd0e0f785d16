//! What one can say about a task before it is forked.

use crate::fixture::{Folder, MINUTE, deadline, fail, square};
use xfork::{ResultProxy, cpu_bound, fork, ready, task, thread, wait};

#[cpu_bound(name = "the renamed one")]
fn renamed() {
    panic!("no");
}

/// XF-50: the name of a task is its function's path, what its mark says, or what the task is told: it is in its errors.
#[test]
fn a_task_is_called_by_its_name_in_errors() {
    deadline(MINUTE, || {
        let function = wait(&fork(fail, "x")).unwrap_err();
        assert_eq!(function.task(), "it::fixture::fail");
        let mark = wait(&fork(renamed, ())).unwrap_err();
        assert_eq!(mark.task(), "the renamed one");
        let told = wait(&task(fail, "x").name("page 7").fork()).unwrap_err();
        assert_eq!(told.task(), "page 7");
        assert!(told.to_string().starts_with("task `page 7` (worker "), "{told}");
        let computed = wait(&task(fail, "x").name(format!("page {}", 8)).fork()).unwrap_err();
        assert_eq!(computed.task(), "page 8");
        let closure = wait(&thread(|| -> u8 { panic!("x") }, ())).unwrap_err();
        assert!(closure.task().contains("a_task_is_called_by_its_name"), "{closure}");
    });
}

/// XF-31: the names of those not run are in the error, with that of the one that failed.
#[test]
fn the_error_of_a_dependent_names_both() {
    deadline(MINUTE, || {
        let origin = task(fail, "x").name("the origin").fork();
        let middle = task(square, &origin).name("the middle").fork();
        let last = task(square, &middle).name("the last").fork();
        let error = wait(&last).unwrap_err();
        assert_eq!(error.task(), "the origin");
        let text = error.to_string();
        assert!(text.starts_with("`the last` was not run") && text.contains("`the origin`"), "{text}");
    });
}

/// XF-01: a task that is not forked does nothing.
#[test]
fn a_task_that_is_not_forked_does_nothing() {
    deadline(MINUTE, || {
        let folder = Folder::new();
        let write = task(|path: std::path::PathBuf| std::fs::write(path, "").unwrap(), folder.file("file"));
        assert!(format!("{write:?}").contains("metadata.rs"), "{write:?}");
        drop(write);
        assert_eq!(folder.count(), 0);
    });
}

/// XF-42: `.after` keeps program order where one wants it: each of fifty writes follows the one before.
#[test]
fn after_gives_an_order() {
    #[cpu_bound]
    fn append(path: &std::path::Path, n: u32) {
        use std::io::Write;
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(file, "{n}").unwrap();
    }
    deadline(MINUTE, || {
        let folder = Folder::new();
        let mut last = ready(());
        for n in 0..50 {
            last = task(append, (folder.file("log"), n)).after(&last).fork();
        }
        wait(&last).unwrap();
        let lines: Vec<u32> = std::fs::read_to_string(folder.file("log"))
            .unwrap()
            .lines()
            .map(|line| line.parse().unwrap())
            .collect();
        assert_eq!(lines, (0..50).collect::<Vec<_>>());
    });
}

/// XF-31: `.after` of an expression waits for it, and fails with it.
#[test]
fn after_an_expression() {
    deadline(MINUTE, || {
        let sum = fork(square, 3) + 1;
        assert_eq!(*task(square, 2).after(&sum).fork(), 4);
        assert!(ResultProxy::is_ready(&sum));
        let failing = ResultProxy::map(&sum, |_| -> u8 { panic!("in the expression") });
        let error = wait(&task(square, 2).after(&failing).fork()).unwrap_err();
        assert!(error.is_dependency());
        assert_eq!(error.message(), "in the expression");
    });
}
