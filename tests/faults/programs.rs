//! Programs with an end of their own: functions that a test has run in a new process of this binary.

use crate::fixture::{
    chosen_program, descriptors_of, double, ended, ends_within, hang, hear, kill, tell,
    the_next_task_succeeds, within,
};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::time::Duration;
use xfork::{Plan, process, thread};

/// Set to a file, has every worker leave a trace there and end before it is one.
pub(crate) const DIE_AT_BOOT: &str = "XFORK_FAULTS_DIE_AT_BOOT";

/// Set to two pipes, has every worker tell the first its number, and wait for the second, before it is one.
pub(crate) const WAIT_AT_BOOT: &str = "XFORK_FAULTS_WAIT_AT_BOOT";

/// Runs before the hook that makes a process a worker.
extern "C" fn at_boot() {
    if std::env::var_os("XFORK_WORKER").is_none() {
        return;
    }
    if let Ok(trace) = std::env::var(DIE_AT_BOOT) {
        crate::fixture::leave_a_trace(trace);
        // SAFETY: takes a number.
        unsafe { libc::_exit(77) };
    }
    if let Ok(pipes) = std::env::var(WAIT_AT_BOOT)
        && let Some((started, gate)) = pipes.split_once(':')
    {
        tell(started, &std::process::id().to_string());
        hear(gate);
    }
}

// SAFETY: a section of functions without arguments, and this is one; it needs nothing of std that is set up by `main`.
#[used]
#[unsafe(link_section = ".init_array.00001")]
static AT_LOAD: extern "C" fn() = at_boot;

#[test]
#[ignore = "run by other tests, in a process of its own"]
fn program() {
    match chosen_program().as_deref() {
        None => {}
        Some("uses_a_panicked_task") => uses_a_panicked_task(),
        Some("uses_a_crashed_task") => crate::crashes::uses_a_crashed_task(),
        Some("exits_in_a_pool_thread") => exits_in_a_pool_thread(),
        Some("exits_in_a_task_in_place") => exits_in_a_task_in_place(),
        Some("exits_while_serialising") => exits_while_serialising(),
        Some("exits_in_two_threads") => exits_in_two_threads(),
        Some("forks_in_an_exit_function") => forks_in_an_exit_function(),
        Some("runs_two_endless_tasks") => runs_two_endless_tasks(),
        Some("boots_workers") => boots_workers(),
        Some("handles_interrupts") => handles_interrupts(),
        Some("is_interrupted") => is_interrupted(),
        Some("is_interrupted_in_a_pause") => is_interrupted_in_a_pause(),
        Some("boots_a_worker") => boots_a_worker(),
        Some("runs_without_stdio") => runs_without_stdio(),
        Some("loses_its_binary") => loses_its_binary(),
        Some("says_hello") => println!("hello {}", *process(double, 21)),
        Some("fails_with_a_pool") => fails_with_a_pool(),
        Some("drops_a_failure") => drops_a_failure(),
        Some("nests_and_hangs") => nests_and_hangs(),
        Some("lacks_descriptors") => crate::c_numbers::lacks_descriptors(),
        Some("is_stopped_and_goes_on") => crate::d_signals::is_stopped_and_goes_on(),
        Some("becomes_a_daemon") => crate::d_copies::becomes_a_daemon(),
        Some("is_process_number_one") => crate::d_copies::is_process_number_one(),
        Some("panics_without_its_file") => crate::e_image::panics_without_its_file(),
        Some("shares_where_no_file_can_be_made") => crate::shared::shares_where_no_file_can_be_made(),
        Some("computes_where_memory_is_not_shared") => crate::memory::computes_where_memory_is_not_shared(),
        Some("shares_and_hangs") => crate::shared::shares_and_hangs(),
        Some(other) => panic!("there is no program {other}"),
    }
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn small_test_one() {
    the_next_task_succeeds();
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn small_test_two() {
    println!("a test that prints");
    the_next_task_succeeds();
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn small_test_three() {
    xfork::with_plan(Plan::processes(1), the_next_task_succeeds);
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap()
}

fn uses_a_panicked_task() {
    let broken = process(|way: u32| crate::a_task::panic_in_some_way(way), 2);
    catch_unwind(AssertUnwindSafe(|| *broken)).unwrap_err();
}

fn exits_in_a_pool_thread() {
    let _task = thread(|| -> u64 { std::process::exit(5) }, ());
    loop {
        std::thread::park();
    }
}

fn exits_in_a_task_in_place() {
    xfork::with_plan(Plan::sequential(), || drop(thread(|| -> u64 { std::process::exit(5) }, ())));
    unreachable!("the program has ended");
}

fn exits_while_serialising() {
    #[derive(serde::Deserialize)]
    struct Ends;
    impl serde::Serialize for Ends {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            std::process::exit(5)
        }
    }
    xfork::plan(Plan::processes(1));
    the_next_task_succeeds();
    // A worker is free, so the arguments are serialised here and now.
    drop(process(|_: Ends| 1_u64, Ends));
    unreachable!("the program has ended");
}

fn exits_in_two_threads() {
    the_next_task_succeeds();
    drop(process(double, 1));
    let barrier = Barrier::new(2);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                barrier.wait();
                std::process::exit(5)
            });
        }
    });
}

extern "C" fn fork_late() {
    eprintln!("after the end: {:?}", ended(process(double, 21)));
}

fn forks_in_an_exit_function() {
    // Registered before ours, so called after it.
    // SAFETY: a function without arguments that lives as long as the program.
    assert_eq!(unsafe { libc::atexit(fork_late) }, 0);
    the_next_task_succeeds();
    std::process::exit(0);
}

fn runs_two_endless_tasks() {
    xfork::plan(Plan::processes(2));
    let pipes = variable("PIPES");
    let pipes: Vec<_> = pipes.split(':').collect();
    let tasks: Vec<_> = pipes.iter().map(|&pipe| process(hang, pipe)).collect();
    if let Ok(word) = std::env::var("ABORT") {
        hear(&word);
        std::process::abort();
    }
    for task in tasks {
        let _ = ended(task);
    }
}

fn boots_workers() {
    xfork::plan(Plan::processes(3));
    for task in xfork::map_process(double, 0..6_u64) {
        let _ = ended(task);
    }
    // Whoever started this program kills it now or has done so.
    loop {
        std::thread::park();
    }
}

fn is_interrupted() {
    fn first(started: String, gate: String) -> u64 {
        tell(&started, "started");
        hear(&gate);
        1
    }
    xfork::plan(if variable("PLAN") == "threads" { Plan::threads() } else { Plan::processes(1) });
    let first = process(first, (variable("INNER"), variable("GATE")));
    let rest = xfork::map_process(double, 0..40_u64);
    hear(&variable("INNER"));
    // The pool knows by now that the first has started when it has read everything and sleeps again.
    let state_of = |name: &str| {
        let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
        let mut stats = tasks.filter_map(|task| fs::read_to_string(task.path().join("stat")).ok());
        stats.find(|stat| stat.contains(name)).unwrap_or(") S ".into())
    };
    assert!(within(Duration::from_secs(20), || state_of("(xfork-driver)").contains(") S ")));
    tell(&variable("STARTED"), "started");
    println!("first {}", *first);
    println!("second {}", *rest[0]);
    println!("last {}", *rest[39]);
}

fn is_interrupted_in_a_pause() {
    fn fails(started: String) -> u64 {
        tell(&started, "started");
        panic!("again")
    }
    xfork::plan(if variable("PLAN") == "threads" { Plan::threads() } else { Plan::processes(1) });
    let patient = xfork::Limits::new().retries(1).backoff(Duration::from_secs(3600));
    let failed = ended(xfork::task(fails, variable("STARTED")).limits(patient).fork()).unwrap_err();
    println!("failed: {failed}");
}

fn boots_a_worker() {
    xfork::plan(Plan::processes(1));
    println!("{:?}", ended(process(double, 21)).map_err(|error| error.is_cancelled()));
}

fn handles_interrupts() {
    extern "C" fn ignore(_: i32) {}
    fn wait_for(started: String, gate: String) -> String {
        tell(&started, &std::process::id().to_string());
        hear(&gate)
    }
    let ignore: extern "C" fn(i32) = ignore;
    // SAFETY: the handler does nothing.
    unsafe { libc::signal(libc::SIGINT, ignore as libc::sighandler_t) };
    xfork::plan(Plan::processes(1));
    println!("{:?}", ended(process(wait_for, (variable("STARTED"), variable("GATE")))));
}

fn runs_without_stdio() {
    fn look() -> String {
        println!("printed by a task");
        eprintln!("printed by a task");
        let standard = ["0: ", "1: ", "2: "];
        let all = descriptors_of("self").into_iter();
        all.filter(|fd| standard.iter().any(|start| fd.starts_with(start))).collect::<Vec<_>>().join("\n")
    }
    if variable("HOW") == "inside" {
        // SAFETY: takes numbers; nobody prints before the end.
        (0..3).for_each(|fd| unsafe { _ = libc::close(fd) });
    }
    let seen = ended(process(look, ()));
    let value = ended(process(double, 21));
    let ours = descriptors_of("self").into_iter();
    let ours: Vec<_> =
        ours.filter(|fd| ["0: ", "1: ", "2: "].iter().any(|start| fd.starts_with(start))).collect();
    fs::write(variable("OUT"), format!("{}\nours {ours:?}\nvalue {}", seen.unwrap(), value.unwrap()))
        .unwrap();
    std::process::exit(0);
}

fn loses_its_binary() {
    xfork::plan(Plan::processes(1));
    let (exe, other) = (variable("EXE"), format!("{}other", variable("DIR")));
    println!("value {}", *process(double, 21));
    let worker = *process(std::process::id, ());
    let replace_by = |file: &str| {
        fs::copy(file, &other).unwrap();
        fs::rename(&other, &exe).unwrap();
    };
    match variable("WHAT").as_str() {
        "delete" => fs::remove_file(&exe).unwrap(),
        "true" => replace_by("/bin/true"),
        _ => replace_by(&variable("OTHER")),
    }
    kill(worker, libc::SIGKILL);
    assert!(ends_within(worker, Duration::from_secs(5)));
    println!("value {}", *process(double, 21));
    assert_ne!(*process(std::process::id, ()), worker);
}

fn fails_with_a_pool() {
    assert_eq!(*process(double, 1), 2);
    let _unawaited = xfork::map_process(double, 0..10_u64);
    panic!("this test fails");
}

fn drops_a_failure() {
    fn fail() -> u64 {
        panic!("dropped unseen")
    }
    xfork::plan(Plan::processes(1));
    drop(process(fail, ()));
    std::process::exit(0);
}

fn nest_and_hang(depth: u64, pipe: String) -> u64 {
    if depth == 0 { hang(pipe) } else { *process(nest_and_hang, (depth - 1, pipe)) }
}

fn nests_and_hangs() {
    xfork::plan(Plan::processes(3));
    let _ = ended(process(nest_and_hang, (5, variable("PIPE"))));
}
