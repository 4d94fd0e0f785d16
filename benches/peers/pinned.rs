//! The round trip to a worker without the kernel's choice of cores: both sides on one core, and each on its own.
//!
//! The caller's thread and whatever the pool starts in the program is on the first core, in both cases.

use crate::futex::{Other, PingPong};
use crate::no_op;
use crate::pin;
use crate::turns::{Case, Field, timed};
use crate::within::Within;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use xfork::{Plan, process};

pub(crate) const ONE_CORE: &str = "cpu latency, 1 core";
pub(crate) const TWO_CORES: &str = "cpu latency, 2 cores";

/// How many round trips a measurement is the median of.
const ROUND_TRIPS: usize = 51;

pub(crate) fn round_trips(field: &mut Field<'_>) {
    let plan = Plan::processes(1);
    compare(field.case(ONE_CORE, 40), plan.clone(), Other::Here);
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1) {
        compare(field.case(TWO_CORES, 40), plan.on_worker_start(pin::process_to_next_core), Other::NextCore);
    }
}

fn compare(mut case: Case<'_, '_>, plan: Plan, other: Other) {
    let pool = Arc::new(Within::new(plan));
    pool.run(pin::to_first_core);
    case.add("xfork process", 10, 1, {
        let pool = pool.clone();
        move |_| pool.run(|| median(|| *process(no_op, ())))
    });
    let limit = Arc::new(Mutex::new(pool.run(move || PingPong::start(other))));
    case.add("futex ping-pong", 10, 1, move |_| {
        let limit = limit.clone();
        pool.run(move || {
            let mut limit = limit.lock().expect("nobody panics with it");
            median(|| limit.round_trip())
        })
    });
}

fn median(mut round_trip: impl FnMut()) -> Duration {
    let mut times: Vec<_> = (0..ROUND_TRIPS).map(|_| timed(&mut round_trip)).collect();
    times.sort_unstable();
    times[times.len() / 2]
}
