//! A runner of one's own decides when and where tasks run: `cargo run --release --example own_runner`.
//!
//! This one has a single thread, and takes the tasks whose name says so before the others.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use xfork::{Plan, Runnable, Runner, fork, task, thread, with_plan};

/// Runs one task at a time, the urgent ones first.
#[derive(Default)]
struct UrgentFirst {
    queue: Mutex<VecDeque<Runnable>>,
    arrived: Condvar,
}

impl UrgentFirst {
    fn start() -> Arc<Self> {
        let runner = Arc::new(Self::default());
        let served = runner.clone();
        std::thread::spawn(move || {
            loop {
                let queue = served.queue.lock().unwrap_or_else(PoisonError::into_inner);
                let mut queue = served
                    .arrived
                    .wait_while(queue, |queue| queue.is_empty())
                    .unwrap_or_else(PoisonError::into_inner);
                let task = queue.pop_front();
                drop(queue); // while the task runs, others may arrive
                if let Some(task) = task {
                    task.run();
                }
            }
        });
        runner
    }
}

impl Runner for UrgentFirst {
    fn run(&self, task: Runnable) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let place = if task.name().starts_with("urgent") {
            queue.iter().take_while(|queued| queued.name().starts_with("urgent")).count()
        } else {
            queue.len()
        };
        queue.insert(place, task);
        self.arrived.notify_one();
    }

    // Who waits for a task that has not started could run it itself; that would change the order.
    fn gives_back(&self) -> bool {
        false
    }
}

fn main() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let note = |text: &'static str| {
        let order = order.clone();
        xfork::io_bound(move || order.lock().unwrap_or_else(PoisonError::into_inner).push(text))
    };
    with_plan(Plan::runner(UrgentFirst::start()), || {
        // Keeps the thread busy until all the others are queued.
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let first = thread(move || gate.recv(), ());
        let all = [
            task(note("letter"), ()).fork(),
            task(note("parcel"), ()).fork(),
            task(note("telegram"), ()).name("urgent: telegram").fork(),
            task(note("alarm"), ()).name("urgent: alarm").fork(),
        ];
        drop(open);
        assert!(first.is_err());
        xfork::wait_all(&all).expect("no task fails");

        // It gets everything, whatever its mark, and what this thread forks in the scope.
        assert_eq!(fork(|n: u32| n + 1, 41), 42);
    });
    let order = order.lock().unwrap_or_else(PoisonError::into_inner);
    println!("{order:?}");
    assert_eq!(*order, ["telegram", "alarm", "letter", "parcel"]);
}
