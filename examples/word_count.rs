//! A pipeline as a graph: read text files, count the words of each, merge the counts as a tree, write a report.
//!
//! It runs twice: as it comes, which measures what each task costs, and then by the schedule that these costs give. Beside the
//! report it writes pictures: the graph, and the Gantt chart of the schedule above that of the run.
//!
//!     cargo run --release --example word_count                    # the sources of this crate
//!     cargo run --release --example word_count -- FOLDER RESULTS  # all files below FOLDER, into the folder RESULTS

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use xfork::{Graph, Heft, Node, cpu_bound, io_bound, task};

/// How often each word occurs.
type Counts = BTreeMap<String, u64>;

#[io_bound]
fn read(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cpu_bound]
fn count_words(text: &str) -> Counts {
    let mut counts = Counts::new();
    for word in text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()) {
        *counts.entry(word.to_lowercase()).or_default() += 1;
    }
    counts
}

#[cpu_bound]
fn merge(one: Counts, other: Counts) -> Counts {
    let (mut most, few) = if one.len() > other.len() { (one, other) } else { (other, one) };
    for (word, count) in few {
        *most.entry(word).or_default() += count;
    }
    most
}

#[io_bound]
fn write_report(path: &Path, counts: Counts) -> usize {
    let mut words: Vec<_> = counts.iter().collect();
    words.sort_by_key(|&(word, count)| (std::cmp::Reverse(count), word));
    let lines = words.iter().fold(String::new(), |mut lines, (word, count)| {
        let _ = writeln!(lines, "{count:>8} {word}");
        lines
    });
    fs::write(path, lines).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    words.len()
}

/// The graph that counts the words of these files.
fn pipeline(files: &[PathBuf], report: &Path) -> Result<(Graph, Node<usize>), xfork::GraphError> {
    let mut graph = Graph::new();
    let mut level = Vec::new();
    for file in files {
        let name = file.display();
        let text = graph.add(format!("read {name}"), task(read, file))?;
        level.push(graph.add(format!("count {name}"), task(count_words, &text))?);
    }
    if level.is_empty() {
        level.push(graph.add("nothing to count", task(count_words, ""))?);
    }
    // Two and two, until one is left.
    for height in 1.. {
        if level.len() == 1 {
            break;
        }
        let mut next = Vec::new();
        for (place, pair) in level.chunks(2).enumerate() {
            next.push(match pair {
                [one, other] => graph.add(format!("merge {height}.{place}"), task(merge, (one, other)))?,
                _ => pair[0].clone(),
            });
        }
        level = next;
    }
    let words = graph.add("write the report", task(write_report, (report, &level[0])))?;
    Ok((graph, words))
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()? {
            kind if kind.is_dir() => files_below(&entry.path(), found)?,
            kind if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    Ok(())
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begin = Instant::now();
    (work(), begin.elapsed())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let folder = arguments.next().unwrap_or_else(|| "src".into());
    let results = arguments.next().unwrap_or_else(|| std::env::temp_dir().join("xfork-word-count"));
    fs::create_dir_all(&results)?;
    let mut files = Vec::new();
    files_below(&folder, &mut files)?;
    files.sort();

    let report = results.join("report.txt");
    let (mut graph, words) = pipeline(&files, &report)?;
    let (first, as_it_comes) = timed(|| graph.run());
    let first = first?.into_result()?;
    let number_of_words = first[&words];
    let report_of_the_first = fs::read_to_string(&report)?;

    // The costs of the first run schedule the second.
    let workers = std::thread::available_parallelism()?.get();
    let (mut again, words) = pipeline(&files, &report)?;
    again.use_costs(&graph.costs())?;
    let plan = again.schedule(Heft::new(workers))?;
    let (second, by_schedule) = timed(|| again.run_schedule(&plan));
    let second = second?.into_result()?;
    assert_eq!(second[&words], number_of_words);
    assert_eq!(fs::read_to_string(&report)?, report_of_the_first);

    fs::write(results.join("graph.svg"), again.to_svg()?)?;
    fs::write(results.join("gantt.svg"), plan.gantt_svg_beside(&second))?;
    println!("{} tasks over {} files: {number_of_words} words", again.len(), files.len());
    println!("as it comes {as_it_comes:.1?}; by schedule {by_schedule:.1?}");
    println!(
        "planned {:.1} ms on {workers} workers, {:.2} times as fast as one by one",
        plan.makespan() * 1e3,
        plan.speedup()
    );
    println!("report.txt, graph.svg and gantt.svg are in {}", results.display());
    Ok(())
}
