//! The limit of the machine and of the generator: an in-memory server on one thread that fans out by the URL's path and
//! does nothing else. Each turn, one write a client with all that is there for it. With a tick, what the generator sends as
//! cursors is gathered, and told as one frame a room and tick: the least that cursors cost.
//!
//!     fanlimit PORT [TICK_MS]

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::event::Timespec;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::process::{Resource, getrlimit, setrlimit};
use tungstenite::handshake::derive_accept_key;

const LISTENER: u64 = u64::MAX;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const PING: u8 = 9;
/// How a cursor of the generator's begins.
const CURSOR: &[u8] = b"{\"type\":\"cursor\"";

struct Client {
    stream: TcpStream,
    /// After the upgrade.
    room: Option<usize>,
    input: Vec<u8>,
    output: Vec<u8>,
    /// The socket is full; epoll tells when it is not.
    blocked: bool,
    /// In the list of those that have output this turn.
    listed: bool,
}

#[derive(Default)]
struct Room {
    members: Vec<usize>,
    /// Cursors since the last tick.
    cursors: Vec<u8>,
}

#[derive(Default)]
struct Server {
    tick: Option<Duration>,
    clients: Vec<Option<Client>>,
    free: Vec<usize>,
    names: HashMap<String, usize>,
    rooms: Vec<Room>,
    /// Who has output this turn.
    listed: Vec<usize>,
}

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let port: u16 = args
        .next()
        .context("usage: fanlimit PORT [TICK_MS]")?
        .parse()?;
    let tick = args.next().map(|ms| ms.parse()).transpose()?;
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(
        &epoll,
        &listener,
        EventData::new_u64(LISTENER),
        EventFlags::IN,
    )?;
    let mut server = Server {
        tick: tick.map(Duration::from_millis),
        ..Server::default()
    };
    let mut next_tick = Instant::now();
    let mut scratch = vec![0; 256 * 1024];
    loop {
        let mut wait = None;
        if let Some(tick) = server.tick {
            let now = Instant::now();
            if now >= next_tick {
                next_tick = now + tick;
                (0..server.rooms.len()).for_each(|room| server.tell_cursors(room));
                server.flush_listed(&epoll);
            }
            wait = Some(Timespec::try_from(
                next_tick.saturating_duration_since(Instant::now()),
            )?);
        }
        let mut events = Vec::<Event>::with_capacity(256);
        match epoll::wait(
            &epoll,
            rustix::buffer::spare_capacity(&mut events),
            wait.as_ref(),
        ) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events {
            // The struct is packed: its fields must be copied out.
            let (data, flags) = (event.data, event.flags);
            if data.u64() == LISTENER {
                server.accept(&listener, &epoll)?;
                continue;
            }
            let number = data.u64() as usize;
            if flags.contains(EventFlags::OUT) {
                server.flush(number, &epoll);
            }
            if flags != EventFlags::OUT {
                server.read(number, &mut scratch);
            }
        }
        server.flush_listed(&epoll);
    }
}

impl Server {
    fn accept(&mut self, listener: &TcpListener, epoll: &OwnedFd) -> anyhow::Result<()> {
        while let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let number = self.free.pop().unwrap_or_else(|| {
                self.clients.push(None);
                self.clients.len() - 1
            });
            epoll::add(
                epoll,
                &stream,
                EventData::new_u64(number as u64),
                EventFlags::IN,
            )?;
            self.clients[number] = Some(Client {
                stream,
                room: None,
                input: Vec::new(),
                output: Vec::new(),
                blocked: false,
                listed: false,
            });
        }
        Ok(())
    }

    /// What was gathered in a room, as one frame.
    fn tell_cursors(&mut self, room: usize) {
        let cursors = std::mem::take(&mut self.rooms[room].cursors);
        if cursors.is_empty() {
            return;
        }
        let mut frame = vec![0x80 | TEXT];
        match (u8::try_from(cursors.len()), u16::try_from(cursors.len())) {
            (Ok(len @ ..126), _) => frame.push(len),
            (_, Ok(len)) => {
                frame.push(126);
                frame.extend_from_slice(&len.to_be_bytes());
            }
            _ => {
                frame.push(127);
                frame.extend_from_slice(&(cursors.len() as u64).to_be_bytes());
            }
        }
        frame.extend_from_slice(&cursors);
        for i in 0..self.rooms[room].members.len() {
            self.queue(self.rooms[room].members[i], &frame);
        }
    }

    fn flush_listed(&mut self, epoll: &OwnedFd) {
        for number in std::mem::take(&mut self.listed) {
            let Some(client) = &mut self.clients[number] else {
                continue;
            };
            client.listed = false;
            if !client.blocked {
                self.flush(number, epoll);
            }
        }
    }

    fn flush(&mut self, number: usize, epoll: &OwnedFd) {
        let Some(client) = &mut self.clients[number] else {
            return;
        };
        // What went wrong is seen by the next read.
        let n = client.stream.write(&client.output).unwrap_or(0);
        client.output.drain(..n);
        let blocked = !client.output.is_empty();
        if blocked != client.blocked {
            client.blocked = blocked;
            let and = if blocked {
                EventFlags::OUT
            } else {
                EventFlags::empty()
            };
            let data = EventData::new_u64(number as u64);
            // A client that is not told of stays behind, and shows as lost messages.
            let _ = epoll::modify(epoll, &client.stream, data, EventFlags::IN | and);
        }
    }

    fn read(&mut self, number: usize, scratch: &mut [u8]) {
        let Some(client) = &mut self.clients[number] else {
            return;
        };
        match client.stream.read(scratch) {
            Ok(n) if n > 0 => client.input.extend_from_slice(&scratch[..n]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            _ => return self.forget(number),
        }
        let mut input = std::mem::take(&mut client.input);
        let mut at = 0;
        if client.room.is_none() {
            let Some(end) = input.windows(4).position(|w| w == b"\r\n\r\n") else {
                client.input = input;
                return;
            };
            at = end + 4;
            self.upgrade(number, &String::from_utf8_lossy(&input[..end]));
        }
        while let Some(taken) = self.frame(number, &mut input[at..]) {
            at += taken;
        }
        input.drain(..at);
        if let Some(client) = &mut self.clients[number] {
            client.input = input;
        }
    }

    fn forget(&mut self, number: usize) {
        let client = self.clients[number].take();
        if let Some(room) = client.and_then(|client| client.room) {
            self.rooms[room].members.retain(|member| *member != number);
        }
        self.free.push(number);
    }

    fn upgrade(&mut self, number: usize, head: &str) {
        let path = head.split(' ').nth(1).unwrap_or("/").to_owned();
        let key = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("sec-websocket-key")
                .then(|| value.trim())
        });
        let accept = derive_accept_key(key.unwrap_or_default().as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        let room = *self.names.entry(path).or_insert_with(|| {
            self.rooms.push(Room::default());
            self.rooms.len() - 1
        });
        self.rooms[room].members.push(number);
        if let Some(client) = &mut self.clients[number] {
            client.room = Some(room);
        }
        self.queue(number, answer.as_bytes());
    }

    fn queue(&mut self, number: usize, bytes: &[u8]) {
        let Some(client) = &mut self.clients[number] else {
            return;
        };
        client.output.extend_from_slice(bytes);
        if !client.listed {
            client.listed = true;
            self.listed.push(number);
        }
    }

    /// Takes one masked frame from the front, if it is whole, and hands it on. Returns its length.
    fn frame(&mut self, number: usize, bytes: &mut [u8]) -> Option<usize> {
        let (first, second) = (*bytes.first()?, *bytes.get(1)?);
        let (head, len) = match second & 0x7f {
            126 => (
                4,
                usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)),
            ),
            127 => (
                10,
                usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?,
            ),
            len => (2, usize::from(len)),
        };
        let end = head + 4 + len;
        let mask: [u8; 4] = bytes.get(head..head + 4)?.try_into().ok()?;
        let payload = bytes.get_mut(head + 4..end)?;
        for (i, byte) in payload.iter_mut().enumerate() {
            *byte ^= mask[i & 3];
        }
        // An unmasked frame is the masked one without the mask.
        let mut frame = bytes[..head].to_vec();
        frame[1] &= 0x7f;
        frame.extend_from_slice(&bytes[head + 4..end]);
        match first & 0x0f {
            TEXT | BINARY => {
                let room = self.clients[number].as_ref()?.room?;
                let payload = &frame[head..];
                if self.tick.is_some() && payload.starts_with(CURSOR) {
                    self.rooms[room].cursors.extend_from_slice(payload);
                    return Some(end);
                }
                self.tell_cursors(room); // so that each sender's order is kept
                for i in 0..self.rooms[room].members.len() {
                    let member = self.rooms[room].members[i];
                    if member != number {
                        self.queue(member, &frame);
                    }
                }
            }
            PING => {
                frame[0] = 0x8a;
                self.queue(number, &frame);
            }
            _ => {}
        }
        Some(end)
    }
}
