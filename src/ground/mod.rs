//! The ground layer: everything that touches the operating system, the linker or raw bytes.
//!
//! Owns all `unsafe` of the crate, the link-time registry, the wire format and the capture of panics.
//! Promises that nothing above it needs `unsafe`, and that no byte from another process is trusted here.
//! It knows nothing of tasks, proxies or plans.

pub(crate) mod cell;
pub(crate) mod memory;
pub(crate) mod panics;
pub(crate) mod registry;
pub(crate) mod ring;
pub(crate) mod sync;
pub(crate) mod sys;
pub(crate) mod tape;
pub(crate) mod wire;
