//! This program, started again to play another part: a limit, a rival, or a program that is measured from its start.
//!
//! The part stands in the environment. xfork's own workers inherit it, but never run `main`; procspawn's do, and end in
//! its `init`.

use std::process::Command;

const ROLE: &str = "XFORK_BENCH_ROLE";

/// The part that this process is to play, if it is not the bench itself.
pub(crate) fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// This program in a part.
pub(crate) fn again(role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    command.env(ROLE, role);
    command
}
