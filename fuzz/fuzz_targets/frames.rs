//! Feeds `src/runner/process/fuzz.rs`, function `frames`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| xfork::__fuzz::frames(data));
