//! See `fuzz::radius::attributes`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::radius::attributes(data));
