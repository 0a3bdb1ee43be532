//! A connection's task, and the connection as its room sees it ([`Peer`]).

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::net::TcpStream;

use super::clock::Clock;
use super::inbound::{Inbound, Turn};
use super::outbound::Outbound;
use super::outbox::Outbox;
use super::places::{Place, Places};
use super::session::Session;
use crate::auth::{Denied, Gate, Grant};
use crate::backplane::{Author, Carrier, End};
use crate::config::Config;
use crate::counts;
use crate::limits::{CLOSE_TIMEOUT, LINGER_BYTES, MAX_IN_FLIGHT_OPS, OUTBOX_BYTES, goaway_spread};
use crate::protocol::close_code::CloseCode;
use crate::protocol::encoding::Encoding;
use crate::protocol::features::Features;
use crate::protocol::ids::{CanvasId, ConnId};
use crate::protocol::server_message as say;
use crate::room::Link;
use crate::room::inbox::Event;
use crate::room::registry::{Handle, Registry};

mod link;

/// How much too early a connection's timer may fire.
const TIMER_SLACK: Duration = Duration::from_secs(3);

/// What all connections of this instance share.
pub struct Hub {
    /// The rooms.
    pub registry: Arc<Registry<Peer>>,
    /// Where durable messages go.
    pub backplane: Arc<dyn Carrier>,
    /// Limits and timeouts.
    pub config: Arc<Config>,
    /// Checks tokens.
    pub gate: Gate,
    open: Mutex<HashMap<u64, Weak<Peer>>>,
    places: Arc<Places>,
    draining: AtomicBool,
}

impl Hub {
    /// No connections yet.
    pub fn new(
        registry: Arc<Registry<Peer>>,
        backplane: Arc<dyn Carrier>,
        config: Arc<Config>,
        gate: Gate,
    ) -> Arc<Self> {
        let limits = &config.limits;
        let places = Places::new(limits.max_connections, limits.max_connections_per_address);
        Arc::new(Self {
            registry,
            backplane,
            config,
            gate,
            open: Mutex::default(),
            places,
            draining: AtomicBool::new(false),
        })
    }

    /// Open connections.
    pub fn connections(&self) -> u64 {
        self.places.taken().into()
    }

    /// Whether the instance is on its way out.
    pub fn draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Those who said hello.
    pub fn peers(&self) -> Vec<Arc<Peer>> {
        self.open
            .lock()
            .values()
            .filter_map(Weak::upgrade)
            .collect()
    }

    /// Tells every client to come back elsewhere, some now and others a little later, and reads nothing more.
    pub fn go_away(&self) {
        self.draining.store(true, Ordering::Release);
        let peers = self.peers();
        let spread = goaway_spread(peers.len());
        let spread_ms = u64::try_from(spread.as_millis()).unwrap_or(u64::MAX);
        for (i, peer) in (0_u64..).zip(&peers) {
            let retry_after_ms = spread_ms * i / peers.len() as u64;
            peer.reply(say::goaway(
                "this instance is shutting down",
                retry_after_ms,
            ));
            peer.flushed();
            peer.out.wake.notify_one();
        }
    }

    /// The client with that connection, if it is here.
    pub fn peer(&self, conn: ConnId) -> Option<Arc<Peer>> {
        self.open.lock().get(&conn.0).and_then(Weak::upgrade)
    }

    pub(super) fn place_for(&self, address: Option<IpAddr>) -> Result<Place, String> {
        self.places.take(address)
    }

    pub(super) fn add(&self, peer: &Arc<Peer>) {
        self.open
            .lock()
            .insert(peer.author.conn.0, Arc::downgrade(peer));
    }
}

/// A connection after its hello.
pub struct Peer {
    author: Arc<Author>,
    pub(super) out: Arc<Outbound>,
    room: OnceLock<Arc<Handle<Peer>>>,
    pub(super) in_flight: AtomicU32,
    /// The highest committed op at the welcome. There is one welcome.
    welcomed: OnceLock<u64>,
    pub(super) session: Session,
    features: Features,
    deflate: bool,
    address: Option<IpAddr>,
}

impl Peer {
    pub(super) fn new(
        author: Arc<Author>,
        out: Arc<Outbound>,
        grant: Option<Grant>,
        (features, deflate): (Features, bool),
        address: Option<IpAddr>,
    ) -> Self {
        let in_flight = AtomicU32::new(0);
        Self {
            session: Session::new(grant),
            features,
            deflate,
            address,
            author,
            out,
            room: OnceLock::new(),
            in_flight,
            welcomed: OnceLock::new(),
        }
    }

    pub(super) fn seat(&self, room: Arc<Handle<Peer>>) {
        // Set once, right after the join.
        let _ = self.room.set(room);
    }

    pub(super) fn room(&self) -> Option<&Arc<Handle<Peer>>> {
        self.room.get()
    }

    /// The highest committed op at the welcome; `None` before it.
    pub(super) fn acked_op(&self) -> Option<u64> {
        self.welcomed.get().copied()
    }

    /// Ops that wait for their answer.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Writes what the socket takes, and tells the room if it may push again.
    pub(super) fn flushed(&self) {
        self.out.flush();
        if self.out.with(Outbox::take_drained)
            && let Some(room) = self.room()
        {
            room.inbox.put(Event::Drained(self.author.conn));
        }
    }
}

/// A socket after its handshake.
pub struct Upgraded {
    /// The socket itself.
    pub stream: TcpStream,
    /// Bytes that came behind the handshake.
    pub leftover: Vec<u8>,
    /// Whose connection it counts as.
    pub address: Option<IpAddr>,
    /// What the handshake chose.
    pub encoding: Encoding,
}

/// Serves one upgraded socket until it ends.
///
/// What the connection is made of is made before the future: an `async fn` would hold room for its arguments, too.
pub fn serve(
    hub: Arc<Hub>,
    canvas: CanvasId,
    Upgraded {
        stream,
        leftover,
        address,
        encoding,
    }: Upgraded,
) -> impl Future<Output = ()> + Send {
    let out = Arc::new(Outbound::new(stream, slots(&hub), encoding));
    let place = hub.places.take(address);
    let inbound = Inbound::new(hub.clone(), canvas, out.clone(), leftover, address);
    until_its_end(hub, out, inbound, place)
}

/// What a connection's task does, if there is a place for it.
#[expect(
    clippy::manual_async_fn,
    reason = "an `async fn` would hold room for its arguments, too"
)]
pub(super) fn until_its_end(
    hub: Arc<Hub>,
    out: Arc<Outbound>,
    mut inbound: Inbound,
    place: Result<Place, String>,
) -> impl Future<Output = ()> + Send {
    async move {
        match &place {
            Ok(_place) => {
                let end = run(&hub, &out, &mut inbound).await;
                leave(&hub, &inbound, end);
            }
            Err(reason) => out.close(CloseCode::Full, reason),
        }
        count_end(&out);
        linger(&out).await;
    }
}

/// By the code that the client was given; without one it has gone by itself.
fn count_end(out: &Outbound) {
    let code = out.standing().closing;
    counts::CLOSES.add(code.map_or("by-client", CloseCode::digits));
}

/// One for each kind of thing that is said about a client: what a reader is behind with is then no more than what it would be
/// told about a full canvas.
pub(super) fn slots(hub: &Hub) -> usize {
    4 * hub.config.max_clients_per_canvas
}

/// Ends an upgraded socket that may not be here, saying why. Its page learns from the close code that there is no use in
/// coming again; a refusal before the upgrade would look like a lost connection to it.
pub async fn turn_away(hub: Arc<Hub>, upgraded: Upgraded, denied: Denied) {
    let out = Outbound::new(upgraded.stream, slots(&hub), upgraded.encoding);
    let place = hub.places.take(upgraded.address);
    match &place {
        Ok(_place) => out.deny(&denied),
        Err(reason) => out.close(CloseCode::Full, reason),
    }
    count_end(&out);
    linger(&out).await;
}

/// Takes the connection out of its room: once it is decided that it ends, since its last bytes may take
/// seconds. A second time is nothing.
pub(super) fn leave(hub: &Hub, inbound: &Inbound, end: End) {
    if let Some(peer) = inbound.peer() {
        let conn = peer.author.conn;
        hub.open.lock().remove(&conn.0);
        if let Some(room) = peer.room() {
            room.inbox.put(Event::Leave { conn, end });
        }
    }
}

/// After a close frame of ours: reads on until the client has read it, else the kernel would answer
/// what it still sends with a reset, and the close frame would be lost on the way.
async fn linger(out: &Outbound) {
    let standing = out.standing();
    let Some(stream) = out.socket() else { return };
    if standing.closing.is_none() || standing.broken || !standing.empty {
        return;
    }
    // Fails only if the socket is gone already.
    let _ = rustix::net::shutdown(stream, rustix::net::Shutdown::Write);
    let drain = async {
        // On the heap: an array would be part of every connection's task, as long as it lives.
        let mut buffer = vec![0; 4096];
        let mut left = LINGER_BYTES;
        while left > 0 && stream.readable().await.is_ok() {
            match stream.try_read(&mut buffer) {
                Ok(0) => return,
                Ok(n) => left = left.saturating_sub(n),
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    };
    // The bound on the wait; the socket is dropped either way.
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, drain).await;
}

async fn run(hub: &Hub, out: &Outbound, inbound: &mut Inbound) -> End {
    let mut clock = Clock::new(Instant::now());
    // What came behind the handshake is in the parser already.
    let mut readable = true;
    // While messages come the deadline moves on with each: the timer is not set anew for that, and may fire too early.
    let mut timer = pin!(tokio::time::sleep_until(clock.next(hub, None, None).into()));
    loop {
        // Before reading, so that a client that never stops talking ends in time too.
        if let Some(end) = clock.due(hub, out, inbound, Instant::now()) {
            return end;
        }
        let parting = inbound.part();
        let may_read = parting.is_none() && may_read(hub, out, inbound);
        if may_read && (readable || out.has_post()) {
            match inbound.turn() {
                Turn::Idle => readable = false,
                Turn::More => tokio::task::yield_now().await,
                Turn::Ended(end) => return end,
            }
            clock.received(Instant::now());
            continue;
        }
        let standing = out.standing();
        if standing.broken {
            return inbound.end();
        }
        let next = clock.next(hub, inbound.peer(), standing.blocked);
        let deadline = parting.map_or(next, |until| until.min(next)).into();
        let set = timer.deadline();
        if deadline < set || deadline > set + TIMER_SLACK || timer.is_elapsed() {
            timer.as_mut().reset(deadline);
        }
        tokio::select! {
            ready = out.readable(), if may_read && !readable => {
                if ready.is_err() { return End::Lost }
                readable = true;
            }
            () = out.wake.notified() => {
                if out.socket().is_none() {
                    inbound.flush();
                }
            }
            ready = out.writable(), if standing.blocked.is_some() => {
                if ready.is_err() { return End::Lost }
                inbound.flush();
            }
            () = &mut timer => {}
        }
    }
}

/// Not while the join is under way, too many ops wait for their ack, or the client doesn't read its
/// answers: TCP tells it to wait.
fn may_read(hub: &Hub, out: &Outbound, inbound: &Inbound) -> bool {
    let free = |inbound: &Inbound| {
        out.standing().bytes < OUTBOX_BYTES
            && inbound.peer().is_none_or(|peer| {
                peer.acked_op().is_some() && peer.in_flight() < MAX_IN_FLIGHT_OPS
            })
    };
    if out.standing().closing.is_some() {
        return true; // for the answer to the close frame
    }
    if hub.draining() {
        return false;
    }
    if free(inbound) {
        out.paused.store(false, Ordering::Release);
        return true;
    }
    out.paused.store(true, Ordering::Release);
    // What made room before the flag was seen would not have woken this task.
    free(inbound)
}
