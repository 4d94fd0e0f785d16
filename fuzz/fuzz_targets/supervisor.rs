//! Feeds `src/runner/process/fuzz.rs`, function `supervisor`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| xfork::__fuzz::supervisor(data));
