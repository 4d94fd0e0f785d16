//! What the command line of a bench asks for.
//!
//! Cargo passes `--bench`; without it the bench runs as a test, and is to end within seconds and leave nothing behind.
//! A bench may also be started by hand, as a program that was carried to another machine: then `--bench` has to be given,
//! and `XFORK_BENCH_OUT` names the folder for what it writes.

use std::path::{Path, PathBuf};

/// How much of the bench is to run.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Extent {
    /// All of it, with sizes that give numbers to quote.
    Full,
    /// A few rounds with small sizes, for orders of magnitude.
    Quick,
    /// The same, to see whether it runs; writes no file.
    Test,
}

/// `None` if the program shall only list its tests, of which it has none.
pub(crate) fn extent() -> Option<Extent> {
    if is_asked("--list") {
        None
    } else if !is_asked("--bench") || is_asked("--test") {
        Some(Extent::Test)
    } else if is_asked("--quick") {
        Some(Extent::Quick)
    } else {
        Some(Extent::Full)
    }
}

pub(crate) fn is_asked(option: &str) -> bool {
    std::env::args().any(|given| given == option)
}

impl Extent {
    /// What numbers of tasks and sizes are divided by.
    pub(crate) fn scale(self) -> usize {
        if self == Self::Full { 1 } else { 50 }
    }
}

/// The folder for results: `target/bench` where the program was built, `bench` in the current folder elsewhere.
pub(crate) fn folder() -> PathBuf {
    let built = Path::new(env!("CARGO_TARGET_TMPDIR"));
    match std::env::var_os("XFORK_BENCH_OUT") {
        Some(folder) => folder.into(),
        None if built.exists() => built.with_file_name("bench"),
        None => PathBuf::from("bench"),
    }
}

/// Writes a result, and says where it is.
pub(crate) fn write(name: &str, text: &str) {
    let folder = folder();
    let file = folder.join(name);
    match std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&file, text)) {
        Ok(()) => println!("written to {}", file.display()),
        Err(error) => println!("not written to {}: {error}", file.display()),
    }
}
