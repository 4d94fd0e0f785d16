//! Feeds `src/store/fuzz.rs`, function `store`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| xfork::__fuzz::store(data));
