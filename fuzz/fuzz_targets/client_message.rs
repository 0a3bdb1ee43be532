//! See `fuzz/src/client_message.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| scumble_fuzz::client_message::run(data));
