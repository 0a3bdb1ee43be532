//! See `fuzz/src/msgpack.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| scumble_fuzz::msgpack::run(data));
