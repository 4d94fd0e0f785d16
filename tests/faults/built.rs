//! A small program with a `main` of its own (`built/main.rs`), built with settings that this binary does not have, and a
//! library that a program without xfork loads (`built/plugin.rs`, `built/host.rs`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

const SOURCE: &str = include_str!("built/main.rs");
const PLUGIN: &str = include_str!("built/plugin.rs");
const HOST: &str = include_str!("built/host.rs");

/// Built as `cargo build` does.
pub(crate) fn real_program() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build("plain", &["--profile", "dev"], &[])).clone()
}

/// A program that knows nothing of xfork, and a library for it that does.
pub(crate) fn host_and_plugin() -> (PathBuf, PathBuf) {
    let dir = real_program();
    (dir.with_file_name("host"), dir.with_file_name("libplugin.so"))
}

/// Built as small as it gets: panic=abort, LTO, opt-level z, one codegen unit, stripped, no PIE.
pub(crate) fn small_program() -> PathBuf {
    let settings = [
        ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
        ("CARGO_PROFILE_RELEASE_LTO", "fat"),
        ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "z"),
        ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
        ("CARGO_PROFILE_RELEASE_STRIP", "true"),
        // Of the program alone: it is built for a named target, so macros keep their own settings.
        ("RUSTFLAGS", "-Crelocation-model=static -Clink-arg=-Wl,--gc-sections"),
    ];
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build("small", &["--release", "--bin", "built"], &settings)).clone()
}

fn build(name: &str, options: &[&str], settings: &[(&str, &str)]) -> PathBuf {
    let xfork = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("faults-built-{name}"));
    fs::create_dir_all(dir.join("src/bin")).unwrap();
    let manifest = format!(
        "[workspace]\n[package]\nname = \"built\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
         [dependencies]\nxfork = {{ path = {:?} }}\nlibc = \"0.2\"\n[profile.dev]\ndebug = 1\n\
         [lib]\nname = \"plugin\"\npath = \"src/plugin.rs\"\ncrate-type = [\"cdylib\"]\n",
        xfork.to_str().unwrap()
    );
    // Only what has changed, so that a second run builds nothing.
    let files = [
        ("Cargo.toml", manifest.as_str()),
        ("src/main.rs", SOURCE),
        ("src/plugin.rs", PLUGIN),
        ("src/bin/host.rs", HOST),
    ];
    for (file, text) in files {
        if fs::read_to_string(dir.join(file)).ok().as_deref() != Some(text) {
            fs::write(dir.join(file), text).unwrap();
        }
    }
    // The versions that xfork itself was built with: they are here without a network.
    if !dir.join("Cargo.lock").exists() {
        let _ = fs::copy(xfork.join("Cargo.lock"), dir.join("Cargo.lock"));
    }
    let host = host();
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["build", "--offline", "--quiet", "--target", &host, "--target-dir"])
        .arg(dir.join("target"));
    command.args(options).current_dir(&dir).envs(settings.iter().copied()).stdin(Stdio::null());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let profile = if options.contains(&"--release") { "release" } else { "debug" };
    dir.join("target").join(host).join(profile).join("built")
}

fn host() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_string()
}
