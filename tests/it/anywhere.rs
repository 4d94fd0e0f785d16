//! Forks from any thread.

use std::sync::{Arc, Barrier};

use crate::fixture::{MINUTE, deadline, fib, square};
use xfork::{ResultProxy, fork, map, thread};

/// XF-45: ⚠ fork() from a user-created thread → AttributeError: any thread may fork.
#[test]
fn sixty_four_threads_fork_at_once() {
    deadline(MINUTE, || {
        let begin = Arc::new(Barrier::new(64));
        let threads: Vec<_> = (0..64_u64)
            .map(|n| {
                let begin = begin.clone();
                std::thread::spawn(move || {
                    begin.wait();
                    let squares = map(square, [n; 10]);
                    let on_thread = thread(move || n, ());
                    assert!(squares.iter().all(|p| **p == n * n));
                    *on_thread
                })
            })
            .collect();
        let sum: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!(sum, 63 * 64 / 2);
    });
}

/// XF-45: a proxy may be read in another thread than the one that forked, after that one has ended.
#[test]
fn a_proxy_outlives_the_thread_that_forked_it() {
    deadline(MINUTE, || {
        let p = std::thread::spawn(|| fork(fib, 10)).join().unwrap();
        assert_eq!(*p, 55);
        let q = std::thread::spawn(|| fork(square, 3) + fork(square, 4)).join().unwrap();
        assert_eq!(ResultProxy::into_inner(q), 25);
    });
}

/// XF-45: from threads that are not the program's own: rayon's, and an executor's.
#[test]
fn forks_from_other_pools() {
    deadline(MINUTE, || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        let value = runtime.block_on(async { tokio::spawn(async { *fork(square, 3) }).await.unwrap() });
        assert_eq!(value, 9);
    });
}

/// XF-45: a fork in a thread-local's destructor, when the thread is ending, is one like others.
#[test]
fn a_fork_while_a_thread_ends() {
    use std::sync::mpsc::{Sender, channel};
    struct AtEnd(Sender<u64>);
    impl Drop for AtEnd {
        fn drop(&mut self) {
            let _ = self.0.send(*fork(square, 3));
        }
    }
    thread_local! {
        static AT_END: std::cell::RefCell<Option<AtEnd>> = const { std::cell::RefCell::new(None) };
    }
    deadline(MINUTE, || {
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            AT_END.with(|at_end| *at_end.borrow_mut() = Some(AtEnd(sender)));
            assert_eq!(*fork(square, 2), 4);
        })
        .join()
        .unwrap();
        assert_eq!(receiver.recv().unwrap(), 9);
    });
}
