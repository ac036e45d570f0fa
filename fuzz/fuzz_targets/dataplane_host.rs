//! See `fuzz::dataplane::host`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::dataplane::host(data));
