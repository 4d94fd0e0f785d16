//! Feeds `src/runner/process/fuzz.rs`, function `messages`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| xfork::__fuzz::messages(data));
