//! The socket as tungstenite sees it. Reads come from a buffer that exists only while there is something
//! in it, so that an idle connection holds next to nothing; what tungstenite writes itself (pongs, answers
//! to close frames) goes through the outbox like everything else.

use std::io::{self, Read, Write};
use std::sync::Arc;

use bytes::Bytes;

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
        self.ahead.reserve_exact(READ_AHEAD_BYTES);
        match self.out.stream().try_read_buf(&mut self.ahead) {
            Ok(_) => Ok(()),
            Err(e) => {
                self.ahead = Vec::new();
                Err(e)
            }
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
