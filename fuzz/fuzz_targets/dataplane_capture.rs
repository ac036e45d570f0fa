//! See `fuzz::dataplane::capture`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::dataplane::capture(data));
