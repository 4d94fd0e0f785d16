//! Large texts and vectors of numbers, which travel beside the encoded values and are not copied more often than they must be.

use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::fixture::{Folder, MINUTE, MINUTES, deadline};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use xfork::{Plan, ResultProxy, cpu_bound, fork, process, task, wait, with_plan};

/// Some bytes, the same for the same length.
fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * at % 251) as u8).collect()
}

/// So many numbers of any kind, made of such bytes.
fn numbers<T: bytemuck::Pod>(count: usize) -> Vec<T> {
    bytemuck::pod_collect_to_vec(&bytes(count * size_of::<T>()))
}

fn same<T>(items: Vec<T>) -> Vec<T> {
    items
}

fn there_and_back<T>(of: impl Fn(usize) -> Vec<T>)
where
    T: Clone + PartialEq + Debug + Send + Serialize + DeserializeOwned + 'static,
{
    // Around the size from which on they are large, around the steps in which they are received, and beyond what is in memory
    // that is moved as a whole.
    for size in [32 << 10, 64 << 10, 128 << 10, 1 << 20, 5 << 20] {
        let count = size / size_of::<T>();
        for count in [count - 1, count, count + 1] {
            let items = of(count);
            let back = ResultProxy::into_inner(process(same::<T>, items.clone()));
            assert!(back == items, "{count} items of {}", std::any::type_name::<T>());
        }
    }
}

/// XF-29: large arguments and results arrive whole; texts, too, whatever a character takes.
#[test]
fn large_texts_come_back_equal() {
    fn same(text: String) -> String {
        text
    }
    deadline(MINUTES, || {
        with_plan(Plan::processes(2), || {
            for size in [0, 1, 100, 32 << 10, 64 << 10, 1 << 20, 5 << 20] {
                for text in ["x".repeat(size), "ü€𐍈".repeat(size / 9), format!("{}ü", "x".repeat(size))]
                {
                    assert!(ResultProxy::into_inner(process(same, text.clone())) == text, "{size} bytes");
                    let kept = xfork::ready(text.clone());
                    let fed = process(same, process(same, &kept));
                    assert!(*fed == text && *kept == text, "{size} bytes, kept and passed on");
                }
            }
            let texts: Vec<String> = (0..40).map(|n| "ß".repeat(n * 2000)).collect();
            let back: Vec<_> = xfork::map_process(same, texts.clone());
            assert!(back.into_iter().map(ResultProxy::into_inner).eq(texts));
        });
    });
}

/// XF-29: large arguments and results arrive whole, whatever their numbers.
#[test]
fn large_vectors_of_all_numbers_come_back_equal() {
    deadline(MINUTES, || {
        there_and_back(numbers::<u8>);
        there_and_back(numbers::<i8>);
        there_and_back(numbers::<u16>);
        there_and_back(numbers::<i16>);
        there_and_back(numbers::<u32>);
        there_and_back(numbers::<i32>);
        there_and_back(numbers::<u64>);
        there_and_back(numbers::<i64>);
        there_and_back(numbers::<u128>);
        there_and_back(numbers::<i128>);
        there_and_back(numbers::<usize>);
        there_and_back(numbers::<isize>);
        there_and_back(|count| (0..count).map(|n| n as f32 / 3.0).collect());
        there_and_back(|count| (0..count).map(|n| n as f64 / 3.0).collect());
        // What is no vector of numbers travels as ever.
        there_and_back(|count| bytes(count).into_iter().map(|byte| byte > 99).collect());
    });
}

/// Twelve arguments, every second a large vector.
#[test]
fn a_task_takes_as_many_large_vectors_as_it_has_arguments() {
    #[expect(clippy::too_many_arguments, reason = "as many as there may be")]
    fn sum(
        a: Vec<u8>,
        b: Vec<u16>,
        c: u8,
        d: Vec<u32>,
        e: Vec<u64>,
        f: String,
        g: Vec<u128>,
        h: Vec<f32>,
        i: Vec<f64>,
        j: Vec<i8>,
        k: Vec<u8>,
        l: Vec<usize>,
    ) -> (usize, String) {
        let sizes = [
            a.len(),
            b.len(),
            c.into(),
            d.len(),
            e.len(),
            g.len(),
            h.len(),
            i.len(),
            j.len(),
            k.len(),
            l.len(),
        ];
        (sizes.iter().sum(), f)
    }
    deadline(MINUTE, || {
        let (n, text) = (100_000, "between".repeat(10_000));
        let result = process(
            sum,
            (
                numbers::<u8>(n),
                numbers::<u16>(n),
                7,
                numbers::<u32>(n),
                numbers::<u64>(n),
                text.clone(),
                numbers::<u128>(n),
                vec![0.5_f32; n],
                vec![0.5_f64; n],
                numbers::<i8>(3),
                numbers::<u8>(n),
                numbers::<usize>(n),
            ),
        );
        assert_eq!(*result, (9 * n + 7 + 3, text));
    });
}

#[cpu_bound]
fn add_one(mut numbers: Vec<u64>) -> Vec<u64> {
    numbers.iter_mut().for_each(|number| *number = number.wrapping_add(1));
    numbers
}

#[cpu_bound]
fn total(numbers: Vec<u64>, more: Vec<u64>) -> u64 {
    numbers.iter().chain(&more).fold(0, |so_far: u64, number| so_far.wrapping_add(*number))
}

/// XF-29: a result that feeds another task is given to it, and to whoever reads it.
#[test]
fn large_results_that_feed_other_tasks_are_passed_on_and_can_still_be_read() {
    deadline(MINUTE, || {
        with_plan(Plan::processes(2), || {
            let begin: Vec<u64> = numbers(200_000);
            let mut chain = vec![fork(add_one, begin.clone())];
            for _ in 0..10 {
                chain.push(fork(add_one, chain.last().unwrap()));
            }
            let last = chain.last().unwrap();
            let totals: Vec<_> = (0..4).map(|_| fork(total, (last, &chain[3]))).collect();
            let plus = |count: u64| begin.iter().map(|number| number.wrapping_add(count)).collect::<Vec<_>>();
            let expected = plus(11).into_iter().chain(plus(4)).fold(0, u64::wrapping_add);
            for found in totals {
                assert_eq!(found, expected);
            }
            for (count, numbers) in (1..).zip(chain) {
                assert!(*numbers == plus(count), "after {count}");
                // By value, when it has been read; and there are others that hold it.
                let again = numbers.clone();
                assert!(*fork(add_one, numbers) == plus(count + 1) && *again == plus(count));
            }
        });
    });
}

/// Tasks inside of workers hand large vectors to each other, through the program or not.
#[test]
fn large_vectors_go_to_forks_of_forks_and_back() {
    fn sorted(mut numbers: Vec<u32>, depth: u32) -> Vec<u32> {
        if depth == 0 {
            numbers.sort_unstable();
            return numbers;
        }
        let upper = numbers.split_off(numbers.len() / 2);
        let halves = [process(sorted, (numbers, depth - 1)), process(sorted, (upper, depth - 1))];
        let [mut a, mut b] = halves.map(|half| ResultProxy::into_inner(half).into_iter().peekable());
        let next =
            || if b.peek().is_none_or(|b| a.peek().is_some_and(|a| a <= b)) { a.next() } else { b.next() };
        std::iter::from_fn(next).collect()
    }
    deadline(MINUTES, || {
        with_plan(Plan::processes(3), || {
            let numbers: Vec<u32> = numbers(500_000);
            let result = process(sorted, (numbers.clone(), 4));
            let mut expected = numbers;
            expected.sort_unstable();
            assert!(*result == expected);
        });
    });
}

/// Leaves a file and dies, the first `tries` times; then gives its numbers.
#[cpu_bound]
fn dies_at_first(folder: &Path, tries: usize, numbers: Vec<u64>) -> Vec<u64> {
    let count = fs::read_dir(folder).unwrap().count();
    fs::write(folder.join(count.to_string()), "").unwrap();
    match tries.saturating_sub(count) {
        0 => numbers,
        1 => panic!("not yet"),
        _ => std::process::abort(),
    }
}

#[test]
fn large_arguments_are_there_for_every_try() {
    deadline(MINUTE, || {
        with_plan(Plan::processes(1), || {
            let numbers: Vec<u64> = numbers(300_000);
            let folder = Folder::new();
            let args = (folder.path(), 2, numbers.clone());
            let result = task(dies_at_first, args).retries(2).backoff(Duration::from_micros(1)).fork();
            assert!(*result == numbers);
            // Also if they come from another task, and also of a task in a worker.
            let nested = |folder: PathBuf, numbers: Vec<u64>| {
                let before = fork(add_one, numbers);
                let args = (&*folder, 1, before);
                let result = task(dies_at_first, args).retries(1).backoff(Duration::from_micros(1)).fork();
                ResultProxy::into_inner(result)
            };
            let folder = Folder::new();
            assert!(*process(nested, (folder.path(), numbers.clone())) == add_one(numbers.clone()));
            // Without another try the death is told.
            let folder = Folder::new();
            let result = fork(dies_at_first, (folder.path(), 2, numbers));
            assert!(wait(&result).unwrap_err().is_crash());
        });
    });
}

#[test]
fn a_task_is_not_run_with_what_is_left_of_its_arguments() {
    #[derive(Debug, Deserialize)]
    struct Refuses;
    impl Serialize for Refuses {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no"))
        }
    }
    deadline(MINUTE, || {
        with_plan(Plan::processes(1), || {
            let result =
                process(|numbers: Vec<u64>, _: Refuses| numbers.len(), (numbers::<u64>(300_000), Refuses));
            let error = wait(&result).unwrap_err();
            assert!(error.to_string().contains("Refuses"), "{error}");
        });
    });
}

#[test]
fn blobs_count_with_the_message_that_mentions_them() {
    deadline(MINUTE, || {
        with_plan(Plan::processes(1).max_message(1 << 20), || {
            let fits = bytes(1_000_000);
            assert!(*process(same::<u8>, fits.clone()) == fits);
            let error = |result: &ResultProxy<usize>| wait(result).unwrap_err().to_string();
            let two = process(|a: Vec<u8>, b: Vec<u8>| a.len() + b.len(), (fits.clone(), fits.clone()));
            assert!(error(&two).contains("1048576"), "{}", error(&two));
            let result = process(|| vec![0_u32; 1 << 18], ());
            assert!(wait(&result).unwrap_err().to_string().contains("1048576"));
        });
    });
}
