//! Two servers, of which one follows the other, and an address that leads to whichever is to be used.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use rustix::process::Signal;

use super::*;

/// An address that leads to one of two servers.
struct Pair {
    servers: [RedisServer; 2],
    folder: tempfile::TempDir,
}

impl Pair {
    fn start(flags: &[&str]) -> Self {
        let flags = [&["--appendonly", "yes"], flags].concat();
        let servers = [(), ()].map(|()| RedisServer::start_on_port(&flags));
        let folder = tempfile::tempdir().expect("a folder");
        let pair = Self { servers, folder };
        pair.lead_to(0);
        pair
    }

    fn address(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    fn url(&self) -> String {
        format!("redis+unix://{}", self.address().display())
    }

    /// From now on it leads there; connections that are open are cut.
    fn lead_to(&self, which: usize) {
        // It may not be there yet.
        let _ = std::fs::remove_file(self.address());
        symlink(self.servers[which].socket(), self.address()).expect("a link");
        for kind in ["normal", "pubsub"] {
            self.servers[1 - which].ask(&["CLIENT", "KILL", "TYPE", kind]);
        }
    }

    fn follow(&self, which: usize) {
        let port = self.servers[1 - which].port().to_string();
        let follower = &self.servers[which];
        follower.ask(&["REPLICAOF", "127.0.0.1", &port]);
    }

    fn promote(&self, which: usize) {
        self.servers[which].ask(&["REPLICAOF", "NO", "ONE"]);
    }

    async fn until(&self, which: usize, command: &[&str], wanted: impl Fn(&str) -> bool) {
        eventually(&command.join(" "), async || {
            wanted(&self.servers[which].ask(command)).then_some(())
        })
        .await;
    }

    async fn until_it_follows(&self, which: usize) {
        let info = ["INFO", "replication"];
        self.until(which, &info, |told| told.contains("master_link_status:up"))
            .await;
    }
}

/// From the first server to the second, which had not got everything, and back, without the first ever being started anew. A
/// process that slept through all of it has seen what is gone, and goes on with the others nevertheless.
#[tokio::test]
async fn a_process_that_slept_through_a_failover_and_back_goes_on_with_the_others() {
    let pair = Pair::start(&[]);
    pair.follow(1);
    pair.until_it_follows(1).await;
    let flags = ["--redis", &pair.url(), "--presence-grace", "60s"];
    let mut relay = Relay::start(2, &flags).await;
    let mut sleeper = relay.join(1, "board").await;
    let mut ada = relay.join(0, "board").await;
    ada.commit(create("kept", "x")).await;
    let kept = pair.servers[0].ask(&["HGET", "scumble:canvas:board", "n"]);
    pair.until(1, &["HGET", "scumble:canvas:board", "n"], |n| n == kept)
        .await;
    // The last moments do not reach the second.
    pair.servers[1].ask(&["REPLICAOF", "127.0.0.1", "1"]);
    for n in 0..5 {
        ada.commit(create(&format!("lost-{n}"), "x")).await;
    }
    sleeper.reach(ada.seq).await;
    relay.process(1).signal(Signal::STOP);
    pair.promote(1);
    pair.lead_to(1);
    ada.until(|m| m["type"] == "resync").await;
    for n in 0..20 {
        ada.commit(create(&format!("second-{n}"), "x")).await;
    }
    pair.follow(0);
    pair.until_it_follows(0).await;
    let n = pair.servers[1].ask(&["HGET", "scumble:canvas:board", "n"]);
    pair.until(0, &["HGET", "scumble:canvas:board", "n"], |there| {
        there == n
    })
    .await;
    pair.promote(0);
    pair.lead_to(0);
    ada.commit(create("back", "x")).await;
    relay.process(1).signal(Signal::CONT);
    sleeper.until(|m| m["type"] == "resync").await;
    ada.commit(create("last", "x")).await;
    let late = relay.join(1, "board").await;
    let (epoch, head) = (late.epoch.clone(), late.seq);
    for mut client in [ada, sleeper] {
        while client.epoch != epoch || client.seq < head {
            client.next().await.expect("connected");
        }
        assert_eq!(client.model, late.model);
    }
    assert_eq!(late.model.objects.len(), 23);
}

/// Whatever is acked is on the replica, which takes over at any moment.
#[tokio::test]
async fn with_a_replica_waited_for_nothing_acked_is_lost_in_a_failover() {
    let mut pair = Pair::start(&[]);
    pair.follow(1);
    pair.until_it_follows(1).await;
    let wait = ["--redis-wait-replicas", "1", "--presence-grace", "60s"];
    let url = pair.url();
    let flags = [&["--redis", &url], &wait[..]].concat();
    let relay = Relay::start(2, &flags).await;
    let mut clients = [relay.join(0, "board").await, relay.join(1, "board").await];
    for n in 0..30 {
        for client in &mut clients {
            client.op(create(&format!("{}-{n}", client.id), "x")).await;
        }
        if n == 20 {
            for client in &mut clients {
                client.settle().await.expect("connected");
            }
            pair.servers[0].kill();
            pair.promote(1);
            pair.lead_to(1);
            // Nobody else is left to have it.
            pair.follow_as_new(0).await;
        }
    }
    for client in &mut clients {
        client.settle().await.expect("connected");
    }
    let late = relay.join(0, "board").await;
    assert_eq!(late.model.objects.len(), 60);
    for client in clients {
        assert_eq!(
            client.streams().count(),
            1,
            "nothing was lost, which is proven"
        );
    }
}

/// Without the replica nothing is acked, and it is said why.
#[tokio::test]
async fn a_replica_that_is_waited_for_and_gone_stops_acks() {
    let mut pair = Pair::start(&[]);
    pair.follow(1);
    pair.until_it_follows(1).await;
    let url = pair.url();
    let flags = ["--redis", &url, "--redis-wait-replicas", "1"];
    let relay = Relay::start(1, &flags).await;
    let mut ada = relay.join(0, "board").await;
    ada.commit(create("one", "x")).await;
    pair.servers[1].kill();
    ada.op(create("two", "x")).await;
    eventually("/readyz", async || {
        let answer = relay.get(0, "/readyz").await?;
        (answer.status == 503 && answer.body.contains("0 of 1 replicas")).then_some(())
    })
    .await;
    assert_eq!(ada.acked.len(), 1);
    pair.follow_as_new(1).await;
    ada.settle().await.expect("connected");
    assert_eq!(ada.acked.len(), 2);
}

impl Pair {
    /// It is started again, and follows the other.
    async fn follow_as_new(&mut self, which: usize) {
        self.servers[which].run();
        self.follow(which);
        self.until_it_follows(which).await;
    }
}
