//! The scenarios of upstream's own tests: test_await, test_comparison, test_cascading_forks. (test_exception's eight
//! are in `failures`.)

use std::thread::sleep;
use std::time::Duration;

use crate::fixture::{MINUTE, MINUTES, deadline, fib};
use xfork::{
    Plan, ResultProxy, block_map, cpu_bound, fork, io_bound, map, ready, wait, wait_all, wait_any, with_plan,
};

/// Stands for a request that takes a millisecond.
#[io_bound]
fn webservice(n: u64) -> u64 {
    sleep(Duration::from_millis(1));
    n
}

/// Upstream test_await: await × cpu fib(10), io sleep 1 ms.
#[test]
fn test_await_of_one() {
    deadline(MINUTE, || {
        assert_eq!(wait(&fork(fib, 10)).unwrap(), &55);
        assert_eq!(wait(&fork(webservice, 7)).unwrap(), &7);
    });
}

/// Upstream test_await: await_all × map fib(0..9), io.
#[test]
fn test_await_of_all() {
    deadline(MINUTE, || {
        let expected = [0, 1, 1, 2, 3, 5, 8, 13, 21, 34];
        assert!(wait_all(&map(fib, 0..10)).unwrap().into_iter().eq(&expected));
        assert_eq!(block_map(fib, 0..10).unwrap(), expected);
        assert!(wait_all(&map(webservice, 0..10)).unwrap().into_iter().copied().eq(0..10));
    });
}

/// Upstream test_await: await_any × map fib(0..9), io; it gave `[]` there.
#[test]
fn test_await_of_any() {
    deadline(MINUTE, || {
        for proxies in [map(fib, 0..10), map(webservice, 0..10)] {
            let first = wait_any(&proxies).unwrap();
            assert!(ResultProxy::is_ready(&proxies[first]));
        }
    });
}

/// Upstream test_comparison: 30 forks in a list; "results are equal".
#[test]
fn test_comparison_of_a_list_of_30_forks() {
    deadline(MINUTE, || {
        let forked: Vec<_> = (0..30).map(|_| fork(fib, 15)).collect();
        let sequential: Vec<_> = (0..30).map(|_| fib(15)).collect();
        assert_eq!(forked, sequential);
    });
}

/// Upstream test_comparison: 1000 `+=` of ints.
#[test]
fn test_comparison_of_a_sum_of_1000_forks() {
    deadline(MINUTES, || {
        let mut forked = ready(0);
        let mut sequential = 0;
        for _ in 0..1000 {
            forked += fork(fib, 12);
            sequential += fib(12);
        }
        assert_eq!(forked, sequential);
    });
}

/// Upstream test_comparison: 30 and 1000 io string concatenations.
#[test]
fn test_comparison_of_a_concatenation_of_1000_forks() {
    #[io_bound]
    fn page(n: u32) -> String {
        sleep(Duration::from_millis(1));
        format!("page {n}, ")
    }
    deadline(MINUTE, || {
        for count in [30, 1000] {
            let mut forked = ready(String::new());
            let mut sequential = String::new();
            for n in 0..count {
                forked += fork(page, n);
                sequential += &format!("page {n}, ");
            }
            assert_eq!(forked, sequential);
        }
    });
}

#[cpu_bound]
fn cpu_a() -> u64 {
    *map(cpu_b, (0..30).map(|_| ())).iter().sum::<ResultProxy<u64>>() + 1
}

#[cpu_bound]
fn cpu_b() -> u64 {
    *map(cpu_c, (0..30).map(|_| ())).iter().sum::<ResultProxy<u64>>() + 1
}

#[cpu_bound]
fn cpu_c() -> u64 {
    1
}

#[io_bound]
fn io_a() -> u64 {
    *map(io_b, (0..30).map(|_| ())).iter().sum::<ResultProxy<u64>>() + 1
}

#[io_bound]
fn io_b() -> u64 {
    *map(io_c, (0..30).map(|_| ())).iter().sum::<ResultProxy<u64>>() + 1
}

#[io_bound]
fn io_c() -> u64 {
    sleep(Duration::from_micros(100));
    1
}

/// Upstream test_cascading_forks: 1 + 30 + 900 tasks, cpu; on one worker and on two.
#[test]
fn test_cascading_forks_cpu() {
    deadline(MINUTES, || {
        for workers in [1, 2] {
            with_plan(Plan::processes(workers), || assert_eq!(*fork(cpu_a, ()), 931));
        }
    });
}

/// Upstream test_cascading_forks: 1 + 30 + 900 tasks, io.
#[test]
fn test_cascading_forks_io() {
    deadline(MINUTES, || {
        for workers in [1, 2] {
            with_plan(Plan::processes(workers), || assert_eq!(*fork(io_a, ()), 931));
        }
    });
}

/// Upstream test_cascading_forks: `fork(fork, fork, fork, fork, fork, cpu_a)`.
#[test]
fn test_cascading_forks_of_forks() {
    deadline(MINUTES, || {
        for workers in [1, 2] {
            with_plan(Plan::processes(workers), || {
                let p = fork(|| fork(|| fork(|| fork(|| fork(|| fork(cpu_a, ()), ()), ()), ()), ()), ());
                assert_eq!(******p, 931);
            });
        }
    });
}
