//! kill -9 in full flight: nothing acknowledged is lost, nothing stands twice, the next start needs no repair.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::harness::history::check_agreement;
use crate::harness::{Client, Random, Relay, soon};

/// Processes that are up, and how far the canvas is: what the writers and the killer know of each other.
#[derive(Clone)]
struct Field {
    up: Arc<Mutex<Vec<SocketAddr>>>,
    progress: watch::Sender<u64>,
}

impl Field {
    fn any(&self, random: &mut Random) -> SocketAddr {
        let up = self.up.lock();
        let n = random.below(up.len() as u64);
        up[usize::try_from(n).expect("small")]
    }
}

/// Resumes on any process that takes it.
async fn come_back(client: &mut Client, field: &Field, random: &mut Random) {
    soon("a process that takes it", async {
        while client.resume(field.any(random)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    })
    .await;
}

/// Writes on, whatever dies, resuming anywhere and sending again what was not answered.
async fn write_through(mut client: Client, field: Field, mut random: Random, ops: u64) -> Client {
    while client.op < ops || !client.pending.is_empty() {
        let more = (ops - client.op).min(20);
        if client.write(&mut random, more, 16).await.is_err() {
            come_back(&mut client, &field, &mut random).await;
            assert_eq!(client.welcome["mode"], "resume", "not a gap in sight");
        }
        let seq = client.seq;
        field.progress.send_if_modified(|highest| {
            let further = seq > *highest;
            *highest = seq.max(*highest);
            further
        });
    }
    client
}

async fn survive(flags: &[&str]) {
    let mut relay = Relay::start(3, flags).await;
    let mut random = Random::new();
    let up = (0..3).map(|n| relay.address(n)).collect();
    let (progress, mut seen) = watch::channel(0);
    let field = Field {
        up: Arc::new(Mutex::new(up)),
        progress,
    };
    let mut writers = JoinSet::new();
    for n in 0..5 {
        let client = relay.join(n % 3, "board").await;
        writers.spawn(write_through(client, field.clone(), random.fork(), 1_500));
    }
    let mut running = [0, 1, 2];
    let mut next = 0;
    for _ in 0..8 {
        next += 100 + random.below(500);
        soon("progress", seen.wait_for(|seq| *seq >= next))
            .await
            .expect("writers");
        let victim = usize::try_from(random.below(3)).expect("small");
        // Not found by its address: a later process may get the port of a dead one.
        relay.process(running[victim]).kill().await;
        running[victim] = relay.add(&[]).await;
        field.up.lock()[victim] = relay.address(running[victim]);
    }
    let mut clients = writers.join_all().await;
    // Whoever was done early may have been on a process that died afterwards.
    for client in &mut clients {
        come_back(client, &field, &mut random).await;
    }
    let up = field.up.lock().clone();
    for address in up {
        clients.push(Client::join(address, "board").await);
    }
    check_agreement(&mut clients).await;
    // One numbering all the way, and a file in order.
    assert!(clients[0].streams().count() == 1, "no snapshot was needed");
    assert_eq!(
        relay.number("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"),
        0
    );
    relay
        .until_number("SELECT count(*) FROM instances", |n| n == 3)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acked_is_lost_when_processes_are_killed() {
    survive(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acked_is_lost_without_local_broadcast() {
    survive(&["--local-broadcast", "off", "--cleanup-interval", "100ms"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_processes_die_at_once_and_nothing_acked_is_lost() {
    let mut relay = Relay::start(2, &[]).await;
    let mut random = Random::new();
    let mut writers = JoinSet::new();
    for n in 0..4 {
        let (mut client, mut random) = (relay.join(n % 2, "board").await, random.fork());
        writers.spawn(async move {
            client
                .write(&mut random, 100_000, 32)
                .await
                .expect_err("killed");
            client
        });
    }
    let mut watcher = relay.join(0, "board").await;
    watcher.reach(200 + random.below(400)).await;
    for process in 0..2 {
        relay.process(process).signal(rustix::process::Signal::KILL);
    }
    let mut clients = writers.join_all().await;
    clients.push(watcher);
    for process in 0..2 {
        relay.process(process).ended().await;
    }
    let fresh = relay.add(&[]).await;
    for client in &mut clients {
        client.resume(relay.address(fresh)).await.expect("resumed");
        assert_eq!(client.welcome["mode"], "resume");
        client.settle().await.expect("connected");
    }
    check_agreement(&mut clients).await;
    relay
        .until_number("SELECT count(*) FROM instances", |n| n == 1)
        .await;
}
