//! `--redis`: real processes over a real Redis, which is killed, cut off and emptied, as they are.

mod analytics;
mod canvases;
mod damage;
mod failover;
mod hooks;
mod hosts;
mod leftovers;
mod memory;
mod migrating;
mod moved_assets;
mod outages;
mod overwritten;
mod people;
mod quotas;
mod secure;
mod settings;
mod starting;
mod tools;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::harness::server::Process;
use crate::harness::socket::Gone;
use crate::harness::{Client, Relay, Socket, eventually, roster, soon};
use crate::redis_server::RedisServer;

/// Messages that a writer has under way at a time.
const BURST: u64 = 8;
/// How long to wait before trying again to come in.
const AGAIN: Duration = Duration::from_millis(20);

/// Processes, and the Redis that they share.
struct Over {
    relay: Relay,
    server: RedisServer,
}

impl Over {
    async fn start(processes: usize, flags: &[&str]) -> Self {
        let server = RedisServer::start();
        let url = server.url();
        let relay = Relay::start(processes, &[&["--redis", &url], flags].concat()).await;
        Self { relay, server }
    }

    /// Two processes, the first of which is instance 1, and on each a client of `board`.
    async fn with_two_clients() -> (Self, Client, Client) {
        let mut over = Self::start(1, &["--presence-grace", "60s"]).await;
        over.relay.add(&[]).await;
        let ada = over.relay.join(0, "board").await;
        let ben = over.relay.join(1, "board").await;
        (over, ada, ben)
    }

    /// Waits until Redis's answer to a command is as wanted.
    async fn until_answer(&self, command: &[&str], wanted: impl Fn(&str) -> bool) -> String {
        eventually(&command.join(" "), || async {
            Some(self.server.ask(command)).filter(|answer| wanted(answer))
        })
        .await
    }

    /// Waits until the registry has so many instances, and nothing of any other.
    async fn until_instances(&self, count: usize) {
        let listed = |text: &str| text.lines().filter(|line| !line.is_empty()).count();
        self.until_answer(&["ZRANGE", "scumble:instances", "0", "-1"], |answer| {
            listed(answer) == count
        })
        .await;
        let numbers = self.server.ask(&["ZRANGE", "scumble:instances", "0", "-1"]);
        let numbers: BTreeSet<&str> = numbers.lines().collect();
        // Who has turned the clients of a dead one away keeps the others from it for a while.
        let known = |key: &str| {
            let rest = key.strip_prefix("scumble:instance:").expect("the prefix");
            let number = rest.split(':').next().expect("a number");
            numbers.contains(number) || rest.ends_with(":reaping")
        };
        self.until_answer(&["KEYS", "scumble:instance:*"], |answer| {
            answer.lines().filter(|line| !line.is_empty()).all(known)
        })
        .await;
    }
}

/// A process over that Redis, which may not get ready.
fn launch(over: &Over, flags: &[&str]) -> Process {
    let url = over.server.url();
    Process::launch(&over.relay.db(), &[&["--redis", &url], flags].concat())
}

/// Kills all processes or tells them to end, and waits until they have.
async fn end_all(relay: &mut Relay, processes: &[usize], signal: rustix::process::Signal) {
    for n in processes {
        relay.process(*n).signal(signal);
    }
    for n in processes {
        relay.process(*n).ended().await;
    }
}

fn create(id: &str, text: &str) -> Value {
    json!({"type": "object-create", "object": {"id": id, "kind": "box", "text": text}})
}

fn chat(text: &str) -> Value {
    json!({"type": "chat", "text": text})
}

/// The object that a client makes with its op `n`: no other has its id.
fn object_of(client: &Client, n: u64) -> String {
    format!("{}-{n}", client.id)
}

/// Resumes at that process as soon as it takes the client.
async fn come_back(client: &mut Client, address: SocketAddr) {
    soon("a process that takes it", async {
        while client.resume(address).await.is_err() {
            tokio::time::sleep(AGAIN).await;
        }
    })
    .await;
}

/// Creates objects until it has used `ops` numbers; counts those that were acked in `acked`.
async fn create_until(
    client: &mut Client,
    ops: u64,
    acked: &watch::Sender<u64>,
) -> Result<(), Gone> {
    while client.op < ops || !client.pending.is_empty() {
        let before = client.acked.len();
        for _ in 0..BURST.min(ops - client.op) {
            let id = object_of(client, client.op + 1);
            client.try_op(create(&id, "x")).await?;
        }
        let settled = client.settle().await;
        let more = client.acked.len() - before;
        acked.send_modify(|all| *all += more as u64);
        settled?;
    }
    Ok(())
}

/// The same, whatever happens to its connection. It must always be told to come back, never to stop.
async fn create_through(
    mut client: Client,
    address: SocketAddr,
    ops: u64,
    acked: watch::Sender<u64>,
) -> Client {
    while let Err(gone) = create_until(&mut client, ops, &acked).await {
        assert!(comes_back(&gone), "{gone:?}");
        come_back(&mut client, address).await;
    }
    client
}

/// Whether a client that ended so is to come back.
fn comes_back(gone: &Gone) -> bool {
    gone.code.is_none_or(|code| code == 4503 || code == 4504)
}

/// Waits until those processes are over what happened to Redis, and until each client is: whoever is of an earlier epoch is cut
/// off, and comes back. Then nothing is under way.
async fn all_back(over: &Over, processes: &[usize], clients: &mut [Client]) {
    let epoch = eventually("one epoch on all processes", async || {
        let mut epochs = BTreeSet::new();
        for n in processes {
            let answer = over.relay.get(*n, "/readyz").await?;
            (answer.status == 200).then_some(())?;
            let socket = Socket::open(over.relay.address(*n), "board").await.ok()?;
            epochs.insert(epoch_of(socket).await?);
        }
        (epochs.len() == 1).then(|| epochs.pop_first()).flatten()
    })
    .await;
    for (n, client) in clients.iter_mut().enumerate() {
        let address = over.relay.address(processes[n % processes.len()]);
        while client.epoch != epoch {
            if let Err(gone) = client.next().await {
                assert!(comes_back(&gone), "{gone:?}");
                come_back(client, address).await;
            }
        }
        client.settle().await.expect("a connection");
    }
}

/// The epoch that somebody is told who looks in for a moment.
async fn epoch_of(mut socket: Socket) -> Option<String> {
    let id = crate::harness::client::new_id();
    let hello = json!({"type": "hello", "v": 1, "client": id});
    socket.send(&hello).await.ok()?;
    let welcome = socket.receive().await.ok()?;
    let epoch = welcome["epoch"].as_str()?.to_owned();
    socket.send(&json!({"type": "bye"})).await.ok()?;
    socket.ended().await;
    Some(epoch)
}

/// Every object that was acked to them is on the newcomer's canvas. That none is twice, the newcomer itself checks.
fn assert_all_there(clients: &[Client], newcomer: &Client) {
    for client in clients {
        for (op, acked) in &client.acked {
            assert_ne!(acked.status, "ignored", "{} op {op}", client.id);
            let id = object_of(client, *op);
            assert!(newcomer.model.object(&id).is_some(), "{id} is lost");
        }
    }
}

/// Waits until each of them sees all of them, and nobody else, and nobody away.
async fn check_company(clients: &mut [Client]) {
    let all: BTreeSet<_> = clients.iter().map(|c| (c.id.clone(), false)).collect();
    for client in clients {
        soon("the roster", async {
            while roster(client) != all {
                let next = tokio::time::timeout(Duration::from_secs(20), client.next()).await;
                let Ok(next) = next else {
                    panic!("{} sees {:?}, not {all:?}", client.id, roster(client));
                };
                next.expect("a connection");
            }
        })
        .await;
    }
}
