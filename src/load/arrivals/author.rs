//! The client that makes the canvas for the others.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use futures::StreamExt;
use tokio::time::timeout;
use tungstenite::{Message, Utf8Bytes};

use crate::load::socket::{self, PATIENCE, Socket};
use crate::load::url::Url;
use crate::load::wire::{self, Heard, Names};
use crate::protocol::ids::{Epoch, Position};

/// Ops that are said before the first answer: less than what a server takes from one connection.
const WINDOW: u64 = 512;
/// Everything must be committed within this.
const WRITING: Duration = Duration::from_secs(60);

/// A client alone on its canvas, that writes and waits for its acks.
pub struct Author {
    socket: Socket,
    at: Position,
    op: u64,
}

impl Author {
    /// Joins.
    ///
    /// # Errors
    /// When nobody answers, or refuses.
    pub async fn join(url: &Url, canvas: &str) -> anyhow::Result<Self> {
        let mut socket = socket::connect(url, canvas, 16 * 1024, Default::default())
            .await
            .with_context(|| format!("no relay at {url}"))?;
        let hello = wire::hello(&Names::new().client(0, 0), 0, None);
        socket::say(&mut socket, vec![hello.into()]).await?;
        loop {
            let text = next(&mut socket).await?;
            let heard: Heard<'_> = serde_json::from_str(&text)?;
            match &*heard.kind {
                "snapshot" if heard.last => {
                    let epoch = Epoch::parse(&heard.epoch).context("a snapshot without epoch")?;
                    let seq = heard.seq;
                    let at = Position { epoch, seq };
                    return Ok(Self { socket, at, op: 0 });
                }
                "error" => bail!("{}", heard.message),
                _ => {}
            }
        }
    }

    /// The canvas's head, as far as the author knows.
    pub fn position(&self) -> Position {
        self.at
    }

    /// Creates objects of about that many bytes each.
    ///
    /// # Errors
    /// When one is refused, or its ack is not the next in order.
    pub async fn create_objects(&mut self, count: u32, bytes: usize) -> anyhow::Result<()> {
        self.write(count, |op| wire::create_sized(op, bytes)).await
    }

    /// Says events of that many bytes each.
    ///
    /// # Errors
    /// When one is refused, or its ack is not the next in order.
    pub async fn broadcast(&mut self, count: u32, bytes: usize) -> anyhow::Result<()> {
        self.write(count, |op| wire::broadcast(op, 0, bytes)).await
    }

    async fn write(&mut self, count: u32, text: impl Fn(u64) -> String) -> anyhow::Result<()> {
        let all = async {
            let mut acked = self.op;
            let end = acked + u64::from(count);
            while acked < end {
                let upto = end.min(acked + WINDOW);
                let texts = (self.op + 1..=upto).map(|op| text(op).into()).collect();
                self.op = upto;
                socket::say(&mut self.socket, texts).await?;
                // Half a window at a time: many in one write.
                let until = end.min(acked + WINDOW / 2);
                while acked < until {
                    acked = self.ack(acked).await?;
                }
            }
            Ok(())
        };
        timeout(WRITING, all)
            .await
            .context("not everything was acked within a minute")?
    }

    /// Waits for the ack of the op after `acked`.
    async fn ack(&mut self, acked: u64) -> anyhow::Result<u64> {
        loop {
            let text = next(&mut self.socket).await?;
            let heard: Heard<'_> = serde_json::from_str(&text)?;
            match &*heard.kind {
                "ack" => {
                    ensure!(
                        (heard.op, heard.seq) == (acked + 1, self.at.seq + 1)
                            && heard.status == "ok",
                        "expected the ack of op {} at seq {}, got {text}",
                        acked + 1,
                        self.at.seq + 1
                    );
                    self.at.seq = heard.seq;
                    return Ok(heard.op);
                }
                "error" => bail!("{}", heard.message),
                _ => {}
            }
        }
    }

    /// Leaves the canvas, so that its room ends.
    pub async fn leave(mut self) {
        socket::goodbye(&mut self.socket).await;
    }
}

/// The next text frame.
///
/// # Errors
/// When the connection ends, or nothing comes for [`PATIENCE`].
pub async fn next(socket: &mut Socket) -> anyhow::Result<Utf8Bytes> {
    loop {
        match timeout(PATIENCE, socket.next())
            .await
            .context("the relay sent nothing for too long")?
        {
            Some(Ok(Message::Text(text))) => return Ok(text),
            Some(Ok(Message::Close(close))) => bail!("closed: {close:?}"),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error.into()),
            None => bail!("the connection ended"),
        }
    }
}
