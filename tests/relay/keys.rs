//! Keys are read again at SIGHUP: nobody is dropped, and who comes is checked with the new ones.

use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::client::new_id;
use crate::harness::{Client, Relay, Socket, eventually};

fn token(secret: &Path) -> String {
    let made = std::process::Command::new(env!("CARGO_BIN_EXE_scumble"))
        .args(["token", "--sub=ada", "--canvas=*=write", "--secret-file"])
        .arg(secret)
        .env_clear()
        .output()
        .expect("the binary runs");
    String::from_utf8(made.stdout)
        .expect("text")
        .trim()
        .to_owned()
}

/// The first word that a hello with this token is answered with.
async fn answered(relay: &Relay, token: &str) -> Value {
    let mut socket = Socket::open(relay.address(0), "board")
        .await
        .expect("an upgrade");
    let hello = json!({"type": "hello", "v": 1, "client": new_id(), "token": token});
    socket.send(&hello).await.expect("sent");
    socket.receive().await.expect("an answer")["type"].clone()
}

#[tokio::test]
async fn keys_are_changed_without_dropping_anybody() {
    let folder = tempfile::tempdir().expect("a folder");
    let (key, next) = (folder.path().join("key"), folder.path().join("next"));
    std::fs::write(&key, "o".repeat(40)).expect("written");
    std::fs::write(&next, "n".repeat(40)).expect("written");
    for file in [&key, &next] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(file, mode).expect("its mode");
    }
    let mut relay = Relay::start(1, &[&format!("--auth-secret-file={}", key.display())]).await;
    let (old, new) = (token(&key), token(&next));
    let socket = Socket::open(relay.address(0), "board")
        .await
        .expect("an upgrade");
    let mut ada = Client::enter(socket, "board", json!({"client": new_id(), "token": old})).await;
    assert_eq!(answered(&relay, &new).await, "error");
    std::fs::copy(&next, &key).expect("changed");
    relay.process(0).signal(Signal::HUP);
    eventually("the new key", async || {
        (answered(&relay, &new).await == "welcome").then_some(())
    })
    .await;
    assert_eq!(answered(&relay, &old).await, "error");
    ada.commit(json!({"type": "chat", "text": "still in"}))
        .await;
    // What can't be read changes nothing.
    std::fs::remove_file(&key).expect("gone");
    relay.process(0).signal(Signal::HUP);
    eventually("the word of it", async || {
        relay.log(0).contains("the old ones stay").then_some(())
    })
    .await;
    assert_eq!(answered(&relay, &new).await, "welcome");
    ada.commit(json!({"type": "chat", "text": "still in"}))
        .await;
}
