//! See `fuzz::dot11::ccmp_frame`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::dot11::ccmp_frame(data));
