//! The clients of a round: they write, lose their connections, come back anywhere, and never give an op up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::fleet::Addresses;
use crate::harness::{Client, Random, soon};

/// How long to wait before trying another process.
const AGAIN: Duration = Duration::from_millis(20);

/// What all clients of a round share.
#[derive(Clone)]
pub struct Crowd {
    /// Where processes are.
    pub addresses: Addresses,
    /// Messages that clients placed: how far the round is.
    pub progress: Arc<watch::Sender<u64>>,
    /// Clients that are not done.
    pub busy: Arc<AtomicUsize>,
}

impl Crowd {
    /// Nobody yet.
    pub fn new(addresses: Addresses) -> Self {
        Self {
            addresses,
            progress: Arc::new(watch::Sender::new(0)),
            busy: Arc::default(),
        }
    }

    /// Lets a client write `ops` messages, whatever happens.
    pub fn write(&self, tasks: &mut JoinSet<Client>, client: Client, random: Random, ops: u64) {
        self.busy.fetch_add(1, Ordering::AcqRel);
        tasks.spawn(live(client, self.clone(), random, ops));
    }
}

async fn live(mut client: Client, crowd: Crowd, mut random: Random, ops: u64) -> Client {
    while client.op < ops || !client.pending.is_empty() {
        let before = client.seq;
        let more = (ops - client.op).min(1 + random.below(25));
        let cut = random.below(10) == 0;
        let written = if cut {
            write_and_leave(&mut client, &mut random, more).await
        } else {
            chatter(&mut client, &mut random).await;
            client.write(&mut random, more, 12).await.is_ok()
        };
        if !written {
            come_back(&mut client, &crowd.addresses, &mut random).await;
        }
        // What Redis forgot is placed again.
        let placed = client.seq.saturating_sub(before);
        crowd.progress.send_modify(|all| *all += placed);
    }
    crowd.busy.fetch_sub(1, Ordering::AcqRel);
    client
}

/// Sends ops and drops the connection without reading the answers.
async fn write_and_leave(client: &mut Client, random: &mut Random, n: u64) -> bool {
    for _ in 0..n {
        if client.try_op(random.message()).await.is_err() {
            break;
        }
    }
    false
}

/// What is not in the order: whoever breaks off meanwhile has said it to nobody.
async fn chatter(client: &mut Client, random: &mut Random) {
    let n = random.below(1_000);
    let said = match random.below(4) {
        0 => json!({"type": "cursor", "x": n, "y": n}),
        1 => json!({"type": "presence", "state": {"n": n}}),
        _ => return,
    };
    // The next op finds out.
    let _ = client.socket.send(&said).await;
}

/// Resumes on any process that takes it.
pub async fn come_back(client: &mut Client, addresses: &Addresses, random: &mut Random) {
    soon("a process that takes it", async {
        loop {
            if let Some(address) = addresses.any(random)
                && client.resume(address).await.is_ok()
            {
                break;
            }
            tokio::time::sleep(AGAIN).await;
        }
    })
    .await;
}
