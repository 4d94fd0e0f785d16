//! Fork and leave: `cargo run --release --example fire_and_forget`.
//!
//! Nobody has to keep a proxy. Dropping it neither cancels nor blocks, and the program waits at its end for what it
//! forked. To prove it, this program runs itself once more, and looks at what that left behind.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};
use xfork::{cpu_bound, fork, io_bound};

#[cpu_bound]
fn compute(n: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(50)); // main has returned long before
    n * n
}

#[io_bound]
fn save(path: &Path, value: u64) {
    fs::write(path, value.to_string()).expect("the folder can be written to");
}

/// The program proper: forks, and is done.
fn fork_and_leave(folder: &Path) {
    for n in 1..=8 {
        fork(save, (folder.join(n.to_string()), fork(compute, n)));
    }
}

fn main() {
    if let Some(folder) = env::args_os().nth(1) {
        return fork_and_leave(Path::new(&folder));
    }
    let folder: PathBuf = env::temp_dir().join(format!("xfork-fire-and-forget-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("the temporary folder can be written to");
    let program = env::current_exe().expect("this program has a file");
    let status = Command::new(program).arg(&folder).status().expect("it runs again");
    assert!(status.success());

    // The other program has ended, and everything that it forked is done.
    for n in 1..=8u64 {
        let text = fs::read_to_string(folder.join(n.to_string())).expect("the file is there");
        assert_eq!(text, (n * n).to_string());
    }
    println!("8 files, all there");
    fs::remove_dir_all(&folder).expect("what was written can be removed");
}
