//! See `fuzz::dot11::amsdu`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::dot11::amsdu(data));
