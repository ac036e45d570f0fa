//! See `fuzz::agent::input`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::agent::input(data));
