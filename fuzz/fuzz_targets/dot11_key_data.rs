//! See `fuzz::dot11::key_data`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::dot11::key_data(data));
