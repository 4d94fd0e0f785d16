//! Tasks that fork tasks: any nesting, any depth, any number, on any number of workers, without deadlock.

use std::path::Path;
use std::sync::Barrier;

use crate::fixture::{Folder, Gate, MINUTE, MINUTES, deadline, fail, own_pid, square, stop_at};
use xfork::{
    Plan, ResultProxy, cpu_bound, fork, io_bound, map, map_process, process, thread, wait, wait_timeout,
    with_plan,
};

#[cpu_bound]
fn deep(n: u32) -> u32 {
    if n == 0 { 0 } else { *fork(deep, n - 1) + 1 }
}

#[io_bound]
fn deep_io(n: u32) -> u32 {
    if n == 0 { 0 } else { *fork(deep_io, n - 1) + 1 }
}

/// Io in cpu in io ….
#[cpu_bound]
fn alternating(n: u32) -> u32 {
    if n == 0 { 0 } else { *fork(alternating_io, n - 1) + 1 }
}

#[io_bound]
fn alternating_io(n: u32) -> u32 {
    if n == 0 { 0 } else { *fork(alternating, n - 1) + 1 }
}

/// XF-41: fork inside fork, no deadlock: a thousand tasks each of which waits for the next, on one worker and on two.
#[test]
fn cpu_bound_tasks_nest_a_thousand_deep() {
    deadline(MINUTES, || {
        for workers in [1, 2] {
            with_plan(Plan::processes(workers), || assert_eq!(*fork(deep, 1000), 1000));
        }
    });
}

/// XF-41: the same on threads, where no more than one may run at a time.
#[test]
fn io_bound_tasks_nest_deeper_than_there_are_threads() {
    deadline(MINUTES, || {
        for depth in [50, 1000] {
            with_plan(Plan::processes(1).io_threads(1), || assert_eq!(*fork(deep_io, depth), depth));
        }
    });
}

/// XF-41: in any io/cpu nesting.
#[test]
fn cpu_and_io_bound_tasks_nest_in_each_other() {
    deadline(MINUTES, || {
        for plan in
            [Plan::processes(1).io_threads(1), Plan::processes(2), Plan::threads(), Plan::sequential()]
        {
            with_plan(plan, || {
                assert_eq!(*fork(alternating, 30), 30);
                assert_eq!(*fork(alternating_io, 31), 31);
            });
        }
    });
}

/// XF-41: several trees of tasks at once, each wider than there are workers.
#[test]
fn trees_of_tasks_share_few_workers() {
    #[cpu_bound]
    fn tree(depth: u32) -> u64 {
        if depth == 0 {
            1
        } else {
            map(tree, [depth - 1; 3]).iter().sum::<ResultProxy<u64>>().count_ones().into()
        }
    }
    #[cpu_bound]
    fn leaves(depth: u32) -> u64 {
        if depth == 0 { 1 } else { *map(leaves, [depth - 1; 3]).iter().sum::<ResultProxy<u64>>() }
    }
    deadline(MINUTES, || {
        for workers in [1, 2, 3] {
            with_plan(Plan::processes(workers), || {
                let mixed = fork(tree, 4);
                assert!(map(leaves, [5; 4]).iter().all(|count| **count == 243));
                assert!(wait(&mixed).is_ok());
            });
        }
    });
}

#[cpu_bound]
fn leave_files(gate: &Path, folder: &Path, count: u32) -> u32 {
    for n in 0..count {
        fork(stop_then_write, (gate, folder.join(n.to_string())));
    }
    count
}

#[io_bound]
fn leave_files_io(gate: &Path, folder: &Path, count: u32) -> u32 {
    leave_files(gate, folder, count)
}

#[cpu_bound]
fn stop_then_write(gate: &Path, path: &Path) {
    stop_at(gate, 0);
    std::fs::write(path, "").unwrap();
}

/// XF-42: the parent's result is delivered only after all its children finished, even unforced ones (4 files present).
#[test]
fn a_result_is_delivered_after_the_tasks_own_forks_have_finished() {
    deadline(MINUTE, || {
        for workers in [1, 2] {
            with_plan(Plan::processes(workers), || {
                let starts: [fn(&Gate, &Folder) -> ResultProxy<u32>; 3] = [
                    |gate, folder| fork(leave_files, (gate.path(), folder.path(), 4)),
                    |gate, folder| fork(leave_files_io, (gate.path(), folder.path(), 4)),
                    |gate, folder| thread(leave_files, (gate.path(), folder.path(), 4)),
                ];
                for start in starts {
                    let (gate, folder) = (Gate::new(), Folder::new());
                    let p = start(&gate, &folder);
                    for _ in 0..4 {
                        let stopped = gate.next();
                        assert!(
                            wait_timeout(&p, std::time::Duration::from_millis(1)).unwrap_err().is_timeout()
                        );
                        stopped.let_go();
                    }
                    assert_eq!(*p, 4);
                    assert_eq!(folder.count(), 4);
                }
            });
        }
    });
}

/// XF-42: and those of its forks' forks.
#[test]
fn a_result_is_delivered_after_the_forks_of_its_forks() {
    #[cpu_bound]
    fn spread(depth: u32, path: &Path) {
        if depth == 0 {
            std::fs::write(path, "").unwrap();
            return;
        }
        for n in 0..3 {
            fork(
                spread,
                (
                    depth - 1,
                    path.with_file_name(format!("{}{n}", path.file_name().unwrap().to_str().unwrap())),
                ),
            );
        }
    }
    deadline(MINUTE, || {
        let folder = Folder::new();
        wait(&fork(spread, (3, folder.file("f")))).unwrap();
        assert_eq!(folder.count(), 27);
    });
}

/// XF-42, XF-44: a fork that fails unseen does not fail the task that forked it.
#[test]
fn a_failed_fork_that_nobody_reads_does_not_fail_its_parent() {
    #[cpu_bound]
    fn careless() -> u32 {
        fork(fail, "unseen by its parent");
        7
    }
    xfork::report_unseen_failures(false);
    deadline(MINUTE, || assert_eq!((*fork(careless, ()), *thread(careless, ())), (7, 7)));
}

/// XF-40, XF-41: a hundred thousand tasks that do nothing, on one worker and on two.
#[test]
fn a_hundred_thousand_tasks_that_do_nothing() {
    #[cpu_bound]
    fn nothing(n: u32) -> u32 {
        n
    }
    deadline(MINUTES, || {
        for workers in [1, 2] {
            with_plan(Plan::processes(workers), || {
                let all = map(nothing, 0..100_000);
                assert!(all.iter().enumerate().all(|(n, p)| **p == n as u32));
            });
        }
    });
}

/// XF-41: as many on threads.
#[test]
fn a_hundred_thousand_tasks_on_threads() {
    deadline(MINUTES, || {
        let all = xfork::map_thread(|n: u32| n, 0..100_000);
        assert!(all.iter().enumerate().all(|(n, p)| **p == n as u32));
    });
}

/// XF-41: forks of one task run on other workers as well, at the same time.
#[test]
fn the_forks_of_one_task_run_on_several_workers_at_once() {
    #[cpu_bound]
    fn fan_out(gate: &Path) -> Vec<u32> {
        map(crate::fixture::pass, [(gate, 1), (gate, 2)]).into_iter().map(ResultProxy::into_inner).collect()
    }
    deadline(MINUTE, || {
        with_plan(Plan::processes(2), || {
            let gate = Gate::new();
            let p = fork(fan_out, gate.path());
            // Neither goes on before the other has come.
            let stopped = gate.many(2);
            assert_ne!(stopped[0].pid, stopped[1].pid);
            drop(stopped);
            assert_eq!(p, [1, 2]);
        });
    });
}

/// XF-41: threads that are all blocked in xfork do not keep new tasks from running.
#[test]
fn blocked_threads_do_not_count_against_the_limit_of_io_threads() {
    deadline(MINUTE, || {
        with_plan(Plan::processes(1).io_threads(2), || {
            let gate = Gate::new();
            let first = fork(crate::fixture::pass, (gate.path(), 5));
            let stopped = gate.next();
            let waiting: Vec<_> = (0..20)
                .map(|_| {
                    let first = first.clone();
                    thread(move || *first, ())
                })
                .collect();
            assert_eq!(*thread(|| 3, ()), 3);
            stopped.let_go();
            assert!(waiting.iter().all(|p| **p == 5));
        });
    });
}

/// XF-41: a task on rayon's threads may block in another without starving it.
#[test]
fn tasks_on_rayons_threads_nest_too() {
    deadline(MINUTE, || {
        with_plan(Plan::threads(), || {
            assert_eq!(*fork(deep, 200), 200);
            assert_eq!(*fork(deep_io, 200), 200);
        });
    });
}

/// XF-41, XF-45: many trees forked from many threads.
#[test]
fn trees_forked_from_eight_threads() {
    deadline(MINUTES, || {
        let begin = Barrier::new(8);
        std::thread::scope(|scope| {
            for n in 0..8 {
                let begin = &begin;
                scope.spawn(move || {
                    begin.wait();
                    assert_eq!(*fork(deep, 20 + n), 20 + n);
                });
            }
        });
    });
}

/// XF-05, XF-41: `process` inside a process goes to a worker, `thread` inside a process stays in it.
#[test]
fn thread_and_process_inside_a_worker() {
    deadline(MINUTE, || {
        let (own, on_thread, in_process) =
            *fork(|| (std::process::id(), *thread(own_pid, ()), *process(square, 3)), ());
        assert_eq!(own, on_thread);
        assert_eq!(in_process, 9);
        assert!(map_process(own_pid, [(); 4]).iter().all(|pid| **pid != std::process::id()));
    });
}
