//! What a worker does before its `main`: find out that it is one, and cut its ties with the program's past.

use super::worker;
use crate::ground::sys;
use std::os::fd::AsFd;

/// Names the descriptor of the worker's socket. Internal; removed before any code of the user runs.
pub(super) const VARIABLE: &str = "XFORK_WORKER";

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
        let socket = value.to_str().and_then(|text| text.parse().ok()).and_then(sys::open_fd_is_socket);
        let Some(socket) =
            socket.filter(|socket| sys::peer_pid(socket.as_fd()).is_ok_and(|pid| pid == parent))
        else {
            eprintln!(
                "xfork: {VARIABLE} is set, but this process was not started as a worker by its parent; \
                 unset it: xfork starts its workers itself"
            );
            sys::exit_now(2);
        };
        sys::forget_variable(VARIABLE);
        if !sys::die_with_parent(parent) {
            sys::exit_now(0);
        }
        sys::close_inherited_except(socket.as_fd());
        sys::ignore_pipe_signal();
        sys::swallow_interrupts();
        sys::raise_oom_score();
        sys::run_remaining_constructors();
        worker::serve(socket)
    }
}

/// Puts the hook into the program; called by what starts a pool, so that a program that can't has none.
pub(super) fn install() {
    sys::install::<Boot>();
}
