//! The socket as tungstenite sees it. Reads come from a buffer that exists only while it has bytes, so an idle
//! connection needs almost no memory. Everything that tungstenite writes itself (pongs, answers to close frames) goes
//! through the outbox like all other frames.
//!
//! tungstenite reads until it has a whole message. So it gets no more than a turn's share of bytes and frames here, and
//! is then told that there are no more. [`Io::is_spent`] tells that apart from an empty socket.

use std::io::{self, Read, Write};
use std::sync::Arc;

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use tokio::io::Interest;

use super::frames::{Frames, TooManyFragments};
use super::outbound::Outbound;
use crate::counts;
use crate::limits::{BYTES_PER_TURN, FRAMES_PER_TURN, READ_AHEAD_BYTES};

/// See the module's head.
pub struct Io {
    out: Arc<Outbound>,
    ahead: Vec<u8>,
    at: usize,
    /// Where the bytes end that the parser may have now.
    followed: usize,
    frames: Frames,
    frames_left: u32,
    bytes_left: usize,
    received: u64,
    refused: Option<TooManyFragments>,
}

impl Io {
    /// Reads from, and writes to, that socket. `leftover`: bytes that came behind the handshake.
    pub fn new(out: Arc<Outbound>, leftover: Vec<u8>) -> Self {
        Self {
            out,
            ahead: leftover,
            at: 0,
            followed: 0,
            frames: Frames::default(),
            frames_left: FRAMES_PER_TURN,
            bytes_left: BYTES_PER_TURN,
            received: 0,
            refused: None,
        }
    }

    /// A turn of reading begins, with a new share.
    pub fn begin_turn(&mut self) {
        self.frames_left = FRAMES_PER_TURN;
        self.bytes_left = BYTES_PER_TURN;
    }

    /// Whether the turn's share is used up: there may be more to read.
    pub fn is_spent(&self) -> bool {
        self.bytes_left == 0 || (self.at < self.ahead.len() && self.frames_left == 0)
    }

    /// The bytes that the parser has had, ever.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Whether a message has begun that has not ended.
    pub fn unfinished(&self) -> bool {
        self.frames.unfinished()
    }

    /// Why nothing more is read.
    pub fn refused(&self) -> Option<TooManyFragments> {
        self.refused
    }

    /// Lets the parser have what the turn's share allows of what was read.
    fn follow(&mut self) -> io::Result<()> {
        let end = self.ahead.len().min(self.at + self.bytes_left);
        let bytes = &self.ahead[self.at..end];
        match self.frames.follow(bytes, &mut self.frames_left) {
            Ok(0) => Err(io::ErrorKind::WouldBlock.into()),
            Ok(n) => {
                self.followed = self.at + n;
                self.bytes_left -= n;
                self.received += n as u64;
                counts::BYTES_IN.add(n as u64);
                Ok(())
            }
            Err(refused) => {
                self.refused = Some(refused);
                Err(io::Error::other("too many fragments"))
            }
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.at = 0;
        self.followed = 0;
        self.ahead.clear();
        let Some(stream) = self.out.socket() else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let ahead = &mut self.ahead;
        let read = stream.try_io(Interest::READABLE, || {
            ahead.reserve_exact(READ_AHEAD_BYTES);
            match rustix::io::read(stream, spare_capacity(ahead))? {
                // Less than there was room for: the kernel has nothing more, and the next call need not ask it.
                // Said here, it takes back only the readiness from before this read: bytes that come meanwhile
                // are announced anew. Said any later, it would take back their announcement too.
                1..READ_AHEAD_BYTES => Err(io::ErrorKind::WouldBlock.into()),
                _ => Ok(()),
            }
        });
        match read {
            Err(_) if !self.ahead.is_empty() => Ok(()),
            Err(e) => {
                self.ahead = Vec::new();
                Err(e)
            }
            Ok(()) => Ok(()),
        }
    }
}

impl Read for Io {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.followed {
            if self.bytes_left == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            if self.at == self.ahead.len() {
                self.fill()?;
                if self.ahead.is_empty() {
                    return Ok(0); // The end.
                }
            }
            self.follow()?;
        }
        let n = buffer.len().min(self.followed - self.at);
        buffer[..n].copy_from_slice(&self.ahead[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

impl Write for Io {
    fn write(&mut self, frame: &[u8]) -> io::Result<usize> {
        self.out
            .with(|outbox| outbox.raw(Bytes::copy_from_slice(frame)));
        Ok(frame.len())
    }

    /// The turn's end writes: one call for all pongs of it.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that come between a short read and the next look must be found by the next look.
    #[tokio::test]
    async fn nothing_that_comes_after_a_short_read_is_overlooked() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        server.set_nonblocking(true).unwrap();
        let stream = tokio::net::TcpStream::from_std(server).unwrap();
        let out = Arc::new(Outbound::new(stream, 16, Default::default()));
        let mut io = Io::new(out.clone(), Vec::new());
        let mut buffer = [0; 8];
        // A pong of 40 bytes: what is passed on is followed as frames.
        client.write_all(&[0x8a, 40]).unwrap();
        let mut head = async || {
            out.readable().await.unwrap();
            io.read(&mut [0; 8])
        };
        assert_eq!(head().await.unwrap(), 2);
        for byte in 0..20 {
            client.write_all(&[byte]).unwrap();
            let read = async {
                loop {
                    out.readable().await.unwrap();
                    match io.read(&mut buffer) {
                        Ok(n) => return n,
                        Err(e) => assert_eq!(e.kind(), io::ErrorKind::WouldBlock),
                    }
                }
            };
            let limit = std::time::Duration::from_secs(5);
            assert_eq!(tokio::time::timeout(limit, read).await, Ok(1));
            assert_eq!(buffer[0], byte);
            // The next byte comes, and the driver hears of it, before anybody looks again.
            client.write_all(&[100 + byte]).unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            let mut look = || io.read(&mut buffer);
            let found = look().or_else(|_| look());
            let read = match found {
                Ok(n) => n,
                Err(_) => {
                    let ready = tokio::time::timeout(limit, out.readable()).await;
                    ready.expect("readiness was lost").unwrap();
                    look().unwrap()
                }
            };
            assert_eq!((read, buffer[0]), (1, 100 + byte));
        }
    }
}
