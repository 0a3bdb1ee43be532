//! The reading half: takes tungstenite's frames, or a stream's posts, and makes events for the room and entries for the
//! queue.

use std::io;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;
use tungstenite::protocol::frame::coding::CloseCode as WsCode;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

use super::connection::{Hub, Peer};
use super::io::Io;
use super::limiter::Limiter;
use super::op_window::OpWindow;
use super::outbound::Outbound;
use crate::backplane::{End, Together};
use crate::limits::{
    BEFORE_HELLO_BYTES, HELLO_BYTES, MAX_EMPTY_FRAGMENTS, MAX_FRAGMENTS, OUTBOX_BYTES,
    PART_TIMEOUT, READ_BUFFER_BYTES,
};
use crate::protocol::client_message::{ClientMessage, Refused, parse_within};
use crate::protocol::close_code::CloseCode;
use crate::protocol::encoding::Encoding;
use crate::protocol::ids::CanvasId;
use crate::protocol::msgpack;
use crate::protocol::server_message::{self as say, ErrorCode};
use crate::room::Link;
use crate::room::inbox::Event;

mod admission;
mod durable;
mod entering;
mod posted;

use posted::Posts;

/// Messages handled before other tasks get a turn.
const MESSAGES_PER_TURN: u32 = 64;

/// Bytes of signals that are handed over in one piece: a piece has to fit into an outbox.
const SIGNALS_AT_ONCE: usize = OUTBOX_BYTES / 4;

/// What a turn of reading came to.
pub enum Turn {
    /// Nothing more to read now.
    Idle,
    /// There may be more.
    More,
    /// The connection is over.
    Ended(End),
}

/// Signals of one turn: framed for this instance's members, and where each stands, for others.
#[derive(Default)]
struct Signals {
    frames: Vec<u8>,
    bodies: Vec<Range<usize>>,
}

/// Where messages come from.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are sockets, which are not to be looked for elsewhere"
)]
enum Source {
    Socket(WebSocket<Io>),
    Posts(Posts),
}

/// See the module's head.
pub struct Inbound {
    hub: Arc<Hub>,
    canvas: CanvasId,
    /// Whose connection it counts as.
    address: Option<IpAddr>,
    out: Arc<Outbound>,
    source: Source,
    peer: Option<Arc<Peer>>,
    window: Option<OpWindow>,
    limiter: Limiter,
    /// The entries of this turn: the backplane commits them as one.
    together: Option<Together>,
    signals: Signals,
    bad_in_a_row: u32,
    said_bye: bool,
    /// It said `bye` then, and ops of it wait for their answers.
    parting: Option<Instant>,
}

impl Inbound {
    /// The reading half of a connection that has said nothing yet.
    pub fn new(
        hub: Arc<Hub>,
        canvas: CanvasId,
        out: Arc<Outbound>,
        leftover: Vec<u8>,
        address: Option<IpAddr>,
    ) -> Self {
        let max = hub.config.max_message_bytes;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(max))
            .max_frame_size(Some(max));
        let io = Io::new(out.clone(), leftover);
        let socket = WebSocket::from_raw_socket(io, Role::Server, Some(config));
        Self::reading(hub, canvas, out, Source::Socket(socket), address)
    }

    fn reading(
        hub: Arc<Hub>,
        canvas: CanvasId,
        out: Arc<Outbound>,
        source: Source,
        address: Option<IpAddr>,
    ) -> Self {
        let limiter = Limiter::new(&hub.config.limits, hub.config.max_message_bytes);
        Self {
            hub,
            canvas,
            address,
            out,
            source,
            peer: None,
            window: None,
            limiter,
            together: None,
            signals: Signals::default(),
            bad_in_a_row: 0,
            said_bye: false,
            parting: None,
        }
    }

    /// Who it is, after the hello.
    pub fn peer(&self) -> Option<&Arc<Peer>> {
        self.peer.as_ref()
    }

    /// Writes what waits, and tells the room if it may push again.
    pub fn flush(&self) {
        match &self.peer {
            Some(peer) => peer.flushed(),
            None => self.out.flush(),
        }
    }

    /// Reads and handles what has come, up to a bound.
    pub fn turn(&mut self) -> Turn {
        let turn = self.read_messages();
        self.hurry();
        self.together = None;
        self.send_signals();
        self.flush();
        turn
    }

    fn read_messages(&mut self) -> Turn {
        match &mut self.source {
            Source::Socket(socket) => socket.get_mut().begin_turn(),
            Source::Posts(_) => return self.read_posts(),
        }
        for _ in 0..MESSAGES_PER_TURN {
            let Source::Socket(socket) = &mut self.source else {
                return Turn::Idle;
            };
            let message = match socket.read() {
                Ok(message) => message,
                Err(Error::Io(e)) if e.kind() == io::ErrorKind::WouldBlock => {
                    // A share that is used up is not an empty socket.
                    return match socket.get_ref().is_spent() {
                        true => Turn::More,
                        false => Turn::Idle,
                    };
                }
                Err(e) => return self.failed(e),
            };
            match message {
                Message::Text(_) | Message::Binary(_) if self.closing() => {}
                Message::Text(text) => self.text(text.as_str()),
                Message::Binary(bytes) => self.binary(&bytes),
                Message::Close(close) => {
                    let clean = close.is_none_or(|close| {
                        matches!(close.code, WsCode::Normal | WsCode::Away | WsCode::Status)
                    });
                    // The answer is written by the next read, which then says that it is over.
                    self.said_bye |= clean && !self.closing();
                }
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
            if self.stops() {
                return Turn::More;
            }
        }
        Turn::More
    }

    /// Whether what was read last means that the task must look before it reads on.
    fn stops(&self) -> bool {
        self.parting.is_some()
            || self.out.paused.load(Ordering::Relaxed)
            || self.out.standing().bytes >= OUTBOX_BYTES
            || self
                .peer
                .as_ref()
                .is_some_and(|peer| peer.acked_op().is_none())
            || self
                .peer
                .as_ref()
                .is_some_and(|peer| peer.in_flight() >= crate::limits::MAX_IN_FLIGHT_OPS)
    }

    /// Bytes that have come so far.
    pub fn received(&self) -> u64 {
        self.io().map_or(0, Io::received)
    }

    fn io(&self) -> Option<&Io> {
        match &self.source {
            Source::Socket(socket) => Some(socket.get_ref()),
            Source::Posts(_) => None,
        }
    }

    /// Whether a message has begun that has not ended.
    pub fn unfinished(&self) -> bool {
        self.io().is_some_and(Io::unfinished)
    }

    /// Whoever sends much and no hello has no use for the place.
    fn hurry(&self) {
        let hello = self.hub.config.max_message_bytes.min(HELLO_BYTES);
        let most = hello + BEFORE_HELLO_BYTES;
        if self.peer.is_none() && self.received() > most as u64 {
            let reason = format!(
                "hello must come first, with at most {hello} bytes: only pings may come before"
            );
            self.out.close(CloseCode::Malformed, &reason);
        }
    }

    fn failed(&mut self, error: Error) -> Turn {
        match error {
            Error::Io(_) if self.io().is_some_and(|io| io.refused().is_some()) => {
                let reason = format!(
                    "a message has at most {MAX_FRAGMENTS} fragments, {MAX_EMPTY_FRAGMENTS} of them empty"
                );
                self.out.close(CloseCode::TooBig, &reason);
            }
            Error::Capacity(_) => {
                self.too_big();
            }
            Error::Protocol(_) => self
                .out
                .close(CloseCode::Protocol, "a violation of RFC 6455"),
            Error::Utf8(_) => self.out.close(CloseCode::InvalidData, "text must be UTF-8"),
            _ => {}
        }
        Turn::Ended(self.end())
    }

    fn too_big(&self) {
        let max = self.hub.config.max_message_bytes;
        let reason = format!("a message has at most {max} bytes (max_message_bytes)");
        self.out.close(CloseCode::TooBig, &reason);
    }

    /// How it ends if it ends now.
    pub fn end(&self) -> End {
        // Who may not be here is gone for the others, not away.
        let forbidden = self.out.standing().closing == Some(CloseCode::Forbidden);
        match self.said_bye || forbidden {
            true => End::Clean,
            false => End::Lost,
        }
    }

    /// It said `bye`, or a close frame of ours is on its way: nothing that comes now counts.
    fn closing(&self) -> bool {
        self.parting.is_some() || self.out.standing().closing.is_some()
    }

    /// Closes the connection of who said `bye` once all its ops are answered, so that nothing is acked behind its back.
    /// `Some`: it waits, until then at most.
    pub fn part(&mut self) -> Option<Instant> {
        let until = self.parting? + PART_TIMEOUT;
        // Each answer wakes the task of a connection that is not read.
        self.out.paused.store(true, Ordering::Release);
        let in_flight = self.peer.as_ref().map_or(0, |peer| peer.in_flight());
        if in_flight == 0 || Instant::now() >= until {
            self.parting = None;
            self.out.close(CloseCode::Normal, "bye");
            return None;
        }
        Some(until)
    }

    fn text(&mut self, text: &str) {
        match self.out.encoding() {
            Encoding::Json => self.json(text),
            Encoding::Msgpack => {
                self.refuse_frame("messages are binary frames (scumble.v1.msgpack)")
            }
        }
    }

    fn binary(&mut self, bytes: &[u8]) {
        let config = &self.hub.config;
        let max = config.max_message_bytes;
        let depth = config.limits.max_json_depth;
        match self.out.encoding() {
            Encoding::Json => self.refuse_frame("messages are text frames"),
            Encoding::Msgpack => match msgpack::to_json(bytes, max, depth) {
                Ok(json) => self.json(&json),
                Err(refused) => self.refuse(&refused),
            },
        }
    }

    fn refuse_frame(&mut self, message: &str) {
        self.refuse(&Refused {
            code: ErrorCode::BadMessage,
            message: message.to_owned(),
            op: None,
            others: Vec::new(),
        });
    }

    fn json(&mut self, text: &str) {
        let message = match parse_within(text, self.hub.config.limits.max_json_depth) {
            Ok(message) => message,
            Err(refused) => return self.refuse(&refused),
        };
        let Some(peer) = self.peer.clone() else {
            return self.first(message);
        };
        if !matches!(message, ClientMessage::Signal(_)) {
            self.send_signals();
        }
        self.bad_in_a_row = 0;
        self.act(&peer, message, text.len());
    }

    fn act(&mut self, peer: &Arc<Peer>, message: ClientMessage, bytes: usize) {
        let conn = peer.author().conn;
        let tell = |event| {
            if let Some(room) = peer.room() {
                room.inbox.offer(event);
            }
        };
        match message {
            ClientMessage::Durable(message) => self.durable(peer, message, bytes),
            ClientMessage::Cursor(fields) => {
                // The next one supersedes it anyway.
                if self.limiter.ephemeral(bytes).is_ok() {
                    tell(Event::Cursor(conn, fields));
                }
            }
            ClientMessage::Presence(patch) => {
                if self.takes_ephemeral(bytes) {
                    tell(Event::Presence(conn, patch));
                }
            }
            ClientMessage::Signal(_) if !peer.session.may_write() => {
                let message = "the token allows reading only: no signals";
                let error = say::error(ErrorCode::Forbidden, message, None, None);
                self.out.with(|outbox| outbox.reply(error));
            }
            ClientMessage::Signal(body) => {
                if !self.takes_ephemeral(bytes) {
                    return;
                }
                let Signals { frames, bodies } = &mut self.signals;
                bodies.push(say::signal(frames, &peer.author().client, &body));
                if frames.len() >= SIGNALS_AT_ONCE {
                    self.send_signals();
                }
            }
            ClientMessage::Ping(ts) => {
                self.out
                    .with(|outbox| outbox.reply(say::pong(&ts, wall_clock_ms())));
            }
            ClientMessage::Refresh(token) => self.refresh(peer, &token),
            ClientMessage::Bye => {
                self.said_bye = true;
                self.parting = Some(Instant::now());
                self.part();
            }
            ClientMessage::Hello(_) | ClientMessage::OtherVersion(_) => self.refuse(&Refused {
                code: ErrorCode::BadMessage,
                message: "hello was said already".to_owned(),
                op: None,
                others: Vec::new(),
            }),
        }
    }

    /// Hands over the signals read so far, in one piece.
    fn send_signals(&mut self) {
        if self.signals.bodies.is_empty() {
            return;
        }
        let Signals { frames, bodies } = std::mem::take(&mut self.signals);
        if let Some(peer) = &self.peer
            && let Some(room) = peer.room()
        {
            let frames = Bytes::from(frames);
            room.inbox.offer(Event::Signals {
                conn: peer.author().conn,
                frames,
                bodies,
            });
        }
    }
}

/// Milliseconds since the epoch, for `pong` only: nothing is decided by it.
fn wall_clock_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since
        .ok()
        .and_then(|d| i64::try_from(d.as_millis()).ok())
        .unwrap_or(0)
}
