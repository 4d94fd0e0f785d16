//! A simulation that gives the same result under every plan: `cargo run --release --features rand --example reproducible`.
//!
//! ```text
//! XFORK_SEED=7 cargo run --release --features rand --example reproducible -- once    # the same in each run
//! ```

use rand::RngExt;
use std::process::Command;
use xfork::{Plan, block_map, cpu_bound, map, with_plan};

/// How many of so many points in the unit square lie in the circle; the points are the task's own.
#[cpu_bound]
fn hits(points: u32) -> u64 {
    let mut rng = xfork::rng();
    let mut inside = 0;
    for _ in 0..points {
        let (x, y): (f64, f64) = (rng.random(), rng.random());
        inside += u64::from(x * x + y * y < 1.0);
    }
    inside
}

/// Half of the points in forks of its own.
#[cpu_bound]
fn region(points: u32) -> u64 {
    let inner: u64 = map(hits, [points / 4, points / 4]).into_iter().map(|p| *p).sum();
    inner + hits(points / 2)
}

fn pi() -> f64 {
    const REGIONS: usize = 32;
    const POINTS: u32 = 40_000;
    let total: u64 = block_map(region, [POINTS; REGIONS]).expect("no region fails").iter().sum();
    4.0 * total as f64 / (REGIONS as f64 * f64::from(POINTS))
}

fn main() {
    if std::env::args().nth(1).is_some_and(|argument| argument == "once") {
        println!("{} with XFORK_SEED={}", pi(), xfork::seed());
        return;
    }

    let here = with_plan(Plan::sequential().seed(2026), pi);
    println!("sequentially: {here}");
    assert!((here - std::f64::consts::PI).abs() < 0.01);

    let plans = [
        ("on threads", Plan::threads()),
        ("on one worker", Plan::processes(1)),
        ("on three workers", Plan::processes(3)),
    ];
    for (name, plan) in plans {
        let estimate = with_plan(plan.seed(2026), pi);
        println!("{name}: {estimate}");
        assert_eq!(estimate, here);
    }

    // And for the whole program, by the environment.
    let again = |plan| {
        let program = std::env::current_exe().expect("this program has a file");
        let environment = [("XFORK_SEED", "2026"), ("XFORK_PLAN", plan)];
        let output = Command::new(program).arg("once").envs(environment).output().expect("it runs again");
        String::from_utf8_lossy(&output.stdout).trim().to_string()
    };
    for plan in ["sequential", "threads", "processes"] {
        assert_eq!(again(plan), format!("{here} with XFORK_SEED=2026"), "XFORK_PLAN={plan}");
    }

    let other = with_plan(Plan::threads().seed(2027), pi);
    println!("with another seed: {other}");
    assert_ne!(other, here);
}
