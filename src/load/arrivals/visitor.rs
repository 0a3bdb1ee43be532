//! A client that joins a canvas, and the time until it has everything.

use std::time::Instant;

use anyhow::{Context, bail};
use futures::StreamExt;
use serde_json::value::RawValue;
use tokio::time::timeout;
use tungstenite::{Message, Utf8Bytes};

use super::check::{Check, Expected, Faults};
use crate::load::socket::{self, PATIENCE, Socket};
use crate::load::url::Url;
use crate::load::wire::{self, Heard, Names};
use crate::protocol::deflate;

/// What a client reads at once: a snapshot is long.
const READ_BYTES: usize = 64 * 1024;

/// One who comes.
pub struct Visitor {
    number: usize,
    expected: Expected,
    /// Whether it reads what is long compressed.
    compress: bool,
}

/// One who came. Keeps its connection while it lives.
pub struct Arrival {
    /// From before the connection was made to the welcome, in microseconds.
    pub welcome_us: u64,
    /// And to the last of what was expected.
    pub complete_us: u64,
    /// Bytes of the texts until then.
    pub bytes: u64,
    /// What was wrong.
    pub faults: Faults,
    _socket: Socket,
}

impl Visitor {
    /// One who will get that.
    pub fn new(number: usize, expected: Expected, compress: bool) -> Self {
        Self {
            number,
            expected,
            compress,
        }
    }

    /// Comes.
    ///
    /// # Errors
    /// When the relay refuses, or says nothing for ten seconds.
    pub async fn come(self, url: &Url, canvas: &str) -> anyhow::Result<Arrival> {
        let mut hello = wire::hello(
            &Names::new().client(0, self.number),
            self.number,
            self.expected.since,
        );
        if self.compress {
            hello.pop();
            hello.push_str(",\"compress\":[\"deflate-raw\"]}");
        }
        let mut check = Check::new(self.expected);
        let mut welcome_us = 0;
        let mut bytes = 0;
        let began = Instant::now();
        let us = || u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut socket = socket::connect(url, canvas, READ_BYTES, Default::default()).await?;
        socket::say(&mut socket, vec![hello.into()]).await?;
        loop {
            let (len, texts) = frame(&mut socket).await?;
            bytes += len as u64;
            for text in texts {
                let heard: Heard<'_> = serde_json::from_str(&text)?;
                if heard.kind == "welcome" {
                    welcome_us = us();
                }
                if heard.kind == "error" {
                    bail!("{}", heard.message);
                }
                if check.take(&heard) {
                    return Ok(Arrival {
                        welcome_us,
                        complete_us: us(),
                        bytes,
                        faults: check.faults(),
                        _socket: socket,
                    });
                }
            }
        }
    }
}

/// The messages of the next frame, and its bytes.
async fn frame(socket: &mut Socket) -> anyhow::Result<(usize, Vec<Utf8Bytes>)> {
    loop {
        match timeout(PATIENCE, socket.next())
            .await
            .context("the relay sent nothing for too long")?
        {
            Some(Ok(Message::Text(text))) => return Ok((text.len(), vec![text])),
            Some(Ok(Message::Binary(bytes))) => {
                let inflated = deflate::inflate(&bytes)?;
                let texts: Vec<&RawValue> = serde_json::from_slice(&inflated)?;
                let texts = texts.iter().map(|text| text.get().to_owned().into());
                return Ok((bytes.len(), texts.collect()));
            }
            Some(Ok(Message::Close(close))) => bail!("closed: {close:?}"),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error.into()),
            None => bail!("the connection ended"),
        }
    }
}
