//! Random numbers that don't depend on where, when and by whom a task is run.

use std::collections::HashSet;
use std::thread;

use crate::fixture::{MINUTE, MINUTES, Program, deadline};
use xfork::{Plan, ResultProxy, cpu_bound, fork, io_bound, lazy, map, map_thread, seed, with_plan};

/// Its own seed and those of three levels of forks below it, in program order.
#[cpu_bound]
fn family(levels: u32) -> Vec<u64> {
    let mut seeds = vec![seed()];
    if levels > 0 {
        for n in 0..3 {
            let children = map(family, vec![levels - 1; n]);
            seeds.push(*fork(seed, ()));
            seeds.extend(children.iter().flat_map(|p| p.iter().copied()));
        }
    }
    seeds
}

#[io_bound]
fn family_on_a_thread(levels: u32) -> Vec<u64> {
    let mut seeds = vec![seed()];
    seeds.extend(fork(family, levels).iter());
    seeds
}

/// Everything that forks, in one program.
fn program() -> Vec<Vec<u64>> {
    let first = fork(family, 3);
    let mut all = map(family, [2, 0, 1]);
    all.extend(map_thread(family_on_a_thread, [1, 2]));
    all.push(xfork::fork!(family(1)));
    all.push(fork(xfork::r#unsafe(|| vec![seed()]), ()));
    all.push(ResultProxy::and_then(&first, |seeds| fork(|n: u64| vec![n, seed()], seeds[0])));
    all.push(xfork::task(family, 1).after(&first).name("the last").fork());
    // An expression as an argument is evaluated here or in the pool, as it happens.
    let sum = fork(|| 1_u64, ()) + fork(|| 2_u64, ());
    all.push(fork(|n: u64| vec![n, seed()], sum));
    all.push(first);
    let mut seeds: Vec<Vec<u64>> = all.into_iter().map(ResultProxy::into_inner).collect();
    seeds.push(vec![seed()]);
    seeds
}

fn plans() -> [Plan; 6] {
    [
        Plan::sequential(),
        Plan::threads(),
        Plan::processes(1),
        Plan::processes(2),
        Plan::processes(3),
        Plan::processes(2).io_threads(1),
    ]
}

#[test]
fn a_task_has_the_same_seed_under_every_plan() {
    deadline(MINUTES, || {
        let expected = with_plan(Plan::sequential().seed(7), program);
        assert_eq!(*expected.last().unwrap(), [7]);
        for plan in plans() {
            for _ in 0..5 {
                assert_eq!(with_plan(plan.clone().seed(7), program), expected, "{plan:?}");
            }
        }
    });
}

#[test]
fn another_seed_of_the_plan_changes_every_tasks() {
    deadline(MINUTE, || {
        let of = |n| -> HashSet<u64> {
            with_plan(Plan::sequential().seed(n), program).into_iter().flatten().collect()
        };
        let (one, other) = (of(7), of(8));
        // All but the 3 that `sum` is.
        assert_eq!(one.intersection(&other).collect::<Vec<_>>(), [&3]);
    });
}

#[test]
fn a_hundred_thousand_tasks_have_different_seeds() {
    #[cpu_bound]
    fn hundred() -> Vec<u64> {
        let mut seeds: Vec<u64> = map(seed, [(); 99]).into_iter().map(|p| *p).collect();
        seeds.push(seed());
        seeds
    }
    deadline(MINUTES, || {
        let seeds = |plan: Plan| -> Vec<u64> {
            with_plan(plan.seed(0), || map(hundred, [(); 1000]).iter().flat_map(|p| p.to_vec()).collect())
        };
        let here = seeds(Plan::sequential());
        assert_eq!(here.iter().collect::<HashSet<_>>().len(), 100_000);
        assert_eq!(seeds(Plan::processes(2)), here);
    });
}

#[test]
fn deferred_closures_have_seeds_of_their_own_whoever_evaluates_them() {
    fn program() -> (Vec<u64>, u64, u64, u64) {
        let drawn = lazy(|| vec![seed(), *fork(seed, ()), *fork(seed, ())]);
        let mapped = ResultProxy::map(&drawn, |drawn| drawn[0] ^ seed());
        // Needed by a task, or by a wait here.
        let elsewhere = fork(|n: u64| n, lazy(seed));
        let after = fork(seed, ());
        let seen = (drawn.to_vec(), *mapped, *elsewhere, *after);
        assert_eq!(seen.0.iter().chain([&seen.1, &seen.2, &seen.3]).collect::<HashSet<_>>().len(), 6);
        seen
    }
    deadline(MINUTE, || {
        let expected = with_plan(Plan::sequential().seed(7), program);
        for plan in plans() {
            assert_eq!(with_plan(plan.clone().seed(7), program), expected, "{plan:?}");
        }
    });
}

#[test]
fn a_plan_with_a_seed_begins_anew_and_one_without_goes_on() {
    #[cpu_bound]
    fn scopes() -> [u64; 6] {
        let draw = || *fork(seed, ());
        [
            draw(),
            with_plan(Plan::sequential().seed(1), draw),
            with_plan(Plan::sequential(), draw),
            with_plan(Plan::threads().seed(1), draw),
            draw(),
            with_plan(Plan::sequential().seed(1), || with_plan(Plan::threads(), draw)),
        ]
    }
    deadline(MINUTE, || {
        for plan in plans() {
            let here = with_plan(plan.clone().seed(5), *scopes);
            let inside = with_plan(plan.seed(5), || *fork(scopes, ()));
            for drawn in [here, inside] {
                assert_eq!((drawn[1], drawn[1]), (drawn[3], drawn[5]));
                assert_eq!(drawn.iter().collect::<HashSet<_>>().len(), 4);
            }
        }
    });
}

/// XFORK_SEED for the program outside scopes: in its main thread, another run repeats all.
#[test]
fn xfork_seed_is_the_seed_of_the_program() {
    let run = |plan: &str, seed: &str| {
        let program = Program::new().env("XFORK_PLAN", plan).env("XFORK_SEED", seed);
        program.run(|| {
            // The test itself runs in a thread beside the main one.
            let forked = with_plan(Plan::from_env().unwrap(), || *fork(seed_pair, ()));
            let threads =
                [(); 2].map(|()| thread::spawn(|| (xfork::seed(), *fork(xfork::seed, ()))).join().unwrap());
            println!("= {forked:?} {threads:?} {:?}", (xfork::seed(), *fork(xfork::seed, ())));
        })
    };
    #[cpu_bound]
    fn seed_pair() -> (u64, u64) {
        (seed(), *fork(seed, ()))
    }
    let outputs: Vec<_> = [("sequential", "9"), ("threads", "9"), ("processes", "9"), ("processes", "10")]
        .into_iter()
        .map_while(|(plan, seed)| run(plan, seed))
        .map(|ended| {
            assert_eq!(ended.code, Some(0), "{ended:?}");
            ended.stdout.lines().find(|line| line.contains('=')).expect("a line").to_string()
        })
        .collect();
    if let [sequential, threads, processes, other] = &outputs[..] {
        assert_eq!((sequential, sequential), (threads, processes));
        assert_ne!(sequential, other);
    }
}

#[test]
fn without_a_seed_every_run_is_another() {
    let run = || {
        let ended = Program::new().run(|| println!("= {}", fork(seed, ())))?;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        Some(ended.stdout.lines().find(|line| line.contains('=')).expect("a line").to_string())
    };
    if let (Some(one), Some(other)) = (run(), run()) {
        assert_ne!(one, other);
    }
}

#[cfg(feature = "rand")]
mod generators {
    use super::*;
    use rand::{Rng, RngExt};
    use xfork::rng;

    /// Draws here, from two generators, and in a fork between them.
    #[cpu_bound]
    fn draw(levels: u32) -> Vec<u64> {
        let (mut one, below) = (rng(), (levels > 0).then(|| fork(draw, levels - 1)));
        let mut drawn = vec![one.next_u64(), rng().next_u64(), one.random_range(0..u64::MAX)];
        drawn.extend(below.into_iter().flat_map(ResultProxy::into_inner));
        drawn
    }

    #[test]
    fn a_task_draws_the_same_numbers_under_every_plan() {
        deadline(MINUTE, || {
            let program = || -> Vec<u64> { map(draw, [2; 10]).iter().flat_map(|p| p.to_vec()).collect() };
            let expected = with_plan(Plan::sequential().seed(7), program);
            assert_eq!(expected.iter().collect::<HashSet<_>>().len(), 90);
            for plan in plans() {
                assert_eq!(with_plan(plan.clone().seed(7), program), expected, "{plan:?}");
            }
        });
    }

    /// The first numbers of neighbouring tasks, and of the generators of one task, are as random as those of one generator.
    #[test]
    fn first_draws_are_uniform_and_independent() {
        const SAMPLES: usize = 65_536;
        with_plan(Plan::sequential().seed(1), || {
            let tasks: Vec<u64> = (0..SAMPLES).map(|_| *fork(|| rng().next_u64(), ())).collect();
            let streams: Vec<u64> = (0..SAMPLES).map(|_| rng().next_u64()).collect();
            for drawn in [tasks, streams] {
                // Chi-squared over 256 cells, of single draws and of pairs of neighbours: 255 ± 6 × 22.6.
                let cells = |cell: &dyn Fn(usize) -> u64| {
                    let mut counts = [0_f64; 256];
                    (0..SAMPLES).for_each(|n| counts[cell(n) as usize] += 1.0);
                    let expected = SAMPLES as f64 / 256.0;
                    counts.iter().map(|count| (count - expected).powi(2) / expected).sum::<f64>()
                };
                for chi in [
                    cells(&|n| drawn[n] >> 56),
                    cells(&|n| drawn[n] & 255),
                    cells(&|n| drawn[n] >> 60 << 4 | drawn[(n + 1) % SAMPLES] >> 60),
                ] {
                    assert!((120.0..391.0).contains(&chi), "{chi}");
                }
            }
        });
    }
}
