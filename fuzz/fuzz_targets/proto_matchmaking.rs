//! See `fuzz::proto::matchmaking`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::proto::matchmaking(data));
