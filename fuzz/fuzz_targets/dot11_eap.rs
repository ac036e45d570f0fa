//! See `fuzz::dot11::eap_packet`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::dot11::eap_packet(data));
