//! A socket that waits for its reader for a bounded time. hyper itself would wait for ever for a client that asks and
//! does not read.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::lobby::Doing;
use crate::limits::PROGRESS_BYTES;

/// See the module's head. Reading has bounds of hyper's and of the handlers'.
#[derive(Debug)]
pub(super) struct Patient {
    stream: TcpStream,
    limit: Duration,
    doing: Arc<Doing>,
    /// Runs while the socket takes next to nothing.
    blocked: Option<Pin<Box<Sleep>>>,
    /// Bytes that it has taken meanwhile, of which answer.
    taken: usize,
    answer: u64,
}

impl Patient {
    /// Writing fails when the socket has taken next to nothing for `limit`.
    pub(super) fn new(stream: TcpStream, limit: Duration, doing: Arc<Doing>) -> Self {
        Self {
            stream,
            limit,
            doing,
            blocked: None,
            taken: 0,
            answer: 0,
        }
    }

    /// The socket alone, which waits as long as it has to.
    pub(super) fn into_inner(self) -> TcpStream {
        self.stream
    }

    fn bounded(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let waits = written.is_pending();
        self.doing.writing.store(waits, Ordering::Relaxed);
        let answer = self.doing.answers.load(Ordering::Relaxed);
        if let Poll::Ready(Ok(bytes)) = &written {
            self.taken += bytes;
        }
        if self.taken >= PROGRESS_BYTES || answer != self.answer {
            self.blocked = None;
            self.taken = 0;
            self.answer = answer;
        }
        if !waits {
            return written;
        }
        let limit = self.limit;
        let blocked = self.blocked.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(blocked.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.bounded(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.bounded(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
