//! The same over Redis: processes are killed, stopped and drained, their connections to Redis cut, Redis itself is stopped,
//! and killed and started again, while clients write, are cut off and come back.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use super::crowd::{Crowd, come_back};
use super::fleet::Fleet;
use super::redis_server::RedisServer;
use crate::harness::history::{self, Record, check_agreement};
use crate::harness::{Client, PATIENCE, Random, roster, soon};

const PROCESSES: usize = 3;
const LOOK: Duration = Duration::from_millis(25);
const WRITERS: u64 = 6;
const OPS: u64 = 500;
const DEEDS: u64 = 12;

/// What becomes of Redis itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Connections to it are cut, and it stops for moments.
    Lives,
    /// It is killed, too. It loses nothing, but nobody can know that: everybody gets a snapshot.
    Dies,
    /// It loses its last moments each time, as in a power cut, acked or not.
    Forgets,
}

async fn round(seed: u64, fate: Fate) {
    let mut random = Random::seeded(seed);
    let mut server = RedisServer::start();
    let url = server.url();
    let mut fleet = Fleet::new(&["--presence-grace=1s", "--redis", &url], false);
    for _ in 0..PROCESSES {
        fleet.start().await;
    }
    let crowd = Crowd::new(fleet.addresses.clone());
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let address = fleet.addresses.any(&mut random).expect("three are up");
        let client = Client::join(address, "board").await;
        crowd.write(&mut writers, client, random.fork(), OPS);
    }
    let forgotten = havoc(&mut fleet, &crowd, &mut server, &mut random, fate).await;
    while fleet.len() < 2 {
        fleet.start().await;
    }
    let mut clients = soon("the writers", writers.join_all()).await;
    for client in &mut clients {
        come_back(client, &fleet.addresses, &mut random).await;
        client.settle().await.expect("a connection");
    }
    if fate == Fate::Lives {
        let all = clients.iter().all(|client| client.streams().count() == 1);
        assert!(all, "nobody needed a snapshot");
    }
    clients.push(
        Client::join(
            fleet.addresses.any(&mut random).expect("two are up"),
            "board",
        )
        .await,
    );
    if fate == Fate::Forgets {
        same_place(&mut clients, forgotten).await;
    } else {
        check_agreement(&mut clients).await;
    }
    let all: BTreeSet<_> = clients.iter().map(|c| (c.id.clone(), false)).collect();
    for client in &mut clients {
        let waiting = Instant::now();
        while roster(client) != all {
            let next = tokio::time::timeout(PATIENCE - waiting.elapsed(), client.next()).await;
            let Ok(next) = next else {
                panic!("{} sees {:?}, not {all:?}", client.id, roster(client));
            };
            next.expect("a connection");
        }
    }
}

/// What some saw is forgotten, but nothing that was there before. And now all of them see the same.
async fn same_place(clients: &mut [Client], forgotten: Vec<Record>) {
    let newcomer = clients.last().expect("somebody");
    let (epoch, head, model) = (newcomer.epoch.clone(), newcomer.seq, newcomer.model.clone());
    for client in clients.iter_mut() {
        while client.epoch != epoch {
            client.next().await.expect("a connection");
        }
        client.reach(head).await;
        assert_eq!((client.seq, &client.model), (head, &model), "{}", client.id);
    }
    let now = clients.last().map(history::state);
    history::check(clients.iter(), forgotten.into_iter().chain(now));
}

/// Actions, each when the writers are a little further; whoever died is replaced. Gives what Redis was made to forget.
async fn havoc(
    fleet: &mut Fleet,
    crowd: &Crowd,
    server: &mut RedisServer,
    random: &mut Random,
    fate: Fate,
) -> Vec<Record> {
    let mut progress = crowd.progress.subscribe();
    let mut next = 0;
    let mut forgotten = Vec::new();
    for _ in 0..DEEDS {
        next += 1 + random.below(WRITERS * OPS * WRITERS / DEEDS);
        let waiting = Instant::now();
        while crowd.busy.load(Ordering::Acquire) > 0 && *progress.borrow_and_update() < next {
            assert!(waiting.elapsed() < PATIENCE, "no progress");
            assert_eq!(fleet.count_dead(), 0, "a process ended by itself");
            while fleet.len() < PROCESSES {
                fleet.start().await;
            }
            let _ = tokio::time::timeout(LOOK, progress.changed()).await;
        }
        if fleet.len() < 2 || crowd.busy.load(Ordering::Acquire) == 0 {
            continue;
        }
        match random.below(if fate == Fate::Lives { 6 } else { 7 }) {
            0..=1 => fleet.kill(random).await,
            2 => {
                let pause = Duration::from_millis(50 + random.below(700));
                fleet.stop(random, pause).await;
            }
            3 => fleet.drain(random).await,
            4 => drop(server.ask(&["CLIENT", "KILL", "TYPE", "pubsub"])),
            5 => drop(server.ask(&["CLIENT", "PAUSE", &(50 + random.below(500)).to_string()])),
            _ if fate == Fate::Dies => server.run(),
            _ => {
                let to = history::now_ms();
                let before = server.copy();
                let pause = Duration::from_millis(random.below(300));
                tokio::time::sleep(pause).await;
                server.go_back_to(&before);
                let fields = json!({"to": to});
                forgotten.push(history::record("board", "forgets", fields));
            }
        }
    }
    forgotten
}

#[expect(clippy::print_stderr, reason = "a seed is for who reads the output")]
async fn rounds(n: u64, fate: Fate) {
    let clock = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(1, |now| now.as_secs());
    let first = super::rounds::given("SCUMBLE_SEED").unwrap_or(clock);
    for seed in first..first + n {
        eprintln!("round with seed {seed}");
        round(seed, fate).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acked_is_lost_over_redis() {
    rounds(2, Fate::Lives).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acked_is_lost_when_redis_is_killed() {
    rounds(2, Fate::Dies).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everyone_goes_on_from_the_same_place_when_redis_forgets() {
    rounds(2, Fate::Forgets).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs for as long as it is told to"]
async fn many_rounds_over_redis() {
    let n = super::rounds::given("SCUMBLE_ROUNDS").unwrap_or(10);
    for fate in [Fate::Lives, Fate::Dies, Fate::Forgets] {
        rounds(n, fate).await;
    }
}
