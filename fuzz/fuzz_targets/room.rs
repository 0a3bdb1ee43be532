//! See `fuzz/src/room.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| scumble_fuzz::room::run(data));
