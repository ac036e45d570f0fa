//! See `fuzz::dot11::elements`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::dot11::elements(data));
