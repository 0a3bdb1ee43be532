//! Somebody hostile among the clients of a round: what is sent is bounded, and none of it may change what others see.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::fleet::Addresses;
use super::raw::{CONTINUATION, FIN, HANDSHAKE, PING, TEXT, frame, text};
use crate::harness::Random;
use crate::harness::client::new_id;

/// Where it draws: a canvas of its own, since its ops may be lost.
const CANVAS: &str = "pit";
/// How long one attack may take.
const LIMIT: Duration = Duration::from_millis(400);

/// Attacks until it is told to stop.
pub struct Attacker {
    stop: Arc<AtomicBool>,
    task: JoinSet<u64>,
}

impl Attacker {
    /// Begins.
    pub fn start(addresses: Addresses, mut random: Random) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut attacks = 0;
            while !stopped.load(Ordering::Acquire) {
                if let Some(address) = addresses.any(&mut random) {
                    // A process that dies or hangs up ends an attack early.
                    let _ = timeout(LIMIT, attack(address, &mut random)).await;
                    attacks += 1;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            attacks
        });
        Self { stop, task }
    }

    /// Ends; how many attacks there were.
    pub async fn end(self) -> u64 {
        self.stop.store(true, Ordering::Release);
        self.task.join_all().await.iter().sum()
    }
}

async fn attack(address: SocketAddr, random: &mut Random) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    if random.below(8) == 0 {
        // A body that comes a byte at a time.
        let head = format!(
            "POST /api/v1/canvases/{CANVAS}/messages HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        for _ in 0..20 {
            stream.write_all(b" ").await?;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        return Ok(());
    }
    let canvas = if random.below(2) == 0 {
        CANVAS
    } else {
        "board"
    };
    let request = format!("GET /ws/{canvas} HTTP/1.1\r\n{HANDSHAKE}\r\n");
    stream.write_all(request.as_bytes()).await?;
    if canvas == "board" {
        // Nothing of it becomes a member there.
        let opening = frame(TEXT, b"{");
        let flood = match random.below(4) {
            0 => [opening, frame(CONTINUATION, b"").repeat(4_000)].concat(),
            1 => frame(FIN | PING, &[7; 125]).repeat(2_000),
            2 => text("{\"type\":\"chat\",\"op\":1,\"text\":\"no hello\"}").repeat(500),
            _ => (0..20_000)
                .map(|_| random.below(256).to_le_bytes()[0])
                .collect(),
        };
        return stream.write_all(&flood).await;
    }
    join_and_flood(stream, random).await
}

async fn join_and_flood(mut stream: TcpStream, random: &mut Random) -> std::io::Result<()> {
    let hello = json!({"type": "hello", "v": 1, "client": new_id()}).to_string();
    stream.write_all(&text(&hello)).await?;
    let large = json!({"id": "large", "kind": "k", "d": "x".repeat(50_000)});
    let made = json!({"type": "object-create", "op": 1, "object": large}).to_string();
    let mut flood = Vec::new();
    match random.below(5) {
        // A small change of a large object, again and again; nothing is read.
        0 => {
            flood.extend(text(&made));
            for op in 2..200 {
                let patch = json!({"a": op});
                let change =
                    json!({"type": "object-update", "op": op, "id": "large", "patch": patch});
                flood.extend(text(&change.to_string()));
            }
        }
        // What is known already.
        1 => flood = text("{\"type\":\"chat\",\"op\":1,\"text\":\"again\"}").repeat(1_000),
        2 => {
            for n in 0..300 {
                let state = json!({"type": "presence", "state": {"n": n, "x": "y".repeat(2_000)}});
                flood.extend(text(&state.to_string()));
            }
        }
        3 => flood = text("{\"type\":\"cursor\",\"x\":1,\"y\":1}").repeat(2_000),
        // Comes and goes.
        _ => return Ok(()),
    }
    stream.write_all(&flood).await?;
    let mut some = vec![0; 4_096];
    stream.read(&mut some).await.map(drop)
}
