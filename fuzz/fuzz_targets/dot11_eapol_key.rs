//! See `fuzz::dot11::eapol_key`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::dot11::eapol_key(data));
