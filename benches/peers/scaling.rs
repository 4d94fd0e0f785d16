//! From one worker to as many as there are cores: how many tasks a second, and how much of the workers' time is work.
//!
//! Efficiency is the time that one thread takes for the work without any pool, over the time that all workers together
//! take. The third curve is what the machine itself allows: threads with equal shares of the work and no pool at all.

use crate::asked::{self, Extent};
use crate::chart::{Chart, Panel, Point};
use crate::spin::{calibrate, spin};
use crate::turns::Field;
use crate::within::Within;
use crate::{many, no_op, reach};
use rayon::prelude::*;
use std::hint::black_box;
use std::path::PathBuf;
use std::sync::mpsc::sync_channel;
use std::time::Duration;
use xfork::{Plan, process};

const XFORK: &str = "xfork, worker processes";
const RAYON: &str = "rayon, threads";
const SHARES: &str = "equal shares, no pool";

/// For each worker, in each measurement.
const TASKS_OF_WORK: usize = 2000;
const WORK: &str = "work of 100 µs";
const NO_OPS: &str = "no-op";
/// What the efficiency is to be with every number of workers.
const REACH: f64 = 0.9;

pub(crate) fn is_asked() -> bool {
    asked::is_asked("--scaling") || drawn().is_some()
}

/// The file after `--draw`: results of another machine.
fn drawn() -> Option<PathBuf> {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--draw");
    arguments.nth(1).map(PathBuf::from)
}

pub(crate) fn run(extent: Extent) {
    if let Some(file) = drawn() {
        let text = std::fs::read_to_string(&file).expect("`--draw` names a readable file");
        let chart: Chart = serde_json::from_str(&text).expect("the file is one that `--scaling` has written");
        return asked::write("scaling.svg", &chart.draw());
    }
    let chart = measure(extent);
    if extent != Extent::Test {
        asked::write("scaling.json", &serde_json::to_string_pretty(&chart).expect("strings and numbers"));
        asked::write("scaling.svg", &chart.draw());
    }
}

fn measure(extent: Extent) -> Chart {
    let machine = reach::machine();
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let powers = std::iter::successors(Some(1), |workers| Some(workers * 2));
    let mut counts: Vec<usize> = powers.take_while(|workers| *workers < cores).collect();
    counts.push(cores);

    let scale = extent.scale();
    let steps = (calibrate() * 1e5) as u64;
    let expected = spin(steps);
    let mut field = Field::new(scale);
    let name = |series: &str, workers: usize| format!("{series}: {workers}");
    let mut case = field.case(WORK, 9);
    case.add("sequential", 1, TASKS_OF_WORK / scale, {
        many(move |tasks| assert!((0..tasks).all(|_| spin(black_box(steps)) == expected)))
    });
    for &workers in &counts {
        let tasks = workers * TASKS_OF_WORK / scale;
        let xfork = Within::new(Plan::processes(workers));
        case.add(name(XFORK, workers), 1, tasks, {
            many(move |tasks| {
                xfork.run(move || {
                    let proxies: Vec<_> = (0..tasks).map(|_| process(spin, steps)).collect();
                    assert!(proxies.into_iter().all(|proxy| *proxy == expected));
                });
            })
        });
        let rayon = threads(workers);
        case.add(name(RAYON, workers), 1, tasks, {
            many(move |tasks| {
                let run = |_| spin(black_box(steps)) == expected;
                assert!(rayon.install(|| (0..tasks).into_par_iter().map(run).all(|is_right| is_right)));
            })
        });
        case.add(name(SHARES, workers), 1, tasks, {
            many(move |tasks| {
                let share = || assert!((0..tasks / workers).all(|_| spin(black_box(steps)) == expected));
                std::thread::scope(|scope| (0..workers).for_each(|_| drop(scope.spawn(share))));
            })
        });
    }
    let mut case = field.case(NO_OPS, 9);
    for &workers in &counts {
        let xfork = Within::new(Plan::processes(workers));
        case.add(name(XFORK, workers), 1, 100_000 / scale, {
            many(move |tasks| {
                xfork.run(move || {
                    let proxies: Vec<_> = (0..tasks).map(|_| process(no_op, ())).collect();
                    proxies.into_iter().for_each(|proxy| *proxy);
                });
            })
        });
        let rayon = threads(workers);
        case.add(name(RAYON, workers), 1, 100_000 / scale, {
            many(move |tasks| {
                let submit = |_| {
                    let (sender, receiver) = sync_channel(1);
                    rayon.spawn(move || sender.send(()).expect("somebody waits"));
                    receiver
                };
                let receivers: Vec<_> = (0..tasks).map(submit).collect();
                receivers.into_iter().for_each(|receiver| receiver.recv().expect("somebody answers"));
            })
        });
    }

    let (least, limit) = if extent == Extent::Full { (5, 240) } else { (1, 1) };
    let rounds = field.take_turns(least, Duration::from_secs(limit));
    let header = format!("{machine}, {rounds} rounds, sizes divided by {scale}");
    println!("{header}; per task; ratio to the first of the case\n");
    let rows = field.report();

    let median = |case, name: &str| Some(field.best(case, &[name])?.nanoseconds);
    let sequential = median(WORK, "sequential").expect("it takes part");
    let series = |case, value: &dyn Fn(usize, f64) -> f64| {
        let of = |series: &'static str| {
            let point = |workers: &usize| {
                let nanoseconds = median(case, &name(series, *workers))?;
                Some(Point { workers: *workers, value: value(*workers, nanoseconds) })
            };
            let points: Vec<_> = counts.iter().filter_map(point).collect();
            (!points.is_empty()).then(|| (series.to_owned(), points))
        };
        [XFORK, RAYON, SHARES].into_iter().filter_map(of).collect::<Vec<_>>()
    };
    let throughput = Panel {
        title: "tasks that do nothing".to_owned(),
        unit: "million tasks per second".to_owned(),
        reach: None,
        series: series(NO_OPS, &|_, nanoseconds| 1e3 / nanoseconds),
    };
    let efficiency = Panel {
        title: "tasks of 100 µs".to_owned(),
        unit: "efficiency, 1 if all workers always work".to_owned(),
        reach: Some(REACH),
        series: series(WORK, &|workers, nanoseconds| sequential / (nanoseconds * workers as f64)),
    };
    for (series, points) in &efficiency.series {
        for Point { workers, value } in points {
            let verdict = match series.as_str() {
                XFORK if *value >= REACH => "reached",
                XFORK => "NOT reached",
                _ => "",
            };
            println!("efficiency of 100 µs tasks, {series:<26}{workers:>4} workers {value:>7.3}  {verdict}");
        }
    }
    println!();
    Chart { header, panels: vec![throughput, efficiency], rows }
}

fn threads(workers: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(workers).build().expect("rayon starts")
}
