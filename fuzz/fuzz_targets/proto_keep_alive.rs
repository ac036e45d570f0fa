//! See `fuzz::proto::keep_alive`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::proto::keep_alive(data));
