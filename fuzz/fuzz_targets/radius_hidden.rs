//! See `fuzz::radius::hidden`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::radius::hidden(data));
