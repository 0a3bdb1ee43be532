//! What differs from peer to peer in a message: what is around it, and what must be answered.

use std::io::Write;

use clap::ValueEnum;
use memchr::{memchr, memmem};

/// A peer's way to talk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Protocol {
    /// Text frames both ways; the room is in the URL's path
    Raw,
    /// scumble.v1; what is published is chosen by --lane and --lane2
    Scumble,
    /// Engine.IO 4 and Socket.IO 5 on the websocket transport
    Socketio,
    /// As raw, but a sender gets its own message too (counted as echo)
    Nchan,
    /// NATS's client protocol over WebSocket
    Nats,
    /// Pusher's protocol 7 with client events
    Pusher,
}

/// What a message of ours is published as.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Lane {
    /// broadcast: stored, in the order of seq, acknowledged
    Durable,
    /// signal: neither stored nor acknowledged
    Signal,
    /// The sender's cursor: a newer one may stand for it
    Cursor,
    /// object-update of the sender's own object: stored, in the order of seq, acknowledged
    Object,
}

impl Lane {
    /// Whether it has an op and gets an ack.
    pub fn is_acked(self) -> bool {
        matches!(self, Self::Durable | Self::Object)
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Durable => "durable",
            Self::Signal => "signal",
            Self::Cursor => "cursor",
            Self::Object => "object",
        }
    }
}

/// The name of a room.
pub fn room_name(room: usize) -> String {
    format!("room{room}")
}

/// Puts around a JSON payload what the protocol wants there.
pub fn wrap(protocol: Protocol, room: usize, json: &[u8], out: &mut Vec<u8>) {
    let name = room_name(room);
    let (before, after): (String, &[u8]) = match protocol {
        Protocol::Raw | Protocol::Scumble | Protocol::Nchan => (String::new(), b""),
        Protocol::Socketio => ("42[\"msg\",".to_owned(), b"]"),
        Protocol::Nats => (format!("PUB {name} {}\r\n", json.len()), b"\r\n"),
        Protocol::Pusher => {
            let channel = format!("private-{name}");
            (
                format!("{{\"event\":\"client-msg\",\"channel\":\"{channel}\",\"data\":"),
                b"}",
            )
        }
    };
    out.extend_from_slice(before.as_bytes());
    out.extend_from_slice(json);
    out.extend_from_slice(after);
}

/// One of our messages; `data` holds the token.
pub fn wrap_lane(lane: Lane, sender: usize, number: u32, op: u64, data: &[u8], out: &mut Vec<u8>) {
    let (x, y) = (number % 1920, number % 1080);
    // Writing into a Vec cannot fail.
    let _ = match lane {
        Lane::Durable => {
            write!(
                out,
                "{{\"type\":\"broadcast\",\"op\":{op},\"event\":\"b\",\"data\":"
            )
        }
        Lane::Signal => write!(out, "{{\"type\":\"signal\",\"event\":\"b\",\"data\":"),
        Lane::Cursor => write!(out, "{{\"type\":\"cursor\",\"x\":{x}.5,\"y\":{y}.25,\"t\":"),
        Lane::Object => {
            write!(
                out,
                "{{\"type\":\"object-update\",\"op\":{op},\"id\":\"o{sender}\",\"patch\":"
            )
        }
    };
    out.extend_from_slice(data);
    out.push(b'}');
}

/// The object that a sender's updates are about.
pub fn create_object(sender: usize, op: u64) -> Vec<u8> {
    let object = format!("{{\"id\":\"o{sender}\",\"kind\":\"rect\"}}");
    format!("{{\"type\":\"object-create\",\"op\":{op},\"object\":{object}}}").into_bytes()
}

/// What is owed to a ping of the protocol's own.
pub fn reply(protocol: Protocol, payload: &[u8]) -> Option<&'static [u8]> {
    match protocol {
        Protocol::Socketio if payload == b"2" => Some(b"3"),
        Protocol::Pusher if memmem::find(payload, b"pusher:ping").is_some() => {
            Some(b"{\"event\":\"pusher:pong\",\"data\":{}}")
        }
        _ => None,
    }
}

/// NATS is a stream of bytes whatever the frames: calls `message` for each whole payload. Returns the bytes
/// taken, and whether a PONG is owed.
pub fn read_nats(bytes: &[u8], mut message: impl FnMut(&[u8])) -> (usize, bool) {
    let (mut at, mut pong) = (0, false);
    while let Some(line) = memchr(b'\n', &bytes[at..]).map(|end| &bytes[at..at + end]) {
        let next = at + line.len() + 1;
        if !line.starts_with(b"MSG ") {
            pong |= line.starts_with(b"PING");
            at = next;
            continue;
        }
        let size = line
            .trim_ascii_end()
            .rsplit(|c| *c == b' ')
            .next()
            .unwrap_or(b"");
        let size: usize = std::str::from_utf8(size)
            .ok()
            .and_then(|s| s.parse().ok())
            .unwrap_or(0);
        let Some(payload) = bytes.get(next..next + size) else {
            break;
        };
        if bytes.len() < next + size + 2 {
            break;
        }
        message(payload);
        at = next + size + 2;
    }
    (at, pong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nats_messages_are_cut_out_of_the_stream() {
        let bytes = b"PING\r\nMSG room0 1 3\r\nabc\r\nMSG room0 1 4\r\nde";
        let mut seen = Vec::new();
        let (taken, pong) = read_nats(bytes, |m| seen.push(m.to_vec()));
        assert_eq!((seen, pong), (vec![b"abc".to_vec()], true));
        assert_eq!(&bytes[taken..], b"MSG room0 1 4\r\nde");
    }
}
