//! Random programs of what a synchronized function may contain give the same as without the attributes.

use crate::programs::{Program, program};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

/// How many programs there are, unless the environment says so.
const PROGRAMS: u64 = 60;
const VARIABLE: &str = "XFORK_PROGRAMS";

/// `XFORK_PROGRAMS=10000 cargo test --test synchronized random` compiles and runs so many, and `5000..6000` those.
#[test]
fn random_programs_give_the_same_with_and_without_the_attributes() {
    let (first, end) = match std::env::var(VARIABLE).ok() {
        None => (0, PROGRAMS),
        Some(text) => match text.split_once("..") {
            Some((first, end)) => (first.parse().unwrap(), end.parse().unwrap()),
            None => (0, text.parse().unwrap()),
        },
    };
    const AT_ONCE: u64 = 250;
    let mut begin = first;
    while begin < end {
        let last = (begin + AT_ONCE).min(end);
        check(begin, last);
        begin = last;
    }
}

/// What the test above says about a form of statement it says only if there are such statements.
#[test]
fn random_programs_have_every_form_of_statement() {
    const SEEDS: u64 = 2000;
    let mut found: BTreeMap<&str, u64> = BTreeMap::new();
    let mut panics = 0;
    for seed in 0..SEEDS {
        let program = Program::new(seed, true);
        program.forms.iter().for_each(|form| *found.entry(form).or_default() += 1);
        panics += u64::from(program.panics);
    }
    assert!(panics >= SEEDS / 20, "{panics} may panic");
    assert!(found.len() == FORMS, "{} forms: {found:?}", found.len());
    for (form, count) in found {
        assert!(count >= SEEDS / 100, "`{form}` is in {count} of {SEEDS}");
    }
}

/// How many forms the generator knows.
const FORMS: usize = 96;

/// Builds the programs of these seeds, together for each processor, and runs them.
fn check(first: u64, end: u64) {
    let parts = std::thread::available_parallelism().map_or(1, |count| count.get() as u64).min(end - first);
    let xfork = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("synchronized-random");
    let _ = fs::remove_dir_all(dir.join("src"));
    fs::create_dir_all(dir.join("src/bin")).unwrap();
    let manifest = format!(
        "[workspace]\n[package]\nname = \"programs\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
         [dependencies]\nxfork = {{ path = {:?} }}\n[profile.dev]\ndebug = 0\nincremental = false\n",
        xfork.to_str().unwrap()
    );
    fs::write(dir.join("Cargo.toml"), manifest).unwrap();
    // The versions that xfork itself was built with: they are here without a network.
    if !dir.join("Cargo.lock").exists() {
        let _ = fs::copy(xfork.join("Cargo.lock"), dir.join("Cargo.lock"));
    }
    let bound = |part| first + (end - first) * part / parts;
    for part in 0..parts {
        let source = source(bound(part), bound(part + 1));
        fs::write(dir.join(format!("src/bin/part_{part}.rs")), source).unwrap();
    }
    let run = |command: &mut Command| {
        let output = command.current_dir(&dir).env("RUST_BACKTRACE", "0").output().unwrap();
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "programs {first}..{end}, in {}:\n{}{}",
            dir.display(),
            shown(&output.stdout),
            shown(&output.stderr)
        );
        shown(&output.stdout)
    };
    let target = dir.join("target");
    let build = ["build", "--offline", "--quiet", "--bins", "--target-dir"];
    run(Command::new(env!("CARGO")).args(build).arg(&target));
    for part in 0..parts {
        let ran = run(&mut Command::new(target.join(format!("debug/part_{part}"))));
        assert_eq!(ran, format!("{} programs\n", bound(part + 1) - bound(part)));
    }
}

/// A program that runs all of them, each both ways.
fn source(first: u64, end: u64) -> String {
    let mut text = String::from("#![allow(warnings)]\n");
    let mut list = String::new();
    for seed in first..end {
        let (serial, forked) = (program(seed, false), program(seed, true));
        writeln!(text, "mod serial_{seed} {{\n{serial}\n}}\nmod forked_{seed} {{\n{forked}\n}}").unwrap();
        writeln!(list, "    ({seed}, serial_{seed}::run, forked_{seed}::run),").unwrap();
    }
    writeln!(
        text,
        "const PROGRAMS: &[(u64, fn() -> String, fn() -> String)] = &[\n{list}];\n\
         fn main() {{\n\
             std::panic::set_hook(Box::new(|_| {{}}));\n\
             let mut differ = false;\n\
             for (seed, serial, forked) in PROGRAMS {{\n\
                 let (serial, forked) = (serial(), forked());\n\
                 if serial != forked {{ differ = true; println!(\"program {{seed}}:\\n  serial {{serial}}\\n  forked {{forked}}\"); }}\n\
             }}\n\
             println!(\"{{}} programs\", PROGRAMS.len());\n\
             if differ {{ std::process::exit(1); }}\n\
         }}"
    )
    .unwrap();
    text
}
