//! What a worker does before its `main`: find out that it is one, and cut its ties with the program's past.

use super::worker;
use crate::ground::sys::{self, Wait};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// Names the descriptors of the worker's socket and of its memory file. Internal; removed before any code of the user runs.
pub(super) const VARIABLE: &str = "XFORK_WORKER";

/// The value of [`VARIABLE`] for a worker that inherits these: its socket, and a memory file if there is one.
pub(super) fn names(inherit: &[BorrowedFd<'_>]) -> String {
    inherit.iter().map(|fd| fd.as_raw_fd().to_string()).collect::<Vec<_>>().join(":")
}

/// The hook that the loader calls in every program that can start a pool.
pub(super) struct Boot;

impl sys::AtLoad for Boot {
    fn at_load() {
        let Some(value) = std::env::var_os(VARIABLE) else { return };
        // A program that runs with more rights than its caller does not listen to the caller's environment.
        if sys::is_secure_execution() {
            return;
        }
        let parent = sys::parent_pid();
        let mut numbers = value.to_str().unwrap_or_default().split(':').map(|text| text.parse().ok());
        let socket = numbers.next().flatten().and_then(sys::open_fd_is_socket);
        let peer = socket.as_ref().and_then(|socket| sys::peer_pid(socket.as_fd()).ok());
        if let Some(socket) = socket.as_ref().filter(|_| peer.is_some_and(|pid| pid != parent))
            && let Ok(0) = sys::receive(socket.as_fd(), &mut [0], Wait::DontBlock)
        {
            // Its parent has died before it got here, and somebody else has become that.
            sys::exit_now(0);
        }
        let Some(socket) = socket.filter(|_| peer == Some(parent)) else {
            eprintln!(
                "xfork: {VARIABLE} is set, but this process was not started as a worker by its parent; \
                 unset it: xfork starts its workers itself"
            );
            sys::exit_now(2);
        };
        let memory = numbers.next().flatten().and_then(sys::crash::take_page);
        sys::forget_variable(VARIABLE);
        if !sys::die_with_parent(parent) {
            sys::exit_now(0);
        }
        sys::close_inherited_except(socket.as_fd());
        sys::ignore_pipe_signal();
        sys::swallow_interrupts();
        sys::raise_oom_score();
        sys::run_remaining_constructors();
        let (page, lanes) = memory.unzip();
        worker::serve(socket, page, lanes.flatten())
    }
}

/// Puts the hook into the program; called by what starts a pool, so that a program that can't has none.
pub(super) fn install() {
    sys::install::<Boot>();
}
