//! Calls at a time: limits that run out, and further tries after a pause.
//!
//! One thread sleeps until the next call is due; it ends when there has been none for a while. A call that may run code of the
//! user is made in a thread of its own, so that it holds up no other; the rest are made in that one, one after the
//! other, and must be short. The clock is the monotonic one.

use parking_lot::{Condvar, Mutex};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

type Call = Box<dyn FnOnce() + Send>;

/// How long the thread stays without a call to make.
const IDLE: Duration = Duration::from_secs(2);

struct Timer {
    calls: BTreeMap<(Instant, u64), Call>,
    next: u64,
    /// Whether there is a thread.
    runs: bool,
}

static TIMER: Mutex<Timer> = Mutex::new(Timer { calls: BTreeMap::new(), next: 0, runs: false });
static CHANGED: Condvar = Condvar::new();

/// A call that will be made, unless this is dropped before.
#[must_use = "dropped, it calls nobody"]
pub(crate) struct Alarm(Option<(Instant, u64)>);

impl Drop for Alarm {
    fn drop(&mut self) {
        let Some(key) = self.0.take() else { return };
        let call = TIMER.lock().calls.remove(&key);
        // Outside the lock: what it holds may set or drop alarms.
        drop(call);
    }
}

impl Alarm {
    /// Whether the call will be made.
    pub(crate) fn is_set(&self) -> bool {
        self.0.is_some()
    }
}

/// Makes the call after `delay`, in a thread of its own; never, if that is too far to be told, or if no thread can be had.
pub(crate) fn after(delay: Duration, call: impl FnOnce() + Send + 'static) -> Alarm {
    briefly_after(delay, move || {
        let call = Arc::new(Mutex::new(Some(call)));
        let elsewhere = call.clone();
        let thread = std::thread::Builder::new().name("xfork-late".into());
        if thread.spawn(move || make(&elsewhere)).is_err() {
            // Here is better than nowhere.
            make(&call);
        }
    })
}

fn make(call: &Mutex<Option<impl FnOnce()>>) {
    let call = call.lock().take();
    if let Some(call) = call {
        call();
    }
}

/// Makes a short call after `delay`, in the timer's thread; never, if that is too far to be told, or if no thread can be had.
pub(crate) fn briefly_after(delay: Duration, call: impl FnOnce() + Send + 'static) -> Alarm {
    let Some(time) = Instant::now().checked_add(delay) else { return Alarm(None) };
    let mut timer = TIMER.lock();
    if !timer.runs {
        let thread = std::thread::Builder::new().name("xfork-timer".into()).stack_size(256 * 1024);
        timer.runs = thread.spawn(run).is_ok();
        if !timer.runs {
            return Alarm(None);
        }
    }
    timer.next += 1;
    let key = (time, timer.next);
    let is_first = timer.calls.first_key_value().is_none_or(|(&first, _)| key < first);
    timer.calls.insert(key, Box::new(call));
    if is_first {
        CHANGED.notify_one();
    }
    Alarm(Some(key))
}

fn run() {
    let mut timer = TIMER.lock();
    loop {
        match timer.calls.first_key_value().map(|(&(time, _), _)| time) {
            Some(time) if time <= Instant::now() => {
                let (_, call) = timer.calls.pop_first().expect("just seen");
                drop(timer);
                call();
                timer = TIMER.lock();
            }
            Some(time) => {
                CHANGED.wait_until(&mut timer, time);
            }
            None => {
                if CHANGED.wait_for(&mut timer, IDLE).timed_out() && timer.calls.is_empty() {
                    timer.runs = false;
                    return;
                }
            }
        }
    }
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn calls_are_made_in_the_order_of_their_times_and_never_early() {
        let (sender, receiver) = channel();
        let begin = Instant::now();
        let mut alarms = Vec::new();
        for (delay, name) in [(30, "later"), (10, "sooner"), (20, "between")] {
            let sender = sender.clone();
            let alarm = briefly_after(Duration::from_millis(delay), move || sender.send(name).unwrap());
            alarms.push(alarm);
        }
        let dropped = briefly_after(Duration::from_millis(15), move || sender.send("dropped").unwrap());
        drop(dropped);
        assert!(!after(Duration::MAX, || unreachable!("too far away")).is_set());
        let order: Vec<_> = receiver.iter().take(3).collect();
        assert_eq!(order, ["sooner", "between", "later"]);
        assert!(begin.elapsed() >= Duration::from_millis(30));
        assert!(receiver.recv().is_err(), "the fourth was dropped, and all others have been made");
    }
}
