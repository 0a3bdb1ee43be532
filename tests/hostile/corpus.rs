//! What fuzzing found worth keeping, run again: the same code on the same inputs, with any toolchain.

use std::path::Path;

use crate::fuzz::{client_message, connection, msgpack, outbox, room};

fn each_of(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/seeds")
        .join(target);
    let mut n = 0;
    for file in std::fs::read_dir(folder).expect("seeds").flatten() {
        let name = file.file_name();
        let data = std::fs::read(file.path()).expect("a seed");
        let ran = std::panic::catch_unwind(|| run(&data));
        assert!(ran.is_ok(), "fuzz/seeds/{target}/{}", name.display());
        n += 1;
    }
    assert!(n > 0, "there are no seeds of {target}");
}

#[test]
fn client_messages() {
    each_of("client_message", client_message::run);
}

#[test]
fn messages_in_msgpack() {
    each_of("msgpack", msgpack::run);
}

#[test]
fn outboxes() {
    each_of("outbox", outbox::run);
}

#[test]
fn rooms() {
    each_of("room", room::run);
}

#[test]
fn connections() {
    each_of("connection", connection::run);
}
