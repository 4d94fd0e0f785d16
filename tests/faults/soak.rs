//! Random deaths for a while: `XFORK_SOAK_SECONDS` says for how long.

use crate::fixture::{Random, alone_for, children, ended, kill, pool, soak_time};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use xfork::process;

fn checksum(n: u64, data: Vec<u8>) -> u64 {
    (0..n % 50_000).fold(data.len() as u64, |sum, term| sum.wrapping_mul(31).wrapping_add(term))
}

/// Row 112, in small: random kills, random payloads, callers in several threads: conservation (submitted = values + errors),
/// and every value is right.
#[test]
fn a_loop_that_kills_random_workers_loses_no_result() {
    let limit = soak_time() + Duration::from_secs(60);
    alone_for(limit, || {
        pool(3, || {
            let end = Instant::now() + soak_time();
            let is_over = AtomicBool::new(false);
            let [submitted, values, crashes, others] = [const { AtomicUsize::new(0) }; 4];
            // A plan is a thread's own: each caller has a pool.
            let plan = xfork::Plan::processes(2);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let mut random = Random::new();
                    while !is_over.load(Ordering::SeqCst) {
                        let workers = children();
                        if !workers.is_empty() {
                            kill(workers[random.below(workers.len() as u64) as usize], libc::SIGKILL);
                        }
                        std::thread::sleep(Duration::from_millis(random.below(60)));
                    }
                });
                let callers: Vec<_> = (0..4)
                    .map(|_| {
                        scope.spawn(|| {
                            xfork::with_plan(plan.clone(), || {
                                let mut random = Random::new();
                                while Instant::now() < end {
                                    let batch: Vec<_> = (0..50)
                                        .map(|_| {
                                            let size = 1 << random.below(20);
                                            let args = (random.below(1 << 20), vec![1; size as usize]);
                                            (args.clone(), process(checksum, args))
                                        })
                                        .collect();
                                    for ((n, data), task) in batch {
                                        submitted.fetch_add(1, Ordering::SeqCst);
                                        match ended(task) {
                                            Ok(value) => {
                                                assert_eq!(value, checksum(n, data));
                                                values.fetch_add(1, Ordering::SeqCst);
                                            }
                                            Err(error) if error.is_crash() => {
                                                crashes.fetch_add(1, Ordering::SeqCst);
                                            }
                                            Err(error) => {
                                                eprintln!("{error}");
                                                others.fetch_add(1, Ordering::SeqCst);
                                            }
                                        }
                                    }
                                }
                            });
                        })
                    })
                    .collect();
                let outcomes: Vec<_> = callers.into_iter().map(|caller| caller.join()).collect();
                is_over.store(true, Ordering::SeqCst);
                outcomes.into_iter().for_each(|outcome| outcome.unwrap());
            });
            let [submitted, values, crashes, others] =
                [submitted, values, crashes, others].map(AtomicUsize::into_inner);
            eprintln!("{submitted} submitted: {values} values, {crashes} crashes, {others} other errors");
            assert_eq!(submitted, values + crashes + others);
            assert!(values > 0 && crashes > 0);
            assert_eq!(others, 0, "a kill is a crash of what was running, and of nothing else");
        });
    });
}
