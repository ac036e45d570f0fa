//! See `fuzz::proto::reassembly`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::proto::reassembly(data));
