//! Proxies as arguments: a task that takes one starts when it is there. `cargo run --release --example dependencies`
//!
//! So a graph of tasks is written as calls of calls; nobody waits until the end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use xfork::{ResultProxy, cpu_bound, fork, io_bound, map, task, thread, wait};

#[cpu_bound]
fn square(n: i64) -> i64 {
    n * n
}

#[cpu_bound]
fn plus(a: i64, b: i64) -> i64 {
    a + b
}

#[cpu_bound]
fn total(all: &[i64]) -> i64 {
    all.iter().sum()
}

#[io_bound]
fn report(by_name: BTreeMap<String, i64>) -> String {
    by_name.iter().map(|(name, value)| format!("{name} = {value}\n")).collect()
}

static PREPARED: AtomicBool = AtomicBool::new(false);

fn main() {
    // A proxy where a value is expected, owned or borrowed: 3² + 4², squared.
    let three = fork(square, 3);
    let five_squared = fork(plus, (&three, fork(square, 4)));
    assert_eq!(fork(square, &five_squared), 625);

    // A collection of proxies where a collection of values is expected.
    let squares = map(square, 1..=100);
    let sum = fork(total, &squares);
    assert_eq!(sum, 338_350);
    let by_name = BTreeMap::from([("sum".to_string(), sum), ("three squared".to_string(), three)]);
    assert_eq!(fork(report, by_name), "sum = 338350\nthree squared = 9\n");

    // An order without a value: `after`.
    let prepare = thread(|| PREPARED.store(true, Ordering::Release), ());
    let prepared = task(io_bound(|| PREPARED.load(Ordering::Acquire)), ()).after(&prepare).fork();
    assert!(*prepared);

    // A task's name is what errors call it. What depends on a failed task is not run, and says why.
    let bad: ResultProxy<i64> = task(|| panic!("no data"), ()).name("the measurement").fork();
    let error = wait(&task(square, &bad).name("its square").fork()).unwrap_err();
    assert!(error.is_dependency());
    assert_eq!((error.task(), &*error.message()), ("the measurement", "no data"));
    println!("{error}");
}
