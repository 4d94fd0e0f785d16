//! A thread that stays within a plan, so that the plan's pool lives on between turns.

use std::sync::mpsc::{Sender, channel, sync_channel};
use std::thread::JoinHandle;
use xfork::{Plan, with_plan};

type Job = Box<dyn FnOnce() + Send>;

pub(crate) struct Within {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Within {
    pub(crate) fn new(plan: Plan) -> Self {
        let (sender, receiver) = channel::<Job>();
        let thread = std::thread::spawn(|| with_plan(plan, || receiver.into_iter().for_each(|job| job())));
        Self { jobs: Some(sender), thread: Some(thread) }
    }

    /// Runs `work` under the plan, and waits for it.
    pub(crate) fn run<R: Send + 'static>(&self, work: impl FnOnce() -> R + Send + 'static) -> R {
        let (sender, receiver) = sync_channel(1);
        let job = Box::new(move || sender.send(work()).expect("somebody waits"));
        self.jobs.as_ref().expect("it is there until the drop").send(job).expect("the thread lives");
        receiver.recv().expect("what runs under a plan does not panic")
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
