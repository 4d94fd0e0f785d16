//! Tasks in worker processes: that do nothing, that panic, and that work for a known time.

use crate::futex::{Other, PingPong};
use crate::pipes::Pipes;
use crate::python::{NAME, Python};
use crate::spin::{calibrate, spin};
use crate::turns::{Field, timed};
use crate::{WORKERS, many, no_op, one};
use rayon::prelude::*;
use std::cell::{Cell, RefCell};
use std::hint::black_box;
use xfork::{map_process, process, wait};

/// What xfork is compared with, started once.
pub(crate) struct Rivals {
    pool: procspawn::Pool,
    pipes: RefCell<Pipes>,
    futex: RefCell<PingPong>,
    python: Option<RefCell<Python>>,
}

impl Rivals {
    pub(crate) fn start() -> Self {
        Self {
            pool: procspawn::Pool::new(WORKERS).expect("procspawn starts"),
            pipes: RefCell::new(Pipes::start()),
            futex: RefCell::new(PingPong::start(Other::Here)),
            python: Python::start(WORKERS).map(RefCell::new),
        }
    }
}

pub(crate) fn round_trips<'a>(field: &mut Field<'a>, rivals: &'a Rivals) {
    let mut case = field.case("cpu latency", 40);
    case.add("xfork process", 500, 1, one(|| *process(no_op, ())));
    case.add("procspawn Pool", 200, 1, {
        one(|| rivals.pool.spawn((), |()| no_op()).join().expect("no panic"))
    });
    case.add("procspawn spawn", 5, 1, {
        one(|| procspawn::spawn((), |()| no_op()).join().expect("no panic"))
    });
    case.add("one byte through pipes", 500, 1, one(|| rivals.pipes.borrow_mut().round_trip()));
    case.add("futex ping-pong", 500, 1, one(|| rivals.futex.borrow_mut().round_trip()));
    case.add("plain call", 10, 1000, |calls| timed(|| (0..calls).for_each(|_| black_box(no_op as fn())())));
}

pub(crate) fn many_at_once<'a>(field: &mut Field<'a>, rivals: &'a Rivals, scale: usize) {
    let mut case = field.case("cpu throughput", 15);
    case.add("xfork process", 1, 100_000 / scale, {
        many(|tasks| {
            let proxies: Vec<_> = (0..tasks).map(|_| process(no_op, ())).collect();
            proxies.into_iter().for_each(|proxy| *proxy);
        })
    });
    // A task in its queue costs procspawn three descriptors: more would not fit everywhere.
    case.add("procspawn Pool", 1, 200, {
        many(|tasks| {
            let handles: Vec<_> = (0..tasks).map(|_| rivals.pool.spawn((), |()| no_op())).collect();
            handles.into_iter().for_each(|handle| handle.join().expect("no panic"));
        })
    });

    let mut case = field.case("cpu map", 7);
    case.add("xfork process", 1, 1_000_000 / scale, {
        many(|items| {
            let items = items as u64;
            let sum: u64 = map_process(same, 0..items).into_iter().map(|proxy| *proxy).sum();
            assert_eq!(sum, items * (items - 1) / 2);
        })
    });
    if let Some(python) = &rivals.python {
        case.add(NAME, 1, 1_000_000 / scale, |items| python.borrow_mut().map(items));
    }
}

fn same(n: u64) -> u64 {
    n
}

/// Counts in `lost` the tasks whose outcome is not their own panic.
pub(crate) fn panics<'a>(field: &mut Field<'a>, lost: &'a Cell<usize>, scale: usize) {
    let mut case = field.case("panics", 10);
    case.add("xfork process, panics", 1, 10_000 / scale, {
        many(|tasks| {
            let proxies = map_process(|n: u64| -> u64 { panic!("the number {n}") }, 0..tasks as u64);
            let is_right = |n: usize, error: xfork::TaskError| {
                error.is_panic() && error.message() == format!("the number {n}")
            };
            let right = proxies
                .iter()
                .enumerate()
                .filter(|(n, proxy)| wait(proxy).is_err_and(|error| is_right(*n, error)))
                .count();
            lost.set(lost.get() + tasks - right);
        })
    });
    case.add("xfork process, no-op", 1, 10_000 / scale, {
        many(|tasks| {
            let proxies = map_process(same, 0..tasks as u64);
            assert!(proxies.iter().all(|proxy| wait(proxy).is_ok()));
        })
    });
}

/// Tasks that all do the same work, which takes one core so long.
pub(crate) fn work(field: &mut Field<'_>, scale: usize) {
    let per_microsecond = calibrate() * 1e3;
    for (case, microseconds, tasks) in [("work of 10 µs", 10.0, 20_000), ("work of 100 µs", 100.0, 5000)] {
        let turns = (per_microsecond * microseconds) as u64;
        let expected = spin(turns);
        let mut case = field.case(case, 10);
        case.add("xfork process", 1, tasks / scale, {
            many(move |tasks| {
                let proxies: Vec<_> = (0..tasks).map(|_| process(spin, turns)).collect();
                assert!(proxies.into_iter().all(|proxy| *proxy == expected));
            })
        });
        case.add("rayon par_iter", 1, tasks / scale, {
            many(move |tasks| {
                let results: Vec<_> = (0..tasks).into_par_iter().map(|_| spin(black_box(turns))).collect();
                assert!(results.into_iter().all(|result| result == expected));
            })
        });
        case.add("sequential", 1, tasks / scale, {
            many(move |tasks| assert!((0..tasks).all(|_| spin(black_box(turns)) == expected)))
        });
    }
}
