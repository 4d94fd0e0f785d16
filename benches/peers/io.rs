//! Tasks on threads that do nothing.

use crate::handmade::Handmade;
use crate::turns::{Field, timed};
use crate::{WORKERS, many, no_op, one};
use std::hint::black_box;
use std::sync::mpsc::{channel, sync_channel};
use tokio::runtime::Runtime;
use xfork::thread;

/// The names of what xfork is to be as fast as, in the case "io throughput".
pub(crate) const RIVALS: [&str; 3] = [RAYON, TOKIO, HANDMADE];
const RAYON: &str = "rayon spawn + channel";
const TOKIO: &str = "tokio spawn_blocking";
const HANDMADE: &str = "hand-made pool, crossbeam";

pub(crate) fn tasks<'a>(field: &mut Field<'a>, runtime: &'a Runtime, scale: usize) {
    let mut case = field.case("io latency", 40);
    case.add("xfork thread", 500, 1, one(|| *thread(no_op, ())));
    case.add(RAYON, 500, 1, {
        one(|| {
            let (sender, receiver) = sync_channel(1);
            rayon::spawn(move || sender.send(()).expect("somebody waits"));
            receiver.recv().expect("somebody answers");
        })
    });
    case.add(TOKIO, 500, 1, one(|| runtime.block_on(runtime.spawn_blocking(no_op)).expect("no panic")));
    let pool = Handmade::new(WORKERS);
    case.add(HANDMADE, 500, 1, one(move || pool.run(no_op).recv().expect("somebody answers")));
    case.add("std thread spawn", 100, 1, one(|| std::thread::spawn(no_op).join().expect("no panic")));
    case.add("plain call", 10, 1000, |calls| timed(|| (0..calls).for_each(|_| black_box(no_op as fn())())));

    let mut case = field.case("io hand-off", 40);
    case.add("xfork thread", 500, 1, {
        one(|| {
            let (sender, receiver) = channel();
            thread(move || sender.send(()).expect("somebody waits"), ());
            receiver.recv().expect("somebody answers");
        })
    });
    case.add(RAYON, 500, 1, {
        one(|| {
            let (sender, receiver) = channel();
            rayon::spawn(move || sender.send(()).expect("somebody waits"));
            receiver.recv().expect("somebody answers");
        })
    });
    case.add(TOKIO, 500, 1, {
        one(|| {
            let (sender, receiver) = channel();
            runtime.spawn_blocking(move || sender.send(()).expect("somebody waits"));
            receiver.recv().expect("somebody answers");
        })
    });
    case.add("std thread spawn", 100, 1, {
        one(|| {
            let (sender, receiver) = channel();
            std::thread::spawn(move || sender.send(()).expect("somebody waits"));
            receiver.recv().expect("somebody answers");
        })
    });

    let mut case = field.case("io throughput", 40);
    case.add("xfork thread", 1, 100_000 / scale, {
        many(|tasks| {
            let proxies: Vec<_> = (0..tasks).map(|_| thread(no_op, ())).collect();
            proxies.into_iter().for_each(|proxy| *proxy);
        })
    });
    case.add(RAYON, 1, 100_000 / scale, {
        many(|tasks| {
            let submit = |_| {
                let (sender, receiver) = sync_channel(1);
                rayon::spawn(move || sender.send(()).expect("somebody waits"));
                receiver
            };
            let receivers: Vec<_> = (0..tasks).map(submit).collect();
            receivers.into_iter().for_each(|receiver| receiver.recv().expect("somebody answers"));
        })
    });
    case.add(TOKIO, 1, 50_000 / scale, {
        many(|tasks| {
            let handles: Vec<_> = (0..tasks).map(|_| runtime.spawn_blocking(no_op)).collect();
            runtime.block_on(async {
                for handle in handles {
                    handle.await.expect("no panic");
                }
            });
        })
    });
    let pool = Handmade::new(WORKERS);
    case.add(HANDMADE, 1, 100_000 / scale, {
        many(move |tasks| {
            let receivers: Vec<_> = (0..tasks).map(|_| pool.run(no_op)).collect();
            receivers.into_iter().for_each(|receiver| receiver.recv().expect("somebody answers"));
        })
    });
    case.add("std thread spawn", 1, 1000 / scale, {
        many(|tasks| {
            let handles: Vec<_> = (0..tasks).map(|_| std::thread::spawn(no_op)).collect();
            handles.into_iter().for_each(|handle| handle.join().expect("no panic"));
        })
    });
}
