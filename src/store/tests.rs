//! What concerns several files of this folder, and other processes: this program, run again as a child.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory that is gone after the test.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("xfork-store-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(super) fn record(bytes: impl Into<Vec<u8>>) -> Record {
    Record { fingerprint: "u32".into(), outcome: Outcome::Done, bytes: bytes.into() }
}

fn name(number: usize) -> Vec<u8> {
    format!("task {number:06}").into_bytes()
}

/// Mostly short, some longer than what is written without a copy.
fn value(number: usize) -> Vec<u8> {
    let len = if number % 50 == 49 { 270_000 } else { number % 200 };
    (0..len).map(|at| (at * 31 + number) as u8).collect()
}

const ROLE: &str = "XFORK_STORE_ROLE";
const PATH: &str = "XFORK_STORE_PATH";

/// This test program as another process, which runs `role` on `path`; `before` is a command of the shell.
fn child(role: &str, path: &Path, before: &str) -> Child {
    let (_, module) = module_path!().split_once("::").unwrap();
    let test = format!("{module}::a_child_plays_its_role");
    Command::new("sh")
        .args(["-c", &format!("{before}\nexec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &test, "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(PATH, path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// No file of the child may become larger than 50 or 100 KiB, depending on the shell's unit; the signal is ignored, so that
/// writing fails as it does on a full disk.
const SMALL: &str = "trap '' XFSZ; ulimit -f 100";

/// What the child says behind `word`, the next time it says that.
fn said(child: &mut BufReader<std::process::ChildStdout>, word: &str) -> Option<String> {
    loop {
        let mut line = String::new();
        if child.read_line(&mut line).ok()? == 0 {
            return None;
        }
        // libtest may have left its own line unfinished.
        if let Some((_, rest)) = line.split_once(word) {
            return Some(rest.trim().to_owned());
        }
    }
}

/// Only a child has a role.
#[test]
fn a_child_plays_its_role() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let path = PathBuf::from(std::env::var(PATH).unwrap());
    match role.as_str() {
        "hold" => {
            let _store = Store::open(&path).unwrap();
            println!("\nholds: yes");
            let _ = std::io::stdin().read(&mut [0]);
        }
        "write" => {
            let store = Store::open(&path).unwrap();
            let from = store.entries().len();
            let writer = Writer::start(store).unwrap();
            for number in from.. {
                writer.started(&name(number));
                writer.put(&name(number), record(value(number)));
                if number % 7 == 0 {
                    writer.flush().unwrap();
                    println!("\nsaved: {number}");
                }
            }
        }
        "fill" => {
            let writer = Writer::start(Store::open(&path).unwrap()).unwrap();
            writer.put(b"first", record(*b"kept"));
            writer.flush().unwrap();
            for number in 0..400 {
                writer.put(&name(number), record(vec![1; 1000]));
            }
            let error = writer.flush().unwrap_err();
            writer.flush().unwrap();
            println!("\nfull: {} {}", error.is_full(), writer.store().entries().len());
        }
        "replace" => {
            let records = (0..400).map(|number| (name(number), record(vec![1; 1000])));
            let records: Vec<_> = records.collect();
            let records = records.iter().map(|(name, record)| (name.as_slice(), record.clone()));
            println!("\nfull: {}", write_whole(&path, records).unwrap_err().is_full());
        }
        "cache" => {
            let cache = Cache::open(&path, 1 << 30).unwrap();
            let kept = cache.put(&Key::new("f", "1", b"large"), &vec![1; 400_000]);
            let small = cache.put(&Key::new("f", "1", b"small"), &[1; 100]);
            println!("\nfull: {kept} {small} {}", cache.trouble().unwrap().is_full());
        }
        "share" => {
            let cache = Cache::open(&path, 200 * 4096).unwrap();
            let mut found = 0;
            for number in (0..100).cycle().take(2000) {
                let key = Key::new("f", "1", &name(number));
                match cache.get(&key) {
                    Some(bytes) => {
                        assert_eq!(bytes, value(number));
                        found += 1;
                    }
                    None => drop(cache.put(&key, &value(number))),
                }
            }
            println!("\nfound: {found}");
        }
        _ => panic!("no such role: {role}"),
    }
}

#[test]
fn a_store_that_another_process_has_open_is_locked() {
    let scratch = Scratch::new();
    let path = scratch.path("graph");
    let mut holder = child("hold", &path, "");
    let mut out = BufReader::new(holder.stdout.take().unwrap());
    said(&mut out, "holds:").unwrap();

    for error in [Store::open(&path).unwrap_err(), write_whole(&path, []).unwrap_err()] {
        assert!(error.is_locked(), "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        assert!(error.to_string().contains("another process"), "{error}");
        assert_eq!(error.locked_by(), Some(holder.id()));
    }
    assert!(Store::peek(&path).unwrap().entries().is_empty());

    holder.kill().unwrap();
    holder.wait().unwrap();
    Store::open(&path).unwrap();
}

#[test]
fn a_store_that_this_program_has_open_is_locked() {
    let scratch = Scratch::new();
    let store = Store::open(scratch.path("graph")).unwrap();
    let error = Store::open(scratch.path("graph")).unwrap_err();
    assert!(error.is_locked() && error.to_string().contains("this program"), "{error}");
    drop(store);
    Store::open(scratch.path("graph")).unwrap();
}

#[test]
fn a_store_that_is_closed_can_be_opened_while_processes_are_started() {
    let scratch = Scratch::new();
    let path = scratch.path("graph");
    std::thread::scope(|scope| {
        let starting = scope.spawn(|| {
            for _ in 0..50 {
                Command::new("true").status().unwrap();
            }
        });
        while !starting.is_finished() {
            drop(Store::open(&path).unwrap());
            write_whole(&path, []).unwrap();
        }
    });
}

#[test]
fn a_killed_writer_leaves_all_that_it_has_flushed_and_a_beginning_of_the_rest() {
    let scratch = Scratch::new();
    let path = scratch.path("graph");
    let mut least = 0;
    for round in 0..50 {
        let mut writer = child("write", &path, "");
        let mut out = BufReader::new(writer.stdout.take().unwrap());
        for _ in 0..1 + round % 4 {
            least = said(&mut out, "saved:").unwrap().parse::<usize>().unwrap() + 1;
        }
        // Spread over what the writer does between two flushes.
        std::thread::sleep(std::time::Duration::from_micros(round * 61 % 2000));
        writer.kill().unwrap();
        writer.wait().unwrap();
        while let Some(more) = said(&mut out, "saved:") {
            least = more.parse::<usize>().unwrap() + 1;
        }

        let store = Store::open(&path).unwrap();
        let entries = store.entries();
        let results = entries.iter().filter(|entry| entry.result.is_some()).count();
        assert!(results >= least, "{results} of at least {least}");
        for (number, entry) in entries.iter().enumerate() {
            assert_eq!(*entry.name, *name(number));
            let is_last = number + 1 == entries.len();
            match store.get(&entry.name).unwrap() {
                Some(record) => assert_eq!(record.bytes, value(number)),
                None => assert!(is_last && entry.is_in_progress),
            }
        }
        if results < entries.len() {
            // So that the next round begins where this one ended.
            assert_eq!(store.in_progress().len(), 1);
            store.write(&[Change::Remove(name(results).into())]).unwrap();
        }
    }
}

#[test]
fn a_full_disk_is_told_once_and_what_was_saved_stays() {
    let scratch = Scratch::new();
    let path = scratch.path("graph");
    let mut filler = child("fill", &path, SMALL);
    let mut out = BufReader::new(filler.stdout.take().unwrap());
    let full = said(&mut out, "full:").unwrap();
    assert!(filler.wait().unwrap().success());
    let (is_full, count) = full.split_once(' ').unwrap();
    assert_eq!(is_full, "true");

    let store = Store::open(&path).unwrap();
    let count: usize = count.parse().unwrap();
    assert!((30..120).contains(&count), "{count}");
    assert_eq!(store.entries().len(), count);
    assert_eq!(store.get(b"first").unwrap(), Some(record(*b"kept")));
    for entry in store.entries() {
        store.get(&entry.name).unwrap().unwrap();
    }
    store.write(&[Change::Put(b"more".to_vec().into(), record(vec![0; 500_000]))]).unwrap();
}

#[test]
fn a_file_that_cannot_be_replaced_stays_as_it_was() {
    let scratch = Scratch::new();
    let path = scratch.path("graph");
    write_whole(&path, [(&b"old"[..], record(*b"value"))]).unwrap();
    let before = fs::read(&path).unwrap();
    let mut writer = child("replace", &path, SMALL);
    let mut out = BufReader::new(writer.stdout.take().unwrap());
    assert_eq!(said(&mut out, "full:").unwrap(), "true");
    assert!(writer.wait().unwrap().success());
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 1, "nothing is left beside");
}

#[test]
fn a_cache_on_a_full_disk_keeps_what_fits() {
    let scratch = Scratch::new();
    let mut user = child("cache", &scratch.path("cache"), SMALL);
    let mut out = BufReader::new(user.stdout.take().unwrap());
    assert_eq!(said(&mut out, "full:").unwrap(), "false true true");
    assert!(user.wait().unwrap().success());
}

#[test]
fn several_processes_use_one_cache() {
    let scratch = Scratch::new();
    let path = scratch.path("cache");
    let users: Vec<_> = (0..4).map(|_| child("share", &path, "")).collect();
    for mut user in users {
        let mut out = BufReader::new(user.stdout.take().unwrap());
        assert!(said(&mut out, "found:").unwrap().parse::<usize>().unwrap() > 0);
        assert!(user.wait().unwrap().success());
    }
}

/// What has been replaced, removed and cut, with a remark in the middle and none at the end.
fn written(path: &Path) -> Vec<u8> {
    let store = Store::open(path).unwrap();
    let put = |name: &[u8], bytes: &[u8]| Change::Put(name.into(), record(bytes));
    let mark = Mark::now();
    store.append(&[put(b"a", b"one"), Change::Started(b"b"[..].into(), mark)]).unwrap();
    store.append(&[put(b"b", b"two"), Change::Meta(b"m"[..].into(), b"note".to_vec())]).unwrap();
    store.sync().unwrap();
    store.append(&[put(b"c", b"three"), put(b"d", &[4; 60])]).unwrap();
    fs::read(path).unwrap()
}

type Values = Vec<(Box<[u8]>, Vec<u8>)>;

/// The tasks and their values; an error if there is one anywhere.
fn contents(path: &Path) -> Result<Values, StoreError> {
    let store = Store::open(path)?;
    let with_result = store.entries().into_iter().filter(|entry| entry.result.is_some());
    with_result.map(|entry| Ok((entry.name.clone(), store.get(&entry.name)?.unwrap().bytes))).collect()
}

#[test]
fn a_file_that_was_cut_anywhere_is_an_error_or_an_older_store() {
    let scratch = Scratch::new();
    let path = scratch.path("graph");
    let bytes = written(&path);
    let whole = contents(&path).unwrap();
    assert_eq!(whole.len(), 4);
    let mut counts = Vec::new();
    for len in 0..bytes.len() {
        fs::write(&path, &bytes[..len]).unwrap();
        match contents(&path) {
            Ok(part) => {
                assert_eq!(part, whole[..part.len()]);
                counts.push(part.len());
                // And it can be written again.
                Store::open(&path).unwrap().write(&[Change::Remove(b"a"[..].into())]).unwrap();
                assert_eq!(contents(&path).unwrap(), part[part.len().min(1)..]);
            }
            Err(error) => {
                assert!((1..40).contains(&len) && error.is_corrupt(), "{len}: {error}");
                assert_eq!(fs::read(&path).unwrap(), bytes[..len], "it is left as it is");
            }
        }
    }
    assert!(counts.is_sorted());
    assert_eq!((counts[0], counts.last()), (0, Some(&3)));
}

#[test]
fn a_flipped_bit_is_an_error_or_makes_records_absent() {
    let scratch = Scratch::new();
    let path = scratch.path("graph");
    let bytes = written(&path);
    let whole = contents(&path).unwrap();
    let mut errors = 0;
    for at in 0..bytes.len() {
        for bit in [0, 3, 7] {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            fs::write(&path, &flipped).unwrap();
            match contents(&path) {
                // Sums cover every byte, so nothing is flipped unseen.
                Ok(part) => assert!(part.len() < whole.len() && part == whole[..part.len()], "{at}"),
                Err(_) => {
                    errors += 1;
                    assert_eq!(fs::read(&path).unwrap(), flipped, "it is left as it is");
                }
            }
        }
    }
    assert!(errors > 3 * 200);
}

#[test]
fn bytes_of_a_store_within_a_value_are_no_records() {
    let scratch = Scratch::new();
    let (inner, outer) = (scratch.path("inner"), scratch.path("outer"));
    let bytes = written(&inner);
    Store::open(&outer).unwrap().append(&[Change::Put(b"x"[..].into(), record(bytes.clone()))]).unwrap();
    // Cut within the value, and with a head that does not fit.
    let mut cut = fs::read(&outer).unwrap();
    cut.pop();
    cut[50] ^= 1;
    fs::write(&outer, cut).unwrap();
    assert!(contents(&outer).unwrap().is_empty());
}

#[test]
fn other_files_are_refused_and_left_as_they_are() {
    let scratch = Scratch::new();
    let path = scratch.path("file");
    for text in ["#!/bin/sh\n", "xfork task grape, which is no graph at all and long enough"] {
        fs::write(&path, text).unwrap();
        for error in [
            Store::open(&path).unwrap_err(),
            Store::peek(&path).unwrap_err(),
            write_whole(&path, []).unwrap_err(),
        ] {
            assert!(error.is_foreign(), "{error}");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    assert!(Store::open(&scratch.0).unwrap_err().is_foreign());
    assert!(Store::open("/dev/null").unwrap_err().is_foreign());
    let missing = Store::open(scratch.path("no/file")).unwrap_err();
    assert_eq!(missing.io_kind(), Some(std::io::ErrorKind::NotFound));
    assert!(Store::peek(scratch.path("none")).is_err() && !scratch.path("none").exists());
}

#[test]
fn a_store_of_another_version_is_refused_and_left_as_it_is() {
    let scratch = Scratch::new();
    let path = scratch.path("graph");
    let mut bytes = written(&path);
    bytes[16] = 9;
    fs::write(&path, &bytes).unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(error.is_version() && error.to_string().contains("format 9"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

fn change() -> impl Strategy<Value = Change> {
    let name = || prop::sample::select(vec!["a", "b", "c", "d"]).prop_map(|name| name.as_bytes().into());
    let outcome = prop::sample::select(vec![Outcome::Done, Outcome::Failed, Outcome::Marked]);
    let bytes = prop_oneof![
        9 => prop::collection::vec(any::<u8>(), 0..40),
        1 => any::<u8>().prop_map(|byte| vec![byte; 400_000]),
    ];
    prop_oneof![
        6 => (name(), outcome, bytes, "[a-z]{0,3}").prop_map(|(name, outcome, bytes, fingerprint)| {
            Change::Put(name, Record { fingerprint: fingerprint.as_str().into(), outcome, bytes })
        }),
        2 => name().prop_map(Change::Remove),
        2 => name().prop_map(|name| Change::Started(name, Mark::now())),
        2 => name().prop_map(|name| Change::Began(name, Mark::now())),
        2 => name().prop_map(|name| Change::Ended(name, Mark::now())),
        1 => (name(), any::<[u8; 3]>()).prop_map(|(name, note)| Change::Meta(name, note.into())),
    ]
}

type Everything = (Vec<(Entry, Option<Record>)>, Vec<Option<Vec<u8>>>);

fn all(store: &Store) -> Everything {
    let entries = store.entries().into_iter();
    let entries = entries.map(|entry| (entry.clone(), store.get(&entry.name).unwrap()));
    (entries.collect(), [b"a", b"b", b"c", b"d"].map(|name| store.meta(name)).into())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_store_says_what_was_written_after_reopening_and_shrinking(
        changes in prop::collection::vec(prop::collection::vec(change(), 1..6), 0..8),
    ) {
        let scratch = Scratch::new();
        let path = scratch.path("graph");
        let store = Store::open(&path).unwrap();
        let mut results = BTreeMap::new();
        for changes in &changes {
            store.append(changes).unwrap();
            for change in changes {
                match change {
                    Change::Put(name, record) => drop(results.insert(name.clone(), record.clone())),
                    Change::Remove(name) => drop(results.remove(name)),
                    _ => {}
                }
            }
        }
        let before = all(&store);
        let said = before.0.iter().filter_map(|(entry, record)| Some((entry.name.clone(), record.clone()?)));
        prop_assert_eq!(said.collect::<BTreeMap<_, _>>(), results);
        prop_assert_eq!(&all(&Store::peek(&path).unwrap()), &before);
        drop(store);
        let store = Store::open(&path).unwrap();
        prop_assert_eq!(&all(&store), &before);
        drop(store);
        let long = fs::metadata(&path).unwrap().len();
        let store = super::store::open_and_shrink(&path).unwrap();
        prop_assert_eq!(&all(&store), &before);
        prop_assert!(fs::metadata(&path).unwrap().len() <= long + 40);
        store.write(&[Change::Put(b"a"[..].into(), record(*b"again"))]).unwrap();
        drop(store);
        prop_assert_eq!(Store::open(&path).unwrap().get(b"a").unwrap(), Some(record(*b"again")));
    }
}
