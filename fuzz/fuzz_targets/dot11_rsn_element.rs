//! See `fuzz::dot11::rsn_element`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::dot11::rsn_element(data));
