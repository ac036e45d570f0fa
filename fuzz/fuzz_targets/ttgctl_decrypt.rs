//! See `fuzz::ttgctl::decrypt`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::ttgctl::decrypt(data));
