//! Everything at once for a while: `XFORK_SOAK_SECONDS` says for how long, a minute unless told otherwise.

use crate::fixture::{
    Random, alone_for, children, double, ends_within, kill, open_descriptors, soak_time, threads, within,
};
use crate::own::memory;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use xfork::{Limits, Plan, ResultProxy, TaskError, process, task, wait, with_plan};

/// How often everything is stopped to see what is held.
const ROUNDS: u32 = 6;
const CALLERS: usize = 4;
const PLAN: fn() -> Plan = || Plan::processes(3);
/// Longer than any task takes that nobody stops.
const LONG: Duration = Duration::from_secs(30);

fn echo(data: Vec<u8>) -> Vec<u8> {
    data
}

fn panic(n: u64) -> u64 {
    panic!("number {n}")
}

fn abort() -> u64 {
    std::process::abort()
}

fn rest(time: Duration) -> u64 {
    std::thread::sleep(time);
    1
}

fn outer(n: u64, data: Vec<u8>) -> u64 {
    let (left, right) = (process(double, n), process(double, n + 1));
    let size = process(|data: Vec<u8>| data.len() as u64, data);
    *left + *right + *size
}

/// Mostly small, sometimes up to 64 MiB, and no two alike.
fn payload(random: &mut Random) -> Vec<u8> {
    let exponent = match random.below(100) {
        0..90 => random.below(16),
        90..98 => random.below(22),
        _ => random.below(26),
    };
    let size = (1 << exponent) + random.below(1 << exponent);
    let mut data = vec![random.below(256) as u8; size as usize];
    for _ in 0..16 {
        let place = random.below(size);
        data[place as usize] = random.below(256) as u8;
    }
    data
}

/// A task that was forked, and what may become of it when nobody kills its worker.
enum Submitted {
    Echo(Vec<u8>, ResultProxy<Vec<u8>>),
    Panic(u64, ResultProxy<u64>),
    Abort(ResultProxy<u64>),
    Cancel(ResultProxy<u64>),
    Limited(ResultProxy<u64>),
    Nested(u64, ResultProxy<u64>),
}

/// What became of all tasks.
#[derive(Debug, Default)]
struct Count {
    submitted: AtomicUsize,
    /// Outcomes as callbacks are told of them.
    told: AtomicUsize,
    values: AtomicUsize,
    panics: AtomicUsize,
    crashes: AtomicUsize,
    timeouts: AtomicUsize,
    cancelled: AtomicUsize,
    /// Given up because worker after worker died before it had started the task.
    given_up: AtomicUsize,
    /// The errors among these: everything but values and panics.
    errors: AtomicUsize,
    bytes: AtomicUsize,
}

fn add(counter: &AtomicUsize) {
    counter.fetch_add(1, Ordering::SeqCst);
}

fn submit(random: &mut Random, count: &Arc<Count>) -> Submitted {
    fn told<T: Send + Sync + 'static>(proxy: ResultProxy<T>, count: &Arc<Count>) -> ResultProxy<T> {
        let count = count.clone();
        ResultProxy::on_ready(&proxy, move |_| add(&count.told));
        proxy
    }
    add(&count.submitted);
    let n = random.below(1 << 32);
    match random.below(20) {
        0..10 => {
            let data = payload(random);
            count.bytes.fetch_add(2 * data.len(), Ordering::SeqCst);
            let proxy = process(echo, data.clone());
            Submitted::Echo(data, told(proxy, count))
        }
        10..12 => Submitted::Panic(n, told(process(panic, n), count)),
        12 => Submitted::Abort(told(process(abort, ()), count)),
        13..15 => Submitted::Cancel(told(process(rest, LONG), count)),
        15..17 => {
            let limits = Limits::new().timeout(Duration::from_millis(60)).retries(2);
            let time = Duration::from_millis(random.below(120));
            Submitted::Limited(told(task(rest, time).limits(limits).fork(), count))
        }
        _ => {
            let data = payload(random);
            count.bytes.fetch_add(data.len(), Ordering::SeqCst);
            let sum = 4 * n + 2 + data.len() as u64;
            Submitted::Nested(sum, told(process(outer, (n, data)), count))
        }
    }
}

/// Waits for the task and counts its outcome, which must be one that this task can have.
fn settle(submitted: Submitted, random: &mut Random, count: &Count) {
    let failure = match submitted {
        Submitted::Echo(data, proxy) => wait(&proxy).map(|back| assert!(*back == data, "other bytes")).err(),
        Submitted::Panic(n, proxy) => {
            let error = wait(&proxy).expect_err("it panics");
            if error.is_panic() {
                assert_eq!(error.message(), format!("number {n}"));
                return add(&count.panics);
            }
            Some(error)
        }
        Submitted::Abort(proxy) => Some(wait(&proxy).expect_err("it aborts")),
        Submitted::Cancel(proxy) => {
            if random.below(2) == 0 {
                std::thread::sleep(Duration::from_millis(random.below(5)));
            }
            let is_decided = ResultProxy::cancel(&proxy);
            let error = wait(&proxy).expect_err("it rests for longer than anybody waits");
            assert_eq!(error.is_cancelled(), is_decided, "{error}");
            if is_decided {
                add(&count.cancelled);
                return add(&count.errors);
            }
            Some(error)
        }
        Submitted::Limited(proxy) => match wait(&proxy) {
            Ok(value) => {
                assert_eq!(*value, 1);
                None
            }
            Err(error) if error.is_timeout() => {
                add(&count.timeouts);
                return add(&count.errors);
            }
            Err(error) => Some(error),
        },
        Submitted::Nested(sum, proxy) => wait(&proxy).map(|value| assert_eq!(*value, sum)).err(),
    };
    match failure {
        None => add(&count.values),
        Some(error) => {
            assert!(is_the_killers(&error), "{error}");
            add(if error.is_crash() { &count.crashes } else { &count.given_up });
            add(&count.errors);
        }
    }
}

/// Whether dead workers explain this error: a crash, or a task that was given up after several deaths.
fn is_the_killers(error: &TaskError) -> bool {
    error.is_crash() || error.is_spawn()
}

/// Signals random workers until it is told to stop, and lets those go on that it has stopped.
fn kill_and_stop(is_over: &AtomicBool) -> [usize; 3] {
    let mut random = Random::new();
    let mut signals = [0; 3];
    let mut stopped: Vec<(Instant, u32)> = Vec::new();
    while !is_over.load(Ordering::SeqCst) {
        let workers = children();
        if !workers.is_empty() {
            let victim = workers[random.below(workers.len() as u64) as usize];
            let way = random.below(3) as usize;
            kill(victim, [libc::SIGKILL, libc::SIGSEGV, libc::SIGSTOP][way]);
            signals[way] += 1;
            if way == 2 {
                // Now and then for so long that the limit of a task in it runs out, or somebody cancels it.
                let time = if random.below(4) == 0 { 1000 } else { random.below(200) };
                stopped.push((Instant::now() + Duration::from_millis(time), victim));
            }
        }
        std::thread::sleep(Duration::from_millis(random.below(100)));
        stopped.retain(|&(until, worker)| {
            let is_due = Instant::now() >= until;
            if is_due && children().contains(&worker) {
                kill(worker, libc::SIGCONT);
            }
            !is_due
        });
    }
    for (_, worker) in stopped {
        if children().contains(&worker) {
            kill(worker, libc::SIGCONT);
        }
    }
    signals
}

/// What this process holds when no pool is there.
#[derive(Debug)]
struct Held {
    memory: u64,
    /// What of it has been allocated and not freed.
    used: usize,
    descriptors: usize,
    threads: usize,
}

fn held() -> Held {
    assert!(within(LONG, || children().is_empty()), "{:?}", children());
    // Threads that have nothing to do leave after some seconds.
    within(Duration::from_secs(7), || threads().len() <= 3);
    // SAFETY: take and give numbers.
    let info = unsafe {
        libc::malloc_trim(0);
        libc::mallinfo2()
    };
    let used = info.uordblks + info.hblkhd;
    Held { memory: memory(), used, descriptors: open_descriptors(), threads: threads().len() }
}

/// For that long, four threads fork and wait while one kills; two share the program's pool, two have their own.
fn round(time: Duration, count: &Arc<Count>) -> [usize; 3] {
    let end = Instant::now() + time;
    let is_over = AtomicBool::new(false);
    xfork::plan(PLAN());
    let signals = std::thread::scope(|scope| {
        let killer = scope.spawn(|| kill_and_stop(&is_over));
        let call = || {
            let mut random = Random::new();
            while Instant::now() < end {
                let batch: Vec<_> = (0..=random.below(8)).map(|_| submit(&mut random, count)).collect();
                batch.into_iter().for_each(|submitted| settle(submitted, &mut random, count));
            }
        };
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| scope.spawn(move || if caller % 2 == 0 { call() } else { with_plan(PLAN(), call) }))
            .collect();
        let outcomes: Vec<_> = callers.into_iter().map(|caller| caller.join()).collect();
        is_over.store(true, Ordering::SeqCst);
        outcomes.into_iter().for_each(|outcome| outcome.unwrap());
        killer.join().unwrap()
    });
    // The program's pool ends with its last user.
    let workers = children();
    xfork::plan(Plan::threads());
    assert!(workers.iter().all(|&worker| ends_within(worker, LONG)));
    signals
}

/// Row 112: soak: 10 min, random kills, random payloads, 4 pools of callers: conservation (submitted = values + panics +
/// errors), flat RSS/fd/threads. Here for a minute, `XFORK_SOAK_SECONDS=600` gives the ten.
#[test]
fn whatever_dies_each_task_has_one_outcome_and_nothing_is_kept() {
    let time = soak_time(60);
    alone_for(time + Duration::from_secs(180), || {
        // One heap, and large blocks outside it: what is freed then goes back to the system, and what is held can be seen.
        // SAFETY: takes numbers.
        unsafe {
            libc::mallopt(libc::M_ARENA_MAX, 1);
            libc::mallopt(libc::M_MMAP_THRESHOLD, 64 << 10);
        }
        let count = Arc::new(Count::default());
        let mut signals = [0; 3];
        let mut first = None;
        for number in 0..ROUNDS {
            let sent = round(time / ROUNDS, &count);
            signals = [0, 1, 2].map(|way| signals[way] + sent[way]);
            let now = held();
            eprintln!("round {number}: {now:?}");
            // The first round warms up.
            let Some(first) = &first else {
                first = Some(now);
                continue;
            };
            assert_eq!(now.descriptors, first.descriptors);
            assert!(now.threads <= first.threads.max(3), "{now:?} after {first:?}");
            assert!(now.memory <= first.memory + (48 << 20), "{now:?} after {first:?}");
            // The last 10 000 failures are kept for the report at the end of the program, two kilobytes or so each.
            assert!(now.used <= first.used + (32 << 20), "{now:?} after {first:?}");
        }
        let [kills, faults, stops] = signals;
        eprintln!("{kills} SIGKILL, {faults} SIGSEGV, {stops} SIGSTOP: {count:?}");
        let of = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
        assert_eq!(of(&count.submitted), of(&count.values) + of(&count.panics) + of(&count.errors));
        assert!(within(LONG, || of(&count.told) == of(&count.submitted)), "{count:?}");
        for kind in [&count.values, &count.panics, &count.crashes, &count.cancelled, &count.timeouts] {
            assert!(of(kind) > 0, "{count:?}");
        }
        assert!(of(&count.given_up) * 100 <= of(&count.submitted), "{count:?}");
    });
}
