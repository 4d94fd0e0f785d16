//! Big data that tasks read where it lies.

use std::fs;
use std::time::Duration;

use crate::fixture::{MINUTE, MINUTES, deadline};
use serde::{Deserialize, Serialize};
use xfork::{Plan, Shared, cpu_bound, fork, io_bound, map, process, task, wait, with_plan};

/// What is mapped where this data lies: the device and inode and name of a file, or nothing but zeros.
fn place<T: ?Sized>(data: &T) -> String {
    let address = (&raw const *data).addr();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mut lines = maps.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        let (from, to) = fields.next()?.split_once('-')?;
        let number = |text| usize::from_str_radix(text, 16).ok();
        (number(from)?..number(to)?).contains(&address).then(|| fields.skip(2).collect::<Vec<_>>().join(" "))
    });
    lines.next().unwrap_or_default()
}

/// The descriptors and mappings of this process that have to do with shared memory.
fn kept() -> Vec<String> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let maps = maps.lines().filter(|line| line.contains("xfork-shared")).map(String::from);
    let links = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let links = links.filter_map(|link| Some(fs::read_link(link.path()).ok()?.display().to_string()));
    maps.chain(links.filter(|link| link.contains("xfork-shared"))).collect()
}

#[cpu_bound]
fn kept_there() -> Vec<String> {
    kept()
}

/// The sum of a part, where it lies, and how much is kept there altogether.
#[cpu_bound]
fn sum_of(numbers: Shared<[f64]>, from: usize, to: usize) -> (f64, String, usize) {
    (numbers[from..to].iter().sum(), place(&*numbers), kept().len())
}

fn numbers(count: usize) -> Shared<[f64]> {
    Shared::new_with(count, |numbers| (0..).zip(numbers).for_each(|(n, to)| *to = f64::from(n)))
}

#[test]
fn many_tasks_read_the_same_pages_which_each_worker_maps_once() {
    deadline(MINUTE, || {
        with_plan(Plan::processes(2), || {
            let numbers = numbers(1 << 20);
            let here = place(&*numbers);
            assert!(here.ends_with("/memfd:xfork-shared (deleted)"), "{here}");
            let parts: Vec<_> = (0..64).map(|n| fork(sum_of, (&numbers, n << 14, (n + 1) << 14))).collect();
            let mut total = 0.0;
            for part in parts {
                let (sum, there, kept) = (*part).clone();
                total += sum;
                assert_eq!(there, here, "the same file");
                assert_eq!(kept, 1, "one mapping and no descriptor");
            }
            assert_eq!(total, numbers.iter().sum::<f64>());
        });
    });
}

#[test]
fn workers_forget_what_the_program_has_dropped() {
    deadline(MINUTES, || {
        with_plan(Plan::processes(1), || {
            for round in 0..300 {
                let (one, other) = (numbers(4096 + round), numbers(4096));
                assert_eq!(fork(sum_of, (&one, 0, 2)).2, 1);
                assert_eq!(fork(sum_of, (&other, 0, 2)).2, 2);
                drop(one);
                assert_eq!(fork(sum_of, (other.clone(), 0, 2)).2, 1);
                let places = [place(&*other)];
                drop(other);
                assert_eq!(fork(kept_there, ()), Vec::<String>::new());
                let left: Vec<_> =
                    kept().into_iter().filter(|line| places.iter().any(|p| line.contains(p))).collect();
                assert_eq!(left, [""; 0]);
            }
        });
    });
}

#[test]
fn a_task_keeps_what_it_has_got_after_the_program_has_dropped_it() {
    /// Kept by the worker beyond the task.
    static KEPT: xfork::WorkerLocal<std::cell::RefCell<Option<Shared<[f64]>>>> =
        xfork::WorkerLocal::new(Default::default);
    fn keep(numbers: Shared<[f64]>) {
        KEPT.with(|kept| kept.replace(Some(numbers)));
    }
    fn give_back() -> Option<Shared<[f64]>> {
        KEPT.with(|kept| kept.take())
    }
    deadline(MINUTE, || {
        with_plan(Plan::processes(1), || {
            let numbers = numbers(1 << 16);
            let here = place(&*numbers);
            *process(keep, numbers);
            assert_eq!(fork(kept_there, ()).len(), 1);
            let back = process(give_back, ());
            let back = back.as_ref().unwrap();
            assert_eq!((back[77], place(&**back)), (77.0, here), "it never left the program");
            // Lent anew, while the worker lets go of the first loan.
            assert_eq!(fork(sum_of, (back, 0, 3)).0, 3.0);
            assert_eq!(fork(kept_there, ()).len(), 1);
        });
    });
}

#[test]
fn results_come_back_as_what_was_lent_or_are_shared_from_then_on() {
    fn same(numbers: Shared<[f64]>) -> Shared<[f64]> {
        numbers
    }
    fn made(count: usize) -> Shared<[f64]> {
        numbers(count)
    }
    deadline(MINUTE, || {
        with_plan(Plan::processes(2), || {
            let given = numbers(1 << 16);
            let back = process(same, given.clone());
            assert!(Shared::is_same(&given, &back), "nothing was copied");
            for count in [0, 10, 1 << 16] {
                let made = process(made, count);
                // Not decoded here in between.
                let sums =
                    map(|made: Shared<[f64]>| made.iter().sum::<f64>(), vec![made.clone(), made.clone()]);
                let expected: f64 = numbers(count).iter().sum();
                assert!(sums.into_iter().all(|sum| sum == expected));
                assert_eq!(*made, numbers(count));
                assert_eq!(place(&**made).contains("xfork-shared"), count > 10);
            }
        });
    });
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Model {
    name: Shared<str>,
    weights: Vec<Shared<[f64]>>,
    shape: Option<Shared<[u32; 2]>>,
    text: String,
}

fn model() -> Model {
    let weights = vec![numbers(5000), numbers(10), numbers(6000)];
    Model { name: "näme".into(), weights, shape: Some(Shared::new([3, 4])), text: "text".into() }
}

#[test]
fn shared_memory_stands_anywhere_in_arguments_and_results() {
    fn doubled(
        model: Model,
        more: (Shared<[f64]>, u8),
        numbers: Vec<f64>,
    ) -> (Model, Vec<Shared<[f64]>>, f64) {
        let sum = model.weights.iter().chain([&more.0]).map(|part| part[1]).sum::<f64>() + numbers[0];
        let first = model.weights[0].clone();
        (model, vec![more.0, first], sum + f64::from(more.1))
    }
    deadline(MINUTE, || {
        with_plan(Plan::processes(2), || {
            let (given, more) = (model(), numbers(7000));
            let result = process(doubled, (given.clone(), (more.clone(), 5), vec![2.0; 9]));
            let (back, parts, sum) = &*result;
            assert_eq!((back, *sum), (&given, 4.0 + 5.0 + 2.0));
            assert!(
                Shared::is_same(&back.weights[2], &given.weights[2]) && Shared::is_same(&parts[0], &more)
            );
            assert!(Shared::is_same(&parts[1], &given.weights[0]));
            // As results that only feed another task.
            let (one, other) = (process(|m: Model| m, given.clone()), process(|m: Model| m, given.clone()));
            let equal = process(|a: Model, n: u8, b: Model| a == b && n == 1, (one, 1, other));
            assert!(*equal);
        });
    });
}

#[test]
fn nested_forks_pass_it_on_to_other_workers_and_get_it_back() {
    fn part(numbers: Shared<[f64]>, own: Shared<[u64]>) -> (u32, Shared<[f64]>, Shared<[u64]>, String) {
        let place = place(&*numbers);
        (std::process::id(), numbers, own, place)
    }
    fn parent(numbers: Shared<[f64]>) -> (bool, bool, Shared<[u64]>) {
        let own: Shared<[u64]> = Shared::from(vec![7; 1 << 14]);
        // A task with a limit goes to a process of its own.
        let child = task(part, (numbers.clone(), own.clone())).timeout(Duration::from_secs(60)).fork();
        let (pid, back, same, place_there) = &*child;
        assert_ne!(*pid, std::process::id());
        assert_eq!((*back == numbers, *same == own), (true, true));
        (Shared::is_same(back, &numbers), *place_there == place(&*numbers), same.clone())
    }
    deadline(MINUTE, || {
        with_plan(Plan::processes(2), || {
            let numbers = numbers(1 << 16);
            let outcome = process(parent, numbers.clone());
            assert_eq!(
                (outcome.0, outcome.1),
                (true, true),
                "one mapping, and the same file, in both workers"
            );
            assert_eq!(*outcome.2, [7; 1 << 14]);
            // Nobody holds it in the program when the parent hands it over.
            let outcome = process(parent, numbers);
            assert!(outcome.1);
        });
    });
}

#[test]
fn a_further_try_gets_it_again() {
    fn fails_at_first(numbers: Shared<[f64]>, trace: std::path::PathBuf) -> f64 {
        if fs::File::create_new(trace).is_ok() {
            std::process::abort();
        }
        numbers[9]
    }
    deadline(MINUTE, || {
        let folder = crate::fixture::Folder::new();
        with_plan(Plan::processes(1), || {
            let third = task(fails_at_first, (numbers(1 << 16), folder.file("trace"))).retries(2);
            assert_eq!(third.backoff(Duration::from_millis(1)).fork(), 9.0);
        });
    });
}

#[test]
fn threads_of_the_program_read_the_very_same_bytes() {
    #[io_bound]
    fn address(numbers: Shared<[f64]>) -> usize {
        numbers.as_ptr().addr()
    }
    deadline(MINUTE, || {
        let numbers = numbers(1 << 16);
        for plan in [Plan::threads(), Plan::sequential()] {
            with_plan(plan, || assert_eq!(fork(address, &numbers), numbers.as_ptr().addr()));
        }
        assert_eq!(fork(address, xfork::ready(numbers.clone())), numbers.as_ptr().addr());
    });
}

#[test]
fn a_limit_on_the_memory_of_a_task_does_not_count_what_it_was_lent() {
    deadline(MINUTE, || {
        with_plan(Plan::processes(1), || {
            let numbers = numbers(16 << 20);
            let first = task(sum_of, (&numbers, 0, 16 << 20)).memory(32 << 20).fork();
            assert_eq!(wait(&first).unwrap().0, numbers.iter().sum::<f64>());
        });
    });
}
