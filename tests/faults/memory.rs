//! Memory that can't be had: for values, in the program or in a worker, and for what both of them have.

use crate::e_sandbox::Call::{self, Any, With};
use crate::e_sandbox::deny_calls;
use crate::fixture::{alone, ended, pool, program, quiet, run_if_permitted};
use crate::own::{address_space, limit_address_space};
use serde::{Deserialize, Serialize};
use xfork::{Plan, Shared, TaskError, map_process, process, with_plan};

/// More than a process gets, and less than one needs to see what comes of it.
const LARGE: usize = 192 << 20;
/// What it gets.
const ROOM: u64 = 80 << 20;

#[derive(Clone, Serialize, Deserialize)]
struct Text(String);

fn vector(length: usize) -> Vec<u8> {
    vec![7; length]
}

fn text(length: usize) -> Text {
    Text("x".repeat(length))
}

fn length(vector: Vec<u8>) -> usize {
    vector.len()
}

fn length_of_text(Text(text): Text) -> usize {
    text.len()
}

/// As long as `body` runs, this process gets no more memory than a little.
fn with_little_memory<T>(body: impl FnOnce() -> T) -> T {
    let before = limit_address_space(address_space() + ROOM);
    let value = body();
    limit_address_space(before);
    value
}

/// From now on this worker gets no more memory than a little.
fn live_on_little() -> u32 {
    limit_address_space(address_space() + ROOM);
    std::process::id()
}

fn assert_lacks_memory(error: &TaskError, what: &str) {
    let text = error.to_string();
    assert!(error.is_out_of_memory() && error.is_transport() && !error.is_crash(), "{text}");
    assert!(text.contains(what) && text.contains("no memory to receive"), "{text}");
}

/// Row 12: allocation failure (RLIMIT_AS; 1<<60): parent fine. Here it is the program that has no memory for a result.
#[test]
fn a_result_that_the_program_has_no_memory_for_costs_its_task_only() {
    alone(|| {
        pool(1, || {
            let worker = ended(process(std::process::id, ())).unwrap();
            with_little_memory(|| {
                let before = process(length, vec![1; 1000]);
                let tasks = (process(vector, LARGE), process(text, LARGE));
                let items = map_process(vector, [10, LARGE, 20, LARGE, 30]);
                let behind = process(length, vec![1; 2000]);
                assert_lacks_memory(&ended(tasks.0).unwrap_err(), "the result of");
                assert_lacks_memory(&ended(tasks.1).map(|_| ()).unwrap_err(), "the result of");
                for (item, expected) in items.into_iter().zip([10, LARGE, 20, LARGE, 30]) {
                    match ended(item) {
                        Ok(vector) => assert!(expected < LARGE && vector.len() == expected),
                        Err(error) if expected == LARGE => assert_lacks_memory(&error, "the result of"),
                        Err(error) => panic!("{error}"),
                    }
                }
                assert_eq!((ended(before).unwrap(), ended(behind).unwrap()), (1000, 2000));
                assert_eq!(ended(process(std::process::id, ())).unwrap(), worker, "it is not to blame");
                let shared = |length: usize| Shared::<[u8]>::new_with(length, |_| ());
                // The list of what a result mentions stands before it: nobody knows any more whose result it is.
                assert_lacks_memory(
                    &ended(process(shared, LARGE)).map(|_| ()).unwrap_err(),
                    "the message of",
                );
            });
            let whole = ended(process(vector, LARGE)).unwrap();
            assert!(whole.len() == LARGE && whole.iter().all(|byte| *byte == 7));
        });
    });
}

/// Row 12, and contract C2: a failure touches only that task. Here it is the worker that has no memory for arguments, and lives on.
#[test]
fn arguments_that_a_worker_has_no_memory_for_cost_their_task_only() {
    alone(|| {
        pool(1, || {
            let worker = ended(process(live_on_little, ())).unwrap();
            let before = process(length, vec![1; 1000]);
            let large = (process(length, vector(LARGE)), process(length_of_text, text(LARGE)));
            let items = map_process(length, [vector(10), vector(LARGE), vector(20)]);
            let behind = process(length, vec![1; 2000]);
            assert_lacks_memory(&ended(large.0).unwrap_err(), "the arguments of");
            assert_lacks_memory(&ended(large.1).unwrap_err(), "the arguments of");
            let items: Vec<_> = items.into_iter().map(ended).collect();
            assert_eq!((items[0].as_ref().unwrap(), items[2].as_ref().unwrap()), (&10, &20));
            assert_lacks_memory(items[1].as_ref().unwrap_err(), "the arguments of");
            assert_eq!((ended(before).unwrap(), ended(behind).unwrap()), (1000, 2000));
            assert_eq!(ended(process(std::process::id, ())).unwrap(), worker, "it lives");
        });
    });
}

/// Row 26: "arguments that refuse to be serialised"; here since there is no memory for their bytes.
#[test]
fn arguments_that_there_is_no_memory_to_encode_are_an_error_of_that_task() {
    alone(|| {
        pool(1, || {
            assert_eq!(ended(process(length, vec![1; 10])).unwrap(), 10);
            let (large, also) = (xfork::ready(text(LARGE)), xfork::ready(vector(LARGE)));
            with_little_memory(|| {
                let tasks = (process(length_of_text, &large), process(length, &also));
                let behind = process(length, vec![1; 2000]);
                for error in [ended(tasks.0).unwrap_err(), ended(tasks.1).unwrap_err()] {
                    assert!(
                        error.is_transport() && error.to_string().contains("no memory for its bytes"),
                        "{error}"
                    );
                }
                assert_eq!(ended(behind).unwrap(), 2000);
            });
            assert_eq!(ended(process(length, &also)).unwrap(), LARGE);
        });
    });
}

/// What a task may do that needs memory which both processes have, or is faster with it.
pub(crate) fn computes_where_memory_is_not_shared() {
    with_plan(Plan::processes(2), || {
        let numbers: Vec<f64> = (0..1 << 20).map(f64::from).collect();
        let (there, back) = (numbers.clone(), process(|numbers: Vec<f64>| numbers, numbers));
        assert!(ended(back).unwrap() == there);
        let items: Vec<_> = map_process(|n: u32| n + 1, 0..5000).into_iter().map(ended).collect();
        assert!(items.into_iter().map(Result::unwrap).eq(1..=5000));
        let shared =
            Shared::<[u32]>::new_with(1 << 18, |numbers| (0..).zip(numbers).for_each(|(n, to)| *to = n));
        assert_eq!(ended(process(|numbers: Shared<[u32]>| numbers, &shared)).unwrap(), shared);
        let error = ended(process(|| -> u8 { std::process::abort() }, ())).unwrap_err();
        assert!(error.is_crash() && error.signal() == Some(libc::SIGABRT), "{error}");
        assert_eq!(ended(process(length, vec![1; 3])).unwrap(), 3);
    });
    println!("all is well");
}

/// Row 83: seccomp denies what shared memory needs: tasks travel through sockets, which is said once. What is only faster with it is not
/// missed.
#[test]
fn where_memory_can_not_be_shared_tasks_travel_through_sockets_and_it_is_said_once() {
    let add_seals = With(libc::SYS_fcntl, 1, libc::F_ADD_SEALS as u32);
    let get_seals = With(libc::SYS_fcntl, 1, libc::F_GET_SEALS as u32);
    let map_shared = With(libc::SYS_mmap, 3, libc::MAP_SHARED as u32);
    // Those of this process's own locks have other numbers.
    let (sleep, wake) = (
        With(libc::SYS_futex, 1, libc::FUTEX_WAIT as u32),
        With(libc::SYS_futex, 1, libc::FUTEX_WAKE as u32),
    );
    let large_pages = With(libc::SYS_madvise, 2, libc::MADV_HUGEPAGE as u32);
    let cases: [(&str, &[Call], bool); 9] = [
        ("memory files", &[Any(libc::SYS_memfd_create)], true),
        ("sealing", &[add_seals], true),
        ("asking for seals", &[get_seals], true),
        ("shared mappings", &[map_shared], true),
        ("sleeping on a futex", &[sleep], true),
        ("waking on a futex", &[wake], true),
        ("all of these", &[add_seals, get_seals, map_shared, sleep, wake, large_pages], true),
        ("large pages", &[large_pages], false),
        ("locked memory", &[Any(libc::SYS_mlock), Any(libc::SYS_mlock2), Any(libc::SYS_mlockall)], false),
    ];
    let through_sockets = std::env::var("XFORK_TRANSPORT").is_ok_and(|transport| transport == "socket");
    for (what, calls, is_missed) in cases {
        for error in [libc::EPERM, libc::ENOSYS, libc::EINVAL] {
            let mut command = quiet(program("computes_where_memory_is_not_shared"));
            deny_calls(&mut command, calls, error);
            let Some(ended) = run_if_permitted("filters of system calls", command) else { return };
            assert!(
                ended.code() == Some(0) && ended.stdout.contains("all is well"),
                "{what} {error}: {ended:?}"
            );
            let said = ended.stderr.matches("no shared memory for the worker processes").count();
            assert_eq!(said, usize::from(is_missed && !through_sockets), "{what} {error}: {ended:?}");
        }
    }
}

/// Row 83, and containers without `/dev/shm`, or that allow no locked memory: nothing of it is needed.
#[test]
fn neither_a_folder_of_shared_memory_nor_locked_memory_is_needed() {
    let mut command = quiet(program("computes_where_memory_is_not_shared"));
    crate::e_sandbox::without_shared_folder_and_locked_memory(&mut command);
    let Some(ended) = run_if_permitted("own mounts", command) else { return };
    assert!(ended.code() == Some(0) && ended.stdout.contains("all is well"), "{ended:?}");
    assert!(!ended.stderr.contains("no shared memory"), "{ended:?}");
}
