//! `--queue off`: the same relay, one process, no file.

use std::path::Path;

use serde_json::json;

use crate::harness::history::check_agreement;
use crate::harness::server::Process;
use crate::harness::{Client, Random, Relay};

#[tokio::test]
async fn no_file_is_made() {
    let mut relay = Relay::start(1, &["--queue", "off"]).await;
    let mut ada = relay.join(0, "board").await;
    ada.write(&mut Random::new(), 50, 8)
        .await
        .expect("connected");
    ada.resume(relay.address(0)).await.expect("resumed");
    assert_eq!(ada.welcome["mode"], "resume");
    let late = relay.join(0, "board").await;
    check_agreement(&mut [ada, late]).await;
    let files = std::fs::read_dir(relay.dir()).expect("a folder").count();
    assert_eq!(files, 0);
    let stats = relay
        .get(0, "/api/v1/stats")
        .await
        .expect("an answer")
        .json();
    assert_eq!(stats["backplane"], "memory");
    relay.process(0).signal(rustix::process::Signal::TERM);
    assert!(relay.process(0).ended().await.success());
}

#[tokio::test]
async fn a_restart_is_a_new_epoch() {
    let mut relay = Relay::start(1, &["--queue", "off"]).await;
    let mut ada = relay.join(0, "board").await;
    let seq = ada
        .commit(json!({"type": "chat", "text": "gone with the process"}))
        .await;
    relay.process(0).kill().await;
    let fresh = relay.add(&[]).await;
    let epoch = ada.epoch.clone();
    ada.resume(relay.address(fresh)).await.expect("connected");
    assert_eq!(
        ada.welcome["mode"], "snapshot",
        "never onto reissued numbers"
    );
    assert_ne!(ada.epoch, epoch);
    assert!(ada.seq < seq);
}

#[tokio::test]
async fn messages_past_their_ttl_get_a_snapshot() {
    let relay = Relay::start(1, &["--queue", "off", "--message-ttl", "1s"]).await;
    let mut ada = relay.join(0, "board").await;
    ada.write(&mut Random::new(), 40, 8)
        .await
        .expect("connected");
    let head = ada.seq;
    let mode = crate::harness::eventually("a snapshot", || async {
        let socket = crate::harness::Socket::open(relay.address(0), "board").await;
        let id = crate::harness::client::new_id();
        let hello = json!({"client": id, "since": {"epoch": ada.epoch, "seq": 0}});
        let client = Client::enter(socket.expect("up"), "board", hello).await;
        (client.welcome["mode"] == "snapshot").then_some((client.seq, client.model))
    });
    assert_eq!(mode.await, (head, ada.model.clone()));
    ada.resume(relay.address(0)).await.expect("resumed");
    assert_eq!(
        ada.welcome["mode"], "resume",
        "a quiet canvas is recoverable"
    );
}

#[tokio::test]
async fn wrong_values_are_refused_at_start() {
    let cases: [(&[&str], &str); 4] = [
        (&["--poll-interval", "50"], "--poll-interval"),
        (&["--message-ttl", "0s"], "--message-ttl"),
        (&["--queue", "perhaps"], "--queue"),
        // The folder of the file is not there.
        (&[], "--db"),
    ];
    for (flags, named) in cases {
        let mut process = Process::launch(Path::new("/nonexistent/never.db"), flags);
        let status = process.ended().await;
        assert_eq!(status.code(), Some(2));
        let log = crate::harness::eventually("the reason", || async {
            Some(process.log()).filter(|log| !log.is_empty())
        });
        assert!(log.await.contains(named));
    }
}
