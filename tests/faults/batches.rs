//! The items of a map, which travel in chunks: what happens to one happens to no other.

use crate::fixture::{Dir, GONE, alone, ended, ends_within, hang, hear, hear_pid, kill, pool, tell};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use xfork::{Plan, ResultProxy, map_process, with_plan};

/// As many items as make large chunks, in which those at [`PLACE`] are.
const MANY: u64 = 4000;
const PLACE: u64 = 3000;

/// Leaves its number in a file; then does what the item at [`PLACE`] is to do.
fn noted(n: u64, file: &str, then: impl FnOnce()) -> u64 {
    let mut file = fs::File::options().append(true).create(true).open(file).unwrap();
    file.write_all(&n.to_le_bytes()).unwrap();
    if n == PLACE {
        then();
    }
    2 * n
}

/// How often each item has started.
fn starts(file: &str) -> BTreeMap<u64, usize> {
    let mut counts = BTreeMap::new();
    for number in fs::read(file).unwrap().as_chunks().0 {
        *counts.entry(u64::from_le_bytes(*number)).or_default() += 1;
    }
    counts
}

fn has_each_once(file: &str) -> bool {
    let starts = starts(file);
    starts.len() as u64 == MANY && starts.values().all(|&count| count == 1)
}

/// Every item but that at [`PLACE`] has its value.
fn others_are_there(items: Vec<ResultProxy<u64>>) -> Result<u64, xfork::TaskError> {
    let mut one = None;
    for (n, item) in (0..).zip(items) {
        match n {
            PLACE => one = Some(ended(item)),
            _ => assert_eq!(ended(item).unwrap(), 2 * n),
        }
    }
    one.expect("there are more")
}

/// Rows 1, 8 and 9: an item that panics, or ends its process, costs itself; every other one runs once.
#[test]
fn an_item_that_panics_or_dies_costs_itself() {
    fn panics(n: u64, file: String) -> u64 {
        noted(n, &file, || panic!("item {n}"))
    }
    fn aborts(n: u64, file: String) -> u64 {
        noted(n, &file, || std::process::abort())
    }
    fn exits(n: u64, file: String) -> u64 {
        noted(n, &file, || std::process::exit(0))
    }
    fn is_killed(n: u64, file: String) -> u64 {
        noted(n, &file, || kill(std::process::id(), libc::SIGKILL))
    }
    alone(|| {
        let dir = Dir::new();
        for (name, function) in
            [("panics", None), ("aborts", Some(0)), ("exits", Some(1)), ("killed", Some(2))]
        {
            let file = dir.path(name);
            let items = || (0..MANY).map(|n| (n, file.clone()));
            pool(2, || {
                let items = match function {
                    None => map_process(panics, items()),
                    Some(0) => map_process(aborts, items()),
                    Some(1) => map_process(exits, items()),
                    _ => map_process(is_killed, items()),
                };
                let error = others_are_there(items).unwrap_err();
                assert_eq!(error.is_panic(), name == "panics", "{error}");
                assert_eq!(error.is_crash(), name != "panics", "{error}");
                assert!(error.forked_at()[0].0.ends_with("batches.rs"), "{error}");
            });
            assert!(has_each_once(&file), "{name}");
        }
    });
}

/// Rows 14 and 110: an item that never ends holds up no other, though they are in one chunk; cancelled, it ends with its worker.
#[test]
fn an_item_that_hangs_holds_up_no_other_and_can_be_cancelled() {
    fn hangs(n: u64, file: String, pipe: String) -> u64 {
        noted(n, &file, || _ = hang(pipe))
    }
    alone(|| {
        let dir = Dir::new();
        let (file, pipe) = (dir.path("starts"), dir.pipe("pid"));
        pool(2, || {
            let mut items = map_process(hangs, (0..MANY).map(|n| (n, file.clone(), pipe.clone())));
            let worker = hear_pid(&pipe);
            let hanging = items.remove(PLACE as usize);
            for (n, item) in (0..).zip(items) {
                let n = if n < PLACE { n } else { n + 1 };
                assert_eq!(ended(item).unwrap(), 2 * n);
            }
            assert!(!ResultProxy::is_ready(&hanging));
            assert!(ResultProxy::cancel(&hanging));
            assert!(ended(hanging).unwrap_err().is_cancelled());
            assert!(ends_within(worker, GONE));
        });
        assert!(has_each_once(&file));
    });
}

/// Row 110: cancelled while it runs in the middle of a chunk, an item ends with its worker, and the others of the chunk run
/// elsewhere; cancelled before, it never starts.
#[test]
fn an_item_that_is_cancelled_costs_no_other() {
    fn hangs(n: u64, file: String, pipe: String) -> u64 {
        noted(n, &file, || _ = hang(pipe))
    }
    alone(|| {
        let dir = Dir::new();
        let (file, pipe) = (dir.path("starts"), dir.pipe("pid"));
        pool(1, || {
            let items = map_process(hangs, (0..MANY).map(|n| (n, file.clone(), pipe.clone())));
            // The only worker is in that item: nothing behind it has started.
            let worker = hear_pid(&pipe);
            assert!(ResultProxy::cancel(&items[MANY as usize - 1]), "one that waits");
            assert!(ResultProxy::cancel(&items[PLACE as usize + 1]), "one that is sent, or waits");
            assert!(!ResultProxy::cancel(&items[0]), "one that has ended");
            assert!(ResultProxy::cancel(&items[PLACE as usize]));
            assert!(ends_within(worker, GONE));
            for (n, item) in (0..).zip(items) {
                let is_cancelled = [PLACE, PLACE + 1, MANY - 1].contains(&n);
                match ended(item) {
                    Ok(value) => assert!(value == 2 * n && !is_cancelled),
                    Err(error) => assert!(error.is_cancelled() && is_cancelled, "{n}: {error}"),
                }
            }
        });
        let starts = starts(&file);
        assert!(starts.values().all(|&count| count == 1));
        assert!(!starts.contains_key(&(PLACE + 1)) && !starts.contains_key(&(MANY - 1)));
    });
}

/// Row 41: workers that are killed from outside cost the items that they were running, and nothing else is run twice or lost.
#[test]
fn workers_that_are_killed_cost_one_item_each() {
    fn slowly(n: u64, file: String, workers: String) -> u64 {
        let pid = std::process::id().to_le_bytes();
        fs::File::options().append(true).create(true).open(workers).unwrap().write_all(&pid).unwrap();
        noted(n, &file, || {})
    }
    alone(|| {
        let dir = Dir::new();
        let (file, workers) = (dir.path("starts"), dir.path("workers"));
        pool(2, || {
            let items = map_process(slowly, (0..MANY).map(|n| (n, file.clone(), workers.clone())));
            let mut killed = std::collections::BTreeSet::new();
            while killed.len() < 20 && !items.iter().all(ResultProxy::is_ready) {
                // One that has run something: whoever is killed while it starts is another matter.
                let known = fs::read(&workers).unwrap_or_default();
                let Some(&last) = known.as_chunks().0.last() else { continue };
                let worker = u32::from_le_bytes(last);
                if killed.insert(worker) {
                    kill(worker, libc::SIGKILL);
                }
            }
            let mut lost = 0;
            for (n, item) in (0..).zip(items) {
                match ended(item) {
                    Ok(value) => assert_eq!(value, 2 * n),
                    Err(error) => {
                        assert!(error.is_crash(), "{error}");
                        lost += 1;
                    }
                }
            }
            assert!(lost <= killed.len(), "{lost} items of {} workers", killed.len());
        });
        let starts = starts(&file);
        assert!(starts.values().all(|&count| count == 1), "an item was run twice");
    });
}

/// Row 63: after Ctrl-C the item that runs may finish; what is behind it, in its chunk or not, ends without having started.
#[test]
fn an_interrupt_leaves_the_item_that_runs_and_ends_the_others() {
    fn waits(n: u64, file: String, started: String, gate: String) -> u64 {
        noted(n, &file, || {
            tell(&started, "started");
            hear(&gate);
        })
    }
    alone(|| {
        let dir = Dir::new();
        let (file, started, gate) = (dir.path("starts"), dir.pipe("started"), dir.pipe("gate"));
        // Nothing is forked any more in a program that is interrupted.
        with_plan(Plan::processes(1), || {
            let item = |n| (n, file.clone(), started.clone(), gate.clone());
            let items = map_process(waits, (0..MANY).map(item));
            hear(&started);
            kill(std::process::id(), libc::SIGINT);
            for item in &items[PLACE as usize + 1..] {
                assert!(xfork::wait(item).unwrap_err().is_interrupted());
            }
            tell(&gate, "go on");
            assert!(items[..=PLACE as usize].iter().zip(0..).all(|(item, n)| **item == 2 * n));
        });
        assert_eq!(starts(&file).len() as u64, PLACE + 1);
        drop(dir);
        // Otherwise it would end as a program does that was interrupted.
        // SAFETY: takes a number.
        unsafe { libc::_exit(0) };
    });
}
