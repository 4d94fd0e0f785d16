//! Shared memory: what becomes of it when workers die, descriptors run out or files can't be made, and who may say what of it.

use crate::e_sandbox::deny;
use crate::fixture::{
    Dir, Started, alone, alone_for, double, ended, ends_within, hear_pid, kill, open_descriptors,
    own_process, pool, program, quiet, run_if_permitted, tell, within,
};
use crate::own::limit_descriptors;
use std::fs;
use std::time::Duration;
use xfork::{Plan, Shared, process, with_plan};

/// The mappings and descriptors of shared memory that a process has.
fn kept_by(pid: &str) -> usize {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let links = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let links = links.filter_map(|link| Some(fs::read_link(link.path()).ok()?.display().to_string()));
    maps.lines().filter(|line| line.contains("xfork-shared")).count()
        + links.filter(|link| link.contains("xfork-shared")).count()
}

fn shared(length: usize) -> Shared<[u32]> {
    Shared::new_with(length, |numbers| (0..).zip(numbers).for_each(|(n, to)| *to = n))
}

fn last(numbers: Shared<[u32]>) -> u32 {
    numbers[numbers.len() - 1]
}

fn kept() -> usize {
    kept_by("self")
}

fn tell_and_hang(numbers: Shared<[u32]>, pipe: String) -> u64 {
    tell(&pipe, &std::process::id().to_string());
    std::hint::black_box(numbers);
    hang_on()
}

fn hang_on() -> u64 {
    loop {
        std::thread::park();
    }
}

/// Rows 9 and 59: a worker that is killed while it reads shared memory costs its task, and no memory: what the program has dropped
/// is given back, and what it has kept goes to the next worker.
#[test]
fn a_worker_that_is_killed_holds_no_shared_memory() {
    alone(|| {
        pool(1, || {
            let kept_here = shared(1 << 20);
            for _ in 0..5 {
                let dir = Dir::new();
                let pipe = dir.pipe("pid");
                let dropped = shared(1 << 20);
                let last = process(tell_and_hang, (dropped, pipe.clone()));
                let also = process(last_of_both, (kept_here.clone(), shared(1 << 19)));
                let worker = hear_pid(&pipe);
                kill(worker, libc::SIGKILL);
                assert!(ended(last).unwrap_err().is_crash());
                assert_eq!(ended(also).unwrap(), (1 << 20) - 1 + (1 << 19) - 1);
                assert!(ends_within(worker, Duration::from_secs(5)));
                // The mapping and the descriptor of what is kept.
                let is_given_back = || kept() == 2;
                assert!(within(Duration::from_secs(5), is_given_back), "{}", kept());
            }
            drop(kept_here);
            assert_eq!(ended(process(kept, ())).unwrap(), 0);
            assert!(within(Duration::from_secs(5), || kept() == 0), "{}", kept());
        });
    });
}

fn last_of_both(one: Shared<[u32]>, other: Shared<[u32]>) -> u32 {
    last(one) + last(other)
}

/// Row 112: whatever passes through, nothing is kept: neither descriptors nor mappings, in the program or in a worker.
#[test]
fn thousands_of_shared_values_leave_nothing() {
    alone_for(Duration::from_secs(120), || {
        let seconds = std::env::var("XFORK_SOAK_SECONDS").ok().and_then(|text| text.parse().ok());
        let begin = std::time::Instant::now();
        with_plan(Plan::processes(2), || {
            let before = open_descriptors();
            let again = |round| match seconds {
                Some(seconds) => begin.elapsed() < Duration::from_secs(seconds),
                None => round < 40,
            };
            let workers: Vec<u32> = (0..4).map(|_| ended(process(own_process, ())).unwrap()).collect();
            for _ in (0..).take_while(|round| again(*round)) {
                let values: Vec<_> = (0..50).map(|n| shared(5000 + n)).collect();
                let tasks: Vec<_> = values.iter().map(|value| process(last, value.clone())).collect();
                let made: Vec<_> = (0..5).map(|n| process(shared, 5000 + n)).collect();
                let back: Vec<_> =
                    values.iter().map(|value| process(|v: Shared<[u32]>| v, value.clone())).collect();
                for (n, task) in (0..).zip(tasks) {
                    assert_eq!(ended(task).unwrap(), 4999 + n);
                }
                for (n, value) in (0..).zip(made) {
                    assert_eq!(last(ended(value).unwrap()), 4999 + n);
                }
                drop(values);
                for (n, value) in (0..).zip(back) {
                    assert_eq!(last(ended(value).unwrap()), 4999 + n);
                }
            }
            let are_gone = || {
                let there = workers.iter().map(|worker| kept_by(&worker.to_string()));
                kept() + there.sum::<usize>() == 0 && open_descriptors() <= before + 8
            };
            let pids: Vec<_> = workers.iter().map(|worker| kept_by(&worker.to_string())).collect();
            assert!(within(Duration::from_secs(10), are_gone), "{} here, {pids:?} there", kept());
        });
    });
}

/// Row 71: where descriptors run out, values go as bytes: in the program, which uses a part of them only, and in a worker.
#[test]
fn where_descriptors_are_few_values_travel_as_bytes() {
    alone(|| {
        let before = limit_descriptors(256);
        pool(1, || {
            let values: Vec<_> = (0..300).map(|n| shared(5000 + n)).collect();
            assert_eq!(kept(), 2 * 64, "a quarter of the descriptors, and a mapping for each");
            for (n, value) in (0..).zip(&values) {
                assert_eq!(ended(process(last, value)).unwrap(), 4999 + n);
            }
            assert_eq!(ended(process(kept, ())).unwrap(), 64);
            drop(values);
            assert_eq!(ended(process(kept, ())).unwrap(), 0);
            // The worker can't take one descriptor more.
            ended(process(|| _ = limit_descriptors(3), ())).unwrap();
            let value = shared(1 << 20);
            let worker = ended(process(own_process, ())).unwrap().to_string();
            let both = process(last_of_both, (value.clone(), shared(1 << 19)));
            assert_eq!(ended(both).unwrap(), (1 << 20) - 1 + (1 << 19) - 1);
            for _ in 0..3 {
                assert_eq!(ended(process(last, &value)).unwrap(), (1 << 20) - 1);
                assert_eq!(kept_by(&worker), 0);
            }
        });
        limit_descriptors(before);
    });
}

fn sum_of_lasts(values: Vec<Shared<[u32]>>) -> (u64, usize) {
    let kept = kept();
    (values.into_iter().map(|value| u64::from(last(value))).sum(), kept)
}

/// Row 56: what a worker is lent at once may be more than its socket takes: the rest is written as the worker reads, and
/// neither waits for the other for ever. Where few descriptors may be open, less is lent, and the rest is bytes.
#[test]
fn more_loans_than_a_socket_takes_arrive_with_one_task() {
    alone(|| {
        pool(1, || {
            let values: Vec<_> = (0..3000).map(|n| shared(5000 + n)).collect();
            let sum = (0..3000_u64).map(|n| 4999 + n).sum::<u64>();
            let lent = kept() / 2;
            for _ in 0..2 {
                assert_eq!(ended(process(sum_of_lasts, &values)).unwrap(), (sum, lent));
            }
            drop(values);
            assert!(within(Duration::from_secs(5), || ended(process(kept, ())).unwrap() == 0));
            assert!(within(Duration::from_secs(5), || kept() == 0), "{}", kept());
        });
    });
}

fn close_all() {
    // SAFETY: takes numbers. What owned these descriptors is wrong from here on; that is the point.
    unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) };
}

/// Row 18: a task closes its worker's socket, through which loans come. What that worker can't be lent any more is read
/// by another; nothing else fails.
#[test]
fn a_task_that_closes_its_workers_socket_costs_nobody_a_shared_value() {
    alone(|| {
        pool(2, || {
            for round in 0..10 {
                // Quick ones, so that some are sent ahead.
                let before: Vec<_> = (0..20).map(|n| process(double, n)).collect();
                let broken = process(close_all, ());
                let values: Vec<_> = (0..20).map(|n| shared(5000 + n)).collect();
                let behind: Vec<_> = values.iter().map(|value| process(last, value)).collect();
                if let Err(error) = ended(broken) {
                    assert!(error.is_crash() || error.is_transport(), "{round}: {error}");
                }
                before.into_iter().for_each(|task| assert!(ended(task).is_ok(), "{round}"));
                for (n, task) in (0..).zip(behind) {
                    assert_eq!(ended(task).unwrap_or_else(|error| panic!("{round}: {error}")), 4999 + n);
                }
            }
        });
    });
}

/// Row 83: seccomp denies memfd_create, or the sealing of files: values travel as bytes, and are the same.
#[test]
fn where_no_file_can_be_made_values_travel_as_bytes() {
    for calls in [
        &[libc::SYS_memfd_create][..],
        &[libc::SYS_memfd_create, libc::SYS_pidfd_open],
        &[libc::SYS_pwrite64, libc::SYS_ftruncate],
    ] {
        for error in [libc::EPERM, libc::ENOSYS] {
            let mut command = quiet(program("shares_where_no_file_can_be_made"));
            deny(&mut command, calls, error);
            let Some(ended) = run_if_permitted("filters of system calls", command) else { return };
            assert!(ended.code() == Some(0) && ended.stdout.contains("all is well"), "{error}: {ended:?}");
        }
    }
}

pub(crate) fn shares_where_no_file_can_be_made() {
    with_plan(Plan::processes(2), || {
        let value = shared(1 << 18);
        assert_eq!(kept(), 0);
        let tasks: Vec<_> = (0..8).map(|_| process(|value: Shared<[u32]>| value, &value)).collect();
        for task in tasks {
            assert_eq!(ended(task).unwrap(), value);
        }
        assert_eq!(last(ended(process(shared, 9000)).unwrap()), 8999);
    });
    println!("all is well");
}

/// Row 60: a program that is killed leaves no shared memory: no worker, and no file with a name.
#[test]
fn a_program_that_is_killed_leaves_no_shared_memory() {
    let named = || {
        let names = fs::read_dir("/dev/shm").into_iter().flatten().flatten();
        names.filter(|entry| entry.file_name().to_string_lossy().contains("xfork")).count()
    };
    let dir = Dir::new();
    let pipe = dir.pipe("pid");
    let mut command = quiet(program("shares_and_hangs"));
    command.env("PIPE", &pipe);
    let before = named();
    let started = Started::new("shares_and_hangs", command);
    let worker = hear_pid(&pipe);
    assert!(kept_by(&worker.to_string()) == 1 && kept_by(&started.group().to_string()) == 2);
    assert_eq!(named(), before);
    // SAFETY: takes numbers; to the program only, not to its group.
    unsafe { assert_eq!(libc::kill(started.group(), libc::SIGKILL), 0) };
    assert_eq!(started.wait(Duration::from_secs(30)).signal(), Some(libc::SIGKILL));
    assert!(ends_within(worker, Duration::from_secs(1)));
    assert_eq!(named(), before);
}

pub(crate) fn shares_and_hangs() {
    xfork::plan(Plan::processes(1));
    let value = shared(1 << 18);
    let _ = ended(process(tell_and_hang, (&value, std::env::var("PIPE").unwrap())));
}

/// Row 68: a copy of the program, made by `fork`, that lets go of shared memory takes it from nobody.
#[test]
fn a_copy_of_the_program_takes_shared_memory_from_nobody() {
    alone(|| {
        pool(1, || {
            let value = shared(1 << 18);
            assert_eq!(ended(process(last, &value)).unwrap(), (1 << 18) - 1);
            // SAFETY: the copy drops a value, which takes locks that no other thread holds now, and ends at once.
            let copy = unsafe { libc::fork() };
            if copy == 0 {
                drop(value);
                // SAFETY: ends the process at once.
                unsafe { libc::_exit(0) };
            }
            let mut status = 0;
            // SAFETY: `status` outlives the call; the child is ours and has not been waited for.
            assert_eq!(unsafe { libc::waitpid(copy, &raw mut status, 0) }, copy);
            assert_eq!(status, 0);
            assert_eq!(
                ended(process(|value: Shared<[u32]>| (last(value), kept()), &value)).unwrap(),
                ((1 << 18) - 1, 1)
            );
            assert_eq!(ended(process(double, 21)).unwrap(), 42);
        });
    });
}
