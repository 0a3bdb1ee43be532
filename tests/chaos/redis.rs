//! The same over Redis: processes are killed, stopped and drained, their connections to Redis cut, and Redis itself comes to harm,
//! while clients write, are cut off and come back.

mod gate;
mod place;

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use super::crowd::{Crowd, come_back};
use super::fleet::Fleet;
use crate::harness::history::{self, Record, check_agreement};
use crate::harness::{Client, PATIENCE, Random, roster, soon};
use crate::redis_server::RedisServer;
use place::Place;

const PROCESSES: usize = 3;
const LOOK: Duration = Duration::from_millis(25);
const WRITERS: u64 = 6;
const OPS: u64 = 500;
const ACTIONS: u64 = 12;
/// The objects of a large canvas, and the bytes of each: more than the 32 MiB that stock Redis lets wait for a subscriber.
const LARGE: (u64, usize) = (600, 60_000);
/// Messages after which it counts as gone on: each is placed by all writers.
const GONE_ON: u64 = 50 * WRITERS;

/// What becomes of Redis itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Connections to it are cut, and it stops for moments.
    Lives,
    /// It is killed, too. It loses nothing, but nobody can know that: everybody gets a snapshot.
    Dies,
    /// It loses its last moments each time, as in a power cut, acked or not.
    Forgets,
    /// The same as when it dies, with a canvas that is larger than its stock limits.
    Large,
    /// The network cuts processes off from it, and heals.
    Parts,
    /// A replica takes over, with all of it or without the last moments; then the first server again.
    FailsBack,
    /// Somebody removes or overwrites the canvas's keys.
    Meddled,
    /// Its memory is full for moments.
    Full,
}

const KINDS: [Kind; 8] = [
    Kind::Lives,
    Kind::Dies,
    Kind::Forgets,
    Kind::Large,
    Kind::Parts,
    Kind::FailsBack,
    Kind::Meddled,
    Kind::Full,
];

async fn round(seed: u64, kind: Kind) {
    let mut random = Random::seeded(seed);
    let mut place = Place::new(kind).await;
    let mut fleet = Fleet::new(&["--presence-grace=1s"], false);
    for _ in 0..PROCESSES {
        start(&mut fleet, &mut place).await;
    }
    let crowd = Crowd::new(fleet.addresses.clone());
    let ops = if kind == Kind::Large { OPS / 4 } else { OPS };
    let mut writers = JoinSet::new();
    for n in 0..WRITERS {
        let address = fleet.addresses.any(&mut random).expect("three are up");
        let mut client = Client::join(address, "board").await;
        if n == 0 && kind == Kind::Large {
            enlarge(&mut client).await;
        }
        let upto = client.op + ops;
        crowd.write(&mut writers, client, random.fork(), upto);
    }
    let forgotten = havoc(&mut fleet, &crowd, &mut place, (&mut random, ops)).await;
    while fleet.len() < 2 {
        start(&mut fleet, &mut place).await;
    }
    let mut clients = soon("the writers", writers.join_all()).await;
    for client in &mut clients {
        come_back(client, &fleet.addresses, &mut random).await;
        client.settle().await.expect("a connection");
    }
    if kind == Kind::Lives {
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
    match kind {
        Kind::Forgets | Kind::FailsBack | Kind::Meddled => {
            same_place(&mut clients, forgotten).await;
        }
        _ => check_agreement(&mut clients).await,
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

/// Starts one. While Redis loads a large file it ends at once, and is started again, as its supervisor would.
async fn start(fleet: &mut Fleet, place: &mut Place) {
    soon("a process that starts", async {
        while !fleet.launch(&["--redis", &place.url()]).await {
            tokio::time::sleep(LOOK).await;
        }
    })
    .await;
}

/// Objects that nobody touches again.
async fn enlarge(client: &mut Client) {
    let (objects, bytes) = LARGE;
    let text = "x".repeat(bytes);
    for n in 0..objects {
        let object = json!({"id": format!("large-{n}"), "kind": "box", "text": text});
        client
            .op(json!({"type": "object-create", "object": object}))
            .await;
        if n % 20 == 0 {
            client.settle().await.expect("a connection");
        }
    }
    client.settle().await.expect("a connection");
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
    place: &mut Place,
    (random, ops): (&mut Random, u64),
) -> Vec<Record> {
    let mut progress = crowd.progress.subscribe();
    let mut next = 0;
    let mut forgotten = Vec::new();
    for _ in 0..ACTIONS {
        next += 1 + random.below(WRITERS * ops * WRITERS / ACTIONS);
        let waiting = Instant::now();
        while crowd.busy.load(Ordering::Acquire) > 0 && *progress.borrow_and_update() < next {
            assert!(waiting.elapsed() < PATIENCE, "no progress");
            assert_eq!(fleet.count_dead(), 0, "a process ended by itself");
            while fleet.len() < PROCESSES {
                start(fleet, place).await;
            }
            let _ = tokio::time::timeout(LOOK, progress.changed()).await;
        }
        if fleet.len() < 2 || crowd.busy.load(Ordering::Acquire) == 0 {
            continue;
        }
        match random.below(9) {
            0..=1 => fleet.kill(random).await,
            2 => {
                let pause = Duration::from_millis(50 + random.below(700));
                fleet.stop(random, pause).await;
            }
            3 => fleet.drain(random).await,
            4 => place.cut(),
            5 => place.hang(random),
            _ => {
                let mended = mended(fleet, crowd);
                forgotten.extend(place.suffer(random, mended).await);
            }
        }
    }
    forgotten
}

/// Whether a process says that it put a canvas back, or it is clear that nothing was to be put back. What was on its way before comes
/// also where the keys are damaged; whoever has a copy must not end then.
fn mended(fleet: &Fleet, crowd: &Crowd) -> impl Fn(&RedisServer) -> bool {
    let before = (fleet.said("was put back"), *crowd.progress.borrow());
    move |server| {
        let (said, placed) = (fleet.said("was put back"), *crowd.progress.borrow());
        said > before.0
            || placed > before.1 + GONE_ON && place::are_sound(server)
            || crowd.busy.load(Ordering::Acquire) == 0
    }
}

#[expect(clippy::print_stderr, reason = "a seed is for who reads the output")]
async fn rounds(n: u64, kinds: &[Kind]) {
    let clock = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(1, |now| now.as_secs());
    let first = super::rounds::given("SCUMBLE_SEED").unwrap_or(clock);
    for seed in first..first + n {
        let kind = usize::try_from(seed).expect("small") % kinds.len();
        let (kind, began) = (kinds[kind], Instant::now());
        eprintln!("round with seed {seed}: {kind:?}");
        round(seed, kind).await;
        eprintln!("  held in {:.1?}", began.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acked_is_lost_over_redis() {
    rounds(2, &[Kind::Lives]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acked_is_lost_when_redis_is_killed() {
    rounds(2, &[Kind::Dies]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everyone_goes_on_from_the_same_place_when_redis_forgets() {
    rounds(2, &[Kind::Forgets]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acked_is_lost_whatever_else_becomes_of_redis() {
    for kind in [Kind::Parts, Kind::Meddled, Kind::Full] {
        rounds(1, &[kind]).await;
    }
}

/// What `scripts/chaos --redis` runs: each kind in turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs for as long as it is told to: scripts/chaos --redis"]
async fn many_rounds_over_redis() {
    let n = super::rounds::given("SCUMBLE_ROUNDS").unwrap_or(10);
    rounds(n, &KINDS).await;
}
