//! See `fuzz/src/connection.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| scumble_fuzz::connection::run(data));
