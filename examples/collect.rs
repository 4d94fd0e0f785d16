//! Many results as one, one result as many: `cargo run --release --example collect`.
//!
//! Nothing here waits before its value is printed or compared: collections and parts are dependencies like any other.

use std::collections::BTreeMap;
use xfork::{Proxied, ResultProxy, cpu_bound, fork, io_bound, map, ready};

#[io_bound]
fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// What is known about a text; the derive adds `CountProxies`, whose fields are proxies.
#[derive(Clone, Debug, PartialEq, Proxied, serde::Serialize, serde::Deserialize)]
struct Count {
    lines: usize,
    words: Vec<String>,
}

#[cpu_bound]
fn count(text: &str) -> Count {
    Count { lines: text.lines().count(), words: text.split_whitespace().map(str::to_lowercase).collect() }
}

#[cpu_bound]
fn pick_longest(words: &[String]) -> String {
    words.iter().max_by_key(|word| word.len()).cloned().unwrap_or_default()
}

#[cpu_bound]
fn tally(words: Vec<String>) -> BTreeMap<String, usize> {
    let mut frequencies = BTreeMap::new();
    for word in words {
        *frequencies.entry(word).or_default() += 1;
    }
    frequencies
}

fn main() {
    // One result as many: each part is forked on by itself.
    let CountProxies { lines, words } = ResultProxy::split(fork(count, "one Two\nthree two".to_string()));
    let longest = fork(pick_longest, &words);
    let frequencies = fork(tally, words);
    let twos = ResultProxy::index(&frequencies, "two");
    assert_eq!(lines + twos, 4);
    assert_eq!(longest, "three");

    // Parts that come from different tasks, as one result.
    let whole = CountProxies { lines: fork(|| 1, ()), words: ready(vec!["one".into()]) }.join();
    assert_eq!(*whole, Count { lines: 1, words: vec!["one".into()] });

    // Many results as one: a list, a text, a map by name, and one more of each.
    let squares: ResultProxy<Vec<u64>> = map(|n: u64| n * n, 1..=4).into_iter().collect();
    assert_eq!(fork(|squares: Vec<u64>| squares.len(), &squares), 4);
    assert_eq!(squares, [1, 4, 9, 16]);
    let mut text: ResultProxy<String> = map(|n: u64| format!("{n};"), 1..=4).into_iter().collect();
    text.extend([ready("end".to_string())]);
    assert_eq!(text, "1;2;3;4;end");

    let paths = ["Cargo.toml", "README.md", "LICENSE"];
    let mut texts: ResultProxy<BTreeMap<&str, String>> =
        paths.iter().map(|path| (*path, fork(read, *path))).collect();
    texts.extend([("no such file", fork(read, "no/such/file"))]);
    let sizes = ResultProxy::map(&texts, |texts| texts.values().map(String::len).sum::<usize>());
    println!("{sizes} bytes in {} files", texts.len());
    assert_eq!(texts["no such file"], "");
}
