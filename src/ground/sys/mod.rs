//! Everything that xfork asks of the operating system, and nearly all of its unsafe code.
//!
//! Each file wraps one thing of the kernel or the C library in a safe function with an `io::Result`. What
//! such a function promises is held here; when it is called, and what a failure means for a pool, is decided
//! above. Every descriptor made here is close-on-exec and stands above standard input, output and error.

mod call;
pub(crate) mod capture;
pub(crate) mod copy;
pub(crate) mod cpu;
pub(crate) mod crash;
pub(crate) mod event;
mod fd;
pub(crate) mod gift;
pub(crate) mod image;
pub(crate) mod interrupt;
pub(crate) mod lanes;
pub(crate) mod life;
pub(crate) mod load;
pub(crate) mod memory;
mod pages;
pub(crate) mod process;
#[cfg(all(test, not(xfork_loom)))]
mod role;
pub(crate) mod socket;
pub(crate) mod spin;
pub(crate) mod usage;

pub(crate) use capture::{Capture, Ends, Stream, flush_c};
pub(crate) use copy::generation;
pub(crate) use cpu::{process_cpu_time, runnable_threads, stack_left};
pub(crate) use event::{EventFd, Interest, Poller, Ready};
pub(crate) use gift::{receive_with, send_with};
pub(crate) use image::{CodeAddress, address, build_fingerprint, is_main_image, locate};
pub(crate) use interrupt::{exit_as_interrupted, on_interrupt};
pub(crate) use life::{
    at_exit, close_inherited_except, die_with_parent, dies_with_parent, exit, exit_now, forget_variable,
    ignore_pipe_signal, is_main_thread, is_secure_execution, open_fd_is_socket, parent_pid, raise_oom_score,
    swallow_interrupts,
};
pub(crate) use load::{AtLoad, install, run_remaining_constructors};
pub(crate) use memory::{Draft, Inode, Map, MemoryFile, inode_of};
pub(crate) use pages::prefer_large_pages;
pub(crate) use process::{Child, Exit, respawn_self, signal_name};
pub(crate) use socket::{Wait, came_with_descriptors, is_hung_up, pair, peer_pid, receive, send, send_all};
pub(crate) use spin::Spin;
pub(crate) use usage::{cpu_time_of, limit_memory, resident_bytes_of};
