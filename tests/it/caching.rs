//! Results that are kept for later: `#[cpu_bound(cache)]`, `cached(f)`, and the directory that they are in.
//!
//! Whether a function was called is told by a file to which each call appends one byte; its path is an argument.

use crate::fixture::{Folder, MINUTE, Program, deadline, given_folder};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use xfork::{Graph, Heft, Plan, cache, cached, cpu_bound, fork, io_bound, map, task, wait, with_plan};

fn note(calls: &Path) {
    OpenOptions::new().append(true).create(true).open(calls).unwrap().write_all(b"x").unwrap();
}

fn calls(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |about| about.len())
}

#[cpu_bound(cache)]
fn squared(n: u64, calls: &Path) -> u64 {
    note(calls);
    n * n
}

#[io_bound(cache)]
fn squared_io(n: u64, calls: &Path) -> u64 {
    note(calls);
    n * n
}

#[cpu_bound(cache = "2", retries = 1, name = "a name for people")]
fn fails_once(calls: &Path, broken: &Path) -> String {
    note(calls);
    fs::remove_file(broken).map_or("fine".into(), |()| panic!("it is broken"))
}

#[cpu_bound(cache)]
fn total(parts: BTreeMap<String, Vec<f64>>, calls: &Path) -> f64 {
    note(calls);
    parts.values().flatten().sum()
}

#[cpu_bound(cache, cost = 10.8)]
fn costly(n: u64, calls: &Path) -> u64 {
    note(calls);
    n + 1
}

fn plans(folder: &Path) -> Vec<Plan> {
    let all = [Plan::processes(2), Plan::threads(), Plan::sequential()];
    all.into_iter().map(|plan| plan.cache(folder.join("cache"))).collect()
}

/// A result is found again by its function and its arguments, whoever computed it.
#[test]
fn a_result_is_computed_once_for_equal_arguments_whoever_computes_it() {
    deadline(MINUTE, || {
        let folder = Folder::new();
        let file = folder.file("calls");
        for plan in plans(folder.path()) {
            with_plan(plan, || {
                for n in [3, 4, 3] {
                    assert_eq!(fork(squared, (n, file.clone())), n * n);
                }
                assert_eq!(squared(5, &file), 25, "a plain call is one");
            });
        }
        assert_eq!(calls(&file), 2 + 3);
        with_plan(Plan::threads().cache(folder.file("cache")), || {
            assert_eq!(fork(squared_io, (3, file.clone())) + fork(squared_io, (3, file.clone())), 18);
        });
        assert!(calls(&file) <= 5 + 2, "another function");
        let before = calls(&file);
        with_plan(Plan::processes(1).cache(folder.file("cache")), || {
            assert_eq!(fork(squared_io, (3, file.clone())), 9)
        });
        assert_eq!(calls(&file), before);
    });
}

#[test]
fn the_items_of_a_loop_are_found_too() {
    deadline(MINUTE, || {
        let folder = Folder::new();
        let file = folder.file("calls");
        for round in 0..3 {
            with_plan(Plan::processes(2).cache(folder.file("cache")), || {
                let squares = map(squared, (0..100).map(|n| (n, file.clone())));
                assert_eq!(squares.iter().map(|square| **square).sum::<u64>(), 328_350, "{round}");
            });
        }
        assert_eq!(calls(&file), 100);
    });
}

/// The same in two runs of a program, at the place that the environment names; the second starts no function.
#[test]
fn a_program_finds_what_an_earlier_run_of_it_has_kept() {
    let kept = Folder::new();
    let (file, cache) = (kept.file("calls"), kept.file("cache"));
    for _ in 0..2 {
        let program = Program::new().env("XFORK_CACHE", cache.to_str().unwrap());
        let program = program.env("CALLS", file.to_str().unwrap()).run(|| {
            let file = PathBuf::from(std::env::var_os("CALLS").unwrap());
            let parts = BTreeMap::from([("a".to_string(), vec![1.5, 2.0]), ("b".to_string(), vec![])]);
            assert_eq!(fork(total, (parts, file.clone())), 3.5);
            assert_eq!(fork(cached(|n: u64, file: PathBuf| squared(n, &file)), (2, file)), 4);
        });
        let Some(ended) = program else { return };
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    }
    assert_eq!(calls(&file), 2);
}

/// Without a word of anybody's, results are where the user's programs keep such things.
#[test]
fn unless_told_otherwise_results_are_in_the_users_cache() {
    for (variable, place) in [("XDG_CACHE_HOME", "xfork"), ("HOME", ".cache/xfork")] {
        let home = Folder::new();
        let mut program = Program::new().env("XFORK_CACHE", "").env("XDG_CACHE_HOME", "");
        program = program.env(variable, home.path().to_str().unwrap());
        let program = program.run(|| assert_eq!(fork(squared, (3, given_folder().join("calls"))), 9));
        let Some(ended) = program else { return };
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let tag = fs::read_to_string(home.path().join(place).join("CACHEDIR.TAG")).unwrap();
        assert!(tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55"), "{tag}");
    }
}

#[test]
fn a_failure_is_not_kept_and_another_try_looks_again() {
    deadline(MINUTE, || {
        let folder = Folder::new();
        let (file, broken) = (folder.file("calls"), folder.file("broken"));
        with_plan(Plan::processes(1).cache(folder.file("cache")), || {
            fs::write(&broken, "").unwrap();
            assert_eq!(fork(fails_once, (file.clone(), broken.clone())), "fine");
            assert_eq!(calls(&file), 2, "the second try computes it");
            // It would be removed by a call.
            fs::write(&broken, "").unwrap();
            assert_eq!(fork(fails_once, (file.clone(), broken.clone())), "fine");
            assert!(broken.exists());
            assert_eq!(cache::forget(fails_once).unwrap(), 1);
            let never = task(fails_once, (file.clone(), broken.clone())).retries(0).fork();
            assert_eq!(wait(&never).unwrap_err().message(), "it is broken");
        });
    });
}

/// An error that a function returns is no result to keep: the network may be back.
#[test]
fn an_err_is_not_kept() {
    #[io_bound(cache)]
    fn fetch(calls: &Path) -> Result<u64, String> {
        note(calls);
        match self::calls(calls) {
            1 => Err("the network is down".into()),
            calls => Ok(calls),
        }
    }
    deadline(MINUTE, || {
        let folder = Folder::new();
        let file = folder.file("calls");
        with_plan(Plan::threads().cache(folder.file("cache")), || {
            assert!(fork(fetch, file.clone()).is_err());
            for _ in 0..2 {
                assert_eq!(*fork(fetch, file.clone()), Ok(2));
            }
        });
    });
}

#[test]
fn closures_in_one_function_stay_apart() {
    deadline(MINUTE, || {
        let folder = Folder::new();
        for plan in plans(folder.path()) {
            with_plan(plan, || {
                for _ in 0..2 {
                    let (one, two) = (cached(|n: u64| n + 1), cached(|n: u64| n + 2));
                    assert_eq!((*fork(one, 5), *fork(two, 5)), (6, 7));
                    assert_eq!(fork(xfork::io_bound(one), 5), 6);
                }
            });
        }
    });
}

#[test]
fn what_is_forgotten_is_computed_again() {
    deadline(MINUTE, || {
        let folder = Folder::new();
        let file = folder.file("calls");
        with_plan(Plan::processes(2).cache(folder.file("cache")), || {
            let all = || assert_eq!((1..=4).map(|n| *fork(squared, (n, file.clone()))).sum::<u64>(), 30);
            let other = || assert_eq!(fork(costly, (1, file.clone())), 2);
            all();
            other();
            assert!(cache::forget_call(squared, (xfork::ready(2), file.clone())).unwrap());
            all();
            assert_eq!(calls(&file), 4 + 1 + 1);
            assert_eq!(cache::forget(squared).unwrap(), 4);
            other();
            assert_eq!(calls(&file), 6, "another function's result is still there");
            all();
            assert_eq!(cache::clear().unwrap(), 5);
            all();
            other();
            assert_eq!(calls(&file), 6 + 4 + 5);
        });
    });
}

/// Graphs find the results of other graphs, and a cost in the mark is one of the schedule.
#[test]
fn a_task_of_a_graph_takes_the_result_that_another_graph_has_kept() {
    deadline(MINUTE, || {
        let folder = Folder::new();
        let file = folder.file("calls");
        let run = |names: [&str; 2]| {
            let mut graph = Graph::new();
            let first = graph.add(names[0], task(costly, (1, file.clone()))).unwrap();
            let second = graph.add(names[1], task(costly, (&first, file.clone()))).unwrap();
            assert_eq!(graph.schedule(Heft::new(1)).unwrap().makespan(), 21.6);
            assert_eq!(graph.run().unwrap()[&second], 3);
        };
        with_plan(Plan::processes(2).cache(folder.file("cache")), || {
            run(["a", "b"]);
            run(["c", "d"]);
        });
        assert_eq!(calls(&file), 2);
    });
}

/// A damaged result, or one that is no result of this type, is computed anew.
#[test]
fn what_was_damaged_is_computed_again() {
    deadline(MINUTE, || {
        let folder = Folder::new();
        let (file, directory) = (folder.file("calls"), folder.file("cache"));
        with_plan(Plan::threads().cache(&directory), || {
            for round in 1..=3 {
                assert_eq!(fork(squared, (3, file.clone())), 9);
                assert_eq!(calls(&file), round);
                let entries = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
                let function = entries.into_iter().find(|path| path.is_dir()).unwrap();
                let entry = fs::read_dir(function).unwrap().next().unwrap().unwrap().path();
                let mut bytes = fs::read(&entry).unwrap();
                *bytes.last_mut().unwrap() ^= 1;
                fs::write(&entry, bytes).unwrap();
            }
        });
    });
}

/// Where nothing can be kept, tasks do their work all the same, and the program says so once.
#[test]
fn without_a_place_the_work_goes_on_and_it_is_said_once() {
    let foreign = Folder::new();
    fs::write(foreign.file("mine"), "something else").unwrap();
    for (place, why) in
        [("/dev/null", "it is no directory"), (foreign.path().to_str().unwrap(), "no cache of xfork")]
    {
        let program = Program::new().env("XFORK_CACHE", place).env("XFORK_WORKERS", "2").run(|| {
            for n in 0..10 {
                assert_eq!(fork(squared, (n, given_folder().join("calls"))), n * n);
                assert_eq!(fork(squared_io, (n, given_folder().join("calls"))), n * n);
            }
            assert!(cache::forget(squared).is_err());
        });
        let Some(ended) = program else { return };
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.stderr.matches("results are not kept for later").count(), 1, "{ended:?}");
        assert!(ended.stderr.contains(why) && ended.stderr.contains(place), "{ended:?}");
        assert_eq!(calls(&ended.folder.file("calls")), 20);
    }
    assert_eq!(foreign.count(), 1);
}

#[test]
fn a_limit_of_nothing_keeps_nothing_and_a_bad_one_is_an_error() {
    for (limit, code) in [("0", 0), ("much", 101)] {
        let program = Program::new().env("XFORK_CACHE_LIMIT", limit).run(|| {
            std::env::set_current_dir(given_folder()).unwrap();
            for n in [3, 3] {
                assert_eq!(fork(squared, (n, given_folder().join("calls"))), 9);
            }
        });
        let Some(ended) = program else { return };
        assert_eq!(ended.code, Some(code), "{ended:?}");
        match code {
            0 => assert_eq!(calls(&ended.folder.file("calls")), 2),
            _ => assert!(ended.stderr.contains("XFORK_CACHE_LIMIT=\"much\" is not a size"), "{ended:?}"),
        }
    }
}

/// A program that chose its plan itself is not kept from working by a variable that it never asked for.
#[test]
fn a_bad_limit_means_no_cache_where_the_program_chose_the_plan() {
    let program = Program::new().env("XFORK_CACHE_LIMIT", "much").run(|| {
        for plan in [Plan::processes(1), Plan::threads()] {
            with_plan(plan, || assert_eq!(fork(squared, (3, given_folder().join("calls"))), 9));
        }
    });
    let Some(ended) = program else { return };
    assert_eq!((ended.code, calls(&ended.folder.file("calls"))), (Some(0), 2), "{ended:?}");
    assert_eq!(ended.stderr.matches("XFORK_CACHE_LIMIT=\"much\" is not a size").count(), 1, "{ended:?}");
}

/// A killed task leaves nothing that somebody could take for its result.
#[test]
fn a_task_that_dies_keeps_nothing() {
    #[cpu_bound(cache)]
    fn dies_once(calls: &Path) -> u64 {
        note(calls);
        if self::calls(calls) == 1 {
            std::process::abort();
        }
        7
    }
    deadline(MINUTE, || {
        let folder = Folder::new();
        let file = folder.file("calls");
        with_plan(Plan::processes(1).cache(folder.file("cache")), || {
            assert!(wait(&fork(dies_once, file.clone())).unwrap_err().is_crash());
            assert_eq!((*fork(dies_once, file.clone()), *fork(dies_once, file.clone())), (7, 7));
        });
        assert_eq!(calls(&file), 2);
    });
}
