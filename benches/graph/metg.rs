//! How short tasks may be: the minimum effective task granularity of Task Bench (Slaughter et al., SC20), by its patterns, but
//! without its programs.
//!
//! Of one size of tasks the efficiency is the ideal time over the time it took: what the calls alone take, one after
//! the other in the same turn, divided by the workers, or by the tasks that can run at once if these are fewer. A task's
//! granularity is the time it took, times the same number, over the number of tasks: with half of it lost, twice the work
//! of the task. METG(50 %) is the least granularity with an efficiency of a half; it is found by halving the
//! interval of the sizes, on a logarithmic scale.

use crate::asked::Extent;
use crate::byhand::{Dataflow, calls};
use crate::shapes::{PATTERNS, Pattern, Shape};
use crate::turns::{time, timed};
use crate::{WORKERS, built};
use serde_json::json;
use std::hint::black_box;
use std::time::Duration;

/// The least and the greatest work of a task in nanoseconds.
const LEAST: f64 = 50.0;
const GREATEST: f64 = 400_000.0;
/// How many tasks can run at once in patterns that have a width.
const WIDTH: usize = 2 * WORKERS;

/// What others have published, on other machines: the table of `benches/README.md` names the sources.
const PUBLISHED: [(&str, &str); 3] = [
    ("the best of 15 systems, trivial, few nodes", "390 ns"),
    ("efficient systems, depending on pattern and nodes", "5 to 100 µs"),
    ("Dask, its threads: what a task costs in a graph that does nothing", "425 µs"),
];

#[derive(Clone, Copy)]
struct System {
    name: &'static str,
    run: fn(&Shape, u64) -> (Duration, u32),
}

const SYSTEMS: [System; 3] = [
    System {
        name: "xfork threads",
        run: |shape, steps| {
            let mut built = built::on_threads(shape, steps).checked();
            let mut last = 0;
            (timed(|| last = built.run().1), last)
        },
    },
    System {
        name: "xfork processes",
        run: |shape, steps| {
            let mut built = built::on_processes(shape, steps).checked();
            let mut last = 0;
            (timed(|| last = built.run().1), last)
        },
    },
    System {
        name: "rayon by hand",
        run: |shape, steps| {
            let successors = shape.successors();
            let dataflow = Dataflow::new(shape, &successors, steps);
            let mut last = 0;
            (timed(|| last = dataflow.run()), last)
        },
    },
];

/// How thoroughly it is looked for.
struct Effort {
    searches: usize,
    halvings: usize,
    /// How often each size is measured; the least time of all counts, since with other load two workers are never efficient.
    samples: usize,
    /// The most tasks of a graph, and the most nanoseconds of their work, unless the tasks would be fewer than a tenth.
    tasks: usize,
    work: f64,
}

/// What a size of tasks came to.
#[derive(Clone, Copy)]
struct Found {
    /// Nanoseconds.
    granularity: f64,
    efficiency: f64,
}

/// Prints the table, and gives its rows. `pace` is how many steps are done in a nanosecond.
pub(crate) fn report(extent: Extent, pace: f64) -> Vec<serde_json::Value> {
    let effort = match extent {
        Extent::Full => Effort { searches: 5, halvings: 7, samples: 5, tasks: 2000, work: 10e6 },
        _ => Effort { searches: 1, halvings: 4, samples: 1, tasks: 200, work: 2e6 },
    };
    println!(
        "METG(50 %), {WORKERS} workers, width {WIDTH}, {} searches: median, least, most",
        effort.searches
    );
    let mut cases: Vec<_> = PATTERNS
        .into_iter()
        .flat_map(|pattern| SYSTEMS.map(|system| (pattern, system, Vec::new())))
        .collect();
    // One search of each after the other, so that other load, which comes and goes, spoils few searches of many cases.
    for _ in 0..effort.searches {
        for (pattern, system, found) in &mut cases {
            // Beyond all sizes, if none was efficient.
            found.push(search(system, *pattern, pace, &effort).unwrap_or(f64::INFINITY));
        }
    }
    let mut rows = Vec::new();
    for (pattern, system, mut found) in cases {
        found.sort_by(f64::total_cmp);
        let [median, least, most] = [found.len() / 2, 0, found.len() - 1].map(|place| found[place]);
        let [shown, low, high] = [median, least, most].map(time);
        println!("{:<10}{:<20}{shown:>10}{low:>12}{high:>12}", pattern.name, system.name);
        rows.push(json!({
            "case": "METG(50 %)", "pattern": pattern.name, "name": system.name,
            "median_ns": median, "min_ns": least, "max_ns": most,
        }));
    }
    println!("published elsewhere, not measured here:");
    PUBLISHED.iter().for_each(|(what, time)| println!("{what:<70}{time:>12}"));
    println!();
    rows
}

/// In nanoseconds; `None` if no size was efficient.
fn search(system: &System, pattern: Pattern, pace: f64, effort: &Effort) -> Option<f64> {
    let (mut below, mut above) = (LEAST.ln(), GREATEST.ln());
    let mut least = None;
    for _ in 0..effort.halvings {
        let middle = f64::midpoint(below, above);
        let found = measure(system, pattern, middle.exp(), pace, effort);
        if found.efficiency >= 0.5 {
            (above, least) = (middle, Some(found.granularity));
        } else {
            below = middle;
        }
    }
    least
}

fn measure(system: &System, pattern: Pattern, work: f64, pace: f64, effort: &Effort) -> Found {
    let tasks = ((effort.work / work) as usize).clamp(effort.tasks / 10, effort.tasks);
    let shape = (pattern.make)(tasks, WIDTH);
    let steps = (work * pace) as u64;
    let at_once = pattern.parallelism.unwrap_or(WORKERS).min(WORKERS) as f64;
    let mut least = [f64::INFINITY; 2];
    for _ in 0..effort.samples {
        let mut right = 0;
        let alone = timed(|| right = black_box(calls(black_box(&shape), steps)));
        let (took, last) = (system.run)(&shape, steps);
        assert_eq!(last, right, "all results came to where they were needed");
        for (least, time) in least.iter_mut().zip([alone, took]) {
            *least = least.min(time.as_nanos() as f64);
        }
    }
    let [alone, took] = [least[0], least[1] * at_once];
    Found { granularity: took / tasks as f64, efficiency: alone / took }
}
