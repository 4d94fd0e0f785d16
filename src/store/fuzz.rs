//! What a fuzzer plays with: the file of a graph, written honestly and then changed by somebody else.
//!
//! `fuzz/fuzz_targets/store.rs` calls it; the inputs found so far lie in `fuzz/corpus/store` and are replayed by the test below.

use super::{Change, Outcome, Record, Store};
use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// The input as choices; zeros behind its end.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    /// One of so many.
    fn below(&mut self, count: usize) -> usize {
        let number = u32::from_le_bytes([self.byte(), self.byte(), self.byte(), 0]);
        number as usize % count.max(1)
    }
}

/// A file that is gone afterwards.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("xfork-store-fuzz-{}-{number}", std::process::id()));
        let _ = fs::remove_file(&path);
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// What was ever written for a task.
type History = HashMap<Box<[u8]>, Vec<Record>>;

/// A file that was changed gives an error and stays as it is, or results that were written for their tasks; and what is
/// written behind them is found again.
///
/// # Panics
///
/// When it doesn't.
pub(crate) fn store(data: &[u8]) {
    let (mut choices, scratch) = (Choices(data), Scratch::new());
    let history = write(&mut choices, &scratch);
    let mut bytes = fs::read(&scratch.0).expect("it was just written");
    for _ in 0..choices.byte() % 5 {
        change(&mut choices, &mut bytes);
    }
    fs::write(&scratch.0, &bytes).expect("there is room");

    let seen = match Store::peek(&scratch.0) {
        Ok(store) => results(&store, &history),
        Err(error) => {
            assert!(error.to_string().contains("xfork-store-fuzz"), "{error}");
            let opened = Store::open(&scratch.0).map(drop);
            // An empty file is a store that nobody has begun yet.
            assert!(opened.is_err() || bytes.is_empty(), "{error}");
            assert!(opened.is_ok() || fs::read(&scratch.0).is_ok_and(|left| left == bytes));
            return;
        }
    };
    let store = Store::open(&scratch.0).expect("it can be read");
    assert_eq!(results(&store, &history), seen);
    let more = Record { fingerprint: "u8".into(), outcome: Outcome::Done, bytes: vec![7; 70] };
    store.append(&[Change::Put(b"more"[..].into(), more.clone())]).expect("there is room");
    drop(store);
    let store = Store::peek(&scratch.0).expect("it was just written");
    assert_eq!(store.get(b"more").expect("it is whole"), Some(more));
    assert_eq!(results(&store, &history), seen);
}

fn write(choices: &mut Choices<'_>, scratch: &Scratch) -> History {
    let store = Store::open(&scratch.0).expect("there is a place for files");
    let mut history = History::new();
    for _ in 0..choices.byte() % 8 {
        let name: Box<[u8]> = vec![b'a' + choices.byte() % 3; choices.below(40)].into();
        let record = Record {
            fingerprint: "type".repeat(choices.below(3)).into(),
            outcome: if choices.byte().is_multiple_of(2) { Outcome::Done } else { Outcome::Failed },
            bytes: vec![choices.byte(); choices.below(3000)],
        };
        let change = match choices.byte() % 4 {
            0 => Change::Remove(name),
            1 => Change::Meta(name, record.bytes),
            _ => {
                history.entry(name.clone()).or_default().push(record.clone());
                Change::Put(name, record)
            }
        };
        store.append(&[change]).expect("there is room");
    }
    history
}

/// Changes the file as a disk, a copy that was stopped, or an editor might.
fn change(choices: &mut Choices<'_>, bytes: &mut Vec<u8>) {
    let (from, to) = (choices.below(bytes.len() + 1), choices.below(bytes.len() + 1));
    let (from, to) = (from.min(to), from.max(to));
    match choices.byte() % 6 {
        0 => bytes.truncate(to),
        1 => drop(bytes.drain(from..to)),
        2 => bytes.extend_from_within(from..to),
        3 => bytes[from..to].fill(choices.byte()),
        4 => bytes.extend(vec![choices.byte(); choices.below(200)]),
        _ => {
            if let Some(byte) = bytes.get_mut(from) {
                *byte ^= 1 << (choices.byte() % 8);
            }
        }
    }
}

/// The results that can be read, each of which was written.
fn results(store: &Store, history: &History) -> HashMap<Box<[u8]>, Option<Record>> {
    let results = store.entries().into_iter().filter(|entry| &*entry.name != b"more").map(|entry| {
        // A damaged result is an error, and no other one's.
        let result = store.get(&entry.name).unwrap_or_default();
        if let Some(result) = &result {
            let written = history.get(&entry.name).is_some_and(|records| records.contains(result));
            assert!(written, "{:?} was never written", entry.name);
        }
        (entry.name, result)
    });
    results.collect()
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::store;
    use proptest::prelude::*;
    use std::fs;
    use std::path::Path;

    #[test]
    fn every_file_of_the_corpus_gives_what_was_written_or_an_error() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/store");
        let files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.len() >= 10, "{}", files.len());
        for file in files {
            // Shown only if it fails.
            println!("{}", file.display());
            store(&fs::read(&file).unwrap());
        }
    }

    proptest! {
        #[test]
        fn a_changed_file_gives_what_was_written_or_an_error(
            data in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            store(&data);
        }
    }
}
