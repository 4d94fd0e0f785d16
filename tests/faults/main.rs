//! What can go wrong, and what must happen then: one test for each row of the catalogue of faults.
//!
//! Every test runs in a process of its own ([`fixture::alone`]): it may kill its children, count its descriptors and
//! change its signals without disturbing the others, it has a watchdog, and at its end nothing may be left. What
//! needs a program with an end of its own is in [`programs`], what needs other build settings in [`built`].

#![expect(unsafe_code, reason = "faults are injected by libc calls")]
#![cfg(target_os = "linux")]

mod a_process;
mod a_task;
mod b_codec;
mod b_data;
mod batches;
mod built;
mod c_numbers;
mod c_pool;
mod cancel;
mod catalogue;
mod crashes;
mod d_copies;
mod d_limits;
mod d_parent;
mod d_signals;
mod e_binary;
mod e_image;
mod e_sandbox;
mod expressions;
mod f_peer;
mod fixture;
mod g_proxies;
mod g_waits;
mod limits;
mod memory;
mod own;
mod programs;
mod saboteur;
mod shared;
mod soak;
