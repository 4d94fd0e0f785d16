//! The log of a run: what is in it, when, and what becomes of it when something goes wrong.

use crate::fixture::{Folder, Gate, every_plan, pass, pass_io, square, stderr_of_program};
use crate::within;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use xfork::{Graph, GraphFault, Plan, RunOptions, cpu_bound, io_bound, task, with_plan};

/// A line of a log, taken apart; panics if it is none.
#[derive(Debug, PartialEq)]
struct Line {
    time: String,
    pid: u32,
    /// Such as `started task a`; durations are taken out.
    what: String,
}

fn lines(file: &Path) -> Vec<Line> {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.ends_with('\n'), "{text}");
    text.lines().map(line).collect()
}

fn line(line: &str) -> Line {
    let parts = || -> Option<Line> {
        let (time, rest) = line.split_once(" pid ")?;
        let (pid, what) = rest.split_once(": ")?;
        let is_time = time.len() == "2026-03-01T09:26:53.589793Z".len()
            && time.char_indices().all(|(place, c)| match place {
                4 | 7 => c == '-',
                10 => c == 'T',
                13 | 16 => c == ':',
                19 => c == '.',
                26 => c == 'Z',
                _ => c.is_ascii_digit(),
            });
        Some(Line {
            time: is_time.then(|| time.into())?,
            pid: pid.parse().ok()?,
            what: without_duration(what),
        })
    };
    parts().unwrap_or_else(|| panic!("no line of a log: {line:?}"))
}

fn without_duration(what: &str) -> String {
    let Some((before, after)) = what.split_once(" after ") else { return what.into() };
    let (took, rest) = match after.split_once(": ") {
        Some((took, rest)) => (took, format!(": {rest}")),
        None => (after, String::new()),
    };
    let number = took.trim_end_matches(|c: char| !c.is_ascii_digit());
    assert!(number.parse::<f64>().is_ok(), "no duration: {took}");
    assert!(["s", "ms", "µs", "ns"].contains(&&took[number.len()..]), "{took}");
    format!("{before}{rest}")
}

fn what(file: &Path) -> Vec<String> {
    lines(file).into_iter().map(|line| line.what).collect()
}

/// TM-15: each event is a line: what started, ended, failed and was skipped, between the beginning and the end.
#[test]
fn each_event_of_a_run_is_a_line() {
    within(60, || {
        every_plan(|plan| {
            let folder = Folder::new();
            let file = folder.file("log");
            let mut graph = Graph::new();
            let nine = graph.add("nine", task(square, 3)).unwrap();
            graph.add("a b\n\"c\"", task(square, &nine)).unwrap();
            graph.add_named("broken", io_bound(|_: i64| -> i64 { panic!("one\x1b[1m\nline") }), ["nine"]);
            graph.add_named("needs it", io_bound(|n: i64| n), ["broken"]);
            graph.run_with(RunOptions::new().log(&file)).unwrap();
            let told = what(&file);
            assert_eq!((&*told[0], told.len()), ("run begins: 4 tasks to run", 12), "{plan}: {told:#?}");
            let place = |what: &str| {
                let place = told.iter().position(|line| line == what);
                place.unwrap_or_else(|| panic!("{plan}: no {what} in {told:#?}"))
            };
            for (name, end) in [("nine", "finished"), (r#""a b\n\"c\"""#, "finished")] {
                let (start, end) =
                    (place(&format!("started task {name}")), place(&format!("{end} task {name}")));
                assert!(place("started task nine") <= start && start < end, "{plan}");
                assert!(place(&format!("queued task {name}")) < start, "{plan}: {told:#?}");
            }
            let failed = told.iter().position(|line| line.starts_with("failed task broken: ")).unwrap();
            assert!(told[failed].contains(r"one\u{1b}[1m"), "{}", told[failed]);
            assert!(!told[failed].contains("line"), "{}", told[failed]);
            assert!(place("started task broken") < failed);
            assert!(failed < place(r#"skipped task "needs it": its ancestor `broken` failed"#));
            assert_eq!(told[11], "run ends: 2 finished, 1 failed, 1 skipped");
            assert!(lines(&file).iter().all(|line| line.pid == std::process::id()));

            // A second run is appended.
            graph.run_with(RunOptions::new().log(&file)).unwrap();
            let more = [
                "run begins: 0 tasks to run, 2 done before, 2 failed or skipped before",
                "run ends: 0 finished",
            ];
            assert_eq!(what(&file)[12..], more, "{plan}");
        });
    });
}

/// TM-15: the time is that of the clock on the wall, in UTC, and never goes back within a run.
#[test]
fn lines_have_the_time() {
    within(60, || {
        let folder = Folder::new();
        let file = folder.file("log");
        let seconds = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut graph = Graph::new();
        graph.add_named("a", io_bound(|| 5), []);
        let before = seconds();
        graph.run_with(RunOptions::new().log(&file)).unwrap();
        let after = seconds();
        let times: Vec<String> = lines(&file).into_iter().map(|line| line.time).collect();
        assert!(times.is_sorted(), "{times:?}");
        // What another program makes of it.
        let output = Command::new("date").args(["-u", "-d", &times[0], "+%s"]).output().unwrap();
        let told: u64 = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap();
        assert!((before..=after).contains(&told), "{before} {told} {after}");
    });
}

/// TM-15, TM-16: what has started is in the file before it can do anything, also if it ends the program at once.
#[test]
fn what_a_killed_program_was_at_is_in_the_log() {
    const FILE: &str = "XFORK_GRAPHS_KILLED_LOG";
    if let Some(file) = std::env::var_os(FILE) {
        let mut graph = Graph::new();
        graph.add_named("first", io_bound(|| 1), []);
        graph.add_named("deadly", io_bound(|_: i32| -> i32 { std::process::abort() }), ["first"]);
        graph.add_named("last", io_bound(|n: i32| n), ["deadly"]);
        graph.run_with(RunOptions::new().log(file)).unwrap();
    }
    within(60, || {
        let folder = Folder::new();
        for round in 0..10 {
            let file = folder.file(&format!("log {round}"));
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "logging::what_a_killed_program_was_at_is_in_the_log", "--nocapture"]);
            command.env(FILE, &file).stdout(Stdio::null()).stderr(Stdio::null());
            assert!(!command.status().unwrap().success());
            let told = what(&file);
            let expected = [
                "run begins: 3 tasks to run",
                "queued task first",
                "started task first",
                "finished task first",
                "queued task deadly",
                "started task deadly",
            ];
            assert_eq!(told, expected);
        }
    });
}

/// TM-15: a line that ends something is there soon, though nothing else happens.
#[test]
fn what_has_ended_is_told_while_others_run() {
    within(60, || {
        let (folder, gate) = (Folder::new(), Gate::new());
        let file = folder.file("log");
        let mut graph = Graph::new();
        graph.add("quick", task(io_bound(|| 1), ())).unwrap();
        graph.add("slow", task(pass_io, (gate.path(), 1_u32))).unwrap();
        let options = RunOptions::new().log(&file);
        let run = std::thread::spawn(move || graph.run_with(options).unwrap().is_done());
        let slow = gate.next();
        while !what(&file).contains(&"finished task quick".to_string()) {
            std::thread::yield_now();
        }
        assert!(!what(&file).iter().any(|line| line.ends_with("task slow") && line.starts_with("finished")));
        drop(slow);
        assert!(run.join().unwrap());
        assert_eq!(what(&file).last().unwrap(), "run ends: 2 finished");
    });
}

/// TM-15: what is stopped is told with the reason, and equal tasks with the one that was run.
#[test]
fn the_reasons_of_what_did_not_run_are_told() {
    within(60, || {
        let folder = Folder::new();
        let mut graph = Graph::new();
        for name in ["a", "b"] {
            graph.add(name, task(square, 3)).unwrap();
        }
        graph.remove_duplicates().unwrap();
        graph.add_named("broken", io_bound(|_: i64| -> i64 { panic!("no") }), ["b"]);
        graph.add_named("later", io_bound(|n: i64| n), ["b"]);
        graph.put_before("broken", "later").unwrap();
        graph.add_named("much later", io_bound(|n: i64| n), ["later"]);
        let file = folder.file("log");
        with_plan(Plan::sequential(), || graph.run_with(RunOptions::new().log(&file))).unwrap();
        let expected = [
            "run begins: 5 tasks to run",
            "queued task a",
            "started task a",
            "finished task a",
            "finished task b, which is equal to a",
            "queued task broken",
            "started task broken",
            "failed task broken: ",
            "skipped task later: its ancestor `broken` failed",
            "skipped task \"much later\": its ancestor `broken` failed",
            "run ends: 2 finished, 1 failed, 2 skipped",
        ];
        let told = what(&file);
        assert_eq!(told.len(), expected.len(), "{told:#?}");
        assert!(told.iter().zip(expected).all(|(told, expected)| told.starts_with(expected)), "{told:#?}");

        let mut slow = Graph::new();
        let (hold, held) = std::sync::mpsc::channel::<()>();
        let held = std::sync::Mutex::new(held);
        let held = std::sync::Arc::new(held);
        slow.add_named("slow", io_bound(move || _ = held.lock().unwrap().recv()), []);
        slow.add_named("next", io_bound(|| ()), ["slow"]);
        let file = folder.file("timeout");
        let options = RunOptions::new().log(&file).timeout(Duration::from_millis(20));
        with_plan(Plan::threads(), || slow.run_with(options)).unwrap();
        drop(hold);
        let told = what(&file);
        let reason = "the run took longer than its limit of 20ms";
        for line in [format!("skipped task slow: {reason}"), format!("skipped task next: {reason}")] {
            assert!(told.contains(&line), "{told:#?}");
        }
    });
}

/// TM-15: several programs append to one log, and each line is whole and of one of them.
#[test]
fn several_programs_share_a_log() {
    const FILE: &str = "XFORK_GRAPHS_SHARED_LOG";
    const TASKS: usize = 500;
    let name = |task: usize| format!("task {task} {}", "x".repeat(task % 300));
    if let Some(file) = std::env::var_os(FILE) {
        let mut graph = Graph::new();
        for task in 0..TASKS {
            graph.add_named(name(task), io_bound(|| ()), []);
        }
        assert!(graph.run_with(RunOptions::new().log(file)).unwrap().is_done());
        return;
    }
    within(120, || {
        let folder = Folder::new();
        let file = folder.file("log");
        let start = |_| {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "logging::several_programs_share_a_log"]);
            command.env(FILE, &file).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
        };
        let programs: Vec<_> = (0..4).map(start).collect();
        let pids: BTreeSet<u32> = programs.iter().map(|program| program.id()).collect();
        for mut program in programs {
            assert!(program.wait().unwrap().success());
        }
        let mut told = BTreeMap::<u32, Vec<String>>::new();
        for line in lines(&file) {
            told.entry(line.pid).or_default().push(line.what);
        }
        assert!(told.keys().eq(&pids));
        for mut lines in told.into_values() {
            assert_eq!(lines[0], format!("run begins: {TASKS} tasks to run"));
            assert_eq!(lines.last().unwrap(), &format!("run ends: {TASKS} finished"));
            let mut expected: Vec<String> = (0..TASKS)
                .flat_map(|task| {
                    ["queued", "started", "finished"].map(|what| format!("{what} task {:?}", name(task)))
                })
                .collect();
            lines.pop();
            lines.remove(0);
            lines.sort_unstable();
            expected.sort_unstable();
            assert_eq!(lines, expected);
        }
    });
}

/// TM-15: a full disk costs the log and no result; standard error says so once.
#[test]
fn a_full_disk_costs_only_the_log() {
    let stderr = stderr_of_program(|| {
        let mut graph = Graph::new();
        for task in 0..100 {
            graph.add_named(format!("{task}"), io_bound(move || task), []);
        }
        let outcomes = graph.run_with(RunOptions::new().log("/dev/full")).unwrap();
        assert!(outcomes.is_done());
        assert_eq!(outcomes.value::<i32>("99").unwrap(), &99);
    });
    let Some(stderr) = stderr else { return };
    let told: Vec<&str> = stderr.lines().filter(|line| line.starts_with("xfork:")).collect();
    assert_eq!(told.len(), 1, "{stderr}");
    assert!(told[0].contains(r#"writing the log of a run, "/dev/full": No space left"#), "{stderr}");
    assert!(told[0].ends_with("the run goes on without it"), "{stderr}");
}

/// TM-15: a log that can't be opened is told before anything runs; one that a full disk cut is gone on with on a line of its own.
#[test]
fn a_log_that_can_not_be_opened_is_told_before_anything_runs() {
    within(60, || {
        let folder = Folder::new();
        let mut graph = Graph::new();
        graph.add_named("a", io_bound(|| 5), []);
        let file = folder.file("no/such/folder");
        let error = graph.run_with(RunOptions::new().log(&file)).unwrap_err();
        let [GraphFault::Log { file: told, .. }] = error.faults() else { panic!("{error}") };
        assert_eq!(*told, file);
        let text = error.to_string();
        assert!(text.contains("No such file") && text.contains("nothing has run"), "{text}");
        assert!(graph.done().is_empty());

        let file = folder.file("log");
        fs::write(&file, "half a li").unwrap();
        symlink(&file, folder.file("link")).unwrap();
        graph.run_with(RunOptions::new().log(folder.file("link"))).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        let (cut, rest) = text.split_once('\n').unwrap();
        assert_eq!((cut, rest.lines().map(line).count()), ("half a li", 5));
    });
}

/// TM-15: a run with a log is a run like any other under a schedule, too.
#[test]
fn the_run_of_a_schedule_has_a_log() {
    within(60, || {
        let folder = Folder::new();
        let file = folder.file("log");
        let mut graph = Graph::new();
        graph.add_named("a", cpu_bound(|| 5_i64), []);
        graph.add_named("b", square, ["a"]);
        let schedule = graph.schedule(xfork::Heft::new(2)).unwrap();
        graph.run_schedule_with(&schedule, RunOptions::new().log(&file)).unwrap();
        let expected = [
            "run begins: 2 tasks to run",
            "queued task a",
            "started task a",
            "finished task a",
            "queued task b",
            "started task b",
            "finished task b",
            "run ends: 2 finished",
        ];
        assert_eq!(what(&file), expected);
    });
}

/// TM-16: "`in_progress(path_to_log)` → `{'in_progress': started−finished, 'queued': queued−started}`": of what a killed
/// program had handed over, its file says what ran and what waited, and so does its log.
#[test]
fn what_ran_is_told_from_what_was_queued() {
    const FOLDER: &str = "XFORK_GRAPHS_QUEUED";
    const TASKS: usize = 20;
    if let Some(folder) = std::env::var_os(FOLDER) {
        let folder = PathBuf::from(folder);
        let gate = folder.join("gate");
        let plan = match folder.file_name().unwrap().to_str().unwrap() {
            "processes" => Plan::processes(2),
            _ => Plan::threads().io_threads(2),
        };
        let mut graph = Graph::new();
        graph.add("before", task(square, 3)).unwrap();
        for number in 0..TASKS as u32 {
            let name = format!("task {number}");
            match matches!(folder.file_name(), Some(name) if name == "processes") {
                true => graph.add(name, task(pass, (gate.clone(), number))).unwrap(),
                false => graph.add(name, task(pass_io, (gate.clone(), number))).unwrap(),
            };
        }
        graph.keep_in(folder.join("graph")).unwrap();
        with_plan(plan, || graph.run_with(RunOptions::new().log(folder.join("log")))).unwrap();
        return;
    }
    within(120, || {
        for plan in ["processes", "threads"] {
            let folder = Folder::new();
            let place = folder.file(plan);
            fs::create_dir(&place).unwrap();
            let gate = Gate::at(place.join("gate"));
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "logging::what_ran_is_told_from_what_was_queued", "--nocapture"]);
            command.env(FOLDER, &place).stdout(Stdio::null()).stderr(Stdio::null());
            let mut program = command.spawn().unwrap();
            let stopped = [gate.next(), gate.next()];
            let expected: BTreeSet<String> =
                stopped.iter().map(|stopped| format!("task {}", stopped.label)).collect();
            let unfinished = || xfork::graph::in_progress(place.join("graph")).unwrap();
            let ran = || -> BTreeSet<String> {
                unfinished().into_iter().filter(|task| task.is_running).map(|task| task.name).collect()
            };
            let log = place.join("log");
            let told = |what: &str| -> BTreeSet<String> {
                let whole = fs::read_to_string(&log).unwrap();
                let lines = whole.lines().filter_map(|line| line.split_once(what));
                lines
                    .map(|(_, name)| name.split(" after ").next().unwrap().trim_matches('"').into())
                    .collect()
            };
            let at = || -> BTreeSet<String> { &told(": started task ") - &told(": finished task ") };
            // Both are written by others than those that stopped at the gate.
            while ran() != expected || at() != expected || told(": finished task ").is_empty() {
                std::thread::yield_now();
            }
            program.kill().unwrap();
            program.wait().unwrap();
            let left = unfinished();
            assert!(left.iter().all(|task| task.pid == program.id()));
            assert_eq!((ran(), left.len()), (expected.clone(), TASKS), "{plan}");
            assert_eq!(at(), expected, "{plan}");
            assert_eq!((&told(": queued task ") - &told(": started task ")).len(), TASKS - 2, "{plan}");
        }
    });
}
