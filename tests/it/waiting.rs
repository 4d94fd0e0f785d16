//! Waiting for one result, with and without a limit.

use std::time::Duration;

use crate::fixture::{Gate, MINUTE, deadline, fail, fib, pass, pass_io, square};
use xfork::{ProxyState, ResultProxy, fork, lazy, ready, thread, wait, wait_timeout};

const SHORT: Duration = Duration::from_millis(5);

/// XF-09: `await(p)` = `evaluate`: value or raise.
#[test]
fn wait_gives_the_value_or_the_error() {
    deadline(MINUTE, || {
        assert_eq!(wait(&fork(square, 3)).unwrap(), &9);
        let error = wait(&fork(fail, "no value")).unwrap_err();
        assert!(error.is_panic() && !error.is_timeout());
        assert_eq!(error.message(), "no value");
        assert_eq!(ResultProxy::into_result(fork(square, 4)).unwrap(), 16);
        assert_eq!(ResultProxy::into_result(fork(fail, "again")).unwrap_err().message(), "again");
    });
}

/// XF-09: on timeout raise a timeout error and the task keeps running; the error isn't wrapped in another.
#[test]
fn a_timeout_is_an_error_of_its_own_and_leaves_the_task_running() {
    deadline(MINUTE, || {
        let forks: [fn(&Gate) -> ResultProxy<u32>; 2] =
            [|gate| fork(pass, (gate.path(), 7)), |gate| fork(pass_io, (gate.path(), 7))];
        for fork in forks {
            let gate = Gate::new();
            let p = fork(&gate);
            let stopped = gate.next();
            for limit in [Duration::ZERO, SHORT] {
                let error = wait_timeout(&p, limit).unwrap_err();
                assert!(error.is_timeout() && !error.is_panic() && !error.is_dependency(), "{error}");
                assert!(error.to_string().contains("pass"), "{error}");
                assert_eq!(ResultProxy::state(&p), ProxyState::Pending);
            }
            stopped.let_go();
            assert_eq!(wait_timeout(&p, MINUTE).unwrap(), &7);
            assert_eq!(wait_timeout(&p, Duration::ZERO).unwrap(), &7);
            assert_eq!(*p, 7);
        }
    });
}

/// XF-09, XF-27: a timed-out operator proxy does not keep the timeout: it can be waited for again.
#[test]
fn a_timeout_is_not_cached_by_an_expression() {
    deadline(MINUTE, || {
        let gate = Gate::new();
        let p = fork(pass, (gate.path(), 7));
        let stopped = gate.next();
        let sum = &p + 1;
        let length = ResultProxy::map(&sum, |n| n.to_string().len());
        assert!(wait_timeout(&sum, SHORT).unwrap_err().is_timeout());
        assert!(wait_timeout(&length, SHORT).unwrap_err().is_timeout());
        assert_eq!(ResultProxy::state(&length), ProxyState::Deferred);
        stopped.let_go();
        assert_eq!(length, 1);
        assert_eq!(sum, 8);
    });
}

/// XF-09: a limit that can't be represented is no limit.
#[test]
fn the_longest_limit_is_no_limit() {
    deadline(MINUTE, || {
        assert_eq!(wait_timeout(&fork(square, 3), Duration::MAX).unwrap(), &9);
        assert!(wait_timeout(&fork(fail, "x"), Duration::MAX).unwrap_err().is_panic());
    });
}

/// XF-09: `try_wait`, `is_ready` and `state` never wait, and tell the same.
#[test]
fn state_tells_what_is_known_without_waiting() {
    deadline(MINUTE, || {
        let gate = Gate::new();
        let pending = fork(pass_io, (gate.path(), 1));
        let stopped = gate.next();
        let failed = fork(fail, "failed");
        wait(&failed).unwrap_err();
        let states =
            [ResultProxy::state(&pending), ResultProxy::state(&ready(1)), ResultProxy::state(&failed)];
        assert_eq!(states, [ProxyState::Pending, ProxyState::Ready, ProxyState::Failed]);
        assert_eq!(ResultProxy::state(&lazy(|| 1)), ProxyState::Deferred);
        assert!(ResultProxy::try_wait(&pending).is_none());
        assert_eq!(ResultProxy::try_wait(&ready(1)).unwrap().unwrap(), &1);
        assert!(ResultProxy::try_wait(&failed).unwrap().unwrap_err().is_panic());
        assert!(ResultProxy::is_ready(&failed));
        stopped.let_go();
    });
}

/// XF-09: many threads wait for one result, and all get it.
#[test]
fn sixteen_threads_wait_for_one_result() {
    deadline(MINUTE, || {
        let gate = Gate::new();
        let p = fork(pass, (gate.path(), 7));
        let stopped = gate.next();
        let begin = std::sync::Barrier::new(17);
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    begin.wait();
                    assert_eq!(*p, 7);
                });
            }
            begin.wait();
            stopped.let_go();
        });
    });
}

/// XF-21: the value itself can be had: moved out of the last proxy, cloned while there are others.
#[test]
fn the_last_proxy_gives_the_value_itself() {
    deadline(MINUTE, || {
        struct Unique(u32);
        let p = thread(|| Unique(7), ());
        let q = p.clone();
        let Err(p) = ResultProxy::try_into_inner(p) else { panic!("there is another proxy") };
        drop(q);
        let Ok(unique) = ResultProxy::try_into_inner(p) else { panic!("there is no other proxy") };
        assert_eq!(unique.0, 7);
        let p = fork(fib, 10);
        let q = p.clone();
        assert_eq!(ResultProxy::into_inner(p), 55);
        assert_eq!(ResultProxy::into_inner(q), 55);
    });
}

/// XF-09: a callback gets the outcome, value or error, once it is there.
#[test]
fn on_ready_calls_with_the_outcome() {
    deadline(MINUTE, || {
        let (sender, receiver) = std::sync::mpsc::channel();
        let gate = Gate::new();
        let p = fork(pass, (gate.path(), 7));
        let stopped = gate.next();
        for _ in 0..3 {
            let sender = sender.clone();
            ResultProxy::on_ready(&p, move |outcome| {
                sender.send(outcome.copied().map_err(|e| e.to_string())).unwrap()
            });
        }
        assert!(receiver.try_recv().is_err());
        stopped.let_go();
        for _ in 0..3 {
            assert_eq!(receiver.recv().unwrap(), Ok(7));
        }
        let of_failed = sender.clone();
        ResultProxy::on_ready(&fork(fail, "told"), move |outcome| {
            of_failed.send(outcome.map(|_| 0).map_err(|error| error.message().into_owned())).unwrap();
        });
        assert_eq!(receiver.recv().unwrap(), Err("told".to_string()));
    });
}

/// XF-22: `map`, `and_then` and `unzip` give proxies, and nothing blocks.
#[test]
fn map_and_then_and_unzip_give_proxies_of_what_comes_later() {
    deadline(MINUTE, || {
        let gate = Gate::new();
        let p = fork(pass, (gate.path(), 12));
        let stopped = gate.next();
        let text = ResultProxy::map(&p, |n| format!("{n}!"));
        let next = ResultProxy::and_then(&p, |n| fork(square, u64::from(*n)));
        let (half, double) = ResultProxy::unzip(ResultProxy::map(&p, |n| (n / 2, n * 2)));
        assert!(
            !ResultProxy::is_ready(&text) && !ResultProxy::is_ready(&next) && !ResultProxy::is_ready(&half)
        );
        stopped.let_go();
        assert_eq!(text, "12!");
        assert_eq!(next, 144);
        assert_eq!((*half, *double), (6, 24));
    });
}

/// XF-52: a failure passes through `map`, `and_then` and `unzip` as it is.
#[test]
fn map_and_then_and_unzip_pass_a_failure_on() {
    deadline(MINUTE, || {
        let p = fork(fail, "origin");
        let (left, right) = ResultProxy::unzip(ResultProxy::map(&p, |n| (*n, *n)));
        let followed = ResultProxy::and_then(&p, |n| fork(square, *n));
        let inside = ResultProxy::and_then(&ready(1), |_| fork(fail, "origin"));
        for proxy in [left, right, followed, inside] {
            let error = wait(&proxy).unwrap_err();
            assert_eq!(error.message(), "origin");
            assert!(error.task().ends_with("::fail"), "{error}");
        }
    });
}
