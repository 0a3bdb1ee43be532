//! Rounds of chaos, each made by its seed. Processes are killed at random and at every step of the write path, stopped,
//! drained and started again, while clients on several canvases write, are cut off and come back, and one more
//! attacks. At the end what all clients sent and were told is judged by `scripts/judge`. Everyone must see the same canvas
//! and the same people, and the file must be in order.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use tokio::task::JoinSet;

use super::attacker::Attacker;
use super::crowd::{Crowd, come_back};
use super::fleet::{Fleet, STEPS};
use crate::harness::history::check_agreement;
use crate::harness::{Client, PATIENCE, Random, roster, soon};

/// Processes of a round.
const PROCESSES: usize = 3;
/// How often the fleet is looked after.
const LOOK: Duration = Duration::from_millis(25);

/// How large a round is.
struct Size {
    writers: u64,
    ops: u64,
    actions: u64,
}

async fn round(seed: u64, size: &Size) -> Fleet {
    let mut random = Random::seeded(seed);
    let local = ["on", "off"][usize::try_from(random.below(2)).expect("small")];
    let spills = random.below(2) == 0;
    let flags = [
        "--presence-grace=1s",
        "--cleanup-interval=200ms",
        "--log-level=info",
        "--local-broadcast",
        local,
    ];
    let mut fleet = Fleet::new(&flags, spills);
    for _ in 0..PROCESSES {
        fleet.start().await;
    }
    let crowd = Crowd::new(fleet.addresses.clone());
    let canvases = ["board", "wall"];
    let mut writers: [JoinSet<Client>; 2] = [JoinSet::new(), JoinSet::new()];
    for n in 0..size.writers {
        let which = usize::try_from(n % 2).expect("small");
        let address = fleet.addresses.any(&mut random).expect("three are up");
        let client = Client::join(address, canvases[which]).await;
        crowd.write(&mut writers[which], client, random.fork(), size.ops);
    }
    let attacker = Attacker::start(fleet.addresses.clone(), random.fork());
    havoc(&mut fleet, &crowd, &mut random, size).await;
    peace(&mut fleet, &mut random).await;
    assert!(attacker.end().await > 0, "somebody attacked");
    for (tasks, canvas) in writers.iter_mut().zip(canvases) {
        let clients = std::mem::take(tasks).join_all();
        let clients = soon("the writers", clients).await;
        agree(&fleet, clients, canvas, &mut random).await;
    }
    examine(&fleet);
    fleet
}

/// Actions, each when the writers are a little further; whoever died is replaced by one that is armed.
async fn havoc(fleet: &mut Fleet, crowd: &Crowd, random: &mut Random, size: &Size) {
    let mut progress = crowd.progress.subscribe();
    let mut next = 0;
    for _ in 0..size.actions {
        // Each message is placed by all writers of its canvas.
        let placed = size.writers * size.ops * size.writers / 2;
        next += 1 + random.below(placed / size.actions);
        let waiting = Instant::now();
        while crowd.busy.load(Ordering::Acquire) > 0 && *progress.borrow_and_update() < next {
            let stuck = waiting.elapsed() > PATIENCE;
            assert!(!stuck, "no progress with {} processes", fleet.len());
            fleet.count_dead();
            while fleet.len() < PROCESSES {
                fleet.start_armed(random).await;
            }
            let _ = tokio::time::timeout(LOOK, progress.changed()).await;
        }
        fleet.count_dead();
        if fleet.len() < 2 || crowd.busy.load(Ordering::Acquire) == 0 {
            continue;
        }
        match random.below(8) {
            0..=3 => fleet.kill(random).await,
            4..=5 => {
                let pause = Duration::from_millis(50 + random.below(700));
                fleet.stop(random, pause).await;
            }
            6 => fleet.drain(random).await,
            // All at once.
            _ => {
                while fleet.len() > 0 {
                    fleet.kill(random).await;
                }
            }
        }
    }
}

/// Only sound processes are left. What the last ones spilled is theirs to commit.
async fn peace(fleet: &mut Fleet, random: &mut Random) {
    while fleet.len() > 0 {
        fleet.kill(random).await;
    }
    for _ in 0..2 {
        fleet.start().await;
    }
}

/// All clients of a canvas, and one that comes now, see the same.
async fn agree(fleet: &Fleet, mut clients: Vec<Client>, canvas: &str, random: &mut Random) {
    for client in &mut clients {
        come_back(client, &fleet.addresses, random).await;
        client.settle().await.expect("a connection");
    }
    assert!(
        clients.iter().all(|client| client.streams().count() == 1),
        "nobody needed a snapshot"
    );
    let address = fleet.addresses.any(random).expect("two are up");
    clients.push(Client::join(address, canvas).await);
    check_agreement(&mut clients).await;
    let whole =
        |client: &Client| client.seq > 0 && client.stream().entries.len() as u64 == client.seq;
    assert!(clients.iter().any(whole), "somebody saw all of it");
    let all: BTreeSet<_> = clients.iter().map(|c| (c.id.clone(), false)).collect();
    for client in &mut clients {
        let waiting = Instant::now();
        while roster(client) != all {
            let next = tokio::time::timeout(PATIENCE - waiting.elapsed(), client.next()).await;
            let Ok(next) = next else {
                panic!(
                    "{} sees {:?}, not {all:?}\n{} {:?}",
                    client.id,
                    roster(client),
                    client.welcome,
                    &client.heard[client.heard_before..]
                );
            };
            next.expect("a connection");
        }
    }
}

/// The file itself is in order.
fn examine(fleet: &Fleet) {
    let conn = Connection::open_with_flags(fleet.db(), OpenFlags::SQLITE_OPEN_READ_ONLY);
    let conn = conn.expect("the file");
    let wrong = |sql: &str| -> i64 { conn.query_row(sql, [], |row| row.get(0)).expect(sql) };
    for sql in [
        "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
        "SELECT count(*) FROM canvases c WHERE seq <>
         (SELECT max(seq) FROM message_queue m WHERE m.canvas_id = c.key)",
        "SELECT count(*) FROM canvases c WHERE objects <>
         (SELECT count(*) FROM canvas_objects o WHERE o.canvas_id = iif(c.content = 0, c.key, c.content))",
    ] {
        assert_eq!(wrong(sql), 0, "{sql}");
    }
}

const SHORT: Size = Size {
    writers: 6,
    ops: 700,
    actions: 16,
};

/// A number from the environment, which `scripts/chaos` sets.
pub fn given(name: &str) -> Option<u64> {
    #[expect(
        clippy::disallowed_methods,
        reason = "tests have no configuration to read it"
    )]
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect(name))
}

#[expect(clippy::print_stderr, reason = "a seed is for who reads the output")]
async fn rounds(first: u64, n: u64, size: &Size) {
    let mut failed = 0;
    for seed in first..first + n {
        let began = Instant::now();
        eprintln!("round with seed {seed}");
        let fleet = round(seed, size).await;
        failed += fleet.failed;
        eprintln!(
            "  held in {:.1?}; {} died at a fail point",
            began.elapsed(),
            fleet.failed
        );
    }
    eprintln!("{n} rounds held; {failed} processes died at a fail point");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acked_is_lost_whatever_dies() {
    let clock = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(1, |now| now.as_secs());
    rounds(given("SCUMBLE_SEED").unwrap_or(clock), 3, &SHORT).await;
}

/// What `scripts/chaos` runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs for as long as it is told to: scripts/chaos"]
async fn many_rounds() {
    let size = Size {
        writers: 8,
        ops: 900,
        actions: 24,
    };
    let (rounds_wanted, seed) = (given("SCUMBLE_ROUNDS"), given("SCUMBLE_SEED"));
    rounds(seed.unwrap_or(1), rounds_wanted.unwrap_or(10), &size).await;
}

/// Each step once, with all processes armed at the same moment: no step is left to chance.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acked_is_lost_at_any_step() {
    for step in STEPS {
        let mut random = Random::seeded(7);
        let mut fleet = Fleet::new(&["--presence-grace=1s"], false);
        fleet.start().await;
        let address = fleet.addresses.any(&mut random).expect("it is up");
        let crowd = Crowd::new(fleet.addresses.clone());
        let mut writers = JoinSet::new();
        for _ in 0..3 {
            let client = Client::join(address, "board").await;
            crowd.write(&mut writers, client, random.fork(), 200);
        }
        fleet.kill(&mut random).await;
        for at in [6, 14] {
            let point = format!("{step}=abort@{at}");
            assert!(fleet.launch(&["--fail-point", &point]).await);
        }
        soon(step, async {
            while fleet.failed < 2 {
                fleet.count_dead();
                if fleet.len() == 0 && fleet.failed < 2 {
                    fleet.start().await;
                }
                tokio::time::sleep(LOOK).await;
            }
        })
        .await;
        for _ in 0..2 {
            fleet.start().await;
        }
        let clients = soon("the writers", writers.join_all()).await;
        agree(&fleet, clients, "board", &mut random).await;
        examine(&fleet);
    }
}
