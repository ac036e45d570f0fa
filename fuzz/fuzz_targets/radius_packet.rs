//! See `fuzz::radius::packet`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::radius::packet(data));
