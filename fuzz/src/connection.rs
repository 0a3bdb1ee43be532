//! Any bytes on a socket after its upgrade, against the whole of a relay in memory: what comes back is frames that a
//! server may send, and when the client has gone nothing of it is left.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use scumble::auth::Gate;
use scumble::auth::keys::Keys;
use scumble::backplane::Backplane;
use scumble::config::Config;
use scumble::limits::{CanvasRules, ObjectBounds};
use scumble::memory::MemoryBackplane;
use scumble::protocol::encoding::Encoding;
use scumble::protocol::ids::CanvasId;
use scumble::protocol::server_message::Limits;
use scumble::room::Settings;
use scumble::room::cursors::Flusher;
use scumble::room::registry::Registry;
use scumble::socket::connection::{Hub, Peer, Upgraded, serve};
use scumble::tasks::Spawner;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use super::frames::{Frame, take};
use super::input::Input;

/// Far above what is normal: only a hang takes as long.
const PATIENCE: Duration = Duration::from_secs(20);
const HELLO: &str = r#"{"type":"hello","v":1,"client":"client-00"}"#;
/// Beginnings that a fuzzer would be long in finding; its own bytes follow.
const WORDS: [&str; 12] = [
    HELLO,
    r#"{"type":"hello","v":1,"client":"client-00","since":{"epoch":"0000000000000007","seq":1}}"#,
    r#"{"type":"object-create","op":1,"object":{"id":"a","kind":"k"}}"#,
    r#"{"type":"object-update","op":2,"id":"a","patch":{"x":1}}"#,
    r#"{"type":"chat","op":3,"text":""#,
    r#"{"type":"broadcast","op":4,"event":"e","data":"#,
    r#"{"type":"cursor","x":1,"y":2,"#,
    r#"{"type":"presence","state":{"a":1}}"#,
    r#"{"type":"signal","event":"e","data":"#,
    r#"{"type":"ping","ts":1}"#,
    r#"{"type":"bye"}"#,
    "",
];

/// A relay in memory and the loop that it runs on.
struct Bench {
    runtime: Runtime,
    relay: Arc<Relay>,
}

struct Relay {
    listener: TcpListener,
    hub: Arc<Hub>,
    registry: Arc<Registry<Peer>>,
    spawner: Spawner,
}

thread_local! {
    static BENCH: RefCell<Option<Bench>> = const { RefCell::new(None) };
}

/// One connection's life.
pub fn run(data: &[u8]) {
    BENCH.with_borrow_mut(|bench| {
        let Bench { runtime, relay } = bench.get_or_insert_with(Bench::start);
        let life = live(relay, data);
        runtime.block_on(async { timeout(PATIENCE, life).await.expect("it hangs") });
    });
}

impl Bench {
    fn start() -> Self {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let relay = Arc::new(runtime.block_on(Relay::start()));
        Self { runtime, relay }
    }
}

impl Relay {
    async fn start() -> Self {
        let config = Config::from_flags(["--queue=off", "--max-message-bytes=1024"]);
        let config = Arc::new(config.expect("flags"));
        let rules = CanvasRules {
            message_ttl: Duration::from_secs(1),
            presence_grace: Duration::ZERO,
            bounds: ObjectBounds {
                max_objects: 10,
                max_bytes: 1 << 20,
            },
            quotas: scumble::limits::Quotas::default(),
        };
        let memory = MemoryBackplane::start(config.instance_id.clone(), &rules);
        let backplane: Arc<dyn Backplane> = memory.expect("a thread");
        let tick = Duration::from_millis(1);
        let flusher = Arc::new(Flusher::new(tick, tick));
        let spawner = Spawner::default();
        let settings = Arc::new(settings(&config));
        let registry = Registry::new(
            backplane.clone(),
            flusher.clone(),
            settings,
            spawner.clone(),
            None,
        );
        let gate = Gate::new(Keys::default(), None).expect("a gate");
        let hub = Hub::new(registry.clone(), backplane, config, gate);
        spawner.spawn(async move { flusher.run(|| Duration::ZERO).await });
        // A fuzzer's program does not ignore it as others in Rust do. Taken once, it stays so.
        drop(signal(SignalKind::pipe()).expect("a handler"));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self {
            listener,
            hub,
            registry,
            spawner,
        }
    }
}

fn settings(config: &Config) -> Settings {
    Settings {
        instance: config.instance_id.clone(),
        local_broadcast: true,
        cursor_quiet: Duration::from_millis(1),
        snapshots: true,
        limits: Limits {
            max_message_bytes: config.max_message_bytes,
            cursor_interval_ms: 1,
            ops_per_s: 0,
            max_objects: 10,
            max_clients: 10,
            max_canvas_bytes: 1 << 20,
            max_json_depth: 16,
            max_asset_bytes: None,
        },
        heartbeat_ms: 25_000,
    }
}

async fn live(relay: &Arc<Relay>, data: &[u8]) {
    let mut input = Input::new(data);
    let address = relay.listener.local_addr().expect("an address");
    let (client, accepted) = tokio::join!(TcpStream::connect(address), relay.listener.accept());
    let (mut client, stream) = (client.expect("a socket"), accepted.expect("a socket").0);
    client.set_nodelay(true).expect("a socket");
    let canvas = CanvasId::parse("board").expect("an id");
    // Some of it comes in one piece with the handshake.
    let behind = if input.below(2) > 0 {
        piece(&mut input)
    } else {
        Vec::new()
    };
    let hub = relay.hub.clone();
    let mut answer = Vec::new();
    let upgraded = Upgraded {
        stream,
        leftover: behind,
        address: None,
        encoding: Encoding::Json,
    };
    let serving = serve(hub, canvas, upgraded);
    let talking = async {
        let resets = input.below(16) == 0;
        for _ in 0..100 {
            let piece = piece(&mut input);
            if piece.is_empty() {
                break;
            }
            // It fails once the server has hung up.
            if client.write_all(&piece).await.is_err() {
                break;
            }
            for _ in 0..input.below(4) {
                tokio::task::yield_now().await;
            }
        }
        if resets {
            client.set_zero_linger().expect("a socket");
            drop(client);
            return None;
        }
        // As above.
        let _ = client.shutdown().await;
        let whole = client.read_to_end(&mut answer).await.is_ok();
        Some(whole)
    };
    let ((), ended) = tokio::join!(serving, talking);
    if let Some(whole) = ended {
        check(&answer, whole);
    }
    assert_eq!(relay.hub.connections(), 0);
    // The room ends too, once it hears that the leave is committed: the flusher alone goes on.
    while !relay.registry.is_empty() || relay.spawner.len() > 1 {
        tokio::task::yield_now().await;
    }
}

/// What the client writes next; empty at the end.
fn piece(input: &mut Input<'_>) -> Vec<u8> {
    let Some(kind) = input.byte() else {
        return Vec::new();
    };
    match kind % 10 {
        0 => masked(0x81, HELLO.as_bytes()),
        1..=3 => {
            let mut text = WORDS[usize::from(input.below(12))].as_bytes().to_vec();
            text.extend_from_slice(input.bytes());
            masked(0x81, &text)
        }
        // Any first byte: fragments, control frames, reserved bits.
        4 | 5 => {
            let first = input.byte().unwrap_or(0);
            masked(first, input.bytes())
        }
        6 => masked(
            0x81,
            &vec![b'['; 16 * usize::from(input.byte().unwrap_or(0))],
        ),
        // The same frame many times: fragments without an end, empty ones, pings.
        7 => {
            let first = input.byte().unwrap_or(0);
            let payload = [b'x'; 3];
            let frame = masked(first, &payload[..usize::from(input.below(4))]);
            frame.repeat(8 * usize::from(input.byte().unwrap_or(0)))
        }
        // A length in eight bytes, whether or not as much follows.
        8 => {
            let first = input.byte().unwrap_or(0);
            let exponent = input.below(64);
            let mut head = vec![first, 0x80 | 127];
            head.extend((1_u64 << exponent).to_be_bytes());
            head.extend([0; 4]);
            head.extend_from_slice(input.bytes());
            head
        }
        _ => {
            let mut raw = input.bytes().to_vec();
            raw.push(kind);
            raw
        }
    }
}

fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match u16::try_from(payload.len()).expect("short") {
        len @ 0..=125 => out.push(0x80 | len.to_be_bytes()[1]),
        len => {
            out.push(0x80 | 126);
            out.extend(len.to_be_bytes());
        }
    }
    // A mask of zeros.
    out.extend([0; 4]);
    out.extend_from_slice(payload);
    out
}

fn check(answer: &[u8], whole: bool) {
    let (mut rest, mut over) = (answer, false);
    while let Some(frame) = take(&mut rest) {
        assert!(!over, "{frame:?} behind a close frame");
        over = matches!(frame, Frame::Close);
    }
    assert!(rest.is_empty() || !whole, "half a frame: {rest:?}");
}
