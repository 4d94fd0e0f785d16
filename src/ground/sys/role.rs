//! For tests: another process of this test binary, in which one ignored test plays a role.
//!
//! What these tests need to see (an inherited descriptor, a signal mask, a death) can only be seen in a
//! process of its own. A role is an ignored test that returns at once unless it was started from here.

use super::event::{Interest, Poller};
use super::life;
use super::process::{Child, Exit, respawn_self};
use super::socket::{Wait, pair, receive};
use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

const VARIABLE: &str = "XFORK_SYS_TEST_ROLE";

/// Starts the role `name` of `module` with more variables and gives the child and our end of a
/// socket.
pub(crate) fn play_with(module: &str, name: &str, env: &[(OsString, OsString)]) -> (Child, OwnedFd) {
    let (ours, theirs) = pair().unwrap();
    let mut env = env.to_vec();
    env.push((VARIABLE.into(), theirs.as_raw_fd().to_string().into()));
    // libtest names tests without the crate.
    let path = format!("{}::{name}", module.split_once("::").unwrap().1);
    let zeroth = std::env::args_os().next().unwrap();
    let options = ["--exact", "--ignored", "--quiet", "--nocapture", "--test-threads=1"].map(OsString::from);
    let args: Vec<OsString> = [zeroth, path.into()].into_iter().chain(options).collect();
    (respawn_self(&[theirs.as_fd()], None, &env, &args).unwrap(), ours)
}

/// Starts a role that needs no more than its end of the socket.
pub(crate) fn play(module: &str, name: &str) -> (Child, OwnedFd) {
    play_with(module, name, &[])
}

/// Reads what a role says until it has ended with code 0. One that says nothing for 30 seconds is killed.
pub(crate) fn told(child: &mut Child, stage: OwnedFd) -> Vec<u8> {
    let poller = Poller::new().unwrap();
    poller.add(stage.as_fd(), 0, Interest::Read).unwrap();
    let (mut all, mut buffer, mut ready) = (Vec::new(), [0; 4096], Vec::new());
    loop {
        poller.wait(&mut ready, Some(Duration::from_secs(30))).unwrap();
        if ready.is_empty() {
            child.kill().unwrap();
            panic!("the role hangs");
        }
        match receive(stage.as_fd(), &mut buffer, Wait::Block).unwrap() {
            0 => break,
            count => all.extend_from_slice(&buffer[..count]),
        }
    }
    assert_eq!(child.reap().unwrap(), Exit::Code(0), "{}", String::from_utf8_lossy(&all));
    all
}

/// In a role: the socket to the test. `None` if somebody runs the ignored tests by hand.
pub(crate) fn stage() -> Option<OwnedFd> {
    life::open_fd_is_socket(std::env::var(VARIABLE).ok()?.parse().ok()?)
}

/// In a role: ends the process before libtest can report a test.
pub(crate) fn leave(code: i32) -> ! {
    life::exit_now(code)
}
