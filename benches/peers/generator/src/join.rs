//! How a client of each peer connects, upgrades and joins its room. Blocking: load begins when all are in.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use hmac::{Hmac, KeyInit, Mac};
use memchr::memmem;

use crate::field;
use crate::frame;
use crate::peer::{self, Protocol, room_name};

/// Each read of a handshake may take this long.
const PATIENCE: Duration = Duration::from_secs(10);
/// Socket.IO's join is said again after this long, as often as below.
const REPEAT: Duration = Duration::from_millis(250);
const REPEATS: usize = 20;

/// Where a server is.
#[derive(Debug, Clone)]
pub struct Target {
    authority: String,
    path: String,
}

impl Target {
    /// Takes a `ws://` URL on loopback: this is a tool for one machine.
    pub fn parse(url: &str) -> anyhow::Result<Self> {
        let rest = url
            .strip_prefix("ws://")
            .context("a target must begin with ws://")?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let local = ["127.", "localhost", "[::1]"]
            .iter()
            .any(|host| authority.starts_with(host));
        ensure!(local, "a target must be on loopback");
        let path = if path.is_empty() { "/" } else { path };
        Ok(Self {
            authority: authority.to_owned(),
            path: path.to_owned(),
        })
    }
}

/// A client that is in its room.
pub struct Joined {
    /// Still blocking.
    pub stream: TcpStream,
    /// Read, but after the handshake.
    pub unread: Vec<u8>,
    /// Our protocol: the position it joined at.
    pub seq: u64,
    /// Joins that had to be said again.
    pub repeats: u64,
}

/// Connects a client. `run` makes the names of our clients unique.
pub fn join(
    target: &Target,
    protocol: Protocol,
    run: &str,
    room: usize,
    client: usize,
) -> anyhow::Result<Joined> {
    let mut stream = TcpStream::connect(&target.authority)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(upgrade(target, protocol, room).as_bytes())?;
    let mut hand = Handshake {
        stream,
        bytes: Vec::new(),
        protocol,
    };
    let head = hand.head()?;
    let (mut seq, mut repeats) = (0, 0);
    match protocol {
        Protocol::Raw | Protocol::Nchan => {}
        Protocol::Scumble => {
            let head = head.to_ascii_lowercase();
            ensure!(
                head.contains("sec-websocket-protocol: scumble.v1"),
                "subprotocol not selected"
            );
            seq = hand.scumble(&format!("{run}-{client:06}"))?;
        }
        Protocol::Socketio => repeats = hand.socketio(&room_name(room))?,
        Protocol::Nats => hand.nats(&room_name(room))?,
        Protocol::Pusher => hand.pusher(&room_name(room))?,
    }
    Ok(Joined {
        stream: hand.stream,
        unread: hand.bytes,
        seq,
        repeats,
    })
}

fn upgrade(target: &Target, protocol: Protocol, room: usize) -> String {
    let subprotocol = match protocol {
        Protocol::Scumble => "Sec-WebSocket-Protocol: scumble.v1\r\n",
        _ => "",
    };
    format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{subprotocol}\r\n",
        target.path.replace("{room}", &room_name(room)),
        target.authority
    )
}

struct Handshake {
    stream: TcpStream,
    bytes: Vec<u8>,
    protocol: Protocol,
}

impl Handshake {
    fn more(&mut self) -> std::io::Result<()> {
        let mut chunk = [0; 8192];
        let n = self.stream.read(&mut chunk)?;
        if n == 0 {
            return Err(std::io::Error::other("closed during the handshake"));
        }
        self.bytes.extend_from_slice(&chunk[..n]);
        Ok(())
    }

    fn head(&mut self) -> anyhow::Result<String> {
        let end = loop {
            match memmem::find(&self.bytes, b"\r\n\r\n") {
                Some(at) => break at + 4,
                None => self.more()?,
            }
        };
        let head = String::from_utf8_lossy(&self.bytes[..end]).into_owned();
        self.bytes.drain(..end);
        let first = head.lines().next().unwrap_or("");
        ensure!(first.starts_with("HTTP/1.1 101"), "not upgraded: {first}");
        Ok(head)
    }

    fn frame(&mut self) -> anyhow::Result<Vec<u8>> {
        loop {
            let Some((frame, len)) = frame::decode(&self.bytes) else {
                self.more()?;
                continue;
            };
            let (opcode, payload) = (frame.opcode, frame.payload.to_vec());
            self.bytes.drain(..len);
            match opcode {
                frame::CLOSE => bail!(
                    "closed in the handshake: {}",
                    String::from_utf8_lossy(&payload)
                ),
                frame::PING | frame::PONG => {}
                _ => return Ok(payload),
            }
        }
    }

    fn say(&mut self, opcode: u8, payload: &str) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        frame::encode(opcode, payload.as_bytes(), &mut bytes);
        self.stream.write_all(&bytes)
    }

    fn wait_for(&mut self, what: &str) -> anyhow::Result<Vec<u8>> {
        for _ in 0..1000 {
            let payload = self.frame()?;
            if memmem::find(&payload, what.as_bytes()).is_some() {
                return Ok(payload);
            }
            if let Some(reply) = peer::reply(self.protocol, &payload) {
                self.say(frame::TEXT, &String::from_utf8_lossy(reply))?;
            }
        }
        bail!("{what:?} never came")
    }

    /// Returns the position that the client joined at.
    fn scumble(&mut self, client: &str) -> anyhow::Result<u64> {
        let hello = format!("{{\"type\":\"hello\",\"v\":1,\"client\":\"{client}\",\"user\":{{}}}}");
        self.say(frame::TEXT, &hello)?;
        let mut seq = 0;
        for _ in 0..100_000 {
            let message = self.frame()?;
            match field::text(&message, "type").unwrap_or_default() {
                b"welcome" => {
                    seq = field::number(&message, "seq").unwrap_or(0);
                    if field::text(&message, "mode") == Some(b"resume") {
                        return Ok(seq);
                    }
                }
                b"snapshot" => {
                    seq = field::number(&message, "seq").unwrap_or(seq);
                    if field::value(&message, "last").is_some_and(|v| v.starts_with(b"true")) {
                        return Ok(seq);
                    }
                }
                b"error" => bail!("{}", String::from_utf8_lossy(&message)),
                _ => {}
            }
        }
        bail!("neither a welcome nor a snapshot came")
    }

    /// Returns how often the join was said again: a server may drop an event that comes right behind CONNECT.
    fn socketio(&mut self, room: &str) -> anyhow::Result<u64> {
        self.wait_for("0{")?;
        self.say(frame::TEXT, "40")?;
        self.wait_for("40")?;
        self.stream.set_read_timeout(Some(REPEAT))?;
        for repeats in 0..REPEATS {
            self.say(frame::TEXT, &format!("420[\"join\",\"{room}\"]"))?;
            if self.wait_for("430[").is_ok() {
                self.stream.set_read_timeout(Some(PATIENCE))?;
                return Ok(repeats as u64);
            }
        }
        bail!("the join was never answered")
    }

    fn nats(&mut self, room: &str) -> anyhow::Result<()> {
        self.wait_for("INFO ")?;
        let connect = "{\"verbose\":false,\"pedantic\":false,\"echo\":false,\"lang\":\"fanload\",\
                       \"version\":\"0.1\",\"protocol\":1}";
        self.say(
            frame::BINARY,
            &format!("CONNECT {connect}\r\nSUB {room} 1\r\nPING\r\n"),
        )?;
        self.wait_for("PONG").map(drop)
    }

    fn pusher(&mut self, room: &str) -> anyhow::Result<()> {
        let hello = self.wait_for("connection_established")?;
        let hello = String::from_utf8_lossy(&hello).replace('\\', "");
        let id = hello
            .split("\"socket_id\":\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        let id = id.context("no socket_id")?;
        let channel = format!("private-{room}");
        // The app's key and secret as conf/sockudo.env has them.
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"app-secret")?;
        mac.update(format!("{id}:{channel}").as_bytes());
        let mac: String = mac
            .finalize()
            .into_bytes()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        let data = format!("{{\"channel\":\"{channel}\",\"auth\":\"app-key:{mac}\"}}");
        self.say(
            frame::TEXT,
            &format!("{{\"event\":\"pusher:subscribe\",\"data\":{data}}}"),
        )?;
        self.wait_for("subscription_succeeded").map(drop)
    }
}
