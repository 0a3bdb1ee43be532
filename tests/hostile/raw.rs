//! A WebSocket client without manners: it sends the bytes it is told to, and reads frames as they are.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::harness::client::new_id;
use super::harness::soon;

pub const FIN: u8 = 0x80;
pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// A request for an upgrade that every server must take.
pub const HANDSHAKE: &str = "Host: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A masked frame: the first byte as given, the length in its shortest form.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = head(first, payload.len() as u64);
    let key = [0x12, 0x34, 0x56, 0x78];
    out.truncate(out.len() - 4);
    out.extend(key);
    out.extend(payload.iter().zip(key.iter().cycle()).map(|(b, k)| b ^ k));
    out
}

/// First byte, length and mask of a frame whose payload follows as it is: the mask is of zeros.
pub fn head(first: u8, len: u64) -> Vec<u8> {
    let mut out = vec![first];
    match len {
        0..=125 => out.push(0x80 | u8::try_from(len).expect("small")),
        126..=0xffff => {
            out.push(0x80 | 126);
            out.extend(u16::try_from(len).expect("small").to_be_bytes());
        }
        _ => {
            out.push(0x80 | 127);
            out.extend(len.to_be_bytes());
        }
    }
    out.extend([0; 4]);
    out
}

/// A whole text message.
pub fn text(text: &str) -> Vec<u8> {
    frame(FIN | TEXT, text.as_bytes())
}

/// What a server's frame was.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    Text(String),
    Pong(Vec<u8>),
    Ping,
    /// 0 without a code.
    Close(u16),
    /// The stream ended without a close frame, or behind one.
    End,
}

/// See the module's head.
pub struct Raw {
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

impl Raw {
    /// A connection that has said nothing.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = soon("a connection", TcpStream::connect(address)).await;
        Self::over(stream.expect("a connection"))
    }

    /// The same with a receive buffer as small as the kernel lets us, which makes the window small.
    pub async fn connect_narrow(address: SocketAddr) -> Self {
        Self::connect_with(address, 2 * 1024).await
    }

    /// A connection with a receive buffer of so many bytes.
    pub async fn connect_with(address: SocketAddr, buffer: u32) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(buffer).expect("a buffer");
        let stream = soon("a connection", socket.connect(address)).await;
        Self::over(stream.expect("a connection"))
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("a socket");
        let buffer = Vec::new();
        Self { stream, buffer }
    }

    /// Upgrades, with further headers; gives the answer's head.
    pub async fn upgrade(&mut self, canvas: &str, headers: &str) -> String {
        let request = format!("GET /ws/{canvas} HTTP/1.1\r\n{HANDSHAKE}{headers}\r\n");
        self.send(request.as_bytes()).await;
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(self.fill().await > 0, "an answer to the handshake");
        };
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        String::from_utf8(head).expect("text")
    }

    /// An upgraded connection that has not said hello.
    pub async fn open(address: SocketAddr, canvas: &str) -> Self {
        let mut raw = Self::connect(address).await;
        let head = raw.upgrade(canvas, "").await;
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        raw
    }

    /// A connection whose welcome and snapshot are read.
    pub async fn join(address: SocketAddr, canvas: &str) -> Self {
        let mut raw = Self::open(address, canvas).await;
        raw.enter().await;
        raw
    }

    /// Says hello under a new id and reads the snapshot. Gives the welcome.
    pub async fn enter(&mut self) -> Value {
        self.send(&text(&hello().to_string())).await;
        let welcome = self.message().await;
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        while self.message().await["last"] != true {}
        welcome
    }

    /// Sends bytes; a server that has hung up is what the test finds when it reads.
    pub async fn send(&mut self, bytes: &[u8]) {
        let _ = soon("the socket to take bytes", self.stream.write_all(bytes)).await;
    }

    /// Sends as much as the socket takes within `patience`; gives how much that was.
    pub async fn pour(&mut self, bytes: &[u8], patience: Duration) -> usize {
        let mut sent = 0;
        while sent < bytes.len() {
            let write = self.stream.write(&bytes[sent..]);
            match tokio::time::timeout(patience, write).await {
                Ok(Ok(n)) if n > 0 => sent += n,
                _ => break,
            }
        }
        sent
    }

    /// Reads what has come; gives how much, 0 at the end.
    pub async fn read_some(&mut self) -> usize {
        self.fill().await
    }

    /// Reads at most so many bytes, if there are any.
    pub fn read_at_most(&mut self, bytes: usize) {
        let mut chunk = vec![0; bytes];
        match self.stream.try_read(&mut chunk) {
            Ok(0) => panic!("the connection ended"),
            Ok(n) => self.buffer.extend(&chunk[..n]),
            Err(e) => assert_eq!(e.kind(), std::io::ErrorKind::WouldBlock, "{e}"),
        }
    }

    /// Reads what has come into `bytes`; gives how much, 0 at the end.
    pub async fn read_into(&mut self, bytes: &mut Vec<u8>) -> usize {
        let n = self.fill().await;
        bytes.append(&mut self.buffer);
        n
    }

    async fn fill(&mut self) -> usize {
        let mut chunk = [0; 16 * 1024];
        let n = soon("bytes from the server", self.stream.read(&mut chunk)).await;
        // A reset is an end.
        let n = n.unwrap_or(0);
        self.buffer.extend(&chunk[..n]);
        n
    }

    /// The next frame.
    pub async fn next(&mut self) -> Frame {
        loop {
            if let Some(frame) = self.take() {
                return frame;
            }
            if self.fill().await == 0 {
                return Frame::End;
            }
        }
    }

    /// The next frame, if it has come whole.
    pub fn take(&mut self) -> Option<Frame> {
        let buffer = &self.buffer;
        let (len, at) = match *buffer.get(1)? {
            126 => (
                u64::from(u16::from_be_bytes(buffer.get(2..4)?.try_into().ok()?)),
                4,
            ),
            127 => (u64::from_be_bytes(buffer.get(2..10)?.try_into().ok()?), 10),
            len => (u64::from(len), 2),
        };
        assert!(buffer[1] < 0x80, "a server's frames are not masked");
        let end = at + usize::try_from(len).expect("a small frame");
        if buffer.len() < end {
            return None;
        }
        let (first, payload) = (buffer[0], buffer[at..end].to_vec());
        self.buffer.drain(..end);
        assert_eq!(first & 0xf0, FIN, "whole frames, no reserved bit");
        Some(match first & 0x0f {
            TEXT => Frame::Text(String::from_utf8(payload).expect("UTF-8")),
            PONG => Frame::Pong(payload),
            PING => Frame::Ping,
            CLOSE => Frame::Close(payload.get(..2).map_or(0, |code| {
                u16::from_be_bytes(code.try_into().expect("two bytes"))
            })),
            other => panic!("the server sent a frame of type {other}"),
        })
    }

    /// The next text message.
    pub async fn message(&mut self) -> Value {
        loop {
            match self.next().await {
                Frame::Text(text) => return serde_json::from_str(&text).expect("JSON"),
                Frame::Ping | Frame::Pong(_) => {}
                end => panic!("{end:?} instead of a message"),
            }
        }
    }

    /// The next message of that type.
    pub async fn until(&mut self, kind: &str) -> Value {
        loop {
            let message = self.message().await;
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// Reads on to the end. Gives the code of the close frame, `None` if there was none.
    pub async fn closed(&mut self) -> Option<u16> {
        loop {
            match self.next().await {
                Frame::Close(code) => return Some(code),
                Frame::End => return None,
                _ => {}
            }
        }
    }

    /// Whether the connection still works: an application ping is answered.
    pub async fn works(&mut self) {
        self.send(&text(r#"{"type":"ping","ts":77}"#)).await;
        let pong = self.until("pong").await;
        assert_eq!(pong["ts"], 77);
    }
}

/// A hello under a new id.
pub fn hello() -> Value {
    json!({"type": "hello", "v": 1, "client": new_id()})
}
