//! Implicit forks: the plain call forks.

use std::path::PathBuf;
use std::process::id;

use crate::fixture::{Gate, MINUTE, deadline, stop_at};
use xfork::{ProxyState, ResultProxy, thread, wait};

#[xfork::cpu_bound_fork]
fn implicit_cpu(gate: &std::path::Path, fails: bool) -> u32 {
    stop_at(gate, 0);
    assert!(!fails, "implicitly");
    id()
}

#[xfork::io_bound_fork]
fn implicit_io(gate: &std::path::Path) -> u32 {
    stop_at(gate, 0);
    id()
}

/// XF-04: `@cpu_bound_fork`, `@io_bound_fork`: calling the function *is* a fork and returns a proxy.
#[test]
fn a_plain_call_of_an_implicitly_marked_function_forks() {
    deadline(MINUTE, || {
        let gate = Gate::new();
        let (cpu, io) = (implicit_cpu(gate.path(), false), implicit_io(gate.path()));
        let stopped = gate.many(2);
        assert_eq!(ResultProxy::state(&cpu), ProxyState::Pending);
        assert_eq!(ResultProxy::state(&io), ProxyState::Pending);
        let mut pids: Vec<_> = stopped.iter().map(|stopped| stopped.pid).collect();
        pids.retain(|pid| *pid != id());
        drop(stopped);
        assert_eq!(pids, [*cpu]);
        assert_eq!(*io, id());
    });
}

/// XF-04: and the way back: the call in place, and proxies as arguments of the plain call.
#[test]
fn an_implicitly_marked_function_is_called_in_place_by_sequential() {
    deadline(MINUTE, || {
        let nowhere = std::path::Path::new("/nonexistent");
        assert_eq!(implicit_cpu::sequential(nowhere, false), id());
        assert_eq!(implicit_io::sequential(nowhere), id());
        let path = thread(|| PathBuf::from("/nonexistent"), ());
        assert_ne!(*implicit_cpu(&path, false), id());
    });
}

/// XF-04: name preserved; the traceback shows the user's call line.
#[test]
fn an_implicit_forks_error_names_the_function_and_the_line_of_the_call() {
    deadline(MINUTE, || {
        let (p, line) = (implicit_cpu("/nonexistent", true), line!());
        let error = wait(&p).unwrap_err();
        assert_eq!(error.message(), "implicitly");
        assert!(error.task().ends_with("implicit::implicit_cpu"), "{error}");
        let (file, forked, _) = error.forked_at()[0];
        assert_eq!((file, forked), (file!(), line));
    });
}
