//! Section G: waiting with a limit, and waiting in places where others wait too.

use crate::fixture::{Afterwards, Dir, alone, alone_with, double, ended, hear, pool, tell};
use std::time::{Duration, Instant};
use xfork::{ResultProxy, lazy, process, thread, wait, wait_timeout};

/// Row 109: get() inside an async executor thread: no deadlock. (It blocks the thread of the executor, as any call that waits;
/// the executor's other threads go on.)
#[test]
fn a_result_can_be_needed_in_a_thread_of_an_async_executor() {
    alone_with(Duration::from_secs(60), Afterwards::ItsPool, || {
        pool(1, || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
            let both = std::sync::Arc::new(std::sync::Barrier::new(2));
            let tasks: Vec<_> = (0..2_u64)
                .map(|n| {
                    let both = both.clone();
                    runtime.spawn(async move {
                        // Both threads of the executor wait at the same time.
                        both.wait();
                        let inner = thread(double, n) + thread(double, 1) + lazy(move || n);
                        let task = xfork::with_plan(xfork::Plan::processes(1), || process(double, n));
                        *inner + ended(task).unwrap()
                    })
                })
                .collect();
            for (n, task) in (0..).zip(tasks) {
                assert_eq!(runtime.block_on(task).unwrap(), 2 * n + 2 + n + 2 * n);
            }
            // One that is awaited inside `block_on`, with a callback that wakes it.
            let value = runtime.block_on(async {
                let (sender, receiver) = std::sync::mpsc::channel();
                ResultProxy::on_ready(&process(double, 21), move |value| {
                    sender.send(*value.unwrap()).unwrap()
                });
                receiver.recv().unwrap()
            });
            assert_eq!(value, 42);
        });
    });
}

/// Row 111: wait with timeout 0, max, and elapsed: Timeout leaves the task intact and awaitable.
#[test]
fn a_wait_that_times_out_changes_nothing() {
    fn wait_at(started: String, gate: String) -> String {
        tell(&started, "started");
        hear(&gate)
    }
    const SHORT: Duration = Duration::from_millis(20);
    alone(|| {
        let dir = Dir::new();
        let (started, gate) = (dir.pipe("started"), dir.pipe("gate"));
        pool(1, || {
            for on_thread in [false, true] {
                let args = (started.clone(), gate.clone());
                let task = if on_thread { thread(wait_at, args) } else { process(wait_at, args) };
                hear(&started);
                let queued = process(double, 4);
                for limit in [Duration::ZERO, SHORT, Duration::from_nanos(1)] {
                    let begin = Instant::now();
                    assert!(wait_timeout(&task, limit).unwrap_err().is_timeout());
                    assert!(begin.elapsed() >= limit && begin.elapsed() < Duration::from_secs(5));
                    assert!(!ResultProxy::is_ready(&task));
                }
                // Many at once, from several threads.
                std::thread::scope(|scope| {
                    for _ in 0..8 {
                        scope.spawn(|| {
                            (0..50).for_each(|_| {
                                assert!(
                                    wait_timeout(&task, Duration::from_micros(50)).unwrap_err().is_timeout()
                                );
                            })
                        });
                    }
                });
                tell(&gate, "go");
                assert_eq!(wait_timeout(&task, Duration::MAX).unwrap(), "go");
                assert_eq!(wait_timeout(&task, Duration::ZERO).unwrap(), "go");
                assert_eq!(wait(&queued).unwrap(), &8);
            }
            // A limit that is over at once, for what is ready, has failed, or is computed by who asks.
            let broken = process(crate::a_task::panic_in_some_way, 0);
            assert!(ended(broken.clone()).unwrap_err().is_panic());
            assert!(wait_timeout(&broken, Duration::ZERO).unwrap_err().is_panic());
            assert_eq!(wait_timeout(&(lazy(|| 1) + 2), Duration::MAX).unwrap(), &3);
        });
    });
}
