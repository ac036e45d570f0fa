//! See `fuzz::proto::datagram`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::proto::datagram(data));
