//! See `fuzz::dataplane::crypto`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::dataplane::crypto(data));
