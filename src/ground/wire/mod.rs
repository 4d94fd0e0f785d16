//! What two processes say to each other, as bytes.
//!
//! Owns the frame around a message, the messages, and the form in which values travel. Nothing here reads or
//! writes a descriptor, waits, or knows a process: every byte that comes in is taken for hostile data.

pub(crate) mod blob;
mod bounded;
pub(crate) mod chunk;
pub(crate) mod codec;
pub(crate) mod frame;
pub(crate) mod letter;
pub(crate) mod message;
pub(crate) mod parcel;
