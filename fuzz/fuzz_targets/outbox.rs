//! See `fuzz/src/outbox.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| scumble_fuzz::outbox::run(data));
