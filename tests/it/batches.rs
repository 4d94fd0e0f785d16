//! Maps of many items into processes: what each item may do and be, whoever else is in its chunk.

use crate::fixture::{Folder, MINUTE, deadline, fib, square};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use xfork::{Plan, ResultProxy, block_map_process, map_process, process, wait, with_plan};

/// So many that most of them are in large chunks.
const MANY: u64 = 3000;

fn in_processes(body: impl FnOnce() + Send + 'static) {
    deadline(MINUTE, || with_plan(Plan::processes(2), body));
}

#[test]
fn results_of_every_kind_come_back_in_order() {
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Both {
        number: u64,
        text: String,
    }
    in_processes(|| {
        assert_eq!(map_process(square, 0..MANY), (0..MANY).map(|n| n * n).collect::<Vec<_>>());
        assert_eq!(map_process(|_: u64| (), 0..MANY), vec![(); MANY as usize]);
        assert_eq!(map_process(|n: u64| n as f64 / 2.0, 0..MANY)[7], 3.5);
        assert_eq!(map_process(|n: u64| char::from(n as u8), 0..100)[65], 'A');
        let texts = map_process(|n: u64, text: String| format!("{text}{n}"), (0..MANY).map(|n| (n, "n")));
        assert!((0..).zip(&texts).all(|(n, text)| **text == format!("n{n}")));
        let both = map_process(|number: u64| Both { number, text: number.to_string() }, 0..MANY);
        let next = map_process(|both: Both| Both { number: both.number + 1, ..both }, both);
        assert!((0..).zip(&next).all(|(n, both)| **both == Both { number: n + 1, text: n.to_string() }));
        let lengths = block_map_process(|bytes: Vec<u8>| bytes.len(), (0..300).map(|n| vec![7; n * 100]));
        assert_eq!(lengths.unwrap(), (0..300).map(|n| n * 100).collect::<Vec<_>>());
    });
}

#[test]
fn items_may_fork_and_what_they_forked_ends_with_them() {
    fn forks(n: u64) -> u64 {
        *process(square, n) + *process(fib, n % 10)
    }
    fn forks_and_leaves(n: u64, folder: PathBuf) -> u64 {
        drop(process(|file: PathBuf| fs::write(file, "").unwrap(), folder.join(n.to_string())));
        n
    }
    in_processes(|| {
        let sums = map_process(forks, 0..300);
        assert!((0..).zip(&sums).all(|(n, sum)| **sum == n * n + fib(n % 10)));
        let folder = Folder::new();
        let items = map_process(forks_and_leaves, (0..300).map(|n| (n, folder.path().to_path_buf())));
        for (n, item) in (0..).zip(&items) {
            assert_eq!(**item, n);
            assert!(folder.file(&n.to_string()).exists(), "the result comes after that of its forks");
        }
    });
}

#[test]
fn an_item_that_cannot_travel_fails_alone() {
    #[derive(Clone, Debug)]
    struct Odd(u64);
    impl Serialize for Odd {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self.0 % 1000 {
                500 => Err(serde::ser::Error::custom("not this one")),
                600 => panic!("not at all"),
                _ => self.0.serialize(serializer),
            }
        }
    }
    impl<'de> Deserialize<'de> for Odd {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            match u64::deserialize(deserializer)? {
                n if n % 1000 == 700 => Err(serde::de::Error::custom("nor that")),
                n => Ok(Self(n)),
            }
        }
    }
    in_processes(|| {
        let items = map_process(|odd: Odd| Odd(odd.0 + 1000), (0..MANY).map(Odd));
        for (n, item) in (0..).zip(&items) {
            match (n % 1000, wait(item)) {
                (500 | 700, Err(error)) => assert!(error.is_transport(), "{error}"),
                (600, Err(error)) => assert!(error.is_panic(), "{error}"),
                (place, Ok(odd)) => assert!(odd.0 == n + 1000 && ![500, 600, 700].contains(&place), "{n}"),
                (_, Err(error)) => panic!("{n}: {error}"),
            }
        }
    });
}

#[test]
fn an_item_starts_before_the_next_one_is_made() {
    fn leave(file: PathBuf) -> PathBuf {
        fs::write(&file, "").unwrap();
        file
    }
    in_processes(|| {
        let folder = Folder::new();
        let files: Vec<_> = (0..20).map(|n| folder.file(&n.to_string())).collect();
        let exists = |file: &Path| {
            while !file.exists() {
                std::thread::yield_now();
            }
        };
        let made = files.iter().enumerate().map(|(n, file)| {
            if n > 0 {
                exists(&files[n - 1]);
            }
            file.clone()
        });
        let left = map_process(leave, made);
        assert!(left.iter().zip(&files).all(|(left, file)| **left == *file));
    });
}

#[test]
fn the_items_made_before_an_iterator_panics_are_run() {
    fn leave(file: PathBuf) {
        fs::write(file, "").unwrap();
    }
    in_processes(|| {
        let folder = Folder::new();
        let items = (0..).map(|n| {
            assert!(n < 100, "no more");
            folder.file(&n.to_string())
        });
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| map_process(leave, items))).unwrap_err();
        while folder.count() < 100 {
            std::thread::yield_now();
        }
    });
}

#[test]
fn nobody_has_to_keep_the_proxies() {
    in_processes(|| {
        let folder = Folder::new();
        let leave = |n: u64, folder: PathBuf| fs::write(folder.join(n.to_string()), "").unwrap();
        drop(map_process(leave, (0..300).map(|n| (n, folder.path().to_path_buf()))));
        while folder.count() < 300 {
            std::thread::yield_now();
        }
    });
}

#[test]
fn results_may_be_items_among_values() {
    in_processes(|| {
        let first = process(square, 3);
        let mixed = (0..100).map(|n| if n == 50 { first.clone() } else { xfork::ready(n) });
        let squares = map_process(square, mixed);
        assert!((0..).zip(&squares).all(|(n, got)| **got == if n == 50 { 81 } else { n * n }));
    });
}

#[test]
fn cancelling_all_items_ends_them() {
    in_processes(|| {
        let endless = map_process(
            |_: u64| loop {
                std::thread::park()
            },
            0..100,
        );
        let cancelled = endless.iter().rev().filter(|item| ResultProxy::<()>::cancel(item)).count();
        assert_eq!(cancelled, 100);
        assert!(endless.iter().all(|item| wait(item).unwrap_err().is_cancelled()));
        assert_eq!(map_process(square, [4]), [16]);
    });
}

#[test]
fn an_item_draws_the_numbers_of_its_place() {
    fn draw(_: u64) -> u64 {
        xfork::seed()
    }
    deadline(MINUTE, || {
        let seeds = |plan: Plan| with_plan(plan.seed(7), || block_map_process(draw, 0..MANY).unwrap());
        let together = seeds(Plan::processes(2));
        assert_eq!(together, seeds(Plan::sequential()));
        assert_eq!(together, seeds(Plan::processes(1)));
    });
}
