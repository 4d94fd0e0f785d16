//! Section B: arguments and results.

use crate::fixture::{
    Dir, alone, double, ended, ends_within, hang, hear, hear_pid, is_asleep, kill, leave_a_trace, pool,
    pool_of, stop, tell, the_next_task_succeeds, traces, within,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::time::Duration;
use xfork::{Plan, ResultProxy, TaskError, process};

const LONG: Duration = Duration::from_secs(10);

/// What goes wrong in a (de)serialisation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Fault {
    None,
    Error,
    Panic,
    Exit,
    Crash,
}

impl Fault {
    fn strike<E>(self, error: impl FnOnce(&'static str) -> E) -> Result<(), E> {
        match self {
            Fault::None => Ok(()),
            Fault::Error => Err(error("it does not want to")),
            Fault::Panic => panic!("a panic on the way"),
            // SAFETY: takes a number.
            Fault::Exit => unsafe { libc::_exit(9) },
            Fault::Crash => {
                // SAFETY: takes a number.
                unsafe { libc::raise(libc::SIGSEGV) };
                unreachable!("the signal is not handled")
            }
        }
    }
}

/// A value whose way into bytes or back goes wrong.
#[derive(Clone, Debug, PartialEq)]
struct Fragile {
    out: Fault,
    back: Fault,
}

impl Serialize for Fragile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.out.strike(serde::ser::Error::custom)?;
        self.back.serialize(serializer)
    }
}

impl<'a> Deserialize<'a> for Fragile {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        let back = Fault::deserialize(deserializer)?;
        back.strike(serde::de::Error::custom)?;
        Ok(Self { out: Fault::None, back })
    }
}

fn take(_: Fragile, trace: String) -> u64 {
    leave_a_trace(trace);
    1
}

fn give(out: Fault, back: Fault) -> Fragile {
    Fragile { out, back }
}

/// The error of a task that takes or gives such a value, while a sibling goes on.
fn failure<T: Clone + Send + std::fmt::Debug + 'static>(proxy: ResultProxy<T>) -> TaskError {
    let sibling = process(double, 4);
    let error = ended(proxy).unwrap_err();
    assert_eq!(sibling, 8);
    error
}

/// Row 26: Serialize of args returns Err: Encode error with function and arg type; nothing sent.
#[test]
fn arguments_that_refuse_to_be_serialised_are_an_error_and_nothing_is_sent() {
    alone(|| {
        let dir = Dir::new();
        let trace = dir.path("trace");
        pool(2, || {
            let error =
                failure(process(take, (Fragile { out: Fault::Error, back: Fault::None }, trace.clone())));
            assert!(error.is_transport(), "{error}");
            let text = error.to_string();
            assert!(
                text.contains("take") && text.contains("Fragile") && text.contains("could not be serialised"),
                "{text}"
            );
        });
        assert_eq!(traces(&trace), 0);
    });
}

/// Row 27: Serialize of args panics: panic in the caller/evaluator, queue intact.
#[test]
fn arguments_that_panic_while_serialised_are_a_panic_of_the_task() {
    alone(|| {
        let dir = Dir::new();
        let trace = dir.path("trace");
        pool(1, || {
            // In the caller, where a worker is free, and in the driver, where the queue is served.
            the_next_task_succeeds();
            for _ in 0..3 {
                let pipe = dir.pipe("running");
                let busy = process(hang, pipe.clone());
                let pid = hear_pid(&pipe);
                let queued = process(take, (Fragile { out: Fault::Panic, back: Fault::None }, trace.clone()));
                let behind = process(double, 5);
                kill(pid, libc::SIGKILL);
                assert!(ended(busy).unwrap_err().is_crash());
                let error = failure(queued);
                assert!(error.is_panic(), "{error}");
                assert_eq!(error.message(), "a panic on the way");
                assert_eq!(behind, 10);
                let direct =
                    failure(process(take, (Fragile { out: Fault::Panic, back: Fault::None }, trace.clone())));
                assert!(direct.is_panic(), "{direct}");
                std::fs::remove_file(pipe).unwrap();
            }
        });
        assert_eq!(traces(&trace), 0);
    });
}

/// Row 28: Deserialize of args Err/panic in worker: Decode error/panic for that task; worker kept or replaced.
#[test]
fn arguments_that_do_not_come_back_are_an_error_of_that_task() {
    alone(|| {
        let dir = Dir::new();
        let trace = dir.path("trace");
        pool(2, || {
            let error =
                failure(process(take, (Fragile { out: Fault::None, back: Fault::Error }, trace.clone())));
            assert!(error.is_transport(), "{error}");
            assert!(error.to_string().contains("take") && error.to_string().contains("Fragile"), "{error}");
            let error =
                failure(process(take, (Fragile { out: Fault::None, back: Fault::Panic }, trace.clone())));
            assert!(error.is_panic() && error.message() == "a panic on the way", "{error}");
        });
        assert_eq!(traces(&trace), 0);
    });
}

/// Row 29: Deserialize exits or segfaults: WorkerDied.
#[test]
fn arguments_that_kill_the_worker_are_a_crash() {
    alone(|| {
        let dir = Dir::new();
        let trace = dir.path("trace");
        pool(2, || {
            let error =
                failure(process(take, (Fragile { out: Fault::None, back: Fault::Exit }, trace.clone())));
            assert!(error.is_crash() && error.exit_code() == Some(9), "{error}");
            let error =
                failure(process(take, (Fragile { out: Fault::None, back: Fault::Crash }, trace.clone())));
            assert!(error.is_crash() && error.signal() == Some(libc::SIGSEGV), "{error}");
        });
        assert_eq!(traces(&trace), 0);
    });
}

/// Row 30: Serialize of result Err/panic/exit/segfault: Encode error / panic / WorkerDied.
#[test]
fn a_result_that_is_not_serialised_is_an_error_of_its_kind() {
    alone(|| {
        pool(2, || {
            let error = failure(process(give, (Fault::Error, Fault::None)));
            assert!(error.is_transport(), "{error}");
            assert!(error.to_string().contains("result") && error.to_string().contains("Fragile"), "{error}");
            let error = failure(process(give, (Fault::Panic, Fault::None)));
            assert!(error.is_panic() && error.message() == "a panic on the way", "{error}");
            let error = failure(process(give, (Fault::Exit, Fault::None)));
            assert!(error.is_crash() && error.exit_code() == Some(9), "{error}");
            let error = failure(process(give, (Fault::Crash, Fault::None)));
            assert!(error.is_crash() && error.signal() == Some(libc::SIGSEGV), "{error}");
        });
    });
}

/// Row 31: Deserialize of result Err/panic in the parent: error in the consumer only; reader thread lives.
#[test]
fn a_result_that_does_not_come_back_is_an_error_of_its_reader() {
    alone(|| {
        pool(2, || {
            let error = failure(process(give, (Fault::None, Fault::Error)));
            assert!(error.is_transport(), "{error}");
            let broken = process(give, (Fault::None, Fault::Panic));
            let error = failure(broken.clone());
            assert!(error.is_panic() && error.message() == "a panic on the way", "{error}");
            // Again, and through the other proxy.
            assert_eq!(ResultProxy::error(&broken).unwrap().message(), "a panic on the way");
            assert_eq!(ResultProxy::state(&broken), xfork::ProxyState::Failed);
        });
    });
}

/// What a value does when it is dropped in another process than `home`.
#[derive(Clone, Serialize, Deserialize)]
struct Bomb {
    home: u32,
    fault: Fault,
}

impl Drop for Bomb {
    fn drop(&mut self) {
        if std::process::id() != self.home {
            let _ = self.fault.strike(drop);
        }
    }
}

/// Row 32: Drop of args panics or exits in the worker after the result was sent: result delivered; next task goes to a
/// fresh worker, not failed.
#[test]
fn what_a_destructor_does_after_the_result_was_sent_concerns_nobody() {
    fn make(home: u32, fault: Fault) -> Bomb {
        Bomb { home, fault }
    }
    fn take(_: Bomb) -> u64 {
        1
    }
    alone(|| {
        let home = std::process::id();
        pool(1, || {
            for fault in [Fault::None, Fault::Panic, Fault::Exit, Fault::Crash] {
                for _ in 0..10 {
                    let (made, next) = (process(make, (home, fault)), process(double, 4));
                    assert_eq!(ResultProxy::wait(&made).expect("the result was sent").fault, fault);
                    assert_eq!(ended(next).expect("it had not started"), 8);
                }
            }
            // Arguments are dropped by the function itself, before it has a result.
            let dropped_in_the_function = |fault| failure(process(take, Bomb { home, fault }));
            assert!(dropped_in_the_function(Fault::Panic).is_panic());
            assert!(dropped_in_the_function(Fault::Exit).is_crash());
        });
    });
}

/// Row 33: 0-byte, 64 KiB+-1, 1 MiB, 1 GiB args and results; both directions at once: equal bytes, no deadlock.
#[test]
fn data_of_any_size_comes_back_the_same() {
    fn echo(data: Vec<u8>) -> Vec<u8> {
        data
    }
    alone(|| {
        pool(2, || {
            let sizes = [0, 1, 65_535, 65_536, 65_537, 1 << 20, 64 << 20];
            let data = |size: usize| (0..size).map(|byte| ((byte * 31) >> 3) as u8).collect::<Vec<_>>();
            let echoes: Vec<_> = sizes.iter().map(|&size| process(echo, data(size))).collect();
            for (size, echoed) in sizes.into_iter().zip(echoes) {
                assert!(ended(echoed).unwrap() == data(size), "{size} bytes");
            }
        });
    });
}

/// Row 34: larger than limit: TooLarge before sending (args) or without killing the pool (result).
#[test]
fn what_is_too_large_is_an_error_that_names_the_limit() {
    fn measure(data: Vec<u8>, trace: String) -> usize {
        leave_a_trace(trace);
        data.len()
    }
    fn fill(size: usize) -> Vec<u8> {
        vec![1; size]
    }
    fn own_process(_: u64) -> u32 {
        std::process::id()
    }
    alone(|| {
        let dir = Dir::new();
        let trace = dir.path("trace");
        pool_of(Plan::processes(1).max_message(1 << 20), || {
            let worker = ended(process(own_process, 0)).unwrap();
            let error = failure(process(measure, (vec![0; 2 << 20], trace.clone())));
            assert!(error.is_transport() && error.to_string().contains("1048576"), "{error}");
            assert_eq!(traces(&trace), 0, "nothing is sent");
            for size in [(1 << 20) + 1, 2 << 20, 32 << 20] {
                let error = failure(process(fill, size));
                assert!(error.is_transport() && error.to_string().contains("1048576"), "{error}");
            }
            assert_eq!(ended(process(fill, 1 << 19)).unwrap().len(), 1 << 19);
            assert_eq!(ended(process(own_process, 0)).unwrap(), worker, "the worker is kept");
        });
    });
}

/// A value whose destructor, in the process `home`, says that it runs, and waits for a word.
#[derive(Clone, Serialize, Deserialize)]
struct Held {
    home: u32,
    runs: String,
    held: String,
}

impl Drop for Held {
    fn drop(&mut self) {
        if std::process::id() == self.home {
            tell(&self.runs, "it runs");
            hear(&self.held);
        }
    }
}

/// Row 35: worker crash in the middle of a large frame, either direction: error for that task only (gh-94777).
#[test]
fn a_death_in_the_middle_of_a_large_message_concerns_that_task_only() {
    fn fill(_: Held, running: String, wanted: String, trace: String) -> Vec<u8> {
        tell(&running, &std::process::id().to_string());
        hear(&wanted);
        leave_a_trace(trace);
        vec![7; 64 << 20]
    }
    fn measure(data: Vec<u8>, trace: String) -> usize {
        leave_a_trace(trace);
        data.len()
    }
    fn own_process(_: u64) -> u32 {
        std::process::id()
    }
    alone(|| {
        let dir = Dir::new();
        let [runs, held, running, wanted] = ["runs", "held", "running", "wanted"].map(|name| dir.pipe(name));
        let (trace, filling) = (dir.path("trace"), dir.path("filling"));
        pool(1, || {
            // To the worker: it does not read, so most of the message is still here when it dies. It had not started.
            let worker = ended(process(own_process, 0)).unwrap();
            stop(worker);
            let measured = process(measure, (vec![1; 64 << 20], trace.clone()));
            kill(worker, libc::SIGKILL);
            assert_eq!(ended(measured).unwrap(), 64 << 20);
            assert_eq!(traces(&trace), 1);

            // From the worker: the driver, whom nobody helps, reads nothing while the argument's destructor waits.
            let held_back = Held { home: std::process::id(), runs: runs.clone(), held: held.clone() };
            let filled = process(fill, (held_back, running.clone(), wanted.clone(), filling.clone()));
            let pid = hear_pid(&running);
            hear(&runs);
            tell(&wanted, "your result");
            assert!(within(LONG, || traces(&filling) == 1 && is_asleep(pid)));
            kill(pid, libc::SIGKILL);
            assert!(ends_within(pid, LONG));
            tell(&held, "go on");
            let error = ended(filled).unwrap_err();
            assert!(error.is_crash() && error.signal() == Some(libc::SIGKILL), "{error}");
            the_next_task_succeeds();
        });
    });
}
