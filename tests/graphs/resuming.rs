//! What survives the process: graphs that are saved and loaded, and runs that are killed and go on.

use crate::fixture::{Count, Folder, plus, square, told, total};
use crate::within;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use xfork::graph::in_progress;
use xfork::{
    Graph, GraphError, GraphFault, Node, Outcome, Plan, RunOptions, cpu_bound, io_bound, task, with_plan,
};

/// Says in the environment that this binary runs the graph of a test, and where.
const FOLDER: &str = "XFORK_GRAPHS_FOLDER";

/// Notes in a file that a task runs: one short write, which no kill cuts.
fn note(folder: &Path, name: &str) {
    use std::io::Write as _;
    let mut file = fs::OpenOptions::new().append(true).create(true).open(folder.join("ran")).unwrap();
    file.write_all(format!("{name}\n").as_bytes()).unwrap();
}

#[cpu_bound]
fn leaf(folder: &Path, number: u64) -> u64 {
    note(folder, &format!("leaf {number}"));
    // Some work, so that kills hit tasks and not only what is between them.
    (0..40_000).fold(number, |value, step| value.wrapping_mul(31).rotate_left(7) ^ step)
}

#[io_bound]
fn join(folder: &Path, name: String, one: u64, other: u64) -> u64 {
    note(folder, &name);
    one.wrapping_mul(3) ^ other
}

/// A tree over 64 leaves: leaves in worker processes, the rest on threads.
fn tree(folder: &Path) -> (Graph, Node<u64>) {
    let mut graph = Graph::new();
    let leaves = (0..64).map(|n| graph.add(format!("leaf {n}"), task(leaf, (folder, n))).unwrap());
    let mut level: Vec<Node<u64>> = leaves.collect();
    for height in 1.. {
        if level.len() == 1 {
            break;
        }
        let pairs = level.chunks(2).enumerate().map(|(place, pair)| {
            let name = format!("join {height}.{place}");
            graph.add(&name, task(join, (folder, name.clone(), &pair[0], &pair[1])).saved()).unwrap()
        });
        level = pairs.collect();
    }
    let root = level.remove(0);
    (graph, root)
}

/// The program that is killed: says that it has begun, runs the graph, and says what came of it.
fn program(folder: &Path) {
    let (mut graph, root) = tree(folder);
    graph.keep_in(folder.join("kept")).unwrap();
    println!("\nbegun");
    let outcomes = with_plan(Plan::processes(2), || graph.run()).unwrap();
    println!("\nresult {}", outcomes[&root]);
}

fn start(folder: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "--exact",
        "resuming::a_run_that_is_killed_fifty_times_ends_with_the_same_results",
        "--nocapture",
    ]);
    command.env(FOLDER, folder).env_remove("RUST_BACKTRACE");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// The names of the tasks whose results are in the file.
fn saved(folder: &Path) -> BTreeSet<String> {
    let (mut graph, _) = tree(folder);
    if folder.join("kept").exists() {
        graph.load(folder.join("kept")).unwrap();
    }
    graph.done().into_iter().map(str::to_owned).collect()
}

/// What has run since the last time.
fn ran(folder: &Path) -> Vec<String> {
    let ran = fs::read_to_string(folder.join("ran")).unwrap_or_default();
    let _ = fs::remove_file(folder.join("ran"));
    ran.lines().map(str::to_owned).collect()
}

/// Rows TM-16, AM-14: killed by SIGKILL at whatever moment, it goes on where it was.
#[test]
fn a_run_that_is_killed_fifty_times_ends_with_the_same_results() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return program(Path::new(&folder));
    }
    within(300, || {
        let expected = {
            let folder = Folder::new();
            let (mut graph, root) = tree(folder.path());
            with_plan(Plan::sequential(), || graph.run()).unwrap()[&root]
        };
        let (mut kills, mut rounds, mut seed) = (0, 0, 0x9e37_79b9_u64);
        while kills < 50 {
            rounds += 1;
            let folder = Folder::new();
            let result = loop {
                let known = saved(folder.path());
                let mut child = start(folder.path());
                let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
                let begun = lines.any(|line| line == "begun");
                assert!(begun, "it did not begin");
                // A moment in the run: so many tasks have been noted.
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let moment = known.len() + (seed >> 33) as usize % (160 - known.len());
                let count = || fs::read_to_string(folder.file("ran")).unwrap_or_default().lines().count();
                while child.try_wait().unwrap().is_none() && known.len() + count() < moment {
                    std::thread::yield_now();
                }
                let is_killed = child.try_wait().unwrap().is_none() && child.kill().is_ok();
                child.wait().unwrap();
                let result = lines.find_map(|line| line.strip_prefix("result ")?.parse::<u64>().ok());
                let again: Vec<_> =
                    ran(folder.path()).into_iter().filter(|name| known.contains(name)).collect();
                assert_eq!(again, [""; 0], "they had been saved, and have been run again");
                match result {
                    Some(result) => break result,
                    None => assert!(is_killed, "it ended without a result"),
                }
                kills += 1;
                let unfinished = in_progress(folder.file("kept")).unwrap();
                let done = saved(folder.path());
                assert!(done.is_superset(&known), "what was saved is lost");
                assert!(unfinished.iter().all(|task| !done.contains(&task.name)));
            };
            assert_eq!(result, expected);
            assert_eq!(saved(folder.path()).len(), 127);
            assert!(in_progress(folder.file("kept")).unwrap().is_empty());
        }
        assert!(rounds < 100);
    });
}

fn faults(error: GraphError) -> Vec<GraphFault> {
    error.faults().to_vec()
}

/// What is saved is what is loaded, states included; what can't be saved is told.
#[test]
fn a_saved_graph_has_the_same_results_and_states_in_a_later_process() {
    fn build(calls: &Count) -> Graph {
        let mut graph = Graph::new();
        let nine = graph.add("nine", task(square, 3)).unwrap();
        graph.add("sum", task(plus, (&nine, 1))).unwrap();
        graph.add("broken", task(io_bound(|| -> i32 { panic!("no connection") }), ()).saved()).unwrap();
        graph.add_named("needs it", io_bound(|n: i32| n), ["broken"]);
        let count = |calls: Count| calls.add();
        graph.add("not saved", task(io_bound(count), calls.clone())).unwrap();
        graph.add("saved by wish", task(io_bound(count), calls.clone()).saved()).unwrap();
        graph
    }
    within(60, || {
        let folder = Folder::new();
        let file = folder.file("graph");
        let calls = Count::default();
        let mut graph = build(&calls);
        let before = told(&graph.run().unwrap());
        assert_eq!(graph.save(&file).unwrap(), ["not saved"]);
        assert_eq!(calls.get(), 2);

        let mut later = build(&calls);
        assert_eq!(later.load(&file).unwrap(), 4);
        assert_eq!(later.done(), ["nine", "sum", "saved by wish"]);
        let loaded = later.results();
        assert_eq!(loaded.value::<i64>("sum").unwrap(), &10);
        let Outcome::Failed(error) = loaded.outcome("broken").unwrap() else { panic!("{loaded:?}") };
        assert!(error.is_panic() && error.message() == "no connection", "{error}");
        assert_eq!(told(&later.run().unwrap()), before);
        assert_eq!(calls.get(), 3, "only what was not saved has run");
    });
}

/// A save replaces the file at once; of what can't be written nothing is left, and the old file is as it was.
#[test]
fn a_save_that_fails_leaves_the_old_file_as_it_was() {
    within(60, || {
        let folder = Folder::new();
        let mut graph = Graph::new();
        graph.add("nine", task(square, 3)).unwrap();
        graph.run().unwrap();
        fs::write(folder.file("letter"), "dear").unwrap();
        for bad in [folder.file("letter"), folder.file("no/such/folder"), folder.path().to_owned()] {
            let fault = faults(graph.save(&bad).unwrap_err()).remove(0);
            let GraphFault::Store(error) = fault else { panic!("{fault}") };
            assert!(error.to_string().contains(&format!("{:?}", error.path())), "{error}");
        }
        assert_eq!(fs::read_to_string(folder.file("letter")).unwrap(), "dear");
        let kept = folder.file("kept");
        graph.keep_in(&kept).unwrap();
        let bytes = fs::read(&kept).unwrap();
        let fault = faults(Graph::new().save(&kept).unwrap_err()).remove(0);
        assert!(matches!(&fault, GraphFault::Store(error) if error.is_locked()), "{fault}");
        let fault = faults(Graph::new().keep_in(&kept).unwrap_err()).remove(0);
        assert!(matches!(&fault, GraphFault::Store(error) if error.is_locked()), "{fault}");
        assert_eq!(fs::read(&kept).unwrap(), bytes);
    });
}

/// A result of another type than the task has by now is an error that says so; the graph and the file stay as they were.
#[test]
fn a_result_of_another_type_is_refused() {
    within(60, || {
        let folder = Folder::new();
        let file = folder.file("graph");
        let mut graph = Graph::new();
        graph.add("a", task(square, 3)).unwrap();
        graph.add("b", task(square, 4)).unwrap();
        graph.run().unwrap();
        graph.save(&file).unwrap();
        let bytes = fs::read(&file).unwrap();

        let mut changed = Graph::new();
        changed.add("a", task(square, 3)).unwrap();
        let line = line!() + 1;
        changed.add("b", task(cpu_bound(|n: i64| n.to_string()), 4)).unwrap();
        let error = changed.load(&file).unwrap_err();
        let text = error.to_string();
        for part in ["`b`", &format!("{}:{line}:", file!()), "`alloc::string::String`", "`i64`"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(changed.done().is_empty());
        assert_eq!(changed.keep_in(&file).unwrap_err().to_string(), text);
        assert_eq!(fs::read(&file).unwrap(), bytes);
    });
}

/// A type that is built in one of several ways, as by several builds of a program.
#[derive(Clone, Debug, PartialEq)]
struct Span {
    from: f64,
    to: f64,
}

/// Which of them is running.
static BUILD: AtomicU32 = AtomicU32::new(0);

macro_rules! built {
    ($($build:literal: $name:ident { $($field:ident: $type:ty = $value:ident),* })*) => {
        $(#[derive(serde::Serialize, serde::Deserialize)]
        #[serde(rename = "Span")]
        struct $name { $($field: $type),* })*

        impl serde::Serialize for Span {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match BUILD.load(Ordering::Relaxed) {
                    $($build => $name { $($field: self.$value as $type),* }.serialize(serializer),)*
                    other => panic!("there is no build {other}"),
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for Span {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                match BUILD.load(Ordering::Relaxed) {
                    $($build => {
                        let $name { $($field),* } = serde::Deserialize::deserialize(deserializer)?;
                        Ok(Span { $($value: $field as f64),* })
                    })*
                    other => panic!("there is no build {other}"),
                }
            }
        }
    };
}

built! {
    0: First { from: f64 = from, to: f64 = to }
    1: Swapped { to: f64 = to, from: f64 = from }
    2: Renamed { from: f64 = from, end: f64 = to }
    // Of which the old bytes are not even a value.
    3: Narrowed { from: f32 = from, to: f32 = to }
}

#[cpu_bound]
fn spans(count: u32) -> Vec<Option<Span>> {
    (0..count).map(|n| Some(Span { from: f64::from(n), to: f64::from(n + 1) })).collect()
}

/// A type of the same name that is built differently by now is an error that says so; graph and file stay as they were.
#[test]
fn a_result_whose_type_was_built_differently_is_refused() {
    within(60, || {
        let build = |count| {
            let mut graph = Graph::new();
            graph.add("nine", task(square, 3)).unwrap();
            graph.add("spans", task(spans, count)).unwrap();
            graph
        };
        // Results that workers have encoded, and those that were made here.
        for (plan, count) in [(Plan::processes(1), 3), (Plan::sequential(), 3), (Plan::processes(1), 0)] {
            let folder = Folder::new();
            let file = folder.file("graph");
            let mut graph = build(count);
            with_plan(plan, || graph.run()).unwrap();
            graph.save(&file).unwrap();
            let bytes = fs::read(&file).unwrap();
            let value = graph.results().value::<Vec<Option<Span>>>("spans").unwrap().clone();
            assert_eq!(value.len(), count as usize);

            for other in 1..4 {
                BUILD.store(other, Ordering::Relaxed);
                let mut changed = build(count);
                let loaded = changed.load(&file);
                BUILD.store(0, Ordering::Relaxed);
                if count == 0 {
                    assert_eq!(loaded.unwrap(), 2, "nothing of it is in an empty list");
                    continue;
                }
                let text = loaded.unwrap_err().to_string();
                for part in ["`spans`", "Span", "built differently", "renamed", "build it as it was then"] {
                    assert!(text.contains(part), "build {other}: {text}");
                }
                assert!(changed.done().is_empty());
                assert_eq!(fs::read(&file).unwrap(), bytes);
            }
            let mut same = build(count);
            assert_eq!(same.keep_in(&file).unwrap(), 2);
            assert_eq!(same.results().value::<Vec<Option<Span>>>("spans").unwrap(), &value);
        }
    });
}

/// Files that are cut, of nobody or not there are errors, and are left as they are.
#[test]
fn a_file_that_can_not_be_read_is_an_error() {
    within(60, || {
        let folder = Folder::new();
        let file = folder.file("graph");
        let build = || {
            let mut graph = Graph::new();
            graph.add("nine", task(square, 3)).unwrap();
            graph
        };
        let fault = faults(build().load(&file).unwrap_err()).remove(0);
        assert!(
            matches!(fault, GraphFault::Store(error) if error.io_kind() == Some(std::io::ErrorKind::NotFound))
        );
        let mut graph = build();
        graph.run().unwrap();
        graph.save(&file).unwrap();
        let whole = fs::read(&file).unwrap();
        for len in 0..whole.len() {
            fs::write(&file, &whole[..len]).unwrap();
            let mut later = build();
            match later.load(&file) {
                // Cut between records it is an older file.
                Ok(0) => {}
                Ok(_) => assert_eq!(later.results().value::<i64>("nine").unwrap(), &9, "cut at {len}"),
                Err(error) => {
                    let fault = faults(error).remove(0);
                    assert!(
                        matches!(&fault, GraphFault::Store(error) if error.is_corrupt()),
                        "{len}: {fault}"
                    );
                }
            }
            assert_eq!(fs::read(&file).unwrap(), whole[..len]);
        }
        fs::write(&file, "dear").unwrap();
        assert!(build().keep_in(&file).is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "dear");
    });
}

/// What is reset, replaced or marked between two runs is what the file says after the next.
#[test]
fn a_kept_graph_keeps_what_was_changed() {
    within(60, || {
        let folder = Folder::new();
        let file = folder.file("graph");
        let build = || {
            let mut graph = Graph::new();
            graph.add("a", task(square, 3)).unwrap();
            graph.add_named("b", square, ["a"]);
            graph
        };
        let mut graph = build();
        assert_eq!(graph.keep_in(&file).unwrap(), 0);
        graph.run().unwrap();
        let says = |a: i64, b: i64| {
            let mut later = build();
            assert_eq!(later.load(&file).unwrap(), 2);
            assert_eq!(later.results().value::<i64>("a").unwrap(), &a);
            assert_eq!(later.results().value::<i64>("b").unwrap(), &b);
        };
        says(9, 81);
        graph.mark_done("a", 2_i64).unwrap();
        graph.reset(["b"]).unwrap();
        assert_eq!(graph.run().unwrap().value::<i64>("b").unwrap(), &4);
        says(2, 4);
        graph.replace("a", task(square, 1)).unwrap();
        assert_eq!(graph.run().unwrap().value::<i64>("b").unwrap(), &1);
        says(1, 1);
        drop(graph);
        // What is done before the file is there, and what is added after it.
        let mut later = Graph::new();
        later.add("a", task(square, 2)).unwrap();
        later.run().unwrap();
        assert_eq!(later.keep_in(&file).unwrap(), 0);
        later.add_named("b", square, ["a"]);
        assert_eq!(later.run().unwrap().value::<i64>("b").unwrap(), &1, "it was in the file");
        says(4, 1);
    });
}

/// What a run was doing when it was stopped is not in progress any more, and runs again.
#[test]
fn what_was_cancelled_is_run_again_by_the_next_program() {
    within(60, || {
        let folder = Folder::new();
        let file = folder.file("graph");
        let build = |wait: bool| {
            let mut graph = Graph::new();
            graph.add("three", task(total, vec![1, 2])).unwrap();
            let slow = cpu_bound(|wait: bool| {
                if wait {
                    loop {
                        std::thread::park();
                    }
                }
                1_i64
            });
            graph.add("slow", task(slow, wait)).unwrap();
            graph
        };
        let mut graph = build(true);
        graph.keep_in(&file).unwrap();
        let options = RunOptions::new().timeout(std::time::Duration::from_millis(500));
        let outcomes = with_plan(Plan::processes(2), || graph.run_with(options)).unwrap();
        assert!(matches!(outcomes.outcome("slow").unwrap(), Outcome::Skipped(_)), "{outcomes:?}");
        drop(graph);
        assert!(in_progress(&file).unwrap().is_empty());
        let mut later = build(false);
        assert_eq!(later.keep_in(&file).unwrap(), 1);
        assert_eq!(later.run().unwrap().value::<i64>("slow").unwrap(), &1);
    });
}
