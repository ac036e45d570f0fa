//! See `fuzz::dot11::bip_frame`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::dot11::bip_frame(data));
