//! Results that are kept for a later process: how they are written down.

use crate::args::Portable;
use crate::ground::wire::{codec, parcel};

/// How a result is written down for a later process, and read there.
#[doc(hidden)]
#[derive(Debug)]
pub struct Codec<T> {
    pub(crate) encode: fn(&T) -> Result<Vec<u8>, String>,
    pub(crate) decode: fn(&[u8]) -> Result<T, String>,
}

impl<T> Clone for Codec<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Codec<T> {}

impl<T: Portable> Codec<T> {
    #[doc(hidden)]
    pub fn new() -> Self {
        Self {
            encode: |value| {
                // Outside a parcel all of it is written, shared memory, too.
                let _aside = parcel::aside();
                let mut bytes = Vec::new();
                codec::encode(value, &mut bytes).map_err(|error| error.to_string())?;
                Ok(bytes)
            },
            decode: |mut bytes| {
                let _aside = parcel::aside();
                let value = codec::decode(&mut bytes).map_err(|error| error.to_string())?;
                if bytes.is_empty() { Ok(value) } else { Err(format!("{} bytes are left over", bytes.len())) }
            },
        }
    }
}

impl<T: Portable> Default for Codec<T> {
    fn default() -> Self {
        Self::new()
    }
}
