//! Waiting for several: all, any, and in the order of completion.

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use crate::fixture::{Gate, MINUTE, deadline, fail, fail_io, pass, pass_io, square};
use xfork::{
    Plan, ResultProxy, as_completed, cpu_bound, fork, lazy, map, ready, wait, wait_all, wait_all_timeout,
    wait_any, wait_any_timeout, with_plan,
};

const SHORT: Duration = Duration::from_millis(5);

/// Three tasks on threads that have stopped at a gate, whatever the number of workers.
fn three(gate: &Gate) -> (Vec<ResultProxy<u32>>, Vec<crate::fixture::Stopped>) {
    let proxies = (0..3).map(|label| fork(pass_io, (gate.path(), label))).collect();
    let mut stopped = gate.many(3);
    stopped.sort_by_key(|stopped| stopped.label);
    (proxies, stopped)
}

/// XF-10: `await_all(ps)`: all values in input order.
#[test]
fn wait_all_gives_all_values_in_order() {
    deadline(MINUTE, || {
        let gate = Gate::new();
        let (proxies, stopped) = three(&gate);
        // They finish in another order.
        for stopped in stopped.into_iter().rev() {
            stopped.let_go();
        }
        assert_eq!(wait_all(&proxies).unwrap(), [&0, &1, &2]);
        assert!(wait_all::<u32>(&[]).unwrap().is_empty());
    });
}

/// XF-10: or the first failing one (input order) raised.
#[test]
fn wait_all_gives_the_first_error_in_the_order_given() {
    deadline(MINUTE, || {
        let (left, right) = (fork(fail, "first in order"), fork(fail_io, "first in time"));
        wait(&right).unwrap_err();
        let error = wait_all(&[ready(1), left, ready(2), right]).unwrap_err();
        assert_eq!(error.message(), "first in order");
    });
}

#[cpu_bound]
fn next(number: u32) -> u32 {
    number + 1
}

/// XF-10: who waits for all is not woken for each, and each is heard of all the same, though its worker goes on for long.
#[test]
fn a_result_that_wait_all_does_not_go_on_with_comes_while_its_worker_runs_on() {
    deadline(MINUTE, || {
        with_plan(Plan::processes(1), || {
            let gate = Gate::new();
            let mut proxies = map(next, 0..100);
            let (told, heard) = channel();
            ResultProxy::on_ready(&proxies[99], move |value| told.send(*value.unwrap()).unwrap());
            proxies.push(fork(pass, (gate.path(), 7)));
            std::thread::scope(|scope| {
                let gate = &gate;
                let opener = scope.spawn(move || {
                    assert_eq!(heard.recv(), Ok(100));
                    gate.next().let_go();
                });
                assert_eq!(wait_all(&proxies).unwrap()[100], &7);
                opener.join().unwrap();
            });
        });
    });
}

/// XF-10: ⚠ timeout was ignored: the limit holds for all together.
#[test]
fn wait_all_timeout_holds_for_all_together() {
    deadline(MINUTE, || {
        let gate = Gate::new();
        let (proxies, stopped) = three(&gate);
        let start = Instant::now();
        let error = wait_all_timeout(&proxies, SHORT).unwrap_err();
        assert!(error.is_timeout(), "{error}");
        assert!(start.elapsed() >= SHORT);
        drop(stopped);
        assert_eq!(wait_all_timeout(&proxies, MINUTE).unwrap(), [&0, &1, &2]);
    });
}

/// XF-11: `await_any(ps)` tells which has completed once at least one has; ⚠ it always gave `[]`.
#[test]
fn wait_any_tells_which_has_completed() {
    deadline(MINUTE, || {
        let gate = Gate::new();
        let (proxies, mut stopped) = three(&gate);
        assert_eq!(wait_any_timeout(&proxies, SHORT), None);
        stopped.remove(1).let_go();
        assert_eq!(wait_any(&proxies), Some(1));
        assert_eq!(wait_any(&proxies), Some(1));
        assert_eq!(*proxies[1], 1);
        assert!(!ResultProxy::is_ready(&proxies[0]) && !ResultProxy::is_ready(&proxies[2]));
        assert_eq!(wait_any::<u32>(&[]), None);
    });
}

/// XF-11: a task that failed has completed too.
#[test]
fn wait_any_counts_a_failure_as_completion() {
    deadline(MINUTE, || {
        let gate = Gate::new();
        let never = fork(pass, (gate.path(), 0));
        let _stopped = gate.next();
        let failed = ResultProxy::map(&fork(fail_io, "done"), |_| 0);
        assert_eq!(wait_any(&[never, failed]), Some(1));
    });
}

/// XF-12: await_all/any over *operator* proxies work like on task proxies; ⚠ AttributeError in the original.
#[test]
fn all_and_any_take_expressions() {
    deadline(MINUTE, || {
        let gate = Gate::new();
        let (tasks, mut stopped) = three(&gate);
        let mut sums: Vec<_> = tasks.iter().map(|task| task + 10).collect();
        assert_eq!(wait_any_timeout(&sums, SHORT), None);
        assert!(wait_all_timeout(&sums, SHORT).unwrap_err().is_timeout());
        stopped.remove(2).let_go();
        assert_eq!(wait_any(&sums), Some(2));
        drop(stopped);
        assert_eq!(wait_all(&sums).unwrap(), [&10, &11, &12]);
        sums.push(lazy(|| 13));
        sums.push(ResultProxy::map(&sums[0], |n| n + 4));
        assert_eq!(wait_all(&sums).unwrap(), [&10, &11, &12, &13, &14]);
        assert_eq!(wait_any(&[lazy(|| 1), lazy(|| 2)]).map(|position| position < 2), Some(true));
    });
}

/// XF-11: proxies in the order in which they complete.
#[test]
fn as_completed_gives_the_order_of_completion() {
    deadline(MINUTE, || {
        let gate = Gate::new();
        let (proxies, stopped) = three(&gate);
        let mut stopped: Vec<_> = stopped.into_iter().map(Some).collect();
        let mut completed = as_completed(proxies);
        assert_eq!(completed.len(), 3);
        assert!(completed.next_timeout(SHORT).is_none());
        for label in [2, 0, 1] {
            stopped[label].take().unwrap().let_go();
            assert_eq!(*completed.next().unwrap(), label as u32);
        }
        assert_eq!(completed.len(), 0);
        assert!(completed.next().is_none());
    });
}

/// XF-11, XF-12: each exactly once, failures and expressions among them.
#[test]
fn as_completed_gives_each_proxy_once() {
    deadline(MINUTE, || {
        let mut proxies = map(square, 0..200);
        proxies.extend((0..100).map(|n| lazy(move || n)));
        proxies.push(fork(fail, "one of them"));
        let (mut values, mut errors) = (Vec::new(), 0);
        for proxy in as_completed(proxies) {
            match wait(&proxy) {
                Ok(value) => values.push(*value),
                Err(_) => errors += 1,
            }
        }
        values.sort();
        let mut expected: Vec<u64> = (0..200).map(|n| n * n).chain(0..100).collect();
        expected.sort();
        assert_eq!((values, errors), (expected, 1));
    });
}
