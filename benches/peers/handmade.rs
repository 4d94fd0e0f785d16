//! The pool that one writes in twenty lines: threads that take closures from a channel, and a channel for each result.

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::thread::JoinHandle;

type Job = Box<dyn FnOnce() + Send>;

pub(crate) struct Handmade {
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Handmade {
    pub(crate) fn new(threads: usize) -> Self {
        let (sender, receiver) = unbounded::<Job>();
        let start = |_| {
            let receiver = receiver.clone();
            std::thread::spawn(move || receiver.iter().for_each(|job| job()))
        };
        Self { jobs: Some(sender), threads: (0..threads).map(start).collect() }
    }

    pub(crate) fn run<R: Send + 'static>(&self, work: impl FnOnce() -> R + Send + 'static) -> Receiver<R> {
        let (sender, receiver) = bounded(1);
        let job = Box::new(move || {
            // Nobody may be waiting any more.
            let _ = sender.send(work());
        });
        self.jobs.as_ref().expect("it is there until the drop").send(job).expect("the threads live");
        receiver
    }
}

impl Drop for Handmade {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
