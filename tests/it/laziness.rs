//! Deferred values: computed by whoever needs them first, once, or never.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use crate::fixture::{MINUTE, deadline, fail, fail_io, panic_of, square, text_of};
use xfork::{ProxyState, ResultProxy, fork, lazy, ready, thread, wait};

/// A value that counts how often it is computed.
fn counted(count: &Arc<AtomicUsize>) -> ResultProxy<u64> {
    let count = count.clone();
    lazy(move || {
        count.fetch_add(1, Ordering::SeqCst);
        7
    })
}

/// XF-25: a forced node caches its value; further forces are free.
#[test]
fn an_expression_is_computed_once_however_often_it_is_read() {
    deadline(MINUTE, || {
        let count = Arc::new(AtomicUsize::new(0));
        let p = counted(&count);
        let q = ResultProxy::map(&p, |n| n + 1);
        assert_eq!(count.load(Ordering::SeqCst), 0);
        for _ in 0..10 {
            assert_eq!((*p, *q, *p.clone()), (7, 8, 7));
        }
        assert_eq!(count.load(Ordering::SeqCst), 1);
        assert!(std::ptr::eq(&*p, &*p.clone()));
    });
}

/// XF-25: at most once, in any number of threads.
#[test]
fn sixteen_threads_compute_an_expression_once() {
    deadline(MINUTE, || {
        for _ in 0..50 {
            let count = Arc::new(AtomicUsize::new(0));
            let p = counted(&count);
            let sum = ResultProxy::map(&p, |n| n + 1);
            let begin = Barrier::new(16);
            std::thread::scope(|scope| {
                for number in 0..16 {
                    let (p, sum, begin) = (&p, &sum, &begin);
                    scope.spawn(move || {
                        begin.wait();
                        if number % 2 == 0 {
                            assert_eq!(**sum, 8);
                        } else {
                            assert_eq!(**p, 7);
                        }
                    });
                }
            });
            assert_eq!(count.load(Ordering::SeqCst), 1);
        }
    });
}

/// XF-25: a forced node caches its exception.
#[test]
fn a_failed_expression_is_computed_once_and_fails_the_same_way_every_time() {
    deadline(MINUTE, || {
        let count = Arc::new(AtomicUsize::new(0));
        let counting = count.clone();
        let p = lazy(move || -> u64 {
            counting.fetch_add(1, Ordering::SeqCst);
            panic!("computed {}", counting.load(Ordering::SeqCst))
        });
        let sum = &p + 1;
        for _ in 0..5 {
            assert_eq!(panic_of(|| *p), "computed 1");
            assert_eq!(wait(&sum).unwrap_err().message(), "computed 1");
        }
        assert_eq!(count.load(Ordering::SeqCst), 1);
    });
}

/// XF-25: a function whose result is an expression that nobody needs is never called.
#[test]
fn an_expression_that_nobody_needs_is_never_computed() {
    deadline(MINUTE, || {
        let count = Arc::new(AtomicUsize::new(0));
        let p = ResultProxy::map(&counted(&count), |n| *n) + ready(1);
        assert_eq!(ResultProxy::state(&p), ProxyState::Deferred);
        drop(p);
        assert_eq!(count.load(Ordering::SeqCst), 0);
    });
}

/// XF-25, XF-26: a shared part of an expression is computed once.
#[test]
fn a_shared_part_is_computed_once() {
    deadline(MINUTE, || {
        let count = Arc::new(AtomicUsize::new(0));
        let mut sum = counted(&count);
        for _ in 0..50 {
            sum = &sum + &sum;
        }
        assert_eq!(*sum, 7 << 50);
        assert_eq!(count.load(Ordering::SeqCst), 1);
    });
}

/// XF-28: in `a + b` with both failing, the left operand's error is reported, whichever failed first.
#[test]
fn the_left_operands_failure_is_reported() {
    deadline(MINUTE, || {
        let (left, right) = (fork(fail, "left"), fork(fail_io, "right"));
        wait(&right).unwrap_err();
        for sum in [&left + &right, (&left + 1) * &right, &left - (&right + 1)] {
            assert_eq!(wait(&sum).unwrap_err().message(), "left");
            assert_eq!(panic_of(|| *sum), "left");
        }
        assert_eq!(wait(&(ready(1) + &right)).unwrap_err().message(), "right");
        assert_eq!(wait(&(&right + &left)).unwrap_err().message(), "right");
    });
}

/// XF-25: an expression takes tasks and is taken by tasks; a task that takes one evaluates it once.
#[test]
fn expressions_and_tasks_mix() {
    deadline(MINUTE, || {
        let count = Arc::new(AtomicUsize::new(0));
        let sum = counted(&count) + fork(square, 3);
        let (p, q) = (fork(square, &sum), thread(|n: u64| n + 1, &sum));
        assert_eq!((*p, *q, *sum), (256, 17, 16));
        assert_eq!(count.load(Ordering::SeqCst), 1);
    });
}

/// XF-25: a deferred function may itself fork and wait.
#[test]
fn a_deferred_function_may_fork_and_wait() {
    deadline(MINUTE, || {
        let p = lazy(|| *fork(square, 3) + *lazy(|| 1));
        assert_eq!(*fork(square, p), 100);
    });
}

/// XF-53: forcing twice raises twice: the payload is what the task threw, each time.
#[test]
fn reading_a_failed_expression_twice_panics_twice() {
    deadline(MINUTE, || {
        let sum = fork(fail, "twice") + 1;
        for _ in 0..2 {
            let payload = catch_unwind(AssertUnwindSafe(|| *sum)).unwrap_err();
            assert_eq!(text_of(&*payload), "twice");
        }
    });
}
