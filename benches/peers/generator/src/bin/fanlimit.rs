//! The limit of the machine and of the generator: an in-memory server on one thread that fans out by the URL's path and
//! does nothing else. Each turn, one write a client with all that is there for it.
//!
//!     fanlimit PORT

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use anyhow::Context;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::process::{Resource, getrlimit, setrlimit};
use tungstenite::handshake::derive_accept_key;

const LISTENER: u64 = u64::MAX;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const PING: u8 = 9;

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
struct Server {
    clients: Vec<Option<Client>>,
    free: Vec<usize>,
    names: HashMap<String, usize>,
    rooms: Vec<Vec<usize>>,
    /// Who has output this turn.
    listed: Vec<usize>,
}

fn main() -> anyhow::Result<()> {
    let port: u16 = std::env::args()
        .nth(1)
        .context("usage: fanlimit PORT")?
        .parse()?;
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
    let mut server = Server::default();
    let mut scratch = vec![0; 256 * 1024];
    loop {
        let mut events = Vec::<Event>::with_capacity(256);
        match epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None) {
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
        for number in std::mem::take(&mut server.listed) {
            let Some(client) = &mut server.clients[number] else {
                continue;
            };
            client.listed = false;
            if !client.blocked {
                server.flush(number, &epoll);
            }
        }
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
            self.rooms[room].retain(|member| *member != number);
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
            self.rooms.push(Vec::new());
            self.rooms.len() - 1
        });
        self.rooms[room].push(number);
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
                for i in 0..self.rooms[room].len() {
                    let member = self.rooms[room][i];
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
