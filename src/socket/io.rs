//! The socket as tungstenite sees it. Reads come from a buffer that exists only while there is something
//! in it, so that an idle connection holds next to nothing; what tungstenite writes itself (pongs, answers
//! to close frames) goes through the outbox like everything else.

use std::io::{self, Read, Write};
use std::sync::Arc;

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use tokio::io::Interest;

use super::outbound::Outbound;
use crate::limits::READ_AHEAD_BYTES;

/// See the module's head.
pub struct Io {
    out: Arc<Outbound>,
    ahead: Vec<u8>,
    at: usize,
}

impl Io {
    /// Reads from, and writes to, that socket.
    pub fn new(out: Arc<Outbound>) -> Self {
        Self {
            out,
            ahead: Vec::new(),
            at: 0,
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.at = 0;
        self.ahead.clear();
        let (stream, ahead) = (self.out.stream(), &mut self.ahead);
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
        if self.at == self.ahead.len() {
            self.fill()?;
        }
        let n = buffer.len().min(self.ahead.len() - self.at);
        buffer[..n].copy_from_slice(&self.ahead[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

impl Write for Io {
    fn write(&mut self, frame: &[u8]) -> io::Result<usize> {
        self.out
            .with(|outbox| outbox.reply(Bytes::copy_from_slice(frame)));
        Ok(frame.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush();
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
        let out = Arc::new(Outbound::new(stream, 16));
        let mut io = Io::new(out.clone());
        let mut buffer = [0; 8];
        for byte in 0..20 {
            client.write_all(&[byte]).unwrap();
            let read = async {
                loop {
                    out.stream().readable().await.unwrap();
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
                    let ready = tokio::time::timeout(limit, out.stream().readable()).await;
                    ready.expect("readiness was lost").unwrap();
                    look().unwrap()
                }
            };
            assert_eq!((read, buffer[0]), (1, 100 + byte));
        }
    }
}
