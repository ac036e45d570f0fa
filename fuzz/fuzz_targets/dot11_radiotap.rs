//! See `fuzz::dot11::radiotap_header`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::dot11::radiotap_header(data));
