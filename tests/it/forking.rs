//! The calls that fork, the marks, and where a function runs by its mark.

use std::path::PathBuf;
use std::process::id;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, ThreadId};

use crate::fixture::{Gate, MINUTE, deadline, fail, fib, own_pid, panic_of, pass, pass_io, square};
use xfork::{ProxyState, ResultProxy, cpu_bound, fork, io_bound, process, thread, wait};

/// XF-01: `fork(f, args) -> ResultProxy` returns at once, never blocks; f runs in background (a worker process).
#[test]
fn fork_returns_at_once_and_a_cpu_bound_function_runs_in_the_background() {
    deadline(MINUTE, || {
        let gate = Gate::new();
        let p = fork(pass, (gate.path(), 7));
        let stopped = gate.next();
        assert_eq!(ResultProxy::state(&p), ProxyState::Pending);
        assert!(!ResultProxy::is_ready(&p) && ResultProxy::try_wait(&p).is_none());
        stopped.let_go();
        assert_eq!(*p, 7);
        assert!(ResultProxy::is_ready(&p));
    });
}

/// XF-01: `fork(f, args) -> ResultProxy` returns at once, never blocks; f runs in background (a thread).
#[test]
fn fork_returns_at_once_and_an_io_bound_function_runs_in_the_background() {
    deadline(MINUTE, || {
        let gate = Gate::new();
        let p = fork(pass_io, (gate.path(), 7));
        let stopped = gate.next();
        assert_eq!(ResultProxy::state(&p), ProxyState::Pending);
        stopped.let_go();
        assert_eq!(*p, 7);
        assert_eq!(ResultProxy::state(&p), ProxyState::Ready);
    });
}

/// XF-01: aliases `submit`, `go`: a rename on import is an alias.
#[test]
fn fork_goes_by_any_name_it_is_imported_by() {
    use xfork::fork as go;
    deadline(MINUTE, || assert_eq!(*go(square, 3), 9));
}

/// XF-02: cpu → worker process (pid differs).
#[test]
fn a_cpu_bound_function_runs_in_another_process() {
    deadline(MINUTE, || assert_ne!(*fork(own_pid, ()), id()));
}

/// XF-02: `@cpu_bound` (default when unmarked).
#[test]
fn an_unmarked_function_and_a_closure_are_cpu_bound() {
    fn unmarked() -> u32 {
        id()
    }
    deadline(MINUTE, || {
        assert_ne!(*fork(unmarked, ()), id());
        assert_ne!(*fork(std::process::id, ()), id());
        assert_ne!(*fork(|| Some(std::process::id()), ()), Some(id()));
    });
}

#[io_bound]
fn tell_where(to: Sender<(u32, ThreadId)>) {
    to.send((id(), thread::current().id())).unwrap();
}

/// XF-02: io → thread of same pid but other thread id. (Whoever *waits* for a task that no thread has started yet may
/// run it in his own thread; nobody waits here.)
#[test]
fn an_io_bound_function_runs_on_another_thread_of_this_process() {
    deadline(MINUTE, || {
        let (sender, receiver) = channel();
        fork(tell_where, sender);
        let (pid, thread) = receiver.recv().unwrap();
        assert_eq!(pid, id());
        assert_ne!(thread, thread::current().id());
    });
}

/// XF-02: the decorator only tags: the function stays callable sequentially.
#[test]
fn a_marked_function_called_plainly_runs_in_place() {
    assert_eq!(own_pid(), id());
    let (sender, receiver) = channel();
    tell_where(sender);
    assert_eq!(receiver.recv().unwrap(), (id(), thread::current().id()));
    assert_eq!((0..8).map(*fib).collect::<Vec<_>>(), [0, 1, 1, 2, 3, 5, 8, 13]);
}

#[xfork::r#unsafe]
fn in_place(text: &str) -> (u32, ThreadId) {
    if !text.is_empty() {
        panic!("{text}")
    }
    (id(), thread::current().id())
}

#[xfork::sequential]
fn in_place_by_another_name() -> ThreadId {
    thread::current().id()
}

/// XF-03: `@unsafe`: fork() calls f synchronously in the caller's thread and hands back its value.
#[test]
fn an_unsafe_function_runs_synchronously_in_the_callers_thread() {
    deadline(MINUTE, || {
        let here = thread::current().id();
        let p = fork(in_place, "");
        assert_eq!(ResultProxy::state(&p), ProxyState::Ready);
        assert_eq!(*p, (id(), here));
        assert_eq!(*fork(in_place_by_another_name, ()), here);
        assert_eq!(*fork(xfork::r#unsafe(|| thread::current().id()), ()), here);
    });
}

/// XF-03: error raises at the call itself.
#[test]
fn an_unsafe_function_panics_at_the_fork_itself() {
    deadline(MINUTE, || assert_eq!(panic_of(|| fork(in_place, "here and now")), "here and now"));
}

/// XF-03, XF-29: a proxy given to an unsafe function is waited for at the call.
#[test]
fn an_unsafe_function_waits_for_its_arguments_in_place() {
    deadline(MINUTE, || {
        let sum = fork(xfork::r#unsafe(|a: u64, b: u64| a + b), (fork(square, 3), fork(square, 4)));
        assert!(ResultProxy::is_ready(&sum));
        assert_eq!(*sum, 25);
        let text = panic_of(|| fork(xfork::r#unsafe(|n: u64| n), fork(fail, "no input")));
        assert_eq!(text, "no input");
    });
}

/// XF-05: `process(f, …)`, `thread(f, …)` override the mark for one call.
#[test]
fn process_and_thread_override_the_mark() {
    deadline(MINUTE, || {
        let gate = Gate::new();
        let on_thread = thread(pass, (gate.path(), 1));
        assert_eq!(gate.next().pid, id());
        let in_process = process(pass_io, (gate.path(), 2));
        let stopped = gate.next();
        assert_ne!(stopped.pid, id());
        stopped.let_go();
        assert_eq!((*on_thread, *in_process), (1, 2));
        // For one call: the mark is as it was.
        assert_ne!(*fork(own_pid, ()), id());
    });
}

/// XF-02, XF-03, XF-05: the marks as functions, for a function that one doesn't own.
#[test]
fn marks_as_functions_say_where_a_foreign_function_runs() {
    deadline(MINUTE, || {
        assert_ne!(*fork(cpu_bound(std::process::id), ()), id());
        assert_eq!(*fork(xfork::r#unsafe(std::process::id), ()), id());
        let gate = Gate::new();
        // A marked function gets another mark.
        let p = fork(io_bound(pass), (gate.path(), 3));
        let stopped = gate.next();
        assert_eq!(stopped.pid, id());
        stopped.let_go();
        assert_eq!(*p, 3);
        // What can't be serialised is no obstacle on a thread.
        let missing = fork(io_bound(std::fs::read_to_string::<PathBuf>), "/nonexistent");
        assert_eq!(missing.as_ref().unwrap_err().kind(), std::io::ErrorKind::NotFound);
    });
}

/// XF-01: `fork!` wraps an ordinary call.
#[test]
fn the_fork_macro_is_the_fork_of_an_ordinary_call() {
    deadline(MINUTE, || {
        let nine = xfork::fork!(square(3));
        let (p, line) = (xfork::fork!(fail("in a macro")), line!());
        assert_eq!(*xfork::fork!(square(nine)), 81);
        assert_ne!(*xfork::fork!(own_pid()), id());
        let error = wait(&p).unwrap_err();
        let (file, forked, _) = error.forked_at()[0];
        assert_eq!((&*error.message(), file, forked), ("in a macro", file!(), line));
    });
}

/// XF-46: lambdas/closures: threads yes, captures allowed; one that does not capture also runs in a process.
#[test]
fn closures_capture_on_threads_and_cross_processes_when_they_do_not_capture() {
    deadline(MINUTE, || {
        let offset = 40;
        assert_eq!(*thread(move |n: u64| n + offset, 2), 42);
        let mut log = Vec::new();
        let once = thread(
            move || {
                log.push("moved in");
                log
            },
            (),
        );
        assert_eq!(*once, ["moved in"]);
        assert_eq!(*process(|n: u64, m: u64| n * m, (6, 7)), 42);
    });
}

mod refused {
    //! A type whose values refuse to travel.

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Clone, Debug)]
    pub(super) struct NotOut;

    impl Serialize for NotOut {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("not out"))
        }
    }

    impl<'de> Deserialize<'de> for NotOut {
        fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Ok(Self)
        }
    }

    #[derive(Clone, Debug, Serialize)]
    pub(super) struct NotIn;

    impl<'de> Deserialize<'de> for NotIn {
        fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Err(serde::de::Error::custom("not in"))
        }
    }
}

/// XF-46: what can't be pickled is reported as an error at force time. (A closure that captures is refused by the
/// compiler; what is left are types whose own Serialize or Deserialize refuses.)
#[test]
fn what_cannot_travel_is_an_error_where_the_result_is_used() {
    use refused::{NotIn, NotOut};
    deadline(MINUTE, || {
        let cases = [
            (ResultProxy::error(&fork(|_: NotOut| (), NotOut)), "arguments", "not out"),
            (ResultProxy::error(&fork(|_: NotIn| (), NotIn)), "arguments", "not in"),
            (ResultProxy::error(&fork(|| NotOut, ())), "result", "not out"),
            (ResultProxy::error(&fork(|| NotIn, ())), "result", "not in"),
        ];
        for (error, what, why) in cases {
            let error = error.unwrap_or_else(|| panic!("the {what}: {why}"));
            assert!(error.is_transport() && !error.is_panic(), "{error}");
            let text = error.to_string();
            assert!(text.contains(what) && text.contains("Not"), "{text}");
            assert!(text.contains("what_cannot_travel"), "{text}");
        }
        // On a thread nothing travels.
        assert!(wait(&thread(|value: NotOut| value, NotOut)).is_ok());
    });
}
